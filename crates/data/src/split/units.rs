//! Connected groups of speakers: what a split must not cut.

use crate::{AudioSource, ContentHash, Corpus};
use std::collections::HashMap;

/// Speakers that are connected by a group or a recording, with all their items.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    /// Dataset of its first item.
    pub dataset: String,
    /// The speakers, in alphabetical order.
    pub speakers: Vec<String>,
    /// Indices of their items.
    pub items: Vec<usize>,
    /// Items of each class of each label column, one column after the other.
    pub profile: Vec<f64>,
}

impl Unit {
    /// What the unit is called in draws: its first speaker.
    pub fn name(&self) -> &str {
        self.speakers.first().map_or("", String::as_str)
    }
}

/// The connected groups of speakers, in the order of their first items.
pub(crate) fn units(corpus: &Corpus) -> Vec<Unit> {
    let mut speakers: indexmap::IndexMap<&str, usize> = indexmap::IndexMap::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    for item in &corpus.items {
        let next = parents.len();
        let speaker = *speakers.entry(&item.speaker).or_insert(next);
        if speaker == next {
            parents.push(next);
        }
        for group in &item.groups {
            let other = *groups.entry(group).or_insert(speaker);
            join(&mut parents, speaker, other);
        }
    }
    for (a, b) in same_audio(corpus, |_| true) {
        let of = |index: usize| speakers[corpus.items[index].speaker.as_str()];
        join(&mut parents, of(a), of(b));
    }

    let columns: Vec<(&String, usize)> = corpus
        .label_sets
        .iter()
        .map(|(column, classes)| (column, classes.len()))
        .collect();
    let width = columns.iter().map(|(_, classes)| classes).sum();
    let mut units: indexmap::IndexMap<usize, Unit> = indexmap::IndexMap::new();
    for (index, item) in corpus.items.iter().enumerate() {
        let root = find(&mut parents, speakers[item.speaker.as_str()]);
        let unit = units.entry(root).or_insert_with(|| Unit {
            dataset: item.dataset.clone(),
            speakers: Vec::new(),
            items: Vec::new(),
            profile: vec![0.0; width],
        });
        unit.items.push(index);
        if !unit.speakers.contains(&item.speaker) {
            unit.speakers.push(item.speaker.clone());
        }
        let mut offset = 0;
        for (column, classes) in &columns {
            if let Some(count) = item
                .label(column)
                .and_then(|class| unit.profile.get_mut(offset + class as usize))
            {
                *count += 1.0;
            }
            offset += classes;
        }
    }
    let mut units: Vec<Unit> = units.into_values().collect();
    units.iter_mut().for_each(|unit| unit.speakers.sort_unstable());
    units
}

fn find(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parents, a), find(parents, b));
    // The smaller index becomes the root, so that the result does not depend on the order of
    // joining.
    parents[a.max(b)] = a.min(b);
}

/// Pairs among the wanted items that hold the same sound, wholly or in part: enough of them to
/// connect all that do, each with its first item nearer to the start of the chain.
pub(crate) fn same_audio(corpus: &Corpus, wanted: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    #[derive(PartialEq, Eq, Hash)]
    enum Recording<'a> {
        Content(ContentHash),
        Path(&'a std::path::Path),
        Key(&'a str),
    }
    let mut recordings: indexmap::IndexMap<Recording<'_>, Vec<(f64, f64, usize)>> = indexmap::IndexMap::new();
    for (index, item) in corpus.items.iter().enumerate().filter(|(index, _)| wanted(*index)) {
        let (recording, segment) = match (&item.audio, item.content) {
            (AudioSource::File { segment, .. }, Some(content)) => (Recording::Content(content), *segment),
            (AudioSource::File { path, segment }, None) => (Recording::Path(path), *segment),
            (AudioSource::Synthetic(_), Some(content)) => (Recording::Content(content), None),
            (AudioSource::Synthetic(_), None) => (Recording::Key(&item.key), None),
        };
        let (start, end) = segment.map_or((0.0, f64::INFINITY), |segment| (segment.start_s, segment.end_s));
        recordings.entry(recording).or_default().push((start, end, index));
    }
    let mut pairs = Vec::new();
    for parts in recordings.values_mut() {
        parts.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        // The part that reaches furthest so far: whoever starts before its end shares sound with
        // it.
        let mut furthest: Option<(f64, usize)> = None;
        for &(start, end, index) in parts.iter() {
            match furthest {
                Some((reach, other)) if start < reach => {
                    pairs.push((other, index));
                    if end > reach {
                        furthest = Some((end, index));
                    }
                }
                _ => furthest = Some((end, index)),
            }
        }
    }
    pairs
}
