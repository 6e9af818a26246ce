//! How far the probabilities of a classification can be taken at their word.

use serde::{Deserialize, Serialize};

use crate::ClassPredictions;

/// Bins of [`Calibration`].
const BINS: usize = 15;

/// Items by the probability that they gave to what they were predicted as, in bins of equal width from 0 to 1, each
/// without its lower end and with its upper.
///
/// # Source
/// Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, section 2, with 15 bins; the
/// bins are those of scikit-learn's `calibration_curve` with `strategy="uniform"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Every bin, also those without items, the lowest first.
    pub bins: Vec<CalibrationBin>,
}

/// Items of like confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Probability above which its items are.
    pub low: f64,
    /// Greatest probability of its items.
    pub high: f64,
    /// Items.
    pub n: u64,
    /// Their mean probability of what they were predicted as; `None` without items.
    pub confidence: Option<f64>,
    /// Share of them that were predicted as what they are; `None` without items.
    pub accuracy: Option<f64>,
}

impl Calibration {
    /// That of the items whose class is known; `None` where there are none.
    pub fn of(predictions: &ClassPredictions) -> Option<Self> {
        let mut sums = [(0_u64, 0.0, 0_u64); BINS];
        let edge = |at: usize| at as f64 / BINS as f64;
        for row in predictions.scored() {
            let confidence = f64::from(row.probabilities[row.predicted]);
            let bin = (1..BINS).filter(|&at| edge(at) < confidence).count();
            let (n, sum, correct) = &mut sums[bin];
            *n += 1;
            *sum += confidence;
            *correct += u64::from(row.predicted == row.truth);
        }
        let bins = sums.iter().enumerate().map(|(at, &(n, sum, correct))| CalibrationBin {
            low: edge(at),
            high: edge(at + 1),
            n,
            confidence: (n > 0).then(|| sum / n as f64),
            accuracy: (n > 0).then(|| correct as f64 / n as f64),
        });
        let calibration = Self { bins: bins.collect() };
        (calibration.items() > 0).then_some(calibration)
    }

    fn items(&self) -> u64 {
        self.bins.iter().map(|bin| bin.n).sum()
    }

    /// Expected calibration error: mean over the items of how far accuracy and confidence of their bin are apart.
    pub fn expected_error(&self) -> f64 {
        let apart = |bin: &CalibrationBin| Some(bin.n as f64 * (bin.accuracy? - bin.confidence?).abs());
        self.bins.iter().filter_map(apart).sum::<f64>() / self.items() as f64
    }
}

/// See [`Calibration::expected_error`]; `None` without items.
pub(crate) fn ece(predictions: &ClassPredictions) -> Option<f64> {
    Calibration::of(predictions).map(|calibration| calibration.expected_error())
}
