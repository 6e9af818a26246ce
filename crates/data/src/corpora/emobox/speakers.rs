//! Who speaks in a corpus of EmoBox.

use super::list::{EmoboxCorpus, Voices};
use super::metadata::{Entry, Metadata};
use crate::corpora::{DatasetConfig, Facts, NameReader};
use crate::walk::Found;
use crate::{DataError, emotion};
use regex::Regex;
use std::collections::HashMap;
use std::path::Path;

/// What tells who speaks.
pub(super) enum Speakers<'a> {
    Own(NameReader),
    Path(Regex),
    One(&'static str),
    Table(Option<&'a HashMap<String, String>>),
    Unknown,
}

impl<'a> Speakers<'a> {
    pub fn new(corpus: EmoboxCorpus, dataset: &str, root: &Path, metadata: &'a Metadata) -> Result<Self, DataError> {
        Ok(match corpus.known().voices {
            Voices::Own(kind) => match DatasetConfig::whole(kind, root) {
                Some(own) => Self::Own(own.corpus().name_reader(dataset)?),
                None => Self::Unknown,
            },
            // A test compiles every pattern.
            Voices::Path(pattern) => Regex::new(pattern).map_or(Self::Unknown, Self::Path),
            Voices::One(speaker) => Self::One(speaker),
            Voices::Table => Self::Table(metadata.speakers.as_ref()),
            Voices::Unknown => Self::Unknown,
        })
    }

    /// What the entry's path tells; without a speaker where it tells none.
    pub fn facts(&self, entry: &Entry) -> Facts {
        match self {
            Self::Own(reader) => {
                let file = Found {
                    path: entry.path.clone().into(),
                    relative: entry.path.clone(),
                    bytes: 0,
                };
                reader(&file).unwrap_or_default()
            }
            Self::Path(pattern) => {
                let Some(groups) = pattern.captures(&entry.path) else {
                    return Facts::default();
                };
                let group = |name| groups.name(name).map(|group| group.as_str().to_owned());
                Facts {
                    speaker: group("speaker").unwrap_or_default(),
                    gender: group("gender").as_deref().and_then(emotion::gender).map(str::to_owned),
                    groups: group("dialogue")
                        .map(|id| format!("dialogue/{id}"))
                        .into_iter()
                        .collect(),
                    ..Facts::default()
                }
            }
            Self::One(speaker) => Facts {
                speaker: (*speaker).to_owned(),
                ..Facts::default()
            },
            Self::Table(speakers) => Facts {
                speaker: speakers
                    .and_then(|speakers| speakers.get(&entry.key))
                    .cloned()
                    .unwrap_or_default(),
                ..Facts::default()
            },
            Self::Unknown => Facts::default(),
        }
    }
}
