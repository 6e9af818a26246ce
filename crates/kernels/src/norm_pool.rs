//! Batch norm over valid frames, ReLU and 2×2 max-pooling in one pass each way.

use rayon::prelude::*;

use super::{BATCH_NORM_EPSILON, Geometry};

/// Mean and biased variance of each channel.
#[derive(Clone, Debug)]
pub struct Statistics {
    mean: Vec<f32>,
    var: Vec<f32>,
}

/// Sum of `f` over a slice in double precision, with eight sums side by side so that the compiler
/// can use vectors; the order is fixed.
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    const LANES: usize = 8;
    // Single precision within a block, double over blocks: exact enough, and fast.
    values
        .chunks(1024)
        .map(|block| {
            let mut lanes = [0f32; LANES];
            let mut whole = block.chunks_exact(LANES);
            for chunk in &mut whole {
                for (lane, &x) in lanes.iter_mut().zip(chunk) {
                    *lane += f(x);
                }
            }
            let rest: f32 = whole.remainder().iter().map(|&x| f(x)).sum();
            f64::from(lanes.iter().sum::<f32>() + rest)
        })
        .sum()
}

impl Statistics {
    /// Over the valid frames of `x` `[batch, channels, time, bands]`.
    pub fn of(x: &[f32], channels: usize, geometry: &Geometry) -> Self {
        let plane = geometry.time * geometry.bands;
        let count = (geometry.lengths.iter().sum::<usize>() * geometry.bands).max(1) as f64;
        let (mean, var) = (0..channels)
            .into_par_iter()
            .map(|channel| {
                // With time outside bands, an item's valid frames of a channel lie together.
                let valid = || {
                    geometry.lengths.iter().enumerate().map(move |(item, &length)| {
                        let start = (item * channels + channel) * plane;
                        &x[start..start + length * geometry.bands]
                    })
                };
                let mean = valid().map(|values| sum(values, |x| x)).sum::<f64>() / count;
                let centre = mean as f32;
                let squares = valid()
                    .map(|values| sum(values, |x| (x - centre) * (x - centre)))
                    .sum::<f64>();
                (centre, (squares / count) as f32)
            })
            .unzip();
        Self { mean, var }
    }

    /// Means and then variances.
    pub fn into_vec(self) -> Vec<f32> {
        [self.mean, self.var].concat()
    }

    /// From means and then variances.
    pub fn from_slice(values: &[f32]) -> Self {
        let (mean, var) = values.split_at(values.len() / 2);
        Self {
            mean: mean.to_vec(),
            var: var.to_vec(),
        }
    }

    /// `1 / sqrt(var + ε)` of a channel.
    fn inverse_sd(&self, channel: usize) -> f32 {
        (1.0 / (f64::from(self.var[channel]) + BATCH_NORM_EPSILON).sqrt()) as f32
    }
}

/// Positions of the four values of a pooling window, in the order in which PyTorch looks at them.
fn window(frame: usize, band: usize, bands: usize) -> [usize; 4] {
    let corner = 2 * frame * bands + 2 * band;
    [corner, corner + 1, corner + bands, corner + bands + 1]
}

/// See [`super::norm_pool()`].
pub fn forward(x: &[f32], gamma: &[f32], beta: &[f32], statistics: &Statistics, geometry: &Geometry) -> Vec<f32> {
    let Geometry {
        batch,
        time,
        bands,
        lengths,
    } = geometry;
    let (channels, plane) = (gamma.len(), time * bands);
    let (pooled_time, pooled_bands) = (time / 2, bands / 2);
    let mut pooled = vec![0f32; batch * channels * pooled_time * pooled_bands];
    pooled
        .par_chunks_exact_mut((pooled_time * pooled_bands).max(1))
        .zip(x.par_chunks_exact(plane.max(1)))
        .enumerate()
        .for_each(|(at, (pooled, x))| {
            let (item, channel) = (at / channels, at % channels);
            let scale = gamma[channel] * statistics.inverse_sd(channel);
            let shift = beta[channel] - statistics.mean[channel] * scale;
            let frames = lengths[item] / 2;
            let pairs = x.chunks_exact(2 * bands).take(frames);
            for (row, pair) in pooled.chunks_exact_mut(pooled_bands.max(1)).zip(pairs) {
                let (upper, lower) = pair.split_at(*bands);
                for ((target, upper), lower) in row.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
                    let norm = |x: f32| x * scale + shift;
                    *target = norm(upper[0])
                        .max(norm(upper[1]))
                        .max(norm(lower[0]).max(norm(lower[1])))
                        .max(0.0);
                }
            }
        });
    pooled
}

/// Gradients for `x`, `gamma` and `beta`.
///
/// With `x̂ = (x − mean) / sd` over the `N` valid positions of a channel and `g` the gradient that
/// pooling and ReLU let through: `dbeta = Σ g`, `dgamma = Σ g·x̂`, and
/// `dx = gamma / sd · (g − dbeta / N − x̂ · dgamma / N)` (Ioffe & Szegedy 2015, §3).
pub fn backward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    statistics: &Statistics,
    gradient: &[f32],
    geometry: &Geometry,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let Geometry {
        batch,
        time,
        bands,
        lengths,
    } = geometry;
    let (channels, plane, bands) = (gamma.len(), time * bands, *bands);
    let pooled_bands = bands / 2;
    let pooled_plane = (time / 2) * pooled_bands;
    let count = (lengths.iter().sum::<usize>() * bands).max(1) as f64;
    let planes = batch * channels;
    // Where each pooled value came from, and what it adds to the two sums.
    let mut dx = vec![0f32; planes * plane];
    let sums: Vec<(f64, f64)> = dx
        .par_chunks_exact_mut(plane.max(1))
        .enumerate()
        .map(|(at, dx)| {
            let (item, channel) = (at / channels, at % channels);
            let x = &x[at * plane..(at + 1) * plane];
            let gradient = &gradient[at * pooled_plane..(at + 1) * pooled_plane];
            let inverse_sd = statistics.inverse_sd(channel);
            let scale = gamma[channel] * inverse_sd;
            let shift = beta[channel] - statistics.mean[channel] * scale;
            let (mut dbeta, mut dgamma) = (0f64, 0f64);
            for (frame, gradient) in gradient
                .chunks_exact(pooled_bands.max(1))
                .take(lengths[item] / 2)
                .enumerate()
            {
                let (mut row_dbeta, mut row_dgamma) = (0f32, 0f32);
                for (band, &gradient) in gradient.iter().enumerate() {
                    let places = window(frame, band, bands);
                    let mut best = places[0];
                    let mut highest = x[best] * scale + shift;
                    for place in &places[1..] {
                        let value = x[*place] * scale + shift;
                        if value > highest {
                            (best, highest) = (*place, value);
                        }
                    }
                    if highest > 0.0 {
                        dx[best] = gradient;
                        row_dbeta += gradient;
                        row_dgamma += gradient * (x[best] - statistics.mean[channel]) * inverse_sd;
                    }
                }
                dbeta += f64::from(row_dbeta);
                dgamma += f64::from(row_dgamma);
            }
            (dbeta, dgamma)
        })
        .collect();
    let of_channel = |channel: usize| {
        (0..*batch)
            .map(|item| sums[item * channels + channel])
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    };
    let totals: Vec<(f64, f64)> = (0..channels).map(of_channel).collect();
    dx.par_chunks_exact_mut(plane.max(1))
        .zip(x.par_chunks_exact(plane.max(1)))
        .enumerate()
        .for_each(|(at, (dx, x))| {
            let (item, channel) = (at / channels, at % channels);
            let (dbeta, dgamma) = totals[channel];
            let inverse_sd = statistics.inverse_sd(channel);
            let scale = gamma[channel] * inverse_sd;
            // dx = scale · (g − a − b · (x − mean))
            let (a, b) = ((dbeta / count) as f32, (dgamma / count) as f32 * inverse_sd);
            let mean = statistics.mean[channel];
            for (dx, &x) in dx.iter_mut().zip(x).take(lengths[item] * bands) {
                *dx = scale * (*dx - a - b * (x - mean));
            }
        });
    let (dbeta, dgamma) = totals
        .into_iter()
        .map(|(dbeta, dgamma)| (dbeta as f32, dgamma as f32))
        .unzip();
    (dx, dgamma, dbeta)
}
