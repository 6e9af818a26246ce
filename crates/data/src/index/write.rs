//! From a corpus to its index.

use super::{BLOCK, Head, MAGIC};
use crate::items::{identity, overlaps};
use crate::{AudioSource, Corpus, Item, Name, ShortStamp, SplitName};
use emorun_audio::{Channel, Segment};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Error, Write};
use std::path::Path;
use std::sync::Arc;

/// Writes the index of a corpus in memory.
pub(super) fn write(path: &Path, state: &[u8; 32], corpus: &Corpus) -> io::Result<()> {
    let items = corpus.items.in_memory().ok_or_else(|| Error::other("it has one"))?;
    let folders: IndexSet<&Path> = items.iter().filter_map(folder).collect();
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&MAGIC)?;
    out.write_all(state)?;
    let mut at = (MAGIC.len() + state.len()) as u64;
    let mut blocks: Vec<(u64, u128)> = Vec::with_capacity(items.len().div_ceil(BLOCK));
    for items in items.chunks(BLOCK) {
        let block = block(items, &folders, &corpus.values)?;
        out.write_all(&block)?;
        blocks.push((at, super::checksum(&block)));
        at += block.len() as u64;
    }
    let mut out = Hashing {
        out,
        hasher: blake3::Hasher::new(),
        length: at,
        pending: Vec::new(),
    };
    out.hasher.update(&MAGIC).update(state);
    for item in items {
        out.bytes(&identity(item).to_le_bytes())?;
        out.bytes(&crate::items::text(item).to_le_bytes())?;
    }
    write_columns(&mut out, corpus)?;
    out.number(folders.len())?;
    for folder in &folders {
        let folder = folder
            .to_str()
            .ok_or_else(|| Error::other("a folder's name is no text"))?;
        out.text(folder.as_bytes())?;
    }
    let recordings = overlaps(items);
    out.number(recordings.len())?;
    for parts in recordings {
        out.number(parts.len())?;
        for part in parts {
            out.bytes(&part.start_s.to_le_bytes())?;
            out.bytes(&part.end_s.to_le_bytes())?;
            out.number(part.item)?;
        }
    }
    for (at, checksum) in blocks {
        out.bytes(&at.to_le_bytes())?;
        out.bytes(&checksum.to_le_bytes())?;
    }
    out.finish(at, items.len())
}

fn folder(item: &Item) -> Option<&Path> {
    match &item.audio {
        AudioSource::File { path, .. } => Some(&path.folder),
        AudioSource::Synthetic(_) | AudioSource::Samples(_) => None,
    }
}

/// The records of some items, behind the place of each.
fn block(items: &[Item], folders: &IndexSet<&Path>, values: &[String]) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    let mut block = Vec::new();
    for item in items {
        block.extend(number(4 * items.len() + records.len())?);
        record(&mut records, item, folders, values)?;
    }
    block.append(&mut records);
    Ok(block)
}

fn record(out: &mut Vec<u8>, item: &Item, folders: &IndexSet<&Path>, values: &[String]) -> io::Result<()> {
    let AudioSource::File { path, segment, channel } = &item.audio else {
        return Err(Error::other("audio that is in no file is not indexed"));
    };
    if !item.soft_labels.is_empty() {
        return Err(Error::other("soft labels are not indexed"));
    }
    let text = |out: &mut Vec<u8>, text: &str| -> io::Result<()> {
        out.extend(number(text.len())?);
        out.extend(text.as_bytes());
        Ok(())
    };
    let within = item.key.ends_with(path.name());
    out.push(
        u8::from(within)
            | u8::from(segment.is_some()) << 1
            | u8::from(item.content.is_some()) << 2
            | u8::from(item.text.is_some()) << 3
            | u8::from(item.stamp.is_some()) << 4
            | u8::from(*channel != Channel::Mix) << 5
            | u8::from(item.part_content.is_some()) << 6,
    );
    text(out, &item.key)?;
    out.extend(number(folders.get_index_of(&*path.folder).unwrap_or_default())?);
    match within {
        true => out.extend(number(item.key.len() - path.name().len())?),
        false => text(out, path.name())?,
    }
    if let Some(Segment { start_s, end_s }) = segment {
        out.extend(start_s.to_le_bytes());
        out.extend(end_s.to_le_bytes());
    }
    if *channel != Channel::Mix {
        out.extend(channel.code().to_le_bytes());
    }
    for content in [&item.content, &item.part_content].into_iter().flatten() {
        out.extend(content.as_bytes());
    }
    if let Some(said) = &item.text {
        text(out, said)?;
    }
    if let Some(stamp) = item.stamp {
        out.extend(ShortStamp::number(stamp).to_le_bytes());
    }
    for name in values {
        // A number that is absent is none.
        out.extend(item.values.get(name).copied().unwrap_or(f32::NAN).to_le_bytes());
    }
    Ok(())
}

fn number(number: usize) -> io::Result<[u8; 4]> {
    let number = u32::try_from(number).map_err(|_| Error::other("more than an index can hold"))?;
    Ok(number.to_le_bytes())
}

/// Writes the head and what is held in memory of every item.
fn write_columns(out: &mut Hashing, corpus: &Corpus) -> io::Result<()> {
    let profiles = corpus.items.profiles();
    let mut rows: Vec<IndexMap<String, Option<u32>>> = Vec::new();
    let mut row_of = HashMap::new();
    let mut names: IndexSet<&str> = IndexSet::new();
    let mut groups: IndexSet<&[Name]> = IndexSet::new();
    for profile in profiles {
        for row in [&profile.labels, &profile.attributes] {
            row_of.entry(Arc::as_ptr(row)).or_insert_with(|| {
                rows.push((**row).clone());
                rows.len() - 1
            });
        }
        names.extend([profile.dataset.as_str(), profile.speaker.as_str()]);
        names.extend(profile.groups.iter().map(Name::as_str));
        groups.insert(&profile.groups);
    }
    let head = Head {
        label_sets: corpus.label_sets.clone(),
        attribute_sets: corpus.attribute_sets.clone(),
        values: corpus.values.clone(),
        datasets: corpus.datasets.clone(),
        skipped: corpus.skipped.clone(),
        duplicates: corpus.duplicates.clone(),
        alike: corpus.alike.clone(),
        warnings: corpus.warnings.clone(),
        rows,
    };
    out.text(&serde_json::to_vec(&head)?)?;
    out.number(names.len())?;
    for name in &names {
        out.text(name.as_bytes())?;
    }
    let name = |name: &str| names.get_index_of(name).unwrap_or_default();
    out.number(groups.len())?;
    for groups in &groups {
        out.number(groups.len())?;
        for group in *groups {
            out.number(name(group))?;
        }
    }
    out.number(profiles.len())?;
    for profile in profiles {
        out.number(name(&profile.dataset))?;
        out.number(name(&profile.speaker))?;
        out.number(groups.get_index_of(&*profile.groups).unwrap_or_default())?;
        for row in [&profile.labels, &profile.attributes] {
            out.number(row_of.get(&Arc::as_ptr(row)).copied().unwrap_or_default())?;
        }
        let split = SplitName::ALL.iter().position(|side| Some(*side) == profile.split);
        out.bytes(&[u8::from(profile.hashed), split.map_or(0, |at| at as u8 + 1)])?;
    }
    for profile in corpus.items.profile_of() {
        out.bytes(&profile.to_le_bytes())?;
    }
    for duration_s in corpus.items.durations_s() {
        out.bytes(&duration_s.to_le_bytes())?;
    }
    Ok(())
}

/// Writes values and hashes what it writes.
struct Hashing {
    out: BufWriter<File>,
    hasher: blake3::Hasher,
    /// Of the file so far.
    length: u64,
    /// Not hashed yet: long pieces hash faster.
    pending: Vec<u8>,
}

impl Hashing {
    fn flush_pending(&mut self) -> io::Result<()> {
        self.hasher.update(&self.pending);
        self.out.write_all(&self.pending)?;
        self.length += self.pending.len() as u64;
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

    fn number(&mut self, value: usize) -> io::Result<()> {
        self.bytes(&number(value)?)
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.number(text.len())?;
        self.bytes(text)
    }

    /// Writes the end of the file.
    fn finish(mut self, numbers_from: u64, items: usize) -> io::Result<()> {
        self.bytes(&numbers_from.to_le_bytes())?;
        self.bytes(&(items as u64).to_le_bytes())?;
        let length = self.length + (self.pending.len() + 8 + 32) as u64;
        self.bytes(&length.to_le_bytes())?;
        self.flush_pending()?;
        self.out.write_all(self.hasher.finalize().as_bytes())?;
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }
}
