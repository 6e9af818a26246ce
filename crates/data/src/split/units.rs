//! Connected groups of speakers: what a split must not cut.

use crate::candidate::number;
use crate::{AudioSource, Corpus, Item};
use std::collections::HashMap;
use std::sync::Arc;

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
        let speaker = *speakers.entry(item.speaker.as_str()).or_insert(next);
        if speaker == next {
            parents.push(next);
        }
        for group in item.groups.iter() {
            let other = *groups.entry(group.as_str()).or_insert(speaker);
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
    let mut listed = vec![false; parents.len()];
    // Items share their labels: the places of each set of them in a profile are looked up once.
    let mut places_of: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, item) in corpus.items.iter().enumerate() {
        let speaker = speakers[item.speaker.as_str()];
        let root = find(&mut parents, speaker);
        let unit = units.entry(root).or_insert_with(|| Unit {
            dataset: item.dataset.to_string(),
            speakers: Vec::new(),
            items: Vec::new(),
            profile: vec![0.0; width],
        });
        unit.items.push(index);
        if !std::mem::replace(&mut listed[speaker], true) {
            unit.speakers.push(item.speaker.to_string());
        }
        let labels = (Arc::as_ptr(&item.labels), Arc::as_ptr(&item.attributes));
        let places = places_of.entry(labels).or_insert_with(|| {
            let mut offset = 0;
            let mut places = Vec::new();
            for (column, classes) in &columns {
                places.extend(item.label(column).map(|class| offset + class as usize));
                offset += classes;
            }
            places
        });
        for &place in places.iter() {
            if let Some(count) = unit.profile.get_mut(place) {
                *count += 1.0;
            }
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
    let items = &corpus.items;
    let mut recordings: Vec<(u128, usize)> = (0..items.len())
        .filter(|index| wanted(*index))
        .map(|index| (recording(&items[index]), index))
        .collect();
    recordings.sort_unstable();
    let mut pairs = Vec::new();
    for shared in recordings.chunk_by(|a, b| a.0 == b.0).filter(|shared| shared.len() > 1) {
        let mut parts: Vec<(f64, f64, usize)> = shared
            .iter()
            .map(|&(_, index)| match &items[index].audio {
                AudioSource::File {
                    segment: Some(segment), ..
                } => (segment.start_s, segment.end_s, index),
                _ => (0.0, f64::INFINITY, index),
            })
            .collect();
        parts.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        // The part that reaches furthest so far: whoever starts before its end shares sound with
        // it.
        let mut furthest: Option<(f64, usize)> = None;
        for (start, end, index) in parts {
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

/// A number for the recording that an item is of, or of a part of: by its bytes where they are known, else by its
/// place. Of two recordings it is not the same.
fn recording(item: &Item) -> u128 {
    number(|hasher| {
        match (item.content, &item.audio) {
            (Some(content), _) => hasher.update(b"content").update(content.as_bytes()),
            (None, AudioSource::File { path, .. }) => {
                let folder = path.folder.as_os_str().as_encoded_bytes();
                hasher
                    .update(b"path")
                    .update(&folder.len().to_le_bytes())
                    .update(folder)
                    .update(path.name().as_bytes())
            }
            (None, AudioSource::Synthetic(_)) => hasher.update(b"key").update(item.key.as_bytes()),
        };
    })
}
