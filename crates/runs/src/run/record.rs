//! `run.json`: what a run is, where it comes from and how it stands.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use emorun_lang::Signal;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use emorun_engine::exit::{ExitCode, Failure};
use emorun_engine::memory::peak_rss;
use emorun_experiment::ancestry::Ancestry;
use emorun_experiment::prepare::{Model, WeightsFacts};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Started; still going, or killed.
    Running,
    /// Interrupted with a checkpoint.
    Interrupted,
    /// Ended with a number that is not finite.
    Diverged,
    /// Ended with another error.
    Failed,
    /// Done.
    Completed,
}

impl Status {
    /// How a run stands that ended with this failure.
    pub fn after(failure: &Failure) -> Self {
        match failure.code() {
            ExitCode::Interrupted => Self::Interrupted,
            ExitCode::Diverged => Self::Diverged,
            _ => Self::Failed,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Completed => "completed",
        })
    }
}

/// The record of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// How it stands.
    pub status: Status,
    /// What its checkpoints bear, so that those of another run are not taken for its own; empty in
    /// runs of versions that did not store it.
    #[serde(default)]
    pub id: String,
    /// Name of the experiment.
    pub name: String,
    /// Seed; `None` for a parent of several.
    pub seed: Option<u64>,
    /// Fold, such as `fold-1`.
    pub fold: Option<String>,
    /// The run that this one is a member of.
    pub parent: Option<String>,
    /// Arguments that set values, as given.
    pub set: Vec<String>,
    /// Hash of the resolved experiment.
    pub config_hash: String,
    /// The resolved experiment, to say what has changed in the file; not repeated in members.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub resolved: Value,
    /// What has changed from one resuming to the next.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Version of emorun and of Burn.
    pub versions: Versions,
    /// Source of the experiment, where it lies in a git checkout.
    pub git: Option<Git>,
    /// Device and why it was chosen.
    pub device: Option<String>,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    pub ended: Option<String>,
    /// Members, for a parent.
    pub members: Vec<String>,
    /// Fingerprint of each dataset.
    pub data: Value,
    /// Names of the classes of each label column and attribute, in the order of their numbers.
    #[serde(default)]
    pub classes: IndexMap<String, Vec<String>>,
    /// Of each node whose outputs have names, such as a head's classes, these in their order.
    #[serde(default)]
    pub outputs: IndexMap<String, Vec<String>>,
    /// The pretrained weights that each encoder begins with.
    #[serde(default)]
    pub weights: IndexMap<String, WeightsFacts>,
    /// Hashes of what nodes read beside the corpora, by node: features and models from files, and the recordings that
    /// augmentations draw from.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What its weights began as, where that was not drawn.
    #[serde(default)]
    pub started_from: Option<Started>,
    /// Runs and files that its weights come from, the nearest first, and whom they have heard. `None` of a version that
    /// did not store it.
    #[serde(default)]
    pub ancestry: Option<Ancestry>,
    /// Proof that the splits are disjoint.
    pub certificate: Value,
    /// Largest resident memory of the process in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Lines of metrics and TensorBoard events that could not be written.
    #[serde(default)]
    pub unlogged: u64,
    /// What went wrong.
    pub error: Option<String>,
    /// The exit code that belongs to it.
    #[serde(default)]
    pub exit_code: Option<u8>,
}

/// Weights from elsewhere that a run began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The run's directory, or the file.
    pub from: String,
    /// BLAKE3 over the tensors that were taken.
    pub hash: String,
    /// Nodes that took them.
    pub nodes: Vec<String>,
}

/// Something that was different when a run went on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When it was noticed, RFC 3339.
    pub at: String,
    /// A key of the experiment by dotted path, or `emorun`, `burn` or `device`.
    pub key: String,
    /// What it was.
    pub from: Value,
    /// What it is.
    pub to: Value,
}

/// An id that no other run has.
pub fn new_id() -> String {
    // Addresses differ from process to process, and the counter within one.
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let here = std::ptr::from_ref(&count).addr();
    let seed = format!("{} {} {count} {here}", now.as_nanos(), std::process::id());
    blake3::hash(seed.as_bytes()).to_hex()[..16].to_owned()
}

impl RunRecord {
    /// Says so where the run was ended from outside, without a word of its own.
    pub fn say_if_cut_short(&self, dir: &Path) {
        if self.status == Status::Running {
            tracing::warn!(
                "{} was cut short: the process was killed (as systems do that run out of memory) or the machine went down; it goes on from its newest checkpoint",
                dir.display()
            );
        }
    }

    /// Notes that the run goes on.
    pub fn go_on(&mut self) {
        self.status = Status::Running;
        self.error = None;
        self.exit_code = None;
    }

    /// Notes how the run has ended.
    pub fn end<T>(&mut self, outcome: &Result<T, Failure>) {
        self.ended = Some(timestamp());
        self.peak_memory_bytes = peak_rss();
        let failure = outcome.as_ref().err();
        self.status = failure.map_or(Status::Completed, Status::after);
        self.error = failure.map(ToString::to_string);
        self.exit_code = failure.map(|failure| failure.code() as u8);
    }

    /// The exit code of a failure that trying again would bring about again; `None` for a run that has not failed so.
    pub fn fell_with(&self) -> Option<ExitCode> {
        let code = self.exit_code.and_then(ExitCode::of);
        match self.status {
            Status::Diverged => Some(ExitCode::Diverged),
            // Disks, command lines and other processes change; what older versions left says nothing of it.
            Status::Failed => code.filter(|code| ![ExitCode::Usage, ExitCode::Conflict, ExitCode::Io].contains(code)),
            Status::Running | Status::Interrupted | Status::Completed => None,
        }
    }

    /// Compares items, their labels and their split with those that the run in `dir` was started with.
    ///
    /// # Errors
    /// They have changed.
    pub fn check_data(&self, now: &Value, certificate: &Value, dir: &Path) -> Result<(), Failure> {
        self.check_items(now, dir)?;
        if self.certificate["hash"] != certificate["hash"] {
            return Err(data_changed(dir));
        }
        // By their order epochs are drawn; versions that did not store it cannot tell.
        let order = &self.certificate["order"];
        if !order.is_null() && *order != certificate["order"] {
            return Err(Failure::Conflict(format!(
                "the items are the same as when {} was started, but in another order (of the datasets in the experiment, or of the rows in a table), by which epochs are drawn; put them back in order, or start a new run instead",
                dir.display()
            )));
        }
        Ok(())
    }

    /// Compares items and their labels, whatever side they are on: all that a run of several members has of its own.
    ///
    /// # Errors
    /// They have changed.
    pub fn check_items(&self, now: &Value, dir: &Path) -> Result<(), Failure> {
        let fingerprints = |data: &Value| -> BTreeMap<String, Value> {
            let sets = data.as_object().into_iter().flatten();
            sets.map(|(name, facts)| (name.clone(), facts["fingerprint"].clone()))
                .collect()
        };
        if fingerprints(&self.data) != fingerprints(now) {
            return Err(data_changed(dir));
        }
        Ok(())
    }

    /// Compares the classes, and what nodes read beside the corpora, with those that the run in `dir` was started with:
    /// of all nodes, or of those that are `needed`.
    ///
    /// # Errors
    /// They have changed; the message names what and both sides of it.
    pub fn check_identity(&self, model: &Model, needed: impl Fn(&str) -> bool, dir: &Path) -> Result<(), Failure> {
        let conflict = |message: String| Err(Failure::Conflict(message));
        let now = model.output_names();
        let then = |node: &str| {
            self.outputs
                .get(node)
                .cloned()
                .or_else(|| self.classes_then(model, node))
        };
        for (node, names) in now.iter().filter(|(node, _)| needed(node)) {
            if let Some(then) = then(node).filter(|then| then != names) {
                return conflict(format!(
                    "the classes of `{node}` are not numbered as when {} was started: then {}, now {}; put labels and classes back, or start a new run (from these weights with `init_from`, which goes by their names)",
                    dir.display(),
                    then.join(", "),
                    names.join(", ")
                ));
            }
        }
        for (node, now) in model.weights_facts(self.seed.unwrap_or(model.settings.seed)) {
            let difference = self.weights.get(&node).and_then(|then| then.difference(&now));
            if let Some(difference) = difference.filter(|_| needed(&node)) {
                return conflict(format!(
                    "the pretrained weights of `{node}` are not those that {} was started with: {difference}; put them back (`weights: ID@REVISION` pins those of the Hub), or start a new run instead",
                    dir.display()
                ));
            }
            if self.weights.is_empty() && needed(&node) {
                tracing::warn!(
                    "{} does not say which pretrained weights it was started with; if those of `{node}` have changed since, what follows is of no use",
                    dir.display()
                );
            }
        }
        for (node, now) in model.file_hashes() {
            if let Some(then) = self.files.get(&node).filter(|then| **then != now && needed(&node)) {
                return conflict(format!(
                    "the files that `{node}` reads have changed since {} was started: then they had the hash {then}, now {now}; put them back, or start a new run instead",
                    dir.display()
                ));
            }
        }
        Ok(())
    }

    /// The classes of a node's target, as a version that did not store them had them: the certificate lists those of
    /// each label in their order.
    pub fn classes_then(&self, model: &Model, node: &str) -> Option<Vec<String>> {
        let inputs = &model.plan().node(node)?.inputs;
        let target = inputs.iter().find(|input| input.port == "target")?;
        let Signal::Labels { labels } = &target.signal else {
            return None;
        };
        let classes = self.certificate["splits"]["train"]["classes"][&labels.name].as_object()?;
        Some(classes.keys().cloned().collect())
    }
}

fn data_changed(dir: &Path) -> Failure {
    Failure::Conflict(format!(
        "the items, their labels or their split have changed since {} was started (see `data` in its run.json); put them back, or start a new run instead",
        dir.display()
    ))
}

/// Versions that a run was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Version of emorun.
    pub emorun: String,
    /// Version of Burn.
    pub burn: String,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            emorun: env!("CARGO_PKG_VERSION").to_owned(),
            burn: "0.22.1".to_owned(),
        }
    }
}

/// State of the git checkout that the experiment lies in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Commit checked out.
    pub commit: String,
    /// Changes to tracked files that are not committed, shortened to 64 KiB.
    pub diff: String,
}

/// Longest stored diff in bytes.
const DIFF_LIMIT: usize = 64 * 1024;

impl Git {
    /// The checkout that a folder lies in; `None` outside one, or without git.
    pub fn of(folder: &Path) -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .arg("-C")
                .arg(folder)
                .args(arguments)
                .output()
                .ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let commit = git(&["rev-parse", "HEAD"])?.trim().to_owned();
        let mut diff = git(&["diff", "HEAD"])?;
        if diff.len() > DIFF_LIMIT {
            let end = (0..=DIFF_LIMIT)
                .rev()
                .find(|&at| diff.is_char_boundary(at))
                .unwrap_or(0);
            diff.truncate(end);
            diff.push_str("\n… cut\n");
        }
        Some(Self { commit, diff })
    }
}

/// The time now, RFC 3339 in UTC.
pub fn timestamp() -> String {
    let now: chrono::DateTime<chrono::Utc> = SystemTime::now().into();
    now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The local time now as part of a folder's name, such as `20250131-142501`.
pub fn time_label() -> String {
    // `Local::now` ends the program where the clock stands before 1970, as it does on boards without a battery.
    let now: chrono::DateTime<chrono::Local> = SystemTime::now().into();
    now.format("%Y%m%d-%H%M%S").to_string()
}
