//! Folds by which papers report on a corpus, which the corpus itself lists.

use crate::corpora::descriptions;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// Folds of a published protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PublishedProtocol {
    /// The name as written in files: who published it, `_`, and of what.
    pub name: &'static str,
    /// What it is and where it is from, in a sentence.
    pub summary: &'static str,
    /// Test speakers of each fold.
    pub folds: &'static [&'static [&'static str]],
}

/// Folds of published protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedFolds {
    /// The kind of dataset that it is for.
    kind: &'static str,
    protocol: &'static PublishedProtocol,
}

impl NamedFolds {
    /// Those of all corpora, by who published them.
    fn all() -> Vec<Self> {
        let mut all: Vec<Self> = descriptions()
            .flat_map(|(kind, description)| {
                description
                    .protocols
                    .iter()
                    .map(move |protocol| Self { kind, protocol })
            })
            .collect();
        all.sort_by_key(|one| one.name().split('_').next());
        all
    }

    /// The name as written in files.
    pub(crate) const fn name(self) -> &'static str {
        self.protocol.name
    }

    /// The kind of dataset it is for.
    pub(crate) const fn kind(self) -> &'static str {
        self.kind
    }

    /// Test speakers of each fold.
    pub(super) const fn folds(self) -> &'static [&'static [&'static str]] {
        self.protocol.folds
    }

    /// Test speakers of all folds.
    pub(crate) fn speakers(self) -> Vec<&'static str> {
        self.folds().concat()
    }
}

impl Serialize for NamedFolds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for NamedFolds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let all = Self::all();
        all.iter().find(|one| one.name() == name).copied().ok_or_else(|| {
            let known: Vec<String> = all.iter().map(|one| format!("`{}`", one.name())).collect();
            D::Error::custom(format!(
                "unknown variant `{name}`, expected one of {}",
                known.join(", ")
            ))
        })
    }
}

impl JsonSchema for NamedFolds {
    fn schema_name() -> Cow<'static, str> {
        "NamedFolds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one =
            |one: Self| json_schema!({ "description": one.protocol.summary, "type": "string", "const": one.name() });
        let all: Vec<Schema> = Self::all().into_iter().map(one).collect();
        json_schema!({ "description": "Folds of published protocols.", "oneOf": all })
    }
}
