//! What the kinds of policies share: where state and reward come from, and what is acted on.

use emorun_lang::{Cost, InferError, Inferred, InputSignals, NodeRef, Placement, PortRef, RUN, Signal, suggestion};

use crate::inference::trainable;
use crate::policies::action::{ActionSpace, NamedActions};
use crate::policies::joint::JointSpace;
use crate::policies::layer::Sizes;
use crate::policies::{Learner, PolicySpec};

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
    /// What each action is chosen from, where all are alike.
    pub action: Option<&'a ActionSpace>,
    /// What each action is chosen from, by its name.
    pub actions: &'a NamedActions,
    /// Actions of a step that are alike, for a policy that another node holds.
    pub dimensions: usize,
}

/// The longest name of an action.
const LONGEST_NAME: usize = 64;

impl Wiring<'_> {
    /// Names of the actions of a step, in the order of their columns: one for each augmentation in the order of
    /// `acts_on`; else those under `actions` in the order of their names; else numbers from 0.
    pub fn names(&self) -> Vec<String> {
        match (self.acts_on, self.actions.is_empty()) {
            ([], true) => (0..self.dimensions).map(|at| at.to_string()).collect(),
            ([], false) => self.actions.keys().cloned().collect(),
            (acts_on, _) => names(acts_on),
        }
    }

    /// What the actions of a step are chosen from, in the order of their columns.
    pub fn space(&self) -> JointSpace {
        let alike = || self.action.cloned().unwrap_or(ALIKE);
        let of = |name: &String| self.actions.get(name).cloned().unwrap_or_else(alike);
        JointSpace::new(self.names().iter().map(of).collect())
    }

    /// What training must know of the actions, for a policy that learns so.
    pub fn spec(&self, every_epochs: u64, learner: Option<Learner>) -> PolicySpec {
        PolicySpec {
            acts_on: names(self.acts_on),
            actions: self.names(),
            named: !self.actions.is_empty(),
            every_epochs,
            learner,
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
            width + self.acts_on.len()
        })
    }

    /// Checks the wiring.
    ///
    /// # Errors
    /// The first part that does not fit the others.
    pub fn check(&self, inputs: &InputSignals<'_>) -> Result<(), InferError> {
        self.check_actions()?;
        if self.acts_on.is_empty() {
            if let Some(reward) = inputs.get("reward") {
                check_steps("reward", reward, 1)?;
                check_steps("taken", inputs.require("taken")?, self.names().len())?;
            }
        } else {
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

    /// Checks what is chosen from.
    fn check_actions(&self) -> Result<(), InferError> {
        let each = self
            .actions
            .iter()
            .map(|(name, space)| (format!("actions.{name}"), space));
        let all = self
            .action
            .map(|space| ("action".to_owned(), space))
            .into_iter()
            .chain(each);
        for (field, space) in all {
            if let Some(mistake) = space.mistake() {
                return Err(InferError::invalid(&field, mistake));
            }
            let [low, high] = space.bounds();
            if !self.acts_on.is_empty() && (low < 0.0 || high > 1.0) {
                let message = "goes beyond 0 to 1; an action is the share of an augmentation's `p` that is left";
                return Err(InferError::invalid(&field, message));
            }
        }
        if self.actions.is_empty() {
            return Ok(());
        }
        if self.action.is_some() {
            return Err(InferError::Invalid {
                field: "actions".into(),
                message: "stands beside `action`, which is for actions that are alike".into(),
                help: Some("leave one of them out".into()),
            });
        }
        if self.dimensions != default_dimensions() {
            return Err(InferError::invalid(
                "dimensions",
                "is for actions that are alike; leave it out",
            ));
        }
        let is_word =
            |name: &str| name.len() <= LONGEST_NAME && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if let Some(name) = self.actions.keys().find(|name| name.is_empty() || !is_word(name)) {
            let message = format!("has an action {name:?}; a name is up to {LONGEST_NAME} letters, digits and `_`");
            return Err(InferError::invalid("actions", message));
        }
        if !self.acts_on.is_empty() {
            check_names("actions", self.actions, &names(self.acts_on), "`acts_on`")?;
        }
        Ok(())
    }

    /// What there is to know of a policy with these networks.
    pub fn inferred(&self, sizes: Option<Sizes<'_>>) -> Inferred {
        Inferred {
            outputs: Vec::new(),
            placement: Placement::Device,
            cost: sizes.map_or_else(Cost::default, |sizes| trainable(sizes.parameters(&self.space()))),
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

/// Checks that actions have the names that are asked for, all of them and no others.
fn check_names(field: &str, actions: &NamedActions, asked: &[String], by: &str) -> Result<(), InferError> {
    let known: Vec<&str> = asked.iter().map(String::as_str).collect();
    if let Some(name) = actions.keys().find(|name| !asked.contains(name)) {
        return Err(InferError::Invalid {
            field: format!("{field}.{name}"),
            message: format!("is none of {by}"),
            help: suggestion(name, &known, "actions"),
        });
    }
    if let Some(name) = asked.iter().find(|name| !actions.contains_key(*name)) {
        let message = format!("says nothing of `{name}` in {by}");
        return Err(InferError::invalid(field, message));
    }
    Ok(())
}

/// Names of nodes.
pub(crate) fn names(nodes: &[NodeRef]) -> Vec<String> {
    nodes.iter().map(|node| node.as_str().to_owned()).collect()
}

/// What actions are chosen from where nothing is said.
const ALIKE: ActionSpace = ActionSpace::Between([0.0, 1.0]);

/// No names.
pub(crate) static ALL_ALIKE: NamedActions = NamedActions::new();

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
