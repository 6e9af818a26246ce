//! Which of a table's columns is which, and what their cells say.

use super::{Manifest, Named, Votes};
use crate::{DataError, RowProblem, SplitName, emotion};
use indexmap::IndexSet;

/// The table's own names of the columns that a manifest reads; `None` of those that it lacks and does not need.
pub(super) struct Fields {
    pub path: String,
    pub speaker: String,
    pub emotion: Option<String>,
    pub gender: Option<String>,
    pub text: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub split: Option<String>,
    pub people: Option<String>,
    /// Groups in a cell, in tables of several corpora.
    pub keep_together: Option<String>,
    /// Each with the name that it has in the experiment.
    pub groups: Vec<(String, String)>,
    pub labels: Vec<(String, String)>,
    pub values: Vec<(String, String)>,
    pub attributes: Vec<(String, String)>,
    /// Columns of streams: each with the stream's name.
    pub streams: Vec<(String, String)>,
    /// Columns of votes: each with its label, or one with all of them.
    pub votes: Vec<(Option<String>, String)>,
}

impl Fields {
    /// Finds the columns in a table.
    ///
    /// # Errors
    /// Every column that is missing.
    pub fn find(manifest: &Manifest, dataset: &str, columns: &IndexSet<String>) -> Result<Self, Vec<DataError>> {
        let mut errors = Vec::new();
        let mut needed = |field: &str, column: &str| {
            own_name(columns, column).unwrap_or_else(|| {
                errors.push(DataError::MissingColumn {
                    dataset: dataset.to_owned(),
                    path: manifest.path.as_path().to_owned(),
                    field: field.to_owned(),
                    column: column.to_owned(),
                    known: columns.iter().cloned().collect(),
                });
                column.to_owned()
            })
        };
        let own = &manifest.columns;
        let path = needed("columns.path", own.path.as_deref().unwrap_or("path"));
        let speaker = needed("columns.speaker", own.speaker.as_deref().unwrap_or("speaker"));
        // A column that the experiment names has to be there.
        let mut optional = |field: &str, name: &Option<String>| match name {
            Some(column) => Some(needed(&format!("columns.{field}"), column)),
            None => own_name(columns, field),
        };
        let (emotion, gender) = (optional("emotion", &own.emotion), optional("gender", &own.gender));
        let (text, split) = (optional("text", &own.text), optional("split", &own.split));
        let (start, end) = (optional("start", &own.start), optional("end", &own.end));
        let people = optional("people", &own.people);
        let groups = own.groups.iter();
        let groups = groups
            .map(|name| (name.clone(), needed("columns.groups", name)))
            .collect();
        let mut named = |field: &str, names: &Named| -> Vec<(String, String)> {
            let names = names.iter();
            names
                .map(|(name, column)| (name.to_owned(), needed(field, column)))
                .collect()
        };
        let (labels, values) = (named("labels", &manifest.labels), named("values", &manifest.values));
        let attributes = named("attributes", &manifest.attributes);
        let streams = manifest.streams.iter();
        let streams = streams
            .map(|(name, stream)| {
                let column = needed(&format!("streams.{name}.column"), stream.column(name));
                (name.clone(), column)
            })
            .collect();
        let votes = match &manifest.votes {
            None => Vec::new(),
            Some(Votes::Column(column)) => vec![(None, needed("votes.column", column))],
            Some(Votes::Columns(columns)) => columns
                .iter()
                .map(|(label, column)| (Some(label.clone()), needed("votes.columns", column)))
                .collect(),
        };
        let fields = Self {
            path,
            speaker,
            emotion,
            gender,
            text,
            start,
            end,
            split,
            people,
            keep_together: own_name(columns, "keep_together"),
            groups,
            labels,
            values,
            attributes,
            streams,
            votes,
        };
        if errors.is_empty() { Ok(fields) } else { Err(errors) }
    }

    /// The columns that hold a text or a number: all but those of votes.
    pub fn flat(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.people,
            &self.keep_together,
            &self.emotion,
            &self.gender,
            &self.text,
            &self.start,
            &self.end,
            &self.split,
        ];
        let listed = [&self.groups, &self.labels, &self.values, &self.attributes];
        [&self.path, &self.speaker]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(listed.into_iter().flatten().map(|(_, column)| column))
            .map(String::as_str)
    }
}

/// The table's own name of a column: the name itself, or else the only one that differs from it in letter case alone.
fn own_name(columns: &IndexSet<String>, name: &str) -> Option<String> {
    if columns.contains(name) {
        return Some(name.to_owned());
    }
    let wanted = name.trim().to_lowercase();
    let mut alike = columns.iter().filter(|column| column.to_lowercase() == wanted);
    let found = alike.next()?;
    alike.next().is_none().then(|| found.clone())
}

/// A time in seconds.
pub(super) fn time(column: &str, value: &str) -> Result<f64, RowProblem> {
    match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err(RowProblem::Time {
            column: column.to_owned(),
            value: shortened(value),
        }),
    }
}

/// A continuous label.
pub(super) fn number(column: &str, value: &str) -> Result<f32, RowProblem> {
    match value.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(RowProblem::Number {
            column: column.to_owned(),
            value: shortened(value),
        }),
    }
}

/// The start of a cell, for a message.
pub(super) fn shortened(value: &str) -> String {
    const SHOWN: usize = 80;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// What a cell of labels stands for.
pub(super) fn label<T>(
    column: &str,
    value: &str,
    read: impl Fn(&str) -> Option<T>,
    known: &[&str],
    remedy: &'static str,
) -> Result<T, RowProblem> {
    read(value).ok_or_else(|| RowProblem::Label {
        column: column.to_owned(),
        value: shortened(value),
        nearest: emotion::nearest(value, known.iter().copied()),
        remedy,
    })
}

/// The side that a word means, where an experiment does not say otherwise.
pub(in crate::corpora) fn side(word: &str) -> Option<SplitName> {
    match word.to_lowercase().as_str() {
        "train" | "training" => Some(SplitName::Train),
        "validation" | "valid" | "val" | "dev" | "devel" | "development" => Some(SplitName::Validation),
        "test" | "testing" | "eval" | "evaluation" => Some(SplitName::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_in_any_letter_case_where_only_one_is_meant() {
        let columns: IndexSet<String> = ["Path", "SPEAKER", "speaker", "Emo", "EMO"].map(str::to_owned).into();
        for (name, found) in [
            ("path", Some("Path")),
            ("speaker", Some("speaker")),
            ("Speaker", None),
            ("emo", None),
            ("text", None),
        ] {
            assert_eq!(own_name(&columns, name).as_deref(), found, "{name}");
        }
    }
}
