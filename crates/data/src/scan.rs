//! From datasets to one corpus.

use crate::corpora::{DatasetConfig, Gathered, OnBadAudio, Source, Utterance};
use crate::emotion::in_canonical_order;
use crate::files::{self, FileFacts, Request};
use crate::labelling::{Labelling, merge_classes};
use crate::{
    AudioSource, ContentHash, Corpus, DataError, DatasetFacts, Duplicate, GENDERS, Item, SkipReason, Skipped, parallel,
};
use emorun_audio::synthetic::{Gender, VoiceSpec, synthesise};
use emorun_audio::{AudioError, Segment};
use emorun_lang::Kinded as _;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// How much of the audio a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanLevel {
    /// Names, tables and file headers; the bytes only of files that look like copies.
    Metadata,
    /// Every sample of every file.
    Deep,
}

/// One utterance on its way to an [`Item`].
struct Candidate {
    dataset: usize,
    utterance: Utterance,
    segment: Option<Segment>,
    duration_s: f64,
    content: Option<ContentHash>,
}

/// Reads the datasets and merges them.
///
/// `cache` is a file in which a deep scan remembers, by path, size and time of change, what it has
/// decoded.
///
/// # Errors
/// Everything that is wrong, not only the first of it: roots, names, labels, tables and every file
/// that cannot be used.
pub fn scan(
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
) -> Result<Corpus, Vec<DataError>> {
    let mut errors = Vec::new();
    let mut corpus = Corpus::default();
    let mut gathered: Vec<(Labelling<'_>, Gathered)> = Vec::new();
    for (name, config) in datasets {
        let kind = config.corpus();
        errors.extend(kind.check(name));
        match kind.labelling(name) {
            Ok(rules) => {
                let mut found = kind.gather(name, &rules);
                if found.errors.is_empty() {
                    let emotions: Vec<String> = found.emotions.iter().cloned().collect();
                    errors.extend(rules.check_subset(&emotions));
                }
                errors.append(&mut found.errors);
                corpus.skipped.append(&mut found.skipped);
                corpus.warnings.append(&mut found.warnings);
                gathered.push((rules, found));
            }
            Err(wrong) => errors.extend(wrong),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    warn_of_names(&mut corpus, datasets);

    let mut candidates: Vec<Candidate> = Vec::new();
    for (dataset, (_, found)) in gathered.iter_mut().enumerate() {
        candidates.extend(found.utterances.drain(..).map(|utterance| Candidate {
            dataset,
            utterance,
            segment: None,
            duration_s: 0.0,
            content: None,
        }));
    }
    let names: Vec<&String> = datasets.keys().collect();
    let candidates = read_audio(candidates, datasets, level, cache, &mut corpus, &mut errors);
    let candidates = count_once(candidates, &names, &mut corpus, &mut errors);
    warn_of_namesakes(&candidates, &names, &mut corpus);
    for (index, (name, (_, found))) in names.iter().zip(&gathered).enumerate() {
        if !candidates.iter().any(|candidate| candidate.dataset == index) && errors.is_empty() {
            let bad = corpus
                .skipped
                .iter()
                .filter(|skipped| skipped.dataset == **name)
                .count();
            errors.push(DataError::NothingLeft {
                dataset: (*name).clone(),
                filtered: found.filtered,
                bad,
            });
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }

    let filtered: Vec<usize> = gathered.iter().map(|(_, found)| found.filtered).collect();
    let sets: Vec<(Vec<String>, bool)> = gathered
        .iter()
        .filter_map(|(rules, found)| {
            let open = || in_canonical_order(found.emotions.iter().map(String::as_str));
            let classes = rules.classes().unwrap_or_else(open);
            (!classes.is_empty()).then(|| (classes, rules.subset().is_some()))
        })
        .collect();
    corpus.label_sets.insert("emotion".to_owned(), merge_classes(&sets));
    corpus
        .label_sets
        .insert("gender".to_owned(), GENDERS.map(str::to_owned).to_vec());
    corpus.attribute_sets = attribute_sets(datasets);
    corpus.values = value_names(datasets);
    for column in datasets.values().flat_map(|config| config.corpus().label_columns()) {
        let values: std::collections::BTreeSet<&String> = candidates
            .iter()
            .filter_map(|candidate| candidate.utterance.facts.labels.get(column))
            .collect();
        // A manifest may tell what other corpora tell of themselves.
        let set = match corpus.attribute_sets.get_mut(column) {
            Some(set) => set,
            None => corpus.label_sets.entry(column.clone()).or_default(),
        };
        for value in values {
            if !set.contains(value) {
                set.push(value.clone());
            }
        }
    }
    corpus.items = candidates
        .into_iter()
        .map(|candidate| item(candidate, &names, &corpus.label_sets, &corpus.attribute_sets))
        .collect();
    for (index, (name, config)) in datasets.iter().enumerate() {
        let facts = facts(name, config, filtered[index], &corpus);
        corpus.datasets.insert(name.clone(), facts);
    }
    Ok(corpus)
}

/// The classes of what further describes items, over all datasets.
pub(crate) fn attribute_sets(datasets: &IndexMap<String, DatasetConfig>) -> IndexMap<String, Vec<String>> {
    let mut sets: IndexMap<String, Vec<String>> = IndexMap::new();
    for (column, classes) in datasets.values().flat_map(|config| config.corpus().attributes()) {
        let set = sets.entry(column.to_owned()).or_default();
        for class in classes {
            if !set.iter().any(|known| known == class) {
                set.push((*class).to_owned());
            }
        }
    }
    // Which dataset an item is of: the domain of domain-adversarial training.
    if datasets.len() > 1 {
        sets.insert(CORPUS.to_owned(), datasets.keys().cloned().collect());
    }
    sets
}

/// Attribute of an item: the dataset that it is of, where there are several.
pub(crate) const CORPUS: &str = "corpus";

/// Names of the continuous labels, over all datasets.
pub(crate) fn value_names(datasets: &IndexMap<String, DatasetConfig>) -> Vec<String> {
    let names: IndexSet<String> = datasets.values().flat_map(|config| config.corpus().values()).collect();
    names.into_iter().collect()
}

/// One remark a dataset on the files whose names say nothing.
fn warn_of_names(corpus: &mut Corpus, datasets: &IndexMap<String, DatasetConfig>) {
    for name in datasets.keys() {
        let mut unknown = corpus.skipped.iter().filter(|skipped| skipped.dataset == *name);
        if let Some(first) = unknown.next() {
            let count = 1 + unknown.count();
            corpus.warnings.push(format!(
                "dataset `{name}`: {count} audio files do not follow the corpus' names and are left out, such as {:?} ({})",
                first.path, first.reason
            ));
        }
    }
}

/// Lengths, segments and hashes of the candidates' audio. Those whose audio is bad become errors,
/// or are left out where their dataset says so.
fn read_audio(
    mut candidates: Vec<Candidate>,
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
    corpus: &mut Corpus,
    errors: &mut Vec<DataError>,
) -> Vec<Candidate> {
    let mut requests: IndexMap<PathBuf, Request> = IndexMap::new();
    // For each candidate: its file among the requests, and its part within the file.
    let mut asked: Vec<Option<(usize, usize)>> = Vec::with_capacity(candidates.len());
    let copies = if level == ScanLevel::Metadata {
        possible_copies(&candidates)
    } else {
        HashSet::new()
    };
    for candidate in &candidates {
        asked.push(match &candidate.utterance.source {
            Source::Voice(_) => None,
            Source::File { found, part } => {
                let entry = requests.entry(found.path.clone());
                let file = entry.index();
                let request = entry.or_insert_with(|| Request {
                    path: found.path.clone(),
                    parts: Vec::new(),
                    hash: copies.contains(&found.path),
                    decode: level == ScanLevel::Deep,
                });
                request.parts.push(part.map(|part| (part.start_s, part.end_s)));
                Some((file, request.parts.len() - 1))
            }
        });
    }
    let requests: Vec<Request> = requests.into_values().collect();
    let (read, remark) = files::read(&requests, cache);
    corpus.warnings.extend(remark);
    let mut read: Vec<Result<FileFacts, Option<AudioError>>> =
        read.into_iter().map(|result| result.map_err(Some)).collect();

    let voices: Vec<VoiceSpec> = candidates
        .iter()
        .filter_map(|candidate| match candidate.utterance.source {
            Source::Voice(spec) => Some(spec),
            Source::File { .. } => None,
        })
        .collect();
    let mut lengths = parallel::map(&voices, |spec| synthesise(spec).duration_s()).into_iter();

    let mut kept = Vec::with_capacity(candidates.len());
    for (mut candidate, asked) in candidates.drain(..).zip(asked) {
        let fault = match (&candidate.utterance.source, asked) {
            (Source::File { found, .. }, Some((file, part))) => {
                let fault = match &mut read[file] {
                    // A file that serves several items is named once.
                    Err(error) => Err(error.take()),
                    Ok(facts) => {
                        candidate.content = facts.content;
                        std::mem::replace(&mut facts.parts[part], Ok(None))
                            .map_err(Some)
                            .map(|segment| {
                                candidate.duration_s =
                                    segment.map_or(facts.duration_s, |segment| segment.end_s - segment.start_s);
                                candidate.segment = segment;
                            })
                    }
                };
                fault.err().map(|error| (error, found.path.clone()))
            }
            (Source::Voice(spec), _) => {
                candidate.content = Some(voice_hash(spec));
                candidate.duration_s = lengths.next().unwrap_or_default();
                None
            }
            (Source::File { .. }, None) => None,
        };
        let Some((error, path)) = fault else {
            kept.push(candidate);
            continue;
        };
        let (Some((dataset, config)), Some(error)) = (datasets.get_index(candidate.dataset), error) else {
            continue;
        };
        match config.corpus().on_bad_audio() {
            OnBadAudio::Error => errors.push(DataError::BadAudio {
                dataset: dataset.clone(),
                row: candidate.utterance.row,
                error,
            }),
            OnBadAudio::Skip => corpus.skipped.push(Skipped {
                dataset: dataset.clone(),
                path,
                reason: SkipReason::BadAudio(error.to_string()),
            }),
        }
    }
    kept
}

/// Files that share name and size with another one.
fn possible_copies(candidates: &[Candidate]) -> HashSet<PathBuf> {
    let mut alike: HashMap<(String, u64), IndexSet<&PathBuf>> = HashMap::new();
    for candidate in candidates {
        if let Source::File { found, .. } = &candidate.utterance.source {
            alike
                .entry((found.name().to_lowercase(), found.bytes))
                .or_default()
                .insert(&found.path);
        }
    }
    alike
        .into_values()
        .filter(|paths| paths.len() > 1)
        .flatten()
        .cloned()
        .collect()
}

/// A hash that differs between any two generated utterances.
fn voice_hash(spec: &VoiceSpec) -> ContentHash {
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

/// Which audio a candidate is: two with the same answer are the same recording.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Content(ContentHash, Option<(u64, u64)>),
    Path(PathBuf, Option<(u64, u64)>),
}

/// Drops what a dataset holds twice, and refuses what has two different labels.
fn count_once(
    candidates: Vec<Candidate>,
    names: &[&String],
    corpus: &mut Corpus,
    errors: &mut Vec<DataError>,
) -> Vec<Candidate> {
    let mut first: HashMap<Identity, Vec<usize>> = HashMap::new();
    let mut kept: Vec<Candidate> = Vec::with_capacity(candidates.len());
    let mut shared = 0_usize;
    for candidate in candidates {
        let segment = candidate
            .segment
            .map(|segment| (segment.start_s.to_bits(), segment.end_s.to_bits()));
        let identity = match (candidate.content, &candidate.utterance.source) {
            (Some(content), _) => Identity::Content(content, segment),
            (None, Source::File { found, .. }) => Identity::Path(found.path.clone(), segment),
            (None, Source::Voice(spec)) => Identity::Content(voice_hash(spec), segment),
        };
        let same = first.entry(identity).or_default();
        let mut drop = false;
        for earlier in same.iter().filter_map(|index| kept.get(*index)) {
            let within = earlier.dataset == candidate.dataset;
            if let Some((column, first_value, second_value)) = disagreement(earlier, &candidate, within) {
                errors.push(DataError::Contradiction {
                    dataset: names[candidate.dataset].clone(),
                    first: earlier.utterance.key.clone(),
                    second: candidate.utterance.key.clone(),
                    column,
                    values: Box::new([first_value, second_value]),
                });
            }
            if within {
                corpus.duplicates.push(Duplicate {
                    dataset: names[candidate.dataset].clone(),
                    kept: format!("{}/{}", names[earlier.dataset], earlier.utterance.key),
                    dropped: format!("{}/{}", names[candidate.dataset], candidate.utterance.key),
                });
                drop = true;
            } else {
                shared += 1;
            }
        }
        if !drop {
            same.push(kept.len());
            kept.push(candidate);
        }
    }
    if shared > 0 {
        corpus.warnings.push(format!(
            "{shared} recordings are in more than one dataset; splits keep them on one side"
        ));
    }
    kept
}

/// A remark where a corpus whose file names are its facts has two files of one name that are not
/// copies.
fn warn_of_namesakes(candidates: &[Candidate], names: &[&String], corpus: &mut Corpus) {
    for (dataset, name) in names.iter().enumerate() {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut count = 0_usize;
        let mut example = None;
        for candidate in candidates.iter().filter(|candidate| candidate.dataset == dataset) {
            // A manifest's facts are in its lines, and folders of one may well repeat names.
            if let (Source::File { found, .. }, None) = (&candidate.utterance.source, candidate.utterance.row)
                && let Some(first) = seen.insert(found.name().to_lowercase(), &found.relative)
            {
                count += 1;
                example.get_or_insert((first, &found.relative));
            }
        }
        if let Some((first, second)) = example {
            corpus.warnings.push(format!(
                "dataset `{name}`: {count} files have the name of another one but not its content, such as {first:?} and {second:?}; all are kept, so check whether the corpus is there twice"
            ));
        }
    }
}

/// What two descriptions of one recording disagree on: the column and both values. Within a dataset
/// speakers and sides count too; between datasets only what both tell.
fn disagreement(first: &Candidate, second: &Candidate, within: bool) -> Option<(String, String, String)> {
    let (a, b) = (&first.utterance.facts, &second.utterance.facts);
    let side = |facts: &crate::corpora::Facts| facts.split.map(|side| side.to_string());
    let mut columns = vec![
        ("emotion", a.emotion.clone(), b.emotion.clone()),
        ("gender", a.gender.clone(), b.gender.clone()),
    ];
    if within {
        columns.push(("speaker", Some(a.speaker.clone()), Some(b.speaker.clone())));
        columns.push(("split", side(a), side(b)));
    }
    columns.extend(
        a.labels
            .iter()
            .map(|(column, value)| (column.as_str(), Some(value.clone()), b.labels.get(column).cloned())),
    );
    columns.into_iter().find_map(|(column, a, b)| match (a, b) {
        (Some(a), Some(b)) if a != b => Some((column.to_owned(), a, b)),
        (Some(a), None) if within => Some((column.to_owned(), a, "absent".to_owned())),
        (None, Some(b)) if within => Some((column.to_owned(), "absent".to_owned(), b)),
        _ => None,
    })
}

fn item(
    candidate: Candidate,
    names: &[&String],
    label_sets: &IndexMap<String, Vec<String>>,
    attribute_sets: &IndexMap<String, Vec<String>>,
) -> Item {
    let Candidate {
        dataset,
        utterance: Utterance { key, source, facts, .. },
        segment,
        duration_s,
        content,
    } = candidate;
    let dataset = names[dataset];
    let index = |value: Option<&String>, classes: &[String]| {
        let class = value.and_then(|value| classes.iter().position(|class| class == value));
        class.and_then(|class| u32::try_from(class).ok())
    };
    let labels = label_sets
        .iter()
        .map(|(column, classes)| {
            let value = match column.as_str() {
                "emotion" => facts.emotion.as_ref(),
                "gender" => facts.gender.as_ref(),
                _ => facts.labels.get(column),
            };
            (column.clone(), index(value, classes))
        })
        .collect();
    let attributes = attribute_sets
        .iter()
        .map(|(column, classes)| {
            let value = facts.attributes.get(column).or_else(|| facts.labels.get(column));
            let value = if column == CORPUS { Some(dataset) } else { value };
            (column.clone(), index(value, classes))
        })
        .collect();
    let soft = label_sets
        .get("emotion")
        .filter(|_| !facts.votes.is_empty())
        .map(|classes| {
            let share = |class: &String| facts.votes.get(class).copied().unwrap_or(0.0) as f32;
            ("emotion".to_owned(), classes.iter().map(share).collect())
        });
    Item {
        key: format!("{dataset}/{key}"),
        dataset: dataset.clone(),
        audio: match source {
            Source::File { found, .. } => AudioSource::File {
                path: found.path,
                segment,
            },
            Source::Voice(spec) => AudioSource::Synthetic(spec),
        },
        speaker: format!("{dataset}/{}", facts.speaker),
        groups: facts.groups.iter().map(|group| format!("{dataset}/{group}")).collect(),
        labels,
        attributes,
        soft_labels: soft.into_iter().collect(),
        values: facts.values,
        text: facts.text,
        split: facts.split,
        duration_s,
        content,
    }
}

fn facts(name: &str, config: &DatasetConfig, filtered: usize, corpus: &Corpus) -> DatasetFacts {
    let items: Vec<&Item> = corpus.items.iter().filter(|item| item.dataset == name).collect();
    let mut lines: Vec<String> = items
        .iter()
        .map(|item| {
            let labels: Vec<&str> = item
                .labels
                .iter()
                .map(|(column, class)| {
                    class
                        .and_then(|class| corpus.label_sets.get(column)?.get(class as usize))
                        .map_or("", String::as_str)
                })
                .collect();
            let audio = item
                .content
                .map_or_else(|| format!("{:.6}", item.duration_s), |content| content.to_string());
            let mut line = format!("{:?}", (&item.key, &item.speaker, labels, audio));
            if !(item.soft_labels.is_empty() && item.values.is_empty()) {
                line.push_str(&format!("{:?}", (&item.soft_labels, &item.values)));
            }
            line
        })
        .collect();
    lines.sort_unstable();
    DatasetFacts {
        kind: config.kind().to_owned(),
        items: items.len(),
        speakers: items.iter().map(|item| &item.speaker).collect::<HashSet<_>>().len(),
        duration_s: items.iter().map(|item| item.duration_s).sum(),
        filtered,
        duplicates: corpus
            .duplicates
            .iter()
            .filter(|duplicate| duplicate.dataset == name)
            .count(),
        fingerprint: ContentHash::of(lines.join("\n").as_bytes()).to_string(),
    }
}
