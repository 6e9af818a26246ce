//! The texts that an experiment is read from, and places in them.

use std::ops::Range;

/// Names a text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of bytes in one of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range that covers both, if they are in the same text; else the first.
    pub fn to(self, other: Self) -> Self {
        if self.source == other.source {
            Self {
                end: self.end.max(other.end),
                ..self
            }
        } else {
            self
        }
    }
}

/// A place as people count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

/// The texts that an experiment is read from: files and `--set` arguments.
#[derive(Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// No texts yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text; `name` is shown in front of line and column.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source {
            name: name.into(),
            text,
            line_starts,
        });
        id
    }

    fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(usize::try_from(id.0).ok()?)
    }

    /// Name of a text, empty for an identifier of another table.
    pub fn name(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.name)
    }

    /// A whole text, empty for an identifier of another table.
    pub fn text(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.text)
    }

    /// Line and column where a span starts.
    pub fn position(&self, span: Span) -> Position {
        let Some(source) = self.get(span.source) else {
            return Position { line: 1, column: 1 };
        };
        let line = source.line_starts.partition_point(|&at| at <= span.start);
        let line_start = line
            .checked_sub(1)
            .and_then(|index| source.line_starts.get(index))
            .copied()
            .unwrap_or(0);
        let before = source.text.get(line_start..span.start).unwrap_or("");
        Position {
            line: line.max(1),
            column: before.chars().count() + 1,
        }
    }

    /// Text of the line where a span starts, without its line break, and the part of the span on
    /// that line as a range of bytes in it.
    pub fn line(&self, span: Span) -> (&str, Range<usize>) {
        let text = self.text(span.source);
        let start = floor_char_boundary(text, span.start);
        let end = floor_char_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let from = (start - line_start).min(line.len());
        let to = (end.min(line_end) - line_start).min(line.len());
        (line, from..to.max(from))
    }

    /// The text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.start..span.end).unwrap_or("")
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_at_breaks() {
        let mut sources = Sources::new();
        let source = sources.add("x.yaml", "a: 1\r\nérgö: zwei\n");
        let span = Span {
            source,
            start: 14,
            end: 99,
        };
        assert_eq!(sources.position(span), Position { line: 2, column: 7 });
        assert_eq!(sources.line(span), ("érgö: zwei", 8..12));
        let first = Span {
            source,
            start: 3,
            end: 8,
        };
        assert_eq!(sources.line(first), ("a: 1", 3..4));
    }
}
