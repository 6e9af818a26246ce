//! How weights move: averages, plateaus, groups, learning rates that are found.

use std::fs;
use std::path::Path;

use crate::support::{Lab, REPOSITORY, files, metrics};

#[test]
fn averages_plateaus_groups_and_muon_go_on_to_the_same_bits_after_kills() {
    let lab = Lab::new();
    for (experiment, sets) in [
        (
            "crnn.yaml",
            &[
                "training.average={ kind: ema, decay: 0.9 }",
                "training.scheduler={ kind: plateau, factor: 0.5, patience: 0, threshold: 0.5 }",
                "training.weight_decay_on=matrices",
            ][..],
        ),
        (
            "transformer.yaml",
            &[
                "training.average={ kind: swa, from_epoch: 2 }",
                "training.optimizer={ kind: muon, lr: 0.002 }",
                "training.groups=[{ nodes: [emotion], lr_factor: 2.0, weight_decay: 0.0 }]",
                "encoders.transformer.layers=2",
                "encoders.transformer.stochastic_depth=0.5",
            ],
        ),
    ] {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["verify-resume", experiment, "--kills", "3"]
            .into_iter()
            .chain(sets)
            .collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 0, "{experiment}: {}{}", outcome.stdout, outcome.stderr);
    }
}

/// The loss on a side after training.
fn loss_at_the_end(run: &std::path::Path, side: &str) -> f64 {
    let lines = metrics(run);
    let of_side = |line: &&serde_json::Value| line["split"] == format!("final_{side}");
    lines.iter().find(of_side).unwrap()["loss"].as_f64().unwrap()
}

#[test]
fn the_average_is_what_is_evaluated_and_what_other_runs_start_from() {
    let lab = Lab::new();
    let last = ["--set", "evaluation.weights=last", "--set", "evaluation.best=loss"];
    let plain = lab.run(&[&["transformer.yaml", "--run-label", "plain"], &last[..]].concat());
    let average = ["--set", "training.average={ kind: swa, from_epoch: 2 }"];
    let averaged = lab.run(&[&["transformer.yaml", "--run-label", "averaged"], &last[..], &average].concat());
    // Training itself is the same.
    let losses = |run| -> Vec<String> {
        let lines = metrics(run).into_iter().filter(|line| line["split"] == "train");
        lines.map(|line| line["loss"].to_string()).collect()
    };
    assert_eq!(losses(&plain), losses(&averaged));
    assert_ne!(loss_at_the_end(&plain, "test"), loss_at_the_end(&averaged, "test"));
    let has_average = |run: &std::path::Path| {
        let checkpoints = run.join("checkpoints");
        files(&checkpoints)
            .iter()
            .any(|step| checkpoints.join(step).join("average.safetensors").exists())
    };
    assert!(has_average(&averaged) && !has_average(&plain));
    let started = lab.run(&[
        "transformer.yaml",
        "--run-label",
        "started",
        "--set",
        "init_from={ run: runs/tiny/averaged }",
        "--set",
        "training.optimizer={ kind: sgd, lr: 1.0e-30 }",
        "--set",
        "training.scheduler={ kind: constant }",
        "--set",
        "training.epochs=1",
    ]);
    let best = metrics(&averaged)
        .iter()
        .filter(|line| line["split"] == "validation")
        .map(|line| line["loss"].as_f64().unwrap())
        .fold(f64::INFINITY, f64::min);
    assert_eq!(loss_at_the_end(&started, "validation"), best);
}

#[test]
fn rising_learning_rates_are_drawn_and_one_is_suggested() {
    let lab = Lab::new();
    let outcome = lab.emorun(&[
        "lr-find",
        "crnn.yaml",
        "--to",
        "1000",
        "--steps",
        "60",
        "--out",
        "rates.svg",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(fs::read_to_string(lab.path("rates.svg")).unwrap().starts_with("<svg"));
    let table = fs::read_to_string(lab.path("rates.csv")).unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map(|row| row.split(',').map(|number| number.parse().unwrap()).collect())
        .collect();
    assert!(rows.len() > 10, "{table}");
    assert!(
        rows.len() < 60,
        "no network stands a rate of a thousand, so that the test ends before it: {table}"
    );
    assert!(rows.windows(2).all(|pair| pair[1][0] > pair[0][0]), "{table}");
    assert!(!lab.path("runs").exists(), "nothing is kept of the test");
    let again = lab.emorun(&["lr-find", "crnn.yaml", "--out", "rates.svg"]);
    assert_eq!(again.code, 5, "{}", again.stderr);
    let turned = lab.emorun(&["lr-find", "crnn.yaml", "--from", "1", "--to", "0.1"]);
    assert_eq!(turned.code, 2, "{}", turned.stderr);
}

#[test]
fn what_cannot_be_optimised_as_asked_is_told_with_its_place() {
    let lab = Lab::new();
    for (sets, message) in [
        (
            &["training.groups=[{ nodes: [crnn, emotoin], lr_factor: 2.0 }]"][..],
            "`emotoin` is no node of this experiment",
        ),
        (
            &[
                "split={ kind: by_speaker, validation: 0.0, test: 0.2 }",
                "evaluation.best=null",
                "training.scheduler={ kind: plateau }",
            ],
            "a plateau is seen on a validation split, and there is none",
        ),
        (
            &["training.scheduler={ kind: plateau, metric: emotion.uarr }"],
            "`emotion.uarr` is no metric of this experiment",
        ),
        (
            &["training.average={ kind: swa, from_epoch: 9 }"],
            "no epoch is averaged: the run ends after epoch 3",
        ),
        (
            &["training.average={ kind: ema, decay: 1.5 }"],
            "training.average.decay",
        ),
        (
            &["encoders.crnn={ kind: transformer, input: masked, norm: after, stochastic_depth: 0.1 }"],
            "a layer that ends in layer norm cannot be passed by",
        ),
    ] {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["check", "crnn.yaml", "--structure"].into_iter().chain(sets).collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 3, "{message}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    }
}

/// The quickstart goes up to 2e-3, which was found by training at many rates; behind its explosion, at 2.3, the loss
/// falls as well.
#[test]
fn the_rate_suggested_for_the_quickstart_is_one_that_it_trains_at() {
    let lab = Lab::new();
    let experiment = Path::new(REPOSITORY)
        .join("experiments/quickstart.yaml")
        .display()
        .to_string();
    for (schedule, key) in [
        (None, "training.scheduler.max_lr"),
        (Some("training.scheduler={ kind: constant }"), "training.optimizer.lr"),
    ] {
        let out = format!("{key}.svg");
        let sets = schedule.into_iter().flat_map(|schedule| ["--set", schedule]);
        let arguments: Vec<&str> = ["lr-find", &experiment, "--out", &out]
            .into_iter()
            .chain(sets)
            .collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let rate = outcome.stdout.split(&format!("try: --set {key}=")).nth(1);
        let rate: f64 = rate
            .unwrap_or_else(|| panic!("{}", outcome.stdout))
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((5e-4..8e-3).contains(&rate), "{}", outcome.stdout);
    }
}

#[test]
fn a_rate_that_the_schedule_does_not_use_is_warned_of() {
    let lab = Lab::new();
    let warning = "`lr: 0.01` has no effect: `one_cycle` goes up to `max_lr: 0.002`";
    let set = [
        "check",
        "--structure",
        "crnn.yaml",
        "--set",
        "training.optimizer.lr=0.01",
    ];
    let outcome = lab.emorun(&set);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    let used = lab.emorun(&[&set[..], &["--set", "training.scheduler={ kind: constant }"]].concat());
    assert!(!used.stderr.contains("no effect"), "{}", used.stderr);
    assert!(
        !lab.emorun(&["check", "--structure", "crnn.yaml"])
            .stderr
            .contains("no effect")
    );
}
