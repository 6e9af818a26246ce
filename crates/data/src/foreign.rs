//! Files that are something else than their names say, told by their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use thiserror::Error;

/// What a file is in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Foreign {
    /// The stand-in that Git leaves where a file of large-file storage was not fetched.
    #[error("is a Git LFS pointer, which stands for a file that was not fetched")]
    LfsPointer,
    /// A workbook of a present-day spreadsheet program, which is a ZIP archive.
    #[error("is an Excel or LibreOffice workbook (or another ZIP archive), not a table in text")]
    Workbook,
    /// A workbook of Excel up to 2003.
    #[error("is a workbook of an older Excel, not a table in text")]
    OldWorkbook,
    /// A gzip archive.
    #[error("is a gzip archive")]
    Gzip,
    /// A web page, as servers send in place of a file.
    #[error("is a web page")]
    WebPage,
    /// A Parquet file.
    #[error("is a Parquet file")]
    Parquet,
}

/// First line of every Git LFS pointer, up to the version of the format.
///
/// # Source
/// <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>: a pointer starts with its version and is shorter than 1024
/// bytes.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// The same before the name Git LFS.
const OLD_POINTER: &[u8] = b"version https://hawser.github.com/spec/";
/// Longest pointer, in bytes.
const POINTER_BYTES: u64 = 1024;

/// What to do about Git LFS pointers.
pub(crate) const FETCH: &str = "run `git lfs pull` in the folder of the corpus";

impl Foreign {
    /// What the first bytes of a file say that it is, where it is one of these.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        let is_page = || {
            let text = start.trim_ascii_start();
            [&b"<!doctype html"[..], b"<html"].iter().any(|tag| {
                text.get(..tag.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(tag))
            })
        };
        match start {
            _ if is_pointer(start) => Some(Self::LfsPointer),
            [b'P', b'K', 3, 4, ..] => Some(Self::Workbook),
            [0xd0, 0xcf, 0x11, 0xe0, ..] => Some(Self::OldWorkbook),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            _ if is_page() => Some(Self::WebPage),
            _ => None,
        }
    }

    /// What to do about it where a table is wanted.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::LfsPointer => FETCH,
            Self::Workbook | Self::OldWorkbook => {
                "open it and save the sheet as `CSV UTF-8 (comma delimited)`; then name that file"
            }
            Self::Gzip => "unpack it with `gunzip`",
            Self::WebPage => "download the table again: a server sent a page (a login or an error) in its place",
            Self::Parquet => "write it as CSV, with pandas: `pd.read_parquet(FILE).to_csv(\"table.csv\", index=False)`",
        }
    }
}

fn is_pointer(start: &[u8]) -> bool {
    start.starts_with(POINTER) || start.starts_with(OLD_POINTER)
}

/// Whether a file is a Git LFS pointer; one that cannot be read is none.
pub(crate) fn is_lfs_pointer(path: &Path) -> bool {
    let is_short = path
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= POINTER_BYTES);
    let mut start = Vec::new();
    is_short
        && File::open(path)
            .and_then(|file| file.take(POINTER.len() as u64).read_to_end(&mut start))
            .is_ok()
        && is_pointer(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
        for (start, expected) in [
            (pointer.as_bytes(), Some(Foreign::LfsPointer)),
            (b"PK\x03\x04\x14\0", Some(Foreign::Workbook)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", Some(Foreign::OldWorkbook)),
            (b"\x1f\x8b\x08", Some(Foreign::Gzip)),
            (b"PAR1\x15", Some(Foreign::Parquet)),
            (b"\n<!DOCTYPE html><html>", Some(Foreign::WebPage)),
            (b"path,speaker\n", None),
            (b"version,path\n", None),
            (b"", None),
        ] {
            assert_eq!(Foreign::of(start), expected, "{start:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, pointer).unwrap();
        assert!(is_lfs_pointer(&path));
        // No pointer is as long as this.
        std::fs::write(&path, pointer.repeat(20)).unwrap();
        assert!(!is_lfs_pointer(&path) && !is_lfs_pointer(folder.path()));
    }
}
