//! Zip archives.

use super::{Sink, UnpackEnd};
use std::fs::File;
use std::io::BufReader;
use zip::ZipArchive;

/// File kinds in the upper bits of a Unix mode.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

pub(super) fn unpack(file: File, sink: &mut Sink<'_>) -> Result<(), UnpackEnd> {
    let damaged = |error: zip::result::ZipError| UnpackEnd::Bad(format!("it is damaged: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let kind = entry.unix_mode().map_or(0, |mode| mode & KIND);
        if ![0, REGULAR, FOLDER].contains(&kind) {
            return Err(UnpackEnd::Bad(format!("its entry {name:?} is a link or a device")));
        }
        let Some(path) = sink.entry(&name)? else { continue };
        if entry.is_dir() || kind == FOLDER {
            sink.folder(&path)?;
        } else {
            sink.file(&name, &path, &mut entry)?;
        }
    }
    Ok(())
}
