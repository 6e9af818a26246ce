//! Time stretching and pitch shifting of speech in one pass.
//!
//! A port of Signalsmith Stretch 1.3 (Geraint Luff, Signalsmith Audio Ltd, 2022, MIT licence): a phase
//! vocoder whose phases follow time and frequency neighbours at once, and which moves spectral peaks as
//! wholes when the pitch changes. It is that library's `exact()` for one channel; what a whole recording
//! at hand does not need (real-time splitting, formants, custom maps, random phases beyond a twofold
//! stretch) is left out. Its licence:
//!
//! Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
//! associated documentation files (the "Software"), to deal in the Software without restriction,
//! including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense,
//! and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so,
//! subject to the following conditions: The above copyright notice and this permission notice shall be
//! included in all copies or substantial portions of the Software. The Software is provided "as is",
//! without warranty of any kind, express or implied, including but not limited to the warranties of
//! merchantability, fitness for a particular purpose and noninfringement. In no event shall the authors
//! or copyright holders be liable for any claim, damages or other liability, whether in an action of
//! contract, tort or otherwise, arising from, out of or in connection with the Software or the use or
//! other dealings in the Software.

mod frames;
mod vocoder;

use frames::Frames;
use vocoder::Vocoder;

/// Slowest and fastest playback, as a factor: beyond a twofold stretch phases would have to be random.
pub const RATE_BOUNDS: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// Furthest pitch shift in semitones.
pub const MAX_SEMITONES: f64 = 24.0;

/// Peak below which a recording counts as silent.
const SILENCE: f32 = 1e-20;

/// Length of a recording of `samples` played `rate` times as fast.
pub fn stretched_len(samples: usize, rate: f64) -> usize {
    if samples == 0 {
        return 0;
    }
    ((samples as f64 / rate).round() as usize).max(1)
}

/// Plays a recording `rate` times as fast at the same pitch, and shifts its pitch by `semitones` at that
/// length; `rate` and `semitones` are taken into [`RATE_BOUNDS`] and ±[`MAX_SEMITONES`].
///
/// Gives [`stretched_len`] samples: sample `i` is the moment `i · rate` of the original, to half a
/// sample. The result depends on the arguments alone, and is as loud as they are.
///
/// # Source
/// Signalsmith Stretch 1.3.1, `presetDefault`, one channel; positions are exact where the original
/// rounds them in 32 bits, and its thresholds are relative to the recording's peak.
pub fn stretch(samples: &[f32], rate_hz: u32, rate: f64, semitones: f64) -> Vec<f32> {
    let rate = rate.clamp(*RATE_BOUNDS.start(), *RATE_BOUNDS.end());
    let semitones = semitones.clamp(-MAX_SEMITONES, MAX_SEMITONES);
    let wanted = stretched_len(samples.len(), rate);
    let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
    if peak <= SILENCE {
        return vec![0.0; wanted];
    }
    let mut frames = Frames::new(samples, 1.0 / peak, rate_hz);
    let mut vocoder = Vocoder::new(&frames, libm::exp2(semitones / 12.0) as f32);
    let interval = frames.interval();
    // What is shorter than a block is made one block long and cut.
    let length = wanted.max(frames.block());
    let mut output = frames::Overlap::new(&frames, length);
    let position =
        |index: usize| ((index as u128 * samples.len() as u128 * 2 + wanted as u128) / (wanted as u128 * 2)) as usize;
    let mut previous = None;
    for index in (0..length).step_by(interval) {
        let centre = position(index);
        // The block before it on the input, which must be an interval away: it is there already if the
        // steps on the input are as long as on the output, give or take one sample.
        let step = previous.map(|previous: usize| centre.saturating_sub(previous));
        let time_factor = match step {
            Some(step) => interval as f32 / step.max(1) as f32,
            None => (1.0 / rate) as f32,
        };
        if step.is_none_or(|step| step.abs_diff(interval) > 1) {
            frames.analyse(centre as isize - interval as isize, vocoder.previous());
        }
        frames.analyse(centre as isize, vocoder.input());
        output.add(&mut frames, index, vocoder.predict(time_factor));
        previous = Some(centre);
    }
    let mut stretched = output.finish(peak);
    stretched.truncate(wanted);
    stretched
}

#[cfg(test)]
mod tests;
