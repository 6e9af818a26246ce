use super::{check, datasets, items, refused};
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{ErrorClass, ScanLevel, StreamForm, StreamSource, StreamValue, declare, scan};
use emorun_features::{Array, FeatureWriter, Precision};
use emorun_lang::{FrameRate, Signal};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A corpus of three recordings, each of which the others hear; the last lacks what a stream may lack.
fn corpus(root: &Path) -> Value {
    let lines = [
        "path,speaker,emotion,other,face,units,answer",
        "a.wav,1,happy,b.wav,faces.safetensors#a,1 2 2,\"well, yes\"",
        "b.wav,2,angry,c.wav,faces.safetensors#b,\"[0, 3]\",no",
        "c.wav,3,happy,,,,",
    ];
    write_manifest(root, &lines, FIXTURE_S).unwrap();
    write_faces(root, 0.5);
    json!({ "m": {
        "kind": "manifest", "path": root.join("manifest.csv"),
        "streams": {
            "other": { "kind": "audio" },
            "face": { "kind": "frames", "width": 2, "rate_hz": 25 },
            "units": { "kind": "tokens", "vocabulary": 4 },
            "answer": { "kind": "text" },
        },
    } })
}

fn write_faces(root: &Path, first: f32) {
    let mut writer = FeatureWriter::create(&root.join("faces.safetensors"), Precision::F32).unwrap();
    writer.add("a", &Array::new([1, 2], vec![first, 1.0]).unwrap()).unwrap();
    writer.add("b", &Array::new([3, 2], vec![2.0; 6]).unwrap()).unwrap();
    writer.finish(&Default::default()).unwrap();
}

#[test]
fn streams_stand_at_ports_of_their_own_and_are_read_for_each_item() {
    let root = tempfile::tempdir().unwrap();
    let config = datasets(corpus(root.path()));
    let ports = declare(&config, 8000).unwrap();
    let signal = |name: &str| ports.iter().find(|(port, _)| port == name).unwrap().1.clone();
    let rate = FrameRate::new(25, 1).unwrap();
    assert_eq!(signal("other"), Signal::Wave { rate_hz: 8000 });
    assert_eq!(signal("face"), Signal::Frames { width: 2, rate });
    assert_eq!(
        signal("units"),
        Signal::Tokens {
            vocabulary: 4,
            rate: None
        }
    );
    assert_eq!(signal("answer"), Signal::Text);
    let corpus = scan(&config, ScanLevel::Deep, None).unwrap_or_else(|errors| panic!("{errors:?}"));
    let [first, second, third] = &items(&corpus)[..] else {
        panic!("{:?}", corpus.items)
    };
    let load = |item: &emorun_data::Item, name: &str| {
        let form = StreamForm::of(&signal(name)).unwrap();
        item.load_stream(name, &form, 8000).unwrap()
    };
    let Some(StreamValue::Audio(heard)) = load(first, "other") else {
        panic!("no audio")
    };
    assert_eq!(heard, second.load_audio(8000).unwrap());
    assert_eq!(load(first, "face"), Some(StreamValue::Frames(vec![0.5, 1.0])));
    assert_eq!(load(second, "face"), Some(StreamValue::Frames(vec![2.0; 6])));
    assert_eq!(load(first, "units"), Some(StreamValue::Tokens(vec![1, 2, 2])));
    assert_eq!(load(second, "units"), Some(StreamValue::Tokens(vec![0, 3])));
    assert_eq!(load(first, "answer"), Some(StreamValue::Text("well, yes".into())));
    for name in ["other", "face", "units", "answer"] {
        assert_eq!(load(third, name), None, "{name}");
    }
    assert_eq!(second.stream("face").and_then(StreamSource::length), Some(3.0));
    let lacking = corpus
        .warnings
        .iter()
        .filter(|text| text.contains("1 of 3 items lack the stream"));
    assert_eq!(lacking.count(), 4, "{:?}", corpus.warnings);
}

#[test]
fn what_streams_hold_is_part_of_the_fingerprint_and_not_of_what_an_item_is() {
    let root = tempfile::tempdir().unwrap();
    let config = datasets(corpus(root.path()));
    let facts = || {
        let corpus = scan(&config, ScanLevel::Deep, None).unwrap_or_else(|errors| panic!("{errors:?}"));
        let contents: Vec<_> = items(&corpus).iter().map(|item| item.content).collect();
        (corpus.datasets["m"].fingerprint.clone(), contents)
    };
    let before = facts();
    write_faces(root.path(), 0.5);
    assert_eq!(facts(), before);
    write_faces(root.path(), 0.25);
    let after = facts();
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1);
    // An item that was scanned before notices.
    let corpus = scan(&config, ScanLevel::Deep, None).unwrap();
    let first = items(&corpus).remove(0);
    write_faces(root.path(), 0.75);
    let rate = FrameRate::new(25, 1).unwrap();
    let error = first.load_stream("face", &StreamForm::Frames { width: 2, rate }, 8000);
    assert!(error.unwrap_err().to_string().contains("has changed since"));
}

#[test]
fn streams_that_cannot_be_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let config = corpus(root.path());
    let with = |stream: &str, fields: Value| {
        let mut config = config.clone();
        config["m"]["streams"][stream] = fields;
        config
    };
    let text = || json!({ "kind": "text", "column": "answer" });
    for (name, expected) in [
        ("audio", "stream `audio`: its name is taken"),
        ("a.b", "stream `a.b`: its name is no word"),
        ("text", "stream `text`: its name is taken"),
    ] {
        let errors = declare(&datasets(with(name, text())), 8000).unwrap_err();
        check(&errors, ErrorClass::Invalid, &[expected]);
        assert_eq!(errors[0].document_path(), ["datasets", "m", "streams", name]);
    }
    // Of two datasets the same name is the same stream.
    let mut two = with("face", json!({ "kind": "frames", "width": 2, "rate_hz": 25 }));
    two["n"] = with("face", json!({ "kind": "frames", "width": 3, "rate_hz": 25 }))["m"].clone();
    let errors = declare(&datasets(two), 8000).unwrap_err();
    let expected =
        "dataset `n`: stream `face`: it is frames 3 wide at 25 Hz here, and frames 2 wide at 25 Hz in dataset `m`";
    check(&errors, ErrorClass::Invalid, &[expected]);
    // A column that is not there, one without a cell, a file of another width, a symbol of no vocabulary.
    let column = with(
        "face",
        json!({ "kind": "frames", "width": 2, "rate_hz": 25, "column": "fase" }),
    );
    let errors = scan(&datasets(column), ScanLevel::Metadata, None).unwrap_err();
    check(&errors, ErrorClass::Invalid, &["has no column `fase`"]);
    assert_eq!(
        errors[0].document_path(),
        ["datasets", "m", "streams", "face", "column"]
    );
    assert_eq!(errors[0].help().as_deref(), Some("did you mean `face`?"));
    refused(
        with("face", json!({ "kind": "frames", "width": 3, "rate_hz": 25 })),
        ScanLevel::Deep,
        ErrorClass::Data,
        &["stream `face`: line 2: "],
    );
    refused(
        with("units", json!({ "kind": "tokens", "vocabulary": 3 })),
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["line 3: column `units` has `3`, which is no symbol of a vocabulary of 3"],
    );
    fs::remove_file(root.path().join("faces.safetensors")).unwrap();
    refused(
        config,
        ScanLevel::Metadata,
        ErrorClass::Data,
        &["is no file (and in 1 further line: 3)"],
    );
}
