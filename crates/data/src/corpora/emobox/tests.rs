//! The real metadata against counts that a script made of it, and metadata that is damaged.

use super::*;
use crate::SplitName;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// EmoBox's folder `data` from the archive beside the project, or `None` with a printed reason.
fn published_metadata() -> Option<(TempDir, PathBuf)> {
    let archive = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/emobox.tar.xz");
    if !archive.is_file() {
        println!("skipped: {} is absent", archive.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("-xJf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status();
    if !unpacked.is_ok_and(|status| status.success()) {
        println!("skipped: `tar` cannot unpack {}", archive.display());
        return None;
    }
    let data = folder.path().join("data");
    Some((folder, data))
}

fn read(folder: &Path, corpus: EmoboxCorpus) -> Metadata {
    Metadata::read("d", folder, corpus).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn speakers(metadata: &Metadata, corpus: EmoboxCorpus) -> Vec<String> {
    let known = Speakers::new(corpus, "d", Path::new("."), metadata).unwrap();
    metadata
        .entries
        .iter()
        .map(|entry| known.facts(entry).speaker)
        .collect()
}

#[test]
fn every_corpus_and_fold_has_the_counts_that_its_files_have() {
    let Some((_folder, data)) = published_metadata() else {
        return;
    };
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/emobox.json")).unwrap();
    let mut folds_read = 0;
    for corpus in EmoboxCorpus::ALL {
        let name = corpus.name();
        let golden = &golden["corpora"][name];
        let metadata = read(&data, corpus);
        let who = speakers(&metadata, corpus);
        let tells = !matches!(corpus.known().voices, Voices::Table);
        match golden["recordings"].as_u64() {
            Some(count) => assert_eq!(
                (metadata.entries.len() as u64, &metadata.missing),
                (count, &Vec::new()),
                "{name}"
            ),
            None => assert_eq!(metadata.missing.first(), Some(&format!("{name}.jsonl"))),
        }
        for fold in &metadata.folds {
            let golden = &golden["folds"][fold.number.to_string()];
            let on = |side| fold.sides.values().filter(|own| **own == side).count() as u64;
            for (side, word) in [
                (SplitName::Train, "train"),
                (SplitName::Validation, "valid"),
                (SplitName::Test, "test"),
            ] {
                assert_eq!(
                    on(side),
                    golden[word].as_u64().unwrap_or(0),
                    "{name}, fold {}, {word}",
                    fold.number
                );
                let is_missing = fold.missing.iter().any(|file| file.contains(&format!("_{word}_")));
                assert_eq!(
                    is_missing,
                    golden[word].is_null() && word != "valid",
                    "{name}, fold {}, {word}",
                    fold.number
                );
            }
            assert_eq!(fold.has_validation, !golden["valid"].is_null());
            if let (Some(shared), true) = (golden["speakers on both sides"].as_u64(), tells) {
                let on = |side| -> BTreeSet<&String> {
                    let places = fold.sides.iter().filter(|(_, own)| **own == side);
                    places.map(|(place, _)| &who[*place]).collect()
                };
                let both = on(SplitName::Train).intersection(&on(SplitName::Test)).count() as u64;
                assert_eq!(both, shared, "{name}, fold {}", fold.number);
            }
            folds_read += 1;
        }
        assert_eq!(
            metadata.folds.len(),
            golden["folds"].as_object().unwrap().len(),
            "{name}"
        );
        if golden["recordings"].is_null() {
            continue;
        }
        let mut classes: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &metadata.entries {
            *classes.entry(metadata.label(&entry.code).0).or_default() += 1;
        }
        let counts = golden["classes"].as_object().unwrap();
        // EMOVO has no map, and its classes are its codes there.
        if corpus == EmoboxCorpus::Emovo {
            assert_eq!(classes.values().copied().collect::<Vec<_>>(), [84; 7]);
            assert!(classes.contains_key("Happy"));
        } else {
            assert_eq!(json!(classes), json!(counts), "{name}");
        }
        if let (Some(each), true) = (golden["recordings of each speaker"].as_array(), tells) {
            let mut tally: BTreeMap<&String, u64> = BTreeMap::new();
            who.iter().for_each(|speaker| *tally.entry(speaker).or_default() += 1);
            let mut tally: Vec<u64> = tally.into_values().collect();
            tally.sort_unstable();
            assert_eq!(json!(tally), json!(each), "{name}");
        }
    }
    assert_eq!(folds_read, 73);
}

#[test]
fn speakers_of_our_own_kinds_bear_the_same_ids_and_iemocap_has_its_ten() {
    let Some((_folder, data)) = published_metadata() else {
        return;
    };
    for (corpus, first, count) in [
        (EmoboxCorpus::Ravdess, "01", 24),
        (EmoboxCorpus::Emodb, "03", 10),
        (EmoboxCorpus::Cremad, "1001", 91),
        (EmoboxCorpus::Esd, "0001", 20),
        (EmoboxCorpus::Iemocap, "Ses01F", 10),
    ] {
        let metadata = read(&data, corpus);
        let all: BTreeSet<String> = speakers(&metadata, corpus).into_iter().collect();
        assert_eq!((all.first().map(String::as_str), all.len()), (Some(first), count));
    }
    // A session is one fold: neither of its speakers is on two sides.
    let metadata = read(&data, EmoboxCorpus::Iemocap);
    let who = speakers(&metadata, EmoboxCorpus::Iemocap);
    for fold in &metadata.folds {
        let tested = fold.sides.iter().filter(|(_, side)| **side == SplitName::Test);
        let tested: BTreeSet<&str> = tested.map(|(place, _)| who[*place].as_str()).collect();
        let number = fold.number;
        assert_eq!(
            tested,
            BTreeSet::from([format!("Ses0{number}F").as_str(), format!("Ses0{number}M").as_str()])
        );
    }
}

#[test]
fn the_balanced_test_sets_are_found_in_the_lists() {
    let Some((_folder, data)) = published_metadata() else {
        return;
    };
    // Without the table of speakers, names of MELD that are in several folders stay in doubt.
    for (corpus, found) in [
        (EmoboxCorpus::Iemocap, 240),
        (EmoboxCorpus::Ravdess, 240),
        (EmoboxCorpus::Savee, 240),
        (EmoboxCorpus::Meld, 225),
    ] {
        let metadata = read(&data, corpus);
        let set = metadata.balanced.as_ref().unwrap();
        assert_eq!(
            (set.entries.len(), set.unknown.len()),
            (found, 240 - found),
            "{}",
            corpus.name()
        );
        let mut classes: BTreeMap<String, usize> = BTreeMap::new();
        for place in &set.entries {
            *classes
                .entry(metadata.label(&metadata.entries[*place].code).0)
                .or_default() += 1;
        }
        assert_eq!(classes.keys().collect::<Vec<_>>(), ["Angry", "Happy", "Neutral", "Sad"]);
        assert!(found < 240 || classes.values().all(|count| *count == 60), "{classes:?}");
    }
}

/// Metadata of SAVEE with these files.
fn savee(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("savee").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const LINE: &str = r#"{"key": "savee-JE-n23", "wav": "downloads/savee/JE_n23.wav", "emo": "n"}"#;
const OTHER: &str = r#"{"key": "savee-JE-a01", "wav": "downloads/savee/JE_a01.wav", "emo": "a"}"#;
const MAP: &str = r#"{"n": "Neutral", "a": "Angry"}"#;

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let folder = savee(files);
    let errors = Metadata::read("d", folder.path(), EmoboxCorpus::Savee).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_damaged_list_is_told_with_file_and_line() {
    let list = |line: &str| -> Vec<String> {
        errors(&[("label_map.json", MAP), ("savee.jsonl", &format!("{LINE}\n\n{line}\n"))])
    };
    for (line, part) in [
        ("{", "line 3, is no recording of EmoBox"),
        (r#"{"key": "x", "wav": "y.wav"}"#, "missing field `emo`"),
        (
            r#"{"key": "x", "wav": "downloads/savee/", "emo": "n"}"#,
            "has no path in `wav`",
        ),
        (r#"{"key": "x", "wav": "y.wav", "emo": " "}"#, "has no emotion in `emo`"),
        (r#"{"key": "x", "wav": "y.wav", "emo": 3}"#, "expected a string"),
        (
            r#"{"key": "x", "wav": "y.wav", "emo": "n", "start_time": 2, "end_time": 1}"#,
            "from 2 s to 1 s",
        ),
        (
            r#"{"key": "x", "wav": "y.wav", "emo": "n", "start_time": -1}"#,
            "no part of a file",
        ),
        (LINE, "lists what line 1 lists"),
        (&LINE.replace(r#""n"}"#, r#""a"}"#), "labels it `n`"),
    ] {
        let errors = list(line);
        assert!(errors.len() == 1 && errors[0].contains(part), "{line}: {errors:?}");
    }
    assert_eq!(list(&"{\n".repeat(1000)).len(), 20);
    let errors = errors(&[("label_map.json", "[]"), ("savee.jsonl", "")]);
    assert!(
        errors.len() == 1 && errors[0].contains("label_map.json\" is no map"),
        "{errors:?}"
    );
}

#[test]
fn what_a_folder_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let of = |folder: &Path| Metadata::read("d", folder, EmoboxCorpus::Savee);
    let text = |folder: &Path| of(folder).unwrap_err()[0].to_string();
    assert!(text(&folder.path().join("no")).contains("does not exist"));
    assert!(text(folder.path()).contains("has no metadata of `savee`"));
    assert!(
        of(folder.path()).unwrap_err()[0]
            .help()
            .unwrap()
            .contains("emorun data fetch emobox")
    );
    let both = "fold_1/savee_train_fold_1.jsonl";
    let half = savee(&[("label_map.json", MAP), (both, LINE)]);
    let metadata = of(half.path()).unwrap();
    assert_eq!(metadata.missing, ["savee.jsonl", "fold_1/savee_test_fold_1.jsonl"]);
    // The repository, its folder `data` and the corpus' own folder are all understood.
    let whole = savee(&[
        ("label_map.json", MAP),
        (both, LINE),
        ("fold_1/savee_test_fold_1.jsonl", OTHER),
    ]);
    let repository = tempfile::tempdir().unwrap();
    fs::rename(whole.path(), repository.path().join("data")).unwrap();
    for folder in ["", "data", "data/savee"] {
        let metadata = of(&repository.path().join(folder)).unwrap();
        assert_eq!((metadata.entries.len(), metadata.missing.len()), (2, 0), "{folder}");
    }
}

#[test]
fn one_part_under_two_names_is_used_once_and_not_at_all_where_labels_differ() {
    // PAVOQUE lists some outtakes in two styles.
    let part = |key: &str, code: &str, start: f64| {
        json!({ "key": key, "wav": "downloads/pavoque/o.flac", "emo": code, "start_time": start, "end_time": start + 1.0 }).to_string()
    };
    let lines = [
        part("a", "sad", 0.0),
        part("b", "poker", 0.0),
        part("c", "sad", 1.0),
        part("d", "sad", 1.0),
        part("e", "sad", 2.0),
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("pavoque")).unwrap();
    fs::write(folder.path().join("pavoque/pavoque.jsonl"), lines.join("\n")).unwrap();
    let (used, again, contradicting) = read(folder.path(), EmoboxCorpus::Pavoque).used();
    assert_eq!(
        (used, again, contradicting),
        (vec![false, false, true, false, true], 1, 2)
    );
}

#[test]
fn nothing_is_on_two_sides_of_one_fold() {
    let errors = errors(&[
        ("label_map.json", MAP),
        ("fold_1/savee_train_fold_1.jsonl", &format!("{LINE}\n{OTHER}")),
        ("fold_1/savee_test_fold_1.jsonl", LINE),
    ]);
    assert!(
        errors.len() == 1 && errors[0].contains("lists what is in train of the same fold"),
        "{errors:?}"
    );
}

#[test]
fn a_code_is_mapped_in_its_own_case_or_any_and_kept_where_the_map_lacks_it() {
    let labels = |map: &str, code: &str| {
        let metadata = Metadata {
            labels: serde_json::from_str(map).unwrap(),
            ..Metadata::default()
        };
        metadata.label(code)
    };
    assert_eq!(
        labels(r#"{"Neutral": "Neutral"}"#, "neutral"),
        ("Neutral".to_owned(), true)
    );
    assert_eq!(
        labels(r#"{"S": "Surprise", "s": "Sad"}"#, "s"),
        ("Sad".to_owned(), true)
    );
    assert_eq!(labels(r#"{"s": "Sad"}"#, "poker"), ("poker".to_owned(), false));
}

#[test]
fn the_table_of_speakers_is_read_with_blanks_and_without_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let table = "meld-dia0_utt0-train 1 Chandler 0 5.67 <id=meld-dia0_utt0-train,lang=en,spk=Chandler,emotion=neutral> neutral\n\
                 a b 1 x 0 1 <id=a b,lang=en,spk=Dr, Green,emotion=sad> sad\n\
                 c 1 Unknown 0 1 <id=c,lang=en,spk=Unknown,emotion=sad> sad\nnonsense\n";
    for (name, text) in [
        (
            "meld.jsonl",
            r#"{"key": "a b", "wav": "downloads/meld/x/1.mp4", "emo": "sadness"}"#,
        ),
        ("label_map.json", r#"{"sadness": "Sad"}"#),
        ("data.seg.wrd.stm", table),
    ] {
        fs::create_dir_all(folder.path().join("meld")).unwrap();
        fs::write(folder.path().join("meld").join(name), text).unwrap();
    }
    let metadata = read(folder.path(), EmoboxCorpus::Meld);
    let known = metadata.speakers.as_ref().unwrap();
    assert_eq!((known.len(), known["a b"].as_str()), (2, "Dr, Green"));
    assert_eq!(speakers(&metadata, EmoboxCorpus::Meld), ["Dr, Green"]);
}
