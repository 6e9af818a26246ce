//! Classification metrics equal to scikit-learn's, agreement of numbers, and statistics over folds and
//! seeds.
//!
//! Everything follows from a [`Confusion`]: count items batch by batch, merge the counts of folds,
//! and ask for the [`Classification`] report. [`mean_sd`] and [`paired_difference`] summarise runs.

mod agreement;
mod classification;
mod confusion;
mod error;
mod kappa;
mod statistics;

pub use agreement::Agreement;
pub use classification::{ClassReport, Classification};
pub use confusion::Confusion;
pub use error::MetricsError;
pub use kappa::cohen_kappa;
pub use statistics::{Interval, MeanSd, PairedDifference, mean_sd, paired_difference};
