//! The items of a corpus: in memory, or mostly in an index on disk.

use crate::candidate::number;
use crate::item::class_of;
use crate::{AudioSource, DataError, Item, Name, SplitName};
use emorun_audio::Segment;
use indexmap::IndexMap;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The items of a corpus. Copies share one store.
///
/// What every pass over a corpus needs (speaker, labels, length) is in memory, a dozen bytes an item; the rest of an
/// item of a large corpus is read from the corpus' index when it is asked for.
#[derive(Clone, Default)]
pub struct Items(Arc<Store>);

#[derive(Default)]
struct Store {
    columns: Columns,
    details: Details,
}

/// What is in memory of every item.
#[derive(Default)]
pub(crate) struct Columns {
    /// What items have in common, in the order of their first items.
    pub profiles: Vec<Profile>,
    /// The profile of each item.
    pub profile_of: Vec<u32>,
    /// Length of each item in seconds.
    pub durations_s: Vec<f64>,
}

/// What an item has in common with others.
#[derive(Clone)]
pub(crate) struct Profile {
    pub dataset: Name,
    pub speaker: Name,
    pub groups: Arc<[Name]>,
    pub labels: Arc<IndexMap<String, Option<u32>>>,
    pub attributes: Arc<IndexMap<String, Option<u32>>>,
    pub split: Option<SplitName>,
    /// Whether the bytes of its audio are known by their hash.
    pub hashed: bool,
}

impl Profile {
    fn of(item: &Item) -> Self {
        Self {
            dataset: item.dataset.clone(),
            speaker: item.speaker.clone(),
            groups: item.groups.clone(),
            labels: item.labels.clone(),
            attributes: item.attributes.clone(),
            split: item.split,
            hashed: item.content.is_some(),
        }
    }

    /// The class index of the label or attribute `column`.
    pub fn label(&self, column: &str) -> Option<u32> {
        class_of(&self.labels, &self.attributes, column)
    }
}

enum Details {
    Memory(Vec<Item>),
    Stored(Box<dyn Stored>),
}

impl Default for Details {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

/// What is not in memory of items.
pub(crate) trait Stored: Send + Sync {
    /// One item.
    fn item(&self, columns: &Columns, index: usize) -> Result<Item, DataError>;

    /// How many blocks there are of items that are best read together.
    fn blocks(&self) -> usize;

    /// The items of a block.
    fn items(&self, columns: &Columns, block: usize) -> Result<Vec<Item>, DataError>;

    /// Hands out each item's [`identity`] and [`text`].
    fn each_number(&self, take: &mut dyn FnMut(usize, u128, u64)) -> Result<(), DataError>;

    /// As [`overlaps`].
    fn overlaps(&self) -> &[Vec<Overlap>];
}

/// A part of a recording that more than one item is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Overlap {
    pub start_s: f64,
    pub end_s: f64,
    /// Index of the item.
    pub item: usize,
}

impl Items {
    pub(crate) fn stored(columns: Columns, records: Box<dyn Stored>) -> Self {
        Self(Arc::new(Store {
            columns,
            details: Details::Stored(records),
        }))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.columns.durations_s.len()
    }

    /// True where there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item of an index, with all that is known of it.
    ///
    /// # Errors
    /// The corpus' index on disk cannot be read, or is damaged.
    ///
    /// # Panics
    /// The index is not below [`Self::len`].
    pub fn get(&self, index: usize) -> Result<Item, DataError> {
        match &self.0.details {
            Details::Memory(items) => Ok(items[index].clone()),
            Details::Stored(records) => records.item(&self.0.columns, index),
        }
    }

    /// The items in their order. One that cannot be read stands for those read with it.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Result<Item, DataError>> + '_> {
        match &self.0.details {
            Details::Memory(items) => Box::new(items.iter().cloned().map(Ok)),
            Details::Stored(records) => {
                Box::new(
                    (0..records.blocks()).flat_map(|block| match records.items(&self.0.columns, block) {
                        Ok(items) => items.into_iter().map(Ok).collect(),
                        Err(error) => vec![Err(error)],
                    }),
                )
            }
        }
    }

    /// The items where all of them are in memory.
    pub(crate) fn in_memory(&self) -> Option<&[Item]> {
        match &self.0.details {
            Details::Memory(items) => Some(items),
            Details::Stored(_) => None,
        }
    }

    /// All items in memory.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn to_vec(&self) -> Result<Vec<Item>, DataError> {
        self.iter().collect()
    }

    /// Length of each item in seconds.
    #[must_use]
    pub fn durations_s(&self) -> &[f64] {
        &self.0.columns.durations_s
    }

    pub(crate) fn profiles(&self) -> &[Profile] {
        &self.0.columns.profiles
    }

    /// The number of each item's profile.
    pub(crate) fn profile_of(&self) -> &[u32] {
        &self.0.columns.profile_of
    }

    pub(crate) fn profile(&self, index: usize) -> &Profile {
        &self.0.columns.profiles[self.0.columns.profile_of[index] as usize]
    }

    /// How many of the items at `indices` are of each profile; an index that there is not counts nowhere.
    pub(crate) fn count_profiles(&self, indices: &[usize]) -> Vec<usize> {
        self.count(indices.iter().filter_map(|index| self.profile_of().get(*index)))
    }

    /// How many of all items are of each profile.
    pub(crate) fn count_all_profiles(&self) -> Vec<usize> {
        self.count(self.profile_of().iter())
    }

    fn count<'a>(&self, profiles: impl Iterator<Item = &'a u32>) -> Vec<usize> {
        let mut counts = vec![0; self.profiles().len()];
        for profile in profiles {
            counts[*profile as usize] += 1;
        }
        counts
    }

    /// Hands out a number for every item, in their order, that tells its key, speaker and audio.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn each_identity(&self, mut take: impl FnMut(usize, u128)) -> Result<(), DataError> {
        match &self.0.details {
            Details::Memory(items) => {
                for (index, item) in items.iter().enumerate() {
                    take(index, identity(item));
                }
                Ok(())
            }
            Details::Stored(records) => records.each_number(&mut |index, identity, _| take(index, identity)),
        }
    }

    /// Hands out a number for the words of every item that has some, in their order.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn each_text(&self, mut take: impl FnMut(usize, u64)) -> Result<(), DataError> {
        let mut said = |index: usize, text: u64| {
            if text != 0 {
                take(index, text);
            }
        };
        match &self.0.details {
            Details::Memory(items) => {
                // Most items of a corpus say what another one says.
                let mut known: HashMap<&str, u64> = HashMap::new();
                for (index, item) in items.iter().enumerate() {
                    if let Some(words) = &item.text {
                        said(index, *known.entry(words).or_insert_with(|| text(item)));
                    }
                }
                Ok(())
            }
            Details::Stored(records) => records.each_number(&mut |index, _, text| said(index, text)),
        }
    }

    /// Recordings of which items have parts in common, each with all its items, the earliest part first.
    pub(crate) fn overlaps(&self) -> Cow<'_, [Vec<Overlap>]> {
        match &self.0.details {
            Details::Memory(items) => Cow::Owned(overlaps(items)),
            Details::Stored(records) => Cow::Borrowed(records.overlaps()),
        }
    }
}

impl From<Vec<Item>> for Items {
    fn from(items: Vec<Item>) -> Self {
        let columns = Columns::of(&items);
        Self(Arc::new(Store {
            columns,
            details: Details::Memory(items),
        }))
    }
}

impl FromIterator<Item> for Items {
    fn from_iter<T: IntoIterator<Item = Item>>(items: T) -> Self {
        items.into_iter().collect::<Vec<_>>().into()
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.details {
            Details::Memory(items) => f.debug_list().entries(items).finish(),
            Details::Stored(_) => write!(f, "{} items of an index", self.len()),
        }
    }
}

impl Columns {
    fn of(items: &[Item]) -> Self {
        let mut columns = Self::default();
        // What items have in common is kept once, so that it is the same where it stands at the same place.
        let mut known: HashMap<_, u32> = HashMap::new();
        for item in items {
            let place = (
                (item.dataset.as_ptr(), item.speaker.as_ptr(), item.groups.as_ptr()),
                (Arc::as_ptr(&item.labels), Arc::as_ptr(&item.attributes)),
                (item.split, item.content.is_some()),
            );
            let profile = *known.entry(place).or_insert_with(|| {
                columns.profiles.push(Profile::of(item));
                columns.profiles.len() as u32 - 1
            });
            columns.profile_of.push(profile);
            columns.durations_s.push(item.duration_s);
        }
        columns
    }
}

/// A number that tells an item's key, speaker and audio.
pub(crate) fn identity(item: &Item) -> u128 {
    number(|hasher| {
        for text in [&item.key, &item.speaker] {
            hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
        if let Some(content) = item.content {
            hasher.update(content.as_bytes());
        }
    })
}

/// A number for an item's words, whatever their case and signs; 0 without any.
pub(crate) fn text(item: &Item) -> u64 {
    let Some(text) = item.text.as_deref() else { return 0 };
    let key = crate::person::key_of(text);
    let words: Vec<&str> = key
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    match words.is_empty() {
        true => 0,
        false => {
            number(|hasher| {
                hasher.update(words.join(" ").as_bytes());
            }) as u64
                | 1
        }
    }
}

/// Recordings of which items have parts in common.
pub(crate) fn overlaps(items: &[Item]) -> Vec<Vec<Overlap>> {
    let mut recordings: Vec<(u128, usize)> = items
        .iter()
        .enumerate()
        .map(|(index, item)| (recording(item), index))
        .collect();
    recordings.sort_unstable();
    let same = recordings.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
    let parts = same.map(|same| {
        let mut parts: Vec<Overlap> = same.iter().map(|&(_, index)| part(items, index)).collect();
        parts.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.item.cmp(&b.item)));
        parts
    });
    let in_one = parts.filter(|parts| !chained(parts).is_empty());
    in_one.chain(alike_parts(items)).collect()
}

/// Items of several recordings of which the samples are the same because one of them was cut out of another.
fn alike_parts(items: &[Item]) -> Vec<Vec<Overlap>> {
    if items.iter().all(|item| item.part_content.is_none()) {
        return Vec::new();
    }
    let heard = |item: &Item| item.part_content.or(item.content.filter(|_| part_of(item).is_none()));
    let mut all: Vec<([u8; 32], usize)> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((*heard(item)?.as_bytes(), index)))
        .collect();
    all.sort_unstable();
    let of_several = |same: &&[([u8; 32], usize)]| {
        let first = recording(&items[same[0].1]);
        same.iter().any(|&(_, index)| recording(&items[index]) != first)
    };
    let groups = all.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1);
    let whole = |&(_, item): &([u8; 32], usize)| Overlap {
        start_s: 0.0,
        end_s: f64::INFINITY,
        item,
    };
    let groups = groups.filter(of_several);
    groups.map(|same| same.iter().map(whole).collect()).collect()
}

fn part(items: &[Item], item: usize) -> Overlap {
    let (start_s, end_s) = match part_of(&items[item]) {
        Some(segment) => (segment.start_s, segment.end_s),
        None => (0.0, f64::INFINITY),
    };
    Overlap { start_s, end_s, item }
}

fn part_of(item: &Item) -> Option<Segment> {
    match &item.audio {
        AudioSource::File { segment, .. } => *segment,
        AudioSource::Synthetic(_) | AudioSource::Samples(_) => None,
    }
}

/// Pairs of items among parts of one recording, the earliest first, that hold the same sound: enough of them to connect
/// all that do.
pub(crate) fn chained(parts: &[Overlap]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    // The part that reaches furthest so far: whoever starts before its end shares sound with it.
    let mut furthest: Option<&Overlap> = None;
    for part in parts {
        match furthest {
            Some(other) if part.start_s < other.end_s => {
                pairs.push((other.item, part.item));
                if part.end_s > other.end_s {
                    furthest = Some(part);
                }
            }
            _ => furthest = Some(part),
        }
    }
    pairs
}

/// A number for the recording that an item is of, or of a part of: by its bytes where they are known, else by its
/// place. Of two recordings it is not the same.
fn recording(item: &Item) -> u128 {
    number(|hasher| {
        match (item.content, &item.audio) {
            (Some(content), _) => hasher.update(b"content").update(content.as_bytes()),
            (None, AudioSource::File { .. }) if cfg!(unix) && item.stamp.is_some() => {
                let stamp = item.stamp.map_or(0, crate::ShortStamp::number);
                hasher.update(b"file").update(&stamp.to_le_bytes())
            }
            (None, AudioSource::File { path, .. }) => {
                let folder = path.folder.as_os_str().as_encoded_bytes();
                hasher
                    .update(b"path")
                    .update(&folder.len().to_le_bytes())
                    .update(folder)
                    .update(path.name().as_bytes())
            }
            (None, AudioSource::Synthetic(_) | AudioSource::Samples(_)) => {
                hasher.update(b"key").update(item.key.as_bytes())
            }
        };
    })
}
