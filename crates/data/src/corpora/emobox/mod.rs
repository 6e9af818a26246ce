//! Any of the 32 corpora of EmoBox, with its published labels and folds.

mod audio;
mod error;
mod list;
mod metadata;
#[cfg(test)]
mod tests;

pub use error::EmoboxError;
pub use list::EmoboxCorpus;
pub(crate) use list::balanced as stand_in_lists;

use super::{
    CorpusKind, DatasetConfig, Facts, Gathered, OnBadAudio, OnCopies, Parsed, Source, Utterance, Vocabulary, cremad,
    emodb, iemocap,
};
use crate::labelling::{Labelling, Mapping};
use crate::protocol::{PublishedFold, PublishedFolds};
use crate::walk::{Found, Tree, find_files};
use crate::{DataError, SkipReason, Skipped, canonical, emotion};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use indexmap::{IndexMap, IndexSet};
use list::{Known, Voices};
use metadata::{Entry, Metadata, SPEAKERS, some_of};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// A corpus as EmoBox lists it: its recordings, labels and folds, with the audio as its owners give it out.
///
/// The metadata is that of the repository emo-box/EmoBox (MIT), which `emorun data fetch emobox` brings to `data/emobox`.
/// Files are found at any depth below `root` by the names in it, whatever the folders above them; `split: { kind:
/// emobox_folds }` takes the published folds. Labels are those of the corpus' `label_map.json`; words that are no emotion
/// known here are classes as they are written. Who speaks is told by file names, in the five corpora that have a kind of
/// their own as that kind does it; of Emozionalmente, M3ED, MELD and MSP-Podcast by the repository's table
/// `data.seg.wrd.stm`; of MER2023, MESD and RESD by nothing.
///
/// # Source
/// Ma, Chen, Zhang, Zheng, Chen, Li, Ye, Chen & Hain, "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit
/// and Benchmark", Interspeech 2024; each corpus by its own authors and under its own licence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emobox {
    /// The corpus, by its name in EmoBox.
    pub corpus: EmoboxCorpus,
    /// Folder that holds the corpus' audio, relative to the working directory.
    pub root: DataPath,
    /// Folder of EmoBox's metadata (its repository, the folder `data` of it, or the corpus' own folder therein), relative to
    /// the working directory.
    #[serde(default = "default_metadata")]
    pub metadata: DataPath,
    /// What to do where files that the metadata lists are not in `root`.
    #[serde(default)]
    pub missing: OnMissing,
    /// Emotions to keep, numbered in this order; all by default.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the corpus' label map, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
    /// What to do with one recording under several names.
    #[serde(default)]
    pub on_copies: OnCopies,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default the corpus' name, so that they are those of a dataset
    /// of the corpus' own kind.
    #[serde(default)]
    pub people: Option<String>,
}

/// What to do where files are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Stop and say how many.
    #[default]
    Error,
    /// Go on with those that are there; the folds are then smaller than published, which every report says.
    Skip,
}

fn default_metadata() -> DataPath {
    DataPath::new("data/emobox")
}

impl CorpusKind for Emobox {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn channel(&self) -> Channel {
        self.channel
    }

    fn on_copies(&self) -> OnCopies {
        self.on_copies
    }

    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        self.own_kind().map_or(&[], |own| own.corpus().published_twice())
    }

    fn people(&self, _dataset: &str) -> String {
        self.people.clone().unwrap_or_else(|| self.corpus.name().to_owned())
    }

    fn has_text(&self) -> bool {
        matches!(
            self.corpus,
            EmoboxCorpus::Ravdess | EmoboxCorpus::Cremad | EmoboxCorpus::Emodb
        )
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::AsWritten
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        let known = self.corpus.known();
        let own = self.own_kind();
        let mut attributes = own.map(|own| own.corpus().attributes()).unwrap_or_default();
        if let (Some(languages), false) = (known.language, attributes.iter().any(|(name, _)| *name == LANGUAGE)) {
            attributes.push((LANGUAGE, languages));
        }
        attributes
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let metadata = match Metadata::read(dataset, self.metadata.as_path(), self.corpus) {
            Ok(metadata) => metadata,
            Err(errors) => {
                return Gathered {
                    errors,
                    ..Gathered::default()
                };
            }
        };
        if !metadata.missing.is_empty() {
            return Gathered::failed(
                EmoboxError::Metadata {
                    dataset: dataset.to_owned(),
                    path: self.metadata.as_path().to_owned(),
                    row: None,
                    problem: format!(
                        "lacks {} of `{}`, so that nothing lists all of it",
                        some_of(&metadata.missing),
                        self.corpus.name()
                    ),
                }
                .into(),
            );
        }
        let root = self.root.as_path();
        let may_be_listed = audio::may_be_listed(&metadata.entries);
        let Tree { found, remarks, .. } = match find_files(dataset, root, may_be_listed) {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let located = audio::locate(&metadata.entries, &found);
        let absent = located.missing.len() + located.unreadable.len();
        if absent == metadata.entries.len() || absent > 0 && self.missing == OnMissing::Error {
            return Gathered::failed(
                EmoboxError::MissingAudio {
                    dataset: dataset.to_owned(),
                    path: root.to_owned(),
                    missing: located.missing.len(),
                    unreadable: located.unreadable.len(),
                    listed: metadata.entries.len(),
                    // Parts of one file have the same path.
                    first: located
                        .unreadable
                        .into_iter()
                        .chain(located.missing)
                        .collect::<IndexSet<String>>()
                        .into_iter()
                        .take(3)
                        .collect(),
                }
                .into(),
            );
        }
        let speakers = match Speakers::new(self.corpus, dataset, root, &metadata) {
            Ok(speakers) => speakers,
            Err(error) => return Gathered::failed(error),
        };
        let mut gathered = Gathered {
            warnings: metadata.warnings.iter().cloned().chain(remarks).collect(),
            ..Gathered::default()
        };
        let known = self.corpus.known();
        let mut told = Remarks::default();
        let (used, again, contradicting) = metadata.used();
        for ((entry, file), _) in metadata
            .entries
            .iter()
            .zip(&located.files)
            .zip(&used)
            .filter(|(_, used)| **used)
        {
            let Some(file) = file.and_then(|file| found.get(file)) else {
                continue;
            };
            let facts = told.facts(entry, &metadata, &known, speakers.facts(entry));
            let utterance = Utterance {
                key: entry.name(),
                source: Source::File {
                    found: file.clone(),
                    part: entry.part,
                },
                facts,
                row: None,
            };
            if let Err(label) = gathered.push(utterance, rules) {
                gathered.skipped.push(Skipped {
                    dataset: dataset.to_owned(),
                    path: file.path.clone(),
                    reason: SkipReason::Name(format!("`{label}` is no emotion")),
                });
            }
        }
        gathered.warnings.extend(told.warnings(dataset, &known, &metadata));
        if again + contradicting > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: EmoBox lists parts of `{}` more than once: {contradicting} entries with labels that contradict each other are left out, and of {again} the first is used",
                known.name
            ));
        }
        if absent > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {absent} of the {} recordings that EmoBox lists are not in {root:?} and are left out (`missing: skip`), such as {:?}; its folds are smaller than published",
                metadata.entries.len(),
                located.missing.iter().chain(&located.unreadable).next().map_or("", String::as_str)
            ));
        }
        if located.copies > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {} recordings are in {root:?} more than once; the least nested file of each is used",
                located.copies
            ));
        }
        gathered.published = Some(published(known.name, &metadata, &located.files, &used));
        gathered
    }
}

/// A recording as it is listed.
pub(crate) struct Listed {
    /// Its name within the dataset.
    pub key: String,
    /// The file's name without extension.
    pub stem: String,
    pub class: String,
    pub speaker: String,
    /// Length in seconds.
    pub seconds: Option<f64>,
}

impl Emobox {
    /// Our own kind of the corpus, where there is one.
    fn own_kind(&self) -> Option<DatasetConfig> {
        match self.corpus.known().voices {
            Voices::Own(kind) => crate::whole(kind, Path::new("")),
            _ => None,
        }
    }

    /// Everything that the metadata lists; `None` where it cannot be read.
    pub(crate) fn listed(&self) -> Option<Vec<Listed>> {
        let metadata = Metadata::read("", self.metadata.as_path(), self.corpus).ok()?;
        metadata.missing.is_empty().then_some(())?;
        let speakers = Speakers::new(self.corpus, "", self.root.as_path(), &metadata).ok()?;
        let listed = metadata.entries.iter().map(|entry| {
            let (label, _) = metadata.label(&entry.code);
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            Listed {
                key: entry.name(),
                seconds: entry.seconds,
                stem: name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned(),
                class: canonical(&label).map_or(label, str::to_owned),
                speaker: speakers.facts(entry).speaker,
            }
        });
        Some(listed.collect())
    }
}

/// Column of the language.
const LANGUAGE: &str = "language";

/// The published folds, by the names of recordings.
fn published(corpus: &str, metadata: &Metadata, files: &[Option<usize>], used: &[bool]) -> PublishedFolds {
    let name = |place: &usize| metadata.entries[*place].name();
    let folds = metadata.folds.iter().map(|fold| {
        let mut absent = [0; 3];
        let sides = || fold.sides.iter().filter(|(place, _)| used[**place]);
        for (_, side) in sides().filter(|(place, _)| files[**place].is_none()) {
            absent[*side as usize] += 1;
        }
        PublishedFold {
            number: fold.number,
            sides: sides().map(|(place, side)| (name(place), *side)).collect(),
            has_validation: fold.has_validation,
            absent,
            missing: fold.missing.clone(),
        }
    });
    let balanced = metadata.balanced.as_ref();
    PublishedFolds {
        corpus: corpus.to_owned(),
        folds: folds.collect(),
        balanced: balanced.map(|set| set.entries.iter().map(name).collect()),
    }
}

/// What tells who speaks.
enum Speakers<'a> {
    Own(Box<DatasetConfig>, IndexMap<String, cremad::Actor>),
    Path(Regex),
    One(&'static str),
    Table(Option<&'a HashMap<String, String>>),
    Unknown,
}

impl<'a> Speakers<'a> {
    fn new(corpus: EmoboxCorpus, dataset: &str, root: &Path, metadata: &'a Metadata) -> Result<Self, DataError> {
        Ok(match corpus.known().voices {
            Voices::Own(kind) => match crate::whole(kind, root) {
                Some(own) => {
                    let actors = match &own {
                        DatasetConfig::Cremad(cremad) => cremad.actors(dataset)?,
                        _ => IndexMap::new(),
                    };
                    Self::Own(Box::new(own), actors)
                }
                None => Self::Unknown,
            },
            // A test compiles every pattern.
            Voices::Path(pattern) => Regex::new(pattern).map_or(Self::Unknown, Self::Path),
            Voices::One(speaker) => Self::One(speaker),
            Voices::Table => Self::Table(metadata.speakers.as_ref()),
            Voices::Unknown => Self::Unknown,
        })
    }

    /// What the entry's path tells; without a speaker where it tells none.
    fn facts(&self, entry: &Entry) -> Facts {
        match self {
            Self::Own(own, actors) => own_facts(own, actors, entry).unwrap_or_default(),
            Self::Path(pattern) => {
                let Some(groups) = pattern.captures(&entry.path) else {
                    return Facts::default();
                };
                let group = |name| groups.name(name).map(|group| group.as_str().to_owned());
                Facts {
                    speaker: group("speaker").unwrap_or_default(),
                    gender: group("gender").as_deref().and_then(emotion::gender).map(str::to_owned),
                    groups: group("dialogue")
                        .map(|id| format!("dialogue/{id}"))
                        .into_iter()
                        .collect(),
                    ..Facts::default()
                }
            }
            Self::One(speaker) => Facts {
                speaker: (*speaker).to_owned(),
                ..Facts::default()
            },
            Self::Table(speakers) => Facts {
                speaker: speakers
                    .and_then(|speakers| speakers.get(&entry.key))
                    .cloned()
                    .unwrap_or_default(),
                ..Facts::default()
            },
            Self::Unknown => Facts::default(),
        }
    }
}

/// What our own kind of the corpus reads from the name.
fn own_facts(own: &DatasetConfig, actors: &IndexMap<String, cremad::Actor>, entry: &Entry) -> Option<Facts> {
    let file = Found {
        path: entry.path.clone().into(),
        relative: entry.path.clone(),
        bytes: 0,
    };
    let parsed = match own {
        DatasetConfig::Ravdess(own) => own.parse(file.stem()),
        DatasetConfig::Cremad(_) => cremad::parse(file.stem(), actors),
        DatasetConfig::Emodb(_) => emodb::parse(file.stem()),
        DatasetConfig::Esd(own) => own.parse(&file, &HashMap::new()),
        DatasetConfig::Iemocap(_) => return iemocap::named(file.stem()),
        _ => return None,
    };
    match parsed {
        Parsed::Known(facts) => Some(facts),
        Parsed::Filtered | Parsed::Aside | Parsed::Unknown(_) => None,
    }
}

/// What is remarked on while recordings are read.
#[derive(Default)]
struct Remarks {
    /// Codes that the label map lacks.
    unmapped: Vec<String>,
    /// Recordings whose names bear another emotion than the metadata.
    other: Vec<String>,
    /// Recordings whose speaker nothing tells.
    nobody: usize,
}

impl Remarks {
    /// What is known of a recording, given what its name tells.
    fn facts(&mut self, entry: &Entry, metadata: &Metadata, corpus: &Known, mut facts: Facts) -> Facts {
        // The scan takes each of these for another person, who may be any of them.
        self.nobody += usize::from(facts.speaker.is_empty());
        let (label, is_mapped) = metadata.label(&entry.code);
        if !is_mapped && !self.unmapped.contains(&entry.code) {
            self.unmapped.push(entry.code.clone());
        }
        let named = facts.emotion.as_deref().and_then(canonical);
        if named.is_some() && named != canonical(&label) {
            self.other.push(entry.path.clone());
        }
        facts.emotion = Some(label);
        facts.gender = facts.gender.or_else(|| {
            let own = corpus.genders.iter().find(|(speaker, _)| *speaker == facts.speaker);
            corpus.gender.or(own.map(|(_, gender)| *gender)).map(str::to_owned)
        });
        if let (Some([language]), false) = (corpus.language, facts.attributes.contains_key(LANGUAGE)) {
            facts.attributes.insert(LANGUAGE.to_owned(), (*language).to_owned());
        }
        facts.values.clear();
        facts.votes.clear();
        facts
    }

    fn warnings(self, dataset: &str, corpus: &Known, metadata: &Metadata) -> Vec<String> {
        let name = corpus.name;
        let mut warnings = Vec::new();
        if !self.unmapped.is_empty() {
            warnings.push(format!(
                "dataset `{dataset}`: the label map of `{name}` lacks {}, kept as it is written",
                some_of(&self.unmapped)
            ));
        }
        if let Some(first) = self.other.first() {
            warnings.push(format!(
                "dataset `{dataset}`: the names of {} files bear another emotion than EmoBox's label, which counts, such as {first:?}",
                self.other.len()
            ));
        }
        if self.nobody > 0 {
            let why = match (corpus.voices, &metadata.speakers) {
                (Voices::Table, None) => format!("file names do not tell, and the metadata lacks {name}/{SPEAKERS}"),
                (Voices::Table, Some(_)) => format!("{name}/{SPEAKERS} does not tell"),
                _ => "neither file names nor metadata tell".to_owned(),
            };
            warnings.push(format!(
                "dataset `{dataset}`: who speaks in {} of {} recordings is not known: {why}",
                self.nobody,
                metadata.entries.len(),
            ));
        }
        if let Some(set) = metadata.balanced.as_ref().filter(|set| !set.unknown.is_empty()) {
            warnings.push(format!(
                "dataset `{dataset}`: {} recordings of the cross-corpus test set cannot be told in the list of `{name}` and are left out of it: {}",
                set.unknown.len(),
                some_of(&set.unknown)
            ));
        }
        warnings
    }
}
