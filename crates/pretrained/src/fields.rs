//! Numbers, words and switches of a checkpoint's JSON files, each with the values that it can have.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::config::ConfigError;

/// Most entries of a list: convolutions of a front end.
const MOST_ENTRIES: usize = 32;

/// The keys of a file, each with its default in transformers and the values that it can have.
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    /// The value of a key; one that is `null` counts as absent.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn wrong(key: &str, value: &Value, wanted: &str) -> ConfigError {
        ConfigError::Range {
            key: key.to_owned(),
            // Of a long value the beginning tells enough.
            value: value.to_string().chars().take(60).collect(),
            wanted: wanted.to_owned(),
        }
    }

    fn in_range(key: &str, value: &Value, range: &RangeInclusive<usize>) -> Result<usize, ConfigError> {
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| range.contains(size)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            let wanted = match high {
                high if high == low => format!("{low}"),
                &usize::MAX => format!("a whole number from {low} on"),
                high => format!("a whole number from {low} to {high}"),
            };
            Self::wrong(key, value, &wanted)
        })
    }

    pub(super) fn size(
        &self,
        key: &str,
        default: Option<usize>,
        range: RangeInclusive<usize>,
    ) -> Result<usize, ConfigError> {
        match (self.get(key), default) {
            (Some(value), _) => Self::in_range(key, value, &range),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(ConfigError::Field(format!("`{key}` is missing"))),
        }
    }

    pub(super) fn sizes(
        &self,
        key: &str,
        default: &[usize],
        range: &RangeInclusive<usize>,
    ) -> Result<Vec<usize>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(default.to_vec());
        };
        match value.as_array() {
            Some(sizes) if (1..=MOST_ENTRIES).contains(&sizes.len()) => {
                sizes.iter().map(|size| Self::in_range(key, size, range)).collect()
            }
            _ => Err(Self::wrong(
                key,
                value,
                &format!("a list of 1 to {MOST_ENTRIES} numbers"),
            )),
        }
    }

    pub(super) fn number(
        &self,
        key: &str,
        default: f64,
        holds: impl Fn(f64) -> bool,
        wanted: &str,
    ) -> Result<f64, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let number = value.as_f64().filter(|number| holds(*number));
        number.ok_or_else(|| Self::wrong(key, value, wanted))
    }

    /// A probability below 1: what is always dropped leaves nothing to scale.
    pub(super) fn probability(&self, key: &str, default: f64) -> Result<f64, ConfigError> {
        self.number(
            key,
            default,
            |p| (0.0..1.0).contains(&p),
            "a probability from 0 to below 1",
        )
    }

    pub(super) fn eps(&self, key: &str, default: f64) -> Result<f64, ConfigError> {
        let holds = |eps: f64| eps > 0.0 && eps <= 1.0;
        self.number(key, default, holds, "a number above 0 and at most 1")
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| Self::wrong(key, value, "true or false")),
        }
    }

    pub(super) fn word(&self, key: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| Self::wrong(key, value, "a word")),
        }
    }

    /// A word that has to be this one.
    pub(super) fn only(&self, key: &'static str, wanted: &'a str) -> Result<(), ConfigError> {
        match self.word(key, wanted)? {
            word if word == wanted => Ok(()),
            other => Err(ConfigError::Unsupported {
                key,
                value: other.to_owned(),
            }),
        }
    }
}
