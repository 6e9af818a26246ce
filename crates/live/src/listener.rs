//! Samples in, events out.

use emorun_audio::{MAX_AMPLITUDE, ResampleError, StreamResampler};
use emorun_recognise::{Answer, Head, Recogniser, RecogniserError};

use crate::event::{Event, Update};
use crate::model::Model;
use crate::past::Past;
use crate::questions::{Question, Questions};
use crate::settings::{Hearing, Settings, SettingsError};
use crate::smoothing::Smoother;
use crate::span::{Ask, Heard, Span};
use crate::speech::SpeechEar;
use crate::voice::VOICE_HZ;
use crate::windows::WindowEar;

/// Seconds that are kept beyond what settings ask for.
const KEPT_MORE_S: f64 = 1.0;
/// Seconds over which the level is taken.
const LEVEL_S: f64 = 0.1;

/// Why a stream cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A setting that cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A sampling rate that cannot be.
    #[error(transparent)]
    Rate(#[from] ResampleError),
}

/// Which sound is asked about.
#[derive(Debug)]
enum Ear {
    Speech(SpeechEar),
    Windows(WindowEar),
}

/// Listens to one stream of sound.
///
/// What it holds does not grow with the stream.
#[derive(Debug)]
pub struct Listener {
    model: Model,
    window: u64,
    least: u64,
    /// None once the stream has ended.
    to_model: Option<StreamResampler>,
    /// For voice activity, where the model takes another rate.
    to_voice: Option<StreamResampler>,
    past: Past,
    ear: Ear,
    /// Frames of 16 ms heard, and where the last of them ends.
    frames: u64,
    heard_to: u64,
    questions: Questions,
    smoother: Smoother,
    events: Vec<Event>,
    bad_samples: u64,
}

impl Listener {
    /// For a stream of mono samples at a rate in hertz, full scale 1.
    ///
    /// # Errors
    /// A setting or a rate is out of bounds.
    pub fn new(settings: &Settings, model: Model, rate_hz: u32) -> Result<Self, ListenError> {
        settings.check()?;
        let samples = |seconds: f64| (seconds * f64::from(model.rate_hz)).round() as u64;
        let (window, hop) = (samples(settings.window_s), samples(settings.hop_s));
        let (ear, kept_s, voice_hz) = match &settings.hearing {
            Hearing::Speech(voice) => (
                Ear::Speech(SpeechEar::new(voice, model.rate_hz, hop)),
                voice.silence_s + voice.onset_s + voice.pre_roll_s,
                Some(VOICE_HZ).filter(|&voice_hz| voice_hz != model.rate_hz),
            ),
            Hearing::Windows(gate) => (
                Ear::Windows(WindowEar::new(*gate, model.rate_hz, (window, hop))),
                0.0,
                None,
            ),
        };
        let to_voice = voice_hz.map(|voice_hz| StreamResampler::new(rate_hz, voice_hz));
        Ok(Self {
            window,
            least: samples(settings.least_s),
            to_model: Some(StreamResampler::new(rate_hz, model.rate_hz)?),
            to_voice: to_voice.transpose()?,
            past: Past::new((window + samples(kept_s + KEPT_MORE_S)) as usize),
            ear,
            frames: 0,
            heard_to: 0,
            questions: Questions::default(),
            smoother: Smoother::new(settings.smoothing, settings.hold),
            events: Vec::new(),
            bad_samples: 0,
            model,
        })
    }

    /// Hears the next samples. What is asked because of them is to be taken with [`Self::question`].
    pub fn push(&mut self, samples: &[f32]) -> Vec<Event> {
        self.feed(samples);
        while self.step() {}
        std::mem::take(&mut self.events)
    }

    /// Hears that the stream has ended. Speech that has not ended with it does so now, and is asked about a last time.
    pub fn finish(&mut self) -> Vec<Event> {
        self.flush();
        while self.step() {}
        self.close();
        std::mem::take(&mut self.events)
    }

    /// The next question, if there is one and none is out.
    pub fn question(&mut self) -> Option<Question> {
        self.questions.take()
    }

    /// What follows from the model's answers, one for each head.
    pub fn answer(&mut self, question: Question, answers: Vec<Answer>) -> Vec<Event> {
        self.questions.back(true);
        let ask = question.ask;
        let estimates = self.smoother.update(ask.segment, &self.model.heads, answers);
        vec![Event::Update(Update {
            segment: ask.segment,
            from_s: self.seconds(question.span.from),
            to_s: self.seconds(question.span.to),
            heard_s: self.seconds(ask.heard),
            last: ask.last,
            estimates,
        })]
    }

    /// Says that a question will not be answered, and counts it as skipped.
    pub fn give_up(&mut self, question: Question) -> Vec<Event> {
        self.questions.back(false);
        let time_s = question.to_s();
        vec![Event::Skipped { time_s, count: 1 }]
    }

    /// Hears the next samples, and asks a recogniser all that is to be asked because of them: nothing is skipped.
    ///
    /// # Errors
    /// The recogniser has failed.
    pub fn hear(&mut self, recogniser: &mut dyn Recogniser, samples: &[f32]) -> Result<Vec<Event>, RecogniserError> {
        self.feed(samples);
        self.answered_by(recogniser)
    }

    /// [`Self::finish`], with all that is asked then answered by a recogniser.
    ///
    /// # Errors
    /// The recogniser has failed.
    pub fn hear_end(&mut self, recogniser: &mut dyn Recogniser) -> Result<Vec<Event>, RecogniserError> {
        self.flush();
        let mut events = self.answered_by(recogniser)?;
        self.close();
        events.extend(self.answered_by(recogniser)?);
        Ok(events)
    }

    /// The heads that answer.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.model.heads
    }

    /// Seconds heard.
    #[must_use]
    pub fn time_s(&self) -> f64 {
        self.seconds(self.heard_to)
    }

    /// Longest time from a sample to its being heard, in seconds, for the filters between rates.
    #[must_use]
    pub fn lag_s(&self) -> f64 {
        let resamplers = [&self.to_model, &self.to_voice].into_iter().flatten();
        resamplers.map(StreamResampler::lag_s).fold(0.0, f64::max)
    }

    /// Root mean square of the last tenth of a second in dB relative to full scale; minus infinity in silence.
    #[must_use]
    pub fn level_db(&self) -> f64 {
        let to = self.heard_to;
        let from = to.saturating_sub((LEVEL_S * f64::from(self.model.rate_hz)) as u64);
        let samples = self.past.span(Span { from, to });
        let sum: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        10.0 * (sum / samples.len().max(1) as f64).log10()
    }

    /// Whether somebody speaks now, or windows are loud enough.
    #[must_use]
    pub fn is_speech(&self) -> bool {
        match &self.ear {
            Ear::Speech(ear) => ear.is_open(),
            Ear::Windows(ear) => ear.is_open(),
        }
    }

    /// Whether all that was asked is answered.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.questions.is_done()
    }

    /// Questions that were not answered because newer ones came first.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.questions.skipped()
    }

    /// Samples that were no numbers of sound.
    #[must_use]
    pub fn bad_samples(&self) -> u64 {
        self.bad_samples
    }

    fn seconds(&self, samples: u64) -> f64 {
        samples as f64 / f64::from(self.model.rate_hz)
    }

    fn answered_by(&mut self, recogniser: &mut dyn Recogniser) -> Result<Vec<Event>, RecogniserError> {
        let mut events = Vec::new();
        loop {
            let is_more = self.step();
            events.append(&mut self.events);
            while let Some(question) = self.question() {
                let answers = recogniser.recognise(&[question.clip()])?;
                events.extend(self.answer(question, answers.into_iter().next().unwrap_or_default()));
            }
            if !is_more {
                return Ok(events);
            }
        }
    }

    /// Takes samples in at the rates at which they are heard.
    fn feed(&mut self, samples: &[f32]) {
        let Some(to_model) = &mut self.to_model else { return };
        let mut bad = 0;
        let samples: Vec<f32> = samples
            .iter()
            .map(|&sample| {
                // Such as float samples in the range of 16-bit integers.
                if sample.abs() <= MAX_AMPLITUDE {
                    sample
                } else {
                    bad += 1;
                    0.0
                }
            })
            .collect();
        if bad > 0 && self.bad_samples == 0 {
            self.events.push(Event::BadSamples {
                time_s: self.past.end() as f64 / f64::from(self.model.rate_hz),
                count: bad,
            });
        }
        self.bad_samples += bad;
        let before = self.past.incoming().len();
        to_model.push(&samples, self.past.incoming());
        if let Ear::Speech(ear) = &mut self.ear {
            match &mut self.to_voice {
                Some(to_voice) => to_voice.push(&samples, ear.voice.incoming()),
                None => ear.voice.incoming().extend_from_slice(&self.past.incoming()[before..]),
            }
        }
    }

    /// Takes in what resamplers still hold.
    fn flush(&mut self) {
        let before = self.past.incoming().len();
        if let Some(to_model) = self.to_model.take() {
            to_model.finish(self.past.incoming());
        }
        if let Ear::Speech(ear) = &mut self.ear {
            match self.to_voice.take() {
                Some(to_voice) => to_voice.finish(ear.voice.incoming()),
                None => ear.voice.incoming().extend_from_slice(&self.past.incoming()[before..]),
            }
        }
    }

    /// Hears the next frame, if it is there.
    fn step(&mut self) -> bool {
        let end = SpeechEar::place(self.model.rate_hz, self.frames + 1);
        self.past.end() >= end && self.step_to(end)
    }

    fn step_to(&mut self, end: u64) -> bool {
        let mut heard = Vec::new();
        match &mut self.ear {
            Ear::Speech(ear) => {
                let Some(score) = ear.voice.score() else { return false };
                ear.hear(score, end, &mut heard);
            }
            Ear::Windows(ear) => ear.hear(end, &self.past, &mut heard),
        }
        self.frames += 1;
        self.heard_to = end;
        self.act_on(heard);
        self.past.forget(end);
        true
    }

    /// Hears the frame that the stream breaks off, and its end.
    fn close(&mut self) {
        let end = self.past.end();
        if end > self.heard_to {
            if let Ear::Speech(ear) = &mut self.ear {
                ear.voice.pad();
            }
            self.step_to(end);
        }
        let mut heard = Vec::new();
        match &mut self.ear {
            Ear::Speech(ear) => ear.finish(end, &mut heard),
            Ear::Windows(ear) => ear.finish(end, &self.past, &mut heard),
        }
        self.act_on(heard);
    }

    fn act_on(&mut self, heard: Vec<Heard>) {
        let time_s = self.time_s();
        for heard in heard {
            match heard {
                Heard::Started { segment, from } => {
                    let from_s = self.seconds(from);
                    self.events.push(Event::SpeechStarted {
                        segment,
                        time_s,
                        from_s,
                    });
                }
                Heard::Ended { segment, span, forced } => {
                    let (from_s, to_s) = (self.seconds(span.from), self.seconds(span.to));
                    self.events.push(Event::SpeechEnded {
                        segment,
                        time_s,
                        from_s,
                        to_s,
                        forced,
                    });
                }
                Heard::Ask(ask) => self.ask(ask),
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        let span = Span {
            from: ask.span.from.max(ask.span.to.saturating_sub(self.window)),
            to: ask.span.to,
        };
        if ask.heard < self.least || span.len() < self.model.shortest as u64 {
            self.events.push(Event::NotEnough {
                segment: ask.segment,
                time_s: self.seconds(ask.span.to),
                heard_s: self.seconds(ask.heard),
                last: ask.last,
            });
            return;
        }
        let question = Question::new(ask, span, self.past.span(span), self.model.rate_hz);
        let count = self.questions.add(question);
        if count > 0 {
            let time_s = self.time_s();
            self.events.push(Event::Skipped { time_s, count });
        }
    }
}
