//! Policies while a network trains: when they choose, what they are told, how they learn.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::learn::{learn, optimizer_of};
use super::optimizer::Optimizer;
use super::result::SplitResult;
use super::state::LoopState;
use super::waiting::Waiting;
use super::{Abort, StepNames};
use crate::feed::augment::Strengths;
use crate::settings::{Training, direction_of};
use emorun_nn::value::{PortId, Value, Values};
use emorun_nn::waits;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::NamedTensors;
use emorun_nodes::policies::PolicySpec;
use emorun_nodes::policies::episodes::{Episode, Episodes, Step};

/// Start of the ports of `run` that are measured on the validation split.
const VALIDATION: &str = "validation.";

/// Where a policy stands, as far as it must survive a kill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyState {
    /// What it has chosen between epochs and what is still in force.
    current: Option<Current>,
    /// What it is to learn from that it met between epochs.
    episodes: Vec<Episode>,
    /// How often it has chosen between epochs.
    choices: u64,
    /// How often it has learned.
    pub(super) updates: u64,
    /// Moving mean of the returns.
    pub(super) mean_return: Option<f64>,
    /// Sums and counts of what the epoch's line tells.
    seen: BTreeMap<String, (f64, u64)>,
}

/// A choice in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    /// Epochs done when it was made.
    since: u64,
    /// What the policy saw.
    state: Vec<f64>,
    /// What it drew.
    drawn: Vec<f64>,
    /// What that means, one for each augmentation.
    actions: Vec<f64>,
    /// The number that the reward is a change of, as it was.
    before: Option<f64>,
}

impl PolicyState {
    /// Adds a number to what the epoch's line tells.
    pub(super) fn see(&mut self, name: &str, value: f64) {
        self.see_all(name, value, 1);
    }

    /// Adds so many numbers, by their sum, to what the epoch's line tells.
    fn see_all(&mut self, name: &str, sum: f64, count: u64) {
        let (sums, counts) = self.seen.entry(name.to_owned()).or_default();
        *sums += sum;
        *counts += count;
    }

    /// Steps that it has not learned from yet.
    fn steps(&self) -> usize {
        self.episodes.iter().map(|episode| episode.steps.len()).sum()
    }
}

/// What policies see of training between epochs.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Share of the epochs that are done.
    pub progress: f64,
    /// Mean loss of the epoch before.
    pub train_loss: Option<f64>,
    /// Metrics of the validation split behind it.
    pub validation: Option<&'a SplitResult>,
}

impl Observation<'_> {
    /// Before the first epoch.
    const NOTHING: Self = Self {
        progress: 0.0,
        train_loss: None,
        validation: None,
    };

    /// The number at a port of `run`; `None` where there is none yet.
    fn number(&self, port: &str) -> Option<f64> {
        let number = match port.strip_prefix(VALIDATION) {
            Some(metric) => self.validation?.metric(metric),
            None if port == "progress" => Some(self.progress),
            None => self.train_loss,
        };
        number.filter(|number| number.is_finite())
    }
}

/// A policy of the network, and what moves its parameters.
#[derive(Debug)]
struct Managed {
    name: String,
    spec: PolicySpec,
    inputs: Vec<(String, PortId)>,
    optimizer: Option<Optimizer>,
    /// What it is to learn from that it met in rollouts.
    waiting: Waiting,
}

/// All policies of a network.
#[derive(Debug)]
pub struct Policies {
    all: Vec<Managed>,
    device: Device,
}

impl Policies {
    /// The policies of a network on a device with autodiff.
    pub fn new(training: &Training, network: &Network, device: &Device) -> Self {
        let nodes = network.wired().iter();
        let all = nodes.filter_map(|node| {
            let spec = node.config.as_policy()?.spec();
            let inputs = node.inputs.iter();
            Some(Managed {
                name: node.name.clone(),
                inputs: inputs.map(|(port, from, _)| (port.clone(), from.clone())).collect(),
                optimizer: spec.learner.map(|learner| optimizer_of(training, &learner, network)),
                waiting: Waiting::default(),
                spec,
            })
        });
        Self {
            all: all.collect(),
            device: device.clone(),
        }
    }

    /// Makes the first choices.
    ///
    /// # Errors
    /// A choice is not finite.
    pub fn begin(&self, network: &Network, state: &mut LoopState, names: &StepNames) -> Result<(), Abort> {
        for policy in self.all.iter().filter(|policy| !policy.spec.acts_on.is_empty()) {
            let own = state.policies.entry(policy.name.clone()).or_default();
            let before = vec![0.0; policy.spec.acts_on.len()];
            policy.choose(network, own, &before, 0, &Observation::NOTHING, names, &self.device)?;
        }
        Ok(())
    }

    /// What is in force in the coming epoch.
    pub fn strengths(&self, state: &LoopState) -> Strengths {
        let mut shares = Vec::new();
        for policy in &self.all {
            let current = state.policies.get(&policy.name).and_then(|own| own.current.as_ref());
            let actions = current.map_or(&[][..], |current| current.actions.as_slice());
            shares.extend(policy.spec.acts_on.iter().cloned().zip(actions.iter().copied()));
        }
        Strengths::new(shares)
    }

    /// Tells policies what an epoch has brought, lets those learn that have seen enough and choose that
    /// are to; gives the numbers of the epoch's line.
    ///
    /// # Errors
    /// A policy's gradient is not finite.
    pub fn after_epoch(
        &mut self,
        network: &mut Network,
        state: &mut LoopState,
        names: &StepNames,
        sight: &Observation<'_>,
    ) -> Result<Vec<(String, Option<f64>)>, Abort> {
        let mut line = Vec::new();
        for policy in &mut self.all {
            let own = state.policies.entry(policy.name.clone()).or_default();
            if let Some(current) = own.current.clone() {
                policy.told(network, own, &current, state.epoch, names, sight, &self.device)?;
            }
            policy.count_met(network, own)?;
            for (what, (sum, count)) in std::mem::take(&mut own.seen) {
                line.push((format!("{}/{what}", policy.name), Some(sum / count as f64)));
            }
        }
        Ok(line)
    }

    /// Takes what policies met in a rollout of this batch, without a read of the device.
    pub fn observe(network: &Network, values: &Values, rollouts: &mut Vec<(String, Episodes)>) {
        for node in network.wired() {
            let frames = |port: &str| {
                let (_, from, _) = node.inputs.iter().find(|(at, ..)| at == port)?;
                match values.get(from)? {
                    Value::Frames(frames, lengths) => Some((frames.clone(), lengths)),
                    _ => None,
                }
            };
            if node.config.as_policy().is_none() {
                continue;
            }
            let (Some((taken, lengths)), Some((rewards, _))) = (frames("taken"), frames("reward")) else {
                continue;
            };
            let states = (0..).map_while(|at| frames(&format!("state.{at}")));
            let states = states.map(|(states, _)| states).collect();
            let met = Episodes::rollout(states, taken, rewards, lengths);
            rollouts.extend(met.map(|episodes| (node.name.clone(), episodes)));
        }
    }

    /// Lets policies learn from the rollouts of a step, once they have enough of them.
    ///
    /// # Errors
    /// A policy's gradient is not finite, or what it saw, drew or was given.
    pub fn after_step(&mut self, network: &mut Network, state: &mut LoopState, names: &StepNames) -> Result<(), Abort> {
        let device = self.device.clone().inner();
        for (name, episodes) in std::mem::take(&mut state.seen.rollouts) {
            if let Some(policy) = self.all.iter_mut().find(|policy| policy.name == name) {
                policy.waiting.push(episodes.to_device(&device));
            }
        }
        for policy in self.all.iter_mut().filter(|policy| policy.spec.acts_on.is_empty()) {
            if policy.waiting.steps() > 0 {
                let own = state.policies.entry(policy.name.clone()).or_default();
                policy.learn_if_enough(network, own, names, &self.device)?;
            }
        }
        Ok(())
    }

    /// Adds the optimizers' state, and what is to be learned from rollouts, to what is stored.
    pub fn save(&self, tensors: &mut NamedTensors, counters: &mut BTreeMap<String, u64>) {
        for policy in &self.all {
            policy.waiting.save(&policy.name, tensors, counters);
            let Some(optimizer) = &policy.optimizer else {
                continue;
            };
            let (own, counts) = optimizer.save();
            tensors.extend(own);
            counters.extend(counts);
        }
    }

    /// Takes what [`Policies::save`] added out of what was stored.
    ///
    /// # Errors
    /// The state of a tensor, or of what waits, is incomplete.
    pub fn load(&mut self, tensors: &mut NamedTensors, counters: &mut BTreeMap<String, u64>) -> Result<(), String> {
        for policy in &mut self.all {
            let device = self.device.clone().inner();
            policy.waiting = Waiting::load(&policy.name, tensors, counters, &device)?;
            let Some(optimizer) = &mut policy.optimizer else {
                continue;
            };
            let prefix = format!("{}.", policy.name);
            let is_own = |name: &String| name.starts_with(&prefix);
            let own = tensors.extract_if(.., |name, _| is_own(name)).collect();
            let counts = counters.extract_if(.., |name, _| is_own(name)).collect();
            optimizer.load(own, &counts, &device)?;
        }
        Ok(())
    }
}

impl Managed {
    /// Chooses what is in force from now on; `last` is what was before.
    #[expect(clippy::too_many_arguments, reason = "all that a choice follows from")]
    fn choose(
        &self,
        network: &Network,
        own: &mut PolicyState,
        last: &[f64],
        epoch: u64,
        sight: &Observation<'_>,
        names: &StepNames,
        device: &Device,
    ) -> Result<(), Abort> {
        let Some(layer) = network.policy(&self.name) else {
            return Ok(());
        };
        let state = self.sees(sight, last);
        let values: Vec<f32> = state.iter().map(|&number| number as f32).collect();
        let states = TensorData::new(values, [1, state.len()]);
        let key = names.of_policy(&self.name).with("act").at(own.choices);
        let drawn = layer.draw(Tensor::from_data(states, &device.clone().inner()), Some(&[key]));
        let both = waits::numbers(Tensor::cat(vec![drawn.clone(), layer.values(&drawn)], 1));
        let mut drawn: Vec<f64> = both.into_iter().map(f64::from).collect();
        let actions = drawn.split_off(layer.actions());
        if !drawn.iter().chain(&actions).all(|number| number.is_finite()) {
            return Err(not_finite(&self.name, "chooses"));
        }
        own.choices += 1;
        own.current = Some(Current {
            since: epoch,
            state,
            actions,
            drawn,
            before: self.rewarded(sight),
        });
        Ok(())
    }

    /// The state between epochs; what is not known yet is 0.
    fn sees(&self, sight: &Observation<'_>, last: &[f64]) -> Vec<f64> {
        let ports = self.inputs.iter().filter(|(port, _)| port.starts_with("state."));
        ports
            .map(|(_, from)| sight.number(&from.port).unwrap_or(0.0))
            .chain(last.iter().copied())
            .collect()
    }

    /// The number whose change is the reward, the greater the better.
    fn rewarded(&self, sight: &Observation<'_>) -> Option<f64> {
        let (_, from) = self.inputs.iter().find(|(port, _)| port == "reward")?;
        let number = sight.number(&from.port)?;
        // Of training there is its progress and its loss.
        let measure = [VALIDATION, "train."]
            .iter()
            .find_map(|side| from.port.strip_prefix(side));
        Some(direction_of(measure.unwrap_or(&from.port)).reward(number))
    }

    /// Takes what an epoch has brought under the choice in force.
    #[expect(clippy::too_many_arguments, reason = "all that a choice follows from")]
    fn told(
        &mut self,
        network: &mut Network,
        own: &mut PolicyState,
        current: &Current,
        epoch: u64,
        names: &StepNames,
        sight: &Observation<'_>,
        device: &Device,
    ) -> Result<(), Abort> {
        for (augmentation, &action) in self.spec.acts_on.iter().zip(&current.actions) {
            own.see(&format!("action.{augmentation}"), action);
        }
        if epoch.saturating_sub(current.since) < self.spec.every_epochs {
            return Ok(());
        }
        // Nothing is told of the first epochs, before which nothing was measured.
        if let (Some(before), Some(after)) = (current.before, self.rewarded(sight)) {
            let reward = after - before;
            own.see("reward", reward);
            let step = Step {
                state: current.state.clone(),
                drawn: current.drawn.clone(),
                reward,
            };
            // One episode until it is learned from, which goes on unless training is over.
            if own.episodes.is_empty() {
                own.episodes.push(Episode::default());
            }
            let next = (sight.progress < 1.0).then(|| self.sees(sight, &current.actions));
            if let Some(episode) = own.episodes.last_mut() {
                episode.steps.push(step);
                episode.next = next;
            }
            self.learn_if_enough(network, own, names, device)?;
        }
        self.choose(network, own, &current.actions, epoch, sight, names, device)
    }

    /// Adds what was met in rollouts, and not counted yet, to what the epoch's line tells.
    fn count_met(&mut self, network: &Network, own: &mut PolicyState) -> Result<(), Abort> {
        if let Some(layer) = network.policy(&self.name) {
            let met = self.waiting.count(layer);
            let told = met.map_err(|does| not_finite(&self.name, does))?;
            for (name, sum, count) in told.into_iter().flat_map(|met| met.named(&self.spec.actions)) {
                own.see_all(&name, sum, count);
            }
        }
        Ok(())
    }

    fn learn_if_enough(
        &mut self,
        network: &mut Network,
        own: &mut PolicyState,
        names: &StepNames,
        device: &Device,
    ) -> Result<(), Abort> {
        if self
            .spec
            .learner
            .is_some_and(|learner| own.steps() + self.waiting.steps() < learner.horizon)
        {
            return Ok(());
        }
        self.count_met(network, own)?;
        let inner = device.clone().inner();
        let between = std::mem::take(&mut own.episodes);
        let between = between.iter().filter_map(|episode| Episodes::of(episode, &inner));
        let met = between.chain(self.waiting.take()).collect();
        let (Some(learner), Some(optimizer), Some(episodes)) =
            (&self.spec.learner, &mut self.optimizer, Episodes::joined(met))
        else {
            return Ok(());
        };
        let key = names.of_policy(&self.name).with("learn").at(own.updates);
        learn(network, &self.name, (own, &episodes), learner, optimizer, key, device)
    }
}

fn not_finite(policy: &str, does: &str) -> Abort {
    Abort::Diverged(format!(
        "the policy `{policy}` {does} numbers that are not finite; lower its learning rate `lr`"
    ))
}
