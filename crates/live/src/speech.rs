//! The ear that listens for speech: what was said since somebody began to speak.

use crate::segmenter::{Limits, Segmenter, Turn};
use crate::settings::VoiceActivity;
use crate::span::{Ask, Heard, Span};
use crate::voice::{FRAME, VOICE_HZ, Voice};

/// Longest pause within speech in which something is asked still, in seconds: there is nothing new to hear in it.
const PAUSE_S: f64 = 0.2;

/// A stretch of speech that has begun.
#[derive(Clone, Copy, Debug)]
struct Open {
    segment: u64,
    /// Its first sample, of what is heard of the time before.
    from: u64,
    /// The first sample of speech.
    voice_from: u64,
    /// Where something is asked next.
    next: u64,
}

/// Finds speech, and asks about all of it that there is so far.
#[derive(Debug)]
pub(crate) struct SpeechEar {
    pub(crate) voice: Voice,
    segmenter: Segmenter,
    rate_hz: u32,
    pre_roll: u64,
    post_roll: u64,
    pause: u64,
    hop: u64,
    segments: u64,
    /// Where the last stretch has ended.
    ended: u64,
    open: Option<Open>,
}

impl SpeechEar {
    /// For samples at a rate; `hop` is in them.
    pub(crate) fn new(settings: &VoiceActivity, rate_hz: u32, hop: u64) -> Self {
        let frames = |seconds: f64| (seconds * f64::from(VOICE_HZ) / FRAME as f64).round() as u64;
        let samples = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
        Self {
            voice: Voice::new(),
            segmenter: Segmenter::new(Limits {
                start: settings.start,
                stop: settings.stop,
                onset: frames(settings.onset_s),
                silence: frames(settings.silence_s),
                longest: frames(settings.longest_s),
            }),
            rate_hz,
            pre_roll: samples(settings.pre_roll_s),
            post_roll: samples(settings.post_roll_s),
            pause: samples(PAUSE_S),
            hop: hop.max(1),
            segments: 0,
            ended: 0,
            open: None,
        }
    }

    /// Where a frame begins.
    pub(crate) fn place(rate_hz: u32, frame: u64) -> u64 {
        frame * FRAME as u64 * u64::from(rate_hz) / u64::from(VOICE_HZ)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Hears a frame, which ends before a sample, by its score.
    pub(crate) fn hear(&mut self, score: f32, end: u64, heard: &mut Vec<Heard>) {
        match self.segmenter.hear(score) {
            Some(Turn::Started { from }) => {
                let voice_from = Self::place(self.rate_hz, from);
                let from = voice_from.saturating_sub(self.pre_roll).max(self.ended);
                self.begin(from, voice_from, heard);
            }
            Some(Turn::Ended { to }) => {
                let voice_to = Self::place(self.rate_hz, to);
                self.end(voice_to, (voice_to + self.post_roll).min(end), false, heard);
            }
            Some(Turn::Cut { at }) => {
                let at = Self::place(self.rate_hz, at).min(end);
                self.end(at, at, true, heard);
                self.begin(at, at, heard);
            }
            None => {}
        }
        let voice_to = self.segmenter.voice_to();
        let Some(open) = &mut self.open else { return };
        while open.next <= end {
            let to = open.next;
            open.next += self.hop;
            if voice_to.is_some_and(|voice_to| Self::place(self.rate_hz, voice_to) + self.pause >= to) {
                heard.push(Heard::Ask(Ask {
                    segment: open.segment,
                    span: Span { from: open.from, to },
                    heard: to.saturating_sub(open.voice_from),
                    last: false,
                }));
            }
        }
    }

    /// Hears that the stream ends before a sample.
    pub(crate) fn finish(&mut self, end: u64, heard: &mut Vec<Heard>) {
        if let Some(voice_to) = self.segmenter.voice_to() {
            let voice_to = Self::place(self.rate_hz, voice_to).min(end);
            self.end(voice_to, (voice_to + self.post_roll).min(end), false, heard);
        }
    }

    fn begin(&mut self, from: u64, voice_from: u64, heard: &mut Vec<Heard>) {
        self.segments += 1;
        let segment = self.segments;
        self.open = Some(Open {
            segment,
            from,
            voice_from,
            next: voice_from + self.hop,
        });
        heard.push(Heard::Started { segment, from });
    }

    fn end(&mut self, voice_to: u64, to: u64, forced: bool, heard: &mut Vec<Heard>) {
        let Some(open) = self.open.take() else { return };
        self.ended = to;
        let (segment, span) = (open.segment, Span { from: open.from, to });
        heard.push(Heard::Ended { segment, span, forced });
        heard.push(Heard::Ask(Ask {
            segment,
            span,
            heard: voice_to.saturating_sub(open.voice_from),
            last: true,
        }));
    }
}
