//! Faces over time as numbers: pairs of a speaker and a listener that are generated with a known coupling, and a folder of
//! them that a manifest reads; the tables that OpenFace writes; a face of 68 points that shows what they say.
//!
//! # Source
//! Channels as of Baltrušaitis, Zadeh, Lim, Morency: "OpenFace 2.0: Facial behavior analysis toolkit", FG 2018.

mod corpus;
mod draws;
mod dyad;
mod feature;
mod shape;
mod table;

pub use corpus::{CorpusError, CorpusSpec};
pub use dyad::{ACTION_UNITS, Coupling, DyadSpec, FACE_RATE_HZ, Reaction, Side};
pub use feature::{Feature, Scale};
pub use shape::{POINTS, Point, landmarks};
pub use table::{Gaps, Reading, TableProblem, Track, read, write};
