//! Frozen models from ONNX files, run on one recording at a time. No Burn.
//!
//! A [`Model`] is a file: its content hash, its named inputs and outputs. An [`Encoder`] is a model with the names, forms
//! and sizes that somebody declared for it, checked against the file; it maps a waveform or frames to frames or a vector.
//!
//! The runtime is `rten`: pure Rust, nothing is downloaded or generated when it is built, lengths are free at run time, and
//! it adds ten small crates where tract adds twenty. It trusts the lengths that a file states, so they are checked here
//! first. What a model computes is bounded by nobody: one that asks for all memory gets it, as a program would.

mod encoder;
mod error;
mod model;
mod outline;

pub use encoder::{Encoder, Features, Gives, Layout, Takes, Wiring};
pub use error::OnnxError;
pub use model::Model;
pub use outline::{Axis, Port};
