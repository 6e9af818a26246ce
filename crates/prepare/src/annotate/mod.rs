//! Labels that people confirm or correct, on a page served to this machine alone.

mod decisions;
mod http;
mod picture;
mod server;

pub use decisions::{Agreement, Answer, Labelled, Session};
pub(crate) use decisions::{agreements, labels_of_all};
pub use server::{Clip, Server};

use crate::integrate::select;
use crate::{Plan, Preparation, PrepareError};
use std::path::Path;

/// Longest name of an annotator.
const LONGEST_NAME: usize = 40;

/// Opens the session of an annotator over the utterances that pass the filters, and a server for it on this machine.
/// Port 0 is any free one. A `blind` session shows neither the corpus' label nor a name that may tell it, and asks in an order
/// that does not: clips of one emotion mostly lie together.
///
/// # Errors
/// Utterances have not been preprocessed, the annotator's name cannot be one or is in use, or the port is taken.
pub fn open(
    preparation: &Preparation,
    plan: &Plan,
    annotator: &str,
    port: u16,
    blind: bool,
) -> Result<Server, PrepareError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if annotator.is_empty() || annotator.len() > LONGEST_NAME || !annotator.chars().all(plain) {
        return Err(PrepareError::Annotator {
            name: annotator.to_owned(),
        });
    }
    let output: &Path = preparation.output.as_path();
    let (selected, _) = select(preparation, plan)?;
    let targets = plan.targets.clone();
    let mut clips: Vec<Clip> = selected
        .into_iter()
        .map(|one| Clip {
            key: one.wanted.key.clone(),
            path: output.join(&one.written.file),
            rate_hz: preparation.audio.sample_rate_hz,
            emotion: one.wanted.emotion,
            corpus_emotion: one.wanted.corpus_emotion.clone(),
            speaker: one.wanted.speaker.clone(),
            text: one.wanted.text.clone(),
            duration_s: one.written.measures.duration_s,
        })
        .collect();
    if clips.is_empty() {
        return Err(PrepareError::NothingLeft {
            folder: output.to_owned(),
        });
    }
    if blind {
        // The same for all annotators, so that they soon share clips.
        clips.sort_by_cached_key(|clip| *blake3::hash(clip.key.as_bytes()).as_bytes());
    }
    let keys = clips.iter().map(|clip| clip.key.clone()).collect();
    let session = Session::open(output, annotator, keys, targets, blind)?;
    Server::bind(session, clips, port)
}
