//! Decisions of annotators: each is on the disk before the next clip is shown.

use crate::integrate::Annotations;
use crate::{Journal, PrepareError};
use emorun_metrics::{Confusion, cohen_kappa};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Folder of the decisions in the output folder; a file an annotator.
const FOLDER: &str = "annotations";

/// What an annotator says of a clip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labelled {
    /// Its emotion, one of the targets.
    As(String),
    /// It is no example of any emotion, or not fit to be heard.
    Unusable,
}

/// What stands of an annotator's decisions on a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was said.
    pub label: Labelled,
    /// Whether it was said without seeing the corpus' label. Only such answers tell how far people agree: who confirms what
    /// is proposed agrees with it.
    pub blind: bool,
}

/// A line of an annotator's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// A decision on a clip.
    Decided {
        key: String,
        label: Labelled,
        /// Absent in files of before there were blind answers.
        #[serde(default)]
        blind: bool,
        unix_s: u64,
    },
    /// The last decision that stands is taken back.
    Undone { key: String, unix_s: u64 },
}

/// What an annotator has decided so far.
#[derive(Debug)]
pub struct Session {
    annotator: String,
    output: PathBuf,
    targets: Vec<String>,
    keys: Vec<String>,
    blind: bool,
    decided: HashMap<String, Answer>,
    /// Keys in the order of the decisions that stand.
    order: Vec<String>,
    journal: Journal<Line>,
}

impl Session {
    /// Opens an annotator's file and goes on where it ends; `blind` says that labels are not shown.
    ///
    /// # Errors
    /// Another process has it open, or it cannot be read or written.
    pub(crate) fn open(
        output: &Path,
        annotator: &str,
        keys: Vec<String>,
        targets: Vec<String>,
        blind: bool,
    ) -> Result<Self, PrepareError> {
        let (journal, lines) = Journal::open(&file(output, annotator))?;
        let (decided, order) = replay(lines);
        Ok(Self {
            annotator: annotator.to_owned(),
            output: output.to_owned(),
            targets,
            keys,
            blind,
            decided,
            order,
            journal,
        })
    }

    /// The annotator's name.
    #[must_use]
    pub fn annotator(&self) -> &str {
        &self.annotator
    }

    /// Whether the corpus' labels are kept from the annotator.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        self.blind
    }

    /// The labels to choose from.
    #[must_use]
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// How many of the clips are decided.
    #[must_use]
    pub fn decided(&self) -> usize {
        self.keys.iter().filter(|key| self.decided.contains_key(*key)).count()
    }

    /// Place of the first clip that is not decided.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        self.keys.iter().position(|key| !self.decided.contains_key(key))
    }

    /// Decides on a clip; the decision is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; nothing is decided then.
    pub(crate) fn decide(&mut self, clip: usize, label: Labelled) -> Result<(), PrepareError> {
        let Some(key) = self.keys.get(clip).cloned() else {
            return Ok(());
        };
        self.journal.add(&Line::Decided {
            key: key.clone(),
            label: label.clone(),
            blind: self.blind,
            unix_s: unix_s(),
        })?;
        self.order.retain(|known| *known != key);
        self.order.push(key.clone());
        let blind = self.blind;
        self.decided.insert(key, Answer { label, blind });
        Ok(())
    }

    /// Takes the last decision back, if there is one on the clips at hand that was made in the same way: what was once
    /// decided in view of the label is never asked blindly again.
    ///
    /// # Errors
    /// It cannot be written; the decision stands then.
    pub(crate) fn undo(&mut self) -> Result<bool, PrepareError> {
        let own = |key: &&String| {
            self.keys.contains(*key) && self.decided.get(*key).is_some_and(|answer| answer.blind == self.blind)
        };
        let Some(key) = self.order.iter().rev().find(own).cloned() else {
            return Ok(false);
        };
        self.journal.add(&Line::Undone {
            key: key.clone(),
            unix_s: unix_s(),
        })?;
        self.order.retain(|known| *known != key);
        self.decided.remove(&key);
        Ok(true)
    }

    /// How far this annotator agrees with each other one.
    ///
    /// # Errors
    /// A file of decisions cannot be read.
    pub fn agreement(&self) -> Result<Vec<Agreement>, PrepareError> {
        let mut all = labels_of_all(&self.output)?;
        all.insert(self.annotator.clone(), self.decided.clone());
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let mut pairs = agreements(&all, &targets);
        pairs.retain(|pair| pair.first == self.annotator || pair.second == self.annotator);
        Ok(pairs)
    }
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn file(output: &Path, annotator: &str) -> PathBuf {
    output.join(FOLDER).join(format!("{annotator}.jsonl"))
}

/// The decisions that stand, and their keys in order.
fn replay(lines: Vec<Line>) -> (HashMap<String, Answer>, Vec<String>) {
    let mut decided = HashMap::new();
    // When each key was decided last: a list would be searched for every line.
    let mut last: HashMap<String, usize> = HashMap::new();
    for (number, line) in lines.into_iter().enumerate() {
        match line {
            Line::Decided { key, label, blind, .. } => {
                last.insert(key.clone(), number);
                decided.insert(key, Answer { label, blind });
            }
            Line::Undone { key, .. } => {
                last.remove(&key);
                decided.remove(&key);
            }
        }
    }
    let mut order: Vec<(usize, String)> = last.into_iter().map(|(key, number)| (number, key)).collect();
    order.sort_unstable();
    (decided, order.into_iter().map(|(_, key)| key).collect())
}

/// The decisions of all annotators, by their names in order.
pub(crate) fn labels_of_all(output: &Path) -> Result<Annotations, PrepareError> {
    let folder = output.join(FOLDER);
    let mut annotations = Annotations::new();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(annotations),
        entries => entries.map_err(PrepareError::io("read", &folder))?,
    };
    for entry in entries {
        let path = entry.map_err(PrepareError::io("read", &folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|extension| extension == "jsonl")) {
            annotations.insert(name.to_owned(), replay(Journal::read(&path)?).0);
        }
    }
    annotations.sort_unstable_keys();
    Ok(annotations)
}

/// How far two annotators agree on the clips that both decided without seeing the corpus' label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The one annotator.
    pub first: String,
    /// The other one.
    pub second: String,
    /// Clips that both decided so.
    pub clips: u64,
    /// Clips to which they gave the same label.
    pub same: u64,
    /// Cohen's κ, "unusable" being a label too; none where chance alone would agree always, or nothing was decided so.
    pub kappa: Option<f64>,
    /// Clips that both decided, one of them at least in view of the corpus' label: they do not count.
    pub in_view: u64,
}

impl Agreement {
    /// As cells of a table.
    pub(crate) fn row(&self) -> Vec<String> {
        vec![
            format!("{} and {}", self.first, self.second),
            format!("{} of {} the same", self.same, self.clips),
            match self.kappa {
                Some(kappa) => format!("κ = {kappa:.4}"),
                None if self.clips == 0 => "no κ: nothing was labelled blind by both".to_owned(),
                None => "κ undefined".to_owned(),
            },
            match self.in_view {
                0 => String::new(),
                count => format!("{count} more in view of the corpus' label, which do not count"),
            },
        ]
    }
}

/// The agreement of each pair of annotators that share a clip, from blind answers alone.
pub(crate) fn agreements(annotations: &Annotations, targets: &[&str]) -> Vec<Agreement> {
    let mut labels = targets.to_vec();
    labels.push("unusable");
    let class = |label: &Labelled| match label {
        Labelled::As(name) => targets.iter().position(|target| target == name),
        Labelled::Unusable => Some(targets.len()),
    };
    let mut pairs = Vec::new();
    for (number, (first, of_first)) in annotations.iter().enumerate() {
        for (second, of_second) in annotations.iter().skip(number + 1) {
            let mut counts = Confusion::new(&labels);
            let mut in_view = 0;
            for (key, answer) in of_first {
                let Some(other) = of_second.get(key) else { continue };
                match (class(&answer.label), class(&other.label)) {
                    // Both are places in the label set.
                    (Some(one), Some(two)) if answer.blind && other.blind => drop(counts.add(one, two)),
                    (Some(_), Some(_)) => in_view += 1,
                    _ => {}
                }
            }
            if counts.total() + in_view > 0 {
                pairs.push(Agreement {
                    first: first.clone(),
                    second: second.clone(),
                    clips: counts.total(),
                    same: counts.rows().enumerate().map(|(label, row)| row[label]).sum(),
                    kappa: cohen_kappa(&counts).filter(|_| counts.total() > 0),
                    in_view,
                });
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, annotator: &str) -> Session {
        open_as(folder, annotator, true)
    }

    fn open_as(folder: &Path, annotator: &str, blind: bool) -> Session {
        let keys = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let targets = ["happy", "sad"].map(str::to_owned).to_vec();
        Session::open(folder, annotator, keys, targets, blind).unwrap()
    }

    fn label(name: &str) -> Labelled {
        Labelled::As(name.to_owned())
    }

    #[test]
    fn decisions_survive_and_are_taken_back_in_the_order_in_which_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = open(folder.path(), "ada");
        for (clip, name) in [(0, "happy"), (1, "sad"), (2, "sad")] {
            assert_eq!(session.current(), Some(clip));
            session.decide(clip, label(name)).unwrap();
        }
        assert!(session.undo().unwrap());
        drop(session);
        let mut session = open(folder.path(), "ada");
        assert_eq!((session.current(), session.decided()), (Some(2), 2));
        assert!(session.undo().unwrap());
        assert_eq!(session.current(), Some(1));
        session.decide(1, Labelled::Unusable).unwrap();
        assert!(session.undo().unwrap() && session.undo().unwrap());
        assert!(!session.undo().unwrap());
        assert_eq!((session.current(), session.decided()), (Some(0), 0));
        drop(session);
        assert_eq!(open(folder.path(), "ada").decided(), 0);
    }

    #[test]
    fn agreement_counts_what_both_decided() {
        let folder = tempfile::tempdir().unwrap();
        let mut ada = open(folder.path(), "ada");
        for (clip, name) in [(0, "happy"), (1, "happy"), (2, "sad")] {
            ada.decide(clip, label(name)).unwrap();
        }
        let mut bob = open(folder.path(), "bob");
        for (clip, name) in [(0, "happy"), (1, "sad"), (2, "sad"), (3, "sad")] {
            bob.decide(clip, label(name)).unwrap();
        }
        let [pair] = bob.agreement().unwrap().try_into().unwrap();
        assert_eq!((pair.first.as_str(), pair.second.as_str()), ("ada", "bob"));
        assert_eq!((pair.clips, pair.same), (3, 2));
        // scikit-learn: cohen_kappa_score([0, 0, 1], [0, 1, 1]) = 0.4
        assert!((pair.kappa.unwrap() - 0.4).abs() < 1e-12);
        assert_eq!(pair.in_view, 0);
    }

    #[test]
    fn answers_in_view_of_the_corpus_label_are_no_agreement() {
        let folder = tempfile::tempdir().unwrap();
        let mut ada = open(folder.path(), "ada");
        for (clip, name) in [(0, "happy"), (1, "happy"), (2, "sad")] {
            ada.decide(clip, label(name)).unwrap();
        }
        let mut bob = open_as(folder.path(), "bob", false);
        for clip in 0..4 {
            bob.decide(clip, label("happy")).unwrap();
        }
        let [pair] = bob.agreement().unwrap().try_into().unwrap();
        assert_eq!((pair.clips, pair.same, pair.kappa, pair.in_view), (0, 0, None, 3));
        assert!(pair.row().concat().contains("nothing was labelled blind"));
        // What was decided in view stays so: it is not asked blindly later.
        drop(bob);
        let mut bob = open(folder.path(), "bob");
        assert_eq!((bob.current(), bob.undo().unwrap()), (None, false));
        // Files of before have no word on it, and labels were in view then.
        let old = r#"{"decided":{"key":"a","label":{"as":"happy"},"unix_s":1}}"#;
        fs::write(folder.path().join(FOLDER).join("eve.jsonl"), format!("{old}\n")).unwrap();
        let eve = ada
            .agreement()
            .unwrap()
            .into_iter()
            .find(|pair| pair.second == "eve")
            .unwrap();
        assert_eq!((eve.clips, eve.in_view), (0, 1));
    }
}
