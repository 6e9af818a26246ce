//! Multinomial logistic regression.

use std::collections::VecDeque;

use nalgebra::DMatrix;

/// Steps at most; the objective is convex, and few hundred are enough.
const STEPS: usize = 1000;
/// Largest part of the gradient, per item, at which it is done.
const TOLERANCE: f64 = 1e-7;
/// Steps that the curvature is learnt from.
const MEMORY: usize = 10;
/// Share of the fall that the slope promises, which a step must reach (Nocedal and Wright 2006, equation 3.4).
const ENOUGH: f64 = 1e-4;

/// Weights of classes `[width + 1, classes]`, the last row without input.
pub(crate) struct Logistic(DMatrix<f64>);

impl Logistic {
    /// Minimises `½ ‖W‖² + Σ -ln p(class)` over items, the intercept being free: what `LogisticRegression` of scikit-learn
    /// does with `C = 1`. By L-BFGS (Liu and Nocedal, 1989), from zeros, so that nothing is drawn.
    pub(crate) fn fit(inputs: &DMatrix<f64>, classes: &[usize], count: usize) -> Self {
        let inputs = with_ones(inputs);
        let objective = |weights: &DMatrix<f64>| objective(&inputs, classes, weights);
        let mut weights = DMatrix::zeros(inputs.ncols(), count);
        let (mut value, mut gradient) = objective(&weights);
        let mut memory: VecDeque<(DMatrix<f64>, DMatrix<f64>)> = VecDeque::new();
        for _ in 0..STEPS {
            if gradient.amax() <= TOLERANCE * classes.len() as f64 {
                break;
            }
            let direction = direction(&gradient, &memory);
            let slope = direction.dot(&gradient);
            let mut length = match memory.is_empty() {
                true => 1.0 / gradient.norm(),
                false => 1.0,
            };
            let (moved, next_value, next_gradient) = loop {
                let moved = &weights + &direction * length;
                let (next_value, next_gradient) = objective(&moved);
                if next_value <= value + ENOUGH * length * slope || length < 1e-12 {
                    break (moved, next_value, next_gradient);
                }
                length *= 0.5;
            };
            if next_value >= value {
                // Only rounding is left.
                break;
            }
            let (step, turn) = (&moved - &weights, &next_gradient - &gradient);
            if step.dot(&turn) > 1e-12 * turn.norm_squared() {
                memory.push_back((step, turn));
            }
            if memory.len() > MEMORY {
                memory.pop_front();
            }
            (weights, value, gradient) = (moved, next_value, next_gradient);
        }
        Self(weights)
    }

    /// The most probable class of each input; of several the first.
    pub(crate) fn predict(&self, inputs: &DMatrix<f64>) -> Vec<usize> {
        let scores = with_ones(inputs) * &self.0;
        let best = |row: usize| {
            let mut best = 0;
            for class in 1..scores.ncols() {
                if scores[(row, class)] > scores[(row, best)] {
                    best = class;
                }
            }
            best
        };
        (0..scores.nrows()).map(best).collect()
    }
}

fn with_ones(inputs: &DMatrix<f64>) -> DMatrix<f64> {
    inputs.clone().insert_column(inputs.ncols(), 1.0)
}

/// Value and gradient of what is minimised.
fn objective(inputs: &DMatrix<f64>, classes: &[usize], weights: &DMatrix<f64>) -> (f64, DMatrix<f64>) {
    let mut errors = inputs * weights;
    let mut value = 0.0;
    for (item, class) in classes.iter().enumerate() {
        let mut row = errors.row_mut(item);
        let largest = row.max();
        let truth = row[*class];
        row.apply(|score| *score = (*score - largest).exp());
        let sum = row.sum();
        value += sum.ln() + largest - truth;
        row /= sum;
        row[*class] -= 1.0;
    }
    let mut gradient = inputs.tr_mul(&errors);
    let penalised = weights.rows(0, weights.nrows() - 1);
    value += 0.5 * penalised.norm_squared();
    let mut part = gradient.rows_mut(0, weights.nrows() - 1);
    part += penalised;
    (value, gradient)
}

/// The way down by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4).
fn direction(gradient: &DMatrix<f64>, memory: &VecDeque<(DMatrix<f64>, DMatrix<f64>)>) -> DMatrix<f64> {
    let mut way = -gradient;
    let mut shares = Vec::with_capacity(memory.len());
    for (step, turn) in memory.iter().rev() {
        let share = step.dot(&way) / step.dot(turn);
        way -= turn * share;
        shares.push(share);
    }
    if let Some((step, turn)) = memory.back() {
        way *= step.dot(turn) / turn.norm_squared();
    }
    for ((step, turn), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = turn.dot(&way) / step.dot(turn);
        way += step * (share - back);
    }
    way
}
