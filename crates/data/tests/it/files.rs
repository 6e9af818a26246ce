use super::{check, items, refused, scanned, split_of};
use emorun_data::fixtures::write_manifest;
use emorun_data::{ErrorClass, ScanLevel, SplitName, declare};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn tree(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut lines = vec!["path"];
    lines.extend(names);
    write_manifest(root.path(), &lines, 0.06).unwrap();
    root
}

fn savee(root: &Path) -> Value {
    json!({
        "kind": "files", "root": root,
        "pattern": r"(?P<speaker>DC|JE|JK|KL)[_/](?P<emotion>[a-z]+)(?P<take>\d+)\.wav$",
        "values": { "emotion": { "a": "angry", "h": "happy", "sa": "sad", "n": null } },
        "constant": { "gender": "male" },
        "labels": ["take"],
    })
}

#[test]
fn groups_of_the_pattern_are_facts_and_values_name_codes() {
    let root = tree(&[
        "DC_a01.wav",
        "x/JE/sa02.wav",
        "JE_h01.wav",
        "KL_n01.wav",
        "readme-a.wav",
    ]);
    let corpus = scanned(json!({ "s": savee(root.path()) }));
    assert_eq!(corpus.label_sets["emotion"], ["happy", "sad", "angry"]);
    assert_eq!(corpus.label_sets["take"], ["01", "02"]);
    let items = items(&corpus);
    let told: Vec<(&str, Option<u32>, Option<u32>)> = items
        .iter()
        .map(|item| (item.key.as_str(), item.label("emotion"), item.label("gender")))
        .collect();
    assert_eq!(
        told,
        [
            ("s/DC_a01.wav", Some(2), Some(1)),
            ("s/JE_h01.wav", Some(0), Some(1)),
            ("s/x/JE/sa02.wav", Some(1), Some(1))
        ]
    );
    assert_eq!((corpus.datasets["s"].filtered, corpus.datasets["s"].speakers), (1, 2));
    assert_eq!(corpus.warnings.len(), 1, "{:?}", corpus.warnings);
    assert!(corpus.warnings[0].contains("1 audio file does not follow the corpus' names"));
    let ports = declare(&super::datasets(json!({ "s": savee(root.path()) })), 16_000).unwrap();
    let ports: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(ports, ["audio", "emotion", "gender", "take"]);
}

#[test]
fn facts_can_follow_from_others_and_groups_keep_sides_together() {
    let root = tree(&[
        "01-s1-a.wav",
        "02-s1-b.wav",
        "03-s2-a.wav",
        "04-s2-b.wav",
        "05-s3-a.wav",
        "06-s3-b.wav",
    ]);
    let dataset = json!({
        "kind": "files", "root": root.path(), "groups": ["session"],
        "pattern": r"^(?P<speaker>\d\d)-(?P<session>s\d)-(?P<emotion>.)\.wav$",
        "values": { "emotion": { "a": "angry", "b": "sleepy" }, "session": { "s1": "one", "s2": "two", "s3": "three" } },
        "derived": { "split": { "from": "session", "values": { "s1": "train", "s2": "dev", "s3": "test" } } },
    });
    let corpus = scanned(json!({ "d": dataset }));
    // A word that stands in `values` is meant, though it is no emotion known here.
    assert_eq!(corpus.label_sets["emotion"], ["angry", "sleepy"]);
    let first = &items(&corpus)[0];
    assert_eq!(
        (first.groups[0].as_str(), first.split),
        ("d/session/one", Some(SplitName::Train))
    );
    let split = split_of(&corpus, json!({ "kind": "fixed", "from": "column" })).unwrap();
    assert_eq!(
        [&split[0].train, &split[0].validation, &split[0].test].map(Vec::len),
        [2; 3]
    );
}

#[test]
fn what_is_wrong_with_pattern_and_maps_is_told_before_any_file_is_read() {
    let with = |changes: Value| {
        let mut dataset = savee(Path::new("no/such"));
        for (field, value) in changes.as_object().unwrap() {
            dataset[field] = value.clone();
        }
        declare(&super::datasets(json!({ "s": dataset })), 16_000).unwrap_err()
    };
    for (changes, part) in [
        (
            json!({ "pattern": "(?P<speaker>" }),
            "`pattern` is no regular expression: ",
        ),
        (
            json!({ "pattern": "(?P<emotion>.)(?P<take>.)" }),
            "has no group `(?P<speaker>…)`",
        ),
        (json!({ "values": { "emotoin": {} } }), "did you mean `emotion`?"),
        (json!({ "labels": [] }), "`pattern` tells `take`, which nothing uses"),
        (
            json!({ "labels": ["take", "gender"] }),
            "`labels.1` is `gender`, which is a port already",
        ),
        (json!({ "labels": ["take", "taek"] }), "did you mean `take`?"),
        (
            json!({ "constant": { "gender": "mail" } }),
            "is `mail`, which is no gender; it is `female` or `male`",
        ),
        (
            json!({ "constant": { "emotion": "sad" } }),
            "`constant.emotion` tells `emotion`, which is told already",
        ),
        (
            json!({ "derived": { "gender": { "from": "speker", "values": {} } }, "constant": {} }),
            "did you mean `speaker`?",
        ),
    ] {
        let errors = with(changes.clone());
        check(&errors, ErrorClass::Invalid, &[part]);
    }
}

#[test]
fn codes_without_a_name_and_patterns_without_a_match_are_named_with_the_first_file() {
    let root = tree(&["DC_a01.wav", "DC_su01.wav", "DC_su02.wav", "DC_hh01.wav"]);
    let dataset = savee(root.path());
    let parts = [
        "what `hh` in the group `emotion` of `pattern` stands for; 1 files",
        "what `su` in the group `emotion`",
    ];
    refused(
        json!({ "s": dataset }),
        ScanLevel::Metadata,
        ErrorClass::Invalid,
        &parts,
    );
    let errors = emorun_data::scan(&super::datasets(json!({ "s": dataset })), ScanLevel::Metadata, None).unwrap_err();
    assert!(
        errors[1]
            .to_string()
            .contains("2 files have it, such as \"DC_su01.wav\""),
        "{}",
        errors[1]
    );
    assert!(
        errors[0].help().unwrap().contains("did you mean `h`?"),
        "{:?}",
        errors[0].help()
    );
    let mut plain = dataset.clone();
    plain["values"] = json!({});
    let parts = ["what `a` in", "what `hh` in", "what `su` in"];
    refused(json!({ "s": plain }), ScanLevel::Metadata, ErrorClass::Invalid, &parts);
    let mut none = dataset;
    none["pattern"] = json!(r"(?P<speaker>\d+)_(?P<emotion>x)(?P<take>\d)");
    let part = "`pattern` matches none of the 4 audio files in";
    refused(json!({ "s": none }), ScanLevel::Metadata, ErrorClass::Invalid, &[part]);
}

/// The documented examples, held against EmoBox's labels of the same files.
#[test]
fn the_examples_read_what_emobox_lists() {
    let Some(data) = super::emobox::published() else { return };
    let examples = include_str!("../../../../data/README.md");
    let mut read = 0;
    for corpus in ["savee", "tess", "emovo", "cafe"] {
        let start = format!("  {corpus}:\n    kind: files\n");
        let from = examples
            .find(&start)
            .unwrap_or_else(|| panic!("no example of {corpus}"));
        let block = &examples[from..];
        let pattern = block
            .lines()
            .find_map(|line| line.trim().strip_prefix("pattern: '"))
            .unwrap()
            .trim_end_matches('\'');
        let pattern = regex::Regex::new(pattern).unwrap();
        let map = block
            .lines()
            .find_map(|line| line.trim().strip_prefix("emotion: {"))
            .unwrap();
        let map: BTreeMap<&str, &str> = map
            .trim_end_matches('}')
            .split(',')
            .map(|pair| {
                pair.split_once(':')
                    .map(|(code, name)| (code.trim(), name.trim()))
                    .unwrap()
            })
            .collect();
        let folder = data.path().join("data").join(corpus);
        let labels: BTreeMap<String, String> = match std::fs::read_to_string(folder.join("label_map.json")) {
            Ok(text) => serde_json::from_str(&text).unwrap(),
            // EMOVO's is absent: its codes are Italian words.
            Err(_) => [
                ("neu", "Neutral"),
                ("dis", "Disgust"),
                ("gio", "Happy"),
                ("pau", "Fear"),
                ("rab", "Angry"),
                ("sor", "Surprise"),
                ("tri", "Sad"),
            ]
            .map(|(code, name)| (code.to_owned(), name.to_owned()))
            .into(),
        };
        for line in std::fs::read_to_string(folder.join(format!("{corpus}.jsonl")))
            .unwrap()
            .lines()
        {
            let row: Value = serde_json::from_str(line).unwrap();
            let path = row["wav"]
                .as_str()
                .unwrap()
                .strip_prefix(&format!("downloads/{corpus}/"))
                .unwrap();
            let groups = pattern.captures(path).unwrap_or_else(|| panic!("{path}"));
            let ours = map.get(&groups["emotion"]).unwrap_or_else(|| panic!("{path}"));
            let theirs = &labels[row["emo"].as_str().unwrap()];
            assert_eq!(emorun_data::canonical(ours), emorun_data::canonical(theirs), "{path}");
            assert!(!groups["speaker"].is_empty());
            read += 1;
        }
    }
    assert_eq!(read, 480 + 2800 + 588 + 936);
}
