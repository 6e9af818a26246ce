//! Folders and files on disk: what belongs to a checkpoint, what is missing, and the hash of the whole.

use crate::{find, golden};
use emorun_weights::{Checkpoint, HubSettings, WeightsError, WeightsSource, locate};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn fill(folder: &Path, files: &[(&str, &str)]) {
    for (name, from) in files {
        let bytes = if from.starts_with('{') || from.is_empty() {
            from.as_bytes().to_vec()
        } else {
            fs::read(golden(from)).unwrap()
        };
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// What a source of files leads to, opened.
fn outcome(folder: &Path) -> Result<Checkpoint, WeightsError> {
    Checkpoint::open(&find(folder)?)
}

#[test]
fn random_needs_no_file() {
    let nothing = locate(&WeightsSource::Random, &HubSettings::from_env(true), &mut |_| ()).unwrap();
    assert_eq!(nothing, None);
}

#[test]
fn the_better_file_of_a_folder_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    fill(
        folder.path(),
        &[("config.json", "{}"), ("pytorch_model.bin", "zip.bin")],
    );
    assert!(find(folder.path()).unwrap().tensors[0].ends_with("pytorch_model.bin"));
    fill(folder.path(), &[("model.safetensors", "mixed.safetensors")]);
    let located = find(folder.path()).unwrap();
    assert!(located.tensors[0].ends_with("model.safetensors"));
    // transformers' order; one of the two may be out of date.
    assert!(
        located.warnings[0].contains("not pytorch_model.bin beside it"),
        "{:?}",
        located.warnings
    );
    assert_eq!(
        (located.preprocessor, located.index, located.revision),
        (None, None, None)
    );
}

#[test]
fn what_is_missing_is_named_with_its_folder_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let message = |error: Result<Checkpoint, WeightsError>| error.unwrap_err().to_string();

    fill(folder.path(), &[("model.safetensors", "mixed.safetensors")]);
    let text = message(outcome(folder.path()));
    assert!(
        text.contains("no config.json in") && text.contains("copy it there"),
        "{text}"
    );
    let text = message(outcome(&folder.path().join("model.safetensors")));
    assert!(text.contains("no config.json in"), "{text}");

    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    fill(folder.path(), &[("config.json", "{}")]);
    let text = message(outcome(folder.path()));
    assert!(
        text.contains("no weights in") && text.contains("model.safetensors"),
        "{text}"
    );

    let text = message(outcome(&folder.path().join("gone")));
    assert!(text.contains("gone\" does not exist"), "{text}");
    let text = message(outcome(&folder.path().join("gone.safetensors")));
    assert!(text.contains("gone.safetensors\" does not exist"), "{text}");
}

#[test]
fn a_configuration_must_be_a_json_object() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &[("model.safetensors", "mixed.safetensors")]);
    for (text, reason) in [
        ("", "EOF"),
        ("[1]", "no JSON object"),
        ("{\"a\": NaN}", "expected value"),
        ("{\"a\": 1", "EOF"),
    ] {
        fs::write(folder.path().join("config.json"), text).unwrap();
        match outcome(folder.path()) {
            Err(WeightsError::Config { path, reason: found }) => {
                assert!(
                    path.ends_with("config.json") && found.contains(reason),
                    "{text}: {found}"
                );
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    fs::write(folder.path().join("config.json"), deep).unwrap();
    assert!(matches!(outcome(folder.path()), Err(WeightsError::Config { .. })));
}

#[test]
fn an_index_that_contradicts_its_parts_is_refused() {
    let index = fs::read_to_string(golden("sharded/model.safetensors.index.json")).unwrap();
    let cases = [
        (index.replace("weight_map", "map"), "no `weight_map`"),
        (
            index.replace("model-00001-of", "model-00009-of"),
            "names model-00009-of-00002.safetensors, which is not there",
        ),
        (
            index.replace("\"scale\"", "\"gone\""),
            "tensor `gone` is in model-00001-of-00002.safetensors, where it is not",
        ),
        (
            index.replace("\"model-00002-of-00002.safetensors\"", "\"../model.safetensors\""),
            "which is no name of a file of tensors",
        ),
        (
            index.replace("\"model-00002-of-00002.safetensors\"", "7"),
            "which is no name of a file of tensors",
        ),
        (
            index.replace("\"scale\": \"model-00001-of-00002.safetensors\",", ""),
            "does not name the tensor `scale`",
        ),
        (
            index.replace("00002-of-00002.safetensors", "00003-of-00002.safetensors"),
            "is also in",
        ),
    ];
    for (text, reason) in cases {
        let folder = tempfile::tempdir().unwrap();
        fill(
            folder.path(),
            &[
                ("config.json", "{}"),
                (
                    "model-00001-of-00002.safetensors",
                    "sharded/model-00001-of-00002.safetensors",
                ),
                (
                    "model-00002-of-00002.safetensors",
                    "sharded/model-00002-of-00002.safetensors",
                ),
                (
                    "model-00003-of-00002.safetensors",
                    "sharded/model-00001-of-00002.safetensors",
                ),
            ],
        );
        fs::write(folder.path().join("model.safetensors.index.json"), &text).unwrap();
        match outcome(folder.path()) {
            Err(WeightsError::Index { reason: found, .. }) => assert!(found.contains(reason), "{reason}: {found}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
}

/// Gives every file a time at which nobody still writes it.
fn settle(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
    }
}

#[test]
fn the_hash_depends_on_every_file_and_not_on_the_place() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = [
        ("config.json", "{}"),
        ("preprocessor_config.json", "{}"),
        ("model.safetensors", "mixed.safetensors"),
    ];
    fill(one.path(), &files);
    fill(two.path(), &files);
    let hash = |folder: &Path| outcome(folder).unwrap().content(None).unwrap().all;
    let first = hash(one.path());
    assert_eq!(first, hash(two.path()));
    let mut seen = vec![first];
    for (file, text) in [("config.json", "{ }"), ("preprocessor_config.json", "{ }")] {
        fs::write(two.path().join(file), text).unwrap();
        seen.push(hash(two.path()));
    }
    let mut bytes = fs::read(two.path().join("model.safetensors")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(two.path().join("model.safetensors"), bytes).unwrap();
    seen.push(hash(two.path()));
    fs::remove_file(two.path().join("preprocessor_config.json")).unwrap();
    seen.push(hash(two.path()));
    let all = seen.len();
    seen.sort_by_key(|hash| *hash.as_bytes());
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn a_remembered_hash_is_used_until_the_file_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let memory = elsewhere.path().join("below/hashes.json");
    fill(
        folder.path(),
        &[("config.json", "{\"a\":1}"), ("model.safetensors", "mixed.safetensors")],
    );
    settle(folder.path());
    let hash = || outcome(folder.path()).unwrap().content(Some(&memory)).unwrap();
    let first = hash();
    let text = fs::read_to_string(&memory).unwrap();
    assert!(
        text.contains("config.json") && text.contains("model.safetensors"),
        "{text}"
    );

    // The memory is believed: with another hash in it, another hash comes out.
    let at = text.find("\"blake3\":\"").unwrap() + 10;
    let digit = if &text[at..=at] == "0" { "1" } else { "0" };
    fs::write(&memory, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    assert_ne!(hash(), first);

    // A changed time makes the files read again; a damaged memory does too.
    for path in [
        folder.path().join("config.json"),
        folder.path().join("model.safetensors"),
    ] {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1800))
            .unwrap();
    }
    assert_eq!(hash(), first);
    fs::write(&memory, "{").unwrap();
    assert_eq!(hash(), first);

    // Other bytes of the same size with the time of the old ones, as `rsync -t` leaves them, are other weights.
    let path = folder.path().join("config.json");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "{\"a\":2}").unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    assert_ne!(hash(), first);
}

#[test]
fn a_file_that_was_just_written_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("hashes.json");
    fill(
        folder.path(),
        &[("config.json", "{}"), ("model.safetensors", "mixed.safetensors")],
    );
    let later = SystemTime::now() + Duration::from_secs(60);
    for name in ["config.json", "model.safetensors"] {
        File::options()
            .write(true)
            .open(folder.path().join(name))
            .unwrap()
            .set_modified(later)
            .unwrap();
    }
    outcome(folder.path()).unwrap().content(Some(&memory)).unwrap();
    assert!(!memory.exists());
}
