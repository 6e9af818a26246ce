//! Numbers that are not finite end what meets them, with exit code 6 and a name, whichever pass meets them first.

use std::fs;
use std::path::Path;

use emorun_features::Array;

use crate::features::{FRAMES, embed, given_frames, write};
use crate::support::{Lab, REPOSITORY, files, json};

/// One step for each epoch, at a learning rate at which the weights are gone after the first.
const ONE_STEP: [&str; 6] = [
    "training.batch_size=100",
    "training.scheduler={ kind: constant }",
    "training.clip_norm=null",
    "encoders.crnn.channels=[2]",
    "training.epochs=1",
    "blocks.masked.frames_mask_size=2",
];

/// Trains so; gives what was written to stderr.
fn diverged(lab: &Lab, label: &str, sets: &[&str]) -> String {
    let sets = ONE_STEP.iter().chain(sets).flat_map(|set| ["--set", *set]);
    let arguments: Vec<&str> = ["crnn.yaml", "--run-label", label].into_iter().chain(sets).collect();
    let outcome = lab.emorun(&arguments);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    let run = lab.path("runs/tiny").join(label);
    let record = json(run.join("run.json"));
    assert_eq!(record["status"], "diverged");
    assert!(outcome.stderr.contains(record["error"].as_str().unwrap()));
    assert!(!run.join("summary.json").exists());
    outcome.stderr
}

#[test]
fn weights_that_only_validation_sees_end_the_run() {
    let lab = Lab::new();
    let stderr = diverged(&lab, "validation", &["training.optimizer.lr=1e38"]);
    assert!(
        stderr.contains("validation after epoch 1: a value is not finite"),
        "{stderr}"
    );
    assert!(stderr.contains("is that of node `"), "{stderr}");
}

#[test]
fn weights_that_only_the_final_evaluation_sees_end_the_run() {
    let lab = Lab::new();
    let alone = [
        "training.optimizer.lr=1e38",
        "split.validation=0",
        "evaluation.best=null",
    ];
    let stderr = diverged(&lab, "final", &alone);
    assert!(
        stderr.contains("final evaluation on train: a value is not finite"),
        "{stderr}"
    );
}

#[test]
fn weights_that_are_not_finite_are_in_no_checkpoint() {
    let lab = Lab::new();
    let beyond = [
        "training.optimizer.lr=1e39",
        "split.validation=0",
        "evaluation.best=null",
    ];
    let stderr = diverged(&lab, "weights", &beyond);
    assert!(stderr.contains("is not finite after step 1 (epoch 1)"), "{stderr}");
    let checkpoints = lab.path("runs/tiny/weights/checkpoints");
    assert!(!checkpoints.exists() || files(&checkpoints).is_empty());
}

#[test]
fn an_item_that_only_test_hears_is_named() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "one", "--set", "training.epochs=1"]);
    let mut table = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let tested = rows.iter().find(|row| &row[2] == "test").unwrap()[0].to_owned();
    // Bands that hardly differ: a number that is finite, and no longer once it is divided by their deviation.
    let mut frames = embed(&lab, "crnn.yaml", "mel", "whole.safetensors", &[]);
    for (key, item) in &mut frames {
        let mut values: Vec<f32> = item.values().iter().map(|value| 1e-3 * value).collect();
        if *key == tested {
            values[0] = 3e38;
        }
        *item = Array::new(item.shape(), values).unwrap();
    }
    write(&lab.path("mel.safetensors"), &frames);
    given_frames(&lab, FRAMES);
    let outcome = lab.emorun(&["given.yaml", "--run-label", "two"]);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    let expected = format!("is that of node `norm`; it is so for {tested};");
    assert!(
        outcome
            .stderr
            .contains("final evaluation on test: a value is not finite")
            && outcome.stderr.contains(&expected),
        "{}",
        outcome.stderr
    );
    assert_eq!(json(lab.path("runs/tiny/two/run.json"))["status"], "diverged");
}

#[test]
fn embedding_with_weights_beyond_single_precision_ends_with_6() {
    let lab = Lab::new();
    let golden = Path::new(REPOSITORY).join("tests/golden/encoders/hubert_base");
    let mut weights = fs::read(golden.join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    for number in weights[8 + header..].chunks_exact_mut(4) {
        number.copy_from_slice(&3e38f32.to_le_bytes());
    }
    lab.write("huge/model.safetensors", weights);
    lab.write("huge/config.json", fs::read(golden.join("config.json")).unwrap());
    lab.write(
        "huge.yaml",
        "extends: hubert.yaml\nencoders: { hubert: { weights: ./huge, layout: null, train: none, cache: { enabled: false } } }\n",
    );
    let outcome = lab.emorun(&["embed", "huge.yaml", "--node", "hubert", "--out", "x.safetensors"]);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("`hubert` gives numbers that are not finite for "),
        "{}",
        outcome.stderr
    );
    assert!(!lab.path("x.safetensors").exists());
}

#[test]
fn class_weights_that_are_all_zero_are_refused() {
    let lab = Lab::new();
    for loss in ["cross_entropy", "focal"] {
        for (weights, code) in [("[0, 0]", 3), ("[0, 1.0e-60]", 3), ("[1.0e39, 1]", 3), ("[0, 1]", 0)] {
            let set = format!("losses.ce={{ kind: {loss}, input: emotion, class_weights: {{ values: {weights} }} }}");
            let outcome = lab.emorun(&["check", "--structure", "crnn.yaml", "--set", &set]);
            assert_eq!(outcome.code, code, "{loss} {weights}: {}", outcome.stderr);
        }
    }
}

/// `torch` divides by the sum of the items' weights, which is 0 here: nothing is to be learned of such a batch, and
/// nothing is.
#[test]
fn a_batch_of_items_that_count_nothing_is_no_divergence() {
    let lab = Lab::new();
    let outcome = lab.emorun(&[
        "crnn.yaml",
        "--run-label",
        "weighted",
        "--set",
        "training.batch_size=1",
        "--set",
        "training.epochs=1",
        "--set",
        "losses.ce.label_smoothing=0.1",
        "--set",
        "losses.ce.class_weights={ values: [0, 1] }",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}
