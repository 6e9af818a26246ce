//! Who is one person: one corpus listed twice, ids in several spellings, speakers whom nobody knows, and how the split names
//! them.

use super::{assert_apart, check, items, refused, scanned, speakers, split_of};
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::iemocap::{IemocapLabels, write_iemocap};
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{Assignment, Corpus, ErrorClass, ScanLevel, split};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Speech of three actors, and the same files as if they were sung.
fn speech_and_song(root: &Path, people: [Option<&str>; 2]) -> Corpus {
    write_ravdess(&root.join("r"), &[1, 2, 3], FIXTURE_S).unwrap();
    for actor in 1..=3 {
        let folder = root.join(format!("r/Actor_{actor:02}"));
        for emotion in 1..=6 {
            let end = format!("{emotion:02}-01-01-01-{actor:02}.wav");
            // Another recording: the tone of a file that is then removed.
            let other = folder.join(format!("03-01-{emotion:02}-01-02-02-{actor:02}.wav"));
            fs::rename(other, folder.join(format!("03-02-{end}"))).unwrap();
        }
    }
    let dataset = |channel: &str, people: Option<&str>| json!({ "kind": "ravdess", "root": root.join("r"), "vocal_channel": channel, "people": people });
    scanned(json!({ "speech": dataset("speech", people[0]), "song": dataset("song", people[1]) }))
}

fn thirds(corpus: &Corpus) -> Vec<Assignment> {
    split_of(corpus, json!({ "kind": "by_speaker", "validation": 0.3, "test": 0.3 })).unwrap()
}

fn fixed(corpus: &Corpus, mut config: Value) -> Result<Assignment, Vec<emorun_data::DataError>> {
    config["kind"] = "fixed".into();
    let config = serde_json::from_value(config).unwrap();
    split(corpus, &config, &[], 42).map(|mut one| one.remove(0))
}

#[test]
fn a_corpus_that_is_listed_twice_is_one_set_of_people() {
    let root = tempfile::tempdir().unwrap();
    let corpus = speech_and_song(root.path(), [None, None]);
    assert_eq!(corpus.speakers(), ["ravdess/01", "ravdess/02", "ravdess/03"]);
    assert!(
        corpus
            .warnings
            .iter()
            .any(|warning| warning.starts_with("datasets `speech` and `song` are of the same people (`ravdess`)")),
        "{:?}",
        corpus.warnings
    );
    let assignment = &thirds(&corpus)[0];
    assert_apart(&corpus, assignment);
    // What the certificate counts is a person's speech and song together: 54 and 6.
    for side in assignment.certificate.splits.values() {
        assert_eq!(side.speakers.values().copied().collect::<Vec<_>>(), [60]);
        assert_eq!((side.datasets["speech"], side.datasets["song"]), (54, 6));
    }
    // One dataset is trained on and the other tested: the same people are heard on both sides, and it must be said.
    let lists = json!({ "train": ["speech"], "test": ["song"] });
    let errors = fixed(&corpus, lists.clone()).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &[
            "speaker `ravdess/01` is on more than one side (`train`, `test`)",
            "`ravdess/02`",
            "`ravdess/03`",
        ],
    );
    let mut declared = lists;
    declared["leak"] = "speech against song of the same actors".into();
    let assignment = fixed(&corpus, declared).unwrap();
    assert_eq!((assignment.train.len(), assignment.test.len()), (162, 18));
    assert_eq!(assignment.certificate.shared.len(), 3);
    // A person is meant with all that they say, by either name.
    let named = fixed(
        &corpus,
        json!({ "train": ["song/01"], "test": ["speech/2"], "validation": ["ravdess/03"] }),
    )
    .unwrap();
    assert_eq!(
        (named.train.len(), named.validation.len(), named.test.len()),
        (60, 60, 60)
    );
}

#[test]
fn the_file_can_say_that_people_are_or_are_not_the_same() {
    let root = tempfile::tempdir().unwrap();
    let corpus = speech_and_song(root.path(), [None, Some("others")]);
    assert_eq!(corpus.speakers().len(), 6);
    assert_eq!(corpus.speakers()[3], "others/01");
    write_manifest(
        &root.path().join("a"),
        &["path,speaker", "a.wav,01", "b.wav,02"],
        FIXTURE_S,
    )
    .unwrap();
    write_manifest(
        &root.path().join("b"),
        &["path,speaker", "c.wav,02", "d.wav,03"],
        FIXTURE_S,
    )
    .unwrap();
    let table = |folder: &str, people: Option<&str>| json!({ "kind": "manifest", "path": root.path().join(folder).join("manifest.csv"), "people": people });
    let apart = scanned(json!({ "a": table("a", None), "b": table("b", None) }));
    assert_eq!(apart.speakers(), ["a/01", "a/02", "b/02", "b/03"]);
    assert!(
        apart.warnings[0].starts_with("datasets `a` and `b` name 1 speaker alike, who are taken for different people"),
        "{:?}",
        apart.warnings
    );
    let together = scanned(json!({ "a": table("a", Some("ours")), "b": table("b", Some("ours")) }));
    assert_eq!(together.speakers(), ["ours/01", "ours/02", "ours/03"]);
    // One table that is listed twice is one set of people without a word.
    let twice = scanned(json!({ "one": table("a", None), "two": table("a", None) }));
    assert_eq!(twice.speakers(), ["one/01", "one/02"]);
    assert_eq!(twice.datasets["two"].people, "one");
    // A table of RAVDESS' actors, and one that lists several corpora.
    write_ravdess(&root.path().join("rav"), &[1], FIXTURE_S).unwrap();
    write_manifest(
        &root.path().join("c"),
        &["path,speaker,corpus", "e.wav,01,ravdess", "f.wav,03,emodb"],
        FIXTURE_S,
    )
    .unwrap();
    let corpus = scanned(json!({
        "rav": { "kind": "ravdess", "root": root.path().join("rav") },
        "a": table("a", Some("ravdess")),
        "c": { "kind": "manifest", "path": root.path().join("c/manifest.csv"), "columns": { "people": "corpus" } },
    }));
    assert_eq!(corpus.speakers(), ["ravdess/01", "ravdess/02", "emodb/03"]);
    for people in ["", " x", "a/b", "a*"] {
        refused(
            json!({ "a": table("a", Some(people)) }),
            ScanLevel::Metadata,
            ErrorClass::Invalid,
            &["`people` must be a name"],
        );
    }
}

#[test]
fn sessions_of_a_corpus_that_is_listed_twice_are_the_same_sessions() {
    let root = tempfile::tempdir().unwrap();
    write_iemocap(root.path(), &[1, 2, 3], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let dataset = |style: &str| json!({ "kind": "iemocap", "root": root.path(), "style": style });
    let corpus = scanned(json!({ "improvised": dataset("improvised"), "scripted": dataset("scripted") }));
    assert_eq!(corpus.speakers().len(), 6);
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": "leave_one_speaker_out" })).unwrap();
    assert_eq!(folds.len(), 3, "the two of a session are one fold, with both styles");
    for fold in &folds {
        assert_apart(&corpus, fold);
        assert_eq!(fold.certificate.splits[&emorun_data::SplitName::Test].datasets.len(), 2);
    }
    let errors = split_of(
        &corpus,
        json!({ "kind": "folds", "folds": { "named": "iemocap_sessions" } }),
    )
    .unwrap_err();
    check(&errors, ErrorClass::Invalid, &["not in the data: `iemocap/Ses04F`"]);
}

#[test]
fn generated_voices_of_another_seed_are_other_people() {
    let voices = |seed: u64| json!({ "kind": "synthetic", "speakers": 2, "utterances": 1, "seed": seed });
    let corpus = scanned(json!({ "a": voices(0), "b": voices(7) }));
    assert_eq!(
        corpus.speakers(),
        ["synthetic/01", "synthetic/02", "synthetic-7/01", "synthetic-7/02"]
    );
}

#[test]
fn one_speaker_in_several_spellings_is_one_person() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "path,speaker,dyad",
        "a.wav,S01,d1",
        "b.wav,s01,D1",
        "c.wav,\"S\u{200b}01\",d2",
        "d.wav,\"\u{ff33}01 \",d3",
        "e.wav,Jos\u{e9},d4",
        "f.wav,Jose\u{301},d5",
        "g.wav,7,d6",
        "h.wav,007,d7",
        "i.wav,8,d8",
    ];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let config = |groups: Value| json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv"), "columns": { "groups": groups } } });
    let corpus = scanned(config(json!([])));
    assert_eq!(corpus.speakers(), ["m/S01", "m/Jos\u{e9}", "m/007", "m/8"]);
    let remark = &corpus.warnings[0];
    assert!(
        remark.starts_with("speakers of `m` are spelled in several ways, each taken for one: ")
            && remark.contains("\"S01\" = \"S\\u{200b}01\" = \"s01\"")
            && remark.contains("\"007\" = \"7\""),
        "{remark}"
    );
    // The names do not depend on the order of the lines, and lists may use any spelling.
    let mut turned = lines.to_vec();
    turned[1..].reverse();
    fs::write(root.path().join("manifest.csv"), turned.join("\n")).unwrap();
    let again = scanned(config(json!(["dyad"])));
    let mut names = [corpus.speakers(), again.speakers()];
    names.iter_mut().for_each(|names| names.sort_unstable());
    assert_eq!(names[0], names[1]);
    assert!(
        again.warnings[1].contains("\"dyad/D1\" = \"dyad/d1\""),
        "{:?}",
        again.warnings
    );
    let sides = fixed(
        &corpus,
        json!({ "train": ["m/s0*"], "test": [7, "JOSE\u{301}"], "rest": "validation" }),
    )
    .unwrap();
    assert_apart(&corpus, &sides);
    assert_eq!((sides.train.len(), sides.validation.len(), sides.test.len()), (4, 1, 4));
}

#[test]
fn speakers_whom_nobody_knows_are_never_one_person_nor_taken_for_unheard() {
    let root = tempfile::tempdir().unwrap();
    let mut lines = vec!["path,speaker,split".to_owned()];
    for (at, speaker) in ["1", "2", "3", "4", "unknown", "Unknown", "NA", "-", "n/a"]
        .iter()
        .enumerate()
    {
        lines.push(format!(
            "{at}.wav,{speaker},{}",
            if at % 2 == 0 { "train" } else { "test" }
        ));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let corpus = scanned(json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv") } }));
    assert_eq!(corpus.datasets["m"].speakers, 4);
    let own: std::collections::BTreeSet<String> = items(&corpus)
        .into_iter()
        .map(|item| item.speaker.to_string())
        .collect();
    assert_eq!(own.len(), 9);
    assert!(own.contains("m/?4.wav"));
    assert!(
        corpus.warnings[0].starts_with("dataset `m`: nobody knows who speaks in 5 items (their speaker is \"-\", \"NA\", \"Unknown\", \"n/a\", \"unknown\")"),
        "{:?}",
        corpus.warnings
    );
    // Wherever they are drawn to, they are there together, and count as one.
    for seed in 0..10 {
        let config = serde_json::from_value(json!({ "kind": "by_speaker", "validation": 0.2, "test": 0.2 })).unwrap();
        let drawn = &emorun_data::split(&corpus, &config, &[], seed).unwrap()[0];
        let unknown: Vec<usize> = drawn
            .certificate
            .splits
            .values()
            .map(|side| side.unknown_speakers)
            .collect();
        assert_eq!(unknown, [5, 0, 0], "nothing is reported on people whom nobody knows");
        let listed: usize = drawn.certificate.splits.values().map(|side| side.speakers.len()).sum();
        assert_eq!(listed, 4);
    }
    let folds = split_of(&corpus, json!({ "kind": "folds", "folds": "leave_one_speaker_out" })).unwrap();
    assert_eq!(folds.len(), 5);
    // A split that parts them says so or is refused.
    let errors = fixed(&corpus, json!({ "from": "column" })).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["unknown speaker `m/?` is on more than one side (`train`, `test`)"],
    );
    let sides = fixed(
        &corpus,
        json!({ "train": ["m/?"], "test": ["m/*1", "m/*2"], "rest": "drop" }),
    )
    .unwrap();
    assert_eq!((sides.train.len(), sides.test.len()), (5, 2));
}

#[test]
fn lists_take_whole_datasets_and_stars_and_say_where_the_rest_goes() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(&root.path().join("r"), &[1, 2, 10, 11], FIXTURE_S).unwrap();
    write_emodb(&root.path().join("e"), &["03", "08"], FIXTURE_S).unwrap();
    let corpus = scanned(json!({
        "ravdess": { "kind": "ravdess", "root": root.path().join("r") },
        "berlin": { "kind": "emodb", "root": root.path().join("e") },
    }));
    let names = |side: &[usize]| speakers(&corpus, side).into_iter().collect::<Vec<_>>();
    let emodb = ["emodb/03", "emodb/08"];
    for lists in [
        json!({ "test": ["berlin"], "rest": "train" }),
        json!({ "test": ["emodb"], "rest": "train" }),
        json!({ "test": ["emodb/*"], "train": ["ravdess/*"] }),
        json!({ "test": ["berlin/0*"], "train": ["ravdess"] }),
        json!({ "train": ["ravdess"], "rest": "test" }),
    ] {
        let sides = fixed(&corpus, lists).unwrap();
        assert_apart(&corpus, &sides);
        assert_eq!(names(&sides.test), emodb);
        assert_eq!(sides.train.len(), 240);
    }
    let sides = fixed(
        &corpus,
        json!({ "train": ["ravdess/1*"], "test": ["*08"], "rest": "validation" }),
    )
    .unwrap();
    assert_eq!(names(&sides.train), ["ravdess/10", "ravdess/11"]);
    assert_eq!(
        (names(&sides.test), names(&sides.validation).len()),
        (vec!["emodb/08".to_owned()], 3)
    );
    let folds = json!({ "kind": "folds", "folds": { "groups": [["berlin"], ["ravdess"]] } });
    let folds = split(&corpus, &serde_json::from_value(folds).unwrap(), &[], 42).unwrap();
    assert_eq!((folds[0].test.len(), folds[1].test.len()), (140, 240));
    let errors = fixed(
        &corpus,
        json!({ "train": ["ravdes", "ravdess/9*", "emodb"], "test": ["emodb/03"] }),
    )
    .unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &[
            "no speaker or dataset `ravdes`",
            "no speaker or dataset `ravdess/9*`",
            "`emodb/03` is in both train and test",
        ],
    );
    assert_eq!(errors[0].help().unwrap(), "did you mean `ravdess`?");
    let folds = json!({ "kind": "folds", "folds": { "groups": [["berlin"], ["ravdess/01"]] }, "rest": "test" });
    check(
        &split_of(&corpus, folds).unwrap_err(),
        ErrorClass::Invalid,
        &["`rest` is `test`"],
    );
}
