//! `summary.json`: the result of a run in numbers, stable for scripts.

use std::collections::BTreeMap;

use emorun_metrics::{Classification, Confusion, mean_sd};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::train::evaluate::SplitResult;
use crate::train::state::Best;

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// `completed`.
    pub status: String,
    /// Result on each split.
    pub splits: IndexMap<String, SplitSummary>,
    /// The epoch whose weights were chosen; `None` without a validation split.
    pub best: Option<Best>,
    /// Seconds spent.
    pub seconds: Seconds,
}

/// The result on a split.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Number of items; for a mean or deviation, of members.
    pub n: u64,
    /// Mean loss.
    pub loss: Option<f64>,
    /// Metrics of each head.
    pub heads: BTreeMap<String, HeadSummary>,
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
    /// Confusion counts; left out in a mean or deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// Seconds spent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seconds {
    /// Training, over all starts.
    pub train: f64,
    /// Everything of the last start.
    pub total: f64,
}

/// The result of a run with members (folds, seeds).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParentSummary {
    /// `completed`.
    pub status: String,
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
    /// Seconds spent in all members.
    pub seconds: Seconds,
}

impl From<&Classification> for HeadSummary {
    fn from(report: &Classification) -> Self {
        Self {
            uar: report.uar,
            wa: report.wa,
            macro_f1: report.macro_f1,
            confusion: Some(report.confusion.clone()),
        }
    }
}

impl From<&SplitResult> for SplitSummary {
    fn from(result: &SplitResult) -> Self {
        Self {
            n: result.n,
            loss: result.loss,
            heads: result
                .heads
                .iter()
                .map(|(name, report)| (name.clone(), report.into()))
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
        let mut loss = 0.0;
        let mut confusions: BTreeMap<String, Confusion> = BTreeMap::new();
        for member in members {
            n += member.n;
            loss += member.loss.unwrap_or(0.0) * member.n as f64;
            for (name, head) in &member.heads {
                let Some(confusion) = &head.confusion else { continue };
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
            .map(|(name, confusion)| (name.clone(), (&confusion.classification()).into()))
            .collect();
        Ok(Self {
            n,
            loss: (n > 0).then(|| loss / n as f64),
            heads,
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
            heads: BTreeMap::new(),
        };
        let mut sd = Self {
            n: number,
            loss: sd_loss,
            heads: BTreeMap::new(),
        };
        let names: Vec<String> = members
            .clone()
            .next()
            .map(|first| first.heads.keys().cloned().collect())
            .unwrap_or_default();
        for name in names {
            let metric =
                |pick: fn(&HeadSummary) -> Option<f64>| over(&|member: &Self| member.heads.get(&name).and_then(pick));
            let (uar, wa, f1) = (
                metric(|head| head.uar),
                metric(|head| head.wa),
                metric(|head| head.macro_f1),
            );
            mean.heads.insert(
                name.clone(),
                HeadSummary {
                    uar: uar.0,
                    wa: wa.0,
                    macro_f1: f1.0,
                    confusion: None,
                },
            );
            sd.heads.insert(
                name.clone(),
                HeadSummary {
                    uar: uar.1,
                    wa: wa.1,
                    macro_f1: f1.1,
                    confusion: None,
                },
            );
        }
        (mean, sd)
    }
}
