//! Streams of a manifest: which columns name them, and what their cells say.

use super::Manifest;
use super::fields::shortened;
use super::places::Places;
use crate::streams::MAX_VOCABULARY;
use crate::table::Row;
use crate::{DataError, RowProblem, StreamFile, StreamForm, StreamProblem, StreamSource};
use emorun_audio::Channel;
use emorun_lang::FrameRate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

emorun_lang::kinded_enum! {
    /// A named source of items beside their audio, at the port `data.NAME`.
    #[derive(PartialEq)]
    pub enum Stream {
        audio => Audio(AudioStream),
        frames => Frames(FrameStream),
        text => Text(TextStream),
        tokens => Tokens(TokenStream),
    }
}

/// Another recording, such as what the listener says: a waveform at the experiment's sample rate. It is used whole, also
/// where the line names a part of its own recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioStream {
    /// Column that names the file of each item; by default that of the stream's name. An empty cell: the item lacks it.
    #[serde(default)]
    pub column: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
}

/// Frames over time that another program made, such as landmarks of a face: a `.npy` or `.safetensors` file with
/// `[time, width]` numbers (a tensor of several is named behind the file, `file.safetensors#tensor`), or a `.csv` with a
/// frame a line, whose first line may name the columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameStream {
    /// Column that names the file of each item; by default that of the stream's name. An empty cell: the item lacks it.
    #[serde(default)]
    pub column: Option<String>,
    /// Numbers a frame.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub width: usize,
    /// Frames a second, to a thousandth.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate_hz: f64,
}

/// A text, such as an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextStream {
    /// Column of the text; by default that of the stream's name. An empty cell: the item lacks it.
    #[serde(default)]
    pub column: Option<String>,
}

/// Symbols of a vocabulary, such as units of speech: numbers in the cell itself (`12 7 7 930`, or `[12, 7, 7, 930]`), or a
/// `.npy` or `.safetensors` file of whole numbers `[time]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenStream {
    /// Column of the symbols, or of their file; by default that of the stream's name. An empty cell: the item lacks it.
    #[serde(default)]
    pub column: Option<String>,
    /// Number of different symbols, which are numbered from 0 on.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub vocabulary: usize,
    /// Symbols a second, to a thousandth, where they are spaced in time.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate_hz: Option<f64>,
}

impl Stream {
    /// The column of a stream of this name.
    pub(crate) fn column<'a>(&'a self, name: &'a str) -> &'a str {
        let column = match self {
            Self::Audio(stream) => &stream.column,
            Self::Frames(stream) => &stream.column,
            Self::Text(stream) => &stream.column,
            Self::Tokens(stream) => &stream.column,
        };
        column.as_deref().unwrap_or(name)
    }

    /// What it is; `None` where its rate is none.
    fn form(&self) -> Option<StreamForm> {
        Some(match self {
            Self::Audio(_) => StreamForm::Audio,
            Self::Text(_) => StreamForm::Text,
            Self::Frames(stream) => StreamForm::Frames {
                width: stream.width,
                rate: FrameRate::of_hz(stream.rate_hz)?,
            },
            Self::Tokens(stream) => StreamForm::Tokens {
                vocabulary: stream.vocabulary.min(MAX_VOCABULARY),
                rate: match stream.rate_hz {
                    Some(rate_hz) => Some(FrameRate::of_hz(rate_hz)?),
                    None => None,
                },
            },
        })
    }

    /// What a cell says of an item.
    fn source(&self, column: &str, row: &Row, places: &mut Places<'_>) -> Result<Option<StreamSource>, RowProblem> {
        let cell = match (self, row.nested(column)) {
            (Self::Tokens(_), Some(list)) => Some(list),
            _ => row.cell(column),
        };
        let Some(cell) = cell else { return Ok(None) };
        let channel = match self {
            Self::Text(_) => return Ok(Some(StreamSource::Text(cell.into()))),
            Self::Tokens(stream) if !is_file(cell) => return tokens(column, cell, stream.vocabulary).map(Some),
            Self::Audio(stream) => stream.channel,
            Self::Frames(_) | Self::Tokens(_) => Channel::default(),
        };
        let (file, tensor) = match cell.rsplit_once('#') {
            Some((file, tensor)) if is_file(file) && !matches!(self, Self::Audio(_)) => (file, Some(tensor.into())),
            _ => (cell, None),
        };
        // A path of Windows is told of as those of recordings are.
        let Some(place) = places.find(row.number, file) else {
            return Ok(None);
        };
        Ok(Some(StreamSource::File(Arc::new(StreamFile {
            path: place.path.as_path().into(),
            tensor,
            channel,
            stamp: None,
            content: None,
            length: None,
        }))))
    }
}

/// Whether a cell names a file of an array.
fn is_file(cell: &str) -> bool {
    let cell = cell.to_ascii_lowercase();
    cell.ends_with(".npy") || cell.ends_with(".safetensors") || cell.contains(".safetensors#")
}

/// Numbers with spaces, commas or semicolons between them, in brackets or not.
fn tokens(column: &str, cell: &str, vocabulary: usize) -> Result<StreamSource, RowProblem> {
    let list = cell.trim().trim_start_matches('[').trim_end_matches(']');
    let words = list.split([' ', ',', ';', '\t']).filter(|word| !word.is_empty());
    let symbol = |word: &str| match word.parse::<u32>() {
        Ok(symbol) if (symbol as usize) < vocabulary => Ok(symbol),
        _ => Err(RowProblem::Symbol {
            column: column.to_owned(),
            value: shortened(word),
            vocabulary,
        }),
    };
    let symbols: Arc<[u32]> = words.map(symbol).collect::<Result<Vec<u32>, _>>()?.into();
    match symbols.is_empty() {
        true => Err(RowProblem::Empty {
            column: column.to_owned(),
        }),
        false => Ok(StreamSource::Tokens(symbols)),
    }
}

impl Manifest {
    /// What a line tells of each of its streams.
    pub(super) fn stream_sources(
        &self,
        columns: &[(String, String)],
        row: &Row,
        places: &mut Places<'_>,
    ) -> Result<Vec<(String, StreamSource)>, RowProblem> {
        let mut sources = Vec::new();
        for (name, column) in columns {
            if let Some(stream) = self.streams.get(name)
                && let Some(source) = stream.source(column, row, places)?
            {
                sources.push((name.clone(), source));
            }
        }
        Ok(sources)
    }

    /// The streams that are right.
    pub(super) fn stream_forms(&self) -> Vec<(String, StreamForm)> {
        let streams = self.streams.iter();
        streams
            .filter_map(|(name, stream)| Some((name.clone(), stream.form()?)))
            .collect()
    }

    /// What is wrong with the streams' names and rates.
    pub(super) fn check_streams(&self, dataset: &str, taken: &[String]) -> Vec<DataError> {
        let problem = |(name, stream): (&String, &Stream)| {
            let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            let problem = if !is_word {
                StreamProblem::Name
            } else if taken.contains(name) {
                StreamProblem::Taken(name.clone())
            } else if stream.form().is_none() {
                StreamProblem::Rate
            } else {
                return None;
            };
            Some(DataError::Stream {
                dataset: dataset.to_owned(),
                stream: name.clone(),
                row: None,
                problem: Box::new(problem),
                also: Default::default(),
            })
        };
        self.streams.iter().filter_map(problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_read_in_every_form_that_tables_have_them_in() {
        for cell in ["12 7 7", "12,7,7", "[12, 7, 7]", "12; 7; 7", " [12 7 7] "] {
            let source = tokens("units", cell, 13).unwrap();
            assert_eq!(source, StreamSource::Tokens([12, 7, 7].into()), "{cell}");
        }
        for (cell, expected) in [
            (
                "12 13",
                "column `units` has `13`, which is no symbol of a vocabulary of 13",
            ),
            (
                "1 -2",
                "column `units` has `-2`, which is no symbol of a vocabulary of 13",
            ),
            (
                "1.5",
                "column `units` has `1.5`, which is no symbol of a vocabulary of 13",
            ),
            ("[]", "column `units` is empty"),
        ] {
            let error = tokens("units", cell, 13).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{cell}: {error}");
        }
        assert!(is_file("a/b.NPY") && is_file("c.safetensors#d") && !is_file("1 2 3"));
    }
}
