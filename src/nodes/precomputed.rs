//! Features that other programs computed, read on the host for each item.

use emorun_features::Common;
use emorun_lang::{Cost, DataPath, FrameRate, InferError, Inferred, Placement, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Features from files: of each item its own, found by the item's path in the corpus.
///
/// They are the same in every epoch: augmentations of the waveform do not reach them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Precomputed {
    /// A folder of `.npy` and `.safetensors` files, or one `.safetensors` with a tensor an item. A
    /// file's path or a tensor's name is that of the recording, with or without its extension; it
    /// may leave out the first folders.
    pub path: DataPath,
    /// What each item has: `frames` `[time, width]`, a `vector` `[width]`, or a `stack` of layers
    /// `[layers, time, width]`.
    #[serde(default)]
    pub what: Form,
    /// Number of values of a frame or vector.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub width: usize,
    /// Frames a second, to a thousandth; for frames and stacks.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate_hz: Option<f64>,
    /// Number of layers of a stack.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub layers: Option<usize>,
}

/// What a feature is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Frames over time.
    #[default]
    Frames,
    /// One vector an item.
    Vector,
    /// Frames of several layers.
    Stack,
}

impl Precomputed {
    /// Frames, a vector or a stack, as declared.
    ///
    /// # Errors
    /// A field that the form needs is missing, or one is there that it does not have.
    pub fn infer(&self) -> Result<Inferred, InferError> {
        let width = self.width;
        let output = match self.what {
            Form::Vector => {
                if self.rate_hz.is_some() {
                    return Err(InferError::invalid("rate_hz", "a vector has no frames; leave it out"));
                }
                Signal::Vector { width }
            }
            Form::Frames => Signal::Frames {
                width,
                rate: self.rate()?,
            },
            Form::Stack => Signal::LayerStack {
                layers: self
                    .layers
                    .ok_or_else(|| InferError::invalid("layers", "is needed for a stack: how many layers it has"))?,
                width,
                rate: self.rate()?,
            },
        };
        if self.layers.is_some() && self.what != Form::Stack {
            return Err(InferError::invalid("layers", "is for `what: stack` only"));
        }
        Ok(Inferred {
            outputs: vec![(String::new(), output)],
            placement: Placement::Host,
            cost: Cost::default(),
            reads_labels: false,
            train_only: false,
        })
    }

    fn rate(&self) -> Result<FrameRate, InferError> {
        let rate_hz = self
            .rate_hz
            .ok_or_else(|| InferError::invalid("rate_hz", "is needed for frames: how many there are a second"))?;
        // The schema keeps it within what a 32-bit fraction of thousandths holds.
        let thousandths = (rate_hz * 1000.0).round() as u32;
        FrameRate::new(thousandths, 1000).ok_or_else(|| InferError::invalid("rate_hz", "must be 0.001 Hz or more"))
    }

    /// The axes that the node declares, as those of files are described.
    pub fn declared(&self) -> Common {
        Common {
            axes: match self.what {
                Form::Vector => 1,
                Form::Frames => 2,
                Form::Stack => 3,
            },
            layers: self.layers.filter(|_| self.what == Form::Stack),
            width: self.width,
        }
    }
}
