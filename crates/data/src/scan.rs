//! From datasets to one corpus.

use crate::audio::read_audio;
use crate::candidate::{Candidate, Interner};
use crate::copies::{count_once, warn_of_namesakes};
use crate::corpora::{DatasetConfig, Gathered};
use crate::emotion::in_canonical_order;
use crate::index::Index;
use crate::item_builder::ItemBuilder;
use crate::labelling::{Labelling, merge_classes};
use crate::order::by_key;
use crate::{
    AudioSource, ContentHash, Corpus, DataError, DatasetFacts, GENDERS, Item, alike, namesakes, person, streams,
};
use emorun_audio::Channel;
use emorun_lang::Kinded as _;
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// How much of the audio a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanLevel {
    /// Names, tables and file headers; the bytes only of files that look like copies.
    Metadata,
    /// Every sample of every file.
    Deep,
}

/// Items from which on a corpus that tables describe is kept as an [`Index`].
const INDEXED_FROM: usize = 200_000;

/// Reads the datasets and merges them.
///
/// `cache` is a file in which a deep scan remembers, by path, size and time of change, what it has
/// decoded. Beside it stand indices of large corpora that tables describe: while the tables do not change, these are read
/// in place of every file, and each file is compared with its index when it is used.
///
/// # Errors
/// Everything that is wrong, not only the first of it: roots, names, labels, tables and every file
/// that cannot be used.
pub fn scan(
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
) -> Result<Corpus, Vec<DataError>> {
    scan_indexed(datasets, level, cache, INDEXED_FROM)
}

/// As [`scan`], with an index of corpora of so many items or more.
pub(crate) fn scan_indexed(
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
    indexed_from: usize,
) -> Result<Corpus, Vec<DataError>> {
    let index = cache
        .and_then(Path::parent)
        .and_then(|folder| Index::of(datasets, level, folder));
    if let Some(index) = &index
        && let Some(mut corpus) = index.load()
    {
        corpus.warnings.push(format!(
            "{} items are read from an index in {:?}, made when the corpus was read first; audio files are compared with it when they are used",
            corpus.items.len(),
            index.path().parent().unwrap_or(Path::new("")),
        ));
        return Ok(corpus);
    }
    let mut corpus = read(datasets, level, cache)?;
    let Some(index) = index.filter(|_| corpus.items.len() >= indexed_from) else {
        return Ok(corpus);
    };
    match index.save(&corpus) {
        // From the index it takes less memory.
        Ok(()) => Ok(index.load().unwrap_or(corpus)),
        Err(error) => {
            corpus.warnings.push(format!(
                "no index of the corpus was written to {:?}: {error}; the next start reads every file again",
                index.path()
            ));
            Ok(corpus)
        }
    }
}

/// Reads the datasets' tables, names and files.
fn read(
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
    cache: Option<&Path>,
) -> Result<Corpus, Vec<DataError>> {
    let mut corpus = Corpus::default();
    let (mut candidates, gathered) = gather(datasets, &mut corpus)?;
    warn_of_names(&mut corpus, datasets);

    let people = namesakes::join(&mut candidates, datasets);
    person::unite(&mut candidates, datasets, &mut corpus);
    let mut errors = Vec::new();
    let candidates = read_audio(candidates, datasets, level, cache, &mut corpus, &mut errors);
    let mut candidates = count_once(candidates, datasets, &mut corpus, &mut errors);
    let names: Vec<&String> = datasets.keys().collect();
    warn_of_namesakes(&candidates, &names, &mut corpus);
    streams::check(&mut candidates, datasets, level, cache, &mut corpus, &mut errors);
    if errors.is_empty() {
        errors.extend(nothing_left(&candidates, &names, &gathered, &corpus));
    }
    if !errors.is_empty() {
        return Err(errors);
    }

    list_classes(datasets, &candidates, &gathered, &mut corpus);
    corpus.alike = alike::groups(&mut candidates, &mut corpus);
    let mut told = ItemBuilder::new(datasets, &corpus.label_sets, &corpus.attribute_sets);
    let items: Vec<Item> = candidates.into_iter().map(|candidate| told.item(candidate)).collect();
    for (index, (name, config)) in datasets.iter().enumerate() {
        let filtered = gathered[index].1.filtered;
        let facts = facts((name, &people[index]), config, filtered, &items, &corpus);
        corpus.datasets.insert(name.clone(), facts);
    }
    warn_of_people(&items, &mut corpus);
    namesakes::warn(&items, datasets, &mut corpus);
    alike::warn_of_alike(&items, &mut corpus);
    corpus.items = items.into();
    Ok(corpus)
}

/// What each dataset yields, with the rules for its labels.
type AllGathered<'a> = Vec<(Labelling<'a>, Gathered)>;

/// Reads the datasets' tables and names.
fn gather<'a>(
    datasets: &'a IndexMap<String, DatasetConfig>,
    corpus: &mut Corpus,
) -> Result<(Vec<Candidate>, AllGathered<'a>), Vec<DataError>> {
    let mut errors = Vec::new();
    let mut gathered: AllGathered<'_> = Vec::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut interner = Interner::default();
    for (dataset, (name, config)) in datasets.iter().enumerate() {
        let kind = config.corpus();
        errors.extend(kind.check(name));
        errors.extend(check_people(name, config));
        match kind.labelling(name) {
            Ok(rules) => {
                let mut found = kind.gather_each(name, &rules, &mut |utterance| {
                    candidates.push(interner.candidate((dataset, name.as_str()), kind.channel(), utterance));
                });
                if found.errors.is_empty() {
                    let emotions: Vec<String> = found.emotions.iter().cloned().collect();
                    errors.extend(rules.check_subset(&emotions));
                }
                // A label that is not known may well be one that `mapping` misspells.
                let is_read = |error: &DataError| matches!(error, DataError::Row { .. });
                if found.errors.iter().all(is_read) {
                    errors.extend(rules.check_mapping(&found.labels));
                }
                errors.append(&mut found.errors);
                corpus.skipped.append(&mut found.skipped);
                corpus.warnings.append(&mut found.warnings);
                corpus
                    .published
                    .extend(found.published.take().map(|folds| (name.clone(), folds)));
                gathered.push((rules, found));
            }
            Err(wrong) => errors.extend(wrong),
        }
    }
    match errors.is_empty() {
        true => Ok((candidates, gathered)),
        false => Err(errors),
    }
}

/// An error for each dataset of which no candidate is left.
fn nothing_left(
    candidates: &[Candidate],
    names: &[&String],
    gathered: &AllGathered<'_>,
    corpus: &Corpus,
) -> Vec<DataError> {
    let mut errors = Vec::new();
    let mut left = vec![0_usize; names.len()];
    candidates.iter().for_each(|candidate| left[candidate.dataset] += 1);
    for ((left, name), (_, found)) in left.into_iter().zip(names).zip(gathered) {
        // The first is enough.
        if left == 0 && errors.is_empty() {
            let skipped = corpus.skipped.iter().filter(|skipped| skipped.dataset == **name);
            let reason = skipped.clone().next().map(|first| first.reason.to_string());
            errors.push(DataError::NothingLeft {
                dataset: (*name).clone(),
                filtered: found.filtered,
                bad: skipped.count(),
                reason,
            });
        }
    }
    errors
}

/// Lists the classes of labels and attributes, and the names of values, over all datasets.
fn list_classes(
    datasets: &IndexMap<String, DatasetConfig>,
    candidates: &[Candidate],
    gathered: &AllGathered<'_>,
    corpus: &mut Corpus,
) {
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
    for column in datasets.values().flat_map(|config| config.corpus().attribute_columns()) {
        let set = corpus.attribute_sets.entry(column.clone()).or_default();
        add_classes(
            set,
            candidates.iter().filter_map(|one| one.facts.attributes.get(&column)),
        );
    }
    for column in datasets.values().flat_map(|config| config.corpus().label_columns()) {
        // A manifest may tell what other corpora tell of themselves.
        let set = match corpus.attribute_sets.get_mut(&column) {
            Some(set) => set,
            None => corpus.label_sets.entry(column.clone()).or_default(),
        };
        add_classes(set, candidates.iter().filter_map(|one| one.facts.labels.get(&column)));
    }
}

/// Adds the values that are not among the classes yet, in alphabetical order.
fn add_classes<'a>(set: &mut Vec<String>, values: impl Iterator<Item = &'a String>) {
    for value in values.collect::<BTreeSet<&String>>() {
        if !set.contains(value) {
            set.push(value.clone());
        }
    }
}

/// The classes of what further describes items, over all datasets: as the corpora that tell a column list them, or by
/// name where they do not list the same. The order of the datasets changes nothing.
pub(crate) fn attribute_sets(datasets: &IndexMap<String, DatasetConfig>) -> IndexMap<String, Vec<String>> {
    let mut lists: IndexMap<&str, Vec<&[&str]>> = IndexMap::new();
    for (column, classes) in datasets.values().flat_map(|config| config.corpus().attributes()) {
        lists.entry(column).or_default().push(classes);
    }
    let owned = |classes: &[&str]| classes.iter().map(|class| (*class).to_owned()).collect();
    let mut sets: IndexMap<String, Vec<String>> = lists
        .into_iter()
        .map(|(column, lists)| {
            let set = match lists.as_slice() {
                [first, others @ ..] if others.iter().all(|other| other == first) => owned(first),
                _ => {
                    let union: BTreeSet<&str> = lists.concat().into_iter().collect();
                    union.into_iter().map(str::to_owned).collect()
                }
            };
            (column.to_owned(), set)
        })
        .collect();
    // Which dataset an item is of: the domain of domain-adversarial training.
    if datasets.len() > 1 {
        let mut names: Vec<String> = datasets.keys().cloned().collect();
        names.sort_unstable();
        sets.insert(CORPUS.to_owned(), names);
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

/// What is wrong with the name of a dataset's people: it is the start of its speakers' names.
pub(crate) fn check_people(name: &str, config: &DatasetConfig) -> Option<DataError> {
    let people = config.corpus().people(name);
    let is_name = !people.trim().is_empty() && people.trim() == people && !people.contains(['/', '*']);
    (!is_name).then(|| DataError::Field {
        dataset: name.to_owned(),
        field: "people",
        problem: "must be a name without `/`, `*` and spaces around it",
    })
}

/// Remarks on datasets of the same people.
fn warn_of_people(items: &[Item], corpus: &mut Corpus) {
    let mut datasets_of: IndexMap<&str, IndexSet<&str>> = IndexMap::new();
    let mut seen = HashSet::new();
    for item in items {
        if !person::is_unknown(&item.speaker) && seen.insert((item.dataset.as_ptr(), item.speaker.as_ptr())) {
            let people = item.speaker.split_once('/').map_or("", |(people, _)| people);
            datasets_of.entry(people).or_default().insert(&item.dataset);
        }
    }
    let listed = |names: &mut dyn Iterator<Item = &&str>| -> String {
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        names.join(" and ")
    };
    let mut warnings = Vec::new();
    for (people, datasets) in datasets_of.iter().filter(|(_, datasets)| datasets.len() > 1) {
        warnings.push(format!(
            "datasets {} are of the same people (`{people}`): what one speaker says in them stays on one side; `people: NAME` on one of them says that they are not",
            listed(&mut datasets.iter())
        ));
    }
    corpus.warnings.extend(warnings);
}

/// One remark a dataset on the files whose names say nothing.
fn warn_of_names(corpus: &mut Corpus, datasets: &IndexMap<String, DatasetConfig>) {
    for name in datasets.keys() {
        let mut unknown = corpus.skipped.iter().filter(|skipped| skipped.dataset == *name);
        if let Some(first) = unknown.next() {
            let count = 1 + unknown.count();
            corpus.warnings.push(format!(
                "dataset `{name}`: {} left out, such as {:?} ({})",
                match count {
                    1 => "1 audio file does not follow the corpus' names and is".to_owned(),
                    count => format!("{count} audio files do not follow the corpus' names and are"),
                },
                first.path,
                first.reason
            ));
        }
    }
}

fn facts(
    (name, people): (&str, &str),
    config: &DatasetConfig,
    filtered: usize,
    all: &[Item],
    corpus: &Corpus,
) -> DatasetFacts {
    let own: Vec<usize> = (0..all.len()).filter(|index| all[*index].dataset == name).collect();
    let items = || own.iter().map(|index| &all[*index]);
    let line = |item: &Item| {
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
        if let AudioSource::File { channel, .. } = &item.audio
            && *channel != Channel::Mix
        {
            line.push_str(&format!("channel {channel}"));
        }
        if !(item.soft_labels.is_empty() && item.values.is_empty()) {
            line.push_str(&format!("{:?}", (&item.soft_labels, &item.values)));
        }
        for (name, source) in item.streams.iter() {
            line.push_str(&format!("stream {name} {}", source.identity()));
        }
        line
    };
    let lines = by_key(all, own.iter().copied()).into_iter();
    DatasetFacts {
        kind: config.kind().to_owned(),
        people: people.to_owned(),
        items: own.len(),
        speakers: items()
            .map(|item| &item.speaker)
            .filter(|speaker| !person::is_unknown(speaker))
            .collect::<HashSet<_>>()
            .len(),
        duration_s: items().map(|item| item.duration_s).sum(),
        filtered,
        duplicates: corpus
            .duplicates
            .iter()
            .filter(|duplicate| duplicate.dataset == name)
            .count(),
        fingerprint: ContentHash::of_lines(lines.map(|index| line(&all[index]))).to_string(),
    }
}
