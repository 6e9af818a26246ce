//! One archive with what a reviewer needs of a run: its files without audio, which is not ours to hand on.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use emorun_files::{Files, open_regular, read_regular};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::CatalogueError;

const AUDIO: [&str; 12] = [
    "wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "aac", "aif", "aiff", "caf", "wma",
];
/// Only training needs it, and it is twice as large as the weights.
const OPTIMIZER: &str = "optimizer.safetensors";
/// Pages with players hold audio themselves.
const PLAYER: &[u8] = b"data:audio";
const MOST_PAGE: u64 = 1 << 30;

/// Writes the files of a run to a `.tar.gz` that must not exist, and gives how many and those that were left out. The same
/// files give the same bytes.
///
/// # Errors
/// The archive exists, or something cannot be read or written.
pub fn bundle(dir: &Path, archive: &Path) -> Result<(usize, Vec<PathBuf>), CatalogueError> {
    if archive.symlink_metadata().is_ok() {
        return Err(CatalogueError::Exists(archive.to_owned()));
    }
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    gather(dir, Path::new(""), &mut kept, &mut left_out)?;
    let files = Files::default();
    let draft = archive.with_extension(format!("{}.partial", std::process::id()));
    let written = write(dir, &draft, &kept, &files).and_then(|()| {
        files
            .rename(&draft, archive)
            .map_err(CatalogueError::io("write", archive))
    });
    if written.is_err() {
        let _ = files.remove_file(&draft);
    }
    written.map(|()| (kept.len(), left_out))
}

/// Paths below a folder, sorted; links are not followed.
fn gather(
    dir: &Path,
    below: &Path,
    kept: &mut Vec<PathBuf>,
    left_out: &mut Vec<PathBuf>,
) -> Result<(), CatalogueError> {
    let folder = dir.join(below);
    let entries = fs::read_dir(&folder).map_err(CatalogueError::io("read", &folder))?;
    let mut entries: Vec<fs::DirEntry> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(CatalogueError::io("read", &folder))?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !is_hidden {
            gather(dir, &path, kept, left_out)?;
        } else if kind.is_file() && !is_hidden {
            match is_left_out(&entry.path()) {
                true => left_out.push(path),
                false => kept.push(path),
            }
        }
    }
    Ok(())
}

fn is_left_out(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if AUDIO.contains(&extension.as_str()) || path.ends_with(OPTIMIZER) {
        return true;
    }
    // One that cannot be read is not known to be without.
    let has_player = |page: Vec<u8>| page.windows(PLAYER.len()).any(|part| part == PLAYER);
    ["html", "htm", "svg"].contains(&extension.as_str()) && read_regular(path, MOST_PAGE).map_or(true, has_player)
}

fn write(dir: &Path, archive: &Path, kept: &[PathBuf], files: &Files) -> Result<(), CatalogueError> {
    let file = files.create(archive).map_err(CatalogueError::io("create", archive))?;
    let mut out = Out(file);
    let encoder = GzEncoder::new(&mut out, Compression::default());
    let mut builder = tar::Builder::new(encoder);
    let name = dir.file_name().map_or_else(|| PathBuf::from("run"), PathBuf::from);
    for path in kept {
        let source = dir.join(path);
        let file = open_regular(&source).map_err(CatalogueError::io("read", &source))?;
        let length = file.metadata().map_err(CatalogueError::io("read", &source))?.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name.join(path), io::Read::take(file, length))
            .map_err(CatalogueError::io("write", archive))?;
    }
    let encoder = builder.into_inner().map_err(CatalogueError::io("write", archive))?;
    encoder.finish().map_err(CatalogueError::io("write", archive))?;
    out.0.sync().map_err(CatalogueError::io("write", archive))
}

/// A file of the file layer, to be written by others' code.
struct Out(emorun_files::File);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
