//! Attention as the layers of all pretrained models compute it.

use burn::tensor::Tensor;
use emorun_kernels as kernels;

use super::weight::together;
use emorun_nn::node::Context;
use emorun_nn::value::Lengths;

/// What attention takes beside queries, keys and values.
pub struct Extras<'a> {
    /// Added to the scores, `[batch or 1, heads, queries, keys]`.
    pub bias: Option<Tensor<4>>,
    /// Valid keys of each item, where there is padding.
    pub lengths: Option<&'a Lengths>,
    /// Probability of dropout on the weights.
    pub dropout: f64,
}

/// Scaled dot-product attention over heads that lie side by side.
///
/// # Shapes
/// - queries, keys, values and output: `[batch, time, width]`
pub fn attend([query, key, value]: [Tensor<3>; 3], heads: usize, extras: Extras<'_>, context: &Context) -> Tensor<3> {
    let (query, key) = together(query, key);
    let (key, value) = together(key, value);
    let (query, value) = together(query, value);
    let (bias, query, key, value) = match extras.bias {
        Some(bias) => {
            let (bias, query) = together(bias, query);
            let (key, bias) = together(key, bias);
            let (value, bias) = together(value, bias);
            (Some(bias), query, key, value)
        }
        None => (None, query, key, value),
    };
    let device = query.device();
    let mask = extras.lengths.filter(|_| !kernels::runs_on(&device));
    let mask = mask.map(|lengths| lengths.mask(key.dims()[1], &device));
    let precision = context.precision;
    let [query, key, value] = [query, key, value].map(|x| precision.factor(x));
    let extras = kernels::AttentionExtras {
        bias,
        dropout: context.dropout_at(extras.dropout, "attention"),
        lengths: extras.lengths.map(Lengths::as_slice),
        mask,
    };
    precision.product(kernels::attention(query, key, value, heads, extras))
}
