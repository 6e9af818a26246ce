//! Cepstra and Kaldi's filterbanks against torchaudio, Whisper's input against transformers.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers count as no test"
)]

use std::path::{Path, PathBuf};

use emorun_audio::{
    DctNorm, KaldiFbank, KaldiFbankConfig, KaldiWindow, LogMelConfig, LogScale, MelNorm, MelScale, Mfcc, MfccConfig,
    WhisperFront, WhisperFrontConfig,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn floats(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(golden(name)).unwrap();
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty(), "{name}");
    values.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

/// White noise that falls by 12 dB each block, with the bits of `make_features.py`.
fn noise(samples: u64, block: u64, blocks: u64) -> Vec<f32> {
    (0..samples)
        .map(|i| {
            let mut z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            let uniform = (z >> 40) as f64 / f64::from(1 << 23) - 1.0;
            (uniform * 0.25_f64.powi((i / block % blocks) as i32)) as f32
        })
        .collect()
}

fn signal(name: &str) -> Vec<f32> {
    match name {
        "speech" => floats("log_mel_signal.f32"),
        "random" => noise(4000, 4000, 1),
        "fading" => noise(4000, 500, 8),
        "tone" => (0..4000)
            .map(|i| (0.5 * (std::f64::consts::TAU * 440.0 / 16_000.0 * f64::from(i)).sin()) as f32)
            .collect(),
        _ => {
            assert_eq!(name, "long");
            noise(496_000, 16_000, 8)
        }
    }
}

/// A field of a case's configuration.
fn field<T: DeserializeOwned>(config: &Value, name: &str) -> T {
    serde_json::from_value(config[name].clone()).unwrap()
}

fn mfcc(config: &Value, signal: &[f32]) -> Vec<f32> {
    let mel = &config["mel"];
    let log_mels: bool = field(config, "log_mels");
    let mfcc = Mfcc::new(MfccConfig {
        n_mfcc: field(config, "n_mfcc"),
        norm: field::<Option<DctNorm>>(config, "norm"),
        mel: LogMelConfig {
            n_fft: field(mel, "n_fft"),
            win_length: field(mel, "win_length"),
            hop_length: field(mel, "hop_length"),
            n_mels: field(mel, "n_mels"),
            f_min_hz: field(mel, "f_min"),
            f_max_hz: field(mel, "f_max"),
            mel_scale: field::<MelScale>(mel, "mel_scale"),
            norm: field::<Option<MelNorm>>(mel, "norm"),
            log: if log_mels { LogScale::Natural } else { LogScale::Db },
            log_offset: if log_mels { 1e-6 } else { 0.0 },
            log_floor: if log_mels { 0.0 } else { 1e-10 },
            center: field(mel, "center"),
            ..LogMelConfig::default()
        },
        ..MfccConfig::default()
    })
    .unwrap();
    mfcc.compute(signal)
}

fn kaldi(config: &Value, signal: &[f32]) -> Vec<f32> {
    let fbank = KaldiFbank::new(KaldiFbankConfig {
        sample_rate_hz: field::<f64>(config, "sample_frequency") as u32,
        scale: field(config, "scale"),
        frame_length_ms: field(config, "frame_length"),
        frame_shift_ms: field(config, "frame_shift"),
        snip_edges: field(config, "snip_edges"),
        remove_dc_offset: field(config, "remove_dc_offset"),
        preemphasis_coefficient: field(config, "preemphasis_coefficient"),
        window_type: field::<KaldiWindow>(config, "window_type"),
        round_to_power_of_two: field(config, "round_to_power_of_two"),
        num_mel_bins: field(config, "num_mel_bins"),
        low_freq_hz: field(config, "low_freq"),
        high_freq_hz: field(config, "high_freq"),
        use_power: field(config, "use_power"),
        use_log_fbank: field(config, "use_log_fbank"),
        use_energy: field(config, "use_energy"),
        raw_energy: field(config, "raw_energy"),
        energy_floor: field(config, "energy_floor"),
        htk_compat: field(config, "htk_compat"),
    })
    .unwrap();
    let values = fbank.compute(signal);
    assert_eq!(values.len(), fbank.frames(signal.len()) * fbank.width());
    values
}

/// The stored rows of Whisper's input.
fn whisper(case: &Value, signal: &[f32]) -> Vec<f32> {
    let feature_size: usize = field(&case["config"], "feature_size");
    let front = WhisperFront::new(WhisperFrontConfig {
        feature_size,
        ..WhisperFrontConfig::default()
    })
    .unwrap();
    assert_eq!(front.frames(signal.len()), field::<usize>(case, "frames"));
    let values = front.compute(signal);
    assert_eq!(values.len(), 3000 * feature_size);
    field::<Vec<usize>>(case, "rows")
        .into_iter()
        .flat_map(|row| values[row * feature_size..][..feature_size].to_vec())
        .collect()
}

/// Largest difference, as a part of the standard deviation of what is expected.
fn worst(computed: &[f32], expected: &[f32]) -> f64 {
    let count = expected.len() as f64;
    let mean = expected.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = expected.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let differences = computed.iter().zip(expected).map(|(&a, &b)| f64::from(a - b).abs());
    differences.fold(0.0, f64::max) / variance.sqrt()
}

#[test]
fn features_equal_those_of_torchaudio_and_transformers() {
    let text = std::fs::read_to_string(golden("features.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 21);
    let mut failed = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let signal = signal(case["signal"].as_str().unwrap());
        let computed = match case["kind"].as_str().unwrap() {
            "mfcc" => mfcc(&case["config"], &signal),
            "kaldi" => kaldi(&case["config"], &signal),
            _ => whisper(case, &signal),
        };
        let expected = floats(&format!("features_{name}.f32"));
        assert_eq!(computed.len(), expected.len(), "{name}");
        let worst = worst(&computed, &expected);
        println!("{name}: largest difference {worst:.1e} standard deviations");
        if worst > 1e-4 || computed.iter().any(|x| !x.is_finite()) {
            failed.push(format!("{name}: {worst:.1e}"));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
