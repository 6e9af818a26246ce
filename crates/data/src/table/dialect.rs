//! How a table in text is laid out: what separates its cells, and what stands above its header.

/// What separates cells, the most usual first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Lines below the header by which a delimiter is judged.
const LINES: usize = 20;

/// The layout of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    /// Bytes above the header: empty lines, comments and Excel's `sep=;`.
    pub skipped_bytes: usize,
    /// Lines above the header.
    pub skipped_lines: u64,
}

impl Dialect {
    /// The layout of a table that starts with `head` (all of it, if `is_whole`), where its file's name suggests a delimiter.
    ///
    /// The delimiter is the one that a line `sep=…` names; or else that by which the next lines have as many cells as the
    /// header, and the header most of them.
    pub fn of(head: &str, is_whole: bool, suggested: u8) -> Self {
        let (mut skipped_bytes, mut skipped_lines, mut named) = (0, 0, None);
        let mut lines = head.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            let text = line.trim();
            let separator = separator(line).filter(|_| named.is_none());
            let is_comment = text.starts_with('#') && !lines.peek().is_some_and(|next| is_header(text, next));
            if !(text.is_empty() || is_comment || separator.is_some()) {
                break;
            }
            named = named.or(separator.flatten());
            skipped_bytes += line.len();
            skipped_lines += 1;
        }
        let body = &head[skipped_bytes..];
        Self {
            delimiter: named.unwrap_or_else(|| delimiter(body, is_whole, suggested)),
            skipped_bytes,
            skipped_lines,
        }
    }
}

/// Whether a line is Excel's `sep=;`, and the delimiter that it names.
fn separator(line: &str) -> Option<Option<u8>> {
    let text = line.trim_end_matches('\n').trim_matches('"');
    let (start, rest) = text.split_at_checked(4)?;
    let named = rest.bytes().next().filter(|byte| DELIMITERS.contains(byte));
    (start.eq_ignore_ascii_case("sep=") && rest.len() <= 1).then_some(named)
}

/// Whether a line that starts with `#` is a header all the same, such as `#path,speaker`: the next one has as many cells, and
/// looks like a file's name where this one does not.
fn is_header(line: &str, next: &str) -> bool {
    let names_file = |text: &str| text.contains(['/', '\\', '.']);
    let is_alike = |delimiter: u8| {
        let cells = |text: &str| text.bytes().filter(|byte| *byte == delimiter).count();
        cells(line) > 0 && cells(line) == cells(next)
    };
    !next.starts_with('#') && names_file(next) && !names_file(line) && DELIMITERS.into_iter().any(is_alike)
}

fn delimiter(body: &str, is_whole: bool, suggested: u8) -> u8 {
    let score = |delimiter: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(body.as_bytes());
        let mut records: Vec<csv::StringRecord> = reader.records().take(LINES + 1).map_while(Result::ok).collect();
        if records.len() <= LINES && !is_whole {
            // The last one is cut.
            records.pop();
        }
        let cells = records.first().map_or(0, csv::StringRecord::len);
        let below = records.iter().skip(1);
        let is_even = below
            .filter(|record| !is_blank(record))
            .all(|record| record.len() == cells);
        (cells > 1).then_some((is_even, cells, delimiter == suggested))
    };
    let scored = DELIMITERS
        .into_iter()
        .filter_map(|delimiter| Some((score(delimiter)?, delimiter)));
    // Of equals the most usual one.
    let best = scored.rev().max_by_key(|(score, _)| *score);
    best.map_or(suggested, |(_, delimiter)| delimiter)
}

/// Whether nothing is in a line: spreadsheets write such lines below a table.
pub(super) fn is_blank(record: &csv::StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_and_what_stands_above_a_header_are_found() {
        for (head, suggested, delimiter, lines) in [
            ("path,speaker\na,1\n", b',', b',', 0),
            ("path;speaker\na;1\n", b',', b';', 0),
            ("path\tspeaker\na\t1\n", b',', b'\t', 0),
            ("path|speaker\na|1\n", b',', b'|', 0),
            // Saved as .tsv by a program that writes commas.
            ("path,speaker\na,1\n", b'\t', b',', 0),
            // A name or a cell may hold the other one.
            ("path;speaker;words, spoken\na;1;well, yes\n", b',', b';', 0),
            ("path,speaker,x;y;z;w\na,1,\n", b',', b',', 0),
            ("path,\"a;b;c;d\"\nx,\"1;2\"\n", b',', b',', 0),
            ("path\tage, gender, name\na\t1\n", b'\t', b'\t', 0),
            // Nothing to tell by.
            ("path\na\n", b',', b',', 0),
            ("path,speaker;x\n", b',', b',', 0),
            ("path\tspeaker,x\n", b'\t', b'\t', 0),
            ("", b',', b',', 0),
            ("sep=;\npath;x\n", b',', b';', 1),
            ("SEP=,\npath,x;y;z\n", b',', b',', 1),
            ("\"sep=\t\"\npath\tx\n", b',', b'\t', 1),
            ("sep=\t\npath\tx\n", b',', b'\t', 1),
            ("# made by me, today\n\n#again\npath,x\n", b',', b',', 3),
            ("#path,speaker\nwav/a.wav,1\n", b',', b',', 0),
            ("# by me, today\npath,speaker\nwav/a.wav,1\n", b',', b',', 1),
            ("separator;path\n1;2\n", b',', b';', 0),
            // Broken lines do not count, where no other delimiter fits.
            ("path,speaker,x\na\nb,1,2\n", b',', b',', 0),
        ] {
            let found = Dialect::of(head, true, suggested);
            assert_eq!((found.delimiter, found.skipped_lines), (delimiter, lines), "{head:?}");
        }
        let cut = "path;a,b\n".to_owned() + &"x;1\n".repeat(3) + "y";
        assert_eq!(Dialect::of(&cut, false, b',').delimiter, b';');
    }
}
