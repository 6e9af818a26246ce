//! Curves over all thresholds of a score: ROC, precision over recall, risk over coverage.

use serde::{Deserialize, Serialize};

use crate::ClassPredictions;
use crate::ranking::{Tie, ranked};

/// A curve over the thresholds of a score, the highest threshold first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Least score of the items that a point counts as found; `None` where it counts none of them, and in a mean of several
    /// curves, which have no score in common.
    pub threshold: Vec<Option<f64>>,
    /// False positive rate, recall or coverage, from 0 to 1 and never falling.
    pub x: Vec<f64>,
    /// True positive rate, precision or risk.
    pub y: Vec<f64>,
    /// Area under ROC, average precision or area under the risk–coverage curve, of all points.
    pub area: f64,
}

impl Curve {
    /// How many points it has.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// True where it has none.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    fn push(&mut self, threshold: Option<f64>, x: f64, y: f64) {
        self.threshold.push(threshold);
        self.x.push(x);
        self.y.push(y);
    }

    /// Its points at about `most` even steps of the way along it, with its ends; the area stays that of all points.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Self {
        if self.len() <= most.max(2) {
            return self.clone();
        }
        let step = |at: usize| (self.x[at] - self.x[at - 1]).abs() + (self.y[at] - self.y[at - 1]).abs();
        let whole: f64 = (1..self.len()).map(step).sum();
        let least = whole / (most - 1) as f64;
        let mut kept = Self {
            area: self.area,
            ..Self::default()
        };
        let mut way = 0.0;
        for at in 0..self.len() {
            way += if at == 0 { least } else { step(at) };
            if way >= least || at + 1 == self.len() {
                kept.push(self.threshold[at], self.x[at], self.y[at]);
                way = 0.0;
            }
        }
        kept
    }
}

/// A class's items against all others: true over false positive rate. Points between two others on a straight line are left out.
/// `None` where the class has no item or every one, and where a score is no number.
///
/// # Source
/// Fawcett, Pattern Recognition Letters 27(8), 2006. Equal to scikit-learn's `roc_curve`, which begins at an infinite threshold,
/// here `None`; the area is that of `roc_auc_score`.
pub fn roc_curve(predictions: &ClassPredictions, class: usize) -> Option<Curve> {
    let all = RocPoints::of(predictions, class)?;
    let is_corner = |at: usize| {
        let turn = |counts: &[u64]| counts[at] - counts[at - 1] != counts[at + 1] - counts[at];
        at == 0 || at + 1 == all.scores.len() || turn(&all.false_positives) || turn(&all.true_positives)
    };
    let mut curve = Curve::default();
    curve.push(None, 0.0, 0.0);
    for at in (0..all.scores.len()).filter(|at| is_corner(*at)) {
        let (x, y) = all.rates(at);
        curve.push(Some(f64::from(all.scores[at])), x, y);
    }
    curve.area = all.area();
    Some(curve)
}

/// A class's items against all others: precision over recall, at every score. Its area is the average precision, which takes
/// each precision back to the recall before it. `None` where the class has no item, and where a score is no number.
///
/// # Source
/// Equal to scikit-learn's `precision_recall_curve` in the opposite order; the area is that of `average_precision_score`.
pub fn precision_recall_curve(predictions: &ClassPredictions, class: usize) -> Option<Curve> {
    let ties = finite(ranked_of(predictions, class)?)?;
    let all: u64 = ties.iter().map(|tie| tie.positives).sum();
    if all == 0 {
        return None;
    }
    let mut curve = Curve::default();
    curve.push(None, 0.0, 1.0);
    let (mut found, mut seen) = (0, 0);
    for tie in ties {
        found += tie.positives;
        seen += tie.positives + tie.negatives;
        let precision = found as f64 / seen as f64;
        curve.area += tie.positives as f64 / all as f64 * precision;
        curve.push(Some(f64::from(tie.score)), found as f64 / all as f64, precision);
    }
    Some(curve)
}

/// The mean of the classes' ROC curves: at every false positive rate of any class the mean of their true positive rates, before and
/// after it where one rises there. Its area is the mean of theirs. `None` where a class has no curve.
pub fn macro_roc_curve(predictions: &ClassPredictions) -> Option<Curve> {
    let classes = 0..predictions.labels().len();
    let curves: Vec<Curve> = classes
        .map(|class| roc_curve(predictions, class))
        .collect::<Option<_>>()?;
    let grid = union(&curves);
    let mut mean = Curve {
        area: curves.iter().map(|curve| curve.area).sum::<f64>() / curves.len() as f64,
        ..Curve::default()
    };
    for x in grid {
        let ends: Vec<(f64, f64)> = curves.iter().map(|curve| around(curve, x)).collect();
        let of = |end: fn(&(f64, f64)) -> f64| ends.iter().map(end).sum::<f64>() / ends.len() as f64;
        let (before, after) = (of(|end| end.0), of(|end| end.1));
        mean.push(None, x, before);
        if after > before {
            mean.push(None, x, after);
        }
    }
    Some(mean)
}

/// The mean of the classes' precision–recall curves: at every recall of any class the mean of their precisions at the highest
/// threshold that reaches it. Its area is the mean of theirs. `None` where a class has no curve.
pub fn macro_precision_recall_curve(predictions: &ClassPredictions) -> Option<Curve> {
    let classes = 0..predictions.labels().len();
    let curves: Vec<Curve> = classes
        .map(|class| precision_recall_curve(predictions, class))
        .collect::<Option<_>>()?;
    let mut mean = Curve {
        area: curves.iter().map(|curve| curve.area).sum::<f64>() / curves.len() as f64,
        ..Curve::default()
    };
    for x in union(&curves) {
        let reached = |curve: &Curve| curve.y[curve.x.partition_point(|recall| *recall < x).min(curve.len() - 1)];
        mean.push(None, x, curves.iter().map(reached).sum::<f64>() / curves.len() as f64);
    }
    Some(mean)
}

/// Share of wrong predictions among the items that are predicted with at least a probability, over the share of all items that
/// these are. Items of one probability are taken together. Its area is the mean over the items of the risk of those that are
/// predicted with at least their probability. `None` without items, and where a score is no number.
///
/// # Source
/// Geifman, Uziel & El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019 (AURC).
pub fn risk_coverage_curve(predictions: &ClassPredictions) -> Option<Curve> {
    let scored = predictions.scored();
    let mut items: Vec<(f32, bool)> = scored
        .map(|row| (row.probabilities[row.predicted], row.predicted != row.truth))
        .collect();
    if items.is_empty() || items.iter().any(|(score, _)| !score.is_finite()) {
        return None;
    }
    items.sort_by(|one, other| other.0.total_cmp(&one.0));
    let n = items.len() as f64;
    let (mut curve, mut seen, mut wrong) = (Curve::default(), 0, 0);
    for tie in items.chunk_by(|one, other| one.0 == other.0) {
        seen += tie.len();
        wrong += tie.iter().filter(|(_, is_wrong)| *is_wrong).count();
        let risk = wrong as f64 / seen as f64;
        curve.area += tie.len() as f64 / n * risk;
        curve.push(Some(f64::from(tie[0].0)), seen as f64 / n, risk);
    }
    Some(curve)
}

/// Counts at every score of a class, the highest first.
struct RocPoints {
    scores: Vec<f32>,
    true_positives: Vec<u64>,
    false_positives: Vec<u64>,
}

impl RocPoints {
    fn of(predictions: &ClassPredictions, class: usize) -> Option<Self> {
        let ties = finite(ranked_of(predictions, class)?)?;
        let mut points = Self {
            scores: Vec::with_capacity(ties.len()),
            true_positives: Vec::with_capacity(ties.len()),
            false_positives: Vec::with_capacity(ties.len()),
        };
        let (mut found, mut wrong) = (0, 0);
        for tie in ties {
            found += tie.positives;
            wrong += tie.negatives;
            points.scores.push(tie.score);
            points.true_positives.push(found);
            points.false_positives.push(wrong);
        }
        (found > 0 && wrong > 0).then_some(points)
    }

    /// False and true positive rate.
    fn rates(&self, at: usize) -> (f64, f64) {
        let share = |counts: &[u64]| counts[at] as f64 / counts[counts.len() - 1] as f64;
        (share(&self.false_positives), share(&self.true_positives))
    }

    /// Area by trapezoids.
    fn area(&self) -> f64 {
        let (mut area, mut before) = (0.0, (0.0, 0.0));
        for at in 0..self.scores.len() {
            let (x, y) = self.rates(at);
            area += (x - before.0) * 0.5 * (y + before.1);
            before = (x, y);
        }
        area
    }
}

/// The ranks of a class, if there is such.
fn ranked_of(predictions: &ClassPredictions, class: usize) -> Option<Vec<Tie>> {
    (class < predictions.labels().len()).then(|| ranked(predictions, class))
}

fn finite(ties: Vec<Tie>) -> Option<Vec<Tie>> {
    ties.iter().all(|tie| tie.score.is_finite()).then_some(ties)
}

/// Every `x` of any curve once.
fn union(curves: &[Curve]) -> Vec<f64> {
    let mut grid: Vec<f64> = curves.iter().flat_map(|curve| curve.x.iter().copied()).collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    grid
}

/// The value of a curve of straight lines before and after `x`.
fn around(curve: &Curve, x: f64) -> (f64, f64) {
    let first = curve.x.partition_point(|own| *own < x);
    let behind = curve.x.partition_point(|own| *own <= x);
    if first < behind {
        return (curve.y[first], curve.y[behind - 1]);
    }
    let (low, high) = (first.saturating_sub(1), first.min(curve.len() - 1));
    let width = curve.x[high] - curve.x[low];
    let part = if width > 0.0 { (x - curve.x[low]) / width } else { 0.0 };
    let value = curve.y[low] + part * (curve.y[high] - curve.y[low]);
    (value, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_curve_keeps_its_ends_its_area_and_few_points() {
        let mut curve = Curve {
            area: 0.75,
            ..Curve::default()
        };
        for at in 0..=10_000 {
            let x = f64::from(at) / 10_000.0;
            curve.push(Some(1.0 - x), x, x.sqrt());
        }
        let thinned = curve.thinned(100);
        assert!((90..=101).contains(&thinned.len()), "{}", thinned.len());
        assert_eq!(
            (thinned.x[0], thinned.x[thinned.len() - 1], thinned.area),
            (0.0, 1.0, 0.75)
        );
        assert_eq!(thinned.thinned(100).thinned(2).len(), 2);
        assert_eq!(curve.thinned(20_000), curve);
    }

    #[test]
    fn a_class_without_items_and_scores_that_are_no_numbers_have_no_curve() {
        let mut rows = ClassPredictions::new(&["a", "b", "c"]);
        rows.add(Some(0), &[0.5, 0.25, 0.25]).unwrap();
        rows.add(Some(1), &[0.5, 0.25, 0.25]).unwrap();
        assert!(roc_curve(&rows, 0).is_some() && roc_curve(&rows, 2).is_none());
        assert!(precision_recall_curve(&rows, 2).is_none() && roc_curve(&rows, 3).is_none());
        assert!(macro_roc_curve(&rows).is_none() && macro_precision_recall_curve(&rows).is_none());
        rows.add(Some(2), &[f32::NAN, 0.25, 0.25]).unwrap();
        assert!(roc_curve(&rows, 0).is_none() && precision_recall_curve(&rows, 0).is_none());
        assert!(risk_coverage_curve(&rows).is_none());
        assert!(risk_coverage_curve(&ClassPredictions::new(&["a"])).is_none());
    }
}
