//! Powers and levels of waveforms.

/// Least signal-to-noise ratio that can be asked for, in decibels.
pub(super) const MIN_SNR_DB: f64 = -60.0;
/// Greatest signal-to-noise ratio that can be asked for, in decibels: below the rounding of samples.
pub(super) const MAX_SNR_DB: f64 = 100.0;

/// Samples whose squares are summed in single precision before they join the others.
const TOGETHER: usize = 4096;

/// Mean square of the samples, 0 for none.
pub(super) fn power(samples: &[f32]) -> f64 {
    let mut sum = 0.0;
    for together in samples.chunks(TOGETHER) {
        // Several sums side by side: one alone waits for each addition.
        let mut sums = [0.0_f32; 16];
        let (rows, rest) = together.as_chunks::<16>();
        for row in rows {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x * x;
            }
        }
        let rest: f32 = rest.iter().map(|x| x * x).sum();
        sum += f64::from(sums.iter().sum::<f32>() + rest);
    }
    sum / samples.len().max(1) as f64
}

/// The factor on amplitudes that a level in decibels stands for.
///
/// By `libm`, so that it has the same bits on every machine.
pub(super) fn amplitude(db: f64) -> f64 {
    libm::pow(10.0, db / 20.0)
}

/// Adds `noise` of the same length, scaled so that the power of `wave` is `snr_db` decibels above that
/// of what is added, both over the whole length. Nothing is added to silence, and silence adds nothing.
pub(super) fn mix_at_snr(wave: &mut [f32], noise: &[f32], snr_db: f64) {
    mix_powers_at_snr(wave, power(wave), noise, power(noise), snr_db);
}

/// [`mix_at_snr`] where the powers of both are known.
pub(super) fn mix_powers_at_snr(wave: &mut [f32], wave_power: f64, noise: &[f32], noise_power: f64, snr_db: f64) {
    let factor = (wave_power / noise_power).sqrt() / amplitude(snr_db);
    if factor.is_finite() {
        let factor = factor as f32;
        for (x, &noise) in wave.iter_mut().zip(noise) {
            *x += noise * factor;
        }
    }
}
