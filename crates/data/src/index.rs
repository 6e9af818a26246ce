//! A large corpus as it was read, in one file that is quick to read again.
//!
//! A scan of millions of files takes hours, most of all a deep one. What it found out about corpora that tables describe
//! is written to a file, which counts as long as the tables have the same size and time of change and the datasets are
//! configured alike. A file of audio that changes meanwhile is told by its [`Stamp`] when it is used.

use crate::corpora::DatasetConfig;
use crate::{
    AudioSource, ContentHash, Corpus, DatasetFacts, Duplicate, FilePath, Item, Name, ScanLevel, Skipped, SplitName,
    Stamp,
};
use emorun_audio::Segment;
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Error, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// First bytes of an index; the last of them is raised when the format or what a scan finds out changes.
const MAGIC: [u8; 8] = *b"emorun\x00\x01";
/// Longest text in an index in bytes: a damaged length must not take all memory.
const MAX_TEXT: usize = 1 << 24;
/// Fewest bytes of an item.
const LEAST_BYTES: u64 = 40;

/// The index of a corpus: where it lies, and for which state of its tables it counts.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    /// Of a deep scan, which tells all that another does.
    deep: Option<PathBuf>,
    state: [u8; 32],
}

/// What an index holds beside its items.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    label_sets: IndexMap<String, Vec<String>>,
    attribute_sets: IndexMap<String, Vec<String>>,
    values: Vec<String>,
    datasets: IndexMap<String, DatasetFacts>,
    skipped: Vec<Skipped>,
    duplicates: Vec<Duplicate>,
    warnings: Vec<String>,
    /// Labels and attributes, each set of classes once.
    rows: Vec<IndexMap<String, Option<u32>>>,
}

impl Index {
    /// The index of datasets in a folder for caches; `None` where not every one is described by a table.
    pub fn of(datasets: &IndexMap<String, DatasetConfig>, level: ScanLevel, folder: &Path) -> Option<Self> {
        let mut state = blake3::Hasher::new();
        for config in datasets.values() {
            let metadata = fs::metadata(config.table()?).ok()?;
            let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            state.update(&metadata.len().to_le_bytes());
            state.update(&modified.as_nanos().to_le_bytes());
        }
        let name = blake3::hash(&serde_json::to_vec(datasets).ok()?).to_hex();
        let file = |level: &str| folder.join("corpora").join(format!("{}.{level}.index", &name[..32]));
        let (path, deep) = match level {
            ScanLevel::Deep => (file("deep"), None),
            ScanLevel::Metadata => (file("metadata"), Some(file("deep"))),
        };
        Some(Self {
            path,
            deep,
            state: *state.finalize().as_bytes(),
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The corpus; `None` where there is no index of this state, or it is damaged.
    pub fn load(&self) -> Option<Corpus> {
        let paths = self.deep.iter().chain(std::iter::once(&self.path));
        paths.filter_map(|path| read(path, &self.state).ok()).next()
    }

    /// Writes the corpus, aside first; one whose items cannot be indexed is not written.
    pub fn save(&self, corpus: &Corpus) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = self.path.with_extension(format!("{}.new", std::process::id()));
        let written = write(&draft, &self.state, corpus).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            // The error that matters is the one of the writing.
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

/// Writes values and hashes what it writes.
struct Writer {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    /// Not hashed yet: long pieces hash faster.
    pending: Vec<u8>,
}

impl Writer {
    fn flush_pending(&mut self) -> io::Result<()> {
        self.hasher.update(&self.pending);
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= 1 << 18 {
            self.flush_pending()?;
        }
        Ok(())
    }

    fn number(&mut self, number: usize) -> io::Result<()> {
        let number = u32::try_from(number).map_err(|_| Error::other("more than an index can hold"))?;
        self.bytes(&number.to_le_bytes())
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.number(text.len())?;
        self.bytes(text)
    }
}

/// What items share, each once, and their numbers.
#[derive(Default)]
struct Shared<'a> {
    names: IndexSet<&'a str>,
    folders: IndexSet<&'a Path>,
    groups: IndexSet<&'a [Name]>,
    rows: Vec<IndexMap<String, Option<u32>>>,
    row_of: HashMap<*const IndexMap<String, Option<u32>>, usize>,
}

impl<'a> Shared<'a> {
    fn of(items: &'a [Item]) -> Self {
        let mut shared = Self::default();
        for item in items {
            shared.names.insert(&item.dataset);
            shared.names.insert(&item.speaker);
            shared.names.extend(item.groups.iter().map(Name::as_str));
            shared.groups.insert(&item.groups);
            if let AudioSource::File { path, .. } = &item.audio {
                shared.folders.insert(&path.folder);
                if !item.key.ends_with(path.name()) {
                    shared.names.insert(path.name());
                }
            }
            for row in [&item.labels, &item.attributes] {
                shared.row_of.entry(Arc::as_ptr(row)).or_insert_with(|| {
                    shared.rows.push((**row).clone());
                    shared.rows.len() - 1
                });
            }
        }
        shared
    }

    fn name(&self, name: &str) -> usize {
        self.names.get_index_of(name).unwrap_or_default()
    }
}

fn write(path: &Path, state: &[u8; 32], corpus: &Corpus) -> io::Result<()> {
    let mut out = Writer {
        file: BufWriter::new(File::create(path)?),
        hasher: blake3::Hasher::new(),
        pending: Vec::new(),
    };
    out.bytes(&MAGIC)?;
    out.bytes(state)?;
    let shared = Shared::of(&corpus.items);
    let head = Head {
        label_sets: corpus.label_sets.clone(),
        attribute_sets: corpus.attribute_sets.clone(),
        values: corpus.values.clone(),
        datasets: corpus.datasets.clone(),
        skipped: corpus.skipped.clone(),
        duplicates: corpus.duplicates.clone(),
        warnings: corpus.warnings.clone(),
        rows: shared.rows.clone(),
    };
    out.text(&serde_json::to_vec(&head)?)?;
    out.number(shared.names.len())?;
    for name in &shared.names {
        out.text(name.as_bytes())?;
    }
    out.number(shared.folders.len())?;
    for folder in &shared.folders {
        let folder = folder
            .to_str()
            .ok_or_else(|| Error::other("a folder's name is no text"))?;
        out.text(folder.as_bytes())?;
    }
    out.number(shared.groups.len())?;
    for groups in &shared.groups {
        out.number(groups.len())?;
        for group in *groups {
            out.number(shared.name(group))?;
        }
    }
    out.number(corpus.items.len())?;
    for item in &corpus.items {
        write_item(&mut out, &shared, &corpus.values, item)?;
    }
    out.flush_pending()?;
    let hash = *out.hasher.finalize().as_bytes();
    out.file.write_all(&hash)?;
    out.file.flush()?;
    out.file.get_ref().sync_all()
}

fn write_item(out: &mut Writer, shared: &Shared<'_>, values: &[String], item: &Item) -> io::Result<()> {
    let AudioSource::File { path, segment } = &item.audio else {
        return Err(Error::other("generated audio is not indexed"));
    };
    if !item.soft_labels.is_empty() {
        return Err(Error::other("soft labels are not indexed"));
    }
    out.text(item.key.as_bytes())?;
    out.number(shared.name(&item.dataset))?;
    out.number(shared.name(&item.speaker))?;
    out.number(shared.groups.get_index_of(&*item.groups).unwrap_or_default())?;
    for row in [&item.labels, &item.attributes] {
        out.number(shared.row_of.get(&Arc::as_ptr(row)).copied().unwrap_or_default())?;
    }
    out.number(shared.folders.get_index_of(&*path.folder).unwrap_or_default())?;
    let within = item.key.ends_with(path.name());
    let split = SplitName::ALL.iter().position(|side| Some(*side) == item.split);
    let flags = u8::from(within)
        | u8::from(segment.is_some()) << 1
        | u8::from(item.content.is_some()) << 2
        | u8::from(item.text.is_some()) << 3
        | (split.map_or(0, |at| at as u8 + 1)) << 4;
    out.bytes(&[flags])?;
    match within {
        true => out.number(item.key.len() - path.name().len())?,
        false => out.number(shared.name(path.name()))?,
    }
    if let Some(Segment { start_s, end_s }) = segment {
        out.bytes(&start_s.to_le_bytes())?;
        out.bytes(&end_s.to_le_bytes())?;
    }
    out.bytes(&item.duration_s.to_le_bytes())?;
    if let Some(content) = &item.content {
        out.bytes(content.as_bytes())?;
    }
    if let Some(text) = &item.text {
        out.text(text.as_bytes())?;
    }
    out.bytes(&item.stamp.map_or(0, Stamp::number).to_le_bytes())?;
    for name in values {
        // A number that is absent is none.
        out.bytes(&item.values.get(name).copied().unwrap_or(f32::NAN).to_le_bytes())?;
    }
    Ok(())
}

/// Reads values and hashes what it reads.
struct Reader<R> {
    file: R,
    buffer: Vec<u8>,
    at: usize,
    hasher: blake3::Hasher,
}

impl<R: Read> Reader<R> {
    fn new(file: R) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            at: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// The next bytes.
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < count {
            self.hasher.update(&self.buffer[..self.at]);
            self.buffer.drain(..self.at);
            self.at = 0;
            let wanted = count.max(1 << 18);
            let more = (wanted - self.buffer.len()) as u64;
            (&mut self.file).take(more).read_to_end(&mut self.buffer)?;
        }
        let bytes = self.buffer.get(self.at..self.at + count).ok_or_else(damaged)?;
        self.at += count;
        Ok(bytes)
    }

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

    /// Compares all that was read with the hash behind it.
    fn finish(mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer[..self.at]);
        let hash = *self.hasher.finalize().as_bytes();
        let whole = self.array::<32>()? == hash && self.bytes(1).is_err();
        if whole { Ok(()) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::from(ErrorKind::InvalidData)
}

fn read(path: &Path, state: &[u8; 32]) -> io::Result<Corpus> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut from = Reader::new(BufReader::new(file));
    if from.array()? != MAGIC || from.array::<32>()? != *state {
        return Err(damaged());
    }
    let length = from.number()?;
    if length as u64 > bytes {
        return Err(damaged());
    }
    let head: Head = serde_json::from_slice(from.bytes(length)?)?;
    let mut names: Vec<Name> = Vec::new();
    for _ in 0..from.number()? {
        names.push(from.text()?.into());
    }
    let mut folders: Vec<Arc<Path>> = Vec::new();
    for _ in 0..from.number()? {
        folders.push(Path::new(from.text()?).into());
    }
    let mut groups: Vec<Arc<[Name]>> = Vec::new();
    for _ in 0..from.number()? {
        let count = from.number()?;
        let own: io::Result<Vec<Name>> = (0..count).map(|_| from.one_of(&names).cloned()).collect();
        groups.push(own?.into());
    }
    let tables = Tables {
        names,
        folders,
        groups,
        rows: head.rows.into_iter().map(Arc::new).collect(),
        values: head.values,
        no_values: Arc::default(),
        no_soft_labels: Arc::default(),
    };
    let count = from.number()?;
    if count as u64 > bytes / LEAST_BYTES {
        return Err(damaged());
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(tables.item(&mut from)?);
    }
    from.finish()?;
    Ok(Corpus {
        items,
        label_sets: head.label_sets,
        attribute_sets: head.attribute_sets,
        values: tables.values,
        datasets: head.datasets,
        skipped: head.skipped,
        duplicates: head.duplicates,
        warnings: head.warnings,
    })
}

/// What items share, by its numbers.
struct Tables {
    names: Vec<Name>,
    folders: Vec<Arc<Path>>,
    groups: Vec<Arc<[Name]>>,
    rows: Vec<Arc<IndexMap<String, Option<u32>>>>,
    values: Vec<String>,
    no_values: Arc<IndexMap<String, f32>>,
    no_soft_labels: Arc<IndexMap<String, Vec<f32>>>,
}

impl Tables {
    fn item<R: Read>(&self, from: &mut Reader<R>) -> io::Result<Item> {
        let key: Name = from.text()?.into();
        let dataset = from.one_of(&self.names)?.clone();
        let speaker = from.one_of(&self.names)?.clone();
        let groups = from.one_of(&self.groups)?.clone();
        let labels = from.one_of(&self.rows)?.clone();
        let attributes = from.one_of(&self.rows)?.clone();
        let folder = from.one_of(&self.folders)?.clone();
        let [flags] = from.array()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let path = match has(0) {
            true => match from.number()? {
                at if key.is_char_boundary(at) => FilePath::new(folder, key.clone(), at),
                _ => return Err(damaged()),
            },
            false => FilePath::new(folder, from.one_of(&self.names)?.clone(), 0),
        };
        let mut seconds = || from.array().map(f64::from_le_bytes);
        let segment = match has(1) {
            true => Some(Segment {
                start_s: seconds()?,
                end_s: seconds()?,
            }),
            false => None,
        };
        let duration_s = seconds()?;
        let content = match has(2) {
            true => Some(ContentHash::from_bytes(from.array()?)),
            false => None,
        };
        let text = match has(3) {
            true => Some(from.text()?.into()),
            false => None,
        };
        let stamp = Stamp::from_number(u64::from_le_bytes(from.array()?));
        let mut values = IndexMap::new();
        for name in &self.values {
            let value = f32::from_le_bytes(from.array()?);
            if !value.is_nan() {
                values.insert(name.clone(), value);
            }
        }
        Ok(Item {
            key,
            dataset,
            audio: AudioSource::File { path, segment },
            speaker,
            groups,
            labels,
            attributes,
            soft_labels: self.no_soft_labels.clone(),
            values: match values.is_empty() {
                true => self.no_values.clone(),
                false => Arc::new(values),
            },
            text,
            split: match usize::from(flags >> 4) {
                0 => None,
                at => Some(*SplitName::ALL.get(at - 1).ok_or_else(damaged)?),
            },
            duration_s,
            content,
            stamp,
        })
    }
}

#[cfg(test)]
mod tests;
