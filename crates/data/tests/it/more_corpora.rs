//! IEMOCAP, ESD, LibriSpeech and the votes of CREMA-D, on trees in their layouts.

use super::{datasets, items, refused, scanned, speakers, split_of};
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::esd::{EsdLayout, write_esd};
use emorun_data::corpora::iemocap::{IemocapLabels, write_iemocap};
use emorun_data::corpora::librispeech::write_librispeech;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{Corpus, ErrorClass, Item, ScanLevel, SplitName, declare};
use emorun_lang::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn all(corpus: &Corpus) -> Vec<usize> {
    (0..corpus.items.len()).collect()
}

fn counts(corpus: &Corpus, column: &str) -> Vec<(String, usize)> {
    corpus.class_counts(column, &all(corpus)).into_iter().collect()
}

fn class<'a>(corpus: &'a Corpus, item: &Item, column: &str) -> Option<&'a str> {
    let sets = corpus
        .label_sets
        .get(column)
        .or_else(|| corpus.attribute_sets.get(column))?;
    sets.get(item.label(column)? as usize).map(String::as_str)
}

fn one(corpus: &Corpus, part: &str) -> Item {
    let found = items(corpus).into_iter().find(|item| item.key.contains(part));
    found.unwrap_or_else(|| panic!("no {part}")).clone()
}

/// Moves every file of a tree to one folder, as some unpack archives.
fn flatten(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flatten(&path, to);
        } else if to.join(path.file_name().unwrap()).exists() {
            // Labels and transcripts of IEMOCAP have one name.
            fs::rename(
                &path,
                to.join(format!("{}.txt", path.file_stem().unwrap().display()).replace(".txt", "_t.txt")),
            )
            .unwrap();
        } else {
            fs::rename(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn iemocaps_four_classes_hold_excited_as_happy_and_leave_the_rest_out() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        write_iemocap(root.path(), &[1, 2, 5], IemocapLabels::Dialogue, FIXTURE_S).unwrap(),
        132
    );
    let config = json!({ "i": { "kind": "iemocap", "root": root.path() } });
    let corpus = scanned(config.clone());
    assert!(corpus.warnings.is_empty(), "{:?}", corpus.warnings);
    let wanted =
        [("neutral", 12), ("happy", 24), ("sad", 12), ("angry", 12)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts(&corpus, "emotion"), wanted);
    assert_eq!(corpus.datasets["i"].filtered, 72);
    assert_eq!(
        corpus.speakers(),
        [
            "iemocap/Ses01F",
            "iemocap/Ses01M",
            "iemocap/Ses02F",
            "iemocap/Ses02M",
            "iemocap/Ses05F",
            "iemocap/Ses05M"
        ]
    );
    // Who wore the markers does not matter: the second dialogue is `Ses01M`, the speaker is a woman.
    let item = one(&corpus, "Ses01M_script01_1_F000");
    assert_eq!(
        (item.speaker.as_str(), class(&corpus, &item, "gender")),
        ("iemocap/Ses01F", Some("female"))
    );
    assert_eq!(
        (&item.groups[..], class(&corpus, &item, "style")),
        (&["iemocap/session/1".into()][..], Some("scripted"))
    );
    assert_eq!(item.text.as_deref(), Some("A generated tone."));
    assert_eq!(
        (item.values["valence"], item.values["arousal"], item.values["dominance"]),
        (2.5, 3.0, 4.0)
    );
    // Two of three votes; the third is for a class of the four as well.
    let happy = one(&corpus, "Ses02F_impro01_M001");
    let soft: Vec<f32> = happy.soft_labels["emotion"]
        .iter()
        .map(|share| (share * 3.0).round())
        .collect();
    assert_eq!(
        (class(&corpus, &happy, "emotion"), soft),
        (Some("happy"), vec![1.0, 2.0, 0.0, 0.0])
    );
    let improvised = scanned(json!({ "i": { "kind": "iemocap", "root": root.path(), "style": "improvised" } }));
    assert_eq!(improvised.items.len(), 30);
}

#[test]
fn iemocaps_ten_categories_keep_what_raters_did_not_agree_on_without_a_label() {
    let root = tempfile::tempdir().unwrap();
    write_iemocap(root.path(), &[1], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let config = json!({ "i": { "kind": "iemocap", "root": root.path(), "protocol": "all" } });
    let corpus = scanned(config);
    assert_eq!((corpus.items.len(), corpus.label_sets["emotion"].len()), (44, 10));
    assert!(counts(&corpus, "emotion").iter().all(|(_, count)| *count == 4));
    let open: Vec<Item> = items(&corpus)
        .into_iter()
        .filter(|item| item.label("emotion").is_none())
        .collect();
    assert_eq!(open.len(), 4);
    assert!(
        open.iter()
            .all(|item| item.values.len() == 3 && item.soft_labels.len() == 1)
    );
}

#[test]
fn iemocaps_raters_own_files_and_flat_folders_give_the_same_labels() {
    let facts = |corpus: &Corpus| -> BTreeMap<String, (Option<u32>, String, String)> {
        let name = |item: &Item| item.key.rsplit('/').next().unwrap().to_owned();
        let items = items(corpus).into_iter();
        items
            .map(|item| {
                (
                    name(&item),
                    (
                        item.label("emotion"),
                        item.speaker.to_string(),
                        format!("{:?}{:?}", item.soft_labels, item.text),
                    ),
                )
            })
            .collect()
    };
    let root = tempfile::tempdir().unwrap();
    write_iemocap(&root.path().join("whole"), &[3], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    write_iemocap(&root.path().join("raters"), &[3], IemocapLabels::Raters, FIXTURE_S).unwrap();
    write_iemocap(&root.path().join("nested"), &[3], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let read =
        |name: &str| scanned(json!({ "i": { "kind": "iemocap", "root": root.path().join(name), "protocol": "all" } }));
    let whole = read("whole");
    let raters = read("raters");
    assert_eq!(facts(&raters), facts(&whole));
    assert!(
        raters.warnings[0].contains("44 labels are the majority"),
        "{:?}",
        raters.warnings
    );
    flatten(&root.path().join("nested"), &root.path().join("flat"));
    assert_eq!(facts(&read("flat")), facts(&whole));
    // A second copy in a folder below changes nothing.
    write_iemocap(
        &root.path().join("whole/IEMOCAP_full_release"),
        &[3],
        IemocapLabels::Dialogue,
        FIXTURE_S,
    )
    .unwrap();
    let twice = read("whole");
    assert_eq!((facts(&twice), twice.items.len()), (facts(&whole), 44));
    assert_eq!(twice.duplicates.len(), 44);
}

#[test]
fn iemocap_is_split_by_sessions() {
    let root = tempfile::tempdir().unwrap();
    write_iemocap(root.path(), &[1, 2, 3, 4, 5], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let corpus = scanned(json!({ "i": { "kind": "iemocap", "root": root.path() } }));
    for folds in [json!({ "named": "iemocap_sessions" }), json!("leave_one_speaker_out")] {
        let folds = split_of(&corpus, json!({ "kind": "folds", "folds": folds })).unwrap();
        assert_eq!(folds.len(), 5);
        for (fold, session) in folds.iter().zip(1..) {
            let test: Vec<String> = speakers(&corpus, &fold.test).into_iter().collect();
            assert_eq!(
                test,
                [format!("iemocap/Ses0{session}F"), format!("iemocap/Ses0{session}M")]
            );
        }
    }
    let parted = json!({ "kind": "folds", "folds": { "groups": [["Ses01F"], ["Ses01M"]] }, "rest": "train" });
    let errors = split_of(&corpus, parted).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.to_string().contains("group `iemocap/session/1`"))
    );
}

#[test]
fn iemocap_without_labels_is_an_error_and_single_gaps_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    write_iemocap(root.path(), &[1], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let config = json!({ "i": { "kind": "iemocap", "root": root.path(), "protocol": "all" } });
    let table = root.path().join("Session1/dialog/EmoEvaluation/Ses01F_impro01.txt");
    let cut: String = fs::read_to_string(&table)
        .unwrap()
        .lines()
        .take(20)
        .map(|line| format!("{line}\n"))
        .collect();
    for below in ["Categorical", "Attribute"] {
        fs::remove_dir_all(root.path().join("Session1/dialog/EmoEvaluation").join(below)).unwrap();
    }
    fs::write(&table, cut).unwrap();
    let corpus = scanned(config.clone());
    assert!(corpus.items.len() < 44 && corpus.items.len() > 22);
    assert!(
        corpus.skipped[0]
            .reason
            .to_string()
            .contains("no label file has a label for it")
    );
    fs::remove_dir_all(root.path().join("Session1/dialog/EmoEvaluation")).unwrap();
    refused(
        config,
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["dialog/EmoEvaluation/*.txt"],
    );
}

#[test]
fn both_layouts_of_esd_tell_the_same_and_sides_are_its_own_split() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, layout| write_esd(&root.path().join(name), &[1, 4, 11, 15], 3, layout, FIXTURE_S).unwrap();
    assert_eq!(
        (write("plain", EsdLayout::Folders), write("sides", EsdLayout::Sides)),
        (60, 60)
    );
    write("to flatten", EsdLayout::Folders);
    flatten(&root.path().join("to flatten"), &root.path().join("flat"));
    let read = |name: &str| scanned(json!({ "e": { "kind": "esd", "root": root.path().join(name) } }));
    let facts = |corpus: &Corpus| -> BTreeMap<String, String> {
        let name = |item: &Item| item.key.rsplit('/').next().unwrap().to_owned();
        let labels = |item: &Item| {
            format!(
                "{} {:?} {:?} {:?}",
                item.speaker, item.labels, item.attributes, item.text
            )
        };
        items(corpus)
            .into_iter()
            .map(|item| (name(&item), labels(&item)))
            .collect()
    };
    let plain = read("plain");
    assert_eq!((plain.items.len(), plain.warnings.len()), (60, 0));
    assert_eq!(
        (facts(&read("sides")), facts(&read("flat"))),
        (facts(&plain), facts(&plain))
    );
    let item = one(&plain, "0011_000351");
    let told = ["emotion", "gender", "language"].map(|column| class(&plain, &item, column).unwrap());
    assert_eq!(
        (told, item.text.as_deref()),
        (["angry", "male", "english"], Some("A generated tone."))
    );
    let item = one(&plain, "0001_001401");
    let told = ["emotion", "gender", "language"].map(|column| class(&plain, &item, column).unwrap());
    assert_eq!(
        (told, item.text.as_deref()),
        (["surprised", "female", "mandarin"], Some("一个声音。"))
    );
    assert_eq!(items(&plain)[0].split, None);
    assert_eq!(one(&read("sides"), "0011_000352").split, Some(SplitName::Test));
    let english = scanned(json!({ "e": { "kind": "esd", "root": root.path().join("plain"), "language": "english" } }));
    assert_eq!((english.items.len(), english.datasets["e"].filtered), (30, 30));
}

#[test]
fn esd_has_the_published_folds_of_four_speakers() {
    let root = tempfile::tempdir().unwrap();
    let all: Vec<u32> = (1..=20).collect();
    write_esd(root.path(), &all, 1, EsdLayout::Folders, FIXTURE_S).unwrap();
    let corpus = scanned(json!({ "e": { "kind": "esd", "root": root.path() } }));
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": { "named": "emobox_esd" } })).unwrap();
    let test: Vec<String> = speakers(&corpus, &folds[0].test).into_iter().collect();
    assert_eq!(test, ["esd/0005", "esd/0011", "esd/0016", "esd/0018"]);
    assert_eq!(
        (folds.len(), folds.iter().map(|fold| fold.test.len()).sum::<usize>()),
        (5, 100)
    );
}

#[test]
fn an_esd_transcript_in_another_encoding_is_left_out_with_a_remark() {
    let root = tempfile::tempdir().unwrap();
    write_esd(root.path(), &[1], 1, EsdLayout::Folders, FIXTURE_S).unwrap();
    // GB 18030, as in some copies.
    fs::write(
        root.path().join("0001/0001.txt"),
        b"0001_000001\t\xbf\xec\xc0\xd6\t\xd6\xd0\xc1\xa2\n",
    )
    .unwrap();
    let corpus = scanned(json!({ "e": { "kind": "esd", "root": root.path() } }));
    assert!(items(&corpus).into_iter().all(|item| item.text.is_none()));
    assert!(
        corpus.warnings[0].contains("neither UTF-8 nor UTF-16"),
        "{:?}",
        corpus.warnings
    );
}

#[test]
fn librispeech_tells_readers_texts_and_its_own_split_from_flac_files() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(write_librispeech(root.path(), FIXTURE_S).unwrap(), 42);
    let config = json!({ "l": { "kind": "librispeech", "root": root.path() } });
    let corpus = scanned(config.clone());
    assert_eq!(
        (corpus.items.len(), corpus.speakers().len(), corpus.warnings.len()),
        (42, 14, 0)
    );
    assert!(counts(&corpus, "subset").iter().all(|(_, count)| *count == 6));
    let item = one(&corpus, "dev-clean/101");
    assert_eq!(
        (item.text.as_deref(), item.split),
        (Some("A GENERATED TONE"), Some(SplitName::Validation))
    );
    assert_eq!(
        (class(&corpus, &item, "gender"), item.labels["emotion"]),
        (Some("female"), None)
    );
    let fixed = split_of(&corpus, json!({ "kind": "fixed", "from": "column" })).unwrap();
    assert_eq!(
        [fixed[0].train.len(), fixed[0].validation.len(), fixed[0].test.len()],
        [18, 12, 12]
    );
    let some = scanned(
        json!({ "l": { "kind": "librispeech", "root": root.path(), "subsets": ["test-clean", "train-clean-100"] } }),
    );
    assert_eq!(some.items.len(), 12);
    // From the folder of a subset, and flat: the table tells the subset.
    let below = scanned(json!({ "l": { "kind": "librispeech", "root": root.path().join("test-other") } }));
    assert_eq!(class(&below, &items(&below)[0], "subset"), Some("test-other"));
    flatten(&root.path().join("dev-other"), &root.path().join("flat"));
    fs::copy(root.path().join("SPEAKERS.TXT"), root.path().join("flat/SPEAKERS.TXT")).unwrap();
    let flat = scanned(json!({ "l": { "kind": "librispeech", "root": root.path().join("flat") } }));
    assert_eq!(
        (flat.items.len(), class(&flat, &items(&flat)[0], "subset")),
        (6, Some("dev-other"))
    );
    let ports = declare(&datasets(config), 16_000).unwrap();
    assert!(ports.iter().all(|(name, _)| name != "emotion"), "it has no emotions");
}

#[test]
fn a_corpus_without_emotions_beside_one_with_them_has_them_absent() {
    let root = tempfile::tempdir().unwrap();
    write_librispeech(&root.path().join("l"), FIXTURE_S).unwrap();
    write_ravdess(&root.path().join("r"), &[1], FIXTURE_S).unwrap();
    let config = json!({
        "l": { "kind": "librispeech", "root": root.path().join("l") },
        "r": { "kind": "ravdess", "root": root.path().join("r"), "emotions": ["sad", "happy"] },
    });
    let corpus = scanned(config.clone());
    assert_eq!(corpus.label_sets["emotion"], ["sad", "happy"]);
    let ports = declare(&datasets(config), 16_000).unwrap();
    assert!(matches!(&ports[1].1, Signal::Labels { labels } if labels.len() == Some(2)));
}

fn cremad(root: &Path, more: Value) -> Value {
    let mut config = json!({ "kind": "cremad", "root": root });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "c": config })
}

#[test]
fn cremads_votes_become_soft_labels_and_filters() {
    let root = tempfile::tempdir().unwrap();
    write_cremad(root.path(), &[1001, 1002], FIXTURE_S).unwrap();
    let read = |more: Value| scanned(cremad(root.path(), more));
    let corpus = read(json!({}));
    let soft = |corpus: &Corpus, name: &str| one(corpus, name).soft_labels["emotion"].clone();
    // neutral happy sad angry fearful disgust; the second vote goes to the next letter of A D F H N S.
    assert_eq!(soft(&corpus, "1001_DFA_ANG_XX"), [0.0, 0.0, 0.0, 0.8, 0.0, 0.2]);
    assert_eq!(soft(&corpus, "1002_TIE_NEU_XX"), [0.5, 0.0, 0.5, 0.0, 0.0, 0.0]);
    assert_eq!(items(&corpus)[0].values["age"], 40.0);
    let told =
        |item: &Item| ["intensity", "race", "ethnicity"].map(|column| class(&corpus, item, column).map(str::to_owned));
    assert_eq!(
        told(&one(&corpus, "1001_IEO_ANG_HI")),
        [Some("high"), Some("caucasian"), Some("not_hispanic")].map(|class| class.map(str::to_owned))
    );
    assert_eq!(told(&one(&corpus, "1001_DFA_ANG_XX"))[0], None);

    // Of twelve sentences one ties and one is heard as something else.
    assert_eq!(read(json!({ "recognised_only": true })).items.len(), 164 - 24);
    assert_eq!(read(json!({ "min_agreement": 0.7 })).items.len(), 164 - 24);
    assert_eq!(read(json!({ "min_agreement": 0.55 })).items.len(), 164 - 12);
    assert_eq!(
        read(json!({ "recognised_only": true, "votes": "face" })).items.len(),
        164
    );
    let perceived = read(json!({ "target": "perceived" }));
    assert_eq!(perceived.items.len(), 164 - 12);
    assert_eq!(
        class(&perceived, &one(&perceived, "1001_IOM_ANG_XX"), "emotion"),
        Some("disgust")
    );

    refused(
        cremad(root.path(), json!({ "min_agreement": 1.5 })),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["from 0 to 1"],
    );

    // Classes that are left out take their votes with them; merged ones share theirs.
    let subset = read(json!({ "emotions": ["angry", "neutral"] }));
    assert_eq!(soft(&subset, "1001_DFA_ANG_XX"), [1.0, 0.0]);
    let merged = read(json!({ "mapping": { "angry": "negative", "disgust": "negative" } }));
    let negative = merged.label_sets["emotion"]
        .iter()
        .position(|class| class == "negative")
        .unwrap();
    assert_eq!(soft(&merged, "1001_DFA_ANG_XX")[negative], 1.0);
}

#[test]
fn cremads_summary_stands_in_for_the_counts_and_absent_tables_are_named() {
    let root = tempfile::tempdir().unwrap();
    write_cremad(root.path(), &[1001], FIXTURE_S).unwrap();
    fs::remove_file(root.path().join("processedResults/tabulatedVotes.csv")).unwrap();
    let corpus = scanned(cremad(root.path(), json!({ "recognised_only": true })));
    assert_eq!(corpus.items.len(), 82 - 12);
    let corpus = scanned(cremad(root.path(), json!({})));
    assert_eq!(
        one(&corpus, "1001_TIE_ANG_XX").soft_labels["emotion"],
        [0.0, 0.0, 0.0, 0.5, 0.0, 0.5]
    );
    let needs = |more, part| {
        refused(
            cremad(root.path(), more),
            ScanLevel::Metadata,
            ErrorClass::Data,
            &[part],
        )
    };
    needs(
        json!({ "min_agreement": 0.5 }),
        "`min_agreement` needs processedResults/tabulatedVotes.csv",
    );
    fs::remove_file(root.path().join("processedResults/summaryTable.csv")).unwrap();
    needs(json!({ "recognised_only": true }), "`recognised_only` needs");
    needs(json!({ "target": "perceived" }), "`target` needs");
    assert!(
        items(&scanned(cremad(root.path(), json!({}))))
            .iter()
            .all(|item| item.soft_labels.is_empty())
    );
    fs::write(
        root.path().join("processedResults/summaryTable.csv"),
        "\"\",\"FileName\"\n\"1\",\"1001_DFA_ANG_XX\",\"A\"\n",
    )
    .unwrap();
    needs(json!({}), "no column `VoiceVote`");
}

#[test]
fn ports_of_continuous_and_soft_labels_are_declared_and_filled() {
    let root = tempfile::tempdir().unwrap();
    write_iemocap(&root.path().join("i"), &[1], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let lines = [
        "path,speaker,emotion,arousal,liking,intensity",
        "a.wav,1,happy,-0.5,3,strong",
        "b.wav,2,sad,,2,odd",
    ];
    write_manifest(&root.path().join("m"), &lines, FIXTURE_S).unwrap();
    write_ravdess(&root.path().join("r"), &[1], FIXTURE_S).unwrap();
    let config = json!({
        "i": { "kind": "iemocap", "root": root.path().join("i") },
        "m": { "kind": "manifest", "path": root.path().join("m/manifest.csv"), "values": ["arousal", "liking"], "labels": ["intensity"] },
        "r": { "kind": "ravdess", "root": root.path().join("r") },
    });
    let ports: BTreeMap<String, Signal> = declare(&datasets(config.clone()), 16_000)
        .unwrap()
        .into_iter()
        .collect();
    let names = |port: &str| match &ports[port] {
        Signal::Values { names } => names.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(names("dimensions"), ["valence", "arousal", "dominance"]);
    assert_eq!(
        (names("arousal"), names("liking")),
        (vec!["arousal".to_owned()], vec!["liking".to_owned()])
    );
    assert!(matches!(ports["emotion_soft"], Signal::SoftLabels { .. }) && ports["emotion_soft"].is_label());
    assert!(matches!(&ports["intensity"], Signal::Labels { labels } if labels.len().is_none()));
    let corpus = scanned(config);
    assert_eq!(corpus.values, ["valence", "arousal", "dominance", "liking"]);
    assert_eq!(corpus.attribute_sets["intensity"], ["normal", "strong", "odd"]);
    let (a, b) = (one(&corpus, "m/a.wav"), one(&corpus, "m/b.wav"));
    assert_eq!(
        (a.values["arousal"], a.values["liking"], a.label("intensity")),
        (-0.5, 3.0, Some(1))
    );
    assert_eq!((b.values.get("arousal"), b.label("intensity")), (None, Some(2)));
    let wrong = ["path,speaker,arousal", "a.wav,1,high", "b.wav,2,inf"];
    write_manifest(&root.path().join("w"), &wrong, FIXTURE_S).unwrap();
    let config = |values: Value| json!({ "m": { "kind": "manifest", "path": root.path().join("w/manifest.csv"), "values": values } });
    refused(
        config(json!(["arousal"])),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["`arousal` is `high`, which is no number (and in 1 further line: 3)"],
    );
    refused(
        config(json!(["valence"])),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["no column `valence`"],
    );
    refused(
        config(json!(["dimensions"])),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["`dimensions` is named twice"],
    );
}

#[cfg(unix)]
#[test]
fn strange_names_loops_and_forbidden_folders_end_in_items_or_errors() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a name with\nnewline, 空白 and \"quotes\"");
    write_esd(&folder, &[11], 1, EsdLayout::Folders, FIXTURE_S).unwrap();
    symlink(root.path(), folder.join("0011/loop")).unwrap();
    let config = json!({ "e": { "kind": "esd", "root": root.path() } });
    let corpus = scanned(config.clone());
    assert_eq!((corpus.items.len(), items(&corpus)[0].text.is_some()), (5, true));
    let forbidden = folder.join("forbidden");
    fs::create_dir(&forbidden).unwrap();
    fs::set_permissions(&forbidden, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if fs::read_dir(&forbidden).is_err() {
        refused(config, ScanLevel::Metadata, ErrorClass::Data, &["forbidden"]);
    }
    fs::set_permissions(&forbidden, fs::Permissions::from_mode(0o755)).unwrap();
}
