//! Where a recording is silent.

/// Bins of a second; where the rate is no multiple of it, they are a little shorter.
const BINS_PER_S: u32 = 100;

/// Mean squares of a recording, in bins of about a hundredth of a second.
#[derive(Clone, Debug)]
pub struct Loudness {
    bins: Vec<f64>,
    /// Samples of a bin, of all channels.
    bin: usize,
    /// Seconds of a bin.
    bin_s: f64,
    sum: f64,
    count: usize,
}

impl Loudness {
    /// Of a recording at a rate, of so many channels, of which nothing was heard yet.
    #[must_use]
    pub fn new(rate_hz: u32, channels: u16) -> Self {
        let frames = (rate_hz / BINS_PER_S).max(1);
        Self {
            bins: Vec::new(),
            bin: frames as usize * usize::from(channels.max(1)),
            bin_s: f64::from(frames) / f64::from(rate_hz.max(1)),
            sum: 0.0,
            count: 0,
        }
    }

    /// Hears the next samples, channels interleaved.
    pub fn hear(&mut self, samples: &[f32]) {
        for &sample in samples {
            self.sum += f64::from(sample) * f64::from(sample);
            self.count += 1;
            if self.count == self.bin {
                self.end_bin();
            }
        }
    }

    /// Ends with the recording.
    #[must_use]
    pub fn finished(mut self) -> Self {
        if self.count > 0 {
            self.end_bin();
        }
        self
    }

    fn end_bin(&mut self) {
        self.bins.push(self.sum / self.count as f64);
        (self.sum, self.count) = (0.0, 0);
    }

    /// Root mean square of a stretch in dB relative to full scale.
    #[must_use]
    pub fn db(&self, start_s: f64, end_s: f64) -> f64 {
        let first = ((start_s / self.bin_s) as usize).min(self.bins.len().saturating_sub(1));
        let end = ((end_s / self.bin_s).ceil() as usize).clamp(first + 1, self.bins.len().max(first + 1));
        let bins = self.bins.get(first..end.min(self.bins.len())).unwrap_or_default();
        10.0 * (bins.iter().sum::<f64>() / bins.len().max(1) as f64).log10()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loudness_is_that_of_the_stretch() {
        let mut loudness = Loudness::new(200, 1);
        loudness.hear(&[1e-6, 1e-6, 1e-6]);
        loudness.hear(&[1e-6, 0.5, -0.5, 0.5]);
        let loudness = loudness.finished();
        assert!((loudness.db(0.0, 0.02) + 120.0).abs() < 1e-4);
        assert!((loudness.db(0.02, 0.04) - 10.0 * 0.25f64.log10()).abs() < 1e-9);
        assert!((loudness.db(0.0, 0.04) - 10.0 * 0.125f64.log10()).abs() < 1e-6);
    }

    #[test]
    fn bins_of_a_rate_that_they_do_not_divide_do_not_drift() {
        // Five minutes of sound, then silence.
        let rate_hz = 22_050;
        let mut loudness = Loudness::new(rate_hz, 1);
        for second in 0..310 {
            let level = if second < 300 { 0.5 } else { 0.0 };
            loudness.hear(&vec![level; rate_hz as usize]);
        }
        let loudness = loudness.finished();
        assert!(loudness.db(299.0, 299.95) > -10.0);
        assert_eq!(loudness.db(300.05, 301.0), f64::NEG_INFINITY);
    }

    #[test]
    fn nothing_is_the_deepest_silence() {
        assert_eq!(Loudness::new(16_000, 2).finished().db(0.0, 1.0), f64::NEG_INFINITY);
    }
}
