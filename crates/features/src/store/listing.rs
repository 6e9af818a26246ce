//! What lies in a cache's folder, and removing it.

use super::entry::{self, Origin};
use crate::StoreError;
use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// Extension of an entry.
pub(super) const ENTRY: &str = "feat";
/// Extension of an entry that was found damaged.
pub(super) const DAMAGED: &str = "damaged";
/// How the names of files begin that are being written.
const ASIDE: &str = ".writing-";
/// A file being written that is older than this belongs to no living writer.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// An entry used within this time belongs to a run that is likely to want it again.
const RECENT: Duration = Duration::from_secs(2 * 3600);

/// Number and size of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Usage {
    fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What is in a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All entries.
    pub all: Usage,
    /// Entries by where they come from; those whose origin cannot be read are under an empty one.
    pub by_origin: BTreeMap<Origin, Usage>,
    /// When the entry was last used that was not used for longest, within an hour.
    pub oldest_use: Option<SystemTime>,
    /// When an entry was last used, within an hour.
    pub newest_use: Option<SystemTime>,
    /// Entries that were found damaged and set aside since the last `gc`.
    pub damaged: Usage,
    /// Files being written, or left behind by writers that were killed.
    pub unfinished: Usage,
}

/// What was removed from a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Entries.
    pub entries: u64,
    /// Entries among them that were used in the last two hours: a sign that the limit is too low for the runs at work.
    pub recent: u64,
    /// Damaged entries that had been set aside.
    pub damaged: u64,
    /// Files left behind by writers that were killed.
    pub unfinished: u64,
    /// Size of all of these in bytes.
    pub bytes: u64,
}

struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// All files of a cache at one time. Only names that a cache gives are listed, so that a wrong folder loses nothing.
#[derive(Default)]
pub(super) struct Listing {
    entries: Vec<Found>,
    damaged: Vec<Found>,
    unfinished: Vec<Found>,
}

impl Listing {
    pub fn of(root: &Path) -> Result<Self, StoreError> {
        let mut listing = Self::default();
        for folder in read_dir(root)? {
            let name = folder.file_name();
            let ours = name.len() == 2 && name.to_str().is_some_and(is_hex);
            if ours && folder.file_type().is_ok_and(|kind| kind.is_dir()) {
                for file in read_dir(&folder.path())? {
                    listing.add(&file);
                }
            }
        }
        Ok(listing)
    }

    fn add(&mut self, file: &DirEntry) {
        let name = file.file_name();
        let Some(name) = name.to_str() else { return };
        let list = match name.split_once('.') {
            Some((key, ENTRY)) if key.len() == 64 && is_hex(key) => &mut self.entries,
            Some((key, DAMAGED)) if key.len() == 64 && is_hex(key) => &mut self.damaged,
            _ if name.starts_with(ASIDE) => &mut self.unfinished,
            _ => return,
        };
        // One that another process removed meanwhile is not there.
        if let Ok(metadata) = file.metadata() {
            list.push(Found {
                path: file.path(),
                bytes: metadata.len(),
                used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        let all = [&self.entries, &self.damaged, &self.unfinished];
        all.into_iter().flatten().map(|found| found.bytes).sum()
    }

    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            oldest_use: self.entries.iter().map(|found| found.used).min(),
            newest_use: self.entries.iter().map(|found| found.used).max(),
            ..Stats::default()
        };
        for found in &self.entries {
            let origin = File::open(&found.path)
                .ok()
                .and_then(|mut file| entry::origin(&mut file));
            stats.all.add(found.bytes);
            stats
                .by_origin
                .entry(origin.unwrap_or_default())
                .or_default()
                .add(found.bytes);
        }
        self.damaged.iter().for_each(|found| stats.damaged.add(found.bytes));
        self.unfinished
            .iter()
            .for_each(|found| stats.unfinished.add(found.bytes));
        stats
    }

    /// Removes stale files, then entries until no more than `limit` bytes are left.
    pub fn remove_down_to(mut self, limit: u64, now: SystemTime) -> Result<Removed, StoreError> {
        let mut left = self.bytes();
        let mut removed = Removed::default();
        let older = |found: &Found, age| now.duration_since(found.used).is_ok_and(|since| since > age);
        for found in &self.damaged {
            removed.damaged += found.remove(&mut left, &mut removed.bytes)?;
        }
        for found in self.unfinished.iter().filter(|found| older(found, STALE)) {
            removed.unfinished += found.remove(&mut left, &mut removed.bytes)?;
        }
        self.entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        for found in &self.entries {
            if left <= limit {
                break;
            }
            let entries = found.remove(&mut left, &mut removed.bytes)?;
            removed.entries += entries;
            removed.recent += if older(found, RECENT) { 0 } else { entries };
        }
        Ok(removed)
    }
}

impl Found {
    /// Removes the file and says how many files that were: none if another process was faster.
    fn remove(&self, left: &mut u64, removed: &mut u64) -> Result<u64, StoreError> {
        let was_here = match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(source) => {
                let path = self.path.clone();
                return Err(StoreError::Remove { path, source });
            }
        };
        *left = left.saturating_sub(self.bytes);
        *removed += if was_here { self.bytes } else { 0 };
        Ok(u64::from(was_here))
    }
}

/// A new file in a folder, to be renamed when it is complete, and removed if it never is.
pub(super) fn aside(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE);
    // A cache may belong to a group; the process's mask takes away what is not for everybody.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn read_dir(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    fs::read_dir(folder)
        .and_then(Iterator::collect)
        .map_err(|source| StoreError::Read {
            path: folder.to_owned(),
            source,
        })
}

fn is_hex(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
