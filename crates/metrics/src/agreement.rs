//! Agreement of predicted with true numbers, such as valence and arousal.

use serde::{Deserialize, Serialize};

use crate::Number;
use crate::classification::mean;

/// Sums over pairs of true and predicted numbers, from which agreement follows. Batches, folds and
/// seeds are merged by adding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Pairs.
    pub n: u64,
    /// Mean of the true numbers.
    mean_true: f64,
    /// Mean of the predicted numbers.
    mean_predicted: f64,
    /// Sum of squared deviations of the true numbers from their mean.
    squares_true: f64,
    /// Sum of squared deviations of the predicted numbers from their mean.
    squares_predicted: f64,
    /// Sum of products of the deviations.
    products: f64,
}

impl Agreement {
    /// Adds a pair.
    pub fn add(&mut self, truth: f64, predicted: f64) {
        self.merge(&Self {
            n: 1,
            mean_true: truth,
            mean_predicted: predicted,
            ..Self::default()
        });
    }

    /// Adds the pairs of another.
    ///
    /// # Source
    /// Chan, Golub & LeVeque 1979: updating sums of squares without loss of digits.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let (here, there) = (self.n as f64, other.n as f64);
        let all = here + there;
        let delta_true = other.mean_true - self.mean_true;
        let delta_predicted = other.mean_predicted - self.mean_predicted;
        let shift = here * there / all;
        self.squares_true += other.squares_true + delta_true * delta_true * shift;
        self.squares_predicted += other.squares_predicted + delta_predicted * delta_predicted * shift;
        self.products += other.products + delta_true * delta_predicted * shift;
        self.mean_true += delta_true * there / all;
        self.mean_predicted += delta_predicted * there / all;
        self.n += other.n;
    }

    /// Concordance correlation coefficient, with variances divided by n; `None` for less than two
    /// pairs or where neither side varies and the means agree.
    ///
    /// # Source
    /// Lin, Biometrics 45, 1989, eq. 1.
    pub fn ccc(&self) -> Option<f64> {
        let apart = self.mean_true - self.mean_predicted;
        let spread = self.squares_true + self.squares_predicted + self.n as f64 * apart * apart;
        (self.n > 1 && spread > 0.0).then(|| 2.0 * self.products / spread)
    }

    /// Pearson's correlation; `None` where a side does not vary.
    pub fn pearson(&self) -> Option<f64> {
        let spread = (self.squares_true * self.squares_predicted).sqrt();
        (spread > 0.0).then(|| self.products / spread)
    }

    /// Mean squared error; `None` without pairs.
    pub fn mse(&self) -> Option<f64> {
        let n = self.n as f64;
        let apart = self.mean_true - self.mean_predicted;
        let deviations = self.squares_true + self.squares_predicted - 2.0 * self.products;
        (self.n > 0).then(|| (deviations / n).max(0.0) + apart * apart)
    }

    /// Root of the mean squared error; `None` without pairs.
    pub fn rmse(&self) -> Option<f64> {
        self.mse().map(f64::sqrt)
    }

    /// By how much predicted numbers are above the true ones in the mean; `None` without pairs.
    pub fn bias(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean_predicted - self.mean_true)
    }
}

/// Mean absolute error; `None` without items.
///
/// # Source
/// Equal to scikit-learn's `mean_absolute_error`.
pub(crate) fn mean_absolute_error(number: Number<'_>) -> Option<f64> {
    mean(number.pairs().map(|(truth, predicted)| (predicted - truth).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True and predicted numbers.
    const PAIRS: [(f64, f64); 6] = [(1.0, 1.5), (2.5, 2.0), (3.0, 3.5), (4.5, 4.0), (2.0, 2.75), (5.0, 3.25)];

    fn of(pairs: &[(f64, f64)]) -> Agreement {
        let mut agreement = Agreement::default();
        for &(truth, predicted) in pairs {
            agreement.add(truth, predicted);
        }
        agreement
    }

    #[test]
    fn agreement_is_that_of_its_definition() {
        let n = PAIRS.len() as f64;
        let mean = |side: fn(&(f64, f64)) -> f64| PAIRS.iter().map(side).sum::<f64>() / n;
        let (mt, mp) = (mean(|p| p.0), mean(|p| p.1));
        let sum = |f: &dyn Fn(&(f64, f64)) -> f64| PAIRS.iter().map(f).sum::<f64>() / n;
        let (vt, vp) = (sum(&|p| (p.0 - mt).powi(2)), sum(&|p| (p.1 - mp).powi(2)));
        let cov = sum(&|p| (p.0 - mt) * (p.1 - mp));
        let found = of(&PAIRS);
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12);
        near(found.ccc(), 2.0 * cov / (vt + vp + (mt - mp).powi(2)));
        near(found.pearson(), cov / (vt * vp).sqrt());
        near(found.mse(), sum(&|p| (p.0 - p.1).powi(2)));
    }

    #[test]
    fn parts_merge_to_the_whole_and_far_numbers_lose_no_digits() {
        let far: Vec<(f64, f64)> = PAIRS.iter().map(|(t, p)| (t + 1e8, p + 1e8)).collect();
        for pairs in [&PAIRS[..], &far] {
            let mut merged = of(&pairs[..2]);
            merged.merge(&Agreement::default());
            merged.merge(&of(&pairs[2..]));
            assert!((merged.ccc().unwrap() - of(&PAIRS).ccc().unwrap()).abs() < 1e-7);
        }
    }

    #[test]
    fn what_is_not_defined_is_none() {
        assert_eq!((of(&[]).ccc(), of(&[]).mse()), (None, None));
        assert_eq!(of(&[(1.0, 2.0)]).ccc(), None);
        let constant = of(&[(1.0, 2.0), (1.0, 2.0)]);
        assert_eq!(
            (constant.ccc(), constant.pearson(), constant.mse()),
            (Some(0.0), None, Some(1.0))
        );
        assert_eq!(of(&[(1.0, 1.0), (1.0, 1.0)]).ccc(), None);
        assert_eq!(of(&[(1.0, 1.0), (2.0, 2.0)]).ccc(), Some(1.0));
    }
}
