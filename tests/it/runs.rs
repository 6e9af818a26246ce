//! Runs from start to end: what they leave, that they repeat, and that a kill costs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json as value};

use crate::support::{Lab, TINY, assert_same_run, files, fingerprint, finished, json, kill, metrics, signal, yaml};

#[test]
fn a_run_directory_is_complete_by_itself() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["crnn.yaml", "--run-label", "first", "--set", "training.epochs=2"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.last_line(), "runs/tiny/first");
    let run = lab.path("runs/tiny/first");
    let events = |name: &String| name.starts_with("events.out.tfevents.");
    let (event_files, others): (Vec<String>, Vec<String>) = files(&run).into_iter().partition(events);
    assert_eq!(event_files.len(), 1);
    assert_eq!(
        others,
        [
            ".lock",
            "checkpoints",
            "experiment.yaml",
            "log.txt",
            "metrics.jsonl",
            "report",
            "resolved.yaml",
            "run.json",
            "summary.json"
        ]
    );
    assert_eq!(
        files(&run.join("report")),
        [
            "confusion.emotion.test.svg",
            "confusion.emotion.train.svg",
            "confusion.emotion.validation.svg",
            "graph.svg",
            "loss.svg",
            "predictions.emotion.csv",
            "report.txt"
        ]
    );
    assert_eq!(
        fs::read(run.join("experiment.yaml")).unwrap(),
        fs::read(lab.path("crnn.yaml")).unwrap()
    );
    let resolved = yaml(run.join("resolved.yaml"));
    assert_eq!(resolved["training"]["epochs"], 2, "what --set changed");
    assert_eq!(
        resolved["training"]["optimizer"]["betas"],
        value!([0.9, 0.999]),
        "defaults"
    );

    let record = json(run.join("run.json"));
    let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "status",
            "name",
            "seed",
            "fold",
            "parent",
            "set",
            "config_hash",
            "versions",
            "git",
            "device",
            "started",
            "ended",
            "members",
            "data",
            "files",
            "certificate",
            "peak_memory_bytes",
            "error"
        ]
    );
    assert_eq!(
        (&record["status"], &record["seed"], &record["set"]),
        (&value!("completed"), &value!(7), &value!(["training.epochs=2"]))
    );
    assert!(record["device"].as_str().unwrap().starts_with("cpu ("));
    assert!(record["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(record["data"]["synthetic"]["fingerprint"].is_string());
    assert!(record["certificate"]["hash"].is_string());

    let summary = json(run.join("summary.json"));
    assert_eq!(summary["status"], "completed");
    for split in ["train", "validation", "test"] {
        let split = &summary["splits"][split];
        assert!(split["n"].as_u64().unwrap() >= 6 && split["loss"].is_f64(), "{split}");
        for metric in ["uar", "wa", "macro_f1"] {
            assert!(split["heads"]["emotion"][metric].is_f64(), "{split}");
        }
    }
    assert_eq!(summary["best"]["metric"], "loss");
    assert!(
        summary["best"]["step"]
            .as_u64()
            .is_some_and(|step| [6, 12].contains(&step))
    );
    assert!(summary["seconds"]["train"].as_f64().unwrap() > 0.0);

    for checkpoint in files(&run.join("checkpoints")) {
        assert_eq!(
            files(&run.join("checkpoints").join(checkpoint)),
            [
                "manifest.json",
                "optimizer.safetensors",
                "state.json",
                "weights.safetensors"
            ]
        );
    }
    let splits: Vec<String> = metrics(&run)
        .iter()
        .map(|line| line["split"].as_str().unwrap().to_owned())
        .collect();
    let epoch = [&["train"; 6][..], &["train_epoch", "validation"]].concat();
    let expected = [&epoch[..], &epoch, &["final_train", "final_validation", "final_test"]].concat();
    assert_eq!(splits, expected);
    let first = &metrics(&run)[0];
    for key in ["step", "epoch", "loss", "lr", "grad_norm"] {
        assert!(first[key].is_number(), "{first}");
    }
}

/// Rows of a predictions file: column name to value.
fn predictions(run: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let expected = [
        "path",
        "dataset",
        "split",
        "speaker",
        "true",
        "predicted",
        "p_neutral",
        "p_angry",
    ];
    assert_eq!(header.iter().collect::<Vec<_>>(), expected);
    reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            header
                .iter()
                .map(str::to_owned)
                .zip(row.iter().map(str::to_owned))
                .collect()
        })
        .collect()
}

/// Recall of each class, weighted and unweighted, and macro F1, straight from their definitions.
fn recomputed(rows: &[&BTreeMap<String, String>]) -> [f64; 3] {
    let count = |test: &dyn Fn(&str, &str) -> bool| {
        rows.iter().filter(|row| test(&row["true"], &row["predicted"])).count() as f64
    };
    let classes = ["neutral", "angry"];
    let mut recalls = Vec::new();
    let mut f1 = Vec::new();
    for class in classes {
        let hit = count(&|truth, said| truth == class && said == class);
        let (support, said) = (count(&|truth, _| truth == class), count(&|_, said| said == class));
        if support > 0.0 {
            recalls.push(hit / support);
        }
        if support + said > 0.0 {
            f1.push(2.0 * hit / (support + said));
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    [
        mean(&recalls),
        count(&|truth, said| truth == said) / rows.len() as f64,
        mean(&f1),
    ]
}

fn head_metrics(split: &Value) -> [f64; 3] {
    ["uar", "wa", "macro_f1"].map(|metric| split["heads"]["emotion"][metric].as_f64().unwrap())
}

fn assert_close(found: [f64; 3], expected: [f64; 3], of: &str) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{of}: {found} is not {expected}");
    }
}

#[test]
fn the_summary_is_what_the_predictions_say() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "first", "--set", "training.epochs=4"]);
    let rows = predictions(&run);
    let summary = json(run.join("summary.json"));
    let certificate = json(run.join("run.json"))["certificate"].clone();
    for split in ["train", "validation", "test"] {
        let of_split: Vec<_> = rows.iter().filter(|row| row["split"] == split).collect();
        let found = &summary["splits"][split];
        assert_eq!(found["n"], of_split.len());
        // In the corpus' order, speaker by speaker, though evaluation sorts by length.
        let mut speakers: Vec<&str> = of_split.iter().map(|row| row["speaker"].as_str()).collect();
        speakers.dedup();
        assert_eq!(
            speakers.len(),
            certificate["splits"][split]["speakers"].as_object().unwrap().len()
        );
        assert_close(head_metrics(found), recomputed(&of_split), split);
        for row in of_split {
            assert!(
                certificate["splits"][split]["speakers"].get(&row["speaker"]).is_some(),
                "{row:?}"
            );
            let p = |class: &str| row[&format!("p_{class}")].parse::<f64>().unwrap();
            assert!((p("neutral") + p("angry") - 1.0).abs() < 2e-6, "{row:?}");
            let other = if row["predicted"] == "angry" {
                "neutral"
            } else {
                "angry"
            };
            assert!(p(&row["predicted"]) >= p(other), "{row:?}");
        }
    }
}

#[test]
fn a_run_repeats_to_the_same_bits_with_any_number_of_workers() {
    for experiment in TINY {
        let lab = Lab::new();
        let runs: Vec<PathBuf> = [("a", 1), ("b", 4), ("c", 4)]
            .into_iter()
            .map(|(label, workers)| {
                let workers = format!("training.loader.workers={workers}");
                lab.run(&[experiment, "--run-label", label, "--set", &workers])
            })
            .collect();
        assert_same_run(&runs[0], &runs[1]);
        assert_same_run(&runs[1], &runs[2]);
        let other = lab.run(&[experiment, "--run-label", "d", "--set", "seed=8"]);
        assert_ne!(metrics(&runs[0]), metrics(&other), "the seed matters");
    }
}

#[test]
fn what_is_kept_in_memory_changes_nothing() {
    let lab = Lab::new();
    let kept = lab.run(&["crnn.yaml", "--run-label", "kept"]);
    let computed = lab.run(&[
        "crnn.yaml",
        "--run-label",
        "computed",
        "--set",
        "training.loader.memory_mib=0",
    ]);
    assert_same_run(&kept, &computed);
}

#[test]
fn the_batch_size_of_evaluation_changes_no_result() {
    let lab = Lab::new();
    let weights = "losses.ce.class_weights={ values: [1.0, 5.0] }";
    let losses = [1, 5, 100].map(|batch| {
        let label = format!("b{batch}");
        let batch = format!("evaluation.batch_size={batch}");
        let run = lab.run(&["crnn.yaml", "--run-label", &label, "--set", &batch, "--set", weights]);
        json(run.join("summary.json"))["splits"]["test"].clone()
    });
    for other in &losses[1..] {
        assert_eq!(other["heads"], losses[0]["heads"]);
        let difference = other["loss"].as_f64().unwrap() - losses[0]["loss"].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{losses:?}");
    }
}

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
        fs::remove_dir_all(lab.path("runs/tiny/refused")).unwrap();
    }
    let missing = lab.emorun(&["crnn.yaml", "--set", "init_from={ run: nowhere }"]);
    assert_eq!(missing.code, 4, "{}", missing.stderr);
    assert!(missing.stderr.contains("no run.json"), "{}", missing.stderr);
}

#[test]
fn runs_that_begin_in_the_same_second_do_not_meet() {
    let lab = Lab::new();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            lab.command(&["crnn.yaml", "--set", "training.epochs=1"])
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(files(&lab.path("runs/tiny")).len(), 3);
}

#[test]
fn as_many_checkpoints_are_kept_as_asked_for() {
    let lab = Lab::new();
    let run = lab.run(&[
        "crnn.yaml",
        "--set",
        "training.epochs=5",
        "--set",
        "training.checkpoints={ every_minutes: 0, keep_last: 3, keep_best: 2 }",
    ]);
    let losses: Vec<(f64, u64)> = metrics(&run)
        .iter()
        .filter(|line| line["split"] == "validation")
        .map(|line| (line["loss"].as_f64().unwrap(), line["step"].as_u64().unwrap()))
        .collect();
    let mut best = losses.clone();
    best.sort_by(|one, other| one.0.total_cmp(&other.0));
    let last = losses[4].1;
    let mut expected: Vec<String> = best[..2]
        .iter()
        .map(|(_, step)| *step)
        .chain([last, last - 1, last - 2])
        .map(|step| format!("step-{step}"))
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(files(&run.join("checkpoints")), expected);
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
fn a_run_whose_data_has_changed_is_not_resumed() {
    let lab = Lab::new();
    let run = lab.path("runs/tiny/cut");
    kill(lab.start_until(&["crnn.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 11));
    let resolved = fs::read_to_string(run.join("resolved.yaml")).unwrap();
    fs::write(
        run.join("resolved.yaml"),
        resolved.replace("utterances: 3", "utterances: 4"),
    )
    .unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("the items or their split have changed"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn training_stops_early_and_keeps_the_best_weights() {
    let lab = Lab::new();
    let run = lab.run(&[
        "crnn.yaml",
        "--run-label",
        "early",
        "--set",
        "training.epochs=50",
        "--set",
        "training.early_stopping={ patience: 2, metric: loss, min_delta: 10.0 }",
    ]);
    let validation: Vec<Value> = metrics(&run)
        .into_iter()
        .filter(|line| line["split"] == "validation")
        .collect();
    assert_eq!(validation.len(), 3, "the first epoch and two without improvement");
    let best = &json(run.join("summary.json"))["best"];
    let least = validation
        .iter()
        .min_by(|a, b| a["loss"].as_f64().unwrap().total_cmp(&b["loss"].as_f64().unwrap()))
        .unwrap();
    assert_eq!((&best["step"], &best["value"]), (&least["step"], &least["loss"]));
    let last = metrics(&run)
        .into_iter()
        .find(|line| line["split"] == "final_validation")
        .unwrap();
    assert_eq!(last["loss"], least["loss"], "measured on the best weights");
    assert!(run.join(format!("checkpoints/step-{}", best["step"])).is_dir());
}

/// Folds and seeds of the small experiment.
const CROSS: &str = "\
extends: crnn.yaml
name: cross
split: { kind: folds, folds: { k: 3 } }
training: { epochs: 2, seeds: [1, 2] }
evaluation: { best: null, weights: last }
";

const MEMBERS: [&str; 6] = [
    "fold-1/seed-1",
    "fold-1/seed-2",
    "fold-2/seed-1",
    "fold-2/seed-2",
    "fold-3/seed-1",
    "fold-3/seed-2",
];

#[test]
fn folds_and_seeds_are_members_of_one_run() {
    let lab = Lab::new();
    lab.write("cross.yaml", CROSS);
    let run = lab.run(&["cross.yaml", "--run-label", "all"]);
    let summary = json(run.join("summary.json"));
    let record = json(run.join("run.json"));
    assert_eq!(record["members"], value!(MEMBERS));
    assert_eq!(summary["status"], "completed");
    let mut all = Vec::new();
    let mut per_member = Vec::new();
    for member in MEMBERS {
        let dir = run.join(member);
        assert_eq!(json(dir.join("run.json"))["parent"], "runs/cross/all");
        let test: Vec<_> = predictions(&dir)
            .into_iter()
            .filter(|row| row["split"] == "test")
            .collect();
        let found = recomputed(&test.iter().collect::<Vec<_>>());
        assert_close(head_metrics(&summary["members"][member]), found, member);
        per_member.push(found);
        all.extend(test);
    }
    assert_eq!(all.len(), 2 * 36, "each item is tested once a seed");
    assert_eq!(summary["pooled"]["n"], all.len());
    assert_close(
        head_metrics(&summary["pooled"]),
        recomputed(&all.iter().collect::<Vec<_>>()),
        "pooled",
    );
    let n = per_member.len() as f64;
    let mean = [0, 1, 2].map(|metric| per_member.iter().map(|found| found[metric]).sum::<f64>() / n);
    let sd = [0, 1, 2].map(|metric| {
        let squares = per_member.iter().map(|found| (found[metric] - mean[metric]).powi(2));
        (squares.sum::<f64>() / (n - 1.0)).sqrt()
    });
    assert_close(head_metrics(&summary["mean"]), mean, "mean");
    assert_close(head_metrics(&summary["sd"]), sd, "sd");
    for seed in ["1", "2"] {
        let of_seed: Vec<_> = MEMBERS
            .iter()
            .filter(|member| member.ends_with(&format!("seed-{seed}")))
            .flat_map(|member| predictions(&run.join(member)))
            .filter(|row| row["split"] == "test")
            .collect();
        assert_eq!(of_seed.len(), 36);
        assert_close(
            head_metrics(&summary["seeds"][seed]),
            recomputed(&of_seed.iter().collect::<Vec<_>>()),
            seed,
        );
    }
}

#[test]
fn a_killed_parent_repeats_nothing_that_is_finished() {
    let lab = Lab::new();
    lab.write("cross.yaml", CROSS);
    let whole = lab.run(&["cross.yaml", "--run-label", "whole"]);
    let run = lab.path("runs/cross/cut");
    let third = run.join(MEMBERS[2]);
    kill(lab.start_until(&["cross.yaml", "--run-label", "cut"], &third.join("metrics.jsonl"), 5));
    let stamps = |member: &str| {
        fs::metadata(run.join(member).join("summary.json"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = [stamps(MEMBERS[0]), stamps(MEMBERS[1])];
    assert!(!third.join("summary.json").exists());
    let refused = lab.emorun(&["resume", &format!("runs/cross/cut/{}", MEMBERS[2])]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("is a member of runs/cross/cut"),
        "{}",
        refused.stderr
    );
    let outcome = lab.emorun(&["resume", "runs/cross/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!([stamps(MEMBERS[0]), stamps(MEMBERS[1])], before);
    assert!(!outcome.stderr.contains(MEMBERS[1]), "{}", outcome.stderr);
    for member in MEMBERS {
        assert_same_run(&run.join(member), &whole.join(member));
    }
    let pooled = |run: &Path| json(run.join("summary.json"))["pooled"].clone();
    assert_eq!(pooled(&run), pooled(&whole));
}

#[test]
fn an_interrupted_parent_is_resumed_as_one() {
    let lab = Lab::new();
    lab.write("cross.yaml", CROSS);
    let run = lab.path("runs/cross/cut");
    let second = run.join(MEMBERS[1]).join("metrics.jsonl");
    let mut child = lab.start_until(&["cross.yaml", "--run-label", "cut"], &second, 3);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let record = json(run.join("run.json"));
    assert_eq!(record["status"], "interrupted");
    assert!(
        record["error"]
            .as_str()
            .unwrap()
            .ends_with("emorun resume runs/cross/cut"),
        "{record}"
    );
    assert_eq!(lab.emorun(&["resume", "runs/cross/cut"]).code, 0);
    assert_eq!(json(run.join("run.json"))["status"], "completed");
}

const SWEEP: &str = "\
name: compared
runs:
  - { label: crnn, experiment: crnn.yaml }
  - { label: transformer, experiment: transformer.yaml, set: { training.epochs: 2 } }
grid:
  losses.ce.label_smoothing: [0.0, 0.1]
";

const ENTRIES: [&str; 4] = [
    "crnn_label_smoothing=0.0",
    "crnn_label_smoothing=0.1",
    "transformer_label_smoothing=0.0",
    "transformer_label_smoothing=0.1",
];

/// Runs of the tracker by label, with their status.
fn tracked(lab: &Lab) -> Vec<(String, String)> {
    let tracker = yaml(lab.path("runs/model_runs.yaml"));
    let text = |run: &Value, key: &str| run[key].as_str().unwrap().to_owned();
    let runs = tracker["runs"].as_array().unwrap().iter();
    runs.map(|run| (text(run, "label"), text(run, "status"))).collect()
}

#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let lab = Lab::new();
    lab.write("sweep.yaml", SWEEP);
    let sweep = lab.path("runs/compared/one");
    let third = sweep.join(ENTRIES[2]).join("metrics.jsonl");
    kill(lab.start_until(&["sweep", "sweep.yaml", "--run-label", "one"], &third, 4));
    let expected = ["completed", "completed", "running", "planned"];
    let expected: Vec<(String, String)> = ENTRIES
        .iter()
        .zip(expected)
        .map(|(label, status)| ((*label).to_owned(), status.to_owned()))
        .collect();
    assert_eq!(tracked(&lab), expected);
    let stamp = |entry: &str| {
        fs::metadata(sweep.join(entry).join("summary.json"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = stamp(ENTRIES[0]);
    let outcome = lab.emorun(&["resume", "runs/compared/one"]);
    assert_eq!(
        (outcome.code, outcome.last_line()),
        (0, "runs/compared/one"),
        "{}",
        outcome.stderr
    );
    assert_eq!(stamp(ENTRIES[0]), before);
    assert!(
        tracked(&lab).iter().all(|(_, status)| status == "completed"),
        "{:?}",
        tracked(&lab)
    );
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[0], "test results");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["run", "emotion.uar", "emotion.wa", "emotion.macro_f1"]
    );
    let results = json(sweep.join("summary.json"));
    for (line, entry) in lines[2..].iter().zip(ENTRIES) {
        assert!(line.starts_with(entry), "{line}");
        let run = sweep.join(entry);
        let smoothing = yaml(run.join("resolved.yaml"))["losses"]["ce"]["label_smoothing"].clone();
        assert_eq!(
            smoothing.as_f64().unwrap(),
            entry.split('=').next_back().unwrap().parse::<f64>().unwrap()
        );
        let uar = json(run.join("summary.json"))["splits"]["test"]["heads"]["emotion"]["uar"].clone();
        assert_eq!(results["runs"][entry]["emotion.uar"], uar);
    }
    // The third, killed in its middle, is what it would have been alone.
    let alone = lab.run(&[
        "transformer.yaml",
        "--run-label",
        "alone",
        "--set",
        "training.epochs=2",
        "--set",
        "losses.ce.label_smoothing=0.0",
    ]);
    assert_same_run(&sweep.join(ENTRIES[2]), &alone);
}

#[test]
fn a_killed_run_is_verified_to_go_on_to_the_same_bits() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["verify-resume", "crnn.yaml", "--kills", "4"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
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
fn a_sweep_with_one_invalid_run_starts_none() {
    let lab = Lab::new();
    lab.write(
        "sweep.yaml",
        SWEEP.replace("training.epochs: 2", "training.epochs: none"),
    );
    let outcome = lab.emorun(&["sweep", "sweep.yaml"]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(ENTRIES[2]) && outcome.stderr.contains(ENTRIES[3]),
        "{}",
        outcome.stderr
    );
    assert!(!lab.path("runs").exists());
}

#[test]
fn accumulated_micro_batches_are_one_step() {
    let lab = Lab::new();
    // Without batch statistics and dropout, four micro-batches of two are one batch of eight.
    let common = [
        "--set",
        "heads.emotion.dropout=0.0",
        "--set",
        "encoders.transformer.dropout=0.0",
        "--set",
        "blocks.masked.p=0.0",
        "--set",
        "training.epochs=2",
        "--set",
        "training.optimizer={ kind: sgd, lr: 0.01 }",
        "--set",
        "training.scheduler={ kind: constant }",
        "--set",
        "training.batching=random",
    ];
    let run = |label: &str, batch: &str, accumulate: &str| {
        let own = [
            "transformer.yaml",
            "--run-label",
            label,
            "--set",
            batch,
            "--set",
            accumulate,
        ];
        let run = lab.run(&[&own[..], &common].concat());
        let losses = metrics(&run).into_iter().filter(|line| line["split"] == "validation");
        losses.map(|line| line["loss"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let whole = run("whole", "training.batch_size=8", "training.accumulate=1");
    let parts = run("parts", "training.batch_size=2", "training.accumulate=4");
    assert_eq!(whole.len(), 2);
    for (whole, part) in whole.iter().zip(&parts) {
        assert!((whole - part).abs() < 1e-5, "{whole} {part}");
    }
}
