//! A policy that chooses at random.

use emorun_lang::{InferError, Inferred, InputSignals, NodeRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::policies::action::{ActionSpace, NamedActions};
use crate::policies::kind::{Wiring, default_dimensions, default_every};
use crate::policies::layer::{Choice, PolicyLayer};
use crate::policies::{PolicyKind, PolicySpec};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError};

/// Chooses each action at random, each as likely as any other: what a learned policy is compared with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomPolicy {
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
    /// Epochs from one action to the next.
    #[serde(default = "default_every")]
    #[schemars(range(min = 1))]
    pub every_epochs: u64,
}

impl RandomPolicy {
    fn wiring(&self) -> Wiring<'_> {
        Wiring {
            state: &[],
            taken: None,
            reward: None,
            acts_on: &self.acts_on,
            action: self.action.as_ref(),
            actions: &self.actions,
            dimensions: self.dimensions,
        }
    }
}

impl PolicyKind for RandomPolicy {
    fn spec(&self) -> PolicySpec {
        self.wiring().spec(self.every_epochs, None)
    }
}

impl Kind for RandomPolicy {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let wiring = self.wiring();
        wiring.check(inputs)?;
        Ok(wiring.inferred(None))
    }
}

impl DeviceKind for RandomPolicy {
    type Layer = PolicyLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<PolicyLayer, BuildError> {
        Ok(PolicyLayer::unlearned(self.wiring().space(), Choice::Random))
    }
}
