//! Tables, which the page shows and papers want as CSV and LaTeX.

use crate::ReportError;
use crate::text::plain;

/// A table; the first cell of a row names it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Name of its file.
    pub name: String,
    pub caption: String,
    pub header: Vec<String>,
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub cells: Vec<Cell>,
    /// Measured on so few items that it says little.
    pub few: bool,
}

/// A cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A number as it is, and as people read it.
    Number(Option<f64>, String),
}

impl Row {
    pub fn new(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self {
            cells: cells.into_iter().collect(),
            few: false,
        }
    }
}

impl Cell {
    pub fn text(text: &str) -> Self {
        Self::Text(plain(text))
    }

    pub fn count(count: u64) -> Self {
        Self::Number(Some(count as f64), count.to_string())
    }

    /// A number as `written` says, and a dash where there is none.
    pub fn number(value: Option<f64>, written: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|value| value.is_finite());
        Self::Number(value, value.map_or_else(|| "–".to_owned(), written))
    }

    pub fn share(value: Option<f64>) -> Self {
        Self::number(value, crate::text::percent)
    }

    pub fn decimal(value: Option<f64>) -> Self {
        Self::number(value, |value| format!("{value:.4}"))
    }

    /// As people read it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(_, text) => text,
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number(..))
    }

    fn csv(&self) -> String {
        match self {
            Self::Number(value, _) => value.map_or_else(String::new, |value| value.to_string()),
            // Spreadsheets run text that begins so.
            Self::Text(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Table {
    /// The table as CSV, numbers with all their digits.
    ///
    /// # Errors
    /// None but a mistake of ours.
    pub fn csv(&self) -> Result<Vec<u8>, ReportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = self.header.iter().map(|name| Cell::text(name).csv());
        writer.write_record(header)?;
        for row in &self.rows {
            writer.write_record(row.cells.iter().map(Cell::csv))?;
        }
        writer
            .into_inner()
            .map_err(|error| ReportError::Csv(error.into_error().into()))
    }
}
