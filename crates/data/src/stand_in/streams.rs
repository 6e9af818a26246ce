//! What stands in for the streams of a manifest.

use super::writer::Writer;
use crate::corpora::manifest::Stream;
use crate::fixtures::{FixtureError, write};

/// Symbols of an item's tokens.
const TOKENS: usize = 8;

impl Writer<'_> {
    /// The cell of a recording's stream, with the file that it names: a tone, numbers that tell recordings apart, a text,
    /// or a few symbols.
    pub(super) fn stream(
        &self,
        name: &str,
        stream: &Stream,
        number: usize,
        seconds: f64,
    ) -> Result<String, FixtureError> {
        Ok(match stream {
            Stream::Audio(_) => {
                let file = format!("streams/{name}_{number}.wav");
                self.tone(&file, 16_000, number, 1)?;
                file
            }
            Stream::Frames(frames) => {
                let file = format!("streams/{name}_{number}.csv");
                let rows = ((seconds * frames.rate_hz).round() as usize).max(1);
                let mut table = String::new();
                for row in 0..rows {
                    let cell = |column: usize| format!("0.{}", (7 * row + 3 * column + number) % 10);
                    let cells: Vec<String> = (0..frames.width).map(cell).collect();
                    table.push_str(&cells.join(","));
                    table.push('\n');
                }
                write(&self.root.join(&file), table.as_bytes())?;
                file
            }
            Stream::Text(_) => "a generated answer".to_owned(),
            Stream::Tokens(tokens) => {
                let symbols = (0..TOKENS).map(|at| ((at + number) % tokens.vocabulary).to_string());
                symbols.collect::<Vec<String>>().join(" ")
            }
        })
    }
}
