//! What can be wrong with the lines of a manifest.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// What is wrong with one line of a manifest.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RowProblem {
    /// The line cannot be parsed at all.
    #[error("{0}")]
    Malformed(String),
    /// A column that every line needs is empty.
    #[error("column `{column}` is empty")]
    Empty {
        /// The column.
        column: String,
    },
    /// A column holds a list or an object of JSON where a text or a number is wanted.
    #[error("`{column}` is neither text nor a number")]
    Nested {
        /// The column.
        column: String,
    },
    /// A column names a file that is not there.
    #[error("column `{column}` names {path:?}, which is no file")]
    NoFile {
        /// The column.
        column: String,
        /// The file.
        path: PathBuf,
    },
    /// A time is no number of seconds.
    #[error("column `{column}` is `{value}`, which is no time in seconds (0 or more)")]
    Time {
        /// The column.
        column: String,
        /// What it holds.
        value: String,
    },
    /// A continuous label is no number.
    #[error("column `{column}` is `{value}`, which is no number")]
    Number {
        /// The column.
        column: String,
        /// What it holds.
        value: String,
    },
    /// A column of votes tells none.
    #[error("column `{column}` is `{value}`, which is no list of votes")]
    Votes {
        /// The column.
        column: String,
        /// What it holds.
        value: String,
    },
    /// A column of symbols holds another than those of the vocabulary.
    #[error(
        "column `{column}` has `{value}`, which is no symbol of a vocabulary of {vocabulary}: they are whole numbers from 0 on"
    )]
    Symbol {
        /// The column.
        column: String,
        /// The symbol.
        value: String,
        /// Number of symbols.
        vocabulary: usize,
    },
    /// A part of a recording has no length.
    #[error("it ends at {end_s} s, which is not after its start at {start_s} s")]
    Order {
        /// Start in seconds.
        start_s: f64,
        /// End in seconds.
        end_s: f64,
    },
    /// A label is none of the known ones.
    #[error("column `{column}` is `{value}`, which is no known label")]
    Label {
        /// The column.
        column: String,
        /// What it holds.
        value: String,
        /// The name it was probably meant to be.
        nearest: Option<String>,
        /// What the column may hold.
        remedy: &'static str,
    },
}

impl RowProblem {
    /// What lines have to have in common to be told of together: the same label, or the same fault in one column.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Malformed(text) => text.clone(),
            Self::Label { column, value, .. } => format!("label {column} {value}"),
            Self::Empty { column } => format!("empty {column}"),
            Self::Nested { column } => format!("nested {column}"),
            Self::NoFile { column, .. } => format!("file {column}"),
            Self::Time { column, .. } => format!("time {column}"),
            Self::Number { column, .. } => format!("number {column}"),
            Self::Votes { column, .. } => format!("votes {column}"),
            Self::Symbol { column, .. } => format!("symbol {column}"),
            Self::Order { .. } => "order".to_owned(),
        }
    }

    /// What to do about it, where there is something to say.
    pub(super) fn help(&self) -> Option<String> {
        match self {
            Self::Label { nearest, remedy, .. } => Some(match nearest {
                Some(name) => format!("did you mean `{name}`? {remedy}"),
                None => (*remedy).to_owned(),
            }),
            Self::Time { value, .. } | Self::Number { value, .. } if is_decimal_comma(value) => {
                Some("write numbers with a decimal point: `0.5` for `0,5`".to_owned())
            }
            Self::Votes { .. } => Some("write votes as `{\"angry\": 3, \"sad\": 1}` or `angry:3; sad:1`".to_owned()),
            _ => None,
        }
    }
}

/// Whether a text is a number with a comma where English has a point.
fn is_decimal_comma(text: &str) -> bool {
    text.matches(',').count() == 1 && text.replace(',', ".").parse::<f64>().is_ok()
}

/// Further lines of a table with the same fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Also {
    /// How many lines there are, but the first.
    pub count: usize,
    /// The first of them.
    pub rows: Vec<u64>,
}

impl Also {
    /// Lines that are named.
    const SHOWN: usize = 4;

    /// Adds a line.
    pub(crate) fn add(&mut self, row: u64) {
        self.count += 1;
        if self.rows.len() < Self::SHOWN {
            self.rows.push(row);
        }
    }
}

impl fmt::Display for Also {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        let rows: Vec<String> = self.rows.iter().map(ToString::to_string).collect();
        let more = if self.count > self.rows.len() { ", …" } else { "" };
        let lines = if self.count == 1 { "line" } else { "lines" };
        write!(f, " (and in {} further {lines}: {}{more})", self.count, rows.join(", "))
    }
}
