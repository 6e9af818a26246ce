//! CREMA-D's own tables: the actors, and how 2443 raters heard the recordings.

use super::{EMOTIONS, Modality};
use crate::DataError;
use crate::emotion;
use crate::table::{Row, Table};
use indexmap::{IndexMap, IndexSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Counts of votes of every recording and modality.
pub(super) const TABULATED: &str = "tabulatedVotes.csv";
/// The emotions with most votes of every recording and modality.
pub(super) const SUMMARY: &str = "summaryTable.csv";

/// An actor, as far as the table tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Actor {
    pub gender: Option<String>,
    /// In years, when recorded.
    pub age: Option<f32>,
    pub race: Option<String>,
    pub ethnicity: Option<String>,
}

/// How a recording was rated.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rating {
    /// Votes for each emotion that has some, by its canonical name; of a recording that only the
    /// summary lists, one vote shared by the most frequent ones.
    pub votes: IndexMap<String, f64>,
    /// Whether the votes are counts, not only who has most.
    pub counted: bool,
}

impl Rating {
    /// The share of votes that the most frequent emotion has, where votes were counted.
    pub fn agreement(&self) -> Option<f64> {
        let total: f64 = self.votes.values().sum();
        let most = self.votes.values().copied().fold(0.0, f64::max);
        (self.counted && total > 0.0).then_some(most / total)
    }

    /// The emotions with most votes: several where they have the same number.
    pub fn winners(&self) -> Vec<&str> {
        let most = self.votes.values().copied().fold(0.0, f64::max);
        let with_most = self.votes.iter().filter(|(_, votes)| **votes > 0.0 && **votes >= most);
        with_most.map(|(name, _)| name.as_str()).collect()
    }
}

/// The first of a table's usual places that holds it: the root, `processedResults` in it, or the same
/// in the folder above.
pub(super) fn find(root: &Path, name: &str) -> Option<PathBuf> {
    let folders = [Some(root), root.parent()];
    folders.into_iter().flatten().find_map(|folder| {
        ["", "processedResults", "data/InfoAndStats/processedResults"]
            .into_iter()
            .map(|below| folder.join(below).join(name))
            .find(|path| path.is_file())
    })
}

/// The actors of `VideoDemographics.csv`.
pub(super) fn actors(dataset: &str, path: &Path) -> Result<IndexMap<String, Actor>, DataError> {
    let table = Table::new(dataset, path)?;
    let columns = table.columns()?;
    let (id, sex) = (
        column(dataset, path, &columns, "ActorID")?,
        column(dataset, path, &columns, "Sex")?,
    );
    let optional = |name: &str| columns.iter().find(|column| column.eq_ignore_ascii_case(name)).cloned();
    let (age, race, ethnicity) = (optional("Age"), optional("Race"), optional("Ethnicity"));
    let mut actors = IndexMap::new();
    each_row(dataset, path, &table, |row| {
        let word = |column: &Option<String>, known: &[&str]| {
            let written = row.cell(column.as_deref()?)?.to_lowercase().replace(' ', "_");
            known.contains(&written.as_str()).then_some(written)
        };
        if let Some(id) = row.cell(&id) {
            let years: Option<f32> = age.as_ref().and_then(|age| row.cell(age)?.parse().ok());
            actors.insert(
                id.to_owned(),
                Actor {
                    gender: row.cell(&sex).and_then(emotion::gender).map(str::to_owned),
                    age: years.filter(|years| (1.0..=120.0).contains(years)),
                    race: word(&race, &super::RACES),
                    ethnicity: word(&ethnicity, &super::ETHNICITIES),
                },
            );
        }
    })?;
    Ok(actors)
}

/// Counts of votes, by the recording's name in upper case.
pub(super) fn tabulated(dataset: &str, path: &Path, modality: Modality) -> Result<IndexMap<String, Rating>, DataError> {
    let table = Table::new(dataset, path)?;
    let columns = table.columns()?;
    let file = column(dataset, path, &columns, "fileName")?;
    let letters = EMOTIONS
        .iter()
        .map(|(code, name)| Ok((column(dataset, path, &columns, &code[..1])?, *name)))
        .collect::<Result<Vec<_>, DataError>>()?;
    // Rows are numbered 100001 and on for ratings of the voice, 200001 for the face, 300001 for both;
    // a copy without those numbers lists each recording in this order.
    let number = ["", "X"].into_iter().find(|name| columns.contains(*name));
    let mut met: IndexMap<String, usize> = IndexMap::new();
    let mut ratings = IndexMap::new();
    each_row(dataset, path, &table, |row| {
        let Some(name) = row.cell(&file).map(str::to_uppercase) else {
            return;
        };
        let times = met.entry(name.clone()).or_default();
        *times += 1;
        let numbered: Option<usize> = number.and_then(|number| row.cell(number)?.parse().ok());
        let kind = match numbered.map(|number| number / 100_000) {
            Some(kind @ 1..=3) => kind,
            _ => *times,
        };
        if kind == modality as usize {
            let count = |column: &String| {
                row.cell(column)?
                    .parse::<f64>()
                    .ok()
                    .filter(|count| (0.0..1e6).contains(count))
            };
            let votes = letters
                .iter()
                .filter_map(|(column, name)| Some(((*name).to_owned(), count(column).filter(|count| *count > 0.0)?)))
                .collect();
            ratings.insert(name, Rating { votes, counted: true });
        }
    })?;
    Ok(ratings)
}

/// The emotions with most votes, by the recording's name in upper case.
pub(super) fn summary(dataset: &str, path: &Path, modality: Modality) -> Result<IndexMap<String, Rating>, DataError> {
    let table = Table::new(dataset, path)?;
    let columns = table.columns()?;
    let file = column(dataset, path, &columns, "FileName")?;
    let vote = match modality {
        Modality::Voice => "VoiceVote",
        Modality::Face => "FaceVote",
        Modality::Both => "MultiModalVote",
    };
    let vote = column(dataset, path, &columns, vote)?;
    let mut ratings = IndexMap::new();
    each_row(dataset, path, &table, |row| {
        let (Some(name), Some(vote)) = (row.cell(&file), row.cell(&vote)) else {
            return;
        };
        // Several letters joined by `:` have the same number of votes.
        let names: Vec<&str> = vote
            .split(':')
            .filter_map(|letter| {
                EMOTIONS
                    .iter()
                    .find(|(code, _)| code[..1].eq_ignore_ascii_case(letter.trim()))
            })
            .map(|(_, name)| *name)
            .collect();
        let share = 1.0 / names.len().max(1) as f64;
        let votes = names.into_iter().map(|name| (name.to_owned(), share)).collect();
        ratings.insert(name.to_uppercase(), Rating { votes, counted: false });
    })?;
    Ok(ratings)
}

/// The table's own name of a column, in any letter case.
fn column(dataset: &str, path: &Path, columns: &IndexSet<String>, name: &str) -> Result<String, DataError> {
    let found = columns.iter().find(|column| column.eq_ignore_ascii_case(name)).cloned();
    found.ok_or_else(|| unreadable(dataset, path, format!("it has no column `{name}`")))
}

fn each_row(dataset: &str, path: &Path, table: &Table, mut each: impl FnMut(&Row)) -> Result<(), DataError> {
    let mut broken = None;
    table.rows(|row| match row {
        Ok(row) => {
            each(&row);
            ControlFlow::Continue(())
        }
        Err((number, reason)) => {
            broken = Some(unreadable(dataset, path, format!("line {number}: {reason}")));
            ControlFlow::Break(())
        }
    })?;
    broken.map_or(Ok(()), Err)
}

fn unreadable(dataset: &str, path: &Path, reason: String) -> DataError {
    DataError::Unreadable {
        dataset: dataset.to_owned(),
        path: path.to_owned(),
        reason,
    }
}
