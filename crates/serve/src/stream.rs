//! `GET /v1/stream`: sound in, events out, over a WebSocket, as `emorun live` hears a microphone.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use emorun_live::{Event, Listener, Preset, Question};
use emorun_recognise::Answer;
use futures_util::SinkExt;
use futures_util::stream::{SplitSink, StreamExt};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::access::STREAM_PROTOCOL;
use crate::app::App;
use crate::models::{Model, heard, heard_for_now};
use crate::pcm::{Decoder, SampleFormat};
use crate::problem::Problem;

/// Sampling rates of streams, in Hz: from a telephone to a studio.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=192_000;
/// Rate of a stream that names none, in Hz.
const USUAL_HZ: u32 = 16_000;
/// Longest message, in bytes: seconds of sound.
const LONGEST_MESSAGE: usize = 1 << 20;
/// How far sound may be ahead of the clock, in seconds. A stream is heard while somebody speaks; who sends faster waits.
const AHEAD_S: f64 = 10.0;

/// How long what is said now is of use.
const NOW: Duration = Duration::from_secs(1);

/// How a stream is heard.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Name of the model.
    model: Option<String>,
    /// Sampling rate in Hz.
    rate_hz: Option<u32>,
    /// How samples are written.
    #[serde(default)]
    format: SampleFormat,
}

/// Opens a stream.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = Query::<Asked>::try_from_uri(&uri)
        .map_err(|error| Problem::bad(format!("the query cannot be read: {}", error.body_text())))?;
    let model = app.models.find(asked.model.as_deref())?.clone();
    let rate_hz = asked.rate_hz.unwrap_or(USUAL_HZ);
    if !RATES_HZ.contains(&rate_hz) {
        let (least, most) = RATES_HZ.into_inner();
        return Err(Problem::bad(format!("`rate_hz` is a rate from {least} to {most}")));
    }
    let upgrade = upgrade.map_err(|error| {
        let message = format!("this address is that of a WebSocket: {}", error.body_text());
        Problem::new(StatusCode::UPGRADE_REQUIRED, "no_web_socket", message)
    })?;
    let known = emorun_live::Model {
        heads: model.heads.clone(),
        rate_hz: model.rate_hz,
        shortest: model.shortest,
    };
    let listener = Listener::new(&Preset::Default.settings(), known, rate_hz)
        .map_err(|error| Problem::internal(&error.to_string()))?;
    let busy = |_| Problem::busy("as many streams as are taken at a time are open; try again");
    let place = app.streams.clone().try_acquire_owned().map_err(busy)?;
    let begun = app.drain.begin().ok_or_else(Problem::draining)?;
    let counted = app.metrics.stream();
    let upgrade = upgrade.protocols([STREAM_PROTOCOL]).max_message_size(LONGEST_MESSAGE);
    Ok(upgrade
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let _held = (place, begun, counted);
            let (sink, source) = socket.split();
            let hearing = Hearing {
                decoder: Decoder::new(asked.format),
                listener,
                rate_hz,
                heard: 0,
                begun: Instant::now(),
                has_ended: false,
                out: None,
                model,
                app,
                sink,
            };
            hearing.run(source).await;
        }))
}

/// What a question is answered; nothing, if it is past.
type Answering = Pin<Box<dyn Future<Output = Result<Option<Vec<Answer>>, Problem>> + Send>>;

/// How a stream ends before its sound does.
enum End {
    /// The client is told why, with a code of RFC 6455.
    Told(u16, String),
    /// The client has gone, or does not read what it is sent.
    Gone,
}

/// A stream that is being heard.
struct Hearing {
    sink: SplitSink<WebSocket, Message>,
    decoder: Decoder,
    listener: Listener,
    rate_hz: u32,
    /// Samples heard.
    heard: u64,
    begun: Instant,
    /// Whether no more sound comes.
    has_ended: bool,
    /// What the model is asked.
    out: Option<(Question, Answering)>,
    model: Arc<Model>,
    app: Arc<App>,
}

impl Hearing {
    async fn run(mut self, source: futures_util::stream::SplitStream<WebSocket>) {
        let end = match self.hear(source).await {
            Ok(()) if self.app.drain.has_started() => (close_code::AWAY, "the server is ending".to_owned()),
            Ok(()) => (close_code::NORMAL, String::new()),
            Err(End::Told(code, reason)) => (code, reason),
            Err(End::Gone) => return,
        };
        let frame = CloseFrame {
            code: end.0,
            reason: end.1.into(),
        };
        // Whoever has gone does not hear it.
        let _ = timeout(self.app.limits.patience, self.sink.send(Message::Close(Some(frame)))).await;
    }

    /// Hears sound and says what happens, until the sound has ended and all is said.
    async fn hear(&mut self, mut source: futures_util::stream::SplitStream<WebSocket>) -> Result<(), End> {
        let patience = self.app.limits.patience;
        let mut look = interval(patience / 2);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sign_of_life = Instant::now();
        let app = self.app.clone();
        while !(self.has_ended && self.listener.is_done()) {
            let ahead_s = self.heard as f64 / f64::from(self.rate_hz) - self.begun.elapsed().as_secs_f64() - AHEAD_S;
            let is_ahead = ahead_s > 0.0;
            let events = tokio::select! {
                // In this order, so that nobody is taken for gone whose sound only waits to be read.
                biased;
                answers = answer(&mut self.out) => self.answered(answers)?,
                () = app.drain.started(), if !self.has_ended => self.end(),
                message = source.next(), if !is_ahead => {
                    sign_of_life = Instant::now();
                    self.message(message)?
                }
                () = sleep(Duration::from_secs_f64(ahead_s.max(0.0))), if is_ahead => {
                    sign_of_life = Instant::now();
                    Vec::new()
                }
                _ = look.tick() => {
                    // The other side of a connection that is half open answers nothing.
                    if sign_of_life.elapsed() > 2 * patience {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(Vec::new().into())).await?;
                    Vec::new()
                }
            };
            self.say(events).await?;
            let skipped = self.ask();
            self.say(skipped).await?;
        }
        Ok(())
    }

    fn message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<Vec<Event>, End> {
        match message {
            Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => Ok(self.end()),
            // What comes behind the end, before the client hears of it.
            Some(Ok(Message::Binary(_))) if self.has_ended => Ok(Vec::new()),
            Some(Ok(Message::Binary(bytes))) => {
                let samples = self.decoder.decode(&bytes);
                self.heard += samples.len() as u64;
                self.app.metrics.heard(samples.len() as f64 / f64::from(self.rate_hz));
                Ok(self.listener.push(&samples))
            }
            Some(Ok(Message::Text(_))) => {
                let reason = "send samples as binary messages; an empty one ends the sound";
                Err(End::Told(close_code::UNSUPPORTED, reason.to_owned()))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Vec::new()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    fn end(&mut self) -> Vec<Event> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Vec::new();
        }
        self.listener.finish()
    }

    /// Asks the model what is to be asked. Where it is too busy, what is only about now is left out.
    fn ask(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.out.is_none()
            && let Some(question) = self.listener.question()
        {
            let clip = question.clip().to_vec();
            if question.is_last() {
                let model = self.model.clone();
                let answering = async move { heard(model.ask_when_free(clip).await?).await.map(Some) };
                self.out = Some((question, Box::pin(answering)));
                continue;
            }
            match self.model.ask_for_now(clip, NOW) {
                Ok(said) => self.out = Some((question, Box::pin(heard_for_now(said)))),
                Err(_) => events.extend(self.left_out(question)),
            }
        }
        events
    }

    fn answered(&mut self, answers: Result<Option<Vec<Answer>>, Problem>) -> Result<Vec<Event>, End> {
        let answers = answers.map_err(|problem| End::Told(close_code::ERROR, problem.message))?;
        Ok(match (self.out.take(), answers) {
            (Some((question, _)), Some(answers)) => self.listener.answer(question, answers),
            (Some((question, _)), None) => self.left_out(question),
            (None, _) => Vec::new(),
        })
    }

    fn left_out(&mut self, question: Question) -> Vec<Event> {
        self.app.metrics.skipped();
        self.listener.give_up(question)
    }

    async fn say(&mut self, events: Vec<Event>) -> Result<(), End> {
        for event in events {
            let text = event.json(self.listener.heads()).to_string();
            self.send(Message::Text(text.into())).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.app.limits.patience, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

/// The model's answer, once it is there; never, where nothing is asked.
async fn answer(out: &mut Option<(Question, Answering)>) -> Result<Option<Vec<Answer>>, Problem> {
    match out {
        Some((_, answering)) => answering.await,
        None => std::future::pending().await,
    }
}
