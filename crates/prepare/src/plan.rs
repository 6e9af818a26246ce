//! Which utterances are prepared.

use crate::{Preparation, PrepareError};
use emorun_audio::{Channel, Segment, probe};
use emorun_data::{AudioSource, Item, ScanLevel, SplitName, scan};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// An utterance to prepare.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its stable name, `dataset/path`.
    pub key: String,
    /// Name of its corpus.
    pub dataset: String,
    /// Its speaker, `people/id`.
    pub speaker: String,
    /// The emotion that its corpus gives it.
    pub corpus_emotion: String,
    /// Place of its target emotion among the targets.
    pub emotion: usize,
    /// Its speaker's gender, where that is known.
    pub gender: Option<String>,
    /// What is said, where that is known.
    pub text: Option<String>,
    /// Groups that a split may not cut, such as a dialogue, each `name/id` among its people.
    pub groups: Vec<String>,
    /// The side that its corpus assigns.
    pub split: Option<SplitName>,
    /// Its further labels, as words.
    pub labels: IndexMap<String, String>,
    /// What else describes it, as words.
    pub attributes: IndexMap<String, String>,
    /// Its continuous labels.
    pub values: IndexMap<String, f32>,
    /// Share of the raters' votes for each target, where they are known; they add up to 1.
    pub votes: Vec<f32>,
    /// Where its sound is.
    pub audio: AudioSource,
    /// What its sound looked like on the disk.
    pub stamp: SourceStamp,
}

/// What a source looked like when it was read: another stamp is another sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceStamp {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub modified_ns: u64,
    /// What else tells it from another file, see [`emorun_files::Stamp`].
    #[serde(default)]
    pub file: String,
    /// The part of it, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_s: Option<[f64; 2]>,
    /// Which of its channels is heard.
    #[serde(default, skip_serializing_if = "is_mix")]
    pub channel: Channel,
}

fn is_mix(channel: &Channel) -> bool {
    *channel == Channel::Mix
}

/// The utterances to prepare, and what was left out of the corpora.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Target emotions in the order of their ids.
    pub targets: Vec<String>,
    /// Names of further labels, of what else describes utterances, and of continuous labels.
    pub labels: Vec<String>,
    /// See `labels`.
    pub attributes: Vec<String>,
    /// See `labels`.
    pub values: Vec<String>,
    /// The utterances, in the order of the corpora and of the files within each.
    pub wanted: Vec<Wanted>,
    /// Utterances without a target emotion, by dataset and emotion.
    pub left_out: IndexMap<(String, String), usize>,
    /// Remarks of the scan, and files that it skipped.
    pub warnings: Vec<String>,
}

/// Scans the corpora.
///
/// # Errors
/// The preparation is not valid, or everything that is wrong with the corpora.
pub fn plan(preparation: &Preparation) -> Result<Plan, PrepareError> {
    preparation.check().map_err(PrepareError::Invalid)?;
    let corpus = scan(&preparation.datasets, ScanLevel::Metadata, None).map_err(PrepareError::Data)?;
    let none = Vec::new();
    let classes = corpus.label_sets.get("emotion").unwrap_or(&none);
    let genders = corpus.label_sets.get("gender").unwrap_or(&none);
    let unknown = preparation.unknown_emotions(classes);
    if !unknown.is_empty() {
        let message = |name: &&str| {
            format!(
                "no corpus has the emotion `{name}` that `emotions` names; they have {}",
                classes.join(", ")
            )
        };
        return Err(PrepareError::Invalid(unknown.iter().map(message).collect()));
    }
    let names = preparation.targets(classes);
    let targets: Vec<Option<usize>> = classes
        .iter()
        .map(|class| {
            let target = preparation.target(class)?;
            names.iter().position(|name| name == target)
        })
        .collect();
    let mut plan = Plan {
        targets: names,
        labels: corpus
            .label_sets
            .keys()
            .filter(|name| !["emotion", "gender"].contains(&name.as_str()))
            .cloned()
            .collect(),
        attributes: corpus.attribute_sets.keys().cloned().collect(),
        values: corpus.values.clone(),
        warnings: corpus.warnings.clone(),
        ..Plan::default()
    };
    for skipped in &corpus.skipped {
        let line = format!("{:?} is left out: {}", skipped.path, skipped.reason);
        plan.warnings.push(line);
    }
    for item in corpus.items.iter() {
        let item = item.map_err(|error| PrepareError::Data(vec![error]))?;
        let class = item.label("emotion").map(|class| class as usize);
        let name = class.and_then(|class| classes.get(class)).map_or("", String::as_str);
        match class.and_then(|class| *targets.get(class)?) {
            Some(emotion) => {
                let gender = item.label("gender").and_then(|gender| genders.get(gender as usize));
                let votes = votes(&item, &targets, plan.targets.len());
                plan.wanted.push(Wanted {
                    gender: gender.cloned(),
                    labels: words(&item, &plan.labels, &corpus.label_sets),
                    attributes: words(&item, &plan.attributes, &corpus.attribute_sets),
                    votes,
                    ..wanted(&item, emotion, name)
                });
            }
            None => {
                *plan
                    .left_out
                    .entry((item.dataset.to_string(), name.to_owned()))
                    .or_default() += 1;
            }
        }
    }
    Ok(plan)
}

/// The classes of an item, as words.
fn words(item: &Item, names: &[String], sets: &IndexMap<String, Vec<String>>) -> IndexMap<String, String> {
    let word = |name: &String| sets.get(name)?.get(item.label(name)? as usize).cloned();
    names
        .iter()
        .filter_map(|name| Some((name.clone(), word(name)?)))
        .collect()
}

/// The shares of the raters' votes that the targets have, among those for any target.
fn votes(item: &Item, target_of: &[Option<usize>], targets: usize) -> Vec<f32> {
    let Some(shares) = item.soft_labels.get("emotion") else {
        return Vec::new();
    };
    let mut votes = vec![0.0; targets];
    for (share, target) in shares.iter().zip(target_of) {
        if let Some(vote) = target.and_then(|target| votes.get_mut(target)) {
            *vote += share;
        }
    }
    let all: f32 = votes.iter().sum();
    if all > 0.0 {
        votes.iter_mut().for_each(|vote| *vote /= all);
        votes
    } else {
        Vec::new()
    }
}

fn wanted(item: &Item, emotion: usize, corpus_emotion: &str) -> Wanted {
    Wanted {
        key: item.key.to_string(),
        dataset: item.dataset.to_string(),
        speaker: item.speaker.to_string(),
        corpus_emotion: corpus_emotion.to_owned(),
        emotion,
        gender: None,
        groups: item
            .groups
            .iter()
            .map(|group| group.split_once('/').map_or(group.as_str(), |(_, own)| own).to_owned())
            .collect(),
        split: item.split,
        labels: IndexMap::new(),
        attributes: IndexMap::new(),
        values: (*item.values).clone(),
        votes: Vec::new(),
        text: item.text.as_deref().map(str::to_owned),
        stamp: stamp(&item.audio),
        audio: item.audio.clone(),
    }
}

fn stamp(audio: &AudioSource) -> SourceStamp {
    match audio {
        AudioSource::File { path, segment, channel } => {
            let metadata = std::fs::metadata(path.to_path()).ok();
            let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            SourceStamp {
                bytes: metadata.as_ref().map_or(0, std::fs::Metadata::len),
                modified_ns: since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
                file: metadata
                    .as_ref()
                    .map_or_else(String::new, |metadata| emorun_files::Stamp::from(metadata).to_string()),
                part_s: segment.map(|Segment { start_s, end_s }| [start_s, end_s]),
                channel: *channel,
            }
        }
        // The description is all there is to change.
        AudioSource::Synthetic(spec) => fileless(described(spec)),
        AudioSource::Samples(clip) => fileless(described(clip)),
    }
}

fn fileless(described: u64) -> SourceStamp {
    SourceStamp {
        bytes: 0,
        modified_ns: described,
        file: String::new(),
        part_s: None,
        channel: Channel::Mix,
    }
}

fn described(source: &impl std::fmt::Debug) -> u64 {
    let hash = blake3::hash(format!("{source:?}").as_bytes());
    hash.as_bytes()
        .iter()
        .take(8)
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The sampling rate at which a source is stored; generated audio has that of the target.
pub(crate) fn own_rate(audio: &AudioSource, target_hz: u32) -> Result<u32, emorun_audio::AudioError> {
    match audio {
        AudioSource::File { path, .. } => probe(&path.to_path()).map(|info| info.rate_hz),
        AudioSource::Synthetic(_) => Ok(target_hz),
        AudioSource::Samples(clip) => Ok(clip.rate_hz),
    }
}

/// Where an utterance's prepared audio goes, below the output folder: its own path where that is plain, with a hash of
/// the key where another utterance could come to the same.
pub(crate) fn file_of(key: &str) -> String {
    let (stem, extension) = key.rsplit_once('.').unwrap_or((key, ""));
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let is_plain = extension == "wav"
        && stem.chars().all(plain)
        && Path::new(stem)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
        && !stem.contains("/.")
        && !stem.contains("//");
    if is_plain {
        return format!("audio/{stem}.wav");
    }
    let whole = if extension == "wav" { stem } else { key };
    let mut safe: String = whole.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    safe = safe
        .split('/')
        // With the hash behind it, a name as long as a file system allows would be too long.
        .map(|part| part.trim_start_matches('.').chars().take(60).collect::<String>())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("/");
    let hash = blake3::hash(key.as_bytes()).to_hex();
    format!("audio/{safe}-{}.wav", &hash.as_str()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_file_of_its_own_below_the_folder() {
        assert_eq!(
            file_of("ravdess/Actor_01/03-01.wav"),
            "audio/ravdess/Actor_01/03-01.wav"
        );
        let keys = [
            "d/a.wav",
            "d/a.flac",
            "d/a.wav#0-1",
            "d/a.wav#1-2",
            "d/../../a.wav",
            "d//a.wav",
            "/etc/a.wav",
            "d/.a.wav",
            "d/a b.wav",
            "d/a\nb.wav",
            "d/音.wav",
            "synthetic-3",
        ];
        let files: std::collections::BTreeSet<String> = keys.iter().map(|key| file_of(key)).collect();
        assert_eq!(files.len(), keys.len());
        for file in files {
            let path = Path::new(&file);
            assert!(path.starts_with("audio"), "{file}");
            assert!(
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_))),
                "{file}"
            );
            assert!(!file.contains(['\n', ' ']) && file.ends_with(".wav"), "{file}");
        }
    }
}
