//! What a head said of the items of a side, and what is known of these.

use std::sync::Arc;

use emorun_metrics::{Clusters, Metric, NaiveBayes, Predictions, Votes};

use crate::document::AudioPlace;

/// What is known of an item beside its label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemFacts {
    /// Stable name.
    pub item: String,
    /// Path as tables have it.
    pub path: String,
    /// Where it can be heard.
    pub audio: Option<AudioPlace>,
    /// Dataset.
    pub dataset: String,
    /// Who speaks, where that is known.
    pub speaker: Option<String>,
    /// Length in seconds.
    pub duration_s: f64,
    /// Classes of other columns, such as `gender: female`.
    pub described: Vec<(String, String)>,
    /// What is said, where the corpus tells.
    pub text: Option<String>,
}

/// A head on a side.
#[derive(Clone, Debug)]
pub struct Said {
    /// Name of the head.
    pub head: String,
    /// Label column that it predicts, where that is known.
    pub column: Option<String>,
    /// Its metrics, in the order of tables.
    pub metrics: Vec<Metric>,
    /// Those of them that are shown first.
    pub shown: Vec<Metric>,
    /// A row for each item whose label is known.
    pub predictions: Predictions,
    /// Its items, in the order of the rows.
    pub items: Vec<ItemFacts>,
    /// Votes of raters, also of items without a label.
    pub votes: Vec<Votes>,
    /// Training items of each class, where they are known.
    pub training: Option<Vec<u64>>,
    /// What reads transcripts as the training items' say, where these have some.
    pub reader: Option<Arc<NaiveBayes>>,
}

impl Said {
    /// The rows by who speaks.
    pub(crate) fn clusters(&self) -> Clusters {
        Clusters::of(self.items.iter().map(|item| item.speaker.as_deref()))
    }

    /// The rows at these places by who speaks, each by its place.
    pub(crate) fn unknown_speakers(&self) -> usize {
        self.items.iter().filter(|item| item.speaker.is_none()).count()
    }
}
