//! What is measured, and on which weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is measured, and on which weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Metrics shown while training and at the end; all are in the summary.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<Metric>,
    /// Metric on the validation split by which the best checkpoint is chosen: `loss` (the weighted sum),
    /// `loss.<loss>` or `<head>.<metric>`; the first metric of the first head when left out.
    #[serde(default)]
    pub best: Option<String>,
    /// Weights that the final evaluation uses; `best` needs a validation split, and is taken when
    /// there is one.
    #[serde(default)]
    pub weights: Option<FinalWeights>,
    /// Items of one batch in evaluation. It changes no result but for the rounding of sums, which
    /// `precision: bf16` makes large enough to be seen.
    #[serde(default = "default_evaluation_batch")]
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: usize,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            metrics: default_metrics(),
            best: None,
            weights: None,
            batch_size: default_evaluation_batch(),
        }
    }
}

/// A classification metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Unweighted average recall: the mean of the classes' recalls (scikit-learn's
    /// `balanced_accuracy_score`).
    Uar,
    /// Weighted accuracy: the share of items predicted rightly.
    Wa,
    /// Mean of the classes' F1 scores.
    MacroF1,
    /// Mean of the classes' F1 scores, each weighted by its number of items.
    WeightedF1,
    /// Mean of `−ln p` over the items, of the probability that their true class was given (scikit-learn's
    /// `log_loss`); the lower, the better.
    LogLoss,
}

impl Metric {
    /// Every metric, in the order of tables.
    pub const ALL: [Self; 5] = [Self::Uar, Self::Wa, Self::MacroF1, Self::WeightedF1, Self::LogLoss];

    /// Name in files and tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uar => "uar",
            Self::Wa => "wa",
            Self::MacroF1 => "macro_f1",
            Self::WeightedF1 => "weighted_f1",
            Self::LogLoss => "log_loss",
        }
    }

    /// Name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Uar => "UAR",
            Self::Wa => "WA",
            Self::MacroF1 => "macro F1",
            Self::WeightedF1 => "weighted F1",
            Self::LogLoss => "log loss",
        }
    }

    /// A value as people read it: shares in percent.
    pub fn text(self, value: Option<f64>) -> String {
        match (self, value) {
            (_, None) => "–".into(),
            (Self::LogLoss, Some(value)) => format!("{value:.4}"),
            (_, Some(value)) => format!("{:.2} %", 100.0 * value),
        }
    }
}

/// Weights of the final evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalWeights {
    /// Those of the best validation metric.
    Best,
    /// Those of the last epoch.
    Last,
}

fn default_metrics() -> Vec<Metric> {
    vec![Metric::Uar, Metric::Wa, Metric::MacroF1]
}

fn default_evaluation_batch() -> usize {
    32
}
