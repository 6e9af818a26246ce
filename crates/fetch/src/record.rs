//! What was fetched, kept beside the data.

use crate::FetchError;
use emorun_files::read_regular;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Name of the record in the corpus' folder.
pub const RECORD: &str = "fetched.json";

/// Largest record. That of a corpus of ten thousand files has a hundredth of it.
const MOST_RECORD: u64 = 256 << 20;

/// What was fetched into a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the corpus.
    pub corpus: String,
    /// The licence that was shown and accepted.
    pub licence: String,
    /// The files, by their names.
    pub files: BTreeMap<String, RecordedFile>,
}

/// One file of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// Where it came from.
    pub url: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 at the first download; a later download has to have it too.
    pub sha256: String,
    /// The server's tag of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it came, in seconds since 1970 (UTC).
    pub fetched_unix_s: u64,
    /// Files and folders at the top of what it was unpacked to; none for a file that is used as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpacked: Vec<String>,
}

impl Record {
    /// The record in a folder; empty where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is not one.
    pub fn read(folder: &Path) -> Result<Self, FetchError> {
        let path = folder.join(RECORD);
        match read_regular(&path, MOST_RECORD) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| FetchError::Record {
                path,
                reason: error.to_string(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(FetchError::io("read", path)(error)),
        }
    }

    /// Replaces the record in a folder, as a whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), FetchError> {
        let path = folder.join(RECORD);
        let aside = folder.join(format!(".{RECORD}.new"));
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        File::create(&aside)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(FetchError::io("write", path))
    }
}
