//! What is found beside what was published.

use super::found::{count_once, read};
use super::{Count, PartReport, PublishedPart, Recording, Unusable, Verification};
use crate::Skipped;
use crate::corpora::Source;
use indexmap::IndexSet;
use std::collections::{HashMap, HashSet};

/// Fills a report; `twice` tells whether two names were published with one sound.
pub(super) fn compare(
    mut report: Verification,
    parts: Vec<PublishedPart>,
    found: Vec<(Recording, Source)>,
    (skipped, remarks): (Vec<Skipped>, Vec<String>),
    deep: bool,
    twice: &dyn Fn(&str, &str) -> bool,
) -> Verification {
    report.remarks = remarks;
    report.unknown = skipped
        .into_iter()
        .map(|skipped| Unusable {
            path: skipped.path.display().to_string(),
            problem: skipped.reason.to_string(),
        })
        .collect();
    let found = read(found, deep, &mut report);
    let recordings = count_once(found, twice, &mut report);
    report.found = recordings.len();
    let mut by_part: Vec<Vec<&Recording>> = vec![Vec::new(); parts.len()];
    for recording in &recordings {
        match recording.part.and_then(|part| by_part.get_mut(part)) {
            Some(part) => part.push(recording),
            None if !parts.is_empty() => report.unknown.push(Unusable {
                path: recording.path.clone(),
                problem: "nothing tells which part of the corpus it belongs to".to_owned(),
            }),
            None => {}
        }
    }
    let is_here = by_part.iter().any(|part| !part.is_empty());
    report.parts = parts
        .iter()
        .zip(&by_part)
        .map(|(part, found)| part_report(part, found, is_here))
        .collect();
    let whole = report.parts.iter().all(PartReport::is_complete);
    report.complete =
        whole && (is_here || parts.is_empty()) && report.unusable.is_empty() && report.contradictions.is_empty();
    report
}

fn part_report(part: &PublishedPart, found: &[&Recording], is_here: bool) -> PartReport {
    let mut tallies: HashMap<(&str, &str), usize> = HashMap::new();
    for recording in found {
        let session = recording.session.as_deref().map(|session| ("session", session));
        let own = [
            Some(("class", recording.class.as_str())),
            Some(("speaker", &recording.speaker)),
            session,
        ];
        for key in own.into_iter().flatten() {
            *tallies.entry(key).or_default() += 1;
        }
    }
    let mut counts: Vec<Count> = part
        .counts
        .iter()
        .map(|(column, value, expected)| Count {
            column: (*column).to_owned(),
            value: value.clone(),
            expected: *expected,
            found: tallies.get(&(*column, value.as_str())).copied().unwrap_or_default(),
        })
        .collect();
    counts.extend(part.speakers.map(|expected| {
        Count {
            column: "speakers".to_owned(),
            value: String::new(),
            expected,
            found: found
                .iter()
                .map(|recording| &recording.speaker)
                .collect::<IndexSet<_>>()
                .len(),
        }
    }));
    let (mut missing, mut scattered, mut extra) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(names) = &part.names {
        // Some copies write names in other letter case.
        let by_case: HashMap<String, &str> = names
            .iter()
            .map(|(stem, _)| (stem.to_lowercase(), stem.as_str()))
            .collect();
        let mut left: HashSet<&str> = by_case.values().copied().collect();
        for recording in found {
            let stem = by_case.get(&recording.stem.to_lowercase()).copied();
            if !stem.is_some_and(|stem| left.remove(stem)) {
                extra.push(recording.path.clone());
            }
        }
        for (stem, speaker) in names.iter().filter(|(stem, _)| left.contains(stem.as_str())) {
            missing.push(stem.clone());
            if tallies.contains_key(&("speaker", speaker.as_str())) {
                scattered.push(stem.clone());
            }
        }
    }
    PartReport {
        name: part.name.to_owned(),
        expected: part.files,
        found: found.len(),
        absent: found.is_empty() && is_here,
        counts,
        missing,
        scattered,
        extra,
    }
}
