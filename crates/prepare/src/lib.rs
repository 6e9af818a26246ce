//! Several corpora made into one, ready for training: target emotions, one sampling rate, one loudness, checked quality
//! and labels that people confirmed.
//!
//! A [`Preparation`] says what to do. [`plan()`] lists the utterances with a target emotion; [`preprocess()`] brings each
//! to the target rate and loudness, measures it and notes it in a journal; [`integrate()`] filters by what was measured and
//! by what annotators decided, and writes the table that the `manifest` kind reads, with a report; [`annotate`] serves
//! the page on which clips are listened to and their labels confirmed or corrected.
//!
//! Every step can be killed at any moment and run again: what is done is not done twice, and a file has its name only
//! when all of it is written.

pub mod annotate;
mod config;
mod error;
mod html;
mod integrate;
mod journal;
mod loudness;
mod manifest;
mod plan;
mod preprocess;
mod quality;
mod report;

pub use config::{Audio, Disagreement, Duplicates, Preparation, Quality};
pub use error::PrepareError;
pub use integrate::{Integrated, Reason, Selected, integrate};
pub use journal::Journal;
pub use loudness::{Loudness, integrated_lufs, normalise};
pub use plan::{Plan, Wanted, plan};
pub use preprocess::{Done, Event, Outcome, Written, preprocess, read_journal};
pub use quality::{Measures, measure};
pub use report::Report;
