//! Holding a corpus on disk against what was published.

mod published;
mod text;

use crate::copies::is_published_twice;
use crate::corpora::{DatasetConfig, OnBadAudio, Source, Utterance, cremad, iemocap, ravdess};
use crate::corpora::{emobox, esd, librispeech, manifest, musan};
use crate::files::{Files, Request, Wanted};
use crate::foreign::{FETCH, is_lfs_pointer};
use crate::walk::find_audio;
use crate::{ContentHash, DataError, Foreign, Skipped, parallel};
use emorun_audio::{AudioError, Channel, MIN_DURATION_S};
use emorun_lang::Kinded as _;
use indexmap::{IndexMap, IndexSet};
use published::{NO_CLASS, PublishedPart, part_of};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
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

/// A dataset of this kind with all of its recordings, wherever it lies; `None` of a kind that is not
/// known. `root` is the table of a manifest.
#[must_use]
pub fn whole(kind: &str, root: &Path) -> Option<DatasetConfig> {
    let key = if kind == manifest::KIND { "path" } else { "root" };
    let config = match kind {
        "synthetic" => serde_json::json!({ "kind": kind }),
        _ => serde_json::json!({ "kind": kind, key: root }),
    };
    serde_json::from_value(config).ok().map(|config| everything(&config))
}

/// The same corpus without what the experiment leaves out.
fn everything(config: &DatasetConfig) -> DatasetConfig {
    let mut config = config.clone();
    match &mut config {
        DatasetConfig::Ravdess(own) => {
            *own = ravdess::Ravdess {
                vocal_channel: ravdess::VocalChannel::Both,
                intensity: ravdess::Intensity::Both,
                emotions: None,
                mapping: None,
                ..own.clone()
            }
        }
        DatasetConfig::Cremad(own) => {
            *own = cremad::Cremad {
                target: cremad::Target::Acted,
                min_agreement: None,
                recognised_only: false,
                emotions: None,
                mapping: None,
                ..own.clone()
            }
        }
        DatasetConfig::Emodb(own) => (own.emotions, own.mapping) = (None, None),
        DatasetConfig::Iemocap(own) => {
            *own = iemocap::Iemocap {
                protocol: iemocap::Protocol::All,
                style: iemocap::Style::Both,
                emotions: None,
                mapping: None,
                ..own.clone()
            }
        }
        DatasetConfig::Esd(own) => {
            *own = esd::Esd {
                language: esd::Language::Both,
                emotions: None,
                mapping: None,
                ..own.clone()
            }
        }
        DatasetConfig::Librispeech(own) => {
            *own = librispeech::Librispeech {
                subsets: None,
                on_bad_audio: OnBadAudio::Error,
                channel: Default::default(),
                ..own.clone()
            }
        }
        DatasetConfig::Emobox(own) => {
            *own = emobox::Emobox {
                missing: emobox::OnMissing::Skip,
                emotions: None,
                mapping: None,
                ..own.clone()
            }
        }
        // A corpus' own labels may need its mapping.
        DatasetConfig::Manifest(_) | DatasetConfig::Files(_) | DatasetConfig::Synthetic(_) => {}
    }
    config
}

/// Holds a corpus against its published counts: every file's header is read, and the bytes of files of
/// the same size; with `deep` every sample is decoded. Emotions, mappings and filters of the config do
/// not count.
///
/// # Errors
/// The corpus cannot be read at all: no folder, no audio, no labels.
pub fn verify(dataset: &str, config: &DatasetConfig, deep: bool) -> Result<Verification, Vec<DataError>> {
    let config = everything(config);
    let kind = config.corpus();
    let rules = kind.labelling(dataset)?;
    let mut gathered = kind.gather(dataset, &rules);
    if !gathered.errors.is_empty() {
        return Err(gathered.errors);
    }
    let utterances = std::mem::take(&mut gathered.utterances);
    let mut lengths = published::lengths(&config);
    let mut found = Vec::new();
    for utterance in utterances {
        let recording = Recording {
            seconds: lengths.remove(&utterance.key),
            part: part_of(&config, &utterance),
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
        Verification::new(dataset, config.kind(), &root_of(&config)),
        published::parts(&config),
        found,
        (gathered.skipped, gathered.warnings),
        deep,
        &|first, second| is_published_twice(&config, first, second),
    ))
}

/// Holds MUSAN, a source of noise, against its published counts, as [`verify`] does a corpus.
///
/// # Errors
/// The folder cannot be read or holds no audio.
pub fn verify_musan(root: &Path, deep: bool) -> Result<Verification, Vec<DataError>> {
    const NAME: &str = "musan";
    let parts = published::musan();
    let tree = find_audio(NAME, root).map_err(|error| vec![error])?;
    let (mut found, mut skipped) = (Vec::new(), tree.skipped);
    for file in tree.found {
        let category = musan::category(&file.relative);
        let Some(part) = category.and_then(|category| parts.iter().position(|part| part.name == category)) else {
            skipped.push(Skipped {
                dataset: NAME.to_owned(),
                path: file.path,
                reason: crate::SkipReason::Name("it is in none of the folders music, noise and speech".to_owned()),
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
    let start = Verification::new(NAME, NAME, &root.display().to_string());
    Ok(compare(start, parts, found, (skipped, tree.remarks), deep, &|_, _| {
        false
    }))
}

fn root_of(config: &DatasetConfig) -> String {
    let root = match config {
        DatasetConfig::Ravdess(own) => &own.root,
        DatasetConfig::Cremad(own) => &own.root,
        DatasetConfig::Emodb(own) => &own.root,
        DatasetConfig::Iemocap(own) => &own.root,
        DatasetConfig::Esd(own) => &own.root,
        DatasetConfig::Librispeech(own) => &own.root,
        DatasetConfig::Emobox(own) => &own.root,
        DatasetConfig::Files(own) => &own.root,
        DatasetConfig::Manifest(own) => &own.path,
        DatasetConfig::Synthetic(_) => return String::new(),
    };
    root.as_path().display().to_string()
}

impl Verification {
    fn new(dataset: &str, kind: &str, root: &str) -> Self {
        Self {
            dataset: dataset.to_owned(),
            kind: kind.to_owned(),
            root: root.to_owned(),
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

fn compare(
    mut report: Verification,
    parts: Vec<PublishedPart>,
    found: Vec<(Recording, Source)>,
    (skipped, remarks): (Vec<Skipped>, Vec<String>),
    deep: bool,
    twice: &dyn Fn(&str, &str) -> bool,
) -> Verification {
    report.remarks = remarks;
    report.unknown = skipped
        .into_iter()
        .map(|skipped| Unusable {
            path: skipped.path.display().to_string(),
            problem: skipped.reason.to_string(),
        })
        .collect();
    let found = read(found, deep, &mut report);
    let recordings = count_once(found, twice, &mut report);
    report.found = recordings.len();
    let mut by_part: Vec<Vec<&Recording>> = vec![Vec::new(); parts.len()];
    for recording in &recordings {
        match recording.part.and_then(|part| by_part.get_mut(part)) {
            Some(part) => part.push(recording),
            None if !parts.is_empty() => report.unknown.push(Unusable {
                path: recording.path.clone(),
                problem: "nothing tells which part of the corpus it belongs to".to_owned(),
            }),
            None => {}
        }
    }
    let is_here = by_part.iter().any(|part| !part.is_empty());
    report.parts = parts
        .iter()
        .zip(&by_part)
        .map(|(part, found)| part_report(part, found, is_here))
        .collect();
    let whole = report.parts.iter().all(PartReport::is_complete);
    report.complete =
        whole && (is_here || parts.is_empty()) && report.unusable.is_empty() && report.contradictions.is_empty();
    report
}

impl PartReport {
    /// Whether what is here of it is as published.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let counts = self.counts.iter().all(|count| count.found == count.expected);
        self.absent || self.found == self.expected && self.missing.is_empty() && self.extra.is_empty() && counts
    }
}

fn part_report(part: &PublishedPart, found: &[&Recording], is_here: bool) -> PartReport {
    let mut tallies: HashMap<(&str, &str), usize> = HashMap::new();
    for recording in found {
        let session = recording.session.as_deref().map(|session| ("session", session));
        let own = [
            Some(("class", recording.class.as_str())),
            Some(("speaker", &recording.speaker)),
            session,
        ];
        for key in own.into_iter().flatten() {
            *tallies.entry(key).or_default() += 1;
        }
    }
    let mut counts: Vec<Count> = part
        .counts
        .iter()
        .map(|(column, value, expected)| Count {
            column: (*column).to_owned(),
            value: value.clone(),
            expected: *expected,
            found: tallies.get(&(*column, value.as_str())).copied().unwrap_or_default(),
        })
        .collect();
    counts.extend(part.speakers.map(|expected| {
        Count {
            column: "speakers".to_owned(),
            value: String::new(),
            expected,
            found: found
                .iter()
                .map(|recording| &recording.speaker)
                .collect::<IndexSet<_>>()
                .len(),
        }
    }));
    let (mut missing, mut scattered, mut extra) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(names) = &part.names {
        // Some copies write names in other letter case.
        let by_case: HashMap<String, &str> = names
            .iter()
            .map(|(stem, _)| (stem.to_lowercase(), stem.as_str()))
            .collect();
        let mut left: HashSet<&str> = by_case.values().copied().collect();
        for recording in found {
            let stem = by_case.get(&recording.stem.to_lowercase()).copied();
            if !stem.is_some_and(|stem| left.remove(stem)) {
                extra.push(recording.path.clone());
            }
        }
        for (stem, speaker) in names.iter().filter(|(stem, _)| left.contains(stem.as_str())) {
            missing.push(stem.clone());
            if tallies.contains_key(&("speaker", speaker.as_str())) {
                scattered.push(stem.clone());
            }
        }
    }
    PartReport {
        name: part.name.to_owned(),
        expected: part.files,
        found: found.len(),
        absent: found.is_empty() && is_here,
        counts,
        missing,
        scattered,
        extra,
    }
}

/// A recording that can be used, with the hash of its file where another one may be the same, and the
/// bits of the times of its part.
type Usable = (Recording, Option<ContentHash>, Option<(u64, u64)>);

/// Reads headers (or all samples), and the bytes of files that may be copies; those that cannot be used
/// are reported and left out.
fn read(found: Vec<(Recording, Source)>, deep: bool, report: &mut Verification) -> Vec<Usable> {
    let sizes: IndexMap<&Path, u64> = found
        .iter()
        .filter_map(|(_, source)| match source {
            Source::File { found, .. } => Some((found.path.as_path(), found.bytes)),
            Source::Voice(_) => None,
        })
        .collect();
    let alike = alike(&sizes);
    let mut requests: Vec<Request> = sizes
        .keys()
        .map(|path| Request {
            path: path.to_path_buf(),
            parts: Vec::new(),
            minimum_s: MIN_DURATION_S,
            hash: alike.contains(path),
            decode: deep,
        })
        .collect();
    // For each recording: its file among the requests, and its part within the file.
    let asked: Vec<Option<(usize, usize)>> = found
        .iter()
        .map(|(_, source)| match source {
            Source::File { found, part } => {
                let file = sizes.get_index_of(found.path.as_path())?;
                let parts = &mut requests.get_mut(file)?.parts;
                parts.push(Wanted {
                    part: part.map(|part| (part.start_s, part.end_s)),
                    channel: Channel::Mix,
                });
                Some((file, parts.len() - 1))
            }
            Source::Voice(_) => None,
        })
        .collect();
    let read = Files::open(None).read(&requests);
    let mut other_lengths = OtherLengths::default();
    let mut usable = Vec::with_capacity(found.len());
    for ((recording, _), asked) in found.into_iter().zip(asked) {
        let Some((file, part)) = asked else {
            usable.push((recording, None, None));
            continue;
        };
        let outcome = match &read[file] {
            Ok(facts) => facts.parts[part].as_ref().map(|segment| (facts.content, *segment)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((content, segment)) => {
                let whole_s = read[file].as_ref().map_or(0.0, |facts| facts.duration_s);
                other_lengths.compare(&recording, segment.map_or(whole_s, |part| part.end_s - part.start_s));
                let times = segment.map(|segment| (segment.start_s.to_bits(), segment.end_s.to_bits()));
                usable.push((recording, content, times));
            }
            Err(error) => report.unusable.push(Unusable {
                path: requests[file].path.display().to_string(),
                problem: problem(&requests[file].path, error),
            }),
        }
    }
    report.remarks.extend(other_lengths.remark());
    usable
}

/// Recordings that are not as long as published: somebody has changed them.
#[derive(Default)]
struct OtherLengths {
    compared: usize,
    others: usize,
    first: String,
}

impl OtherLengths {
    fn compare(&mut self, recording: &Recording, found_s: f64) {
        /// Lengths differ by so much where encoders pad.
        const SLACK_S: f64 = 0.1;
        let Some(published_s) = recording.seconds else { return };
        self.compared += 1;
        if (found_s - published_s).abs() > SLACK_S {
            self.others += 1;
            if self.others == 1 {
                self.first = format!(
                    "{:?} with {found_s:.2} s in place of {published_s:.2} s",
                    recording.path
                );
            }
        }
    }

    fn remark(self) -> Option<String> {
        (self.others > 0).then(|| {
            format!(
                "{} of {} recordings are not as long as published, such as {}: this is a changed copy, and results on it are not comparable with published ones",
                self.others, self.compared, self.first
            )
        })
    }
}

/// What is wrong with a file.
fn problem(path: &Path, error: &AudioError) -> String {
    match is_lfs_pointer(path) {
        true => format!("{}: {}; {FETCH}", path.display(), Foreign::LfsPointer),
        false => error.to_string(),
    }
}

/// The files that share their size and their start with another one: only these can be copies.
fn alike<'a>(sizes: &IndexMap<&'a Path, u64>) -> HashSet<&'a Path> {
    /// Bytes of a file's start.
    const START: u64 = 1 << 14;
    let mut by_size: HashMap<u64, Vec<&'a Path>> = HashMap::new();
    for (path, bytes) in sizes {
        by_size.entry(*bytes).or_default().push(path);
    }
    let same_size: Vec<(u64, &Path)> = by_size
        .into_iter()
        .filter(|(_, paths)| paths.len() > 1)
        .flat_map(|(bytes, paths)| paths.into_iter().map(move |path| (bytes, path)))
        .collect();
    // Those that cannot be read are reported when all of them is.
    let starts = parallel::map(&same_size, |(_, path)| {
        // Opening a pipe would wait for its other end.
        if !path.is_file() {
            return None;
        }
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
        read.ok().map(|_| ContentHash::of(&start))
    });
    let mut by_start: HashMap<(u64, ContentHash), Vec<&'a Path>> = HashMap::new();
    for ((bytes, path), start) in same_size.into_iter().zip(starts) {
        if let Some(start) = start {
            by_start.entry((bytes, start)).or_default().push(path);
        }
    }
    by_start
        .into_values()
        .filter(|paths| paths.len() > 1)
        .flatten()
        .collect()
}

/// Leaves out copies of what was found before.
fn count_once(found: Vec<Usable>, twice: &dyn Fn(&str, &str) -> bool, report: &mut Verification) -> Vec<Recording> {
    let mut first: HashMap<(ContentHash, Option<(u64, u64)>), usize> = HashMap::new();
    let mut kept: Vec<Recording> = Vec::with_capacity(found.len());
    for (recording, content, segment) in found {
        let earlier = content
            .and_then(|content| first.get(&(content, segment)))
            .map(|at| &kept[*at]);
        if let Some(earlier) = earlier {
            let pair = Copies {
                kept: earlier.path.clone(),
                copy: recording.path.clone(),
            };
            let same = earlier.class == recording.class && earlier.speaker == recording.speaker;
            if same && earlier.stem == recording.stem {
                report.copies.push(pair);
                continue;
            }
            // Two names for one recording: both are in the list, so both count.
            match twice(&earlier.stem, &recording.stem) {
                true => report.published.push(pair),
                false => report.contradictions.push(pair),
            }
        } else if let Some(content) = content {
            first.insert((content, segment), kept.len());
        }
        kept.push(recording);
    }
    kept
}

impl Utterance {
    /// The name of its file without extension.
    fn stem(&self) -> Option<&str> {
        match &self.source {
            Source::File { found, .. } => Some(found.stem()),
            Source::Voice(_) => None,
        }
    }
}
