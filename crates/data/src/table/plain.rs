//! The bytes of a table as plain text: UTF-8 whose lines end in `\n`, whatever wrote it.

use super::problem::TableProblem;
use std::io::{self, Read};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;
/// Most bytes of a line: a quotation mark that is never closed makes one of all that follows it.
const MAX_LINE_BYTES: u64 = 1 << 26;
/// What [`Plain`] ends with if asked to: a line that no text has, because a NUL is refused.
pub(super) const END: &str = "\0";

/// How characters are written.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

/// Reads text in UTF-8 or UTF-16, with or without a byte order mark, with lines that end in `\n`, `\r\n` or `\r`, as UTF-8
/// without a mark and with `\n`. The last line ends as the others do.
pub(super) struct Plain<R> {
    source: R,
    /// `None` before the first bytes.
    encoding: Option<Encoding>,
    /// Bytes that were read and not decoded yet: the start of a character.
    raw: Vec<u8>,
    ready: Vec<u8>,
    /// How much of `ready` was given.
    given: usize,
    /// Whether the last character was `\r`, so that a `\n` belongs to it.
    after_return: bool,
    /// Whether the text so far ends in `\n`.
    at_line_start: bool,
    /// Line of what is decoded next, from 1.
    line: u64,
    /// Line of the record that is read, and bytes given since it began.
    record: (u64, u64),
    is_done: bool,
    marks_end: bool,
}

impl<R: Read> Plain<R> {
    /// With [`END`] as a last line, if `marks_end`.
    pub fn new(source: R, marks_end: bool) -> Self {
        Self {
            source,
            encoding: None,
            raw: Vec::new(),
            ready: Vec::new(),
            given: 0,
            after_return: false,
            at_line_start: true,
            line: 1,
            record: (1, 0),
            is_done: false,
            marks_end,
        }
    }

    /// Says that a record begins at a line: what was given before does not count towards its length.
    pub fn begin_record(&mut self, line: u64) {
        self.record = (line, 0);
    }

    /// Decodes a chunk, or the end.
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.given = 0;
        let start = self.raw.len();
        self.raw.resize(start + CHUNK, 0);
        let mut read = 0;
        // A pipe may give less than it has; an encoding is told from more than a byte or two.
        while read < CHUNK {
            match self.source.read(&mut self.raw[start + read..]) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.raw.truncate(start + read);
        let is_last = read < CHUNK;
        let encoding = match self.encoding {
            Some(encoding) => encoding,
            None => {
                let (encoding, mark) = Encoding::of(&self.raw).map_err(TableProblem::into_io)?;
                self.raw.drain(..mark);
                *self.encoding.insert(encoding)
            }
        };
        match encoding {
            Encoding::Utf8 => self.decode_utf8(is_last),
            Encoding::Utf16(unit) => self.decode_utf16(unit, is_last),
        }
        .map_err(TableProblem::into_io)?;
        if is_last {
            self.is_done = true;
            if !self.at_line_start {
                self.ready.push(b'\n');
            }
            if self.marks_end {
                self.ready.extend(END.bytes());
                self.ready.push(b'\n');
            }
        }
        Ok(())
    }

    fn decode_utf8(&mut self, is_last: bool) -> Result<(), TableProblem> {
        let raw = std::mem::take(&mut self.raw);
        let (text, rest) = match std::str::from_utf8(&raw) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (valid, rest) = raw.split_at(error.valid_up_to());
                let text = std::str::from_utf8(valid).unwrap_or_default();
                if error.error_len().is_some() || is_last {
                    self.push(text)?;
                    return Err(TableProblem::NotUtf8 {
                        line: self.line,
                        byte: rest.first().copied().unwrap_or_default(),
                    });
                }
                (text, rest)
            }
        };
        self.push(text)?;
        self.raw = rest.to_vec();
        Ok(())
    }

    fn decode_utf16(&mut self, unit: fn([u8; 2]) -> u16, is_last: bool) -> Result<(), TableProblem> {
        let raw = std::mem::take(&mut self.raw);
        let mut units: Vec<u16> = raw.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let is_first_half = |unit: &u16| (0xd800..0xdc00).contains(unit);
        if !is_last && units.last().is_some_and(is_first_half) {
            units.pop();
        }
        let rest = &raw[2 * units.len()..];
        let mut text = String::with_capacity(units.len());
        for character in char::decode_utf16(units) {
            match character {
                Ok(character) => text.push(character),
                Err(_) => {
                    self.push(&text)?;
                    return Err(TableProblem::HalfCharacter { line: self.line });
                }
            }
        }
        self.push(&text)?;
        if is_last && !rest.is_empty() {
            return Err(TableProblem::HalfCharacter { line: self.line });
        }
        self.raw = rest.to_vec();
        Ok(())
    }

    /// Adds text with its line ends made alike.
    fn push(&mut self, text: &str) -> Result<(), TableProblem> {
        let mut rest = text;
        if self.after_return && !rest.is_empty() {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
            self.after_return = false;
        }
        while !rest.is_empty() {
            let (line, next) = match rest.find('\r') {
                None => (rest, ""),
                Some(at) => {
                    let (line, next) = (&rest[..at], &rest[at + 1..]);
                    self.after_return = next.is_empty();
                    (line, next.strip_prefix('\n').unwrap_or(next))
                }
            };
            let from = self.ready.len();
            self.ready.extend_from_slice(line.as_bytes());
            if line.len() < rest.len() {
                self.ready.push(b'\n');
            }
            rest = next;
            let added = &self.ready[from..];
            if let Some(at) = added.iter().position(|byte| *byte == 0) {
                return Err(TableProblem::Nul {
                    line: self.line + lines(&added[..at]),
                });
            }
            self.line += lines(added);
            self.at_line_start = added.last() == Some(&b'\n');
        }
        Ok(())
    }
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if self.is_done {
                return Ok(0);
            }
            self.fill()?;
        }
        let (line, length) = self.record;
        if length > MAX_LINE_BYTES {
            let limit = MAX_LINE_BYTES;
            return Err(TableProblem::LongLine { line, limit }.into_io());
        }
        let count = buffer.len().min(self.ready.len() - self.given);
        buffer[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        self.record = (line, length + count as u64);
        Ok(count)
    }
}

impl Encoding {
    /// The encoding of a text that starts with these bytes, and the length of its byte order mark.
    fn of(start: &[u8]) -> Result<(Self, usize), TableProblem> {
        const LITTLE: Encoding = Encoding::Utf16(u16::from_le_bytes);
        const BIG: Encoding = Encoding::Utf16(u16::from_be_bytes);
        match start {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(TableProblem::Utf32),
            [0xff, 0xfe, ..] => return Ok((LITTLE, 2)),
            [0xfe, 0xff, ..] => return Ok((BIG, 2)),
            [0xef, 0xbb, 0xbf, ..] => return Ok((Self::Utf8, 3)),
            _ => {}
        }
        // Without a mark: the letters of English column names have a zero for their other half.
        let start = &start[..start.len().min(1024)];
        let zeros = |parity: usize| start.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
        let (even, odd, units) = (zeros(0), zeros(1), start.len() / 2);
        Ok(match units {
            0 => (Self::Utf8, 0),
            _ if even == 0 && 2 * odd > units => (LITTLE, 0),
            _ if odd == 0 && 2 * even > units => (BIG, 0),
            _ => (Self::Utf8, 0),
        })
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> Result<String, TableProblem> {
        let mut text = String::new();
        match Plain::new(bytes, false).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(TableProblem::within(&error).unwrap()),
        }
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_and_line_end_gives_the_same_text() {
        // Long enough for several chunks, with characters of one to four bytes at their borders.
        let text: String = (0..20_000).map(|line| format!("{line},ä€𝄞\n")).collect();
        for end in ["\n", "\r\n", "\r"] {
            let written = text.replace('\n', end);
            let marked = format!("\u{feff}{written}");
            for bytes in [
                written.clone().into_bytes(),
                marked.clone().into_bytes(),
                utf16(&marked, u16::to_le_bytes),
                utf16(&marked, u16::to_be_bytes),
                utf16(&written, u16::to_le_bytes),
                utf16(&written, u16::to_be_bytes),
            ] {
                assert!(plain(&bytes).as_ref() == Ok(&text), "{end:?} {:?}", &bytes[..8]);
            }
        }
        assert_eq!(plain(b"").unwrap(), "");
        assert_eq!(plain(b"a").unwrap(), "a\n");
        assert_eq!(plain(b"a\r\n\r\nb\r").unwrap(), "a\n\nb\n");
        assert_eq!(plain(b"\n\n\n").unwrap(), "\n\n\n");
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let latin = [&b"path\r\n".repeat(30_000)[..], b"Tr\xe4nen\r\n"].concat();
        assert_eq!(
            plain(&latin),
            Err(TableProblem::NotUtf8 {
                line: 30_001,
                byte: 0xe4
            })
        );
        // A character that breaks off.
        assert_eq!(plain(b"a\n\xc3"), Err(TableProblem::NotUtf8 { line: 2, byte: 0xc3 }));
        assert_eq!(plain(b"a\nb\0c\n"), Err(TableProblem::Nul { line: 2 }));
        assert_eq!(plain(&[0xff, 0xfe, 0, 0, 1, 0, 0, 0]), Err(TableProblem::Utf32));
        let half = [utf16("\u{feff}a\nb", u16::to_le_bytes), vec![0, 0xd8]].concat();
        assert_eq!(plain(&half), Err(TableProblem::HalfCharacter { line: 2 }));
        assert_eq!(
            plain(&[0xff, 0xfe, b'a', 0, b'b']),
            Err(TableProblem::HalfCharacter { line: 1 })
        );
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let mut endless = Plain::new(io::repeat(b'a'), false);
        endless.begin_record(7);
        let mut buffer = vec![0; 1 << 16];
        let error = loop {
            if let Err(error) = endless.read(&mut buffer) {
                break error;
            }
        };
        let limit = MAX_LINE_BYTES;
        assert_eq!(
            TableProblem::within(&error),
            Some(TableProblem::LongLine { line: 7, limit })
        );
    }
}
