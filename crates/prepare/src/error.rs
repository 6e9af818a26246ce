//! What can go wrong in preparing.

use emorun_data::DataError;
use std::path::PathBuf;

/// An error in preparing a corpus. Each names the file or field and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The preparation file says what cannot be done.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The corpora do not give what is asked of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Data(Vec<DataError>),
    /// Another process writes the same file.
    #[error("{path:?} is held by another process that prepares or annotates; wait for it or end it")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A journal or table with something in it that was not written here.
    #[error(
        "line {line} of {path:?} is not what emorun wrote ({reason}); restore the file, or move it away to start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A step before this one has not been done.
    #[error("{missing} utterances have not been preprocessed yet; run the step `preprocess` first")]
    NotPreprocessed {
        /// How many.
        missing: usize,
    },
    /// Nothing passes the filters.
    #[error("no utterance is left after the filters; report.txt in {folder:?} says why")]
    NothingLeft {
        /// The output folder.
        folder: PathBuf,
    },
    /// The name of an annotator cannot be one.
    #[error("`{name}` cannot be the name of an annotator: use 1 to 40 letters, digits, `-` and `_`")]
    Annotator {
        /// The name.
        name: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for the page's address: {0}")]
    Random(String),
    /// The file system or the network.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file, folder or address.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl PrepareError {
    /// Makes an error of the file system one that names its file.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
