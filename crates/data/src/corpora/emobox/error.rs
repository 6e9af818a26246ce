//! What can be wrong with EmoBox's metadata, the audio that it lists and its folds.

use crate::ErrorClass;
use crate::error::{list, within};
use std::path::PathBuf;
use thiserror::Error;

/// An error in a dataset of kind `emobox`, or in a split by its folds.
#[derive(Debug, Error)]
pub enum EmoboxError {
    /// The metadata.
    #[error("dataset `{dataset}`: EmoBox's metadata {path:?}{} {problem}", row.map_or_else(String::new, |row| format!(", line {row},")))]
    Metadata {
        /// The dataset.
        dataset: String,
        /// The file or folder.
        path: PathBuf,
        /// Line, from 1.
        row: Option<u64>,
        /// What is wrong.
        problem: String,
    },
    /// Audio that is listed and not there.
    #[error(
        "dataset `{dataset}`: {} of the {listed} recordings that EmoBox lists {} in {path:?}, such as {}",
        missing + unreadable, absent(*missing, *unreadable), quoted(first)
    )]
    MissingAudio {
        /// The dataset.
        dataset: String,
        /// Its root.
        path: PathBuf,
        /// Recordings that are not there.
        missing: usize,
        /// Recordings that are there in a format that is not read.
        unreadable: usize,
        /// Recordings listed.
        listed: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// Files of a published fold that the metadata lacks.
    #[error("split: fold {fold} of `{dataset}` needs {}, which the metadata lacks", list(.files))]
    FoldFiles {
        /// The dataset.
        dataset: String,
        /// Number of the fold.
        fold: usize,
        /// The files.
        files: Vec<String>,
    },
    /// A side of a published fold of which nothing is on the disk.
    #[error(
        "split: none of the {listed} recordings that EmoBox lists for {side} in fold {fold} of `{dataset}` is there"
    )]
    FoldAbsent {
        /// The dataset.
        dataset: String,
        /// Number of the fold.
        fold: usize,
        /// The side.
        side: &'static str,
        /// How many it has.
        listed: usize,
        /// Folds of which something is there on both sides.
        whole: Vec<usize>,
    },
    /// A fold with speakers, groups or recordings on two sides, of which the file does not say so.
    #[error(
        "split: {}EmoBox's published sides share {count} speakers, groups or recordings: {first} is on more than one side ({})",
        within(.fold), list(.sides)
    )]
    Leak {
        /// The fold, where there are folds.
        fold: Option<String>,
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
        /// The sides that it is on.
        sides: Vec<String>,
    },
}

/// How to get the metadata.
const FETCH: &str =
    "`emorun data fetch emobox` brings all of it to data/emobox; or name another folder with `metadata`";

impl EmoboxError {
    /// Whether the experiment or the data is at fault.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Metadata { .. } | Self::MissingAudio { .. } | Self::FoldFiles { .. } | Self::FoldAbsent { .. } => {
                ErrorClass::Data
            }
            Self::Leak { .. } => ErrorClass::Invalid,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Metadata { .. } => FETCH.to_owned(),
            Self::MissingAudio { unreadable: 0, .. } => {
                "is `root` the folder of this corpus, and all of it unpacked? `missing: skip` goes on with what is there".to_owned()
            }
            Self::MissingAudio { .. } => {
                "make audio of them, such as by `ffmpeg -i clip.mp4 -vn clip.wav`, below the same folder and under the same names".to_owned()
            }
            Self::FoldFiles { .. } => format!("{FETCH}; or run the folds that are whole with `only: […]`"),
            Self::FoldAbsent { whole, .. } if whole.is_empty() => "get more of the corpus: no fold can be run".to_owned(),
            Self::FoldAbsent { whole, .. } => format!("run the folds of which both sides are there: `only: {whole:?}`"),
            Self::Leak { .. } => {
                "many of EmoBox's folds were drawn without regard to who speaks; `leak: as published` in the split says so, which every report repeats".to_owned()
            }
        }
    }

    /// The keys that lead to the fault in the experiment file.
    #[must_use]
    pub fn document_path(&self) -> Vec<String> {
        let of = |dataset: &str, field: &str| ["datasets", dataset, field].map(str::to_owned).to_vec();
        match self {
            Self::Metadata { dataset, .. } => of(dataset, "metadata"),
            Self::MissingAudio { dataset, .. } => of(dataset, "root"),
            Self::FoldFiles { .. } | Self::FoldAbsent { .. } | Self::Leak { .. } => vec!["split".to_owned()],
        }
    }
}

/// Why recordings cannot be used.
fn absent(missing: usize, unreadable: usize) -> String {
    match (missing, unreadable) {
        (_, 0) => "are not".to_owned(),
        (0, _) => "are there only in a format that is not read".to_owned(),
        _ => format!("cannot be used: {missing} are not, and {unreadable} are only in a format that is not read,"),
    }
}

/// Paths in quotes.
fn quoted(paths: &[String]) -> String {
    paths
        .iter()
        .map(|path| format!("{path:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
