//! Powers and levels of waveforms.

/// Least signal-to-noise ratio that can be asked for, in decibels.
pub(super) const MIN_SNR_DB: f64 = -60.0;
/// Greatest signal-to-noise ratio that can be asked for, in decibels: below the rounding of samples.
pub(super) const MAX_SNR_DB: f64 = 100.0;

/// Mean square of the samples, 0 for none.
pub(super) fn power(samples: &[f32]) -> f64 {
    // Several sums side by side: one alone waits for each addition.
    let mut sums = [0.0; 16];
    for block in samples.chunks(sums.len()) {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    sums.iter().sum::<f64>() / samples.len().max(1) as f64
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
    let factor = (power(wave) / power(noise)).sqrt() / amplitude(snr_db);
    if factor.is_finite() {
        for (x, &noise) in wave.iter_mut().zip(noise) {
            *x += (f64::from(noise) * factor) as f32;
        }
    }
}
