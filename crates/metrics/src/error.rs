//! What can go wrong in counting and comparing.

/// Why a metric could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A class index that the label set does not have.
    #[error("class {class} does not exist: the label set has {classes} classes")]
    UnknownClass {
        /// The index.
        class: usize,
        /// Size of the label set.
        classes: usize,
    },
    /// Two lists that belong together differ in length.
    #[error("{left} values cannot be paired with {right}")]
    Lengths {
        /// Length of the first list.
        left: usize,
        /// Length of the second list.
        right: usize,
    },
    /// Counts over two label sets cannot be added.
    #[error("counts over the labels {left:?} cannot be merged with counts over {right:?}")]
    Labels {
        /// Labels of the first.
        left: Vec<String>,
        /// Labels of the second.
        right: Vec<String>,
    },
    /// A stored matrix that is not labels × labels.
    #[error("a confusion matrix over {labels} labels needs {labels} rows of {labels} counts")]
    NotSquare {
        /// Size of the label set.
        labels: usize,
    },
}
