//! Transformer decoder of frames beside a memory.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, Inputs, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{frames_on, misfit, trainable};
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::decoder::{Biases, DecoderLayer, DecoderSizes, hiding};
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::positions::{Sight, sinusoidal};
use emorun_nn::node::{BuildContext, BuildError, Context, Decoder, Layer, NodeError, Outputs, Ports, Window, output};
use emorun_nn::value::{Lengths, Value};

/// Frames that attend to one another and to the frames of a memory, each frame to those of its own time and before, unless
/// `causal` is off. What is known at each frame (`inputs`: frames at the memory's rate, or vectors, which are the same at
/// every frame) is brought to `width` by a linear layer each and added; the memory by one of its own. Both have sinusoidal
/// positions, counted from the first frame of the memory in sight.
///
/// With `period`, attention to what lies further back is weaker by a head's slope for each whole period, and positions come
/// again after each.
///
/// Where a rollout holds it (`uses: { decoder: … }`), that one hands over what `inputs` and `memory` name, window by window.
///
/// Source: Vaswani et al. 2017, with layer norm before each sublayer; Fan et al., "FaceFormer", CVPR 2022, for the periods.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformerDecoder {
    /// What is known at each frame that comes out.
    pub inputs: Inputs,
    /// Frames that are attended to.
    pub memory: PortRef,
    /// Frames as wide as those that come out; as wide as `width` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<PortRef>,
    /// Model width.
    #[serde(default = "default_width")]
    #[schemars(range(min = 2, max = 8192))]
    pub width: usize,
    /// Number of layers.
    #[serde(default = "default_layers")]
    #[schemars(range(min = 1, max = 96))]
    pub layers: usize,
    /// Attention heads; must divide `width`.
    #[serde(default = "default_heads")]
    #[schemars(range(min = 1, max = 128))]
    pub heads: usize,
    /// Width of the feed-forward sublayers.
    #[serde(default = "default_feed_forward")]
    #[schemars(range(min = 1, max = 65536))]
    pub feed_forward: usize,
    /// Function within the feed-forward sublayers.
    #[serde(default = "default_activation")]
    pub activation: Activation,
    /// Dropout probability.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Whether no frame attends to what comes later.
    #[serde(default = "default_causal")]
    pub causal: bool,
    /// Frames after which positions come again and biases of attention grow: 25 for a second of a face.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub period: Option<usize>,
}

fn default_width() -> usize {
    256
}
fn default_layers() -> usize {
    2
}
fn default_heads() -> usize {
    8
}
fn default_feed_forward() -> usize {
    512
}
fn default_activation() -> Activation {
    Activation::Gelu
}
fn default_dropout() -> f64 {
    0.1
}
fn default_causal() -> bool {
    true
}

/// What a decoder takes and gives.
struct Sizes {
    ports: Vec<String>,
    inputs: Vec<Dense>,
    memory: Dense,
    layer: DecoderSizes,
    output: Option<Dense>,
    rate: FrameRate,
}

impl TransformerDecoder {
    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes, InferError> {
        if !self.width.is_multiple_of(self.heads) || !self.width.is_multiple_of(2) {
            let message = format!("must be even and a multiple of the {} heads", self.heads);
            return Err(InferError::invalid("width", message));
        }
        let (memory, rate) = frames_on(inputs, "memory")?;
        let (mut ports, mut layers) = (Vec::new(), Vec::new());
        for (name, signal) in inputs.below("inputs") {
            let port = format!("inputs.{name}");
            let width = match signal {
                Signal::Vector { width } => *width,
                Signal::Frames { width, rate: own } if *own == rate => *width,
                Signal::Frames { .. } => {
                    return Err(InferError::Mismatch {
                        port,
                        wanted: format!("frames at {rate}, as at `memory`"),
                        found: signal.clone(),
                        help: Some("`align` brings frames to another rate".to_owned()),
                    });
                }
                found => return Err(misfit(&port, "frames or a vector", found)),
            };
            ports.push(port);
            layers.push(Dense::new(width, self.width));
        }
        let output = match inputs.get("target") {
            Some(Signal::Frames { width, .. }) => Some(Dense::new(self.width, *width)),
            Some(found) => return Err(misfit("target", "frames", found)),
            None => None,
        };
        Ok(Sizes {
            ports,
            inputs: layers,
            memory: Dense::new(memory, self.width),
            layer: DecoderSizes {
                width: self.width,
                heads: self.heads,
                feed_forward: self.feed_forward,
            },
            output,
            rate,
        })
    }
}

impl Kind for TransformerDecoder {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let sizes = self.sizes(inputs)?;
        let linear = sizes.inputs.iter().chain([&sizes.memory]).chain(&sizes.output);
        let parameters = linear.map(Dense::parameters).sum::<u64>() + self.layers as u64 * sizes.layer.parameters();
        let kept = self.layers * (16 * self.width + 3 * self.feed_forward);
        let (rate, width) = (sizes.rate, sizes.output.map_or(self.width, |layer| layer.output));
        let cost = Cost {
            flops_per_second: 2.0 * parameters as f64 * rate.hz(),
            activation_floats_per_second: rate.hz() * kept as f64,
            activation_floats_per_square_second: rate.hz().powi(2) * (10 * self.layers * self.heads) as f64,
            ..trainable(parameters)
        };
        Ok(Inferred::device(Signal::Frames { width, rate }, cost))
    }
}

impl DeviceKind for TransformerDecoder {
    type Layer = TransformerDecoderLayer;

    fn build(
        &self,
        inputs: &InputSignals<'_>,
        context: &BuildContext<'_>,
    ) -> Result<TransformerDecoderLayer, BuildError> {
        let sizes = self.sizes(inputs)?;
        let build = |layer: &Dense| layer.build(context.device);
        Ok(TransformerDecoderLayer {
            inputs: sizes.inputs.iter().map(build).collect(),
            memory: build(&sizes.memory),
            layers: (0..self.layers).map(|_| sizes.layer.build(context.device)).collect(),
            output: sizes.output.as_ref().map(build),
            ports: sizes.ports,
            widths: sizes.inputs.iter().map(|layer| layer.input).collect(),
            memory_width: sizes.memory.input,
            heads: self.heads,
            activation: self.activation,
            dropout: self.dropout,
            sight: Sight {
                causal: self.causal,
                period: self.period,
            },
        })
    }
}

/// See [`TransformerDecoder`].
#[derive(Module, Debug)]
pub struct TransformerDecoderLayer {
    inputs: Vec<Linear>,
    memory: Linear,
    layers: Vec<DecoderLayer>,
    output: Option<Linear>,
    #[module(skip)]
    ports: Vec<String>,
    #[module(skip)]
    widths: Vec<usize>,
    #[module(skip)]
    memory_width: usize,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    sight: Sight,
}

impl TransformerDecoderLayer {
    fn fits(&self, window: &Window) -> Result<(), NodeError> {
        let widths: Vec<usize> = window.inputs.iter().map(|input| input.dims()[2]).collect();
        let memory = window.memory.dims()[2];
        if widths == self.widths && memory == self.memory_width {
            return Ok(());
        }
        Err(NodeError::Held {
            port: "uses.decoder".to_owned(),
            reason: format!(
                "takes inputs {:?} wide and a memory {} wide, not {widths:?} and {memory}",
                self.widths, self.memory_width
            ),
        })
    }
}

impl Decoder for TransformerDecoderLayer {
    fn is_causal(&self) -> bool {
        self.sight.causal
    }

    fn decode(&self, window: &Window, context: &Context) -> Result<Tensor<3>, NodeError> {
        self.fits(window)?;
        let [_, keys, _] = window.memory.dims();
        let projected = self.inputs.iter().zip(&window.inputs);
        let projected = projected.map(|(layer, input)| layer.forward(input.clone()));
        let Some(x) = projected.reduce(Tensor::add) else {
            return Err(NodeError::Missing("inputs".to_owned()));
        };
        let [_, time, width] = x.dims();
        let device = x.device();
        let places = |from: usize, time: usize| sinusoidal(from, time, width, self.sight.period, &device);
        let mut x = x + places(window.before, time);
        let memory = self.memory.forward(window.memory.clone()) + places(0, keys);
        let memory_bias = self.sight.bias(self.heads, (time, keys), window.before, &device);
        let own_hidden = hiding(window.mask.clone().narrow(1, window.before, time));
        let biases = Biases {
            own: self.sight.bias(self.heads, (time, time), 0, &device) + own_hidden,
            of_memory: memory_bias + hiding(window.mask.clone()),
        };
        for (at, layer) in self.layers.iter().enumerate() {
            let within = context.within(&format!("layer {at}"));
            x = layer.forward(x, &memory, &biases, (self.activation, self.dropout), &within);
        }
        Ok(match &self.output {
            Some(output) => output.forward(x),
            None => x,
        })
    }
}

impl Layer for TransformerDecoderLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (memory, lengths) = inputs.frames("memory")?;
        let mut lengths: Vec<usize> = lengths.as_slice().to_vec();
        let mut frames: Vec<Value> = Vec::with_capacity(self.ports.len());
        for port in &self.ports {
            let value = inputs.get(port)?;
            if let Value::Frames(_, own) = value {
                let pairs = lengths.iter().zip(own.as_slice());
                lengths = pairs.map(|(a, b)| *a.min(b)).collect();
            }
            frames.push(value.clone());
        }
        let lengths = Lengths::new(lengths);
        let time = lengths.longest();
        let mut known = Vec::with_capacity(frames.len());
        for (port, value) in self.ports.iter().zip(frames) {
            known.push(match value {
                Value::Vector(vector) => {
                    let [batch, width] = vector.dims();
                    vector.reshape([batch, 1, width]).expand([batch, time, width])
                }
                _ => inputs.frames(port)?.0.narrow(1, 0, time),
            });
        }
        let [batch, ..] = memory.dims();
        let mask = lengths.mask(time, &memory.device());
        let window = Window {
            inputs: known,
            memory: memory.narrow(1, 0, time),
            mask: mask.clone(),
            before: 0,
        };
        let decoded = self.decode(&window, context)? * mask.reshape([batch, time, 1]);
        Ok(output(Value::Frames(decoded, lengths)))
    }

    fn as_decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }
}
