//! Gzipped tar archives.

use super::{PIECE, Sink, UnpackEnd};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use tar::{Archive, EntryType};

/// Bytes of padding behind the last entry that are read on to the end of the gzip stream, whose checksum is there.
const PADDING: u64 = 64 << 20;

pub(super) fn unpack(file: File, sink: &mut Sink<'_>) -> Result<(), UnpackEnd> {
    let damaged = |error: std::io::Error| UnpackEnd::Bad(format!("it is damaged: {error}"));
    // A header says how long the name behind it is, and the whole of it is read into memory.
    let bytes = sink.allowed.saturating_add(PADDING);
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(PIECE, file)).take(bytes);
    let mut archive = Archive::new(&mut decoder);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = match std::str::from_utf8(&entry.path_bytes()) {
            Ok(name) => name.to_owned(),
            Err(_) => return Err(UnpackEnd::Bad("it has an entry whose name is not UTF-8".to_owned())),
        };
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                if let Some(path) = sink.entry(&name)? {
                    sink.file(&name, &path, &mut entry)?;
                }
            }
            EntryType::Directory => {
                if let Some(path) = sink.entry(&name)? {
                    sink.folder(&path)?;
                }
            }
            // Remarks on the archive as a whole, such as the commit it was made of.
            EntryType::XGlobalHeader => {}
            _ => {
                return Err(UnpackEnd::Bad(format!("its entry {name:?} is a link or a device")));
            }
        }
    }
    let mut piece = vec![0; PIECE];
    while decoder.read(&mut piece).map_err(damaged)? > 0 {}
    if decoder.limit() == 0 {
        return Err(UnpackEnd::Bad(
            "it grows to more than an archive of audio of its size does".to_owned(),
        ));
    }
    Ok(())
}
