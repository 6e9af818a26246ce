//! What can go wrong between an address and a folder.

use std::path::PathBuf;
use thiserror::Error;

/// An error in downloading or unpacking. Each names the address or the file and what to do.
#[derive(Debug, Error)]
pub enum FetchError {
    /// A file of certificates without any.
    #[error("no certificate in {path:?}, which REQUESTS_CA_BUNDLE or SSL_CERT_FILE names; it must be a PEM file")]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// A download that broke off and did not come on after several tries.
    #[error(
        "the download of {url} broke off after {received} bytes{}: {reason}; run the same command again to go on from \
         there", .total.map(|total| format!(" of {total}")).unwrap_or_default()
    )]
    Interrupted {
        /// The address.
        url: String,
        /// Bytes on the disk.
        received: u64,
        /// Bytes of the whole file, where that is known.
        total: Option<u64>,
        /// Why.
        reason: String,
    },
    /// A download that leads somewhere that is not gone to.
    #[error("{url} is not downloaded: {reason}; try again later, or without a proxy or mirror in between")]
    Refused {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// A download whose bytes are wrong, twice.
    #[error(
        "{url} was downloaded twice and does not have the {what} {expected} that {source_of_it} says; try again later, \
         or without a proxy or mirror in between"
    )]
    WrongBytes {
        /// The address.
        url: String,
        /// What was promised.
        what: &'static str,
        /// Its value.
        expected: String,
        /// Who promised it.
        source_of_it: String,
    },
    /// A name that is in no table.
    #[error(
        "there is no corpus `{name}` to fetch{}; `emorun data fetch` without a name lists all",
        .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    )]
    UnknownCorpus {
        /// The name.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
    },
    /// A part that a corpus does not have, or none where one has to be chosen.
    #[error("{reason}; the parts of `{corpus}` are {}", .known.join(", "))]
    Part {
        /// The corpus.
        corpus: String,
        /// What is wrong.
        reason: String,
        /// The parts.
        known: Vec<String>,
    },
    /// A corpus that its owners hand out on request.
    #[error("`{corpus}` cannot be downloaded by a program; its owners hand it out on request")]
    OnRequest {
        /// The corpus.
        corpus: String,
    },
    /// An archive that cannot be taken apart safely or is damaged.
    #[error("{path:?} is not unpacked: {reason}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong, with the entry's name.
        reason: String,
    },
    /// A file of the user's own where one of the corpus would go.
    #[error(
        "{path:?} is there already and is not the file of that name in {archive}; move it away, or fetch into another \
         folder with --to"
    )]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// Name of the archive.
        archive: String,
    },
    /// A record of earlier downloads that cannot be read.
    #[error("{path:?} is not what emorun wrote ({reason}); move it away to record the files anew")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A list of files that is not the one that was reviewed.
    #[error("{url} does not list the files of the reviewed version: {reason}; a newer emorun may know the new one")]
    Listing {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// No space left.
    #[error("no space left for {path:?}; free some, then run the same command again to go on")]
    DiskFull {
        /// The file that was written.
        path: PathBuf,
    },
    /// The file system.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// What kind of trouble an error is, for an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line.
    Usage,
    /// What should have come is missing or damaged.
    Data,
    /// The file system.
    Io,
}

impl FetchError {
    /// What kind of trouble it is.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::UnknownCorpus { .. } | Self::Part { .. } => Class::Usage,
            Self::DiskFull { .. } | Self::Io { .. } => Class::Io,
            _ => Class::Data,
        }
    }

    /// Makes an error of the file system one that names its file.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }
}
