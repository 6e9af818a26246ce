//! Scaled dot-product attention over several heads.

use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, Tensor, TensorData, activation::softmax};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::dropout::{self, Dropout};
use super::gemm::{Strides, product, rows, transposed};
use super::kernel::{self, Kernel};
use super::simd::{dense, exp_negative, multiply_add, sum, sum2, vectorised, zeros};
use super::tensor;

/// Scores that a task holds at once.
const SCORES: usize = 1 << 16;

/// What attention takes beside queries, keys and values.
#[derive(Clone, Debug, Default)]
pub struct AttentionExtras<'a> {
    /// Added to the scores: `[batch or 1, heads or 1, queries or 1, keys]`.
    pub bias: Option<Tensor<4>>,
    /// Dropout of the weights, `[batch, heads, queries, keys]`.
    pub dropout: Option<Dropout>,
    /// Valid keys of each item; those behind get no weight. All, where absent.
    pub lengths: Option<&'a [usize]>,
    /// The same as `1` and `0`, `[batch, keys]`, where it is on the device already; the CPU takes the lengths.
    pub mask: Option<Tensor<2>>,
}

/// `softmax(Q · Kᵀ / √(head width) + bias) · V`, head by head.
///
/// On the CPU scores are never held for more than a few queries at once, and are computed again for
/// the gradient. Values and gradients are within 2e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `query` and output: `[batch, queries, width]`; `key`, `value`: `[batch, keys, width]`, the heads
///   side by side on the last axis
///
/// # Source
/// Vaswani et al. 2017, §3.2; Dao et al. 2022, §3.1 (computing the weights again).
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    extras: AttentionExtras<'_>,
) -> Tensor<3> {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    assert!(
        heads > 0
            && width % heads == 0
            && key.dims() == value.dims()
            && key.dims()[0] == batch
            && key.dims()[2] == width,
        "attention: {heads} heads over queries {:?}, keys {:?} and values {:?}",
        query.dims(),
        key.dims(),
        value.dims()
    );
    let lengths = extras.lengths.map_or_else(|| vec![keys; batch], <[usize]>::to_vec);
    assert!(
        lengths.len() == batch && lengths.iter().all(|&length| length <= keys),
        "attention: lengths {lengths:?} do not fit {batch} items of {keys} keys"
    );
    if !kernel::runs_on(&query) {
        return plain(query, key, value, heads, extras);
    }
    let AttentionExtras { bias, dropout, .. } = extras;
    let attention = Attention {
        batch,
        heads,
        queries,
        keys,
        head: width / heads,
        lengths,
        bias: bias.as_ref().map(Tensor::dims),
        dropout,
    };
    let mut inputs = vec![query.into_dispatch(), key.into_dispatch(), value.into_dispatch()];
    inputs.extend(bias.map(Tensor::into_dispatch));
    kernel::run(attention, inputs)
}

fn plain(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize, extras: AttentionExtras<'_>) -> Tensor<3> {
    let ([batch, queries, width], [_, keys, _]) = (query.dims(), key.dims());
    let head = width / heads;
    let split = |x: Tensor<3>| {
        let [_, time, _] = x.dims();
        x.reshape([batch, time, heads, head]).swap_dims(1, 2)
    };
    let dtype = value.dtype();
    let mut scores = split(query).matmul(split(key).transpose());
    if matches!(dtype, DType::BF16 | DType::F16) {
        // The softmax is in single precision also where the products are not.
        scores = scores.cast(DType::F32);
    }
    let mut scores = scores.mul_scalar((head as f64).powf(-0.5));
    if let Some(bias) = extras.bias {
        scores = scores + bias;
    }
    if let Some(mask) = extras.mask {
        let hidden = mask.sub_scalar(1.0).mul_scalar(1e30);
        scores = scores.clone() + hidden.reshape([batch, 1, 1, keys]).cast(scores.dtype());
    } else if let Some(lengths) = extras.lengths {
        let hidden = lengths
            .iter()
            .flat_map(|&length| (0..keys).map(move |key| if key < length { 0.0 } else { -1e30 }));
        let hidden = TensorData::new(hidden.collect::<Vec<f32>>(), [batch, 1, 1, keys]);
        scores = scores.clone() + Tensor::<4>::from_data(hidden, &scores.device()).cast(scores.dtype());
    }
    let mut weights = softmax(scores, 3);
    if let Some(dropout) = extras.dropout {
        weights = dropout::plain(weights, dropout);
    }
    weights
        .cast(dtype)
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([batch, queries, width])
}

#[derive(Debug)]
struct Attention {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    /// Width of a head.
    head: usize,
    lengths: Vec<usize>,
    bias: Option<[usize; 4]>,
    dropout: Option<Dropout>,
}

vectorised! {
    /// `scale · score + bias` in place; gives the largest.
    fn scale_and_add(scores: &mut [f32], scale: f32, bias: Option<&[f32]>) -> f32 {
        match bias {
            Some(bias) => {
                for (score, &bias) in scores.iter_mut().zip(bias) {
                    *score = multiply_add::<FMA>(*score, scale, bias);
                }
            }
            None => scores.iter_mut().for_each(|score| *score *= scale),
        }
        let mut lanes = [f32::NEG_INFINITY; 16];
        let mut whole = scores.chunks_exact(16);
        for chunk in &mut whole {
            for (lane, &score) in lanes.iter_mut().zip(chunk) {
                *lane = if score > *lane { score } else { *lane };
            }
        }
        lanes.iter().chain(whole.remainder()).fold(f32::NEG_INFINITY, |top, &score| top.max(score))
    }
}

vectorised! {
    /// `exp(score − top)` in place; gives their sum.
    fn exponentials(scores: &mut [f32], top: f32) -> f32 {
        for score in scores.iter_mut() {
            *score = exp_negative::<FMA>(*score - top);
        }
        sum(scores, |weight| weight)
    }
}

vectorised! {
    fn scale(numbers: &mut [f32], factor: f32) {
        for number in numbers {
            *number *= factor;
        }
    }
}

vectorised! {
    /// Gradient of the scores from that of the weights, in place: `weight · (gradient − Σ weight · gradient)`.
    fn softmax_gradient(weights: &[f32], gradient: &mut [f32]) {
        let along = sum2(weights, gradient, |weight, gradient| weight * gradient);
        for (gradient, &weight) in gradient.iter_mut().zip(weights) {
            *gradient = weight * (*gradient - along);
        }
    }
}

/// Where one head of one item lies in `[batch, time, width]`.
#[derive(Clone, Copy)]
struct Head<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    item: usize,
    head: usize,
}

impl Attention {
    fn width(&self) -> usize {
        self.heads * self.head
    }

    fn place(&self) -> Strides {
        rows(self.width())
    }

    fn scale(&self) -> f32 {
        (self.head as f64).powf(-0.5) as f32
    }

    /// Queries that a task takes at once.
    fn tile(&self) -> usize {
        (SCORES / self.keys.max(1)).clamp(32, self.queries.max(32))
    }

    fn head<'a>(&self, at: usize, query: &'a [f32], key: &'a [f32], value: &'a [f32]) -> Head<'a> {
        let (item, head) = (at / self.heads, at % self.heads);
        let from = |numbers: &'a [f32], time: usize| &numbers[item * time * self.width() + head * self.head..];
        Head {
            query: from(query, self.queries),
            key: from(key, self.keys),
            value: from(value, self.keys),
            item,
            head,
        }
    }

    /// The bias of one query, if there is one.
    fn bias<'a>(&self, bias: Option<&'a [f32]>, item: usize, head: usize, query: usize) -> Option<&'a [f32]> {
        let (bias, [items, heads, queries, keys]) = (bias?, self.bias?);
        let at = |index: usize, size: usize| if size == 1 { 0 } else { index };
        let row = (at(item, items) * heads + at(head, heads)) * queries + at(query, queries);
        Some(&bias[row * keys..(row + 1) * keys])
    }

    /// Weights of the valid keys for some queries, `[queries, valid]`.
    fn weights(&self, at: Head<'_>, queries: std::ops::Range<usize>, bias: Option<&[f32]>, weights: &mut Vec<f32>) {
        let valid = self.lengths[at.item];
        weights.resize(queries.len() * valid, 0.0);
        if valid == 0 {
            return;
        }
        product(
            [queries.len(), self.head, valid],
            (&at.query[queries.start * self.width()..], self.place()),
            (at.key, transposed(self.width())),
            (weights, rows(valid)),
            false,
        );
        for (row, query) in weights.chunks_exact_mut(valid).zip(queries) {
            let bias = self.bias(bias, at.item, at.head, query).map(|bias| &bias[..valid]);
            let top = scale_and_add(row, self.scale(), bias);
            let sum = exponentials(row, top);
            scale(row, 1.0 / sum);
        }
    }

    /// The place of a query's first weight among all.
    fn first_weight(&self, at: Head<'_>, query: usize) -> usize {
        ((at.item * self.heads + at.head) * self.queries + query) * self.keys
    }

    fn tiles(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (queries, tile) = (self.queries, self.tile());
        (0..queries)
            .step_by(tile)
            .map(move |first| first..(first + tile).min(queries))
    }

    /// Heads' `[time, head]` side by side as `[batch, time, width]`.
    fn join(&self, heads: &[&[f32]], time: usize) -> FlexTensor {
        let mut out = zeros(self.batch * time * self.width());
        out.par_chunks_exact_mut(self.width().max(1))
            .with_min_len(64)
            .enumerate()
            .for_each(|(frame, out)| {
                let (item, frame) = (frame / time, frame % time);
                for (head, out) in out.chunks_exact_mut(self.head).enumerate() {
                    out.copy_from_slice(&heads[item * self.heads + head][frame * self.head..(frame + 1) * self.head]);
                }
            });
        tensor(out, [self.batch, time, self.width()])
    }
}

/// Queries, keys, values and what may be there beside them.
struct Inputs {
    tensors: Vec<FlexTensor>,
    bias: Option<usize>,
}

impl Inputs {
    fn new(tensors: Vec<FlexTensor>, attention: &Attention) -> Self {
        let bias = attention.bias.map(|_| 3);
        Self {
            tensors: tensors.into_iter().map(dense).collect(),
            bias,
        }
    }

    fn get(&self, at: usize) -> &[f32] {
        self.tensors[at].storage()
    }

    fn bias(&self) -> Option<&[f32]> {
        self.bias.map(|at| self.get(at))
    }
}

impl Kernel for Attention {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let inputs = Inputs::new(inputs, self);
        let heads: Vec<Vec<f32>> = (0..self.batch * self.heads)
            .into_par_iter()
            .map_init(Vec::new, |weights, at| {
                let at = self.head(at, inputs.get(0), inputs.get(1), inputs.get(2));
                let valid = self.lengths[at.item];
                let mut out = zeros(self.queries * self.head);
                for queries in self.tiles() {
                    self.weights(at, queries.clone(), inputs.bias(), weights);
                    if let Some(dropout) = self.dropout {
                        for (row, query) in weights.chunks_exact_mut(valid.max(1)).zip(queries.clone()) {
                            dropout.apply(row, self.first_weight(at, query));
                        }
                    }
                    product(
                        [queries.len(), valid, self.head],
                        (weights, rows(valid)),
                        (at.value, self.place()),
                        (&mut out[queries.start * self.head..], rows(self.head)),
                        false,
                    );
                }
                out
            })
            .collect();
        if let Some(saved) = saved {
            saved.extend(inputs.tensors);
        }
        self.join(&heads.iter().map(Vec::as_slice).collect::<Vec<_>>(), self.queries)
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let inputs = Inputs::new(saved, self);
        let gradient = dense(gradient);
        let gradient = gradient.storage::<f32>();
        let of_bias = inputs.bias.is_some_and(|at| wanted[at]);
        let heads: Vec<[Vec<f32>; 4]> = (0..self.batch * self.heads)
            .into_par_iter()
            .map_init(
                || (Vec::new(), Vec::new()),
                |(weights, change), at| {
                    let at = self.head(at, inputs.get(0), inputs.get(1), inputs.get(2));
                    self.head_gradients(at, gradient, &inputs, of_bias, weights, change)
                },
            )
            .collect();
        let part = |which: usize, time: usize| {
            let heads: Vec<&[f32]> = heads.iter().map(|head| head[which].as_slice()).collect();
            Some(self.join(&heads, time))
        };
        let mut gradients = vec![part(0, self.queries), part(1, self.keys), part(2, self.keys)];
        if let Some(shape) = self.bias {
            gradients.push(of_bias.then(|| {
                let all: Vec<f32> = heads.iter().flat_map(|head| head[3].iter().copied()).collect();
                let mut sum = tensor(all, [self.batch, self.heads, self.queries, self.keys]);
                for (axis, &size) in shape.iter().enumerate() {
                    if size == 1 && sum.layout().shape()[axis] > 1 {
                        sum = Flex::float_sum_dim(sum, axis);
                    }
                }
                sum
            }));
        }
        gradients
    }
}

impl Attention {
    /// Gradients of one head's queries, keys, values and (if asked for) scores.
    fn head_gradients(
        &self,
        at: Head<'_>,
        gradient: &[f32],
        inputs: &Inputs,
        of_bias: bool,
        weights: &mut Vec<f32>,
        change: &mut Vec<f32>,
    ) -> [Vec<f32>; 4] {
        let (valid, head, place) = (self.lengths[at.item], self.head, self.place());
        let gradient = &gradient[at.item * self.queries * self.width() + at.head * head..];
        let mut of_query = zeros(self.queries * head);
        let (mut of_key, mut of_value) = (vec![0f32; self.keys * head], vec![0f32; self.keys * head]);
        let mut of_scores = vec![0f32; if of_bias { self.queries * self.keys } else { 0 }];
        for queries in self.tiles() {
            let count = queries.len();
            let gradient = &gradient[queries.start * self.width()..];
            self.weights(at, queries.clone(), inputs.bias(), weights);
            change.resize(count * valid, 0.0);
            product(
                [count, head, valid],
                (gradient, place),
                (at.value, transposed(self.width())),
                (change, rows(valid)),
                false,
            );
            // The weights that the values met, dropout included, are needed for the values alone.
            let dropped = self.dropout.map(|dropout| {
                let mut dropped = weights.clone();
                let rows = dropped
                    .chunks_exact_mut(valid.max(1))
                    .zip(change.chunks_exact_mut(valid.max(1)));
                for ((weights, change), query) in rows.zip(queries.clone()) {
                    let first = self.first_weight(at, query);
                    dropout.apply(weights, first);
                    dropout.apply(change, first);
                }
                dropped
            });
            let met = dropped.as_ref().unwrap_or(weights);
            product(
                [valid, count, head],
                (met, transposed(valid)),
                (gradient, place),
                (&mut of_value, rows(head)),
                true,
            );
            for (weights, change) in weights
                .chunks_exact(valid.max(1))
                .zip(change.chunks_exact_mut(valid.max(1)))
            {
                softmax_gradient(weights, change);
            }
            if of_bias {
                let all = of_scores[queries.start * self.keys..].chunks_exact_mut(self.keys.max(1));
                for (all, change) in all.zip(change.chunks_exact(valid.max(1))) {
                    all[..valid].copy_from_slice(change);
                }
            }
            scale(change, self.scale());
            product(
                [count, valid, head],
                (change, rows(valid)),
                (at.key, place),
                (&mut of_query[queries.start * head..], rows(head)),
                false,
            );
            let query = &at.query[queries.start * self.width()..];
            product(
                [valid, count, head],
                (change, transposed(valid)),
                (query, place),
                (&mut of_key, rows(head)),
                true,
            );
        }
        [of_query, of_key, of_value, of_scores]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    fn case(batch: usize, queries: usize, keys: usize, width: usize) -> Case<3, 3> {
        let scaled = |count, seed| values(count, seed).into_iter().map(|x| 3.0 * x).collect();
        Case::new([
            (scaled(batch * queries * width, 1), [batch, queries, width]),
            (scaled(batch * keys * width, 2), [batch, keys, width]),
            (values(batch * keys * width, 3), [batch, keys, width]),
        ])
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, queries, keys, heads, head) in [
            (1, 1, 1, 1, 1),
            (2, 5, 7, 3, 4),
            (1, 149, 149, 2, 64),
            (3, 40, 33, 1, 8),
            (1, 130, 900, 2, 16),
        ] {
            case(batch, queries, keys, heads * head).agrees(
                |[q, k, v]| attention(q, k, v, heads, AttentionExtras::default()),
                |[q, k, v]| plain(q, k, v, heads, AttentionExtras::default()),
                3e-6,
            );
        }
    }

    #[test]
    fn bias_dropout_and_lengths_are_those_of_the_definition() {
        for shape in [[2, 3, 6, 9], [1, 3, 6, 9], [2, 1, 1, 9], [1, 1, 1, 9], [1, 3, 6, 9]] {
            let case = Case::new([
                (values(2 * 3 * 6 * 4, 1), [2, 1, 6, 12]),
                (values(2 * 3 * 9 * 4, 2), [2, 1, 9, 12]),
                (values(2 * 3 * 9 * 4, 3), [2, 1, 9, 12]),
                (values(shape.iter().product(), 4), shape),
            ]);
            let with = |q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Tensor<4>, ours: bool, masked: bool| {
                let valid: Vec<f32> = [9, 5]
                    .iter()
                    .flat_map(|&length| (0..9).map(move |key| f32::from(u8::from(key < length))))
                    .collect();
                let valid = Tensor::<2>::from_data(TensorData::new(valid, [2, 9]), &q.device());
                let extras = AttentionExtras {
                    dropout: Some(Dropout::new(0.5, [3, 4])),
                    bias: Some(bias),
                    lengths: Some(&[9, 5]),
                    mask: masked.then(|| valid.clone().cast(q.dtype())),
                };
                let flat = |x: Tensor<4>| x.squeeze_dim::<3>(1);
                if ours {
                    attention(flat(q), flat(k), flat(v), 3, extras)
                } else {
                    plain(flat(q), flat(k), flat(v), 3, extras)
                }
            };
            for masked in [false, true] {
                case.agrees(
                    |[q, k, v, bias]| with(q, k, v, bias, true, masked),
                    |[q, k, v, bias]| with(q, k, v, bias, false, masked),
                    2e-6,
                );
            }
        }
    }
}
