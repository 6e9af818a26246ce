//! What is known of a recording of EmoBox beside its name, and what is remarked on.

use super::LANGUAGE;
use super::list::{Known, Voices};
use super::metadata::{Entry, Metadata, SPEAKERS, some_of};
use crate::canonical;
use crate::corpora::Facts;

/// What is remarked on while recordings are read.
#[derive(Default)]
pub(super) struct Remarks {
    /// Codes that the label map lacks.
    unmapped: Vec<String>,
    /// Recordings whose names bear another emotion than the metadata.
    other: Vec<String>,
    /// Recordings whose speaker nothing tells.
    nobody: usize,
}

impl Remarks {
    /// What is known of a recording, given what its name tells.
    pub fn facts(&mut self, entry: &Entry, metadata: &Metadata, corpus: &Known, mut facts: Facts) -> Facts {
        // The scan takes each of these for another person, who may be any of them.
        self.nobody += usize::from(facts.speaker.is_empty());
        let (label, is_mapped) = metadata.label(&entry.code);
        if !is_mapped && !self.unmapped.contains(&entry.code) {
            self.unmapped.push(entry.code.clone());
        }
        let named = facts.emotion.as_deref().and_then(canonical);
        if named.is_some() && named != canonical(&label) {
            self.other.push(entry.path.clone());
        }
        facts.emotion = Some(label);
        facts.gender = facts.gender.or_else(|| {
            let own = corpus.genders.iter().find(|(speaker, _)| *speaker == facts.speaker);
            corpus.gender.or(own.map(|(_, gender)| *gender)).map(str::to_owned)
        });
        if let (Some([language]), false) = (corpus.language, facts.attributes.contains_key(LANGUAGE)) {
            facts.attributes.insert(LANGUAGE.to_owned(), (*language).to_owned());
        }
        facts.values.clear();
        facts.votes.clear();
        facts
    }

    pub fn warnings(self, dataset: &str, corpus: &Known, metadata: &Metadata) -> Vec<String> {
        let name = corpus.name;
        let mut warnings = Vec::new();
        if !self.unmapped.is_empty() {
            warnings.push(format!(
                "dataset `{dataset}`: the label map of `{name}` lacks {}, kept as it is written",
                some_of(&self.unmapped)
            ));
        }
        if let Some(first) = self.other.first() {
            warnings.push(format!(
                "dataset `{dataset}`: the names of {} files bear another emotion than EmoBox's label, which counts, such as {first:?}",
                self.other.len()
            ));
        }
        if self.nobody > 0 {
            let why = match (corpus.voices, &metadata.speakers) {
                (Voices::Table, None) => format!("file names do not tell, and the metadata lacks {name}/{SPEAKERS}"),
                (Voices::Table, Some(_)) => format!("{name}/{SPEAKERS} does not tell"),
                _ => "neither file names nor metadata tell".to_owned(),
            };
            warnings.push(format!(
                "dataset `{dataset}`: who speaks in {} of {} recordings is not known: {why}",
                self.nobody,
                metadata.entries.len(),
            ));
        }
        if let Some(set) = metadata.balanced.as_ref().filter(|set| !set.unknown.is_empty()) {
            warnings.push(format!(
                "dataset `{dataset}`: {} recordings of the cross-corpus test set cannot be told in the list of `{name}` and are left out of it: {}",
                set.unknown.len(),
                some_of(&set.unknown)
            ));
        }
        warnings
    }
}
