//! Connected groups of speakers: what a split must not cut.

use crate::Corpus;
use crate::items::{Overlap, chained};
use crate::person::apart_as;
use indexmap::{IndexMap, IndexSet};
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
    let items = &corpus.items;
    let profiles = items.profiles();
    let mut speakers: IndexSet<&str> = IndexSet::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut groups: HashMap<&str, usize> = HashMap::new();
    let mut speaker_of = Vec::with_capacity(profiles.len());
    for profile in profiles {
        let (speaker, new) = speakers.insert_full(apart_as(&profile.speaker));
        if new {
            parents.push(speaker);
        }
        speaker_of.push(speaker);
        for group in profile.groups.iter() {
            let other = *groups.entry(group.as_str()).or_insert(speaker);
            join(&mut parents, speaker, other);
        }
    }
    let profile_of = |item: usize| items.profile_of()[item] as usize;
    for (a, b) in same_audio(corpus, |_| true) {
        join(&mut parents, speaker_of[profile_of(a)], speaker_of[profile_of(b)]);
    }

    let columns: Vec<(&String, usize)> = corpus
        .label_sets
        .iter()
        .map(|(column, classes)| (column, classes.len()))
        .collect();
    let width = columns.iter().map(|(_, classes)| classes).sum();
    let mut units: IndexMap<usize, Unit> = IndexMap::new();
    let mut listed = vec![false; parents.len()];
    let mut unit_of = Vec::with_capacity(profiles.len());
    for (number, (profile, count)) in profiles.iter().zip(items.count_all_profiles()).enumerate() {
        let speaker = speaker_of[number];
        let entry = units.entry(find(&mut parents, speaker));
        unit_of.push(entry.index());
        let unit = entry.or_insert_with(|| Unit {
            dataset: profile.dataset.to_string(),
            speakers: Vec::new(),
            items: Vec::new(),
            profile: vec![0.0; width],
        });
        if !std::mem::replace(&mut listed[speaker], true) {
            unit.speakers.push(apart_as(&profile.speaker).to_owned());
        }
        let mut offset = 0;
        for (column, classes) in &columns {
            let class = profile.label(column).map(|class| offset + class as usize);
            if let Some(own) = class.and_then(|class| unit.profile.get_mut(class)) {
                *own += count as f64;
            }
            offset += classes;
        }
    }
    let mut units: Vec<Unit> = units.into_values().collect();
    for item in 0..items.len() {
        units[unit_of[profile_of(item)]].items.push(item);
    }
    units.iter_mut().for_each(|unit| unit.speakers.sort_unstable());
    units
}

pub(super) fn find(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

pub(super) fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parents, a), find(parents, b));
    // The smaller index becomes the root, so that the result does not depend on the order of
    // joining.
    parents[a.max(b)] = a.min(b);
}

/// Pairs among the wanted items that hold the same sound, wholly or in part: enough of them to
/// connect all that do, each with its first item nearer to the start of the chain.
pub(crate) fn same_audio(corpus: &Corpus, wanted: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let recordings = corpus.items.overlaps();
    let pairs = recordings.iter().flat_map(|parts| {
        let parts: Vec<Overlap> = parts.iter().filter(|part| wanted(part.item)).copied().collect();
        chained(&parts)
    });
    pairs.collect()
}
