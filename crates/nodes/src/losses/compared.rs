//! Vectors of many items on the host, compared pair by pair without keeping the pairs.

use burn::tensor::Tensor;
use rayon::prelude::*;

use emorun_nn::node::{NodeError, Ports};
use emorun_nn::value::Labels;
use emorun_nn::waits;

/// Least squared distance, as that of the losses' own `forward`, whose root has no gradient at 0.
const LEAST_SQUARE: f64 = 1e-12;
/// Least length that a vector is divided by.
const LEAST_LENGTH: f64 = 1e-12;
/// Sums that run beside each other, so that the processor adds several numbers at once.
const LANES: usize = 8;

/// Vectors of items, in double precision.
pub(super) struct Rows {
    values: Vec<f64>,
    width: usize,
}

impl Rows {
    /// The rows of `[items, width]`.
    pub(super) fn of(vectors: &Tensor<2>) -> Self {
        let [_, width] = vectors.dims();
        Self {
            values: waits::numbers(vectors.clone()).into_iter().map(f64::from).collect(),
            width: width.max(1),
        }
    }

    /// The same directions at length 1.
    pub(super) fn at_unit_length(mut self) -> Self {
        for row in self.values.chunks_exact_mut(self.width) {
            let length = dot(row, row).sqrt().max(LEAST_LENGTH);
            row.iter_mut().for_each(|value| *value /= length);
        }
        self
    }

    fn row(&self, at: usize) -> &[f64] {
        self.values
            .get(at * self.width..(at + 1) * self.width)
            .unwrap_or_default()
    }

    /// Scalar product of two items.
    pub(super) fn product(&self, a: usize, b: usize) -> f64 {
        dot(self.row(a), self.row(b))
    }

    /// Euclidean distance of two items.
    pub(super) fn distance(&self, a: usize, b: usize) -> f64 {
        let mut sums = [0.0; LANES];
        for (a, b) in self.row(a).chunks(LANES).zip(self.row(b).chunks(LANES)) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum += (a - b) * (a - b);
            }
        }
        sums.iter().sum::<f64>().max(LEAST_SQUARE).sqrt()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Vectors at `input` and labels at `target`.
///
/// # Errors
/// A port is missing or carries something else.
pub(super) fn rows_and_labels(inputs: &Ports) -> Result<(Rows, Labels), NodeError> {
    Ok((Rows::of(&inputs.vector("input")?), inputs.labels("target")?))
}

/// Sums what `of` gives for each item (a cost and how much it counts), and the counts: on all cores, in the
/// order of the items.
pub(super) fn summed(items: usize, of: impl Fn(usize) -> (f64, f64) + Send + Sync) -> (f64, f64) {
    let each: Vec<(f64, f64)> = (0..items).into_par_iter().map(of).collect();
    each.iter()
        .fold((0.0, 0.0), |(sum, count), (cost, own)| (sum + cost, count + own))
}
