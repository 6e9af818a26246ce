//! The document: `report/evaluation.json`.

use emorun_metrics::{
    Agreeing, Baseline, Calibration as Bins, ClassReport, Conformal, Confusion, Coverage, Curve, Divergence, Interval,
    Metric, TargetBin, Temperature, Uncalibrated,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the document. Fields may be added without a new one; what changes or goes makes a new one.
pub const VERSION: u32 = 1;

/// Everything that a report says of a run's predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// [`VERSION`] of whoever has written it.
    pub version: u32,
    /// Version of emorun that has.
    pub emorun: String,
    /// Which run.
    pub run: Run,
    /// What its members are, where it is one of folds and seeds, whose predictions are all here; `None` of a single run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
    /// How it came about.
    pub protocol: Protocol,
    /// How intervals were drawn.
    pub bootstrap: Bootstrapped,
    /// What was fitted on the run's validation side, by head.
    pub fits: IndexMap<String, Fit>,
    /// Each side, `validation`, `test` or `train`; of another corpus all items are `test`.
    pub sides: IndexMap<String, Side>,
    /// The same items under other conditions, beside those as they are; empty where none were asked for.
    #[serde(default)]
    pub conditions: Vec<ConditionResult>,
    /// What a reader must know.
    pub remarks: Vec<String>,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// It is of a later version.
    #[error("it is of version {version} of the format, of which this emorun reads {VERSION} and earlier")]
    Version {
        /// Its version.
        version: u64,
    },
    /// It is no such document.
    #[error("it is no evaluation: {0}")]
    Form(serde_json::Error),
}

impl Evaluation {
    /// Reads a document.
    ///
    /// # Errors
    /// It is damaged, or of a later version.
    pub fn parse(text: &[u8]) -> Result<Self, EvaluationError> {
        let value: Value = serde_json::from_slice(text).map_err(EvaluationError::Form)?;
        match value["version"].as_u64() {
            Some(version) if version > u64::from(VERSION) => Err(EvaluationError::Version { version }),
            _ => serde_json::from_value(value).map_err(EvaluationError::Form),
        }
    }
}

/// The run behind it. Its id and the hash of its configuration are in `run.json`: what gives the same predictions gives the same
/// document, with whatever number of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the experiment.
    pub name: String,
    /// Seed of weights, order and draws.
    pub seed: u64,
    /// Which fold of its split it is; `None` where there is one.
    pub fold: Option<String>,
    /// Which of its weights.
    pub weights: Weights,
    /// Device that predicted.
    pub device: String,
}

/// Members whose predictions of their test sides are taken together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    /// Their folders.
    pub members: Vec<String>,
    /// How many splits they have.
    pub folds: usize,
    /// Seeds of weights, order and draws.
    pub seeds: Vec<u64>,
}

/// Weights of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// `best`, `last` or `averaged`.
    pub which: String,
    /// Step after which they were.
    pub step: u64,
    /// Epoch whose weights they are, where they are the best.
    pub epoch: Option<u64>,
}

/// What the numbers mean: data, split and choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// The datasets.
    pub datasets: Vec<String>,
    /// Whether they are the run's own.
    pub own_data: bool,
    /// `split:` of the experiment.
    pub split: Value,
    /// How the epoch was chosen; `None` where the last was taken.
    pub selection: Option<Selection>,
}

/// The choice of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// By which metric of the validation side, such as `emotion.uar`.
    pub metric: String,
    /// Its value there.
    pub value: f64,
    /// The epoch.
    pub epoch: u64,
}

/// How intervals were drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bootstrapped {
    /// What was drawn.
    pub over: String,
    /// `percentile`: ends are quantiles of the replicates, without the corrections of BCa.
    pub method: String,
    /// Share of the replicates within an interval.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// What was fitted of a head on the validation side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The temperature.
    pub temperature: Option<Temperature>,
    /// Why there is none.
    pub uncalibrated: Option<Uncalibrated>,
    /// The same as a sentence.
    pub why: Option<String>,
    /// Conformal sets; `None` without items.
    pub conformal: Option<Conformal>,
}

/// A side of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Items.
    pub items: u64,
    /// Heads that predict classes.
    pub classifiers: IndexMap<String, Classifier>,
    /// Heads that predict numbers.
    pub regressors: IndexMap<String, Regressor>,
}

/// A value and how sure it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value; `None` where it is not defined.
    pub value: Option<f64>,
    /// Its 95 % interval; `None` with a single speaker, and where it is mostly undefined.
    pub interval: Option<Interval>,
}

/// Metrics in the order of tables.
pub type Metrics = IndexMap<Metric, Measured>;

/// A head that predicts classes, over the items whose class is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// The label column that it predicts, where that is known.
    pub column: Option<String>,
    /// Items.
    pub items: u64,
    /// Speakers of them who are known.
    pub speakers: usize,
    /// Items whose speaker is not known, each drawn by itself.
    pub items_of_unknown_speakers: usize,
    /// How often intervals were drawn.
    pub replicates: usize,
    /// The metrics that are shown first.
    pub shown: Vec<Metric>,
    /// Metrics.
    pub metrics: Metrics,
    /// Each class.
    pub classes: Vec<Class>,
    /// Counts of true and predicted classes.
    pub confusion: Confusion,
    /// Pairs of classes that are taken for each other, the most frequent first.
    pub confused: Vec<Confused>,
    /// Curves.
    pub curves: Curves,
    /// How far probabilities can be taken at their word.
    pub calibration: Calibration,
    /// Sets of classes; `None` where none were made.
    pub conformal: Option<ConformalReport>,
    /// What is reached without listening.
    pub baselines: Vec<BaselineReport>,
    /// Results by what describes items.
    pub groups: Vec<Grouping>,
    /// Beside votes of several raters; `None` where there are none.
    pub votes: Option<VotesReport>,
    /// Wrong predictions, the most confident first.
    pub most_confident_mistakes: Vec<Mistake>,
    /// Items whose true class was thought least probable.
    pub hardest: Vec<Mistake>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Precision, recall, F1 and counts.
    pub report: ClassReport,
    /// Area under its ROC curve; `None` where it has no item or every one.
    pub roc_auc: Option<f64>,
    /// Average precision; `None` without items.
    pub average_precision: Option<f64>,
}

/// A pair of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// The true class.
    pub truth: String,
    /// What its items are taken for.
    pub predicted: String,
    /// How many are.
    pub items: u64,
    /// Share of the true class's items.
    pub share: f64,
}

/// Curves, of at most some hundred points each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// True over false positive rate of each class that has one.
    pub roc: IndexMap<String, Curve>,
    /// Mean over the classes; `None` where one has none.
    pub roc_macro: Option<Curve>,
    /// Precision over recall of each class that has one.
    pub precision_recall: IndexMap<String, Curve>,
    /// Mean over the classes; `None` where one has none.
    pub precision_recall_macro: Option<Curve>,
    /// Risk over coverage.
    pub risk_coverage: Option<Curve>,
}

/// Calibration as it is, and at the temperature of the validation side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// As the network gives probabilities.
    pub before: Calibrated,
    /// At the temperature; `None` where there is none, and on the side that it was fitted on.
    pub after: Option<Calibrated>,
    /// What must be known of it.
    pub remark: Option<String>,
}

/// Calibration of probabilities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Expected calibration error over 15 bins of equal width.
    pub ece: Option<f64>,
    /// Brier's score, from 0 to 2.
    pub brier: Option<f64>,
    /// Mean negative logarithm of the true class's probability.
    pub log_loss: Option<f64>,
    /// The reliability diagram, with counts.
    pub reliability: Option<Bins>,
}

/// Conformal sets of a side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConformalReport {
    /// The sets.
    pub sets: Conformal,
    /// What they hold.
    pub coverage: Coverage,
    /// The same of each known speaker.
    pub by_speaker: IndexMap<String, Coverage>,
    /// Whether the sets were made of these very items.
    pub made_here: bool,
}

/// A prediction that does not listen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineReport {
    /// Which.
    pub baseline: Baseline,
    /// Its metrics.
    pub metrics: IndexMap<Metric, Option<f64>>,
}

/// Results by the values of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    /// The column: `speaker`, `dataset`, `gender`, `duration`, an attribute of the corpus.
    pub by: String,
    /// Its values.
    pub groups: Vec<Group>,
    /// How far the best and the worst group with enough items are apart, by each metric that is shown; none where there are
    /// not two.
    pub gaps: Vec<Gap>,
}

/// Items that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// How many they are.
    pub items: usize,
    /// Known speakers among them.
    pub speakers: usize,
    /// Whether they are too few to say much.
    pub few: bool,
    /// Metrics; intervals of the shown ones, where there are two speakers.
    pub metrics: Metrics,
}

/// The distance of two groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Of which metric.
    pub metric: Metric,
    /// The group with the best value.
    pub best: String,
    /// The group with the worst value.
    pub worst: String,
    /// Value of the best minus that of the worst.
    pub gap: f64,
    /// Its 95 % interval, of these two groups; `None` between single speakers, who are seldom drawn together.
    pub interval: Option<Interval>,
}

/// Predictions beside votes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VotesReport {
    /// Over all items with votes.
    pub divergence: Divergence,
    /// By how far raters agree.
    pub by_agreement: Vec<Agreeing>,
}

/// An item that was predicted as something else, or nearly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its stable name.
    pub item: String,
    /// Its path as tables have it.
    pub path: String,
    /// Where it can be heard; `None` of generated speech.
    pub audio: Option<AudioPlace>,
    /// Its dataset.
    pub dataset: String,
    /// Who speaks, where that is known.
    pub speaker: Option<String>,
    /// Its length in seconds.
    pub duration_s: f64,
    /// The true class.
    pub truth: String,
    /// The predicted class.
    pub predicted: String,
    /// Probability of the predicted class.
    pub confidence: f64,
    /// Probability of the true class.
    pub of_true: f64,
}

/// A recording, or a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AudioPlace {
    /// The file.
    pub file: String,
    /// Where the part begins and ends in seconds; `None` of all of it.
    pub segment_s: Option<[f64; 2]>,
}

/// A head that predicts numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regressor {
    /// Items with a known number.
    pub items: u64,
    /// Speakers of them who are known.
    pub speakers: usize,
    /// Items whose speaker is not known, each drawn by itself.
    pub items_of_unknown_speakers: usize,
    /// How often intervals were drawn.
    pub replicates: usize,
    /// The metrics that are shown first.
    pub shown: Vec<Metric>,
    /// Means over the numbers.
    pub metrics: Metrics,
    /// Each number.
    pub numbers: Vec<NumberReport>,
    /// Results by what describes items.
    pub groups: Vec<Grouping>,
}

/// One predicted number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberReport {
    /// Its name, such as `valence`.
    pub name: String,
    /// Items.
    pub items: u64,
    /// Its metrics.
    pub metrics: IndexMap<Metric, Option<f64>>,
    /// Bias in five ranges of the true number; none of a number that is predicted in each frame.
    pub by_target: Vec<TargetBin>,
}

/// What was done to recordings before they were heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Seconds that are heard from the beginning; `None` for all.
    pub heard_s: Option<f64>,
    /// Signal-to-noise ratio of added noise in dB; `None` without.
    pub noise_snr_db: Option<f64>,
    /// Codec, such as `g711`; `None` without.
    pub codec: Option<String>,
}

/// Metrics under a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionResult {
    /// The condition.
    pub condition: Condition,
    /// Side.
    pub side: String,
    /// Head.
    pub head: String,
    /// Items whose label is known.
    pub items: u64,
    /// Metrics.
    pub metrics: Metrics,
}

impl Condition {
    /// True for recordings as they are.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
