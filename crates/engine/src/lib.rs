//! What makes a network learn: feeding, training, evaluation.
//!
//! The way through it: [`feed`] turns items into batches, [`train`] is the loop over them, with evaluation, checkpoints
//! and the journal, and [`settings`] is what an experiment says of both. [`device`], [`memory`], [`terminal`] and
//! [`exit`] are the machine, and how a command ends on it.

pub mod device;
pub mod exit;
pub mod feed;
pub mod memory;
pub mod settings;
pub mod terminal;
pub mod train;
