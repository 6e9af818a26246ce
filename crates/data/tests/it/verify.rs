//! `verify` and `stats` on generated trees and on real speech.

use super::real::real;
use super::{scanned, text};
use emorun_data::corpora::cremad::write_cremad;
use emorun_data::corpora::emodb::write_emodb;
use emorun_data::corpora::esd::{EsdLayout, write_esd};
use emorun_data::corpora::iemocap::{IemocapLabels, write_iemocap};
use emorun_data::corpora::librispeech::write_librispeech;
use emorun_data::corpora::musan::{MUSAN, write_musan};
use emorun_data::corpora::ravdess::write_ravdess;
use emorun_data::fixtures::{FIXTURE_S, write_manifest};
use emorun_data::stats::stats;
use emorun_data::{DatasetConfig, ErrorClass, PartReport, Verification, verify, verify_noise};
use serde_json::json;
use std::fs;
use std::path::Path;

fn verified(kind: &str, root: &Path) -> Verification {
    let config = DatasetConfig::whole(kind, root).unwrap();
    verify(kind, &config, false).unwrap_or_else(|errors| panic!("{}", text(&errors)))
}

fn count(part: &PartReport, value: &str) -> (usize, usize) {
    let found = part.counts.iter().find(|count| count.value == value);
    found.map_or_else(|| panic!("no {value}"), |count| (count.found, count.expected))
}

#[test]
fn a_whole_ravdess_is_complete_and_each_loss_is_named() {
    let root = tempfile::tempdir().unwrap();
    let actors: Vec<u32> = (1..=24).collect();
    write_ravdess(root.path(), &actors, 0.06).unwrap();
    let report = verified("ravdess", root.path());
    assert!(report.complete, "{}", report.to_text());
    assert_eq!((report.parts[0].found, report.parts[1].absent), (1440, true));
    assert!(report.to_text().contains("song: not here (1012 files published)"));

    let file = |name: &str| root.path().join(name);
    fs::remove_file(file("Actor_03/03-01-05-02-01-02-03.wav")).unwrap();
    fs::remove_dir_all(file("Actor_12")).unwrap();
    // A copy in a folder below, a second recording of a name, a name of nobody and one that is no audio.
    fs::create_dir(file("copy")).unwrap();
    fs::copy(
        file("Actor_01/03-01-01-01-01-01-01.wav"),
        file("copy/03-01-01-01-01-01-01.wav"),
    )
    .unwrap();
    fs::copy(
        file("Actor_01/03-01-01-01-01-02-01.wav"),
        file("copy/03-01-01-01-02-01-01.wav"),
    )
    .unwrap();
    fs::write(file("Actor_01/notes.wav"), "x").unwrap();
    fs::write(file("Actor_02/03-01-01-01-01-01-02.wav"), "this is text").unwrap();
    let report = verified("ravdess", root.path());
    let speech = &report.parts[0];
    assert!(!report.complete);
    assert_eq!(
        (count(speech, "12"), count(speech, "03"), count(speech, "angry")),
        ((0, 60), (59, 60), (183, 192))
    );
    assert_eq!(speech.missing.len(), 62);
    assert_eq!(speech.extra, ["copy/03-01-01-01-02-01-01.wav"]);
    assert_eq!((report.copies.len(), report.contradictions.len()), (1, 1));
    assert_eq!(report.copies[0].kept, "Actor_01/03-01-01-01-01-01-01.wav");
    assert_eq!((report.unknown.len(), report.unusable.len()), (1, 1));
    let words = report.to_text();
    for part in [
        "missing speakers: 12\n",
        "23 of 24 speakers",
        "speaker 03: 59 of 60",
        "03-01-05-02-01-02-03",
        "NOT COMPLETE",
        "notes.wav",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(
        !words.contains("03-01-05-02-01-02-12"),
        "files of a missing speaker are not listed: {words}"
    );
    let problem = report.problem().unwrap();
    assert!(
        problem.starts_with("dataset `ravdess`: 62 of 1440 speech files are missing; 1 of 1440"),
        "{problem}"
    );
}

#[test]
fn what_an_experiment_leaves_out_is_verified_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    write_emodb(root.path(), &["03"], FIXTURE_S).unwrap();
    let config =
        json!({ "kind": "emodb", "root": root.path(), "emotions": ["happy", "sad"], "mapping": { "bored": null } });
    let report = verify("speech", &serde_json::from_value(config).unwrap(), true).unwrap();
    // The generated tree has every text in every emotion, the corpus has not.
    assert_eq!((report.found, report.parts[0].expected), (70, 535));
    assert_eq!(count(&report.parts[0], "happy").0, 10);
    let extra = report.parts[0].extra.len();
    assert_eq!(report.parts[0].missing.len(), 535 - (70 - extra));
    assert!(report.parts[0].missing.contains(&"16b10Wb".to_owned()));
}

#[test]
fn other_corpora_are_held_against_their_counts() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    write_cremad(&at("c"), &[1001, 1008], FIXTURE_S).unwrap();
    let report = verified("cremad", &at("c"));
    // The corpus lacks one sentence of actor 1008, which the generated tree has.
    assert_eq!(
        (report.found, report.parts[0].extra.len(), report.parts[0].missing.len()),
        (164, 6, 7442 - 158)
    );
    write_iemocap(&at("i"), &[1, 2], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let report = verified("iemocap", &at("i"));
    assert_eq!(
        (count(&report.parts[0], "excited"), count(&report.parts[0], "none")),
        ((8, 1041), (8, 2507))
    );
    assert_eq!(
        (count(&report.parts[0], "2"), count(&report.parts[0], "3")),
        ((44, 1811), (0, 2136))
    );
    assert!(report.to_text().contains("session 3"));
    write_esd(&at("e"), &[11, 12], 2, EsdLayout::Sides, FIXTURE_S).unwrap();
    let report = verified("esd", &at("e"));
    assert_eq!((report.parts[0].found, report.parts[1].absent), (20, true));
    assert!(
        report.to_text().contains("missing speakers: 0013 0014"),
        "{}",
        report.to_text()
    );
    write_librispeech(&at("l"), FIXTURE_S).unwrap();
    let report = verified("librispeech", &at("l"));
    assert_eq!(report.parts.len(), 7);
    assert!(
        report.to_text().contains("test-clean: 6 of 2620 files"),
        "{}",
        report.to_text()
    );
    write_musan(&at("m"), 2, FIXTURE_S).unwrap();
    fs::create_dir(at("m/other")).unwrap();
    fs::copy(at("m/noise/free-sound/noise-free-sound-0000.wav"), at("m/other/x.wav")).unwrap();
    let report = verify_noise(&MUSAN, &at("m"), false).unwrap();
    assert_eq!(
        (report.parts[1].found, report.parts[1].expected, report.unknown.len()),
        (2, 930, 1)
    );
}

#[test]
fn a_table_is_verified_by_the_files_that_it_lists() {
    let root = tempfile::tempdir().unwrap();
    let lines = [
        "path,speaker,emotion,start,end",
        "a.wav,1,happy,,",
        "b.wav,2,sad,0,0.06",
        "b.wav,2,sad,0.05,0.1",
    ];
    write_manifest(root.path(), &lines, FIXTURE_S).unwrap();
    let table = root.path().join("manifest.csv");
    let report = verified("manifest", &table);
    assert!(
        report.complete && report.found == 3 && report.parts.is_empty(),
        "{}",
        report.to_text()
    );
    fs::remove_file(root.path().join("a.wav")).unwrap();
    let report = verified("manifest", &table);
    assert_eq!((report.complete, report.unusable.len()), (false, 1));
    assert!(report.problem().unwrap().contains("1 files cannot be used"));
    assert!(verified("synthetic", Path::new("")).complete);
    assert!(DatasetConfig::whole("no_such_kind", root.path()).is_none());
    let errors = verify(
        "r",
        &DatasetConfig::whole("ravdess", &root.path().join("none")).unwrap(),
        false,
    )
    .unwrap_err();
    super::check(&errors, ErrorClass::Data, &["does not exist"]);
}

#[test]
fn real_corpora_are_what_they_should_be() {
    if let Some(root) = real("emodb") {
        let report = verified("emodb", &root);
        assert!(report.complete, "{}", report.to_text());
    }
    if let Some(root) = real("ravdess") {
        let report = verified("ravdess", &root);
        let speech = &report.parts[0];
        let absent: Vec<&str> = speech
            .counts
            .iter()
            .filter(|count| count.column == "speaker" && count.found == 0)
            .map(|count| count.value.as_str())
            .collect();
        assert_eq!(speech.found, 480, "{}", report.to_text());
        assert_eq!(
            absent,
            [
                "02", "03", "05", "06", "07", "08", "09", "13", "15", "16", "17", "18", "19", "22", "23", "24"
            ]
        );
        assert_eq!(
            (speech.missing.len(), speech.extra.len(), report.unusable.len()),
            (960, 0, 0)
        );
    }
}

#[test]
fn stats_count_classes_speakers_and_loudness() {
    let root = tempfile::tempdir().unwrap();
    write_ravdess(&root.path().join("r"), &[1, 2], 0.5).unwrap();
    write_iemocap(&root.path().join("i"), &[1], IemocapLabels::Dialogue, FIXTURE_S).unwrap();
    let corpus = scanned(json!({
        "r<b>": { "kind": "ravdess", "root": root.path().join("r") },
        "i": { "kind": "iemocap", "root": root.path().join("i"), "protocol": "all" },
    }));
    let stats = stats(&corpus, true).unwrap();
    let (ravdess, iemocap) = (&stats.datasets[0], &stats.datasets[1]);
    assert_eq!((ravdess.items, ravdess.speakers, ravdess.texts), (120, 2, 120));
    assert!((ravdess.hours * 3600.0 - 60.0).abs() < 1e-6);
    assert_eq!(ravdess.classes["intensity"]["strong"], 56);
    assert!(
        !ravdess.classes.contains_key("style"),
        "what only the other corpus tells is not listed"
    );
    let row = &ravdess.table[1];
    assert_eq!(
        (
            row.speaker.as_str(),
            row.gender.as_str(),
            row.classes["neutral"],
            row.items
        ),
        ("02", "female", 4, 60)
    );
    assert_eq!((ravdess.unmeasured, ravdess.loudness.as_ref().unwrap().count), (0, 120));
    // Too short for a block of 0.4 s.
    assert_eq!((iemocap.unmeasured, iemocap.loudness.is_none()), (44, true));
    assert_eq!((iemocap.soft_labels, iemocap.values["valence"].count), (44, 44));
    assert_eq!(iemocap.classes["emotion"]["–"], 4);
    let words = stats.to_text();
    for part in [
        "r<b> (ravdess)",
        "120 utterances of 2 speakers",
        "speaker  gender",
        "loudness in LUFS",
        "arousal: mean",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let page = stats.to_html();
    for part in ["r&lt;b&gt;", "<svg", "Emotions by gender", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["<script", "href=", "src=", "r<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    fs::write(root.path().join("r/Actor_01/03-01-01-01-01-01-01.wav"), "gone bad").unwrap();
    let errors = emorun_data::stats::stats(&corpus, true).unwrap_err();
    super::check(&errors, ErrorClass::Data, &["03-01-01-01-01-01-01.wav"]);
    assert!(emorun_data::stats::stats(&corpus, false).is_ok());
}
