//! The kinds of nodes, one file each. `kinds.rs` lists them.

pub mod attention_classifier;
pub mod augmentation;
pub mod crnn;
pub mod cross_entropy;
pub mod log_mel;
pub mod mean_classifier;
pub mod normalise;
pub mod pretrained;
pub mod spec_augment;
pub mod transformer;

use emorun_lang::{Cost, FrameRate, InferError, InputSignals, LabelSet, Signal};

/// The frames on a port: width and rate.
///
/// # Errors
/// The port is missing or carries something else.
fn frames_on(inputs: &InputSignals<'_>, port: &str) -> Result<(usize, FrameRate), InferError> {
    match inputs.require(port)? {
        Signal::Frames { width, rate } => Ok((*width, *rate)),
        found => Err(InferError::mismatch(port, "frames", found)),
    }
}

/// The labels on a port.
///
/// # Errors
/// The port is missing or carries something else.
fn labels_on(inputs: &InputSignals<'_>, port: &str) -> Result<LabelSet, InferError> {
    match inputs.require(port)? {
        Signal::Labels { labels } => Ok(labels.clone()),
        found => Err(InferError::mismatch(port, "class labels such as data.emotion", found)),
    }
}

/// A frame rate after keeping one frame in `stride`.
///
/// # Errors
/// The stride (set by `field`) is beyond what a frame rate can be divided by.
fn slower(rate: FrameRate, stride: usize, field: &str) -> Result<FrameRate, InferError> {
    u32::try_from(stride)
        .ok()
        .and_then(|stride| rate.divided_by(stride))
        .ok_or_else(|| InferError::invalid(field, format!("a frame rate of {rate} cannot be divided by {stride}")))
}

/// Number of classes; label sets known only from the corpus count as none in a structural check.
fn class_count(labels: &LabelSet) -> usize {
    labels.len().unwrap_or(0)
}

/// Cost of a node with only trainable parameters.
fn trainable(parameters: u64) -> Cost {
    Cost {
        parameters,
        trainable: parameters,
        ..Cost::default()
    }
}
