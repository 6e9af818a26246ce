//! Speakers whom several datasets call alike: one person where they read the same files, and a remark elsewhere.

use super::{scanned, text};
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::{Corpus, ScanLevel, scan};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const SPEAKERS: [&str; 3] = ["03", "08", "09"];

fn emodb(root: &Path, letter: &str) -> Value {
    let pattern = format!(r"(?P<speaker>\d\d)\w\d\d(?P<emotion>{letter})\w\.wav$");
    json!({ "kind": "files", "root": root, "pattern": pattern, "values": { "emotion": { letter: "happy" } } })
}

fn with(mut dataset: Value, people: &str) -> Value {
    dataset["people"] = people.into();
    dataset
}

fn remarks<'a>(corpus: &'a Corpus, part: &str) -> Vec<&'a String> {
    let warnings = corpus.warnings.iter();
    warnings.filter(|warning| warning.contains(part)).collect()
}

#[test]
fn who_reads_the_same_root_hears_the_same_people() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("emodb");
    write_emodb(&root, &SPEAKERS, FIXTURE_S).unwrap();
    let named = json!({ "kind": "emodb", "root": root, "emotions": ["neutral", "angry"] });
    let wav = if root.join("wav").is_dir() {
        root.join("wav")
    } else {
        root.clone()
    };
    let table = folder.path().join("m.csv");
    let happy: Vec<String> = fs::read_dir(&wav)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .map(|path| (path.rsplit('/').next().unwrap().to_owned(), path))
        .filter(|(name, _)| name.contains('F'))
        .map(|(name, path)| {
            // Whoever writes tables from programs loses zeros.
            format!("{path},{},happy\n", name[..2].trim_start_matches('0'))
        })
        .collect();
    fs::write(&table, format!("path,speaker,emotion\n{}", happy.concat())).unwrap();
    let table = json!({ "kind": "manifest", "path": table });
    let known = SPEAKERS.map(|id| format!("emodb/{id}"));
    let own = SPEAKERS.map(|id| format!("a/{id}"));
    for (case, one, other, expected) in [
        ("files of one root", emodb(&root, "N"), emodb(&root, "F"), &own),
        ("one root below the other", emodb(&root, "N"), emodb(&wav, "F"), &own),
        ("a corpus and files", named.clone(), emodb(&root, "F"), &known),
        ("files and a corpus", emodb(&root, "F"), named.clone(), &known),
        (
            "a corpus and a table of its files",
            named.clone(),
            table.clone(),
            &known,
        ),
        ("files and a table", emodb(&root, "N"), table.clone(), &own),
    ] {
        let people = expected[0].split('/').next().unwrap();
        let corpus = scanned(json!({ "a": one, "b": other }));
        let mut speakers: Vec<String> = corpus.speakers().iter().map(|name| name.replace("/3", "/03")).collect();
        speakers.sort();
        speakers = speakers
            .iter()
            .map(|name| name.replace("/8", "/08").replace("/9", "/09"))
            .collect();
        assert_eq!(speakers, *expected, "{case}");
        assert_eq!(
            remarks(&corpus, "are of the same people").len(),
            1,
            "{case}: {:?}",
            corpus.warnings
        );
        assert!(remarks(&corpus, "different people").is_empty(), "{case}");
        assert!(corpus.datasets.values().all(|facts| facts.people == people), "{case}");
        // The file has the last word.
        let apart = scanned(json!({ "a": one, "b": with(other, "others") }));
        assert_eq!(apart.speakers().len(), 6, "{case}");
        assert!(remarks(&apart, "people").is_empty(), "{case}: {:?}", apart.warnings);
    }
}

#[test]
fn people_called_alike_elsewhere_are_remarked_on_once_a_dataset_does_not_say_whose_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    write_emodb(&place("emodb"), &SPEAKERS, FIXTURE_S).unwrap();
    write_emodb(&place("copy"), &["03", "10"], FIXTURE_S / 2.0).unwrap();
    write_ravdess(&place("ravdess"), &[3, 8], FIXTURE_S).unwrap();
    write_manifest(&place("m"), &["path,speaker", "x.wav,3", "y.wav,77"], FIXTURE_S * 2.0).unwrap();
    let corpora = |first: Value, second: Value| {
        let config = serde_json::from_value(json!({ "a": first, "b": second })).unwrap();
        scan(&config, ScanLevel::Metadata, None).unwrap_or_else(|errors| panic!("{}", text(&errors)))
    };
    let named = || json!({ "kind": "emodb", "root": place("emodb") });
    let table = || json!({ "kind": "manifest", "path": place("m/manifest.csv") });
    let said = |first, second| {
        let corpus = corpora(first, second);
        remarks(&corpus, "different people")
            .into_iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    for (first, second, remedy) in [
        (
            emodb(&place("emodb"), "N"),
            emodb(&place("copy"), "F"),
            "give both the same `people: NAME`",
        ),
        (emodb(&place("copy"), "F"), table(), "give both the same `people: NAME`"),
        (named(), emodb(&place("copy"), "F"), "give `b` `people: emodb`"),
        (table(), named(), "give `a` `people: emodb`"),
    ] {
        let remarks = said(first.clone(), second.clone());
        assert_eq!(remarks.len(), 1, "{first} {second}");
        let start = "datasets `a` and `b` name 1 speaker alike, who are taken for different people";
        assert!(
            remarks[0].starts_with(start) && remarks[0].contains(remedy),
            "{}",
            remarks[0]
        );
        for (first, second) in [(with(first.clone(), "x"), second.clone()), (first, with(second, "x"))] {
            assert!(said(first, second).is_empty());
        }
    }
    // Corpora that are known to be different ones need no word.
    let ravdess = json!({ "kind": "ravdess", "root": place("ravdess") });
    assert!(said(ravdess, named()).is_empty());
}
