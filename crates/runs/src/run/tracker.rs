//! `runs/model_runs.yaml`: the list of runs, kept by emorun.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::{Files, read_regular};
use serde::{Deserialize, Serialize};

use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;

/// Largest list that is read: some millions of runs.
const MOST_BYTES: u64 = 1 << 30;

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
pub fn track(files: &Files, runs: &Path, run: TrackedRun) -> Result<(), Failure> {
    track_all(files, runs, vec![run])
}

/// Adds or replaces the entries of several runs, by their directories.
///
/// # Errors
/// As [`track`].
pub fn track_all(files: &Files, runs: &Path, new: Vec<TrackedRun>) -> Result<(), Failure> {
    let path = runs.join(TRACKER);
    // Parallel runs share the file: one at a time.
    let lock_path = runs.join(".model_runs.lock");
    let lock = files.create(&lock_path).map_err(Failure::io("create", &lock_path))?;
    lock.inner().lock().map_err(Failure::io("lock", &lock_path))?;
    let mut list = List::read(&path)?;
    let bases: Vec<PathBuf> = fs::canonicalize(runs)
        .map(|runs| runs.ancestors().map(Path::to_owned).collect())
        .unwrap_or_default();
    for run in new {
        list.enter(run, &bases)?;
    }
    let text = format!(
        "# Written by emorun; open all in TensorBoard with: tensorboard --logdir {}\n{}",
        runs.display(),
        list.text()
    );
    write_atomically(files, &path, text.as_bytes())
}

/// The list as text, an entry a piece: ten thousand runs are too many to be read and written as values each time that one
/// of them changes.
struct List {
    path: PathBuf,
    entries: Vec<String>,
    /// Entries by the line that names their directory.
    places: HashMap<String, usize>,
}

impl List {
    /// The list in a file; empty where there is none.
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = match read_regular(path, MOST_BYTES) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| corrupt(path, "it is not UTF-8 text"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::io("read", path)(error)),
        };
        let entries = match pieces(&text) {
            Some(pieces) => pieces,
            // Somebody has laid it out in another way.
            None => parse(path, text)?
                .runs
                .into_iter()
                .map(|run| entry(&run))
                .collect::<Result<_, _>>()?,
        };
        let places = entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| Some((place(entry)?.to_owned(), at)))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            entries,
            places,
        })
    }

    fn enter(&mut self, mut run: TrackedRun, bases: &[PathBuf]) -> Result<(), Failure> {
        let mut own = entry(&run)?;
        let known = place(&own).and_then(|place| self.places.get(place)).copied();
        let at = match known {
            Some(at) => Some(at),
            None => self.elsewhere(&run, bases)?.map(|(at, log_dir)| {
                run.log_dir = log_dir;
                at
            }),
        };
        if known.is_none() && at.is_some() {
            own = entry(&run)?;
        }
        match at {
            Some(at) => self.entries[at] = own,
            None => {
                if let Some(place) = place(&own) {
                    self.places.insert(place.to_owned(), self.entries.len());
                }
                self.entries.push(own);
            }
        }
        Ok(())
    }

    /// The entry of a run under another spelling of its path: it may be resumed from another folder, and a relative path
    /// then starts from some folder that holds the runs.
    fn elsewhere(&self, run: &TrackedRun, bases: &[PathBuf]) -> Result<Option<(usize, String)>, Failure> {
        let Ok(here) = fs::canonicalize(&run.log_dir) else {
            return Ok(None);
        };
        let name = here.file_name().unwrap_or_default().to_string_lossy();
        for (at, entry) in self.entries.iter().enumerate() {
            if !place(entry).is_some_and(|place| place.contains(&*name)) {
                continue;
            }
            let known = parse(&self.path, format!("runs:\n{entry}"))?.runs;
            let Some(known) = known.into_iter().next() else {
                continue;
            };
            let is_here = |base: &PathBuf| fs::canonicalize(base.join(&known.log_dir)).is_ok_and(|at| at == here);
            if bases.iter().any(is_here) {
                return Ok(Some((at, known.log_dir)));
            }
        }
        Ok(None)
    }

    fn text(&self) -> String {
        if self.entries.is_empty() {
            return "runs: []\n".to_owned();
        }
        format!("runs:\n{}", self.entries.concat())
    }
}

/// The entries of a list in the layout in which it is written; nothing where it has another one.
fn pieces(text: &str) -> Option<Vec<String>> {
    let body: Vec<&str> = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .collect();
    let Some((first, lines)) = body.split_first() else {
        return Some(Vec::new());
    };
    if lines.is_empty() && first.trim_end() == "runs: []" {
        return Some(Vec::new());
    }
    if first.trim_end() != "runs:" || !lines.first()?.starts_with(DASH) || !lines.last()?.ends_with('\n') {
        return None;
    }
    let mut entries: Vec<String> = Vec::new();
    for line in lines {
        if line.starts_with(DASH) {
            entries.push((*line).to_owned());
        } else if line.starts_with(' ') {
            entries.last_mut()?.push_str(line);
        } else {
            return None;
        }
    }
    entries.iter().all(|entry| place(entry).is_some()).then_some(entries)
}

/// How an entry begins.
const DASH: &str = "- ";

/// The line of an entry that names its directory.
fn place(entry: &str) -> Option<&str> {
    entry
        .lines()
        .map(|line| line.trim_start_matches([' ', '-']))
        .find(|line| line.starts_with("log_dir:"))
}

/// An entry as it is written.
fn entry(run: &TrackedRun) -> Result<String, Failure> {
    let tracker = Tracker {
        runs: vec![run.clone()],
    };
    let value = serde_json::to_value(&tracker).map_err(|error| Failure::Bug(error.to_string()))?;
    let text = emorun_lang::to_yaml(&value);
    text.strip_prefix("runs:\n")
        .filter(|entry| entry.starts_with(DASH))
        .map(str::to_owned)
        .ok_or_else(|| Failure::Bug("a run of the tracker is written in another layout".to_owned()))
}

fn parse(path: &Path, text: String) -> Result<Tracker, Failure> {
    let mut sources = emorun_lang::Sources::new();
    let mut report = emorun_lang::Report::new();
    let name = path.display().to_string();
    let tree = emorun_lang::load(&name, &[], &mut |_| Ok(text.clone()), &mut sources, &mut report);
    let tracker = tree.and_then(|tree| emorun_lang::read_record(tree, Path::new(""), &mut report));
    tracker.ok_or_else(|| corrupt(path, &report.render(&sources, false)))
}

fn corrupt(path: &Path, why: &str) -> Failure {
    Failure::Corrupt {
        path: path.to_owned(),
        message: format!("this is not what emorun wrote; move the file away to start a new list\n{why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(label: &str, status: &str) -> TrackedRun {
        TrackedRun {
            label: label.to_owned(),
            log_dir: format!("runs/a: \"b\"/{label}"),
            experiment: "an experiment".to_owned(),
            status: status.to_owned(),
            test: [("emotion.uar".to_owned(), 0.5)].into_iter().collect(),
        }
    }

    fn written(runs: &Path) -> Vec<TrackedRun> {
        let text = fs::read_to_string(runs.join(TRACKER)).unwrap();
        parse(Path::new(TRACKER), text).unwrap().runs
    }

    #[test]
    fn runs_are_entered_once_and_changed_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::default();
        for (label, status) in [("one", "running"), ("two", "running"), ("one", "completed")] {
            track(&files, folder.path(), run(label, status)).unwrap();
        }
        assert_eq!(written(folder.path()), [run("one", "completed"), run("two", "running")]);
        // As somebody else would write the same.
        let json = r#"{"runs": [{"label": "x", "log_dir": "y", "experiment": "z", "status": "completed"}]}"#;
        fs::write(folder.path().join(TRACKER), json).unwrap();
        track(&files, folder.path(), run("one", "running")).unwrap();
        let labels: Vec<String> = written(folder.path()).into_iter().map(|run| run.label).collect();
        assert_eq!(labels, ["x", "one"]);
        for wrong in ["runs: 3\n", "other: []\n", "runs:\n- label: x\n", "\u{0}"] {
            fs::write(folder.path().join(TRACKER), wrong).unwrap();
            let error = track(&files, folder.path(), run("one", "running")).unwrap_err();
            assert!(matches!(error, Failure::Corrupt { .. }), "{wrong:?}: {error}");
            assert_eq!(fs::read_to_string(folder.path().join(TRACKER)).unwrap(), wrong);
        }
    }

    #[test]
    fn twenty_thousand_runs_are_one_list() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::default();
        let all = (0..20_000)
            .map(|number| run(&format!("run-{number:05}"), "planned"))
            .collect();
        track_all(&files, folder.path(), all).unwrap();
        assert!(fs::metadata(folder.path().join(TRACKER)).unwrap().len() > 1 << 20);
        track(&files, folder.path(), run("run-12345", "completed")).unwrap();
        track(&files, folder.path(), run("new", "running")).unwrap();
        let entries = List::read(&folder.path().join(TRACKER)).unwrap().entries;
        assert_eq!(entries.len(), 20_001);
        assert!(entries[12_345].contains("completed") && entries[20_000].contains("new"));
    }
}
