//! `summary.json`: the result of a run in numbers, stable for scripts.

use std::collections::BTreeMap;

use emorun_metrics::{Agreement, Confusion, Interval, Merge, Metric, MetricsError, Number, mean_sd};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::measured::{Measured, Values};
use super::spread::Spread;
use emorun_engine::train::result::SplitResult;
use emorun_engine::train::state::Best;
use emorun_experiment::ancestry::HeardBefore;

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// `completed`.
    pub status: String,
    /// Result on each split.
    pub splits: IndexMap<String, SplitSummary>,
    /// The epoch whose weights were chosen; `None` without a validation split.
    pub best: Option<Best>,
    /// 95 % intervals of metrics on the validation and test sides, by side and head, of those that have one.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub intervals: IndexMap<String, IndexMap<String, IndexMap<Metric, Interval>>>,
    /// Speakers of the validation and test sides whom the runs that the weights come from have heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard_before: Vec<HeardBefore>,
    /// Seconds spent.
    pub seconds: Seconds,
}

/// The result on a split.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Number of items; for a mean or deviation, of members.
    pub n: u64,
    /// Weighted sum of the losses.
    pub loss: Option<f64>,
    /// Each loss by its node's name, without its factor in the sum.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, Option<f64>>,
    /// Metrics of each head.
    pub heads: BTreeMap<String, HeadSummary>,
    /// Metrics of each head that predicts numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regressions: BTreeMap<String, RegressionSummary>,
}

/// Metrics of a head that predicts classes, with its counts; a metric has no value where it is not defined.
pub type HeadSummary = Measured<Confusion>;

/// Metrics of a head that predicts numbers, each the mean over the numbers, which stand beside it.
pub type RegressionSummary = Measured<IndexMap<String, NumberSummary>>;

/// Metrics of one predicted number, with the sums that most follow from.
pub type NumberSummary = Measured<Agreement>;

/// A mean over members, by their items; of those that have a value.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    items: u64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>, items: u64) {
        if let Some(value) = value {
            self.sum += value * items as f64;
            self.items += items;
        }
    }

    fn value(&self) -> Option<f64> {
        (self.items > 0).then(|| self.sum / self.items as f64)
    }
}

/// Seconds spent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seconds {
    /// Training, over all starts.
    pub train: f64,
    /// Of these, waiting for checkpoints.
    #[serde(default)]
    pub checkpoints: f64,
    /// Everything of the last start.
    pub total: f64,
}

/// The result of a run with members (folds, seeds).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParentSummary {
    /// `completed`; `incomplete` where members have failed, which nothing below counts.
    pub status: String,
    /// Why members have failed, by member.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub failed: IndexMap<String, String>,
    /// Mean of the members' test results.
    pub mean: SplitSummary,
    /// Sample standard deviation of the members' test results; `None` with one member.
    pub sd: SplitSummary,
    /// Metrics over all members' test items together.
    pub pooled: SplitSummary,
    /// Pooled metrics of each seed over its folds.
    pub seeds: BTreeMap<u64, SplitSummary>,
    /// Each member's test result.
    pub members: IndexMap<String, SplitSummary>,
    /// Speakers whom the runs that the weights come from have heard, of each member that has such.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub heard_before: IndexMap<String, Vec<HeardBefore>>,
    /// How sure the means over folds, or seeds, are.
    #[serde(default)]
    pub spread: Spread,
    /// Seconds spent in all members.
    pub seconds: Seconds,
}

impl From<&SplitResult> for SplitSummary {
    fn from(result: &SplitResult) -> Self {
        let losses = result.losses.iter();
        let heads = result.classifiers().map(|(name, head, rows)| {
            let summary = HeadSummary::new(head.metrics.clone(), Some(rows.confusion().clone()));
            (name.clone(), summary)
        });
        let regressions = result.regressors().map(|(name, head, rows)| {
            let number = |number: Number<'_>| {
                let metrics = head.metrics_of_each_number().into_iter();
                let metrics = metrics.map(|metric| (metric, metric.of_number(number))).collect();
                (
                    number.name.to_owned(),
                    NumberSummary::new(metrics, Some(*number.agreement)),
                )
            };
            let numbers = rows.numbers().map(number).collect();
            (
                name.clone(),
                RegressionSummary::new(head.metrics.clone(), Some(numbers)),
            )
        });
        Self {
            n: result.n,
            loss: result.loss,
            losses: losses.map(|(node, loss)| (node.clone(), loss.value)).collect(),
            heads: heads.collect(),
            regressions: regressions.collect(),
        }
    }
}

impl SplitSummary {
    /// The items of several results together.
    ///
    /// # Errors
    /// The results have different classes.
    pub fn pooled<'a>(members: impl Iterator<Item = &'a Self> + Clone) -> Result<Self, MetricsError> {
        let mut n = 0;
        let mut loss = Mean::default();
        let mut losses: BTreeMap<String, Mean> = BTreeMap::new();
        let mut classes: BTreeMap<&String, Vec<&HeadSummary>> = BTreeMap::new();
        let mut numbers: BTreeMap<&String, Vec<&RegressionSummary>> = BTreeMap::new();
        for member in members {
            n += member.n;
            loss.add(member.loss, member.n);
            for (node, own) in &member.losses {
                losses.entry(node.clone()).or_default().add(*own, member.n);
            }
            for (name, head) in &member.heads {
                classes.entry(name).or_default().push(head);
            }
            for (name, head) in &member.regressions {
                numbers.entry(name).or_default().push(head);
            }
        }
        let mut heads = BTreeMap::new();
        for (name, members) in classes {
            heads.extend(pooled_classes(&members)?.map(|head| (name.clone(), head)));
        }
        let numbers = numbers.into_iter();
        Ok(Self {
            n,
            loss: loss.value(),
            losses: losses.iter().map(|(node, mean)| (node.clone(), mean.value())).collect(),
            heads,
            regressions: numbers
                .map(|(name, members)| (name.clone(), pooled_numbers(&members)))
                .collect(),
        })
    }

    /// Mean and sample standard deviation over several results.
    pub fn mean_and_sd<'a>(members: impl Iterator<Item = &'a Self> + Clone) -> (Self, Self) {
        let number = members.clone().count() as u64;
        let over = |value: &dyn Fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = members.clone().filter_map(value).collect();
            mean_sd(&values).map_or((None, None), |found| (Some(found.mean), found.sd))
        };
        let (mean_loss, sd_loss) = over(&|member| member.loss);
        let of = |loss| Self {
            n: number,
            loss,
            ..Self::default()
        };
        let (mut mean, mut sd) = (of(mean_loss), of(sd_loss));
        let Some(first) = members.clone().next() else {
            return (mean, sd);
        };
        for node in first.losses.keys() {
            let (own_mean, own_sd) = over(&|member: &Self| member.losses.get(node).copied().flatten());
            mean.losses.insert(node.clone(), own_mean);
            sd.losses.insert(node.clone(), own_sd);
        }
        for name in first.regressions.keys() {
            let spread = |metric| over(&|member: &Self| member.regressions.get(name)?.metric(metric));
            let of_members = members.clone().filter_map(|member| member.regressions.get(name));
            let (of_mean, of_sd) = each(&metrics_of(of_members), spread);
            // Those of the numbers are in the members.
            let numbers = Some(IndexMap::new());
            mean.regressions
                .insert(name.clone(), RegressionSummary::new(of_mean, numbers.clone()));
            sd.regressions
                .insert(name.clone(), RegressionSummary::new(of_sd, numbers));
        }
        for name in first.heads.keys() {
            let spread = |metric| over(&|member: &Self| member.heads.get(name)?.metric(metric));
            let of_members = members.clone().filter_map(|member| member.heads.get(name));
            let (of_mean, of_sd) = each(&metrics_of(of_members), spread);
            mean.heads.insert(name.clone(), HeadSummary::new(of_mean, None));
            sd.heads.insert(name.clone(), HeadSummary::new(of_sd, None));
        }
        (mean, sd)
    }
}

/// A metric over members, each with its number of items, where it does not follow from sums.
fn merged(metric: Metric, members: impl Iterator<Item = (Option<f64>, u64)>) -> Option<f64> {
    let mut mean = Mean::default();
    for (value, items) in members {
        let weight = match metric.merge() {
            Merge::Pooled | Merge::ItemMean => items,
            Merge::MemberMean => 1,
        };
        mean.add(value, weight);
    }
    mean.value()
}

/// Two values of each metric, as two lists.
fn each(metrics: &[Metric], values: impl Fn(Metric) -> (Option<f64>, Option<f64>)) -> (Values, Values) {
    let both = metrics.iter().map(|&metric| {
        let (one, other) = values(metric);
        ((metric, one), (metric, other))
    });
    both.unzip()
}

/// The metrics that any of several members has, in their order: members may have ended under settings that named others.
fn metrics_of<'a, T: 'a>(members: impl Iterator<Item = &'a Measured<T>>) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for (metric, _) in members.flat_map(|member| &member.metrics) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    metrics
}

/// A head that predicts classes over all items of several results; `None` where none of them has counts.
fn pooled_classes(members: &[&HeadSummary]) -> Result<Option<HeadSummary>, MetricsError> {
    let counted = members.iter().filter_map(|head| Some((*head, head.detail.as_ref()?)));
    let counted: Vec<(&HeadSummary, &Confusion)> = counted.collect();
    let Some((_, counts)) = counted.first() else {
        return Ok(None);
    };
    let mut sum = Confusion::new(counts.labels());
    for (_, counts) in &counted {
        sum.merge(counts)?;
    }
    let value = |metric: Metric| match metric.merge() {
        Merge::Pooled => metric.of_counts(&sum),
        Merge::ItemMean | Merge::MemberMean => {
            let members = counted.iter();
            merged(
                metric,
                members.map(|(head, counts)| (head.metric(metric), counts.total())),
            )
        }
    };
    let metrics = metrics_of(members.iter().copied()).into_iter();
    let metrics = metrics.map(|metric| (metric, value(metric))).collect();
    Ok(Some(HeadSummary::new(metrics, Some(sum))))
}

/// A head that predicts numbers over all items of several results.
fn pooled_numbers(members: &[&RegressionSummary]) -> RegressionSummary {
    let numbers = members.iter().filter_map(|head| head.detail.as_ref());
    let numbers: Vec<&IndexMap<String, NumberSummary>> = numbers.collect();
    let pooled = |name: &String| {
        let of_members = numbers.iter().filter_map(|numbers| numbers.get(name));
        let sums = |number: &NumberSummary| number.detail.unwrap_or_default();
        let mut all = Agreement::default();
        for number in of_members.clone() {
            all.merge(&sums(number));
        }
        let value = |metric: Metric| match metric.merge() {
            Merge::Pooled => metric.of_sums(&all),
            Merge::ItemMean | Merge::MemberMean => {
                let members = of_members.clone();
                merged(metric, members.map(|number| (number.metric(metric), sums(number).n)))
            }
        };
        let metrics = metrics_of(of_members.clone()).into_iter();
        let metrics = metrics.map(|metric| (metric, value(metric))).collect();
        (name.clone(), NumberSummary::new(metrics, Some(all)))
    };
    let names = numbers.first().into_iter().flat_map(|first| first.keys());
    let pooled: IndexMap<String, NumberSummary> = names.map(pooled).collect();
    let over = |metric: Metric| metric.over_numbers(pooled.values().map(|number| number.metric(metric)));
    let metrics = metrics_of(members.iter().copied()).into_iter();
    let metrics = metrics.map(|metric| (metric, over(metric))).collect();
    RegressionSummary::new(metrics, Some(pooled))
}
