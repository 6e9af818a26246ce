//! Utterances on their way to items, with what they share kept once.

use crate::corpora::{Facts, FilePart, Source, Utterance};
use crate::walk::Found;
use crate::{ContentHash, FilePath, Name, ShortStamp, StreamSource};
use emorun_audio::synthetic::VoiceSpec;
use emorun_audio::{AcousticFingerprint, Channel, Segment};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Where the sound of a [`Candidate`] comes from.
pub(crate) enum Origin {
    File {
        path: FilePath,
        part: Option<FilePart>,
        channel: Channel,
        bytes: u64,
    },
    Voice(Box<VoiceSpec>),
}

/// One utterance on its way to an item.
pub(crate) struct Candidate {
    pub dataset: usize,
    /// The item's key.
    pub key: Name,
    pub origin: Origin,
    /// What its corpus tells of it, but its text.
    pub facts: Arc<Facts>,
    pub text: Option<Name>,
    /// Its parts of its dataset's streams.
    pub streams: Vec<(Name, StreamSource)>,
    /// Line of the manifest that names it.
    pub row: Option<u64>,
    pub segment: Option<Segment>,
    pub duration_s: f64,
    pub content: Option<ContentHash>,
    /// Hash of the samples of its segment, where these were compared.
    pub part_content: Option<ContentHash>,
    /// What all of a file sounds like, until it was compared with others.
    pub print: Option<Box<AcousticFingerprint>>,
    pub stamp: Option<ShortStamp>,
    /// Whether every sample of it is 0, as far as they were decoded.
    pub silent: bool,
}

impl Candidate {
    /// The key within its dataset.
    pub fn own_key(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, own)| own)
    }
}

/// Keeps once what many utterances share.
#[derive(Default)]
pub(crate) struct Interner {
    facts: HashMap<Vec<u8>, Arc<Facts>>,
    folders: HashSet<Arc<Path>>,
    names: HashSet<Name>,
}

impl Interner {
    /// The candidate for an utterance of the dataset of this number and name, of whose files this channel is heard.
    pub fn candidate(&mut self, (dataset, name): (usize, &str), channel: Channel, utterance: Utterance) -> Candidate {
        let Utterance {
            key,
            source,
            mut facts,
            row,
        } = utterance;
        let key = Name::from(format!("{name}/{key}"));
        let text = facts.text.take().map(Name::from);
        let streams = std::mem::take(&mut facts.streams).into_iter();
        let streams = streams.map(|(name, source)| (self.name(&name), source)).collect();
        Candidate {
            dataset,
            origin: match source {
                Source::File { found, part } => Origin::File {
                    path: self.path(&found, &key),
                    part,
                    channel,
                    bytes: found.bytes,
                },
                Source::Voice(spec) => Origin::Voice(Box::new(spec)),
            },
            key,
            facts: self.facts(facts),
            text,
            streams,
            row,
            segment: None,
            duration_s: 0.0,
            content: None,
            part_content: None,
            print: None,
            stamp: None,
            silent: false,
        }
    }

    fn path(&mut self, found: &Found, key: &Name) -> FilePath {
        let name = found.path.file_name().and_then(|name| name.to_str());
        let (Some(folder), Some(name)) = (found.path.parent(), name) else {
            return found.path.as_path().into();
        };
        let folder = match self.folders.get(folder) {
            Some(folder) => folder.clone(),
            None => {
                let folder: Arc<Path> = folder.into();
                self.folders.insert(folder.clone());
                folder
            }
        };
        if key.ends_with(name) {
            return FilePath::new(folder, key.clone(), key.len() - name.len());
        }
        // Parts of one file have keys that end otherwise.
        FilePath::new(folder, self.name(name), 0)
    }

    fn name(&mut self, name: &str) -> Name {
        match self.names.get(name) {
            Some(name) => name.clone(),
            None => {
                let name = Name::from(name);
                self.names.insert(name.clone());
                name
            }
        }
    }

    /// Facts without numbers are those of many utterances: a speaker's in one emotion.
    fn facts(&mut self, facts: Facts) -> Arc<Facts> {
        if !facts.values.is_empty() || !facts.votes.is_empty() {
            return Arc::new(facts);
        }
        let mut key = Vec::with_capacity(64);
        let mut add = |text: &str| {
            key.extend((text.len() as u64).to_le_bytes());
            key.extend(text.as_bytes());
        };
        add(&facts.speaker);
        for text in [&facts.people, &facts.emotion, &facts.gender] {
            add(if text.is_some() { "is" } else { "is not" });
            add(text.as_deref().unwrap_or_default());
        }
        add(facts.split.map_or("", crate::SplitName::as_str));
        for (column, value) in facts.labels.iter().chain(&facts.attributes) {
            add(column);
            add(value);
        }
        facts.groups.iter().for_each(|group| add(group));
        // Which of the texts are which.
        add(&format!("{} {}", facts.labels.len(), facts.attributes.len()));
        self.facts.entry(key).or_insert_with(|| Arc::new(facts)).clone()
    }
}

/// A number for what `describe` adds: another one for anything else.
pub(crate) fn number(describe: impl FnOnce(&mut blake3::Hasher)) -> u128 {
    let mut hasher = blake3::Hasher::new();
    describe(&mut hasher);
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(first)
}
