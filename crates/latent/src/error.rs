//! Why nothing can be said of vectors.

use thiserror::Error;

use crate::vectors::FEWEST_ITEMS;

/// Why nothing can be said of vectors.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LatentError {
    /// Too few vectors.
    #[error("{0} items are too few to say anything of: at least {FEWEST_ITEMS} are needed")]
    TooFew(usize),
    /// A vector has another length.
    #[error("the vector of item {item} has {found} numbers, that of the first item {expected}")]
    Width {
        /// The item's index.
        item: usize,
        /// Its numbers.
        found: usize,
        /// Those of the first item.
        expected: usize,
    },
    /// A number is not finite.
    #[error("the vector of item {0} holds a number that is not finite")]
    NotFinite(usize),
    /// All vectors are the same.
    #[error("all items have the same vector, so that there is nothing to be seen in them")]
    Constant,
    /// A labelling does not fit.
    #[error("there are {labels} labels of {items} items")]
    Labels {
        /// Labels.
        labels: usize,
        /// Items.
        items: usize,
    },
    /// There is one class alone, or as many as items.
    #[error("{items} items of {classes} classes: separation needs at least 2 classes, and fewer than there are items")]
    Classes {
        /// Classes that have items.
        classes: usize,
        /// Items.
        items: usize,
    },
    /// Half of all pairs of items are the same vector.
    #[error(
        "half of all pairs of items have the same vector, so that the median distance is 0 and no bandwidth follows"
    )]
    NoBandwidth,
    /// Too few neighbours or too many.
    #[error("trustworthiness of {items} items needs between 1 and {most} neighbours")]
    Neighbours {
        /// Items.
        items: usize,
        /// Most neighbours.
        most: usize,
    },
    /// Nobody can be told from anybody.
    #[error("a probe for speakers needs at least 2 speakers with 2 items each")]
    Speakers,
    /// A projection gave no place.
    #[error("{0} gave a place that is not finite")]
    NotPlaced(&'static str),
}
