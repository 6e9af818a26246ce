//! Loudness as people hear it.

use ebur128::{EbuR128, Mode};

/// Length of a gating block, in seconds.
const BLOCK_S: f64 = 0.4;

/// Integrated loudness of mono audio in LUFS (dB relative to full scale, weighted by frequency); `None`
/// where it is shorter than a gating block of 0.4 s or silent throughout (all of it below −70 LUFS).
///
/// # Source
/// ITU-R BS.1770-4, annex 1; EBU R 128; computed by the crate `ebur128`.
#[must_use]
pub fn integrated_loudness(samples: &[f32], rate_hz: u32) -> Option<f64> {
    if samples.len() < (BLOCK_S * f64::from(rate_hz)).ceil() as usize {
        return None;
    }
    let mut meter = EbuR128::new(1, rate_hz, Mode::I).ok()?;
    meter.add_frames_f32(samples).ok()?;
    meter.loudness_global().ok().filter(|lufs| lufs.is_finite())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

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
    }
}
