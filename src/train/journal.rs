//! What a run writes while it trains: `metrics.jsonl` and TensorBoard events.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use emorun_tensorboard::{EventWriter, HParam, HParams};
use serde_json::{Map, Value, json};

use crate::exit::Failure;

/// The written trace of a run. `metrics.jsonl` is part of its state; TensorBoard events are not,
/// so an error in writing them is told once and training goes on.
#[derive(Debug)]
pub struct Journal {
    metrics: File,
    bytes: u64,
    path: std::path::PathBuf,
    events: Option<EventWriter>,
    trained: bool,
}

/// Numbers of one logged step, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Numbers that depend on the data and the seed only.
    pub metrics: Vec<(String, Option<f64>)>,
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
    pub fn open(dir: &Path, bytes: u64, first_step: u64, tensorboard: bool) -> Result<Self, Failure> {
        let path = dir.join("metrics.jsonl");
        let io = |action| Failure::io(action, &path);
        let mut metrics = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io("open"))?;
        metrics.set_len(bytes).map_err(io("truncate"))?;
        metrics.seek(SeekFrom::End(0)).map_err(io("seek in"))?;
        let events = if tensorboard {
            EventWriter::create(dir, clamp(first_step), now())
                .inspect_err(|error| tracing::warn!("no TensorBoard events will be written: {error}"))
                .ok()
        } else {
            None
        };
        Ok(Self {
            metrics,
            bytes,
            path,
            events,
            trained: false,
        })
    }

    /// Bytes of `metrics.jsonl` so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes `metrics.jsonl` durable up to here.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn sync(&mut self) -> Result<(), Failure> {
        self.metrics.sync_data().map_err(Failure::io("sync", &self.path))?;
        self.flush_events();
        Ok(())
    }

    /// Hands TensorBoard events to the disk.
    pub fn flush_events(&mut self) {
        if let Some(events) = &mut self.events {
            events.sync();
        }
    }

    /// `metrics.jsonl` for another thread to make durable, and its path.
    ///
    /// # Errors
    /// The system gives no second handle to it.
    pub fn metrics_file(&self) -> Result<(File, std::path::PathBuf), Failure> {
        let file = self.metrics.try_clone().map_err(Failure::io("open", &self.path))?;
        Ok((file, self.path.clone()))
    }

    /// Writes one line of metrics, and each number as a TensorBoard scalar `split/name`.
    ///
    /// # Errors
    /// `metrics.jsonl` cannot be written.
    pub fn line(&mut self, step: u64, epoch: u64, split: &str, line: &Line) -> Result<(), Failure> {
        let mut object = Map::new();
        object.insert("step".into(), json!(step));
        object.insert("epoch".into(), json!(epoch));
        object.insert("split".into(), json!(split));
        for (name, value) in &line.metrics {
            object.insert(name.clone(), json!(value));
        }
        let wall: Map<String, Value> = line
            .wall
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        object.insert("wall".into(), Value::Object(wall));
        let mut text = Value::Object(object).to_string();
        text.push('\n');
        self.metrics
            .write_all(text.as_bytes())
            .map_err(Failure::io("write", &self.path))?;
        self.bytes += text.len() as u64;
        let scalars = line
            .metrics
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        let step = self.event_step(step);
        for (name, value) in scalars.chain(line.wall.iter().copied()) {
            self.event(|events, time| events.scalar(&format!("{split}/{name}"), step, value as f32, time));
        }
        Ok(())
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
    pub fn hparams(&mut self, experiment: &str, group: &str, values: &[(String, HParam)], metrics: &[&str]) {
        self.event(|events, time| {
            events.hparams(
                &HParams {
                    experiment,
                    group,
                    values,
                    metrics,
                },
                time,
            )
        });
    }

    /// Marks the run as completed in TensorBoard's hparams view.
    pub fn completed(&mut self) {
        self.event(|events, time| events.hparams_end(true, time));
    }

    fn event(&mut self, write: impl FnOnce(&mut EventWriter, f64) -> bool) {
        let Some(events) = &mut self.events else { return };
        write(events, now());
        if let Some(error) = events.take_error() {
            tracing::warn!("TensorBoard events end here, training goes on: {error}");
        }
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
