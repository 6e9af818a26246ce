//! What reading a corpus' names or tables yields, and reading one whose facts are in its file names.

use crate::labelling::{Labelling, Outcome};
use crate::walk::{Found, Tree, find_audio};
use crate::{DataError, PublishedFolds, SkipReason, Skipped, SplitName, StreamSource};
use emorun_audio::synthetic::VoiceSpec;
use indexmap::{IndexMap, IndexSet};
use std::path::Path;

/// What a corpus tells of one recording, in its own terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// The speaker's id among the people whom the corpus tells apart; empty where it does not know who speaks.
    pub speaker: String,
    /// Name of those people, where it is not that of the whole corpus.
    pub people: Option<String>,
    /// The corpus' own emotion label; [`Gathered::push`] puts the experiment's class in its place.
    pub emotion: Option<String>,
    /// One of [`crate::GENDERS`].
    pub gender: Option<String>,
    /// Values of further label columns.
    pub labels: IndexMap<String, String>,
    /// Values of the columns that further describe it.
    pub attributes: IndexMap<String, String>,
    /// Continuous labels.
    pub values: IndexMap<String, f32>,
    /// Votes for the corpus' own emotion labels; [`Gathered::push`] puts the share of each of the
    /// experiment's classes in their place.
    pub votes: IndexMap<String, f64>,
    pub text: Option<String>,
    pub split: Option<SplitName>,
    /// `column/id` of the groups it belongs to.
    pub groups: Vec<String>,
    /// Its parts of the corpus' streams.
    pub streams: Vec<(String, StreamSource)>,
}

/// A part of a file, in seconds; without an end it lasts to the file's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FilePart {
    pub start_s: f64,
    pub end_s: Option<f64>,
}

/// Where a recording's sound comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    File { found: Found, part: Option<FilePart> },
    Voice(VoiceSpec),
}

/// One recording of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Utterance {
    /// Path below the root, or a name that is as stable.
    pub key: String,
    pub source: Source,
    pub facts: Facts,
    /// Line of the manifest that names it.
    pub row: Option<u64>,
}

impl Utterance {
    /// The name of its file without extension.
    pub fn stem(&self) -> Option<&str> {
        match &self.source {
            Source::File { found, .. } => Some(found.stem()),
            Source::Voice(_) => None,
        }
    }
}

/// Everything that reading a corpus' names or table yields.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub utterances: Vec<Utterance>,
    pub skipped: Vec<Skipped>,
    /// Recordings that the experiment leaves out.
    pub filtered: usize,
    /// Emotions of the corpus after mapping and before the subset, as they appear.
    pub emotions: IndexSet<String>,
    /// Emotion labels of its files, before mapping.
    pub labels: IndexSet<String>,
    pub warnings: Vec<String>,
    /// The folds that the corpus was published with, where it brings them.
    pub published: Option<PublishedFolds>,
    pub errors: Vec<DataError>,
}

impl Gathered {
    pub fn failed(error: DataError) -> Self {
        Self {
            errors: vec![error],
            ..Self::default()
        }
    }

    /// Adds a recording with the class that its emotion label stands for, or counts it as left out.
    ///
    /// # Errors
    /// The label, where it is no emotion known here.
    pub fn push(&mut self, mut utterance: Utterance, rules: &Labelling<'_>) -> Result<(), String> {
        for label in utterance.facts.votes.keys() {
            self.note(label, rules);
        }
        utterance.facts.votes = shares(&utterance.facts.votes, rules);
        if let Some(label) = utterance.facts.emotion.take() {
            self.note(&label, rules);
            match rules.resolve(&label) {
                Outcome::Class(class) => utterance.facts.emotion = Some(class),
                Outcome::Dropped => {
                    self.filtered += 1;
                    return Ok(());
                }
                Outcome::Unknown => return Err(label),
            }
        }
        self.utterances.push(utterance);
        Ok(())
    }

    /// Remembers a label that its files have.
    fn note(&mut self, label: &str, rules: &Labelling<'_>) {
        if !self.labels.contains(label) {
            self.labels.insert(label.to_owned());
            if let Outcome::Class(class) = rules.before_subset(label) {
                self.emotions.insert(class);
            }
        }
    }
}

/// The share of each of the experiment's classes in the votes for them; classes that the experiment
/// leaves out have no share. Empty where no vote is left.
fn shares(votes: &IndexMap<String, f64>, rules: &Labelling<'_>) -> IndexMap<String, f64> {
    let mut shares: IndexMap<String, f64> = IndexMap::new();
    for (label, count) in votes {
        if let Outcome::Class(class) = rules.resolve(label) {
            *shares.entry(class).or_default() += count;
        }
    }
    let total: f64 = shares.values().sum();
    if !(total > 0.0 && total.is_finite()) {
        return IndexMap::new();
    }
    shares.values_mut().for_each(|share| *share /= total);
    shares
}

/// What a file name says.
pub(crate) enum Parsed {
    Known(Facts),
    /// A recording that the config leaves out.
    Filtered,
    /// A file of the corpus that is no utterance, such as the recording of a whole dialogue.
    Aside,
    /// No name of this corpus; the text says why.
    Unknown(String),
}

impl Parsed {
    /// What is known of a recording that is used.
    pub fn known(self) -> Option<Facts> {
        match self {
            Self::Known(facts) => Some(facts),
            Self::Filtered | Self::Aside | Self::Unknown(_) => None,
        }
    }
}

/// Gathers a corpus whose facts are in its file names.
pub(crate) fn gather_files(
    dataset: &str,
    root: &Path,
    pattern: &'static str,
    rules: &Labelling<'_>,
    parse: impl Fn(&Found) -> Parsed,
) -> Gathered {
    match find_audio(dataset, root) {
        Ok(tree) => gather_found(dataset, root, pattern, rules, tree, parse),
        Err(error) => Gathered::failed(error),
    }
}

/// Gathers a corpus from files that were found already.
pub(crate) fn gather_found(
    dataset: &str,
    root: &Path,
    pattern: &'static str,
    rules: &Labelling<'_>,
    tree: Tree,
    parse: impl Fn(&Found) -> Parsed,
) -> Gathered {
    let count = tree.found.len();
    let mut gathered = Gathered {
        skipped: tree.skipped,
        warnings: tree.remarks,
        ..Gathered::default()
    };
    for found in tree.found {
        match parse(&found) {
            Parsed::Known(facts) => {
                let (key, path) = (found.relative.clone(), found.path.clone());
                let source = Source::File { found, part: None };
                if let Err(label) = gathered.push(
                    Utterance {
                        key,
                        source,
                        facts,
                        row: None,
                    },
                    rules,
                ) {
                    gathered.skipped.push(Skipped {
                        dataset: dataset.to_owned(),
                        path,
                        reason: SkipReason::Name(format!("`{label}` is no emotion")),
                    });
                }
            }
            Parsed::Filtered => gathered.filtered += 1,
            Parsed::Aside => {}
            Parsed::Unknown(reason) => gathered.skipped.push(Skipped {
                dataset: dataset.to_owned(),
                path: found.path,
                reason: SkipReason::Name(reason),
            }),
        }
    }
    if gathered.utterances.is_empty() && gathered.filtered == 0 {
        gathered.errors.push(DataError::NoneMatch {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
            files: count,
            pattern,
        });
    }
    gathered
}
