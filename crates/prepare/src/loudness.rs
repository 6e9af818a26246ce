//! Loudness after EBU R 128.

use emorun_audio::integrated_loudness;

/// Length below which R 128 has no loudness: one gating block, in seconds.
const BLOCK_S: f64 = 0.4;
/// How often a gain is corrected by what it has done.
const CORRECTIONS: usize = 2;
/// Distance from the target that is not corrected, in LU; a tenth of what broadcasters allow for measuring.
const CLOSE_LU: f64 = 0.01;

/// What was done to an utterance's level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness before, in LUFS; none for silence.
    pub before_lufs: Option<f64>,
    /// Gain in dB.
    pub gain_db: f64,
    /// Integrated loudness after, in LUFS.
    pub after_lufs: Option<f64>,
}

/// Integrated loudness of mono audio in LUFS, with the gates of EBU R 128; none for silence (all of it below -70 LUFS).
///
/// What is shorter than one gating block of 400 ms is measured as if it were repeated up to that length.
///
/// # Source
/// As [`integrated_loudness`].
#[must_use]
pub fn integrated_lufs(samples: &[f32], rate_hz: u32) -> Option<f64> {
    let block = (BLOCK_S * f64::from(rate_hz)).ceil() as usize;
    if samples.is_empty() || samples.len() >= block {
        return integrated_loudness(samples, rate_hz);
    }
    integrated_loudness(&samples.repeat(block.div_ceil(samples.len())), rate_hz)
}

/// Brings mono audio to an integrated loudness; where its peak would go beyond `peak_dbfs`, as near as that allows.
///
/// R 128 leaves out blocks below -70 LUFS, whatever the rest is. A gain lifts some above that, or pushes some below,
/// and the loudness does not change by what the gain is: so it is measured again, and corrected, at most twice.
pub fn normalise(samples: &mut [f32], rate_hz: u32, target_lufs: Option<f64>, peak_dbfs: f64) -> Loudness {
    let before_lufs = integrated_lufs(samples, rate_hz);
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let room_db = peak_dbfs - 20.0 * f64::from(peak).log10();
    let (mut gain_db, mut after_lufs) = (0.0, before_lufs);
    if peak > 0.0 {
        for _ in 0..=CORRECTIONS {
            let missing_db = match (target_lufs, after_lufs) {
                (Some(target), Some(now)) => target - now,
                _ => 0.0,
            };
            let step_db = missing_db.min(room_db - gain_db);
            if step_db.abs() < CLOSE_LU {
                break;
            }
            let step = 10_f64.powf(step_db / 20.0);
            for sample in samples.iter_mut() {
                *sample = (f64::from(*sample) * step) as f32;
            }
            gain_db += step_db;
            after_lufs = integrated_lufs(samples, rate_hz);
        }
    }
    Loudness {
        before_lufs,
        gain_db,
        after_lufs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(seconds: f64, level_dbfs: f64, rate_hz: u32) -> Vec<f32> {
        let level = 10_f64.powf(level_dbfs / 20.0);
        (0..(seconds * f64::from(rate_hz)) as usize)
            .map(|i| (level * (i as f64 * TAU * 997.0 / f64::from(rate_hz)).sin()) as f32)
            .collect()
    }

    #[test]
    fn a_tone_of_997_hz_at_full_scale_in_one_channel_is_at_minus_3_01_lufs() {
        // ITU-R BS.1770: a 0 dBFS sine of 997 Hz in one front channel reads -3.01 LKFS.
        for rate_hz in [16_000, 22_050, 44_100, 48_000] {
            for (level, expected) in [(0.0, -3.01), (-20.0, -23.01)] {
                let found = integrated_lufs(&tone(5.0, level, rate_hz), rate_hz).unwrap();
                assert!((found - expected).abs() < 0.05, "{rate_hz} {found}");
            }
        }
    }

    #[test]
    fn pauses_are_gated_out_and_short_clips_have_a_loudness() {
        let mut padded = vec![0.0; 48_000];
        padded.extend(tone(2.0, -20.0, 48_000));
        padded.extend(vec![0.0; 48_000]);
        let found = integrated_lufs(&padded, 48_000).unwrap();
        assert!((found + 23.01).abs() < 0.7, "{found}");
        let short = integrated_lufs(&tone(0.1, -20.0, 48_000), 48_000).unwrap();
        assert!((short + 23.01).abs() < 0.2, "{short}");
        for silence in [vec![], vec![0.0; 10], vec![0.0; 48_000], vec![1e-7; 48_000]] {
            assert_eq!(integrated_lufs(&silence, 48_000), None);
        }
    }

    #[test]
    fn quiet_audio_meets_its_target_although_its_gain_lifts_more_of_it_above_the_gate() {
        // Parts at -65, -73 and -79 LUFS: at first the loudest alone counts, at the target the second too.
        let quiet = [-62.0, -70.0, -76.0].map(|level| tone(2.0, level, 16_000)).concat();
        let before = integrated_lufs(&quiet, 16_000).unwrap();
        assert!((before + 65.0).abs() < 0.5, "{before}");
        // Loud audio whose quietest part falls below the gate.
        let loud = [-3.0, -11.0].map(|level| tone(2.0, level, 16_000)).concat();
        for (samples, target) in [(&quiet, -23.0), (&quiet, -50.0), (&loud, -68.0), (&loud, -40.0)] {
            let mut brought = samples.clone();
            let loudness = normalise(&mut brought, 16_000, Some(target), -1.0);
            let measured = integrated_lufs(&brought, 16_000).unwrap();
            assert!((measured - target).abs() < 0.1, "{measured} for {target}");
            assert_eq!(loudness.after_lufs, Some(measured));
            for (brought, sample) in brought.iter().zip(samples) {
                let expected = f64::from(*sample) * 10_f64.powf(loudness.gain_db / 20.0);
                assert!((f64::from(*brought) - expected).abs() <= 1e-6 * expected.abs());
            }
        }
    }

    #[test]
    fn audio_is_brought_to_the_target_unless_its_peak_forbids_it() {
        let mut quiet = tone(2.0, -40.0, 22_050);
        let loudness = normalise(&mut quiet, 22_050, Some(-23.0), -1.0);
        assert!((loudness.gain_db - 20.01).abs() < 0.05);
        assert!((integrated_lufs(&quiet, 22_050).unwrap() + 23.0).abs() < 0.05);
        // A single peak leaves 5 dB of room.
        let mut peaky = tone(2.0, -40.0, 22_050);
        peaky[1000] = 10_f32.powf(-6.0 / 20.0);
        let loudness = normalise(&mut peaky, 22_050, Some(-23.0), -1.0);
        assert!((loudness.gain_db - 5.0).abs() < 1e-3, "{}", loudness.gain_db);
        assert!(peaky.iter().all(|x| x.abs() < 0.892));
        let mut same = tone(1.0, -3.0, 22_050);
        let before = same.clone();
        assert_eq!(normalise(&mut same, 22_050, None, 0.0).gain_db, 0.0);
        assert_eq!(same, before);
        let mut nothing = vec![0.0; 9];
        assert_eq!(normalise(&mut nothing, 22_050, Some(-23.0), -1.0).gain_db, 0.0);
    }
}
