//! Hashes of files, remembered between runs.

use crate::WeightsError;
use crate::aside::aside;
use emorun_fetch::{Hash, read_checked};
use emorun_files::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A file changed more recently could change again without its time changing.
const SETTLED: Duration = Duration::from_secs(2);

/// What a file looked like when it was hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    stamp: String,
    blake3: String,
}

/// The memory of hashes: a JSON file, of which nothing but time is lost when it goes.
pub(crate) struct Memory<'a> {
    path: Option<&'a Path>,
    files: BTreeMap<String, Remembered>,
    changed: bool,
}

impl<'a> Memory<'a> {
    /// Reads the memory; one that is missing or damaged is empty.
    pub(crate) fn open(path: Option<&'a Path>) -> Self {
        let files = path
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path,
            files,
            changed: false,
        }
    }

    /// The BLAKE3 of a file's bytes. A file of the Hub's cache is also compared with the hash that is its name.
    pub(crate) fn hash(&mut self, path: &Path) -> Result<[u8; 32], WeightsError> {
        let path = path.canonicalize().map_err(WeightsError::io("find", path))?;
        let key = path.to_string_lossy().into_owned();
        let before = fs::metadata(&path).map_err(WeightsError::io("read", &path))?;
        let stamp = Stamp::from(&before);
        let known = self.files.get(&key).filter(|known| known.stamp == stamp.to_string());
        if let Some(hash) = known.and_then(|known| blake3::Hash::from_hex(&known.blake3).ok()) {
            return Ok(hash.into());
        }
        let hash = hash_file(&path)?;
        let after = fs::metadata(&path).map_err(WeightsError::io("read", &path))?;
        let settled = before
            .modified()
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= SETTLED));
        if settled && Stamp::from(&after) == stamp {
            let (stamp, blake3) = (stamp.to_string(), hash.to_hex().to_string());
            self.files.insert(key, Remembered { stamp, blake3 });
            self.changed = true;
        }
        Ok(hash.into())
    }

    /// Writes the memory, without files that are gone. A failure only costs the next run a second.
    pub(crate) fn close(mut self) {
        let Some(path) = self.path.filter(|_| self.changed) else {
            return;
        };
        self.files.retain(|file, _| Path::new(file).exists());
        let temporary = aside(path);
        let written = serde_json::to_vec(&self.files).is_ok_and(|bytes| {
            path.parent().is_none_or(|folder| fs::create_dir_all(folder).is_ok())
                && File::create(&temporary)
                    .and_then(|mut file| file.write_all(&bytes))
                    .is_ok()
                && fs::rename(&temporary, path).is_ok()
        });
        if !written {
            fs::remove_file(&temporary).ok();
        }
    }
}

/// BLAKE3 of files' bytes, each remembered in the file `memory` as those of checkpoints are.
///
/// # Errors
/// A file that cannot be read.
pub fn hash_files<'a>(
    paths: impl Iterator<Item = &'a Path>,
    memory: Option<&Path>,
) -> Result<Vec<blake3::Hash>, WeightsError> {
    let mut memory = Memory::open(memory);
    let hashes = paths
        .map(|path| memory.hash(path).map(Into::into))
        .collect::<Result<_, _>>();
    memory.close();
    hashes
}

fn hash_file(path: &Path) -> Result<blake3::Hash, WeightsError> {
    let mut blake3 = blake3::Hasher::new();
    let name = blob_name(path).unwrap_or_default();
    let promised = Hash::of_blob(name);
    let promised: Vec<&Hash> = promised.iter().collect();
    let differs = read_checked(path, &promised, |piece| {
        blake3.update(piece);
    })
    .map_err(WeightsError::io("read", path))?;
    match differs {
        None => Ok(blake3.finalize()),
        Some(hash) => Err(WeightsError::Hash {
            path: path.to_owned(),
            expected: name.to_owned(),
            what: hash.name(),
        }),
    }
}

/// The name of a file in a cache's `blobs`.
fn blob_name(path: &Path) -> Option<&str> {
    let in_blobs = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|folder| folder == "blobs");
    path.file_name().and_then(|name| name.to_str()).filter(|_| in_blobs)
}
