//! How well the scores of a classification rank what is true above what is not.

use crate::ClassPredictions;
use crate::classification::mean;

/// Share of the items whose true class is among the `K` with the highest scores; of equal scores the later class comes
/// first. 1 where there are no more than `K` classes, `None` without items.
///
/// # Source
/// Equal to scikit-learn's `top_k_accuracy_score`.
pub(crate) fn top_k<const K: usize>(predictions: &ClassPredictions) -> Option<f64> {
    let hits = predictions.scored().map(|row| {
        let own = row.of_true();
        let scores = row.probabilities.iter().enumerate();
        let before = scores.filter(|&(class, &score)| score > own || score == own && class > row.truth);
        f64::from(u8::from(before.count() < K))
    });
    mean(hits)
}

/// Area under the curve of true over false positive rate, of each class against all others, and the mean over the classes:
/// the probability that an item of a class is scored higher for it than one that is not of it, equal scores counting half.
/// `None` where a class has no item or every one, as such a class has no curve.
///
/// # Source
/// Fawcett, Pattern Recognition Letters 27(8), 2006; as ranks: Hanley & McNeil, Radiology 143(1), 1982. Equal to
/// scikit-learn's `roc_auc_score` with `multi_class="ovr"` and `average="macro"`, which gives NaN for such a class.
pub(crate) fn roc_auc(predictions: &ClassPredictions) -> Option<f64> {
    mean_over_classes(predictions, |ranked| {
        let (mut above, mut area) = (0_u64, 0.0);
        let positives: u64 = ranked.iter().map(|tie| tie.positives).sum();
        let negatives: u64 = ranked.iter().map(|tie| tie.negatives).sum();
        for tie in ranked {
            area += tie.negatives as f64 * (above as f64 + 0.5 * tie.positives as f64);
            above += tie.positives;
        }
        (positives > 0 && negatives > 0).then(|| area / (positives as f64 * negatives as f64))
    })
}

/// Average precision of each class against all others, and the mean over the classes: `Σ (Rᵢ − Rᵢ₋₁) Pᵢ` over the
/// thresholds from the highest score down, of recall `R` and precision `P`, without interpolation. `None` where a class
/// has no item, as it has no recall.
///
/// # Source
/// Equal to scikit-learn's `average_precision_score` with `average="macro"` of classes as indicators, which counts a class
/// without items as 0.
pub(crate) fn average_precision(predictions: &ClassPredictions) -> Option<f64> {
    mean_over_classes(predictions, |ranked| {
        let all: u64 = ranked.iter().map(|tie| tie.positives).sum();
        let (mut found, mut seen, mut sum) = (0_u64, 0_u64, 0.0);
        for tie in ranked {
            found += tie.positives;
            seen += tie.positives + tie.negatives;
            sum += tie.positives as f64 * found as f64 / seen as f64;
        }
        (all > 0).then(|| sum / all as f64)
    })
}

/// Items with the same score for a class.
pub(crate) struct Tie {
    /// That score.
    pub score: f32,
    /// Those of the class.
    pub positives: u64,
    /// All others.
    pub negatives: u64,
}

/// The items whose class is known by their score for one class, the highest first.
pub(crate) fn ranked(predictions: &ClassPredictions, class: usize) -> Vec<Tie> {
    let scored = predictions.scored();
    let mut scores: Vec<(f32, bool)> = scored
        .map(|row| (row.probabilities[class], row.truth == class))
        .collect();
    scores.sort_by(|one, other| other.0.total_cmp(&one.0));
    // By `==`, for which the two zeros are one.
    let ties = scores.chunk_by(|one, other| one.0 == other.0).map(|tie| {
        let positives = tie.iter().filter(|(_, is_of)| *is_of).count() as u64;
        Tie {
            score: tie[0].0,
            positives,
            negatives: tie.len() as u64 - positives,
        }
    });
    ties.collect()
}

/// Mean over all classes of what follows from their items, the highest score first; `None` where a class has no value.
fn mean_over_classes(predictions: &ClassPredictions, of_class: impl Fn(&[Tie]) -> Option<f64>) -> Option<f64> {
    let classes = predictions.labels().len();
    let mut values = Vec::with_capacity(classes);
    for class in 0..classes {
        values.push(of_class(&ranked(predictions, class))?);
    }
    mean(values.into_iter())
}
