//! Windowed spectra of a recording, and recordings from spectra.

use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Length of a block in seconds.
const BLOCK_S: f64 = 0.12;
/// Time from block to block on the output, in seconds.
const INTERVAL_S: f64 = 0.03;
/// What earlier blocks are taken to have weighed where there are none, so that the beginning fades in.
const EARLIER: f32 = 0.1;
/// Keeps the division by the windows' weights finite.
const ALMOST_ZERO: f32 = 1e-30;

/// Blocks of a recording as spectra with bins at odd multiples of half a bin's width, which has neither
/// a bin at 0 Hz nor one at half the sampling rate.
pub(super) struct Frames {
    /// Silence, the recording, and silence.
    padded: Vec<f32>,
    /// Samples of silence in front.
    front: usize,
    window: Vec<f32>,
    interval: usize,
    size: usize,
    /// A block of the recording.
    samples: Vec<f32>,
    time: Vec<f32>,
    work: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// `e^(-πi n / size)` for each of the first half of the samples.
    twists: Vec<Complex32>,
    forward: Arc<dyn Fft<f32>>,
    backward: Arc<dyn Fft<f32>>,
}

impl Frames {
    /// Spectra of `samples · scale`.
    pub fn new(samples: &[f32], scale: f32, rate_hz: u32) -> Self {
        let block = (f64::from(rate_hz) * BLOCK_S) as usize;
        let interval = (f64::from(rate_hz) * INTERVAL_S) as usize;
        let size = fft_size(block);
        let front = block + interval;
        let mut padded = vec![0.0; front];
        padded.extend(samples.iter().map(|x| x * scale));
        let mut planner = FftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(size / 2), planner.plan_fft_inverse(size / 2));
        let scratch = forward
            .get_inplace_scratch_len()
            .max(backward.get_inplace_scratch_len());
        Self {
            padded,
            front,
            window: window(block, interval),
            interval,
            size,
            samples: vec![0.0; block],
            time: vec![0.0; size],
            work: vec![Complex32::ZERO; size / 2],
            scratch: vec![Complex32::ZERO; scratch],
            twists: (0..size / 2).map(|n| polar(-PI * n as f64 / size as f64)).collect(),
            forward,
            backward,
        }
    }

    /// Samples of a block.
    pub fn block(&self) -> usize {
        self.window.len()
    }

    /// Samples from block to block on the output.
    pub fn interval(&self) -> usize {
        self.interval
    }

    /// Samples of the transform; half of it are bins.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The spectrum of the block around a sample of the recording, as seen from that sample.
    pub fn analyse(&mut self, centre: isize, bins: &mut [Complex32]) {
        let (block, half) = (self.block(), self.block() / 2);
        let first = centre + self.front as isize - half as isize;
        // What of the block lies on the recording; the rest is silence.
        let start = usize::try_from(first).unwrap_or(0).min(self.padded.len());
        let skipped = usize::try_from(-first).unwrap_or(0).min(block);
        let there = (block - skipped).min(self.padded.len() - start);
        self.samples.fill(0.0);
        self.samples[skipped..skipped + there].copy_from_slice(&self.padded[start..start + there]);
        self.time.fill(0.0);
        // What lies before the centre comes last; half a bin turns its sign.
        let before = self.samples[..half].iter().zip(&self.window[..half]);
        for (time, (sample, weight)) in self.time[self.size - half..].iter_mut().zip(before) {
            *time = -sample * weight;
        }
        let after = self.samples[half..].iter().zip(&self.window[half..]);
        for (time, (sample, weight)) in self.time.iter_mut().zip(after) {
            *time = sample * weight;
        }
        // The even bins are the transform of half the size of the folded block, the odd ones mirror them.
        let middle = self.size / 2;
        let (early, late) = self.time.split_at(middle);
        for (((work, early), late), twist) in self.work.iter_mut().zip(early).zip(late).zip(&self.twists) {
            *work = Complex32::new(*early, -*late) * twist;
        }
        self.forward.process_with_scratch(&mut self.work, &mut self.scratch);
        for (k, work) in self.work.iter().enumerate() {
            if 2 * k < middle {
                bins[2 * k] = *work;
            } else {
                bins[self.size - 1 - 2 * k] = work.conj();
            }
        }
    }

    /// Adds the windowed block of a spectrum to samples.
    fn synthesise(&mut self, bins: &[Complex32], sum: &mut [f32]) {
        let middle = self.size / 2;
        for (k, work) in self.work.iter_mut().enumerate() {
            *work = if 2 * k < middle {
                bins[2 * k]
            } else {
                bins[self.size - 1 - 2 * k].conj()
            };
        }
        self.backward.process_with_scratch(&mut self.work, &mut self.scratch);
        let scale = 1.0 / middle as f32;
        let (early, late) = self.time.split_at_mut(middle);
        for (((work, twist), early), late) in self.work.iter().zip(&self.twists).zip(early).zip(late) {
            let sample = work * twist.conj();
            *early = sample.re * scale;
            *late = -sample.im * scale;
        }
        let half = self.block() / 2;
        let (before, after) = sum.split_at_mut(half);
        let window = self.time[self.size - half..].iter().zip(&self.window[..half]);
        for (sum, (time, weight)) in before.iter_mut().zip(window) {
            *sum -= time * weight;
        }
        let window = self.time.iter().zip(&self.window[half..]);
        for (sum, (time, weight)) in after.iter_mut().zip(window) {
            *sum += time * weight;
        }
    }
}

/// Blocks added up, and the weights of their windows.
pub(super) struct Overlap {
    samples: Vec<f32>,
    weights: Vec<f32>,
    /// Squared window.
    weight: Vec<f32>,
    length: usize,
}

impl Overlap {
    /// For a result of `length` samples, at least a block.
    pub fn new(frames: &Frames, length: usize) -> Self {
        let (block, interval) = (frames.block(), frames.interval());
        let weight: Vec<f32> = frames.window.iter().map(|w| w * w).collect();
        let mut weights = vec![ALMOST_ZERO; length + block];
        for (at, sum) in weights.iter_mut().enumerate().take(block) {
            let earlier: f32 = weight.iter().skip(at + interval).step_by(interval).sum();
            *sum += EARLIER * earlier;
        }
        Self {
            samples: vec![0.0; length + block],
            weights,
            weight,
            length,
        }
    }

    /// Adds a block that begins at a sample.
    pub fn add(&mut self, frames: &mut Frames, at: usize, bins: &[Complex32]) {
        frames.synthesise(bins, &mut self.samples[at..at + frames.block()]);
        for (sum, weight) in self.weights[at..].iter_mut().zip(&self.weight) {
            *sum += weight;
        }
    }

    /// The result, `scale` times as loud. What reaches over its ends is folded back onto it.
    pub fn finish(mut self, scale: f32) -> Vec<f32> {
        let half = self.weight.len() / 2;
        // After the last block has begun the sum is not divided by less than before, so that it fades out.
        let mut most = 0f32;
        for weight in &mut self.weights[self.length..] {
            most = most.max(*weight);
            *weight = most;
        }
        for (sample, weight) in self.samples.iter_mut().zip(&self.weights) {
            *sample *= scale / weight;
        }
        let (before, rest) = self.samples.split_at_mut(half);
        for (sample, echo) in rest.iter_mut().zip(before.iter().rev()) {
            *sample -= echo;
        }
        let (kept, after) = rest.split_at_mut(self.length);
        for (sample, echo) in kept.iter_mut().rev().zip(after.iter()).take(half) {
            *sample -= echo;
        }
        kept.to_vec()
    }
}

/// A point on the unit circle.
pub(super) fn polar(angle: f64) -> Complex32 {
    Complex32::new(libm::cos(angle) as f32, libm::sin(angle) as f32)
}

/// The next size from half a block on that factors well, times four halves of a half: as the original
/// chooses it.
fn fft_size(block: usize) -> usize {
    let quarter = block.div_ceil(2).div_ceil(2);
    let mut power = 1;
    while power < 16 && power < quarter {
        power *= 2;
    }
    while power * 8 < quarter {
        power *= 2;
    }
    let multiple = match quarter.div_ceil(power) {
        7 => 8,
        multiple => multiple,
    };
    power * multiple * 4
}

/// A Kaiser window as long as a block, for analysis and synthesis alike: blocks an interval apart, each
/// windowed twice, add up to what they were made of.
fn window(block: usize, interval: usize) -> Vec<f32> {
    let bandwidth = block as f64 / interval as f64;
    let bandwidth = bandwidth + 8.0 / ((bandwidth + 3.0) * (bandwidth + 3.0)) + 0.25 * (3.0 - bandwidth).max(0.0);
    let beta = PI * (bandwidth.max(2.0) * bandwidth.max(2.0) * 0.25 - 1.0).sqrt();
    let mut window: Vec<f64> = (0..block)
        .map(|i| {
            let place = (2 * i + 1) as f64 / block as f64 - 1.0;
            bessel0(beta * (1.0 - place * place).sqrt())
        })
        .collect();
    for i in 0..interval {
        let sum: f64 = window.iter().skip(i).step_by(interval).map(|w| w * w).sum();
        for weight in window.iter_mut().skip(i).step_by(interval) {
            *weight /= sum.sqrt();
        }
    }
    window.into_iter().map(|weight| weight as f32).collect()
}

/// Modified Bessel function of the first kind of order 0, as far as the original computes it.
fn bessel0(x: f64) -> f64 {
    let (mut sum, mut term, mut m) = (0.0, 1.0, 0.0);
    while term > 1e-4 {
        sum += term;
        m += 1.0;
        term *= x * x / (4.0 * m * m);
    }
    sum
}
