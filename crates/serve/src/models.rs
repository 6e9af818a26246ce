//! Models, each on a thread of its own, and the queues before them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use emorun_recognise::{Answer, Head, Recogniser, RecogniserError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use crate::batch::{Batcher, Waiting};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// What is said of a clip, or why nothing is.
pub(crate) type Said = Result<Vec<Answer>, RecogniserError>;

/// A clip on its way to a model.
struct Pending {
    samples: Vec<f32>,
    since: Instant,
    /// When nobody wants to know any more.
    until: Option<Instant>,
    reply: oneshot::Sender<Said>,
    /// Its place in the queue, which is free again when it is dropped.
    _place: OwnedSemaphorePermit,
}

impl Waiting for Pending {
    fn samples(&self) -> usize {
        self.samples.len()
    }

    fn since(&self) -> Instant {
        self.since
    }
}

/// A model that is served.
#[derive(Debug)]
pub(crate) struct Model {
    pub name: String,
    pub rate_hz: u32,
    pub heads: Arc<[Head]>,
    /// Samples of the shortest clip that it takes.
    pub shortest: usize,
    queue: usize,
    places: Arc<Semaphore>,
    sender: Sender<Pending>,
}

impl Model {
    /// How many clips wait or are being computed.
    pub fn waiting(&self) -> usize {
        self.queue - self.places.available_permits()
    }

    /// Clips that one request may have in the queue at a time: an eighth of it, so that no long recording keeps others out.
    pub fn share(&self) -> usize {
        (self.queue / 8).max(1)
    }

    /// Puts a clip into the queue; what is said of it comes later.
    ///
    /// # Errors
    /// The queue is full, or the clip is none that the model takes.
    pub fn ask(&self, samples: Vec<f32>) -> Result<oneshot::Receiver<Said>, Problem> {
        let place = self.place()?;
        self.put(samples, place, None)
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.places.clone().try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => Problem::busy("too many clips are waiting for this model; try again"),
            TryAcquireError::Closed => Problem::draining(),
        })
    }

    /// As [`Self::ask`], for as long as it is of use: what has waited longer is dropped without an answer.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_for_now(&self, samples: Vec<f32>, use_for: Duration) -> Result<oneshot::Receiver<Said>, Problem> {
        let place = self.place()?;
        self.put(samples, place, Instant::now().checked_add(use_for))
    }

    /// As [`Self::ask`], but waits for a place.
    ///
    /// # Errors
    /// The clip is none that the model takes.
    pub async fn ask_when_free(&self, samples: Vec<f32>) -> Result<oneshot::Receiver<Said>, Problem> {
        let place = self.places.clone().acquire_owned().await;
        self.put(samples, place.map_err(|_| Problem::draining())?, None)
    }

    fn put(
        &self,
        samples: Vec<f32>,
        place: OwnedSemaphorePermit,
        until: Option<Instant>,
    ) -> Result<oneshot::Receiver<Said>, Problem> {
        // A clip that the model refuses would fail the others of its batch.
        if samples.len() < self.shortest {
            return Err(Problem::of_model(&RecogniserError::TooShort {
                samples: samples.len(),
                shortest: self.shortest,
                rate_hz: self.rate_hz,
            }));
        }
        if let Some(at) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(Problem::of_model(&RecogniserError::NotFinite { at }));
        }
        let (reply, said) = oneshot::channel();
        let pending = Pending {
            samples,
            since: Instant::now(),
            until,
            reply,
            _place: place,
        };
        let gone = |_| Problem::internal(&format!("the thread of model {} has ended", self.name));
        self.sender.send(pending).map_err(gone)?;
        Ok(said)
    }
}

/// What a model has said of a clip that was put into its queue.
///
/// # Errors
/// The model failed.
pub(crate) async fn heard(said: oneshot::Receiver<Said>) -> Result<Vec<Answer>, Problem> {
    let said = said.await;
    let said = said.map_err(|_| Problem::internal("a model ended before it answered"))?;
    said.map_err(|error| Problem::of_model(&error))
}

/// As [`heard`], of a clip that was of use for a while: `None` if it is past.
///
/// # Errors
/// The model failed.
pub(crate) async fn heard_for_now(said: oneshot::Receiver<Said>) -> Result<Option<Vec<Answer>>, Problem> {
    let said = said.await.ok().transpose();
    said.map_err(|error| Problem::of_model(&error))
}

/// All models, the default one first.
#[derive(Debug)]
pub(crate) struct Models {
    all: Vec<Arc<Model>>,
}

impl Models {
    /// Starts a thread for each of some models, which ends when the last [`Model`] of it is dropped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        recognisers: Vec<(String, Box<dyn Recogniser>)>,
        limits: &Limits,
        metrics: &Metrics,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let mut all = Vec::new();
        let mut threads = Vec::new();
        for (name, recogniser) in recognisers {
            let (sender, incoming) = channel();
            let rate_hz = recogniser.rate_hz();
            all.push(Arc::new(Model {
                rate_hz,
                heads: recogniser.heads().into(),
                shortest: recogniser.shortest(),
                queue: limits.queue,
                places: Arc::new(Semaphore::new(limits.queue)),
                sender,
                name: name.clone(),
            }));
            let most_samples = limits.batch_seconds * f64::from(rate_hz);
            let batcher = Batcher::new(incoming, most_samples, limits.batch_wait);
            let metrics = metrics.clone();
            let thread = std::thread::Builder::new().name(format!("model {name}"));
            threads.push(thread.spawn(move || work(&name, recogniser, batcher, &metrics))?);
        }
        Ok((Self { all }, threads))
    }

    /// The model of a name, or the first where none is given.
    ///
    /// # Errors
    /// No model has this name.
    pub fn find(&self, name: Option<&str>) -> Result<&Arc<Model>, Problem> {
        let found = match name {
            None => self.all.first(),
            Some(name) => self.all.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.all.iter().map(|model| model.name.as_str()).collect();
            let message = format!("there is no such model; those served are: {}", names.join(", "));
            Problem::new(axum::http::StatusCode::NOT_FOUND, "unknown_model", message)
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.all.iter()
    }
}

/// A model's thread: batch after batch, until nobody can ask any more.
fn work(name: &str, mut recogniser: Box<dyn Recogniser>, mut batcher: Batcher<Pending>, metrics: &Metrics) {
    while let Some(mut batch) = batcher.next() {
        // Nobody waits for what was asked by clients that have gone, or about a moment that is past.
        let now = Instant::now();
        batch.retain(|pending| !pending.reply.is_closed() && pending.until.is_none_or(|until| until > now));
        if batch.is_empty() {
            continue;
        }
        let clips: Vec<&[f32]> = batch.iter().map(|pending| pending.samples.as_slice()).collect();
        metrics.batch(name, clips.len());
        let answers: Vec<Said> = match recognised(&mut *recogniser, &clips) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) if clips.len() == 1 => vec![Err(error)],
            // One clip may be at fault: the others are not to suffer from it.
            Err(_) => clips.iter().map(|clip| alone(&mut *recogniser, clip)).collect(),
        };
        for (pending, answer) in batch.into_iter().zip(answers) {
            // The client may have gone meanwhile.
            let _ = pending.reply.send(answer);
        }
    }
}

fn alone(recogniser: &mut dyn Recogniser, clip: &[f32]) -> Said {
    let mut answers = recognised(recogniser, &[clip])?;
    answers
        .pop()
        .ok_or_else(|| RecogniserError::Model("it gave no answer".to_owned()))
}

/// What a model says; a panic in it, which is a bug, ends neither its thread nor the server.
fn recognised(recogniser: &mut dyn Recogniser, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
    std::panic::catch_unwind(AssertUnwindSafe(|| recogniser.recognise(clips)))
        .unwrap_or_else(|_| Err(RecogniserError::Model("the model panicked".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers nothing of nothing.
    struct Silent;

    impl Recogniser for Silent {
        fn name(&self) -> &str {
            "silent"
        }

        fn rate_hz(&self) -> u32 {
            16_000
        }

        fn heads(&self) -> &[Head] {
            &[]
        }

        fn shortest(&self) -> usize {
            2
        }

        fn recognise(&mut self, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
            Ok(vec![Vec::new(); clips.len()])
        }
    }

    #[test]
    fn what_is_past_is_dropped_and_what_no_model_takes_is_not_asked() {
        let models: Vec<(String, Box<dyn Recogniser>)> = vec![("silent".to_owned(), Box::new(Silent))];
        let limits = Limits {
            queue: 2,
            ..Limits::default()
        };
        let (models, threads) = Models::start(models, &limits, &Metrics::new()).unwrap();
        let model = models.find(None).unwrap().clone();
        let past = model.ask_for_now(vec![0.0; 8], Duration::ZERO).unwrap();
        let asked = model.ask(vec![0.0; 8]).unwrap();
        assert!(past.blocking_recv().is_err());
        assert_eq!(asked.blocking_recv().unwrap(), Ok(Vec::new()));
        for refused in [vec![0.0], vec![0.0, f32::NAN]] {
            assert_eq!(model.ask(refused).unwrap_err().status.as_u16(), 422);
        }
        drop((model, models));
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
