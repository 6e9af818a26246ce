//! RAVDESS: 24 actors, two sentences, eight emotions, speech and song.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, NameReader, Parsed, Utterance, dataset,
    gather_files,
};
use crate::DataError;
use crate::emotion::{EMOTIONS as CANONICAL, GENDERS};
use crate::fixtures::{FixtureError, tone};
use crate::labelling::{Labelling, Vocabulary};
use crate::split::PublishedProtocol;
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

dataset! {
    /// The Ryerson Audio-Visual Database of Emotional Speech and Song, audio only.
    ///
    /// Files are found at any depth by their names, `MM-VC-EM-IN-ST-RE-AC.wav` (modality, vocal
    /// channel, emotion, intensity, statement, repetition, actor); a second copy nested inside the
    /// first is counted once.
    ///
    /// # Source
    /// Livingstone & Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
    /// PLOS ONE 13(5), 2018. CC BY-NC-SA 4.0.
    pub struct Ravdess {
        shared root,
        /// Recordings to use: spoken, sung, or both.
        #[serde(default)]
        pub vocal_channel: VocalChannel,
        /// Emotional intensities to use; neutral recordings exist only as `normal`.
        #[serde(default)]
        pub intensity: Intensity,
        shared classes,
        shared on_bad_audio,
        shared on_copies,
        shared people: of ravdess,
        shared channel,
    }
}

/// Vocal channels of RAVDESS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VocalChannel {
    /// Spoken sentences: eight emotions.
    #[default]
    Speech,
    /// Sung sentences: six emotions, without disgust and surprise.
    Song,
    /// Both.
    Both,
}

/// Emotional intensities of RAVDESS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intensity {
    /// Only normal intensity.
    Normal,
    /// Only strong intensity, which neutral does not have.
    Strong,
    /// Both.
    #[default]
    Both,
}

const EMOTIONS: [&str; 8] = [
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
];
const INTENSITIES: [&str; 2] = ["normal", "strong"];
const STATEMENTS: [&str; 2] = ["Kids are talking by the door", "Dogs are sitting by the door"];
/// One recording under two names: both repetitions of a statement by actor 7. EmoBox uses both.
const TWICE: [[&str; 2]; 1] = [["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]];
const PATTERN: &str = "MM-VC-EM-IN-ST-RE-AC.wav (seven two-digit numbers), such as 03-01-06-01-02-01-12.wav";

/// Test actors of EmoBox's folds.
const EMOBOX_FOLDS: [&[&str]; 6] = [
    &["01", "11", "20", "21"],
    &["04", "10", "12", "14"],
    &["08", "09", "19", "23"],
    &["03", "05", "07", "24"],
    &["02", "15", "16", "18"],
    &["06", "13", "17", "22"],
];

impl Described for Ravdess {
    const DESCRIPTION: Description = Description {
        summary: "RAVDESS: 24 actors, eight emotions, English speech and song",
        source: "Livingstone & Russo, PLOS ONE 13(5), 2018",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.intensity",
        is_fetched: true,
        protocols: &[PublishedProtocol {
            name: "emobox_ravdess",
            summary: "EmoBox's six folds of four actors over all of RAVDESS (Ma et al., Interspeech 2024).",
            folds: &EMOBOX_FOLDS,
        }],
        ..Description::DEFAULT
    };
}

impl CorpusKind for Ravdess {
    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        &TWICE
    }

    fn vocabulary(&self) -> Vocabulary {
        // Song has the first six only; strong intensity leaves neutral out.
        let end = if self.vocal_channel == VocalChannel::Song { 6 } else { 8 };
        let start = usize::from(self.intensity == Intensity::Strong);
        Vocabulary::Closed(EMOTIONS[start..end].iter().map(|name| (*name).to_owned()).collect())
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("intensity", &INTENSITIES)]
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        gather_files(dataset, self.root.as_path(), PATTERN, rules, |found| {
            self.parse(found.stem())
        })
    }

    fn published_parts(&self) -> Vec<PublishedPart> {
        vec![published("speech", 1), published("song", 2)]
    }

    fn published_part_of(&self, utterance: &Utterance) -> Option<usize> {
        Some(usize::from(utterance.stem()?.get(3..5)? == "02"))
    }

    fn take_all(&mut self) {
        (self.emotions, self.mapping) = (None, None);
        (self.vocal_channel, self.intensity) = (VocalChannel::Both, Intensity::Both);
    }

    fn name_reader(&self, _dataset: &str) -> Result<NameReader, DataError> {
        let own = self.clone();
        Ok(Box::new(move |found| own.parse(found.stem()).known()))
    }

    fn names_tell_text(&self) -> bool {
        true
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        let id = text.parse::<u32>().ok().filter(|id| (1..=24).contains(id))?;
        Some(format!("{id:02}"))
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        (1..=count).map(|id| format!("{id:02}")).collect()
    }

    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        // Every bit of the number chooses one of two.
        let two = |bit: usize| number / (8 << bit) % 2 + 1;
        let (actor, emotion) = (speaker + 1, number % 8 + 1);
        format!(
            "Actor_{actor:02}/03-01-{emotion:02}-{:02}-{:02}-{:02}-{actor:02}.wav",
            two(2),
            two(1),
            two(0)
        )
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let mut number = 0;
        for actor in &writer.speakers {
            for emotion in 1..=8 {
                let mut takes = 0;
                for (channel, intensity, statement, repetition) in combinations() {
                    let stem =
                        format!("03-{channel:02}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor}");
                    // Neither of these was recorded.
                    let exists = !(emotion == 1 && intensity == 2 || emotion > 6 && channel == 2);
                    if takes < writer.takes && exists && matches!(self.parse(&stem), Parsed::Known(_)) {
                        let folder = if channel == 2 { "Song_Actor" } else { "Actor" };
                        writer.tone(&format!("{folder}_{actor}/{stem}.wav"), 48_000, number, emotion)?;
                        takes += 1;
                        number += 1;
                    }
                }
            }
        }
        let root = writer.root();
        Ok(Self { root, ..self.clone() }.into())
    }
}

/// 60 spoken recordings of each of 24 actors, and 44 sung ones of each but actor 18.
fn published(name: &'static str, channel: u32) -> PublishedPart {
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
    PublishedPart::of_names(name, files)
}

/// Vocal channel, intensity, statement and repetition, the ones first that differ least.
fn combinations() -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (1..=2).flat_map(|repetition| {
        (1..=2).flat_map(move |statement| {
            (1..=2).flat_map(move |intensity| (1..=2).map(move |channel| (channel, intensity, statement, repetition)))
        })
    })
}

/// Writes the speech files of these actors (1 to 24), 60 each at 48 kHz, as `Actor_NN/03-01-…wav`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_ravdess(root: &Path, actors: &[u32], seconds: f64) -> Result<usize, FixtureError> {
    let mut files = 0;
    for actor in actors {
        for emotion in 1..=8_u32 {
            // Neutral has no strong intensity.
            for intensity in 1..=if emotion == 1 { 1 } else { 2_u32 } {
                for (statement, repetition) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                    let name = format!(
                        "Actor_{actor:02}/03-01-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}.wav"
                    );
                    tone(root, &name, 48_000, seconds, emotion + intensity - 1)?;
                    files += 1;
                }
            }
        }
    }
    Ok(files)
}

impl Ravdess {
    fn parse(&self, stem: &str) -> Parsed {
        let mut fields = [0_usize; 7];
        let mut parts = stem.split('-');
        for field in &mut fields {
            match parts.next() {
                Some(part) if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                    *field = part.parse().unwrap_or_default();
                }
                _ => return Parsed::Unknown("the name is not seven two-digit numbers joined by `-`".into()),
            }
        }
        if parts.next().is_some() {
            return Parsed::Unknown("the name has more than seven numbers".into());
        }
        let [modality, channel, emotion, intensity, statement, repetition, actor] = fields;
        let limits = [
            ("modality", modality, 3),
            ("vocal channel", channel, 2),
            ("emotion", emotion, 8),
            ("intensity", intensity, 2),
            ("statement", statement, 2),
            ("repetition", repetition, 2),
            ("actor", actor, 24),
        ];
        if let Some((field, value, last)) = limits.into_iter().find(|(_, value, last)| *value == 0 || value > last) {
            return Parsed::Unknown(format!("{field} {value:02} is not one of 01 to {last:02}"));
        }
        let wanted = match self.vocal_channel {
            VocalChannel::Speech => channel == 1,
            VocalChannel::Song => channel == 2,
            VocalChannel::Both => true,
        } && match self.intensity {
            Intensity::Normal => intensity == 1,
            Intensity::Strong => intensity == 2,
            Intensity::Both => true,
        };
        if !wanted {
            return Parsed::Filtered;
        }
        Parsed::Known(Facts {
            speaker: format!("{actor:02}"),
            emotion: Some(EMOTIONS[emotion - 1].to_owned()),
            // Odd actors are male, even ones female.
            gender: Some(GENDERS[actor % 2].to_owned()),
            text: Some(STATEMENTS[statement - 1].to_owned()),
            attributes: [("intensity".to_owned(), INTENSITIES[intensity - 1].to_owned())].into(),
            ..Facts::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_add_up_to_the_published_counts() {
        let (speech, song) = (published("speech", 1), published("song", 2));
        assert_eq!((speech.files, song.files), (1440, 1012));
        assert_eq!(
            (speech.count("class", "neutral"), speech.count("class", "surprised")),
            (96, 192)
        );
        assert_eq!((song.count("speaker", "18"), song.count("speaker", "17")), (0, 44));
    }
}
