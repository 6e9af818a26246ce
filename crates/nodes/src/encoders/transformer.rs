//! Transformer encoder trained from scratch on feature frames.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::tensor::{Bool, Tensor};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::positions::sinusoidal;
use emorun_nn::layers::stack::stacked;
use emorun_nn::layers::transformer::{Attends, encoder_layer, encoder_layer_step};
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;

/// Frames stacked by `stack`, projected to `width`, given sinusoidal positions and passed through
/// transformer layers; padding is excluded from attention.
///
/// Over the frames of an encoder that knows positions already, such as a pretrained one, these layers
/// add context with `stack: 1`, `projection: false` and `positions: none`.
///
/// Source: Vaswani et al. 2017, by default with layer norm before each sublayer (Xiong et al. 2020).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transformer {
    /// Frames to encode.
    pub input: PortRef,
    /// Consecutive input frames joined into one before the first layer; divides the frame rate.
    #[serde(default = "default_stack")]
    #[schemars(range(min = 1, max = 64))]
    pub stack: usize,
    /// Model width.
    #[serde(default = "default_width")]
    #[schemars(range(min = 2, max = 8192))]
    pub width: usize,
    /// Whether a linear layer brings the stacked frames to `width`; without it they must be as wide.
    #[serde(default = "default_projection")]
    pub projection: bool,
    /// What is added to the frames to tell their places.
    #[serde(default)]
    pub positions: Positions,
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
    /// Whether layer norm stands before each sublayer, with the residual around both, or after its
    /// residual.
    #[serde(default)]
    pub norm: NormPlace,
    /// Whether no frame attends to later ones, so that the node can be run while somebody speaks.
    #[serde(default)]
    pub causal: bool,
    /// Dropout probability.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Probability that an item passes by the last layer while training (stochastic depth); from 0 at
    /// the input it rises in equal steps. Needs `norm: before`.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub stochastic_depth: f64,
}

/// What is added to the frames to tell their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Sine and cosine in turn (Vaswani et al. 2017, §3.5).
    #[default]
    Sinusoidal,
    /// Nothing.
    None,
}

/// Where layer norm stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NormPlace {
    /// Before each sublayer (Xiong et al. 2020).
    #[default]
    Before,
    /// After each sublayer and its residual (Vaswani et al. 2017).
    After,
}

fn default_stack() -> usize {
    4
}
fn default_width() -> usize {
    128
}
fn default_projection() -> bool {
    true
}
fn default_activation() -> Activation {
    Activation::Gelu
}
fn default_layers() -> usize {
    2
}
fn default_heads() -> usize {
    4
}
fn default_feed_forward() -> usize {
    256
}
fn default_dropout() -> f64 {
    0.1
}

/// What is kept of a layer's attention for the backward pass, each frames × frames for each head: scores before and after
/// they are scaled, weights before and after dropout.
const KEPT_OF_ATTENTION: usize = 4;

impl Transformer {
    /// The layer in front, from stacked frames of a width.
    fn projected(&self, width: usize) -> Option<Dense> {
        self.projection.then(|| Dense::new(width * self.stack, self.width))
    }
}

impl Kind for Transformer {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        if !self.width.is_multiple_of(self.heads) || !self.width.is_multiple_of(2) {
            return Err(InferError::Invalid {
                field: "heads".into(),
                message: format!(
                    "width {} must be even and divisible by {} heads",
                    self.width, self.heads
                ),
                help: None,
            });
        }
        if !self.projection && width * self.stack != self.width {
            return Err(InferError::Invalid {
                field: "width".into(),
                message: format!(
                    "is {}, but the stacked frames are {} wide",
                    self.width,
                    width * self.stack
                ),
                help: Some("without `projection` the two must be equal".into()),
            });
        }
        if self.stochastic_depth > 0.0 && self.norm == NormPlace::After {
            return Err(InferError::Invalid {
                field: "stochastic_depth".into(),
                message: "a layer that ends in layer norm cannot be passed by: nothing else keeps the scale".into(),
                help: Some("use `norm: before`, or leave stochastic_depth out".into()),
            });
        }
        let (d, ff) = (self.width as u64, self.feed_forward as u64);
        let layer = 4 * (d * d + d) + 2 * d * ff + d + ff + 4 * d;
        let projection = self.projected(width).map_or(0, |layer| layer.parameters());
        let parameters = projection + self.layers as u64 * layer;
        let out_rate = rate.slower(self.stack, "stack")?;
        Ok(Inferred {
            outputs: vec![(
                String::new(),
                Signal::Frames {
                    width: self.width,
                    rate: out_rate,
                },
            )],
            placement: Placement::Device,
            cost: Cost {
                parameters,
                trainable: parameters,
                flops_per_second: 2.0 * parameters as f64 * out_rate.hz(),
                activation_floats_per_second: out_rate.hz() * self.layers as f64 * (8 * d + 3 * ff) as f64,
                activation_floats_per_square_second: out_rate.hz().powi(2)
                    * (KEPT_OF_ATTENTION * self.layers * self.heads) as f64,
                ..Cost::default()
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for Transformer {
    type Layer = TransformerLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<TransformerLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(TransformerLayer {
            projection: self.projected(width).map(|layer| layer.build(context.device)),
            encoder: TransformerEncoderConfig::new(self.width, self.feed_forward, self.heads, self.layers)
                .with_dropout(self.dropout)
                .with_norm_first(self.norm == NormPlace::Before)
                .with_activation(self.activation.config())
                .init(context.device),
            stack: self.stack,
            positions: self.positions,
            causal: self.causal,
            stochastic_depth: self.stochastic_depth,
        })
    }
}

/// See [`Transformer`].
#[derive(Module, Debug)]
pub struct TransformerLayer {
    projection: Option<Linear>,
    encoder: TransformerEncoder,
    #[module(skip)]
    stack: usize,
    #[module(skip)]
    positions: Positions,
    #[module(skip)]
    causal: bool,
    #[module(skip)]
    stochastic_depth: f64,
}

impl TransformerLayer {
    /// What the first layer sees of frames, of which the first stands at a place of its sequence.
    fn embed(&self, x: Tensor<3>, from: usize) -> Tensor<3> {
        let x = match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        };
        let [_, time, width] = x.dims();
        match self.positions {
            Positions::Sinusoidal => x.clone() + sinusoidal(from, time, width, None, &x.device()),
            Positions::None => x,
        }
    }

    /// The layers one after another; while training each item passes by some of them.
    ///
    /// # Source
    /// Huang et al. 2016, "Deep networks with stochastic depth", with the linear decay of section 3;
    /// what stays is scaled up while training, as `torchvision.ops.stochastic_depth(mode="row")`, so that
    /// evaluation needs no factor.
    fn encode(&self, mut x: Tensor<3>, padding: Tensor<2, Bool>, context: &Context) -> Tensor<3> {
        let layers = self.encoder.layers.len();
        for (index, layer) in self.encoder.layers.iter().enumerate() {
            let attends = match self.causal {
                true => Attends::Before,
                false => Attends::Within(padding.clone()),
            };
            let encoded = encoder_layer(layer, x.clone(), &attends, &context.within(&format!("layer {index}")));
            let p = self.stochastic_depth * (index + 1) as f64 / layers as f64;
            x = if context.training && p > 0.0 {
                let row = Tensor::ones([x.dims()[0], 1, 1], &x.device());
                let kept = context.dropout(row, p, &format!("depth {index}"));
                x.clone() + (encoded - x) * kept
            } else {
                encoded
            };
        }
        x
    }
}

impl Layer for TransformerLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let (x, lengths) = stacked(frames, &lengths, self.stack);
        let [batch, stacked_time, _] = x.dims();
        let x = self.embed(x, 0);
        let mask = lengths.mask(stacked_time, &x.device());
        let padding = mask.clone().equal_elem(0.0);
        let encoded = self.encode(x, padding, context);
        Ok(output(Value::Frames(
            encoded * mask.reshape([batch, stacked_time, 1]),
            lengths,
        )))
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        // Stacks would have to wait for their frames.
        (self.causal && self.stack == 1).then_some(self)
    }
}

impl Stepper for TransformerLayer {
    fn step(&self, inputs: &Ports, state: &mut State, _context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let [batch, time, _] = frames.dims();
        let before = state.number("frames");
        let from = std::mem::replace(before, *before + time);
        let mut x = self.embed(frames, from);
        for (at, layer) in self.encoder.layers.iter().enumerate() {
            x = encoder_layer_step(layer, x, state.part(&at.to_string()));
        }
        let mask = lengths.mask(time, &x.device()).reshape([batch, time, 1]);
        Ok(output(Value::Frames(x * mask, lengths)))
    }
}
