//! Which of a file's channels is heard.

use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::AudioError;
use crate::{AudioInfo, MAX_CHANNELS};

/// Which of a file's channels is heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The mean of all.
    #[default]
    Mix,
    /// The first: that of a file with one channel is its only one.
    Left,
    /// The second.
    Right,
    /// One by its number, from 0 on.
    Number(u16),
}

impl Channel {
    /// As a number, 0 for the mix, so that it can be written beside others.
    pub const fn code(self) -> u16 {
        match self {
            Self::Mix => 0,
            Self::Left => 1,
            Self::Right => 2,
            Self::Number(number) => number.saturating_add(3),
        }
    }

    /// The channel that [`Self::code`] gives this number for.
    pub const fn from_code(code: u16) -> Self {
        match code {
            0 => Self::Mix,
            1 => Self::Left,
            2 => Self::Right,
            code => Self::Number(code - 3),
        }
    }

    /// Checks that a file has this channel; `path` names it in the error.
    ///
    /// # Errors
    /// [`AudioError::NoChannel`] where it does not.
    pub fn check(self, path: &Path, info: &AudioInfo) -> Result<(), AudioError> {
        self.pick(path, info.channels).map(drop)
    }

    /// What is taken of frames with so many channels.
    ///
    /// # Errors
    /// [`AudioError::NoChannel`] where there is no such channel.
    pub(crate) fn pick(self, path: &Path, channels: u16) -> Result<Pick, AudioError> {
        let number = match self {
            Self::Mix => return Ok(Pick::Mix),
            Self::Left => 0,
            Self::Right => 1,
            Self::Number(number) => number,
        };
        if number < channels {
            return Ok(Pick::One(usize::from(number)));
        }
        Err(AudioError::NoChannel {
            path: path.to_owned(),
            channel: self,
            channels,
        })
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mix => f.write_str("mix"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u16(*number),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrNumber;

        impl Visitor<'_> for NameOrNumber {
            type Value = Channel;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "mix, left, right or a number from 0 to {}", MAX_CHANNELS - 1)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Channel, E> {
                match text {
                    "mix" => Ok(Channel::Mix),
                    "left" => Ok(Channel::Left),
                    "right" => Ok(Channel::Right),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Channel, E> {
                match u16::try_from(number) {
                    Ok(small) if small < MAX_CHANNELS => Ok(Channel::Number(small)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Channel, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }
        }

        deserializer.deserialize_any(NameOrNumber)
    }
}

impl JsonSchema for Channel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Channel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "enum": ["mix", "left", "right"] },
                { "type": "integer", "minimum": 0, "maximum": MAX_CHANNELS - 1 },
            ]
        })
    }
}

/// What is taken of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The mean of its channels.
    Mix,
    /// One of its channels.
    One(usize),
    /// All of them, one after another.
    All,
}

impl Pick {
    /// Appends what is taken of whole frames.
    pub fn append<T: Copy>(self, out: &mut Vec<f32>, values: &[T], channels: usize, sample: impl Fn(T) -> f32) {
        match self {
            _ if channels == 1 => out.extend(values.iter().map(|&value| sample(value))),
            Self::All => out.extend(values.iter().map(|&value| sample(value))),
            Self::One(number) => out.extend(values.chunks_exact(channels).map(|frame| sample(frame[number]))),
            Self::Mix => {
                let scale = 1.0 / channels as f32;
                let frames = values.chunks_exact(channels);
                out.extend(frames.map(|frame| frame.iter().map(|&value| sample(value)).sum::<f32>() * scale));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_a_name_or_a_number_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<Channel>(text).map_err(|error| error.to_string());
        for (text, channel) in [
            ("\"mix\"", Channel::Mix),
            ("\"left\"", Channel::Left),
            ("\"right\"", Channel::Right),
            ("0", Channel::Number(0)),
            ("63", Channel::Number(63)),
        ] {
            assert_eq!(read(text), Ok(channel));
            assert_eq!(serde_json::to_string(&channel).unwrap(), text);
            assert_eq!(Channel::from_code(channel.code()), channel);
        }
        for text in ["\"middle\"", "64", "-1", "0.5", "null"] {
            let message = read(text).unwrap_err();
            assert!(message.contains("mix, left, right or a number from 0 to 63"), "{message}");
        }
    }
}
