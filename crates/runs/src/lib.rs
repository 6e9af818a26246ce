//! What a run leaves, and what is done with runs.
//!
//! The way through it: [`run`] starts, resumes and ends a run in its directory, with members, sweeps, reports and
//! tables; [`smoke`] tries an experiment on a small stand-in for its corpora and checkpoints, [`verify`] proves that
//! resuming gives the same bits.

pub mod logging;
pub mod run;
pub mod smoke;
pub mod verify;
