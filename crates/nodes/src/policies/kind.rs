//! What the kinds of policies share: where state and reward come from, and what is acted on.

use emorun_lang::{Cost, InferError, Inferred, InputSignals, NodeRef, Placement, PortRef, RUN, Signal};

use crate::inference::trainable;
use crate::policies::action::ActionSpace;
use crate::policies::layer::Sizes;

/// Wiring of a policy, as its file says it.
pub(crate) struct Wiring<'a> {
    /// What it sees.
    pub state: &'a [PortRef],
    /// Actions of a rollout.
    pub taken: Option<&'a PortRef>,
    /// What it is rewarded with.
    pub reward: Option<&'a PortRef>,
    /// Augmentations that it acts on.
    pub acts_on: &'a [NodeRef],
    /// What it chooses from.
    pub action: &'a ActionSpace,
    /// Actions of a step, for a policy that another node holds.
    pub dimensions: usize,
}

impl Wiring<'_> {
    /// Number of actions of a step: one for each augmentation, or as a rollout asks.
    pub fn actions(&self) -> usize {
        if self.acts_on.is_empty() {
            self.dimensions
        } else {
            self.acts_on.len()
        }
    }

    /// Width of a state: what is seen of training and the last actions, or what a rollout gives.
    ///
    /// # Errors
    /// Something that is no state.
    pub fn state_width(&self, inputs: &InputSignals<'_>) -> Result<usize, InferError> {
        let ports = (0..self.state.len()).map(|at| format!("state.{at}"));
        let width: usize = ports
            .map(|port| match (inputs.require(&port)?, self.acts_on.is_empty()) {
                (Signal::Scalar, false) => Ok(1),
                (Signal::Frames { width, .. }, true) => Ok(*width),
                (found, false) => Err(InferError::mismatch(&port, "a number of `run`", found)),
                (found, true) => Err(InferError::mismatch(&port, "the frames of a rollout", found)),
            })
            .sum::<Result<_, _>>()?;
        Ok(if self.acts_on.is_empty() {
            width
        } else {
            width + self.actions()
        })
    }

    /// Checks the wiring.
    ///
    /// # Errors
    /// The first part that does not fit the others.
    pub fn check(&self, inputs: &InputSignals<'_>) -> Result<(), InferError> {
        if let Some(mistake) = self.action.mistake() {
            return Err(InferError::invalid("action", mistake));
        }
        let [low, high] = self.action.bounds();
        if self.acts_on.is_empty() {
            if let Some(reward) = inputs.get("reward") {
                check_steps("reward", reward, 1)?;
                check_steps("taken", inputs.require("taken")?, self.dimensions)?;
            }
        } else {
            if low < 0.0 || high > 1.0 {
                let message = "goes beyond 0 to 1; an action is the share of an augmentation's `p` that is left";
                return Err(InferError::invalid("action", message));
            }
            if let Some(port) = self.state.iter().chain(self.reward).find(|port| port.node() != RUN) {
                return Err(InferError::Invalid {
                    field: "acts_on".into(),
                    message: format!("is decided between epochs, when `{port}` has no value"),
                    help: Some(format!("take what is seen of training, under `{RUN}.`")),
                });
            }
            if self.taken.is_some() {
                let message = "is for a policy that another node holds";
                return Err(InferError::invalid("taken", message));
            }
        }
        Ok(())
    }

    /// What there is to know of a policy with these networks.
    pub fn inferred(&self, sizes: Option<Sizes<'_>>) -> Inferred {
        Inferred {
            outputs: Vec::new(),
            placement: Placement::Device,
            cost: sizes.map_or_else(Cost::default, |sizes| trainable(sizes.parameters(self.action))),
            reads_labels: false,
            train_only: false,
        }
    }
}

/// Checks what a rollout gives for each of its steps.
fn check_steps(port: &str, found: &Signal, width: usize) -> Result<(), InferError> {
    match found {
        Signal::Frames { width: found, .. } if *found == width => Ok(()),
        found => Err(InferError::mismatch(
            port,
            format!("frames {width} wide, one for each step of a rollout"),
            found,
        )),
    }
}

/// Names of nodes.
pub(crate) fn names(nodes: &[NodeRef]) -> Vec<String> {
    nodes.iter().map(|node| node.as_str().to_owned()).collect()
}

pub(crate) fn default_action() -> ActionSpace {
    ActionSpace::Between([0.0, 1.0])
}
pub(crate) fn default_dimensions() -> usize {
    1
}
pub(crate) fn default_every() -> u64 {
    1
}
pub(crate) fn default_hidden() -> Vec<usize> {
    vec![32, 32]
}
pub(crate) fn default_initial_std() -> f64 {
    0.5
}
pub(crate) fn default_clip_norm() -> f64 {
    0.5
}
pub(crate) fn default_value_weight() -> f64 {
    0.5
}
pub(crate) fn default_true() -> bool {
    true
}
