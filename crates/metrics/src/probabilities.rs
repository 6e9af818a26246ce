//! How much probability a classification gave to what was true.

use crate::ClassPredictions;
use crate::predictions::ScoredRow;

/// Least probability whose logarithm is taken, so that one item that was thought impossible makes no
/// loss infinite.
const LEAST: f64 = f64::EPSILON;

/// Mean over the items of `−ln p`, of the probability `p` that each one's true class was given, in their order; `None`
/// without any.
///
/// # Source
/// Equal to scikit-learn's `log_loss` of probabilities in double precision, which clips them in the same
/// way.
pub(crate) fn log_loss(predictions: &ClassPredictions) -> Option<f64> {
    mean_loss(predictions.scored().map(|row| f64::from(row.of_true())))
}

/// As [`log_loss`], of the probabilities of the true classes.
fn mean_loss(of_true: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = of_true.fold((0.0, 0_u64), |(sum, n), p| {
        // Not by `clamp`, which would hide a probability that is no number.
        let p = if p < LEAST { LEAST } else { p };
        let p = if p > 1.0 - LEAST { 1.0 - LEAST } else { p };
        (sum - p.ln(), n + 1)
    });
    (n > 0).then(|| sum / n as f64)
}

/// Brier's score: mean over the items of the sum over all classes of `(pₖ − yₖ)²`, where `yₖ` is 1 for the true class and
/// 0 for every other; from 0 to 2, of two classes twice that of the binary form. `None` without items.
///
/// # Source
/// Brier, Monthly Weather Review 78(1), 1950. Equal to scikit-learn's `brier_score_loss` with
/// `scale_by_half=False`.
pub(crate) fn brier(predictions: &ClassPredictions) -> Option<f64> {
    let of_row = |row: ScoredRow<'_>| {
        let apart = |(class, &p): (usize, &f32)| f64::from(p) - f64::from(u8::from(class == row.truth));
        row.probabilities
            .iter()
            .enumerate()
            .map(apart)
            .map(|apart| apart * apart)
            .sum()
    };
    crate::classification::mean(predictions.scored().map(of_row))
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
            let found = mean_loss(truth.iter().zip(&rows).map(|(truth, row)| row[*truth])).unwrap();
            let expected = case["log_loss"].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn without_items_there_is_no_log_loss_and_what_is_no_number_stays_so() {
        assert_eq!(mean_loss([].into_iter()), None);
        assert!(mean_loss([f64::NAN].into_iter()).unwrap().is_nan());
    }
}
