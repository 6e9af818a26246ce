//! Why a file cannot be read as a table.

use crate::foreign::Foreign;
use std::io;
use thiserror::Error;

/// What is wrong with a table as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TableProblem {
    /// It is something else than a table in text.
    #[error("{0}")]
    Foreign(Foreign),
    /// It is a folder, a pipe or a device.
    #[error("is {0}, not a file")]
    NotAFile(&'static str),
    /// A byte that no text in UTF-8 has.
    #[error("is not UTF-8: line {line} has the byte 0x{byte:02x}, as Windows-1252 and Latin-1 write accented letters")]
    NotUtf8 {
        /// Line, from 1.
        line: u64,
        /// The byte.
        byte: u8,
    },
    /// Half of a character in UTF-16.
    #[error("is damaged UTF-16: line {line} has half of a character")]
    HalfCharacter {
        /// Line, from 1.
        line: u64,
    },
    /// Four bytes for each character.
    #[error("is UTF-32")]
    Utf32,
    /// A NUL byte, which no text has.
    #[error("is no text: line {line} has a NUL byte")]
    Nul {
        /// Line, from 1.
        line: u64,
    },
    /// A line that never ends.
    #[error("has a line of more than {limit} bytes, which starts at line {line}")]
    LongLine {
        /// Where it starts, from 1.
        line: u64,
        /// The most that a line may have.
        limit: u64,
    },
    /// A quotation mark in the header that is never closed.
    #[error("opens a quotation mark in its header that is never closed")]
    OpenQuote,
    /// One JSON list where lines of JSON are wanted.
    #[error("is one JSON list, where each line has to be an object of its own")]
    JsonList,
}

impl TableProblem {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Foreign(foreign) => foreign.remedy(),
            Self::NotAFile(_) => "name a regular file",
            Self::NotUtf8 { .. } => {
                "save it as `CSV UTF-8 (comma delimited)` in Excel, or convert it: `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
            }
            Self::HalfCharacter { .. } | Self::Nul { .. } => "export or copy the table again, as UTF-8",
            Self::Utf32 => "convert it: `iconv -f UTF-32 -t UTF-8 OLD > NEW`",
            Self::OpenQuote | Self::LongLine { .. } => {
                "close the quotation mark that is open there, or export the table again"
            }
            Self::JsonList => "convert it: `jq -c '.[]' OLD.json > NEW.jsonl`",
        }
    }

    /// As an error of a reader, out of which [`Self::within`] takes it again.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }

    /// The problem that a reader's error holds.
    pub(super) fn within(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().cloned()
    }
}
