//! The run directory: created once, never overwritten, one process at a time.

use std::fs;
use std::path::{Path, PathBuf};

use emorun_files::{Files, Hold, HoldError, read_regular};

use emorun_engine::exit::Failure;

/// A run directory that this process holds.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    files: Files,
    /// Lets go when it is dropped.
    _hold: Hold,
}

impl RunDir {
    /// Creates a directory that must not exist, or hold only what a process left that was killed
    /// before the run began.
    ///
    /// # Errors
    /// It exists, or cannot be created.
    pub fn create(path: &Path, files: &Files) -> Result<Self, Failure> {
        if let Some(parent) = path.parent() {
            files.create_dir_all(parent).map_err(Failure::io("create", parent))?;
        }
        match files.create_dir(path) {
            Ok(()) => Self::lock(path, files),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if !never_began(path) {
                    return Err(exists(path));
                }
                let dir = Self::lock(path, files)?;
                // The process that made it may have begun the run before it let go of the lock.
                if never_began(path) { Ok(dir) } else { Err(exists(path)) }
            }
            Err(error) => Err(Failure::io("create", path)(error)),
        }
    }

    /// Creates a directory of this name, with a number behind it where another process has taken the
    /// name in the same second.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create_anew(folder: &Path, name: &str, files: &Files) -> Result<Self, Failure> {
        let mut number = 1;
        loop {
            let path = if number == 1 {
                folder.join(name)
            } else {
                folder.join(format!("{name}-{number}"))
            };
            match Self::create(&path, files) {
                Err(Failure::Conflict(_)) if number < MOST_AT_ONCE => number += 1,
                other => return other,
            }
        }
    }

    /// Whether [`RunDir::create`] would succeed, as far as that can be told without leaving a trace.
    ///
    /// # Errors
    /// The run exists, or nothing can be written where it would lie.
    pub fn check_free(path: &Path) -> Result<(), Failure> {
        if path.symlink_metadata().is_ok() && !never_began(path) {
            return Err(exists(path));
        }
        let Some(nearest) = path.ancestors().skip(1).find(|folder| {
            let here = folder.as_os_str().is_empty();
            here || folder.symlink_metadata().is_ok()
        }) else {
            return Ok(());
        };
        let probe = nearest.join(format!(".emorun-{}", std::process::id()));
        fs::create_dir(&probe).map_err(Failure::io("create runs in", nearest))?;
        fs::remove_dir(&probe).map_err(Failure::io("remove", &probe))
    }

    /// Takes hold of an existing run.
    ///
    /// # Errors
    /// It does not exist, or another process holds it.
    pub fn open(path: &Path, files: &Files) -> Result<Self, Failure> {
        if !path.join("run.json").is_file() {
            let remedy = if never_began(path) {
                "; if a run was stopped there before it began, start it again as before"
            } else {
                ""
            };
            return Err(Failure::Usage(format!(
                "{} is no run directory: it has no run.json{remedy}",
                path.display()
            )));
        }
        Self::lock(path, files)
    }

    /// Takes hold of an existing sweep.
    ///
    /// # Errors
    /// Another process holds it.
    pub fn open_sweep(path: &Path) -> Result<Self, Failure> {
        Self::lock(path, &Files::default())
    }

    fn lock(path: &Path, files: &Files) -> Result<Self, Failure> {
        let hold = Hold::of(path, files).map_err(|error| match error {
            HoldError::Held => Failure::Conflict(format!("another process is working on the run {}", path.display())),
            HoldError::Io(source) => Failure::io("create", &path.join(".lock"))(source),
        })?;
        if let Some(error) = hold.unlocked() {
            tracing::warn!("the run is not locked, so do not start it twice: {error}");
        }
        Ok(Self {
            path: path.to_owned(),
            files: files.clone(),
            _hold: hold,
        })
    }

    /// Where the run lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run is written through.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Writes a file of the run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            self.files
                .create_dir_all(parent)
                .map_err(Failure::io("create", parent))?;
        }
        emorun_engine::train::checkpoint::write_atomically(&self.files, &path, bytes)
    }

    /// Writes a file of the run as JSON.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), Failure> {
        write_json(&self.files, &self.path.join(name), value)
    }
}

/// Runs of one configuration that may begin in the same second.
const MOST_AT_ONCE: u32 = 10_000;

/// What is written before `run.json`, or `sweep.yaml`, says that a run or sweep has begun.
const BEFORE_THE_RECORD: [&str; 6] = [
    ".lock",
    "log.txt",
    "experiment.yaml",
    "resolved.yaml",
    "report",
    "entries",
];

fn never_began(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| {
        entries.all(|entry| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                BEFORE_THE_RECORD.contains(&&*name) || name.ends_with(".partial")
            })
        })
    })
}

fn exists(path: &Path) -> Failure {
    Failure::Conflict(format!(
        "the run {} exists already; continue it with `emorun resume {0}`, or choose another --run-label",
        path.display()
    ))
}

/// Writes a JSON file as a whole.
///
/// # Errors
/// It cannot be written.
pub fn write_json(files: &Files, path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Failure::Bug(error.to_string()))?;
    bytes.push(b'\n');
    emorun_engine::train::checkpoint::write_atomically(files, path, &bytes)
}

/// Whether a run can be called so: its label becomes the name of a folder.
pub fn can_be_label(label: &str) -> bool {
    emorun_lang::folder_name_problem(label).is_none()
}

/// Largest JSON file of a run that is read. A certificate names every speaker, a summary every class.
const MOST_JSON: u64 = 1 << 30;

/// Reads a JSON file of a run.
///
/// # Errors
/// It cannot be read, or holds something else.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = read_regular(path, MOST_JSON).map_err(Failure::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::Corrupt {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_let_go_of_though_a_copy_of_its_lock_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::create(&path, &Files::default()).unwrap();
        run.write("run.json", b"{}").unwrap();
        assert!(matches!(
            RunDir::open(&path, &Files::default()),
            Err(Failure::Conflict(_))
        ));
        // What a started process has until it is another program.
        let copies: Vec<fs::File> = run._hold.handles().map(|file| file.try_clone().unwrap()).collect();
        drop(run);
        RunDir::open(&path, &Files::default()).unwrap();
        drop(copies);
    }

    #[test]
    #[cfg(unix)]
    fn deleting_the_lock_of_a_run_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::create(&path, &Files::default()).unwrap();
        run.write("run.json", b"{}").unwrap();
        fs::remove_file(path.join(".lock")).unwrap();
        for _ in 0..2 {
            let second = RunDir::open(&path, &Files::default());
            assert!(matches!(second, Err(Failure::Conflict(_))));
        }
        drop(run);
        RunDir::open(&path, &Files::default()).unwrap();
    }
}
