//! Changing the sampling rate of sound that has no end yet.

use std::sync::Arc;

use rustfft::num_complex::Complex32;

use crate::resample::{Plan, ResampleError, Work, check_rates, resampled_len};

/// Lengths of the filter in a block: the least, so that little is waited for.
const BLOCK_FILTERS: usize = 2;

/// Resamples mono sound while it comes in, such as that of a microphone.
///
/// All of it together is what [`resample`](crate::resample()) makes of the whole, but for the rounding of sums: frame `i` is
/// the moment `i / to_hz`. It is a function of the samples alone, not of how they are cut into pieces.
pub struct StreamResampler {
    from_hz: u32,
    to_hz: u32,
    /// None where the rates are one.
    filter: Option<Filter>,
    taken: u64,
    given: u64,
}

/// What filters blocks.
struct Filter {
    plan: Arc<Plan>,
    work: Work,
    /// Samples that are not filtered yet, behind those that the filter reaches back to.
    pending: Vec<f32>,
    /// Frames of the filter's delay that are still to be dropped.
    delay: usize,
}

impl StreamResampler {
    /// From one rate in hertz to another.
    ///
    /// # Errors
    /// A rate is out of bounds.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        check_rates(from_hz, to_hz)?;
        let filter = (from_hz != to_hz).then(|| {
            let plan = Arc::new(Plan::new(from_hz, to_hz, Some(BLOCK_FILTERS)));
            Filter {
                work: Work::new(&plan),
                pending: vec![0.0; plan.taps],
                delay: plan.new_taps / 2,
                plan,
            }
        });
        Ok(Self {
            from_hz,
            to_hz,
            filter,
            taken: 0,
            given: 0,
        })
    }

    /// Longest time from a sample to the frame of its moment, in seconds: about 50 ms between the rates that
    /// microphones have, and up to 1.5 s between rates that share no divisor.
    #[must_use]
    pub fn lag_s(&self) -> f64 {
        self.filter.as_ref().map_or(0.0, |filter| {
            (filter.plan.hop() + filter.plan.taps / 2) as f64 / f64::from(self.from_hz)
        })
    }

    /// Takes the next samples, and appends the frames that are ready.
    pub fn push(&mut self, samples: &[f32], frames: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        let before = frames.len();
        match &mut self.filter {
            Some(filter) => filter.push(samples, frames),
            None => frames.extend_from_slice(samples),
        }
        self.given += (frames.len() - before) as u64;
    }

    /// Appends the frames that are left when there are no more samples.
    pub fn finish(mut self, frames: &mut Vec<f32>) {
        let left = resampled_len(self.taken, self.from_hz, self.to_hz).saturating_sub(self.given);
        let end = frames.len() + left as usize;
        if let Some(filter) = &mut self.filter {
            let silence = vec![0.0; filter.plan.hop()];
            while frames.len() < end {
                filter.push(&silence, frames);
            }
        }
        frames.truncate(end);
    }
}

impl Filter {
    fn push(&mut self, samples: &[f32], frames: &mut Vec<f32>) {
        self.pending.extend_from_slice(samples);
        let (taps, hop) = (self.plan.taps, self.plan.hop());
        let mut start = 0;
        while self.pending.len() - start >= taps + hop {
            let block = &self.pending[start..start + taps + hop];
            for (input, &sample) in self.work.input.iter_mut().zip(block) {
                *input = Complex32::new(sample, 0.0);
            }
            self.work.filter(&self.plan);
            // What is before is mixed up with the block's other end.
            let valid = &self.work.result[self.plan.new_taps..];
            let delay = std::mem::take(&mut self.delay);
            frames.extend(valid[delay..].iter().map(|frame| frame.re));
            start += hop;
        }
        self.pending.drain(..start);
    }
}

impl std::fmt::Debug for StreamResampler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "StreamResampler({} to {} Hz)", self.from_hz, self.to_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample;

    fn noise(frames: usize) -> Vec<f32> {
        let mut state = 7_u64;
        (0..frames)
            .map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn streamed(samples: &[f32], (from_hz, to_hz): (u32, u32), piece: usize) -> Vec<f32> {
        let mut resampler = StreamResampler::new(from_hz, to_hz).unwrap();
        let mut frames = Vec::new();
        for piece in samples.chunks(piece) {
            resampler.push(piece, &mut frames);
        }
        resampler.finish(&mut frames);
        frames
    }

    #[test]
    fn a_stream_is_what_the_whole_is() {
        for rates in [
            (48_000, 16_000),
            (44_100, 16_000),
            (8_000, 16_000),
            (192_000, 16_000),
            (22_050, 16_000),
            (48_000, 22_050),
            (16_001, 16_000),
            (16_000, 16_000),
        ] {
            for frames in [0, 1, 700, 60_000] {
                let samples = noise(frames);
                let whole = resample(&samples, rates.0, rates.1).unwrap();
                let found = streamed(&samples, rates, 441);
                assert_eq!(found.len(), whole.len(), "{rates:?}");
                for (at, (found, expected)) in found.iter().zip(&whole).enumerate() {
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{rates:?}, frame {at} of {frames}: {found}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_bits() {
        let samples = noise(20_011);
        let expected = streamed(&samples, (44_100, 16_000), samples.len());
        for piece in [1, 33, 882, 1764, 5000] {
            assert_eq!(streamed(&samples, (44_100, 16_000), piece), expected);
        }
    }

    #[test]
    fn frames_come_no_later_than_is_said() {
        for rates in [(48_000, 16_000), (44_100, 16_000), (192_000, 16_000), (8_000, 16_000)] {
            let mut resampler = StreamResampler::new(rates.0, rates.1).unwrap();
            assert!(resampler.lag_s() < 0.1, "{rates:?}: {}", resampler.lag_s());
            let (mut frames, mut taken) = (Vec::new(), 0);
            for piece in noise(rates.0 as usize).chunks(rates.0 as usize / 100) {
                resampler.push(piece, &mut frames);
                taken += piece.len();
                let behind_s = taken as f64 / f64::from(rates.0) - frames.len() as f64 / f64::from(rates.1);
                assert!(behind_s <= resampler.lag_s() + 1e-9, "{rates:?}: {behind_s} s");
            }
        }
    }

    #[test]
    fn rates_out_of_bounds_are_refused() {
        assert!(StreamResampler::new(0, 16_000).is_err());
        assert!(StreamResampler::new(16_000, 2_000_000).is_err());
    }
}
