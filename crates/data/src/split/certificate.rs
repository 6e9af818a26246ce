//! The proof that a split keeps its sides apart.

use super::units::same_audio;
use crate::order::{by_key, quoted};
use crate::{ContentHash, Corpus, SplitName};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a split put where, and that nothing is on two sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// What is on each side.
    pub splits: IndexMap<SplitName, SideFacts>,
    /// Speakers, groups and recordings on more than one side: none, unless the split says that it
    /// leaks.
    pub shared: Vec<Shared>,
    /// Items whose audio was compared by its bytes; the others only by their paths. All of them
    /// after a deep scan.
    pub audio_compared: usize,
    /// Why the split leaks, as the experiment file says; every report repeats it.
    pub leak: Option<String>,
    /// Hash over which item (key, speaker, audio) is on which side.
    pub hash: String,
}

/// What is on one side of a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SideFacts {
    /// Number of items.
    pub items: usize,
    /// Their total length in seconds.
    pub duration_s: f64,
    /// Items of each speaker.
    pub speakers: IndexMap<String, usize>,
    /// Items of each dataset.
    pub datasets: IndexMap<String, usize>,
    /// Items of each class of each label column.
    pub classes: IndexMap<String, IndexMap<String, usize>>,
}

/// Something that is on more than one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// What it is, such as ``speaker `emodb/03` ``.
    pub what: String,
    /// The sides that it is on.
    pub sides: Vec<SplitName>,
}

/// Every speaker, group and recording that is on more than one side, given the indices of each
/// side's items.
#[must_use]
pub fn shared_between_sides(corpus: &Corpus, sides: [&[usize]; 3]) -> Vec<Shared> {
    // For each item, and each speaker and group in the order of appearance, a bit for every side that it is on.
    let mut side_of = vec![0_u8; corpus.items.len()];
    let mut named: IndexMap<(&str, &str), u8> = IndexMap::new();
    for (side, indices) in sides.iter().enumerate() {
        let bit = 1 << side;
        for &index in *indices {
            let (Some(item), Some(own)) = (corpus.items.get(index), side_of.get_mut(index)) else {
                continue;
            };
            *own |= bit;
            *named.entry(("speaker", item.speaker.as_str())).or_default() |= bit;
            for group in item.groups.iter() {
                *named.entry(("group", group.as_str())).or_default() |= bit;
            }
        }
    }
    let shared = |bits: u8| bits.count_ones() > 1;
    let names = |bits: u8| -> Vec<SplitName> {
        let sides = SplitName::ALL.into_iter().enumerate();
        sides
            .filter(|(side, _)| bits & (1 << side) != 0)
            .map(|(_, name)| name)
            .collect()
    };
    let mut found: Vec<Shared> = named
        .into_iter()
        .filter(|(_, bits)| shared(*bits))
        .map(|((what, name), bits)| Shared {
            what: format!("{what} `{name}`"),
            sides: names(bits),
        })
        .collect();
    // Items that hold the same sound, by the first of their chain.
    let mut first_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (a, b) in same_audio(corpus, |index| side_of[index] != 0) {
        let first = *first_of.entry(a).or_insert(a);
        first_of.insert(b, first);
    }
    let mut chains: IndexMap<usize, Vec<usize>> = IndexMap::new();
    for (index, first) in first_of {
        chains.entry(first).or_default().push(index);
    }
    for items in chains.into_values() {
        let bits = items.iter().fold(0, |bits, &index| bits | side_of[index]);
        if shared(bits) {
            let keys: Vec<String> = items
                .iter()
                .map(|&index| format!("`{}`", corpus.items[index].key))
                .collect();
            found.push(Shared {
                what: format!("the recording in {}", keys.join(" and ")),
                sides: names(bits),
            });
        }
    }
    found
}

impl Certificate {
    pub(crate) fn new(corpus: &Corpus, sides: [&[usize]; 3], shared: Vec<Shared>, leak: Option<String>) -> Self {
        let mut audio_compared = 0;
        let mut splits = IndexMap::new();
        for (name, indices) in SplitName::ALL.into_iter().zip(sides) {
            let mut facts = SideFacts {
                items: indices.len(),
                ..SideFacts::default()
            };
            for item in indices.iter().filter_map(|index| corpus.items.get(*index)) {
                facts.duration_s += item.duration_s;
                count(&mut facts.speakers, &item.speaker);
                count(&mut facts.datasets, &item.dataset);
                audio_compared += usize::from(item.content.is_some());
            }
            facts.speakers.sort_keys();
            for column in corpus.label_sets.keys() {
                facts
                    .classes
                    .insert(column.clone(), corpus.class_counts(column, indices));
            }
            splits.insert(name, facts);
        }
        Self {
            splits,
            shared,
            audio_compared,
            leak,
            hash: hash(corpus, sides).to_string(),
        }
    }
}

fn count(counts: &mut IndexMap<String, usize>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

/// Hash over a line for every item, `(side, key, speaker, content)`, in the order of the lines.
fn hash(corpus: &Corpus, sides: [&[usize]; 3]) -> ContentHash {
    let mut sides: Vec<(String, &[usize])> = SplitName::ALL
        .into_iter()
        .zip(sides)
        .map(|(name, indices)| (format!("{name:?}"), indices))
        .collect();
    sides.sort_unstable();
    let items = &corpus.items;
    let lines = sides.iter().flat_map(|(side, indices)| {
        let known = indices.iter().copied().filter(|index| *index < items.len());
        by_key(items, known).into_iter().map(move |index| {
            let item = &items[index];
            let mut line = format!("({side}, ");
            quoted(&mut line, &item.key);
            line.push_str(", ");
            quoted(&mut line, &item.speaker);
            line.push_str(", ");
            match item.content {
                Some(content) => {
                    line.push_str("Some(");
                    quoted(&mut line, &content.to_string());
                    line.push(')');
                }
                None => line.push_str("None"),
            }
            line.push(')');
            line
        })
    });
    ContentHash::of_lines(lines)
}
