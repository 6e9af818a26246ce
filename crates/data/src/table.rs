//! Tables from outside: CSV, TSV and JSON lines, read into the same rows.

use crate::DataError;
use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Largest table that is read, in bytes: some millions of lines.
const MAX_BYTES: u64 = 1 << 30;

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// Columns that any row has.
    pub columns: IndexSet<String>,
    pub rows: Vec<Row>,
    /// Lines that cannot be parsed, and why.
    pub malformed: Vec<(u64, String)>,
}

/// Reads a table in the format that its file name ends in.
///
/// # Errors
/// Where the file cannot be read, is too large, or its format is not known.
pub(crate) fn read(dataset: &str, path: &Path) -> Result<Table, DataError> {
    let unreadable = |reason: String| DataError::Unreadable {
        dataset: dataset.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let delimiter = match extension.to_lowercase().as_str() {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        "jsonl" | "ndjson" => None,
        _ => {
            return Err(DataError::ManifestFormat {
                dataset: dataset.to_owned(),
                path: path.to_owned(),
            });
        }
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(unreadable("it is not a file".to_owned()));
    }
    if metadata.len() > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let input = BufReader::new(file.take(MAX_BYTES));
    match delimiter {
        Some(delimiter) => delimited(input, delimiter).map_err(|error| unreadable(error.to_string())),
        None => json_lines(input).map_err(|error| unreadable(error.to_string())),
    }
    .and_then(|(table, repeated)| match repeated {
        Some(column) => Err(DataError::RepeatedColumn {
            dataset: dataset.to_owned(),
            column,
        }),
        None => Ok(table),
    })
}

/// The table, and a column name that its header repeats.
type Parsed = (Table, Option<String>);

fn delimited(input: impl Read, delimiter: u8) -> Result<Parsed, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(input);
    let mut table = Table::default();
    for header in reader.headers()? {
        let name = header.trim_start_matches('\u{feff}').trim().to_owned();
        if !table.columns.insert(name.clone()) {
            return Ok((table, Some(name)));
        }
    }
    for record in reader.records() {
        match record {
            Ok(record) => table.rows.push(Row {
                number: record.position().map_or(0, csv::Position::line),
                cells: table
                    .columns
                    .iter()
                    .cloned()
                    .zip(record.iter().map(str::to_owned))
                    .collect(),
            }),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let text = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("it has {len} cells where the header has {expected_len}")
                    }
                    csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
                    _ => return Err(error),
                };
                table.malformed.push((line, text));
            }
        }
    }
    Ok((table, None))
}

fn json_lines(input: impl BufRead) -> std::io::Result<Parsed> {
    let mut table = Table::default();
    for (number, line) in (1..).zip(input.lines()) {
        let line = line?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() {
            continue;
        }
        match json_row(line) {
            Ok(cells) => {
                table.columns.extend(cells.keys().cloned());
                table.rows.push(Row { number, cells });
            }
            Err(text) => table.malformed.push((number, text)),
        }
    }
    Ok((table, None))
}

fn json_row(line: &str) -> Result<IndexMap<String, String>, String> {
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

    fn parse(name: &str, bytes: &[u8]) -> Result<Table, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read("d", &path)
    }

    #[test]
    fn the_three_formats_give_the_same_cells() {
        let csv = parse(
            "a.csv",
            "\u{feff}path,text\n\"a,b.wav\",\" said \"\"yes\"\" \"\nc.wav,\n".as_bytes(),
        );
        let tsv = parse("a.TSV", b"path\ttext\na,b.wav\tsaid \"yes\"\nc.wav\t\n");
        let jsonl = parse(
            "a.jsonl",
            "\u{feff}{\"path\":\"a,b.wav\",\"text\":\"said \\\"yes\\\"\"}\n\n{\"path\":\"c.wav\",\"text\":null}"
                .as_bytes(),
        );
        for table in [csv, tsv, jsonl] {
            let table = table.unwrap();
            let cells: Vec<_> = table
                .rows
                .iter()
                .map(|row| (row.cell("path"), row.cell("text")))
                .collect();
            assert_eq!(cells, [(Some("a,b.wav"), Some("said \"yes\"")), (Some("c.wav"), None)]);
        }
    }

    #[test]
    fn broken_lines_are_all_named() {
        let csv = parse("a.csv", b"path,text\na\nb,x\nc,\xff\n").unwrap();
        assert_eq!(csv.rows.len(), 1);
        assert_eq!(csv.malformed.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
        let jsonl = parse("a.jsonl", b"{\"path\":[1]}\n[]\n{\"path\":\"x\"}\n").unwrap();
        assert_eq!(
            jsonl.malformed.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [1, 2]
        );
    }

    #[test]
    fn repeated_columns_and_unknown_formats_are_refused() {
        assert!(matches!(
            parse("a.csv", b"path,path\n"),
            Err(DataError::RepeatedColumn { .. })
        ));
        assert!(matches!(parse("a.xlsx", b""), Err(DataError::ManifestFormat { .. })));
        assert!(matches!(
            read("d", Path::new("/")),
            Err(DataError::ManifestFormat { .. })
        ));
    }
}
