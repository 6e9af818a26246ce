//! Any of the 32 corpora of EmoBox, with its published labels and folds.

mod audio;
mod error;
mod list;
mod metadata;
mod remarks;
mod speakers;
mod stand_in;
#[cfg(test)]
mod tests;

pub use error::EmoboxError;
pub use list::EmoboxCorpus;

use super::{CorpusKind, DatasetConfig, Described, Description, Gathered, Source, Utterance, dataset};
use crate::emotion::EMOTIONS as CANONICAL;
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::protocol::{PublishedFold, PublishedFolds};
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use crate::walk::{Tree, find_files};
use crate::{DataError, SkipReason, Skipped, canonical};
use emorun_lang::DataPath;
use list::Voices;
use metadata::{Metadata, some_of};
use remarks::Remarks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speakers::Speakers;
use std::collections::{HashMap, HashSet};
use std::path::Path;

dataset! {
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
        shared classes: "all by default.", "a label of the corpus' label map", "applied before `emotions`.",
        shared on_bad_audio,
        shared channel,
        shared on_copies,
        shared people: "the corpus' name, so that they are those of a dataset\nof the corpus' own kind.",
    }
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

impl Described for Emobox {
    const DESCRIPTION: Description = Description {
        summary: "any of the 32 corpora of EmoBox, with its published labels and folds",
        source: "Ma et al., Interspeech 2024",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.language, and what else the corpus' own kind has",
        ..Description::DEFAULT
    };
}

impl CorpusKind for Emobox {
    fn place(&self) -> Option<&Path> {
        Some(self.root.as_path())
    }

    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        self.own_kind().map_or(&[], |own| own.corpus().published_twice())
    }

    fn own_people(&self, _dataset: &str) -> String {
        self.corpus.name().to_owned()
    }

    fn has_text(&self) -> bool {
        self.own_kind().is_some_and(|own| own.corpus().names_tell_text())
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
        let metadata = match self.read_metadata(dataset) {
            Ok(metadata) => metadata,
            Err(errors) => {
                return Gathered {
                    errors,
                    ..Gathered::default()
                };
            }
        };
        let root = self.root.as_path();
        let may_be_listed = audio::may_be_listed(&metadata.entries);
        let Tree { found, remarks, .. } = match find_files(dataset, root, may_be_listed) {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let located = audio::locate(&metadata.entries, &found);
        let absent = located.absent();
        if absent == metadata.entries.len() || absent > 0 && self.missing == OnMissing::Error {
            return Gathered::failed(located.missing_audio(dataset, root, metadata.entries.len()).into());
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
        gathered
            .warnings
            .extend(located.warnings(dataset, root, metadata.entries.len()));
        gathered.published = Some(published(known.name, &metadata, &located.files, &used));
        gathered
    }

    /// All that EmoBox lists of it. Classes are counted, and names where each is that of one file alone.
    fn published_parts(&self) -> Vec<PublishedPart> {
        // Metadata that cannot be read, gathering has told.
        let Some(listed) = self.listed() else {
            return Vec::new();
        };
        let mut classes: Vec<(&'static str, String, usize)> = Vec::new();
        for recording in &listed {
            match classes.iter_mut().find(|(_, class, _)| *class == recording.class) {
                Some((_, _, count)) => *count += 1,
                None => classes.push(("class", recording.class.clone(), 1)),
            }
        }
        classes.sort_by_key(|(_, class, _)| {
            CANONICAL
                .iter()
                .position(|known| known == class)
                .unwrap_or(CANONICAL.len())
        });
        let stems: HashSet<String> = listed.iter().map(|recording| recording.stem.to_lowercase()).collect();
        let names = (stems.len() == listed.len()).then(|| {
            listed
                .iter()
                .map(|recording| (recording.stem.clone(), recording.speaker.clone()))
                .collect()
        });
        vec![PublishedPart {
            counts: classes,
            names,
            ..PublishedPart::new(self.corpus.name(), listed.len())
        }]
    }

    fn published_lengths(&self) -> HashMap<String, f64> {
        let listed = self.listed().unwrap_or_default().into_iter();
        listed
            .filter_map(|recording| Some((recording.key, recording.seconds?)))
            .collect()
    }

    fn take_all(&mut self) {
        (self.emotions, self.mapping, self.missing) = (None, None, OnMissing::Skip);
    }

    /// Its recordings are named by the writer.
    fn stand_in_speaker(&self, _text: &str) -> Option<String> {
        None
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        let speakers = (self.corpus.known().speakers)(count);
        (1..=speakers).map(|id| id.to_string()).collect()
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        self.write(writer).map(DatasetConfig::from)
    }
}

/// A recording as it is listed.
struct Recording {
    /// Its name within the dataset.
    key: String,
    /// The file's name without extension.
    stem: String,
    class: String,
    speaker: String,
    /// Length in seconds.
    seconds: Option<f64>,
}

impl Emobox {
    /// Our own kind of the corpus, where there is one.
    fn own_kind(&self) -> Option<DatasetConfig> {
        match self.corpus.known().voices {
            Voices::Own(kind) => DatasetConfig::whole(kind, Path::new("")),
            Voices::Path(_) | Voices::One(_) | Voices::Table | Voices::Unknown => None,
        }
    }

    /// The metadata, of which the lists of the whole corpus are there.
    fn read_metadata(&self, dataset: &str) -> Result<Metadata, Vec<DataError>> {
        let metadata = Metadata::read(dataset, self.metadata.as_path(), self.corpus)?;
        if metadata.missing.is_empty() {
            return Ok(metadata);
        }
        let error = EmoboxError::Metadata {
            dataset: dataset.to_owned(),
            path: self.metadata.as_path().to_owned(),
            row: None,
            problem: format!(
                "lacks {} of `{}`, so that nothing lists all of it",
                some_of(&metadata.missing),
                self.corpus.name()
            ),
        };
        Err(vec![error.into()])
    }

    /// Everything that the metadata lists; `None` where it cannot be read.
    fn listed(&self) -> Option<Vec<Recording>> {
        let metadata = self.read_metadata("").ok()?;
        let speakers = Speakers::new(self.corpus, "", self.root.as_path(), &metadata).ok()?;
        let listed = metadata.entries.iter().map(|entry| {
            let (label, _) = metadata.label(&entry.code);
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            Recording {
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
