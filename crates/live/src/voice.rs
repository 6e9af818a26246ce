//! How likely it is that somebody speaks.

use std::fmt;

use earshot::Detector;

/// Sample rate of voice activity, in Hz.
pub(crate) const VOICE_HZ: u32 = 16_000;
/// Samples of a frame at that rate: 16 ms.
pub(crate) const FRAME: usize = 256;

/// Scores of frames, by the small recurrent network of the crate earshot.
pub(crate) struct Voice {
    detector: Box<Detector>,
    /// Samples that are not scored yet.
    pending: Vec<f32>,
}

impl Voice {
    pub(crate) fn new() -> Self {
        Self {
            detector: Detector::default_boxed(),
            pending: Vec::new(),
        }
    }

    /// Where new samples at [`VOICE_HZ`] are appended.
    pub(crate) fn incoming(&mut self) -> &mut Vec<f32> {
        &mut self.pending
    }

    /// The next frame's score, from 0 to 1, if it is there.
    pub(crate) fn score(&mut self) -> Option<f32> {
        let mut frame: [f32; FRAME] = self.pending.get(..FRAME)?.try_into().ok()?;
        self.pending.drain(..FRAME);
        for sample in &mut frame {
            *sample = sample.clamp(-1.0, 1.0);
        }
        let score = self.detector.predict_f32(&frame);
        Some(if score.is_finite() { score } else { 0.0 })
    }

    /// Ends the frame that has begun with silence.
    pub(crate) fn pad(&mut self) {
        self.pending.resize(self.pending.len().next_multiple_of(FRAME), 0.0);
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Voice")
    }
}
