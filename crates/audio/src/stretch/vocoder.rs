//! Which spectrum comes next on the output.

use std::f64::consts::TAU;

use rustfft::num_complex::Complex32;

use super::frames::{Frames, polar};

/// Energy below which a prediction says nothing; a full-scale block has around 10⁶.
const NOISE_FLOOR: f32 = 1e-15;
/// Least time factor that phases are predicted with.
const LEAST_TIME_FACTOR: f32 = 0.5;

/// Steps between two bins in which turns are known.
const PARTS: usize = 2048;

/// Zeros before and behind the bins of what is read between bins: nothing has to be asked there.
const PAD: usize = 2;

/// Where a bin of the output comes from.
#[derive(Clone, Copy)]
struct Source {
    /// Bin of the input, with a fraction.
    bin: f32,
    /// How much wider the input is there.
    gradient: f32,
}

/// A spectral peak's place on the input and on the output, in bins.
#[derive(Clone, Copy)]
struct Peak {
    input: f32,
    output: f32,
}

/// The state from block to block; all vectors have an element a bin. `input`, `previous`, `energy` and `turns` have
/// [`PAD`] more on either side.
pub(super) struct Vocoder {
    /// Factor on frequencies.
    shift: f32,
    /// The spectrum of the input here, an interval before, and of the output.
    input: Vec<Complex32>,
    previous: Vec<Complex32>,
    output: Vec<Complex32>,
    /// How far a bin's phase turns within an interval.
    turns: Vec<Complex32>,
    /// How far it turns more for each [`PARTS`]th of a bin.
    more_turns: Vec<Complex32>,
    energy: Vec<f32>,
    smoothed: Vec<f32>,
    peaks: Vec<Peak>,
    map: Vec<Source>,
    /// Energy that the output is to have, and the spectrum that it comes from.
    wanted: Vec<f32>,
    from: Vec<Complex32>,
    /// How each bin is turned on the input against what becomes the bin below it, and the one a smear below.
    near_twist: Vec<Complex32>,
    far_twist: Vec<Complex32>,
    /// What the bins above say of each bin's phase.
    above: Vec<Complex32>,
    /// Bins over which a block's window smears a tone.
    smear: f32,
}

impl Vocoder {
    pub fn new(frames: &Frames, shift: f32) -> Self {
        let bins = frames.size() / 2;
        let zeros = vec![Complex32::ZERO; bins];
        let padded = vec![Complex32::ZERO; bins + 2 * PAD];
        let turn = |bins: f64| polar(TAU * bins / frames.size() as f64 * frames.interval() as f64);
        Self {
            shift,
            input: padded.clone(),
            previous: padded,
            output: zeros.clone(),
            // Before the bins as at the first, and behind them there is nothing to turn.
            turns: (0..bins + PAD)
                .map(|bin| turn(bin.saturating_sub(PAD) as f64 + 0.5))
                .chain([Complex32::ZERO; PAD])
                .collect(),
            more_turns: (0..=PARTS).map(|part| turn(part as f64 / PARTS as f64)).collect(),
            energy: vec![0.0; bins + 2 * PAD],
            smoothed: vec![0.0; bins],
            peaks: Vec::with_capacity(bins / 2),
            map: (0..bins).map(straight).collect(),
            wanted: vec![0.0; bins],
            from: zeros.clone(),
            near_twist: zeros.clone(),
            far_twist: zeros.clone(),
            above: zeros,
            smear: frames.size() as f32 / frames.interval() as f32,
        }
    }

    /// The spectrum of the input an interval before, to be filled in.
    pub fn previous(&mut self) -> &mut [Complex32] {
        let bins = self.map.len();
        &mut self.previous[PAD..PAD + bins]
    }

    /// The spectrum of the input, to be filled in.
    pub fn input(&mut self) -> &mut [Complex32] {
        let bins = self.map.len();
        &mut self.input[PAD..PAD + bins]
    }

    /// The spectrum of the output an interval after the last one. `time_factor` says how much longer the
    /// output is than the input here.
    pub fn predict(&mut self, time_factor: f32) -> &[Complex32] {
        for (output, turn) in self.output.iter_mut().zip(&self.turns[PAD..]) {
            *output *= turn;
        }
        for (energy, input) in self.energy.iter_mut().zip(&self.input) {
            *energy = input.norm_sqr();
        }
        if self.shift != 1.0 {
            self.smooth();
            self.find_peaks();
            self.map_bins();
        }
        self.follow_time();
        self.follow_frequency(time_factor.max(LEAST_TIME_FACTOR));
        self.previous.copy_from_slice(&self.input);
        &self.output
    }

    /// The energy with its neighbours', exponentially weighted in both directions, twice.
    fn smooth(&mut self) {
        let slew = 1.0 / (1.0 + self.smear * 0.5);
        self.smoothed.copy_from_slice(&self.energy[PAD..PAD + self.map.len()]);
        let mut mean = 0.0;
        for _ in 0..2 {
            let (smoothed, mean) = (&mut self.smoothed, &mut mean);
            let mut pass = |energy: &mut f32| {
                *mean += (*energy - *mean) * slew;
                *energy = *mean;
            };
            smoothed.iter_mut().rev().for_each(&mut pass);
            smoothed.iter_mut().for_each(&mut pass);
        }
    }

    /// Stretches of bins louder than their surroundings, each by its centre of energy.
    fn find_peaks(&mut self) {
        self.peaks.clear();
        let (mut weighted, mut sum) = (0.0, 0.0);
        for bin in 0..=self.map.len() {
            let energy = self.energy[PAD + bin];
            if self.smoothed.get(bin).is_some_and(|smoothed| energy > *smoothed) {
                weighted += bin as f32 * energy;
                sum += energy;
            } else if sum > 0.0 {
                let input = weighted / sum;
                let output = (input + 0.5) * self.shift - 0.5;
                self.peaks.push(Peak { input, output });
                (weighted, sum) = (0.0, 0.0);
            }
        }
    }

    /// Moves peaks as wholes, and what lies between two of them smoothly from one's shift to the other's.
    fn map_bins(&mut self) {
        let bins = self.map.len();
        let (Some(first), Some(last)) = (self.peaks.first(), self.peaks.last()) else {
            self.map
                .iter_mut()
                .enumerate()
                .for_each(|(bin, source)| *source = straight(bin));
            return;
        };
        let at = |place: f32| (place.max(0.0) as usize).min(bins);
        for (bin, source) in self.map[..at(first.output.ceil())].iter_mut().enumerate() {
            *source = Source {
                bin: bin as f32 + first.input - first.output,
                gradient: 1.0,
            };
        }
        for pair in self.peaks.windows(2) {
            let [low, high] = [pair[0], pair[1]];
            let scale = 1.0 / (high.output - low.output);
            let offset = low.input - low.output;
            let change = high.input - high.output - offset;
            let (start, end) = (at(low.output.ceil()), at(high.output.ceil()));
            for (bin, source) in self.map[start..end].iter_mut().enumerate() {
                let bin = (start + bin) as f32;
                let part = (bin - low.output) * scale;
                *source = Source {
                    bin: bin + offset + part * part * (3.0 - 2.0 * part) * change,
                    gradient: 1.0 + 6.0 * part * (1.0 - part) * change * scale,
                };
            }
        }
        let start = at(last.output);
        for (bin, source) in self.map[start..].iter_mut().enumerate() {
            *source = Source {
                bin: (start + bin) as f32 + last.input - last.output,
                gradient: 1.0,
            };
        }
    }

    /// The energy of each bin, and a phase that goes on from the last block's as the input's does.
    ///
    /// The original turns bins first and then reads between them, which puts a tone of 110 Hz off by up to
    /// 16 cents; here what was read between them is turned, which is exact for a steady tone.
    fn follow_time(&mut self) {
        let bins = self.map.len();
        for (bin, source) in self.map.iter().enumerate() {
            let place = Place::new(source.bin, bins);
            let before = self.wanted[bin];
            let energy = place.read(&self.energy) * source.gradient.max(0.0);
            let input = place.read(&self.input);
            let part = (place.part * PARTS as f32) as usize;
            let turn = self.turns[place.low] * self.more_turns[part.min(PARTS)];
            let twist = input * (place.read(&self.previous) * turn).conj();
            self.output[bin] = self.output[bin] * twist * (1.0 / (before.max(energy) + NOISE_FLOOR));
            self.wanted[bin] = energy;
            self.from[bin] = input;
        }
    }

    /// The final phase of each bin: that of its neighbours, near and a smear away, turned as it is turned
    /// against them on the input. Those below are final already, those above predicted from time.
    fn follow_frequency(&mut self, time_factor: f32) {
        let bins = self.map.len();
        let far = (self.smear.round() as usize).min(bins);
        let far_steps = far as f32 * time_factor;
        for (bin, source) in self.map.iter().enumerate() {
            let below = |steps: f32| Place::new(source.bin - steps, bins).read(&self.input).conj();
            self.near_twist[bin] = self.from[bin] * below(time_factor);
            self.far_twist[bin] = self.from[bin] * below(far_steps);
        }
        self.above.fill(Complex32::ZERO);
        for (steps, twists) in [(1, &self.near_twist), (far, &self.far_twist)] {
            let outputs = self.output.iter().skip(steps);
            for (above, (output, twist)) in self.above.iter_mut().zip(outputs.zip(&twists[steps.min(bins)..])) {
                *above += output * twist.conj();
            }
        }
        // Each waits for the one before it: what can be known earlier is.
        let mut last = Complex32::ZERO;
        for bin in 0..bins {
            let mut phase = self.above[bin];
            if bin >= far {
                phase += self.output[bin - far] * self.far_twist[bin];
            }
            phase += last * self.near_twist[bin];
            let mut norm = phase.norm_sqr();
            if norm <= NOISE_FLOOR {
                phase = self.from[bin];
                norm = phase.norm_sqr() + NOISE_FLOOR;
            }
            last = phase * (self.wanted[bin] / norm).sqrt();
            self.output[bin] = last;
        }
    }
}

fn straight(bin: usize) -> Source {
    Source {
        bin: bin as f32,
        gradient: 1.0,
    }
}

/// A place between bins of what is padded.
#[derive(Clone, Copy)]
struct Place {
    low: usize,
    /// From 0 to below 1, from the lower bin on.
    part: f32,
}

impl Place {
    /// A place beyond the bins is one within the zeros there.
    fn new(bin: f32, bins: usize) -> Self {
        let place = (bin + PAD as f32).clamp(0.0, (bins + PAD) as f32);
        // The cast rounds towards zero.
        let low = place as usize;
        Self {
            low,
            part: place - low as f32,
        }
    }

    /// The value there.
    fn read<T>(self, values: &[T]) -> T
    where
        T: Copy + std::ops::Add<Output = T> + std::ops::Sub<Output = T> + std::ops::Mul<f32, Output = T>,
    {
        let pair = &values[self.low..self.low + 2];
        pair[0] + (pair[1] - pair[0]) * self.part
    }
}
