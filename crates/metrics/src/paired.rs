//! Whether one model is better than another on the same items.

use serde::Serialize;

use crate::{Bootstrap, Clusters, Interval, Metric, Predictions};

/// McNemar's test: items that one model has right and the other wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Items that the first alone has right.
    pub first_alone: u64,
    /// Items that the second alone has right.
    pub second_alone: u64,
    /// Two-sided probability of a difference as large or larger, if both err equally often.
    pub p: f64,
}

impl McNemar {
    /// The exact test, by the binomial distribution, for any number of items.
    ///
    /// It takes items for independent of each other, which those of a speaker are not.
    ///
    /// # Source
    /// McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    /// Psychometrika 12, 1947; exact as in statsmodels' `mcnemar(exact=True)`.
    pub fn of(first_alone: u64, second_alone: u64) -> Self {
        Self {
            first_alone,
            second_alone,
            p: two_sided(first_alone.min(second_alone), first_alone + second_alone),
        }
    }
}

/// Twice the probability of at most `least` heads of `number` throws, 1 at most.
fn two_sided(least: u64, number: u64) -> f64 {
    let log_choose: f64 = (1..=least).map(|i| ((number - least + i) as f64 / i as f64).ln()).sum();
    let mut term = (log_choose - number as f64 * std::f64::consts::LN_2).exp();
    let mut sum = term;
    for heads in (1..=least).rev() {
        term *= heads as f64 / (number - heads + 1) as f64;
        sum += term;
    }
    (2.0 * sum).min(1.0)
}

/// Probabilities of several tests, adjusted so that one false alarm among all of them is as rare as it is to be of one.
///
/// # Source
/// Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let number = probabilities.len();
    let mut order: Vec<usize> = (0..number).collect();
    order.sort_by(|&one, &other| probabilities[one].total_cmp(&probabilities[other]));
    let mut adjusted = vec![0.0; number];
    let mut highest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        highest = highest.max((number - rank) as f64 * probabilities[at]).min(1.0);
        adjusted[at] = highest;
    }
    adjusted
}

/// How much a metric of the second model exceeds that of the first, on the same items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Excess {
    /// Second less first.
    pub difference: f64,
    /// 95 % interval of the difference; none where it is not known.
    pub interval: Option<Interval>,
    /// Two-sided probability by the same draws: twice the share of those on the far side of 0, both counted with one more.
    pub p: Option<f64>,
}

impl Bootstrap {
    /// How much each metric of `second` exceeds that of `first`; in each draw both are measured on the same rows, which
    /// must be those of the same items in the same order. `None` where a metric is not defined for both.
    ///
    /// # Source
    /// As [`Bootstrap`]; Davison & Hinkley, section 4.2 for the probability.
    pub fn excess(
        &self,
        first: &Predictions,
        second: &Predictions,
        clusters: &Clusters,
        metrics: &[Metric],
    ) -> Vec<Option<Excess>> {
        let difference = |first: &Predictions, second: &Predictions, metric: &Metric| {
            Some(metric.compute(second)? - metric.compute(first)?)
        };
        let replicates = self.replicates(clusters, metrics.len(), |rows| {
            let (first, second) = (first.at(rows), second.at(rows));
            metrics
                .iter()
                .map(|metric| difference(&first, &second, metric))
                .collect()
        });
        let pairs = metrics.iter().zip(&replicates);
        pairs
            .map(|(metric, values)| {
                let interval = self.middle(values);
                Some(Excess {
                    difference: difference(first, second, metric)?,
                    interval,
                    p: interval.map(|_| beyond_zero(values)),
                })
            })
            .collect()
    }
}

fn beyond_zero(values: &[f64]) -> f64 {
    let share = |count: usize| (count + 1) as f64 / (values.len() + 1) as f64;
    let below = share(values.iter().filter(|value| **value <= 0.0).count());
    let above = share(values.iter().filter(|value| **value >= 0.0).count());
    (2.0 * below.min(above)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassPredictions;

    fn golden() -> serde_json::Value {
        serde_json::from_str(include_str!("../tests/golden/paired.json")).unwrap()
    }

    #[test]
    fn mcnemars_test_equals_that_of_statsmodels() {
        let golden = golden();
        let cases = golden["mcnemar"].as_array().unwrap();
        assert!(cases.len() > 8);
        for case in cases {
            let found = McNemar::of(case[0].as_u64().unwrap(), case[1].as_u64().unwrap());
            let expected = case[2].as_f64().unwrap();
            assert!(
                (found.p - expected).abs() <= 1e-9 * expected.max(1e-300),
                "{case}: {}",
                found.p
            );
        }
        assert_eq!(McNemar::of(0, 0).p, 1.0);
    }

    #[test]
    fn holms_adjustment_equals_that_of_statsmodels() {
        for case in golden()["holm"].as_array().unwrap() {
            let list = |key: &str| serde_json::from_value::<Vec<f64>>(case[key].clone()).unwrap();
            let found = holm(&list("p"));
            for (found, expected) in found.iter().zip(list("adjusted")) {
                assert!((found - expected).abs() < 1e-12, "{case}: {found}");
            }
        }
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn differences_of_the_same_draws_equal_those_that_numpy_and_scikit_learn_give() {
        let golden = golden();
        let case = &golden["excess"];
        let list = |key: &str| serde_json::from_value::<Vec<u32>>(case[key].clone()).unwrap();
        let rows = |key: &str| {
            let mut rows = ClassPredictions::new(&["a", "b", "c"]);
            for (truth, predicted) in list("truth").into_iter().zip(list(key)) {
                let probabilities: Vec<f32> = (0..3).map(|class| f32::from(u8::from(class == predicted))).collect();
                rows.add(Some(truth), &probabilities).unwrap();
            }
            Predictions::Classes(rows)
        };
        let speakers: Vec<String> = list("speaker").iter().map(u32::to_string).collect();
        let clusters = Clusters::of(speakers.iter().map(|speaker| Some(speaker.as_str())));
        let bootstrap = Bootstrap {
            replicates: case["replicates"].as_u64().unwrap() as usize,
            seed: 5,
        };
        let metrics = [Metric::UAR, Metric::WA];
        let found = bootstrap.excess(&rows("first"), &rows("second"), &clusters, &metrics);
        for (found, name) in found.into_iter().zip(["uar", "wa"]) {
            let (found, expected) = (found.unwrap(), &case[name]);
            let interval = found.interval.unwrap();
            let all = [found.difference, interval.low, interval.high, found.p.unwrap()];
            for (found, key) in all.into_iter().zip(["difference", "low", "high", "p"]) {
                assert!(
                    (found - expected[key].as_f64().unwrap()).abs() < 1e-9,
                    "{name} {key}: {found}"
                );
            }
        }
    }

    #[test]
    fn a_model_does_not_exceed_itself() {
        let mut rows = ClassPredictions::new(&["a", "b"]);
        for row in 0..8 {
            rows.add(Some(row % 2), &[0.75, 0.25]).unwrap();
        }
        let rows = Predictions::Classes(rows);
        let speakers = ["x", "x", "x", "x", "y", "y", "y", "y"].map(Some);
        let bootstrap = Bootstrap {
            replicates: 50,
            seed: 0,
        };
        let found = bootstrap.excess(&rows, &rows, &Clusters::of(speakers), &[Metric::UAR])[0].unwrap();
        assert_eq!((found.difference, found.p), (0.0, Some(1.0)));
    }
}
