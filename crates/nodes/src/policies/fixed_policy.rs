//! A policy that always does the same.

use emorun_lang::{InferError, Inferred, InputSignals, NodeRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::policies::action::ActionSpace;
use crate::policies::kind::{ALL_ALIKE, Wiring, default_dimensions};
use crate::policies::layer::{Choice, PolicyLayer};
use crate::policies::{PolicyKind, PolicySpec};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError};

/// Always takes the same action: what a learned policy is compared with.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedPolicy {
    /// Every action.
    pub value: f64,
    /// Augmentations whose strength it chooses, one action for each: the share of `p` that is left.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub acts_on: Vec<NodeRef>,
    /// Actions of each step, for a policy that another node holds.
    #[serde(default = "default_dimensions")]
    #[schemars(range(min = 1, max = 1024))]
    pub dimensions: usize,
}

impl FixedPolicy {
    fn space(&self) -> ActionSpace {
        ActionSpace::Choices(vec![self.value])
    }

    fn wiring<'a>(&'a self, action: &'a ActionSpace) -> Wiring<'a> {
        Wiring {
            state: &[],
            taken: None,
            reward: None,
            acts_on: &self.acts_on,
            action: Some(action),
            actions: &ALL_ALIKE,
            dimensions: self.dimensions,
        }
    }
}

impl PolicyKind for FixedPolicy {
    fn spec(&self) -> PolicySpec {
        self.wiring(&self.space()).spec(1, None)
    }
}

impl Kind for FixedPolicy {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let space = self.space();
        let wiring = self.wiring(&space);
        wiring.check(inputs)?;
        Ok(wiring.inferred(None))
    }
}

impl DeviceKind for FixedPolicy {
    type Layer = PolicyLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<PolicyLayer, BuildError> {
        let space = self.space();
        Ok(PolicyLayer::unlearned(
            self.wiring(&space).space(),
            Choice::Fixed(self.value),
        ))
    }
}
