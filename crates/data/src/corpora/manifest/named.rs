//! Columns of a table by the names that they get.

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Columns of a table by the names that they get: a list, where the two are the same, or a mapping `name: column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// `[valence, arousal]`.
    List(Vec<String>),
    /// `{ valence: V, arousal: A }`.
    Map(IndexMap<String, String>),
}

impl Named {
    /// Each name with its column, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (list, map) = match self {
            Self::List(list) => (Some(list), None),
            Self::Map(map) => (None, Some(map)),
        };
        let list = list.into_iter().flatten().map(|name| (name.as_str(), name.as_str()));
        let map = map.into_iter().flatten();
        list.chain(map.map(|(name, column)| (name.as_str(), column.as_str())))
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name.to_owned()).collect()
    }
}

impl Default for Named {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor;

        impl<'de> Visitor<'de> for NamedVisitor {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of columns, or a mapping from names to columns")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Named, A::Error> {
                Deserialize::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Named::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named, A::Error> {
                Deserialize::deserialize(de::value::MapAccessDeserializer::new(map)).map(Named::Map)
            }
        }

        deserializer.deserialize_any(NamedVisitor)
    }
}

impl JsonSchema for Named {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Named".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } },
            ]
        })
    }
}
