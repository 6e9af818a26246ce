//! Augmentations that apply others: one or some of them, or all as a whole.

use emorun_lang::{DeserializeError, InferError, Inferred, KindInfo, NodeRef, Section, Tree, from_tree, schema_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::augmentation::on_host;

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

/// A node that holds augmentations.
#[derive(Clone, Debug)]
pub enum GroupNode {
    /// See [`OneOf`].
    OneOf(OneOf),
    /// See [`SomeOf`].
    SomeOf(SomeOf),
    /// See [`Sequence`].
    Sequence(Sequence),
}

const fn kind(
    name: &'static str,
    summary: &'static str,
    source: &'static str,
    schema: fn() -> serde_json::Value,
) -> KindInfo {
    KindInfo {
        name,
        section: Section::Augmentations,
        summary,
        source,
        schema,
        inputs: "waveforms of training items",
        outputs: "the same, changed",
    }
}

/// The kinds of groups.
pub const KINDS: [KindInfo; 3] = [
    kind(
        "one_of",
        "one of several augmentations",
        "audiomentations OneOf",
        schema_of::<OneOf>,
    ),
    kind(
        "some_of",
        "a drawn number of several augmentations",
        "audiomentations SomeOf",
        schema_of::<SomeOf>,
    ),
    kind(
        "sequence",
        "several augmentations as one",
        "audiomentations Compose",
        schema_of::<Sequence>,
    ),
];

impl GroupNode {
    /// Reads the fields of a kind; `None` if it is no group.
    pub fn parse(kind: &str, fields: &Tree) -> Option<Result<Self, DeserializeError>> {
        match kind {
            "one_of" => Some(from_tree(fields).map(Self::OneOf)),
            "some_of" => Some(from_tree(fields).map(Self::SomeOf)),
            "sequence" => Some(from_tree(fields).map(Self::Sequence)),
            _ => None,
        }
    }

    /// The kind's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OneOf(_) => "one_of",
            Self::SomeOf(_) => "some_of",
            Self::Sequence(_) => "sequence",
        }
    }

    /// Names of the datasets that it is for; empty for all.
    pub fn only(&self) -> &[String] {
        match self {
            Self::OneOf(node) => &node.only,
            Self::SomeOf(node) => &node.only,
            Self::Sequence(node) => &node.only,
        }
    }

    /// Names of the augmentations that it holds.
    pub fn of(&self) -> &[NodeRef] {
        match self {
            Self::OneOf(node) => &node.of,
            Self::SomeOf(node) => &node.of,
            Self::Sequence(node) => &node.of,
        }
    }

    /// Probability with which it does anything.
    pub fn p(&self) -> f64 {
        match self {
            Self::OneOf(node) => node.p,
            Self::SomeOf(node) => node.p,
            Self::Sequence(node) => node.p,
        }
    }

    /// Least and greatest number of those held that are applied.
    pub fn count(&self) -> [usize; 2] {
        match self {
            Self::OneOf(_) => [1, 1],
            Self::SomeOf(node) => node.count,
            Self::Sequence(node) => [node.of.len(); 2],
        }
    }

    /// Checks the fields against each other.
    ///
    /// # Errors
    /// The numbers are upside down, or more than there is to choose from.
    pub fn infer(&self) -> Result<Inferred, InferError> {
        let ([least, most], all) = (self.count(), self.of().len());
        if least > most || most > all {
            let message = format!("is [{least}, {most}]; give two numbers from 0 to {all}, the smaller one first");
            return Err(InferError::invalid("count", message));
        }
        Ok(on_host())
    }
}

impl Serialize for GroupNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OneOf(node) => node.serialize(serializer),
            Self::SomeOf(node) => node.serialize(serializer),
            Self::Sequence(node) => node.serialize(serializer),
        }
    }
}
