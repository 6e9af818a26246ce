//! The metrics of one confusion matrix.

use serde::{Deserialize, Serialize};

use crate::Confusion;

/// How well one classification did.
///
/// # Source
/// Equal to scikit-learn: `balanced_accuracy_score`, `accuracy_score`, `f1_score` with `average`
/// "macro" and "weighted" and `zero_division=0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// How many items.
    pub n: u64,
    /// Unweighted average recall over the classes present in the truth; none without items.
    pub uar: Option<f64>,
    /// Weighted average recall, that is accuracy; none without items.
    pub wa: Option<f64>,
    /// Mean F1 over the classes present in truth or prediction; none without items.
    pub macro_f1: Option<f64>,
    /// F1 of the classes weighted by their true items; none without items.
    pub weighted_f1: Option<f64>,
    /// One entry a class of the label set, in its order, also for classes without items.
    pub per_class: Vec<ClassReport>,
    /// The counts behind it.
    pub confusion: Confusion,
}

/// How well one class was found; ratios without a denominator are 0.
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

impl Classification {
    pub(crate) fn of(confusion: &Confusion) -> Self {
        let mut predicted = vec![0_u64; confusion.labels().len()];
        for row in confusion.rows() {
            for (sum, &count) in predicted.iter_mut().zip(row) {
                *sum = sum.saturating_add(count);
            }
        }
        let mut correct = 0_u64;
        let mut per_class = Vec::new();
        for (class, row) in confusion.rows().enumerate() {
            let support = row.iter().fold(0, |sum: u64, &n| sum.saturating_add(n));
            let hits = row[class];
            correct = correct.saturating_add(hits);
            per_class.push(ClassReport {
                label: confusion.labels()[class].clone(),
                precision: ratio(hits as f64, predicted[class] as f64),
                recall: ratio(hits as f64, support as f64),
                f1: ratio(2.0 * hits as f64, support as f64 + predicted[class] as f64),
                support,
                predicted: predicted[class],
            });
        }
        let n = confusion.total();
        let present = || per_class.iter().filter(|class| class.support > 0);
        let named = per_class
            .iter()
            .filter(|class| class.support > 0 || class.predicted > 0);
        let weighted = present().map(|class| class.f1 * class.support as f64);
        Self {
            n,
            uar: mean(present().map(|class| class.recall)),
            wa: (n > 0).then(|| correct as f64 / n as f64),
            macro_f1: mean(named.map(|class| class.f1)),
            weighted_f1: (n > 0).then(|| weighted.sum::<f64>() / n as f64),
            per_class,
            confusion: confusion.clone(),
        }
    }
}

/// 0 where scikit-learn's `zero_division=0` applies.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MetricsError;
    use serde_json::Value;

    /// One of scikit-learn's answers, and ours to the same question.
    fn assert_close(ours: f64, theirs: &Value, what: &str) {
        let theirs = theirs.as_f64().unwrap_or(f64::NAN);
        assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} ≠ {theirs}");
    }

    #[test]
    fn metrics_equal_those_of_scikit_learn() {
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
            let report = confusion.classification();
            let close = |ours: Option<f64>, key: &str| {
                assert_close(ours.unwrap(), &case[key], &format!("{name} {key}"));
            };
            close(report.uar, "uar");
            close(report.wa, "wa");
            close(report.macro_f1, "macro_f1");
            close(report.weighted_f1, "weighted_f1");
            let rows: Vec<&[u64]> = report.confusion.rows().collect();
            assert_eq!(serde_json::to_value(rows).unwrap(), case["confusion"]);
            assert_eq!(report.per_class.len(), labels.len());
            for (i, class) in report.per_class.iter().enumerate() {
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
            let report = Confusion::new(labels).classification();
            assert_eq!(report.n, 0);
            assert_eq!([report.uar, report.wa, report.macro_f1, report.weighted_f1], [None; 4]);
            assert_eq!(report.per_class.len(), labels.len());
        }
    }

    #[test]
    fn the_report_survives_json() -> Result<(), MetricsError> {
        let mut confusion = Confusion::new(&["a", "b"]);
        confusion.extend(&[0, 0, 0, 1], &[0, 1, 0, 1])?;
        let report = confusion.classification();
        let json = serde_json::to_string(&report).unwrap();
        let back: Classification = serde_json::from_str(&json).unwrap();
        assert_eq!(back.confusion, report.confusion);
        assert_eq!(back.per_class[0].support, 3);
        let empty = Confusion::new(&["a"]).classification();
        let json = serde_json::to_value(&empty).unwrap();
        assert_eq!(json["uar"], Value::Null);
        Ok(())
    }
}
