//! Classification metrics equal to scikit-learn's, and statistics over folds and seeds.
//!
//! Everything follows from a [`Confusion`]: count items batch by batch, merge the counts of folds,
//! and ask for the [`Classification`] report. [`mean_sd`] and [`paired_difference`] summarise runs.

mod agreement;
mod classification;
mod confusion;
mod error;
mod statistics;

pub use agreement::cohen_kappa;
pub use classification::{ClassReport, Classification};
pub use confusion::Confusion;
pub use error::MetricsError;
pub use statistics::{Interval, MeanSd, PairedDifference, mean_sd, paired_difference};
