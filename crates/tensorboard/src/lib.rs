//! Writes and reads TensorBoard event files.
//!
//! [`EventWriter`] never stops a training run: a write that fails disables the writer, every later
//! call returns `false`, and [`EventWriter::take_error`] gives the cause once. Each record is one
//! unbuffered `write`, so what was logged before a kill is on disk. No clock is read here: wall
//! times are arguments, in seconds since the Unix epoch.
//!
//! [`projector_config`] and its neighbours write the files of the projector.
//!
//! [`read_events`] reads one file back and tolerates the torn record that a kill leaves behind.
//!
//! # Source
//! TFRecord framing and the `Event`, `Summary` and hparams messages of TensorBoard 2.21; the message
//! structs are written by hand, so no protobuf compiler is needed.

mod error;
mod projector;
mod proto;
mod reader;
mod record;
mod writer;

pub use error::EventError;
pub use projector::{CONFIG_FILE, MOST_PICTURES, ProjectorTensor, metadata_tsv, projector_config, vectors_tsv};
pub use reader::{Event, EventFile, EventValue, HistogramBucket, read_events};
pub use writer::{EventWriter, HParam, HParams};
