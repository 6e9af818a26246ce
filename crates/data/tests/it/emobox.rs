use super::{check, items, refused, scanned, speakers, split_of, text};
use emorun_data::fixtures::write_manifest;
use emorun_data::{ErrorClass, ScanLevel, SplitName, verify};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const CODES: [&str; 4] = ["a", "h", "n", "sa"];

/// A corpus of EmoBox: its files below `audio`, and metadata with one fold a speaker of SAVEE, or one fold of all.
struct Made {
    root: TempDir,
}

impl Made {
    /// `takes` recordings of each speaker in each emotion.
    fn savee(takes: usize) -> Self {
        let speakers = ["DC", "JE", "JK", "KL"];
        let all: Vec<(usize, String, &str)> = (0..speakers.len())
            .flat_map(|speaker| {
                let own = CODES
                    .into_iter()
                    .flat_map(move |code| (1..=takes).map(move |take| (code, take)));
                own.map(move |(code, take)| (speaker, format!("{}_{code}{take:02}.wav", speakers[speaker]), code))
            })
            .collect();
        let made = Self::new("savee", &all);
        for fold in 0..speakers.len() {
            made.fold("savee", fold + 1, &all, &|speaker, _| {
                if speaker == fold { "test" } else { "train" }
            });
        }
        made
    }

    fn new(corpus: &str, all: &[(usize, String, &str)]) -> Self {
        let made = Self {
            root: tempfile::tempdir().unwrap(),
        };
        let mut lines = vec!["path"];
        lines.extend(all.iter().map(|(_, path, _)| path.as_str()));
        write_manifest(&made.root.path().join("audio"), &lines, 0.06).unwrap();
        let rows: Vec<Value> = all.iter().map(|(_, path, code)| row(corpus, path, code)).collect();
        made.list(&format!("{corpus}/{corpus}.jsonl"), &rows);
        let map = r#"{"a": "Angry", "h": "Happy", "n": "Neutral", "sa": "Sad"}"#;
        fs::write(made.root.path().join(format!("data/{corpus}/label_map.json")), map).unwrap();
        made
    }

    fn fold(
        &self,
        corpus: &str,
        number: usize,
        all: &[(usize, String, &str)],
        side: &dyn Fn(usize, &str) -> &'static str,
    ) {
        for word in ["train", "valid", "test"] {
            let own: Vec<Value> = all
                .iter()
                .filter(|(speaker, path, _)| side(*speaker, path) == word)
                .map(|(_, path, code)| row(corpus, path, code))
                .collect();
            if !own.is_empty() {
                self.list(
                    &format!("{corpus}/fold_{number}/{corpus}_{word}_fold_{number}.jsonl"),
                    &own,
                );
            }
        }
    }

    fn list(&self, name: &str, rows: &[Value]) {
        let path = self.root.path().join("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(path, lines).unwrap();
    }

    fn audio(&self) -> std::path::PathBuf {
        self.root.path().join("audio")
    }

    fn dataset(&self, corpus: &str) -> Value {
        json!({ "kind": "emobox", "corpus": corpus, "root": self.audio(), "metadata": self.root.path() })
    }
}

fn row(corpus: &str, path: &str, code: &str) -> Value {
    let stem = path.rsplit('/').next().unwrap().replace(".wav", "");
    json!({ "key": format!("{corpus}-{stem}"), "wav": format!("downloads/{corpus}/{path}"), "emo": code, "channel": 1 })
}

#[test]
fn folds_are_as_published_and_validation_is_drawn_by_speaker() {
    let made = Made::savee(2);
    let corpus = scanned(json!({ "s": made.dataset("savee") }));
    assert_eq!(corpus.warnings, [""; 0]);
    assert_eq!(corpus.label_sets["emotion"], ["neutral", "happy", "sad", "angry"]);
    let first = &items(&corpus)[0];
    assert_eq!(first.key, "s/DC_a01.wav");
    assert_eq!(
        (first.speaker.as_str(), first.label("gender"), first.label("language")),
        ("savee/DC", Some(1), Some(0))
    );
    let folds =
        split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_or_else(|errors| panic!("{}", text(&errors)));
    assert_eq!(folds.len(), 4);
    for (fold, tested) in folds.iter().zip(["DC", "JE", "JK", "KL"]) {
        super::assert_apart(&corpus, fold);
        assert_eq!(
            speakers(&corpus, &fold.test),
            BTreeSet::from([format!("savee/{tested}")])
        );
        assert_eq!((fold.train.len(), fold.validation.len(), fold.test.len()), (16, 8, 8));
        assert_eq!(fold.warnings, [""; 0]);
    }
    let again = split_of(
        &corpus,
        json!({ "kind": "emobox_folds", "only": [3], "validation": 0.0 }),
    )
    .unwrap();
    assert_eq!(
        (again.len(), again[0].label.as_deref(), again[0].train.len()),
        (1, Some("fold-3"), 24)
    );
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds", "only": [5, 1, 1] })).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["`only.0` is 5, and the folds are 1, 2, 3, 4", "`only.2` is 1"],
    );
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds", "validation": 1.0 })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`validation` is 1"]);
}

#[test]
fn a_published_fold_that_shares_speakers_says_so_in_the_file_and_in_the_certificate() {
    let all: Vec<(usize, String, &str)> = (0..2_usize)
        .flat_map(|speaker| {
            let name = ["OAF", "YAF"][speaker];
            (0..16).map(move |word| {
                (
                    speaker,
                    format!("{name}_w{word}_{}.wav", CODES[word % 4]),
                    CODES[word % 4],
                )
            })
        })
        .collect();
    let made = Made::new("tess", &all);
    made.fold("tess", 1, &all, &|_, path| {
        if path.contains("_w1") { "test" } else { "train" }
    });
    let corpus = scanned(json!({ "tess": made.dataset("tess") }));
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["in fold-1, EmoBox's published sides share 2 speakers, groups or recordings: speaker `tess/OAF`"],
    );
    assert!(errors[0].help().unwrap().contains("`leak: as published`"));
    let folds = split_of(&corpus, json!({ "kind": "emobox_folds", "leak": "as published" })).unwrap();
    let [fold] = &folds[..] else { panic!("{folds:?}") };
    assert_eq!(fold.certificate.leak.as_deref(), Some("as published"));
    assert_eq!(fold.certificate.shared.len(), 2);
    // Two speakers are too few to draw one of them.
    assert!(
        fold.warnings[0].contains("2 independent groups of speakers, too few"),
        "{:?}",
        fold.warnings
    );
    assert!(fold.warnings[1].contains("leaks (as published)"), "{:?}", fold.warnings);
    assert_eq!(fold.train.len() + fold.validation.len(), 18);
    assert_eq!((fold.validation.len(), fold.test.len()), (4, 14));
}

#[test]
fn speakers_whom_nothing_tells_are_no_proof() {
    let all: Vec<(usize, String, &str)> = (0..24)
        .map(|number| (number, format!("train/sample_{number:08}.wav"), CODES[number % 4]))
        .collect();
    let made = Made::new("mer2023", &all);
    made.fold("mer2023", 1, &all, &|number, _| {
        if number < 8 { "test" } else { "train" }
    });
    let corpus = scanned(json!({ "m": made.dataset("mer2023") }));
    assert!(
        corpus.warnings[0].contains("who speaks in 24 of 24 recordings is not known"),
        "{:?}",
        corpus.warnings
    );
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["share 1 speakers, groups or recordings: unknown speaker `mer2023/?`"],
    );
    let folds = split_of(&corpus, json!({ "kind": "emobox_folds", "leak": "as published" })).unwrap();
    assert_eq!(folds[0].certificate.shared.len(), 1);
    assert_eq!(folds[0].certificate.leak.as_deref(), Some("as published"));
    assert!(
        folds[0].warnings[0].contains("drawn by recording"),
        "{:?}",
        folds[0].warnings
    );
    assert_eq!((folds[0].train.len(), folds[0].validation.len()), (13, 3));
}

#[test]
fn a_published_validation_side_is_taken_as_it_is() {
    let all: Vec<(usize, String, &str)> = (0..12)
        .map(|number| (number, format!("x/dia{number}_utt0.wav"), CODES[number % 4]))
        .collect();
    let made = Made::new("meld", &all);
    made.fold("meld", 1, &all, &|number, _| ["train", "valid", "test"][number / 4]);
    let lines: String = (0..12)
        .map(|n| format!("meld-dia{n}_utt0 1 s 0 1 <id=meld-dia{n}_utt0,lang=en,spk=s{n},emotion=x> x\n"))
        .collect();
    fs::write(made.root.path().join("data/meld/data.seg.wrd.stm"), lines).unwrap();
    let corpus = scanned(json!({ "m": made.dataset("meld") }));
    let folds = split_of(&corpus, json!({ "kind": "emobox_folds", "validation": 0.0 }))
        .unwrap_or_else(|errors| panic!("{}", text(&errors)));
    super::assert_apart(&corpus, &folds[0]);
    assert_eq!(
        [&folds[0].train, &folds[0].validation, &folds[0].test].map(Vec::len),
        [4; 3]
    );
}

#[test]
fn what_is_not_there_is_one_error_or_a_stated_restriction() {
    let made = Made::savee(1);
    fs::remove_file(made.audio().join("KL_a01.wav")).unwrap();
    for code in CODES {
        fs::remove_file(made.audio().join(format!("JK_{code}01.wav"))).unwrap();
    }
    let mut dataset = made.dataset("savee");
    let message = "5 of the 16 recordings that EmoBox lists are not in";
    refused(
        json!({ "s": dataset }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &[message],
    );
    dataset["missing"] = json!("skip");
    let corpus = scanned(json!({ "s": dataset }));
    assert_eq!((corpus.items.len(), corpus.warnings.len()), (11, 1));
    assert!(
        corpus.warnings[0].contains("5 of the 16 recordings"),
        "{:?}",
        corpus.warnings
    );
    // Nothing is drawn: two speakers would be too few.
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds", "validation": 0.0 })).unwrap_err();
    check(
        &errors,
        ErrorClass::Data,
        &["none of the 4 recordings that EmoBox lists for test in fold 3 of `s` is there"],
    );
    assert!(
        errors[0].help().unwrap().contains("`only: [1, 2, 4]`"),
        "{:?}",
        errors[0].help()
    );
    let folds = split_of(
        &corpus,
        json!({ "kind": "emobox_folds", "only": [1, 2, 4], "validation": 0.0 }),
    )
    .unwrap_or_else(|errors| panic!("{}", text(&errors)));
    assert!(
        folds[2]
            .warnings
            .iter()
            .any(|warning| warning.contains("in fold-4, 1 of the 4 recordings")),
        "{:?}",
        folds[2].warnings
    );
    // Video is told apart from what is absent.
    fs::rename(made.audio().join("KL_h01.wav"), made.audio().join("KL_h01.mkv")).unwrap();
    let mut rows: Vec<Value> = Vec::new();
    for line in fs::read_to_string(made.root.path().join("data/savee/savee.jsonl"))
        .unwrap()
        .lines()
    {
        rows.push(serde_json::from_str(&line.replace("KL_h01.wav", "KL_h01.mkv")).unwrap());
    }
    made.list("savee/savee.jsonl", &rows);
    fs::remove_dir_all(made.root.path().join("data/savee/fold_1")).unwrap();
    for fold in 2..=4 {
        fs::remove_dir_all(made.root.path().join(format!("data/savee/fold_{fold}"))).unwrap();
    }
    let dataset = made.dataset("savee");
    refused(
        json!({ "s": dataset }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["5 are not, and 1 are only in a format"],
    );
}

#[test]
fn metadata_that_lacks_a_part_is_told_with_the_part() {
    let made = Made::savee(1);
    let data = made.root.path().join("data/savee");
    fs::remove_file(data.join("fold_2/savee_train_fold_2.jsonl")).unwrap();
    let corpus = scanned(json!({ "s": made.dataset("savee") }));
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    check(
        &errors,
        ErrorClass::Data,
        &["fold 2 of `s` needs `fold_2/savee_train_fold_2.jsonl`, which the metadata lacks"],
    );
    assert!(errors[0].help().unwrap().contains("emorun data fetch emobox"));
    fs::remove_file(data.join("savee.jsonl")).unwrap();
    assert_eq!(scanned(json!({ "s": made.dataset("savee") })).items.len(), 16);
    for fold in [1, 3, 4] {
        fs::remove_file(data.join(format!("fold_{fold}/savee_train_fold_{fold}.jsonl"))).unwrap();
    }
    let lacks = "lacks savee.jsonl, fold_1/savee_train_fold_1.jsonl";
    refused(
        json!({ "s": made.dataset("savee") }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &[lacks],
    );
}

#[test]
fn the_cross_corpus_track_reports_on_the_balanced_set_alone() {
    let made = Made::savee(2);
    let rows: Vec<Value> = ["DC", "JE"]
        .iter()
        .flat_map(|who| {
            [("a", "angry"), ("h", "happy"), ("n", "neutral"), ("sa", "sad")].map(|(code, label)| {
            json!({ "wav_filename": format!("{who}/{code}01.wav"), "label": label, "speaker": who })
        })
        })
        .chain([json!({ "wav_filename": "KL/zz09.wav", "label": "sad", "speaker": "KL" })])
        .collect();
    made.list("track2/SAVEE_selected_balenced.jsonl", &rows);
    let other = json!({ "kind": "synthetic", "speakers": 10, "utterances": 2, "emotions": ["neutral", "happy", "sad", "angry"] });
    let corpus = scanned(json!({ "savee": made.dataset("savee"), "other": other }));
    assert!(
        corpus.warnings[0].contains("1 recordings of the cross-corpus test set"),
        "{:?}",
        corpus.warnings
    );
    let one = split_of(&corpus, json!({ "kind": "emobox_cross", "test": ["savee"] }))
        .unwrap_or_else(|errors| panic!("{}", text(&errors)));
    let [one] = &one[..] else { panic!("{one:?}") };
    super::assert_apart(&corpus, one);
    assert_eq!((one.label.as_deref(), one.test.len()), (None, 8));
    assert!(one.train.len() > one.validation.len() && !one.validation.is_empty());
    assert!(
        one.warnings
            .iter()
            .any(|warning| warning.contains("24 items of `savee` are not in its balanced test set"))
    );
    for (test, part) in [
        (json!(["save"]), "did you mean `savee`?"),
        (json!(["other"]), "is not of kind `emobox`"),
        (json!([]), "names no dataset"),
    ] {
        let errors = split_of(&corpus, json!({ "kind": "emobox_cross", "test": test })).unwrap_err();
        check(&errors, ErrorClass::Invalid, &[part]);
    }
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`other` is of kind `synthetic`"]);
}

#[test]
fn verifying_counts_what_emobox_lists() {
    let made = Made::savee(1);
    let datasets = super::datasets(json!({ "s": made.dataset("savee") }));
    let whole = verify("s", &datasets["s"], false).unwrap();
    assert!(whole.complete, "{whole:?}");
    assert_eq!(
        (whole.parts[0].name.as_str(), whole.parts[0].expected, whole.found),
        ("savee", 16, 16)
    );
    fs::remove_file(made.audio().join("KL_a01.wav")).unwrap();
    let less = verify("s", &datasets["s"], false).unwrap();
    assert!(!less.complete);
    assert_eq!(less.parts[0].missing, ["KL_a01"]);
    assert_eq!(whole.remarks, [""; 0]);
    let list = made.root.path().join("data/savee/savee.jsonl");
    let text = fs::read_to_string(&list)
        .unwrap()
        .replacen("\"channel\":1", "\"length\":2.5", 1);
    fs::write(&list, text).unwrap();
    let changed = verify("s", &datasets["s"], false).unwrap();
    let remark =
        "1 of 1 recordings are not as long as published, such as \"DC_a01.wav\" with 0.06 s in place of 2.50 s";
    assert!(
        changed.remarks.iter().any(|text| text.contains(remark)),
        "{:?}",
        changed.remarks
    );
}

#[test]
fn a_part_of_a_file_is_an_item_of_its_own() {
    let made = Made {
        root: tempfile::tempdir().unwrap(),
    };
    write_manifest(&made.audio(), &["path", "pavoque-sad.wav"], 1.0).unwrap();
    let part = |key: &str, start: f64, end: f64, code: &str| json!({ "key": key, "wav": "downloads/pavoque/pavoque-sad.flac", "emo": code, "start_time": start, "end_time": end });
    let rows = [
        part("a", 0.0, 0.25, "sad"),
        part("b", 0.25, 0.75, "poker"),
        part("c", 0.75, 1.0, "poker"),
    ];
    made.list("pavoque/pavoque.jsonl", &rows);
    made.list("pavoque/fold_1/pavoque_train_fold_1.jsonl", &rows[..2]);
    made.list("pavoque/fold_1/pavoque_test_fold_1.jsonl", &rows[2..]);
    let corpus = scanned(json!({ "p": made.dataset("pavoque") }));
    assert!(
        corpus.warnings[0].contains("no label_map.json"),
        "{:?}",
        corpus.warnings
    );
    // `poker` is no word for an emotion known here, and is a class as it is written.
    assert_eq!(corpus.label_sets["emotion"], ["sad", "poker"]);
    let items = items(&corpus);
    let lengths: Vec<f64> = items.iter().map(|item| item.duration_s).collect();
    assert_eq!(
        (items[1].key.as_str(), lengths),
        ("p/pavoque-sad.flac#0.25-0.75", vec![0.25, 0.5, 0.25])
    );
    let rule = json!({ "kind": "emobox_folds", "validation": 0.0, "leak": "as published" });
    let folds = split_of(&corpus, rule).unwrap_or_else(|errors| panic!("{}", text(&errors)));
    assert_eq!(folds[0].certificate.splits[&SplitName::Train].items, 2);
    // One speaker, and no sound in common.
    assert_eq!(folds[0].certificate.shared.len(), 1);
}

/// The archive's folder `data`, unpacked, or `None` with a printed reason.
pub fn published() -> Option<TempDir> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/emobox.tar.xz");
    if !archive.is_file() {
        println!("skipped: {} is absent", archive.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let unpack = std::process::Command::new("tar")
        .arg("-xJf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status();
    let is_there = unpack.is_ok_and(|status| status.success());
    if !is_there {
        println!("skipped: `tar` cannot unpack {}", archive.display());
    }
    is_there.then_some(folder)
}

#[test]
fn eight_actors_of_ravdess_run_two_published_folds_when_told_so() {
    let (Some(metadata), Some(root)) = (published(), super::real::real("ravdess")) else {
        return;
    };
    let mut dataset = json!({ "kind": "emobox", "corpus": "ravdess", "root": root, "metadata": metadata.path() });
    let message = "960 of the 1440 recordings that EmoBox lists are not in";
    refused(
        json!({ "r": dataset }),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &[message],
    );
    dataset["missing"] = json!("skip");
    let corpus = scanned(json!({ "r": dataset }));
    assert_eq!((corpus.items.len(), corpus.speakers().len()), (480, 8));
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    assert_eq!(errors.len(), 4, "{}", text(&errors));
    assert!(errors[0].help().unwrap().contains("`only: [1, 2]`"));
    let folds = split_of(&corpus, json!({ "kind": "emobox_folds", "only": [1, 2] })).unwrap();
    let tested: Vec<BTreeSet<String>> = folds.iter().map(|fold| speakers(&corpus, &fold.test)).collect();
    let named = |ids: [&str; 4]| {
        ids.map(|id| format!("ravdess/{id}"))
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        tested,
        [named(["01", "11", "20", "21"]), named(["04", "10", "12", "14"])]
    );
    for fold in &folds {
        super::assert_apart(&corpus, fold);
        assert!(
            fold.warnings
                .iter()
                .any(|warning| warning.contains("960 of the 1200 recordings")),
            "{:?}",
            fold.warnings
        );
    }
}

#[test]
fn the_folds_of_emodb_share_all_ten_speakers() {
    let (Some(metadata), Some(root)) = (published(), super::real::real("emodb")) else {
        return;
    };
    let dataset = json!({ "kind": "emobox", "corpus": "emodb", "root": root, "metadata": metadata.path() });
    let corpus = scanned(json!({ "e": dataset }));
    assert_eq!(
        (corpus.items.len(), corpus.speakers().len(), corpus.warnings.len()),
        (535, 10, 0),
        "{:?}",
        corpus.warnings
    );
    let all: Vec<usize> = (0..535).collect();
    let counts: Vec<usize> = corpus.class_counts("emotion", &all).into_values().collect();
    assert_eq!(counts, [79, 71, 62, 127, 69, 46, 81]);
    let errors = split_of(&corpus, json!({ "kind": "emobox_folds" })).unwrap_err();
    assert_eq!(errors.len(), 5);
    assert!(errors[0].to_string().contains("share 10 speakers"), "{}", errors[0]);
    let folds = split_of(&corpus, json!({ "kind": "emobox_folds", "leak": "as published" })).unwrap();
    for fold in &folds {
        assert_eq!((fold.train.len() + fold.validation.len(), fold.test.len()), (428, 107));
        assert_eq!(fold.certificate.shared.len(), 10);
    }
}
