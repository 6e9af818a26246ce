//! What is measured of an utterance to tell whether it is fit for training.

use serde::{Deserialize, Serialize};

/// Amplitude from which a sample counts as clipped, where several follow each other.
const FULL: f32 = 0.999;
/// Samples at full scale in a row from which they count as clipped: a single one is a peak.
const RUN: usize = 3;
/// Length of a window and distance of windows in seconds.
const WINDOW_S: f64 = 0.025;
const HOP_S: f64 = 0.010;
/// A window is silent this far below the loud ones, in dB, and in any case below an absolute level.
const SILENT_BELOW_DB: f64 = 40.0;
const SILENT_DBFS: f64 = -60.0;
/// Largest ratio that is reported: beyond it, a pause is digital silence.
const MAX_SNR_DB: f64 = 100.0;

/// What was measured of an utterance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Length in seconds.
    pub duration_s: f64,
    /// Highest sample peak in dB of full scale; none for digital silence.
    pub peak_dbfs: Option<f64>,
    /// Share of samples that are clipped: at least three in a row at full scale.
    pub clipping_ratio: f64,
    /// Share of 25 ms windows that are silent: 40 dB below the loud ones (the 95th percentile of windows), or below
    /// -60 dBFS.
    pub silence_ratio: f64,
    /// Estimate of the signal-to-noise ratio in dB: the power of the loud half of windows, less that of the quietest
    /// tenth, over the latter. It is too low where there is no pause, and at most 100 dB.
    pub snr_db: f64,
}

/// Measures mono audio.
#[must_use]
pub fn measure(samples: &[f32], rate_hz: u32) -> Measures {
    let rate = f64::from(rate_hz.max(1));
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let mut powers = windows(samples, rate);
    powers.sort_unstable_by(f64::total_cmp);
    let count = powers.len().max(1);
    let loud = powers
        .get((count * 95 / 100).min(count - 1))
        .copied()
        .unwrap_or_default();
    let threshold = (loud * power(-SILENT_BELOW_DB)).max(power(SILENT_DBFS));
    let silent = powers.iter().filter(|&&power| power < threshold).count();
    Measures {
        duration_s: samples.len() as f64 / rate,
        peak_dbfs: (peak > 0.0).then(|| 20.0 * f64::from(peak).log10()),
        clipping_ratio: clipped(samples) as f64 / samples.len().max(1) as f64,
        silence_ratio: silent as f64 / count as f64,
        snr_db: snr_db(&powers),
    }
}

fn power(db: f64) -> f64 {
    10_f64.powf(db / 10.0)
}

fn clipped(samples: &[f32]) -> usize {
    samples
        .chunk_by(|a, b| a.abs() >= FULL && b.abs() >= FULL && (*a > 0.0) == (*b > 0.0))
        .filter(|run| run.len() >= RUN)
        .map(<[f32]>::len)
        .sum()
}

/// Mean power of each window; of the whole where it is shorter than one.
fn windows(samples: &[f32], rate: f64) -> Vec<f64> {
    let length = ((rate * WINDOW_S).round() as usize).max(1);
    let hop = ((rate * HOP_S).round() as usize).max(1);
    let mean = |window: &[f32]| {
        let sum: f64 = window.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        sum / window.len() as f64
    };
    if samples.len() < length {
        return if samples.is_empty() {
            Vec::new()
        } else {
            vec![mean(samples)]
        };
    }
    samples.windows(length).step_by(hop).map(mean).collect()
}

/// The estimate over windows ordered by their power.
fn snr_db(powers: &[f64]) -> f64 {
    let mean = |powers: &[f64]| powers.iter().sum::<f64>() / powers.len().max(1) as f64;
    let noise = mean(&powers[..powers.len().div_ceil(10)]);
    let speech = mean(&powers[powers.len() / 2..]);
    if speech <= 0.0 {
        return 0.0;
    }
    (10.0 * ((speech - noise).max(0.0) / noise).log10()).clamp(-20.0, MAX_SNR_DB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    const RATE: u32 = 16_000;

    /// A second of tone between half seconds of nothing.
    fn between_pauses(level: f32) -> Vec<f32> {
        let pause = vec![0.0; 8000];
        let tone: Vec<f32> = (0..16_000)
            .map(|i| level * (i as f32 * TAU * 440.0 / 16e3).sin())
            .collect();
        [pause.clone(), tone, pause].concat()
    }

    fn add_noise(samples: &mut [f32], rms: f32) {
        let mut state = 1_u32;
        for sample in samples {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Uniform noise within ±√3 has unit power.
            *sample += rms * 3_f32.sqrt() * (state as f32 / u32::MAX as f32 * 2.0 - 1.0);
        }
    }

    #[test]
    fn clipping_is_runs_at_full_scale_and_no_single_peak() {
        let mut tone = between_pauses(0.5);
        assert_eq!(measure(&tone, RATE).clipping_ratio, 0.0);
        tone[100] = 1.0;
        assert_eq!(measure(&tone, RATE).clipping_ratio, 0.0);
        let loud: Vec<f32> = between_pauses(4.0).iter().map(|x| x.clamp(-1.0, 1.0)).collect();
        // |4 sin| ≥ 1 for 1 - 2 asin(1/4)/π of the tone's half of the samples.
        let expected = 0.5 * (1.0 - 2.0 * (0.25_f64).asin() / std::f64::consts::PI);
        let found = measure(&loud, RATE).clipping_ratio;
        assert!((found - expected).abs() < 0.03, "{found} {expected}");
    }

    #[test]
    fn silence_is_the_share_of_time_in_pauses_at_any_level() {
        for level in [0.9, 0.09, 0.02] {
            let mut samples = between_pauses(level);
            assert!((measure(&samples, RATE).silence_ratio - 0.5).abs() < 0.03, "{level}");
            add_noise(&mut samples, level * 0.002);
            assert!((measure(&samples, RATE).silence_ratio - 0.5).abs() < 0.03, "{level}");
        }
        assert_eq!(measure(&vec![0.0; 16_000], RATE).silence_ratio, 1.0);
    }

    #[test]
    fn the_signal_to_noise_ratio_is_near_the_true_one_where_there_are_pauses() {
        for snr_db in [0.0, 10.0, 20.0, 40.0] {
            let mut samples = between_pauses(0.3);
            let rms = 0.3 / 2_f64.sqrt() / 10_f64.powf(snr_db / 20.0);
            add_noise(&mut samples, rms as f32);
            let found = measure(&samples, RATE).snr_db;
            assert!((found - snr_db).abs() < 1.0, "{found} {snr_db}");
        }
        assert_eq!(measure(&between_pauses(0.3), RATE).snr_db, MAX_SNR_DB);
    }

    #[test]
    fn the_peak_and_the_length_are_those_of_the_samples_and_nothing_is_no_panic() {
        let found = measure(&[0.1, -0.5, 0.2], 4);
        assert!((found.peak_dbfs.unwrap() + 6.0206).abs() < 1e-3);
        assert_eq!(found.duration_s, 0.75);
        for samples in [&[][..], &[0.0], &[1.0], &[0.0; 500]] {
            let found = measure(samples, RATE);
            assert!(found.snr_db.is_finite() && found.silence_ratio.is_finite());
        }
    }
}
