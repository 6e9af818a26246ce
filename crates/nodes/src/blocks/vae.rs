//! Streams of frames as a normal distribution.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig};
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Inputs, Placement, Signal};
use rand_distr::{Distribution as _, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{misfit, trainable};
use emorun_nn::draw::DrawKey;
use emorun_nn::facts::Facts;
use emorun_nn::layers::activation::Activation;
use emorun_nn::layers::dense::Dense;
use emorun_nn::layers::positions::sinusoidal;
use emorun_nn::layers::transformer::{Attends, encoder_layer};
use emorun_nn::node::{BuildContext, BuildError, Context, Latent, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::{Distribution, Lengths, Value};

/// Streams of frames as a diagonal normal distribution: each stream is brought to `width` by a linear layer and they are
/// added, two learnable tokens stand in front of the frames, transformer layers let them see the frames, and linear layers
/// make `μ` of the one and `log σ²` of the other.
///
/// It gives a drawn vector while training, keyed by (seed, epoch, item), and `μ` otherwise; the port `distribution` is what a
/// `kl_divergence` takes. Where a rollout holds it (`uses: { latent: … }`), that one draws.
///
/// Source: Kingma & Welling, ICLR 2014; the tokens after Petrovich, Black & Varol, "Action-conditioned 3D human motion
/// synthesis with transformer VAE", ICCV 2021, §3.2.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vae {
    /// Streams of frames at one rate.
    pub inputs: Inputs,
    /// Dimensions of the distribution.
    #[serde(default = "default_latent")]
    #[schemars(range(min = 1, max = 65536))]
    pub latent: usize,
    /// Width of the transformer.
    #[serde(default = "default_width")]
    #[schemars(range(min = 2, max = 8192))]
    pub width: usize,
    /// Number of its layers.
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
    /// Dropout probability.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
}

fn default_latent() -> usize {
    256
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
fn default_dropout() -> f64 {
    0.1
}

/// The streams below `inputs`, which are frames at one rate: ports and widths, and the rate.
///
/// # Errors
/// There is none, or they carry something else or differ in their rate.
fn streams_on(inputs: &InputSignals<'_>) -> Result<(Vec<String>, Vec<usize>, emorun_lang::FrameRate), InferError> {
    let (mut ports, mut widths, mut shared) = (Vec::new(), Vec::new(), None);
    for (name, signal) in inputs.below("inputs") {
        let port = format!("inputs.{name}");
        let Signal::Frames { width, rate } = signal else {
            return Err(misfit(&port, "frames", signal));
        };
        if shared.is_some_and(|shared| shared != *rate) {
            return Err(InferError::Mismatch {
                port,
                wanted: format!("frames at the rate of `{}`", ports.first().cloned().unwrap_or_default()),
                found: signal.clone(),
                help: Some("`align` brings frames to another rate".to_owned()),
            });
        }
        shared = Some(*rate);
        ports.push(port);
        widths.push(*width);
    }
    let rate = shared.ok_or_else(|| InferError::invalid("inputs", "must name a stream"))?;
    Ok((ports, widths, rate))
}

impl Vae {
    fn check(&self) -> Result<(), InferError> {
        if !self.width.is_multiple_of(self.heads) || !self.width.is_multiple_of(2) {
            let message = format!("must be even and a multiple of the {} heads", self.heads);
            return Err(InferError::invalid("width", message));
        }
        Ok(())
    }

    fn layers_of(&self, widths: &[usize]) -> (Vec<Dense>, [Dense; 2]) {
        let streams = widths.iter().map(|&input| Dense::new(input, self.width)).collect();
        (streams, [Dense::new(self.width, self.latent); 2])
    }
}

impl Kind for Vae {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        self.check()?;
        let (_, widths, rate) = streams_on(inputs)?;
        let (streams, outputs) = self.layers_of(&widths);
        let (d, ff) = (self.width as u64, self.feed_forward as u64);
        let layer = 4 * (d * d + d) + 2 * d * ff + d + ff + 4 * d;
        let linear = streams.iter().chain(&outputs).map(Dense::parameters).sum::<u64>();
        let parameters = linear + self.layers as u64 * layer + 2 * d;
        Ok(Inferred {
            outputs: vec![
                (String::new(), Signal::Vector { width: self.latent }),
                ("distribution".to_owned(), Signal::Distribution { width: self.latent }),
            ],
            placement: Placement::Device,
            cost: Cost {
                flops_per_second: 2.0 * parameters as f64 * rate.hz(),
                activation_floats_per_second: rate.hz() * self.layers as f64 * (8 * d + 3 * ff) as f64,
                activation_floats_per_square_second: rate.hz().powi(2) * (5 * self.layers * self.heads) as f64,
                ..trainable(parameters)
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for Vae {
    type Layer = VaeLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<VaeLayer, BuildError> {
        let (ports, widths, _) = streams_on(inputs)?;
        let (streams, [mean, log_variance]) = self.layers_of(&widths);
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        Ok(VaeLayer {
            streams: streams.iter().map(|layer| layer.build(context.device)).collect(),
            tokens: normal.init([2, self.width], context.device),
            encoder: TransformerEncoderConfig::new(self.width, self.feed_forward, self.heads, self.layers)
                .with_dropout(self.dropout)
                .with_norm_first(true)
                .with_activation(Activation::Gelu.config())
                .init(context.device),
            mean: mean.build(context.device),
            log_variance: log_variance.build(context.device),
            ports,
            widths,
        })
    }
}

/// See [`Vae`].
#[derive(Module, Debug)]
pub struct VaeLayer {
    streams: Vec<Linear>,
    /// That of `μ`, then that of `log σ²`, `[2, width]`.
    tokens: Param<Tensor<2>>,
    encoder: TransformerEncoder,
    mean: Linear,
    log_variance: Linear,
    #[module(skip)]
    ports: Vec<String>,
    #[module(skip)]
    widths: Vec<usize>,
}

/// Numbers of a standard normal distribution, `width` for each key, the same for the same key.
pub(crate) fn normal_rows(keys: impl Iterator<Item = DrawKey>, width: usize) -> TensorData {
    let mut rows = 0;
    let mut numbers = Vec::new();
    for key in keys {
        let mut rng = key.rng();
        numbers.extend((0..width).map(|_| -> f32 {
            let number: f64 = StandardNormal.sample(&mut rng);
            number as f32
        }));
        rows += 1;
    }
    TensorData::new(numbers, [rows, width])
}

impl Latent for VaeLayer {
    fn distribution(
        &self,
        streams: &[Tensor<3>],
        mask: Tensor<2>,
        context: &Context,
    ) -> Result<(Tensor<2>, Tensor<2>), NodeError> {
        let widths: Vec<usize> = streams.iter().map(|stream| stream.dims()[2]).collect();
        if widths != self.widths {
            return Err(NodeError::Held {
                port: "uses.latent".to_owned(),
                reason: format!("takes streams {:?} wide, not {widths:?}", self.widths),
            });
        }
        let [batch, time] = mask.dims();
        let [_, width] = self.tokens.dims();
        let device = mask.device();
        let tokens = self.tokens.val().unsqueeze::<3>().expand([batch, 2, width]);
        let projected = self.streams.iter().zip(streams);
        let projected = projected.map(|(layer, stream)| layer.forward(stream.clone()));
        let x = match projected.reduce(Tensor::add).filter(|_| time > 0) {
            Some(frames) => Tensor::cat(vec![tokens, frames], 1),
            None => tokens,
        };
        let mut x = x + sinusoidal(0, 2 + time, width, None, &device);
        let there = match time {
            0 => Tensor::ones([batch, 2], &device),
            _ => Tensor::cat(vec![Tensor::ones([batch, 2], &device), mask], 1),
        };
        let attends = Attends::Within(there.equal_elem(0.0));
        for (at, layer) in self.encoder.layers.iter().enumerate() {
            x = encoder_layer(layer, x, &attends, &context.within(&format!("layer {at}")));
        }
        let token = |at: usize| x.clone().narrow(1, at, 1).reshape([batch, width]);
        Ok((self.mean.forward(token(0)), self.log_variance.forward(token(1))))
    }
}

impl Layer for VaeLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let mut streams = Vec::with_capacity(self.ports.len());
        let mut shared: Option<Vec<usize>> = None;
        for port in &self.ports {
            let (frames, lengths) = inputs.frames(port)?;
            streams.push(frames);
            let own = lengths.as_slice().iter().copied();
            shared = Some(match shared {
                Some(shared) => shared.into_iter().zip(own).map(|(a, b)| a.min(b)).collect(),
                None => own.collect(),
            });
        }
        let lengths = Lengths::new(shared.unwrap_or_default());
        let time = lengths.longest();
        let streams: Vec<Tensor<3>> = streams.into_iter().map(|stream| stream.narrow(1, 0, time)).collect();
        let device = self.tokens.device();
        let (mean, log_variance) = self.distribution(&streams, lengths.mask(time, &device), context)?;
        let [batch, width] = mean.dims();
        let drawn = if context.training {
            let keys = context.items.iter().map(|item| context.epoch.with(item));
            let noise = Tensor::<2>::from_data(normal_rows(keys, width), &device);
            mean.clone() + log_variance.clone().mul_scalar(0.5).exp() * noise
        } else {
            mean.clone()
        };
        let steps = |x: Tensor<2>| x.reshape([batch, 1, width]);
        let distribution = Distribution {
            mean: steps(mean),
            log_variance: steps(log_variance),
            lengths: Lengths::new(vec![1; batch]),
        };
        Ok(vec![
            ("", Value::Vector(drawn)),
            ("distribution", Value::Distribution(distribution)),
        ])
    }

    fn as_latent(&self) -> Option<&dyn Latent> {
        Some(self)
    }
}
