//! Recordings that belong to no corpus: noise, impulse responses.

use crate::ContentHash;
use crate::files::{Files, Request, Wanted};
use emorun_audio::{AudioError, Channel, Remark};
use std::path::{Path, PathBuf};

/// What decoding a recording showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Largest magnitude of its samples, the mean of its channels.
    pub peak: f32,
    /// What is odd about it.
    pub remarks: Vec<Remark>,
    /// Hash of its samples.
    pub content: Option<ContentHash>,
}

/// Decodes recordings, in their order; none may be shorter than `minimum_s` seconds.
///
/// `cache` is the file in which [`crate::scan()`] remembers what it has decoded: what has not changed since is not decoded
/// again. The text is a remark on it.
#[must_use]
pub fn check_recordings(
    paths: &[PathBuf],
    minimum_s: f64,
    cache: Option<&Path>,
) -> (Vec<Result<Recording, AudioError>>, Option<String>) {
    let requests: Vec<Request> = paths
        .iter()
        .map(|path| Request {
            path: path.clone(),
            parts: vec![Wanted {
                part: None,
                channel: Channel::Mix,
            }],
            minimum_s,
            hash: true,
            decode: true,
        })
        .collect();
    let mut files = Files::open(cache);
    let read = files.read(&requests).into_iter().map(|read| {
        let facts = read?;
        for part in facts.parts {
            part?;
        }
        Ok(Recording {
            peak: facts.peak,
            remarks: facts.remarks,
            content: facts.content,
        })
    });
    let read = read.collect();
    (read, files.finish())
}
