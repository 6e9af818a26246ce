use super::{assert_apart, check, datasets, items, scanned, speakers, split_of, text};
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::split::shared_between_sides;
use emorun_data::{Corpus, ErrorClass, Item, ScanLevel, SplitConfig, SplitName, scan};
use serde_json::{Value, json};
use std::fs;

fn synthetic(speakers: u32) -> Corpus {
    scanned(json!({ "s": { "kind": "synthetic", "speakers": speakers, "utterances": 1 } }))
}

fn manifest(lines: &[&str]) -> Corpus {
    let root = tempfile::tempdir().unwrap();
    write_manifest(root.path(), lines, FIXTURE_S).unwrap();
    let groups = if lines[0].contains("dyad") {
        vec!["dyad"]
    } else {
        Vec::new()
    };
    scanned(json!({ "m": {
        "kind": "manifest", "path": root.path().join("manifest.csv"), "columns": { "groups": groups },
    } }))
}

#[test]
fn speakers_are_shared_out_by_fraction_evenly_and_always_alike() {
    let corpus = synthetic(24);
    let config = json!({ "kind": "by_speaker", "validation": 0.15, "test": 0.25 });
    let [assignment] = &split_of(&corpus, config.clone()).unwrap()[..] else {
        panic!()
    };
    assert_apart(&corpus, assignment);
    let sides = [&assignment.train, &assignment.validation, &assignment.test];
    assert_eq!(sides.map(|side| speakers(&corpus, side).len()), [14, 4, 6]);
    for side in sides {
        let genders: Vec<usize> = corpus.class_counts("gender", side).into_values().collect();
        assert_eq!(genders[0], genders[1], "genders are even");
    }
    let again = split_of(&corpus, config.clone()).unwrap();
    assert_eq!(again[0].certificate, assignment.certificate);
    let other: emorun_data::SplitConfig = serde_json::from_value(config).unwrap();
    let other = emorun_data::split(&corpus, &other, &["emotion"], 43).unwrap();
    assert_ne!(other[0].certificate.hash, assignment.certificate.hash);
}

#[test]
fn each_dataset_is_split_by_itself_and_draws_do_not_depend_on_others() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(&root.path().join("r"), &[1, 2, 3, 4, 5, 6], FIXTURE_S).unwrap();
    write_cremad(&root.path().join("c"), &[1001, 1002, 1003, 1004], FIXTURE_S).unwrap();
    let ravdess = json!({ "kind": "ravdess", "root": root.path().join("r") });
    let both = scanned(json!({ "c": { "kind": "cremad", "root": root.path().join("c") }, "r": ravdess }));
    let config = json!({ "kind": "by_speaker", "validation": 0.2, "test": 0.2 });
    let merged = &split_of(&both, config.clone()).unwrap()[0];
    assert_apart(&both, merged);
    for side in [&merged.train, &merged.validation, &merged.test] {
        let speakers = speakers(&both, side);
        assert!(
            ["cremad/", "ravdess/"]
                .iter()
                .all(|dataset| speakers.iter().any(|speaker| speaker.starts_with(dataset)))
        );
    }
    let alone = scanned(json!({ "r": ravdess }));
    let own = &split_of(&alone, config).unwrap()[0];
    let test = speakers(&both, &merged.test);
    assert!(speakers(&alone, &own.test).iter().all(|speaker| test.contains(speaker)));
}

#[test]
fn too_few_speakers_and_wrong_shares_are_the_experiments_fault() {
    let one = synthetic(1);
    let errors = split_of(&one, json!({ "kind": "by_speaker", "validation": 0.0, "test": 0.0 })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["`s` has 1 independent speaker group"]);
    let errors = split_of(&synthetic(2), json!({ "kind": "by_speaker" })).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["needs at least 3"]);
    let three = synthetic(3);
    let even = &split_of(&three, json!({ "kind": "by_speaker" })).unwrap()[0];
    assert_eq!([even.train.len(), even.validation.len(), even.test.len()], [5, 5, 5]);
    for (config, part) in [
        (
            json!({ "kind": "by_speaker", "validation": -0.1 }),
            "`validation` is -0.1",
        ),
        (json!({ "kind": "by_speaker", "test": 1.0 }), "`test` is 1"),
        (
            json!({ "kind": "by_speaker", "validation": 0.5, "test": 0.5 }),
            "nothing to train on",
        ),
    ] {
        check(&split_of(&three, config).unwrap_err(), ErrorClass::Invalid, &[part]);
    }
}

#[test]
fn connected_speakers_stay_together() {
    let mut lines = vec!["path,speaker,emotion,dyad".to_owned()];
    // Ten dyads of two speakers, and one that links the first two dyads.
    for speaker in 0..20 {
        lines.push(format!("{speaker}.wav,s{speaker},happy,d{}", speaker / 2));
    }
    lines.push("link.wav,s0,happy,d1".to_owned());
    let corpus = manifest(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for seed in 0..20 {
        let config = serde_json::from_value(json!({ "kind": "by_speaker", "validation": 0.2, "test": 0.2 })).unwrap();
        let assignment = &emorun_data::split(&corpus, &config, &["emotion"], seed).unwrap()[0];
        assert_apart(&corpus, assignment);
        for side in [&assignment.train, &assignment.validation, &assignment.test] {
            let own = speakers(&corpus, side);
            let together = ["m/s0", "m/s1", "m/s2", "m/s3"]
                .iter()
                .filter(|one| own.contains(**one))
                .count();
            assert!(together == 0 || together == 4, "{own:?}");
        }
    }
}

#[test]
fn speakers_with_a_recording_in_common_stay_together_and_lists_that_part_them_are_refused() {
    let root = tempfile::tempdir().unwrap();
    write_manifest(
        root.path(),
        &["path,speaker", "a.wav,1", "b.wav,2", "c.wav,3"],
        FIXTURE_S,
    )
    .unwrap();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::copy(root.path().join("a.wav"), root.path().join("sub/a.wav")).unwrap();
    fs::write(root.path().join("sub/manifest.csv"), "path,speaker\na.wav,9\n").unwrap();
    let corpus = scanned(json!({
        "m": { "kind": "manifest", "path": root.path().join("manifest.csv") },
        "n": { "kind": "manifest", "path": root.path().join("sub/manifest.csv") },
    }));
    assert_eq!(corpus.items.len(), 4);
    let lists = json!({ "kind": "fixed", "train": ["m/1", "m/2"], "test": ["n/9"], "validation": ["m/3"] });
    let errors = split_of(&corpus, lists.clone()).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["the recording in `m/a.wav` and `n/a.wav` is on more than one side"],
    );
    let mut allowed = lists;
    allowed["leak"] = "shows what the certificate says".into();
    let assignment = &split_of(&corpus, allowed).unwrap()[0];
    assert_eq!(
        assignment.certificate.leak.as_deref(),
        Some("shows what the certificate says")
    );
    assert_eq!(assignment.certificate.shared.len(), 1);
    assert!(assignment.warnings.iter().any(|warning| warning.contains("leaks")));
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": "leave_one_speaker_out" })).unwrap();
    assert_eq!(folds.len(), 3, "the two speakers of one recording are one fold");
    folds.iter().for_each(|fold| assert_apart(&corpus, fold));
}

#[test]
fn a_recording_planted_on_both_sides_is_found() {
    let corpus = synthetic(4);
    let (train, test): (Vec<usize>, Vec<usize>) =
        (0..corpus.items.len()).partition(|index| items(&corpus)[*index].speaker != "synthetic/04");
    let shared = |corpus: &Corpus| shared_between_sides(corpus, [&train, &[], &test]).unwrap();
    assert!(shared(&corpus).is_empty());
    let planted = |plant: &dyn Fn(&mut Vec<Item>)| {
        let mut planted = items(&corpus);
        plant(&mut planted);
        let planted = Corpus {
            items: planted.into(),
            ..corpus.clone()
        };
        shared(&planted)
    };
    let recording = planted(&|items| items[test[2]].content = items[train[3]].content);
    assert_eq!(recording.len(), 1);
    assert!(recording[0].what.contains(items(&corpus)[train[3]].key.as_str()));
    assert_eq!(recording[0].sides, [SplitName::Train, SplitName::Test]);
    let speaker = planted(&|items| items[test[0]].speaker = items[train[0]].speaker.clone());
    assert_eq!(speaker[0].what, "speaker `synthetic/01`");
}

#[test]
fn only_overlapping_parts_of_one_recording_connect() {
    let root = tempfile::tempdir().unwrap();
    let parts = |second: &str| {
        let lines = ["path,speaker,start,end", "a.wav,1,0,0.4", second, "b.wav,3,,"];
        write_manifest(root.path(), &lines, 1.0).unwrap();
        let corpus = scanned(json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv") } }));
        split_of(&corpus, json!({ "kind": "folds", "folds": "leave_one_speaker_out" }))
            .unwrap()
            .len()
    };
    assert_eq!(parts("a.wav,2,0.4,0.9"), 3);
    assert_eq!(parts("a.wav,2,0.3,0.9"), 2);
}

#[test]
fn fixed_lists_take_ids_in_any_writing_and_say_what_is_left() {
    let corpus = synthetic(5);
    let fixed =
        |rest: Value| json!({ "kind": "fixed", "train": ["s/01", 2], "validation": ["03"], "test": [4], "rest": rest });
    check(
        &split_of(&corpus, fixed(Value::Null)).unwrap_err(),
        ErrorClass::Invalid,
        &["on no side: `synthetic/05`"],
    );
    let with = |rest: &str| split_of(&corpus, fixed(rest.into())).unwrap().remove(0);
    assert_eq!(speakers(&corpus, &with("train").train).len(), 3);
    let dropped = with("drop");
    assert_apart(&corpus, &dropped);
    assert_eq!(dropped.train.len() + dropped.validation.len() + dropped.test.len(), 20);
    let wrong = json!({ "kind": "fixed", "train": [1, "s/001"], "test": ["s/33", 1], "rest": "drop" });
    let errors = split_of(&corpus, wrong).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &[
            "both train and train",
            "no speaker or dataset `s/33`",
            "both train and test",
        ],
    );
    assert_eq!(errors[1].document_path(), ["split", "test", "0"]);
    assert!(errors[1].help().unwrap().contains("`s/03`"), "{:?}", errors[1].help());
}

#[test]
fn the_manifests_own_split_is_taken_and_must_say_that_it_leaks() {
    let lines = [
        "path,speaker,emotion,split",
        "a.wav,1,happy,train",
        "b.wav,2,happy,dev",
        "c.wav,3,happy,test",
    ];
    let corpus = manifest(&lines);
    let config = json!({ "kind": "fixed", "from": "column" });
    let assignment = &split_of(&corpus, config.clone()).unwrap()[0];
    assert_eq!(
        (&assignment.train, &assignment.validation, &assignment.test),
        (&vec![0], &vec![1], &vec![2])
    );
    let leaking = manifest(&[lines[0], lines[1], lines[2], "c.wav,1,happy,test"]);
    check(
        &split_of(&leaking, config.clone()).unwrap_err(),
        ErrorClass::Invalid,
        &["speaker `m/1`"],
    );
    let gap = manifest(&[lines[0], lines[1], "b.wav,2,happy,"]);
    check(
        &split_of(&gap, config).unwrap_err(),
        ErrorClass::Invalid,
        &["1 items have no side"],
    );
    let both = json!({ "kind": "fixed", "from": "column", "train": [1] });
    check(&split_of(&corpus, both).unwrap_err(), ErrorClass::Invalid, &["`from`"]);
    check(
        &split_of(&corpus, json!({ "kind": "fixed" })).unwrap_err(),
        ErrorClass::Invalid,
        &["`from`"],
    );
}

#[test]
fn a_class_without_training_items_is_an_error_and_elsewhere_a_warning() {
    let lines = [
        "path,speaker,emotion",
        "a.wav,1,happy",
        "b.wav,2,sad",
        "c.wav,2,happy",
        "d.wav,3,happy",
    ];
    let corpus = manifest(&lines);
    let config = |train: u32, test: u32| json!({ "kind": "fixed", "train": [train], "test": [test], "rest": "drop" });
    let errors = split_of(&corpus, config(1, 2)).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["class `sad` of emotion has no item in training"],
    );
    let assignment = &split_of(&corpus, config(2, 1)).unwrap()[0];
    assert!(
        assignment
            .warnings
            .iter()
            .any(|warning| warning == "class `sad` of emotion has no item in test")
    );
    // Nobody learns gender here, and no item has one.
    assert_eq!(assignment.warnings.len(), 1);
    let config: SplitConfig = serde_json::from_value(config(2, 1)).unwrap();
    let errors = emorun_data::split(&corpus, &config, &["gender"], 42).unwrap_err();
    let expected = ["class `female` of gender", "class `male` of gender"];
    check(&errors, ErrorClass::Invalid, &expected);
    let only_test = json!({ "kind": "fixed", "test": [1, 2, 3] });
    let errors = split_of(&corpus, only_test).unwrap_err();
    assert_eq!(text(&errors), "split: nothing is in train\n");
}

#[test]
fn the_certificate_counts_what_is_on_each_side() {
    let corpus = synthetic(4);
    let fixed = json!({ "kind": "fixed", "train": [1, 2], "test": [3, 4] });
    let certificate = &split_of(&corpus, fixed).unwrap()[0].certificate;
    let train = &certificate.splits[&SplitName::Train];
    assert_eq!(
        (
            train.items,
            train.speakers["synthetic/01"],
            train.classes["emotion"]["sad"]
        ),
        (10, 5, 2)
    );
    assert_eq!(certificate.audio_compared, 20);
    let json = serde_json::to_value(certificate).unwrap();
    assert_eq!(json["splits"]["test"]["datasets"]["s"], 10);
    assert_eq!(json["shared"], json!([]));
}

#[test]
fn a_certificate_says_what_it_shows_and_what_it_does_not() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03", "08", "09"], FIXTURE_S).unwrap();
    let config = json!({ "e": { "kind": "emodb", "root": root.path() } });
    let lists = json!({ "kind": "fixed", "train": ["03"], "validation": ["08"], "test": ["09"] });
    let plain = scanned(config.clone());
    let claims = split_of(&plain, lists.clone()).unwrap()[0].certificate.claims();
    assert_eq!(
        claims,
        [
            "no leak is declared, and no speaker, group or file is on two sides; the samples of 210 of 210 items were not compared, so that a copy under another name would not be seen: `emorun check --deep` compares them, and so does every run",
            "words: 70 of 70 items of validation with a text (100 %) say what is also said in training (10 of 10 texts)",
            "words: 70 of 70 items of test with a text (100 %) say what is also said in training (10 of 10 texts)",
        ]
    );
    let deep = scan(&datasets(config), ScanLevel::Deep, None).unwrap();
    let claims = split_of(&deep, lists).unwrap()[0].certificate.claims();
    assert_eq!(
        claims[0],
        "no leak is declared, and no speaker, group or recording is on two sides: all samples were compared"
    );
}

#[test]
fn words_are_compared_whatever_their_case_and_signs_and_not_where_nobody_knows_them() {
    let lines = [
        "path,speaker,text,split",
        "a.wav,1,\"Kids, talking!\",train",
        "b.wav,2,kids talking,test",
        "c.wav,2,other words,test",
        "d.wav,2,,test",
    ];
    let corpus = manifest(&lines);
    let config = json!({ "kind": "fixed", "from": "column" });
    let config: SplitConfig = serde_json::from_value(config).unwrap();
    let certificate = &emorun_data::split(&corpus, &config, &[], 1).unwrap()[0].certificate;
    let texts = &certificate.texts[&SplitName::Test];
    assert_eq!((texts.items, texts.heard, texts.texts, texts.heard_texts), (2, 1, 2, 1));
    assert!(
        split_of(&synthetic(4), json!({ "kind": "by_speaker" })).unwrap()[0]
            .certificate
            .texts
            .is_empty()
    );
}

#[test]
fn one_class_is_remarked_on_where_it_is_learned() {
    let lines = [
        "path,speaker,emotion,split",
        "a.wav,1,happy,train",
        "b.wav,2,happy,test",
    ];
    let corpus = manifest(&lines);
    let config = json!({ "kind": "fixed", "from": "column" });
    let assignment = &split_of(&corpus, config.clone()).unwrap()[0];
    assert!(
        assignment.warnings[0].starts_with("all of training is of one class of emotion, `happy`"),
        "{:?}",
        assignment.warnings
    );
    let config: SplitConfig = serde_json::from_value(config).unwrap();
    assert!(
        emorun_data::split(&corpus, &config, &[], 1).unwrap()[0]
            .warnings
            .is_empty()
    );
}
