//! What a scan yields: items, and the corpus that holds them.

use crate::{ContentHash, DataError};
use emorun_audio::synthetic::{VoiceSpec, synthesise};
use emorun_audio::{Segment, load};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// One of the three sides of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitName {
    /// What the model is fitted on.
    Train,
    /// What choices are made on: early stopping, the best checkpoint.
    Validation,
    /// What is only reported on.
    Test,
}

impl SplitName {
    /// All sides, in the order in which they are reported.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name as written in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for SplitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an item's waveform comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum AudioSource {
    /// A file, or a part of one.
    File {
        /// The file, as found below the corpus' root.
        path: PathBuf,
        /// The part of it; `None` is all of it.
        segment: Option<Segment>,
    },
    /// Generated from a description when it is asked for.
    Synthetic(VoiceSpec),
}

/// One utterance.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Stable name, `dataset/relative path` (with `#start-end` for a part of a file): random draws
    /// are keyed by it, so it does not depend on the machine, on the other items or on where the
    /// corpus lies.
    pub key: String,
    /// Name of the dataset in the experiment file.
    pub dataset: String,
    /// Where the waveform comes from.
    pub audio: AudioSource,
    /// `dataset/id`.
    pub speaker: String,
    /// Further groups that a split may not cut (dyads, sessions), each `dataset/column/id`.
    pub groups: Vec<String>,
    /// Class index in the corpus' label set of the same name; `None` where this item has no such
    /// label.
    pub labels: IndexMap<String, Option<u32>>,
    /// Class index in [`Corpus::attribute_sets`] of what further describes it, such as its intensity.
    pub attributes: IndexMap<String, Option<u32>>,
    /// Probability of each class of the corpus' label set of the same name, such as the shares of
    /// raters' votes: the entries add up to 1. Without an entry the item has no such label.
    pub soft_labels: IndexMap<String, Vec<f32>>,
    /// Continuous labels, such as `valence`, on the corpus' own scale; without an entry the item has no
    /// such label.
    pub values: IndexMap<String, f32>,
    /// What is said, where the corpus tells.
    pub text: Option<String>,
    /// The side that the corpus itself assigns, where it does.
    pub split: Option<SplitName>,
    /// Length in seconds, from the file's header.
    pub duration_s: f64,
    /// Hash of the audio's bytes; `None` where the scan had no reason to read them.
    pub content: Option<ContentHash>,
}

impl Item {
    /// The class index of the item's label or attribute `column`, where it has one.
    #[must_use]
    pub fn label(&self, column: &str) -> Option<u32> {
        let classes = self.labels.get(column).or_else(|| self.attributes.get(column));
        classes.copied().flatten()
    }

    /// The waveform, mono, as `samples` at `rate_hz`.
    ///
    /// # Errors
    /// Where the file can no longer be read as it was when it was scanned.
    pub fn load_audio(&self, rate_hz: u32) -> Result<Vec<f32>, DataError> {
        match &self.audio {
            AudioSource::File { path, segment } => {
                load(path, rate_hz, *segment)
                    .map(|clip| clip.samples)
                    .map_err(|error| DataError::BadAudio {
                        dataset: self.dataset.clone(),
                        row: None,
                        error,
                    })
            }
            AudioSource::Synthetic(spec) => Ok(synthesise(&VoiceSpec { rate_hz, ..*spec }).samples),
        }
    }

    /// What to show a person for this item: the file's path, or the key of generated audio.
    #[must_use]
    pub fn display_path(&self) -> String {
        match &self.audio {
            AudioSource::File { path, .. } => path.display().to_string(),
            AudioSource::Synthetic(_) => self.key.clone(),
        }
    }
}

/// A file that the scan left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Name of the dataset.
    pub dataset: String,
    /// The file.
    pub path: PathBuf,
    /// Why it was left out.
    pub reason: SkipReason,
}

/// Why a file was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its name does not follow the corpus' pattern; the text says which part.
    Name(String),
    /// It cannot be used and the file says `on_bad_audio: skip`; the text is the error.
    BadAudio(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::BadAudio(text) => f.write_str(text),
        }
    }
}

/// A copy that was counted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// Name of the dataset.
    pub dataset: String,
    /// Key of the item that was kept.
    pub kept: String,
    /// Key that the copy would have had.
    pub dropped: String,
}

/// What a scan found out about one dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatasetFacts {
    /// The dataset's kind.
    pub kind: String,
    /// Items kept.
    pub items: usize,
    /// Speakers among them.
    pub speakers: usize,
    /// Their total length in seconds.
    pub duration_s: f64,
    /// Files left out because the experiment file restricts the corpus (emotions, mapping, vocal
    /// channel).
    pub filtered: usize,
    /// Copies counted once.
    pub duplicates: usize,
    /// Hash over every item's key, labels (of all kinds), speaker and audio: its bytes after a deep scan, its size
    /// after a plain one.
    pub fingerprint: String,
}

/// All items of an experiment's datasets, merged.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// The items, in the order of the datasets and of the files within each.
    pub items: Vec<Item>,
    /// Class names of each label column; an item's label is an index into these.
    pub label_sets: IndexMap<String, Vec<String>>,
    /// Class names of what further describes items (intensity, style, language, …). Splits do not
    /// balance these.
    pub attribute_sets: IndexMap<String, Vec<String>>,
    /// Names of the continuous labels that items can have.
    pub values: Vec<String>,
    /// What was found out about each dataset.
    pub datasets: IndexMap<String, DatasetFacts>,
    /// Files left out.
    pub skipped: Vec<Skipped>,
    /// Copies counted once.
    pub duplicates: Vec<Duplicate>,
    /// Remarks for the person who runs the experiment.
    pub warnings: Vec<String>,
}

impl Corpus {
    /// The speakers, `dataset/id`, in the order of their first item.
    #[must_use]
    pub fn speakers(&self) -> Vec<&str> {
        let mut speakers: indexmap::IndexSet<&str> = indexmap::IndexSet::new();
        speakers.extend(self.items.iter().map(|item| item.speaker.as_str()));
        speakers.into_iter().collect()
    }

    /// How many items each class of `column` has, over the items at `indices`.
    #[must_use]
    pub fn class_counts(&self, column: &str, indices: &[usize]) -> IndexMap<String, usize> {
        let classes = self.label_sets.get(column).or_else(|| self.attribute_sets.get(column));
        let mut counts: IndexMap<String, usize> =
            classes.into_iter().flatten().map(|class| (class.clone(), 0)).collect();
        for item in indices.iter().filter_map(|index| self.items.get(*index)) {
            if let Some(class) = item.label(column)
                && let Some((_, count)) = counts.get_index_mut(class as usize)
            {
                *count += 1;
            }
        }
        counts
    }
}
