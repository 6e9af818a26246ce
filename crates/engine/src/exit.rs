//! Exit codes and the one error type that commands return.

use std::path::{Path, PathBuf};

use emorun_data::{DataError, ErrorClass};
use emorun_nn::node::BuildError;

/// The exit codes of `emorun`, stable for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done.
    Ok = 0,
    /// A bug in emorun.
    Bug = 1,
    /// Wrong command line, or a device that does not exist.
    Usage = 2,
    /// The experiment is not valid.
    Invalid = 3,
    /// Data or weights are missing or corrupt.
    Data = 4,
    /// The run directory conflicts with an existing run.
    Conflict = 5,
    /// Training diverged: a weight, loss or prediction is not finite.
    Diverged = 6,
    /// Reading or writing a file failed.
    Io = 7,
    /// Interrupted, with the checkpoint written.
    Interrupted = 130,
}

impl ExitCode {
    const ALL: [Self; 9] = [
        Self::Ok,
        Self::Bug,
        Self::Usage,
        Self::Invalid,
        Self::Data,
        Self::Conflict,
        Self::Diverged,
        Self::Io,
        Self::Interrupted,
    ];

    /// The one with a number.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }
}

impl serde::Serialize for ExitCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The experiment has mistakes; they were reported where they stand.
    #[error("the experiment has {mistakes} mistake(s); nothing was run")]
    Rejected {
        /// How many.
        mistakes: usize,
        /// True if all lie in the data, not in the experiment file.
        data: bool,
    },
    /// The corpora do not give what the experiment needs.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Data(Vec<DataError>),
    /// Weights, noise or features are missing or cannot be used.
    #[error("{0}")]
    Input(String),
    /// A run of this label exists, or another process is running it.
    #[error("{0}")]
    Conflict(String),
    /// A weight, loss or prediction is not finite.
    #[error("{0}")]
    Diverged(String),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run holds something that this version cannot use.
    #[error("{}: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what helps.
        message: String,
    },
    /// A smoke run failed.
    #[error("smoke, {stage}: {failure}")]
    Smoke {
        /// What was being done.
        stage: &'static str,
        /// Why it failed.
        failure: Box<Failure>,
    },
    /// Interrupted; the run can be resumed.
    #[error("interrupted; continue with: emorun resume {}", .0.display())]
    Interrupted(PathBuf),
    /// Some members of a run, or runs of a sweep, failed; the others are done.
    #[error("{message}")]
    Partly {
        /// That of the first of them.
        code: ExitCode,
        /// Which, why and what helps.
        message: String,
    },
    /// Something that should not happen.
    #[error("internal error: {0}; please report it with the experiment file")]
    Bug(String),
}

fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => " (choose a writable folder with --runs)",
        std::io::ErrorKind::StorageFull => " (free some space, then continue with emorun resume)",
        _ => "",
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Data(vec![error])
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Weights { .. } => Self::Input(error.to_string()),
            BuildError::Infer(error) => Self::Bug(error.to_string()),
        }
    }
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::Rejected { data: false, .. } => ExitCode::Invalid,
            Self::Rejected { data: true, .. } => ExitCode::Data,
            Self::Data(errors) => {
                if errors.iter().any(|error| error.class() == ErrorClass::Invalid) {
                    ExitCode::Invalid
                } else {
                    ExitCode::Data
                }
            }
            Self::Input(_) => ExitCode::Data,
            Self::Conflict(_) => ExitCode::Conflict,
            Self::Diverged(_) => ExitCode::Diverged,
            Self::Io { .. } => ExitCode::Io,
            Self::Corrupt { .. } => ExitCode::Data,
            Self::Smoke { failure, .. } => failure.code(),
            Self::Interrupted(_) => ExitCode::Interrupted,
            Self::Partly { code, .. } => *code,
            Self::Bug(_) => ExitCode::Bug,
        }
    }

    /// Whether what is still to be done would meet the same: an interruption, or a disk that is full.
    pub fn stops_all(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::Interrupted(_) => true,
            Self::Io { source, .. } => {
                [FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&source.kind())
            }
            _ => false,
        }
    }

    /// An I/O failure, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Does some work; a panic in it, which is a bug, becomes a failure like any other, so that what the work leaves behind
/// says how it ended.
///
/// # Errors
/// The work failed.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What the work holds is dropped with it, and what it has written is read as after a kill.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::Bug(
            text.unwrap_or("a part of the program ended without a word").to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure_with_its_text() {
        let failed = |work: fn() -> Result<(), Failure>| guarded(work).unwrap_err();
        let found = failed(|| panic!("at {}", 3));
        assert_eq!(found.code(), ExitCode::Bug);
        assert!(found.to_string().contains("at 3"), "{found}");
        assert_eq!(failed(|| Err(Failure::Usage("no".into()))).code(), ExitCode::Usage);
        assert!(guarded(|| Ok(())).is_ok());
    }
}
