//! Frames and tokens of one item from a file.

use super::StreamValue;
use crate::{ContentHash, StreamProblem};
use emorun_features::{Array, FeatureFile};
use emorun_files::read_regular;
use std::path::Path;

/// Most bytes of a table of frames that are read.
const MAX_CSV_BYTES: u64 = 1 << 30;
/// Largest number of symbols that a vocabulary has: those that a float32 tells apart.
pub const MAX_VOCABULARY: usize = 1 << 24;

/// Frames of a width: a `.npy` or tensor `[time, width]`, or a table with one frame a line.
pub fn frames(path: &Path, tensor: Option<&str>, width: usize) -> Result<StreamValue, StreamProblem> {
    let (shape, values) = if is_csv(path) {
        csv(path)?
    } else {
        let array = array(path, tensor)?;
        (array.shape().to_vec(), array.into_values())
    };
    match *shape {
        [_, own] if own == width => Ok(StreamValue::Frames(values)),
        _ => Err(StreamProblem::Shape {
            path: path.to_owned(),
            shape,
            wanted: format!("frames {width} wide: [time, {width}]"),
        }),
    }
}

/// Numbers of symbols: a `.npy` or tensor `[time]` of whole numbers.
pub fn tokens(path: &Path, tensor: Option<&str>, vocabulary: usize) -> Result<StreamValue, StreamProblem> {
    let array = array(path, tensor)?;
    let &[_] = array.shape() else {
        return Err(StreamProblem::Shape {
            path: path.to_owned(),
            shape: array.shape().to_vec(),
            wanted: "tokens: [time]".to_owned(),
        });
    };
    let symbol = |value: &f32| {
        let is_symbol = value.fract() == 0.0 && *value >= 0.0 && *value < vocabulary as f32;
        is_symbol.then_some(*value as u32).ok_or_else(|| StreamProblem::Symbol {
            value: value.to_string(),
            vocabulary,
        })
    };
    let ids: Result<Vec<u32>, StreamProblem> = array.values().iter().map(symbol).collect();
    ids.map(StreamValue::Tokens)
}

fn array(path: &Path, tensor: Option<&str>) -> Result<Array, StreamProblem> {
    let file = FeatureFile::open(path)?;
    let mut names = file.names();
    let (first, more) = (names.next(), names.next());
    let name = match (tensor, first, more) {
        (Some(name), ..) => name,
        (None, Some(only), None) => only,
        _ => return Err(StreamProblem::WhichTensor { path: path.to_owned() }),
    };
    Ok(file.read(name)?)
}

fn is_csv(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| extension == "csv" || extension == "tsv")
}

/// A table of numbers, as its shape and values. A first line that holds a word names the columns.
fn csv(path: &Path) -> Result<(Vec<usize>, Vec<f32>), StreamProblem> {
    let bytes = read_regular(path, MAX_CSV_BYTES).map_err(|source| StreamProblem::Read {
        path: path.to_owned(),
        source,
    })?;
    let bad = |line: u64, reason: String| StreamProblem::Table {
        path: path.to_owned(),
        line,
        reason,
    };
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = *b",;\t".iter().find(|mark| first.contains(mark)).unwrap_or(&b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes.as_slice());
    let mut record = csv::StringRecord::new();
    let (mut rows, mut width, mut values) = (0, 0, Vec::new());
    let mut is_first = true;
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(bad(line, error.to_string())),
        }
        let is_header = is_first
            && record
                .iter()
                .any(|cell| cell.parse::<f64>().is_err() && !cell.is_empty());
        is_first = false;
        if is_header {
            continue;
        }
        width = record.len();
        for (at, cell) in record.iter().enumerate() {
            match cell.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    return Err(bad(
                        line,
                        format!("column {} is `{cell}`, which is no finite number", at + 1),
                    ));
                }
            }
        }
        rows += 1;
    }
    if rows == 0 {
        return Err(StreamProblem::Empty { path: path.to_owned() });
    }
    Ok((vec![rows, width], values))
}

/// Hash of what a file holds, whatever kind of stream it is of; `None` where it cannot be read.
pub fn content_of(path: &Path, tensor: Option<&str>) -> Option<ContentHash> {
    if is_csv(path) {
        let (shape, values) = csv(path).ok()?;
        return Some(content(&shape, &values));
    }
    match array(path, tensor) {
        Ok(array) => Some(content(array.shape(), array.values())),
        Err(_) => ContentHash::of_audio(path).ok(),
    }
}

/// Hash of an array's values.
pub fn content(shape: &[usize], values: &[f32]) -> ContentHash {
    let lines = std::iter::once(format!("{shape:?}"));
    ContentHash::of_lines(lines.chain(values.chunks(1 << 12).map(|values| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        ContentHash::of(&bytes).to_string()
    })))
}
