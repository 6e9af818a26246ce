//! Hashes of audio content.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::path::Path;

/// BLAKE3 hash of an audio file's samples, or of its bytes where it cannot be decoded as a whole, or of the description that
/// generated audio follows from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash of a file's bytes, read in pieces.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }
}

impl ContentHash {
    /// The hash of texts one behind the other, with a line break between each two, as of one text.
    pub(crate) fn of_lines(lines: impl Iterator<Item = String>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut text = String::new();
        for (at, line) in lines.enumerate() {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(&line);
            // Long pieces hash faster than lines.
            if text.len() > 1 << 16 {
                hasher.update(text.as_bytes());
                text.clear();
            }
        }
        hasher.update(text.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// An [`emorun_files::Stamp`] in eight bytes, of which a corpus has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortStamp(NonZeroU64);

impl ShortStamp {
    /// The stamp of a file; `None` where the system does not tell it.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let stamp = emorun_files::Stamp::of(path).ok()?;
        let hash = blake3::hash(stamp.to_string().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        Some(Self(
            NonZeroU64::new(u64::from_le_bytes(first)).unwrap_or(NonZeroU64::MIN),
        ))
    }

    pub(crate) const fn number(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(&text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(de::Error::custom)
    }
}
