//! 3×3 convolution by unfolding a tile of frames and multiplying matrices.

use rayon::prelude::*;

use super::Geometry;
use super::gemm::{product, rows, transposed};

const TAPS: usize = 9;
/// Columns (frames × bands) of a tile: the unfolded tile should stay in a core's cache.
const TILE_COLUMNS: usize = 1024;
/// Groups of items whose weight gradients are summed apart, then together in this order: enough
/// for the cores of a workstation, and the same number on every machine.
const GROUPS: usize = 8;

fn tile_frames(bands: usize) -> usize {
    (TILE_COLUMNS / bands.max(1)).max(1)
}

/// Frames of one item in tiles: first frame and number of frames.
fn tiles(length: usize, bands: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = tile_frames(bands);
    (0..length)
        .step_by(step)
        .map(move |first| (first, step.min(length - first)))
}

/// Unfolds frames `first..first + count` of an item `[channels, time, bands]` with `length` valid
/// frames into `[channels × 9, count × bands]`.
fn unfold(
    x: &[f32],
    unfolded: &mut [f32],
    (first, count): (usize, usize),
    (length, time, bands): (usize, usize, usize),
) {
    let columns = count * bands;
    for (channel, taps) in x
        .chunks_exact(time * bands)
        .zip(unfolded.chunks_exact_mut(TAPS * columns))
    {
        for (tap, target) in taps.chunks_exact_mut(columns).enumerate() {
            let (down, right) = (tap / 3, tap % 3);
            for (offset, target) in target.chunks_exact_mut(bands).enumerate() {
                // Frame `first + offset + down − 1`; outside the valid frames lie zeros.
                let frame = first + offset + down;
                if frame == 0 || frame > length {
                    target.fill(0.0);
                    continue;
                }
                let source = &channel[(frame - 1) * bands..frame * bands];
                match right {
                    0 => {
                        target[0] = 0.0;
                        target[1..].copy_from_slice(&source[..bands - 1]);
                    }
                    1 => target.copy_from_slice(source),
                    _ => {
                        target[..bands - 1].copy_from_slice(&source[1..]);
                        target[bands - 1] = 0.0;
                    }
                }
            }
        }
    }
}

/// Adds unfolded gradients back to the item that they were unfolded from.
fn fold(
    unfolded: &[f32],
    dx: &mut [f32],
    (first, count): (usize, usize),
    (length, time, bands): (usize, usize, usize),
) {
    let columns = count * bands;
    let add = |target: &mut [f32], source: &[f32]| {
        target
            .iter_mut()
            .zip(source)
            .for_each(|(target, source)| *target += source)
    };
    for (channel, taps) in dx
        .chunks_exact_mut(time * bands)
        .zip(unfolded.chunks_exact(TAPS * columns))
    {
        for (tap, source) in taps.chunks_exact(columns).enumerate() {
            let (down, right) = (tap / 3, tap % 3);
            for (offset, source) in source.chunks_exact(bands).enumerate() {
                let frame = first + offset + down;
                if frame == 0 || frame > length {
                    continue;
                }
                let target = &mut channel[(frame - 1) * bands..frame * bands];
                match right {
                    0 => add(&mut target[..bands - 1], &source[1..]),
                    1 => add(target, source),
                    _ => add(&mut target[1..], &source[..bands - 1]),
                }
            }
        }
    }
}

/// `[batch, outputs, time, bands]` from `x` `[batch, inputs, time, bands]` and `weight`
/// `[outputs, inputs, 3, 3]`.
pub fn forward(x: &[f32], weight: &[f32], inputs: usize, outputs: usize, geometry: &Geometry) -> Vec<f32> {
    let Geometry {
        batch,
        time,
        bands,
        lengths,
    } = geometry;
    let (time, bands, plane) = (*time, *bands, time * bands);
    let mut y = vec![0f32; batch * outputs * plane];
    y.par_chunks_exact_mut((outputs * plane).max(1))
        .zip(x.par_chunks_exact((inputs * plane).max(1)))
        .zip(lengths)
        .for_each_init(Vec::new, |unfolded: &mut Vec<f32>, ((y, x), &length)| {
            for (first, count) in tiles(length, bands) {
                let columns = count * bands;
                unfolded.resize(inputs * TAPS * columns, 0.0);
                unfold(x, unfolded, (first, count), (length, time, bands));
                product(
                    [outputs, inputs * TAPS, columns],
                    (weight, rows(inputs * TAPS)),
                    (unfolded, rows(columns)),
                    (&mut y[first * bands..], rows(plane)),
                    false,
                );
            }
        });
    y
}

/// Gradient of `forward` for `x`.
pub fn input_gradient(
    weight: &[f32],
    gradient: &[f32],
    inputs: usize,
    outputs: usize,
    geometry: &Geometry,
) -> Vec<f32> {
    let Geometry {
        batch,
        time,
        bands,
        lengths,
    } = geometry;
    let (time, bands, plane) = (*time, *bands, time * bands);
    let mut dx = vec![0f32; batch * inputs * plane];
    dx.par_chunks_exact_mut((inputs * plane).max(1))
        .zip(gradient.par_chunks_exact((outputs * plane).max(1)))
        .zip(lengths)
        .for_each_init(Vec::new, |unfolded: &mut Vec<f32>, ((dx, gradient), &length)| {
            for (first, count) in tiles(length, bands) {
                let columns = count * bands;
                unfolded.resize(inputs * TAPS * columns, 0.0);
                product(
                    [inputs * TAPS, outputs, columns],
                    (weight, transposed(inputs * TAPS)),
                    (&gradient[first * bands..], rows(plane)),
                    (unfolded, rows(columns)),
                    false,
                );
                fold(unfolded, dx, (first, count), (length, time, bands));
            }
        });
    dx
}

/// Gradient of `forward` for `weight`.
pub fn weight_gradient(x: &[f32], gradient: &[f32], inputs: usize, outputs: usize, geometry: &Geometry) -> Vec<f32> {
    let Geometry {
        batch,
        time,
        bands,
        lengths,
    } = geometry;
    let (time, bands, plane) = (*time, *bands, time * bands);
    let group = batch.div_ceil(GROUPS).max(1);
    let items: Vec<(&[f32], &[f32], usize)> = x
        .chunks_exact((inputs * plane).max(1))
        .zip(gradient.chunks_exact((outputs * plane).max(1)))
        .zip(lengths)
        .map(|((x, gradient), &length)| (x, gradient, length))
        .collect();
    let size = outputs * inputs * TAPS;
    let sums: Vec<Vec<f32>> = items
        .par_chunks(group)
        .map(|items| {
            let mut sum = vec![0f32; size];
            let mut unfolded = Vec::new();
            for &(x, gradient, length) in items {
                for (first, count) in tiles(length, bands) {
                    let columns = count * bands;
                    unfolded.resize(inputs * TAPS * columns, 0.0);
                    unfold(x, &mut unfolded, (first, count), (length, time, bands));
                    product(
                        [outputs, columns, inputs * TAPS],
                        (&gradient[first * bands..], rows(plane)),
                        (&unfolded, transposed(columns)),
                        (&mut sum, rows(inputs * TAPS)),
                        true,
                    );
                }
            }
            sum
        })
        .collect();
    let mut total = vec![0f32; size];
    for sum in &sums {
        total.iter_mut().zip(sum).for_each(|(total, part)| *total += part);
    }
    total
}
