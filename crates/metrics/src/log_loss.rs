//! How much probability a classification gave to what was true.

use serde::{Deserialize, Serialize};

/// Least probability whose logarithm is taken, so that one item that was thought impossible makes no
/// loss infinite.
const LEAST: f64 = f64::EPSILON;

/// Sum over items of `−ln p`, of the probability `p` that each one's true class was given. Batches, folds
/// and seeds are merged by adding.
///
/// # Source
/// Equal to scikit-learn's `log_loss` of probabilities in double precision, which clips them in the same
/// way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLoss {
    /// Items.
    pub n: u64,
    /// Sum of their losses.
    sum: f64,
}

impl LogLoss {
    /// Adds an item whose true class was given probability `p`.
    pub fn add(&mut self, p: f64) {
        self.n += 1;
        // Not by `clamp`, which would hide a probability that is no number.
        let p = if p < LEAST { LEAST } else { p };
        self.sum -= if p > 1.0 - LEAST { 1.0 - LEAST } else { p }.ln();
    }

    /// Adds the items of another.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
    }

    /// Mean over the items; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_loss_is_that_of_scikit_learn() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../tests/golden/log_loss.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let truth: Vec<usize> = serde_json::from_value(case["truth"].clone()).unwrap();
            let rows: Vec<Vec<f64>> = serde_json::from_value(case["probabilities"].clone()).unwrap();
            let mut halves = [LogLoss::default(), LogLoss::default()];
            for (at, (truth, row)) in truth.iter().zip(&rows).enumerate() {
                halves[at % 2].add(row[*truth]);
            }
            let [mut all, odd] = halves;
            all.merge(&odd);
            let (found, expected) = (all.mean().unwrap(), case["log_loss"].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn without_items_there_is_no_log_loss_and_what_is_no_number_stays_so() {
        let mut loss = LogLoss::default();
        assert_eq!(loss.mean(), None);
        loss.add(f64::NAN);
        assert!(loss.mean().unwrap().is_nan());
    }
}
