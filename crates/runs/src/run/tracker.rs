//! `runs/model_runs.yaml`: the list of runs, kept by emorun.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::{Files, read_regular};
use serde::Serialize;
use serde_json::Value;

use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;

/// Largest list that is read: some millions of runs.
const MOST_BYTES: u64 = 1 << 30;

/// File name of the tracker within the folder of runs.
pub const TRACKER: &str = "model_runs.yaml";

/// One run of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
            // Somebody has laid it out in another way; what their entries say beside that is kept.
            None => parse(path, text)?.iter().map(entry).collect::<Result<_, _>>()?,
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
            let known = parse(&self.path, format!("runs:\n{entry}"))?;
            let Some(log_dir) = known.first().and_then(|known| known["log_dir"].as_str()) else {
                continue;
            };
            let is_here = |base: &PathBuf| fs::canonicalize(base.join(log_dir)).is_ok_and(|at| at == here);
            if bases.iter().any(is_here) {
                return Ok(Some((at, log_dir.to_owned())));
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
fn entry(run: &impl Serialize) -> Result<String, Failure> {
    let text = emorun_lang::to_yaml(&serde_json::json!({ "runs": [run] }));
    text.strip_prefix("runs:\n")
        .filter(|entry| entry.starts_with(DASH))
        .map(str::to_owned)
        .ok_or_else(|| Failure::Bug("a run of the tracker is written in another layout".to_owned()))
}

/// The entries of a list, each with a `label` and a `log_dir`, whatever else they say.
fn parse(path: &Path, text: String) -> Result<Vec<Value>, Failure> {
    let mut sources = emorun_lang::Sources::new();
    let mut report = emorun_lang::Report::new();
    let id = sources.add(path.display().to_string(), text);
    let tree = emorun_lang::parse(&sources, id, &mut report).filter(|_| !report.has_errors());
    let Some(tree) = tree else {
        return Err(corrupt(path, &report.render(&sources, false)));
    };
    let list: Value = emorun_lang::from_tree(&tree).map_err(|error| corrupt(path, &error.to_string()))?;
    let entries = list["runs"]
        .as_array()
        .ok_or_else(|| corrupt(path, "it has no list `runs`"))?;
    let is_entry = |entry: &Value| entry["label"].is_string() && entry["log_dir"].is_string();
    match entries.iter().position(|entry| !is_entry(entry)) {
        None => Ok(entries.clone()),
        Some(at) => Err(corrupt(path, &format!("entry {} has no `label` and `log_dir`", at + 1))),
    }
}

fn corrupt(path: &Path, why: &str) -> Failure {
    Failure::Corrupt {
        path: path.to_owned(),
        message: format!("this is no list of runs; move the file away to start a new list\n{why}"),
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

    fn written(runs: &Path) -> Vec<Value> {
        let text = fs::read_to_string(runs.join(TRACKER)).unwrap();
        parse(Path::new(TRACKER), text).unwrap()
    }

    fn entries(runs: &[TrackedRun]) -> Vec<Value> {
        runs.iter().map(|run| serde_json::json!(run)).collect()
    }

    #[test]
    fn runs_are_entered_once_and_changed_in_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::default();
        for (label, status) in [("one", "running"), ("two", "running"), ("one", "completed")] {
            track(&files, folder.path(), run(label, status)).unwrap();
        }
        assert_eq!(
            written(folder.path()),
            entries(&[run("one", "completed"), run("two", "running")])
        );
        // As somebody else would write the same.
        let json = r#"{"runs": [{"label": "x", "log_dir": "y", "experiment": "z", "status": "completed"}]}"#;
        fs::write(folder.path().join(TRACKER), json).unwrap();
        track(&files, folder.path(), run("one", "running")).unwrap();
        let labels: Vec<Value> = written(folder.path()).iter().map(|run| run["label"].clone()).collect();
        assert_eq!(labels, ["x", "one"]);
        for wrong in ["runs: 3\n", "other: []\n", "runs:\n- label: x\n", "\u{0}"] {
            fs::write(folder.path().join(TRACKER), wrong).unwrap();
            let error = track(&files, folder.path(), run("one", "running")).unwrap_err();
            assert!(matches!(error, Failure::Corrupt { .. }), "{wrong:?}: {error}");
            assert_eq!(fs::read_to_string(folder.path().join(TRACKER)).unwrap(), wrong);
        }
    }

    #[test]
    fn entries_of_other_programs_are_kept_with_all_that_they_say() {
        let theirs = [
            "runs:\n  - label: theirs\n    log_dir: logs/x\n    optimizer: { lr: 1.0e-3 }\n",
            "runs:\n- label: theirs\n  log_dir: logs/x\n  optimizer:\n    lr: 0.001\n",
            "runs: [{ label: theirs, log_dir: logs/x, optimizer: { lr: 0.001 } }]\n",
        ];
        for text in theirs {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(TRACKER), text).unwrap();
            for status in ["running", "completed"] {
                track(&Files::default(), folder.path(), run("one", status)).unwrap();
            }
            let found = written(folder.path());
            let expected = serde_json::json!({ "label": "theirs", "log_dir": "logs/x", "optimizer": { "lr": 0.001 } });
            assert_eq!(found, [expected, serde_json::json!(run("one", "completed"))], "{text}");
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
