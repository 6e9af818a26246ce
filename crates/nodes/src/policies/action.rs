//! What one action of a policy is chosen from.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The numbers that an action of a policy can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionSpace {
    /// Any number between these two: a Gaussian draw, squashed to the interval by tanh.
    Between([f64; 2]),
    /// One of these numbers.
    Choices(#[schemars(length(min = 2, max = 1000))] Vec<f64>),
}

/// Several actions of a step by their names, each from a space of its own.
pub type NamedActions = BTreeMap<String, ActionSpace>;

impl ActionSpace {
    /// Why nothing can be chosen from it; `None` if something can.
    pub fn mistake(&self) -> Option<String> {
        match self {
            Self::Between([low, high]) if !(low < high && low.is_finite() && high.is_finite()) => {
                Some(format!("is between {low} and {high}; give the smaller number first"))
            }
            Self::Choices(choices) if choices.is_empty() => Some("has no choices; give two or more".into()),
            Self::Choices(choices) if choices.iter().any(|choice| !choice.is_finite()) => {
                Some("holds what is no finite number".into())
            }
            _ => None,
        }
    }

    /// Least and greatest action.
    pub fn bounds(&self) -> [f64; 2] {
        match self {
            Self::Between(bounds) => *bounds,
            Self::Choices(choices) => choices
                .iter()
                .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &choice| {
                    [low.min(choice), high.max(choice)]
                }),
        }
    }

    /// Numbers that a network gives for each action.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Between(_) => 1,
            Self::Choices(choices) => choices.len(),
        }
    }

    /// What chance brings to a draw: a standard Gaussian number for one between bounds, one of `[0, 1)` for choices.
    pub fn noise(&self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Between(_) => gaussian(rng),
            Self::Choices(_) => rng.random::<f64>(),
        }
    }

    /// Draws one action, each as likely as any other: the number before tanh, or a choice's place.
    pub fn draw_uniform(&self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            // Away from the ends, which tanh never reaches.
            Self::Between(_) => (2.0 * rng.random::<f64>() - 1.0).clamp(-0.999_999, 0.999_999).atanh(),
            Self::Choices(choices) => rng.random_range(0..choices.len()) as f64,
        }
    }
}

/// A standard Gaussian number.
///
/// # Source
/// Box & Muller, Annals of Mathematical Statistics 29, 1958.
fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    // From (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (2.0 * PI * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use emorun_nn::draw::DrawKey;

    #[test]
    fn noise_has_the_mean_and_deviation_of_a_standard_gaussian() {
        let mut rng = DrawKey::root(3).rng();
        let drawn: Vec<f64> = (0..20_000).map(|_| gaussian(&mut rng)).collect();
        let n = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / n;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn a_space_of_nothing_says_why() {
        for (space, mistake) in [
            (ActionSpace::Between([1.0, 1.0]), "smaller number first"),
            (ActionSpace::Between([0.0, f64::INFINITY]), "smaller number first"),
            (ActionSpace::Choices(vec![]), "no choices"),
            (ActionSpace::Choices(vec![0.0, f64::NAN]), "no finite number"),
        ] {
            assert!(space.mistake().unwrap().contains(mistake), "{space:?}");
        }
        assert_eq!(ActionSpace::Choices(vec![0.5, 0.0]).bounds(), [0.0, 0.5]);
        assert_eq!(ActionSpace::Between([-1.0, 3.0]).mistake(), None);
    }
}
