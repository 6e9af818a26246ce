//! Recordings that sound like one although their samples differ.

use crate::candidate::Candidate;
use crate::{Corpus, Item, person};
use emorun_audio::alike;
use std::collections::HashSet;

/// Most recordings that are compared: half a kilobyte of each is in memory.
const MOST: usize = 500_000;
/// Groups that a remark names.
const SHOWN: usize = 5;

/// Groups of candidates that sound like one recording, by their places; their fingerprints are no longer kept.
pub(crate) fn groups(candidates: &mut [Candidate], corpus: &mut Corpus) -> Vec<Vec<usize>> {
    let mut seen = HashSet::new();
    let mut prints = Vec::new();
    let mut places = Vec::new();
    for (place, candidate) in candidates.iter_mut().enumerate() {
        // Copies to the sample are told as such.
        if let Some(print) = candidate.print.take().filter(|_| seen.insert(candidate.content)) {
            prints.push(print);
            places.push(place);
        }
    }
    if prints.len() > MOST {
        corpus.warnings.push(format!(
            "{} recordings are too many to compare by ear: only copies to the sample are found among them",
            prints.len()
        ));
        return Vec::new();
    }
    let prints: Vec<_> = prints.iter().map(AsRef::as_ref).collect();
    let groups = alike(&prints).into_iter();
    groups
        .map(|group| group.into_iter().map(|at| places[at]).collect())
        .collect()
}

/// A remark where recordings of different speakers sound like one.
pub(crate) fn warn_of_alike(items: &[Item], corpus: &mut Corpus) {
    let of_several = |group: &&Vec<usize>| {
        let mut speakers = group.iter().map(|item| person::apart_as(&items[*item].speaker));
        let first = speakers.next();
        speakers.any(|speaker| Some(speaker) != first)
    };
    let found: Vec<&Vec<usize>> = corpus.alike.iter().filter(of_several).collect();
    let named = |group: &&Vec<usize>| {
        let items = group.iter().map(|item| &items[*item]);
        let named: Vec<String> = items
            .map(|item| format!("`{}` of `{}`", item.key, item.speaker))
            .collect();
        named.join(" and ")
    };
    let mut shown: Vec<String> = found.iter().take(SHOWN).map(named).collect();
    if found.len() > SHOWN {
        shown.push(format!("{} more", found.len() - SHOWN));
    }
    if !found.is_empty() {
        corpus.warnings.push(format!(
            "{} like one of another speaker (shifted, resampled, louder or coded otherwise): {}; check whose they are, for a split may put them on two sides",
            match found.len() {
                1 => "1 recording sounds".to_owned(),
                count => format!("{count} recordings sound"),
            },
            shown.join(", ")
        ));
    }
}
