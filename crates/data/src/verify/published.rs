//! What the corpora were published with.

use crate::corpora::emobox::Emobox;
use crate::corpora::{DatasetConfig, Utterance, cremad, emodb, esd, iemocap, librispeech, musan};
use crate::emotion::EMOTIONS as CANONICAL;
use std::collections::{HashMap, HashSet};

/// A part of a corpus that is given out by itself.
#[derive(Clone, Debug)]
pub(super) struct PublishedPart {
    /// What it is called.
    pub name: &'static str,
    /// How many files it has.
    pub files: usize,
    /// How many of them each class, speaker or session has: column, value, files.
    pub counts: Vec<(&'static str, String, usize)>,
    /// How many speakers it has, where their ids are not listed.
    pub speakers: Option<usize>,
    /// The names of all its files without extension, and the speaker of each.
    pub names: Option<Vec<(String, String)>>,
}

/// Class of utterances that have none.
pub(super) const NO_CLASS: &str = "none";

/// The 7442 recordings are those of the full plan (82 of each of 91 actors) without these: actor,
/// sentence and emotions that were lost.
const CREMAD_LOST: [(u32, &str, &[&str]); 5] = [
    (1002, "TIE", &["NEU"]),
    (1008, "WSI", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1009, "MTI", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1019, "ITH", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1076, "ITS", &["NEU"]),
];
/// Utterances of IEMOCAP's sessions.
const IEMOCAP_SESSIONS: [usize; 5] = [1819, 1811, 2136, 2103, 2170];
/// Utterances of each of its categories.
const IEMOCAP_CLASSES: [(&str, usize); 11] = [
    ("neu", 1708),
    ("hap", 595),
    ("sad", 1084),
    ("ang", 1103),
    ("fea", 40),
    ("dis", 2),
    ("sur", 107),
    ("exc", 1041),
    ("fru", 1849),
    ("oth", 3),
    (iemocap::NO_AGREEMENT, 2507),
];
/// The speaker and text of EmoDB's files, and emotion and version of each.
const EMODB: &str = include_str!("emodb.txt");

/// The published parts of a corpus; none of a manifest or of generated speech.
pub(super) fn parts(config: &DatasetConfig) -> Vec<PublishedPart> {
    match config {
        DatasetConfig::Ravdess(_) => vec![ravdess("speech", 1), ravdess("song", 2)],
        DatasetConfig::Cremad(_) => vec![cremad()],
        DatasetConfig::Emodb(_) => vec![emodb()],
        DatasetConfig::Iemocap(_) => vec![iemocap()],
        DatasetConfig::Esd(_) => vec![
            esd("english", esd::MANDARIN + 1..=esd::SPEAKERS),
            esd("mandarin", 1..=esd::MANDARIN),
        ],
        DatasetConfig::Librispeech(_) => librispeech::SUBSETS
            .into_iter()
            .map(|(name, files, speakers)| PublishedPart {
                name,
                files,
                counts: Vec::new(),
                speakers: Some(speakers),
                names: None,
            })
            .collect(),
        // Metadata that cannot be read, gathering has told.
        DatasetConfig::Emobox(own) => emobox(own).into_iter().collect(),
        DatasetConfig::Manifest(_) | DatasetConfig::Files(_) | DatasetConfig::Synthetic(_) => Vec::new(),
    }
}

/// Which part an utterance belongs to, where it does to one.
pub(super) fn part_of(config: &DatasetConfig, utterance: &Utterance) -> Option<usize> {
    let attribute = |column: &str| utterance.facts.attributes.get(column).map(String::as_str);
    match config {
        DatasetConfig::Ravdess(_) => Some(usize::from(utterance.stem()?.get(3..5)? == "02")),
        DatasetConfig::Esd(_) => Some(usize::from(attribute("language")? == "mandarin")),
        DatasetConfig::Librispeech(_) => {
            let subset = attribute("subset")?;
            librispeech::SUBSETS.iter().position(|(name, _, _)| *name == subset)
        }
        _ => Some(0),
    }
}

/// All that EmoBox lists of a corpus. Classes are counted, and names where each is that of one file alone.
fn emobox(config: &Emobox) -> Option<PublishedPart> {
    let listed = config.listed()?;
    let mut classes: Vec<(&'static str, String, usize)> = Vec::new();
    for recording in &listed {
        match classes.iter_mut().find(|(_, class, _)| *class == recording.class) {
            Some((_, _, count)) => *count += 1,
            None => classes.push(("class", recording.class.clone(), 1)),
        }
    }
    classes.sort_by_key(|(_, class, _)| {
        CANONICAL
            .iter()
            .position(|known| known == class)
            .unwrap_or(CANONICAL.len())
    });
    let stems: HashSet<String> = listed.iter().map(|recording| recording.stem.to_lowercase()).collect();
    Some(PublishedPart {
        name: config.corpus.name(),
        files: listed.len(),
        counts: classes,
        speakers: None,
        names: (stems.len() == listed.len()).then(|| {
            listed
                .into_iter()
                .map(|recording| (recording.stem, recording.speaker))
                .collect()
        }),
    })
}

/// The lengths in seconds that a corpus was published with, by the recordings' keys.
pub(super) fn lengths(config: &DatasetConfig) -> HashMap<String, f64> {
    let listed = match config {
        DatasetConfig::Emobox(own) => own.listed().unwrap_or_default(),
        _ => Vec::new(),
    };
    listed
        .into_iter()
        .filter_map(|recording| Some((recording.key, recording.seconds?)))
        .collect()
}

/// MUSAN's categories.
pub(super) fn musan() -> Vec<PublishedPart> {
    musan::CATEGORIES
        .into_iter()
        .map(|(name, files)| PublishedPart {
            name,
            files,
            counts: Vec::new(),
            speakers: None,
            names: None,
        })
        .collect()
}

/// A part of which every name is known: name, class and speaker of each file.
fn named(name: &'static str, files: Vec<(String, &'static str, String)>) -> PublishedPart {
    let tally = |column, values: Vec<&str>| {
        let mut counts: Vec<(&'static str, String, usize)> = Vec::new();
        for value in values {
            match counts.iter_mut().find(|(_, known, _)| known == value) {
                Some((_, _, count)) => *count += 1,
                None => counts.push((column, value.to_owned(), 1)),
            }
        }
        counts
    };
    let mut counts = tally("class", files.iter().map(|(_, class, _)| *class).collect());
    counts.sort_by_key(|(_, class, _)| CANONICAL.iter().position(|known| known == class));
    counts.extend(tally(
        "speaker",
        files.iter().map(|(_, _, speaker)| speaker.as_str()).collect(),
    ));
    PublishedPart {
        name,
        files: files.len(),
        counts,
        speakers: None,
        names: Some(files.into_iter().map(|(stem, _, speaker)| (stem, speaker)).collect()),
    }
}

/// 60 spoken recordings of each of 24 actors, and 44 sung ones of each but actor 18.
fn ravdess(name: &'static str, channel: u32) -> PublishedPart {
    let mut files = Vec::new();
    for actor in (1..=24_u32).filter(|actor| channel == 1 || *actor != 18) {
        for (emotion, class) in (1..=8_u32).zip(CANONICAL) {
            // Nobody sang disgust or surprise; neutral has no strong intensity.
            if channel == 2 && emotion > 6 {
                continue;
            }
            for intensity in 1..=if emotion == 1 { 1 } else { 2_u32 } {
                for (statement, repetition) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                    let stem = format!(
                        "03-{channel:02}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
                    );
                    files.push((stem, class, format!("{actor:02}")));
                }
            }
        }
    }
    named(name, files)
}

fn cremad() -> PublishedPart {
    let mut files = Vec::new();
    for actor in 1001..=1091_u32 {
        for (sentence, _) in cremad::SENTENCES {
            for (code, class) in cremad::EMOTIONS {
                let lost = CREMAD_LOST
                    .iter()
                    .any(|(a, s, codes)| *a == actor && *s == sentence && codes.contains(&code));
                // One sentence was spoken at three levels, except in neutral.
                let levels: &[&str] = match (lost, sentence == "IEO" && code != "NEU") {
                    (true, _) => &[],
                    (_, true) => &["LO", "MD", "HI"],
                    (_, false) => &["XX"],
                };
                let stems = levels.iter().map(|level| format!("{actor}_{sentence}_{code}_{level}"));
                files.extend(stems.map(|stem| (stem, class, actor.to_string())));
            }
        }
    }
    named("speech", files)
}

fn emodb() -> PublishedPart {
    let mut files = Vec::new();
    for line in EMODB.lines() {
        let mut words = line.split(' ');
        let start = words.next().unwrap_or_default();
        for code in words {
            let letter = code.chars().next().unwrap_or_default();
            if let Some((_, class)) = emodb::EMOTIONS.iter().find(|(known, _)| *known == letter) {
                let speaker = start.get(..2).unwrap_or_default().to_owned();
                files.push((format!("{start}{code}"), *class, speaker));
            }
        }
    }
    named("speech", files)
}

fn iemocap() -> PublishedPart {
    let mut counts: Vec<(&'static str, String, usize)> = IEMOCAP_CLASSES
        .iter()
        .map(|(code, files)| {
            let known = iemocap::EMOTIONS.iter().find(|(known, _)| known == code);
            let class = known.map_or(NO_CLASS, |(_, name)| *name);
            ("class", class.to_owned(), *files)
        })
        .collect();
    counts.extend(
        (1..)
            .zip(IEMOCAP_SESSIONS)
            .map(|(session, files)| ("session", format!("{session}"), files)),
    );
    PublishedPart {
        name: "utterances",
        files: IEMOCAP_SESSIONS.iter().sum(),
        counts,
        speakers: Some(10),
        names: None,
    }
}

/// 350 recordings of each speaker in each emotion.
fn esd(name: &'static str, speakers: std::ops::RangeInclusive<u32>) -> PublishedPart {
    let mut files = Vec::new();
    for speaker in speakers {
        for (rank, (_, class)) in (0..).zip(esd::EMOTIONS) {
            for take in 1..=esd::EACH {
                let stem = format!("{speaker:04}_{:06}", rank * esd::EACH + take);
                files.push((stem, class, format!("{speaker:04}")));
            }
        }
    }
    named(name, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(part: &PublishedPart, column: &str, value: &str) -> usize {
        let of = |(own, known, _): &&(&str, String, usize)| *own == column && known == value;
        part.counts.iter().find(of).map_or(0, |(_, _, count)| *count)
    }

    #[test]
    fn the_lists_add_up_to_the_published_counts() {
        let (speech, song) = (ravdess("speech", 1), ravdess("song", 2));
        assert_eq!((speech.files, song.files), (1440, 1012));
        assert_eq!(
            (count(&speech, "class", "neutral"), count(&speech, "class", "surprised")),
            (96, 192)
        );
        assert_eq!((count(&song, "speaker", "18"), count(&song, "speaker", "17")), (0, 44));
        let cremad = cremad();
        assert_eq!(cremad.files, 7442);
        for (class, files) in [
            ("angry", 1271),
            ("disgust", 1271),
            ("fearful", 1271),
            ("happy", 1271),
            ("sad", 1271),
            ("neutral", 1087),
        ] {
            assert_eq!(count(&cremad, "class", class), files, "{class}");
        }
        let emodb = emodb();
        assert_eq!(emodb.files, 535);
        for (class, files) in [
            ("neutral", 79),
            ("happy", 71),
            ("sad", 62),
            ("angry", 127),
            ("fearful", 69),
            ("disgust", 46),
            ("bored", 81),
        ] {
            assert_eq!(count(&emodb, "class", class), files, "{class}");
        }
        let iemocap = iemocap();
        assert_eq!(iemocap.files, 10_039);
        let classes = iemocap.counts.iter().filter(|(column, _, _)| *column == "class");
        assert_eq!(classes.map(|(_, _, files)| files).sum::<usize>(), 10_039);
        let four = ["neutral", "angry", "sad", "happy", "excited"].map(|class| count(&iemocap, "class", class));
        assert_eq!(four.iter().sum::<usize>(), 5531);
        let halves = [esd("english", 11..=20), esd("mandarin", 1..=10)];
        assert_eq!(halves.map(|half| half.files).iter().sum::<usize>(), 35_000);
    }
}
