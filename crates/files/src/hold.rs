//! Holding a folder, so that one process works in it at a time.

use std::fs;
use std::io;
use std::path::Path;

use crate::{File, Files};

/// The file in a folder that is locked by whoever works in it.
const LOCK: &str = ".lock";

/// A folder that this process holds, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    lock: File,
    /// The folder itself, locked as well where the system can: whoever deletes `.lock` lets nobody else in.
    folder: Option<fs::File>,
    /// Why it is not locked, on systems that cannot.
    unlocked: Option<io::Error>,
}

/// Why a folder is not held.
#[derive(Debug)]
pub enum HoldError {
    /// Another process holds it.
    Held,
    /// The lock's file could not be made.
    Io(io::Error),
}

impl Hold {
    /// Takes hold of a folder.
    ///
    /// # Errors
    /// Another process holds it, or nothing can be written there.
    pub fn of(folder: &Path, files: &Files) -> Result<Self, HoldError> {
        let lock = files.create(&folder.join(LOCK)).map_err(HoldError::Io)?;
        // Systems without locks on folders, and network drives, say so in the second: the first is theirs.
        let folder = fs::File::open(folder).ok();
        let mut unlocked = None;
        for (at, file) in std::iter::once(lock.inner()).chain(&folder).enumerate() {
            match file.try_lock() {
                Err(fs::TryLockError::WouldBlock) => return Err(HoldError::Held),
                Err(fs::TryLockError::Error(error)) if at == 0 => unlocked = Some(error),
                Ok(()) | Err(fs::TryLockError::Error(_)) => {}
            }
        }
        Ok(Self { lock, folder, unlocked })
    }

    /// Why the folder is not locked, on systems that cannot lock it.
    pub fn unlocked(&self) -> Option<&io::Error> {
        self.unlocked.as_ref()
    }

    /// Handles to what is locked.
    pub fn handles(&self) -> impl Iterator<Item = &fs::File> {
        std::iter::once(self.lock.inner()).chain(&self.folder)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Closing a file does not let go where a process that is being started still holds a copy of it.
        for file in self.handles() {
            let _ = file.unlock();
        }
    }
}
