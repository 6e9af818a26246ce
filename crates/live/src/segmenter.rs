//! Stretches of speech in scores of frames: hysteresis, and an end that is forced. Times are counted in frames.

/// Where speech begins and ends, as settings say it in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Least score at which speech begins, and at which it goes on.
    pub(crate) start: f32,
    pub(crate) stop: f32,
    /// Frames of at least the first in a row with which it has begun.
    pub(crate) onset: u64,
    /// Frames below the second in a row with which it has ended.
    pub(crate) silence: u64,
    /// Most frames of a stretch.
    pub(crate) longest: u64,
}

/// What changes with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Speech has begun with a frame.
    Started {
        /// The first frame.
        from: u64,
    },
    /// Speech has ended before a frame.
    Ended {
        /// Behind its last frame.
        to: u64,
    },
    /// Speech goes on, and a new stretch of it begins with a frame.
    Cut {
        /// The new stretch's first frame.
        at: u64,
    },
}

/// A stretch that has begun.
#[derive(Clone, Copy, Debug)]
struct Open {
    from: u64,
    /// Behind the last frame with voice.
    voice_to: u64,
}

/// Finds stretches of speech.
#[derive(Debug)]
pub(crate) struct Segmenter {
    limits: Limits,
    /// Frames heard.
    frames: u64,
    /// Frames in a row that were high enough to begin.
    run: u64,
    open: Option<Open>,
}

impl Segmenter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            frames: 0,
            run: 0,
            open: None,
        }
    }

    /// Hears the next frame's score.
    pub(crate) fn hear(&mut self, score: f32) -> Option<Turn> {
        self.frames += 1;
        let frames = self.frames;
        let Some(open) = &mut self.open else {
            self.run = if score >= self.limits.start { self.run + 1 } else { 0 };
            if self.run < self.limits.onset.max(1) {
                return None;
            }
            let from = frames - self.run;
            self.open = Some(Open { from, voice_to: frames });
            return Some(Turn::Started { from });
        };
        if score >= self.limits.stop {
            open.voice_to = frames;
        }
        if frames - open.voice_to >= self.limits.silence.max(1) {
            let to = open.voice_to;
            (self.open, self.run) = (None, 0);
            return Some(Turn::Ended { to });
        }
        if frames - open.from >= self.limits.longest {
            *open = Open {
                from: frames,
                voice_to: frames,
            };
            return Some(Turn::Cut { at: frames });
        }
        None
    }

    /// Behind the last frame with voice of the stretch that has begun.
    pub(crate) fn voice_to(&self) -> Option<u64> {
        self.open.map(|open| open.voice_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        start: 0.5,
        stop: 0.3,
        onset: 3,
        silence: 4,
        longest: 20,
    };

    fn turns(scores: impl IntoIterator<Item = f32>) -> Vec<(u64, Turn)> {
        let mut segmenter = Segmenter::new(LIMITS);
        let scores = scores.into_iter().enumerate();
        scores
            .filter_map(|(at, score)| segmenter.hear(score).map(|turn| (at as u64, turn)))
            .collect()
    }

    #[test]
    fn speech_begins_with_the_first_of_enough_high_frames() {
        let scores = [0.0, 0.9, 0.9, 0.4, 0.6, 0.5, 0.7, 0.4, 0.31];
        assert_eq!(turns(scores), [(6, Turn::Started { from: 4 })]);
    }

    #[test]
    fn speech_goes_on_between_the_two_scores_and_through_short_silence() {
        let mut scores = vec![0.9; 3];
        scores.extend([0.3, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let expected = [(2, Turn::Started { from: 0 }), (11, Turn::Ended { to: 8 })];
        assert_eq!(turns(scores), expected);
    }

    #[test]
    fn long_speech_is_cut_without_a_gap() {
        let expected = [
            (2, Turn::Started { from: 0 }),
            (19, Turn::Cut { at: 20 }),
            (39, Turn::Cut { at: 40 }),
        ];
        assert_eq!(turns([0.9; 50]), expected);
        let scores = std::iter::repeat_n(0.9, 20).chain(std::iter::repeat_n(0.0, 30));
        let expected = [
            (2, Turn::Started { from: 0 }),
            (19, Turn::Cut { at: 20 }),
            (23, Turn::Ended { to: 20 }),
        ];
        assert_eq!(turns(scores), expected);
    }

    #[test]
    fn what_is_no_number_is_no_voice() {
        assert_eq!(turns([f32::NAN; 50]), []);
    }
}
