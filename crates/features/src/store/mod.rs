//! The feature cache: one file an entry, named by its key.
//!
//! Entries are written aside and renamed, so that none is ever seen half written; they are not synced, because a cache
//! need not survive a power cut and a torn entry is noticed by its hash. Nothing coordinates processes but the file
//! system: two that compute the same feature write the same entry, and one that removes an entry leaves the mapping of
//! another intact.

mod entry;
mod listing;

pub use entry::{Entry, Origin};
pub use listing::{Removed, Stats, Usage};

use crate::{Array, Key, Precision, StoreError};
use listing::Listing;
use std::fmt;
use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// An entry's time of use is written anew when it is older than this, so that reading costs no writing.
const USE_RESOLUTION: Duration = Duration::from_secs(3600);

/// A folder of features, shared by runs and processes.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    limit: Option<u64>,
    size: Mutex<Size>,
}

/// What is known of the folder's size without looking.
#[derive(Debug, Default)]
struct Size {
    /// Bytes at the last look, and what was written here since.
    bytes: u64,
    /// Bytes that may be written here before the next look.
    unseen: u64,
}

/// What [`Store::get`] found.
#[derive(Debug)]
#[must_use]
pub enum Lookup {
    /// The verified entry.
    Hit(Entry),
    /// No entry.
    Miss,
    /// An entry that does not hold, which was moved aside: compute the value again, and tell the user.
    Damaged(Damage),
}

impl Lookup {
    /// The entry, where there is one.
    #[must_use]
    pub fn entry(self) -> Option<Entry> {
        match self {
            Self::Hit(entry) => Some(entry),
            Self::Miss | Self::Damaged(_) => None,
        }
    }
}

/// A warning: a cache entry was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The entry's file.
    pub path: PathBuf,
    /// What does not hold.
    pub reason: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        write!(
            f,
            "the cached feature {path:?} is damaged ({reason}); it is set aside and computed again"
        )
    }
}

impl Store {
    /// Opens a cache below `root`, and makes the folder. With a limit in bytes, [`Self::put`] removes what was not used
    /// for longest when it would be exceeded.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn open(root: &Path, limit_bytes: Option<u64>) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(|source| StoreError::Open {
            folder: root.to_owned(),
            source,
        })?;
        Ok(Self {
            root: root.to_owned(),
            limit: limit_bytes,
            size: Mutex::default(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The limit in bytes.
    #[must_use]
    pub const fn limit_bytes(&self) -> Option<u64> {
        self.limit
    }

    /// The entry of a key, verified to the last bit, and notes that it was used.
    ///
    /// # Errors
    /// Where a file is there but cannot be opened. A damaged entry is no error.
    pub fn get(&self, key: &Key) -> Result<Lookup, StoreError> {
        let path = self.path(key);
        let failed = |source| StoreError::Read {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lookup::Miss),
            Err(error) => return Err(failed(error)),
        };
        match Entry::map(&file, key).map_err(failed)? {
            Ok(entry) => {
                note_use(&file);
                Ok(Lookup::Hit(entry))
            }
            Err(reason) => {
                // Kept under another name, for `stats` to count and a person to look at, until the next `gc`. Where that
                // fails, the next `put` replaces it.
                fs::rename(&path, path.with_extension(listing::DAMAGED)).ok();
                Ok(Lookup::Damaged(Damage { path, reason }))
            }
        }
    }

    /// Stores a feature, and says what had to go for it. An entry of the same key is replaced.
    ///
    /// # Errors
    /// Where it cannot be written (the caller goes on without), is larger than the limit, or has a value that the
    /// precision does not hold.
    pub fn put(&self, key: &Key, value: &Array, precision: Precision, origin: &Origin) -> Result<Removed, StoreError> {
        let bytes = entry::encode(key, value, precision, origin)?;
        let length = bytes.len() as u64;
        let removed = self.make_room(length)?;
        let path = self.path(key);
        let replaced = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        self.write(&path, &bytes).map_err(|source| StoreError::Write {
            folder: self.root.clone(),
            source,
        })?;
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        size.bytes = size.bytes.saturating_add(length).saturating_sub(replaced);
        size.unseen = size.unseen.saturating_sub(length);
        Ok(removed)
    }

    /// What is in the cache.
    ///
    /// # Errors
    /// Where a folder cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Listing::of(&self.root)?.stats())
    }

    /// Removes entries, those not used for longest first, until no more than `limit_bytes` are left; and damaged
    /// entries, and what writers that were killed more than a day ago left behind.
    ///
    /// # Errors
    /// Where a folder cannot be read or a file not removed.
    pub fn gc(&self, limit_bytes: u64) -> Result<Removed, StoreError> {
        Listing::of(&self.root)?.remove_down_to(limit_bytes, SystemTime::now())
    }

    fn path(&self, key: &Key) -> PathBuf {
        let name = key.to_string();
        self.root.join(&name[..2]).join(name).with_extension(listing::ENTRY)
    }

    /// Sees to it that `length` more bytes stay within the limit. Only now and then the folder is looked at: other
    /// processes write to it too, so each may add a sixteenth of the limit unseen.
    fn make_room(&self, length: u64) -> Result<Removed, StoreError> {
        let Some(limit) = self.limit else {
            return Ok(Removed::default());
        };
        if length > limit {
            return Err(StoreError::TooLarge { bytes: length, limit });
        }
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |bytes: u64| bytes.saturating_add(length) <= limit;
        if size.unseen >= length && fits(size.bytes) {
            return Ok(Removed::default());
        }
        let listing = Listing::of(&self.root)?;
        size.bytes = listing.bytes();
        size.unseen = (limit / 16).max(length);
        if fits(size.bytes) {
            return Ok(Removed::default());
        }
        // A tenth more than needed, so that the next removal is not due at once.
        let removed = listing.remove_down_to(limit - length.max(limit / 10), SystemTime::now())?;
        size.bytes = size.bytes.saturating_sub(removed.bytes);
        Ok(removed)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        let mut aside = match listing::aside(folder) {
            // The folder of a first entry, or of the first after somebody emptied the cache.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                listing::aside(folder)?
            }
            aside => aside?,
        };
        aside.write_all(bytes)?;
        aside.persist(path)?;
        Ok(())
    }
}

/// Remembers that an entry is in use; a cache that cannot be written to does not.
fn note_use(file: &File) {
    let now = SystemTime::now();
    let last = file.metadata().and_then(|metadata| metadata.modified());
    if last.is_ok_and(|last| now.duration_since(last).is_ok_and(|age| age > USE_RESOLUTION)) {
        file.set_times(FileTimes::new().set_modified(now)).ok();
    }
}

#[cfg(test)]
mod tests;
