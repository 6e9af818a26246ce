//! What a policy minimises.

use burn::tensor::Tensor;

use super::layer::Judged;

/// Weights of the parts of a policy's loss.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Of the entropy, which is taken away.
    pub entropy: f64,
    /// Of the value network's squared error.
    pub value: f64,
}

/// Steps as a policy's loss needs them.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Log-probability of what was drawn when it was drawn, `[steps]`.
    pub log_probability: Tensor<1>,
    /// How much better than expected it went, `[steps]`.
    pub advantage: Tensor<1>,
    /// What the value network should have expected, `[steps]`.
    pub target: Tensor<1>,
}

/// A policy's loss and its parts, `[1]` each.
#[derive(Clone, Debug)]
pub struct Objective {
    /// What is minimised.
    pub loss: Tensor<1>,
    /// The part of the actor.
    pub policy: Tensor<1>,
    /// The value network's mean squared error.
    pub value: Option<Tensor<1>>,
    /// Mean entropy.
    pub entropy: Tensor<1>,
    /// How far the policy is from the one that drew, `mean(ratio − 1 − log ratio)`.
    pub kl: Tensor<1>,
    /// Share of steps whose ratio is clipped.
    pub clip_fraction: Tensor<1>,
}

/// The loss of steps under a policy: with `clip` that of PPO, without that of REINFORCE.
///
/// # Source
/// Schulman et al. 2017, equations 7 and 9; Williams 1992, equation 11. The divergence as Schulman's
/// note of 2020, "Approximating KL divergence", k3.
pub fn objective(judged: Judged, taken: Taken, clip: Option<f64>, weights: Weights) -> Objective {
    let Judged {
        log_probability,
        entropy,
        value,
    } = judged;
    let log_ratio = log_probability.clone() - taken.log_probability;
    let ratio = log_ratio.clone().exp();
    let kl = (ratio.clone() - log_ratio).add_scalar(-1.0).mean();
    let (policy, clip_fraction) = match clip {
        Some(clip) => {
            let clipped = ratio.clone().clamp(1.0 - clip, 1.0 + clip);
            let outside = ratio.clone().add_scalar(-1.0).abs().greater_elem(clip).float().mean();
            let least = (ratio * taken.advantage.clone()).min_pair(clipped * taken.advantage);
            (least.mean().neg(), outside)
        }
        None => {
            let none = kl.clone().mul_scalar(0.0);
            ((log_probability * taken.advantage).mean().neg(), none)
        }
    };
    let entropy = entropy.mean();
    let value = value.map(|value| {
        let error = value - taken.target;
        (error.clone() * error).mean()
    });
    let mut loss = policy.clone() - entropy.clone().mul_scalar(weights.entropy);
    if let Some(value) = &value {
        loss = loss + value.clone().mul_scalar(weights.value);
    }
    Objective {
        loss,
        policy,
        value,
        entropy,
        kl,
        clip_fraction,
    }
}
