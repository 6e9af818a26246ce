//! Frozen models from ONNX files, run on one recording at a time. No Burn.
//!
//! A [`Model`] is a file: its content hash, its named inputs and outputs. An [`Encoder`] is a model with the names, forms
//! and sizes that somebody declared for it, checked against the file; it maps a waveform or frames to frames or a vector.
//!
//! The runtime is `rten`: pure Rust, nothing is downloaded or generated when it is built, lengths are free at run time
//! (tract plans for one length), and it adds nine small crates. `rten` bounds neither time nor memory of a model, so the
//! file's own lengths are checked here before it reads them ([`Outline`]).

mod encoder;
mod error;
mod model;
mod outline;

pub use encoder::{Encoder, Features, Gives, Layout, Takes, Wiring};
pub use error::OnnxError;
pub use model::Model;
pub use outline::{Axis, Outline, Port};
