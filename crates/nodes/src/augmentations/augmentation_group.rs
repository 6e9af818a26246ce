//! Augmentations that apply others: one or some of them, or all as a whole.

use emorun_audio::augment::AugmentError;
use emorun_lang::{InferError, Inferred, InputSignals, NodeRef};
use emorun_nn::facts::Facts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AugmentationKind, Change, Group};
use crate::contract::{Kind, without_outputs};

/// Applies one of several augmentations, each as likely as any other, and then with its own `p`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// Names of the augmentations, which are then applied nowhere else.
    #[schemars(length(min = 1))]
    pub of: Vec<NodeRef>,
    /// Probability with which any is applied to an item.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
    /// Datasets to whose training items it is applied; all of them when left out.
    #[serde(default)]
    pub only: Vec<String>,
}

/// Applies a drawn number of several augmentations, in the order of the list, each with its own `p`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SomeOf {
    /// Names of the augmentations, which are then applied nowhere else.
    #[schemars(length(min = 1))]
    pub of: Vec<NodeRef>,
    /// Least and greatest number of them that are chosen.
    pub count: [usize; 2],
    /// Probability with which any is applied to an item.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
    /// Datasets to whose training items it is applied; all of them when left out.
    #[serde(default)]
    pub only: Vec<String>,
}

/// Applies several augmentations one after the other, each with its own `p`, or none of them: a chain
/// that `one_of` and `some_of` choose as a whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Names of the augmentations in their order, which are then applied nowhere else.
    #[schemars(length(min = 1))]
    pub of: Vec<NodeRef>,
    /// Probability with which they are applied to an item.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
    /// Datasets to whose training items it is applied; all of them when left out.
    #[serde(default)]
    pub only: Vec<String>,
}

fn default_p() -> f64 {
    1.0
}

/// Checks the numbers of a rule against each other.
fn checked(group: Group<'_>) -> Result<Inferred, InferError> {
    let ([least, most], all) = (group.count, group.of.len());
    if least > most || most > all {
        let message = format!("is [{least}, {most}]; give two numbers from 0 to {all}, the smaller one first");
        return Err(InferError::invalid("count", message));
    }
    Ok(without_outputs(true))
}

/// Makes a kind of each rule, by the number of held augmentations that are applied.
macro_rules! groups {
    ($($name:ident => |$node:ident| $count:expr;)+) => {$(
        impl $name {
            fn group(&self) -> Group<'_> {
                let $node = self;
                Group {
                    of: &self.of,
                    p: self.p,
                    count: $count,
                }
            }
        }

        impl Kind for $name {
            fn infer(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
                checked(self.group())
            }
        }

        impl AugmentationKind for $name {
            fn only(&self) -> &[String] {
                &self.only
            }

            fn change(&self, _rate_hz: u32) -> Result<Change<'_>, AugmentError> {
                Ok(Change::Group(self.group()))
            }

            fn holds(&self) -> &[NodeRef] {
                &self.of
            }
        }
    )+};
}

groups! {
    OneOf => |_node| [1, 1];
    SomeOf => |node| node.count;
    Sequence => |node| [node.of.len(); 2];
}
