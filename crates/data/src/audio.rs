//! Reading the audio of candidates.

use crate::candidate::{Candidate, Origin, number};
use crate::copies::published_copies;
use crate::corpora::{DatasetConfig, OnBadAudio};
use crate::files::{FileFacts, Files, Request, Wanted};
use crate::foreign::{FETCH, is_lfs_pointer};
use crate::{ContentHash, Corpus, DataError, Foreign, ScanLevel, SkipReason, Skipped, parallel};
use emorun_audio::synthetic::{Gender, VoiceSpec, synthesise};
use emorun_audio::{AudioError, MIN_DURATION_S, Remark};
use emorun_lang::Kinded as _;
use indexmap::{IndexMap, IndexSet};
use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};

/// Items of silence that a remark names.
const SILENT_SHOWN: usize = 5;
/// Candidates whose files are read together.
const READ_TOGETHER: usize = 1 << 16;

/// Lengths, segments and hashes of the candidates' audio. Those whose audio is bad become errors,
/// or are left out where their dataset says so.
pub(crate) fn read_audio(
    mut candidates: Vec<Candidate>,
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
    corpus: &mut Corpus,
    errors: &mut Vec<DataError>,
) -> Vec<Candidate> {
    let copies = match level {
        ScanLevel::Metadata => {
            let mut copies = possible_copies(&candidates);
            copies.extend(published_copies(&candidates, datasets));
            copies
        }
        ScanLevel::Deep => HashSet::new(),
    };
    let mut files = Files::open(cache);
    let mut wrong: Vec<Vec<Bad>> = datasets.iter().map(|_| Vec::new()).collect();
    let mut bad: HashSet<usize> = HashSet::new();
    // Files that cannot be read serve several items at times, and are named once.
    let mut named: HashSet<PathBuf> = HashSet::new();
    let mut remarks: Remarks = IndexMap::new();
    for start in (0..candidates.len()).step_by(READ_TOGETHER) {
        let end = candidates.len().min(start + READ_TOGETHER);
        let together = &mut candidates[start..end];
        let faults = read_together(together, start, level, &copies, &mut files, &mut remarks);
        for (place, fault) in faults {
            bad.insert(start + place);
            let candidate = &together[place];
            let Origin::File { path, .. } = &candidate.origin else {
                continue;
            };
            let path = path.to_path();
            let error = match fault {
                Fault::Known => continue,
                Fault::File(_) if named.contains(&path) => continue,
                Fault::File(error) => {
                    named.insert(path.clone());
                    error
                }
                Fault::Part(error) => error,
            };
            let row = candidate.row;
            if let Some(wrong) = wrong.get_mut(candidate.dataset) {
                wrong.push(Bad { row, path, error });
            }
        }
    }
    for (at, ((dataset, config), wrong)) in datasets.iter().zip(wrong).enumerate() {
        match config.corpus().on_bad_audio() {
            OnBadAudio::Error => {
                let (pointers, wrong): (Vec<Bad>, Vec<Bad>) = wrong.into_iter().partition(Bad::is_pointer);
                if let Some(first) = pointers.first() {
                    errors.push(DataError::Pointers {
                        dataset: dataset.clone(),
                        kind: config.kind(),
                        count: pointers.len(),
                        of: files_of(&candidates, at),
                        path: first.path.clone(),
                    });
                }
                errors.extend(told_together(dataset, wrong));
            }
            OnBadAudio::Skip => corpus.skipped.extend(wrong.into_iter().map(|bad| Skipped {
                dataset: dataset.clone(),
                reason: SkipReason::BadAudio(bad.reason()),
                path: bad.path,
            })),
        }
    }
    corpus.warnings.extend(files.finish());
    warn_of_silence(&candidates, datasets, corpus);
    remarks.sort_keys();
    for ((dataset, remark), paths) in remarks {
        if let (Some((name, _)), Some(first)) = (datasets.get_index(dataset), paths.first()) {
            corpus.warnings.push(format!(
                "dataset `{name}`: {} of its files {remark}; the first is {first:?}",
                paths.len()
            ));
        }
    }
    if !bad.is_empty() {
        let mut index = 0..;
        candidates.retain(|_| index.next().is_some_and(|index| !bad.contains(&index)));
    }
    candidates
}

/// One remark a dataset on items of digital silence: nothing can be learned from them.
fn warn_of_silence(candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>, corpus: &mut Corpus) {
    for (dataset, name) in datasets.keys().enumerate() {
        let own = candidates
            .iter()
            .filter(|candidate| candidate.dataset == dataset && candidate.silent);
        let mut keys: Vec<String> = own.map(|candidate| format!("`{}`", candidate.key)).collect();
        let count = keys.len();
        if count > SILENT_SHOWN {
            keys.truncate(SILENT_SHOWN);
            keys.push(format!("{} more", count - SILENT_SHOWN));
        }
        if count > 0 {
            corpus.warnings.push(format!(
                "dataset `{name}`: {} digital silence, every sample 0: {}",
                match count {
                    1 => "1 item is".to_owned(),
                    count => format!("{count} items are"),
                },
                keys.join(", ")
            ));
        }
    }
}

/// Files that can be read although something is odd about them, by dataset and remark.
type Remarks = IndexMap<(usize, Remark), IndexSet<PathBuf>>;

/// A file that cannot be used.
struct Bad {
    /// Line of the manifest that names it.
    row: Option<u64>,
    path: PathBuf,
    error: AudioError,
}

impl Bad {
    fn is_pointer(&self) -> bool {
        is_lfs_pointer(&self.path)
    }

    fn reason(&self) -> String {
        match self.is_pointer() {
            true => format!("{}: {}; {FETCH}", self.path.display(), Foreign::LfsPointer),
            false => self.error.to_string(),
        }
    }
}

/// Files of one dataset that are named one by one, where the same is wrong with all of them.
const NAMED: usize = 5;

/// The errors of a dataset's files: one for each file, or one for many of which the same is wrong, in the order of the first
/// of these.
fn told_together(dataset: &str, wrong: Vec<Bad>) -> Vec<DataError> {
    let mut groups: IndexMap<Discriminant<AudioError>, Vec<Bad>> = IndexMap::new();
    for bad in wrong {
        groups.entry(discriminant(&bad.error)).or_default().push(bad);
    }
    let mut errors = Vec::new();
    for group in groups.into_values() {
        let count = group.len();
        let mut group = group.into_iter();
        if count <= NAMED {
            errors.extend(group.map(|Bad { row, error, .. }| DataError::BadAudio {
                dataset: dataset.to_owned(),
                row,
                error,
            }));
        } else if let Some(Bad { row, error, .. }) = group.next() {
            errors.push(DataError::ManyBad {
                dataset: dataset.to_owned(),
                count,
                row,
                error,
                others: group.take(NAMED).map(|bad| bad.path).collect(),
            });
        }
    }
    errors
}

/// How many files a dataset has.
fn files_of(candidates: &[Candidate], dataset: usize) -> usize {
    let own = candidates.iter().filter(|candidate| candidate.dataset == dataset);
    let paths: HashSet<PathBuf> = own
        .filter_map(|candidate| match &candidate.origin {
            Origin::File { path, .. } => Some(path.to_path()),
            Origin::Voice(_) => None,
        })
        .collect();
    paths.len()
}

/// What is wrong with the audio of a candidate.
enum Fault {
    /// The file.
    File(AudioError),
    /// The file, which was told before.
    Known,
    /// The part of it.
    Part(AudioError),
}

/// Lengths, segments and hashes of candidates that start at a place among all; gives those whose audio is bad.
fn read_together(
    candidates: &mut [Candidate],
    start: usize,
    level: ScanLevel,
    copies: &HashSet<usize>,
    files: &mut Files<'_>,
    remarks: &mut Remarks,
) -> Vec<(usize, Fault)> {
    let mut requests: IndexMap<PathBuf, Request> = IndexMap::new();
    // For each candidate: its file among the requests, and its part within the file.
    let mut asked: Vec<Option<(usize, usize)>> = Vec::with_capacity(candidates.len());
    for (place, candidate) in candidates.iter().enumerate() {
        asked.push(match &candidate.origin {
            Origin::Voice(_) => None,
            Origin::File {
                path, part, channel, ..
            } => {
                let path = path.to_path();
                let entry = requests.entry(path.clone());
                let file = entry.index();
                let request = entry.or_insert_with(|| Request {
                    path,
                    parts: Vec::new(),
                    minimum_s: MIN_DURATION_S,
                    hash: copies.contains(&(start + place)),
                    decode: level == ScanLevel::Deep,
                });
                request.parts.push(Wanted {
                    part: part.map(|part| (part.start_s, part.end_s)),
                    channel: *channel,
                });
                Some((file, request.parts.len() - 1))
            }
        });
    }
    let requests: Vec<Request> = requests.into_values().collect();
    let read = files.read(&requests);
    let mut read: Vec<Result<FileFacts, Option<AudioError>>> =
        read.into_iter().map(|result| result.map_err(Some)).collect();

    let voices: Vec<VoiceSpec> = candidates
        .iter()
        .filter_map(|candidate| match &candidate.origin {
            Origin::Voice(spec) => Some(**spec),
            Origin::File { .. } => None,
        })
        .collect();
    let mut lengths = parallel::map(&voices, |spec| synthesise(spec).duration_s()).into_iter();

    let mut faults = Vec::new();
    for (place, (candidate, asked)) in candidates.iter_mut().zip(asked).enumerate() {
        match (&candidate.origin, asked) {
            (Origin::File { .. }, Some((file, part))) => match &mut read[file] {
                Err(error) => faults.push((place, error.take().map_or(Fault::Known, Fault::File))),
                Ok(facts) => match std::mem::replace(&mut facts.parts[part], Ok(None)) {
                    Err(error) => faults.push((place, Fault::Part(error))),
                    Ok(segment) => {
                        for remark in &facts.remarks {
                            let paths = remarks.entry((candidate.dataset, *remark)).or_default();
                            paths.insert(requests[file].path.clone());
                        }
                        let seconds = segment.map(|segment| segment.end_s - segment.start_s);
                        candidate.duration_s = seconds.unwrap_or(facts.duration_s);
                        candidate.segment = segment;
                        candidate.content = facts.content;
                        candidate.part_content = facts.part_contents[part];
                        if level == ScanLevel::Deep {
                            candidate.silent = facts.peak == 0.0;
                            // Parts of one recording are compared by their places in it.
                            let whole = segment.is_none();
                            candidate.print = whole.then(|| Box::new(std::mem::take(&mut facts.print)));
                        }
                        candidate.stamp = facts.stamp;
                    }
                },
            },
            (Origin::Voice(spec), _) => {
                candidate.content = Some(voice_hash(spec));
                candidate.duration_s = lengths.next().unwrap_or_default();
            }
            (Origin::File { .. }, None) => {}
        }
    }
    faults
}

/// Places of candidates whose files share name and size with another file.
fn possible_copies(candidates: &[Candidate]) -> HashSet<usize> {
    let mut alike: Vec<(u128, usize)> = Vec::with_capacity(candidates.len());
    for (place, candidate) in candidates.iter().enumerate() {
        if let Origin::File { path, bytes, .. } = &candidate.origin {
            alike.push((
                number(|hasher| {
                    hasher.update(&bytes.to_le_bytes());
                    hasher.update(path.name().to_lowercase().as_bytes());
                }),
                place,
            ));
        }
    }
    alike.sort_unstable();
    let path = |place: usize| match &candidates[place].origin {
        Origin::File { path, .. } => Some(path),
        Origin::Voice(_) => None,
    };
    alike
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|same| same.iter().any(|(_, place)| path(*place) != path(same[0].1)))
        .flat_map(|same| same.iter().map(|(_, place)| *place))
        .collect()
}

/// A hash that differs between any two generated utterances.
pub(crate) fn voice_hash(spec: &VoiceSpec) -> ContentHash {
    let gender = match spec.gender {
        Gender::Female => "female",
        Gender::Male => "male",
    };
    let VoiceSpec {
        speaker,
        emotion,
        sentence,
        take,
        seed,
        overlap,
        ..
    } = spec;
    ContentHash::of(
        format!(
            "synthetic {speaker} {gender} {} {sentence} {take} {seed} {overlap}",
            emotion.name()
        )
        .as_bytes(),
    )
}
