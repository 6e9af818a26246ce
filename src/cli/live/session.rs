//! A session: sound is heard on one thread while the model answers on another, until the sound or its listener ends it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use emorun_engine::exit::Failure;
use emorun_engine::terminal::{print, tell};
use emorun_engine::train::interrupt;
use emorun_live::{Event, Listener, Question};
use emorun_recognise::{Answer, Recogniser, RecogniserError};

use super::latency::Latency;
use super::lines::line;
use super::recording::Recording;
use super::source::{Sound, Source};
use super::window::Window;

/// Messages that wait to be heard: more than a second of sound.
const WAITING: usize = 64;
/// How often it is looked whether the session is to end, and the window drawn.
const LOOK: Duration = Duration::from_millis(50);

/// What a session's thread is told.
pub(super) enum Message {
    /// Sound has come.
    Sound(Sound),
    /// No more comes, and why.
    Ended(Result<(), Failure>),
    /// The model has answered.
    Answered(Question, Result<Vec<Answer>, RecogniserError>),
}

/// Where events are shown.
pub(super) enum Output {
    /// A line for people.
    Text,
    /// An object a line.
    Json,
    /// A window on the terminal.
    Window(Window),
}

/// Who answers questions.
enum Model {
    /// The session's own thread, which waits for it: nothing is skipped.
    Here(Box<dyn Recogniser>),
    /// A thread of its own.
    Aside(SyncSender<Question>),
}

/// A session.
pub(super) struct Session {
    listener: Listener,
    recording: Option<Recording>,
    output: Output,
    latency: Latency,
    rate_hz: u32,
    /// Samples that came.
    heard: u64,
    lost: u64,
    segments: u64,
    updates: u64,
}

impl Session {
    pub(super) fn new(listener: Listener, recording: Option<Recording>, output: Output) -> Self {
        Self {
            listener,
            recording,
            output,
            latency: Latency::default(),
            rate_hz: 1,
            heard: 0,
            lost: 0,
            segments: 0,
            updates: 0,
        }
    }

    /// Listens until the source ends or somebody ends it, and says at the end how it went. `is_patient` lets a source that
    /// can wait do so until each question is answered.
    ///
    /// # Errors
    /// The source or the model fails, or what is recorded cannot be written. What was heard before is said all the same.
    pub(super) fn run(mut self, model: Box<dyn Recogniser>, source: Source, is_patient: bool) -> Result<(), Failure> {
        self.rate_hz = source.rate_hz();
        let (sender, messages) = sync_channel(WAITING);
        let model = if is_patient && source.waits() {
            Model::Here(model)
        } else {
            Model::Aside(answering(model, sender.clone())?)
        };
        let ended = self.listen(model, source, (sender, messages));
        if let Output::Window(window) = &mut self.output {
            window.close();
        }
        let kept = self.recording.take().map_or(Ok(()), Recording::finish);
        self.tell_summary();
        ended.and(kept)
    }

    fn listen(
        &mut self,
        mut model: Model,
        source: Source,
        (sender, messages): (SyncSender<Message>, Receiver<Message>),
    ) -> Result<(), Failure> {
        let mut flow = source.start(sender)?;
        // How the sound ended, once it has.
        let mut end = None;
        while end.is_none() || !self.listener.is_done() {
            let message = match messages.recv_timeout(LOOK) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match message {
                Some(Message::Sound(sound)) if end.is_none() => self.hear(&mut model, &sound)?,
                Some(Message::Ended(how)) if end.is_none() => {
                    self.hear_end(&mut model)?;
                    end = Some(how);
                }
                Some(Message::Answered(question, answers)) => {
                    let events = self.listener.answer(question, answers.map_err(wrong)?);
                    self.show(&events)?;
                }
                _ => {}
            }
            if end.is_none() && self.is_to_end()? {
                flow.take();
                self.hear_end(&mut model)?;
                end = Some(Ok(()));
            }
            self.ask(&model)?;
        }
        end.unwrap_or(Ok(()))
    }

    /// Whether somebody has ended it. The window is drawn besides.
    fn is_to_end(&mut self) -> Result<bool, Failure> {
        let is_left = match &mut self.output {
            Output::Window(window) => window.look(&self.listener)?,
            Output::Text | Output::Json => false,
        };
        Ok(is_left || interrupt::asked())
    }

    fn hear(&mut self, model: &mut Model, sound: &Sound) -> Result<(), Failure> {
        self.heard += sound.samples.len() as u64;
        self.lost += sound.lost;
        let to_s = self.heard as f64 / f64::from(self.rate_hz);
        // Who waits for answers has more sound waiting than was ever late.
        let at = if matches!(model, Model::Here(_)) {
            Instant::now()
        } else {
            sound.at
        };
        self.latency.came(to_s, at);
        if let Some(recording) = &mut self.recording {
            recording.sound(&sound.samples)?;
        }
        let events = match model {
            Model::Here(model) => self.listener.hear(&mut **model, &sound.samples).map_err(wrong)?,
            Model::Aside(_) => self.listener.push(&sound.samples),
        };
        self.show(&events)
    }

    fn hear_end(&mut self, model: &mut Model) -> Result<(), Failure> {
        let events = match model {
            Model::Here(model) => self.listener.hear_end(&mut **model).map_err(wrong)?,
            Model::Aside(_) => self.listener.finish(),
        };
        self.show(&events)
    }

    /// Hands the next question to the model's thread, which has none while it is asked.
    fn ask(&mut self, model: &Model) -> Result<(), Failure> {
        let Model::Aside(questions) = model else { return Ok(()) };
        match self.listener.question() {
            Some(question) => questions
                .send(question)
                .map_err(|_| Failure::Bug("the model's thread has ended".into())),
            None => Ok(()),
        }
    }

    fn show(&mut self, events: &[Event]) -> Result<(), Failure> {
        let now = Instant::now();
        for event in events {
            match event {
                Event::Update(update) => {
                    self.updates += 1;
                    self.latency.answered(update.to_s, now);
                }
                Event::SpeechStarted { segment, .. } => self.segments = *segment,
                _ => {}
            }
            if let Some(recording) = &mut self.recording {
                recording.event(event)?;
            }
            match &mut self.output {
                Output::Text => print(&format!("{}\n", line(event, self.listener.heads()))),
                Output::Json => print(&format!("{}\n", event.json(self.listener.heads()))),
                Output::Window(window) => window.show(event),
            }
        }
        Ok(())
    }

    fn tell_summary(&self) {
        let seconds = |samples: u64| samples as f64 / f64::from(self.rate_hz);
        let mut text = format!(
            "{:.1} s heard: {} answer(s) on {} stretch(es) of speech, {} question(s) skipped",
            seconds(self.heard),
            self.updates,
            self.segments,
            self.listener.skipped()
        );
        if let (Some(half), Some(most)) = (self.latency.within(0.5), self.latency.within(0.95)) {
            let ms = |time: Duration| (1000.0 * time.as_secs_f64()).round();
            text.push_str(&format!(
                "; from sample to answer p50 {} ms, p95 {} ms",
                ms(half),
                ms(most)
            ));
        }
        if self.listener.bad_samples() > 0 {
            let count = self.listener.bad_samples();
            text.push_str(&format!("; {count} sample(s) were no numbers of sound"));
        }
        if self.lost > 0 {
            text.push_str(&format!(
                "; {:.2} s of sound were lost, as this machine is too slow",
                seconds(self.lost)
            ));
        }
        tell(&text);
    }
}

/// Starts the model's thread.
fn answering(mut model: Box<dyn Recogniser>, messages: SyncSender<Message>) -> Result<SyncSender<Question>, Failure> {
    let (sender, questions) = sync_channel::<Question>(1);
    let answer = move || {
        for question in questions {
            let answers = model.recognise(&[question.clip()]);
            let answers = answers.map(|answers| answers.into_iter().next().unwrap_or_default());
            if messages.send(Message::Answered(question, answers)).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("model".into()).spawn(answer);
    thread.map_err(|error| Failure::Bug(error.to_string()))?;
    Ok(sender)
}

fn wrong(error: RecogniserError) -> Failure {
    match error {
        RecogniserError::Model(message) => Failure::Diverged(message),
        error => Failure::Bug(error.to_string()),
    }
}
