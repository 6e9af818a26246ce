//! What a scan yields: items, and the corpus that holds them.

use crate::person::{apart_as, is_unknown};
use crate::{ContentHash, DataError, FilePath, Items, Name, PublishedFolds, ShortStamp, StreamSource};
use emorun_audio::synthetic::{VoiceSpec, synthesise};
use emorun_audio::{Channel, Clip, Segment, load_channel, resample};
use indexmap::{IndexMap, IndexSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
        path: FilePath,
        /// The part of it; `None` is all of it.
        segment: Option<Segment>,
        /// Which of its channels is heard.
        channel: Channel,
    },
    /// Generated from a description when it is asked for.
    Synthetic(VoiceSpec),
    /// Sound that is in memory, such as what a microphone gave.
    Samples(Arc<Clip>),
}

/// One utterance. What it shares with others is kept once, so that millions fit into memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Stable name, `dataset/relative path` (with `#start-end` for a part of a file): random draws
    /// are keyed by it, so it does not depend on the machine, on the other items or on where the
    /// corpus lies.
    pub key: Name,
    /// Name of the dataset in the experiment file.
    pub dataset: Name,
    /// Where the waveform comes from.
    pub audio: AudioSource,
    /// `people/id`: one person is called alike in all datasets of the same people.
    pub speaker: Name,
    /// Further groups that a split may not cut (dyads, sessions), each `people/column/id`.
    pub groups: Arc<[Name]>,
    /// Class index in the corpus' label set of the same name; `None` where this item has no such
    /// label.
    pub labels: Arc<IndexMap<String, Option<u32>>>,
    /// Class index in [`Corpus::attribute_sets`] of what further describes it, such as its intensity.
    pub attributes: Arc<IndexMap<String, Option<u32>>>,
    /// Probability of each class of the corpus' label set of the same name, such as the shares of
    /// raters' votes: the entries add up to 1. Without an entry the item has no such label.
    pub soft_labels: Arc<IndexMap<String, Vec<f32>>>,
    /// Continuous labels, such as `valence`, on the corpus' own scale; without an entry the item has no
    /// such label.
    pub values: Arc<IndexMap<String, f32>>,
    /// What is said, where the corpus tells.
    pub text: Option<Name>,
    /// Its parts of the corpus' streams, by their names; it may lack any.
    pub streams: Arc<[(Name, StreamSource)]>,
    /// The side that the corpus itself assigns, where it does.
    pub split: Option<SplitName>,
    /// Length in seconds, from the file's header.
    pub duration_s: f64,
    /// Hash of the audio's bytes; `None` where the scan had no reason to read them.
    pub content: Option<ContentHash>,
    /// Hash of the samples of its segment; `None` of a whole file, of silence, and where the scan did not decode it.
    pub part_content: Option<ContentHash>,
    /// Which file it was when it was read; `None` where that is not known.
    pub stamp: Option<ShortStamp>,
}

impl Item {
    /// An item that tells nothing but its key and length.
    #[cfg(test)]
    pub(crate) fn unlabelled(key: Name, duration_s: f64) -> Self {
        Self {
            key,
            dataset: Name::default(),
            audio: AudioSource::File {
                path: "none.wav".into(),
                segment: None,
                channel: Channel::Mix,
            },
            speaker: Name::default(),
            groups: Arc::default(),
            labels: Arc::default(),
            attributes: Arc::default(),
            soft_labels: Arc::default(),
            values: Arc::default(),
            text: None,
            streams: Arc::default(),
            split: None,
            duration_s,
            content: None,
            part_content: None,
            stamp: None,
        }
    }

    /// The class index of the item's label or attribute `column`, where it has one.
    #[must_use]
    pub fn label(&self, column: &str) -> Option<u32> {
        class_of(&self.labels, &self.attributes, column)
    }

    /// Whether it is known who speaks; unknown speakers of the same people could all be one.
    #[must_use]
    pub fn has_known_speaker(&self) -> bool {
        !self.speaker.is_empty() && !is_unknown(&self.speaker)
    }

    /// Whether the file is still the one that the corpus was read from: by its [`ShortStamp`], or else, for a stamp changes with
    /// rights and links too, by its content. A file that is gone or cannot be read is for [`Self::load_audio`] to tell.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check_unchanged(&self) -> Result<(), DataError> {
        if let (AudioSource::File { path, .. }, Some(known)) = (&self.audio, self.stamp) {
            let path = path.to_path();
            let is_another = ShortStamp::of(&path).is_some_and(|stamp| stamp != known);
            if is_another && ContentHash::of_audio(&path).is_ok_and(|content| Some(content) != self.content) {
                let dataset = self.dataset.to_string();
                return Err(DataError::Changed { dataset, path });
            }
        }
        Ok(())
    }

    /// The waveform, mono, as `samples` at `rate_hz`.
    ///
    /// # Errors
    /// Where the file can no longer be read as it was when it was scanned, or is another one.
    pub fn load_audio(&self, rate_hz: u32) -> Result<Vec<f32>, DataError> {
        match &self.audio {
            AudioSource::File { path, segment, channel } => {
                self.check_unchanged()?;
                load_channel(&path.to_path(), rate_hz, *segment, *channel)
                    .map(|clip| clip.samples)
                    .map_err(|error| DataError::BadAudio {
                        dataset: self.dataset.to_string(),
                        row: None,
                        error,
                    })
            }
            AudioSource::Synthetic(spec) => Ok(synthesise(&VoiceSpec { rate_hz, ..*spec }).samples),
            AudioSource::Samples(clip) if clip.rate_hz == rate_hz => Ok(clip.samples.clone()),
            AudioSource::Samples(clip) => {
                resample(&clip.samples, clip.rate_hz, rate_hz).map_err(|error| DataError::NotResampled {
                    key: self.key.to_string(),
                    error,
                })
            }
        }
    }

    /// What to show a person for this item: the file's path, or the key of generated audio.
    #[must_use]
    pub fn display_path(&self) -> String {
        match &self.audio {
            AudioSource::File { path, .. } => path.to_path().display().to_string(),
            AudioSource::Synthetic(_) | AudioSource::Samples(_) => self.key.to_string(),
        }
    }
}

/// A file that the scan left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Name of the dataset.
    pub dataset: String,
    /// The file.
    pub path: PathBuf,
    /// Why it was left out.
    pub reason: SkipReason,
}

/// Why a file was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Name of the dataset.
    pub dataset: String,
    /// Key of the item that was kept.
    pub kept: String,
    /// Key that the copy would have had.
    pub dropped: String,
}

/// What a scan found out about one dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// The dataset's kind.
    pub kind: String,
    /// Name of the people whom its speakers' ids tell apart.
    pub people: String,
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
    /// Hash over every item's key, labels (of all kinds), speaker, audio and streams: their bytes after a deep scan, their
    /// size or date after a plain one.
    pub fingerprint: String,
}

/// All items of an experiment's datasets, merged.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// The items, in the order of the datasets and of the files within each.
    pub items: Items,
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
    /// Indices of items that sound like one recording without having its samples, each group in ascending order; a deep
    /// scan finds them.
    pub alike: Vec<Vec<usize>>,
    /// The folds that datasets were published with, of those that bring them.
    pub published: IndexMap<String, PublishedFolds>,
    /// Remarks for the person who runs the experiment.
    pub warnings: Vec<String>,
}

impl Corpus {
    /// The speakers, `people/id`, in the order of their first item; `people/?` where the speakers are not known.
    #[must_use]
    pub fn speakers(&self) -> Vec<&str> {
        let profiles = self.items.profiles().iter();
        let speakers: IndexSet<&str> = profiles.map(|profile| apart_as(&profile.speaker)).collect();
        speakers.into_iter().collect()
    }

    /// An error for each of these label columns and attributes of which no item has a class: nothing can be learned from it.
    #[must_use]
    pub fn unlabelled(&self, columns: &[&str]) -> Vec<DataError> {
        let is_told = |column: &str| {
            let mut profiles = self.items.profiles().iter();
            profiles.any(|profile| profile.label(column).is_some())
        };
        let missing = columns.iter().filter(|column| !is_told(column));
        missing
            .map(|column| DataError::NoLabel {
                column: (*column).to_owned(),
                datasets: self
                    .datasets
                    .iter()
                    .map(|(name, facts)| (name.clone(), facts.kind.clone()))
                    .collect(),
            })
            .collect()
    }

    /// How many items each class of `column` has, over the items at `indices`.
    #[must_use]
    pub fn class_counts(&self, column: &str, indices: &[usize]) -> IndexMap<String, usize> {
        let classes = self.label_sets.get(column).or_else(|| self.attribute_sets.get(column));
        let mut counts: IndexMap<String, usize> =
            classes.into_iter().flatten().map(|class| (class.clone(), 0)).collect();
        for (class, own) in count_classes(&self.items, indices, column) {
            if let Some((_, count)) = counts.get_index_mut(class as usize) {
                *count += own;
            }
        }
        counts
    }
}

/// The class index of a label or attribute.
pub(crate) fn class_of(
    labels: &IndexMap<String, Option<u32>>,
    attributes: &IndexMap<String, Option<u32>>,
    column: &str,
) -> Option<u32> {
    let classes = labels.get(column).or_else(|| attributes.get(column));
    classes.copied().flatten()
}

/// How many of the items at `indices` are of each class of the label or attribute `column`.
#[must_use]
pub fn count_classes(items: &Items, indices: &[usize], column: &str) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for (profile, count) in items.profiles().iter().zip(items.count_profiles(indices)) {
        if let Some(class) = profile.label(column).filter(|_| count > 0) {
            *counts.entry(class).or_default() += count;
        }
    }
    counts
}
