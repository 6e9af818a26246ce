//! RAVDESS: 24 actors, two sentences, eight emotions, speech and song.

use super::{CorpusKind, Facts, Gathered, OnBadAudio, Parsed, Vocabulary, gather_files};
use crate::emotion::GENDERS;
use crate::labelling::{Labelling, Mapping};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Ryerson Audio-Visual Database of Emotional Speech and Song, audio only.
///
/// Files are found at any depth by their names, `MM-VC-EM-IN-ST-RE-AC.wav` (modality, vocal
/// channel, emotion, intensity, statement, repetition, actor); a second copy nested inside the
/// first is counted once.
///
/// # Source
/// Livingstone & Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
/// PLOS ONE 13(5), 2018. CC BY-NC-SA 4.0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ravdess {
    /// Folder that holds the corpus, relative to the working directory.
    pub root: DataPath,
    /// Recordings to use: spoken, sung, or both.
    #[serde(default)]
    pub vocal_channel: VocalChannel,
    /// Emotional intensities to use; neutral recordings exist only as `normal`.
    #[serde(default)]
    pub intensity: Intensity,
    /// Emotions to keep, numbered in this order; all by default.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the corpus, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default `ravdess`, whatever
    /// the dataset is called.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
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
pub(crate) const PATTERN: &str = "MM-VC-EM-IN-ST-RE-AC.wav (seven two-digit numbers), such as 03-01-06-01-02-01-12.wav";

impl CorpusKind for Ravdess {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn people(&self, _dataset: &str) -> String {
        self.people.clone().unwrap_or_else(|| "ravdess".to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
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
}

impl Ravdess {
    pub(crate) fn parse(&self, stem: &str) -> Parsed {
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
