//! One recording under several names.

use crate::audio::voice_hash;
use crate::candidate::{Candidate, Origin, number};
use crate::corpora::{DatasetConfig, Facts, OtherLabels, SameLabels};
use crate::{Corpus, DataError, Duplicate, person};
use emorun_audio::{Channel, Segment};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Pairs that a remark lists.
const SHOWN: usize = 5;

/// Which audio a candidate is: two with the same number are the same recording.
fn identity(candidate: &Candidate) -> u128 {
    number(|hasher| {
        // A part is what a file of its samples alone would be.
        let content = candidate.part_content.or(candidate.content);
        match (content, &candidate.origin) {
            (Some(content), _) => hasher.update(b"content").update(content.as_bytes()),
            (None, Origin::File { path, .. }) => match candidate.stamp.filter(|_| cfg!(unix)) {
                // One file by several paths: through links, or with `..` in them.
                Some(stamp) => hasher.update(b"file").update(&stamp.number().to_le_bytes()),
                None => {
                    let path = path.to_path();
                    hasher.update(b"path").update(path.as_os_str().as_encoded_bytes())
                }
            },
            (None, Origin::Voice(spec)) => hasher.update(b"content").update(voice_hash(spec).as_bytes()),
        };
        if let Some(Segment { start_s, end_s }) = candidate.segment.filter(|_| candidate.part_content.is_none()) {
            hasher.update(b" part");
            hasher.update(&start_s.to_bits().to_le_bytes());
            hasher.update(&end_s.to_bits().to_le_bytes());
        }
        if let Origin::File { channel, .. } = &candidate.origin
            && *channel != Channel::Mix
        {
            hasher.update(b" channel").update(&channel.code().to_le_bytes());
        }
    })
}

/// Two candidates of one sound, by their places.
type Pair = (usize, usize);

/// What becomes of candidates of one sound.
#[derive(Default)]
struct Found {
    /// What is wrong with a candidate, to be told in the order of the candidates.
    contradictions: BTreeMap<usize, Vec<DataError>>,
    /// Copies that are counted once.
    duplicates: BTreeMap<usize, Vec<Duplicate>>,
    /// Candidates whose labels contradict each other and that are left out.
    dropped: BTreeSet<usize>,
    /// Pairs that a dataset holds on purpose, by what is done with them.
    remarked: BTreeMap<(usize, Kept), Vec<Pair>>,
    /// Pairs of several datasets.
    shared: usize,
}

/// What is done with copies that are not counted once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    Dropped,
    WithOtherLabels,
    WithSameLabels,
}

/// Drops what a dataset holds twice, and refuses what has two different labels, unless the dataset says otherwise or the
/// corpus was published so.
pub(crate) fn count_once(
    mut candidates: Vec<Candidate>,
    datasets: &IndexMap<String, DatasetConfig>,
    corpus: &mut Corpus,
    errors: &mut Vec<DataError>,
) -> Vec<Candidate> {
    let mut identities: Vec<(u128, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(place, candidate)| (identity(candidate), place))
        .collect();
    identities.sort_unstable();
    let mut found = Found::default();
    for same in identities.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
        let mut kept: Vec<usize> = Vec::new();
        for &(_, place) in same {
            let mut once = false;
            for &earlier in &kept {
                once |= found.compare(&candidates, datasets, (earlier, place));
            }
            if !once {
                kept.push(place);
            }
        }
    }
    drop(identities);
    found.remark(&candidates, datasets, corpus);
    let out = |place: &usize| found.duplicates.contains_key(place) || found.dropped.contains(place);
    if !found.duplicates.is_empty() || !found.dropped.is_empty() {
        let mut place = 0..;
        candidates.retain(|_| place.next().is_some_and(|place| !out(&place)));
    }
    errors.extend(found.contradictions.into_values().flatten());
    corpus.duplicates.extend(found.duplicates.into_values().flatten());
    candidates
}

impl Found {
    /// Decides about two candidates of one sound; true where the second is a copy that is not counted.
    fn compare(&mut self, candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>, pair: Pair) -> bool {
        let (earlier, candidate) = (&candidates[pair.0], &candidates[pair.1]);
        // Parts of one recording are told apart by their places in it, also where one sounds as another.
        if candidate.content.is_some() && earlier.content == candidate.content && earlier.segment != candidate.segment {
            return false;
        }
        let within = earlier.dataset == candidate.dataset;
        let Some((name, config)) = datasets.get_index(candidate.dataset) else {
            return false;
        };
        let (policy, published) = (
            config.corpus().on_copies(),
            within && published_so(config, earlier, candidate),
        );
        if let Some((column, first_value, second_value)) = disagreement(earlier, candidate, within) {
            let default = if published {
                OtherLabels::Drop
            } else {
                OtherLabels::Error
            };
            match policy.other_labels.unwrap_or(default) {
                OtherLabels::Error => {
                    // One file in two lines of a table is told by the lines.
                    let named = |one: &Candidate| match one.row.filter(|_| earlier.key == candidate.key) {
                        Some(row) => format!("{}, line {row}", one.own_key()),
                        None => one.own_key().to_owned(),
                    };
                    let error = DataError::Contradiction {
                        dataset: name.clone(),
                        first: named(earlier),
                        second: named(candidate),
                        column,
                        values: Box::new([first_value, second_value]),
                    };
                    self.contradictions.entry(pair.1).or_default().push(error);
                }
                OtherLabels::Drop => {
                    self.dropped.extend([pair.0, pair.1]);
                    self.remarked
                        .entry((candidate.dataset, Kept::Dropped))
                        .or_default()
                        .push(pair);
                }
                OtherLabels::Keep => {
                    let kept = (candidate.dataset, Kept::WithOtherLabels);
                    self.remarked.entry(kept).or_default().push(pair);
                }
            }
            return false;
        }
        if !within {
            self.shared += 1;
            return false;
        }
        let default = if published { SameLabels::Keep } else { SameLabels::Once };
        match policy.same_labels.unwrap_or(default) {
            SameLabels::Once => {
                self.duplicates.entry(pair.1).or_default().push(Duplicate {
                    dataset: name.clone(),
                    kept: earlier.key.to_string(),
                    dropped: candidate.key.to_string(),
                });
                true
            }
            SameLabels::Keep => {
                let kept = (candidate.dataset, Kept::WithSameLabels);
                self.remarked.entry(kept).or_default().push(pair);
                false
            }
        }
    }

    fn remark(&self, candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>, corpus: &mut Corpus) {
        for ((dataset, kept), pairs) in &self.remarked {
            let Some((name, _)) = datasets.get_index(*dataset) else {
                continue;
            };
            let named = |(first, second): &Pair| {
                format!(
                    "{:?} and {:?}",
                    candidates[*first].own_key(),
                    candidates[*second].own_key()
                )
            };
            let mut shown: Vec<String> = pairs.iter().take(SHOWN).map(named).collect();
            if pairs.len() > SHOWN {
                shown.push(format!("{} more", pairs.len() - SHOWN));
            }
            let what = match kept {
                Kept::Dropped => {
                    "are one recording with different labels; neither is used (`on_copies: { other_labels: keep }` uses both)"
                }
                Kept::WithOtherLabels => "are one recording with different labels; both are used, on one side",
                Kept::WithSameLabels => {
                    "are one recording under two names; both are used, on one side (`on_copies: { same_labels: once }` uses the first)"
                }
            };
            let count = pairs.len();
            let of_files = if count == 1 { "pair of files" } else { "pairs of files" };
            corpus.warnings.push(format!(
                "dataset `{name}`: {count} {of_files} {what}: {}",
                shown.join(", ")
            ));
        }
        if self.shared > 0 {
            corpus.warnings.push(match self.shared {
                1 => "1 recording is in more than one dataset; splits keep it on one side".to_owned(),
                shared => format!("{shared} recordings are in more than one dataset; splits keep them on one side"),
            });
        }
    }
}

/// Whether the corpus was published with these two as one recording.
fn published_so(config: &DatasetConfig, first: &Candidate, second: &Candidate) -> bool {
    let (Some(first), Some(second)) = (stem(first), stem(second)) else {
        return false;
    };
    is_published_twice(config, &first, &second)
}

/// Whether a corpus was published with files of these names, without extension, as one recording.
pub(crate) fn is_published_twice(config: &DatasetConfig, first: &str, second: &str) -> bool {
    let same = |name: &str, stem: &str| name.eq_ignore_ascii_case(stem);
    let pairs = config.corpus().published_twice().iter();
    pairs
        .into_iter()
        .any(|[a, b]| same(a, first) && same(b, second) || same(a, second) && same(b, first))
}

/// The name of a candidate's file without extension.
fn stem(candidate: &Candidate) -> Option<String> {
    let Origin::File { path, .. } = &candidate.origin else {
        return None;
    };
    let name = path.name();
    Some(name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned())
}

/// Places of candidates of which the corpus was published with a copy.
pub(crate) fn published_copies(candidates: &[Candidate], datasets: &IndexMap<String, DatasetConfig>) -> HashSet<usize> {
    let mut places = HashSet::new();
    for (dataset, config) in datasets.values().enumerate() {
        let pairs = config.corpus().published_twice();
        if pairs.is_empty() {
            continue;
        }
        let listed = |name: &str| pairs.iter().flatten().any(|own| own.eq_ignore_ascii_case(name));
        let own = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.dataset == dataset);
        places.extend(
            own.filter(|(_, candidate)| stem(candidate).is_some_and(|name| listed(&name)))
                .map(|(at, _)| at),
        );
    }
    places
}

/// A remark where a corpus whose file names are its facts has two files of one name that are not
/// copies.
pub(crate) fn warn_of_namesakes(candidates: &[Candidate], names: &[&String], corpus: &mut Corpus) {
    for (dataset, name) in names.iter().enumerate() {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut count = 0_usize;
        let mut example = None;
        for candidate in candidates.iter().filter(|candidate| candidate.dataset == dataset) {
            // A manifest's facts are in its lines, and folders of one may well repeat names.
            if let (Origin::File { path, .. }, None) = (&candidate.origin, candidate.row)
                && let Some(first) = seen.insert(path.name().to_lowercase(), candidate.own_key())
            {
                count += 1;
                example.get_or_insert((first, candidate.own_key()));
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
    let (a, b) = (&first.facts, &second.facts);
    let side = |facts: &Facts| facts.split.map(|side| side.to_string());
    let mut columns = vec![
        ("emotion", a.emotion.clone(), b.emotion.clone()),
        ("gender", a.gender.clone(), b.gender.clone()),
    ];
    if within {
        // Each item of an unknown speaker has one of its own.
        let speaker = |facts: &Facts| match facts.speaker.starts_with(person::UNKNOWN) {
            true => person::UNKNOWN.to_owned(),
            false => facts.speaker.clone(),
        };
        columns.push(("speaker", Some(speaker(a)), Some(speaker(b))));
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
