//! What of a run is exported: parameters, tags, metrics, files.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use emorun_catalogue::{Catalogue, Run};
use emorun_files::open_regular;
use serde_json::Value;

use crate::MlflowError;

/// Characters of a parameter's value; servers before 2.8 take [`OLD_PARAM`].
pub(crate) const MOST_PARAM: usize = 6000;
/// Characters of a parameter's value that old servers take.
pub(crate) const OLD_PARAM: usize = 500;
/// Characters of a name.
const MOST_KEY: usize = 250;
/// Characters of a tag's value; servers before 2.10 take 5000.
const MOST_TAG: usize = 5000;
/// Prefix of our own tags.
pub(crate) const OWN: &str = "emorun.";
/// Prefix of tags that somebody gave to the run.
pub(crate) const GIVEN: &str = "emorun.tag.";
/// Tag by which a run is found again.
pub(crate) const ID: &str = "emorun.id";
/// Files of a run that are exported, beside those of its report.
const FILES: [&str; 5] = [
    "experiment.yaml",
    "resolved.yaml",
    "run.json",
    "summary.json",
    "metrics.jsonl",
];
/// Recordings that a run has saved, which are the corpus' and not ours to hand on; the page holds them too.
const RECORDINGS: &str = "misclassified";
const PAGE: &str = "index.html";
/// Files that a report has at most.
const MOST_FILES: usize = 2000;

/// A metric at a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub key: String,
    pub value: f64,
    pub timestamp_ms: i64,
    pub step: u64,
}

/// Everything of a run but its files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub name: String,
    pub status: &'static str,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    pub params: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    pub points: Vec<Point>,
}

impl Content {
    pub fn of(catalogue: &Catalogue, run: &Run) -> Result<Self, MlflowError> {
        let facts = &run.facts;
        let wrong = |problem: &str| MlflowError::Run {
            path: run.dir.clone(),
            problem: problem.to_owned(),
        };
        if facts.id.is_empty() || facts.experiment.is_empty() {
            return Err(wrong("its run.json does not say its name and id"));
        }
        let started_ms =
            milliseconds(&facts.started).ok_or_else(|| wrong("its run.json does not say when it started"))?;
        let ended_ms = facts.ended.as_deref().and_then(milliseconds);
        let mut names = Names::default();
        let settings = catalogue.settings_of(run).into_iter();
        let params = settings.map(|(path, value)| (names.unique(path), cut(&unquoted(value), MOST_PARAM)));
        let params = params.collect();
        let status = match facts.status.as_str() {
            "completed" => "FINISHED",
            "running" => "RUNNING",
            "interrupted" => "KILLED",
            _ => "FAILED",
        };
        let mut points = journal(&run.dir.join("metrics.jsonl"), started_ms, ended_ms)?;
        let last = points.last().map_or(0, |point| point.step);
        let timestamp_ms = ended_ms.unwrap_or(started_ms);
        let results = facts.metrics.iter().filter(|(_, value)| value.is_finite());
        points.extend(results.map(|(name, value)| Point {
            key: key(name),
            value: *value,
            timestamp_ms,
            step: last,
        }));
        Ok(Self {
            name: run.place.clone(),
            status,
            started_ms,
            ended_ms,
            params,
            tags: tags(run),
            points,
        })
    }
}

fn tags(run: &Run) -> Vec<(String, String)> {
    let facts = &run.facts;
    let known = [
        ("mlflow.runName", Some(run.place.clone())),
        ("mlflow.note.content", Some(facts.notes.note.clone())),
        ("mlflow.source.name", Some(facts.experiment.clone())),
        ("mlflow.source.type", Some("LOCAL".to_owned())),
        ("mlflow.source.git.commit", facts.commit.clone()),
        (ID, Some(facts.id.clone())),
        ("emorun.status", Some(facts.status.clone())),
        ("emorun.config_hash", Some(facts.config_hash.clone())),
        ("emorun.version", Some(facts.version.clone())),
        ("emorun.device", facts.device.clone()),
        ("emorun.seed", facts.seed.map(|seed| seed.to_string())),
        ("emorun.fold", facts.fold.clone()),
        ("emorun.error", facts.error.clone()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((name.to_owned(), cut(&value, MOST_TAG)))
    });
    let given = facts
        .notes
        .tags
        .iter()
        .map(|tag| (key(&format!("{GIVEN}{tag}")), "true".to_owned()));
    known.chain(given).collect()
}

/// The numbers of a journal, each by the part of the run that it is of and its name, such as `validation/emotion.uar`. Where
/// a line does not say its time, as those of older versions, it is that of the last epoch that has ended.
fn journal(path: &Path, started_ms: i64, ended_ms: Option<i64>) -> Result<Vec<Point>, MlflowError> {
    let file = match open_regular(path) {
        Ok(file) => file,
        // A parent has none.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read_error(path)(error)),
    };
    let mut points = Vec::new();
    let mut epochs_s = 0.0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(read_error(path))?;
        // The last line of a run that was killed, or is being written.
        let Ok(Value::Object(line)) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let split = line.get("split").and_then(Value::as_str);
        let (Some(split), Some(step)) = (split, line.get("step").and_then(Value::as_u64)) else {
            continue;
        };
        let wall = line.get("wall").unwrap_or(&Value::Null);
        epochs_s += wall["seconds"]
            .as_f64()
            .filter(|_| split == "train_epoch")
            .unwrap_or(0.0);
        let own_ms = wall["time"].as_f64().map(|seconds| (1000.0 * seconds).round() as i64);
        let guessed_ms = started_ms.saturating_add((1000.0 * epochs_s) as i64);
        let timestamp_ms = own_ms.unwrap_or_else(|| ended_ms.map_or(guessed_ms, |ended| guessed_ms.min(ended)));
        let clock = wall
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "time");
        let of = line
            .iter()
            .filter(|(name, _)| !["step", "epoch", "split", "wall"].contains(&name.as_str()));
        let epoch = line.get_key_value("epoch").filter(|_| split == "train_epoch");
        for (name, value) in of.chain(clock).chain(epoch) {
            if let Some(value) = value.as_f64().filter(|value| value.is_finite()) {
                points.push(Point {
                    key: key(&format!("{split}/{name}")),
                    value,
                    timestamp_ms,
                    step,
                });
            }
        }
    }
    Ok(points)
}

/// Files of a run with their places among its artifacts, in the order of their names.
pub(crate) fn files(run: &Run) -> Result<Vec<(PathBuf, String)>, MlflowError> {
    let own = FILES.iter().map(|name| (run.dir.join(name), (*name).to_owned()));
    let mut found: Vec<(PathBuf, String)> = own.filter(|(path, _)| path.is_file()).collect();
    let has_recordings = run.dir.join("report").join(RECORDINGS).exists();
    let mut folders = vec![(run.dir.join("report"), "report".to_owned())];
    while let Some((folder, place)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(read_error(&folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(read_error(&folder))?;
            let kind = entry.file_type().map_err(read_error(&entry.path()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = format!("{place}/{name}");
            let is_left_out = name == RECORDINGS || has_recordings && below == format!("report/{PAGE}");
            if kind.is_dir() && !is_left_out {
                folders.push((entry.path(), below));
            } else if kind.is_file() && !is_left_out && !name.starts_with('.') {
                found.push((entry.path(), below));
            }
        }
    }
    found.sort();
    found.truncate(MOST_FILES);
    Ok(found)
}

pub(crate) fn read_error(path: &Path) -> impl FnOnce(std::io::Error) -> MlflowError {
    let path = path.to_owned();
    move |source| MlflowError::Read { path, source }
}

/// Names of one kind, of which no two are the same after what servers refuse was replaced.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn unique(&mut self, name: &str) -> String {
        let first = key(name);
        let mut found = first.clone();
        let mut number = 2;
        while !self.0.insert(found.clone()) {
            found = format!("{}_{number}", first.chars().take(MOST_KEY - 8).collect::<String>());
            number += 1;
        }
        found
    }
}

/// A name as servers take it: letters, digits, `_`, `-`, `.`, spaces and single slashes.
pub(crate) fn key(name: &str) -> String {
    let letter = |letter: char| match letter {
        letter if letter.is_alphanumeric() => letter,
        '_' | '-' | '.' | ' ' | '/' => letter,
        _ => '_',
    };
    let name: String = name.chars().map(letter).collect();
    // What a path would leave out is refused.
    let parts = name.split('/').map(|part| match part {
        "" | "." | ".." => "_",
        part => part,
    });
    let name = parts.collect::<Vec<_>>().join("/");
    name.chars().take(MOST_KEY).collect()
}

/// The first characters of a text; the last of them says that there are more.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// A setting as people write it: words without their quotes.
fn unquoted(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

fn milliseconds(time: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(time)
        .ok()
        .map(|time| time.timestamp_millis())
}
