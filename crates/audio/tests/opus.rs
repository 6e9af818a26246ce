//! Ogg Opus in every mode of the codec, against what libopus makes of it.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers count as no test"
)]

use std::path::{Path, PathBuf};

use emorun_audio::{Segment, check_file, each_block, load, probe};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Files with the number of their channels and the samples that libopus gives for them.
fn files() -> Vec<(PathBuf, usize, Vec<f32>)> {
    let listed: Value = serde_json::from_slice(&std::fs::read(golden("opus.json")).unwrap()).unwrap();
    let bytes = std::fs::read(golden("opus.f32")).unwrap();
    let mut samples = bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    let listed = listed.as_array().unwrap().iter();
    let files: Vec<_> = listed
        .map(|one| {
            let (frames, channels) = (one["frames"].as_u64().unwrap(), one["channels"].as_u64().unwrap());
            let own = samples.by_ref().take((frames * channels) as usize).collect();
            let path = golden("opus").join(one["name"].as_str().unwrap());
            (path, channels as usize, own)
        })
        .collect();
    assert_eq!(samples.next(), None);
    assert_eq!(files.len(), 7);
    files
}

#[test]
fn opus_has_the_samples_and_the_length_that_libopus_gives() {
    for (path, channels, expected) in files() {
        let info = probe(&path).unwrap();
        assert_eq!(info.format.to_string(), "Ogg, Opus");
        let (rate_hz, frames) = (info.rate_hz, info.frames as usize);
        assert_eq!(
            (rate_hz, usize::from(info.channels), frames * channels),
            (48_000, channels, expected.len())
        );
        let mut found = Vec::new();
        each_block(&path, None, &mut |block| found.extend_from_slice(block)).unwrap();
        assert_eq!(found.len(), expected.len(), "{}", path.display());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let path = path.display();
            assert!(
                (found - expected).abs() < 2e-6,
                "{path}: sample {at} is {found}, not {expected}"
            );
        }
        check_file(&path, None, 0.05).unwrap();
    }
}

#[test]
fn a_part_of_opus_has_the_samples_of_the_whole() {
    for (path, ..) in files() {
        let whole = load(&path, 48_000, None).unwrap().samples;
        for (first, last) in [(0, 100), (1, 7001), (3000, 3001), (5555, 6999)] {
            let part = Segment {
                start_s: first as f64 / 48_000.0,
                end_s: last as f64 / 48_000.0,
            };
            let part = load(&path, 48_000, Some(part)).unwrap().samples;
            assert!(part == whole[first..last], "{}: {first} to {last}", path.display());
        }
    }
}

#[test]
fn opus_that_is_damaged_or_of_more_channels_is_an_error_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.opus");
    let content = std::fs::read(golden("opus/celt_stereo.opus")).unwrap();
    // Broken off within its last page, and a byte of a page that is another.
    let mut other = content.clone();
    other[content.len() / 2] ^= 0x55;
    for content in [&content[..content.len() * 2 / 3], &other] {
        std::fs::write(&path, content).unwrap();
        assert!(check_file(&path, None, 0.0).is_err());
        let message = load(&path, 16_000, None).unwrap_err().to_string();
        assert!(message.contains("damaged.opus: "), "{message}");
    }
    let message = probe(&golden("opus_surround.opus")).unwrap_err().to_string();
    let expected =
        "opus_surround.opus: is Ogg that holds Opus that is neither mono nor stereo; convert it with `ffmpeg";
    assert!(message.contains(expected), "{message}");
}
