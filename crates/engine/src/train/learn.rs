//! A policy's learning from what it met.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::Abort;
use super::optimizer::{Gradients, Optimizer};
use super::policy::PolicyState;
use crate::settings::{AdamSettings, DecayOn, OptimizerConfig, Training};
use emorun_nn::draw::{DrawKey, permutation};
use emorun_nodes::network::Network;
use emorun_nodes::policies::advantage::{generalised, normalise, returns};
use emorun_nodes::policies::layer::PolicyLayer;
use emorun_nodes::policies::objective::{Taken, Weights, objective};
use emorun_nodes::policies::{Baseline, Episode, Learner, Rule, Step};

/// Adam's ε, as in the first implementation of PPO.
const EPSILON: f32 = 1e-5;
/// Share of a new return in the moving mean.
const NEW_RETURN: f64 = 0.1;

/// The optimizer of a policy: Adam with the learning rate of its own.
pub fn optimizer_of(training: &Training, learner: &Learner, network: &Network) -> Optimizer {
    let adam = AdamSettings {
        lr: learner.lr,
        betas: [0.9, 0.999],
        eps: EPSILON,
        weight_decay: 0.0,
    };
    let training = Training {
        optimizer: OptimizerConfig::Adam(adam),
        groups: Vec::new(),
        weight_decay_on: DecayOn::All,
        ..training.clone()
    };
    Optimizer::new(&training, network)
}

/// The steps of some episodes, one after the other.
struct Batch {
    /// `[steps, state]`
    states: Vec<f32>,
    /// `[steps, actions]`
    drawn: Vec<f32>,
    steps: usize,
}

impl Batch {
    fn of(episodes: &[Episode]) -> Self {
        let steps: Vec<&Step> = episodes.iter().flat_map(|episode| &episode.steps).collect();
        let joined = |of: fn(&Step) -> &[f64]| {
            let numbers = steps.iter().flat_map(|step| of(step));
            numbers.map(|&number| number as f32).collect()
        };
        Self {
            states: joined(|step| &step.state),
            drawn: joined(|step| &step.drawn),
            steps: steps.len(),
        }
    }

    /// States and what was drawn in them, of some of the steps.
    fn rows(&self, rows: &[usize], device: &Device) -> (Tensor<2>, Tensor<2>) {
        let of = |numbers: &[f32]| {
            let width = numbers.len() / self.steps.max(1);
            let picked: Vec<f32> = rows
                .iter()
                .flat_map(|&row| numbers[row * width..(row + 1) * width].iter().copied())
                .collect();
            Tensor::from_data(TensorData::new(picked, [rows.len(), width]), device)
        };
        (of(&self.states), of(&self.drawn))
    }
}

/// How much better than expected each step went, and what the value network should have expected.
///
/// # Source
/// Advantages are clipped as system 4 does (±5), behind their normalisation.
fn advantages(
    policy: &PolicyLayer,
    episodes: &[Episode],
    values: &[f64],
    learner: &Learner,
    mean_return: &mut Option<f64>,
    device: &Device,
) -> (Vec<f64>, Vec<f64>) {
    let (mut advantages, mut targets) = (Vec::new(), Vec::new());
    let mut values = values.iter().copied();
    for episode in episodes {
        let rewards: Vec<f64> = episode.steps.iter().map(|step| step.reward).collect();
        let next = episode.next.as_ref().and_then(|next| {
            let numbers: Vec<f32> = next.iter().map(|&number| number as f32).collect();
            let state = TensorData::new(numbers, [1, next.len()]);
            policy.expected(Tensor::from_data(state, device)).map(numbers_of)
        });
        let next = next.and_then(|next| next.first().copied()).unwrap_or(0.0);
        let own: Vec<f64> = values.by_ref().take(rewards.len()).collect();
        match learner.rule {
            Rule::Ppo { lambda, .. } => {
                let better = generalised(&rewards, &own, next, learner.gamma, lambda);
                targets.extend(better.iter().zip(&own).map(|(better, value)| better + value));
                advantages.extend(better);
            }
            Rule::Reinforce(_) => {
                let followed = returns(&rewards, next, learner.gamma);
                advantages.extend(
                    followed
                        .iter()
                        .zip(own.iter().chain(std::iter::repeat(&0.0)))
                        .map(|(g, v)| g - v),
                );
                targets.extend(followed);
            }
        }
    }
    if learner.rule == Rule::Reinforce(Baseline::MovingMean) {
        let first = targets.iter().sum::<f64>() / targets.len().max(1) as f64;
        let baseline = mean_return.unwrap_or(first);
        *mean_return = Some(
            targets
                .iter()
                .fold(baseline, |mean, target| mean + NEW_RETURN * (target - mean)),
        );
        advantages.iter_mut().for_each(|advantage| *advantage -= baseline);
    }
    if learner.normalise {
        normalise(&mut advantages);
    }
    if let Some(most) = learner.clip_advantage {
        advantages
            .iter_mut()
            .for_each(|advantage| *advantage = advantage.clamp(-most, most));
    }
    (advantages, targets)
}

/// Learns from all that a policy has met since it last did, and forgets it.
///
/// # Errors
/// A gradient is not finite.
pub fn learn(
    network: &mut Network,
    name: &str,
    own: &mut PolicyState,
    learner: &Learner,
    optimizer: &mut Optimizer,
    key: DrawKey,
    device: &Device,
) -> Result<(), Abort> {
    let episodes = std::mem::take(&mut own.episodes);
    let batch = Batch::of(&episodes);
    let inner = device.clone().inner();
    let everything: Vec<usize> = (0..batch.steps).collect();
    let (states, drawn) = batch.rows(&everything, &inner);
    let Some(before) = network.policy(name).map(Module::valid) else {
        return Ok(());
    };
    let Some(judged) = before.judge(states, drawn) else {
        return Ok(());
    };
    let old = numbers_of(judged.log_probability);
    let values = judged.value.map(numbers_of).unwrap_or_default();
    let (advantages, targets) = advantages(&before, &episodes, &values, learner, &mut own.mean_return, &inner);
    let (passes, minibatch, clip) = match learner.rule {
        Rule::Reinforce(_) => (1, batch.steps, None),
        Rule::Ppo {
            epochs,
            minibatch,
            clip,
            ..
        } => (epochs, minibatch.min(batch.steps), Some(clip)),
    };
    let weights = Weights {
        entropy: learner.entropy_weight,
        value: learner.value_weight,
    };
    for pass in 0..passes {
        for rows in permutation(&key.at(pass), batch.steps).chunks(minibatch.max(1)) {
            let picked = |numbers: &[f64]| {
                let picked: Vec<f32> = rows.iter().map(|&row| numbers[row] as f32).collect();
                Tensor::<1>::from_data(TensorData::new(picked, [rows.len()]), device)
            };
            let (states, drawn) = batch.rows(rows, device);
            let Some(judged) = network.policy(name).and_then(|policy| policy.judge(states, drawn)) else {
                continue;
            };
            let taken = Taken {
                log_probability: picked(&old),
                advantage: picked(&advantages),
                target: picked(&targets),
            };
            let parts = objective(judged, taken, clip, weights);
            own.see("policy_loss", number_of(parts.policy));
            own.see("entropy", number_of(parts.entropy));
            if let Some(value) = parts.value {
                own.see("value_loss", number_of(value));
            }
            if clip.is_some() {
                own.see("kl", number_of(parts.kl));
                own.see("clip_fraction", number_of(parts.clip_fraction));
            }
            let gradients = Gradients::of(network, parts.loss.backward());
            let norm = gradients.norm(network);
            if !norm.is_finite() {
                return Err(Abort::Diverged(format!(
                    "the norm of the gradient of the policy `{name}` is {norm}; lower its learning rate `lr`"
                )));
            }
            let scale = if norm > learner.clip_norm {
                learner.clip_norm / norm
            } else {
                1.0
            };
            optimizer.step(network, gradients, learner.lr, scale);
        }
    }
    own.updates += 1;
    Ok(())
}

fn numbers_of(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f32>().map(f64::from).collect()
}

fn number_of(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}
