//! What a run writes while it trains: `metrics.jsonl` and TensorBoard events.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use emorun_files::{File, Files, read_regular};
use emorun_tensorboard::{EventError, EventWriter, HParam, HParams};
use serde_json::{Map, Value, json};

use crate::exit::Failure;

/// The written trace of a run.
///
/// What cannot be written stops no training: lines of `metrics.jsonl` are held and tried again with
/// the next, TensorBoard goes on in a new file from the next checkpoint, and what is lost in the end
/// is counted. Either is told once.
#[derive(Debug)]
pub struct Journal {
    files: Files,
    dir: PathBuf,
    metrics: File,
    bytes: u64,
    /// Lines that could not be written yet.
    held: String,
    /// A write has failed, so that the file may end in half a line.
    torn: bool,
    told_of_metrics: bool,
    lost_lines: u64,
    events: Events,
    trained: bool,
}

/// TensorBoard's side of a journal.
#[derive(Debug)]
struct Events {
    wanted: bool,
    writer: Option<EventWriter>,
    /// First step that was not written to yet.
    next_step: i64,
    told: bool,
    lost: u64,
}

/// Most bytes of lines that are held while they cannot be written.
const MOST_HELD: usize = 16 << 20;

/// Numbers of one logged step, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Numbers that depend on the data and the seed only.
    pub metrics: Vec<(String, Option<f64>)>,
    /// True (rows) and predicted classes of heads, counted.
    pub confusion: Vec<(String, Vec<Vec<u64>>)>,
    /// Numbers that depend on the clock.
    pub wall: Vec<(&'static str, f64)>,
}

impl Journal {
    /// Opens the journal of a run directory at a state with `bytes` of metrics, of which
    /// `first_step` is the first step to be written: what an interrupted run wrote beyond that is
    /// cut off, because it will be written again.
    ///
    /// # Errors
    /// `metrics.jsonl` cannot be opened.
    pub fn open(files: &Files, dir: &Path, bytes: u64, first_step: u64, tensorboard: bool) -> Result<Self, Failure> {
        let path = dir.join("metrics.jsonl");
        let mut metrics = files.append(&path).map_err(Failure::io("open", &path))?;
        let bytes = whole_lines(&path, bytes)?;
        metrics.truncate(bytes).map_err(Failure::io("truncate", &path))?;
        let mut journal = Self {
            files: files.clone(),
            dir: dir.to_owned(),
            metrics,
            bytes,
            held: String::new(),
            torn: false,
            told_of_metrics: false,
            lost_lines: 0,
            events: Events {
                wanted: tensorboard,
                writer: None,
                next_step: clamp(first_step),
                told: false,
                lost: 0,
            },
            trained: false,
        };
        journal.open_events();
        Ok(journal)
    }

    fn open_events(&mut self) {
        if !self.events.wanted {
            return;
        }
        match EventWriter::create_on(&self.files, &self.dir, self.events.next_step, now()) {
            Ok(writer) => self.events.writer = Some(writer),
            Err(error) => self.events.tell(&error),
        }
    }

    /// Bytes of `metrics.jsonl` so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands all that was logged to the disk, and tries again what has failed.
    pub fn flush(&mut self) {
        self.write_held();
        if let Some(writer) = &mut self.events.writer {
            writer.sync();
            self.events.check();
        }
        if self.events.writer.is_none() {
            self.open_events();
        }
    }

    /// Makes the journal durable at its end; gives the number of lines and events that it lacks.
    pub fn close(&mut self) -> u64 {
        self.flush();
        if let Err(error) = self.metrics.sync() {
            self.tell_of_metrics(&error);
        }
        self.lost_lines + self.held.lines().count() as u64 + self.events.lost
    }

    /// `metrics.jsonl` for another thread to make durable, where the system gives a second handle.
    pub fn metrics_file(&self) -> Option<File> {
        self.metrics.try_clone().ok()
    }

    /// Writes the lines that are held.
    fn write_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mend = if self.torn {
            self.metrics.truncate(self.bytes)
        } else {
            Ok(())
        };
        match mend.and_then(|()| self.metrics.write_all(self.held.as_bytes())) {
            Ok(()) => {
                self.bytes += self.held.len() as u64;
                self.held.clear();
                self.torn = false;
            }
            Err(error) => {
                self.torn = true;
                self.tell_of_metrics(&error);
            }
        }
    }

    fn tell_of_metrics(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.told_of_metrics, true) {
            let path = self.metrics.path().display();
            tracing::warn!("cannot write {path}: {error}; training goes on, and it is tried again with each line");
        }
    }

    /// Writes one line of metrics, and each number as a TensorBoard scalar below the group of its split.
    pub fn line(&mut self, step: u64, epoch: u64, split: &str, line: &Line) {
        let mut object = Map::new();
        object.insert("step".into(), json!(step));
        object.insert("epoch".into(), json!(epoch));
        object.insert("split".into(), json!(split));
        for (name, value) in &line.metrics {
            object.insert(name.clone(), json!(value));
        }
        if !line.confusion.is_empty() {
            let heads = line.confusion.iter();
            let heads: Map<String, Value> = heads.map(|(head, counts)| (head.clone(), json!(counts))).collect();
            object.insert("confusion".into(), Value::Object(heads));
        }
        let time = ("time", (1000.0 * now()).round() / 1000.0);
        let wall = line.wall.iter().copied().chain([time]);
        let wall: Map<String, Value> = wall.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        object.insert("wall".into(), Value::Object(wall));
        let mut text = Value::Object(object).to_string();
        text.push('\n');
        if self.held.len() + text.len() <= MOST_HELD {
            self.held.push_str(&text);
            self.write_held();
        } else {
            self.lost_lines += 1;
        }
        let scalars = line
            .metrics
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        let step = self.event_step(step);
        let tag = tag_of(split);
        for (name, value) in scalars.chain(line.wall.iter().copied()) {
            self.event(|events, time| events.scalar(&format!("{tag}/{name}"), step, value as f32, time));
        }
        self.events.next_step = self.events.next_step.max(step.saturating_add(1));
    }

    /// Marks that training is over: what follows is the final evaluation, shown in TensorBoard one
    /// step after the last. If the run is killed and measures again, TensorBoard can then replace
    /// these values, and them alone: it drops all that stands at a step or later.
    pub fn trained(&mut self) {
        self.trained = true;
    }

    fn event_step(&self, step: u64) -> i64 {
        clamp(step.saturating_add(u64::from(self.trained)))
    }

    /// A Markdown text for TensorBoard's text view.
    pub fn text(&mut self, tag: &str, step: u64, markdown: &str) {
        let step = self.event_step(step);
        self.event(|events, time| events.text(tag, step, markdown, time));
    }

    /// A PNG for TensorBoard's image view.
    pub fn image(&mut self, tag: &str, step: u64, png: &[u8]) {
        let step = self.event_step(step);
        self.event(|events, time| events.image(tag, step, png, time));
    }

    /// The run's hyperparameters for TensorBoard's hparams view.
    pub fn hparams(&mut self, group: &str, values: &[(String, HParam)]) {
        self.event(|events, time| events.hparams(&HParams { group, values }, time));
    }

    /// Marks the run as completed in TensorBoard's hparams view.
    pub fn completed(&mut self) {
        self.event(|events, time| events.hparams_end(true, time));
    }

    fn event(&mut self, write: impl FnOnce(&mut EventWriter, f64) -> bool) {
        let events = &mut self.events;
        if !events.wanted {
            return;
        }
        let written = events.writer.as_mut().is_some_and(|writer| write(writer, now()));
        events.lost += u64::from(!written);
        events.check();
    }
}

impl Events {
    /// Tells of an error, and lets a writer go that has ended with it.
    fn check(&mut self) {
        if let Some(error) = self.writer.as_mut().and_then(EventWriter::take_error) {
            self.writer = None;
            self.tell(&error);
        }
    }

    fn tell(&mut self, error: &EventError) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("{error}; training goes on, and a new file is tried with each checkpoint");
        }
    }
}

/// The length of `metrics.jsonl` to go on from: `bytes`, or as many whole lines as there are of them.
fn whole_lines(path: &Path, bytes: u64) -> Result<u64, Failure> {
    let length = std::fs::metadata(path).map_err(Failure::io("read", path))?.len();
    if length >= bytes {
        return Ok(bytes);
    }
    let text = read_regular(path, u64::MAX).map_err(Failure::io("read", path))?;
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    tracing::warn!(
        "{} has {length} of the {bytes} bytes that were there at the checkpoint: the last lines are missing",
        path.display()
    );
    Ok(whole as u64)
}

/// Where the numbers of a split stand in TensorBoard, which sorts groups of charts by name and opens the first: curves
/// over epochs come before results, which are single points, and before what is logged every few steps.
fn tag_of(split: &str) -> String {
    match (split, split.strip_prefix("final_")) {
        (_, Some(side)) => format!("final/{side}"),
        ("train", None) => "step/train".into(),
        ("train_epoch", None) => "epoch/train".into(),
        (other, None) => format!("epoch/{other}"),
    }
}

fn clamp(step: u64) -> i64 {
    step.try_into().unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
