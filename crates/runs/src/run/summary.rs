//! `summary.json`: the result of a run in numbers, stable for scripts.

use std::collections::BTreeMap;

use emorun_metrics::{Agreement, Classification, Confusion, LogLoss, mean_sd};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use emorun_engine::settings::Metric;
use emorun_engine::train::evaluate::{Regression, SplitResult};
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

/// Metrics of a head that predicts numbers. A metric is `None` where it is not defined.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RegressionSummary {
    /// Mean concordance correlation coefficient.
    pub ccc: Option<f64>,
    /// Mean of the mean squared errors.
    pub mse: Option<f64>,
    /// Of each number, by its name.
    pub numbers: IndexMap<String, NumberSummary>,
}

/// Metrics of one predicted number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NumberSummary {
    /// Concordance correlation coefficient.
    pub ccc: Option<f64>,
    /// Pearson's correlation.
    pub pearson: Option<f64>,
    /// Mean squared error.
    pub mse: Option<f64>,
    /// Sums that they follow from; left out in a mean or deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
}

impl From<&[(String, Agreement)]> for RegressionSummary {
    fn from(agreement: &[(String, Agreement)]) -> Self {
        let regression = Regression {
            agreement: agreement.to_vec(),
            ..Regression::default()
        };
        let number = |(name, of): &(String, Agreement)| {
            let number = NumberSummary {
                ccc: of.ccc(),
                pearson: of.pearson(),
                mse: of.mse(),
                agreement: Some(*of),
            };
            (name.clone(), number)
        };
        Self {
            ccc: regression.mean(Agreement::ccc),
            mse: regression.mean(Agreement::mse),
            numbers: agreement.iter().map(number).collect(),
        }
    }
}

/// Metrics of a head. A metric is `None` where no item carries the label.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeadSummary {
    /// Unweighted average recall.
    pub uar: Option<f64>,
    /// Weighted accuracy.
    pub wa: Option<f64>,
    /// Macro F1.
    pub macro_f1: Option<f64>,
    /// Weighted F1.
    #[serde(default)]
    pub weighted_f1: Option<f64>,
    /// Log loss.
    #[serde(default)]
    pub log_loss: Option<f64>,
    /// Confusion counts; left out in a mean or deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

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
    /// Seconds spent in all members.
    pub seconds: Seconds,
}

impl HeadSummary {
    /// The metrics of a classification, and its log loss.
    fn new(report: &Classification, log_loss: Option<f64>) -> Self {
        Self {
            uar: report.uar,
            wa: report.wa,
            macro_f1: report.macro_f1,
            weighted_f1: report.weighted_f1,
            log_loss,
            confusion: Some(report.confusion.clone()),
        }
    }

    /// One of the metrics.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Uar => self.uar,
            Metric::Wa => self.wa,
            Metric::MacroF1 => self.macro_f1,
            Metric::WeightedF1 => self.weighted_f1,
            Metric::LogLoss => self.log_loss,
        }
    }

    fn metric_mut(&mut self, metric: Metric) -> &mut Option<f64> {
        match metric {
            Metric::Uar => &mut self.uar,
            Metric::Wa => &mut self.wa,
            Metric::MacroF1 => &mut self.macro_f1,
            Metric::WeightedF1 => &mut self.weighted_f1,
            Metric::LogLoss => &mut self.log_loss,
        }
    }
}

impl From<&SplitResult> for SplitSummary {
    fn from(result: &SplitResult) -> Self {
        Self {
            n: result.n,
            loss: result.loss,
            losses: result
                .losses
                .iter()
                .map(|(node, loss)| (node.clone(), loss.value))
                .collect(),
            heads: result
                .heads
                .iter()
                .map(|(name, report)| {
                    let log_loss = result.log_losses.get(name).and_then(LogLoss::mean);
                    (name.clone(), HeadSummary::new(report, log_loss))
                })
                .collect(),
            regressions: result
                .regressions
                .iter()
                .map(|(name, regression)| (name.clone(), regression.agreement.as_slice().into()))
                .collect(),
        }
    }
}

impl SplitSummary {
    /// The items of several results together.
    ///
    /// # Errors
    /// The results have different classes.
    pub fn pooled<'a>(members: impl Iterator<Item = &'a Self>) -> Result<Self, emorun_metrics::MetricsError> {
        let mut n = 0;
        let mut loss = Mean::default();
        let mut losses: BTreeMap<String, Mean> = BTreeMap::new();
        let mut log_losses: BTreeMap<String, Mean> = BTreeMap::new();
        let mut confusions: BTreeMap<String, Confusion> = BTreeMap::new();
        let mut agreements: BTreeMap<String, Vec<(String, Agreement)>> = BTreeMap::new();
        for member in members {
            n += member.n;
            loss.add(member.loss, member.n);
            for (node, own) in &member.losses {
                losses.entry(node.clone()).or_default().add(*own, member.n);
            }
            for (name, head) in &member.regressions {
                let sums = agreements.entry(name.clone()).or_insert_with(|| {
                    let none = |number: &String| (number.clone(), Agreement::default());
                    head.numbers.keys().map(none).collect()
                });
                for (number, sum) in sums {
                    if let Some(agreement) = head.numbers.get(number).and_then(|number| number.agreement) {
                        sum.merge(&agreement);
                    }
                }
            }
            for (name, head) in &member.heads {
                let Some(confusion) = &head.confusion else { continue };
                let log_loss = log_losses.entry(name.clone()).or_default();
                log_loss.add(head.log_loss, confusion.total());
                match confusions.get_mut(name) {
                    Some(sum) => sum.merge(confusion)?,
                    None => {
                        confusions.insert(name.clone(), confusion.clone());
                    }
                }
            }
        }
        let heads = confusions
            .iter()
            .map(|(name, confusion)| {
                let log_loss = log_losses.get(name).and_then(Mean::value);
                let head = HeadSummary::new(&confusion.classification(), log_loss);
                (name.clone(), head)
            })
            .collect();
        Ok(Self {
            n,
            loss: loss.value(),
            losses: losses.iter().map(|(node, mean)| (node.clone(), mean.value())).collect(),
            heads,
            regressions: agreements
                .iter()
                .map(|(name, agreement)| (name.clone(), agreement.as_slice().into()))
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
        let mut mean = Self {
            n: number,
            loss: mean_loss,
            ..Self::default()
        };
        let mut sd = Self {
            n: number,
            loss: sd_loss,
            ..Self::default()
        };
        let first = members.clone().next();
        for node in first.into_iter().flat_map(|first| first.losses.keys()) {
            let (own_mean, own_sd) = over(&|member: &Self| member.losses.get(node).copied().flatten());
            mean.losses.insert(node.clone(), own_mean);
            sd.losses.insert(node.clone(), own_sd);
        }
        let regressors: Vec<String> = members
            .clone()
            .next()
            .map(|first| first.regressions.keys().cloned().collect())
            .unwrap_or_default();
        for name in regressors {
            let metric = |pick: fn(&RegressionSummary) -> Option<f64>| {
                over(&|member: &Self| member.regressions.get(&name).and_then(pick))
            };
            let (ccc, mse) = (metric(|head| head.ccc), metric(|head| head.mse));
            let of = |ccc, mse| RegressionSummary {
                ccc,
                mse,
                ..RegressionSummary::default()
            };
            mean.regressions.insert(name.clone(), of(ccc.0, mse.0));
            sd.regressions.insert(name.clone(), of(ccc.1, mse.1));
        }
        let names: Vec<String> = members
            .clone()
            .next()
            .map(|first| first.heads.keys().cloned().collect())
            .unwrap_or_default();
        for name in names {
            let (mut of_mean, mut of_sd) = (HeadSummary::default(), HeadSummary::default());
            for metric in Metric::ALL {
                let found = over(&|member: &Self| member.heads.get(&name)?.metric(metric));
                (*of_mean.metric_mut(metric), *of_sd.metric_mut(metric)) = found;
            }
            mean.heads.insert(name.clone(), of_mean);
            sd.heads.insert(name.clone(), of_sd);
        }
        (mean, sd)
    }
}
