//! The proof that a split keeps its sides apart.

use super::units::{find, join, same_audio};
use crate::person::{apart_as, is_unknown};
use crate::{ContentHash, Corpus, DataError, SplitName};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// What a split put where, and that nothing is on two sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// What is on each side.
    pub splits: IndexMap<SplitName, SideFacts>,
    /// Speakers, groups and recordings on more than one side: none, unless the split says that it
    /// leaks.
    pub shared: Vec<Shared>,
    /// Items whose audio was compared by its samples; the others only by their paths. All of them
    /// after a deep scan.
    pub audio_compared: usize,
    /// Recordings on more than one side that sound like one, shifted, resampled or coded otherwise. Only a deep scan
    /// hears them; it is no proof, and no leak.
    pub alike: Vec<Shared>,
    /// How much of what is said in validation and test is said in training too; without those where no text is known.
    pub texts: IndexMap<SplitName, TextFacts>,
    /// Why the split leaks, as the experiment file says; every report repeats it.
    pub leak: Option<String>,
    /// Hash over which item (key, speaker, audio) is on which side, in whichever order the corpus lists them.
    pub hash: String,
    /// Hash over the same in the order in which the corpus lists the items, by which epochs are drawn.
    pub order: String,
}

/// What is on one side of a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SideFacts {
    /// Number of items.
    pub items: usize,
    /// Their total length in seconds.
    pub duration_s: f64,
    /// Items of each speaker.
    pub speakers: IndexMap<String, usize>,
    /// Items of speakers who are not known.
    pub unknown_speakers: usize,
    /// Items of each dataset.
    pub datasets: IndexMap<String, usize>,
    /// Items of each class of each label column.
    pub classes: IndexMap<String, IndexMap<String, usize>>,
}

/// What is said on one side, beside training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TextFacts {
    /// Items whose words are known.
    pub items: usize,
    /// Those among them whose words are also said in training.
    pub heard: usize,
    /// Different texts.
    pub texts: usize,
    /// Those among them that are also said in training.
    pub heard_texts: usize,
}

/// Something that is on more than one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// What it is, such as ``speaker `emodb/03` ``.
    pub what: String,
    /// The sides that it is on.
    pub sides: Vec<SplitName>,
}

/// Every speaker, group and recording that is on more than one side, given the indices of each
/// side's items.
///
/// # Errors
/// The corpus' index on disk cannot be read.
pub fn shared_between_sides(corpus: &Corpus, sides: [&[usize]; 3]) -> Result<Vec<Shared>, DataError> {
    // For each item, and each speaker and group in the order of appearance, a bit for every side that it is on.
    let side_of = side_bits(corpus, sides);
    let mut named: IndexMap<(&str, &str), u8> = IndexMap::new();
    for (side, indices) in sides.iter().enumerate() {
        let counts = corpus.items.count_profiles(indices);
        for (profile, _) in corpus
            .items
            .profiles()
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
        {
            let what = match is_unknown(&profile.speaker) {
                true => "unknown speaker",
                false => "speaker",
            };
            *named.entry((what, apart_as(&profile.speaker))).or_default() |= 1 << side;
            for group in profile.groups.iter() {
                *named.entry(("group", group.as_str())).or_default() |= 1 << side;
            }
        }
    }
    let shared = |bits: u8| bits.count_ones() > 1;
    let mut found: Vec<Shared> = named
        .into_iter()
        .filter(|(_, bits)| shared(*bits))
        .map(|((what, name), bits)| Shared {
            what: format!("{what} `{name}`"),
            sides: names(bits),
        })
        .collect();
    // Items that hold the same sound: as parts of one recording, and cut out of one another.
    let mut parents: Vec<usize> = (0..side_of.len()).collect();
    let mut sounding: BTreeSet<usize> = BTreeSet::new();
    for (a, b) in same_audio(corpus, |index| side_of[index] != 0) {
        join(&mut parents, a, b);
        sounding.extend([a, b]);
    }
    let mut chains: IndexMap<usize, Vec<usize>> = IndexMap::new();
    for index in sounding {
        chains.entry(find(&mut parents, index)).or_default().push(index);
    }
    for items in chains.into_values() {
        let bits = items.iter().fold(0, |bits, &index| bits | side_of[index]);
        if shared(bits) {
            found.push(Shared {
                what: format!("the recording in {}", keys(corpus, &items)?),
                sides: names(bits),
            });
        }
    }
    Ok(found)
}

/// The sides of some bits.
fn names(bits: u8) -> Vec<SplitName> {
    let sides = SplitName::ALL.into_iter().enumerate();
    sides
        .filter(|(side, _)| bits & (1 << side) != 0)
        .map(|(_, name)| name)
        .collect()
}

/// Keys of items.
fn keys(corpus: &Corpus, items: &[usize]) -> Result<String, DataError> {
    let key = |&index: &usize| Ok(format!("`{}`", corpus.items.get(index)?.key));
    let keys = items.iter().map(key).collect::<Result<Vec<String>, DataError>>()?;
    Ok(keys.join(" and "))
}

/// Items that sound alike and are on more than one side; those that hold the same samples are for
/// [`shared_between_sides`].
fn alike_between_sides(corpus: &Corpus, sides: [&[usize]; 3]) -> Result<Vec<Shared>, DataError> {
    let bits = side_bits(corpus, sides);
    let mut found = Vec::new();
    for items in &corpus.alike {
        let items: Vec<usize> = items.iter().copied().filter(|item| bits[*item] != 0).collect();
        let of_all = items.iter().fold(0, |all, item| all | bits[*item]);
        if of_all.count_ones() > 1 {
            found.push(Shared {
                what: keys(corpus, &items)?,
                sides: names(of_all),
            });
        }
    }
    Ok(found)
}

/// What validation and test say that training says too.
fn texts(corpus: &Corpus, sides: [&[usize]; 3]) -> Result<IndexMap<SplitName, TextFacts>, DataError> {
    let bits = side_bits(corpus, sides);
    let mut said: [HashMap<u64, usize>; 3] = Default::default();
    corpus.items.each_text(|item, text| {
        for (side, said) in said.iter_mut().enumerate() {
            if bits[item] & (1 << side) != 0 {
                *said.entry(text).or_default() += 1;
            }
        }
    })?;
    let [train, others @ ..] = &said;
    let facts = |said: &HashMap<u64, usize>| {
        let heard = || said.iter().filter(|(text, _)| train.contains_key(text));
        TextFacts {
            items: said.values().sum(),
            heard: heard().map(|(_, count)| count).sum(),
            texts: said.len(),
            heard_texts: heard().count(),
        }
    };
    let names = SplitName::ALL.into_iter().skip(1);
    Ok(names
        .zip(others)
        .map(|(name, said)| (name, facts(said)))
        .filter(|(_, facts)| facts.items > 0)
        .collect())
}

/// A bit of each item for every side that it is on.
fn side_bits(corpus: &Corpus, sides: [&[usize]; 3]) -> Vec<u8> {
    let mut bits = vec![0_u8; corpus.items.len()];
    for (side, indices) in sides.iter().enumerate() {
        for &index in *indices {
            if let Some(own) = bits.get_mut(index) {
                *own |= 1 << side;
            }
        }
    }
    bits
}

impl Certificate {
    pub(crate) fn new(
        corpus: &Corpus,
        sides: [&[usize]; 3],
        shared: Vec<Shared>,
        leak: Option<String>,
    ) -> Result<Self, DataError> {
        let items = &corpus.items;
        let mut audio_compared = 0;
        let mut splits = IndexMap::new();
        for (name, indices) in SplitName::ALL.into_iter().zip(sides) {
            let durations_s = indices.iter().filter_map(|index| items.durations_s().get(*index));
            let mut facts = SideFacts {
                items: indices.len(),
                // The sum of none is -0.0.
                duration_s: durations_s.sum::<f64>() + 0.0,
                ..SideFacts::default()
            };
            let counts = items.count_profiles(indices);
            for (profile, count) in items.profiles().iter().zip(counts).filter(|(_, count)| *count > 0) {
                match is_unknown(&profile.speaker) {
                    true => facts.unknown_speakers += count,
                    false => *facts.speakers.entry(profile.speaker.to_string()).or_default() += count,
                }
                *facts.datasets.entry(profile.dataset.to_string()).or_default() += count;
                audio_compared += if profile.hashed { count } else { 0 };
            }
            facts.speakers.sort_keys();
            for column in corpus.label_sets.keys() {
                facts
                    .classes
                    .insert(column.clone(), corpus.class_counts(column, indices));
            }
            splits.insert(name, facts);
        }
        let (hash, order) = hashes(corpus, sides)?;
        Ok(Self {
            splits,
            shared,
            audio_compared,
            alike: alike_between_sides(corpus, sides)?,
            texts: texts(corpus, sides)?,
            leak,
            hash: hash.to_string(),
            order: order.to_string(),
        })
    }
}

/// Hash over the sides, each with how many items it has and the sum of the items' numbers, which does not depend on their
/// order; and one over the items in their order.
fn hashes(corpus: &Corpus, sides: [&[usize]; 3]) -> Result<(ContentHash, ContentHash), DataError> {
    let bits = side_bits(corpus, sides);
    let mut sums = [(0_usize, 0_u128); 3];
    let mut order = blake3::Hasher::new();
    corpus.items.each_identity(|index, number| {
        if bits[index] != 0 {
            order.update(&[bits[index]]).update(&number.to_le_bytes());
        }
        for (side, (count, sum)) in sums.iter_mut().enumerate() {
            if bits[index] & (1 << side) != 0 {
                *count += 1;
                *sum = sum.wrapping_add(number);
            }
        }
    })?;
    let lines = SplitName::ALL
        .into_iter()
        .zip(sums)
        .map(|(name, (count, sum))| format!("{name} {count} {sum:032x}"));
    let order = ContentHash::from_bytes(*order.finalize().as_bytes());
    Ok((ContentHash::of_lines(lines), order))
}
