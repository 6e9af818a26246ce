//! A policy's learning from what it met.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Abort;
use super::optimizer::{Gradients, Optimizer};
use super::policy::PolicyState;
use crate::settings::{AdamSettings, DecayOn, OptimizerConfig, Training};
use emorun_nn::draw::{DrawKey, permutation};
use emorun_nn::waits;
use emorun_nodes::network::Network;
use emorun_nodes::policies::advantage::{generalised, normalise, returns};
use emorun_nodes::policies::episodes::{Episodes, Steps};
use emorun_nodes::policies::layer::PolicyLayer;
use emorun_nodes::policies::objective::{Taken, Weights, objective};
use emorun_nodes::policies::{Baseline, Learner, Rule};

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

/// How much better than expected each step went, what the value network should have expected, `[steps]` each, and the
/// moving mean of the returns behind them, `[1]`, where there is one.
struct Assessed {
    advantages: Tensor<1>,
    targets: Tensor<1>,
    mean_return: Option<Tensor<1>>,
}

/// Assesses steps by what followed; `values` is what the value network expects in them.
///
/// # Source
/// Advantages are clipped as system 4 does (±5), behind their normalisation.
fn assess(
    policy: &PolicyLayer,
    (episodes, steps): (&Episodes, &Steps),
    values: Option<Tensor<1>>,
    learner: &Learner,
    mean_return: Option<f64>,
) -> Assessed {
    let rewards = steps.to_episodes(steps.rewards.clone());
    let none = || Tensor::zeros([episodes.count()], &rewards.device());
    let next = episodes.next();
    let next = next.and_then(|(states, goes_on)| Some(policy.expected(states)? * goes_on));
    let next = next.unwrap_or_else(none);
    let (mut advantages, targets) = match (learner.rule, values) {
        (Rule::Ppo { lambda, .. }, Some(values)) => {
            let expected = steps.to_episodes(values.clone());
            let better = generalised(rewards, expected, next, learner.gamma, lambda);
            let better = steps.of_episodes(better);
            (better.clone(), better + values)
        }
        (_, values) => {
            let followed = steps.of_episodes(returns(rewards, next, learner.gamma));
            let better = match values {
                Some(values) => followed.clone() - values,
                None => followed.clone(),
            };
            (better, followed)
        }
    };
    let mut new_mean = None;
    if learner.rule == Rule::Reinforce(Baseline::MovingMean) {
        let baseline = match mean_return {
            Some(mean) => Tensor::full([1], mean, &targets.device()),
            None => targets.clone().mean(),
        };
        new_mean = Some(moved(baseline.clone(), &targets));
        advantages = advantages - baseline;
    }
    if learner.normalise {
        advantages = normalise(advantages);
    }
    if let Some(most) = learner.clip_advantage {
        advantages = advantages.clamp(-most, most);
    }
    Assessed {
        advantages,
        targets,
        mean_return: new_mean,
    }
}

/// A moving mean behind numbers that it follows one after the other.
fn moved(mean: Tensor<1>, numbers: &Tensor<1>) -> Tensor<1> {
    let [count] = numbers.dims();
    let kept = 1.0 - NEW_RETURN;
    let weights: Vec<f32> = (0..count)
        .map(|at| (NEW_RETURN * kept.powf((count - 1 - at) as f64)) as f32)
        .collect();
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), &numbers.device());
    mean.mul_scalar(kept.powf(count as f64)) + (weights * numbers.clone()).sum()
}

/// Numbers that are gathered on the device and read at once.
#[derive(Default)]
struct Told {
    names: Vec<&'static str>,
    numbers: Vec<Tensor<1>>,
}

impl Told {
    fn add(&mut self, name: &'static str, number: Tensor<1>) {
        self.names.push(name);
        self.numbers.push(number.inner());
    }

    fn read(self) -> Vec<(&'static str, f64)> {
        if self.numbers.is_empty() {
            return Vec::new();
        }
        let numbers = waits::numbers(Tensor::cat(self.numbers, 0));
        self.names.into_iter().zip(numbers.into_iter().map(f64::from)).collect()
    }
}

/// Names of what [`learn`] reads and does not tell.
const NORM: &str = "norm";
const MEAN_RETURN: &str = "mean_return";

/// Learns from episodes: advantages, minibatches and losses stay on the device, which is read once, at the end.
///
/// # Errors
/// A gradient was not finite.
pub fn learn(
    network: &mut Network,
    name: &str,
    (own, episodes): (&mut PolicyState, &Episodes),
    learner: &Learner,
    optimizer: &mut Optimizer,
    key: DrawKey,
    device: &Device,
) -> Result<(), Abort> {
    let Some(before) = network.policy(name).map(Module::valid) else {
        return Ok(());
    };
    let steps = episodes.to_steps();
    let Some(judged) = before.judge(steps.states.clone(), steps.drawn.clone()) else {
        return Ok(());
    };
    let old = judged.log_probability;
    let assessed = assess(&before, (episodes, &steps), judged.value, learner, own.mean_return);
    let (passes, minibatch, clip) = match learner.rule {
        Rule::Reinforce(_) => (1, steps.count, None),
        Rule::Ppo {
            epochs,
            minibatch,
            clip,
            ..
        } => (epochs, minibatch.min(steps.count), Some(clip)),
    };
    let weights = Weights {
        entropy: learner.entropy_weight,
        value: learner.value_weight,
    };
    let mut told = Told::default();
    for pass in 0..passes {
        let order: Vec<i64> = permutation(&key.at(pass), steps.count)
            .into_iter()
            .map(|step| step as i64)
            .collect();
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [steps.count]), &device.clone().inner());
        for first in (0..steps.count).step_by(minibatch.max(1)) {
            let rows = order.clone().narrow(0, first, minibatch.min(steps.count - first));
            let row = |numbers: &Tensor<1>| numbers.clone().select(0, rows.clone()).autodiff();
            let of_steps = |numbers: &Tensor<2>| numbers.clone().select(0, rows.clone()).autodiff();
            let (states, drawn) = (of_steps(&steps.states), of_steps(&steps.drawn));
            let Some(judged) = network.policy(name).and_then(|policy| policy.judge(states, drawn)) else {
                continue;
            };
            let taken = Taken {
                log_probability: row(&old),
                advantage: row(&assessed.advantages),
                target: row(&assessed.targets),
            };
            let parts = objective(judged, taken, clip, weights);
            told.add("policy_loss", parts.policy);
            told.add("entropy", parts.entropy);
            if let Some(value) = parts.value {
                told.add("value_loss", value);
            }
            if clip.is_some() {
                told.add("kl", parts.kl);
                told.add("clip_fraction", parts.clip_fraction);
            }
            let mut gradients = Gradients::of(network, parts.loss.backward());
            if let Some(norm) = gradients.clip(network, learner.clip_norm) {
                told.add(NORM, norm);
            }
            optimizer.step(network, gradients, learner.lr, 1.0);
        }
    }
    if let Some(mean) = assessed.mean_return {
        told.add(MEAN_RETURN, mean);
    }
    for (what, number) in told.read() {
        match what {
            NORM if number.is_finite() => {}
            NORM => {
                return Err(Abort::Diverged(format!(
                    "the norm of the gradient of the policy `{name}` is {number}; lower its learning rate `lr`"
                )));
            }
            MEAN_RETURN => own.mean_return = Some(number),
            what => own.see(what, number),
        }
    }
    own.updates += 1;
    Ok(())
}
