//! Statistics over a few runs: folds, seeds, pairs of models.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Mean and spread of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanSd {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Sample standard deviation (denominator n − 1); none for a single value.
    pub sd: Option<f64>,
}

/// Mean and sample standard deviation; none without values.
///
/// A value that is not finite makes the mean so, too.
pub fn mean_sd(values: &[f64]) -> Option<MeanSd> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
    Some(MeanSd { n, mean, sd })
}

/// How much one list of results exceeds another, pair by pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Of the differences first − second.
    pub difference: MeanSd,
    /// 95 % confidence interval of the mean difference; none for a single pair.
    pub interval: Option<Interval>,
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Mean of `first − second` over pairs whose differences are independent of each other, such as of seeds,
/// with a 95 % t-interval.
///
/// `mean ± t(0.975, n − 1) · sd / √n`; none without pairs.
///
/// # Errors
/// The lists differ in length.
pub fn paired_difference(first: &[f64], second: &[f64]) -> Result<Option<PairedDifference>, MetricsError> {
    resampled_difference(first, second, 0.0)
}

/// Mean of `first − second` over the folds of a cross-validation, with a 95 % interval of the corrected
/// resampled t-test. Folds share most of their training items, so that their differences are not
/// independent and a plain t-interval is far too narrow.
///
/// `mean ± t(0.975, n − 1) · sd · √(1 / n + test_to_train)`, where `test_to_train` is the number of a fold's
/// test items divided by that of its training items; none without pairs.
///
/// # Errors
/// The lists differ in length.
///
/// # Source
/// Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003: the corrected resampled t-test.
pub fn resampled_difference(
    first: &[f64],
    second: &[f64],
    test_to_train: f64,
) -> Result<Option<PairedDifference>, MetricsError> {
    if first.len() != second.len() {
        return Err(MetricsError::Lengths {
            left: first.len(),
            right: second.len(),
        });
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    Ok(mean_sd(&differences).map(|difference| {
        let interval = difference.sd.map(|sd| {
            let n = difference.n as f64;
            let half = t_quantile_975(difference.n - 1) * sd * (1.0 / n + test_to_train).sqrt();
            Interval {
                low: difference.mean - half,
                high: difference.mean + half,
            }
        });
        PairedDifference { difference, interval }
    }))
}

/// The 97.5 % quantile of Student's t with `freedom` ≥ 1 degrees of freedom.
///
/// # Source
/// Abramowitz & Stegun 26.7.3–4 (the distribution in closed form), 26.7.5 (large `freedom`).
fn t_quantile_975(freedom: usize) -> f64 {
    let v = freedom as f64;
    if freedom > 200 {
        let z = 1.959_963_984_540_054_f64;
        return z
            + (z.powi(3) + z) / (4.0 * v)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v)
            + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * v.powi(3));
    }
    // Bisection over the angle θ = atan(t / √v), in which the probability is a finite sum.
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if t_within(middle, freedom) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (0.5 * (low + high)).tan() * v.sqrt()
}

/// Probability that |t| ≤ √freedom · tan θ.
fn t_within(theta: f64, freedom: usize) -> f64 {
    let (sin, cos) = theta.sin_cos();
    let odd = freedom % 2;
    // Odd: cos θ (1 + 2/3 cos² θ + …); even: 1 + 1/2 cos² θ + ….
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    for k in (2 + odd..freedom).step_by(2) {
        term *= cos * cos * (k - 1) as f64 / k as f64;
        sum += term;
    }
    if odd == 1 {
        FRAC_2_PI * (theta + sin * sum)
    } else {
        sin * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let stats = mean_sd(&[0.5, 0.7, 0.9]).unwrap();
        assert!((stats.mean - 0.7).abs() < 1e-15);
        assert!((stats.sd.unwrap() - 0.2).abs() < 1e-15);
        assert_eq!(mean_sd(&[0.5]).unwrap().sd, None);
        assert_eq!(mean_sd(&[]), None);
        assert!(mean_sd(&[f64::NAN, 1.0]).unwrap().mean.is_nan());
    }

    #[test]
    fn t_quantiles_equal_those_of_scipy() {
        let golden = include_str!("../tests/golden/statistics.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let pairs = golden["t_975"].as_array().unwrap();
        assert!(pairs.len() > 10);
        for pair in pairs {
            let freedom = pair[0].as_u64().unwrap() as usize;
            let (ours, theirs) = (t_quantile_975(freedom), pair[1].as_f64().unwrap());
            let error = (ours / theirs - 1.0).abs();
            assert!(error < 1e-9, "{freedom}: {ours} ≠ {theirs}");
        }
    }

    #[test]
    fn the_interval_equals_that_of_scipys_paired_test() {
        let golden = include_str!("../tests/golden/statistics.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        for case in golden["paired"].as_array().unwrap() {
            let list = |key: &str| serde_json::from_value::<Vec<f64>>(case[key].clone());
            let paired = paired_difference(&list("first").unwrap(), &list("second").unwrap())
                .unwrap()
                .unwrap();
            let interval = paired.interval.unwrap();
            assert!((interval.low - case["low"].as_f64().unwrap()).abs() < 1e-9);
            assert!((interval.high - case["high"].as_f64().unwrap()).abs() < 1e-9);
        }
    }

    #[test]
    fn the_interval_over_folds_is_that_of_nadeau_and_bengio() {
        let golden = include_str!("../tests/golden/statistics.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let cases = golden["resampled"].as_array().unwrap();
        assert!(cases.len() > 2);
        for case in cases {
            let list = |key: &str| serde_json::from_value::<Vec<f64>>(case[key].clone()).unwrap();
            let number = |key: &str| case[key].as_f64().unwrap();
            let (first, second) = (list("first"), list("second"));
            let ratio = number("test_to_train");
            let found = resampled_difference(&first, &second, ratio).unwrap().unwrap();
            let interval = found.interval.unwrap();
            assert!((interval.low - number("low")).abs() < 1e-9, "{interval:?}");
            assert!((interval.high - number("high")).abs() < 1e-9, "{interval:?}");
            // It is wider than that of the plain test, which takes folds for independent.
            let plain = paired_difference(&first, &second).unwrap().unwrap().interval.unwrap();
            assert!(interval.low < plain.low && interval.high > plain.high);
        }
    }

    #[test]
    fn a_single_pair_has_no_interval_and_lists_must_match() {
        let paired = paired_difference(&[0.5], &[0.25]).unwrap().unwrap();
        assert_eq!(paired.difference.mean, 0.25);
        assert_eq!(paired.interval, None);
        assert_eq!(paired_difference(&[], &[]), Ok(None));
        let error = paired_difference(&[0.5], &[]).unwrap_err();
        assert_eq!(error, MetricsError::Lengths { left: 1, right: 0 });
    }
}
