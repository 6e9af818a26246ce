//! Loudness as people hear it.

use std::f64::consts::PI;

/// Length of a gating block, in seconds.
const BLOCK_S: f64 = 0.4;
/// Blocks begin this often within one: they overlap by three quarters.
const STEPS: usize = 4;
/// Blocks quieter than this never count, in LUFS.
const ABSOLUTE_GATE: f64 = -70.0;
/// Blocks this much quieter than the mean of the others do not count, in LU.
const RELATIVE_GATE: f64 = -10.0;

/// Integrated loudness of mono audio in LUFS (dB relative to full scale, weighted by frequency); `None`
/// where it is shorter than 0.4 s or silent throughout.
///
/// With z the mean square of a K-weighted block, its loudness is −0.691 + 10·log₁₀ z. The result is that
/// of the mean z of the blocks above −70 LUFS and above 10 LU below the mean of those.
///
/// # Source
/// ITU-R BS.1770-4, annex 1; EBU R 128. The filters' analogue prototypes, for rates other than 48 kHz,
/// are those of libebur128.
#[must_use]
pub fn integrated_loudness(samples: &[f32], rate_hz: u32) -> Option<f64> {
    let step = (f64::from(rate_hz) * BLOCK_S / STEPS as f64).round() as usize;
    if step == 0 || samples.len() / step < STEPS {
        return None;
    }
    let mut filters = [shelf(f64::from(rate_hz)), high_pass(f64::from(rate_hz))];
    let steps: Vec<f64> = samples
        .chunks_exact(step)
        .map(|part| {
            let squares = part.iter().map(|sample| {
                let weighted = filters.iter_mut().fold(f64::from(*sample), |x, filter| filter.next(x));
                weighted * weighted
            });
            squares.sum::<f64>() / step as f64
        })
        .collect();
    let blocks: Vec<f64> = steps
        .windows(STEPS)
        .map(|block| block.iter().sum::<f64>() / STEPS as f64)
        .collect();
    let mean_above = |gate: f64| {
        let loud: Vec<f64> = blocks.iter().copied().filter(|block| loudness(*block) > gate).collect();
        (!loud.is_empty()).then(|| loud.iter().sum::<f64>() / loud.len() as f64)
    };
    let ungated = mean_above(ABSOLUTE_GATE)?;
    let gate = ABSOLUTE_GATE.max(loudness(ungated) + RELATIVE_GATE);
    mean_above(gate).map(loudness)
}

fn loudness(mean_square: f64) -> f64 {
    -0.691 + 10.0 * mean_square.log10()
}

/// A second-order filter.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    /// The next sample, in the transposed direct form II.
    fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state[0] = self.b[1] * x - self.a[0] * y + self.state[1];
        self.state[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

/// The head's effect: about +4 dB above 1.7 kHz.
fn shelf(rate_hz: f64) -> Biquad {
    let (f0_hz, gain_db, q) = (1_681.974_450_955_533, 3.999_843_853_973_347, 0.707_175_236_955_419_6);
    // Beyond the highest frequency there is nothing to weight.
    let k = (PI * f64::min(f0_hz / rate_hz, 0.49)).tan();
    let high = 10_f64.powf(gain_db / 20.0);
    let band = high.powf(0.499_666_774_154_541_6);
    let a0 = 1.0 + k / q + k * k;
    Biquad {
        b: [
            (high + band * k / q + k * k) / a0,
            2.0 * (k * k - high) / a0,
            (high - band * k / q + k * k) / a0,
        ],
        a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0],
        state: [0.0; 2],
    }
}

/// What is too low to add to loudness: below about 38 Hz.
fn high_pass(rate_hz: f64) -> Biquad {
    let (f0_hz, q) = (38.135_470_876_024_44, 0.500_327_037_323_877_3);
    let k = (PI * f0_hz / rate_hz).tan();
    let a0 = 1.0 + k / q + k * k;
    Biquad {
        b: [1.0, -2.0, 1.0],
        a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0],
        state: [0.0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(f0_hz: f64, level_dbfs: f64, rate_hz: u32, seconds: f64) -> Vec<f32> {
        let amplitude = 10_f64.powf(level_dbfs / 20.0);
        (0..(seconds * f64::from(rate_hz)) as usize)
            .map(|index| (amplitude * (2.0 * PI * f0_hz * index as f64 / f64::from(rate_hz)).sin()) as f32)
            .collect()
    }

    /// EBU Tech 3341, cases 1, 2 and 3, for one channel: a stereo sine of the same level is 3.01 LU
    /// louder.
    #[test]
    fn the_broadcasters_sines_are_as_loud_as_they_say() {
        for rate_hz in [48_000, 44_100, 22_050, 16_000] {
            for level in [-23.0, -33.0] {
                let heard = integrated_loudness(&sine(1000.0, level, rate_hz, 20.0), rate_hz).unwrap();
                assert!((heard - (level - 3.01)).abs() < 0.1, "{rate_hz} Hz: {heard}");
            }
        }
        // Quiet stretches before and after do not count.
        let mut parts = sine(1000.0, -36.0, 48_000, 10.0);
        parts.extend(sine(1000.0, -23.0, 48_000, 60.0));
        parts.extend(sine(1000.0, -36.0, 48_000, 10.0));
        let heard = integrated_loudness(&parts, 48_000).unwrap();
        assert!((heard + 26.01).abs() < 0.1, "{heard}");
    }

    #[test]
    fn what_is_too_short_or_silent_has_no_loudness() {
        assert_eq!(integrated_loudness(&sine(1000.0, -20.0, 16_000, 0.39), 16_000), None);
        assert!(integrated_loudness(&sine(1000.0, -20.0, 16_000, 0.41), 16_000).is_some());
        assert_eq!(integrated_loudness(&[0.0; 48_000], 48_000), None);
        assert_eq!(integrated_loudness(&sine(1000.0, -80.0, 16_000, 2.0), 16_000), None);
        assert_eq!(integrated_loudness(&[], 16_000), None);
        assert_eq!(integrated_loudness(&[0.5; 10], 1), None);
        assert!(integrated_loudness(&sine(200.0, -20.0, 1_000, 2.0), 1_000).is_some());
    }
}
