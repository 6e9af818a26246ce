//! The kinds of corpora: one file each, and one line each in [`DatasetConfig`].

pub mod cremad;
pub mod emobox;
pub mod emodb;
pub mod esd;
pub mod files;
pub mod iemocap;
pub mod librispeech;
pub mod manifest;
pub mod musan;
pub mod ravdess;
pub mod synthetic;

use crate::labelling::{Labelling, Mapping, Outcome, Vocabulary};
use crate::walk::{Found, Tree, find_audio};
use crate::{DataError, PublishedFolds, SkipReason, Skipped, SplitName, StreamForm, StreamSource};
use emorun_audio::Channel;
use emorun_audio::synthetic::VoiceSpec;
use emorun_lang::{KindInfo, Kinded as _, Section, schema_of};
use indexmap::{IndexMap, IndexSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

emorun_lang::kinded_enum! {
    /// A corpus: where it lies and what of it to use.
    #[derive(PartialEq)]
    pub enum DatasetConfig {
        ravdess => Ravdess(ravdess::Ravdess),
        cremad => Cremad(cremad::Cremad),
        emodb => Emodb(emodb::Emodb),
        iemocap => Iemocap(iemocap::Iemocap),
        esd => Esd(esd::Esd),
        librispeech => Librispeech(librispeech::Librispeech),
        emobox => Emobox(emobox::Emobox),
        files => Files(files::Files),
        manifest => Manifest(manifest::Manifest),
        synthetic => Synthetic(synthetic::Synthetic),
    }
}

impl DatasetConfig {
    pub(crate) fn corpus(&self) -> &dyn CorpusKind {
        match self {
            Self::Ravdess(config) => config,
            Self::Cremad(config) => config,
            Self::Emodb(config) => config,
            Self::Iemocap(config) => config,
            Self::Esd(config) => config,
            Self::Librispeech(config) => config,
            Self::Emobox(config) => config,
            Self::Files(config) => config,
            Self::Manifest(config) => config,
            Self::Synthetic(config) => config,
        }
    }
}

impl DatasetConfig {
    /// The files that a column of a corpus' table names, for the items that are wanted by their keys;
    /// relative paths start from the folder of the table.
    ///
    /// # Errors
    /// The corpus has no table or the table no such column; each line whose cell is empty or names no
    /// file.
    pub fn column_files(
        &self,
        dataset: &str,
        column: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, Vec<DataError>> {
        match self {
            Self::Manifest(config) => config.column_files(dataset, column, wanted),
            _ => Err(vec![DataError::NoTable {
                dataset: dataset.to_owned(),
                kind: self.kind(),
                column: column.to_owned(),
            }]),
        }
    }

    /// The table that describes the corpus, where there is one.
    #[must_use]
    pub fn table(&self) -> Option<&Path> {
        match self {
            Self::Manifest(config) => Some(config.path.as_path()),
            _ => None,
        }
    }
}

/// The kinds of datasets, for the registry and the documentation.
pub const KINDS: [KindInfo; 10] = [
    KindInfo {
        name: "ravdess",
        section: Section::Datasets,
        summary: "RAVDESS: 24 actors, eight emotions, English speech and song",
        source: "Livingstone & Russo, PLOS ONE 13(5), 2018",
        schema: schema_of::<ravdess::Ravdess>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.intensity",
    },
    KindInfo {
        name: "cremad",
        section: Section::Datasets,
        summary: "CREMA-D: 91 actors, six emotions, English speech",
        source: "Cao et al., IEEE Transactions on Affective Computing 5(4), 2014",
        schema: schema_of::<cremad::Cremad>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.emotion_soft, data.intensity, data.race, data.ethnicity, data.age",
    },
    KindInfo {
        name: "emodb",
        section: Section::Datasets,
        summary: "EmoDB: ten speakers, seven emotions, German speech",
        source: "Burkhardt et al., Interspeech 2005",
        schema: schema_of::<emodb::Emodb>,
        inputs: "",
        outputs: OUTPUTS,
    },
    KindInfo {
        name: "iemocap",
        section: Section::Datasets,
        summary: "IEMOCAP: ten actors in five sessions of dialogue, English speech; categories and dimensions",
        source: "Busso et al., Language Resources and Evaluation 42, 2008",
        schema: schema_of::<iemocap::Iemocap>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.emotion_soft, data.style, data.dimensions (valence, arousal, dominance; each also by its name)",
    },
    KindInfo {
        name: "esd",
        section: Section::Datasets,
        summary: "ESD: twenty speakers, five emotions, English and Mandarin speech",
        source: "Zhou et al., ICASSP 2021",
        schema: schema_of::<esd::Esd>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.language",
    },
    KindInfo {
        name: "librispeech",
        section: Section::Datasets,
        summary: "LibriSpeech: a thousand hours of English read aloud, without emotions",
        source: "Panayotov et al., ICASSP 2015",
        schema: schema_of::<librispeech::Librispeech>,
        inputs: "",
        outputs: "data.audio, data.gender, data.text, data.subset",
    },
    KindInfo {
        name: "emobox",
        section: Section::Datasets,
        summary: "any of the 32 corpora of EmoBox, with its published labels and folds",
        source: "Ma et al., Interspeech 2024",
        schema: schema_of::<emobox::Emobox>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.language, and what else the corpus' own kind has",
    },
    KindInfo {
        name: "files",
        section: Section::Datasets,
        summary: "any other corpus whose file names tell speaker and emotion, by a regular expression",
        source: "",
        schema: schema_of::<files::Files>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, and one port for each of `labels`",
    },
    KindInfo {
        name: "manifest",
        section: Section::Datasets,
        summary: "any other corpus, listed in a CSV, TSV or JSONL file, as spreadsheets of any system write it",
        source: "",
        schema: schema_of::<manifest::Manifest>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender, data.text, one port for each of `labels`, `attributes`, `values` and `streams`, data.dimensions where `values` has valence, arousal or dominance, and data.emotion_soft with `votes`",
    },
    KindInfo {
        name: "synthetic",
        section: Section::Datasets,
        summary: "generated speech-like audio, without any file",
        source: "Klatt & Klatt, JASA 87, 1990; Scherer, Speech Communication 40, 2003",
        schema: schema_of::<synthetic::Synthetic>,
        inputs: "",
        outputs: "data.audio, data.emotion, data.gender",
    },
];

const OUTPUTS: &str = "data.audio, data.emotion, data.gender, data.text";

/// What to do with audio that cannot be decoded, is too short or is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadAudio {
    /// Stop and name every such file.
    #[default]
    Error,
    /// Leave such files out, counted and listed.
    Skip,
}

/// What to do with one recording under several names. A few corpora were published with such; see each one's remarks in
/// `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnCopies {
    /// Where speaker and labels are the same. By default `once`, but `keep` for those that the corpus was published with.
    #[serde(default)]
    pub same_labels: Option<SameLabels>,
    /// Where they are not. By default `error`, but `drop` for those that the corpus was published with.
    #[serde(default)]
    pub other_labels: Option<OtherLabels>,
}

/// What to do with copies that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameLabels {
    /// The first is used.
    Once,
    /// Each is used; a split keeps them on one side.
    Keep,
}

/// What to do with copies that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtherLabels {
    /// Stop and name them.
    Error,
    /// None of them is used: nobody knows which label is right.
    Drop,
    /// Each is used with its own label; a split keeps them on one side.
    Keep,
}

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

/// Name of each dataset's people: what it says itself, or else its corpus' name, or that of another dataset of the same
/// table.
pub(crate) fn people_of(datasets: &IndexMap<String, DatasetConfig>) -> Vec<String> {
    let mut of_table: HashMap<PathBuf, String> = HashMap::new();
    let people = |(name, config): (&String, &DatasetConfig)| {
        let own = config.corpus().people(name);
        match config.table() {
            Some(table) if own == *name => {
                let table = table.canonicalize().unwrap_or_else(|_| table.to_owned());
                of_table.entry(table).or_insert(own).clone()
            }
            _ => own,
        }
    };
    datasets.iter().map(people).collect()
}

/// What every kind of corpus answers.
pub(crate) trait CorpusKind {
    fn emotions(&self) -> Option<&[String]>;
    fn mapping(&self) -> Option<&Mapping>;
    fn on_bad_audio(&self) -> OnBadAudio;
    /// What to do with one recording under several names.
    fn on_copies(&self) -> OnCopies {
        OnCopies::default()
    }
    /// Names, without extension, of files that were published with the same sound as one another.
    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        &[]
    }
    /// Name of the people whom its speakers' ids tell apart: a speaker is `people/id`, a group `people/column/id`. What the
    /// dataset says, or else the corpus' name, so that a corpus that is listed twice is of one set of people.
    fn people(&self, dataset: &str) -> String;
    /// Which channel of its files is heard.
    fn channel(&self) -> Channel {
        Channel::Mix
    }
    /// Whether its items can have a text.
    fn has_text(&self) -> bool {
        true
    }
    /// The emotion labels it can have, before mapping.
    fn vocabulary(&self) -> Vocabulary;
    /// Further label columns beside emotion and gender, whose classes its files tell.
    fn label_columns(&self) -> Vec<String> {
        Vec::new()
    }
    /// Columns that further describe items and whose classes its files tell.
    fn attribute_columns(&self) -> Vec<String> {
        Vec::new()
    }
    /// Columns that further describe items, each with its classes.
    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        Vec::new()
    }
    /// Continuous labels that items can have.
    fn values(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether its items can have soft labels of emotion.
    fn has_votes(&self) -> bool {
        false
    }
    /// Named sources that items can have beside their audio.
    fn streams(&self) -> Vec<(String, StreamForm)> {
        Vec::new()
    }
    /// Checks of its own fields, without any file.
    fn check(&self, _dataset: &str) -> Vec<DataError> {
        Vec::new()
    }
    /// Reads names and tables; no audio.
    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered;

    /// As [`Self::gather`], but hands the utterances out, where it can as they are read.
    fn gather_each(&self, dataset: &str, rules: &Labelling<'_>, each: &mut dyn FnMut(Utterance)) -> Gathered {
        let mut gathered = self.gather(dataset, rules);
        gathered.utterances.drain(..).for_each(each);
        gathered
    }

    fn labelling<'a>(&'a self, dataset: &'a str) -> Result<Labelling<'a>, Vec<DataError>> {
        Labelling::new(dataset, self.emotions(), self.mapping(), self.vocabulary())
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
