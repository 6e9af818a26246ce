//! Objectives beside classes, as whole runs.

use std::fs;
use std::io::Cursor;

use crate::support::{Lab, assert_same_run, json, kill, metrics};

/// A second of a tone, as a WAV file.
fn tone(radians: f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for at in 0..8000 {
        writer
            .write_sample((8000.0 * (f64::from(at) * radians).sin()) as i16)
            .unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// Six speakers with four tones each, whose pitch is their arousal; some lack a label.
pub fn lab() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion,valence,arousal\n".to_owned();
    for speaker in 0..6 {
        for at in 0..4 {
            let name = format!("{speaker}_{at}.wav");
            lab.write(
                &format!("corpus/{name}"),
                tone(0.1 + 0.2 * f64::from(at) + 0.01 * f64::from(speaker)),
            );
            let emotion = if at < 2 { "neutral" } else { "angry" };
            let valence = if at == 3 {
                String::new()
            } else {
                format!("{}.5", 4 - at)
            };
            table.push_str(&format!("{name},s{speaker},{emotion},{valence},{}\n", 1 + at));
        }
    }
    lab.write("corpus/all.csv", table);
    lab.write(
        "numbers.yaml",
        "\
extends: crnn.yaml
name: numbers
datasets:
  synthetic: null
  tones: { kind: manifest, path: corpus/all.csv, values: [valence, arousal] }
blocks:
  pooled: { kind: pool, input: crnn, how: statistics }
heads:
  numbers: { kind: mlp_regressor, input: pooled, target: data.dimensions, hidden: [8], dropout: 0.0 }
losses:
  concordance: { kind: ccc, input: numbers }
  error: { kind: mse, input: numbers, weight: 0.1, ramp: { end: 0.5 } }
evaluation: { best: numbers.ccc }
",
    );
    lab
}

#[test]
fn a_run_predicts_numbers_beside_classes_and_goes_on_after_a_kill() {
    let lab = lab();
    let outcome = lab.emorun(&["numbers.yaml", "--run-label", "whole"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in ["CCC", "Pearson", "test valence", "test arousal", "UAR"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let whole = lab.path("runs/numbers/whole");
    let summary = json(whole.join("summary.json"));
    let found = &summary["splits"]["train"]["regressions"]["numbers"];
    assert!(found["ccc"].as_f64().unwrap() > 0.0, "{found}");
    // A quarter of the items lacks its valence.
    let counts = ["valence", "arousal"].map(|name| found["numbers"][name]["agreement"]["n"].as_u64().unwrap());
    assert_eq!(4 * counts[0], 3 * counts[1], "{found}");
    let csv = fs::read_to_string(whole.join("report/predictions.numbers.csv")).unwrap();
    let header = "path,dataset,split,speaker,true_valence,true_arousal,predicted_valence,predicted_arousal";
    assert_eq!(csv.lines().next(), Some(header));
    assert_eq!(csv.lines().count(), 25);
    let validation: Vec<_> = metrics(&whole)
        .into_iter()
        .filter(|line| line["split"] == "validation")
        .collect();
    assert!(validation.iter().all(|line| line["numbers.valence.ccc"].is_number()));
    let best = validation
        .iter()
        .max_by(|one, other| {
            let ccc = |line: &serde_json::Value| line["numbers.ccc"].as_f64().unwrap();
            ccc(one).total_cmp(&ccc(other))
        })
        .unwrap();
    assert_eq!(summary["best"]["value"], best["numbers.ccc"]);
    let arguments = ["numbers.yaml", "--run-label", "cut"];
    kill(lab.start_until(&arguments, &lab.path("runs/numbers/cut/metrics.jsonl"), 7));
    assert_eq!(lab.emorun(&["resume", "runs/numbers/cut"]).code, 0);
    assert_same_run(&lab.path("runs/numbers/cut"), &whole);
}

#[test]
fn folds_give_numbers_pooled() {
    let lab = lab();
    let split = "split={ kind: folds, folds: { k: 3 } }";
    let outcome = lab.emorun(&["numbers.yaml", "--set", split, "--set", "evaluation.best=null"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let summary = json(lab.path(outcome.last_line()).join("summary.json"));
    assert_eq!(
        summary["pooled"]["regressions"]["numbers"]["numbers"]["arousal"]["agreement"]["n"],
        24
    );
    assert!(
        summary["mean"]["regressions"]["numbers"]["ccc"].is_number(),
        "{summary}"
    );
    assert!(
        outcome.stdout.contains("numbers on test (3 members)"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn an_adversary_hears_which_corpus_an_item_is_of() {
    let lab = lab();
    lab.write(
        "two.yaml",
        "\
extends: crnn.yaml
name: two
datasets:
  tones: { kind: manifest, path: corpus/all.csv }
blocks:
  pooled: { kind: pool, input: crnn }
  hidden: { kind: gradient_reversal, input: pooled }
heads:
  corpus: { kind: mlp_classifier, input: hidden, target: data.corpus, hidden: [4] }
losses:
  adversary: { kind: cross_entropy, input: corpus }
  triplet: { kind: triplet, input: pooled, target: data.emotion }
",
    );
    let outcome = lab.emorun(&["two.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let summary = json(lab.path(outcome.last_line()).join("summary.json"));
    let confusion = &summary["splits"]["train"]["heads"]["corpus"]["confusion"];
    assert_eq!(
        confusion["labels"],
        serde_json::json!(["synthetic", "tones"]),
        "{confusion}"
    );
}
