//! What a report is made of.

use emorun_figures::Figure;

use crate::table::{Cell, Row, Table};

/// A part of the report with a title.
#[derive(Debug)]
pub(crate) struct Section {
    /// Anchor on the page, and start of the names of its files.
    pub id: String,
    pub title: String,
    pub blocks: Vec<Block>,
}

/// What stands in a section.
#[derive(Debug)]
pub(crate) enum Block {
    /// Paragraphs.
    Text(Vec<String>),
    Table(Table),
    Figures(Vec<Drawn>),
    Matrix(Matrix),
    /// Recordings.
    Listen(Vec<Recording>),
    /// Text as it is, folded up.
    Verbatim {
        title: String,
        text: String,
    },
    /// A picture as a data URI, which runs nothing and loads nothing.
    Image {
        alt: String,
        uri: String,
    },
}

/// A figure with a name for its file and a description.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub name: String,
    pub title: String,
    pub figure: Figure,
}

/// Counts of true (rows) and predicted (columns) classes.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub caption: String,
    pub labels: Vec<String>,
    pub rows: Vec<Vec<u64>>,
    /// The counts after epochs, the last being those of `rows`; empty where there is one alone.
    pub epochs: Vec<(u64, Vec<Vec<u64>>)>,
    /// An animated PNG of the epochs.
    pub animation: Option<Vec<u8>>,
}

impl Matrix {
    /// The counts as a table.
    pub fn table(&self) -> Table {
        let header = std::iter::once("true \\ predicted".to_owned()).chain(self.labels.iter().cloned());
        let row = |(label, counts): (&String, &Vec<u64>)| {
            let counts = counts.iter().map(|count| Cell::count(*count));
            Row::new(std::iter::once(Cell::text(label)).chain(counts))
        };
        Table {
            name: "confusion".to_owned(),
            caption: self.caption.clone(),
            header: header.collect(),
            rows: self.labels.iter().zip(&self.rows).map(row).collect(),
        }
    }
}

/// A recording to be listened to.
#[derive(Debug)]
pub(crate) struct Recording {
    /// What it is.
    pub about: String,
    /// Its file below the run.
    pub file: String,
    /// Its sound as a data URI; `None` where it was too much for a page.
    pub uri: Option<String>,
    /// Its spectrogram.
    pub spectrogram: Option<Figure>,
}
