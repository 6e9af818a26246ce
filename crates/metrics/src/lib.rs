//! Metrics of classifications and of predicted numbers, equal to scikit-learn's, and statistics over folds and seeds.
//!
//! The way through it: rows are added to [`Predictions`], item by item, and a [`Metric`] says how it follows from them,
//! which way it is better, how it is written and how those of folds and seeds become one. [`Confusion`] and
//! [`Agreement`] are the sums that are merged by adding; [`ClassReport`] and [`Calibration`] are tables. [`mean_sd`],
//! [`paired_difference`] and [`resampled_difference`] summarise runs; a [`Bootstrap`] over [`Clusters`] says how sure
//! a metric is, and a difference of two models on the same items, which [`McNemar`]'s test counts. A [`Curve`] shows every
//! threshold, a [`Temperature`] and [`Conformal`] sets are made on one side and tried on another, [`Votes`] hold predictions
//! against raters, and a [`Baseline`] says what is reached without listening.

mod agreement;
mod baseline;
mod bootstrap;
mod by_target;
mod calibration;
mod classification;
mod conformal;
mod confusion;
mod curves;
mod error;
mod kappa;
mod metric;
mod naive_bayes;
mod paired;
mod predictions;
mod probabilities;
mod ranking;
pub mod reaction;
mod sequence;
mod soft;
mod statistics;
mod table;
mod temperature;

pub use agreement::Agreement;
pub use baseline::Baseline;
pub use bootstrap::{Bootstrap, Clusters};
pub use by_target::TargetBin;
pub use calibration::{Calibration, CalibrationBin};
pub use classification::ClassReport;
pub use conformal::{Conformal, Coverage};
pub use confusion::Confusion;
pub use curves::{
    Curve, macro_precision_recall_curve, macro_roc_curve, precision_recall_curve, risk_coverage_curve, roc_curve,
};
pub use error::MetricsError;
pub use kappa::cohen_kappa;
pub use metric::{Direction, Merge, Metric, Needs, Predicts, Unit};
pub use naive_bayes::NaiveBayes;
pub use paired::{Excess, McNemar, holm};
pub use predictions::{ClassPredictions, Number, NumberPredictions, Predictions, Row, highest};
pub use sequence::Sequence;
pub use soft::{Agreeing, Divergence, Votes, by_agreement};
pub use statistics::{Interval, MeanSd, PairedDifference, mean_sd, paired_difference, resampled_difference};
pub use temperature::{Temperature, Uncalibrated};
