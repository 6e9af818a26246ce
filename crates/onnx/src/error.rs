//! Why a model cannot be used.

use std::io;
use std::path::PathBuf;

/// Why a model cannot be read, does not fit what was declared for it, or fails on an item.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The operating system refuses.
    #[error("cannot read {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is no model, or contradicts itself.
    #[error("{path:?} is damaged or no ONNX model: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        reason: String,
    },
    /// The runtime cannot run the model.
    #[error("{path:?} (opset {opset}) cannot be run: {reason}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Version of the operators that it asks for.
        opset: i64,
        /// The runtime's words.
        reason: String,
    },
    /// A name that the model does not have.
    #[error("{path:?} has no {what} `{name}`; it has {known}")]
    UnknownName {
        /// The file.
        path: PathBuf,
        /// `input` or `output`.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are, with types and shapes.
        known: String,
    },
    /// An input that is given nothing.
    #[error("{path:?} also takes {names}, which is given nothing")]
    Unfed {
        /// The file.
        path: PathBuf,
        /// The inputs, with types and shapes.
        names: String,
    },
    /// A value of another type, rank or size than declared.
    #[error("{what} `{name}` of {path:?} is {found}, not {wanted}")]
    Form {
        /// The file.
        path: PathBuf,
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its type and shape.
        found: String,
        /// What was declared.
        wanted: String,
    },
    /// The runtime fails on an item.
    #[error("the model fails on {given}: {reason}")]
    Run {
        /// What it was given.
        given: String,
        /// The runtime's words.
        reason: String,
    },
    /// The model gives something that is not finite.
    #[error("output `{name}` is not finite ({value}) for {given}")]
    NotFinite {
        /// The output.
        name: String,
        /// The first such value.
        value: f32,
        /// What it was given.
        given: String,
    },
}
