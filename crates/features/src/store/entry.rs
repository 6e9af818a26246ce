//! The file of one feature.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `EMOFEAT` and the format's version |
//! | 32 | the key |
//! | 1, 1, 2 | bytes of one value, number of axes, zeros |
//! | 4 | length of the origin |
//! | 24 | three sizes, those of missing axes 0 |
//! | | the origin as JSON, the values |
//! | 32 | BLAKE3 of all before |
//!
//! Numbers are little-endian.

use crate::array::product;
use crate::convert::{append_bytes, append_values};
use crate::{Array, ArrayError, Key, Precision};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

const MAGIC: [u8; 8] = *b"EMOFEAT\x01";
const HEADER: usize = 72;
const HASH: usize = 32;
/// Most bytes of each text of an origin.
const MAX_ORIGIN_TEXT: usize = 1024;
/// Most bytes of an origin as JSON, in which a byte may take six.
const MAX_ORIGIN: usize = 6 * 2 * MAX_ORIGIN_TEXT + 64;

/// Where a feature comes from, for people; no part of its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// What computed it, such as `hubert facebook/hubert-base-ls960`.
    pub kind: String,
    /// What it was computed from, such as a dataset's folder.
    pub source: String,
}

/// A verified entry, mapped into memory. It stays readable when the cache removes it.
#[derive(Debug)]
pub struct Entry {
    map: Mmap,
    precision: Precision,
    shape: Vec<usize>,
    values: Range<usize>,
}

impl Entry {
    /// Maps and verifies the entry of a key; the inner error says what does not hold.
    pub(super) fn map(file: &File, key: &Key) -> io::Result<Result<Self, &'static str>> {
        if file.metadata()?.len() < (HEADER + HASH) as u64 {
            return Ok(Err("it is cut short"));
        }
        // SAFETY: nobody writes to an entry: it appears by a rename, complete, and goes by being unlinked or replaced,
        // which leaves the mapped file as it is.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        Ok(verify(&map, key).map(|(precision, shape, values)| Self {
            map,
            precision,
            shape,
            values,
        }))
    }

    /// Axes as those of an [`Array`].
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How the values are stored.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// The feature.
    #[must_use]
    pub fn read(&self) -> Array {
        let bytes = &self.map[self.values.clone()];
        let mut values = Vec::with_capacity(bytes.len() / self.precision.size());
        append_values(self.precision.dtype(), bytes, &mut values);
        Array::verified(self.shape.clone(), values)
    }
}

/// The file of a feature.
pub(super) fn encode(key: &Key, value: &Array, precision: Precision, origin: &Origin) -> Result<Vec<u8>, ArrayError> {
    let origin = Origin {
        kind: cut(&origin.kind).to_owned(),
        source: cut(&origin.source).to_owned(),
    };
    let origin = serde_json::to_vec(&origin).unwrap_or_default();
    let payload = value.values().len().saturating_mul(precision.size());
    let mut bytes = Vec::with_capacity((HEADER + origin.len() + HASH).saturating_add(payload));
    bytes.extend(MAGIC);
    bytes.extend(key.0);
    // Both fit: there are two precisions and at most three axes.
    #[allow(clippy::cast_possible_truncation)]
    bytes.extend([precision.size() as u8, value.shape().len() as u8, 0, 0]);
    #[allow(clippy::cast_possible_truncation)]
    bytes.extend((origin.len() as u32).to_le_bytes());
    for axis in 0..3 {
        let size = value.shape().get(axis).copied().unwrap_or_default();
        bytes.extend((size as u64).to_le_bytes());
    }
    bytes.extend(origin);
    append_bytes(value.values(), precision, &mut bytes)?;
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    Ok(bytes)
}

/// Checks every bit of an entry, then takes it apart.
fn verify(bytes: &[u8], key: &Key) -> Result<(Precision, Vec<usize>, Range<usize>), &'static str> {
    let (content, hash) = bytes.split_last_chunk::<HASH>().ok_or("it is cut short")?;
    if blake3::hash(content) != blake3::Hash::from_bytes(*hash) {
        return Err("its hash does not hold");
    }
    // What follows holds for whatever this program wrote under this name.
    let (header, _) = content.split_first_chunk::<HEADER>().ok_or("it is cut short")?;
    let header = Header::parse(header).ok_or("it is of another version")?;
    if header.key != *key {
        return Err("it belongs to another key");
    }
    let end = content.len();
    let start = HEADER + header.origin;
    let length = product(&header.shape).and_then(|count| count.checked_mul(header.precision.size()));
    if length.is_none() || length != end.checked_sub(start) {
        return Err("its shape does not hold");
    }
    Ok((header.precision, header.shape, start..end))
}

struct Header {
    key: Key,
    precision: Precision,
    shape: Vec<usize>,
    /// Bytes of the origin.
    origin: usize,
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let ([precision, axes, 0, 0], rest) = rest.split_first_chunk::<4>()? else {
            return None;
        };
        let (origin, sizes) = rest.split_first_chunk::<4>()?;
        let precision = match precision {
            2 => Precision::F16,
            4 => Precision::F32,
            _ => return None,
        };
        let origin = u32::from_le_bytes(*origin) as usize;
        let (used, unused) = sizes.as_chunks::<8>().0.split_at_checked(usize::from(*axes))?;
        if *magic != MAGIC || origin > MAX_ORIGIN || used.is_empty() || unused.iter().any(|size| *size != [0; 8]) {
            return None;
        }
        let shape: Result<Vec<usize>, _> = used.iter().map(|size| u64::from_le_bytes(*size).try_into()).collect();
        Some(Self {
            key: Key(*key),
            precision,
            shape: shape.ok()?,
            origin,
        })
    }
}

/// The origin of the entry in a file, which is not verified; none where it cannot be read.
pub(super) fn origin(file: &mut File) -> Option<Origin> {
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    let mut origin = vec![0; Header::parse(&header)?.origin];
    file.read_exact(&mut origin).ok()?;
    serde_json::from_slice(&origin).ok()
}

/// The text's beginning, as much of it as an entry keeps.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ORIGIN_TEXT)]
}
