//! Features that other programs computed, read on the host for each item.

use emorun_features::Common;
use emorun_lang::{Cost, DataPath, InferError, Inferred, InputSignals, Placement, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{FeatureFiles, Kind};
use crate::inference::frame_rate;
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, ItemFeatures};

/// Features from files: of each item its own, found by the item's path in the corpus or named in the
/// corpus' table.
///
/// They are the same in every epoch: augmentations of the waveform do not reach them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Precomputed {
    /// A folder of `.npy` and `.safetensors` files, or one `.safetensors` with a tensor an item. A
    /// file's path or a tensor's name is that of the recording, with or without its extension; it
    /// may leave out the first folders. This or `column`.
    #[serde(default)]
    pub path: Option<DataPath>,
    /// Column of the corpora's tables (`kind: manifest`) that names the file of each recording: a
    /// `.npy`, a `.safetensors` with one tensor, or one with a tensor that is named as the recording.
    /// Relative paths start from the folder of the table. This or `path`.
    #[serde(default)]
    pub column: Option<String>,
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
    /// The axes that the node declares, as those of files are described.
    fn declared(&self) -> Common {
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

impl Kind for Precomputed {
    fn infer(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        if self.path.is_some() == self.column.is_some() {
            return Err(InferError::Invalid {
                field: "path".into(),
                message: "or `column` must say where the features are: one of them".into(),
                help: Some(
                    "`path` is a folder or a .safetensors, `column` one of a manifest with a file a line".into(),
                ),
            });
        }
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
                rate: frame_rate(self.rate_hz)?,
            },
            Form::Stack => Signal::LayerStack {
                layers: self
                    .layers
                    .ok_or_else(|| InferError::invalid("layers", "is needed for a stack: how many layers it has"))?,
                width,
                rate: frame_rate(self.rate_hz)?,
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

    fn feature_files(&self) -> Option<FeatureFiles<'_>> {
        Some(FeatureFiles {
            path: self.path.as_ref(),
            column: self.column.as_deref(),
            declared: self.declared(),
            rate_hz: self.rate_hz,
        })
    }

    fn host_operation(
        &self,
        _inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<Option<Box<dyn HostOperation>>, InferError> {
        let files = self.feature_files();
        let source = files.and_then(|files| facts.features(&files.place()));
        Ok(source.map(|source| -> Box<dyn HostOperation> {
            Box::new(ItemFeatures {
                source: source.clone(),
                declared: self.declared(),
            })
        }))
    }
}
