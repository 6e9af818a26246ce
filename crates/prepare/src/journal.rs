//! Files of one JSON object a line that are only ever added to.

use crate::PrepareError;
use emorun_files::read_regular;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// An open journal; no other process can open it meanwhile.
#[derive(Debug)]
pub struct Journal<T> {
    file: File,
    path: PathBuf,
    entry: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens a journal, made where it is missing, and reads its entries. A last line that was not written to its end is
    /// cut off.
    ///
    /// # Errors
    /// Another process has it open, it cannot be read or written, or a line in it is no entry.
    pub fn open(path: &Path) -> Result<(Self, Vec<T>), PrepareError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(PrepareError::io("create", folder))?;
        }
        let mut file = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(PrepareError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PrepareError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(PrepareError::io("lock", path)(error)),
        }
        let (entries, whole) = parse(path)?;
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::Start(whole)))
            .map_err(PrepareError::io("write", path))?;
        let journal = Self {
            file,
            path: path.to_owned(),
            entry: PhantomData,
        };
        Ok((journal, entries))
    }

    /// The entries of a journal that is only read; none where there is no journal.
    ///
    /// # Errors
    /// It cannot be read, or a line in it is no entry.
    pub fn read(path: &Path) -> Result<Vec<T>, PrepareError> {
        if path.exists() {
            parse(path).map(|(entries, _)| entries)
        } else {
            Ok(Vec::new())
        }
    }

    /// Adds an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; what was written of it is taken back.
    pub fn add(&mut self, entry: &T) -> Result<(), PrepareError> {
        let mut line =
            serde_json::to_vec(entry).map_err(|error| PrepareError::io("write", &self.path)(error.into()))?;
        line.push(b'\n');
        let start = self
            .file
            .stream_position()
            .map_err(PrepareError::io("write", &self.path))?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // A full disk must not leave half a line in front of the next entry.
            let _ = self
                .file
                .set_len(start)
                .and_then(|()| self.file.seek(SeekFrom::Start(start)));
            PrepareError::io("write", &self.path)(error)
        })
    }
}

/// The entries of a journal and the bytes of its whole lines.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<(Vec<T>, u64), PrepareError> {
    let bytes = read_regular(path, u64::MAX).map_err(PrepareError::io("read", path))?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut entries = Vec::new();
    for (number, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let entry = serde_json::from_slice(line).map_err(|error| PrepareError::Damaged {
            path: path.to_owned(),
            line: number + 1,
            reason: error.to_string(),
        })?;
        entries.push(entry);
    }
    Ok((entries, whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_forgotten_and_all_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/journal.jsonl");
        let (mut journal, entries) = Journal::<u32>::open(&path).unwrap();
        assert!(entries.is_empty());
        for entry in 1..=3 {
            journal.add(&entry).unwrap();
        }
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, entries) = Journal::<u32>::open(&path).unwrap();
            let kept = length / 2;
            assert_eq!(entries, (1..=kept as u32).collect::<Vec<_>>());
            journal.add(&9).unwrap();
            drop(journal);
            assert_eq!(Journal::<u32>::read(&path).unwrap().len(), kept + 1);
        }
    }

    #[test]
    fn damage_within_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        fs::write(&path, "1\n{\n3\n").unwrap();
        let error = Journal::<u32>::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2 of"), "{error}");
    }

    #[test]
    fn a_journal_is_open_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (journal, _) = Journal::<u32>::open(&path).unwrap();
        assert!(matches!(Journal::<u32>::open(&path), Err(PrepareError::Busy { .. })));
        drop(journal);
        Journal::<u32>::open(&path).unwrap();
    }
}
