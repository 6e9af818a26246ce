//! The positional convolutions of the wav2vec 2.0 layout.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use emorun_kernels as kernels;

use super::config::SpeechConfig;
use super::encoder::masked;
use super::reader::{Init, WeightReader};
use super::wav2vec2::CONV_EPS;
use super::weight::{Weight, together};
use emorun_nn::precision::Precision;
use emorun_nn::value::Lengths;

/// Grouped convolutions over frames that tell positions.
///
/// # Source
/// Baevski et al. 2020, §2 (one, with weight norm over the kernel axis); data2vec has several, each
/// with a layer norm that has no parameters.
#[derive(Module, Debug)]
pub(super) struct PositionalConvolutions {
    batch_norm: Option<FixedBatchNorm>,
    layers: Vec<PositionalConvolution>,
    #[module(skip)]
    normalised: bool,
    #[module(skip)]
    groups: usize,
}

#[derive(Module, Debug)]
struct PositionalConvolution {
    kernel: PositionalKernel,
    bias: Weight<1>,
}

/// `[channels, channels / groups, kernel]`, or its magnitude and direction where they train.
#[derive(Module, Debug)]
enum PositionalKernel {
    Plain(PlainKernel),
    WeightNorm(WeightNorm),
}

#[derive(Module, Debug)]
struct PlainKernel {
    weight: Weight<3>,
}

/// # Source
/// Salimans & Kingma 2016, with one magnitude for each place of the kernel (`dim=2`).
#[derive(Module, Debug)]
struct WeightNorm {
    /// `[1, 1, kernel]`
    weight_g: Param<Tensor<3>>,
    /// `[channels, channels / groups, kernel]`
    weight_v: Param<Tensor<3>>,
}

fn weight_norm(g: Tensor<3>, v: Tensor<3>) -> Tensor<3> {
    let norm = v.clone().square().sum_dim(0).sum_dim(1).sqrt();
    v * (g / norm)
}

impl PositionalConvolutions {
    /// Reads what a configuration asks for.
    pub(super) fn read(config: &SpeechConfig, reader: &mut WeightReader<'_>) -> Self {
        let shape = [
            config.hidden,
            config.hidden / config.position_groups,
            config.position_kernel,
        ];
        let deviation = 2.0 * (1.0 / (config.position_kernel * config.hidden) as f64).sqrt();
        let init = Init::Normal(deviation);
        let stacked = config.family.stacked_positions;
        let batch_norm = config
            .position_batch_norm
            .then(|| FixedBatchNorm::read("encoder.pos_conv_embed.batch_norm", config.hidden, reader));
        let layers = (0..config.position_layers)
            .map(|index| {
                let name = match stacked {
                    true => format!("encoder.pos_conv_embed.layers.{index}.conv"),
                    false => "encoder.pos_conv_embed.conv".to_owned(),
                };
                if stacked || batch_norm.is_some() {
                    return PositionalConvolution {
                        kernel: PositionalKernel::Plain(PlainKernel {
                            weight: reader.tensor(&format!("{name}.weight"), shape, init),
                        }),
                        bias: reader.tensor(&format!("{name}.bias"), [config.hidden], Init::Zeros),
                    };
                }
                // Two spellings: of torch.nn.utils.weight_norm, and of its parametrization.
                let new = format!("{name}.parametrizations.weight.original");
                let (g, v) = if reader.has(&format!("{new}0")) {
                    (format!("{new}0"), format!("{new}1"))
                } else {
                    (format!("{name}.weight_g"), format!("{name}.weight_v"))
                };
                let g = reader.tensor(&g, [1, 1, config.position_kernel], Init::Ones);
                let v = reader.tensor(&v, shape, init);
                let kernel = match (g, v) {
                    (Weight::Trained(weight_g), Weight::Trained(weight_v)) => {
                        PositionalKernel::WeightNorm(WeightNorm { weight_g, weight_v })
                    }
                    (g, v) => PositionalKernel::Plain(PlainKernel {
                        weight: Weight::frozen(weight_norm(g.value(), v.value())),
                    }),
                };
                PositionalConvolution {
                    kernel,
                    bias: reader.tensor(&format!("{name}.bias"), [config.hidden], Init::Zeros),
                }
            })
            .collect();
        Self {
            batch_norm,
            layers,
            normalised: stacked,
            groups: config.position_groups,
        }
    }

    /// # Shapes
    /// - `x`, output: `[batch, frames, channels]`
    pub(super) fn forward(&self, x: Tensor<3>, lengths: &Lengths, precision: Precision) -> Tensor<3> {
        let x = match &self.batch_norm {
            // The convolution would mix what padding has become into valid frames.
            Some(norm) => masked(norm.forward(x), lengths),
            None => x,
        };
        self.layers.iter().fold(x, |x, layer| {
            let (weight, x) = match &layer.kernel {
                PositionalKernel::Plain(kernel) => kernel.weight.factor_beside(x, precision),
                PositionalKernel::WeightNorm(kernel) => {
                    together(weight_norm(kernel.weight_g.val(), kernel.weight_v.val()), x)
                }
            };
            let (bias, x) = layer.bias.factor_beside(x, precision);
            let (weight, x) = together(weight, x);
            let (x, weight, bias) = (precision.factor(x), precision.factor(weight), precision.factor(bias));
            let mut x = precision.product(kernels::grouped_same_conv(x, weight, bias, self.groups));
            if self.normalised {
                let [_, _, width] = x.dims();
                let device = x.device();
                x = kernels::layer_norm(
                    x,
                    Tensor::ones([width], &device),
                    Tensor::zeros([width], &device),
                    CONV_EPS,
                );
            }
            // The next convolution would mix what padding has become into valid frames.
            masked(kernels::gelu(x), lengths)
        })
    }
}

/// Batch norm with the statistics of the checkpoint, also while its scale and shift train: those of a batch would make an
/// item depend on the others.
///
/// `y = (x − mean) / √(variance + ε) · weight + bias`, for each channel.
///
/// # Source
/// `conv_pos_batch_norm` of transformers' HuBERT (Boito et al., mHuBERT-147, Interspeech 2024), in `eval` mode.
#[derive(Module, Debug)]
struct FixedBatchNorm {
    weight: Weight<1>,
    bias: Weight<1>,
    mean: Weight<1>,
    variance: Weight<1>,
}

impl FixedBatchNorm {
    fn read(name: &str, width: usize, reader: &mut WeightReader<'_>) -> Self {
        Self {
            weight: reader.tensor(&format!("{name}.weight"), [width], Init::Ones),
            bias: reader.tensor(&format!("{name}.bias"), [width], Init::Zeros),
            mean: reader.constant(&format!("{name}.running_mean"), [width], Init::Zeros),
            variance: reader.constant(&format!("{name}.running_var"), [width], Init::Ones),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let scale = self.variance.value().add_scalar(CONV_EPS).sqrt().recip();
        let (weight, scale) = self.weight.beside(scale);
        let scale = weight * scale;
        let (mean, scale) = self.mean.beside(scale);
        let (bias, shift) = self.bias.beside(mean * scale.clone());
        let shift = bias - shift;
        let (scale, x) = together(scale, x);
        let (shift, x) = together(shift, x);
        let (scale, x) = together(scale, x);
        x * scale.unsqueeze() + shift.unsqueeze()
    }
}
