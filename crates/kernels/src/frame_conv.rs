//! Strided convolution over time with channels last, as matrix products without unfolding.
//!
//! With `[time, channels]` in memory, the window of one output frame is one run of
//! `kernel · channels` numbers, and the matrix of all windows is the input itself with a row
//! distance of `stride · channels`.

use std::borrow::Cow;

use burn::tensor::{Tensor, module::conv1d, ops::ConvOptions};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::gemm::{Strides, product_on_all_cores, rows, transposed};
use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{column_sums, zeros};
use super::tensor;

/// Convolution over time without padding, the channels on the last axis.
///
/// On the CPU values and gradients are within 2e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `x`: `[batch, time, inputs]` with `time ≥ kernel`; `weight`: `[outputs, inputs, kernel]`
///   (PyTorch's); `bias`: `[outputs]`
/// - output: `[batch, (time − kernel) / stride + 1, outputs]`
pub fn conv1d_channels_last(x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<1>>, stride: usize) -> Tensor<3> {
    let ([_, time, inputs], [outputs, weight_inputs, kernel]) = (x.dims(), weight.dims());
    assert!(
        inputs == weight_inputs && time >= kernel && kernel > 0 && stride > 0,
        "convolution: weight of {weight_inputs} channels and {kernel} frames over {inputs} and {time}, stride {stride}"
    );
    if !kernel::runs_on(&x) {
        return plain(x, weight, bias, stride);
    }
    let shape = Shape {
        inputs,
        outputs,
        kernel,
        stride,
        time,
    };
    let mut tensors = vec![x.into_dispatch(), weight.into_dispatch()];
    tensors.extend(bias.map(Tensor::into_dispatch));
    kernel::run(FrameConv(shape), tensors)
}

fn plain(x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<1>>, stride: usize) -> Tensor<3> {
    let options = ConvOptions::new([stride], [0], [1], 1);
    conv1d(x.swap_dims(1, 2), weight, bias, options).swap_dims(1, 2)
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    time: usize,
}

#[derive(Debug)]
struct FrameConv(Shape);

impl Shape {
    /// Output frames.
    fn frames(&self) -> usize {
        (self.time - self.kernel) / self.stride + 1
    }

    /// Numbers in a window.
    fn window(&self) -> usize {
        self.kernel * self.inputs
    }

    /// The windows of one item, one a row.
    fn windows(&self) -> Strides {
        rows(self.stride * self.inputs)
    }
}

/// `[outputs, inputs, kernel]` as `[outputs, kernel, inputs]`, or with the axes' names changed about
/// the way back.
pub fn swap_last(weight: &[f32], inputs: usize, kernel: usize) -> Cow<'_, [f32]> {
    if inputs == 1 || kernel == 1 {
        return Cow::Borrowed(weight);
    }
    let mut out = zeros(weight.len());
    out.par_chunks_exact_mut(inputs * kernel)
        .zip(weight.par_chunks_exact(inputs * kernel))
        .with_min_len(8)
        .for_each(|(out, weight)| {
            for (tap, out) in out.chunks_exact_mut(inputs).enumerate() {
                for (out, weight) in out.iter_mut().zip(weight.chunks_exact(kernel)) {
                    *out = weight[tap];
                }
            }
        });
    Cow::Owned(out)
}

fn forward(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: Shape) -> Vec<f32> {
    let (frames, outputs) = (shape.frames(), shape.outputs);
    let weight = swap_last(weight, shape.inputs, shape.kernel);
    let item = shape.time * shape.inputs;
    let batch = x.len() / item.max(1);
    let mut y = zeros(batch * frames * outputs);
    for (x, y) in x
        .chunks_exact(item.max(1))
        .zip(y.chunks_exact_mut((frames * outputs).max(1)))
    {
        if let Some(bias) = bias {
            y.par_chunks_exact_mut(outputs)
                .with_min_len(64)
                .for_each(|y| y.copy_from_slice(bias));
        }
        product_on_all_cores(
            [frames, shape.window(), outputs],
            (x, shape.windows()),
            (&weight, transposed(shape.window())),
            (y, rows(outputs)),
            bias.is_some(),
        );
    }
    y
}

fn weight_gradient(x: &[f32], gradient: &[f32], shape: Shape) -> Vec<f32> {
    let (frames, outputs) = (shape.frames(), shape.outputs);
    let mut sum = vec![0f32; outputs * shape.window()];
    let items = x.chunks_exact((shape.time * shape.inputs).max(1));
    for (x, gradient) in items.zip(gradient.chunks_exact((frames * outputs).max(1))) {
        product_on_all_cores(
            [outputs, frames, shape.window()],
            (gradient, transposed(outputs)),
            (x, shape.windows()),
            (&mut sum, rows(shape.window())),
            true,
        );
    }
    // The axes are kernel and inputs here.
    swap_last(&sum, shape.kernel, shape.inputs).into_owned()
}

/// Input frames `stride · s + phase` meet the taps `phase`, `phase + stride`, … of the output frames
/// `s`, `s − 1`, …: for each phase the gradient is a convolution of stride 1 over output frames.
fn input_gradient(weight: &[f32], gradient: &[f32], shape: Shape) -> Vec<f32> {
    let Shape {
        inputs,
        outputs,
        kernel,
        stride,
        time,
    } = shape;
    let frames = shape.frames();
    let item = time * inputs;
    let batch = gradient.len() / (frames * outputs).max(1);
    // What no window reaches gets no gradient.
    let mut dx = if kernel < stride || (frames - 1) * stride + kernel < time {
        vec![0f32; batch * item]
    } else {
        zeros(batch * item)
    };
    for phase in 0..stride.min(kernel) {
        // Last tap first, as the gradient's frames lie in memory.
        let taps: Vec<usize> = (phase..kernel).step_by(stride).rev().collect();
        let mut flipped = zeros(taps.len() * outputs * inputs);
        flipped
            .par_chunks_exact_mut(inputs)
            .with_min_len(64)
            .enumerate()
            .for_each(|(row, target)| {
                let (tap, output) = (taps[row / outputs], row % outputs);
                let weight = &weight[output * inputs * kernel..(output + 1) * inputs * kernel];
                for (target, weight) in target.iter_mut().zip(weight.chunks_exact(kernel)) {
                    *target = weight[tap];
                }
            });
        let count = taps.len();
        let place = Strides {
            row: stride * inputs,
            column: 1,
        };
        for (dx, gradient) in dx
            .chunks_exact_mut(item.max(1))
            .zip(gradient.chunks_exact((frames * outputs).max(1)))
        {
            // Where all taps meet an output frame …
            let whole = (count - 1)..frames;
            if !whole.is_empty() {
                product_on_all_cores(
                    [whole.len(), count * outputs, inputs],
                    (gradient, rows(outputs)),
                    (&flipped, rows(inputs)),
                    (&mut dx[(whole.start * stride + phase) * inputs..], place),
                    false,
                );
            }
            // … and the few at both ends.
            for step in (0..frames + count - 1).filter(|step| !whole.contains(step)) {
                let first = step.saturating_sub(count - 1);
                let last = step.min(frames - 1);
                let skipped = (first + count - 1).saturating_sub(step);
                product_on_all_cores(
                    [1, (last - first + 1) * outputs, inputs],
                    (&gradient[first * outputs..], rows((last - first + 1) * outputs)),
                    (&flipped[skipped * outputs * inputs..], rows(inputs)),
                    (&mut dx[(step * stride + phase) * inputs..], rows(inputs)),
                    false,
                );
            }
        }
    }
    dx
}

impl Kernel for FrameConv {
    fn forward(&self, mut inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let bias = (inputs.len() == 3).then(|| inputs.remove(2).to_contiguous());
        let [x, weight] = dense_inputs(inputs);
        let batch = x.layout().shape()[0];
        let y = forward(
            x.storage(),
            weight.storage(),
            bias.as_ref().map(|bias| bias.storage()),
            self.0,
        );
        if let Some(saved) = saved {
            saved.extend([x, weight]);
        }
        tensor(y, [batch, self.0.frames(), self.0.outputs])
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = dense_inputs(saved);
        let [gradient] = dense_inputs(vec![gradient]);
        let (x_shape, weight_shape) = (x.layout().shape().clone(), weight.layout().shape().clone());
        let (x, weight, gradient) = (x.storage(), weight.storage(), gradient.storage());
        vec![
            wanted[0].then(|| tensor(input_gradient(weight, gradient, self.0), x_shape)),
            wanted[1].then(|| tensor(weight_gradient(x, gradient, self.0), weight_shape)),
            (wanted.get(2) == Some(&true)).then(|| tensor(column_sums(gradient, self.0.outputs), [self.0.outputs])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    fn case(batch: usize, time: usize, inputs: usize, outputs: usize, kernel: usize) -> Case<3, 3> {
        Case::new([
            (values(batch * time * inputs, 1), [batch, time, inputs]),
            (values(outputs * inputs * kernel, 2), [outputs, inputs, kernel]),
            (values(outputs, 3), [1, 1, outputs]),
        ])
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, time, inputs, outputs, kernel, stride) in [
            (2, 103, 1, 24, 10, 5),
            (1, 10, 1, 3, 10, 5),
            (2, 31, 8, 5, 3, 2),
            (2, 32, 8, 5, 3, 2),
            (3, 17, 6, 7, 2, 2),
            (1, 9, 4, 4, 3, 1),
            (1, 12, 3, 2, 2, 3),
            (1, 3, 5, 5, 3, 2),
            (1, 40, 4, 4, 10, 3),
            (1, 400, 130, 70, 3, 2),
        ] {
            let case = case(batch, time, inputs, outputs, kernel);
            let flat = |bias: Tensor<3>| Some(bias.reshape([outputs]));
            case.agrees(
                |[x, weight, bias]| conv1d_channels_last(x, weight, flat(bias), stride),
                |[x, weight, bias]| plain(x, weight, flat(bias), stride),
                2e-6,
            );
        }
    }

    #[test]
    fn without_a_bias_and_through_views_it_is_the_same() {
        let case = Case::new([(values(2 * 6 * 41, 1), [2, 6, 41]), (values(3 * 6 * 9, 2), [3, 6, 9])]);
        case.agrees(
            |[x, weight]| conv1d_channels_last(x.swap_dims(1, 2), weight.swap_dims(0, 2), None, 2),
            |[x, weight]| plain(x.swap_dims(1, 2), weight.swap_dims(0, 2), None, 2),
            2e-6,
        );
    }
}
