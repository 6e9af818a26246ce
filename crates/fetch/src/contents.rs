//! Whether what was unpacked is the corpus, where nobody publishes a hash of its archive.

use crate::hash::sha256_of;
use crate::sources::Contents;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

/// Compares the recordings that were unpacked to `folder` with those that were reviewed.
///
/// # Errors
/// They are others; what is wrong, in words.
pub(crate) fn verify(contents: &Contents, folder: &Path) -> Result<(), String> {
    let within = folder.join(contents.folder);
    let entries = fs::read_dir(&within).map_err(|_| format!("it has no folder {}", contents.folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".wav") {
            continue;
        }
        let frames = frames_of(&entry.path())
            .map_err(|error| format!("its file {}{name} is no recording: {error}", contents.folder))?;
        if frames == 0 {
            return Err(format!("its file {}{name} has no sound", contents.folder));
        }
        names.push(format!("{name}\n"));
    }
    names.sort_unstable();
    if names.len() != contents.files {
        return Err(format!(
            "it holds {} recordings, and the corpus has {}",
            names.len(),
            contents.files
        ));
    }
    if sha256_of(names.concat().as_bytes()) == contents.names_sha256 {
        Ok(())
    } else {
        Err("the names of its recordings are not those of the corpus".to_owned())
    }
}

/// Number of frames of a WAV file, as its header says it and the file has them.
fn frames_of(path: &Path) -> io::Result<u64> {
    let bad = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let length = fs::metadata(path)?.len();
    let mut file = BufReader::new(File::open(path)?);
    let mut head = [0; 12];
    file.read_exact(&mut head)?;
    if !head.starts_with(b"RIFF") || !head.ends_with(b"WAVE") {
        return Err(bad("it is no WAV file"));
    }
    let mut frame = None;
    let mut at = 12;
    loop {
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let size = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        at += 8;
        match (&head[..4], frame) {
            (b"data", Some(frame)) if at + size <= length => return Ok(size / frame),
            (b"data", _) => return Err(bad("it is cut short")),
            (b"fmt ", _) if size >= 16 => {
                let mut format = [0; 16];
                file.read_exact(&mut format)?;
                let bytes = u64::from(u16::from_le_bytes([format[12], format[13]]));
                frame = Some(bytes.max(1));
                file.seek_relative(i64::try_from(size - 16 + size % 2).unwrap_or(i64::MAX))?;
            }
            _ => file.seek_relative(i64::try_from(size + size % 2).unwrap_or(i64::MAX))?,
        }
        at += size + size % 2;
    }
}
