//! What a head said of the items of a side, and what is known of these.

use std::sync::Arc;

use emorun_metrics::{Clusters, Metric, NaiveBayes, Predictions, Votes};
use indexmap::IndexSet;

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
    /// Whether the rows are of several models, whose scores cannot be ranked or binned together (see
    /// [`emorun_metrics::Merge::MemberMean`]); several of them may have heard the same item.
    pub several_models: bool,
}

impl Said {
    /// The rows by who speaks and by item.
    pub(crate) fn clusters(&self) -> Clusters {
        self.clusters_of(0..self.items.len())
    }

    /// The same of the rows at these places, each by its place among them.
    pub(crate) fn clusters_of(&self, rows: impl IntoIterator<Item = usize>) -> Clusters {
        let items = rows.into_iter().map(|row| &self.items[row]);
        Clusters::of_items(items.map(|item| (item.speaker.as_deref(), item.item.as_str())))
    }

    /// The items of the rows at these places, each once.
    pub(crate) fn items_of(&self, rows: impl IntoIterator<Item = usize>) -> IndexSet<&str> {
        rows.into_iter().map(|row| self.items[row].item.as_str()).collect()
    }

    /// Items whose speaker is not known.
    pub(crate) fn unknown_speakers(&self) -> usize {
        let rows = self.items.iter().enumerate();
        self.items_of(rows.filter(|(_, item)| item.speaker.is_none()).map(|(row, _)| row))
            .len()
    }
}
