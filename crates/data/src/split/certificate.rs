//! The proof that a split keeps its sides apart.

use super::units::same_audio;
use crate::{ContentHash, Corpus, SplitName};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::BTreeSet;

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
    let mut side_of: Vec<BTreeSet<SplitName>> = vec![BTreeSet::new(); corpus.items.len()];
    let mut named: IndexMap<String, BTreeSet<SplitName>> = IndexMap::new();
    for (name, indices) in SplitName::ALL.into_iter().zip(sides) {
        for index in indices {
            let (Some(item), Some(own)) = (corpus.items.get(*index), side_of.get_mut(*index)) else {
                continue;
            };
            own.insert(name);
            named
                .entry(format!("speaker `{}`", item.speaker))
                .or_default()
                .insert(name);
            for group in &item.groups {
                named.entry(format!("group `{group}`")).or_default().insert(name);
            }
        }
    }
    let mut chain_of: Vec<usize> = (0..corpus.items.len()).collect();
    for (a, b) in same_audio(corpus, |index| !side_of[index].is_empty()) {
        chain_of[b] = chain_of[a];
    }
    let mut chains: IndexMap<usize, Vec<usize>> = IndexMap::new();
    for (index, chain) in chain_of.iter().enumerate() {
        chains.entry(*chain).or_default().push(index);
    }
    for items in chains.into_values().filter(|items| items.len() > 1) {
        let sides = items.iter().flat_map(|index| side_of[*index].iter().copied()).collect();
        let keys: Vec<String> = items
            .iter()
            .map(|index| format!("`{}`", corpus.items[*index].key))
            .collect();
        named.insert(format!("the recording in {}", keys.join(" and ")), sides);
    }
    named
        .into_iter()
        .filter(|(_, sides)| sides.len() > 1)
        .map(|(what, sides)| Shared {
            what,
            sides: sides.into_iter().collect(),
        })
        .collect()
}

impl Certificate {
    pub(crate) fn new(corpus: &Corpus, sides: [&[usize]; 3], shared: Vec<Shared>, leak: Option<String>) -> Self {
        let mut lines = Vec::new();
        let mut audio_compared = 0;
        let mut splits = IndexMap::new();
        for (name, indices) in SplitName::ALL.into_iter().zip(sides) {
            let mut facts = SideFacts {
                items: indices.len(),
                ..SideFacts::default()
            };
            for item in indices.iter().filter_map(|index| corpus.items.get(*index)) {
                facts.duration_s += item.duration_s;
                *facts.speakers.entry(item.speaker.clone()).or_default() += 1;
                *facts.datasets.entry(item.dataset.clone()).or_default() += 1;
                audio_compared += usize::from(item.content.is_some());
                let content = item.content.map(|content| content.to_string());
                lines.push(format!("{:?}", (name, &item.key, &item.speaker, content)));
            }
            facts.speakers.sort_keys();
            for column in corpus.label_sets.keys() {
                facts
                    .classes
                    .insert(column.clone(), corpus.class_counts(column, indices));
            }
            splits.insert(name, facts);
        }
        lines.sort_unstable();
        let hash = ContentHash::of(lines.join("\n").as_bytes()).to_string();
        Self {
            splits,
            shared,
            audio_compared,
            leak,
            hash,
        }
    }
}
