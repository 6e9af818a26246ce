//! The corpus' folder: one process at a time, and what is moved into it.

use super::Event;
use super::OnEvent;
use crate::FetchError;
use crate::record::RecordedFile;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

/// Name of the file by which one process at a time fetches into a folder.
pub(super) const LOCK: &str = ".fetch.lock";

/// Whether what an archive was unpacked to is still there.
pub(super) fn is_unpacked(file: &RecordedFile, folder: &Path) -> bool {
    !file.unpacked.is_empty() && file.unpacked.iter().all(|top| folder.join(top).exists())
}

/// Keeps other processes out of the folder.
pub(super) fn lock(folder: &Path, on_event: OnEvent<'_>) -> Result<File, FetchError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(FetchError::io("lock", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            on_event(Event::Waiting);
            file.lock().map_err(FetchError::io("lock", path))?;
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(FetchError::io("lock", path)(error)),
    }
    Ok(file)
}

pub(super) fn remove_folder(path: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FetchError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn make_folder_of(path: &Path) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FetchError::io("create", folder))
}

pub(super) fn in_the_way(path: &Path, archive: &str) -> FetchError {
    FetchError::InTheWay {
        path: path.to_owned(),
        archive: archive.to_owned(),
    }
}

/// Names of what is in a folder, in order.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, FetchError> {
    let entries = fs::read_dir(folder).map_err(FetchError::io("read", folder))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(FetchError::io("read", folder))?;
    names.sort_unstable();
    Ok(names)
}

/// Moves what is in one folder into another, beside what is there. A file that is there already is replaced only by one
/// of the same length: an interrupted move left it, or it is the user's own copy.
pub(super) fn merge(from: &Path, to: &Path, archive: &str) -> Result<(), FetchError> {
    for name in names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let moved = fs::metadata(&source).map_err(FetchError::io("read", &source))?;
        match fs::metadata(&target) {
            Ok(there) if moved.is_dir() && there.is_dir() => merge(&source, &target, archive)?,
            Ok(there) if moved.is_dir() || !there.is_file() || there.len() != moved.len() => {
                return Err(in_the_way(&target, archive));
            }
            _ => fs::rename(&source, &target).map_err(FetchError::io("write", target))?,
        }
    }
    Ok(())
}
