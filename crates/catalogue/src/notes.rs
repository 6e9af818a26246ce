//! Tags, notes and what is archived: `notes.json` in a run's directory, apart from what the run itself records.

use std::io::ErrorKind;
use std::path::Path;

use emorun_files::{Files, read_regular};
use serde::{Deserialize, Serialize};

use crate::CatalogueError;
use crate::written::replace;

/// The file, in the run's directory.
pub(crate) const NOTES: &str = "notes.json";
const LOCK: &str = ".notes.lock";
/// Largest such file that is read.
const MOST_BYTES: u64 = 1 << 24;

/// What somebody has noted about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notes {
    /// Words to find it by, each once, in alphabetical order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Whether it is left out of lists that do not ask for it.
    #[serde(skip_serializing_if = "is_false")]
    pub archived: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Notes {
    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a tag, unless it is there.
    pub fn add_tag(&mut self, tag: &str) {
        if let Err(place) = self.tags.binary_search_by(|own| own.as_str().cmp(tag)) {
            self.tags.insert(place, tag.to_owned());
        }
    }

    /// Takes a tag away, if it is there.
    pub fn remove_tag(&mut self, tag: &str) {
        self.tags.retain(|own| own != tag);
    }
}

/// The notes of a run; none where nothing was noted.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn read(dir: &Path) -> Result<Notes, CatalogueError> {
    let path = dir.join(NOTES);
    let bytes = match read_regular(&path, MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Notes::default()),
        Err(error) => return Err(CatalogueError::io("read", &path)(error)),
    };
    let mut notes: Notes = serde_json::from_slice(&bytes).map_err(|error| CatalogueError::Corrupt {
        path,
        message: format!("{error}; correct it, or delete it to note anew"),
    })?;
    notes.tags.sort();
    notes.tags.dedup();
    Ok(notes)
}

/// Changes the notes of a run, one process at a time, and gives what they are now.
///
/// # Errors
/// They cannot be read or written.
pub fn change(dir: &Path, files: &Files, change: impl FnOnce(&mut Notes)) -> Result<Notes, CatalogueError> {
    let lock_path = dir.join(LOCK);
    let lock = files
        .create(&lock_path)
        .map_err(CatalogueError::io("create", &lock_path))?;
    lock.inner().lock().map_err(CatalogueError::io("lock", &lock_path))?;
    let mut notes = read(dir)?;
    change(&mut notes);
    let text = format!("{:#}\n", serde_json::json!(notes));
    replace(files, &dir.join(NOTES), text.as_bytes())?;
    Ok(notes)
}
