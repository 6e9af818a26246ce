//! `runs/model_runs.yaml`: the list of runs, kept by emorun.

use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::Files;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::train::checkpoint::write_atomically;

/// File name of the tracker within the folder of runs.
pub const TRACKER: &str = "model_runs.yaml";

/// The list of runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tracker {
    /// Runs in the order in which they were started.
    pub runs: Vec<TrackedRun>,
}

/// One run of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrackedRun {
    /// Label of the run.
    pub label: String,
    /// Its directory, to be opened in TensorBoard.
    pub log_dir: String,
    /// Name of the experiment.
    pub experiment: String,
    /// How it stands.
    pub status: String,
    /// Test metrics, `<head>.<metric>`, once it is completed.
    #[serde(default)]
    pub test: indexmap::IndexMap<String, f64>,
}

/// Adds or replaces the entry of a run, by its directory.
///
/// # Errors
/// The tracker cannot be read or written, or was edited into something else.
pub fn track(files: &Files, runs: &Path, mut run: TrackedRun) -> Result<(), Failure> {
    let path = runs.join(TRACKER);
    // Parallel runs share the file: one at a time.
    let lock_path = runs.join(".model_runs.lock");
    let lock = files.create(&lock_path).map_err(Failure::io("create", &lock_path))?;
    lock.inner().lock().map_err(Failure::io("lock", &lock_path))?;
    let mut tracker = read(&path)?;
    // A run may be resumed under another spelling of its path, and from another folder: a relative
    // path then starts from some folder that holds the runs.
    let here = fs::canonicalize(&run.log_dir);
    let bases: Vec<PathBuf> = fs::canonicalize(runs)
        .map(|runs| runs.ancestors().map(Path::to_owned).collect())
        .unwrap_or_default();
    let is_this = |known: &TrackedRun| {
        known.log_dir == run.log_dir
            || here.as_ref().is_ok_and(|here| {
                let is_here = |base: &PathBuf| fs::canonicalize(base.join(&known.log_dir)).is_ok_and(|at| at == *here);
                bases.iter().any(is_here)
            })
    };
    match tracker.runs.iter().position(is_this) {
        Some(at) => {
            run.log_dir.clone_from(&tracker.runs[at].log_dir);
            tracker.runs[at] = run;
        }
        None => tracker.runs.push(run),
    }
    let value = serde_json::to_value(&tracker).map_err(|error| Failure::Bug(error.to_string()))?;
    let text = format!(
        "# Written by emorun; open all in TensorBoard with: tensorboard --logdir {}\n{}",
        runs.display(),
        emorun_lang::to_yaml(&value)
    );
    write_atomically(files, &path, text.as_bytes())
}

/// The tracker at a path; empty where there is none.
///
/// # Errors
/// The file cannot be read, or is not what emorun wrote.
pub fn read(path: &Path) -> Result<Tracker, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tracker::default()),
        Err(error) => Err(Failure::io("read", path)(error)),
    }
}

fn parse(path: &Path, text: String) -> Result<Tracker, Failure> {
    let mut sources = emorun_lang::Sources::new();
    let mut report = emorun_lang::Report::new();
    let name = path.display().to_string();
    let tree = emorun_lang::load(&name, &[], &mut |_| Ok(text.clone()), &mut sources, &mut report);
    let tracker = tree.and_then(|tree| emorun_lang::read_record(tree, Path::new(""), &mut report));
    tracker.ok_or_else(|| Failure::Corrupt {
        path: path.to_owned(),
        message: format!(
            "this is not what emorun wrote; move the file away to start a new list\n{}",
            report.render(&sources, false)
        ),
    })
}
