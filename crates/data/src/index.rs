//! A large corpus as it was read, in one file of which most stays on disk.
//!
//! A scan of millions of files takes hours, most of all a deep one. What it found out about corpora that tables describe
//! is written to a file, which counts as long as the tables have the same [`ShortStamp`] and the datasets are configured alike. A file of audio that changes meanwhile is told by its own when it is used.
//!
//! The file begins with [`MAGIC`] and the state of the tables. Then come the items' own records, in blocks of
//! [`BLOCK`]; two numbers for each item ([`crate::items::identity`] and [`crate::items::text`]); what is held in memory: the columns that every pass
//! over a corpus needs, what items share, where each block lies and its checksum. It ends with where the numbers begin, how
//! many items there are, the file's length and a hash of everything but the blocks. So a start reads two dozen bytes an item, and an item's
//! record is read, and its block checked, when the item is used.

mod records;
mod write;

use crate::candidate::number;
use crate::corpora::DatasetConfig;
use crate::{Corpus, DatasetFacts, Duplicate, ScanLevel, ShortStamp, Skipped};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// First bytes of an index; the last of them is raised when the format or what a scan finds out changes.
const MAGIC: [u8; 8] = *b"emorun\x00\x04";
/// Items of a block, which is read and checked as one.
const BLOCK: usize = 64;
/// Bytes of an item's numbers.
const NUMBERS: usize = 16 + 8;
/// Bytes of the end: where the numbers begin, how many items there are, the length, the hash.
const END: usize = 8 + 8 + 8 + 32;

/// The index of a corpus: where it lies, and for which state of its tables it counts.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    /// Of a deep scan, which tells all that another does.
    deep: Option<PathBuf>,
    state: [u8; 32],
}

/// What an index holds beside its items.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    label_sets: IndexMap<String, Vec<String>>,
    attribute_sets: IndexMap<String, Vec<String>>,
    values: Vec<String>,
    datasets: IndexMap<String, DatasetFacts>,
    skipped: Vec<Skipped>,
    duplicates: Vec<Duplicate>,
    alike: Vec<Vec<usize>>,
    warnings: Vec<String>,
    /// Labels and attributes, each set of classes once.
    rows: Vec<IndexMap<String, Option<u32>>>,
}

impl Index {
    /// The index of datasets in a folder for caches; `None` where not every one is described by a table, and for those
    /// with streams, which stay in memory.
    pub fn of(datasets: &IndexMap<String, DatasetConfig>, level: ScanLevel, folder: &Path) -> Option<Self> {
        if datasets.values().any(|config| !config.corpus().streams().is_empty()) {
            return None;
        }
        let mut state = blake3::Hasher::new();
        for config in datasets.values() {
            state.update(&ShortStamp::of(config.table()?)?.number().to_le_bytes());
        }
        let name = blake3::hash(&serde_json::to_vec(datasets).ok()?).to_hex();
        let file = |level: &str| folder.join("corpora").join(format!("{}.{level}.index", &name[..32]));
        let (path, deep) = match level {
            ScanLevel::Deep => (file("deep"), None),
            ScanLevel::Metadata => (file("metadata"), Some(file("deep"))),
        };
        Some(Self {
            path,
            deep,
            state: *state.finalize().as_bytes(),
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The corpus; `None` where there is no index of this state, or it is damaged.
    pub fn load(&self) -> Option<Corpus> {
        let paths = self.deep.iter().chain(std::iter::once(&self.path));
        paths.filter_map(|path| records::read(path, &self.state).ok()).next()
    }

    /// Writes the corpus, aside first; one whose items cannot be indexed is not written.
    pub fn save(&self, corpus: &Corpus) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = write::write(&draft, &self.state, corpus).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            // The error that matters is the one of the writing.
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

fn checksum(block: &[u8]) -> u128 {
    number(|hasher| {
        hasher.update(block);
    })
}

#[cfg(test)]
mod tests;
