//! Layers of a transformer encoder, of whole sequences or in stretches.
//!
//! As Burn's own forward of a layer, but for the GELU, whose gradient Burn approximates outside the CPU, and for dropout,
//! which Burn draws from the device's generator.

use burn::nn::activation::Activation;
use burn::nn::attention::MultiHeadAttention;
use burn::nn::transformer::TransformerEncoderLayer;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor};
use emorun_kernels::composed_gelu;

use crate::node::Context;
use crate::state::State;

/// What a frame attends to.
#[derive(Clone, Debug)]
pub enum Attends {
    /// All frames but padding, `[batch, time]`, which is true there.
    Within(Tensor<2, Bool>),
    /// Itself and the frames before it. Padding lies behind an item's own frames, which do not look there.
    Before,
}

/// A layer on whole sequences, with dropout as the layer has it while training.
///
/// # Shapes
/// - `x`: `[batch, time, width]`
/// - output: `[batch, time, width]`
pub fn encoder_layer(layer: &TransformerEncoderLayer, x: Tensor<3>, attends: &Attends, context: &Context) -> Tensor<3> {
    let attended = |x: Tensor<3>| {
        let attended = attend_whole(&layer.mha, x, attends, context);
        context.dropout(attended, layer.dropout.prob, "attended")
    };
    let fed = |x: Tensor<3>| {
        let fed = feed_forward(layer, x, |hidden| {
            context.dropout(hidden, layer.pwff.dropout.prob, "activation")
        });
        context.dropout(fed, layer.dropout.prob, "fed")
    };
    if layer.norm_first {
        let x = x.clone() + attended(layer.norm_2.forward(x));
        return x.clone() + fed(layer.norm_1.forward(x));
    }
    let x = layer.norm_1.forward(x.clone() + attended(x));
    layer.norm_2.forward(x.clone() + fed(x))
}

/// As [`encoder_layer`] of frames that attend to those before, outside training, for the next frames of sequences whose
/// earlier ones were given before: their keys and values are remembered.
pub fn encoder_layer_step(layer: &TransformerEncoderLayer, x: Tensor<3>, state: &mut State) -> Tensor<3> {
    let attended = |x: Tensor<3>, state: &mut State| attend(&layer.mha, x, state);
    if layer.norm_first {
        let x = x.clone() + attended(layer.norm_2.forward(x), state);
        return x.clone() + feed_forward(layer, layer.norm_1.forward(x), |hidden| hidden);
    }
    let x = layer.norm_1.forward(x.clone() + attended(x, state));
    layer
        .norm_2
        .forward(x.clone() + feed_forward(layer, x, |hidden| hidden))
}

fn feed_forward(
    layer: &TransformerEncoderLayer,
    x: Tensor<3>,
    dropped: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let feed = &layer.pwff;
    let hidden = feed.linear_inner.forward(x);
    let hidden = match &feed.activation {
        Activation::Gelu(_) => composed_gelu(hidden),
        activation => activation.forward(hidden),
    };
    feed.linear_outer.forward(dropped(hidden))
}

/// `[time, before + time]`: true where a frame must not look, for it lies ahead.
fn ahead(before: usize, time: usize, device: &Device) -> Tensor<2, Bool> {
    let rows = Tensor::<1, Int>::arange(before as i64..(before + time) as i64, device).reshape([time, 1]);
    let columns = Tensor::<1, Int>::arange(0..(before + time) as i64, device).reshape([1, before + time]);
    columns
        .expand([time, before + time])
        .greater(rows.expand([time, before + time]))
}

/// Attention of all frames to those that they attend to.
fn attend_whole(mha: &MultiHeadAttention, x: Tensor<3>, attends: &Attends, context: &Context) -> Tensor<3> {
    let [batch, time, width] = x.dims();
    let heads = |x: Tensor<3>| x.reshape([batch, time, mha.n_heads, mha.d_k]).swap_dims(1, 2);
    let query = heads(mha.query.forward(x.clone()));
    let key = heads(mha.key.forward(x.clone()));
    let value = heads(mha.value.forward(x));
    let scores = query.matmul(key.transpose()).div_scalar((mha.d_k as f32).sqrt());
    let hidden = match attends {
        Attends::Within(padding) => padding.clone().reshape([batch, 1, 1, time]),
        Attends::Before => ahead(0, time, &scores.device())
            .unsqueeze::<4>()
            .expand([batch, 1, time, time]),
    };
    let weights = softmax(scores.mask_fill(hidden, mha.min_float), 3);
    let weights = context.dropout(weights, mha.dropout.prob, "attention");
    let context = weights.matmul(value).swap_dims(1, 2).reshape([batch, time, width]);
    mha.output.forward(context)
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
