//! How a predicted number errs where the true one is low or high.

use serde::{Deserialize, Serialize};

use crate::Number;

/// Items whose true number is in a range: from its lower end, without its upper but for the last range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetBin {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Items.
    pub items: u64,
    /// Mean of predicted minus true numbers; `None` without items.
    pub bias: Option<f64>,
    /// Mean absolute error; `None` without items.
    pub mae: Option<f64>,
}

impl Number<'_> {
    /// Bias in `bins` ranges of equal width from the least to the greatest true number: one range where they do not vary, none
    /// without items or with what is no number.
    ///
    /// # Source
    /// Equal to scipy's `binned_statistic` of `predicted − true` over `true`.
    pub fn by_target(self, bins: usize) -> Vec<TargetBin> {
        let pairs: Vec<(f64, f64)> = self.pairs().collect();
        let all_finite = pairs
            .iter()
            .all(|(truth, predicted)| truth.is_finite() && predicted.is_finite());
        if pairs.is_empty() || !all_finite || bins == 0 {
            return Vec::new();
        }
        let truths = || pairs.iter().map(|(truth, _)| *truth);
        let (least, most) = (
            truths().fold(f64::INFINITY, f64::min),
            truths().fold(f64::NEG_INFINITY, f64::max),
        );
        let bins = if most > least { bins } else { 1 };
        let edge = |at: usize| match at {
            at if at == bins => most,
            at => least + (most - least) * at as f64 / bins as f64,
        };
        let mut sums = vec![(0_u64, 0.0, 0.0); bins];
        for (truth, predicted) in pairs {
            let at = (1..bins).filter(|&at| edge(at) <= truth).count();
            let (items, sum, absolute) = &mut sums[at];
            *items += 1;
            *sum += predicted - truth;
            *absolute += (predicted - truth).abs();
        }
        let bin = |(at, (items, sum, absolute)): (usize, (u64, f64, f64))| TargetBin {
            low: edge(at),
            high: edge(at + 1),
            items,
            bias: (items > 0).then(|| sum / items as f64),
            mae: (items > 0).then(|| absolute / items as f64),
        };
        sums.into_iter().enumerate().map(bin).collect()
    }
}
