//! What lies in the place of a file that was never downloaded.

use crate::WeightsError;
use std::path::Path;

/// Bytes of a file's beginning by which it is told.
pub(crate) const START: usize = 512;

/// An error where the first bytes of a file are those of something else than weights or a configuration.
pub(crate) fn refuse(path: &Path, start: &[u8]) -> Result<(), WeightsError> {
    let text = start.trim_ascii_start();
    let begins = |with: &[u8]| text.len() >= with.len() && text[..with.len()].eq_ignore_ascii_case(with);
    let (what, remedy) = if begins(b"version https://git-lfs.github.com/spec/") {
        (
            "a pointer of Git LFS, not the file itself",
            "run `git lfs pull` in its repository, or give the repository's id as `weights:`",
        )
    } else if begins(b"<!doctype") || begins(b"<html") || begins(b"<?xml") || begins(b"<head") {
        (
            "a web page (a log-in page, or a server's message that it has no such file)",
            "delete it and download it anew",
        )
    } else {
        return Ok(());
    };
    Err(WeightsError::StandIn {
        path: path.to_owned(),
        what,
        remedy,
    })
}
