//! Proximal policy optimisation.

use emorun_lang::{InferError, Inferred, InputSignals, NodeRef, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::policies::action::{ActionSpace, NamedActions};
use crate::policies::kind::{
    Wiring, default_clip_norm, default_dimensions, default_every, default_hidden, default_initial_std, default_true,
    default_value_weight,
};
use crate::policies::layer::{PolicyLayer, Sizes};
use crate::policies::{Learner, PolicyKind, PolicySpec, Rule};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError};

/// Proximal policy optimisation: several passes over the steps that were gathered, in which no step's
/// probability may move far from what it was.
///
/// `L = −mean(min(ρ A, clip(ρ, 1 ± ε) A)) + c_v mean((V − R)²) − c_e mean(H)`, `ρ` the ratio of new and
/// old probability, `A` the generalised advantage estimate.
///
/// # Source
/// Schulman et al. 2017; Schulman et al., ICLR 2016, for the advantages. Actor and value network apart,
/// tanh, the last layer's small weights and Adam's ε of 1e-5 as Huang et al., ICLR blog track 2022.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ppo {
    /// What it sees: numbers of `run`, to which its last actions are added; for a policy that another node
    /// holds, the states of that node's steps.
    #[schemars(length(max = 64))]
    pub state: Vec<PortRef>,
    /// What each action can be, where all are alike: `between: [0, 1]` when left out.
    #[serde(default)]
    pub action: Option<ActionSpace>,
    /// Several actions of different kinds by their names, in place of `action`: for each augmentation of `acts_on`, or as
    /// the node that holds the policy asks for them. Their columns stand in the order of `acts_on`, else of the names.
    #[serde(default, skip_serializing_if = "NamedActions::is_empty")]
    pub actions: NamedActions,
    /// Augmentations whose strength it chooses, one action for each: the share of `p` that is left.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub acts_on: Vec<NodeRef>,
    /// Actions of each step, for a policy that another node holds.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1, max = 1024))]
    pub dimensions: usize,
    /// What that node drew from it in each step.
    #[serde(default)]
    pub taken: Option<PortRef>,
    /// What it is rewarded with: by how much a number of `run` gets better from one action to the next, or
    /// the reward of each step of the node that holds it.
    pub reward: PortRef,
    /// Epochs from one action to the next.
    #[serde(default = "default_every")]
    #[schemars(range(min = 1))]
    pub every_epochs: u64,
    /// Steps that it gathers before it learns from them.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub horizon: usize,
    /// Widths of the hidden layers, with tanh behind each.
    #[serde(default = "default_hidden")]
    #[schemars(length(max = 8), inner(range(min = 1, max = 4096)))]
    pub hidden: Vec<usize>,
    /// First deviation of a number between bounds, before tanh.
    #[serde(default = "default_initial_std")]
    #[schemars(range(min = 1e-3, max = 100.0))]
    pub initial_std: f64,
    /// Factor by which a reward counts less with each step that it comes later.
    #[serde(default = "default_gamma")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub gamma: f64,
    /// λ of the generalised advantage estimate: 0 trusts the value network, 1 the rewards.
    #[serde(default = "default_lambda")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub lambda: f64,
    /// How far the ratio of new and old probability may go from 1.
    #[serde(default = "default_clip")]
    #[schemars(range(min = 1e-6))]
    pub clip: f64,
    /// Passes over the steps that were gathered.
    #[serde(default = "default_passes")]
    #[schemars(range(min = 1, max = 10_000))]
    pub passes: u64,
    /// Steps of a minibatch.
    #[serde(default = "default_minibatch")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub minibatch: usize,
    /// Learning rate of Adam.
    #[serde(default = "default_lr")]
    #[schemars(range(min = 0.0))]
    pub lr: f64,
    /// Gradients are scaled down to this norm.
    #[serde(default = "default_clip_norm")]
    #[schemars(range(min = 1e-9))]
    pub clip_norm: f64,
    /// Weight of the entropy, which keeps the policy from settling early.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub entropy_weight: f64,
    /// Weight of the value network's squared error.
    #[serde(default = "default_value_weight")]
    #[schemars(range(min = 0.0))]
    pub value_weight: f64,
    /// Whether advantages are brought to zero mean and unit deviation.
    #[serde(default = "default_true")]
    pub normalise_advantages: bool,
    /// Advantages are clipped to this size after that; not at all when left out.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub clip_advantages: Option<f64>,
}

fn default_gamma() -> f64 {
    0.99
}
fn default_lambda() -> f64 {
    0.95
}
fn default_clip() -> f64 {
    0.2
}
fn default_passes() -> u64 {
    10
}
fn default_minibatch() -> usize {
    64
}
fn default_lr() -> f64 {
    3e-4
}

impl Ppo {
    fn wiring(&self) -> Wiring<'_> {
        Wiring {
            state: &self.state,
            taken: self.taken.as_ref(),
            reward: Some(&self.reward),
            acts_on: &self.acts_on,
            action: self.action.as_ref(),
            actions: &self.actions,
            dimensions: self.dimensions,
        }
    }

    fn sizes(&self, inputs: &InputSignals<'_>) -> Result<Sizes<'_>, InferError> {
        let wiring = self.wiring();
        Ok(Sizes {
            state: wiring.state_width(inputs)?,
            hidden: &self.hidden,
            critic: true,
        })
    }
}

impl PolicyKind for Ppo {
    fn spec(&self) -> PolicySpec {
        let learner = Learner {
            rule: Rule::Ppo {
                lambda: self.lambda,
                clip: self.clip,
                epochs: self.passes,
                minibatch: self.minibatch,
            },
            horizon: self.horizon,
            gamma: self.gamma,
            lr: self.lr,
            clip_norm: self.clip_norm,
            entropy_weight: self.entropy_weight,
            value_weight: self.value_weight,
            normalise: self.normalise_advantages,
            clip_advantage: self.clip_advantages,
        };
        self.wiring().spec(self.every_epochs, Some(learner))
    }
}

impl Kind for Ppo {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let wiring = self.wiring();
        wiring.check(inputs)?;
        Ok(wiring.inferred(Some(self.sizes(inputs)?)))
    }
}

impl DeviceKind for Ppo {
    type Layer = PolicyLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<PolicyLayer, BuildError> {
        let (sizes, device) = (self.sizes(inputs)?, context.device);
        Ok(PolicyLayer::learned(
            self.wiring().space(),
            sizes,
            self.initial_std,
            device,
        ))
    }
}
