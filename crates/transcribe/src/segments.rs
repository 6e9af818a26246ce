//! Long recordings by windows: what the tokens of one window say of its segments, and where the next window begins.
//!
//! # Source
//! Radford et al. 2023, §3.8; transformers' `WhisperGenerationMixin._retrieve_segment`.

use std::ops::Range;

/// Units of time of a model.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// `<|0.00|>`; tokens from here on are times.
    pub begin: u32,
    /// Seconds from one time to the next, 0.02.
    pub seconds: f64,
    /// Frames of the spectrogram from one time to the next, 2.
    pub frames: usize,
}

/// A stretch of speech with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Where it begins in the recording, in seconds.
    pub start: f64,
    /// Where it ends in the recording, in seconds.
    pub end: f64,
    /// Its tokens, those of times included, as places in the tokens of the window.
    pub tokens: Range<usize>,
}

/// What a window comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its segments, in order.
    pub segments: Vec<Segment>,
    /// Frames of the spectrogram after which the next window begins.
    pub advance: usize,
}

impl Clock {
    /// Cuts the tokens of a window into segments. Speech that the window cuts off is left to the next one, which begins at
    /// the last time.
    ///
    /// # Shapes
    /// - `tokens`: what was decoded, without prompt and end
    ///
    /// # Units
    /// - `offset`: seconds of the recording in front of the window
    /// - `frames`: frames of the spectrogram that the window has of the recording
    #[must_use]
    pub fn window(&self, tokens: &[u32], offset: f64, frames: usize) -> Window {
        let is_time = |token: &u32| *token >= self.begin;
        let times = tokens.iter().map(is_time).collect::<Vec<_>>();
        let ends_once = times.ends_with(&[false, true]);
        let mut cuts = (1..tokens.len())
            .filter(|&place| times[place - 1] && times[place])
            .collect::<Vec<_>>();
        if cuts.is_empty() {
            return self.whole(tokens, offset, frames);
        }
        if ends_once {
            cuts.push(tokens.len());
        } else if let Some(last) = cuts.last_mut() {
            // With the time that begins what is cut off.
            *last += 1;
        }
        let at = |place: usize| tokens.get(place).map_or(0.0, |token| self.count(*token) * self.seconds);
        let count = cuts.len();
        let mut segments = Vec::with_capacity(count);
        let mut from = 0;
        for (number, &to) in cuts.iter().enumerate() {
            let behind = if number + 1 == count && !ends_once { 2 } else { 1 };
            segments.push(Segment {
                start: offset + at(from),
                end: offset + at(to.saturating_sub(behind)),
                tokens: from..to,
            });
            from = to;
        }
        let advance = match tokens.get(from.saturating_sub(2)) {
            // Nothing was said behind the last time.
            _ if ends_once => frames,
            Some(token) => self.count(*token).max(0.0) as usize * self.frames,
            None => frames,
        };
        Window { segments, advance }
    }

    /// All tokens as one segment, up to the last time or the end of the window.
    fn whole(&self, tokens: &[u32], offset: f64, frames: usize) -> Window {
        let last = tokens.iter().rev().find(|token| **token >= self.begin);
        let end = match last {
            Some(token) if *token != self.begin => self.count(*token),
            _ => (frames / self.frames.max(1)) as f64,
        };
        Window {
            segments: vec![Segment {
                start: offset,
                end: offset + end * self.seconds,
                tokens: 0..tokens.len(),
            }],
            advance: frames,
        }
    }

    /// Times from `<|0.00|>` to a token; below 0 for text.
    fn count(&self, token: u32) -> f64 {
        f64::from(token) - f64::from(self.begin)
    }
}
