//! The runs of a sweep beside each other: test metrics, their spread over members, differences with intervals.

use emorun_metrics::{
    Interval, MeanSd, Metric, PairedDifference, Unit, mean_sd, paired_difference, resampled_difference,
};
use indexmap::IndexMap;
use serde::Serialize;

use super::fallen::Fallen;
use super::parent::{Finished, MemberTest};
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
    /// How much each run exceeds the first, over the folds or seeds that both have.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    differences: IndexMap<String, IndexMap<String, PairedDifference>>,
    /// How the intervals of those differences come about.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    intervals: IndexMap<String, Basis>,
}

/// What an interval is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Basis {
    /// Folds, which share training items: seeds are averaged in each, and the interval is that of the corrected
    /// resampled t-test.
    Folds {
        /// Folds that both runs have.
        folds: usize,
        /// A fold's test items divided by its training items.
        test_to_train: f64,
    },
    /// Seeds of one split, whose results are independent of each other on this split; they say nothing of other
    /// speakers.
    Seeds {
        /// Seeds that both runs have.
        seeds: usize,
    },
}

impl Basis {
    /// As people read it.
    fn text(self) -> String {
        match self {
            Self::Folds { folds, test_to_train } => format!(
                "over {folds} folds, seeds averaged in each: corrected resampled t (Nadeau & Bengio 2003), as folds share training items; variance × (1/{folds} + {test_to_train:.3})"
            ),
            Self::Seeds { seeds } => {
                format!(
                    "over {seeds} seeds of one split: paired t, for this split alone; it says nothing of other speakers"
                )
            }
        }
    }
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
            intervals: IndexMap::new(),
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
                    .filter_map(|member| member.metrics.get(metric))
                    .copied()
                    .collect();
                Some((metric.clone(), mean_sd(&values)?))
            };
            let spread = run.test.keys().filter_map(of_metric).collect();
            comparison.spread.insert(label.clone(), spread);
            let Some((_, first)) = finished.first().filter(|(first, _)| first != label) else {
                continue;
            };
            let pairs = Pairs::of(run, first);
            let differences = run.test.keys();
            let differences = differences.filter_map(|metric| Some((metric.clone(), pairs.difference(metric)?)));
            comparison.differences.insert(label.clone(), differences.collect());
            comparison
                .intervals
                .extend(pairs.basis().map(|basis| (label.clone(), basis)));
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
                unit.sign()
            )),
            self.without_result()
        );
        if !self.spread.is_empty() {
            let members = self.rows(&metrics, &self.spread, |unit, spread| {
                let sd = spread.sd.map(|sd| format!(" ± {}", unit.number(sd)));
                format!("{}{}{}", unit.number(spread.mean), sd.unwrap_or_default(), unit.sign())
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
            text.push_str(&format!("\nabove {first} (95 % interval)\n{differences}"));
            let mut told: Vec<String> = Vec::new();
            for (label, basis) in &self.intervals {
                let basis = basis.text();
                // Mostly all runs have the same folds and seeds.
                if !told.contains(&basis) {
                    text.push_str(&format!("interval of {label}: {basis}\n"));
                    told.push(basis);
                }
            }
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
        cell: impl Fn(Unit, &T) -> String,
    ) -> String {
        let header: Vec<&str> = std::iter::once("run").chain(metrics.iter().copied()).collect();
        let row = |(label, run): (&String, &IndexMap<String, T>)| {
            let cells = metrics.iter().map(|metric| match run.get(*metric) {
                Some(value) => cell(unit_of(metric), value),
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

/// How numbers of `<head>.<metric>` are written.
fn unit_of(name: &str) -> Unit {
    let metric = name.rsplit('.').next().and_then(Metric::named);
    metric.map_or(Unit::Number, Metric::unit)
}

/// Members of the same name of two runs, by fold.
struct Pairs<'a> {
    folds: IndexMap<&'a str, Vec<(&'a MemberTest, &'a MemberTest)>>,
}

impl<'a> Pairs<'a> {
    fn of(run: &'a Finished, first: &'a Finished) -> Self {
        let mut folds: IndexMap<&str, Vec<(&MemberTest, &MemberTest)>> = IndexMap::new();
        for (name, member) in &run.members {
            if let Some(other) = first.members.get(name) {
                folds.entry(&member.fold).or_default().push((member, other));
            }
        }
        Self { folds }
    }

    fn pairs(&self) -> impl Iterator<Item = &(&'a MemberTest, &'a MemberTest)> {
        self.folds.values().flatten()
    }

    /// `None` where the runs share no two members.
    fn basis(&self) -> Option<Basis> {
        let pairs = self.pairs().count();
        match self.folds.len() {
            _ if pairs < 2 => None,
            1 => Some(Basis::Seeds { seeds: pairs }),
            folds => {
                let ratios = self.pairs().map(|(member, _)| member.test_to_train);
                Some(Basis::Folds {
                    folds,
                    test_to_train: ratios.sum::<f64>() / pairs as f64,
                })
            }
        }
    }

    /// How much the run exceeds the first; `None` where they share no member that has the metric.
    fn difference(&self, metric: &str) -> Option<PairedDifference> {
        let both = |(member, other): &(&MemberTest, &MemberTest)| {
            Some((*member.metrics.get(metric)?, *other.metrics.get(metric)?))
        };
        let (own, others): (Vec<f64>, Vec<f64>) = match self.basis() {
            // Seeds of a fold differ by training alone, and all of them share its speakers.
            Some(Basis::Folds { .. }) => {
                let folds = self.folds.values().filter_map(|pairs| {
                    let (own, others): (Vec<f64>, Vec<f64>) = pairs.iter().filter_map(both).unzip();
                    Some((mean_sd(&own)?.mean, mean_sd(&others)?.mean))
                });
                folds.unzip()
            }
            _ => self.pairs().filter_map(both).unzip(),
        };
        let found = match self.basis() {
            Some(Basis::Folds { test_to_train, .. }) => resampled_difference(&own, &others, test_to_train),
            _ => paired_difference(&own, &others),
        };
        found.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(pooled: f64, members: &[(&str, f64)]) -> Finished {
        let uar = |value: f64| IndexMap::from([("emotion.uar".to_owned(), value)]);
        let member = |(name, value): &(&str, f64)| {
            let fold = name.split('/').filter(|part| !part.starts_with("seed-"));
            let member = MemberTest {
                metrics: uar(*value),
                fold: fold.collect(),
                test_to_train: 0.25,
            };
            ((*name).to_owned(), member)
        };
        Finished {
            dir: PathBuf::new(),
            text: String::new(),
            test: uar(pooled),
            members: members.iter().map(member).collect(),
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
        let numbers = unit_of("arousal.ccc");
        assert_eq!(
            (numbers.number(0.5), numbers.signed(0.125)),
            ("0.5000".into(), "+0.1250".into())
        );
        let seeds = "interval of better: over 3 seeds of one split: paired t";
        assert!(text.contains(seeds), "{text}");
        let alone = Comparison::of(&finished[3..]).text();
        assert!(!alone.contains("±") && !alone.contains("interval"), "{alone}");
    }

    #[test]
    fn folds_are_not_taken_for_independent_and_seeds_are_averaged_in_each() {
        let of = |shift: [f64; 6]| {
            let names = ["fold-1", "fold-2", "fold-3"].map(|fold| [1, 2].map(|seed| format!("{fold}/seed-{seed}")));
            let names = names.concat();
            let members: Vec<(&str, f64)> = names.iter().map(String::as_str).zip(shift).collect();
            run(0.5, &members)
        };
        let base = of([0.50, 0.52, 0.60, 0.58, 0.40, 0.44]);
        let better = of([0.53, 0.55, 0.62, 0.62, 0.41, 0.45]);
        let finished = [("base".to_owned(), base), ("better".to_owned(), better)];
        let comparison = Comparison::of(&finished);
        // Differences of the folds' means: 0.03, 0.03, 0.01. With scipy,
        // t.interval(0.95, 2, loc=d.mean(), scale=sqrt((1/3 + 0.25) * d.var(ddof=1))).
        let found = &comparison.differences["better"]["emotion.uar"];
        assert_eq!(found.difference.n, 3);
        assert!((found.difference.mean - 0.07 / 3.0).abs() < 1e-12);
        let interval = found.interval.unwrap();
        assert!((interval.low + 0.014_612_497_0).abs() < 1e-9, "{interval:?}");
        assert!((interval.high - 0.061_279_163_7).abs() < 1e-9, "{interval:?}");
        let basis = Basis::Folds {
            folds: 3,
            test_to_train: 0.25,
        };
        assert_eq!(comparison.intervals["better"], basis);
        let text = comparison.text();
        assert!(text.contains("corrected resampled t (Nadeau & Bengio 2003)"), "{text}");
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["intervals"]["better"]["folds"]["folds"], 3, "{json}");
    }
}
