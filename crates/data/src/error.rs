//! What can be wrong with datasets and splits.

mod class;
mod help;
mod row;
mod stream;
mod texts;

pub use class::ErrorClass;
pub use row::{Also, RowProblem};
pub use stream::StreamProblem;
pub(crate) use texts::{list, within};

use crate::corpora::emobox::EmoboxError;
use crate::table::TableProblem;
use emorun_audio::AudioError;
use std::path::PathBuf;
use texts::{in_row, more, paths, such_as};
use thiserror::Error;

/// An error in a dataset or a split.
#[derive(Debug, Error)]
pub enum DataError {
    /// The corpus' folder does not exist.
    #[error("dataset `{dataset}`: its root {path:?} does not exist")]
    RootMissing {
        /// The dataset.
        dataset: String,
        /// The folder.
        path: PathBuf,
    },
    /// The corpus' root is a file.
    #[error("dataset `{dataset}`: its root {path:?} is not a folder")]
    RootNotFolder {
        /// The dataset.
        dataset: String,
        /// The path.
        path: PathBuf,
    },
    /// A folder or table cannot be read.
    #[error("dataset `{dataset}`: cannot read {path:?}: {reason}")]
    Unreadable {
        /// The dataset.
        dataset: String,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No audio file below the root.
    #[error("dataset `{dataset}`: no audio file (.wav, .flac) in {path:?} or below it")]
    NoAudio {
        /// The dataset.
        dataset: String,
        /// The folder.
        path: PathBuf,
        /// Remarks on what is there and was not read.
        remarks: Vec<String>,
    },
    /// Audio files, but none named as the corpus names them.
    #[error("dataset `{dataset}`: none of the {files} audio files in {path:?} is named {pattern}")]
    NoneMatch {
        /// The dataset.
        dataset: String,
        /// The folder.
        path: PathBuf,
        /// Audio files found.
        files: usize,
        /// How the corpus names its files.
        pattern: &'static str,
    },
    /// A file that is no usable audio.
    #[error("dataset `{dataset}`: {}{error}", in_row(*.row))]
    BadAudio {
        /// The dataset.
        dataset: String,
        /// Line of the manifest that names the file.
        row: Option<u64>,
        /// What is wrong with it; its message names the file.
        error: AudioError,
    },
    /// Sound in memory at a rate that cannot be changed to the one asked for.
    #[error("{key}: {error}")]
    NotResampled {
        /// The item.
        key: String,
        /// Why not.
        error: emorun_audio::ResampleError,
    },
    /// Many files that are no usable audio, for one reason.
    #[error(
        "dataset `{dataset}`: {count} audio files cannot be used, all for one reason. The first: {}{error}. Others: {}{}",
        in_row(*.row), paths(.others), more(*.count, .others.len() + 1)
    )]
    ManyBad {
        /// The dataset.
        dataset: String,
        /// How many files there are.
        count: usize,
        /// Line of the manifest that names the first.
        row: Option<u64>,
        /// What is wrong with the first; its message names the file.
        error: AudioError,
        /// Some of the others.
        others: Vec<PathBuf>,
    },
    /// Files that Git left in place of audio.
    #[error(
        "dataset `{dataset}`: {count} of {of} audio files are Git LFS pointers, which stand for files that were not fetched, such as {path:?}"
    )]
    Pointers {
        /// The dataset.
        dataset: String,
        /// Its kind.
        kind: &'static str,
        /// How many there are.
        count: usize,
        /// Audio files of the dataset.
        of: usize,
        /// The first.
        path: PathBuf,
    },
    /// A file that is no longer what it was when the corpus was read.
    #[error("dataset `{dataset}`: {path:?} has changed since the corpus was read")]
    Changed {
        /// The dataset.
        dataset: String,
        /// The file.
        path: PathBuf,
    },
    /// The index of a corpus cannot be read.
    #[error("the index of the corpus, {path:?}: {problem}")]
    Index {
        /// The index.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// One recording with two labels.
    #[error(
        "dataset `{dataset}`: {second:?} is the same audio as {first:?}, but its {column} is `{}` and not `{}`",
        .values[1], .values[0]
    )]
    Contradiction {
        /// The dataset of the second.
        dataset: String,
        /// The file met first.
        first: String,
        /// The other.
        second: String,
        /// What they disagree on.
        column: String,
        /// What the first says, and what the other says.
        values: Box<[String; 2]>,
    },
    /// A table that cannot be read as one.
    #[error("dataset `{dataset}`: {path:?} {problem}")]
    Table {
        /// The dataset.
        dataset: String,
        /// The table.
        path: PathBuf,
        /// What is wrong.
        problem: TableProblem,
    },
    /// Files that a manifest names by paths of Windows, elsewhere.
    #[error(
        "dataset `{dataset}`: {path:?} names files by Windows paths, which lead nowhere here, such as `{written}` in line {row}{also}"
    )]
    WindowsPaths {
        /// The dataset.
        dataset: String,
        /// The manifest.
        path: PathBuf,
        /// First line, from 1.
        row: u64,
        /// The path in that line.
        written: String,
        /// The start of that path behind which it is that of a file here.
        start: Option<String>,
        /// Further lines.
        also: Also,
    },
    /// A column that the experiment names and that holds nothing.
    #[error("dataset `{dataset}`: column `{column}` of {path:?} is empty in every line")]
    EmptyColumn {
        /// The dataset.
        dataset: String,
        /// The table.
        path: PathBuf,
        /// The field that names the column.
        field: &'static str,
        /// The column.
        column: String,
    },
    /// A label that no item has, where the experiment learns from it.
    #[error("no item has a label of {column}, and the experiment takes `data.{column}`")]
    NoLabel {
        /// The label column.
        column: String,
        /// The datasets, each with its kind.
        datasets: Vec<(String, String)>,
    },
    /// A key of `mapping` that no item is labelled with.
    #[error("dataset `{dataset}`: `mapping` has the label `{name}`, which no item has; they have {}", list(.known))]
    UnusedLabel {
        /// The dataset.
        dataset: String,
        /// The label.
        name: String,
        /// The label that it was probably meant to be.
        nearest: Option<String>,
        /// Labels that items have.
        known: Vec<String>,
    },
    /// A line of a manifest.
    #[error("dataset `{dataset}`: {path:?}, line {row}: {problem}{also}")]
    Row {
        /// The dataset.
        dataset: String,
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        row: u64,
        /// What is wrong.
        problem: Box<RowProblem>,
        /// Further lines of which the same is true.
        also: Also,
    },
    /// A table of the corpus that the experiment needs.
    #[error("dataset `{dataset}`: `{field}` needs {table}, which is not in {path:?}, nor in the folder above it")]
    TableMissing {
        /// The dataset.
        dataset: String,
        /// The field that needs it.
        field: &'static str,
        /// The table.
        table: &'static str,
        /// The corpus' folder.
        path: PathBuf,
    },
    /// A field of a corpus that is read by its files' names.
    #[error("dataset `{dataset}`: `{field}` {problem}")]
    FilesField {
        /// The dataset.
        dataset: String,
        /// The keys below the dataset that lead to it, joined by dots.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// A code in files' names that nothing explains.
    #[error(
        "dataset `{dataset}`: nothing says what `{code}` in the group `{group}` of `pattern` stands for; {count} files have it, such as {first:?}"
    )]
    UnknownCode {
        /// The dataset.
        dataset: String,
        /// The group.
        group: String,
        /// What it matched.
        code: String,
        /// Files that have it.
        count: usize,
        /// The first of them, below the root.
        first: String,
        /// The code that it was probably meant to be.
        nearest: Option<String>,
    },
    /// Something wrong with a corpus of EmoBox, or its folds.
    #[error(transparent)]
    Emobox(#[from] EmoboxError),
    /// A manifest without any line.
    #[error("dataset `{dataset}`: the manifest {path:?} lists no recording")]
    EmptyManifest {
        /// The dataset.
        dataset: String,
        /// The manifest.
        path: PathBuf,
    },
    /// A manifest of unknown format.
    #[error("dataset `{dataset}`: the manifest {path:?} must end in .csv, .tsv, .txt or .jsonl")]
    ManifestFormat {
        /// The dataset.
        dataset: String,
        /// The manifest.
        path: PathBuf,
    },
    /// A column of a corpus that has no table.
    #[error("dataset `{dataset}` is of kind `{kind}`, which has no table and thus no column `{column}`")]
    NoTable {
        /// The dataset.
        dataset: String,
        /// Its kind.
        kind: &'static str,
        /// The column.
        column: String,
    },
    /// A column that a table lacks.
    #[error("dataset `{dataset}`: {path:?} has no column `{column}`; it has {}", list(.known))]
    MissingColumn {
        /// The dataset.
        dataset: String,
        /// The table.
        path: PathBuf,
        /// The field that names the column, or would: `columns.speaker`, `labels`.
        field: String,
        /// The column.
        column: String,
        /// Columns of the table.
        known: Vec<String>,
    },
    /// A column that appears twice, or a label column with the name of a built-in one.
    #[error("dataset `{dataset}`: column `{column}` is named twice")]
    RepeatedColumn {
        /// The dataset.
        dataset: String,
        /// The column.
        column: String,
    },
    /// An emotion that the corpus does not have.
    #[error("dataset `{dataset}` has no emotion `{name}`; it has {}", list(.known))]
    UnknownEmotion {
        /// The dataset.
        dataset: String,
        /// The keys below the dataset that lead to the name, such as `emotions`, `2`.
        field: Vec<String>,
        /// The name.
        name: String,
        /// The name it was probably meant to be.
        nearest: Option<String>,
        /// The emotions it has.
        known: Vec<String>,
    },
    /// An emotion given twice.
    #[error("dataset `{dataset}`: `emotions` names `{name}` twice")]
    RepeatedEmotion {
        /// The dataset.
        dataset: String,
        /// Place in the list, from 0.
        index: usize,
        /// The name.
        name: String,
    },
    /// An empty list of emotions.
    #[error("dataset `{dataset}`: `emotions` is empty")]
    NoEmotions {
        /// The dataset.
        dataset: String,
    },
    /// A dataset of which nothing is kept.
    #[error(
        "dataset `{dataset}`: no recording is left: {filtered} are left out by the experiment and {bad} cannot be used{}",
        such_as(.reason)
    )]
    NothingLeft {
        /// The dataset.
        dataset: String,
        /// Recordings left out by the experiment.
        filtered: usize,
        /// Files that cannot be used.
        bad: usize,
        /// Why the first of these cannot.
        reason: Option<String>,
    },
    /// A stream that cannot be as it is declared, or part of one that cannot be used.
    #[error("dataset `{dataset}`: stream `{stream}`: {}{problem}{also}", line(*.row))]
    Stream {
        /// The dataset.
        dataset: String,
        /// The stream.
        stream: String,
        /// Line of the manifest that names its file.
        row: Option<u64>,
        /// What is wrong.
        problem: Box<StreamProblem>,
        /// Further lines of which the same is wrong.
        also: Also,
    },
    /// A field of a dataset that is out of range.
    #[error("dataset `{dataset}`: `{field}` {problem}")]
    Field {
        /// The dataset.
        dataset: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A field of the split that is out of range.
    #[error("split: `{field}` {problem}")]
    SplitField {
        /// The field.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// Too few speakers for the sides asked for.
    #[error(
        "split: dataset `{dataset}` has {found} independent speaker groups, and this split needs at least {needed}"
    )]
    TooFewSpeakers {
        /// The dataset.
        dataset: String,
        /// Groups of connected speakers.
        found: usize,
        /// What the split needs.
        needed: usize,
    },
    /// A speaker that no dataset has.
    #[error("split: no speaker or dataset `{name}` in the data")]
    UnknownSpeaker {
        /// The field that names it.
        field: String,
        /// The id.
        name: String,
        /// The id it was probably meant to be.
        nearest: Option<String>,
    },
    /// Speakers of a published protocol that are not in the data.
    #[error("split: `{protocol}` needs speakers that are not in the data: {}", list(.missing))]
    ProtocolSpeakers {
        /// The protocol's name.
        protocol: &'static str,
        /// The speakers' ids.
        missing: Vec<String>,
    },
    /// A protocol for a corpus that the experiment does not have.
    #[error("split: `{protocol}` is for one corpus of kind `{kind}`, and there are {found} with people of their own")]
    ProtocolDataset {
        /// The protocol's name.
        protocol: &'static str,
        /// The kind it is for.
        kind: &'static str,
        /// Sets of people that datasets of that kind have.
        found: usize,
    },
    /// An id that several datasets have.
    #[error("split: speaker `{name}` is ambiguous: {}", list(.candidates))]
    AmbiguousSpeaker {
        /// The field that names it.
        field: String,
        /// The id.
        name: String,
        /// Speakers that it could be.
        candidates: Vec<String>,
    },
    /// A speaker given twice.
    #[error("split: speaker `{name}` is in both {first} and {second}")]
    SpeakerTwice {
        /// The speaker.
        name: String,
        /// Where first.
        first: String,
        /// Where again.
        second: String,
    },
    /// Speakers that the split does not mention.
    #[error("split: {} speakers are on no side: {}", .names.len(), list(.names))]
    SpeakersLeft {
        /// The speakers.
        names: Vec<String>,
    },
    /// Items without a side in a corpus that assigns sides.
    #[error("split: {count} items have no side in their manifest's split column, such as {example:?}")]
    ItemsLeft {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A side that must not be empty.
    #[error("split: {}nothing is in {side}", within(.fold))]
    EmptySide {
        /// The fold, where there are folds.
        fold: Option<String>,
        /// The side.
        side: &'static str,
    },
    /// A class without training items.
    #[error("split: {}class `{class}` of {column} has no item in training", within(.fold))]
    ClassNotTrained {
        /// The fold, where there are folds.
        fold: Option<String>,
        /// The label column.
        column: String,
        /// The class.
        class: String,
    },
    /// A speaker, group or recording on two sides.
    #[error("split: {}{what} is on more than one side ({})", within(.fold), list(.sides))]
    Leak {
        /// The fold, where there are folds.
        fold: Option<String>,
        /// The speaker, group or recordings.
        what: String,
        /// The sides.
        sides: Vec<String>,
    },
    /// More of these than are told one by one.
    #[error("split: {}{count} more speakers, groups or recordings are on more than one side", within(.fold))]
    MoreLeaks {
        /// The fold, where there are folds.
        fold: Option<String>,
        /// How many.
        count: usize,
    },
}

fn line(row: Option<u64>) -> String {
    row.map_or_else(String::new, |row| format!("line {row}: "))
}
