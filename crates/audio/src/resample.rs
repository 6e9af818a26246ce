//! Changing the sampling rate.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::{MAX_FRAMES, RATE_BOUNDS_HZ};

/// Frames of the smaller side of a block, at least. It fixes the length of the anti-aliasing filter
/// and with it the result, so a change here must change every cache key.
const BLOCK_FRAMES: usize = 512;

/// Why a rate cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ResampleError {
    /// A rate out of bounds.
    #[error("{rate_hz} Hz is not a sampling rate from {} to {} Hz; choose one", RATE_BOUNDS_HZ.start(), RATE_BOUNDS_HZ.end())]
    Rate {
        /// The rate in hertz.
        rate_hz: u32,
    },
    /// More output than is held in memory at once.
    #[error(
        "resampling to {rate_hz} Hz makes {frames} frames, more than {MAX_FRAMES}; split the audio or choose a lower rate"
    )]
    TooLong {
        /// The target rate in hertz.
        rate_hz: u32,
        /// Frames the result would have.
        frames: u64,
    },
    /// The resampler refused the rates.
    #[error("cannot resample from {from_hz} to {to_hz} Hz ({source}); choose another rate")]
    Construction {
        /// The given rate in hertz.
        from_hz: u32,
        /// The wanted rate in hertz.
        to_hz: u32,
        /// What it said.
        source: rubato::ResamplerConstructionError,
    },
    /// The resampler failed.
    #[error("resampling from {from_hz} to {to_hz} Hz failed ({source}); choose another rate")]
    Process {
        /// The given rate in hertz.
        from_hz: u32,
        /// The wanted rate in hertz.
        to_hz: u32,
        /// What it said.
        source: rubato::ResampleError,
    },
}

/// Number of frames after resampling: `round(frames · to / from)`, halves rounded up.
pub fn resampled_len(frames: u64, from_hz: u32, to_hz: u32) -> u64 {
    let (from, to) = (u128::from(from_hz.max(1)), u128::from(to_hz));
    u64::try_from((u128::from(frames) * to * 2 + from) / (from * 2)).unwrap_or(u64::MAX)
}

/// Resamples mono audio by FFT with a linear-phase anti-aliasing filter.
///
/// The result has [`resampled_len`] frames and no delay: frame `i` is the moment `i / to_hz`.
/// It is a function of the arguments alone.
///
/// # Errors
/// [`ResampleError`] when a rate or the result's length is out of bounds.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, ResampleError> {
    for rate_hz in [from_hz, to_hz] {
        if !RATE_BOUNDS_HZ.contains(&rate_hz) {
            return Err(ResampleError::Rate { rate_hz });
        }
    }
    if from_hz == to_hz || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let frames = resampled_len(samples.len() as u64, from_hz, to_hz);
    if frames > MAX_FRAMES {
        return Err(ResampleError::TooLong { rate_hz: to_hz, frames });
    }
    let failed = |source| ResampleError::Process { from_hz, to_hz, source };
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|_| {
        failed(rubato::ResampleError::InsufficientInputBufferSize {
            expected: samples.len(),
            actual: 0,
        })
    })?;
    let output = make(from_hz, to_hz)?.process_all(&input, samples.len(), None);
    let mut output = output.map_err(failed)?.take_data();
    output.resize(frames as usize, 0.0);
    Ok(output)
}

fn make(from_hz: u32, to_hz: u32) -> Result<Fft<f32>, ResampleError> {
    let (from, to) = (from_hz as usize, to_hz as usize);
    let divisor = gcd(from, to);
    // A power of two keeps the FFT lengths products of the rates' own small primes.
    let blocks = BLOCK_FRAMES.div_ceil(from.min(to) / divisor).next_power_of_two();
    let chunk = from / divisor * blocks;
    Fft::new(from, to, chunk, 1, FixedSync::Both).map_err(|source| ResampleError::Construction {
        from_hz,
        to_hz,
        source,
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    const PAIRS_HZ: [(u32, u32); 8] = [
        (48_000, 16_000),
        (44_100, 16_000),
        (22_050, 16_000),
        (8_000, 16_000),
        (16_000, 8_000),
        (24_000, 16_000),
        (16_000, 22_050),
        (11_025, 48_000),
    ];

    fn sines(frequencies_hz: &[f64], rate_hz: u32, frames: usize) -> Vec<f32> {
        (0..frames)
            .map(|i| {
                let time_s = i as f64 / f64::from(rate_hz);
                let sum: f64 = frequencies_hz.iter().map(|hz| (TAU * hz * time_s + hz).sin()).sum();
                (0.8 * sum / frequencies_hz.len() as f64) as f32
            })
            .collect()
    }

    fn energy(samples: impl Iterator<Item = f32>) -> f64 {
        samples.map(|x| f64::from(x).powi(2)).sum()
    }

    #[test]
    fn sines_keep_their_phase_and_amplitude() {
        for (from_hz, to_hz) in PAIRS_HZ {
            let nyquist_hz = f64::from(from_hz.min(to_hz)) / 2.0;
            let tones = [0.01, 0.11, 0.37, 0.62, 0.85].map(|part| part * nyquist_hz);
            let output = resample(&sines(&tones, from_hz, from_hz as usize), from_hz, to_hz).unwrap();
            let expected = sines(&tones, to_hz, to_hz as usize);
            assert_eq!(output.len(), expected.len());
            // A border of 50 ms, where the tones begin and end abruptly, is left out.
            let inner = to_hz as usize / 20..to_hz as usize * 19 / 20;
            let error = energy(inner.clone().map(|i| output[i] - expected[i]));
            let snr_db = 10.0 * (energy(inner.map(|i| expected[i])) / error).log10();
            println!("{from_hz} to {to_hz} Hz: {snr_db:.0} dB");
            assert!(snr_db > 90.0, "{from_hz} to {to_hz} Hz: {snr_db:.0} dB");
        }
    }

    #[test]
    fn tones_above_the_new_range_vanish() {
        for (from_hz, to_hz) in PAIRS_HZ.into_iter().filter(|(from, to)| from > to) {
            let above_hz = f64::from(to_hz) / 2.0 * 1.05;
            let input = sines(&[above_hz], from_hz, from_hz as usize);
            let output = resample(&input, from_hz, to_hz).unwrap();
            let inner = &output[to_hz as usize / 20..to_hz as usize * 19 / 20];
            let mean = energy(inner.iter().copied()) / inner.len() as f64;
            let level_db = 10.0 * (mean / 0.32).log10();
            println!("{from_hz} to {to_hz} Hz: {level_db:.0} dB");
            assert!(level_db < -80.0, "{from_hz} to {to_hz} Hz: {level_db:.0} dB");
        }
    }

    #[test]
    fn rates_and_lengths_out_of_bounds_are_errors() {
        for (from_hz, to_hz) in [(0, 16_000), (16_000, 0), (999, 16_000), (16_000, 768_001)] {
            let error = resample(&[0.0; 10], from_hz, to_hz).unwrap_err();
            assert!(matches!(error, ResampleError::Rate { .. }), "{error}");
        }
        let error = resample(&vec![0.0; 400_000], 1000, 768_000).unwrap_err();
        assert!(matches!(error, ResampleError::TooLong { .. }), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn any_length_and_rates_give_the_exact_length(
            frames in 0_usize..4000,
            from_hz in 1_000_u32..50_000,
            to_hz in 1_000_u32..50_000,
        ) {
            let output = resample(&vec![0.5; frames], from_hz, to_hz).unwrap();
            let exact = frames as f64 * f64::from(to_hz) / f64::from(from_hz);
            prop_assert_eq!(output.len(), (exact + 0.5 + 1e-9).floor() as usize);
            prop_assert!(output.iter().all(|x| x.is_finite()));
        }
    }
}
