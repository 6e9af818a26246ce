//! Run directories as emorun leaves them, made without training.

use std::fs;
use std::path::Path;

use emorun_catalogue::{Catalogue, notes};
use emorun_files::Files;
use serde_json::{Value, json};

/// Epochs of the long run.
pub const EPOCHS: u64 = 700;

/// A folder with a run of many lines, `study/long`, and one of two members, `study/folds`.
pub fn runs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("study/long");
    write(&long, "11", &[], &summary());
    let mut journal = String::new();
    for epoch in 1..=EPOCHS {
        let at = 1_767_261_600.5 + epoch as f64;
        for split in ["train_epoch", "validation"] {
            let line = json!({
                "step": 6 * epoch, "epoch": epoch, "split": split, "loss": 1.0 / epoch as f64,
                "emotion.uar": if epoch == 3 { Value::Null } else { json!(0.5) }, "wall": { "seconds": 1.0, "time": at },
            });
            journal += &format!("{line}\n");
        }
    }
    journal += "{\"step\": 4200, \"epo";
    fs::write(long.join("metrics.jsonl"), journal).unwrap();
    fs::create_dir_all(long.join("report/misclassified/emotion")).unwrap();
    for (name, text) in [
        ("experiment.yaml", "name: study\n"),
        ("report/report.txt", "ä\n"),
        ("report/confusion.an_gry.test.svg", "<svg/>"),
        ("report/index.html", "<audio>"),
        ("report/misclassified/emotion/a b.wav", "RIFF"),
        ("report/a b%c.csv", "x\n"),
    ] {
        fs::write(long.join(name), text).unwrap();
    }
    note(&long, &["good"], "by hand");
    let parent = folder.path().join("study/folds");
    write(
        &parent,
        "20",
        &["fold-1", "fold-2"],
        &json!({ "status": "completed", "pooled": split() }),
    );
    for (at, member) in ["fold-1", "fold-2"].into_iter().enumerate() {
        write(&parent.join(member), &format!("2{}", at + 1), &[], &summary());
    }
    folder
}

/// Tags and a note of a run, in the place of those before.
pub fn note(run: &Path, tags: &[&str], text: &str) {
    notes::change(run, &Files::default(), |notes| {
        notes.tags.clear();
        tags.iter().for_each(|tag| notes.add_tag(tag));
        text.clone_into(&mut notes.note);
    })
    .unwrap();
}

pub fn catalogue(folder: &Path) -> Catalogue {
    Catalogue::read(folder).unwrap()
}

fn split() -> Value {
    json!({ "n": 8, "loss": 0.5, "heads": { "emotion": { "uar": 0.625, "wa": null } } })
}

fn summary() -> Value {
    json!({ "status": "completed", "splits": { "test": split() }, "seconds": { "train": 12.5 } })
}

fn write(dir: &Path, id: &str, members: &[&str], summary: &Value) {
    fs::create_dir_all(dir).unwrap();
    let settings: serde_json::Map<String, Value> = (0..150).map(|at| (format!("s{at}"), json!(at))).collect();
    let record = json!({
        "status": "completed", "id": id, "name": "study", "seed": 1, "members": members, "config_hash": "1f4e",
        "resolved": {
            "name": "study", "description": "long ".repeat(2000), "heads": { "an/gry <b>": 1, "an_gry _b_": 2 }, "many": settings,
        },
        "versions": { "emorun": "0.1.0" }, "git": { "commit": "0123", "diff": "" }, "device": "cpu",
        "started": "2026-01-01T10:00:00Z", "ended": "2026-01-01T11:00:00Z",
    });
    fs::write(dir.join("run.json"), record.to_string()).unwrap();
    fs::write(dir.join("summary.json"), summary.to_string()).unwrap();
}
