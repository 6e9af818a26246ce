//! Changing the sampling rate.

use std::cell::RefCell;
use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::{MAX_FRAMES, RATE_BOUNDS_HZ};

/// Length of the filter on the side of the lower rate, at least. It fixes the result, so a change here must change
/// every cache key.
const FILTER_FRAMES: usize = 512;
/// The same of rates that share next to no divisor: their blocks are long, and a filter as long as these would ring for as
/// long as the rates have no common frame.
const UNRELATED_FRAMES: usize = 640;
/// Blocks that are transformed, in lengths of the filter: what is longer is computed less twice, what is shorter stays
/// in the processor's memory.
const BLOCK_FILTERS: usize = 4;
/// The same for filters that are long because the rates share no divisor.
const LONG_BLOCK_FILTERS: usize = 2;
/// Filters longer than this are long.
const LONG_FILTER: usize = 1 << 14;
/// Plans that a thread remembers.
const PLANS: usize = 4;
/// Most frames for which there is room before they come.
const RESERVED: u64 = 1 << 20;

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
}

/// Refuses rates out of bounds.
pub(crate) fn check_rates(from_hz: u32, to_hz: u32) -> Result<(), ResampleError> {
    let outside = [from_hz, to_hz]
        .into_iter()
        .find(|rate_hz| !RATE_BOUNDS_HZ.contains(rate_hz));
    outside.map_or(Ok(()), |rate_hz| Err(ResampleError::Rate { rate_hz }))
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
/// # Source
/// Oppenheim & Schafer, Discrete-Time Signal Processing, section 8.7.3 (overlap-save). The filter is that of the crate
/// rubato, by Henrik Enquist: a sinc within a squared Blackman-Harris window.
///
/// # Errors
/// [`ResampleError`] when a rate or the result's length is out of bounds.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, ResampleError> {
    if from_hz == to_hz && RATE_BOUNDS_HZ.contains(&to_hz) {
        return Ok(samples.to_vec());
    }
    let mut resampler = Resampler::new(from_hz, to_hz, samples.len() as u64)?;
    let mut pending = resampler.begin();
    pending.extend_from_slice(samples);
    resampler.filter(&mut pending);
    Ok(resampler.finish(pending))
}

/// Audio that is resampled while it comes in.
///
/// Two blocks are transformed at once, as real and imaginary part of one: the filter is real in time and keeps them
/// apart.
pub(crate) struct Resampler {
    plan: Arc<Plan>,
    work: Work,
    output: Vec<f32>,
    /// Frames of the filter's delay that are still to be dropped.
    delay: usize,
    /// Frames of the result.
    frames: usize,
}

/// What is worked on, which a thread keeps from file to file.
///
/// Each transform goes from one buffer to another: in place, it would copy its result back.
pub(crate) struct Work {
    /// For samples that are not filtered yet.
    pending: Vec<f32>,
    /// A block before it is filtered.
    pub(crate) input: Vec<Complex32>,
    spectrum: Vec<Complex32>,
    new_spectrum: Vec<Complex32>,
    /// A block after that; its first [`Plan::new_taps`] frames are of no use.
    pub(crate) result: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Work {
    pub(crate) fn new(plan: &Plan) -> Self {
        let zeros = |length: usize| vec![Complex32::ZERO; length];
        let scratch = [&plan.forward, &plan.inverse].map(|transform| transform.get_outofplace_scratch_len());
        Self {
            pending: Vec::new(),
            input: zeros(plan.block),
            spectrum: zeros(plan.block),
            new_spectrum: zeros(plan.new_block),
            result: zeros(plan.new_block),
            scratch: zeros(scratch[0].max(scratch[1])),
        }
    }

    /// Filters the block in `input` into `result`.
    pub(crate) fn filter(&mut self, plan: &Plan) {
        let Self {
            input,
            spectrum,
            new_spectrum,
            result,
            scratch,
            ..
        } = self;
        plan.forward.process_outofplace_with_scratch(input, spectrum, scratch);
        let kept = plan.filter.len();
        let negative = kept - 1;
        for ((new, old), filter) in new_spectrum.iter_mut().zip(&*spectrum).zip(&plan.filter) {
            *new = old * filter;
        }
        new_spectrum[kept..plan.new_block - negative].fill(Complex32::ZERO);
        let below = new_spectrum[plan.new_block - negative..].iter_mut();
        let spectrum = &spectrum[plan.block - negative..];
        for ((new, old), filter) in below.zip(spectrum).zip(&plan.negative) {
            *new = old * filter;
        }
        plan.inverse
            .process_outofplace_with_scratch(new_spectrum, result, scratch);
    }
}

impl Resampler {
    /// For `frames` frames at `from_hz`.
    ///
    /// # Errors
    /// As [`resample`].
    pub(crate) fn new(from_hz: u32, to_hz: u32, frames: u64) -> Result<Self, ResampleError> {
        check_rates(from_hz, to_hz)?;
        let frames = resampled_len(frames, from_hz, to_hz);
        if frames > MAX_FRAMES {
            return Err(ResampleError::TooLong { rate_hz: to_hz, frames });
        }
        let (plan, work) = Plan::of(from_hz, to_hz);
        Ok(Self {
            // What a header claims may not be there.
            output: Vec::with_capacity(frames.min(RESERVED) as usize),
            delay: plan.new_taps / 2,
            frames: frames as usize,
            work,
            plan,
        })
    }

    /// Where samples are appended as they come, behind as many zeros as the filter reaches back.
    pub(crate) fn begin(&mut self) -> Vec<f32> {
        let mut pending = std::mem::take(&mut self.work.pending);
        pending.clear();
        pending.resize(self.plan.taps, 0.0);
        pending
    }

    /// Filters what it can of the samples, and takes away those that are no longer needed.
    pub(crate) fn filter(&mut self, pending: &mut Vec<f32>) {
        let needed = self.plan.taps + 2 * self.plan.hop();
        let mut start = 0;
        while pending.len() - start >= needed {
            self.pair(&pending[start..]);
            start += 2 * self.plan.hop();
        }
        pending.drain(..start);
    }

    /// The result, once there are no more.
    pub(crate) fn finish(mut self, mut pending: Vec<f32>) -> Vec<f32> {
        while self.output.len() < self.frames {
            pending.resize(self.plan.taps + 2 * self.plan.hop(), 0.0);
            self.pair(&pending);
            pending.drain(..2 * self.plan.hop());
        }
        self.output.truncate(self.frames);
        self.work.pending = pending;
        self.plan.keep(self.work);
        self.output
    }

    /// Filters two blocks that follow each other.
    fn pair(&mut self, pending: &[f32]) {
        let plan = &self.plan;
        let (first, second) = (pending, &pending[plan.hop()..]);
        for (input, (first, second)) in self.work.input.iter_mut().zip(first.iter().zip(second)) {
            *input = Complex32::new(*first, *second);
        }
        self.work.filter(plan);
        // What is before is mixed up with the block's other end.
        let valid = &self.work.result[plan.new_taps..];
        // Less than a block, so that only the first is cut.
        let delay = std::mem::take(&mut self.delay);
        self.output.extend(valid[delay..].iter().map(|z| z.re));
        self.output.extend(valid.iter().map(|z| z.im));
    }
}

/// What a change of rates needs: a function of the rates alone.
pub(crate) struct Plan {
    /// The rates in hertz.
    rates: (u32, u32),
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// The filter's spectrum from 0 Hz to half the lower rate.
    filter: Vec<Complex32>,
    /// That of negative frequencies, in the order of a transform's end.
    negative: Vec<Complex32>,
    /// Length of the filter, at the old rate and at the new one.
    pub(crate) taps: usize,
    pub(crate) new_taps: usize,
    /// Length of a block, likewise.
    block: usize,
    new_block: usize,
}

/// A plan of a thread, and what was worked on with it last.
struct Planned {
    plan: Arc<Plan>,
    work: Option<Work>,
}

thread_local! {
    /// The last plans that this thread has used: making one takes as long as resampling seconds of audio.
    static LAST: RefCell<Vec<Planned>> = const { RefCell::new(Vec::new()) };
}

impl Plan {
    fn of(from_hz: u32, to_hz: u32) -> (Arc<Self>, Work) {
        LAST.with_borrow_mut(|plans| {
            if let Some(known) = plans.iter_mut().find(|known| known.plan.rates == (from_hz, to_hz)) {
                let work = known.work.take();
                return (known.plan.clone(), work.unwrap_or_else(|| Work::new(&known.plan)));
            }
            let plan = Arc::new(Self::new(from_hz, to_hz, None));
            if plan.taps <= LONG_FILTER {
                plans.truncate(PLANS - 1);
                let planned = Planned {
                    plan: plan.clone(),
                    work: None,
                };
                plans.insert(0, planned);
            }
            let work = Work::new(&plan);
            (plan, work)
        })
    }

    /// Keeps what was worked on for the thread's next file of these rates.
    fn keep(&self, work: Work) {
        LAST.with_borrow_mut(|plans| {
            if let Some(known) = plans.iter_mut().find(|known| known.plan.rates == self.rates) {
                known.work = Some(work);
            }
        });
    }

    /// Of blocks of so many lengths of the filter, or of as many as are fastest.
    pub(crate) fn new(from_hz: u32, to_hz: u32, filters: Option<usize>) -> Self {
        let divisor = gcd(from_hz as usize, to_hz as usize);
        let (from, to) = (from_hz as usize / divisor, to_hz as usize / divisor);
        // A power of two keeps the lengths of transforms products of the rates' own small primes.
        let units = FILTER_FRAMES.div_ceil(from.min(to)).next_power_of_two();
        let (taps, new_taps) = (from * units, to * units);
        let filters = filters.unwrap_or(if taps > LONG_FILTER {
            LONG_BLOCK_FILTERS
        } else {
            BLOCK_FILTERS
        });
        let (block, new_block) = (taps * filters, new_taps * filters);
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(block), planner.plan_fft_inverse(new_block));
        let mut spectrum = vec![Complex32::ZERO; block];
        let fewer = taps.min(new_taps);
        let kept = if fewer < 2 * FILTER_FRAMES {
            fewer
        } else {
            UNRELATED_FRAMES
        };
        let filter = Filter {
            kept: kept as f64,
            taps: (kept * taps) as f64 / fewer as f64,
            // The delay is dropped in whole frames of the result.
            centre: (new_taps / 2 * from) as f64 / to as f64,
        };
        for (bin, tap) in spectrum.iter_mut().zip(filter.design(taps)) {
            // Neither transform divides by its length.
            bin.re = (tap / block as f64) as f32;
        }
        forward.process(&mut spectrum);
        spectrum.truncate(block.min(new_block) / 2);
        Self {
            rates: (from_hz, to_hz),
            forward,
            inverse,
            negative: spectrum.iter().skip(1).rev().map(Complex32::conj).collect(),
            filter: spectrum,
            taps,
            new_taps,
            block,
            new_block,
        }
    }

    /// New samples of a block.
    pub(crate) fn hop(&self) -> usize {
        self.block - self.taps
    }
}

/// A low-pass filter, with the cutoff that its window allows below half the lower rate.
struct Filter {
    /// Its length in frames of the lower rate.
    kept: f64,
    /// Its length at the old rate.
    taps: f64,
    /// Its middle.
    centre: f64,
}

impl Filter {
    /// Its first `count` taps, behind which there are none.
    fn design(&self, count: usize) -> Vec<f64> {
        let Self { kept, taps, centre } = *self;
        // Rubato's fit for this window.
        let below = 13.745_202_940_783_823 / kept
            + 121.735_325_863_749_34 / (kept * kept)
            + 5_964.163_279_612_051 / (kept * kept * kept);
        let cutoff = kept / taps / (below + 1.0);
        let mut filter: Vec<f64> = (0..count)
            .map(|tap| {
                let within = tap as f64 - centre + taps / 2.0;
                if !(0.0..taps).contains(&within) {
                    return 0.0;
                }
                let turn = 2.0 * PI * within / taps;
                let harmonic = |k: f64| libm::cos(k * turn);
                let window = 0.358_75 - 0.488_29 * harmonic(1.0) + 0.141_28 * harmonic(2.0) - 0.011_68 * harmonic(3.0);
                let x = PI * cutoff * (tap as f64 - centre);
                let sinc = if x == 0.0 { 1.0 } else { libm::sin(x) / x };
                window * window * sinc
            })
            .collect();
        let sum: f64 = filter.iter().sum();
        filter.iter_mut().for_each(|tap| *tap /= sum);
        filter
    }
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

    /// Rates whose reduced forms are odd, or that share no divisor, in every combination.
    const UNEVEN_HZ: [(u32, u32); 16] = [
        (15_999, 16_000),
        (16_000, 15_999),
        (44_100, 16_001),
        (16_001, 44_100),
        (16_001, 15_999),
        (8_001, 16_001),
        (11_025, 11_024),
        (22_051, 16_000),
        (44_101, 48_000),
        (16_000, 16_001),
        (7_919, 16_000),
        (6_001, 47_999),
        (47_999, 6_001),
        (1_025, 16_001),
        (48_000, 44_100),
        (32_000, 22_050),
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
        for (from_hz, to_hz) in PAIRS_HZ.into_iter().chain(UNEVEN_HZ) {
            let low_hz = from_hz.min(to_hz);
            let tones = [0.01, 0.11, 0.37, 0.62, 0.85].map(|part| part * f64::from(low_hz) / 2.0);
            let output = resample(&sines(&tones, from_hz, 3 * from_hz as usize), from_hz, to_hz).unwrap();
            let expected = sines(&tones, to_hz, 3 * to_hz as usize);
            assert_eq!(output.len(), expected.len());
            // Where the tones begin and end abruptly is left out: 50 ms, or as far as the filter reaches.
            let border = (to_hz as usize / 20).max(400 * to_hz as usize / low_hz as usize);
            let inner = border..3 * to_hz as usize - border;
            let error = energy(inner.clone().map(|i| output[i] - expected[i]));
            let snr_db = 10.0 * (energy(inner.map(|i| expected[i])) / error).log10();
            println!("{from_hz} to {to_hz} Hz: {snr_db:.0} dB");
            // A shift by a hundredth of a frame would leave 40 dB of the highest tone.
            assert!(snr_db > 110.0, "{from_hz} to {to_hz} Hz: {snr_db:.0} dB");
        }
    }

    /// What rubato makes of the first 1, 100 and 1500 frames of [`noise`]; see `make_resampled`.
    const RUBATOS: &[u8] = include_bytes!("../tests/golden/resampled.f32");

    fn noise(frames: usize) -> Vec<f32> {
        let mut state = 1_u64;
        (0..frames)
            .map(|_| {
                state = state
                    .wrapping_mul(0x5851_f42d_4c95_7f2d)
                    .wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn every_sample_is_rubatos() {
        let mut rubatos = RUBATOS
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        for (from_hz, to_hz) in PAIRS_HZ {
            for frames in [1, 100, 1500] {
                for (at, found) in resample(&noise(frames), from_hz, to_hz)
                    .unwrap()
                    .into_iter()
                    .enumerate()
                {
                    let expected = rubatos.next().unwrap();
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{from_hz} to {to_hz} Hz, frame {at} of {frames}: {found}, not {expected}"
                    );
                }
            }
        }
        assert_eq!(rubatos.next(), None);
    }

    #[test]
    fn samples_are_the_same_however_they_come_in() {
        let noise = noise(20_011);
        for (from_hz, to_hz) in PAIRS_HZ {
            for samples in [1, 100, 5000, noise.len()].map(|frames| &noise[..frames]) {
                let mut pieces = Resampler::new(from_hz, to_hz, samples.len() as u64).unwrap();
                let mut pending = pieces.begin();
                for piece in samples.chunks(777) {
                    pending.extend_from_slice(piece);
                    pieces.filter(&mut pending);
                }
                assert_eq!(pieces.finish(pending), resample(samples, from_hz, to_hz).unwrap());
            }
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
