//! Any other corpus, described by a table with one line a recording.

pub(super) mod fields;
mod named;
mod places;
mod rows;
mod streams;
mod votes;

pub use named::Named;
pub use streams::{AudioStream, FrameStream, Stream, TextStream, TokenStream};
pub use votes::Votes;

use super::{CorpusKind, Gathered, OnBadAudio, OnCopies, Utterance, Vocabulary};
use crate::labelling::{Labelling, Mapping};
use crate::walk::check_root;
use crate::{DataError, SplitName, StreamForm};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A corpus described by a CSV, TSV or JSONL file with one line a recording (or a part of one).
///
/// The columns `path` and `speaker` are needed; `emotion`, `gender`, `text`, `start`, `end`,
/// `split`, `people` and `keep_together` are read where they are there, in any letter case. An empty cell is an absent label; a speaker who is not
/// known is an empty cell or `unknown`.
///
/// Cells are separated by commas, semicolons, tabs or `|`, which the table itself tells; the text is UTF-8 or UTF-16, as
/// spreadsheets write it. Paths may be written with `\`, and in another letter case or Unicode form than on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The table: `.csv`, `.tsv`, `.txt` (first line: column names) or `.jsonl` (one object a line), relative to the
    /// working directory. Lines above the header that start with `#` are comments.
    pub path: DataPath,
    /// Folder that relative paths in the table start from; by default the folder of the table.
    #[serde(default)]
    pub root: Option<DataPath>,
    /// Names of the table's columns where they differ from the default names.
    #[serde(default)]
    pub columns: Columns,
    /// Further columns to read as labels; the classes of each are its values in alphabetical order. A list, or a mapping
    /// `name: column`.
    #[serde(default)]
    pub labels: Named,
    /// Further columns to read as numbers: continuous labels, such as `valence`, on the table's own
    /// scale. A list, or a mapping `name: column`, such as `{ valence: V, arousal: A }`.
    #[serde(default)]
    pub values: Named,
    /// Further columns that describe items, such as `microphone`: classes as those of `labels`, but splits do not balance
    /// them. A list, or a mapping `name: column`.
    #[serde(default)]
    pub attributes: Named,
    /// Named sources beside each recording, at ports of their own: another recording, frames of other programs, texts,
    /// tokens, such as `{ listener: { kind: audio, column: listener_wav }, face: { kind: frames, column: face_npy, width: 136,
    /// rate_hz: 25 } }` for `data.listener` and `data.face`. Relative paths start where those of the recordings do. An item
    /// may lack any of them (an empty cell): what needs it runs without that item. Augmentations change `data.audio` alone;
    /// copies, splits and batches by length go by it alone. A file of a stream that cannot be used is an error, whatever
    /// `on_bad_audio` says.
    #[serde(default)]
    pub streams: IndexMap<String, Stream>,
    /// Where the raters' votes for each emotion are, of which soft labels (`data.emotion_soft`) are made. In a table
    /// without a column for the emotion an item's emotion is the one with most votes, where one has most.
    #[serde(default)]
    pub votes: Option<Votes>,
    /// What the words of the column `split` mean, where they are others than `train`, `training`; `validation`, `valid`,
    /// `val`, `dev`, `development`; `test`, `testing`, `eval`, `evaluation`: a word and its side, or `null` for none.
    #[serde(default)]
    pub split_names: IndexMap<String, Option<SplitName>>,
    /// Emotions to keep, numbered in this order; all by default. A name that is listed here need
    /// not be canonical.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the table, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that is missing, cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// What to do with one recording under several names.
    #[serde(default)]
    pub on_copies: OnCopies,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default those of this dataset
    /// alone; two tables of one corpus need the same name here.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
}

/// Names of a manifest's columns. A column that is named here must be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// Column of the audio file's path; `path` by default.
    #[serde(default)]
    pub path: Option<String>,
    /// Column of the speaker's id; `speaker` by default.
    #[serde(default)]
    pub speaker: Option<String>,
    /// Column of the emotion; `emotion` by default.
    #[serde(default)]
    pub emotion: Option<String>,
    /// Column of the speaker's gender (`female`, `f`, `male`, `m`); `gender` by default.
    #[serde(default)]
    pub gender: Option<String>,
    /// Column of the words spoken; `text` by default.
    #[serde(default)]
    pub text: Option<String>,
    /// Column of the start of the part to use, in seconds; `start` by default.
    #[serde(default)]
    pub start: Option<String>,
    /// Column of the end of the part to use, in seconds; `end` by default.
    #[serde(default)]
    pub end: Option<String>,
    /// Column of the corpus' own split (`train`, `validation` or `dev`, `test`); `split` by
    /// default.
    #[serde(default)]
    pub split: Option<String>,
    /// Column of the name of the people whom a line's speaker is one of, for tables that list several corpora; `people` by
    /// default. Where it is not there or empty, all are of the dataset's `people`.
    #[serde(default)]
    pub people: Option<String>,
    /// Columns of further groups that a split may not cut, such as a dialogue or a session. The column `keep_together`, where
    /// it is there, lists such groups as `name/id; name/id`: prepared tables have it.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Names that `labels`, `values` and `attributes` cannot have, because they are ports of every corpus.
const RESERVED: [&str; 6] = [
    "audio",
    "emotion",
    "gender",
    "text",
    crate::SOFT_EMOTION,
    crate::ALL_DIMENSIONS,
];
/// Name of the kind.
pub(crate) const KIND: &str = "manifest";

impl CorpusKind for Manifest {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn on_copies(&self) -> OnCopies {
        self.on_copies
    }

    fn people(&self, dataset: &str) -> String {
        self.people.clone().unwrap_or_else(|| dataset.to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Open
    }

    fn label_columns(&self) -> Vec<String> {
        self.labels.names()
    }

    fn attribute_columns(&self) -> Vec<String> {
        self.attributes.names()
    }

    fn values(&self) -> Vec<String> {
        self.values.names()
    }

    fn has_votes(&self) -> bool {
        self.votes.is_some()
    }

    fn streams(&self) -> Vec<(String, StreamForm)> {
        self.stream_forms()
    }

    fn check(&self, dataset: &str) -> Vec<DataError> {
        let further = [&self.labels, &self.values, &self.attributes];
        let mut taken: Vec<String> = further.into_iter().flat_map(Named::names).collect();
        taken.extend(RESERVED.map(str::to_owned));
        self.check_streams(dataset, &taken)
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let mut utterances = Vec::new();
        let gathered = self.gather_each(dataset, rules, &mut |utterance| utterances.push(utterance));
        Gathered { utterances, ..gathered }
    }

    fn gather_each(&self, dataset: &str, rules: &Labelling<'_>, each: &mut dyn FnMut(Utterance)) -> Gathered {
        let root = self.audio_root();
        if self.root.is_some()
            && let Err(error) = check_root(dataset, &root)
        {
            return Gathered::failed(error);
        }
        let further = [&self.labels, &self.values, &self.attributes];
        let names: Vec<String> = further.into_iter().flat_map(Named::names).collect();
        if let Some(column) = names.iter().enumerate().find_map(|(index, name)| {
            let taken = RESERVED.contains(&name.as_str()) || names[..index].contains(name);
            taken.then(|| name.clone())
        }) {
            return Gathered::failed(DataError::RepeatedColumn {
                dataset: dataset.to_owned(),
                column,
            });
        }
        let mut gathered = Gathered::default();
        if let Err(error) = self.gather_rows(dataset, &root, rules, &mut gathered, each) {
            gathered.errors.push(error);
        }
        gathered
    }
}
