//! What can be wrong with a stream.

use super::ErrorClass;
use emorun_audio::AudioError;
use emorun_features::FeatureError;
use emorun_lang::Signal;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// What is wrong with a stream of a dataset.
#[derive(Debug, Error)]
pub enum StreamProblem {
    /// Its name is that of something else at the ports of `data`.
    #[error("its name is taken: `data.{0}` is something else already")]
    Taken(String),
    /// Its name cannot be written as a port.
    #[error("its name is no word of letters, digits, `_` and `-` that starts with a letter")]
    Name,
    /// Its rate is no frame rate.
    #[error("`rate_hz` must be between 0.001 and 100000 Hz")]
    Rate,
    /// It is something else in another dataset.
    #[error("it is {form} here, and {theirs} in dataset `{other}`")]
    Differs {
        /// What it is here.
        form: Signal,
        /// The other dataset.
        other: String,
        /// What it is there.
        theirs: Signal,
    },
    /// Its file is not there.
    #[error("{path:?} is no file")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Its recording cannot be used.
    #[error(transparent)]
    Audio(AudioError),
    /// Its file of an array cannot be used.
    #[error(transparent)]
    Array(#[from] FeatureError),
    /// Its file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file is of another kind than the stream.
    #[error("{path:?} cannot hold such a stream")]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A line of a table of frames.
    #[error("{path:?}, line {line}: {reason}")]
    Table {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no frames.
    #[error("{path:?} holds no frame")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Its array has other axes than declared.
    #[error("{path:?} has shape {shape:?}, not that of {wanted}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
        /// What was declared.
        wanted: String,
    },
    /// Several tensors, of which none is named.
    #[error("{path:?} holds several tensors or none")]
    WhichTensor {
        /// The file.
        path: PathBuf,
    },
    /// No symbol of the vocabulary.
    #[error("`{value}` is no symbol: those of a vocabulary of {vocabulary} are whole numbers from 0 to {}", vocabulary.saturating_sub(1))]
    Symbol {
        /// What stands there.
        value: String,
        /// Number of symbols.
        vocabulary: usize,
    },
    /// Its file is another one than when the corpus was read.
    #[error("{path:?} has changed since the corpus was read")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl StreamProblem {
    pub(super) fn class(&self) -> ErrorClass {
        match self {
            Self::Taken(_) | Self::Name | Self::Rate | Self::Differs { .. } => ErrorClass::Invalid,
            _ => ErrorClass::Data,
        }
    }

    /// The field of the stream that it is about.
    pub(super) fn field(&self) -> Option<&'static str> {
        match self {
            Self::Rate => Some("rate_hz"),
            Self::Symbol { .. } => Some("vocabulary"),
            Self::Shape { .. } => Some("width"),
            _ => None,
        }
    }

    pub(super) fn help(&self) -> Option<String> {
        let help = match self {
            Self::Taken(_) | Self::Name => "give it another name",
            Self::Differs { .. } => "declare it alike, or give it another name in one of the two",
            Self::WhichTensor { .. } => "name the tensor behind the file: `file.safetensors#tensor`",
            Self::Missing { .. } | Self::Empty { .. } => {
                "name another file, or leave the cell empty: the item then lacks the stream"
            }
            Self::Shape { .. } => "declare the width that the files have, or make them again",
            Self::Changed { .. } => "start again, so that it is read anew",
            _ => return None,
        };
        Some(help.to_owned())
    }
}
