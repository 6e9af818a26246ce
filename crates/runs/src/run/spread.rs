//! How sure the mean over a run's members is.

use emorun_metrics::{Interval, mean_sd, paired_difference, resampled_difference};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::parent::MemberTest;

/// What an interval of a mean is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Folds, which share training items; seeds are averaged in each. The interval is that of the corrected resampled t test
    /// (Nadeau & Bengio 2003).
    Folds {
        /// How many.
        folds: usize,
        /// A fold's test items divided by its training items.
        test_to_train: f64,
    },
    /// Seeds of one split: the interval is a t interval, for this split alone.
    Seeds {
        /// How many.
        seeds: usize,
    },
}

/// Mean over members.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Mean over the folds, of each the mean over its seeds; over the seeds where there is one split.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
}

/// Means of a run's members by metric, `<head>.<metric>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// What intervals are taken over; `None` with a single member.
    pub over: Option<Over>,
    /// The means.
    pub means: IndexMap<String, Mean>,
}

impl Over {
    /// As people read it.
    pub fn text(self) -> String {
        match self {
            Self::Folds { folds, test_to_train } => format!(
                "95 % intervals of the mean over {folds} folds, seeds averaged in each: corrected resampled t (Nadeau & Bengio 2003), variance × (1/{folds} + {test_to_train:.3})"
            ),
            Self::Seeds { seeds } => {
                format!(
                    "95 % intervals of the mean over {seeds} seeds of one split: t, for this split alone; they say nothing of other speakers"
                )
            }
        }
    }
}

impl Spread {
    /// That of members on the test sides of their own folds.
    pub fn of<'a>(members: impl IntoIterator<Item = &'a MemberTest>) -> Self {
        let mut folds: IndexMap<&str, Vec<&MemberTest>> = IndexMap::new();
        for member in members {
            folds.entry(&member.fold).or_default().push(member);
        }
        let all = || folds.values().flatten();
        let n = all().count();
        let over = match folds.len() {
            _ if n < 2 => None,
            1 => Some(Over::Seeds { seeds: n }),
            number => Some(Over::Folds {
                folds: number,
                test_to_train: all().map(|member| member.test_to_train).sum::<f64>() / n as f64,
            }),
        };
        let Some(first) = all().next() else {
            return Self::default();
        };
        let value = |member: &&MemberTest, metric: &str| member.metrics.get(metric).copied();
        let mean = |metric: &String| {
            let of_fold = |members: &Vec<&MemberTest>| {
                let own: Vec<f64> = members.iter().filter_map(|member| value(member, metric)).collect();
                mean_sd(&own).map(|own| own.mean)
            };
            let values: Vec<f64> = match over {
                Some(Over::Folds { .. }) => folds.values().filter_map(of_fold).collect(),
                _ => all().filter_map(|member| value(member, metric)).collect(),
            };
            let nothing = vec![0.0; values.len()];
            let found = match over {
                Some(Over::Folds { test_to_train, .. }) => resampled_difference(&values, &nothing, test_to_train),
                _ => paired_difference(&values, &nothing),
            };
            let found = found.ok()??;
            Some((
                metric.clone(),
                Mean {
                    mean: found.difference.mean,
                    interval: found.interval,
                },
            ))
        };
        Self {
            over,
            means: first.metrics.keys().filter_map(mean).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(fold: &str, uar: f64) -> MemberTest {
        MemberTest {
            metrics: [("emotion.uar".to_owned(), uar)].into(),
            fold: fold.to_owned(),
            test_to_train: 0.5,
        }
    }

    #[test]
    fn seeds_are_averaged_in_their_fold_and_folds_are_not_taken_for_independent() {
        let members = [("1", 0.5), ("1", 0.7), ("2", 0.4), ("3", 0.8)].map(|(fold, uar)| member(fold, uar));
        let spread = Spread::of(&members);
        let uar = spread.means["emotion.uar"];
        assert!((uar.mean - 0.6).abs() < 1e-12);
        // scipy.stats.t.ppf(0.975, 2) · 0.2 · √(1/3 + 0.5)
        let half = 4.302_652_729_749_464 * 0.2 * (1.0 / 3.0 + 0.5_f64).sqrt();
        assert!((uar.interval.unwrap().high - 0.6 - half).abs() < 1e-9);
        assert_eq!(
            spread.over,
            Some(Over::Folds {
                folds: 3,
                test_to_train: 0.5
            })
        );
        let seeds = Spread::of(&members[..2]);
        assert_eq!(seeds.over, Some(Over::Seeds { seeds: 2 }));
        // scipy.stats.t.ppf(0.975, 1) · sd / √2
        let high = seeds.means["emotion.uar"].interval.unwrap().high;
        assert!((high - 0.6 - 12.706_204_736_432_102 * 0.1).abs() < 1e-9);
        let one = Spread::of(&members[..1]);
        assert_eq!((one.over, one.means["emotion.uar"].interval), (None, None));
    }
}
