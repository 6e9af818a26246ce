//! The positional convolution: grouped, with a long kernel and as many frames out as in.

use burn::tensor::{Tensor, module::conv1d, ops::ConvOptions};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::gemm::{product, rows, transposed};
use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{column_sums, zeros};
use super::tensor;

/// Grouped convolution over time with the channels on the last axis, zeros at both ends and, where
/// the kernel is even, without the last frame.
///
/// On the CPU values and gradients are within 2e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `x` and output: `[batch, time, channels]`; `weight`: `[channels, channels / groups, kernel]`
///   (PyTorch's); `bias`: `[channels]`
///
/// # Source
/// Baevski et al. 2020, §2 (relative positional embedding).
pub fn grouped_same_conv(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<1>, groups: usize) -> Tensor<3> {
    let ([_, time, channels], [outputs, width, kernel]) = (x.dims(), weight.dims());
    assert!(
        groups > 0 && channels == groups * width && outputs == channels && kernel > 0,
        "grouped convolution: weight of {outputs} × {width} over {channels} channels in {groups} groups"
    );
    if !kernel::runs_on(&x) {
        return plain(x, weight, bias, groups);
    }
    let shape = Shape {
        time,
        channels,
        groups,
        kernel,
    };
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    kernel::run(GroupedConv(shape), inputs)
}

fn plain(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<1>, groups: usize) -> Tensor<3> {
    let ([_, time, _], [_, _, kernel]) = (x.dims(), weight.dims());
    let options = ConvOptions::new([1], [kernel / 2], [1], groups);
    let y = conv1d(x.swap_dims(1, 2), weight, Some(bias), options);
    y.narrow(2, 0, time).swap_dims(1, 2)
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    time: usize,
    channels: usize,
    groups: usize,
    kernel: usize,
}

#[derive(Debug)]
struct GroupedConv(Shape);

impl Shape {
    /// Channels of a group.
    fn width(&self) -> usize {
        self.channels / self.groups
    }

    /// Numbers in a window of one group.
    fn window(&self) -> usize {
        self.kernel * self.width()
    }

    fn item(&self) -> usize {
        self.time * self.channels
    }

    /// Numbers of one group's weights.
    fn weights(&self) -> usize {
        self.width() * self.window()
    }

    /// One group of an item with `before` zero frames in front of it and as many behind as its
    /// windows need: the window of frame `t` starts at frame `t`.
    fn pad(&self, item: &[f32], group: usize, before: usize, padded: &mut Vec<f32>) {
        let width = self.width();
        padded.clear();
        padded.resize((self.time + self.kernel - 1) * width, 0.0);
        for (target, frame) in padded[before * width..]
            .chunks_exact_mut(width)
            .zip(item.chunks_exact(self.channels))
        {
            target.copy_from_slice(&frame[group * width..(group + 1) * width]);
        }
    }
}

/// A matrix `[rows, columns]` transposed.
fn transpose(matrix: &[f32], columns: usize, out: &mut [f32]) {
    let rows = matrix.len() / columns.max(1);
    for (column, out) in out.chunks_exact_mut(rows.max(1)).enumerate() {
        for (out, row) in out.iter_mut().zip(matrix.chunks_exact(columns)) {
            *out = row[column];
        }
    }
}

/// The groups' columns `[items, time, width]` put side by side as `[items, time, channels]`.
fn side_by_side(groups: &[Vec<f32>], shape: Shape) -> Vec<f32> {
    let (width, channels) = (shape.width(), shape.channels);
    let mut out = zeros(groups.iter().map(Vec::len).sum());
    out.par_chunks_exact_mut(channels)
        .with_min_len(64)
        .enumerate()
        .for_each(|(frame, out)| {
            for (out, group) in out.chunks_exact_mut(width).zip(groups) {
                out.copy_from_slice(&group[frame * width..(frame + 1) * width]);
            }
        });
    out
}

/// A convolution of each group with windows that start `before` frames ahead. `weights` gives a
/// group's matrix `[kernel · inputs, outputs]`, transposed.
fn convolve(
    x: &[f32],
    shape: Shape,
    before: usize,
    bias: Option<&[f32]>,
    weights: impl Fn(usize) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let (time, width) = (shape.time, shape.width());
    let groups: Vec<Vec<f32>> = (0..shape.groups)
        .into_par_iter()
        .map(|group| {
            let weights = weights(group);
            let batch = x.len() / shape.item().max(1);
            let mut out = zeros(batch * time * width);
            if let Some(bias) = bias {
                let bias = &bias[group * width..(group + 1) * width];
                out.chunks_exact_mut(width).for_each(|out| out.copy_from_slice(bias));
            }
            let mut padded = Vec::new();
            for (x, out) in x
                .chunks_exact(shape.item().max(1))
                .zip(out.chunks_exact_mut((time * width).max(1)))
            {
                shape.pad(x, group, before, &mut padded);
                product(
                    [time, shape.window(), width],
                    (&padded, rows(width)),
                    (&weights, transposed(shape.window())),
                    (out, rows(width)),
                    bias.is_some(),
                );
            }
            out
        })
        .collect();
    side_by_side(&groups, shape)
}

fn forward(x: &[f32], weight: &[f32], bias: &[f32], shape: Shape) -> Vec<f32> {
    convolve(x, shape, shape.kernel / 2, Some(bias), |group| {
        // `[outputs, inputs, kernel]` to `[outputs, kernel, inputs]`.
        let weight = &weight[group * shape.weights()..(group + 1) * shape.weights()];
        let mut out = zeros(weight.len());
        for (out, weight) in out
            .chunks_exact_mut(shape.window())
            .zip(weight.chunks_exact(shape.window()))
        {
            transpose(weight, shape.kernel, out);
        }
        out
    })
}

/// The gradient of the input is a convolution of the output's with the kernel turned round.
fn input_gradient(weight: &[f32], gradient: &[f32], shape: Shape) -> Vec<f32> {
    let (width, kernel) = (shape.width(), shape.kernel);
    let before = kernel - 1 - kernel / 2;
    convolve(gradient, shape, before, None, |group| {
        // `[outputs, inputs, kernel]` to `[inputs, kernel turned round, outputs]`.
        let weight = &weight[group * shape.weights()..(group + 1) * shape.weights()];
        let mut out = zeros(weight.len());
        for (input, out) in out.chunks_exact_mut(shape.window()).enumerate() {
            for (tap, out) in out.chunks_exact_mut(width).rev().enumerate() {
                for (out, weight) in out.iter_mut().zip(weight.chunks_exact(shape.window())) {
                    *out = weight[input * kernel + tap];
                }
            }
        }
        out
    })
}

fn weight_gradient(x: &[f32], gradient: &[f32], shape: Shape) -> Vec<f32> {
    let (time, width) = (shape.time, shape.width());
    let mut out = zeros(shape.groups * shape.weights());
    out.par_chunks_exact_mut(shape.weights().max(1))
        .enumerate()
        .for_each(|(group, out)| {
            let mut sum = vec![0f32; shape.weights()];
            let mut padded = Vec::new();
            for (x, gradient) in x
                .chunks_exact(shape.item().max(1))
                .zip(gradient.chunks_exact(shape.item().max(1)))
            {
                shape.pad(x, group, shape.kernel / 2, &mut padded);
                product(
                    [width, time, shape.window()],
                    (&gradient[group * width..], transposed(shape.channels)),
                    (&padded, rows(width)),
                    (&mut sum, rows(shape.window())),
                    true,
                );
            }
            for (out, sum) in out
                .chunks_exact_mut(shape.window())
                .zip(sum.chunks_exact(shape.window()))
            {
                transpose(sum, width, out);
            }
        });
    out
}

impl Kernel for GroupedConv {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let [x, weight, bias] = dense_inputs(inputs);
        let shape = x.layout().shape().clone();
        let y = forward(x.storage(), weight.storage(), bias.storage(), self.0);
        if let Some(saved) = saved {
            saved.extend([x, weight]);
        }
        tensor(y, shape)
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = dense_inputs(saved);
        let [gradient] = dense_inputs(vec![gradient]);
        let (x_shape, weight_shape) = (x.layout().shape().clone(), weight.layout().shape().clone());
        let (x, weight, gradient) = (x.storage(), weight.storage(), gradient.storage());
        vec![
            wanted[0].then(|| tensor(input_gradient(weight, gradient, self.0), x_shape)),
            wanted[1].then(|| tensor(weight_gradient(x, gradient, self.0), weight_shape)),
            wanted[2].then(|| tensor(column_sums(gradient, self.0.channels), [self.0.channels])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, time, groups, width, kernel) in [
            (1, 1, 1, 1, 1),
            (2, 20, 4, 3, 8),
            (1, 5, 2, 4, 16),
            (3, 9, 3, 5, 7),
            (1, 30, 2, 48, 128),
        ] {
            let channels = groups * width;
            let case = Case::new([
                (values(batch * time * channels, 1), [batch, time, channels]),
                (values(channels * width * kernel, 2), [channels, width, kernel]),
                (values(channels, 3), [1, 1, channels]),
            ]);
            let flat = |bias: Tensor<3>| bias.reshape([channels]);
            case.agrees(
                |[x, weight, bias]| grouped_same_conv(x, weight, flat(bias), groups),
                |[x, weight, bias]| plain(x, weight, flat(bias), groups),
                2e-6,
            );
        }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_order() {
        let case = Case::new([
            (values(2 * 6 * 15, 1), [2, 6, 15]),
            (values(6 * 3 * 4, 2), [6, 3, 4]),
            (values(6, 3), [1, 1, 6]),
        ]);
        let flat = |bias: Tensor<3>| bias.reshape([6]);
        case.agrees(
            |[x, weight, bias]| grouped_same_conv(x.swap_dims(1, 2), weight, flat(bias), 2),
            |[x, weight, bias]| plain(x.swap_dims(1, 2), weight, flat(bias), 2),
            2e-6,
        );
    }
}
