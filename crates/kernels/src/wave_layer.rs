//! The first layer of wav2vec 2.0's feature encoder in one pass each way.
//!
//! Its output is large and its arithmetic small: it is computed again rather than kept. Mean and
//! variance of each channel follow from those of the wave's windows, `E[w · x] = w · E[x]` and
//! `Var[w · x] = wᵀ · Cov[x] · w`, before any output is there.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::gelu::{apply as gelu_of, gelu, gelu_gradient};
use super::gemm::{product, rows};
use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{filled, multiply_add, rows_of_part, total, vectorised};
use super::{conv1d_channels_last, group_norm_over_time, tensor};

/// Convolution of a wave without bias, normalisation of each channel over the valid frames, GELU:
/// `gelu(group_norm_over_time(conv1d_channels_last(wave)))`. Padding becomes zero.
///
/// A bias of the convolution would change nothing and is left out. On the CPU values and gradients
/// are within 2e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `wave`: `[batch, samples]` with `samples ≥ kernel`; `weight`: `[channels, 1, kernel]`;
///   `norm_weight`, `norm_bias`: `[channels]`
/// - `lengths`: valid frames of each item
/// - output: `[batch, (samples − kernel) / stride + 1, channels]`
///
/// # Source
/// Baevski et al. 2020, §2; Wu & He 2018; Hendrycks & Gimpel 2016.
pub fn wave_layer(
    wave: Tensor<2>,
    weight: Tensor<3>,
    norm_weight: Tensor<1>,
    norm_bias: Tensor<1>,
    eps: f64,
    stride: usize,
    lengths: &[usize],
) -> Tensor<3> {
    let ([batch, samples], [channels, one, taps]) = (wave.dims(), weight.dims());
    assert!(
        one == 1 && taps > 0 && stride > 0 && samples >= taps && norm_weight.dims() == [channels],
        "wave layer: weight {:?} over {samples} samples, stride {stride}",
        weight.dims()
    );
    let frames = (samples - taps) / stride + 1;
    assert!(
        lengths.len() == batch && lengths.iter().all(|&length| length <= frames),
        "wave layer: lengths {lengths:?} do not fit {batch} items of {frames} frames"
    );
    if !kernel::runs_on(&wave) {
        return plain(wave, weight, norm_weight, norm_bias, eps, stride, lengths);
    }
    let layer = WaveLayer {
        samples,
        channels,
        taps,
        stride,
        eps,
        lengths: lengths.to_vec(),
    };
    let inputs = vec![
        wave.into_dispatch(),
        weight.into_dispatch(),
        norm_weight.into_dispatch(),
        norm_bias.into_dispatch(),
    ];
    kernel::run(layer, inputs)
}

fn plain(
    wave: Tensor<2>,
    weight: Tensor<3>,
    norm_weight: Tensor<1>,
    norm_bias: Tensor<1>,
    eps: f64,
    stride: usize,
    lengths: &[usize],
) -> Tensor<3> {
    let x = conv1d_channels_last(wave.unsqueeze_dim(2), weight, None, stride);
    gelu(group_norm_over_time(x, norm_weight, norm_bias, eps, lengths))
}

/// Frames that a task takes at once.
const FRAMES: usize = 64;
/// Channels whose sums are held in registers.
const LANES: usize = 32;

#[derive(Debug)]
struct WaveLayer {
    samples: usize,
    channels: usize,
    taps: usize,
    stride: usize,
    eps: f64,
    lengths: Vec<usize>,
}

/// What an item's outputs are made of. Channels are filled up to whole `LANES` with zeros.
struct Item {
    /// The wave less its mean.
    wave: Vec<f32>,
    /// `norm weight / sd · weight`, `[taps, channels filled up]`.
    kernel: Vec<f32>,
    /// `[channels filled up]`
    shift: Vec<f32>,
    /// Of the windows, tap by tap.
    mean: Vec<f64>,
    covariance: Vec<f64>,
    /// 1 / √(var + ε) of each channel.
    inverse_sd: Vec<f64>,
}

vectorised! {
    /// Normalised values before the GELU, `[frames, channels filled up]`.
    fn normalised(wave: &[f32], kernel: &[f32], shift: &[f32], stride: usize, out: &mut [f32]) {
        let width = shift.len();
        let taps = kernel.len() / width;
        for (frame, out) in out.chunks_exact_mut(width).enumerate() {
            let window = &wave[frame * stride..frame * stride + taps];
            for (at, out) in out.chunks_exact_mut(LANES).enumerate() {
                let mut lanes = [0f32; LANES];
                lanes.copy_from_slice(&shift[at * LANES..(at + 1) * LANES]);
                for (&x, kernel) in window.iter().zip(kernel.chunks_exact(width)) {
                    for (lane, &weight) in lanes.iter_mut().zip(&kernel[at * LANES..(at + 1) * LANES]) {
                        *lane = multiply_add::<FMA>(x, weight, *lane);
                    }
                }
                out.copy_from_slice(&lanes);
            }
        }
    }
}

vectorised! {
    /// Adds each frame's gradient to `plain` and its product with the window to `across`,
    /// `[taps, channels filled up]`.
    fn gradient_sums(wave: &[f32], gradient: &[f32], stride: usize, plain: &mut [f32], across: &mut [f32]) {
        let width = plain.len();
        let taps = across.len() / width;
        for at in 0..width / LANES {
            let mut sum = [0f32; LANES];
            for gradient in gradient.chunks_exact(width) {
                for (sum, &gradient) in sum.iter_mut().zip(&gradient[at * LANES..(at + 1) * LANES]) {
                    *sum += gradient;
                }
            }
            for (plain, sum) in plain[at * LANES..(at + 1) * LANES].iter_mut().zip(sum) {
                *plain += sum;
            }
            for (tap, across) in across.chunks_exact_mut(width).enumerate().take(taps) {
                let mut sum = [0f32; LANES];
                for (frame, gradient) in gradient.chunks_exact(width).enumerate() {
                    let x = wave[frame * stride + tap];
                    for (sum, &gradient) in sum.iter_mut().zip(&gradient[at * LANES..(at + 1) * LANES]) {
                        *sum = multiply_add::<FMA>(x, gradient, *sum);
                    }
                }
                for (across, sum) in across[at * LANES..(at + 1) * LANES].iter_mut().zip(sum) {
                    *across += sum;
                }
            }
        }
    }
}

impl WaveLayer {
    fn frames(&self) -> usize {
        (self.samples - self.taps) / self.stride + 1
    }

    /// Channels filled up to whole `LANES`.
    fn width(&self) -> usize {
        self.channels.next_multiple_of(LANES)
    }

    /// What an item with some valid frames needs; there is none without.
    fn item(&self, wave: &[f32], length: usize, weight: &[f32], norm_weight: &[f32], norm_bias: &[f32]) -> Item {
        let (taps, width) = (self.taps, self.width());
        let used = &wave[..(length - 1) * self.stride + taps];
        let centre = used.iter().map(|&x| f64::from(x)).sum::<f64>() / used.len() as f64;
        let wave: Vec<f32> = wave.iter().map(|&x| (f64::from(x) - centre) as f32).collect();
        let (mut mean, mut covariance) = (vec![0f64; taps], vec![0f64; taps * taps]);
        let mut window = vec![0f64; taps];
        for frame in 0..length {
            let start = frame * self.stride;
            for (x, &sample) in window.iter_mut().zip(&wave[start..start + taps]) {
                *x = f64::from(sample);
            }
            for (mean, x) in mean.iter_mut().zip(&window) {
                *mean += x;
            }
            for (row, &x) in covariance.chunks_exact_mut(taps).zip(&window) {
                for (sum, &y) in row.iter_mut().zip(&window) {
                    *sum += x * y;
                }
            }
        }
        let count = length as f64;
        mean.iter_mut().for_each(|mean| *mean /= count);
        for (row, of_row) in covariance.chunks_exact_mut(taps).zip(&mean) {
            for (sum, of_column) in row.iter_mut().zip(&mean) {
                *sum = *sum / count - of_row * of_column;
            }
        }
        let (mut kernel, mut shift) = (vec![0f32; taps * width], vec![0f32; width]);
        let mut inverse_sd = Vec::with_capacity(self.channels);
        for (channel, weight) in weight.chunks_exact(taps).enumerate() {
            let variance = dot(weight, &product_with(&covariance, weight)).max(0.0);
            let sd = 1.0 / (variance + self.eps).sqrt();
            let scale = f64::from(norm_weight[channel]) * sd;
            for (tap, &weight) in weight.iter().enumerate() {
                kernel[tap * width + channel] = (scale * f64::from(weight)) as f32;
            }
            shift[channel] = (f64::from(norm_bias[channel]) - scale * dot(weight, &mean)) as f32;
            inverse_sd.push(sd);
        }
        Item {
            wave,
            kernel,
            shift,
            mean,
            covariance,
            inverse_sd,
        }
    }

    /// Items with valid frames, made on all cores.
    fn items(&self, wave: &[f32], weight: &[f32], norm_weight: &[f32], norm_bias: &[f32]) -> Vec<Option<Item>> {
        wave.par_chunks_exact(self.samples)
            .zip(&self.lengths)
            .map(|(wave, &length)| (length > 0).then(|| self.item(wave, length, weight, norm_weight, norm_bias)))
            .collect()
    }

    /// Gradients before the GELU of some frames, `[frames, channels filled up]`.
    fn before_gelu(&self, item: &Item, first: usize, gradient: &[f32], values: &mut Vec<f32>, change: &mut Vec<f32>) {
        let (channels, width) = (self.channels, self.width());
        let frames = gradient.len() / channels;
        values.resize(frames * width, 0.0);
        change.clear();
        change.resize(frames * width, 0.0);
        for (change, gradient) in change.chunks_exact_mut(width).zip(gradient.chunks_exact(channels)) {
            change[..channels].copy_from_slice(gradient);
        }
        normalised(
            &item.wave[first * self.stride..],
            &item.kernel,
            &item.shift,
            self.stride,
            values,
        );
        gelu_gradient(values, change);
    }
}

fn dot(a: &[f32], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(&a, b)| f64::from(a) * b).sum()
}

/// A square matrix times a vector.
fn product_with(matrix: &[f64], vector: &[f32]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| dot(vector, row)).collect()
}

impl Kernel for WaveLayer {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let [wave, weight, norm_weight, norm_bias] = dense_inputs(inputs);
        let items = self.items(
            wave.storage(),
            weight.storage(),
            norm_weight.storage(),
            norm_bias.storage(),
        );
        let (frames, channels, width) = (self.frames(), self.channels, self.width());
        let parts = (frames * channels, FRAMES * channels);
        let out = filled(items.len() * parts.0, parts, Vec::new, |values, item, at, out| {
            // What is behind an item's frames stays zero.
            let valid = (self.lengths[item] * channels).saturating_sub(at * parts.1).min(out.len());
            let (Some(item), out) = (&items[item], &mut out[..valid]) else {
                return;
            };
            if out.is_empty() {
                return;
            }
            let wave = &item.wave[at * FRAMES * self.stride..];
            if width == channels {
                normalised(wave, &item.kernel, &item.shift, self.stride, out);
            } else {
                values.resize(out.len() / channels * width, 0.0);
                normalised(wave, &item.kernel, &item.shift, self.stride, values);
                for (out, values) in out.chunks_exact_mut(channels).zip(values.chunks_exact(width)) {
                    out.copy_from_slice(&values[..channels]);
                }
            }
            gelu_of(out);
        });
        if let Some(saved) = saved {
            saved.extend([wave, weight, norm_weight, norm_bias]);
        }
        tensor(out, [items.len(), frames, channels])
    }

    /// With `g` the gradient before the GELU, `x̂` the normalised output and sums over an item's `N`
    /// valid frames: `dbias = Σ g`, `dweight = Σ g · x̂`, and the convolution's output gets
    /// `norm weight / sd · (g − dbias / N − x̂ · dweight / N)`. What the kernel gets is linear in `g`,
    /// so that `Σ g · x` for each tap says it all.
    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [wave, weight, norm_weight, norm_bias] = dense_inputs(saved);
        let [gradient] = dense_inputs(vec![gradient]);
        let (weight, norm_weight) = (weight.storage::<f32>(), norm_weight.storage::<f32>());
        let gradient = gradient.storage::<f32>();
        let (frames, channels, taps, width) = (self.frames(), self.channels, self.taps, self.width());
        let items = self.items(wave.storage(), weight, norm_weight, norm_bias.storage());
        let (mut of_weight, mut of_scale, mut of_shift) =
            (vec![0f64; channels * taps], vec![0f64; channels], vec![0f64; channels]);
        let mut of_wave = vec![0f32; if wanted[0] { items.len() * self.samples } else { 0 }];
        for (at, (item, &length)) in items.iter().zip(&self.lengths).enumerate() {
            let Some(item) = item else { continue };
            let gradient = &gradient[at * frames * channels..][..length * channels];
            let part = rows_of_part(length).next_multiple_of(FRAMES);
            let parts: Vec<Vec<f32>> = gradient
                .par_chunks(part * channels)
                .enumerate()
                .map(|(at, gradient)| {
                    let mut sums = vec![0f32; (1 + taps) * width];
                    let (mut values, mut change) = (Vec::new(), Vec::new());
                    for (block, gradient) in gradient.chunks(FRAMES * channels).enumerate() {
                        let first = at * part + block * FRAMES;
                        self.before_gelu(item, first, gradient, &mut values, &mut change);
                        let (plain, across) = sums.split_at_mut(width);
                        gradient_sums(&item.wave[first * self.stride..], &change, self.stride, plain, across);
                    }
                    sums
                })
                .collect();
            let sums = total(parts, (1 + taps) * width);
            let (plain, across) = sums.split_at(width);
            let mut slopes = Vec::with_capacity(channels);
            for (channel, weight) in weight.chunks_exact(taps).enumerate() {
                let sd = item.inverse_sd[channel];
                let sum = f64::from(plain[channel]);
                let along: Vec<f64> = (0..taps).map(|tap| f64::from(across[tap * width + channel])).collect();
                let slope = sd * (dot(weight, &along) - sum * dot(weight, &item.mean));
                of_shift[channel] += sum;
                of_scale[channel] += slope;
                slopes.push((sum, slope));
                let spread = product_with(&item.covariance, weight);
                for tap in 0..taps {
                    of_weight[channel * taps + tap] += f64::from(norm_weight[channel])
                        * sd
                        * (along[tap] - sum * item.mean[tap] - slope * sd * spread[tap]);
                }
            }
            if wanted[0] {
                let of_wave = &mut of_wave[at * self.samples..(at + 1) * self.samples];
                self.wave_gradient(item, gradient, &slopes, weight, norm_weight, of_wave);
            }
        }
        let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        vec![
            wanted[0].then(|| tensor(of_wave, [items.len(), self.samples])),
            Some(tensor(single(of_weight), [channels, 1, taps])),
            Some(tensor(single(of_scale), [channels])),
            Some(tensor(single(of_shift), [channels])),
        ]
    }
}

impl WaveLayer {
    /// Adds the gradient of one item's wave. `slopes`: `dbias` and `dweight` of each channel.
    fn wave_gradient(
        &self,
        item: &Item,
        gradient: &[f32],
        slopes: &[(f64, f64)],
        weight: &[f32],
        norm_weight: &[f32],
        of_wave: &mut [f32],
    ) {
        let (channels, taps, width) = (self.channels, self.taps, self.width());
        let count = (gradient.len() / channels) as f64;
        let (mut values, mut change) = (Vec::new(), Vec::new());
        for (block, gradient) in gradient.chunks(FRAMES * channels).enumerate() {
            let first = block * FRAMES;
            self.before_gelu(item, first, gradient, &mut values, &mut change);
            let frames = gradient.len() / channels;
            for (frame, change) in change.chunks_exact_mut(width).enumerate() {
                let start = (first + frame) * self.stride;
                let window = &item.wave[start..start + taps];
                for (channel, change) in change[..channels].iter_mut().enumerate() {
                    let sd = item.inverse_sd[channel];
                    let weight = &weight[channel * taps..(channel + 1) * taps];
                    let centred: f64 = (weight.iter().zip(window).zip(&item.mean))
                        .map(|((&weight, &x), mean)| f64::from(weight) * (f64::from(x) - mean))
                        .sum();
                    let (sum, slope) = slopes[channel];
                    let scale = f64::from(norm_weight[channel]) * sd;
                    *change = (scale * (f64::from(*change) - sum / count - centred * sd * slope / count)) as f32;
                }
            }
            let mut windows = vec![0f32; frames * taps];
            product(
                [frames, channels, taps],
                (&change, rows(width)),
                (weight, rows(taps)),
                (&mut windows, rows(taps)),
                false,
            );
            for (frame, window) in windows.chunks_exact(taps).enumerate() {
                for (sum, part) in of_wave[(first + frame) * self.stride..].iter_mut().zip(window) {
                    *sum += part;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_layers_one_by_one() {
        for (batch, samples, channels, taps, stride, lengths) in [
            (1, 60, 3, 10, 5, vec![11]),
            (2, 700, 32, 10, 5, vec![139, 70]),
            (1, 1500, 40, 10, 5, vec![299]),
            (3, 90, 70, 4, 3, vec![29, 0, 7]),
        ] {
            // An offset as a recording may have.
            let wave = values(batch * samples, 1).into_iter().map(|x| x + 0.5).collect();
            let case = Case::new([
                (wave, [1, batch, samples]),
                (values(channels * taps, 2), [channels, 1, taps]),
                (values(channels, 3), [1, 1, channels]),
                (values(channels, 4), [1, 1, channels]),
            ]);
            let flat = |w: Tensor<3>| w.reshape([channels]);
            let one = |wave: Tensor<3>| wave.squeeze_dim::<2>(0);
            case.agrees(
                |[x, w, g, b]| wave_layer(one(x), w, flat(g), flat(b), 1e-5, stride, &lengths),
                |[x, w, g, b]| plain(one(x), w, flat(g), flat(b), 1e-5, stride, &lengths),
                3e-6,
            );
        }
    }
}
