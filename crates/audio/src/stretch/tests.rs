use std::f64::consts::{PI, TAU};

use super::*;

/// The original's results, every fourth sample; see `make_stretch.cpp`.
const GOLDEN: &[u8] = include_bytes!("../../tests/golden/stretch.f32");
const RATES: [f64; 4] = [1.0, 0.8, 1.25, 1.6];

/// A gliding voice of 0.4 s at 8 kHz.
fn voice() -> Vec<f32> {
    (0..3200)
        .map(|i| {
            let time = f64::from(i) / 8000.0;
            let sum: f64 = (1..=12)
                .map(|k| {
                    let k = f64::from(k);
                    (TAU * k * (150.0 * time + 60.0 * time * time) + k * k).sin() / k
                })
                .sum();
            (0.2 * sum * (PI * time / 0.4).sin()) as f32
        })
        .collect()
}

#[test]
fn a_stretch_is_the_original_one() {
    let mut golden = GOLDEN
        .chunks_exact(4)
        .map(|bytes| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])));
    for rate in RATES {
        let found = stretch(&voice(), 8000, rate, 0.0);
        let (mut signal, mut error) = (0.0, 0.0);
        for found in found.iter().step_by(4) {
            let expected = golden.next().unwrap();
            signal += expected * expected;
            error += (f64::from(*found) - expected) * (f64::from(*found) - expected);
        }
        let snr_db = 10.0 * (signal / error).log10();
        assert!(snr_db > 60.0, "rate {rate}: {snr_db:.1} dB");
    }
    assert_eq!(golden.next(), None);
}

#[test]
fn without_a_change_it_gives_back_what_it_got() {
    let voice = voice();
    let same = stretch(&voice, 8000, 1.0, 0.0);
    // Half a block at either end fades in and out.
    let far = |samples: std::ops::Range<usize>| samples.map(|i| (voice[i] - same[i]).abs()).fold(0f32, f32::max);
    assert!(
        far(480..2720) < 1e-5 && far(0..3200) < 0.01,
        "{} and {}",
        far(480..2720),
        far(0..3200)
    );
}

#[test]
fn lengths_are_exact_from_one_sample_on() {
    let voice = voice();
    for samples in [0, 1, 2, 100, 959, 960, 961, 3200] {
        for rate_hz in [1000, 8000, 44_100] {
            for (rate, semitones) in [(0.5, 0.0), (0.77, 3.0), (1.0, -24.0), (1.3, 24.0), (2.0, 0.0)] {
                let length = stretch(&voice[..samples], rate_hz, rate, semitones).len();
                let exact = samples as f64 / rate;
                assert!(
                    (length as f64 - exact).abs() <= 0.5 || (samples == 1 && length == 1),
                    "{samples}, {rate}: {length}"
                );
            }
        }
    }
}

#[test]
fn loudness_changes_nothing_but_loudness() {
    let voice = voice();
    let expected = stretch(&voice, 8000, 0.9, 2.0);
    for scale in [1e-12_f32, 256.0] {
        let scaled: Vec<f32> = voice.iter().map(|x| x * scale).collect();
        let found = stretch(&scaled, 8000, 0.9, 2.0);
        let far = expected
            .iter()
            .zip(&found)
            .map(|(a, b)| (a - b / scale).abs())
            .fold(0f32, f32::max);
        assert!(far < 0.02, "{scale}: {far}");
    }
    assert_eq!(stretch(&[0.0; 100], 8000, 0.5, 1.0), [0.0; 200]);
}
