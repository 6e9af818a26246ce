//! The runs of a sweep beside each other: test metrics, their spread over members, differences with intervals.

use emorun_metrics::{Interval, MeanSd, PairedDifference, mean_sd, paired_difference};
use indexmap::IndexMap;
use serde::Serialize;

use super::fallen::Fallen;
use super::parent::Finished;
use super::report::table;

/// What a sweep has found, as `summary.json` holds it.
#[derive(Debug, Serialize)]
pub struct Comparison {
    status: &'static str,
    /// Runs that have failed, whole or in some of their members.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    failed: IndexMap<String, Fallen>,
    /// Test metrics by run, pooled over its members.
    runs: IndexMap<String, IndexMap<String, f64>>,
    /// Mean and standard deviation over the members of each run that has several.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    spread: IndexMap<String, IndexMap<String, MeanSd>>,
    /// How much each run exceeds the first, over the members (folds and seeds) of the same name.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    differences: IndexMap<String, IndexMap<String, PairedDifference>>,
}

impl Comparison {
    /// Compares runs, in their order.
    pub fn of(finished: &[(String, Finished)]) -> Self {
        let mut comparison = Self {
            status: "completed",
            failed: IndexMap::new(),
            runs: IndexMap::new(),
            spread: IndexMap::new(),
            differences: IndexMap::new(),
        };
        for (label, run) in finished {
            comparison.runs.insert(label.clone(), run.test.clone());
            if run.members.len() < 2 {
                continue;
            }
            let of_metric = |metric: &String| {
                let values: Vec<f64> = run
                    .members
                    .values()
                    .filter_map(|test| test.get(metric))
                    .copied()
                    .collect();
                Some((metric.clone(), mean_sd(&values)?))
            };
            let spread = run.test.keys().filter_map(of_metric).collect();
            comparison.spread.insert(label.clone(), spread);
            let Some((_, first)) = finished.first().filter(|(first, _)| first != label) else {
                continue;
            };
            let differences = run.test.keys();
            let differences = differences.filter_map(|metric| Some((metric.clone(), difference(run, first, metric)?)));
            comparison.differences.insert(label.clone(), differences.collect());
        }
        comparison
    }

    /// The same, without runs that have failed or with some of their members missing.
    pub fn without(mut self, fallen: &[Fallen]) -> Self {
        if !fallen.is_empty() {
            self.status = "incomplete";
        }
        self.failed = fallen.iter().map(|one| (one.name.clone(), one.clone())).collect();
        self
    }

    /// What is said of runs that have failed.
    fn failures(&self) -> String {
        let line = |(label, one): (&String, &Fallen)| {
            let what = if self.runs.contains_key(label) {
                "results of its other members alone"
            } else {
                "no result"
            };
            let error = one.error.lines().next().unwrap_or_default();
            format!("{label}: {} ({what}): {error}\n", one.status)
        };
        self.failed.iter().map(line).collect()
    }

    /// As people read it: shares in percent, other metrics as they are.
    pub fn text(&self) -> String {
        let failures = self.failures();
        let Some((first, metrics)) = self.runs.first() else {
            return failures;
        };
        let metrics: Vec<&str> = metrics.keys().map(String::as_str).collect();
        let title = if self.spread.is_empty() {
            "test results"
        } else {
            "test results, over the test items of all folds and seeds together"
        };
        let mut text = format!(
            "{title}\n{}{}",
            self.rows(&metrics, &self.runs, |unit, value| format!(
                "{}{}",
                unit.number(*value),
                unit.sign
            )),
            self.without_result()
        );
        if !self.spread.is_empty() {
            let members = self.rows(&metrics, &self.spread, |unit, spread| {
                let sd = spread.sd.map(|sd| format!(" ± {}", unit.number(sd)));
                format!("{}{}{}", unit.number(spread.mean), sd.unwrap_or_default(), unit.sign)
            });
            text.push_str(&format!("\nmean ± sd of the results of each fold and seed\n{members}"));
            text.push_str(
                "(a mean over folds is not the result over all their items: folds differ in size and classes,\n\
                 and recall over a class's items of all folds weighs these by their number)\n",
            );
        }
        if !self.differences.is_empty() {
            let differences = self.rows(&metrics, &self.differences, |unit, found| {
                let mean = unit.signed(found.difference.mean);
                match found.interval {
                    Some(Interval { low, high }) => {
                        format!("{mean} ({} to {})", unit.signed(low), unit.signed(high))
                    }
                    None => mean,
                }
            });
            text.push_str(&format!(
                "\nabove {first}, fold by fold and seed by seed (95 % interval)\n{differences}"
            ));
        }
        if !failures.is_empty() {
            text.push_str(&format!("\nnot whole\n{failures}"));
        }
        text
    }

    /// The runs of a table that have no result at all.
    fn without_result(&self) -> String {
        let lost = self.failed.iter().filter(|(label, _)| !self.runs.contains_key(*label));
        lost.map(|(label, one)| format!("{label}  {}\n", one.status)).collect()
    }

    fn rows<T>(
        &self,
        metrics: &[&str],
        runs: &IndexMap<String, IndexMap<String, T>>,
        cell: impl Fn(&Unit, &T) -> String,
    ) -> String {
        let header: Vec<&str> = std::iter::once("run").chain(metrics.iter().copied()).collect();
        let row = |(label, run): (&String, &IndexMap<String, T>)| {
            let cells = metrics.iter().map(|metric| match run.get(*metric) {
                Some(value) => cell(&Unit::of(metric), value),
                None => "–".into(),
            });
            let mark = if self.failed.contains_key(label) {
                " (not whole)"
            } else {
                ""
            };
            std::iter::once(format!("{label}{mark}")).chain(cells).collect()
        };
        table(&header, &runs.iter().map(row).collect::<Vec<Vec<String>>>())
    }
}

/// How numbers of a metric are written.
struct Unit {
    factor: f64,
    digits: usize,
    sign: &'static str,
}

impl Unit {
    fn of(metric: &str) -> Self {
        let is_share = ![".ccc", ".mse"].iter().any(|end| metric.ends_with(end));
        let (factor, digits, sign) = if is_share { (100.0, 2, " %") } else { (1.0, 4, "") };
        Self { factor, digits, sign }
    }

    fn number(&self, value: f64) -> String {
        format!("{:.*}", self.digits, self.factor * value)
    }

    fn signed(&self, value: f64) -> String {
        format!("{:+.*}", self.digits, self.factor * value)
    }
}

/// How much a run exceeds the first, where both have a member of the same name; `None` where they share none.
fn difference(run: &Finished, first: &Finished, metric: &str) -> Option<PairedDifference> {
    let pairs = run.members.iter().filter_map(|(member, test)| {
        let other = first.members.get(member)?;
        Some((*test.get(metric)?, *other.get(metric)?))
    });
    let (own, others): (Vec<f64>, Vec<f64>) = pairs.unzip();
    paired_difference(&own, &others).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(pooled: f64, members: &[(&str, f64)]) -> Finished {
        let uar = |value: f64| IndexMap::from([("emotion.uar".to_owned(), value)]);
        let members = members.iter();
        Finished {
            dir: PathBuf::new(),
            text: String::new(),
            test: uar(pooled),
            members: members.map(|(name, value)| ((*name).to_owned(), uar(*value))).collect(),
            ..Finished::default()
        }
    }

    #[test]
    fn runs_are_compared_member_by_member() {
        let base = run(0.6, &[("seed-1", 0.5), ("seed-2", 0.6), ("seed-3", 0.7)]);
        let better = run(0.65, &[("seed-3", 0.74), ("seed-2", 0.62), ("seed-1", 0.56)]);
        let elsewhere = run(0.4, &[("seed-8", 0.4), ("seed-9", 0.4)]);
        let single = run(0.3, &[("", 0.3)]);
        let finished = [
            ("base", base),
            ("better", better),
            ("elsewhere", elsewhere),
            ("single", single),
        ]
        .map(|(label, run)| (label.to_owned(), run));
        let comparison = Comparison::of(&finished);
        let found = &comparison.differences["better"]["emotion.uar"];
        // scipy.stats.ttest_rel([0.56, 0.62, 0.74], [0.5, 0.6, 0.7]).confidence_interval(): -0.0097, 0.0897.
        assert!((found.difference.mean - 0.04).abs() < 1e-12);
        let interval = found.interval.unwrap();
        assert!((interval.low + 0.009_682_754_2).abs() < 1e-9, "{interval:?}");
        assert!((interval.high - 0.089_682_754_2).abs() < 1e-9, "{interval:?}");
        assert!(comparison.differences["elsewhere"].is_empty());
        assert!(!comparison.differences.contains_key("base") && !comparison.differences.contains_key("single"));
        let text = comparison.text();
        for line in [
            "better       65.00 %",
            "base       60.00 ± 10.00 %",
            "better       +4.00 (-0.97 to +8.97)",
            "elsewhere                         –",
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_there = text
                .lines()
                .any(|found| found.split_whitespace().eq(words.iter().copied()));
            assert!(is_there, "{line}\n{text}");
        }
        let numbers = Unit::of("arousal.ccc");
        assert_eq!(
            (numbers.number(0.5), numbers.signed(0.125)),
            ("0.5000".into(), "+0.1250".into())
        );
        let alone = Comparison::of(&finished[3..]).text();
        assert!(!alone.contains("±") && !alone.contains("interval"), "{alone}");
    }
}
