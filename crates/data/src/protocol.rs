//! What corpora were published with, to be evaluated by.

use crate::SplitName;
use std::collections::{HashMap, HashSet};

/// The folds that a corpus was published with, by the names of its recordings within the dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedFolds {
    /// Name of the corpus among those that were published together.
    pub corpus: String,
    /// The folds, by their numbers.
    pub folds: Vec<PublishedFold>,
    /// The balanced test set of the cross-corpus track, where the corpus has one.
    pub balanced: Option<HashSet<String>>,
}

/// One fold as published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedFold {
    /// Its number, from 1.
    pub number: usize,
    /// The side of each recording that is in it.
    pub sides: HashMap<String, SplitName>,
    /// Whether it has a validation side of its own.
    pub has_validation: bool,
    /// Recordings of each side, in the order of [`SplitName::ALL`], that are not on the disk.
    pub absent: [usize; 3],
    /// Its files that are absent from the metadata.
    pub missing: Vec<String>,
}
