//! Several runs as one: folds, seeds, sweeps.

use std::fs;
use std::path::Path;

use serde_json::{Value, json as value};

use crate::runs::{assert_close, head_metrics, predictions, recomputed};
use crate::support::{Lab, assert_same_run, json, kill, signal, yaml};

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
        [
            "run",
            "emotion.uar",
            "emotion.wa",
            "emotion.macro_f1",
            "emotion.weighted_f1",
            "emotion.log_loss"
        ]
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
