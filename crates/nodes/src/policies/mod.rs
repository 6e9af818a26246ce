//! Policies: what is trained by reward instead of by gradients of a loss.
//!
//! A policy sees a state, chooses an action and is told a reward. Its networks are a module of the
//! graph like any other, so that they are checkpointed, averaged and initialised with the rest; what
//! is here is the same for every kind of policy, and for both ways in which one is asked: between the
//! epochs of training, and by a node that holds it and goes through many steps of its own.
//!
//! Burn's own `burn-rl` is not used: it has traits for environments and a replay buffer for learners
//! that are off-policy, and neither of the two here.

pub mod action;
pub mod advantage;
pub mod episodes;
pub mod fixed_policy;
pub mod joint;
mod kind;
pub mod layer;
pub mod objective;
pub mod ppo;
pub mod random_policy;
pub mod reinforce;

use serde::{Deserialize, Serialize};

/// Port at which a held policy is given states, `[batch, width]`.
pub const STATE: &str = "state";

/// Port at which a held policy gives what it drew, for the trajectory that it learns from.
pub const DRAWN: &str = "drawn";

/// What is asked of a kind of the section `policies`.
pub trait PolicyKind {
    /// What training must know of it.
    fn spec(&self) -> PolicySpec;
}

/// What training must know of a policy, whatever its kind.
#[derive(Clone, Debug)]
pub struct PolicySpec {
    /// Augmentations whose strength it chooses; none for a policy that another node holds.
    pub acts_on: Vec<String>,
    /// Names of the actions of each step, in the order of their columns: the augmentations, the names under `actions`,
    /// or numbers from 0.
    pub actions: Vec<String>,
    /// Whether these are names under `actions`.
    pub named: bool,
    /// Epochs from one action to the next.
    pub every_epochs: u64,
    /// How it learns; `None` for one that does not.
    pub learner: Option<Learner>,
}

/// How a policy learns from what it met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learner {
    /// The rule.
    pub rule: Rule,
    /// Steps that are gathered before it learns from them.
    pub horizon: usize,
    /// Factor by which a reward counts less with each step that it comes later.
    pub gamma: f64,
    /// Learning rate of Adam.
    pub lr: f64,
    /// Greatest norm of the gradient.
    pub clip_norm: f64,
    /// Weight of the entropy, which keeps the policy from settling early.
    pub entropy_weight: f64,
    /// Weight of the value network's squared error.
    pub value_weight: f64,
    /// Whether advantages are brought to zero mean and unit deviation.
    pub normalise: bool,
    /// Greatest size of an advantage after that.
    pub clip_advantage: Option<f64>,
}

/// The rule by which a policy learns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// One step up the gradient of the log-probabilities, weighted by how much better than the
    /// baseline it went.
    Reinforce(Baseline),
    /// Proximal policy optimisation.
    Ppo {
        /// λ of the generalised advantage estimate.
        lambda: f64,
        /// How far the ratio of probabilities may go from 1.
        clip: f64,
        /// Passes over the steps.
        epochs: u64,
        /// Steps of a minibatch.
        minibatch: usize,
    },
}

/// What a return is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// A network's estimate from the state.
    #[default]
    Value,
    /// The exponential mean of the returns so far, a tenth of each new one.
    MovingMean,
}
