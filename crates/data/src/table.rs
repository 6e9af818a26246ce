//! Tables from outside: CSV, TSV and JSON lines, read into the same rows.

use crate::DataError;
use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Largest table that is read, in bytes: some hundred millions of lines.
const MAX_BYTES: u64 = 1 << 35;
/// Most columns of a table.
const MAX_COLUMNS: usize = 4096;

/// One line of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Line in the file, from 1.
    pub number: u64,
    cells: IndexMap<String, String>,
}

impl Row {
    /// The value in `column`, without surrounding blanks; `None` where it is empty.
    pub fn cell(&self, column: &str) -> Option<&str> {
        self.cells
            .get(column)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// A line that cannot be read: its number, and why.
pub(crate) type Malformed = (u64, String);

/// A table on disk.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    dataset: String,
    path: PathBuf,
    /// What separates cells; `None` for lines of JSON.
    delimiter: Option<u8>,
}

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
            "tsv" => Some(b'\t'),
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

    /// The columns: of the header, or of any line of JSON.
    ///
    /// # Errors
    /// Where the file cannot be read, or the header names a column twice.
    pub fn columns(&self) -> Result<IndexSet<String>, DataError> {
        let mut columns = IndexSet::new();
        match self.delimiter {
            Some(delimiter) => {
                let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(self.open()?);
                let headers = reader.headers().map_err(|error| self.unreadable(error.to_string()))?;
                for column in headers.iter().take(MAX_COLUMNS).map(header) {
                    if !columns.insert(column.clone()) {
                        return Err(DataError::RepeatedColumn {
                            dataset: self.dataset.clone(),
                            column,
                        });
                    }
                }
            }
            None => self.json_rows(|row| {
                let keys = row.into_iter().flat_map(|row| row.cells.into_keys());
                columns.extend(keys.take(MAX_COLUMNS.saturating_sub(columns.len())));
                ControlFlow::Continue(())
            })?,
        }
        Ok(columns)
    }

    /// Gives every line to `each`, until it breaks off.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn rows(&self, mut each: impl FnMut(Result<Row, Malformed>) -> ControlFlow<()>) -> Result<(), DataError> {
        let Some(delimiter) = self.delimiter else {
            return self.json_rows(each);
        };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(self.open()?);
        let headers = reader.headers().map_err(|error| self.unreadable(error.to_string()))?;
        let columns: Vec<String> = headers.iter().take(MAX_COLUMNS).map(header).collect();
        for record in reader.records() {
            let row = match record {
                Ok(record) => Ok(Row {
                    number: record.position().map_or(0, csv::Position::line),
                    cells: columns.iter().cloned().zip(record.iter().map(str::to_owned)).collect(),
                }),
                Err(error) => Err((
                    error.position().map_or(0, csv::Position::line),
                    match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                            format!("it has {len} cells where the header has {expected_len}")
                        }
                        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
                        _ => return Err(self.unreadable(error.to_string())),
                    },
                )),
            };
            if each(row).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn json_rows(&self, mut each: impl FnMut(Result<Row, Malformed>) -> ControlFlow<()>) -> Result<(), DataError> {
        for (number, line) in (1..).zip(self.open()?.lines()) {
            let line = line.map_err(|error| self.unreadable(format!("line {number}: {error}")))?;
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() {
                continue;
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

    fn open(&self) -> Result<BufReader<Take<File>>, DataError> {
        // Opening a pipe would wait for its other end.
        if self.path.exists() && !self.path.is_file() {
            return Err(self.unreadable("it is not a file".to_owned()));
        }
        let file = File::open(&self.path).map_err(|error| self.unreadable(error.to_string()))?;
        let bytes = file
            .metadata()
            .map_err(|error| self.unreadable(error.to_string()))?
            .len();
        if bytes > MAX_BYTES {
            let reason = format!("it has {bytes} bytes, more than {MAX_BYTES}; cut it in several");
            return Err(self.unreadable(reason));
        }
        Ok(BufReader::new(file.take(MAX_BYTES)))
    }

    fn unreadable(&self, reason: String) -> DataError {
        DataError::Unreadable {
            dataset: self.dataset.clone(),
            path: self.path.clone(),
            reason,
        }
    }
}

/// A column's name: spreadsheets write a byte order mark before the first one.
fn header(text: &str) -> String {
    text.trim_start_matches('\u{feff}').trim().to_owned()
}

fn json_cells(line: &str) -> Result<IndexMap<String, String>, String> {
    let object: IndexMap<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    object
        .into_iter()
        .map(|(key, value)| {
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!("`{key}` is neither text nor a number"));
                }
            };
            Ok((key, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns, and the rows that can and cannot be read.
    type Read = (IndexSet<String>, Vec<Row>, Vec<Malformed>);

    fn read(name: &str, bytes: &[u8]) -> Result<Read, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let table = Table::new("d", &path)?;
        let (mut rows, mut malformed) = (Vec::new(), Vec::new());
        table.rows(|row| {
            match row {
                Ok(row) => rows.push(row),
                Err(line) => malformed.push(line),
            }
            ControlFlow::Continue(())
        })?;
        Ok((table.columns()?, rows, malformed))
    }

    #[test]
    fn the_three_formats_give_the_same_cells() {
        let csv = "\u{feff}path,text\n\"a,b.wav\",\" said \"\"yes\"\" \"\nc.wav,\n";
        let tsv = "path\ttext\na,b.wav\tsaid \"yes\"\nc.wav\t\n";
        let jsonl =
            "\u{feff}{\"path\":\"a,b.wav\",\"text\":\"said \\\"yes\\\"\"}\n\n{\"path\":\"c.wav\",\"text\":null}";
        for (name, text) in [("a.csv", csv), ("a.TSV", tsv), ("a.jsonl", jsonl)] {
            let (columns, rows, malformed) = read(name, text.as_bytes()).unwrap();
            let cells: Vec<_> = rows.iter().map(|row| (row.cell("path"), row.cell("text"))).collect();
            assert_eq!(cells, [(Some("a,b.wav"), Some("said \"yes\"")), (Some("c.wav"), None)]);
            assert_eq!((columns.len(), malformed.len()), (2, 0), "{name}");
        }
    }

    #[test]
    fn broken_lines_are_all_named() {
        let lines = |malformed: &[Malformed]| malformed.iter().map(|(line, _)| *line).collect::<Vec<_>>();
        let (_, rows, malformed) = read("a.csv", b"path,text\na\nb,x\nc,\xff\n").unwrap();
        assert_eq!((rows.len(), lines(&malformed)), (1, vec![2, 4]));
        let (_, rows, malformed) = read("a.jsonl", b"{\"path\":[1]}\n[]\n{\"path\":\"x\"}\n").unwrap();
        assert_eq!((rows.len(), lines(&malformed)), (1, vec![1, 2]));
        assert!(matches!(read("a.jsonl", b"\xff\n"), Err(DataError::Unreadable { .. })));
    }

    #[test]
    fn repeated_columns_unknown_formats_and_folders_are_refused() {
        assert!(matches!(
            read("a.csv", b"path,path\n"),
            Err(DataError::RepeatedColumn { .. })
        ));
        assert!(matches!(read("a.xlsx", b""), Err(DataError::ManifestFormat { .. })));
        let folder = tempfile::Builder::new().suffix(".csv").tempdir().unwrap();
        let table = Table::new("d", folder.path()).unwrap();
        assert!(matches!(table.columns(), Err(DataError::Unreadable { .. })));
    }
}
