//! One number that makes probabilities as sure as they are right: the temperature.

use serde::{Deserialize, Serialize};

use crate::ClassPredictions;

/// Temperatures that are looked for; what would be beyond is no calibration.
const LEAST: f64 = 0.01;
const MOST: f64 = 100.0;
/// Halvings of the logarithm's range, after which it has no digits left.
const HALVINGS: usize = 64;
/// Slope of the log loss per unit of inverse temperature that is none.
const FLAT: f64 = 1e-12;

/// A temperature `T`, by which probabilities become `pₖ^(1/T) / Σⱼ pⱼ^(1/T)`: the softmax of the logits divided by it. Above
/// 1 it makes them less sure. It changes no order of classes, and so no prediction.
///
/// # Source
/// Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// The temperature.
    pub value: f64,
    /// Items that it was fitted on.
    pub items: u64,
}

/// Why predictions have no temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Uncalibrated {
    /// Nothing to fit on.
    #[error("no item has the label")]
    NoItems,
    /// One class is certain.
    #[error("there are not two classes")]
    OneClass,
    /// Scores say nothing.
    #[error("every item has the same probability for all classes, which no temperature changes")]
    Constant,
    /// The loss falls for ever as the temperature does.
    #[error("the true class is the most probable one of every item, so that the surest probabilities fit best")]
    AllRight,
    /// Probabilities are nearly equal.
    #[error("the probabilities of the classes are so alike that a temperature below 0.01 would fit best")]
    TooEven,
    /// The loss falls for ever as the temperature rises.
    #[error("the scores are no better than chance, so that equal probabilities fit best")]
    NoBetterThanChance,
    /// A score is no number.
    #[error("a score is not finite")]
    NotFinite,
}

impl Temperature {
    /// The temperature with the least log loss on these items, whose logarithms of probabilities stand for logits;
    /// probabilities that have become 0 in single precision count as its least normal number.
    ///
    /// # Errors
    /// The log loss has no least value from 0.01 to 100.
    pub fn fit(predictions: &ClassPredictions) -> Result<Self, Uncalibrated> {
        let classes = predictions.labels().len();
        let mut logits = Vec::new();
        let mut truth = Vec::new();
        for row in predictions.scored() {
            if row.probabilities.iter().any(|p| !p.is_finite()) {
                return Err(Uncalibrated::NotFinite);
            }
            logits.extend(row.probabilities.iter().map(|p| logit(*p)));
            truth.push(row.truth);
        }
        if truth.is_empty() {
            return Err(Uncalibrated::NoItems);
        }
        if classes < 2 {
            return Err(Uncalibrated::OneClass);
        }
        let slope = |inverse: f64| {
            let rows = logits.chunks_exact(classes).zip(&truth);
            let of_row = |(logits, truth): (&[f64], &usize)| expected(logits, inverse) - logits[*truth];
            rows.map(of_row).sum::<f64>() / truth.len() as f64
        };
        let (cold, hot) = (slope(1.0 / LEAST), slope(1.0 / MOST));
        match (hot, cold) {
            (hot, cold) if hot.abs() < FLAT && cold.abs() < FLAT && is_constant(&logits, classes) => {
                return Err(Uncalibrated::Constant);
            }
            (hot, _) if hot >= 0.0 => return Err(Uncalibrated::NoBetterThanChance),
            (_, cold) if cold <= FLAT => {
                let mut rows = logits.chunks_exact(classes).zip(&truth);
                let is_right = |(logits, truth): (&[f64], &usize)| logits.iter().all(|other| *other <= logits[*truth]);
                return Err(match rows.all(is_right) {
                    true => Uncalibrated::AllRight,
                    false => Uncalibrated::TooEven,
                });
            }
            _ => {}
        }
        // The log loss is convex in 1/T, so that its slope has one zero.
        let (mut low, mut high) = (LEAST.ln(), MOST.ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if slope((-middle).exp()) > 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Self {
            value: (0.5 * (low + high)).exp(),
            items: truth.len() as u64,
        })
    }

    /// Predictions at this temperature.
    pub fn applied(&self, predictions: &ClassPredictions) -> ClassPredictions {
        predictions.with_probabilities(|row| self.of(row))
    }

    /// Probabilities of an item's classes at this temperature.
    pub fn of(&self, probabilities: &[f32]) -> Vec<f32> {
        let logits: Vec<f64> = probabilities.iter().map(|p| logit(*p) / self.value).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
        let sum: f64 = parts.iter().sum();
        parts.iter().map(|part| (part / sum) as f32).collect()
    }
}

fn logit(probability: f32) -> f64 {
    f64::from(probability.max(f32::MIN_POSITIVE)).ln()
}

fn is_constant(logits: &[f64], classes: usize) -> bool {
    logits
        .chunks_exact(classes)
        .all(|row| row.iter().all(|logit| *logit == row[0]))
}

/// Mean of the logits under the probabilities that they have at an inverse temperature.
fn expected(logits: &[f64], inverse: f64) -> f64 {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for logit in logits {
        let part = ((logit - most) * inverse).exp();
        sum += part;
        weighted += part * logit;
    }
    weighted / sum
}
