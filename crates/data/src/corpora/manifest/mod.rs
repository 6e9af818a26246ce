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

use super::{CorpusKind, DatasetConfig, Described, Description, Gathered, Utterance, dataset};
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::{Told, Writer};
use crate::walk::check_root;
use crate::{DataError, SplitName, StreamForm};
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

dataset! {
    /// A corpus described by a CSV, TSV or JSONL file with one line a recording (or a part of one).
    ///
    /// The columns `path` and `speaker` are needed; `emotion`, `gender`, `text`, `start`, `end`,
    /// `split`, `people` and `keep_together` are read where they are there, in any letter case. An empty cell is an absent label; a speaker who is not
    /// known is an empty cell or `unknown`.
    ///
    /// Cells are separated by commas, semicolons, tabs or `|`, which the table itself tells; the text is UTF-8 or UTF-16, as
    /// spreadsheets write it. Paths may be written with `\`, and in another letter case or Unicode form than on disk.
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
        shared classes: "all by default. A name that is listed here need\nnot be canonical.", "a label of the table", "applied before `emotions`.",
        shared on_bad_audio: "is missing, cannot be decoded or is too short",
        shared on_copies,
        shared people: "those of this dataset\nalone; two tables of one corpus need the same name here.",
        shared channel,
    }
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

impl Described for Manifest {
    const DESCRIPTION: Description = Description {
        summary: "any other corpus, listed in a CSV, TSV or JSONL file, as spreadsheets of any system write it",
        outputs: "data.audio, data.emotion, data.gender, data.text, one port for each of `labels`, `attributes`, `values` and `streams`, data.dimensions where `values` has valence, arousal or dominance, and data.emotion_soft with `votes`",
        place: Some("path"),
        label_remedy: |dataset, column| {
            let holds = match column {
                "gender" => " (`female` or `male`)",
                "emotion" => "",
                _ => return Some(format!("fill the column `{column}` of `{dataset}`")),
            };
            Some(format!(
                "name the column of `{dataset}` that holds it{holds} in `columns: {{ {column}: … }}`, or fill its column `{column}`"
            ))
        },
        ..Description::DEFAULT
    };
}

impl CorpusKind for Manifest {
    fn place(&self) -> Option<&Path> {
        self.table()
    }

    fn table(&self) -> Option<&Path> {
        Some(self.path.as_path())
    }

    fn column_files(
        &self,
        dataset: &str,
        column: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, Vec<DataError>> {
        self.files_of_column(dataset, column, wanted)
    }

    fn own_people(&self, dataset: &str) -> String {
        dataset.to_owned()
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
    // Its own labels may need its mapping.
    fn take_all(&mut self) {}

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        writer.table(self, &Told::of(self)).map(DatasetConfig::from)
    }
}

impl Manifest {
    /// A table that tells what a corpus of another kind does; the writer of the stand-in sets its path.
    pub(crate) fn stand_in_of<C: CorpusKind + ?Sized>(corpus: &C, dataset: &str) -> Self {
        let described = corpus.attributes().into_iter().map(|(name, _)| name.to_owned());
        Self {
            path: DataPath::new(""),
            root: None,
            columns: Columns::default(),
            labels: Named::List(corpus.label_columns()),
            values: Named::List(corpus.values()),
            attributes: Named::List(described.chain(corpus.attribute_columns()).collect()),
            votes: corpus.has_votes().then(|| Votes::Column("votes".to_owned())),
            streams: IndexMap::new(),
            split_names: IndexMap::new(),
            emotions: corpus.emotions().map(<[String]>::to_vec),
            mapping: corpus.mapping().cloned(),
            on_bad_audio: corpus.on_bad_audio(),
            on_copies: corpus.on_copies(),
            people: Some(corpus.people(dataset)).filter(|people| people != dataset),
            channel: corpus.channel(),
        }
    }
}
