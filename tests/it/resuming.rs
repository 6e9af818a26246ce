//! A kill costs nothing: checkpoints, resuming, and starting from another run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Lab, TINY, assert_same_run, files, fingerprint, finished, json, kill, metrics, signal, yaml};

#[test]
fn an_interrupt_writes_a_checkpoint_and_resuming_gives_the_same_bits() {
    // USR1 is the notice that Slurm gives.
    for (experiment, name) in TINY.into_iter().zip(["INT", "TERM", "USR1"]) {
        let lab = Lab::new();
        // Only the interrupt itself writes a checkpoint within an epoch.
        let rare = [
            "--set",
            "training.checkpoints.every_steps=null",
            "--set",
            "training.batch_size=1",
            "--set",
            "datasets.synthetic.utterances=8",
        ];
        let whole = lab.run(&[&[experiment, "--run-label", "whole"], &rare[..]].concat());
        let run = lab.path("runs/tiny/cut");
        let arguments = [&[experiment, "--run-label", "cut"], &rare[..]].concat();
        // An epoch is 64 steps: early in the second one.
        let mut child = lab.start_until(&arguments, &run.join("metrics.jsonl"), 68);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let record = json(run.join("run.json"));
        assert_eq!(record["status"], "interrupted");
        assert!(
            record["error"]
                .as_str()
                .unwrap()
                .contains("emorun resume runs/tiny/cut")
        );
        let newest = newest_checkpoint(&run);
        let state = json(newest.join("state.json"));
        assert_ne!(
            state["batch"], 0,
            "{experiment} was interrupted within an epoch: {state}"
        );
        assert!(!run.join("summary.json").exists());
        let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
        assert_eq!(
            (outcome.code, outcome.last_line()),
            (0, "runs/tiny/cut"),
            "{}",
            outcome.stderr
        );
        assert_same_results(&run, &whole);
        assert_eq!(json(run.join("run.json"))["status"], "completed");
    }
}

#[test]
fn a_run_starts_from_the_weights_of_another() {
    let lab = Lab::new();
    let first = lab.run(&["crnn.yaml", "--run-label", "first"]);
    let from = |fields: &str| format!("init_from={{ run: runs/tiny/first{fields} }}");
    let again = |label: &str, fields: &str, more: &[&str]| {
        let set = from(fields);
        let arguments = ["crnn.yaml", "--run-label", label, "--set", &set];
        lab.emorun(&[&arguments, more].concat())
    };
    let losses = |run: &Path| -> Vec<f64> {
        let lines = metrics(run).into_iter();
        lines
            .filter(|line| line["split"] == "validation")
            .map(|line| line["loss"].as_f64().unwrap())
            .collect()
    };
    let all = again("all", "", &[]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    let best = losses(&first).into_iter().fold(f64::INFINITY, f64::min);
    let after = losses(&lab.path("runs/tiny/all"));
    assert!(after[0] < losses(&first)[0], "{after:?} begins near {best}");
    // It is a new run: it has its own steps, and its own checkpoints go on to the same bits.
    let cut = ["crnn.yaml", "--run-label", "cut", "--set", &from("")];
    kill(lab.start_until(&cut, &lab.path("runs/tiny/cut/metrics.jsonl"), 9));
    assert_eq!(lab.emorun(&["resume", "runs/tiny/cut"]).code, 0);
    assert_same_run(&lab.path("runs/tiny/cut"), &lab.path("runs/tiny/all"));
    // Speakers that the first run was trained on are told where they are to be heard anew.
    let other = again("other", "", &["--set", "seed=8"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert!(other.stderr.contains("is not on unheard speakers"), "{}", other.stderr);
    let one = again("one", ", nodes: [crnn]", &["--set", "heads.emotion.hidden=5"]);
    assert_eq!(one.code, 0, "{}", one.stderr);
    for (fields, more, code, message) in [
        (
            ", nodes: [crnn, mel]",
            &[][..],
            4,
            "`mel` is no node of this experiment that has weights",
        ),
        (
            ", nodes: [emotion]",
            &["--set", "heads.emotion.hidden=5"],
            4,
            "`emotion` differs: ",
        ),
    ] {
        let refused = again("refused", fields, more);
        assert_eq!(refused.code, code, "{}", refused.stderr);
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
        assert!(!lab.path("runs/tiny/refused").exists(), "before anything is written");
    }
    let missing = lab.emorun(&["crnn.yaml", "--set", "init_from={ run: nowhere }"]);
    assert_eq!(missing.code, 4, "{}", missing.stderr);
    assert!(missing.stderr.contains("no run.json"), "{}", missing.stderr);
}

#[test]
fn as_many_checkpoints_are_kept_as_asked_for_the_best_by_any_metric() {
    let lab = Lab::new();
    for (label, metric, sign) in [
        ("a", "loss", 1.0),
        ("b", "emotion.uar", -1.0),
        ("c", "emotion.macro_f1", -1.0),
    ] {
        let run = lab.run(&[
            "crnn.yaml",
            "--run-label",
            label,
            "--set",
            "training.epochs=5",
            "--set",
            "training.checkpoints={ every_minutes: 0, keep_last: 3, keep_best: 2 }",
            "--set",
            &format!("evaluation.best={metric}"),
        ]);
        let mut best: Vec<(f64, u64)> = metrics(&run)
            .iter()
            .filter(|line| line["split"] == "validation")
            .map(|line| (line[metric].as_f64().unwrap(), line["step"].as_u64().unwrap()))
            .collect();
        let last = best[4].1;
        // The first of equals is the best.
        best.sort_by(|one, other| (sign * one.0).total_cmp(&(sign * other.0)));
        let mut expected: Vec<String> = best[..2]
            .iter()
            .map(|(_, step)| *step)
            .chain([last, last - 1, last - 2])
            .map(|step| format!("step-{step}"))
            .collect();
        expected.sort();
        expected.dedup();
        assert_eq!(files(&run.join("checkpoints")), expected, "{metric}");
    }
}

fn newest_checkpoint(run: &Path) -> PathBuf {
    let steps = files(&run.join("checkpoints"));
    let number = |name: &String| name.strip_prefix("step-")?.parse::<u64>().ok();
    let newest = steps.iter().filter_map(number).max().unwrap();
    run.join(format!("checkpoints/step-{newest}"))
}

/// As [`assert_same_run`], but for the checkpoint before the last: an interrupt adds one.
fn assert_same_results(one: &Path, other: &Path) {
    let last = newest_checkpoint(one).file_name().unwrap().to_str().unwrap().to_owned();
    let of = |run: &Path| -> Vec<(String, Vec<u8>)> {
        let parts = fingerprint(run).into_iter();
        parts
            .filter(|(name, _)| !name.starts_with("step-") || name.starts_with(&last))
            .collect()
    };
    for ((name, left), (_, right)) in of(one).into_iter().zip(of(other)) {
        assert!(left == right, "{name} differs");
    }
    assert_eq!(of(one).len(), of(other).len());
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bits() {
    for experiment in TINY {
        let lab = Lab::new();
        let whole = lab.run(&[experiment, "--run-label", "whole", "--set", "training.epochs=4"]);
        let lines = metrics(&whole).len();
        // Killed again and again, a little further each time.
        let run = lab.path("runs/tiny/cut");
        let start = [experiment, "--run-label", "cut", "--set", "training.epochs=4"];
        let mut arguments: Vec<&str> = start.to_vec();
        for moment in [1, 2, 6, 7, 9, 12, 17, 23, lines - 3, lines - 1] {
            kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), moment));
            arguments = vec!["resume", "runs/tiny/cut"];
            if run.join("summary.json").exists() {
                break;
            }
            assert_eq!(json(run.join("run.json"))["status"], "running");
        }
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_same_run(&run, &whole);
        // As a kill between the last two files would leave it.
        let record = fs::read_to_string(run.join("run.json")).unwrap();
        fs::write(run.join("run.json"), record.replace("\"completed\"", "\"running\"")).unwrap();
        let again = lab.emorun(&["resume", "runs/tiny/cut"]);
        assert_eq!(json(run.join("run.json"))["status"], "completed");
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert_same_run(&run, &whole);
        assert!(
            again.stdout.contains("emotion confusion"),
            "the report once more: {}",
            again.stdout
        );
    }
}

#[test]
fn a_resumed_run_may_be_named_in_any_way() {
    let lab = Lab::new();
    lab.run(&["crnn.yaml", "--run-label", "first"]);
    let absolute = lab.path("runs/tiny/first").display().to_string();
    for (folder, name) in [
        ("", absolute.as_str()),
        ("", "./runs/tiny/first/"),
        ("runs/tiny/first", "."),
        ("runs/tiny", "first"),
    ] {
        let outcome = finished(
            &lab.command(&["resume", name])
                .current_dir(lab.path(folder))
                .output()
                .unwrap(),
        );
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
        let tracked = yaml(lab.path("runs/model_runs.yaml"));
        assert_eq!(tracked["runs"].as_array().unwrap().len(), 1, "{name}: {tracked}");
        assert!(!lab.path("runs/tiny/first/model_runs.yaml").exists(), "{name}");
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    let lab = Lab::new();
    let whole = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    let run = lab.path("runs/tiny/cut");
    // Within the first epoch, where no best one is kept beside.
    kill(lab.start_until(&["crnn.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 4));
    let newest = newest_checkpoint(&run);
    let weights = newest.join("weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let name = newest.file_name().unwrap().to_str().unwrap();
    let warning = outcome
        .stderr
        .lines()
        .find(|line| line.contains("checkpoint not used"))
        .unwrap();
    assert!(warning.contains(&format!("{name}/weights.safetensors")), "{warning}");
    assert_same_run(&run, &whole);
}

#[test]
fn a_run_whose_checkpoints_are_all_damaged_says_so() {
    let lab = Lab::new();
    let run = lab.path("runs/tiny/cut");
    kill(lab.start_until(&["crnn.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 11));
    for checkpoint in files(&run.join("checkpoints")) {
        fs::write(run.join("checkpoints").join(checkpoint).join("state.json"), "{}").unwrap();
    }
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("SHA-256"), "{}", outcome.stderr);
}

#[test]
fn a_killed_run_is_verified_to_go_on_to_the_same_bits() {
    let lab = Lab::new();
    // A hundred kills and more are for nights: EMORUN_KILLS=100.
    let kills = std::env::var("EMORUN_KILLS").unwrap_or_else(|_| "10".into());
    let outcome = lab.emorun(&["verify-resume", "crnn.yaml", "--kills", &kills]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    let killed = outcome.stdout.split_whitespace().nth(1).unwrap();
    assert!(killed.parse::<usize>().unwrap() > 0, "{}", outcome.stdout);
    for part in [
        "the same in both runs",
        "lines of metrics.jsonl",
        "TensorBoard scalars",
        "files of weights and optimizer state",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    // A run that does not come to its end is shown with its own message.
    let outcome = lab.emorun(&[
        "verify-resume",
        "crnn.yaml",
        "--set",
        "training.optimizer.lr=1e38",
        "--set",
        "training.scheduler={ kind: constant }",
        "--set",
        "training.clip_norm=null",
    ]);
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("exit code 6"), "{}", outcome.stderr);
}

#[test]
fn a_batch_size_that_fits_into_memory_is_found_once_and_kept() {
    let lab = Lab::new();
    let auto = ["--set", "training.batching.by_length.max_batch_seconds=auto"];
    let arguments = |label| [&["transformer.yaml", "--run-label", label], &auto[..]].concat();
    let whole = lab.run(&arguments("whole"));
    let bound = |run: &Path| {
        let resolved = yaml(run.join("resolved.yaml"));
        resolved["training"]["batching"]["by_length"]["max_batch_seconds"]
            .as_f64()
            .unwrap()
    };
    // Four of the longest of such a corpus fit anywhere.
    assert!((4.0..40.0).contains(&bound(&whole)), "{}", bound(&whole));
    let cut = lab.path("runs/tiny/cut");
    kill(lab.start_until(&arguments("cut"), &cut.join("metrics.jsonl"), 4));
    let resumed = lab.run(&["resume", "runs/tiny/cut"]);
    assert_eq!(bound(&resumed), bound(&whole));
    assert_same_results(&resumed, &whole);

    // A sweep that goes on keeps what its entries found.
    let entries = "\
name: both
runs:
  - { label: a, experiment: transformer.yaml, set: { training.batching.by_length.max_batch_seconds: auto } }
";
    lab.write("sweep.yaml", entries);
    let sweep = lab.run(&["sweep", "sweep.yaml", "--run-label", "one"]);
    assert_eq!(bound(&sweep.join("a")), bound(&whole));
    lab.run(&["resume", "runs/both/one"]);

    let word = [
        "transformer.yaml",
        "--set",
        "training.batching.by_length.max_batch_seconds=most",
    ];
    let outcome = lab.emorun(&word);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("auto"), "{}", outcome.stderr);
}
