//! What hears nothing of an item: the share of each class in training, the most frequent one, or what is said alone.

use serde::{Deserialize, Serialize};

use crate::{ClassPredictions, MetricsError, NaiveBayes, highest};

/// A prediction that is made without hearing an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The most frequent class of the training items, the first of equals, with a probability of 1: scikit-learn's
    /// `DummyClassifier(strategy="most_frequent")`.
    Majority,
    /// The share of each class among the training items: scikit-learn's `DummyClassifier(strategy="prior")`.
    Prior,
    /// What [`NaiveBayes`] says of the transcript alone.
    Text,
}

impl Baseline {
    /// Name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Prior => "prior",
            Self::Text => "text",
        }
    }

    /// Those that are the same for every item, of a head whose classes have so many training items each; none without
    /// training items.
    ///
    /// # Errors
    /// There is not one count a class.
    pub fn of_counts(
        predictions: &ClassPredictions,
        training: &[u64],
    ) -> Result<Vec<(Self, ClassPredictions)>, MetricsError> {
        if training.len() != predictions.labels().len() {
            return Err(MetricsError::Lengths {
                left: training.len(),
                right: predictions.labels().len(),
            });
        }
        let all: u64 = training.iter().sum();
        if all == 0 {
            return Ok(Vec::new());
        }
        let shares: Vec<f32> = training.iter().map(|n| (*n as f64 / all as f64) as f32).collect();
        let mut majority = vec![0.0; shares.len()];
        majority[highest(&shares)] = 1.0;
        let same = |row: &[f32]| predictions.with_probabilities(|_| row.to_vec());
        Ok(vec![(Self::Majority, same(&majority)), (Self::Prior, same(&shares))])
    }

    /// What is said of items by their transcripts, one a row; an item without one is a text without words.
    pub fn of_texts<'a>(
        predictions: &ClassPredictions,
        reader: &NaiveBayes,
        texts: impl IntoIterator<Item = Option<&'a str>>,
    ) -> ClassPredictions {
        let mut texts = texts.into_iter();
        predictions.with_probabilities(|_| {
            let text = texts.next().flatten().unwrap_or_default();
            let probabilities = reader.probabilities(text);
            probabilities.into_iter().map(|share| share as f32).collect()
        })
    }
}
