//! Runs whose files were tampered with.

use std::fs;
use std::path::{Path, PathBuf};

use emorun_catalogue::{CatalogueError, Verdict, bundle, verify};
use serde_json::{Value, json};

use crate::comparing::predictions;
use crate::made::Made;

/// A run whose files bear each other out.
fn honest(root: &Path) -> PathBuf {
    let made = Made::new("a/run", 0.9);
    let dir = made.write(root);
    // 14 of 16 right, one wrong of each class.
    let confusion = json!({ "labels": ["neutral", "angry"], "counts": [[7, 1], [1, 7]] });
    let result = json!({ "n": 16, "heads": { "emotion": { "uar": 0.875, "wa": 0.875, "confusion": confusion } } });
    let summary = json!({ "status": "completed", "splits": { "test": result }, "seconds": { "train": 1.0 } });
    fs::write(dir.join("summary.json"), summary.to_string()).unwrap();
    let mut record = made.record();
    let speakers = json!({ "d/00": 4, "d/01": 4, "d/02": 4, "d/03": 4 });
    record["certificate"] = json!({ "splits": { "test": { "speakers": speakers } } });
    record["resolved"] = json!({ "name": "a", "training": { "lr": 0.001, "betas": [0.9, 1.0] } });
    fs::write(dir.join("run.json"), record.to_string()).unwrap();
    fs::write(
        dir.join("resolved.yaml"),
        "name: a\ntraining:\n  lr: 1.0e-3\n  betas: [0.9, 1.0]\n",
    )
    .unwrap();
    fs::create_dir_all(dir.join("report")).unwrap();
    fs::write(dir.join("report/predictions.emotion.csv"), predictions("x", 0, &[0, 1])).unwrap();
    let step = dir.join("checkpoints/step-3");
    fs::create_dir_all(&step).unwrap();
    fs::write(step.join("weights.safetensors"), b"abc").unwrap();
    // sha256sum of `abc`, FIPS 180-2.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let manifest = json!({ "format": 1, "run": record["id"], "sha256": { "weights.safetensors": digest } });
    fs::write(step.join("manifest.json"), manifest.to_string()).unwrap();
    dir
}

/// What is contradicted.
fn contradicted(dir: &Path) -> Vec<String> {
    let claims = verify(dir)
        .into_iter()
        .filter(|claim| claim.verdict == Verdict::Contradicted);
    claims.map(|claim| format!("{}: {}", claim.what, claim.why)).collect()
}

#[test]
fn an_honest_run_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let claims = verify(&honest(folder.path()));
    assert!(
        claims.iter().all(|claim| claim.verdict == Verdict::Proven),
        "{claims:#?}"
    );
    assert_eq!(claims.len(), 5, "{claims:#?}");
}

#[test]
fn what_is_tampered_with_is_found() {
    type Change = fn(&str) -> String;
    let cases: [(&str, Change, &str); 11] = [
        (
            "report/predictions.emotion.csv",
            |text| text.replacen("0.25,0.75", "0.75,0.25", 1),
            "is predicted, but",
        ),
        (
            "report/predictions.emotion.csv",
            |text| text.replacen("angry,0.25,0.75", "neutral,0.75,0.25", 1),
            "UAR is",
        ),
        (
            "report/predictions.emotion.csv",
            |text| text.replacen("0.75", "0.95", 1),
            "its probabilities are none",
        ),
        (
            "report/predictions.emotion.csv",
            |text| text.lines().take(16).map(|line| format!("{line}\n")).collect(),
            "there are 15 predictions, and the summary says 16",
        ),
        (
            "report/predictions.emotion.csv",
            |text| text.replace("d/03", "d/04"),
            "d/04 has 4 items in test",
        ),
        (
            "summary.json",
            |text| text.replace("\"uar\":0.875", "\"uar\":0.885"),
            "and the summary says 88.50 %",
        ),
        (
            "summary.json",
            |text| text.replace("[[7,1],[1,7]]", "[[8,0],[1,7]]"),
            "confusion matrix is another one",
        ),
        (
            "run.json",
            |text| text.replace("\"d/02\":4", "\"d/02\":3"),
            "d/02 has 4 items in test, and the certificate says 3",
        ),
        (
            "run.json",
            |text| text.replace("\"status\":\"completed\"", "\"status\":\"failed\""),
            "run.json says failed",
        ),
        (
            "resolved.yaml",
            |text| text.replace("1.0e-3", "2.0e-3"),
            "differ in training.lr",
        ),
        (
            "checkpoints/step-3/weights.safetensors",
            |_| "abd".to_owned(),
            "the SHA-256 of weights.safetensors",
        ),
    ];
    for (name, change, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let dir = honest(folder.path());
        let before = fs::read_to_string(dir.join(name)).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{name}: {expected}");
        fs::write(dir.join(name), after).unwrap();
        let found = contradicted(&dir);
        assert!(
            found.iter().any(|claim| claim.contains(expected)),
            "{name}: {expected}\n{found:#?}"
        );
    }
}

#[test]
fn a_certificate_with_a_speaker_on_two_sides_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = honest(folder.path());
    let path = dir.join("report/predictions.emotion.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("test,d/00", "train,d/00", 1)).unwrap();
    let found = contradicted(&dir);
    assert!(
        found.iter().any(|claim| claim.contains("d/00 is in test and train")),
        "{found:#?}"
    );
}

#[test]
fn what_is_missing_is_not_provable_or_contradicted_but_never_proven() {
    let folder = tempfile::tempdir().unwrap();
    let dir = honest(folder.path());
    fs::remove_dir_all(dir.join("report")).unwrap();
    fs::remove_dir_all(dir.join("checkpoints")).unwrap();
    fs::remove_file(dir.join("resolved.yaml")).unwrap();
    let claims = verify(&dir);
    let missing = claims
        .iter()
        .filter(|claim| claim.verdict == Verdict::NotProvable)
        .count();
    assert_eq!((missing, claims.len()), (3, 4), "{claims:#?}");
    let mut record: Value = serde_json::from_slice(&fs::read(dir.join("run.json")).unwrap()).unwrap();
    record["members"] = json!(["../elsewhere", "gone"]);
    fs::write(dir.join("run.json"), record.to_string()).unwrap();
    let found = contradicted(&dir);
    assert_eq!(found.len(), 2, "{found:#?}");
    fs::write(dir.join("summary.json"), "{").unwrap();
    assert!(contradicted(&dir).iter().any(|claim| claim.contains("summary")));
    let outside = dir.join("checkpoints/step-1");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("manifest.json"), r#"{"sha256": {"../../run.json": "00"}}"#).unwrap();
    assert!(
        contradicted(&dir)
            .iter()
            .any(|claim| claim.contains("no file of its own"))
    );
}

#[test]
fn an_archive_for_a_reviewer_has_no_audio_and_is_verified_as_the_run_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = honest(folder.path());
    fs::write(dir.join("report/a.WAV"), b"RIFF").unwrap();
    fs::write(
        dir.join("report/index.html"),
        "<audio src='data:audio/wav;base64,AAAA'>",
    )
    .unwrap();
    fs::write(dir.join("report/plain.html"), "<p>").unwrap();
    fs::write(dir.join("checkpoints/step-3/optimizer.safetensors"), b"abc").unwrap();
    let (one, two) = (folder.path().join("one.tar.gz"), folder.path().join("two.tar.gz"));
    let (number, left_out) = bundle(&dir, &one).unwrap();
    bundle(&dir, &two).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    assert!(matches!(bundle(&dir, &one), Err(CatalogueError::Exists(_))));
    let mut names: Vec<String> = left_out.iter().map(|path| path.display().to_string()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "checkpoints/step-3/optimizer.safetensors",
            "report/a.WAV",
            "report/index.html"
        ]
    );
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = std::process::Command::new("tar")
        .arg("-xzf")
        .arg(&one)
        .arg("-C")
        .arg(&unpacked)
        .status()
        .unwrap();
    assert!(tar.success());
    let claims = verify(&unpacked.join("run"));
    assert!(
        claims.iter().all(|claim| claim.verdict == Verdict::Proven),
        "{claims:#?}"
    );
    assert_eq!(number, 7);
}
