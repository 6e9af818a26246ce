//! What a policy chooses from, and how.

use std::f64::consts::PI;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The numbers that each action of a policy can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionSpace {
    /// Any number between these two: a Gaussian draw, squashed to the interval by tanh.
    Between([f64; 2]),
    /// One of these numbers.
    Choices(#[schemars(length(min = 2, max = 1000))] Vec<f64>),
}

/// `ln(2π)`
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// A squashed Gaussian and not a Beta distribution, which is bounded by itself but needs the
/// logarithm of the gamma function, with its gradient, which Burn does not have. What is stored is the
/// number before tanh: the density's change of variables is the same under the old and the new
/// policy, and so falls out of every ratio and gradient.
impl ActionSpace {
    /// Why nothing can be chosen from it; `None` if something can.
    pub fn mistake(&self) -> Option<String> {
        match self {
            Self::Between([low, high]) if !(low < high && low.is_finite() && high.is_finite()) => {
                Some(format!("is between {low} and {high}; give the smaller number first"))
            }
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

    /// The action that a drawn number stands for.
    pub fn value(&self, drawn: f64) -> f64 {
        match self {
            Self::Between([low, high]) => low + (high - low) * 0.5 * (1.0 + drawn.tanh()),
            Self::Choices(choices) => choices.get(drawn as usize).copied().unwrap_or(f64::NAN),
        }
    }

    /// Draws one action from what a network gave for it; without a generator, the likeliest.
    pub fn draw(&self, outputs: &[f32], log_std: f64, rng: Option<&mut ChaCha8Rng>) -> f64 {
        match (self, rng) {
            (Self::Between(_), Some(rng)) => f64::from(outputs[0]) + log_std.exp() * gaussian(rng),
            (Self::Between(_), None) => f64::from(outputs[0]),
            (Self::Choices(_), rng) => {
                let most = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let Some(rng) = rng else {
                    return outputs.iter().position(|&output| output == most).unwrap_or(0) as f64;
                };
                let weights: Vec<f64> = outputs.iter().map(|&x| f64::from(x - most).exp()).collect();
                let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
                let past = weights.iter().position(|weight| {
                    left -= weight;
                    left < 0.0
                });
                past.unwrap_or(weights.len() - 1) as f64
            }
        }
    }

    /// Draws one action, each as likely as any other.
    pub fn draw_uniform(&self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            // Away from the ends, which tanh never reaches.
            Self::Between(_) => (2.0 * rng.random::<f64>() - 1.0).clamp(-0.999_999, 0.999_999).atanh(),
            Self::Choices(choices) => rng.random_range(0..choices.len()) as f64,
        }
    }

    /// Log-probability and entropy of the distribution, summed over a step's actions.
    ///
    /// Of a squashed action, those of the number before tanh.
    ///
    /// # Shapes
    /// - `outputs`: `[steps, actions · outputs]`, as the network gives them
    /// - `log_std`: `[actions]`, of numbers between bounds
    /// - `drawn`: `[steps, actions]`
    /// - output: `[steps]` each
    pub fn log_probability(
        &self,
        outputs: Tensor<2>,
        log_std: Option<Tensor<1>>,
        drawn: Tensor<2>,
    ) -> (Tensor<1>, Tensor<1>) {
        let [steps, actions] = drawn.dims();
        match (self, log_std) {
            (Self::Between(_), Some(log_std)) => {
                let log_std = log_std.reshape([1, actions]);
                let entropy = log_std.clone().add_scalar(0.5 * (1.0 + LN_TAU)).sum().expand([steps]);
                let distance = (drawn - outputs) / log_std.clone().exp();
                let log_density = (distance.clone() * distance).mul_scalar(-0.5) - log_std;
                let log_density = log_density.add_scalar(-0.5 * LN_TAU).sum_dim(1).reshape([steps]);
                (log_density, entropy)
            }
            _ => {
                let log_p = log_softmax(outputs.reshape([steps, actions, self.outputs()]), 2);
                let entropy = (log_p.clone().exp() * log_p.clone()).sum_dim(2).sum_dim(1).neg();
                let chosen: Tensor<3, Int> = drawn.int().reshape([steps, actions, 1]);
                let log_p = log_p.gather(2, chosen).sum_dim(1);
                (log_p.reshape([steps]), entropy.reshape([steps]))
            }
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
    fn draws_have_the_mean_and_deviation_that_they_are_asked_for() {
        let mut rng = DrawKey::root(3).rng();
        let drawn: Vec<f64> = (0..20_000).map(|_| gaussian(&mut rng)).collect();
        let n = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / n;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let space = ActionSpace::Choices(vec![1.0, 2.0, 3.0]);
        let logits = [0.0f32, 2f32.ln(), 0.0];
        let mut counts = [0usize; 3];
        for _ in 0..20_000 {
            counts[space.draw(&logits, 0.0, Some(&mut rng)) as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.25, 0.5, 0.25]) {
            assert!((count as f64 / 20_000.0 - share).abs() < 0.02, "{counts:?}");
        }
        assert_eq!(space.draw(&logits, 0.0, None), 1.0);
    }

    #[test]
    fn actions_stay_within_their_bounds() {
        let space = ActionSpace::Between([-1.0, 3.0]);
        for (drawn, action) in [(0.0, 1.0), (1e9, 3.0), (-1e9, -1.0), (0.5f64.atanh(), 2.0)] {
            assert!((space.value(drawn) - action).abs() < 1e-12);
        }
        let mut rng = DrawKey::root(1).rng();
        let actions: Vec<f64> = (0..1000).map(|_| space.value(space.draw_uniform(&mut rng))).collect();
        assert!(actions.iter().all(|action| (-1.0..=3.0).contains(action)));
        assert!(
            (actions.iter().sum::<f64>() / 1000.0 - 1.0).abs() < 0.1,
            "as likely everywhere"
        );
        assert!(ActionSpace::Between([1.0, 1.0]).mistake().is_some());
        assert_eq!(ActionSpace::Choices(vec![0.5, 0.0]).bounds(), [0.0, 0.5]);
    }
}
