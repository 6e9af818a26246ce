//! What a corpus was published with.

use crate::emotion::EMOTIONS as CANONICAL;

/// A part of a corpus that is given out by itself.
#[derive(Clone, Debug)]
pub(crate) struct PublishedPart {
    /// What it is called.
    pub name: &'static str,
    /// How many files it has.
    pub files: usize,
    /// How many of them each class, speaker or session has: column, value, files.
    pub counts: Vec<(&'static str, String, usize)>,
    /// How many speakers it has, where their ids are not listed.
    pub speakers: Option<usize>,
    /// The names of all its files without extension, and the speaker of each.
    pub names: Option<Vec<(String, String)>>,
}

/// Class of utterances that have none.
pub(crate) const NO_CLASS: &str = "none";

impl PublishedPart {
    /// A part of which nothing is known but how many files it has.
    pub fn new(name: &'static str, files: usize) -> Self {
        Self {
            name,
            files,
            counts: Vec::new(),
            speakers: None,
            names: None,
        }
    }

    /// A part of which every name is known: name, class and speaker of each file.
    pub fn of_names(name: &'static str, files: Vec<(String, &'static str, String)>) -> Self {
        let tally = |column, values: Vec<&str>| {
            let mut counts: Vec<(&'static str, String, usize)> = Vec::new();
            for value in values {
                match counts.iter_mut().find(|(_, known, _)| known == value) {
                    Some((_, _, count)) => *count += 1,
                    None => counts.push((column, value.to_owned(), 1)),
                }
            }
            counts
        };
        let mut counts = tally("class", files.iter().map(|(_, class, _)| *class).collect());
        counts.sort_by_key(|(_, class, _)| CANONICAL.iter().position(|known| known == class));
        let speakers = files.iter().map(|(_, _, speaker)| speaker.as_str());
        counts.extend(tally("speaker", speakers.collect()));
        Self {
            counts,
            names: Some(
                files
                    .iter()
                    .map(|(stem, _, speaker)| (stem.clone(), speaker.clone()))
                    .collect(),
            ),
            ..Self::new(name, files.len())
        }
    }

    /// How many files there are of one class, speaker or session.
    #[cfg(test)]
    pub fn count(&self, column: &str, value: &str) -> usize {
        let of = |(own, known, _): &&(&str, String, usize)| *own == column && known == value;
        self.counts.iter().find(of).map_or(0, |(_, _, count)| *count)
    }
}
