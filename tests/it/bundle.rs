//! `emorun bundle`: a model as one file, which says the same as the run that it was made of.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::features::tone;
use crate::origin::refused;
use crate::support::{Lab, REPOSITORY};

/// The small experiment on a frozen published checkpoint, in the folder `published`.
const PUBLISHED: &str = "\
extends: hubert.yaml
augmentations: { gain: null, noise: null }
encoders: { hubert: { weights: published, layout: null, train: none, cache: { views: null } } }
training: { epochs: 1 }
";

/// Folds of the small experiment.
const FOLDS: &str = "\
extends: crnn.yaml
split: { kind: folds, folds: { k: 3 } }
training: { epochs: 1 }
evaluation: { best: null, weights: last }
";

fn put_checkpoint(lab: &Lab) {
    let golden = Path::new(REPOSITORY).join("tests/golden/encoders/hubert_base");
    for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
        lab.write(&format!("published/{name}"), fs::read(golden.join(name)).unwrap());
    }
}

/// Probabilities of the recordings in `audio`, by file and class.
fn said(lab: &Lab, model: &str) -> Vec<(String, Value)> {
    let outcome = lab.emorun(&["predict", model, "audio", "--format", "jsonl"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: Value| {
            let file = line["file"].as_str().unwrap().to_owned();
            (file, line["heads"]["emotion"]["probabilities"].clone())
        })
        .collect()
}

fn lab() -> Lab {
    let lab = Lab::new();
    for (name, pitch) in [("low", 300.0), ("high", 900.0)] {
        lab.write(&format!("audio/{name}.wav"), tone(16_000, pitch));
    }
    lab
}

#[test]
fn a_bundle_needs_neither_its_run_nor_its_pretrained_checkpoint() {
    let lab = lab();
    put_checkpoint(&lab);
    lab.write("published.yaml", PUBLISHED);
    lab.run(&["published.yaml", "--run-label", "one"]);
    let run = "runs/tiny/one";
    let expected = said(&lab, run);
    assert_eq!(expected.len(), 2);
    for weights in ["embedded", "by_hash"] {
        let file = format!("{weights}.emorun");
        let outcome = lab.emorun(&["bundle", run, "--out", &file, "--weights", weights]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(said(&lab, &file), expected);
    }
    let again = lab.emorun(&["bundle", run, "--out", "embedded.emorun"]);
    refused(&again, 5, &["embedded.emorun exists", "--force"]);
    // The same run gives the same bytes.
    let before = fs::read(lab.path("embedded.emorun")).unwrap();
    let again = lab.emorun(&["bundle", run, "--out", "embedded.emorun", "--force"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(fs::read(lab.path("embedded.emorun")).unwrap(), before);

    for gone in ["runs", "published", "cache"] {
        fs::remove_dir_all(lab.path(gone)).unwrap();
    }
    assert_eq!(said(&lab, "embedded.emorun"), expected);
    let lacking = lab.emorun(&["predict", "by_hash.emorun", "audio"]);
    assert_eq!(lacking.code, 4, "{}", lacking.stderr);
    assert!(lacking.stderr.contains("published"), "{}", lacking.stderr);
    // Others in its place are not taken.
    put_checkpoint(&lab);
    let model = lab.path("published/model.safetensors");
    let mut bytes = fs::read(&model).unwrap();
    let at = bytes.len() - 2;
    bytes[at] ^= 0x10;
    fs::write(&model, bytes).unwrap();
    refused(
        &lab.emorun(&["predict", "by_hash.emorun", "audio"]),
        5,
        &["pretrained weights of `hubert`"],
    );
    assert_eq!(said(&lab, "embedded.emorun"), expected);
}

#[test]
fn members_in_a_bundle_answer_with_their_mean() {
    let lab = lab();
    lab.write("folds.yaml", FOLDS);
    lab.run(&["folds.yaml", "--run-label", "all"]);
    let run = "runs/tiny/all";
    let members: Vec<_> = (1..=3).map(|fold| said(&lab, &format!("{run}/fold-{fold}"))).collect();
    let outcome = lab.emorun(&["bundle", run, "--out", "all.emorun"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("3 models"), "{}", outcome.stdout);
    let together = said(&lab, "all.emorun");
    assert_eq!(together, said(&lab, run), "a run with members is used as its bundle is");
    for (at, (file, found)) in together.iter().enumerate() {
        for class in ["neutral", "angry"] {
            let of = |said: &Value| said[class].as_f64().unwrap();
            let mean = members.iter().map(|member| of(&member[at].1)).sum::<f64>() / 3.0;
            assert!((of(found) - mean).abs() < 1e-6, "{file} {class}");
        }
    }
}

/// A bundle with some of its entries as others.
fn changed(bundle: &[u8], change: impl Fn(&str, Vec<u8>) -> Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut archive = ZipArchive::new(std::io::Cursor::new(bundle)).unwrap();
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        for (name, bytes) in change(&name, bytes) {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(&bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// A bundle whose list is as a function makes it.
fn listed(bundle: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    changed(bundle, |name, bytes| {
        let bytes = match name {
            "bundle.json" => {
                let mut list = serde_json::from_slice(&bytes).unwrap();
                change(&mut list);
                serde_json::to_vec(&list).unwrap()
            }
            _ => bytes,
        };
        vec![(name.to_owned(), bytes)]
    })
}

#[test]
fn a_bundle_that_is_not_as_it_was_written_is_refused() {
    let lab = lab();
    lab.run(&["crnn.yaml", "--run-label", "one", "--set", "training.epochs=1"]);
    lab.write("good.partial", "somebody's own");
    let before = fs::read_dir(lab.path("")).unwrap().count();
    let outcome = lab.emorun(&["bundle", "runs/tiny/one", "--out", "good.emorun"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fs::read(lab.path("good.partial")).unwrap(), b"somebody's own");
    assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), before + 1);
    let good = fs::read(lab.path("good.emorun")).unwrap();
    let weights = |name: &str| name.ends_with("weights.safetensors");
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("cut", good[..good.len() / 2].to_vec(), "no bundle, or one cut short"),
        ("empty", Vec::new(), "no bundle, or one cut short"),
        (
            "newer",
            listed(&good, |list| {
                list["format"] = json!(2);
                list["emorun"] = json!("9.0.0");
                list["unheard"] = json!(true);
            }),
            "use a newer emorun",
        ),
        (
            "other_list",
            listed(&good, |list| list["files"] = json!([])),
            "cannot be read",
        ),
        (
            "elsewhere",
            listed(&good, |list| {
                list["files"]["../../outside"] = json!({ "bytes": 1, "blake3": "00" })
            }),
            "would lie elsewhere",
        ),
        (
            "outside",
            listed(&good, |list| list["members"][0]["dir"] = json!("/etc")),
            "would lie elsewhere",
        ),
        (
            "altered",
            changed(&good, |name, mut bytes| {
                if weights(name) {
                    *bytes.last_mut().unwrap() ^= 1;
                }
                vec![(name.to_owned(), bytes)]
            }),
            "is not what was written",
        ),
        (
            "lacking",
            changed(&good, |name, bytes| match weights(name) {
                true => Vec::new(),
                false => vec![(name.to_owned(), bytes)],
            }),
            "cannot be read",
        ),
    ];
    for (name, bytes, part) in cases {
        let file = format!("{name}.emorun");
        lab.write(&file, bytes);
        let outcome = lab.emorun(&["predict", &file, "audio"]);
        refused(&outcome, 4, &[&file, part]);
    }
    assert!(!lab.path("outside").exists() && !lab.path("cache/outside").exists());
    // What lies in the cache is compared each time.
    let expected = said(&lab, "good.emorun");
    let unpacked = fs::read_dir(lab.path("cache/emorun/bundles")).unwrap();
    let unpacked: Vec<_> = unpacked.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(
        unpacked.len(),
        1,
        "nothing is left of those that were refused: {unpacked:?}"
    );
    fs::write(unpacked[0].join("members/0/resolved.yaml"), "name: other\n").unwrap();
    assert_eq!(said(&lab, "good.emorun"), expected);
}

#[test]
fn a_run_that_has_not_come_to_its_end_makes_no_bundle() {
    let lab = lab();
    lab.write("folds.yaml", FOLDS);
    let run = lab.run(&["folds.yaml", "--run-label", "all"]);
    let record = run.join("fold-2/run.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"completed\"", "\"interrupted\"")).unwrap();
    let outcome = lab.emorun(&["bundle", "runs/tiny/all", "--out", "all.emorun"]);
    refused(&outcome, 5, &["fold-2 is interrupted", "emorun resume runs/tiny/all"]);
    assert!(!lab.path("all.emorun").exists());
}
