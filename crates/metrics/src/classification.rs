//! What follows from counts of true and predicted classes.

use serde::{Deserialize, Serialize};

use crate::Confusion;

/// How well one class was found; ratios without a denominator are 0, as scikit-learn's with `zero_division=0`.
///
/// # Source
/// Equal to scikit-learn's `precision_recall_fscore_support`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class.
    pub label: String,
    /// Share of the items predicted as this class that are of it.
    pub precision: f64,
    /// Share of the items of this class that were predicted as it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// True items of this class.
    pub support: u64,
    /// Items predicted as this class.
    pub predicted: u64,
}

impl Confusion {
    /// One entry a class of the label set, in its order, also for classes without items.
    pub fn per_class(&self) -> Vec<ClassReport> {
        let predicted = self.predicted();
        let rows = self.rows().zip(self.labels()).zip(predicted).enumerate();
        let report = |(class, ((row, label), predicted)): (usize, ((&[u64], &String), u64))| {
            let support = row.iter().fold(0, |sum: u64, &n| sum.saturating_add(n));
            let hits = row[class];
            ClassReport {
                label: label.clone(),
                precision: ratio(hits as f64, predicted as f64),
                recall: ratio(hits as f64, support as f64),
                f1: ratio(2.0 * hits as f64, support as f64 + predicted as f64),
                support,
                predicted,
            }
        };
        rows.map(report).collect()
    }

    /// How many items were predicted as each class.
    fn predicted(&self) -> Vec<u64> {
        let mut predicted = vec![0_u64; self.labels().len()];
        for row in self.rows() {
            for (sum, &count) in predicted.iter_mut().zip(row) {
                *sum = sum.saturating_add(count);
            }
        }
        predicted
    }

    /// How many items were predicted as what they are.
    fn correct(&self) -> u64 {
        let hits = self.rows().enumerate().map(|(class, row)| row[class]);
        hits.fold(0, u64::saturating_add)
    }
}

/// Unweighted average recall, the mean of the recalls of the classes that the truth has; `None` without items.
///
/// # Source
/// Equal to scikit-learn's `balanced_accuracy_score`.
pub(crate) fn uar(counts: &Confusion) -> Option<f64> {
    let classes = counts.per_class();
    let present = classes.iter().filter(|class| class.support > 0);
    mean(present.map(|class| class.recall))
}

/// Share of the items that were predicted as what they are; `None` without items. Where each item has one class, it is
/// the micro-averaged F1 as well: what is missed in one class is predicted in another.
///
/// # Source
/// Equal to scikit-learn's `accuracy_score`, and `f1_score` with `average="micro"`.
pub(crate) fn accuracy(counts: &Confusion) -> Option<f64> {
    let n = counts.total();
    (n > 0).then(|| counts.correct() as f64 / n as f64)
}

/// Mean F1 of the classes that truth or prediction has; `None` without items.
///
/// # Source
/// Equal to scikit-learn's `f1_score` with `average="macro"` and `zero_division=0`.
pub(crate) fn macro_f1(counts: &Confusion) -> Option<f64> {
    let classes = counts.per_class();
    let named = classes.iter().filter(|class| class.support > 0 || class.predicted > 0);
    mean(named.map(|class| class.f1))
}

/// F1 of the classes weighted by their true items; `None` without items.
///
/// # Source
/// Equal to scikit-learn's `f1_score` with `average="weighted"` and `zero_division=0`.
pub(crate) fn weighted_f1(counts: &Confusion) -> Option<f64> {
    let n = counts.total();
    let classes = counts.per_class();
    let present = classes.iter().filter(|class| class.support > 0);
    let weighted = present.map(|class| class.f1 * class.support as f64);
    (n > 0).then(|| weighted.sum::<f64>() / n as f64)
}

/// Matthews' correlation of true and predicted classes, of several classes after Gorodkin:
/// `(c·n − Σ tₖ·pₖ) / √((n² − Σ pₖ²)(n² − Σ tₖ²))`, of `n` items, `c` of them right, `tₖ` of class `k`, `pₖ` predicted
/// as it. 0 where truth or prediction has one class alone, which tells nothing of the other; `None` without items.
///
/// # Source
/// Equal to scikit-learn's `matthews_corrcoef`. Gorodkin, Computational Biology and Chemistry 28, 2004.
pub(crate) fn matthews(counts: &Confusion) -> Option<f64> {
    let n = counts.total() as f64;
    let (mut both, mut of_truth, mut of_predicted) = (0.0, 0.0, 0.0);
    for class in counts.per_class() {
        let (truth, predicted) = (class.support as f64, class.predicted as f64);
        both += truth * predicted;
        of_truth += truth * truth;
        of_predicted += predicted * predicted;
    }
    let spread = (n * n - of_predicted) * (n * n - of_truth);
    let covariance = counts.correct() as f64 * n - both;
    (n > 0.0).then(|| if spread > 0.0 { covariance / spread.sqrt() } else { 0.0 })
}

/// 0 where scikit-learn's `zero_division=0` applies.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// One of scikit-learn's answers, and ours to the same question.
    fn assert_close(ours: f64, theirs: &Value, what: &str) {
        let theirs = theirs.as_f64().unwrap_or(f64::NAN);
        assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} ≠ {theirs}");
    }

    #[test]
    fn metrics_of_counts_equal_those_of_scikit_learn() {
        let golden = include_str!("../tests/golden/classification.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() > 30);
        for case in cases {
            let name = &case["name"];
            let indices = |key: &str| serde_json::from_value::<Vec<usize>>(case[key].clone());
            let labels: Vec<String> = serde_json::from_value(case["labels"].clone()).unwrap();
            let mut confusion = Confusion::new(&labels);
            confusion
                .extend(&indices("truth").unwrap(), &indices("predicted").unwrap())
                .unwrap();
            let close = |ours: Option<f64>, key: &str| {
                assert_close(ours.unwrap(), &case[key], &format!("{name} {key}"));
            };
            close(uar(&confusion), "uar");
            close(accuracy(&confusion), "wa");
            close(macro_f1(&confusion), "macro_f1");
            close(weighted_f1(&confusion), "weighted_f1");
            let rows: Vec<&[u64]> = confusion.rows().collect();
            assert_eq!(serde_json::to_value(rows).unwrap(), case["confusion"]);
            let classes = confusion.per_class();
            assert_eq!(classes.len(), labels.len());
            for (i, class) in classes.iter().enumerate() {
                assert_eq!(class.label, labels[i]);
                assert_eq!(class.support, case["support"][i]);
                for (ours, key) in [
                    (class.precision, "precision"),
                    (class.recall, "recall"),
                    (class.f1, "f1"),
                ] {
                    assert_close(ours, &case[key][i], &format!("{name} {key} {i}"));
                }
            }
        }
    }

    #[test]
    fn without_items_there_are_no_metrics() {
        for labels in [&["a", "b"][..], &[]] {
            let counts = Confusion::new(labels);
            let all = [uar, accuracy, macro_f1, weighted_f1, matthews].map(|metric| metric(&counts));
            assert_eq!(all, [None; 5]);
            assert_eq!(counts.per_class().len(), labels.len());
        }
    }
}
