//! How far two annotators agree.

use crate::Confusion;

/// Cohen's κ of two annotators, whose labels of the same items are the rows and columns of a confusion matrix.
///
/// κ = (pₒ − pₑ) / (1 − pₑ), with the observed share of equal labels pₒ and the share pₑ that would be equal if each
/// annotator drew labels at random with their own frequencies: 1 is full agreement, 0 that of chance.
///
/// `None` where chance alone agrees always (no item, or one label only); scikit-learn's `cohen_kappa_score` gives NaN.
///
/// # Source
/// Cohen, Educational and Psychological Measurement 20(1), 1960.
#[must_use]
pub fn cohen_kappa(counts: &Confusion) -> Option<f64> {
    let rows: Vec<&[u64]> = counts.rows().collect();
    let total = counts.total() as f64;
    let mut observed = 0.0;
    let mut by_chance = 0.0;
    for (label, row) in rows.iter().enumerate() {
        observed += row[label] as f64;
        let first: f64 = row.iter().map(|&count| count as f64).sum();
        let second: f64 = rows.iter().map(|row| row[label] as f64).sum();
        by_chance += first * second / total;
    }
    let room = total - by_chance;
    // Also false for NaN, which no item gives.
    (room > 0.0).then(|| (observed - by_chance) / room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        first: Vec<usize>,
        second: Vec<usize>,
        kappa: Option<f64>,
    }

    #[test]
    fn kappa_is_that_of_scikit_learn() {
        let text = include_str!("../tests/golden/agreement.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let mut counts = Confusion::new(&["a", "b", "c", "d", "e"]);
            counts.extend(&case.first, &case.second).unwrap();
            match (cohen_kappa(&counts), case.kappa) {
                (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-12, "{found} {expected}"),
                (found, expected) => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn no_items_have_no_agreement() {
        assert_eq!(cohen_kappa(&Confusion::new(&["a", "b"])), None);
        assert_eq!(cohen_kappa(&Confusion::new(&[] as &[&str])), None);
    }
}
