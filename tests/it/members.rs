//! Several runs as one: folds, seeds, sweeps.

use std::fs;
use std::path::Path;

use serde_json::{Value, json as value};

use crate::runs::{assert_close, head_metrics, predictions, recomputed};
use crate::support::{Lab, assert_same_run, files, json, kill, signal, yaml};

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
    let names = files(&run.join("report"));
    let expected = [
        "confusion.emotion.test.svg",
        "evaluation.json",
        "evaluation.txt",
        "graph.svg",
        "index.html",
        "loss.svg",
        "metrics.svg",
        "predictions.emotion.csv",
        "report.txt",
    ];
    assert_eq!(names, expected);
    let mut pooled = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    assert_eq!(&pooled.headers().unwrap()[0], "member");
    let rows: Vec<csv::StringRecord> = pooled.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), all.len());
    for (row, own) in rows.iter().zip(&all) {
        assert_eq!((&row[1], &row[6]), (own["path"].as_str(), own["predicted"].as_str()));
    }
    assert_close(
        head_metrics(&summary["pooled"]),
        recomputed(&all.iter().collect::<Vec<_>>()),
        "pooled",
    );
    let evaluation = json(run.join("report/evaluation.json"));
    let head = &evaluation["sides"]["test"]["classifiers"]["emotion"];
    assert_eq!(head["items"], 36, "each item once");
    assert_eq!(
        evaluation["pooled"],
        value!({ "members": MEMBERS, "folds": 3, "seeds": [1, 2] })
    );
    assert_eq!(head["confusion"], summary["pooled"]["heads"]["emotion"]["confusion"]);
    for metric in ["uar", "wa", "macro_f1"] {
        let (own, known) = (&head["metrics"][metric], &summary["pooled"]["heads"]["emotion"][metric]);
        assert_eq!(&own["value"], known, "{metric}");
        assert!(own["interval"].is_object(), "{metric}: {own}");
    }
    let page = fs::read_to_string(run.join("report/index.html")).unwrap();
    for part in [
        "6 members, over 3 split(s) and seed(s) 1, 2",
        "72 predictions of 36 test items",
        "interval of the mean",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    fs::remove_file(run.join("report/index.html")).unwrap();
    let again = lab.emorun(&["runs", "report", "runs/cross/all"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(fs::read_to_string(run.join("report/index.html")).unwrap(), page);
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

/// Of the three runs, the second diverges in its first steps.
const DIVERGING: &str = "\
name: rates
runs:
  - { label: low, experiment: crnn.yaml }
  - { label: high, experiment: crnn.yaml, set: { training.optimizer.lr: 1.0e+38, training.clip_norm: null } }
  - { label: seeds, experiment: crnn.yaml, set: { training.seeds: [1, 2] } }
";

#[test]
fn a_run_of_a_sweep_that_diverges_stops_none_of_the_others() {
    let lab = Lab::new();
    lab.write("sweep.yaml", DIVERGING);
    let everywhere = [
        "--set",
        "training.epochs=1",
        "--set",
        "training.scheduler={ kind: constant }",
    ];
    let start: Vec<&str> = ["sweep", "sweep.yaml", "--run-label", "one"]
        .into_iter()
        .chain(everywhere)
        .collect();
    let first = lab.emorun(&start);
    assert_eq!(first.code, 6, "{}", first.stderr);
    assert!(
        first
            .stderr
            .contains("1 of 3 runs failed:\n  high diverged: the loss is "),
        "{}",
        first.stderr
    );
    let again = "again with: emorun resume runs/rates/one --retry-failed";
    assert!(first.stderr.contains(again), "{}", first.stderr);
    let rows: Vec<Vec<&str>> = first
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        rows.iter().any(|row| row[..] == ["high", "diverged"]),
        "{}",
        first.stdout
    );
    let statuses: Vec<String> = tracked(&lab).into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["completed", "diverged", "completed"]);
    let sweep = lab.path("runs/rates/one");
    let summary = json(sweep.join("summary.json"));
    assert_eq!(summary["status"], "incomplete");
    assert_eq!(summary["failed"]["high"]["exit_code"], 6);
    let results = summary["runs"].as_object().unwrap();
    assert_eq!(results.keys().collect::<Vec<_>>(), ["low", "seeds"]);
    for entry in ["low", "high", "seeds"] {
        assert_eq!(
            yaml(sweep.join(entry).join("resolved.yaml"))["training"]["epochs"],
            1,
            "--set reaches {entry}"
        );
    }

    let started = |run: &str| json(sweep.join(run).join("run.json"))["ended"].clone();
    let ended = started("high");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let passed_over = lab.emorun(&["resume", "runs/rates/one"]);
    assert_eq!(passed_over.code, 6, "{}", passed_over.stderr);
    assert!(
        passed_over.stderr.contains("high diverged before and is passed over"),
        "{}",
        passed_over.stderr
    );
    assert_eq!((started("high"), passed_over.stdout), (ended.clone(), first.stdout));
    assert_eq!(lab.emorun(&["resume", "runs/rates/one", "--retry-failed"]).code, 6);
    assert_ne!(started("high"), ended, "it was tried again");
}

#[test]
fn members_that_failed_are_passed_over_until_they_are_to_be_tried_again() {
    let lab = Lab::new();
    lab.write("cross.yaml", CROSS);
    let whole = lab.run(&["cross.yaml", "--run-label", "whole"]);
    let run = lab.path("runs/cross/cut");
    let [_, second, third, ..] = MEMBERS.map(|member| run.join(member));
    kill(lab.start_until(&["cross.yaml", "--run-label", "cut"], &third.join("metrics.jsonl"), 5));
    // As if the second had diverged; what the kill has left of the third cannot be read.
    fs::remove_file(second.join("summary.json")).unwrap();
    let mut record = json(second.join("run.json"));
    record["status"] = "diverged".into();
    record["error"] = "the loss is NaN at step 3".into();
    record["exit_code"] = 6.into();
    fs::write(second.join("run.json"), record.to_string()).unwrap();
    fs::remove_dir_all(second.join("checkpoints")).unwrap();
    let third_record = fs::read(third.join("run.json")).unwrap();
    fs::write(third.join("run.json"), "{ torn").unwrap();
    let outcome = lab.emorun(&["resume", "runs/cross/cut"]);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    for part in [
        "fold-1/seed-2 diverged before and is passed over",
        "fold-2/seed-1 failed; the others go on",
        "2 of 6 members failed:\n  fold-1/seed-2 diverged: the loss is NaN at step 3\n  fold-2/seed-1 failed: ",
    ] {
        assert!(outcome.stderr.contains(part), "no `{part}` in {}", outcome.stderr);
    }
    assert!(
        outcome.stdout.contains("emotion on test (4 of 6 members: 2 failed)"),
        "{}",
        outcome.stdout
    );
    let summary = json(run.join("summary.json"));
    assert_eq!(
        (&summary["status"], &summary["mean"]["n"]),
        (&"incomplete".into(), &4.into())
    );
    assert_eq!(summary["failed"]["fold-1/seed-2"], "the loss is NaN at step 3");
    assert_eq!(json(run.join("run.json"))["status"], "diverged");

    fs::write(third.join("run.json"), third_record).unwrap();
    let outcome = lab.emorun(&["resume", "runs/cross/cut", "--retry-failed"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("was cut short"), "{}", outcome.stderr);
    for member in MEMBERS {
        assert_same_run(&run.join(member), &whole.join(member));
    }
    let results = |run: &Path| json(run.join("summary.json"))["pooled"].clone();
    assert_eq!(results(&run), results(&whole));
    let summary = json(run.join("summary.json"));
    assert!(summary["status"] == "completed" && summary["failed"].is_null());
}

#[test]
fn set_cannot_undo_the_grid_of_a_sweep() {
    let lab = Lab::new();
    lab.write("sweep.yaml", SWEEP);
    let outcome = lab.emorun(&["sweep", "sweep.yaml", "--set", "losses.ce.label_smoothing=0.3"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("`grid` varies `losses.ce.label_smoothing`"),
        "{}",
        outcome.stderr
    );
}
