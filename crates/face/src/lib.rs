//! Faces over time as numbers: pairs of a speaker and a listener that are generated with a known coupling, and a folder of
//! them that a manifest reads.
//!
//! # Source
//! Channels as of Baltrušaitis, Zadeh, Lim, Morency: "OpenFace 2.0: Facial behavior analysis toolkit", FG 2018.

mod corpus;
mod draws;
mod dyad;

pub use corpus::{CorpusError, CorpusSpec};
pub use dyad::{ACTION_UNITS, Coupling, DyadSpec, FACE_RATE_HZ, Reaction, Side};
