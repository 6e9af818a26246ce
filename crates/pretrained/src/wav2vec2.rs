//! Models of the wav2vec 2.0 layout: wav2vec 2.0, HuBERT, WavLM and data2vec for speech.
//!
//! Numbers equal those of transformers' implementations for each item alone; here padding never
//! changes an item, also where theirs does (group norm over padded time).
//!
//! Activations lie as `[batch, time, channels]` throughout, so that convolutions are products of
//! matrices and every normalisation but the first is over the last axis.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};
use emorun_kernels as kernels;

use super::attend::{Extras, attend};
use super::config::{Dropouts, FeatureNorm, Relative, SpeechConfig};
use super::encoder::{Layered, masked};
use super::masks::Masks;
use super::positional::PositionalConvolutions;
use super::reader::{Init, LINEAR, WeightReader};
use super::train::Part;
use super::weight::{LayerNorm, Linear, Weight, together};
use emorun_nn::node::{Context, NodeError, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::value::Lengths;

/// The whole model without any head.
#[derive(Module, Debug)]
pub struct Wav2Vec2 {
    feature_extractor: FeatureExtractor,
    feature_projection: FeatureProjection,
    encoder: Encoder,
    masks: Option<Masks>,
    #[module(skip)]
    normalise: bool,
}

impl Wav2Vec2 {
    /// Builds the model of a configuration from the reader's tensors; `normalise` brings each
    /// waveform to zero mean and unit variance first.
    pub fn read(config: &SpeechConfig, normalise: bool, reader: &mut WeightReader<'_>) -> Self {
        Self {
            feature_extractor: FeatureExtractor::read(config, reader),
            feature_projection: FeatureProjection::read(config, reader),
            encoder: Encoder::read(config, reader),
            masks: None,
            normalise,
        }
    }

    /// The model with masks behind its front end while training.
    pub fn with_masks(self, masks: Option<Masks>) -> Self {
        Self { masks, ..self }
    }
}

/// The part that a tensor of a checkpoint belongs to.
pub fn part_of(name: &str, stable: bool) -> Part {
    if name.starts_with("feature_extractor.") {
        return Part::FrontEnd;
    }
    if name.starts_with("encoder.layer_norm.") && stable {
        return Part::End;
    }
    let layer = name
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|index| index.parse().ok());
    match layer {
        Some(layer) => Part::Layer(layer),
        // The first layer's relative positions, which all layers share.
        None if name.starts_with("encoder.positions.") => Part::Layer(0),
        None => Part::Embedding,
    }
}

impl Layered for Wav2Vec2 {
    type Shared = Shared;

    fn front_end(&self, inputs: &Ports, precision: Precision) -> Result<(Tensor<3>, Lengths), NodeError> {
        let (wave, lengths) = inputs.wave("input")?;
        let wave = if self.normalise {
            normalised(wave, &lengths)
        } else {
            wave
        };
        Ok(self.feature_extractor.forward(wave, &lengths, precision))
    }

    fn embed(&self, features: Tensor<3>, lengths: &Lengths, rates: &Dropouts, context: &Context) -> Tensor<3> {
        let x = self.feature_projection.forward(features, context);
        let x = context.dropout(x, rates.projection, "projection");
        let x = match &self.masks {
            Some(masks) => masks.forward(x, lengths, context),
            None => x,
        };
        let x = self.encoder.position(masked(x, lengths), lengths, context.precision);
        context.dropout(x, rates.hidden, "embedding")
    }

    fn shared(&self, lengths: &Lengths, time: usize) -> Shared {
        Shared {
            lengths: (!lengths.all_full(time)).then(|| lengths.clone()),
            positions: self.encoder.positions.as_ref().map(|positions| positions.bias(time)),
        }
    }

    fn layer(&self, index: usize, x: Tensor<3>, shared: &Shared, rates: &Dropouts, context: &Context) -> Tensor<3> {
        match self.encoder.layers.get(index) {
            Some(layer) => layer.forward(x, shared, rates, &context.within(&format!("layer {index}"))),
            None => x,
        }
    }

    fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        if self.encoder.stable {
            self.encoder.layer_norm.forward(x)
        } else {
            x
        }
    }

    fn part_of(&self, path: &str) -> Part {
        part_of(path, self.encoder.stable)
    }
}

/// Each waveform with zero mean and unit variance over its valid samples, zero behind them.
///
/// # Source
/// transformers' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`.
fn normalised(wave: Tensor<2>, lengths: &Lengths) -> Tensor<2> {
    let [_, samples] = wave.dims();
    let mask = lengths.mask(samples, &wave.device());
    let count = mask.clone().sum_dim(1);
    let mean = (wave.clone() * mask.clone()).sum_dim(1) / count.clone();
    let centred = (wave - mean) * mask;
    let variance = centred.clone().square().sum_dim(1) / count;
    centred / (variance + 1e-7).sqrt()
}

/// What attention in every layer needs.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Valid frames of each item, where there is padding.
    lengths: Option<Lengths>,
    /// WavLM's relative positions, `[1, heads, time, time]`.
    positions: Option<Tensor<4>>,
}

/// Seven strided convolutions over the waveform.
///
/// # Source
/// Baevski et al. 2020, §2 and appendix B.
#[derive(Module, Debug)]
struct FeatureExtractor {
    conv_layers: Vec<ConvLayer>,
    #[module(skip)]
    receptive_field: usize,
}

#[derive(Module, Debug)]
struct ConvLayer {
    conv: Conv,
    layer_norm: ConvNorm,
}

/// `[channels, input channels, kernel]` as PyTorch stores it.
#[derive(Module, Debug)]
struct Conv {
    weight: Weight<3>,
    bias: Option<Weight<1>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    kernel: usize,
}

#[derive(Module, Debug)]
enum ConvNorm {
    None(Nothing),
    Group(LayerNorm),
    Layer(LayerNorm),
}

#[derive(Module, Debug)]
struct Nothing {}

impl FeatureExtractor {
    fn read(config: &SpeechConfig, reader: &mut WeightReader<'_>) -> Self {
        let mut input = 1;
        let conv_layers = config
            .convolutions
            .iter()
            .enumerate()
            .map(|(index, convolution)| {
                let name = format!("feature_extractor.conv_layers.{index}");
                let fan_in = (input * convolution.kernel) as f64;
                let shape = [convolution.channels, input, convolution.kernel];
                let conv = Conv {
                    weight: reader.tensor(
                        &format!("{name}.conv.weight"),
                        shape,
                        Init::Normal((2.0 / fan_in).sqrt()),
                    ),
                    bias: config
                        .conv_bias
                        .then(|| reader.tensor(&format!("{name}.conv.bias"), [convolution.channels], Init::Zeros)),
                    stride: convolution.stride,
                    kernel: convolution.kernel,
                };
                input = convolution.channels;
                let norm = format!("{name}.layer_norm");
                let norm = match config.feature_norm {
                    FeatureNorm::Group if index == 0 => {
                        ConvNorm::Group(reader.layer_norm(&norm, convolution.channels, CONV_EPS))
                    }
                    FeatureNorm::Group => ConvNorm::None(Nothing {}),
                    FeatureNorm::Layer => ConvNorm::Layer(reader.layer_norm(&norm, convolution.channels, CONV_EPS)),
                };
                ConvLayer { conv, layer_norm: norm }
            })
            .collect();
        Self {
            conv_layers,
            receptive_field: config.receptive_field(),
        }
    }

    fn forward(&self, wave: Tensor<2>, lengths: &Lengths, precision: Precision) -> (Tensor<3>, Lengths) {
        let [batch, samples] = wave.dims();
        let wave = if samples < self.receptive_field {
            let rest = Tensor::zeros([batch, self.receptive_field - samples], &wave.device());
            Tensor::cat(vec![wave, rest], 1)
        } else {
            wave
        };
        let mut lengths = lengths.map(|length| length.max(self.receptive_field));
        let mut x: Tensor<3> = wave.unsqueeze_dim(2);
        for layer in &self.conv_layers {
            let conv = &layer.conv;
            lengths = lengths.map(|length| (length - conv.kernel) / conv.stride + 1);
            x = match &layer.layer_norm {
                ConvNorm::Group(norm) if conv.bias.is_none() => {
                    let (kernel, x) = conv.weight.beside(x);
                    let (weight, x) = norm.weight.beside(x);
                    let (bias, x) = norm.bias.beside(x);
                    let [batch, samples, _] = x.dims();
                    let wave = x.reshape([batch, samples]);
                    kernels::wave_layer(wave, kernel, weight, bias, norm.eps, conv.stride, lengths.as_slice())
                }
                ConvNorm::Group(norm) => {
                    let (weight, x) = norm.weight.beside(conv.forward(x, precision));
                    let (bias, x) = norm.bias.beside(x);
                    kernels::gelu(kernels::group_norm_over_time(
                        x,
                        weight,
                        bias,
                        norm.eps,
                        lengths.as_slice(),
                    ))
                }
                ConvNorm::Layer(norm) => kernels::gelu(norm.forward(conv.forward(x, precision))),
                ConvNorm::None(_) => kernels::gelu(conv.forward(x, precision)),
            };
        }
        (x, lengths)
    }
}

/// ε of the front end's normalisations: PyTorch's default, which no configuration changes.
pub(super) const CONV_EPS: f64 = 1e-5;

impl Conv {
    fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        let (weight, x) = self.weight.factor_beside(x, precision);
        let (weight, x, bias) = match &self.bias {
            Some(bias) => {
                let (bias, x) = bias.factor_beside(x, precision);
                let (weight, x) = together(weight, x);
                (weight, x, Some(precision.factor(bias)))
            }
            None => (weight, x, None),
        };
        let (x, weight) = (precision.factor(x), precision.factor(weight));
        precision.product(kernels::conv1d_channels_last(x, weight, bias, self.stride))
    }
}

#[derive(Module, Debug)]
struct FeatureProjection {
    layer_norm: Option<LayerNorm>,
    projection: Linear,
}

impl FeatureProjection {
    fn read(config: &SpeechConfig, reader: &mut WeightReader<'_>) -> Self {
        let channels = config.convolutions.last().map_or(1, |last| last.channels);
        Self {
            layer_norm: config
                .projection_norm
                .then(|| reader.layer_norm("feature_projection.layer_norm", channels, config.eps)),
            projection: reader.linear("feature_projection.projection", channels, config.hidden, true),
        }
    }

    fn forward(&self, features: Tensor<3>, context: &Context) -> Tensor<3> {
        let x = match &self.layer_norm {
            Some(norm) => norm.forward(features),
            None => features,
        };
        self.projection.forward(x, context)
    }
}

#[derive(Module, Debug)]
struct Encoder {
    pos_conv_embed: PositionalConvolutions,
    layer_norm: LayerNorm,
    positions: Option<RelativePositions>,
    layers: Vec<EncoderLayer>,
    #[module(skip)]
    stable: bool,
}

impl Encoder {
    fn read(config: &SpeechConfig, reader: &mut WeightReader<'_>) -> Self {
        Self {
            pos_conv_embed: PositionalConvolutions::read(config, reader),
            layer_norm: reader.layer_norm("encoder.layer_norm", config.hidden, config.eps),
            positions: config.relative.map(|relative| RelativePositions {
                rel_attn_embed: reader.tensor(
                    "encoder.layers.0.attention.rel_attn_embed.weight",
                    [relative.buckets, config.heads],
                    LINEAR,
                ),
                relative,
            }),
            layers: (0..config.layers)
                .map(|index| EncoderLayer::read(config, index, reader))
                .collect(),
            stable: config.stable,
        }
    }

    fn position(&self, x: Tensor<3>, lengths: &Lengths, precision: Precision) -> Tensor<3> {
        let positions = self.pos_conv_embed.forward(x.clone(), lengths, precision);
        let (x, positions) = together(x, positions);
        let x = x + positions;
        if self.stable { x } else { self.layer_norm.forward(x) }
    }
}

#[derive(Module, Debug)]
struct RelativePositions {
    /// `[buckets, heads]`; the first layer's, which all share.
    rel_attn_embed: Weight<2>,
    #[module(skip)]
    relative: Relative,
}

impl RelativePositions {
    /// # Shapes
    /// - output: `[1, heads, time, time]`, query by key
    fn bias(&self, time: usize) -> Tensor<4> {
        let embedding = self.rel_attn_embed.value();
        let [_, heads] = embedding.dims();
        let buckets: Vec<i64> = (0..time)
            .flat_map(|query| (0..time).map(move |key| key as i64 - query as i64))
            .map(|distance| self.relative.bucket(distance))
            .collect();
        let buckets = Tensor::<1, Int>::from_data(TensorData::new(buckets, [time * time]), &embedding.device());
        embedding
            .select(0, buckets)
            .reshape([1, time, time, heads])
            .permute([0, 3, 1, 2])
    }
}

impl Relative {
    /// The bucket of a key's distance in frames from the query: exact when small, then logarithmic.
    ///
    /// # Source
    /// Raffel et al. 2020 (T5), §2.1, as WavLM's code rounds it (single precision).
    fn bucket(&self, distance: i64) -> i64 {
        let buckets = (self.buckets / 2) as i64;
        let exact = buckets / 2;
        let side = if distance > 0 { buckets } else { 0 };
        let distance = distance.abs();
        if distance < exact {
            return side + distance;
        }
        let scale = (self.max_distance as f64 / exact as f64).ln() as f32;
        let far = (distance as f32 / exact as f32).ln() / scale * (buckets - exact) as f32;
        side + (exact + far as i64).min(buckets - 1)
    }
}

#[derive(Module, Debug)]
struct EncoderLayer {
    attention: Attention,
    layer_norm: LayerNorm,
    feed_forward: FeedForward,
    final_layer_norm: LayerNorm,
    #[module(skip)]
    stable: bool,
}

impl EncoderLayer {
    fn read(config: &SpeechConfig, index: usize, reader: &mut WeightReader<'_>) -> Self {
        let name = format!("encoder.layers.{index}");
        let (width, inner) = (config.hidden, config.feed_forward);
        Self {
            attention: Attention::read(config, &format!("{name}.attention"), reader),
            layer_norm: reader.layer_norm(&format!("{name}.layer_norm"), width, config.eps),
            feed_forward: FeedForward {
                intermediate_dense: reader.linear(
                    &format!("{name}.feed_forward.intermediate_dense"),
                    width,
                    inner,
                    true,
                ),
                output_dense: reader.linear(&format!("{name}.feed_forward.output_dense"), inner, width, true),
            },
            final_layer_norm: reader.layer_norm(&format!("{name}.final_layer_norm"), width, config.eps),
            stable: config.stable,
        }
    }

    fn forward(&self, x: Tensor<3>, shared: &Shared, rates: &Dropouts, context: &Context) -> Tensor<3> {
        if context.training && rates.layer > 0.0 && context.chance("layer", rates.layer) {
            return x;
        }
        if self.stable {
            let attended = self
                .attention
                .forward(self.layer_norm.forward(x.clone()), shared, rates, context);
            let x = add(x, context.dropout(attended, rates.hidden, "attended"));
            let fed = self
                .feed_forward
                .forward(self.final_layer_norm.forward(x.clone()), rates, context);
            return add(x, fed);
        }
        let attended = self.attention.forward(x.clone(), shared, rates, context);
        let x = add(x, context.dropout(attended, rates.hidden, "attended"));
        let x = self.layer_norm.forward(x);
        let fed = self.feed_forward.forward(x.clone(), rates, context);
        self.final_layer_norm.forward(add(x, fed))
    }
}

/// The sum of two tensors, with autodiff if one of them has it.
fn add<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (a, b) = together(a, b);
    a + b
}

#[derive(Module, Debug)]
struct FeedForward {
    intermediate_dense: Linear,
    output_dense: Linear,
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>, rates: &Dropouts, context: &Context) -> Tensor<3> {
        let x = kernels::gelu(self.intermediate_dense.forward(x, &context.within("intermediate")));
        let x = context.dropout(x, rates.activation, "activation");
        let x = self.output_dense.forward(x, &context.within("output"));
        context.dropout(x, rates.hidden, "fed")
    }
}

/// Multi-head self-attention, with WavLM's gate on relative positions.
///
/// # Source
/// Vaswani et al. 2017, §3.2; gate: Chen et al. 2022, §III-A.
#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    gate: Option<Gate>,
    #[module(skip)]
    heads: usize,
}

#[derive(Module, Debug)]
struct Gate {
    gru_rel_pos_linear: Linear,
    /// `[1, heads, 1, 1]`
    gru_rel_pos_const: Weight<4>,
}

impl Attention {
    fn read(config: &SpeechConfig, name: &str, reader: &mut WeightReader<'_>) -> Self {
        let width = config.hidden;
        let mut linear = |part: &str| reader.linear(&format!("{name}.{part}"), width, width, true);
        let (q_proj, k_proj, v_proj, out_proj) =
            (linear("q_proj"), linear("k_proj"), linear("v_proj"), linear("out_proj"));
        Self {
            q_proj,
            k_proj,
            v_proj,
            out_proj,
            gate: config.relative.map(|_| Gate {
                gru_rel_pos_linear: reader.linear(
                    &format!("{name}.gru_rel_pos_linear"),
                    width / config.heads,
                    GATE_PARTS,
                    true,
                ),
                gru_rel_pos_const: reader.tensor(
                    &format!("{name}.gru_rel_pos_const"),
                    [1, config.heads, 1, 1],
                    Init::Ones,
                ),
            }),
            heads: config.heads,
        }
    }

    fn forward(&self, x: Tensor<3>, shared: &Shared, rates: &Dropouts, context: &Context) -> Tensor<3> {
        let [batch, time, width] = x.dims();
        let head = width / self.heads;
        let query = self.q_proj.forward(x.clone(), &context.within("q"));
        let key = self.k_proj.forward(x.clone(), &context.within("k"));
        let value = self.v_proj.forward(x.clone(), &context.within("v"));
        let positions = match (&self.gate, &shared.positions) {
            (Some(gate), Some(positions)) => {
                let x = x.reshape([batch, time, self.heads, head]).swap_dims(1, 2);
                Some(gate.forward(x, positions.clone(), context))
            }
            _ => None,
        };
        let extras = Extras {
            bias: positions,
            lengths: shared.lengths.as_ref(),
            dropout: rates.attention,
        };
        let mixed = attend([query, key, value], self.heads, extras, context);
        self.out_proj.forward(mixed, &context.within("out"))
    }
}

/// Outputs of the gate's linear layer: two gates, each the sum of four.
const GATE_PARTS: usize = 8;

impl Gate {
    /// Scales the shared position bias for each query and head.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, time, head width]`, the layer's input split into heads
    /// - `positions`: `[1, heads, time, time]`
    /// - output: `[batch, heads, time, time]`
    fn forward(&self, x: Tensor<4>, positions: Tensor<4>, context: &Context) -> Tensor<4> {
        let [batch, heads, time, _] = x.dims();
        let gates = self
            .gru_rel_pos_linear
            .forward(x, context)
            .reshape([batch, heads, time, 2, GATE_PARTS / 2])
            .sum_dim(4)
            .reshape([batch, heads, time, 2]);
        let gates = burn::tensor::activation::sigmoid(gates);
        let (update, reset) = (gates.clone().narrow(3, 0, 1), gates.narrow(3, 1, 1));
        let (constant, reset) = self.gru_rel_pos_const.beside(reset);
        let inner = reset * constant - 1.0;
        let (update, inner) = together(update, inner);
        let (scale, positions) = together(update * inner + 2.0, positions);
        scale * positions
    }
}
