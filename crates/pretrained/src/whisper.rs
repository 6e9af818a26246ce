//! The encoder of Whisper.
//!
//! # Source
//! Radford et al. 2023, §2.2; numbers equal those of transformers' `WhisperEncoder`.

use burn::module::Module;
use burn::tensor::module::conv1d;
use burn::tensor::{Tensor, ops::ConvOptions};
use emorun_kernels as kernels;

use super::attend::{Extras, attend};
use super::config::{Dropouts, WhisperConfig};
use super::encoder::Layered;
use super::reader::{Init, LINEAR, WeightReader};
use super::train::Part;
use super::weight::{LayerNorm, Linear, Weight, together};
use emorun_nn::node::{Context, NodeError, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::value::Lengths;

/// Two convolutions over the log-mel spectrogram, then transformer layers with norms before each
/// sublayer.
#[derive(Module, Debug)]
pub struct WhisperEncoder {
    conv1: Conv,
    conv2: Conv,
    /// `[positions, width]`
    embed_positions: Weight<2>,
    layers: Vec<EncoderLayer>,
    layer_norm: LayerNorm,
}

/// Kernel 3, padded by 1.
#[derive(Module, Debug)]
struct Conv {
    /// `[output, input, kernel]`
    weight: Weight<3>,
    bias: Weight<1>,
    #[module(skip)]
    stride: usize,
}

impl Conv {
    fn read(name: &str, input: usize, output: usize, stride: usize, reader: &mut WeightReader<'_>) -> Self {
        Self {
            weight: reader.tensor(&format!("{name}.weight"), [output, input, KERNEL], LINEAR),
            bias: reader.tensor(&format!("{name}.bias"), [output], Init::Zeros),
            stride,
        }
    }

    fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        let (weight, x) = self.weight.factor_beside(x, precision);
        let (bias, x) = self.bias.factor_beside(x, precision);
        let (weight, x) = together(weight, x);
        let options = ConvOptions::new([self.stride], [KERNEL / 2], [1], 1);
        let (x, weight, bias) = (precision.factor(x), precision.factor(weight), precision.factor(bias));
        kernels::gelu(precision.product(conv1d(x, weight, Some(bias), options)))
    }
}

/// Samples from one frame to the next: 160 of the spectrogram, halved by the second convolution.
pub const STRIDE: usize = 320;
/// The only sample rate that it knows.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
const KERNEL: usize = 3;
/// ε of every layer norm: PyTorch's default, which no configuration changes.
const EPS: f64 = 1e-5;

impl WhisperEncoder {
    /// Builds the encoder of a configuration from the reader's tensors.
    pub fn read(config: &WhisperConfig, reader: &mut WeightReader<'_>) -> Self {
        Self {
            conv1: Conv::read("conv1", config.mels, config.hidden, 1, reader),
            conv2: Conv::read("conv2", config.hidden, config.hidden, 2, reader),
            embed_positions: reader.tensor("embed_positions.weight", [config.positions, config.hidden], LINEAR),
            layers: (0..config.layers)
                .map(|index| EncoderLayer::read(config, &format!("layers.{index}"), reader))
                .collect(),
            layer_norm: reader.layer_norm("layer_norm", config.hidden, EPS),
        }
    }
}

/// The part that a tensor of the encoder belongs to.
pub fn part_of(name: &str) -> Part {
    if name.starts_with("conv") {
        return Part::FrontEnd;
    }
    if name.starts_with("layer_norm.") {
        return Part::End;
    }
    name.strip_prefix("layers.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|index| index.parse().ok())
        .map_or(Part::Embedding, Part::Layer)
}

/// True for the sinusoids of its positions, which never train.
pub fn is_constant(name: &str) -> bool {
    name == "embed_positions.weight"
}

impl Layered for WhisperEncoder {
    type Shared = ();

    /// The log-mel spectrogram of 30 s comes from the host; lengths tell how much of it is the
    /// item's own. As in Whisper itself, attention sees all of it.
    fn front_end(&self, inputs: &Ports, precision: Precision) -> Result<(Tensor<3>, Lengths), NodeError> {
        let (mel, lengths) = inputs.frames("input")?;
        let features = self
            .conv2
            .forward(self.conv1.forward(mel.swap_dims(1, 2), precision), precision);
        Ok((
            features.swap_dims(1, 2),
            lengths.map(|length| length.div_ceil(2).max(1)),
        ))
    }

    fn embed(&self, features: Tensor<3>, _lengths: &Lengths, rates: &Dropouts, context: &Context) -> Tensor<3> {
        let (positions, x) = self.embed_positions.beside(features);
        context.dropout(x + positions.unsqueeze(), rates.hidden, "embedding")
    }

    fn shared(&self, _lengths: &Lengths, _time: usize) {}

    fn layer(&self, index: usize, x: Tensor<3>, (): &(), rates: &Dropouts, context: &Context) -> Tensor<3> {
        match self.layers.get(index) {
            Some(layer) => layer.forward(x, rates, &context.within(&format!("layer {index}"))),
            None => x,
        }
    }

    fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.layer_norm.forward(x)
    }

    fn part_of(&self, path: &str) -> Part {
        part_of(path)
    }
}

#[derive(Module, Debug)]
struct EncoderLayer {
    self_attn: Attention,
    self_attn_layer_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
}

impl EncoderLayer {
    fn read(config: &WhisperConfig, name: &str, reader: &mut WeightReader<'_>) -> Self {
        let (width, inner) = (config.hidden, config.feed_forward);
        let mut linear =
            |part: &str, input, output, bias| reader.linear(&format!("{name}.{part}"), input, output, bias);
        let self_attn = Attention {
            q_proj: linear("self_attn.q_proj", width, width, true),
            // Whisper's keys have no bias: softmax would cancel it.
            k_proj: linear("self_attn.k_proj", width, width, false),
            v_proj: linear("self_attn.v_proj", width, width, true),
            out_proj: linear("self_attn.out_proj", width, width, true),
            heads: config.heads,
        };
        let fc1 = linear("fc1", width, inner, true);
        let fc2 = linear("fc2", inner, width, true);
        Self {
            self_attn,
            self_attn_layer_norm: reader.layer_norm(&format!("{name}.self_attn_layer_norm"), width, EPS),
            fc1,
            fc2,
            final_layer_norm: reader.layer_norm(&format!("{name}.final_layer_norm"), width, EPS),
        }
    }

    fn forward(&self, x: Tensor<3>, rates: &Dropouts, context: &Context) -> Tensor<3> {
        if context.training && rates.layer > 0.0 && context.chance("layer", rates.layer) {
            return x;
        }
        let attended = self
            .self_attn
            .forward(self.self_attn_layer_norm.forward(x.clone()), rates, context);
        let (x, attended) = together(x, context.dropout(attended, rates.hidden, "attended"));
        let x = x + attended;
        let fed = kernels::gelu(
            self.fc1
                .forward(self.final_layer_norm.forward(x.clone()), &context.within("fc1")),
        );
        let fed = context.dropout(fed, rates.activation, "activation");
        let fed = context.dropout(self.fc2.forward(fed, &context.within("fc2")), rates.hidden, "fed");
        let (x, fed) = together(x, fed);
        x + fed
    }
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    fn forward(&self, x: Tensor<3>, rates: &Dropouts, context: &Context) -> Tensor<3> {
        let query = self.q_proj.forward(x.clone(), &context.within("q"));
        let key = self.k_proj.forward(x.clone(), &context.within("k"));
        let value = self.v_proj.forward(x, &context.within("v"));
        let extras = Extras {
            bias: None,
            lengths: None,
            dropout: rates.attention,
        };
        let mixed = attend([query, key, value], self.heads, extras, context);
        self.out_proj.forward(mixed, &context.within("out"))
    }
}
