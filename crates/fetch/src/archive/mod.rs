//! Taking archives apart without trusting them.
//!
//! Names that leave the folder, links, devices, entries given twice and archives that grow beyond what audio grows to
//! are refused with the entry's name; bytes are counted as they come, whatever headers claim.

mod tarball;
mod zipped;

use crate::FetchError;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes copied at once.
const PIECE: usize = 256 << 10;
/// Deepest nesting of folders in an archive.
const MAX_DEPTH: usize = 32;
/// Longest part of a name in bytes, that of common file systems.
const MAX_NAME: usize = 255;

/// What an archive may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries.
    pub entries: u64,
    /// Most bytes of all files together.
    pub bytes: u64,
    /// Most bytes of all files together for each byte of the archive, beyond the first mebibyte. Silence in 16-bit
    /// audio shrinks to a hundredth, speech to a half.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 256 << 30,
            ratio: 20,
        }
    }
}

/// What came out of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why an archive is not taken apart further.
enum UnpackEnd {
    /// What is wrong with it.
    Bad(String),
    /// Writing failed.
    Here(FetchError),
}

/// Unpacks a zip or gzipped tar archive into an empty folder; `strip` leading parts of every name are left out.
///
/// # Errors
/// The archive is of another kind, is damaged, or has an entry that is not a plain file or folder below the folder; or a
/// file cannot be written. The folder then holds what came before.
pub fn unpack(
    archive: &Path,
    into: &Path,
    strip: usize,
    limits: Limits,
    progress: &mut dyn FnMut(&Unpacked),
) -> Result<Unpacked, FetchError> {
    let open = || File::open(archive).map_err(FetchError::io("read", archive));
    let mut magic = Vec::new();
    open()?
        .take(4)
        .read_to_end(&mut magic)
        .map_err(FetchError::io("read", archive))?;
    let length = fs::metadata(archive).map_err(FetchError::io("read", archive))?.len();
    let allowed = length
        .saturating_mul(limits.ratio)
        .saturating_add(1 << 20)
        .min(limits.bytes);
    let mut sink = Sink {
        into,
        strip,
        entries: limits.entries,
        allowed,
        done: Unpacked::default(),
        progress,
    };
    let outcome = match magic.as_slice() {
        [b'P', b'K', 3 | 5, ..] => zipped::unpack(open()?, &mut sink),
        [0x1f, 0x8b, ..] => tarball::unpack(open()?, &mut sink),
        _ => Err(UnpackEnd::Bad(
            "it is neither a zip nor a gzipped tar archive".to_owned(),
        )),
    };
    match outcome {
        Ok(()) if sink.done.files == 0 => Err("it holds no file".to_owned()),
        Ok(()) => return Ok(sink.done),
        Err(UnpackEnd::Here(error)) => return Err(error),
        Err(UnpackEnd::Bad(reason)) => Err(reason),
    }
    .map_err(|reason| FetchError::Archive {
        path: archive.to_owned(),
        reason,
    })
}

/// Where entries go.
struct Sink<'a> {
    into: &'a Path,
    strip: usize,
    /// How many more may come.
    entries: u64,
    /// Bytes that all files together may have.
    allowed: u64,
    done: Unpacked,
    progress: &'a mut dyn FnMut(&Unpacked),
}

impl Sink<'_> {
    /// Counts an entry and gives its place; none for one that `strip` leaves nothing of.
    fn entry(&mut self, name: &str) -> Result<Option<PathBuf>, UnpackEnd> {
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| UnpackEnd::Bad("it has more entries than any corpus has".to_owned()))?;
        place(name, self.strip)
            .map(|place| place.map(|place| self.into.join(place)))
            .map_err(|why| UnpackEnd::Bad(format!("its entry {name:?} {why}")))
    }

    fn folder(&mut self, path: &Path) -> Result<(), UnpackEnd> {
        fs::create_dir_all(path).map_err(|error| UnpackEnd::Here(FetchError::io("create", path)(error)))
    }

    /// Writes a file that must not be there yet.
    fn file(&mut self, name: &str, path: &Path, content: &mut dyn Read) -> Result<(), UnpackEnd> {
        let here = |error| UnpackEnd::Here(FetchError::io("write", path)(error));
        if let Some(folder) = path.parent() {
            self.folder(folder)?;
        }
        let mut out = match File::options().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(UnpackEnd::Bad(format!("it holds {name:?} twice")));
            }
            opened => opened.map_err(here)?,
        };
        let mut piece = vec![0; PIECE];
        loop {
            let read = content
                .read(&mut piece)
                .map_err(|error| UnpackEnd::Bad(format!("its entry {name:?} is damaged: {error}")))?;
            if read == 0 {
                break;
            }
            self.done.bytes += read as u64;
            if self.done.bytes > self.allowed {
                return Err(UnpackEnd::Bad(format!(
                    "it grows to more than {} bytes at {name:?}, which no archive of audio of its size does",
                    self.allowed
                )));
            }
            out.write_all(&piece[..read]).map_err(here)?;
        }
        self.done.files += 1;
        (self.progress)(&self.done);
        Ok(())
    }
}

/// Where an entry goes below the folder: its name, if it is one that stays there.
fn place(name: &str, strip: usize) -> Result<Option<PathBuf>, &'static str> {
    // Some programs on Windows write a backslash between folders.
    let separators = ['/', '\\'];
    if name.starts_with(separators) {
        return Err("has an absolute path");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split(separators) {
        match part {
            "" | "." => {}
            ".." => return Err("leaves the folder"),
            // `C:` is another disk on Windows, `a:b` another stream.
            part if part.contains(':') => return Err("has a colon in its name"),
            part if part.len() > MAX_NAME => return Err("has too long a name"),
            part => parts.push(part),
        }
    }
    if parts.len() > MAX_DEPTH {
        return Err("is nested too deeply");
    }
    let rest = parts.get(strip..).unwrap_or_default();
    Ok((!rest.is_empty()).then(|| rest.iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_folder_or_are_refused() {
        for (name, strip, expected) in [
            ("a/b.wav", 0, Some("a/b.wav")),
            ("./a//b.wav", 0, Some("a/b.wav")),
            ("top/a/b.wav", 1, Some("a/b.wav")),
            ("top/", 1, None),
            ("...", 0, Some("...")),
            ("a\\b.wav", 0, Some("a/b.wav")),
            ("ü/名.wav", 0, Some("ü/名.wav")),
        ] {
            assert_eq!(place(name, strip), Ok(expected.map(PathBuf::from)), "{name}");
        }
        let long = format!("a/{}", "x".repeat(256));
        let deep = "a/".repeat(33);
        for name in [
            "/etc/passwd",
            "../up",
            "a/../../up",
            "a\\..\\up",
            "\\\\server\\x",
            "C:/x",
            "a/b\0c",
            "a\nb",
            &long,
            &deep,
        ] {
            assert!(place(name, 0).is_err(), "{name:?}");
            assert!(place(name, 1).is_err(), "{name:?}");
        }
    }
}
