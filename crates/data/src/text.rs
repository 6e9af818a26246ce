//! Text files of corpora: transcripts and labels.

use crate::table::{TableProblem, not_a_file};
use crate::{DataError, Foreign};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest file that is read, in bytes: the corpora's own have a few megabytes at most.
const MAX_BYTES: u64 = 1 << 26;

/// What a text file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub text: String,
    /// Whether all of it is text: of other encodings than UTF-8 and UTF-16, characters are lost.
    pub is_whole: bool,
}

/// The text of a file, in UTF-8 or (with a byte order mark) UTF-16.
///
/// # Errors
/// Where the file cannot be read, is too large, or stands for one that was not fetched.
pub(crate) fn read(dataset: &str, path: &Path) -> Result<Text, DataError> {
    let unreadable = |reason: String| DataError::Unreadable {
        dataset: dataset.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let wrong = |problem: TableProblem| DataError::Table {
        dataset: dataset.to_owned(),
        path: path.to_owned(),
        problem,
    };
    // Opening a pipe would wait for its other end.
    if let Some(what) = path.metadata().ok().as_ref().and_then(not_a_file) {
        return Err(wrong(TableProblem::NotAFile(what)));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(|error| unreadable(error.to_string()))? as u64 > MAX_BYTES {
        return Err(unreadable(format!(
            "it has more than {MAX_BYTES} bytes, and is no file of the corpus"
        )));
    }
    match Foreign::of(&bytes) {
        Some(pointer @ Foreign::LfsPointer) => Err(wrong(TableProblem::Foreign(pointer))),
        _ => Ok(decode(&bytes)),
    }
}

fn decode(bytes: &[u8]) -> Text {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        Text {
            is_whole: String::from_utf16(&units).is_ok(),
            text: String::from_utf16_lossy(&units),
        }
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            Text {
                is_whole: matches!(text, std::borrow::Cow::Borrowed(_)),
                text: text.trim_start_matches('\u{feff}').to_owned(),
            }
        }
    }
}

/// Names as a sentence lists them: `a, b and c`.
pub(crate) fn in_a_sentence(names: &[&str]) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_editors_write_and_says_what_is_lost() {
        let whole = |text: &str| Text {
            text: text.to_owned(),
            is_whole: true,
        };
        assert_eq!(decode("\u{feff}快乐".as_bytes()), whole("快乐"));
        assert_eq!(decode(&[0xff, 0xfe, 0x2d, 0x4e, 0x0a, 0x00]), whole("中\n"));
        assert_eq!(decode(&[0xfe, 0xff, 0x4e, 0x2d]), whole("中"));
        // The same word in GB 18030.
        let lost = decode(&[0x30, 0xbf, 0xec, 0xc0, 0xd6]);
        assert!(!lost.is_whole && lost.text.starts_with('0'));
        assert_eq!(decode(&[]), whole(""));
    }
}
