//! Runs that somebody has entered in `model_runs.yaml` by a label and a folder of logs, as other programs keep such lists.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::read_regular;
use emorun_lang::{Report, Sources, from_tree, parse};
use serde_json::Value;

use crate::scan::Kind;
use crate::{Facts, Run};

const TRACKER: &str = "model_runs.yaml";
const MOST_BYTES: u64 = 1 << 30;
/// How an entry begins in the layout in which emorun writes them.
const DASH: &str = "- ";

/// What is entered and is no run of the folder; a list that cannot be read is one row that says so.
pub(crate) fn read(root: &Path, runs: &[Run]) -> Vec<Run> {
    let text = match read_regular(&root.join(TRACKER), MOST_BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![broken(&error.to_string())],
    };
    let places: HashSet<&str> = runs.iter().map(|run| run.place.as_str()).collect();
    let text = without_known(&text, &places);
    let mut sources = Sources::new();
    let mut report = Report::new();
    let id = sources.add(TRACKER.to_owned(), text);
    let tree = parse(&sources, id, &mut report).filter(|_| !report.has_errors());
    let Some(list) = tree.and_then(|tree| from_tree::<Value>(&tree).ok()) else {
        let problem = report.render(&sources, false);
        return vec![broken(problem.lines().next().unwrap_or_default())];
    };
    let entries = list["runs"].as_array().or_else(|| list.as_array());
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entered(root, entry))
        .collect()
}

/// The text without entries that emorun wrote for runs of the folder: ten thousand are too many to be read as values.
fn without_known(text: &str, places: &HashSet<&str>) -> String {
    let mut kept = String::new();
    let mut entry = String::new();
    let mut flush = |entry: &mut String| {
        if !is_known(entry, places) {
            kept.push_str(entry);
        }
        entry.clear();
    };
    for line in text.split_inclusive('\n') {
        if !line.starts_with(' ') {
            flush(&mut entry);
        }
        entry.push_str(line);
    }
    flush(&mut entry);
    if kept
        .lines()
        .all(|line| line.trim() == "runs:" || line.starts_with('#') || line.trim().is_empty())
    {
        return "runs: []\n".to_owned();
    }
    kept
}

/// Whether an entry names a run of the folder, or one of emorun's that is gone.
fn is_known(entry: &str, places: &HashSet<&str>) -> bool {
    if !entry.starts_with(DASH) {
        return false;
    }
    let value = |key: &str| {
        let mut lines = entry.lines().map(|line| line.trim_start_matches([' ', '-']));
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    };
    let Some(log_dir) = value("log_dir") else {
        return false;
    };
    // Only emorun's own entries say how a run stands.
    let is_own = value("status").is_some() && value("experiment").is_some();
    is_own || ends_in_place(log_dir, places)
}

fn ends_in_place(log_dir: &str, places: &HashSet<&str>) -> bool {
    let mut rest = log_dir.trim_matches(['"', '\'']);
    loop {
        if places.contains(rest) {
            return true;
        }
        match rest.split_once('/') {
            Some((_, below)) => rest = below,
            None => return false,
        }
    }
}

fn entered(root: &Path, entry: &Value) -> Option<Run> {
    let log_dir = entry["log_dir"].as_str()?;
    if entry["status"].is_string() && entry["experiment"].is_string() {
        return None;
    }
    let label = entry["label"].as_str().unwrap_or(log_dir);
    let folder = folder_of(root, log_dir);
    let mut facts = Facts {
        experiment: "(entered)".to_owned(),
        status: "logs".to_owned(),
        ..Facts::default()
    };
    if folder.is_none() {
        facts.problems.push(format!("its log_dir {log_dir} is not there"));
    }
    Some(Run {
        place: label.to_owned(),
        dir: folder.unwrap_or_else(|| PathBuf::from(log_dir)),
        kind: Kind::Entered,
        group: None,
        facts: Box::new(facts),
    })
}

/// Where logs lie: as named, from the folder of the list, or from the folder above it.
fn folder_of(root: &Path, log_dir: &str) -> Option<PathBuf> {
    let above = fs::canonicalize(root)
        .ok()
        .and_then(|root| root.parent().map(Path::to_owned));
    let bases = [Some(PathBuf::new()), Some(root.to_owned()), above];
    let mut folders = bases.into_iter().flatten().map(|base| base.join(log_dir));
    folders.find(|folder| folder.is_dir())
}

fn broken(why: &str) -> Run {
    Run {
        place: TRACKER.to_owned(),
        dir: PathBuf::new(),
        kind: Kind::Entered,
        group: None,
        facts: Box::new(Facts {
            problems: vec![format!("{TRACKER}: {why}")],
            ..Facts::default()
        }),
    }
}
