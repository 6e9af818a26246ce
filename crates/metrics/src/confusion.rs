//! Counts of true against predicted classes.

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Counts of items by true class (row) and predicted class (column).
///
/// Serialised as `{"labels": […], "counts": [[…], …]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Confusion {
    labels: Vec<String>,
    /// Row after row.
    counts: Vec<u64>,
}

impl Confusion {
    /// No items yet, over `labels` in their order.
    pub fn new(labels: &[impl AsRef<str>]) -> Self {
        Self {
            labels: labels.iter().map(|l| l.as_ref().to_owned()).collect(),
            counts: vec![0; labels.len().saturating_mul(labels.len())],
        }
    }

    /// Counts one item, its classes given as places in the label set.
    ///
    /// # Errors
    /// A class is not in the label set.
    pub fn add(&mut self, truth: usize, predicted: usize) -> Result<(), MetricsError> {
        let classes = self.labels.len();
        let known = |class| {
            if class < classes {
                Ok(class)
            } else {
                Err(MetricsError::UnknownClass { class, classes })
            }
        };
        let cell = known(truth)? * classes + known(predicted)?;
        self.counts[cell] = self.counts[cell].saturating_add(1);
        Ok(())
    }

    /// Counts a batch; nothing is counted if it is an error.
    ///
    /// # Errors
    /// The lists differ in length, or a class is not in the label set.
    pub fn extend(&mut self, truth: &[usize], predicted: &[usize]) -> Result<(), MetricsError> {
        if truth.len() != predicted.len() {
            return Err(MetricsError::Lengths {
                left: truth.len(),
                right: predicted.len(),
            });
        }
        let mut counted = self.clone();
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            counted.add(truth, predicted)?;
        }
        *self = counted;
        Ok(())
    }

    /// Adds the counts of `other`, as in pooling folds.
    ///
    /// # Errors
    /// The label sets or their orders differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if self.labels != other.labels {
            return Err(MetricsError::Labels {
                left: self.labels.clone(),
                right: other.labels.clone(),
            });
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        Ok(())
    }

    /// The label set.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// One slice a true class, of one count a predicted class.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.counts.chunks_exact(self.labels.len().max(1))
    }

    /// How many items were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }
}

/// The serialised form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    labels: Vec<String>,
    counts: Vec<Vec<u64>>,
}

impl From<Confusion> for Stored {
    fn from(confusion: Confusion) -> Self {
        let counts = confusion.rows().map(<[u64]>::to_vec).collect();
        Self {
            labels: confusion.labels,
            counts,
        }
    }
}

impl TryFrom<Stored> for Confusion {
    type Error = MetricsError;

    fn try_from(stored: Stored) -> Result<Self, MetricsError> {
        let labels = stored.labels.len();
        let square = stored.counts.len() == labels && stored.counts.iter().all(|row| row.len() == labels);
        if !square {
            return Err(MetricsError::NotSquare { labels });
        }
        Ok(Self {
            labels: stored.labels,
            counts: stored.counts.into_iter().flatten().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_true_and_columns_predicted() {
        let mut confusion = Confusion::new(&["a", "b", "c"]);
        confusion.extend(&[0, 0, 2], &[1, 1, 0]).unwrap();
        let rows: Vec<&[u64]> = confusion.rows().collect();
        assert_eq!(rows, [[0, 2, 0], [0, 0, 0], [1, 0, 0]]);
        assert_eq!(confusion.total(), 3);
    }

    #[test]
    fn a_batch_with_a_mistake_counts_nothing() {
        let mut confusion = Confusion::new(&["a", "b"]);
        let error = confusion.extend(&[0, 1], &[0, 2]).unwrap_err();
        let (class, classes) = (2, 2);
        assert_eq!(error, MetricsError::UnknownClass { class, classes });
        let error = confusion.extend(&[0, 1], &[0]).unwrap_err();
        assert_eq!(error, MetricsError::Lengths { left: 2, right: 1 });
        assert_eq!(confusion.total(), 0);
    }

    #[test]
    fn merging_adds_counts_of_the_same_labels_only() {
        let mut all = Confusion::new(&["a", "b"]);
        let mut fold = all.clone();
        fold.add(1, 0).unwrap();
        all.merge(&fold).unwrap();
        all.merge(&fold).unwrap();
        assert_eq!(all.rows().nth(1), Some(&[2, 0][..]));
        let error = all.merge(&Confusion::new(&["b", "a"])).unwrap_err();
        assert!(error.to_string().contains(r#"["b", "a"]"#), "{error}");
        assert_eq!(all.total(), 2);
    }

    #[test]
    fn the_stored_form_comes_back_and_a_ragged_one_is_an_error() {
        let mut confusion = Confusion::new(&["a", "b"]);
        confusion.extend(&[0, 1, 1], &[0, 0, 1]).unwrap();
        let json = serde_json::to_string(&confusion).unwrap();
        assert_eq!(json, r#"{"labels":["a","b"],"counts":[[1,0],[1,1]]}"#);
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), confusion);
        for bad in [
            r#"{"labels":["a","b"],"counts":[[1,0]]}"#,
            r#"{"labels":["a","b"],"counts":[[1,0],[1]]}"#,
            r#"{"labels":["a"],"counts":[[1,0]]}"#,
        ] {
            let error = serde_json::from_str::<Confusion>(bad).unwrap_err();
            assert!(error.to_string().contains("confusion matrix"), "{error}");
        }
        let empty = Confusion::new(&[""; 0]);
        let json = serde_json::to_string(&empty).unwrap();
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), empty);
    }
}
