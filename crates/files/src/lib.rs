//! The file layer of runs: whatever a run changes on disk, it changes through [`Files`].
//!
//! It is as thin as can be: one call of the system a method. What it is there for is [`Watch`]: who
//! watches is asked before every change and can let it fail, or break it off in its middle, as a
//! full disk, a broken one or a kill would. Nobody watches outside tests. Reading is not watched; what may be read is
//! said by [`open_regular`] and [`read_regular`].

mod hold;
mod regular;

pub use hold::{Hold, HoldError};
pub use regular::{open_regular, read_regular};

mod stamp;

pub use stamp::Stamp;

use std::fmt;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of change on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A folder is made.
    CreateFolder,
    /// A file is made or opened to be written.
    Create,
    /// Bytes are written to the end of a file.
    Write,
    /// A file is cut to a length.
    Truncate,
    /// A file is made durable.
    Sync,
    /// The entries of a folder are made durable.
    SyncFolder,
    /// A file or folder gets another name; the path is the old one.
    Rename,
    /// A file, or a folder that is empty, is removed.
    Remove,
}

/// What becomes of an operation.
#[derive(Debug)]
pub enum Verdict {
    /// It is done.
    Go,
    /// It fails before anything is done.
    Fail(io::Error),
    /// It breaks off: of bytes to be written the first half is, of anything else nothing.
    BreakOff(io::Error),
}

/// Is asked before every operation.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Decides about an operation on `path`.
    fn before(&self, operation: Operation, path: &Path) -> Verdict;
}

/// Changes files and folders.
#[derive(Clone, Debug, Default)]
pub struct Files {
    watch: Option<Arc<dyn Watch>>,
}

impl Files {
    /// Files that somebody watches.
    pub fn watched(watch: Arc<dyn Watch>) -> Self {
        Self { watch: Some(watch) }
    }

    fn ask(&self, operation: Operation, path: &Path) -> Verdict {
        self.watch
            .as_ref()
            .map_or(Verdict::Go, |watch| watch.before(operation, path))
    }

    fn pass(&self, operation: Operation, path: &Path) -> io::Result<()> {
        match self.ask(operation, path) {
            Verdict::Go => Ok(()),
            Verdict::Fail(error) | Verdict::BreakOff(error) => Err(error),
        }
    }

    /// Makes a folder that must not exist.
    ///
    /// # Errors
    /// It exists, or the system refuses.
    pub fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::CreateFolder, path)?;
        fs::create_dir(path)
    }

    /// Makes a folder and those above it, where they are not there.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.pass(Operation::CreateFolder, path)?;
        fs::create_dir_all(path)
    }

    /// Makes a file, empty if it was there.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        self.open(path, fs::OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Makes a file that must not exist.
    ///
    /// # Errors
    /// It exists ([`io::ErrorKind::AlreadyExists`]), or the system refuses.
    pub fn create_new(&self, path: &Path) -> io::Result<File> {
        self.open(path, fs::OpenOptions::new().write(true).create_new(true))
    }

    /// Opens a file to write at its end, made if it is not there.
    ///
    /// # Errors
    /// The system refuses.
    pub fn append(&self, path: &Path) -> io::Result<File> {
        // Not the system's appending: it would not allow to truncate.
        let mut file = self.open(path, fs::OpenOptions::new().write(true).create(true).truncate(false))?;
        file.seek_to_end()?;
        Ok(file)
    }

    fn open(&self, path: &Path, options: &fs::OpenOptions) -> io::Result<File> {
        self.pass(Operation::Create, path)?;
        Ok(File {
            file: options.open(path)?,
            path: path.to_owned(),
            files: self.clone(),
        })
    }

    /// Gives a file or folder another name; what had that name is replaced.
    ///
    /// # Errors
    /// The system refuses.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(Operation::Rename, from)?;
        fs::rename(from, to)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::Remove, path)?;
        fs::remove_file(path)
    }

    /// Removes a folder with all that it holds, one after another.
    ///
    /// # Errors
    /// The system refuses; some of it may be gone.
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A link to a folder is no folder here.
            if entry.file_type()?.is_dir() {
                self.remove_dir_all(&entry.path())?;
            } else {
                self.remove_file(&entry.path())?;
            }
        }
        self.pass(Operation::Remove, path)?;
        fs::remove_dir(path)
    }

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    /// The system refuses.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Operation::SyncFolder, path)?;
        fs::File::open(path)?.sync_all()
    }
}

/// A file that is written.
#[derive(Debug)]
pub struct File {
    file: fs::File,
    path: PathBuf,
    files: Files,
}

impl File {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's file, to lock it or to ask about it.
    pub fn inner(&self) -> &fs::File {
        &self.file
    }

    /// Writes all of some bytes.
    ///
    /// # Errors
    /// The system refuses; some of them may be written.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.files.ask(Operation::Write, &self.path) {
            Verdict::Go => self.file.write_all(bytes),
            Verdict::Fail(error) => Err(error),
            Verdict::BreakOff(error) => {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                Err(error)
            }
        }
    }

    /// Cuts it to a length, at which writing goes on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.files.pass(Operation::Truncate, &self.path)?;
        self.file.set_len(length)?;
        self.seek_to_end()
    }

    /// Waits until its bytes are on the disk itself.
    ///
    /// # Errors
    /// The system refuses; what was written may be lost.
    pub fn sync(&self) -> io::Result<()> {
        self.files.pass(Operation::Sync, &self.path)?;
        self.file.sync_data()
    }

    /// A second handle to it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            path: self.path.clone(),
            files: self.files.clone(),
        })
    }

    fn seek_to_end(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// An operation, and what becomes of it.
    type At = (Operation, fn(io::Error) -> Verdict);

    /// Notes all, and treats what `at` says as told.
    #[derive(Debug)]
    struct Note {
        at: Option<At>,
        seen: Mutex<Vec<(Operation, String)>>,
    }

    impl Watch for Note {
        fn before(&self, operation: Operation, path: &Path) -> Verdict {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            self.seen.lock().unwrap().push((operation, name));
            match self.at {
                Some((at, verdict)) if at == operation => verdict(io::Error::other("told to")),
                _ => Verdict::Go,
            }
        }
    }

    fn files(at: Option<At>) -> (Files, Arc<Note>) {
        let note = Arc::new(Note {
            at,
            seen: Mutex::default(),
        });
        (Files::watched(note.clone()), note)
    }

    /// One of everything, in `dir`.
    fn work(files: &Files, dir: &Path) -> io::Result<()> {
        let folder = dir.join("folder");
        files.create_dir_all(dir)?;
        files.create_dir(&folder)?;
        let mut file = files.create_new(&folder.join("a"))?;
        file.write_all(b"12345678")?;
        file.truncate(6)?;
        file.write_all(b"x")?;
        file.sync()?;
        files.rename(&folder.join("a"), &folder.join("b"))?;
        files.sync_dir(&folder)?;
        files.append(&folder.join("b"))?.write_all(b"y")?;
        files.create(&folder.join("c"))?;
        files.remove_file(&folder.join("c"))
    }

    #[test]
    fn every_change_is_asked_for_once_and_then_done() {
        use Operation::{Create, CreateFolder, Remove, Rename, Sync, SyncFolder, Truncate, Write};
        let dir = tempfile::tempdir().unwrap();
        let (files, note) = files(None);
        work(&files, dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("folder/b")).unwrap(), b"123456xy");
        files.remove_dir_all(&dir.path().join("folder")).unwrap();
        assert!(!dir.path().join("folder").exists());
        let expected = [
            (CreateFolder, "folder"),
            (Create, "a"),
            (Write, "a"),
            (Truncate, "a"),
            (Write, "a"),
            (Sync, "a"),
            (Rename, "a"),
            (SyncFolder, "folder"),
            (Create, "b"),
            (Write, "b"),
            (Create, "c"),
            (Remove, "c"),
            (Remove, "b"),
            (Remove, "folder"),
        ];
        let expected: Vec<(Operation, String)> = expected.map(|(at, name)| (at, name.to_owned())).to_vec();
        assert_eq!(*note.seen.lock().unwrap(), expected);
    }

    #[test]
    fn what_is_to_fail_fails_and_half_of_what_is_broken_off_is_written() {
        let all = [
            Operation::CreateFolder,
            Operation::Create,
            Operation::Write,
            Operation::Truncate,
            Operation::Sync,
            Operation::SyncFolder,
            Operation::Rename,
            Operation::Remove,
        ];
        for operation in all {
            for verdict in [Verdict::Fail as fn(io::Error) -> Verdict, Verdict::BreakOff] {
                let dir = tempfile::tempdir().unwrap();
                let (files, note) = files(Some((operation, verdict)));
                let error = work(&files, dir.path()).unwrap_err();
                assert_eq!(error.to_string(), "told to");
                assert_eq!(
                    note.seen.lock().unwrap().last().unwrap().0,
                    operation,
                    "nothing after it"
                );
                let broken_off = matches!(verdict(io::Error::other("")), Verdict::BreakOff(_));
                if operation == Operation::Write {
                    let written = fs::read(dir.path().join("folder/a")).unwrap();
                    assert_eq!(written, if broken_off { &b"1234"[..] } else { b"" });
                }
            }
        }
    }
}
