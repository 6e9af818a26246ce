//! What was said of an item frame by frame, beside what is true of it.

use std::sync::Arc;

use crate::{Agreement, MetricsError};

/// Predicted frames of an item, in several samples, beside the true ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    width: usize,
    truth: Arc<[f32]>,
    counts: Vec<bool>,
    samples: Vec<Vec<f32>>,
}

impl Sequence {
    /// Samples beside the truth, row after row each; `counts` says of each frame whether its truth is known.
    ///
    /// # Errors
    /// There is no sample, or one is not as long as the truth.
    pub fn new(width: usize, truth: Vec<f32>, counts: Vec<bool>, samples: Vec<Vec<f32>>) -> Result<Self, MetricsError> {
        let frames = counts.len() * width;
        let wrong = |found: usize| MetricsError::Lengths {
            left: found,
            right: frames,
        };
        if truth.len() != frames || width == 0 {
            return Err(wrong(truth.len()));
        }
        if let Some(sample) = samples.iter().find(|sample| sample.len() != frames) {
            return Err(wrong(sample.len()));
        }
        if samples.is_empty() {
            return Err(wrong(0));
        }
        Ok(Self {
            width,
            truth: truth.into(),
            counts,
            samples,
        })
    }

    /// Numbers of a frame.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Frames.
    pub fn frames(&self) -> usize {
        self.counts.len()
    }

    /// The true frames, row after row.
    pub fn truth(&self) -> &[f32] {
        &self.truth
    }

    /// Of each frame whether its truth is known.
    pub fn counts(&self) -> &[bool] {
        &self.counts
    }

    /// The predicted frames of each sample, row after row.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.samples.iter().map(Vec::as_slice)
    }

    /// True and predicted numbers of a column in the frames whose truth is known, sample after sample.
    pub(crate) fn pairs(&self, column: usize) -> impl Iterator<Item = (f64, f64)> {
        self.samples.iter().flat_map(move |sample| {
            let rows = self.truth.chunks_exact(self.width).zip(sample.chunks_exact(self.width));
            let known = rows.zip(&self.counts).filter(|(_, counts)| **counts);
            known.map(move |((truth, predicted), _)| (f64::from(truth[column]), f64::from(predicted[column])))
        })
    }

    /// Agreement of each column.
    pub(crate) fn agreement(&self) -> Vec<Agreement> {
        let of = |column| {
            let mut agreement = Agreement::default();
            self.pairs(column)
                .for_each(|(truth, predicted)| agreement.add(truth, predicted));
            agreement
        };
        (0..self.width).map(of).collect()
    }

    /// Means of the true and of the predicted numbers of each column; no truth where no frame's is known.
    pub(crate) fn means(&self) -> (Vec<Option<f32>>, Vec<f32>) {
        let of = |column: usize| {
            let (mut count, mut truth, mut predicted) = (0.0, 0.0, 0.0);
            for (true_one, predicted_one) in self.pairs(column) {
                count += 1.0;
                truth += true_one;
                predicted += predicted_one;
            }
            match count > 0.0 {
                true => (Some((truth / count) as f32), (predicted / count) as f32),
                false => (None, 0.0),
            }
        };
        (0..self.width).map(of).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_a_truth_count_nowhere_and_samples_side_by_side() {
        let samples = vec![vec![1.0, 5.0, 9.0], vec![3.0, 7.0, 9.0]];
        let own = Sequence::new(1, vec![1.0, 6.0, 0.0], vec![true, true, false], samples).unwrap();
        let pairs: Vec<(f64, f64)> = own.pairs(0).collect();
        assert_eq!(pairs, [(1.0, 1.0), (6.0, 5.0), (1.0, 3.0), (6.0, 7.0)]);
        assert_eq!(own.means(), (vec![Some(3.5)], vec![4.0]));
        assert_eq!(own.agreement()[0].mse(), Some(1.5));
        let unknown = Sequence::new(1, vec![1.0], vec![false], vec![vec![2.0]]).unwrap();
        assert_eq!(unknown.means(), (vec![None], vec![0.0]));
        assert!(Sequence::new(2, vec![1.0], vec![true], vec![vec![1.0]]).is_err());
        assert!(Sequence::new(1, vec![1.0], vec![true], Vec::new()).is_err());
    }
}
