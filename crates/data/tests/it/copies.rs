use super::{check, datasets, items, refused, scanned};
use emorun_data::fixtures::{FIXTURE_S, write_manifest, write_ravdess};
use emorun_data::{ErrorClass, ScanLevel, scan};
use serde_json::json;
use std::fs;
use std::path::Path;

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn the_second_copy_nested_in_ravdess_is_counted_once() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1, 2, 3], FIXTURE_S).unwrap();
    let plain = scanned(json!({ "r": { "kind": "ravdess", "root": root.path() } }));
    let copy = tempfile::tempdir().unwrap();
    copy_tree(root.path(), copy.path());
    copy_tree(copy.path(), &root.path().join("audio_speech_actors_01-24"));
    let config = json!({ "r": { "kind": "ravdess", "root": root.path() } });
    for level in [ScanLevel::Metadata, ScanLevel::Deep] {
        let corpus = scan(&datasets(config.clone()), level, None).unwrap();
        assert_eq!((corpus.items.len(), corpus.duplicates.len()), (180, 180));
        assert_eq!(corpus.datasets["r"].duplicates, 180);
        // The copy that is less deep is kept, so keys do not change when a second one appears.
        let keys = |corpus: &emorun_data::Corpus| -> Vec<String> {
            items(corpus).into_iter().map(|item| item.key.to_string()).collect()
        };
        assert_eq!(keys(&corpus), keys(&plain));
    }
}

#[test]
fn a_plain_scan_reads_only_files_that_look_like_copies() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    let file = "03-01-01-01-01-01-01.wav";
    fs::copy(root.path().join("Actor_01").join(file), root.path().join(file)).unwrap();
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path() } }));
    assert_eq!(
        items(&corpus).into_iter().filter(|item| item.content.is_some()).count(),
        1
    );
    assert_eq!(corpus.duplicates[0].kept, format!("r/{file}"));
}

#[test]
fn files_of_one_name_and_size_with_other_content_are_both_kept_with_a_warning() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    let folder = root.path().join("Actor_01");
    fs::copy(
        folder.join("03-01-05-01-01-01-01.wav"),
        root.path().join("03-01-01-01-01-01-01.wav"),
    )
    .unwrap();
    let corpus = scanned(json!({ "r": { "kind": "ravdess", "root": root.path() } }));
    assert_eq!((corpus.items.len(), corpus.duplicates.len()), (61, 0));
    assert!(
        corpus.warnings[0].contains("1 files have the name of another one"),
        "{:?}",
        corpus.warnings
    );
}

#[test]
fn one_recording_with_two_labels_is_an_error_that_names_both() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(root.path(), &[1], FIXTURE_S).unwrap();
    let folder = root.path().join("Actor_01");
    fs::copy(
        folder.join("03-01-05-01-01-01-01.wav"),
        folder.join("03-01-01-01-01-01-01.wav"),
    )
    .unwrap();
    let config = json!({ "r": { "kind": "ravdess", "root": root.path() } });
    let errors = scan(&datasets(config), ScanLevel::Deep, None).unwrap_err();
    check(&errors, ErrorClass::Data, &["emotion is `angry` and not `neutral`"]);
    let message = errors[0].to_string();
    assert!(message.contains("03-01-05-01-01-01-01.wav") && message.contains("03-01-01-01-01-01-01.wav"));
}

#[test]
fn two_datasets_may_share_a_recording_but_not_disagree_on_it() {
    let root = tempfile::tempdir().unwrap();
    let lines = ["path,speaker,emotion", "a.wav,1,happy", "b.wav,2,sad"];
    write_manifest(&root.path().join("one"), &lines, FIXTURE_S).unwrap();
    copy_tree(&root.path().join("one"), &root.path().join("two"));
    let config = |name: &str| json!({ "kind": "manifest", "path": root.path().join(name).join("manifest.csv") });
    let both = json!({ "one": config("one"), "two": config("two") });
    let corpus = scanned(both.clone());
    assert_eq!(
        (corpus.items.len(), corpus.duplicates.len(), corpus.warnings.len()),
        (4, 0, 2)
    );
    fs::write(
        root.path().join("two/manifest.csv"),
        "path,speaker,emotion\na.wav,1,angry\n",
    )
    .unwrap();
    refused(
        both,
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["emotion is `angry` and not `happy`"],
    );
}
