//! An index as it is used: its columns in memory, its records read when they are asked for.

use super::{BLOCK, END, Head, MAGIC, NUMBERS, checksum};
use crate::items::{Columns, Overlap, Profile, Stored};
use crate::{AudioSource, ContentHash, Corpus, DataError, FilePath, Item, Items, Name, ShortStamp, SplitName};
use emorun_audio::{Channel, Segment};
use indexmap::IndexMap;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest text in an index in bytes: a damaged length must not take all memory.
const MAX_TEXT: usize = 1 << 24;
/// Bytes that are read at once where all are read.
const PIECE: usize = 1 << 18;

/// The records of an index, which stay on disk.
#[derive(Debug)]
struct Records {
    path: PathBuf,
    file: Mutex<File>,
    blocks: Vec<Block>,
    /// Where the items' numbers begin.
    numbers_from: u64,
    items: usize,
    folders: Vec<Arc<Path>>,
    values: Vec<String>,
    no_values: Arc<IndexMap<String, f32>>,
    no_soft_labels: Arc<IndexMap<String, Vec<f32>>>,
    overlaps: Vec<Vec<Overlap>>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    from: u64,
    checksum: u128,
}

impl Stored for Records {
    fn item(&self, columns: &Columns, index: usize) -> Result<Item, DataError> {
        self.block(index / BLOCK)
            .and_then(|block| self.decode(columns, &block, index))
            .map_err(|error| self.unreadable(&error))
    }

    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn items(&self, columns: &Columns, block: usize) -> Result<Vec<Item>, DataError> {
        let items = block * BLOCK..((block + 1) * BLOCK).min(self.items);
        self.block(block)
            .and_then(|bytes| items.map(|index| self.decode(columns, &bytes, index)).collect())
            .map_err(|error| self.unreadable(&error))
    }

    fn each_number(&self, take: &mut dyn FnMut(usize, u128, u64)) -> Result<(), DataError> {
        let mut numbers = vec![0; PIECE / NUMBERS * NUMBERS];
        let mut index = 0;
        while index < self.items {
            let piece = &mut numbers[..NUMBERS * (self.items - index).min(PIECE / NUMBERS)];
            self.read_at(self.numbers_from + (NUMBERS * index) as u64, piece)
                .map_err(|error| self.unreadable(&error))?;
            for own in piece.as_chunks::<NUMBERS>().0 {
                let mut own = Slice(own);
                let numbers = own.array().and_then(|identity| Ok((identity, own.array()?)));
                let (identity, text) = numbers.map_err(|error| self.unreadable(&error))?;
                take(index, u128::from_le_bytes(identity), u64::from_le_bytes(text));
                index += 1;
            }
        }
        Ok(())
    }

    fn overlaps(&self) -> &[Vec<Overlap>] {
        &self.overlaps
    }
}

impl Records {
    fn unreadable(&self, error: &Error) -> DataError {
        DataError::Index {
            path: self.path.clone(),
            problem: match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => "it is damaged".to_owned(),
                _ => error.to_string(),
            },
        }
    }

    fn read_at(&self, from: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(bytes)
    }

    fn block(&self, block: usize) -> io::Result<Vec<u8>> {
        let Block { from, checksum: known } = self.blocks[block];
        let end = self.blocks.get(block + 1).map_or(self.numbers_from, |next| next.from);
        let mut bytes = vec![0; (end - from) as usize];
        self.read_at(from, &mut bytes)?;
        if checksum(&bytes) == known {
            Ok(bytes)
        } else {
            Err(damaged())
        }
    }

    fn decode(&self, columns: &Columns, block: &[u8], index: usize) -> io::Result<Item> {
        let place = 4 * (index % BLOCK);
        let from = Slice(block.get(place..).ok_or_else(damaged)?).number()?;
        let mut from = Slice(block.get(from..).ok_or_else(damaged)?);
        let profile = columns.profile_of.get(index);
        let profile = profile.and_then(|at| columns.profiles.get(*at as usize));
        let profile = profile.ok_or_else(damaged)?;
        let [flags] = from.array()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let key: Name = from.text()?.into();
        let folder = from.one_of(&self.folders)?.clone();
        let path = match has(0) {
            true => match from.number()? {
                at if key.is_char_boundary(at) => FilePath::new(folder, key.clone(), at),
                _ => return Err(damaged()),
            },
            false => FilePath::new(folder, from.text()?.into(), 0),
        };
        let mut seconds = || from.array().map(f64::from_le_bytes);
        let segment = match has(1) {
            true => Some(Segment {
                start_s: seconds()?,
                end_s: seconds()?,
            }),
            false => None,
        };
        let channel = match has(5) {
            true => Channel::from_code(u16::from_le_bytes(from.array()?)),
            false => Channel::Mix,
        };
        let content = match has(2) {
            true => Some(ContentHash::from_bytes(from.array()?)),
            false => None,
        };
        let part_content = match has(6) {
            true => Some(ContentHash::from_bytes(from.array()?)),
            false => None,
        };
        let text = match has(3) {
            true => Some(from.text()?.into()),
            false => None,
        };
        let stamp = match has(4) {
            true => ShortStamp::from_number(u64::from_le_bytes(from.array()?)),
            false => None,
        };
        let mut values = IndexMap::new();
        for name in &self.values {
            let value = f32::from_le_bytes(from.array()?);
            if !value.is_nan() {
                values.insert(name.clone(), value);
            }
        }
        Ok(Item {
            key,
            dataset: profile.dataset.clone(),
            audio: AudioSource::File { path, segment, channel },
            speaker: profile.speaker.clone(),
            groups: profile.groups.clone(),
            labels: profile.labels.clone(),
            attributes: profile.attributes.clone(),
            soft_labels: self.no_soft_labels.clone(),
            values: match values.is_empty() {
                true => self.no_values.clone(),
                false => Arc::new(values),
            },
            text,
            // Corpora with streams have no index.
            streams: Arc::default(),
            split: profile.split,
            duration_s: columns.durations_s[index],
            content,
            part_content,
            stamp,
        })
    }
}

fn damaged() -> Error {
    Error::from(ErrorKind::InvalidData)
}

/// Where values are read from.
trait Source {
    /// The next bytes.
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]>;

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn number(&mut self) -> io::Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> io::Result<&str> {
        let length = self.number()?;
        if length > MAX_TEXT {
            return Err(damaged());
        }
        std::str::from_utf8(self.bytes(length)?).map_err(|_| damaged())
    }

    fn one_of<'a, T>(&mut self, values: &'a [T]) -> io::Result<&'a T> {
        let at = self.number()?;
        values.get(at).ok_or_else(damaged)
    }

    /// A column of values of `N` bytes, read in pieces: a damaged count must not take all memory.
    fn column<T, const N: usize>(&mut self, count: usize, value: impl Fn([u8; N]) -> T) -> io::Result<Vec<T>> {
        let mut column = Vec::new();
        while column.len() < count {
            let more = (count - column.len()).min(PIECE / N);
            column.extend(self.bytes(more * N)?.as_chunks().0.iter().map(|bytes| value(*bytes)));
        }
        Ok(column)
    }
}

/// Bytes in memory.
struct Slice<'a>(&'a [u8]);

impl Source for Slice<'_> {
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// A file, hashed as it is read.
struct Hashed {
    file: File,
    buffer: Vec<u8>,
    at: usize,
    hasher: blake3::Hasher,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            at: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Compares all that was read with the hash behind it; gives the file.
    fn finish(mut self) -> io::Result<File> {
        self.hasher.update(&self.buffer[..self.at]);
        let hash = *self.hasher.finalize().as_bytes();
        let whole = self.array::<32>()? == hash && self.bytes(1).is_err();
        if whole { Ok(self.file) } else { Err(damaged()) }
    }
}

impl Source for Hashed {
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < count {
            self.hasher.update(&self.buffer[..self.at]);
            self.buffer.drain(..self.at);
            self.at = 0;
            let wanted = count.max(PIECE);
            let more = (wanted - self.buffer.len()) as u64;
            (&mut self.file).take(more).read_to_end(&mut self.buffer)?;
        }
        let bytes = self.buffer.get(self.at..self.at + count).ok_or_else(damaged)?;
        self.at += count;
        Ok(bytes)
    }
}

/// Reads an index; its records are not read yet.
pub(super) fn read(path: &Path, state: &[u8; 32]) -> io::Result<Corpus> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = length.checked_sub(END as u64).ok_or_else(damaged)?;
    let mut start = [0; MAGIC.len() + 32];
    file.read_exact(&mut start)?;
    if start[..MAGIC.len()] != MAGIC || start[MAGIC.len()..] != *state {
        return Err(damaged());
    }
    let mut last = [0; END];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut last)?;
    let mut last = Slice(&last);
    let [numbers_from, items, told] = [last.array()?, last.array()?, last.array()?].map(u64::from_le_bytes);
    let fits = items.checked_mul(NUMBERS as u64).is_some_and(|bytes| {
        numbers_from >= start.len() as u64 && numbers_from.checked_add(bytes).is_some_and(|to| to <= end)
    });
    if told != length || !fits {
        return Err(damaged());
    }
    let items = usize::try_from(items).map_err(|_| damaged())?;
    file.seek(SeekFrom::Start(numbers_from))?;
    let mut from = Hashed::new(file);
    from.hasher.update(&start);
    let mut left = items;
    while left > 0 {
        let numbers = left.min(PIECE / NUMBERS);
        from.bytes(NUMBERS * numbers)?;
        left -= numbers;
    }
    let length = from.number()?;
    let head: Head = serde_json::from_slice(from.bytes(length)?)?;
    let columns = read_columns(&mut from, head.rows, items)?;
    let folders = list(&mut from, |from| Ok(Path::new(from.text()?).into()))?;
    let overlaps = list(&mut from, |from| {
        list(from, |from| {
            Ok(Overlap {
                start_s: f64::from_le_bytes(from.array()?),
                end_s: f64::from_le_bytes(from.array()?),
                item: Some(from.number()?).filter(|item| *item < items).ok_or_else(damaged)?,
            })
        })
    })?;
    let blocks: Vec<Block> = from.column(items.div_ceil(BLOCK), |bytes: [u8; 24]| {
        let (at, checksum) = bytes.split_at(8);
        Block {
            from: at.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            checksum: checksum
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u128::from(*byte)),
        }
    })?;
    let ends = blocks.iter().skip(1).map(|block| block.from).chain([numbers_from]);
    if !blocks.iter().zip(ends).all(|(block, end)| block.from <= end) {
        return Err(damaged());
    }
    from.array::<{ END - 32 }>()?;
    let records = Records {
        path: path.to_owned(),
        file: Mutex::new(from.finish()?),
        blocks,
        numbers_from,
        items,
        folders,
        values: head.values.clone(),
        no_values: Arc::default(),
        no_soft_labels: Arc::default(),
        overlaps,
    };
    Ok(Corpus {
        items: Items::stored(columns, Box::new(records)),
        label_sets: head.label_sets,
        attribute_sets: head.attribute_sets,
        values: head.values,
        datasets: head.datasets,
        skipped: head.skipped,
        duplicates: head.duplicates,
        alike: head.alike,
        // Tables bring none.
        published: IndexMap::new(),
        warnings: head.warnings,
    })
}

fn list<T>(from: &mut Hashed, one: impl Fn(&mut Hashed) -> io::Result<T>) -> io::Result<Vec<T>> {
    (0..from.number()?).map(|_| one(from)).collect()
}

fn read_columns(from: &mut Hashed, rows: Vec<IndexMap<String, Option<u32>>>, items: usize) -> io::Result<Columns> {
    let rows: Vec<Arc<_>> = rows.into_iter().map(Arc::new).collect();
    let names = list(from, |from| Ok(Name::from(from.text()?)))?;
    let groups: Vec<Arc<[Name]>> = list(from, |from| Ok(list(from, |from| from.one_of(&names).cloned())?.into()))?;
    let profiles = list(from, |from| {
        let dataset = from.one_of(&names)?.clone();
        let speaker = from.one_of(&names)?.clone();
        let groups = from.one_of(&groups)?.clone();
        let labels = from.one_of(&rows)?.clone();
        let attributes = from.one_of(&rows)?.clone();
        let [hashed, split] = from.array()?;
        Ok(Profile {
            dataset,
            speaker,
            groups,
            labels,
            attributes,
            split: match usize::from(split) {
                0 => None,
                at => Some(*SplitName::ALL.get(at - 1).ok_or_else(damaged)?),
            },
            hashed: hashed != 0,
        })
    })?;
    let profile_of = from.column(items, u32::from_le_bytes)?;
    if !profile_of.iter().all(|at| (*at as usize) < profiles.len()) {
        return Err(damaged());
    }
    Ok(Columns {
        profiles,
        profile_of,
        durations_s: from.column(items, f64::from_le_bytes)?,
    })
}
