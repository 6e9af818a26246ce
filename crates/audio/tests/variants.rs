//! A file of every kind that is read, against what libsndfile, scipy and ffmpeg make of it.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers count as no test"
)]

use std::path::{Path, PathBuf};

use emorun_audio::{Channel, Segment, check_file, each_block, load, load_channel, probe};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Names of the files with the number of their channels and their samples, frame by frame.
fn variants() -> Vec<(String, usize, Vec<f32>)> {
    let listed: Value = serde_json::from_slice(&std::fs::read(golden("variants.json")).unwrap()).unwrap();
    let bytes = std::fs::read(golden("variants.f32")).unwrap();
    let mut samples = bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    let listed = listed.as_array().unwrap().iter();
    let variants: Vec<_> = listed
        .map(|one| {
            let (frames, channels) = (one["frames"].as_u64().unwrap(), one["channels"].as_u64().unwrap());
            let own = samples.by_ref().take((frames * channels) as usize).collect();
            (one["name"].as_str().unwrap().to_owned(), channels as usize, own)
        })
        .collect();
    assert_eq!(samples.next(), None);
    variants
}

/// Largest difference that is allowed: of decoders that round in other places.
fn tolerance(name: &str) -> f32 {
    match name.rsplit_once('.') {
        Some((_, "mp3" | "ogg" | "m4a" | "aac")) => 3e-5,
        _ => 1e-7,
    }
}

#[test]
fn every_kind_of_file_has_the_samples_that_others_read() {
    let variants = variants();
    assert!(variants.len() > 100);
    for (name, channels, expected) in variants {
        let path = golden("variants").join(&name);
        let info = probe(&path).unwrap();
        assert_eq!(
            (info.rate_hz, usize::from(info.channels), info.remark),
            (16_000, channels, None),
            "{name}"
        );
        let mut found = Vec::new();
        each_block(&path, None, &mut |block| found.extend_from_slice(block)).unwrap();
        assert_eq!(found.len(), info.frames as usize * channels, "{name}");
        // libsndfile gives what fills the last block of ADPCM, too.
        let by_block = name.starts_with("ms_") || name.starts_with("ima_");
        assert!(
            found.len() == expected.len() || by_block && found.len() < expected.len(),
            "{name}: {} and {}",
            found.len(),
            expected.len()
        );
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance(&name),
                "{name}: sample {at} is {found}, not {expected}"
            );
        }
        check_file(&path, None, 0.0).unwrap();
        // What is heard of it is the mean, or one of its channels.
        let mix = load(&path, 16_000, None).unwrap().samples;
        let last = Channel::Number(channels as u16 - 1);
        let last = load_channel(&path, 16_000, None, last).unwrap().samples;
        for ((frame, mix), last) in found.chunks_exact(channels).zip(mix).zip(last) {
            let mean = frame.iter().sum::<f32>() / channels as f32;
            assert!((mix - mean).abs() < 1e-6 && last == frame[channels - 1], "{name}");
        }
    }
}

#[test]
fn a_part_is_that_stretch_of_the_whole_in_every_kind_of_file() {
    for (name, ..) in variants() {
        let path = golden("variants").join(&name);
        let whole = load(&path, 16_000, None).unwrap().samples;
        let (first, last) = (whole.len() / 3, whole.len() - whole.len() / 5);
        let part = Segment {
            start_s: first as f64 / 16_000.0,
            end_s: last as f64 / 16_000.0,
        };
        let part = load(&path, 16_000, Some(part)).unwrap().samples;
        assert_eq!(part.len(), last - first, "{name}");
        for (at, (part, whole)) in part.iter().zip(&whole[first..last]).enumerate() {
            assert!((part - whole).abs() <= 1e-6, "{name}: {at}");
        }
    }
}

#[test]
fn a_file_is_what_it_holds_and_not_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("speech.wav");
    for kind in [
        "mp3_mono.mp3",
        "vorbis_mono.ogg",
        "aac_mono.m4a",
        "aiff_pcm_16_stereo.aiff",
        "flac_mono.oga",
    ] {
        std::fs::copy(golden("variants").join(kind), &path).unwrap();
        let own = load(&golden("variants").join(kind), 16_000, None).unwrap();
        assert_eq!(load(&path, 16_000, None).unwrap(), own, "{kind}");
    }
    for (content, expected) in [
        (&b"#!AMR\n\x3c\x54"[..], "speech.wav: is AMR (it starts with"),
        (b"NIST_1A\n   1024\nsample_count", "speech.wav: is NIST SPHERE"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01", "speech.wav: is Matroska or WebM"),
        (b"<!DOCTYPE html><html>404</html>", "speech.wav: is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "speech.wav: is a pointer of Git LFS",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let message = load(&path, 16_000, None).unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.contains("ffmpeg -i FILE FILE.flac"),
            "{message}"
        );
    }
}

#[test]
fn coded_files_that_break_off_are_errors_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let variants = golden("variants");
    for (kind, expected) in [
        ("mp3_mono.mp3", "is truncated"),
        ("vorbis_mono.ogg", "ends too early"),
        ("aac_mono.m4a", "is truncated"),
        ("flac_mono.oga", "ends too early"),
        ("aiff_pcm_24_stereo.aiff", "is truncated"),
        ("caf_float_stereo.caf", "no data chunk"),
    ] {
        let content = std::fs::read(variants.join(kind)).unwrap();
        let path = folder.path().join(kind);
        std::fs::write(&path, &content[..content.len() * 2 / 3]).unwrap();
        let message = probe(&path).unwrap_err().to_string();
        assert!(message.contains(kind) && message.contains(expected), "{message}");
    }
    // A page that was damaged is not passed over.
    let mut content = std::fs::read(variants.join("flac_mono.oga")).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x55;
    let path = folder.path().join("damaged.oga");
    std::fs::write(&path, &content).unwrap();
    assert!(check_file(&path, None, 0.0).is_err());
}
