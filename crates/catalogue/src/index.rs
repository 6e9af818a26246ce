//! The index: what was read of each run, so that it need not be read again while its files stay as they are.
//!
//! It is nothing but a cache of the directories. Lost, of another version or damaged, it is made anew; several processes
//! may write it at once, and each writes all of it. Its first line bears the hash of the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use emorun_files::{Files, read_regular};
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use crate::Facts;
use crate::settings::{Setting, Settings};
use crate::written::replace;

const NAME: &str = ".emorun-index.json";
/// Begins the first line; with other contents it has another number.
const FORMAT: &str = "emorun-index-1";
/// Largest index that is read: some hundred thousand runs.
const MOST_BYTES: u64 = 1 << 30;

/// What was read of runs, with what many of them have in common written once.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    settings: Vec<Setting>,
    metrics: Vec<Arc<str>>,
    runs: Vec<StoredRun>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredRun {
    place: String,
    stamp: Option<u64>,
    facts: Box<Facts>,
    /// Results, each by the place of its name.
    results: Vec<(usize, f64)>,
    /// Settings as stretches of neighbours: the first, and how many.
    settings: Vec<(u32, u32)>,
}

/// What was read of one run.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub place: String,
    /// Of its files, when they were read; `None` where they were too new to be told from their successors.
    pub stamp: Option<u64>,
    pub facts: Box<Facts>,
}

pub(crate) fn path_in(root: &Path) -> PathBuf {
    root.join(NAME)
}

/// The settings and runs of the index of a folder of runs; none where there is no index that can be used.
pub(crate) fn read(root: &Path) -> (Settings, Vec<Indexed>) {
    let stored = stored(root).unwrap_or_default();
    let number = stored.settings.len();
    let names = stored.metrics;
    let runs = stored.runs.into_iter().map(|run| {
        let mut facts = run.facts;
        let results = run.results.into_iter();
        facts.metrics = results
            .filter_map(|(name, value)| Some((names.get(name)?.clone(), value)))
            .collect();
        for (first, length) in run.settings {
            let stretch = first
                ..first
                    .saturating_add(length)
                    .min(u32::try_from(number).unwrap_or(u32::MAX));
            facts.settings.extend(stretch);
        }
        Indexed {
            place: run.place,
            stamp: run.stamp,
            facts,
        }
    });
    let runs = runs.collect();
    (Settings::of(stored.settings), runs)
}

fn stored(root: &Path) -> Option<Stored> {
    let bytes = read_regular(&path_in(root), MOST_BYTES).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (first, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    if first != head(rest).as_bytes() {
        return None;
    }
    serde_json::from_slice(rest).ok()
}

/// Writes the index, with the settings that are used alone.
///
/// A folder that cannot be written to has no index, which costs time and nothing else.
pub(crate) fn write(root: &Path, settings: &Settings, runs: impl Iterator<Item = Indexed>) {
    let all: Vec<&Setting> = settings.iter().collect();
    let mut places: Vec<Option<u32>> = vec![None; all.len()];
    let mut used = Vec::new();
    let mut names: IndexSet<Arc<str>> = IndexSet::new();
    let runs = runs.map(|run| {
        let mut facts = run.facts;
        let mut own: Vec<u32> = Vec::new();
        for place in std::mem::take(&mut facts.settings) {
            let (Some(new), Some(setting)) = (places.get_mut(place as usize), all.get(place as usize)) else {
                continue;
            };
            own.push(*new.get_or_insert_with(|| {
                used.push((*setting).clone());
                (used.len() - 1) as u32
            }));
        }
        own.sort_unstable();
        let results = std::mem::take(&mut facts.metrics).into_iter();
        StoredRun {
            place: run.place,
            stamp: run.stamp,
            results: results
                .map(|(name, value)| (names.insert_full(name).0, value))
                .collect(),
            settings: stretches(&own),
            facts,
        }
    });
    let runs = runs.collect();
    let stored = Stored {
        settings: used,
        metrics: names.into_iter().collect(),
        runs,
    };
    let Ok(body) = serde_json::to_vec(&stored) else {
        return;
    };
    let mut bytes = head(&body).into_bytes();
    bytes.push(b'\n');
    bytes.extend(body);
    let _ = replace(&Files::default(), &path_in(root), &bytes);
}

/// Numbers in ascending order as stretches of neighbours.
fn stretches(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut found: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match found.last_mut() {
            Some((first, length)) if *first + *length == number => *length += 1,
            _ => found.push((number, 1)),
        }
    }
    found
}

fn head(body: &[u8]) -> String {
    format!("{FORMAT} {}", blake3::hash(body).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_stretch() {
        assert_eq!(stretches(&[0, 1, 2, 5, 7, 8]), [(0, 3), (5, 1), (7, 2)]);
        assert_eq!(stretches(&[]), []);
    }
}
