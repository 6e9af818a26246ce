//! The decoders against files by libsndfile, the log-mel spectrogram against torchaudio, loudness
//! against pyloudnorm.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers count as no test"
)]

use std::path::{Path, PathBuf};

use emorun_audio::{
    AudioFormat, LogMel, LogMelConfig, LogScale, MelNorm, MelScale, PadMode, Segment, WavEncoding, integrated_loudness,
    load, probe,
};
use serde_json::Value;

const RATE_HZ: u32 = 16_000;
const FRAMES: u64 = 400;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The channel average of what `make_files.py` wrote, before rounding to the file's depth.
fn written(channels: u32, frame: u64) -> f32 {
    let sum: i64 = (0..i64::from(channels))
        .map(|channel| (frame as i64 * 7919 + channel * 12_345) % 65_536 - 32_768)
        .sum();
    sum as f32 / channels as f32 / 32_768.0
}

#[test]
fn every_encoding_decodes_to_what_libsndfile_wrote() {
    let exact = 1e-6;
    // libsndfile keeps the upper eight bits.
    let eight_bits = 1.0 / 128.0;
    let cases = [
        ("unsigned8.wav", 1, AudioFormat::Wav(WavEncoding::Unsigned8), eight_bits),
        ("signed16.wav", 1, AudioFormat::Wav(WavEncoding::Signed16), exact),
        ("signed16_stereo.wav", 2, AudioFormat::Wav(WavEncoding::Signed16), exact),
        ("signed24.wav", 1, AudioFormat::Wav(WavEncoding::Signed24), exact),
        ("signed32.wav", 1, AudioFormat::Wav(WavEncoding::Signed32), exact),
        ("float32.wav", 1, AudioFormat::Wav(WavEncoding::Float32), exact),
        ("extensible16.wav", 3, AudioFormat::Wav(WavEncoding::Signed16), exact),
        ("extensible24.wav", 1, AudioFormat::Wav(WavEncoding::Signed24), exact),
        ("extensible_float.wav", 1, AudioFormat::Wav(WavEncoding::Float32), exact),
        ("signed8.flac", 1, AudioFormat::Flac { bits: 8 }, eight_bits),
        ("signed16.flac", 1, AudioFormat::Flac { bits: 16 }, exact),
        ("signed24_stereo.flac", 2, AudioFormat::Flac { bits: 24 }, exact),
    ];
    for (name, channels, format, tolerance) in cases {
        let info = probe(&golden(name)).unwrap();
        assert_eq!(
            (info.rate_hz, u32::from(info.channels), info.frames, info.format),
            (RATE_HZ, channels, FRAMES, format),
            "{name}"
        );
        let clip = load(&golden(name), RATE_HZ, None).unwrap();
        assert_eq!(clip.samples.len() as u64, FRAMES, "{name}");
        for (frame, &sample) in (0..).zip(&clip.samples) {
            let expected = written(channels, frame);
            assert!(
                (sample - expected).abs() <= tolerance,
                "{name}: frame {frame} is {sample}, not {expected}"
            );
        }
    }
}

#[test]
fn a_segment_is_that_stretch_of_the_whole() {
    for name in ["signed16_stereo.wav", "signed24.wav", "signed24_stereo.flac"] {
        let whole = load(&golden(name), RATE_HZ, None).unwrap().samples;
        let segment = Segment {
            start_s: 100.0 / 16_000.0,
            end_s: 250.4 / 16_000.0,
        };
        let part = load(&golden(name), RATE_HZ, Some(segment)).unwrap().samples;
        assert_eq!(part, whole[100..250], "{name}");
    }
}

fn floats(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(golden(name)).unwrap();
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty(), "{name}");
    values.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

fn config(case: &Value) -> LogMelConfig {
    let number = |key: &str| case[key].as_f64();
    let size = |key: &str| case[key].as_u64().unwrap() as usize;
    let log = match case["log"].as_str().unwrap() {
        "natural" => LogScale::Natural,
        "db" => LogScale::Db,
        _ => LogScale::None,
    };
    let db = log == LogScale::Db;
    LogMelConfig {
        sample_rate_hz: RATE_HZ,
        n_fft: size("n_fft"),
        win_length: size("win_length"),
        hop_length: size("hop_length"),
        n_mels: size("n_mels"),
        f_min_hz: number("f_min").unwrap() as f32,
        f_max_hz: number("f_max").map(|hz| hz as f32),
        mel_scale: serde_json::from_value::<MelScale>(case["mel_scale"].clone()).unwrap(),
        norm: serde_json::from_value::<Option<MelNorm>>(case["norm"].clone()).unwrap(),
        power: number("power").unwrap() as f32,
        log,
        log_offset: if db { 0.0 } else { 1e-6 },
        log_floor: if db { 1e-10 } else { 0.0 },
        center: case["center"].as_bool().unwrap(),
        pad_mode: serde_json::from_value::<PadMode>(case["pad_mode"].clone()).unwrap(),
    }
}

#[test]
fn log_mel_spectrograms_equal_those_of_torchaudio() {
    let signal = floats("log_mel_signal.f32");
    let text = std::fs::read_to_string(golden("log_mel.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let log_mel = LogMel::new(config(case)).unwrap();
        assert_eq!(
            log_mel.frames(signal.len()) as u64,
            case["frames"].as_u64().unwrap(),
            "{name}"
        );
        // Back to energies, so that the bound is a relative error of them on every scale.
        let log = log_mel.config().log;
        let energy = |value: f32| match log {
            LogScale::None => f64::from(value),
            LogScale::Natural => f64::from(value).exp(),
            LogScale::Db => 10_f64.powf(f64::from(value) / 10.0),
        };
        let computed = log_mel.compute(&signal);
        let expected = floats(&format!("log_mel_{name}.f32"));
        assert_eq!(computed.len(), expected.len(), "{name}");
        let worst = computed
            .iter()
            .zip(&expected)
            .map(|(&a, &b)| (energy(a) / energy(b) - 1.0).abs())
            .fold(0.0, f64::max);
        println!("{name}: largest relative error {worst:.1e}");
        assert!(worst <= 1e-4, "{name}: relative error {worst:.1e}");
    }
}

/// What `make_loudness.py` measured.
fn loudness_signal(kind: &str, rate_hz: u32) -> Vec<f32> {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    (0..6 * rate_hz)
        .map(|index| {
            let t = f64::from(index) / f64::from(rate_hz);
            let sine = |hz: f64| (std::f64::consts::TAU * hz * t).sin();
            let sample = match kind {
                "tone" => 0.1 * sine(440.0),
                "low" => 0.3 * sine(60.0),
                "bright" => 0.05 * sine(3000.0),
                "noise" => 0.1 * noise(),
                _ => noise() * if (t * 2.0).floor() % 3.0 == 0.0 { 0.2 } else { 0.002 },
            };
            sample as f32
        })
        .collect()
}

#[test]
fn loudness_is_that_of_pyloudnorm() {
    let cases: Value = serde_json::from_slice(&std::fs::read(golden("loudness.json")).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases.as_array().unwrap() {
        let (kind, rate_hz) = (case["kind"].as_str().unwrap(), case["rate_hz"].as_u64().unwrap() as u32);
        let measured = integrated_loudness(&loudness_signal(kind, rate_hz), rate_hz).unwrap();
        let wanted = case["lufs"].as_f64().unwrap();
        assert!(
            (measured - wanted).abs() < 0.005,
            "{kind} at {rate_hz} Hz: {measured} and {wanted}"
        );
        compared += 1;
    }
    assert_eq!(compared, 20);
}
