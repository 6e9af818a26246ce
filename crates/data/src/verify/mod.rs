//! Holding a corpus on disk against what was published.

mod compare;
mod found;
mod published;
mod text;

pub(crate) use published::{NO_CLASS, PublishedPart};

use crate::copies::is_published_twice;
use crate::corpora::{DatasetConfig, NoiseCorpus, Source};
use crate::text::in_a_sentence;
use crate::walk::find_audio;
use crate::{DataError, SkipReason, Skipped};
use compare::compare;
use serde::Serialize;
use std::path::Path;

/// What a corpus on disk has, beside what it should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Name of the dataset.
    pub dataset: String,
    /// Its kind.
    pub kind: String,
    /// Where it lies.
    pub root: String,
    /// Whether everything is there, once, and can be used.
    pub complete: bool,
    /// The parts that it was published in; none of a corpus that is described by its own table.
    pub parts: Vec<PartReport>,
    /// Recordings found, copies counted once.
    pub found: usize,
    /// Files that hold the same bytes as another one: kept, and copies of it.
    pub copies: Vec<Copies>,
    /// Files with the same bytes but other labels.
    pub contradictions: Vec<Copies>,
    /// Files with the same bytes under two names, as the corpus was published.
    pub published: Vec<Copies>,
    /// Files whose names are none of the corpus', and why.
    pub unknown: Vec<Unusable>,
    /// Files that cannot be used, and why.
    pub unusable: Vec<Unusable>,
    /// Further remarks.
    pub remarks: Vec<String>,
}

/// A published part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// Its name, such as `speech`.
    pub name: String,
    /// Files published.
    pub expected: usize,
    /// Files found.
    pub found: usize,
    /// Whether none of it is here, while other parts are: it was not fetched.
    pub absent: bool,
    /// Counts of classes, speakers or sessions.
    pub counts: Vec<Count>,
    /// Names of files that are missing, where names are known.
    pub missing: Vec<String>,
    /// Those among them whose speaker has other files here.
    pub scattered: Vec<String>,
    /// Paths of files that it was not published with.
    pub extra: Vec<String>,
}

/// How many files there are of one class, speaker or session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// `class`, `speaker`, `session` or `speakers`.
    pub column: String,
    /// Which one.
    pub value: String,
    /// Files published (of `speakers`: speakers).
    pub expected: usize,
    /// Files found.
    pub found: usize,
}

/// Files of the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copies {
    /// Path of the first below the root.
    pub kept: String,
    /// Path of the other.
    pub copy: String,
}

/// A file that is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// Its path.
    pub path: String,
    /// Why.
    pub problem: String,
}

impl PartReport {
    /// Whether what is here of it is as published.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let counts = self.counts.iter().all(|count| count.found == count.expected);
        self.absent || self.found == self.expected && self.missing.is_empty() && self.extra.is_empty() && counts
    }
}

/// One recording found.
struct Recording {
    part: Option<usize>,
    stem: String,
    path: String,
    class: String,
    speaker: String,
    session: Option<String>,
    /// Length in seconds that it was published with, where that is known.
    seconds: Option<f64>,
}

/// Holds a corpus against its published counts: every file's header is read, and the bytes of files of
/// the same size; with `deep` every sample is decoded. Emotions, mappings and filters of the config do
/// not count.
///
/// # Errors
/// The corpus cannot be read at all: no folder, no audio, no labels.
pub fn verify(dataset: &str, config: &DatasetConfig, deep: bool) -> Result<Verification, Vec<DataError>> {
    let config = config.with_all();
    let kind = config.corpus();
    let rules = kind.labelling(dataset)?;
    let mut gathered = kind.gather(dataset, &rules);
    if !gathered.errors.is_empty() {
        return Err(gathered.errors);
    }
    let utterances = std::mem::take(&mut gathered.utterances);
    let mut lengths = kind.published_lengths();
    let mut found = Vec::new();
    for utterance in utterances {
        let recording = Recording {
            seconds: lengths.remove(&utterance.key),
            part: kind.published_part_of(&utterance),
            stem: utterance.stem().unwrap_or(&utterance.key).to_owned(),
            path: utterance.key.clone(),
            class: utterance.facts.emotion.clone().unwrap_or_else(|| NO_CLASS.to_owned()),
            speaker: utterance.facts.speaker.clone(),
            session: utterance
                .facts
                .groups
                .iter()
                .find_map(|group| group.strip_prefix("session/").map(str::to_owned)),
        };
        found.push((recording, utterance.source));
    }
    Ok(compare(
        Verification::new(dataset, kind.kind(), kind.place()),
        kind.published_parts(),
        found,
        (gathered.skipped, gathered.warnings),
        deep,
        &|first, second| is_published_twice(&config, first, second),
    ))
}

/// Holds a source of noise against its published counts, as [`verify`] does a corpus.
///
/// # Errors
/// The folder cannot be read or holds no audio.
pub fn verify_noise(noise: &NoiseCorpus, root: &Path, deep: bool) -> Result<Verification, Vec<DataError>> {
    let part = |(name, files): &(&'static str, usize)| PublishedPart::new(name, *files);
    let parts: Vec<PublishedPart> = noise.categories.iter().map(part).collect();
    let tree = find_audio(noise.name, root).map_err(|error| vec![error])?;
    let (mut found, mut skipped) = (Vec::new(), tree.skipped);
    let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
    for file in tree.found {
        let category = (noise.category)(&file.relative);
        let Some(part) = category.and_then(|category| parts.iter().position(|part| part.name == category)) else {
            skipped.push(Skipped {
                dataset: noise.name.to_owned(),
                path: file.path,
                reason: SkipReason::Name(format!("it is in none of the folders {}", in_a_sentence(&names))),
            });
            continue;
        };
        let recording = Recording {
            part: Some(part),
            stem: file.stem().to_owned(),
            path: file.relative.clone(),
            class: parts[part].name.to_owned(),
            speaker: String::new(),
            session: None,
            seconds: None,
        };
        found.push((
            recording,
            Source::File {
                found: file,
                part: None,
            },
        ));
    }
    let start = Verification::new(noise.name, noise.name, Some(root));
    Ok(compare(start, parts, found, (skipped, tree.remarks), deep, &|_, _| {
        false
    }))
}

impl Verification {
    fn new(dataset: &str, kind: &str, root: Option<&Path>) -> Self {
        Self {
            dataset: dataset.to_owned(),
            kind: kind.to_owned(),
            root: root.map_or_else(String::new, |root| root.display().to_string()),
            complete: false,
            parts: Vec::new(),
            found: 0,
            copies: Vec::new(),
            contradictions: Vec::new(),
            published: Vec::new(),
            unknown: Vec::new(),
            unusable: Vec::new(),
            remarks: Vec::new(),
        }
    }
}
