//! Votes of raters in a table.

use super::fields::{number, shortened};
use crate::RowProblem;
use crate::table::Row;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a table has the raters' votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Votes {
    /// One column: `{"angry": 3, "sad": 1}`, `angry:3; sad:1`, or a label for each vote, `angry; angry; sad`.
    Column(String),
    /// A column of counts (or shares) for each emotion: `{ angry: votes_angry, sad: votes_sad }`.
    Columns(IndexMap<String, String>),
}

impl Votes {
    /// The columns, each with the field that names it.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (one, several) = match self {
            Self::Column(column) => (Some(column), None),
            Self::Columns(columns) => (None, Some(columns)),
        };
        let several = several.into_iter().flat_map(IndexMap::values);
        let several = several.map(|column| ("votes.columns", column.as_str()));
        one.into_iter()
            .map(|column| ("votes.column", column.as_str()))
            .chain(several)
    }
}

/// The votes of a line in one column; none where it is empty.
pub(super) fn in_column(row: &Row, column: &str) -> Result<IndexMap<String, f64>, RowProblem> {
    let text = match (row.nested(column), row.cell(column)) {
        (Some(json), _) => json,
        (None, Some(text)) => text,
        (None, None) => return Ok(IndexMap::new()),
    };
    votes(text).ok_or_else(|| RowProblem::Votes {
        column: column.to_owned(),
        value: shortened(text),
    })
}

/// The votes of a line in a column for each label.
pub(super) fn in_columns<'a>(
    row: &Row,
    columns: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<IndexMap<String, f64>, RowProblem> {
    let mut votes = IndexMap::new();
    for (label, column) in columns {
        let Some(text) = row.cell(column) else { continue };
        let count = f64::from(number(column, text)?);
        if count < 0.0 {
            return Err(RowProblem::Number {
                column: column.to_owned(),
                value: shortened(text),
            });
        }
        if count > 0.0 {
            *votes.entry(label.to_owned()).or_default() += count;
        }
    }
    Ok(votes)
}

/// The label with most votes, where it alone has most.
pub(super) fn winner(votes: &IndexMap<String, f64>) -> Option<&str> {
    let most = votes.values().copied().fold(0.0, f64::max);
    let mut winners = votes.iter().filter(|(_, count)| **count >= most);
    let (label, _) = winners.next()?;
    winners.next().is_none().then_some(label)
}

/// The votes that a text tells: an object or list of JSON (as Python prints them, too), or `label:count` and plain labels
/// with `;`, `|` or `,` between them.
fn votes(text: &str) -> Option<IndexMap<String, f64>> {
    let mut votes: IndexMap<String, f64> = IndexMap::new();
    let mut add = |label: &str, count: f64| {
        let label = label.trim();
        let is_vote = !label.is_empty() && count.is_finite() && count >= 0.0;
        if is_vote && count > 0.0 {
            *votes.entry(label.to_owned()).or_default() += count;
        }
        is_vote.then_some(())
    };
    if text.starts_with('{') {
        for (label, count) in json::<IndexMap<String, f64>>(text)? {
            add(&label, count)?;
        }
    } else if text.starts_with('[') {
        for label in json::<Vec<String>>(text)? {
            add(&label, 1.0)?;
        }
    } else {
        for part in text.split([';', '|', ',']).filter(|part| !part.trim().is_empty()) {
            match part.split_once([':', '=']) {
                Some((label, count)) => add(label, count.trim().parse().ok()?)?,
                None => add(part, 1.0)?,
            }
        }
    }
    Some(votes)
}

fn json<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let read = serde_json::from_str(text).ok();
    read.or_else(|| serde_json::from_str(&text.replace('\'', "\"")).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_are_read_in_every_form_that_tables_have_them_in() {
        let three_to_one = IndexMap::from([("angry".to_owned(), 3.0), ("sad".to_owned(), 1.0)]);
        for text in [
            "{\"angry\": 3, \"sad\": 1}",
            "{'angry': 3, 'sad': 1.0, 'happy': 0}",
            "[\"angry\", \"angry\", \"sad\", \"angry\"]",
            "angry:3; sad:1",
            "angry=3,sad=1,",
            "angry|angry|angry|sad",
        ] {
            assert_eq!(votes(text), Some(three_to_one.clone()), "{text}");
        }
        for text in [
            "{\"angry\": -1}",
            "angry:x",
            ":3",
            "{angry}",
            "[1, 2]",
            "{\"angry\": [1]}",
        ] {
            assert_eq!(votes(text), None, "{text}");
        }
        assert_eq!(winner(&three_to_one), Some("angry"));
        assert_eq!(
            winner(&IndexMap::from([("a".to_owned(), 1.0), ("b".to_owned(), 1.0)])),
            None
        );
        assert_eq!(winner(&IndexMap::new()), None);
    }
}
