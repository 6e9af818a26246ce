//! Normalisation of each channel over time, as in the first layer of wav2vec 2.0.

use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{dense, map_items, multiply_add, total, vectorised};
use super::tensor;

/// Frames that a task takes at once.
const FRAMES: usize = 64;

/// Group normalisation with one group per channel, over each item's valid frames alone:
/// `(x − mean) / √(var + ε) · weight + bias` with the biased variance. Padding becomes zero.
///
/// On the CPU values and gradients are within 1e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `x` and output: `[batch, time, channels]`; `weight`, `bias`: `[channels]`
/// - `lengths`: valid frames of each item, at most `time`
///
/// # Source
/// Wu & He 2018; Baevski et al. 2020, §2 (first convolution).
pub fn group_norm_over_time(
    x: Tensor<3>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    lengths: &[usize],
) -> Tensor<3> {
    let [batch, time, channels] = x.dims();
    assert_eq!(
        [channels],
        weight.dims(),
        "group norm: weight has other channels than x"
    );
    assert!(
        lengths.len() == batch && lengths.iter().all(|&length| length <= time),
        "group norm: lengths {lengths:?} do not fit {batch} items of {time} frames"
    );
    if kernel::runs_on(&x) {
        let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        let lengths = lengths.to_vec();
        return kernel::run(TimeNorm { eps, lengths }, inputs);
    }
    plain(x, weight, bias, eps, lengths)
}

fn plain(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, eps: f64, lengths: &[usize]) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let column = |values: Vec<f32>, time| {
        Tensor::<3>::from_data(TensorData::new(values, [batch, time, 1]), &x.device()).cast(x.dtype())
    };
    let valid = lengths
        .iter()
        .flat_map(|&length| (0..time).map(move |frame| f32::from(frame < length)));
    let valid = column(valid.collect(), time);
    let count = column(lengths.iter().map(|&length| length.max(1) as f32).collect(), 1);
    let mean = (x.clone() * valid.clone()).sum_dim(1) / count.clone();
    let centred = (x - mean) * valid.clone();
    let variance = centred.clone().powi_scalar(2).sum_dim(1) / count;
    (centred / (variance + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()) * valid
}

#[derive(Debug)]
struct TimeNorm {
    eps: f64,
    lengths: Vec<usize>,
}

vectorised! {
    /// Mean of each channel and sum of squares about it.
    fn moments(frames: &[f32], mean: &mut [f32], squares: &mut [f32]) {
        let channels = mean.len();
        for frame in frames.chunks_exact(channels) {
            for (mean, &x) in mean.iter_mut().zip(frame) {
                *mean += x;
            }
        }
        let count = (frames.len() / channels) as f32;
        for mean in mean.iter_mut() {
            *mean /= count;
        }
        for frame in frames.chunks_exact(channels) {
            for ((squares, &mean), &x) in squares.iter_mut().zip(mean.iter()).zip(frame) {
                *squares = multiply_add::<FMA>(x - mean, x - mean, *squares);
            }
        }
    }
}

vectorised! {
    fn normalise(frames: &mut [f32], mean: &[f32], scale: &[f32], bias: &[f32]) {
        for frame in frames.chunks_exact_mut(scale.len()) {
            for (((x, &mean), &scale), &bias) in frame.iter_mut().zip(mean).zip(scale).zip(bias) {
                *x = multiply_add::<FMA>(*x - mean, scale, bias);
            }
        }
    }
}

vectorised! {
    /// Adds `Σ gradient` and `Σ gradient · (x − mean)`.
    fn gradient_sums(x: &[f32], gradient: &[f32], mean: &[f32], plain: &mut [f32], across: &mut [f32]) {
        let channels = mean.len();
        for (x, gradient) in x.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
            for ((((&x, &gradient), &mean), plain), across) in
                x.iter().zip(gradient).zip(mean).zip(plain.iter_mut()).zip(across.iter_mut())
            {
                *plain += gradient;
                *across = multiply_add::<FMA>(gradient, x - mean, *across);
            }
        }
    }
}

vectorised! {
    /// `gradient = scale · (gradient − level) − slope · (x − mean)`.
    fn gradient_of_x(x: &[f32], gradient: &mut [f32], mean: &[f32], scale: &[f32], level: &[f32], slope: &[f32]) {
        let channels = scale.len();
        for (x, gradient) in x.chunks_exact(channels).zip(gradient.chunks_exact_mut(channels)) {
            for (((((&x, gradient), &mean), &scale), &level), &slope) in
                x.iter().zip(gradient).zip(mean).zip(scale).zip(level).zip(slope)
            {
                *gradient = multiply_add::<FMA>(-slope, x - mean, scale * (*gradient - level));
            }
        }
    }
}

/// Mean and 1 / √(var + ε) of each channel of an item's valid frames.
fn statistics(valid: &[f32], channels: usize, eps: f64) -> (Vec<f32>, Vec<f32>) {
    let blocks: Vec<(usize, Vec<f32>, Vec<f32>)> = valid
        .par_chunks(FRAMES * channels)
        .map(|frames| {
            let (mut mean, mut squares) = (vec![0f32; channels], vec![0f32; channels]);
            moments(frames, &mut mean, &mut squares);
            (frames.len() / channels, mean, squares)
        })
        .collect();
    let count = (valid.len() / channels).max(1) as f64;
    (0..channels)
        .map(|channel| {
            let mean = blocks
                .iter()
                .map(|(frames, mean, _)| *frames as f64 * f64::from(mean[channel]))
                .sum::<f64>()
                / count;
            // Within the blocks and between them.
            let squares: f64 = blocks
                .iter()
                .map(|(frames, means, squares)| {
                    f64::from(squares[channel]) + *frames as f64 * (f64::from(means[channel]) - mean).powi(2)
                })
                .sum();
            (mean as f32, (1.0 / (squares / count + eps).sqrt()) as f32)
        })
        .unzip()
}

impl Kernel for TimeNorm {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let [x, weight, bias] = dense_inputs(inputs);
        let (batch, channels) = (self.lengths.len(), weight.storage::<f32>().len());
        let numbers = x.storage::<f32>();
        let item = numbers.len() / batch.max(1);
        if item * channels == 0 {
            return x;
        }
        let (mean, inverse_sd): (Vec<_>, Vec<_>) = self
            .lengths
            .iter()
            .enumerate()
            .map(|(at, &length)| statistics(&numbers[at * item..][..length * channels], channels, self.eps))
            .unzip();
        let scale: Vec<Vec<f32>> = inverse_sd.iter().map(|sd| times(sd, weight.storage())).collect();
        if let Some(saved) = saved {
            let statistics = [mean.concat(), inverse_sd.concat()].map(|values| tensor(values, [batch, channels]));
            saved.extend([x.clone(), weight.clone()]);
            saved.extend(statistics);
        }
        let bias = bias.storage::<f32>();
        let normalised = map_items(x, item, FRAMES * channels, |item, at, frames| {
            let (valid, padding) = frames.split_at_mut(self.valid(item, at, frames.len(), channels));
            normalise(valid, &mean[item], &scale[item], bias);
            padding.fill(0.0);
        });
        normalised.0
    }

    /// With `x̂` the normalised input over an item's `N` valid frames, for each channel:
    /// `dbias = Σ gradient`, `dweight = Σ gradient · x̂` and
    /// `dx = weight / sd · (gradient − dbias / N − x̂ · dweight / N)`.
    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight, mean, inverse_sd] = dense_inputs(saved);
        let gradient = dense(gradient);
        let (batch, channels) = (self.lengths.len(), weight.storage::<f32>().len());
        let x = x.storage::<f32>();
        let item = x.len() / batch.max(1);
        if item * channels == 0 {
            return vec![Some(gradient), None, None];
        }
        let of_item = |values: &FlexTensor| -> Vec<Vec<f32>> {
            values
                .storage::<f32>()
                .chunks_exact(channels)
                .map(<[f32]>::to_vec)
                .collect()
        };
        let (mean, inverse_sd) = (of_item(&mean), of_item(&inverse_sd));
        let numbers = gradient.storage::<f32>();
        let sums: Vec<Vec<f32>> = (self.lengths.iter().zip(&mean).enumerate())
            .map(|(at, (&length, mean))| {
                let valid = at * item..at * item + length * channels;
                let parts = x[valid.clone()]
                    .par_chunks(FRAMES * channels)
                    .zip(numbers[valid].par_chunks(FRAMES * channels))
                    .map(|(x, gradient)| {
                        let mut sums = vec![0f32; 2 * channels];
                        let (plain, across) = sums.split_at_mut(channels);
                        gradient_sums(x, gradient, mean, plain, across);
                        sums
                    })
                    .collect();
                total(parts, 2 * channels)
            })
            .collect();
        let (mut of_weight, mut of_bias) = (vec![0f32; channels], vec![0f32; channels]);
        // For each item what `gradient_of_x` takes.
        let mut factors = Vec::with_capacity(batch);
        for ((sums, inverse_sd), &length) in sums.iter().zip(&inverse_sd).zip(&self.lengths) {
            let (plain, across) = sums.split_at(channels);
            let across = times(across, inverse_sd);
            of_bias.iter_mut().zip(plain).for_each(|(sum, part)| *sum += part);
            of_weight.iter_mut().zip(&across).for_each(|(sum, part)| *sum += part);
            let scale = times(inverse_sd, weight.storage());
            let count = length.max(1) as f32;
            let level: Vec<f32> = plain.iter().map(|sum| sum / count).collect();
            let slope: Vec<f32> = (across.iter().zip(inverse_sd).zip(&scale))
                .map(|((sum, inverse_sd), scale)| sum / count * inverse_sd * scale)
                .collect();
            factors.push([scale, level, slope]);
        }
        let (dx, _) = map_items(gradient, item, FRAMES * channels, |item_at, at, gradient| {
            let valid = self.valid(item_at, at, gradient.len(), channels);
            let (gradient, padding) = gradient.split_at_mut(valid);
            let start = item_at * item + at * FRAMES * channels;
            let [scale, level, slope] = &factors[item_at];
            gradient_of_x(&x[start..start + valid], gradient, &mean[item_at], scale, level, slope);
            padding.fill(0.0);
        });
        vec![
            Some(dx),
            Some(tensor(of_weight, [channels])),
            Some(tensor(of_bias, [channels])),
        ]
    }
}

impl TimeNorm {
    /// How many of a block's numbers are of valid frames.
    fn valid(&self, item: usize, block: usize, size: usize, channels: usize) -> usize {
        let frames = self.lengths[item].saturating_sub(block * FRAMES);
        (frames * channels).min(size)
    }
}

fn times(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, time, channels, lengths) in [
            (1, 1, 3, vec![1]),
            (2, 70, 8, vec![70, 70]),
            (3, 200, 5, vec![200, 64, 130]),
            (2, 129, 33, vec![1, 129]),
            (1, 9, 4, vec![0]),
        ] {
            let x = values(batch * time * channels, 1)
                .into_iter()
                .map(|x| x + 3.0)
                .collect();
            let case = Case::new([
                (x, [batch, time, channels]),
                (values(channels, 2), [1, 1, channels]),
                (values(channels, 3), [1, 1, channels]),
            ]);
            let flat = |w: Tensor<3>| w.reshape([channels]);
            case.agrees(
                |[x, w, b]| group_norm_over_time(x, flat(w), flat(b), 1e-5, &lengths),
                |[x, w, b]| plain(x, flat(w), flat(b), 1e-5, &lengths),
                3e-6,
            );
        }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_order() {
        let case = Case::new([
            (values(2 * 6 * 90, 1), [2, 6, 90]),
            (values(6, 2), [1, 1, 6]),
            (values(6, 3), [1, 1, 6]),
        ]);
        let flat = |w: Tensor<3>| w.reshape([6]);
        case.agrees(
            |[x, w, b]| group_norm_over_time(x.swap_dims(1, 2), flat(w), flat(b), 1e-5, &[90, 40]),
            |[x, w, b]| plain(x.swap_dims(1, 2), flat(w), flat(b), 1e-5, &[90, 40]),
            1e-6,
        );
    }

    #[test]
    fn padding_changes_nothing_and_comes_out_as_zero() {
        let device = burn::tensor::Device::flex();
        let (weight, bias) = (Tensor::ones([2], &device), Tensor::ones([2], &device));
        let norm = |x: Tensor<3>| group_norm_over_time(x, weight.clone(), bias.clone(), 1e-5, &[2]);
        let padded = |padding: f32| {
            let x = Tensor::<3>::from_floats([[[1.0, 2.0], [3.0, 5.0], [padding, padding]]], &device);
            norm(x).into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(padded(0.0), padded(1e6));
        assert_eq!(padded(f32::NAN)[4..], [0.0, 0.0]);
    }
}
