//! Convolution and attention in which no frame knows of later ones, of whole sequences or in stretches.

use burn::module::Module;
use burn::nn::PaddingConfig1d;
use burn::nn::attention::MultiHeadAttention;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::transformer::TransformerEncoderLayer;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::state::State;

/// Convolution over time that is padded in front alone.
///
/// # Source
/// van den Oord et al. 2016, "WaveNet", §2.1; Bai, Kolter & Koltun 2018, §3.2.
#[derive(Module, Debug)]
pub struct CausalConv {
    conv: Conv1d,
    #[module(skip)]
    before: usize,
}

impl CausalConv {
    /// A layer from frames of `input` width to `output`, whose `kernel_size` taps lie `dilation` frames apart.
    pub fn new(input: usize, output: usize, kernel_size: usize, dilation: usize, device: &Device) -> Self {
        Self {
            conv: Conv1dConfig::new(input, output, kernel_size)
                .with_dilation(dilation)
                .with_padding(PaddingConfig1d::Valid)
                .init(device),
            before: (kernel_size - 1) * dilation,
        }
    }

    /// Number of parameters.
    pub fn parameters(input: usize, output: usize, kernel_size: usize) -> u64 {
        (output * (input * kernel_size + 1)) as u64
    }

    /// # Shapes
    /// - `x`: `[batch, time, input]`
    /// - output: `[batch, time, output]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.step(x, &mut State::default())
    }

    /// As [`Self::forward`], for the next frames of sequences whose earlier ones were given before.
    pub fn step(&self, mut x: Tensor<3>, state: &mut State) -> Tensor<3> {
        let [batch, time, width] = x.dims();
        if self.before > 0 {
            let before = state
                .take("before")
                .unwrap_or_else(|| Tensor::zeros([batch, self.before, width], &x.device()));
            x = Tensor::cat(vec![before, x], 1);
            state.put("before", x.clone().narrow(1, time, self.before));
        }
        self.conv.forward(x.swap_dims(1, 2)).swap_dims(1, 2)
    }
}

/// `[time, before + time]`: true where a frame must not look, for it lies ahead.
fn ahead(before: usize, time: usize, device: &Device) -> Tensor<2, Bool> {
    let rows = Tensor::<1, Int>::arange(before as i64..(before + time) as i64, device).reshape([time, 1]);
    let columns = Tensor::<1, Int>::arange(0..(before + time) as i64, device).reshape([1, before + time]);
    columns
        .expand([time, before + time])
        .greater(rows.expand([time, before + time]))
}

/// A transformer layer in which no frame attends to later ones. With dropout, as the layer has it while training.
///
/// # Shapes
/// - `x`: `[batch, time, width]`
/// - output: `[batch, time, width]`
pub fn causal_layer(layer: &TransformerEncoderLayer, x: Tensor<3>) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let mask = ahead(0, time, &x.device()).unsqueeze::<3>().expand([batch, time, time]);
    // Padding lies behind an item's own frames, which do not look there.
    layer.forward(x, None, Some(mask))
}

/// As [`causal_layer`] outside training, for the next frames of sequences whose earlier ones were given before: their
/// keys and values are remembered.
pub fn causal_layer_step(layer: &TransformerEncoderLayer, x: Tensor<3>, state: &mut State) -> Tensor<3> {
    let attended = |x: Tensor<3>, state: &mut State| attend(&layer.mha, x, state);
    if layer.norm_first {
        let x = x.clone() + attended(layer.norm_2.forward(x), state);
        return x.clone() + layer.pwff.forward(layer.norm_1.forward(x));
    }
    let x = layer.norm_1.forward(x.clone() + attended(x, state));
    layer.norm_2.forward(x.clone() + layer.pwff.forward(x))
}

/// Attention of new frames to the earlier ones and to themselves.
fn attend(mha: &MultiHeadAttention, x: Tensor<3>, state: &mut State) -> Tensor<3> {
    let [batch, time, width] = x.dims();
    let heads = |x: Tensor<3>| x.reshape([batch, time, mha.n_heads, mha.d_k]).swap_dims(1, 2);
    let query = heads(mha.query.forward(x.clone()));
    let mut joined = |name: &str, new: Tensor<4>| {
        let all = match state.take::<4>(name) {
            Some(before) => Tensor::cat(vec![before, new], 2),
            None => new,
        };
        state.put(name, all.clone());
        all
    };
    let key = joined("key", heads(mha.key.forward(x.clone())));
    let value = joined("value", heads(mha.value.forward(x)));
    let before = key.dims()[2] - time;
    let scores = query.matmul(key.swap_dims(2, 3)).div_scalar((mha.d_k as f64).sqrt());
    let mask = ahead(before, time, &scores.device())
        .unsqueeze::<4>()
        .expand(scores.shape());
    let weights = softmax(scores.mask_fill(mask, mha.min_float), 3);
    let context = weights.matmul(value).swap_dims(1, 2).reshape([batch, time, width]);
    mha.output.forward(context)
}
