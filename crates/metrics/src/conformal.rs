//! Sets of classes that hold the true one with a probability that is chosen.

use serde::{Deserialize, Serialize};

use crate::ClassPredictions;

/// Split-conformal sets by the probability of a class (least ambiguous set-valued classifiers): a set holds every class whose
/// probability is at least [`Self::least`]. It holds the true class with the probability that was asked for if the items are
/// exchangeable with those it was made on, which they are not across speakers: coverage is reported by speaker. A set may be empty.
///
/// # Source
/// Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 114, 2019; the rank
/// ⌈(n + 1)(1 − α)⌉ of split-conformal prediction: Vovk et al. 2005; Angelopoulos & Bates 2023, section 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    /// Coverage that was asked for: 1 − α.
    pub level: f64,
    /// Least probability of a class in a set; 0 where there are too few items for the level, so that sets hold every class.
    pub least: f64,
    /// Items that it was made on.
    pub items: u64,
}

/// What sets hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Items whose class is known.
    pub items: u64,
    /// Share of them whose set holds the true class.
    pub coverage: f64,
    /// Mean number of classes in a set.
    pub mean_size: f64,
    /// Share of items with one class in their set.
    pub single: f64,
    /// Share of items with an empty set.
    pub empty: f64,
}

impl Conformal {
    /// The sets that hold the true class of a share of `level` of such items. `None` without items whose class is known, and
    /// where a score is no number.
    pub fn calibrated(predictions: &ClassPredictions, level: f64) -> Option<Self> {
        let mut of_true: Vec<f64> = predictions.scored().map(|row| f64::from(row.of_true())).collect();
        let n = of_true.len();
        if n == 0 || of_true.iter().any(|p| !p.is_finite()) {
            return None;
        }
        of_true.sort_by(|one, other| other.total_cmp(one));
        // Less a rounding, by which 0.9 of 10 items would be more than 9.
        let rank = ((n + 1) as f64 * level - 1e-9).ceil() as usize;
        Some(Self {
            level,
            least: match rank {
                0 => f64::INFINITY,
                rank => of_true.get(rank - 1).copied().unwrap_or(0.0),
            },
            items: n as u64,
        })
    }

    /// Whether a class of such a probability is in the set.
    pub fn holds(&self, probability: f32) -> bool {
        f64::from(probability) >= self.least
    }

    /// What the sets of other predictions hold; `None` without items whose class is known.
    pub fn coverage(&self, predictions: &ClassPredictions) -> Option<Coverage> {
        let (mut items, mut covered, mut classes, mut single, mut empty) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
        for row in predictions.scored() {
            let size = row.probabilities.iter().filter(|p| self.holds(**p)).count() as u64;
            items += 1;
            covered += u64::from(self.holds(row.of_true()));
            classes += size;
            single += u64::from(size == 1);
            empty += u64::from(size == 0);
        }
        let share = |count: u64| count as f64 / items as f64;
        (items > 0).then(|| Coverage {
            items,
            coverage: share(covered),
            mean_size: share(classes),
            single: share(single),
            empty: share(empty),
        })
    }
}
