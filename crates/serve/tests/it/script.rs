//! A model that says what a test wants, and a server of it.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use emorun_metrics::Predicts;
use emorun_recognise::{Answer, Head, Recogniser, RecogniserError};
use emorun_serve::{Bound, Ended, Limits, Server, Token};
use tokio::sync::oneshot;

/// A sample that makes the model panic, and one that makes it fail.
pub const PANICS: f32 = 200.0;
pub const FAILS: f32 = 100.0;

/// What is known of a model from outside.
#[derive(Clone, Default)]
pub struct Watch(Arc<(Mutex<Watched>, Condvar)>);

#[derive(Default)]
struct Watched {
    is_held: bool,
    batches: Vec<Vec<usize>>,
}

impl Watch {
    /// Lets the model wait before it answers, until it is released.
    pub fn hold(&self, is_held: bool) {
        self.0.0.lock().unwrap().is_held = is_held;
        self.0.1.notify_all();
    }

    /// Lengths of the clips of each batch so far.
    pub fn batches(&self) -> Vec<Vec<usize>> {
        self.0.0.lock().unwrap().batches.clone()
    }

    /// Waits until the model has been given so many batches.
    pub fn until_batches(&self, count: usize) {
        let watched = self.0.0.lock().unwrap();
        let few = |watched: &mut Watched| watched.batches.len() < count;
        let (_watched, waited) = self
            .0
            .1
            .wait_timeout_while(watched, Duration::from_secs(20), few)
            .unwrap();
        assert!(!waited.timed_out(), "the model was not asked");
    }
}

/// Says `happy` of what is louder, and how loud it is.
pub struct Script {
    heads: Vec<Head>,
    watch: Watch,
}

impl Script {
    pub fn new(watch: &Watch) -> Self {
        let head = |name: &str, predicts, outputs: &[&str]| Head {
            name: name.to_owned(),
            predicts,
            outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
            temperature: None,
        };
        Self {
            heads: vec![
                head("emotion", Predicts::Classes, &["sad", "happy"]),
                head("dims", Predicts::Numbers, &["arousal"]),
            ],
            watch: watch.clone(),
        }
    }

    /// What is said of a clip.
    pub fn answer(clip: &[f32]) -> Vec<Answer> {
        let loudness = clip.iter().map(|sample| sample.abs()).sum::<f32>() / clip.len() as f32;
        let happy = (4.0 * loudness).min(1.0);
        vec![
            Answer::Classes(vec![1.0 - happy, happy]),
            Answer::Numbers(vec![loudness]),
        ]
    }
}

impl Recogniser for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn rate_hz(&self) -> u32 {
        16_000
    }

    fn heads(&self) -> &[Head] {
        &self.heads
    }

    fn shortest(&self) -> usize {
        1600
    }

    fn recognise(&mut self, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
        let mut watched = self.watch.0.0.lock().unwrap();
        watched.batches.push(clips.iter().map(|clip| clip.len()).collect());
        self.watch.0.1.notify_all();
        drop(self.watch.0.1.wait_while(watched, |watched| watched.is_held).unwrap());
        let has = |value: f32| clips.iter().any(|clip| clip.contains(&value));
        assert!(!has(PANICS), "the script panics");
        if has(FAILS) {
            return Err(RecogniserError::Model("the script fails".to_owned()));
        }
        Ok(clips.iter().map(|clip| Self::answer(clip)).collect())
    }
}

/// A server that ends with this value.
pub struct Running {
    pub address: SocketAddr,
    pub watch: Watch,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Option<JoinHandle<Ended>>,
}

/// Limits under which tests are quick.
pub fn limits() -> Limits {
    Limits {
        patience: Duration::from_secs(5),
        ..Limits::default()
    }
}

impl Running {
    pub fn start() -> Self {
        Self::with(limits(), None)
    }

    pub fn with(limits: Limits, token: Option<&str>) -> Self {
        let token = token.map(|token| Token::new(token).unwrap());
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap(), &[], token).unwrap();
        let address = bound.address();
        let watch = Watch::default();
        let models: Vec<(String, Box<dyn Recogniser>)> = vec![
            ("script".to_owned(), Box::new(Script::new(&watch))),
            ("other/../model".to_owned(), Box::new(Script::new(&Watch::default()))),
        ];
        let server = Server::new(bound, models, limits).unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            server
                .serve(async {
                    let _ = stopped.await;
                })
                .unwrap()
        });
        Self {
            address,
            watch,
            stop: Mutex::new(Some(stop)),
            thread: Some(thread),
        }
    }

    /// Asks it to end, as SIGTERM does.
    pub fn stop(&self) {
        if let Some(stop) = self.stop.lock().unwrap().take() {
            let _ = stop.send(());
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> Ended {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        self.watch.hold(false);
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}
