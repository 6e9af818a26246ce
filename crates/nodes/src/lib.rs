//! The kinds of nodes, and the network of them.
//!
//! The way through it: [`encoders`], [`blocks`], [`heads`], [`generators`], [`losses`], [`policies`] and [`augmentations`] have one file
//! a kind and say in their `mod.rs` what the section asks of it; [`contract`] is what is asked of every kind, [`kinds`]
//! lists them all and `registry` makes the types that hold any of them; [`ramp`] is how a factor changes over training.
//! [`network`] builds the modules of an experiment's plan and runs them in its order, [`parameters`] are its tensors by
//! name, [`samples`] small configurations of every kind to try.

pub mod augmentations;
pub mod blocks;
pub mod contract;
pub mod encoders;
pub mod generators;
pub mod heads;
mod inference;
pub mod kinds;
pub mod losses;
pub mod network;
pub mod parameters;
pub mod policies;
pub mod ramp;
mod registry;
pub mod samples;
