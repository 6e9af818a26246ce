//! Which items come together in a batch.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which items come together in a batch of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Any, as drawn for the epoch.
    #[default]
    Random,
    /// Those of like length, so that little of a batch is padding. Worth it where lengths differ much
    /// and an encoder trains; it makes batches less random.
    ByLength(ByLength),
}

impl Batching {
    /// Most seconds of a batch with its padding; `None` for no bound, or for one that is not found out yet.
    pub fn max_seconds(&self) -> Option<f64> {
        match self {
            Self::ByLength(ByLength {
                max_batch_seconds: Some(BatchSeconds::Seconds(seconds)),
                ..
            }) => Some(*seconds),
            _ => None,
        }
    }

    /// Whether the bound is to be found out before the run.
    pub fn is_auto(&self) -> bool {
        matches!(self, Self::ByLength(settings) if settings.max_batch_seconds == Some(BatchSeconds::Auto))
    }
}

/// How items are sorted by length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByLength {
    /// Batches whose items are drawn anew each epoch and then sorted together: more leave less
    /// padding, fewer mix items more.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 65536))]
    pub window: usize,
    /// Most seconds of a batch with its padding, its items times the longest of them, so that memory is
    /// bounded whatever the lengths are; `batch_size` is then the most items. A longer item is a batch of its
    /// own. Epochs differ a little in their number of steps: schedules count those of the first, spread evenly
    /// over each. `auto` tries steps on the longest item before the run and takes what fits into four fifths of
    /// the memory that is free then (on the CPU); `resolved.yaml` holds the number.
    #[serde(default)]
    pub max_batch_seconds: Option<BatchSeconds>,
}

impl Default for ByLength {
    fn default() -> Self {
        Self {
            window: default_window(),
            max_batch_seconds: None,
        }
    }
}

/// A bound of a batch in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchSeconds {
    /// What fits into memory, found out before the run.
    Auto,
    /// Seconds.
    Seconds(f64),
}

/// How [`BatchSeconds::Auto`] is written.
const AUTO: &str = "auto";

impl Serialize for BatchSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Seconds(seconds) => serializer.serialize_f64(*seconds),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BatchSecondsVisitor;

        impl Visitor<'_> for BatchSecondsVisitor {
            type Value = BatchSeconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number of seconds, or `{AUTO}`")
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds as f64))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<BatchSeconds, E> {
                Ok(BatchSeconds::Seconds(seconds as f64))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<BatchSeconds, E> {
                match word {
                    AUTO => Ok(BatchSeconds::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(BatchSecondsVisitor)
    }
}

impl JsonSchema for BatchSeconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BatchSeconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "number", "minimum": 0.01, "maximum": 1e9 },
                { "type": "string", "const": AUTO },
            ]
        })
    }
}

fn default_window() -> usize {
    200
}
