//! Why a report cannot be made.

use std::path::{Path, PathBuf};

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is damaged.
    #[error("{} is damaged: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// How.
        message: String,
    },
    /// There is nothing to report.
    #[error(
        "{} has no evaluation.json: the run has not come to its end, or an older emorun made it; evaluate it with `emorun eval`",
        .0.display()
    )]
    NotEvaluated(PathBuf),
    /// A figure cannot be painted.
    #[error(transparent)]
    Figure(#[from] emorun_figures::FigureError),
    /// A table cannot be written.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// The page cannot be written.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

impl ReportError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn corrupt(path: &Path, message: impl ToString) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }
}
