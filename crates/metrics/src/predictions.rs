//! What heads said of items, from which metrics follow.

use std::sync::Arc;

use crate::{Agreement, Confusion, MetricsError, Sequence};

/// What a head said of items.
#[derive(Clone, Debug)]
pub enum Predictions {
    /// One of several classes for each.
    Classes(ClassPredictions),
    /// Numbers for each.
    Numbers(NumberPredictions),
}

/// What a head that predicts classes said of items, one row an item, in the order in which they were added.
#[derive(Clone, Debug)]
pub struct ClassPredictions {
    /// Counts of the rows whose class is known.
    confusion: Confusion,
    /// The true class of each row; `None` where it is not known.
    truth: Vec<Option<u32>>,
    /// Of each row the probability of every class.
    probabilities: Vec<f32>,
    /// Whether there are rows behind the counts.
    has_scores: bool,
}

/// What was said of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The true class; `None` where it is not known.
    pub truth: Option<usize>,
    /// The class with the highest probability, the first of equals.
    pub predicted: usize,
    /// Probability of each class.
    pub probabilities: &'a [f32],
}

/// What was said of an item whose class is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoredRow<'a> {
    pub truth: usize,
    pub predicted: usize,
    pub probabilities: &'a [f32],
}

impl ScoredRow<'_> {
    /// The probability of the true class.
    pub(crate) fn of_true(&self) -> f32 {
        self.probabilities[self.truth]
    }
}

impl Predictions {
    /// The rows at these places, in this order; one that is named twice counts twice, one that there is not nowhere.
    #[must_use]
    pub fn at(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes(own) => Self::Classes(own.at(rows)),
            Self::Numbers(own) => Self::Numbers(own.at(rows)),
        }
    }
}

impl ClassPredictions {
    /// As [`Predictions::at`].
    fn at(&self, rows: &[usize]) -> Self {
        let mut found = Self {
            has_scores: self.has_scores,
            ..Self::new(self.labels())
        };
        let width = self.labels().len();
        for &row in rows {
            let (Some(truth), Some(probabilities)) = (
                self.truth.get(row),
                self.probabilities.get(row * width..(row + 1) * width),
            ) else {
                continue;
            };
            // What was added once fits.
            let _ = found.add(*truth, probabilities);
        }
        found
    }

    /// No rows yet, over classes in their order.
    pub fn new(labels: &[impl AsRef<str>]) -> Self {
        Self {
            confusion: Confusion::new(labels),
            truth: Vec::new(),
            probabilities: Vec::new(),
            has_scores: true,
        }
    }

    /// Counts alone, where the scores behind them were not kept.
    pub fn of_counts(confusion: Confusion) -> Self {
        Self {
            confusion,
            truth: Vec::new(),
            probabilities: Vec::new(),
            has_scores: false,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// There is not one probability a class, or the true class is not in the label set.
    pub fn add(&mut self, truth: Option<u32>, probabilities: &[f32]) -> Result<(), MetricsError> {
        let classes = self.labels().len();
        if probabilities.len() != classes || classes == 0 {
            return Err(MetricsError::Lengths {
                left: probabilities.len(),
                right: classes,
            });
        }
        if let Some(truth) = truth {
            self.confusion.add(truth as usize, highest(probabilities))?;
        }
        self.truth.push(truth);
        self.probabilities.extend_from_slice(probabilities);
        Ok(())
    }

    /// The same rows with other probabilities of each, as many as there are classes.
    #[must_use]
    pub fn with_probabilities(&self, mut of: impl FnMut(&[f32]) -> Vec<f32>) -> Self {
        let mut changed = Self {
            has_scores: self.has_scores,
            ..Self::new(self.labels())
        };
        let rows = self.probabilities.chunks_exact(self.labels().len().max(1));
        for (truth, row) in self.truth.iter().zip(rows) {
            // What does not fit is a row less, and shows in every count.
            let _ = changed.add(*truth, &of(row));
        }
        changed
    }

    /// The classes.
    pub fn labels(&self) -> &[String] {
        self.confusion.labels()
    }

    /// Counts of the rows whose class is known.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// Whether there are scores, rather than counts alone.
    pub fn has_scores(&self) -> bool {
        self.has_scores
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let rows = self.probabilities.chunks_exact(self.labels().len().max(1));
        self.truth.iter().zip(rows).map(|(truth, probabilities)| Row {
            truth: truth.map(|truth| truth as usize),
            predicted: highest(probabilities),
            probabilities,
        })
    }

    /// The rows whose class is known.
    pub(crate) fn scored(&self) -> impl Iterator<Item = ScoredRow<'_>> {
        self.rows().filter_map(|row| {
            Some(ScoredRow {
                truth: row.truth?,
                predicted: row.predicted,
                probabilities: row.probabilities,
            })
        })
    }
}

/// Index of the highest score, the first of equals.
pub fn highest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// What a head that predicts numbers said of items, one row an item, in the order in which they were added. A head that
/// predicts frames says a [`Sequence`] of each item, whose frames, of all samples, are the pairs that metrics follow from;
/// the rows are then their means.
#[derive(Clone, Debug)]
pub struct NumberPredictions {
    names: Vec<String>,
    agreement: Vec<Agreement>,
    truth: Vec<Option<f32>>,
    predicted: Vec<f32>,
    /// Of each row its frames and what follows from them; empty where rows are all there is.
    sequences: Vec<Arc<Summed>>,
}

/// Frames with what is drawn again and again in a bootstrap.
#[derive(Debug)]
struct Summed {
    sequence: Sequence,
    agreement: Vec<Agreement>,
    truth: Vec<Option<f32>>,
    predicted: Vec<f32>,
}

/// One of the numbers that a head predicts, over all items.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    /// Its name, such as `valence`.
    pub name: &'a str,
    /// Agreement over the items whose true number is known, or over their frames.
    pub agreement: &'a Agreement,
    of: &'a NumberPredictions,
    column: usize,
}

impl Number<'_> {
    /// True and predicted numbers of the items whose true number is known, or of their frames.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        let rows = self.of.rows().filter(|_| self.of.sequences.is_empty());
        let of_items = rows
            .filter_map(|(truth, predicted)| Some((f64::from(truth[self.column]?), f64::from(predicted[self.column]))));
        let sequences = self.of.sequences.iter();
        of_items.chain(sequences.flat_map(|own| own.sequence.pairs(self.column)))
    }

    /// Items whose true number is known.
    pub fn items(&self) -> u64 {
        let rows = self.of.rows();
        rows.filter(|(truth, _)| truth[self.column].is_some()).count() as u64
    }
}

impl NumberPredictions {
    /// As [`Predictions::at`].
    fn at(&self, rows: &[usize]) -> Self {
        let mut found = Self::new(&self.names);
        let width = self.names.len();
        if !self.sequences.is_empty() {
            for own in rows.iter().filter_map(|&row| self.sequences.get(row)) {
                found.add_known(own.clone());
            }
            return found;
        }
        for &row in rows {
            let part = row * width..(row + 1) * width;
            let (Some(truth), Some(predicted)) = (self.truth.get(part.clone()), self.predicted.get(part)) else {
                continue;
            };
            // What was added once fits.
            let _ = found.add(truth, predicted);
        }
        found
    }

    /// No rows yet, of numbers in their order.
    pub fn new(names: &[impl AsRef<str>]) -> Self {
        Self {
            names: names.iter().map(|name| name.as_ref().to_owned()).collect(),
            agreement: vec![Agreement::default(); names.len()],
            truth: Vec::new(),
            predicted: Vec::new(),
            sequences: Vec::new(),
        }
    }

    /// Adds the frames of an item.
    ///
    /// # Errors
    /// Frames are not as wide as there are names.
    pub fn add_sequence(&mut self, sequence: Sequence) -> Result<(), MetricsError> {
        if sequence.width() != self.names.len() {
            return Err(MetricsError::Lengths {
                left: sequence.width(),
                right: self.names.len(),
            });
        }
        let (truth, predicted) = sequence.means();
        self.add_known(Arc::new(Summed {
            agreement: sequence.agreement(),
            sequence,
            truth,
            predicted,
        }));
        Ok(())
    }

    fn add_known(&mut self, own: Arc<Summed>) {
        for (all, of_item) in self.agreement.iter_mut().zip(&own.agreement) {
            all.merge(of_item);
        }
        self.truth.extend(&own.truth);
        self.predicted.extend(&own.predicted);
        self.sequences.push(own);
    }

    /// Whether items have frames.
    pub fn of_frames(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// The frames of each item, of a head that predicts frames.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        self.sequences.iter().map(|own| &own.sequence)
    }

    /// Adds a row; a true number may be unknown.
    ///
    /// # Errors
    /// There are not as many numbers as names.
    pub fn add(&mut self, truth: &[Option<f32>], predicted: &[f32]) -> Result<(), MetricsError> {
        for given in [truth.len(), predicted.len()] {
            if given != self.names.len() {
                return Err(MetricsError::Lengths {
                    left: given,
                    right: self.names.len(),
                });
            }
        }
        for (agreement, (truth, &predicted)) in self.agreement.iter_mut().zip(truth.iter().zip(predicted)) {
            if let Some(truth) = truth {
                agreement.add(f64::from(*truth), f64::from(predicted));
            }
        }
        self.truth.extend_from_slice(truth);
        self.predicted.extend_from_slice(predicted);
        Ok(())
    }

    /// The numbers, one after the other.
    pub fn numbers(&self) -> impl Iterator<Item = Number<'_>> {
        let columns = self.names.iter().zip(&self.agreement).enumerate();
        columns.map(|(column, (name, agreement))| Number {
            name,
            agreement,
            of: self,
            column,
        })
    }

    /// True and predicted numbers of every row.
    pub fn rows(&self) -> impl Iterator<Item = (&[Option<f32>], &[f32])> {
        let width = self.names.len().max(1);
        self.truth.chunks_exact(width).zip(self.predicted.chunks_exact(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_is_predicted_and_unlabelled_rows_are_not_counted() {
        let mut rows = ClassPredictions::new(&["a", "b", "c"]);
        rows.add(Some(2), &[0.25, 0.375, 0.375]).unwrap();
        rows.add(None, &[1.0, 0.0, 0.0]).unwrap();
        let found: Vec<(Option<usize>, usize)> = rows.rows().map(|row| (row.truth, row.predicted)).collect();
        assert_eq!(found, [(Some(2), 1), (None, 0)]);
        assert_eq!((rows.confusion().total(), rows.scored().count()), (1, 1));
    }

    #[test]
    fn rows_that_do_not_fit_are_refused_and_change_nothing() {
        let mut rows = ClassPredictions::new(&["a", "b"]);
        assert!(rows.add(Some(0), &[1.0]).is_err());
        assert!(rows.add(Some(2), &[0.5, 0.5]).is_err());
        assert_eq!((rows.rows().count(), rows.confusion().total()), (0, 0));
        let mut numbers = NumberPredictions::new(&["valence", "arousal"]);
        assert!(numbers.add(&[Some(1.0), None], &[1.0]).is_err());
        assert!(numbers.add(&[Some(1.0)], &[1.0, 2.0]).is_err());
        assert_eq!(numbers.rows().count(), 0);
    }

    #[test]
    fn a_number_that_an_item_lacks_counts_for_the_others_alone() {
        let mut numbers = NumberPredictions::new(&["valence", "arousal"]);
        numbers.add(&[Some(1.0), None], &[2.0, 3.0]).unwrap();
        numbers.add(&[Some(4.0), Some(5.0)], &[4.0, 4.5]).unwrap();
        let pairs: Vec<Vec<(f64, f64)>> = numbers.numbers().map(|number| number.pairs().collect()).collect();
        assert_eq!(pairs, [vec![(1.0, 2.0), (4.0, 4.0)], vec![(5.0, 4.5)]]);
        let counts: Vec<u64> = numbers.numbers().map(|number| number.agreement.n).collect();
        assert_eq!(counts, [2, 1]);
    }
}
