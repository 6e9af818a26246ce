//! References from node to node, and paths: the field types that mean more than their text.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The key that marks a reference in a kind's schema; its value is `data` or `uses`.
pub const EDGE_MARK: &str = "x-edge";
/// The key that marks a path in a kind's schema; its value is `true`.
pub const PATH_MARK: &str = "x-path";
/// Mark in a schema: the text becomes the name of a folder.
pub const FOLDER_MARK: &str = "x-folder-name";
/// Longest name of a folder in bytes. File systems take 255, and files beside it have it with an ending.
pub const MAX_FOLDER_NAME: usize = 200;

/// Why a text cannot be the name of a folder that is made for it; nothing where it can.
pub fn folder_name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains(['/', '\\']) {
        Some("it has a slash, which would make it a path")
    } else if name.starts_with('.') {
        Some("it begins with a dot, as hidden folders and `..` do")
    } else if name.chars().any(char::is_control) {
        Some("it has a control character")
    } else if name.trim() != name {
        Some("it begins or ends with a space")
    } else if name.len() > MAX_FOLDER_NAME {
        Some("it is longer than 200 bytes")
    } else {
        None
    }
}

/// Schema of a text that becomes the name of a folder, for `schema_with`.
pub fn folder_name_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_FOLDER_NAME,
        "pattern": "^[^./\\\\][^/\\\\]*$",
        "x-folder-name": true
    })
}

/// The pseudo-node that stands for what the datasets give.
pub const DATA: &str = "data";

/// The pseudo-node that stands for how training goes: what policies see of it between its steps.
pub const RUN: &str = "run";

/// A reference to an output port: `hubert` for the default port, `fuse.face` for another one,
/// `data.audio` for what the datasets give.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortRef(String);

impl PortRef {
    /// A reference from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        split_reference(&self.0).0
    }

    /// The port's name, empty for the default port.
    pub fn port(&self) -> &str {
        split_reference(&self.0).1
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Node and port of a reference.
pub(crate) fn split_reference(text: &str) -> (&str, &str) {
    text.split_once('.').unwrap_or((text, ""))
}

impl JsonSchema for PortRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PortRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-edge": "data" })
    }
}

/// Several references: a list, or a mapping where the node tells its inputs apart by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// `[a, b]`; the ports are `inputs.0`, `inputs.1`, ….
    List(Vec<PortRef>),
    /// `{ face: fuse.face }`; the ports are `inputs.face`, ….
    Map(IndexMap<String, PortRef>),
}

impl Inputs {
    /// The references in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &PortRef> {
        let (list, map) = match self {
            Self::List(list) => (Some(list), None),
            Self::Map(map) => (None, Some(map)),
        };
        list.into_iter()
            .flatten()
            .chain(map.into_iter().flat_map(IndexMap::values))
    }

    /// Number of references.
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Serialize for Inputs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputsVisitor;

        impl<'de> Visitor<'de> for InputsVisitor {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a mapping of references")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Inputs, A::Error> {
                Deserialize::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(Inputs::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Inputs, A::Error> {
                Deserialize::deserialize(de::value::MapAccessDeserializer::new(map)).map(Inputs::Map)
            }
        }

        deserializer.deserialize_any(InputsVisitor)
    }
}

impl JsonSchema for Inputs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Inputs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<PortRef>();
        json_schema!({
            "oneOf": [
                { "type": "array", "items": reference, "minItems": 1 },
                { "type": "object", "additionalProperties": reference, "minProperties": 1 },
            ]
        })
    }
}

/// The name of a node that another node holds as a callable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeRef(String);

impl NodeRef {
    /// The node's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for NodeRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NodeRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-edge": "uses" })
    }
}

/// The nodes that a node holds as callables, by role: `{ denoiser: unet, policy: guide }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uses(pub IndexMap<String, NodeRef>);

impl Uses {
    /// The node in a role.
    pub fn get(&self, role: &str) -> Option<&NodeRef> {
        self.0.get(role)
    }
}

impl JsonSchema for Uses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uses".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reference = generator.subschema_for::<NodeRef>();
        json_schema!({ "type": "object", "additionalProperties": reference })
    }
}

/// A path to a file or folder. The language makes it absolute against the working directory
/// before the field is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataPath(String);

impl DataPath {
    /// A path from its text.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a path of the file system.
    pub fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&self.0)
    }
}

impl JsonSchema for DataPath {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "DataPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "x-path": true })
    }
}
