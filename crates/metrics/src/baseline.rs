//! What says nothing of an item: the share of each class in training, or the most frequent one.

use serde::{Deserialize, Serialize};

use crate::{ClassPredictions, MetricsError, highest};

/// A prediction that is the same for every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The most frequent class of the training items, the first of equals, with a probability of 1: scikit-learn's
    /// `DummyClassifier(strategy="most_frequent")`.
    Majority,
    /// The share of each class among the training items: scikit-learn's `DummyClassifier(strategy="prior")`.
    Prior,
}

impl Baseline {
    /// Every baseline.
    pub const ALL: [Self; 2] = [Self::Majority, Self::Prior];

    /// Name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Prior => "prior",
        }
    }

    /// What it says of the items of a head, whose classes have so many training items each; `None` without training items.
    ///
    /// # Errors
    /// There is not one count a class.
    pub fn of(
        self,
        predictions: &ClassPredictions,
        training: &[u64],
    ) -> Result<Option<ClassPredictions>, MetricsError> {
        if training.len() != predictions.labels().len() {
            return Err(MetricsError::Lengths {
                left: training.len(),
                right: predictions.labels().len(),
            });
        }
        let all: u64 = training.iter().sum();
        if all == 0 {
            return Ok(None);
        }
        let shares: Vec<f32> = training.iter().map(|n| (*n as f64 / all as f64) as f32).collect();
        let row = match self {
            Self::Prior => shares,
            Self::Majority => {
                let mut row = vec![0.0; shares.len()];
                row[highest(&shares)] = 1.0;
                row
            }
        };
        Ok(Some(predictions.with_probabilities(|_| row.clone())))
    }
}
