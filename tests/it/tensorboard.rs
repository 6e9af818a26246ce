//! A run as the `tensorboard` package itself reads it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Lab, REPOSITORY, json, kill, metrics};

/// The exit status by which `read_run.py` says that the package is missing.
const NO_PACKAGE: i32 = 77;

/// What TensorBoard makes of a run; `None`, with the reason printed, where it cannot be asked.
fn read(run: &Path) -> Option<Value> {
    let python = std::env::var("EMORUN_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(REPOSITORY).join("tests/it/read_run.py");
    let output = match Command::new(&python).arg(script).arg(run).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: cannot start {python}: {error}");
            return None;
        }
    };
    if output.status.code() == Some(NO_PACKAGE) {
        let reason = String::from_utf8_lossy(&output.stdout);
        println!("skipped: {python} lacks the tensorboard package (set EMORUN_PYTHON to one that has it): {reason}");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Every number of `metrics.jsonl` is a scalar, and each scalar stands at each step once.
fn assert_all_scalars(read: &Value, run: &Path) {
    let mut expected = 0;
    for line in metrics(run) {
        let split = line["split"].as_str().unwrap();
        // The final evaluation stands behind the last step.
        let step = line["step"].as_u64().unwrap() + u64::from(split.starts_with("final"));
        for (name, value) in line.as_object().unwrap() {
            let (Some(value), false) = (value.as_f64(), ["step", "epoch"].contains(&name.as_str())) else {
                continue;
            };
            let group = match split {
                "train" => "step/train".to_owned(),
                "train_epoch" => "epoch/train".to_owned(),
                "validation" => "epoch/validation".to_owned(),
                result => result.replace("final_", "final/"),
            };
            let tag = format!("{group}/{name}");
            let at_step: Vec<f64> = read["scalars"][&tag]
                .as_array()
                .unwrap_or_else(|| panic!("no scalar {tag}"))
                .iter()
                .filter(|event| event[0] == step)
                .map(|event| event[1].as_f64().unwrap())
                .collect();
            assert_eq!(at_step.len(), 1, "{tag} at step {step}: {at_step:?}");
            assert!(
                (at_step[0] - value).abs() <= 1e-6 * value.abs().max(1.0),
                "{tag} at step {step}"
            );
            expected += 1;
        }
    }
    let found: usize = read["scalars"]
        .as_object()
        .unwrap()
        .iter()
        // Speed and waiting stand under `wall`, which `metrics` leaves out.
        .filter(|(tag, _)| {
            !["items_per_second", "loader_wait_s", "checkpoint_wait_s", "seconds"]
                .iter()
                .any(|wall| tag.ends_with(wall))
        })
        .map(|(_, events)| events.as_array().unwrap().len())
        .sum();
    assert_eq!(found, expected, "scalars in TensorBoard and numbers in metrics.jsonl");
}

fn assert_all_else(read: &Value, run: &Path) {
    let text = read["texts"]["experiment"].as_str().unwrap();
    assert!(text.starts_with("```yaml\nname: tiny\n"), "{text}");
    let images = read["images"].as_object().unwrap();
    let steps = |tag: &str| {
        images[tag]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step.as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps("figures/graph"), [0]);
    let validation = metrics(run).into_iter().filter(|line| line["split"] == "validation");
    let ends: Vec<u64> = validation.map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(
        steps("figures/confusion/emotion"),
        ends,
        "one confusion matrix an epoch"
    );
    for split in ["train", "validation", "test"] {
        assert_eq!(
            steps(&format!("figures/confusion_final/emotion/{split}")),
            [ends[ends.len() - 1] + 1]
        );
    }
    let hparams = &read["hparams"];
    assert_eq!(hparams["values"]["seed"], 7.0);
    assert_eq!(hparams["values"]["training.optimizer.lr"], 2e-3);
    assert_eq!(hparams["values"]["encoders.crnn.kind"], "crnn");
    let group = hparams["group"].as_str().unwrap();
    assert!(
        group.starts_with("tiny ") && group.len() == "tiny ".len() + 8,
        "{group}"
    );
    assert!(read["scalars"].get("final/test/emotion.uar").is_some());
    assert_eq!(hparams["ended"], true);
    assert_eq!(json(run.join("run.json"))["status"], "completed");
}

#[test]
fn tensorboard_shows_a_whole_run() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "whole"]);
    if let Some(read) = read(&run) {
        assert_all_scalars(&read, &run);
        assert_all_else(&read, &run);
    }
}

#[test]
fn repetitions_are_one_row_of_hyperparameters_and_settings_are_several() {
    let lab = Lab::new();
    let hparams = |arguments: &[&str]| read(&lab.run(arguments)).map(|read| read["hparams"].clone());
    let one_epoch = ["crnn.yaml", "--set", "training.epochs=1"];
    let Some(first) = hparams(&[&one_epoch[..], &["--run-label", "first"]].concat()) else {
        return;
    };
    let again = hparams(&[&one_epoch[..], &["--run-label", "again", "--set", "seed=8"]].concat()).unwrap();
    let faster = ["--run-label", "faster", "--set", "training.optimizer.lr=0.004"];
    let faster = hparams(&[&one_epoch[..], &faster].concat()).unwrap();
    assert_eq!(first["group"], again["group"]);
    assert_ne!(first["group"], faster["group"]);
    let values = |hparams: &Value| hparams["values"].as_object().unwrap().clone();
    let differ = |a: &Value, b: &Value| -> Vec<String> {
        let (a, b) = (values(a), values(b));
        let keys = a.keys().filter(|key| a.get(*key) != b.get(*key));
        keys.cloned().collect()
    };
    assert_eq!(differ(&first, &again), ["seed"]);
    assert_eq!(differ(&first, &faster), ["training.optimizer.lr"]);
}

#[test]
fn tensorboard_shows_a_run_that_was_killed_and_resumed_as_one() {
    let lab = Lab::new();
    let run = lab.path("runs/tiny/cut");
    let mut arguments = vec!["crnn.yaml", "--run-label", "cut"];
    // At the end of an epoch, within one, and in the final evaluation.
    for moment in [8, 13, 25] {
        kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), moment));
        arguments = vec!["resume", "runs/tiny/cut"];
        if moment == 8 {
            // As if it had come before the first checkpoint: all that was written is written again.
            std::fs::remove_dir_all(run.join("checkpoints")).unwrap_or_default();
        }
    }
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    if let Some(read) = read(&run) {
        assert_all_scalars(&read, &run);
        assert_all_else(&read, &run);
    }
}
