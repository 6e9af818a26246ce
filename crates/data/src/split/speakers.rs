//! Speakers named in the experiment file.

use crate::emotion::nearest;
use crate::{Corpus, DataError, Items, SplitName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A speaker as written in a file: `dataset/id`, or the id alone where one dataset has it. Leading
/// zeros may be left out, since YAML reads `03` as a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SpeakerRef(String);

impl SpeakerRef {
    /// A reference from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The speaker it names, `dataset/id`.
    ///
    /// # Errors
    /// Where no speaker or several match.
    pub(super) fn resolve<'a>(&self, speakers: &[&'a str], field: &str) -> Result<&'a str, DataError> {
        let id = |speaker: &'a str| speaker.split_once('/').map_or(speaker, |(_, id)| id);
        let plain = |text: &str| text.trim_start_matches('0').to_owned();
        let (dataset, own) = match self.0.split_once('/') {
            Some((dataset, own)) => (Some(dataset), own),
            None => (None, self.0.as_str()),
        };
        let in_dataset = |speaker: &str| {
            dataset.is_none_or(|name| speaker.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
        };
        let matching = |same: &dyn Fn(&'a str) -> bool| -> Vec<&'a str> {
            speakers.iter().copied().filter(|speaker| same(speaker)).collect()
        };
        let numeric = !own.is_empty() && own.bytes().all(|byte| byte.is_ascii_digit());
        let mut found = matching(&|speaker| speaker == self.0);
        if found.is_empty() {
            found = matching(&|speaker| in_dataset(speaker) && id(speaker) == own);
        }
        if found.is_empty() && numeric {
            found = matching(&|speaker| in_dataset(speaker) && plain(id(speaker)) == plain(own));
        }
        match found[..] {
            [speaker] => Ok(speaker),
            [] => {
                let known = speakers
                    .iter()
                    .map(|speaker| if dataset.is_some() { speaker } else { id(speaker) });
                Err(DataError::UnknownSpeaker {
                    field: field.to_owned(),
                    name: self.0.clone(),
                    nearest: nearest(&self.0, known),
                })
            }
            _ => Err(DataError::AmbiguousSpeaker {
                field: field.to_owned(),
                name: self.0.clone(),
                candidates: found.iter().map(|speaker| (*speaker).to_owned()).collect(),
            }),
        }
    }
}

impl<'de> Deserialize<'de> for SpeakerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SpeakerRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a speaker's id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SpeakerRef, E> {
                Ok(SpeakerRef(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<SpeakerRef, E> {
                Ok(SpeakerRef(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<SpeakerRef, E> {
                Ok(SpeakerRef(number.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for SpeakerRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SpeakerRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

/// What happens to speakers that a split does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// They are trained on.
    Train,
    /// They are left out.
    Drop,
}

impl Rest {
    pub(super) const fn side(self) -> Option<SplitName> {
        match self {
            Self::Train => Some(SplitName::Train),
            Self::Drop => None,
        }
    }
}

/// Which of several lists each speaker of the corpus is in, in the order of [`Corpus::speakers`].
///
/// # Errors
/// Every name that is unknown, ambiguous or in two lists.
pub(super) fn assign_lists(
    corpus: &Corpus,
    lists: &[(String, Vec<SpeakerRef>)],
) -> Result<Vec<Option<usize>>, Vec<DataError>> {
    let speakers = corpus.speakers();
    let mut list_of: Vec<Option<usize>> = vec![None; speakers.len()];
    let mut errors = Vec::new();
    for (index, (field, names)) in lists.iter().enumerate() {
        for (place, name) in names.iter().enumerate() {
            match name.resolve(&speakers, &format!("{field}.{place}")) {
                Err(error) => errors.push(error),
                Ok(speaker) => {
                    let own = speakers.iter().position(|known| *known == speaker);
                    let Some(slot) = own.and_then(|own| list_of.get_mut(own)) else {
                        continue;
                    };
                    match *slot {
                        None => *slot = Some(index),
                        Some(first) => errors.push(DataError::SpeakerTwice {
                            name: speaker.to_owned(),
                            first: lists[first].0.clone(),
                            second: field.clone(),
                        }),
                    }
                }
            }
        }
    }
    if errors.is_empty() { Ok(list_of) } else { Err(errors) }
}

/// What each item gets by its speaker.
pub(super) fn by_speaker<T: Copy>(items: &Items, of: impl Fn(&str) -> Option<T>) -> Vec<Option<T>> {
    let of_profile: Vec<Option<T>> = items.profiles().iter().map(|profile| of(&profile.speaker)).collect();
    let profiles = items.profile_of().iter();
    profiles.map(|profile| of_profile[*profile as usize]).collect()
}

/// The speakers in no list, as an error unless the file says what happens to them.
pub(super) fn check_rest(speakers: &[&str], list_of: &[Option<usize>], rest: Option<Rest>) -> Result<(), DataError> {
    let names: Vec<String> = speakers
        .iter()
        .zip(list_of)
        .filter(|(_, list)| list.is_none())
        .map(|(speaker, _)| (*speaker).to_owned())
        .collect();
    if names.is_empty() || rest.is_some() {
        Ok(())
    } else {
        Err(DataError::SpeakersLeft { names })
    }
}
