//! Tables from outside: CSV, TSV and JSON lines, read into the same rows.

mod dialect;
mod plain;
mod problem;

pub use problem::TableProblem;

use crate::DataError;
use crate::foreign::Foreign;
use dialect::{Dialect, is_blank};
use indexmap::{IndexMap, IndexSet};
use plain::{END, Plain};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Seek, Take};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest table that is read, in bytes: some hundred millions of lines.
const MAX_BYTES: u64 = 1 << 35;
/// Most columns of a table.
const MAX_COLUMNS: usize = 4096;
/// Text by which the layout of a table is told, in bytes.
const HEAD: u64 = 1 << 16;

/// One line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Line in the file, from 1.
    pub number: u64,
    cells: Cells,
}

#[derive(Clone, Debug)]
enum Cells {
    /// Of a table with a header: where each column stands.
    Listed(Arc<IndexMap<String, usize>>, csv::StringRecord),
    /// Of a JSON object: its texts and numbers, and the lists and objects as JSON.
    Named {
        texts: IndexMap<String, String>,
        nested: IndexMap<String, String>,
    },
}

impl Row {
    /// The value in `column`, without surrounding blanks; `None` where it is empty.
    pub fn cell(&self, column: &str) -> Option<&str> {
        let value = match &self.cells {
            Cells::Listed(columns, record) => record.get(*columns.get(column)?)?,
            Cells::Named { texts, .. } => texts.get(column)?,
        };
        // Tables that were put together from several hold their marks.
        let is_space = |letter: char| letter.is_whitespace() || letter == '\u{feff}';
        Some(value.trim_matches(is_space)).filter(|value| !value.is_empty())
    }

    /// The list or object in `column`, as JSON.
    pub fn nested(&self, column: &str) -> Option<&str> {
        match &self.cells {
            Cells::Listed(..) => None,
            Cells::Named { nested, .. } => nested.get(column).map(String::as_str),
        }
    }
}

/// A line that cannot be read: its number, and why.
pub(crate) type Malformed = (u64, String);

/// A table on disk.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    dataset: String,
    path: PathBuf,
    /// What separates cells, if the table itself does not tell otherwise; `None` for lines of JSON.
    delimiter: Option<u8>,
}

type Text = Plain<Take<File>>;
type Records = csv::Reader<Chain<Cursor<Vec<u8>>, Text>>;

impl Table {
    /// The table at `path`, in the format that its name ends in.
    ///
    /// # Errors
    /// Where the format is not known.
    pub fn new(dataset: &str, path: &Path) -> Result<Self, DataError> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let delimiter = match extension.to_lowercase().as_str() {
            "csv" => Some(b','),
            // Excel's `Unicode text` is a `.txt` with tabs.
            "tsv" | "tab" | "txt" => Some(b'\t'),
            "jsonl" | "ndjson" => None,
            _ => {
                let (dataset, path) = (dataset.to_owned(), path.to_owned());
                return Err(DataError::ManifestFormat { dataset, path });
            }
        };
        Ok(Self {
            dataset: dataset.to_owned(),
            path: path.to_owned(),
            delimiter,
        })
    }

    /// The columns: of the header, or of any line of JSON. Columns without a name count as one.
    ///
    /// # Errors
    /// Where the file cannot be read, or the header names a column twice.
    pub fn columns(&self) -> Result<IndexSet<String>, DataError> {
        let mut columns = IndexSet::new();
        match self.delimiter {
            Some(delimiter) => {
                let (mut records, _) = self.records(delimiter)?;
                for column in self.header(&mut records)? {
                    if !columns.insert(column.clone()) && !column.is_empty() {
                        return Err(DataError::RepeatedColumn {
                            dataset: self.dataset.clone(),
                            column,
                        });
                    }
                }
            }
            None => self.json_rows(|row| {
                let keys = row.into_iter().flat_map(|row| match row.cells {
                    Cells::Named { texts, nested } => texts.into_keys().chain(nested.into_keys()).collect(),
                    Cells::Listed(..) => Vec::new(),
                });
                columns.extend(keys.take(MAX_COLUMNS.saturating_sub(columns.len())));
                ControlFlow::Continue(())
            })?,
        }
        Ok(columns)
    }

    /// Gives every line to `each`, until it breaks off. Lines in which nothing is are no lines of the table.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn rows(&self, mut each: impl FnMut(Result<Row, Malformed>) -> ControlFlow<()>) -> Result<(), DataError> {
        let Some(delimiter) = self.delimiter else {
            return self.json_rows(each);
        };
        let (mut records, skipped) = self.records(delimiter)?;
        let header = self.header(&mut records)?;
        let width = header.len();
        let mut columns = IndexMap::with_capacity(width);
        for (at, column) in header.into_iter().enumerate() {
            columns.entry(column).or_insert(at);
        }
        let columns = Arc::new(columns);
        let mut record = csv::StringRecord::new();
        loop {
            let line = skipped + records.position().line();
            records.get_mut().get_mut().1.begin_record(line);
            if !records.read_record(&mut record).map_err(|error| self.failed(error))? {
                return Ok(());
            }
            if is_end(&record) {
                return Ok(());
            }
            if is_blank(&record) {
                continue;
            }
            // The record has ended with its line; its cells may have had line breaks of their own.
            let breaks: usize = record.iter().map(|cell| cell.matches('\n').count()).sum();
            let number = (skipped + records.position().line()).saturating_sub(1 + breaks as u64);
            let surplus = record.iter().skip(width).any(|cell| !cell.trim().is_empty());
            let is_last = record.iter().next_back().is_some_and(|cell| cell.contains(END));
            let row = if is_last {
                Err((line, "it opens a quotation mark that is never closed".to_owned()))
            } else if record.len() < width || surplus {
                let (cells, noun) = (record.len(), if record.len() == 1 { "cell" } else { "cells" });
                Err((number, format!("it has {cells} {noun} where the header has {width}")))
            } else {
                let cells = Cells::Listed(columns.clone(), record.clone());
                Ok(Row { number, cells })
            };
            if each(row).is_break() || is_last {
                return Ok(());
            }
        }
    }

    fn json_rows(&self, mut each: impl FnMut(Result<Row, Malformed>) -> ControlFlow<()>) -> Result<(), DataError> {
        let mut text = BufReader::new(Plain::new(self.open()?, false));
        let mut line = String::new();
        let mut is_first = true;
        for number in 1.. {
            line.clear();
            text.get_mut().begin_record(number);
            if text.read_line(&mut line).map_err(|error| self.unreadable(&error))? == 0 {
                break;
            }
            let line = line.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
            if line.is_empty() {
                continue;
            }
            if std::mem::take(&mut is_first) && line.starts_with('[') {
                return Err(self.wrong(TableProblem::JsonList));
            }
            let row = json_cells(line)
                .map(|cells| Row { number, cells })
                .map_err(|text| (number, text));
            if each(row).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The records of a table in text, its header first, and how many lines stand above that.
    fn records(&self, suggested: u8) -> Result<(Records, u64), DataError> {
        let mut text = Plain::new(self.open()?, true);
        let mut head = Vec::new();
        (&mut text)
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|error| self.unreadable(&error))?;
        // The bound may cut a character in two.
        let start = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (body, is_whole) = match start.split_once(END) {
            Some((body, _)) => (body, true),
            None => (start, false),
        };
        let dialect = Dialect::of(body, is_whole, suggested);
        head.drain(..dialect.skipped_bytes);
        let records = csv::ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Cursor::new(head).chain(text));
        Ok((records, dialect.skipped_lines))
    }

    /// The names of the columns; none where the table is empty.
    fn header(&self, records: &mut Records) -> Result<Vec<String>, DataError> {
        let mut record = csv::StringRecord::new();
        let is_there = records.read_record(&mut record).map_err(|error| self.failed(error))?;
        if !is_there || is_end(&record) {
            return Ok(Vec::new());
        }
        if record.iter().any(|cell| cell.contains(END)) {
            return Err(self.wrong(TableProblem::OpenQuote));
        }
        let mut columns: Vec<String> = record.iter().take(MAX_COLUMNS).map(header).collect();
        // Some programs write the header as a comment.
        if let Some(first) = columns.first_mut()
            && let Some(rest) = first.strip_prefix('#').map(str::trim_start)
            && !rest.is_empty()
        {
            *first = rest.to_owned();
        }
        Ok(columns)
    }

    /// The bytes of a regular file, at most [`MAX_BYTES`], that is no workbook, page or pointer.
    fn open(&self) -> Result<Take<File>, DataError> {
        let metadata = self.path.metadata().map_err(|error| self.unreadable(&error))?;
        // Opening a pipe would wait for its other end.
        if let Some(what) = not_a_file(&metadata) {
            return Err(self.wrong(TableProblem::NotAFile(what)));
        }
        if metadata.len() > MAX_BYTES {
            let reason = format!(
                "it has {} bytes, more than {MAX_BYTES}; cut it in several",
                metadata.len()
            );
            return Err(self.unreadable(&io::Error::other(reason)));
        }
        let mut start = Vec::new();
        let mut file = File::open(&self.path).map_err(|error| self.unreadable(&error))?;
        let read = (&mut file).take(64).read_to_end(&mut start);
        read.and_then(|_| file.rewind())
            .map_err(|error| self.unreadable(&error))?;
        match Foreign::of(&start) {
            Some(foreign) => Err(self.wrong(TableProblem::Foreign(foreign))),
            None => Ok(file.take(MAX_BYTES)),
        }
    }

    fn failed(&self, error: csv::Error) -> DataError {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => self.unreadable(&error),
            // Lengths may differ and the text is UTF-8, so that nothing else can be wrong.
            kind => self.unreadable(&io::Error::other(format!("{kind:?}"))),
        }
    }

    fn unreadable(&self, error: &io::Error) -> DataError {
        match TableProblem::within(error) {
            Some(problem) => self.wrong(problem),
            None => DataError::Unreadable {
                dataset: self.dataset.clone(),
                path: self.path.clone(),
                reason: error.to_string(),
            },
        }
    }

    fn wrong(&self, problem: TableProblem) -> DataError {
        DataError::Table {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            problem,
        }
    }
}

/// What something on disk is, where it is no regular file.
pub(crate) fn not_a_file(metadata: &std::fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// Whether a record is the line that the text ends with.
fn is_end(record: &csv::StringRecord) -> bool {
    record.len() == 1 && record.get(0) == Some(END)
}

/// A column's name.
fn header(text: &str) -> String {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
        .to_owned()
}

fn json_cells(line: &str) -> Result<Cells, String> {
    let object: IndexMap<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let (mut texts, mut nested) = (IndexMap::new(), IndexMap::new());
    for (key, value) in object {
        match value {
            Value::Null => texts.insert(key, String::new()),
            Value::String(text) => texts.insert(key, text),
            Value::Bool(_) | Value::Number(_) => texts.insert(key, value.to_string()),
            Value::Array(_) | Value::Object(_) => nested.insert(key, value.to_string()),
        };
    }
    Ok(Cells::Named { texts, nested })
}

#[cfg(test)]
mod tests;
