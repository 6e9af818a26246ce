//! Frozen models from ONNX files, run on the host for each item.

use std::sync::Arc;

use emorun_lang::{Cost, DataPath, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Axes, Kind, ModelFile};
use crate::inference::frame_rate;
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostError, HostOperation, HostValue, ItemModel};
use emorun_pretrained::cache::Cache;

/// A frozen model in an ONNX file, such as PyTorch exports: frames or one vector an item, from a
/// waveform or from frames.
///
/// Every item is encoded alone, without padding, and the result is kept as that of a frozen encoder
/// is. No gradient flows through it. Needs a program that was built with `--features onnx`.
///
/// The published model of emotion dimensions, audEERING's
/// `wav2vec2-large-robust-12-ft-emotion-msp-dim` (arousal, dominance, valence at `logits`), is
/// `{ kind: onnx, input: data.audio, model: w2v2-dim/model.onnx, input_name: signal,
/// sample_rate_hz: 16000, normalise: true, output_name: hidden_states, what: vector, width: 1024 }`;
/// with `output_name: logits, width: 3` it gives the three dimensions. An export of a Hugging Face
/// model has `input_name: input_values` and, where it takes one, `mask_name: attention_mask`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Onnx {
    /// What is encoded: a waveform such as `data.audio`, or frames of a host node such as `log_mel`.
    pub input: PortRef,
    /// The `.onnx` file. Weights that it keeps in another file lie beside it.
    pub model: DataPath,
    /// Name of the model's input for the waveform `[batch, time]` or frames `[batch, time, width]`;
    /// fewer axes in front, or more of size 1, are fine.
    pub input_name: String,
    /// Which axis of frames comes first in the model's input, behind the batch.
    #[serde(default)]
    pub input_layout: Layout,
    /// Sample rate of the waveforms that the model was trained with; for a waveform.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub sample_rate_hz: Option<u32>,
    /// Whether each waveform is brought to zero mean and unit variance first, as models with
    /// `do_normalize: true` in their `preprocessor_config.json` need it.
    #[serde(default)]
    pub normalise: bool,
    /// Name of an input that takes a mask `[batch, time]` of the valid steps.
    #[serde(default)]
    pub mask_name: Option<String>,
    /// Name of an input that takes the number of steps, `[batch]`.
    #[serde(default)]
    pub length_name: Option<String>,
    /// Name of the model's output.
    pub output_name: String,
    /// What the output is: `frames` `[batch, time, width]` or a `vector` `[batch, width]`.
    pub what: Output,
    /// Number of values of a frame or vector.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub width: usize,
    /// Frames a second, to a thousandth; for frames.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate_hz: Option<f64>,
    /// Which axis of frames comes first in the model's output, behind the batch.
    #[serde(default)]
    pub output_layout: Layout,
    /// How results are kept from epoch to epoch and from run to run.
    #[serde(default)]
    pub cache: Cache,
}

/// What a model gives for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Frames over time.
    Frames,
    /// One vector.
    Vector,
}

/// Order of the axes of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[time, width]`
    #[default]
    TimeFirst,
    /// `[width, time]`
    WidthFirst,
}

impl Layout {
    fn axes(self) -> Axes {
        match self {
            Self::TimeFirst => Axes::TimeFirst,
            Self::WidthFirst => Axes::WidthFirst,
        }
    }
}

impl Onnx {
    fn check_rate(&self, found: u32) -> Result<(), InferError> {
        let wanted = self.sample_rate_hz.ok_or_else(|| {
            InferError::invalid(
                "sample_rate_hz",
                "is needed for a waveform: the rate that the model was trained with",
            )
        })?;
        if wanted == found {
            return Ok(());
        }
        Err(InferError::Mismatch {
            port: "input".into(),
            wanted: format!("a waveform at {wanted} Hz"),
            found: Signal::Wave { rate_hz: found },
            help: Some(format!("set `sample_rate_hz: {wanted}` of the experiment")),
        })
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!([
            self.input_name,
            self.input_layout,
            self.normalise,
            self.mask_name,
            self.length_name,
            self.output_name,
            self.what,
            self.width,
            self.output_layout,
        ])
    }
}

impl Kind for Onnx {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        if !cfg!(feature = "onnx") {
            return Err(InferError::Invalid {
                field: "kind".into(),
                message: "needs the runtime for ONNX models, which this program was built without".into(),
                help: Some("build it with `cargo build --release --features onnx`".into()),
            });
        }
        let is_wave = match inputs.require("input")? {
            Signal::Wave { rate_hz } => {
                self.check_rate(*rate_hz)?;
                true
            }
            Signal::Frames { .. } => false,
            found => return Err(InferError::mismatch("input", "a waveform or frames", found)),
        };
        for (field, is_given) in [
            ("sample_rate_hz", self.sample_rate_hz.is_some()),
            ("normalise", self.normalise),
        ] {
            if is_given && !is_wave {
                return Err(InferError::invalid(field, "is for waveforms; the input has frames"));
            }
        }
        if is_wave && self.input_layout != Layout::default() {
            return Err(InferError::invalid(
                "input_layout",
                "is for frames; the input has a waveform",
            ));
        }
        let width = self.width;
        let output = match self.what {
            Output::Frames => Signal::Frames {
                width,
                rate: frame_rate(self.rate_hz)?,
            },
            Output::Vector if self.rate_hz.is_some() => {
                return Err(InferError::invalid("rate_hz", "a vector has no frames; leave it out"));
            }
            Output::Vector if self.output_layout != Layout::default() => {
                return Err(InferError::invalid(
                    "output_layout",
                    "a vector has no frames; leave it out",
                ));
            }
            Output::Vector => Signal::Vector { width },
        };
        Ok(Inferred {
            outputs: vec![(String::new(), output)],
            placement: Placement::Host,
            cost: Cost::default(),
            reads_labels: false,
            train_only: false,
        })
    }

    fn cache(&self) -> Option<Cache> {
        Some(self.cache)
    }

    // Nothing of it trains.
    fn not_cacheable(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Option<String> {
        None
    }

    fn model_file(&self) -> Option<ModelFile<'_>> {
        Some(ModelFile {
            path: &self.model,
            input_name: &self.input_name,
            input_layout: self.input_layout.axes(),
            normalise: self.normalise,
            mask_name: self.mask_name.as_deref(),
            length_name: self.length_name.as_deref(),
            output_name: &self.output_name,
            output_layout: (self.what == Output::Frames).then(|| self.output_layout.axes()),
            width: self.width,
            rate_hz: self.rate_hz,
            precision: self.cache.precision,
            settings: self.settings(),
        })
    }

    fn host_operation(
        &self,
        _inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<Option<Box<dyn HostOperation>>, InferError> {
        let file = self.model_file();
        let model = file.and_then(|file| file.read(facts).cloned());
        Ok(model.map(|model| -> Box<dyn HostOperation> { Box::new(Run(model)) }))
    }
}

/// Runs a model on an item's waveform or frames.
#[derive(Debug)]
struct Run(Arc<dyn ItemModel>);

/// A model gave something else than a vector or frames.
#[derive(Debug, thiserror::Error)]
#[error("gives an array of {0} axes, neither a vector nor frames")]
struct OtherForm(usize);

impl HostOperation for Run {
    fn compute(&self, _item: &str, input: Option<&HostValue>) -> Result<HostValue, HostError> {
        let array = self
            .0
            .compute(input.ok_or(HostError::NoWave)?)
            .map_err(HostError::Model)?;
        let axes = array.shape().len();
        HostValue::from_array(array).ok_or_else(|| HostError::Model(Box::new(OtherForm(axes))))
    }

    fn content(&self) -> Option<[u8; 32]> {
        Some(self.0.hash())
    }
}
