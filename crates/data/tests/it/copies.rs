use super::{check, datasets, items, refused, scanned};
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{DatasetConfig, ErrorClass, ScanLevel, scan, verify};
use serde_json::{Value, json};
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

/// Makes one file the copy of another.
fn duplicate(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

#[test]
fn cremad_as_published_is_read_without_its_recordings_of_two_emotions_unless_the_file_says_otherwise() {
    let root = tempfile::tempdir().unwrap();
    write_cremad(root.path(), &[1006, 1013], FIXTURE_S).unwrap();
    let file = |stem: &str| root.path().join(format!("AudioWAV/{stem}.wav"));
    duplicate(&file("1006_TIE_HAP_XX"), &file("1006_TIE_NEU_XX"));
    duplicate(&file("1013_WSI_DIS_XX"), &file("1013_WSI_SAD_XX"));
    let config = |on_copies: Value| json!({ "c": { "kind": "cremad", "root": root.path(), "on_copies": on_copies } });
    let stems =
        |corpus: &emorun_data::Corpus, part: &str| items(corpus).iter().filter(|item| item.key.contains(part)).count();
    for level in [ScanLevel::Metadata, ScanLevel::Deep] {
        let corpus = scan(&datasets(config(json!({}))), level, None).unwrap();
        assert_eq!((corpus.items.len(), corpus.duplicates.len()), (160, 0));
        assert_eq!((stems(&corpus, "1006_TIE_"), stems(&corpus, "1013_WSI_")), (4, 4));
        let remark = &corpus.warnings[0];
        assert!(
            remark
                .starts_with("dataset `c`: 2 pairs of files are one recording with different labels; neither is used")
                && remark.contains("\"AudioWAV/1006_TIE_HAP_XX.wav\" and \"AudioWAV/1006_TIE_NEU_XX.wav\""),
            "{remark}"
        );
        let kept = scan(&datasets(config(json!({ "other_labels": "keep" }))), level, None).unwrap();
        assert_eq!(kept.items.len(), 164);
        assert!(
            kept.warnings[0].contains("both are used, on one side"),
            "{:?}",
            kept.warnings
        );
        refused(
            config(json!({ "other_labels": "error" })),
            level,
            ErrorClass::Data,
            &[
                "its emotion is `neutral` and not `happy`",
                "its emotion is `sad` and not `disgust`",
            ],
        );
    }
    let report = verify("cremad", &DatasetConfig::whole("cremad", root.path()).unwrap(), false).unwrap();
    assert_eq!(
        (report.contradictions.len(), report.published.len(), report.found),
        (0, 2, 164)
    );
    // A copy under another pair of names is none of these.
    duplicate(&file("1006_DFA_HAP_XX"), &file("1006_DFA_NEU_XX"));
    refused(
        config(json!({})),
        ScanLevel::Deep,
        ErrorClass::Data,
        &["\"AudioWAV/1006_DFA_NEU_XX.wav\" is the same audio as \"AudioWAV/1006_DFA_HAP_XX.wav\""],
    );
}

#[test]
fn the_recording_that_ravdess_holds_twice_counts_twice_on_one_side_and_is_complete() {
    let root = tempfile::tempdir().unwrap();
    let actors: Vec<u32> = (1..=24).collect();
    write_ravdess(root.path(), &actors, 0.06).unwrap();
    let file = |repetition: u32| {
        root.path()
            .join(format!("Actor_07/03-01-03-01-02-{repetition:02}-07.wav"))
    };
    duplicate(&file(1), &file(2));
    let report = verify("ravdess", &DatasetConfig::whole("ravdess", root.path()).unwrap(), true).unwrap();
    assert!(report.complete, "{}", report.to_text());
    assert_eq!(
        (report.found, report.published.len(), report.contradictions.len()),
        (1440, 1, 0)
    );
    let config = |on_copies: Value| json!({ "r": { "kind": "ravdess", "root": root.path(), "on_copies": on_copies } });
    let corpus = scanned(config(json!({})));
    assert_eq!((corpus.items.len(), corpus.duplicates.len()), (1440, 0));
    assert!(
        corpus.warnings[0].starts_with("dataset `r`: 1 pair of files are one recording under two names; both are used"),
        "{:?}",
        corpus.warnings
    );
    let once = scanned(config(json!({ "same_labels": "once" })));
    assert_eq!((once.items.len(), once.duplicates.len()), (1439, 1));
}

#[test]
fn a_table_can_say_what_becomes_of_its_own_copies() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "path,speaker,emotion",
        "a.wav,1,happy",
        "b.wav,1,sad",
        "c.wav,2,sad",
        "d.wav,2,happy",
    ];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    duplicate(&root.path().join("a.wav"), &root.path().join("b.wav"));
    duplicate(&root.path().join("c.wav"), &root.path().join("e.wav"));
    fs::write(root.path().join("manifest.csv"), lines.join("\n") + "\ne.wav,2,sad\n").unwrap();
    let deep = |on_copies: Value| {
        let config =
            json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv"), "on_copies": on_copies } });
        scan(&datasets(config), ScanLevel::Deep, None)
    };
    let keys = |on_copies: Value| -> Vec<String> {
        items(&deep(on_copies).unwrap())
            .iter()
            .map(|item| item.key.to_string())
            .collect()
    };
    let error = &deep(json!({})).unwrap_err()[0];
    assert!(
        error.help().unwrap().contains("on_copies: { other_labels: drop }"),
        "{:?}",
        error.help()
    );
    assert_eq!(keys(json!({ "other_labels": "drop" })), ["m/c.wav", "m/d.wav"]);
    assert_eq!(
        keys(json!({ "other_labels": "keep", "same_labels": "keep" })),
        ["m/a.wav", "m/b.wav", "m/c.wav", "m/d.wav", "m/e.wav"]
    );
}

#[cfg(unix)]
#[test]
fn one_file_by_several_paths_is_one_recording_without_being_decoded() {
    let root = tempfile::tempdir().unwrap();
    let lines = ["path,speaker,emotion", "a.wav,1,happy", "b.wav,2,sad"];
    write_manifest(&root.path().join("m"), &lines, FIXTURE_S).unwrap();
    let at = |name: &str| root.path().join("m").join(name);
    std::os::unix::fs::symlink(at("a.wav"), at("link.wav")).unwrap();
    fs::hard_link(at("a.wav"), at("hard.wav")).unwrap();
    let config = json!({ "m": { "kind": "manifest", "path": at("manifest.csv") } });
    for path in ["link.wav", "hard.wav", "./../m/a.wav"] {
        let text = lines.join("\n") + &format!("\n{path},3,happy\n");
        fs::write(at("manifest.csv"), text).unwrap();
        refused(
            config.clone(),
            ScanLevel::Metadata,
            ErrorClass::Data,
            &["is the same audio as \"a.wav\", but its speaker is `3` and not `1`"],
        );
    }
}
