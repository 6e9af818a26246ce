//! Classification metrics equal to scikit-learn's, agreement of numbers, and statistics over folds and
//! seeds.
//!
//! Everything follows from a [`Confusion`]: count items batch by batch, merge the counts of folds,
//! and ask for the [`Classification`] report. [`mean_sd`], [`paired_difference`] and
//! [`resampled_difference`] summarise runs.

mod agreement;
mod classification;
mod confusion;
mod error;
mod kappa;
mod log_loss;
mod statistics;

pub use agreement::Agreement;
pub use classification::{ClassReport, Classification};
pub use confusion::Confusion;
pub use error::MetricsError;
pub use kappa::cohen_kappa;
pub use log_loss::LogLoss;
pub use statistics::{Interval, MeanSd, PairedDifference, mean_sd, paired_difference, resampled_difference};
