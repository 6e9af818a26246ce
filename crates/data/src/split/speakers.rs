//! Speakers and datasets named in the experiment file.

use crate::emotion::nearest;
use crate::person::{apart_as, folded, key_of};
use crate::{Corpus, DataError, SplitName};
use indexmap::IndexSet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Who is meant, as written in a file:
/// - one speaker, `people/id` or `dataset/id`, or the id alone where one corpus has it. Leading zeros may be left out, since
///   YAML reads `03` as a number.
/// - several, where `*` stands for any text: `emodb/*` is every speaker of it, `cremad/100*` the first nine of CREMA-D.
/// - everything in a dataset, by its name alone: `emodb`.
///
/// A speaker is meant with all that they say in any dataset, a dataset with its own items alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SpeakerRef(String);

/// What one person says in one dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Share<'a> {
    dataset: &'a str,
    /// `people/id`, or `people/?` for all who are not known.
    speaker: &'a str,
}

impl<'a> Share<'a> {
    fn people_and_id(&self) -> (&'a str, &'a str) {
        self.speaker.split_once('/').unwrap_or(("", self.speaker))
    }

    fn is_of(&self, name: &str) -> bool {
        self.dataset == name || self.people_and_id().0 == name
    }
}

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

    /// What it names among the shares, by their places.
    fn resolve(&self, shares: &IndexSet<Share<'_>>, field: &str) -> Result<Vec<usize>, DataError> {
        let text = self.0.as_str();
        let places = |wanted: &dyn Fn(&Share<'_>) -> bool| -> Vec<usize> {
            let found = shares.iter().enumerate().filter(|(_, share)| wanted(share));
            found.map(|(place, _)| place).collect()
        };
        // All that the speakers say whom some shares are of.
        let all_of = |some: &dyn Fn(&Share<'_>) -> bool| -> Vec<usize> {
            let speakers: IndexSet<&str> = shares
                .iter()
                .filter(|share| some(share))
                .map(|share| share.speaker)
                .collect();
            places(&|share| speakers.contains(share.speaker))
        };
        let (prefix, own) = match text.split_once('/') {
            Some((prefix, own)) => (Some(prefix), own),
            None => (None, text),
        };
        if text.contains('*') {
            let own = folded(own);
            let found = all_of(&|share| {
                let (people, id) = share.people_and_id();
                let within = |prefix: &str| glob(prefix, people) || glob(prefix, share.dataset);
                prefix.is_none_or(within) && glob(&own, &folded(id))
            });
            return if found.is_empty() {
                Err(self.unknown(shares, field))
            } else {
                Ok(found)
            };
        }
        let of_prefix = |share: &Share<'_>| prefix.is_none_or(|prefix| share.is_of(prefix));
        let by_id = |same: &dyn Fn(&str) -> bool| {
            let candidates = shares
                .iter()
                .filter(|share| of_prefix(share) && same(share.people_and_id().1));
            candidates.map(|share| share.speaker).collect::<IndexSet<&str>>()
        };
        let whole = places(&|share| prefix.is_none() && share.is_of(text));
        let mut found = by_id(&|id| id == own);
        if found.is_empty() && whole.is_empty() {
            found = by_id(&|id| key_of(id) == key_of(own));
        }
        if found.len() + usize::from(!whole.is_empty()) > 1 {
            let mut candidates: Vec<String> = found.into_iter().map(str::to_owned).collect();
            candidates.extend((!whole.is_empty()).then(|| format!("{text}/*")));
            return Err(DataError::AmbiguousSpeaker {
                field: field.to_owned(),
                name: self.0.clone(),
                candidates,
            });
        }
        match found.first() {
            Some(speaker) => Ok(places(&|share| share.speaker == *speaker)),
            None if whole.is_empty() => Err(self.unknown(shares, field)),
            None => Ok(whole),
        }
    }

    fn unknown(&self, shares: &IndexSet<Share<'_>>, field: &str) -> DataError {
        let known: Vec<String> = match self.0.contains('/') {
            true => {
                let named = |share: &Share<'_>| {
                    [
                        share.speaker.to_owned(),
                        format!("{}/{}", share.dataset, share.people_and_id().1),
                    ]
                };
                shares.iter().flat_map(named).collect()
            }
            false => shares
                .iter()
                .flat_map(|share| [share.people_and_id().1, share.dataset].map(str::to_owned))
                .collect(),
        };
        DataError::UnknownSpeaker {
            field: field.to_owned(),
            name: self.0.clone(),
            nearest: nearest(&self.0, known.iter().map(String::as_str)),
        }
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        // The first place leaves most for what follows.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

impl<'de> Deserialize<'de> for SpeakerRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SpeakerRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a speaker or the name of a dataset")
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
    /// They are chosen by.
    Validation,
    /// They are reported on; not for folds, each of which would report on them again.
    Test,
    /// They are left out.
    Drop,
}

impl Rest {
    pub(super) const fn side(self) -> Option<SplitName> {
        match self {
            Self::Train => Some(SplitName::Train),
            Self::Validation => Some(SplitName::Validation),
            Self::Test => Some(SplitName::Test),
            Self::Drop => None,
        }
    }
}

/// Which of several lists each item is in, by what the lists name.
///
/// # Errors
/// Every name that is unknown, ambiguous or in two lists; speakers in no list, unless the file says what happens to them.
pub(super) fn assign_lists(
    corpus: &Corpus,
    lists: &[(String, Vec<SpeakerRef>)],
    rest: Option<Rest>,
) -> Result<Vec<Option<usize>>, Vec<DataError>> {
    let profiles = corpus.items.profiles();
    let mut shares: IndexSet<Share<'_>> = IndexSet::new();
    let share_of: Vec<usize> = profiles
        .iter()
        .map(|profile| {
            let share = Share {
                dataset: &profile.dataset,
                speaker: apart_as(&profile.speaker),
            };
            shares.insert_full(share).0
        })
        .collect();
    let mut list_of: Vec<Option<usize>> = vec![None; shares.len()];
    let mut errors = Vec::new();
    for (index, (field, names)) in lists.iter().enumerate() {
        for (place, name) in names.iter().enumerate() {
            let named = match name.resolve(&shares, &format!("{field}.{place}")) {
                Ok(named) => named,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let taken = named.iter().find_map(|share| Some((*share, list_of[*share]?)));
            if let Some((share, first)) = taken {
                errors.push(DataError::SpeakerTwice {
                    name: shares[share].speaker.to_owned(),
                    first: lists[first].0.clone(),
                    second: field.clone(),
                });
                continue;
            }
            named.iter().for_each(|share| list_of[*share] = Some(index));
        }
    }
    let left: IndexSet<&str> = match rest {
        Some(_) => IndexSet::new(),
        None => shares
            .iter()
            .zip(&list_of)
            .filter(|(_, list)| list.is_none())
            .map(|(share, _)| share.speaker)
            .collect(),
    };
    if !left.is_empty() && errors.is_empty() {
        errors.push(DataError::SpeakersLeft {
            names: left.into_iter().map(str::to_owned).collect(),
        });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let items = corpus.items.profile_of().iter();
    Ok(items.map(|profile| list_of[share_of[*profile as usize]]).collect())
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-bb-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab*ab", "ab", false),
            ("abc", "abcd", false),
            ("abc", "abc", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
