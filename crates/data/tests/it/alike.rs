//! Recordings that are one although their files differ: to the sample, or to the ear.

use super::{datasets, items, refused};
use emorun_audio::synthetic::{SyntheticEmotion, VoiceSpec, synthesise};
use emorun_audio::{Clip, resample, write_flac, write_wav};
use emorun_data::{Corpus, ErrorClass, ScanLevel, scan};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const RATE_HZ: u32 = 16_000;

/// A second and a half of speech; another sentence for another number.
fn voice(sentence: u32) -> Vec<f32> {
    let spec = VoiceSpec {
        speaker: 1,
        gender: emorun_audio::synthetic::Gender::Female,
        emotion: SyntheticEmotion::ALL[0],
        sentence,
        take: 0,
        seed: 3,
        rate_hz: RATE_HZ,
        overlap: 1.0,
    };
    let mut samples = synthesise(&spec).samples;
    samples.truncate(24_000);
    samples
}

fn write(path: &Path, samples: &[f32], rate_hz: u32) {
    let samples = samples.to_vec();
    write_wav(path, &Clip { samples, rate_hz }).unwrap();
}

/// Writes the table of these files, each with its speaker.
fn table(root: &Path, rows: &[(&str, u32)]) -> Value {
    let rows: Vec<String> = rows.iter().map(|(path, speaker)| format!("{path},{speaker}")).collect();
    fs::write(root.join("m.csv"), format!("path,speaker\n{}\n", rows.join("\n"))).unwrap();
    json!({ "m": { "kind": "manifest", "path": root.join("m.csv") } })
}

fn deep(config: &Value) -> Corpus {
    scan(&datasets(config.clone()), ScanLevel::Deep, None).unwrap()
}

#[test]
fn the_same_samples_in_another_container_are_the_same_recording() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    write(&at("own.wav"), &voice(1), RATE_HZ);
    write(&at("other.wav"), &voice(2), RATE_HZ);
    let pcm: Vec<i16> = hound::WavReader::open(at("own.wav"))
        .unwrap()
        .samples::<i16>()
        .map(Result::unwrap)
        .collect();
    let spec = |channels: u16, bits: u16| hound::WavSpec {
        channels,
        sample_rate: RATE_HZ,
        bits_per_sample: bits,
        sample_format: hound::SampleFormat::Int,
    };
    // 24 bits of which the last eight are 0, two channels that are one, a tag before the samples, FLAC.
    let mut wide = hound::WavWriter::create(at("wide.wav"), spec(1, 24)).unwrap();
    pcm.iter().for_each(|x| wide.write_sample(i32::from(*x) << 8).unwrap());
    wide.finalize().unwrap();
    let mut two = hound::WavWriter::create(at("two.wav"), spec(2, 16)).unwrap();
    pcm.iter()
        .for_each(|x| [0, 1].iter().for_each(|_| two.write_sample(*x).unwrap()));
    two.finalize().unwrap();
    let mut tagged = fs::read(at("own.wav")).unwrap();
    tagged.splice(12..12, *b"LIST\x0c\0\0\0INFOISFT\0\0\0\0");
    let size = tagged.len() as u32 - 8;
    tagged[4..8].copy_from_slice(&size.to_le_bytes());
    fs::write(at("tagged.wav"), tagged).unwrap();
    let samples = pcm.iter().map(|x| f32::from(*x) / 32_768.0).collect();
    let clip = Clip {
        samples,
        rate_hz: RATE_HZ,
    };
    write_flac(&at("coded.flac"), &clip).unwrap();
    for copy in ["wide.wav", "two.wav", "tagged.wav", "coded.flac"] {
        let config = table(root.path(), &[("own.wav", 1), ("other.wav", 2), (copy, 3)]);
        refused(
            config,
            ScanLevel::Deep,
            ErrorClass::Data,
            &["is the same audio as \"own.wav\", but its speaker is `3` and not `1`"],
        );
        let same = deep(&table(root.path(), &[("own.wav", 1), ("other.wav", 2), (copy, 1)]));
        assert_eq!((same.items.len(), same.duplicates.len()), (2, 1), "{copy}");
        assert_eq!(same.alike, Vec::<Vec<usize>>::new());
    }
}

#[test]
fn what_sounds_like_one_recording_is_remarked_on_where_it_parts_speakers_or_sides() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let own = voice(1);
    write(&at("own.wav"), &own, RATE_HZ);
    write(&at("other.wav"), &voice(2), RATE_HZ);
    write(&at("third.wav"), &voice(3), RATE_HZ);
    write(&at("later.wav"), &[vec![0.0; 160], own.clone()].concat(), RATE_HZ);
    let quiet: Vec<f32> = own.iter().map(|x| 0.2 * x).collect();
    write(&at("quiet.wav"), &quiet, RATE_HZ);
    write(&at("fast.wav"), &resample(&own, RATE_HZ, 44_100).unwrap(), 44_100);
    for copy in ["later.wav", "quiet.wav", "fast.wav"] {
        let config = table(
            root.path(),
            &[("own.wav", 1), ("other.wav", 2), ("third.wav", 3), (copy, 4)],
        );
        let corpus = deep(&config);
        assert_eq!(corpus.alike, [[0, 3]], "{copy}");
        assert!(
            corpus.warnings[0].starts_with("1 recording sounds like one of another speaker")
                && corpus.warnings[0].contains(&format!("`m/own.wav` of `m/1` and `m/{copy}` of `m/4`")),
            "{:?}",
            corpus.warnings
        );
        let lists = json!({ "kind": "fixed", "train": [1, 2], "test": [3, 4] });
        let assignment = &emorun_data::split(&corpus, &serde_json::from_value(lists).unwrap(), &[], 1).unwrap()[0];
        assert_eq!(
            assignment.warnings,
            [format!(
                "`m/own.wav` and `m/{copy}` sound like one recording and are on more than one side (train, test)"
            )]
        );
        assert_eq!(assignment.certificate.alike.len(), 1);
        assert!(assignment.certificate.claims()[1].starts_with("1 recording sounds like one on another side"));
        let together = json!({ "kind": "fixed", "train": [1, 4], "test": [3, 2] });
        let assignment = &emorun_data::split(&corpus, &serde_json::from_value(together).unwrap(), &[], 1).unwrap()[0];
        assert!(assignment.warnings.is_empty() && assignment.certificate.alike.is_empty());
        // Of one speaker it is no matter: a split keeps them together.
        let one = deep(&table(
            root.path(),
            &[("own.wav", 1), ("other.wav", 2), ("third.wav", 3), (copy, 1)],
        ));
        assert_eq!((one.alike.len(), one.warnings.len()), (1, 0));
    }
    // What is remembered is listened to again.
    let config = table(
        root.path(),
        &[("own.wav", 1), ("other.wav", 2), ("third.wav", 3), ("later.wav", 4)],
    );
    let memory = root.path().join("cache/scanned.json");
    let with_memory = || scan(&datasets(config.clone()), ScanLevel::Deep, Some(&memory)).unwrap();
    let first = with_memory();
    let remembered = fs::read_to_string(&memory).unwrap();
    let second = with_memory();
    assert_eq!((&first.alike, &first.warnings), (&second.alike, &second.warnings));
    assert_eq!(items(&first), items(&second));
    assert_eq!(fs::read_to_string(&memory).unwrap(), remembered);
}

#[test]
fn digital_silence_is_remarked_on() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("a.wav"), &voice(1), RATE_HZ);
    write(&root.path().join("b.wav"), &[0.0; 16_000], RATE_HZ);
    let config = table(root.path(), &[("a.wav", 1), ("b.wav", 2)]);
    let corpus = deep(&config);
    assert_eq!(
        corpus.warnings,
        ["dataset `m`: 1 item is digital silence, every sample 0: `m/b.wav`"]
    );
    let memory = root.path().join("cache/scanned.json");
    for _ in 0..2 {
        let again = scan(&datasets(config.clone()), ScanLevel::Deep, Some(&memory)).unwrap();
        assert_eq!(again.warnings, corpus.warnings);
    }
}
