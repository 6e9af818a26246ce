use super::{check, datasets, items, refused, scanned};
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{AudioSource, ErrorClass, ScanLevel, SplitName, declare, scan};
use emorun_lang::{LabelSet, Signal};
use serde_json::json;
use std::fs;

#[test]
fn columns_labels_groups_and_parts_are_read() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "\u{feff}file,spk,emo,sex,words,from,to,part,session,style",
        "\"a, b.wav\",1,joy,F,\"well, yes\",0.1,0.4,dev,s1,read",
        "\"a, b.wav\",2,,m,,0.4,,train,s1,",
        "c.wav,3,ANGER,male,no,,,test,s2,free",
    ];
    write_manifest(root.path(), &lines[..1], 0.0).unwrap();
    write_manifest(root.path(), &["", "c.wav"], 1.0).unwrap();
    fs::rename(root.path().join("c.wav"), root.path().join("a, b.wav")).unwrap();
    write_manifest(root.path(), &["", "c.wav"], 0.5).unwrap();
    fs::write(root.path().join("manifest.csv"), lines.join("\r\n")).unwrap();
    let config = json!({ "m": {
        "kind": "manifest", "path": root.path().join("manifest.csv"), "labels": ["style"],
        "columns": { "path": "file", "speaker": "spk", "emotion": "emo", "gender": "sex", "text": "words",
                     "start": "from", "end": "to", "split": "part", "groups": ["session"] },
    } });
    let corpus = scan(&datasets(config), ScanLevel::Deep, None).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(corpus.label_sets["emotion"], ["happy", "angry"]);
    assert_eq!(corpus.label_sets["style"], ["free", "read"]);
    let [first, second, third] = &items(&corpus)[..] else {
        panic!("{:?}", corpus.items)
    };
    assert_eq!(first.key, "m/a, b.wav#0.1-0.4");
    assert_eq!(
        (first.label("emotion"), first.label("gender"), first.label("style")),
        (Some(0), Some(0), Some(1))
    );
    assert_eq!(
        (first.text.as_deref(), first.split),
        (Some("well, yes"), Some(SplitName::Validation))
    );
    assert_eq!(first.groups[..], [emorun_data::Name::from("m/session/s1")]);
    assert!((first.duration_s - 0.3).abs() < 1e-9);
    assert_eq!(
        (second.label("emotion"), second.label("style"), second.text.as_deref()),
        (None, None, None)
    );
    assert!((second.duration_s - 0.6).abs() < 1e-9);
    assert_eq!(second.load_audio(16_000).unwrap().len(), 9600);
    assert_eq!((third.label("emotion"), third.split), (Some(1), Some(SplitName::Test)));
    assert!(matches!(third.audio, AudioSource::File { segment: None, .. }));
}

#[test]
fn every_wrong_line_is_named() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "path,speaker,emotion,gender,start,end,split",
        "a.wav,1,hapy,f,,,",
        ",1,happy,f,,,",
        "a.wav,,happy,f,,,",
        "a.wav,1,happy,x,,,",
        "a.wav,1,happy,f,-1,,",
        "a.wav,1,happy,f,0.08,0.02,",
        "a.wav,1,happy,f,,,tset",
        "a.wav,1,happy,f,nan,,",
    ];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let config = json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv") } });
    let errors = scan(&datasets(config), ScanLevel::Metadata, None).unwrap_err();
    let wanted = [
        (2, ErrorClass::Invalid, "`hapy`"),
        (3, ErrorClass::Data, "`path` is empty"),
        (5, ErrorClass::Invalid, "`gender` is `x`"),
        (
            6,
            ErrorClass::Data,
            "`start` is `-1`, which is no time in seconds (0 or more) (and in 1 further line: 9)",
        ),
        (7, ErrorClass::Data, "not after its start"),
        (8, ErrorClass::Invalid, "`tset`"),
    ];
    assert_eq!(errors.len(), wanted.len(), "{}", super::text(&errors));
    for (error, (line, class, part)) in errors.iter().zip(wanted) {
        let message = error.to_string();
        assert!(
            message.contains(&format!("line {line}:")) && message.contains(part),
            "{message}"
        );
        assert_eq!(error.class(), class, "{message}");
    }
    assert!(errors[0].help().unwrap().contains("did you mean `happy`?"));
    assert!(errors[5].help().unwrap().contains("did you mean `test`?"));
}

#[test]
fn labels_of_another_kind_are_allowed_where_the_file_names_them() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "path,speaker,emotion",
        "a.wav,1,sleepy",
        "b.wav,1,zufrieden",
        "c.wav,2,anger",
    ];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let config = |more: serde_json::Value| {
        let mut config = json!({ "kind": "manifest", "path": root.path().join("manifest.csv") });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "m": config })
    };
    refused(
        config(json!({})),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["`sleepy`", "`zufrieden`"],
    );
    let mapped = config(json!({ "mapping": { "sleepy": "bored", "zufrieden": "content" } }));
    assert_eq!(
        scanned(mapped.clone()).label_sets["emotion"],
        ["angry", "bored", "content"]
    );
    let Ok(ports) = declare(&datasets(mapped), 16_000) else {
        panic!()
    };
    assert_eq!(
        ports[1].1,
        Signal::Labels {
            labels: LabelSet::undetermined("emotion")
        }
    );
    let subset = config(json!({ "mapping": { "zufrieden": null }, "emotions": ["sleepy", "anger"] }));
    assert_eq!(scanned(subset).label_sets["emotion"], ["sleepy", "angry"]);
    refused(
        config(json!({ "mapping": { "zufrieden": null }, "emotions": ["sleepy", "angry", "sad"] })),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &["`sad`"],
    );
}

#[test]
fn missing_columns_name_those_that_are_there() {
    let root = tempfile::tempdir().unwrap();
    write_manifest(root.path(), &["path,speakr,mood", "a.wav,1,happy"], FIXTURE_S).unwrap();
    let config = json!({ "m": {
        "kind": "manifest", "path": root.path().join("manifest.csv"), "columns": { "emotion": "modd" }, "labels": ["x"],
    } });
    let errors = scan(&datasets(config), ScanLevel::Metadata, None).unwrap_err();
    check(
        &errors,
        ErrorClass::Invalid,
        &["`speaker`; it has `path`, `speakr`, `mood`", "`modd`", "`x`"],
    );
    assert!(errors[0].help().unwrap().contains("`speakr`"));
    assert_eq!(errors[1].document_path(), ["datasets", "m", "columns", "emotion"]);
    assert_eq!(errors[2].document_path(), ["datasets", "m", "labels"]);
}

#[test]
fn files_and_parts_that_are_not_there_are_named_with_their_line_or_left_out() {
    let root = tempfile::tempdir().unwrap();
    let lines = ["path,speaker,start,end", "a.wav,1,,", "a.wav,1,0.05,9"];
    write_manifest(root.path(), &lines, 0.2).unwrap();
    fs::write(
        root.path().join("manifest.csv"),
        format!("{}\ngone.wav,2,,", lines.join("\n")),
    )
    .unwrap();
    let config = |policy: &str| {
        json!({ "m": {
        "kind": "manifest", "path": root.path().join("manifest.csv"), "on_bad_audio": policy,
    } })
    };
    refused(
        config("error"),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["line 3", "line 4"],
    );
    let corpus = scanned(config("skip"));
    assert_eq!((corpus.items.len(), corpus.skipped.len()), (1, 2));
}

#[test]
fn a_line_given_twice_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let lines = ["path,speaker,emotion", "a.wav,1,happy", "a.wav,1,happy", "b.wav,1,sad"];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let config = json!({ "m": { "kind": "manifest", "path": root.path().join("manifest.csv") } });
    let corpus = scanned(config.clone());
    assert_eq!((corpus.items.len(), corpus.duplicates.len()), (2, 1));
    fs::write(
        root.path().join("manifest.csv"),
        "path,speaker,emotion\na.wav,1,happy\na.wav,2,happy\n",
    )
    .unwrap();
    refused(
        config,
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["\"a.wav, line 3\" is the same audio as \"a.wav, line 2\", but its speaker is `2` and not `1`"],
    );
}

#[test]
fn json_lines_with_numbers_for_speakers_work_below_another_root() {
    let root = tempfile::tempdir().unwrap();
    write_manifest(&root.path().join("audio"), &["", "a.wav", "b.wav"], FIXTURE_S).unwrap();
    let path = root.path().join("list.jsonl");
    fs::write(
        &path,
        "{\"path\":\"a.wav\",\"speaker\":7,\"emotion\":\"sad\"}\n{\"path\":\"b.wav\",\"speaker\":8}\n",
    )
    .unwrap();
    let corpus = scanned(json!({ "m": { "kind": "manifest", "path": path, "root": root.path().join("audio") } }));
    assert_eq!(corpus.speakers(), ["m/7", "m/8"]);
    assert_eq!(items(&corpus)[1].labels["emotion"], None);
}

#[test]
fn a_table_that_is_wrong_throughout_or_empty_is_answered_briefly() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("list.csv");
    let config = json!({ "m": { "kind": "manifest", "path": path } });
    let numbers: String = (0..100_000).map(|row| format!("a.wav,1,label{row}\n")).collect();
    fs::write(&path, format!("path,speaker,emotion\n{numbers}")).unwrap();
    let errors = scan(&datasets(config.clone()), ScanLevel::Metadata, None).unwrap_err();
    assert_eq!(errors.len(), 100);
    fs::write(&path, format!("path,speaker\n{}", ",1\n".repeat(100_000))).unwrap();
    let errors = scan(&datasets(config.clone()), ScanLevel::Metadata, None).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .to_string()
            .contains("and in 99999 further lines: 3, 4, 5, 6, …"),
        "{}",
        errors[0]
    );
    fs::write(
        &path,
        format!("path,speaker,emotion\na.wav,1,{}\n", "é".repeat(1 << 20)),
    )
    .unwrap();
    let errors = scan(&datasets(config.clone()), ScanLevel::Metadata, None).unwrap_err();
    assert!(errors[0].to_string().len() < 1000);
    for empty in ["", "path,speaker\n", "path,speaker\n,\n,\n"] {
        fs::write(&path, empty).unwrap();
        refused(
            config.clone(),
            ScanLevel::Metadata,
            ErrorClass::Data,
            &["lists no recording"],
        );
    }
}
