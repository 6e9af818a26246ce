//! EmoDB: ten speakers, ten German sentences, seven emotions.

use super::{CorpusKind, Facts, Gathered, OnBadAudio, OnCopies, Parsed, Vocabulary, gather_files};
use crate::emotion::GENDERS;
use crate::labelling::{Labelling, Mapping};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Berlin Database of Emotional Speech.
///
/// Files are found at any depth by their names, `SSTTTEV.wav` (speaker, text, emotion, version),
/// such as `03a01Fa.wav`.
///
/// # Source
/// Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, "A Database of German Emotional Speech",
/// Interspeech 2005.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emodb {
    /// Folder that holds the corpus, relative to the working directory.
    pub root: DataPath,
    /// Emotions to keep, numbered in this order; all by default.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the corpus, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// What to do with one recording under several names.
    #[serde(default)]
    pub on_copies: OnCopies,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default `emodb`, whatever
    /// the dataset is called.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
}

/// Letter in the file name (from the German word) and canonical emotion.
pub(crate) const EMOTIONS: [(char, &str); 7] = [
    ('N', "neutral"),
    ('F', "happy"),
    ('T', "sad"),
    ('W', "angry"),
    ('A', "fearful"),
    ('E', "disgust"),
    ('L', "bored"),
];

/// Speaker number and gender.
pub(crate) const SPEAKERS: [(&str, &str); 10] = [
    ("03", GENDERS[1]),
    ("08", GENDERS[0]),
    ("09", GENDERS[0]),
    ("10", GENDERS[1]),
    ("11", GENDERS[1]),
    ("12", GENDERS[1]),
    ("13", GENDERS[0]),
    ("14", GENDERS[0]),
    ("15", GENDERS[1]),
    ("16", GENDERS[0]),
];

/// Code of a text and the sentence spoken.
pub(crate) const TEXTS: [(&str, &str); 10] = [
    ("a01", "Der Lappen liegt auf dem Eisschrank."),
    ("a02", "Das will sie am Mittwoch abgeben."),
    ("a04", "Heute abend könnte ich es ihm sagen."),
    (
        "a05",
        "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    ),
    ("a07", "In sieben Stunden wird es soweit sein."),
    ("b01", "Was sind denn das für Tüten, die da unter dem Tisch stehen?"),
    (
        "b02",
        "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    ),
    (
        "b03",
        "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    ),
    (
        "b09",
        "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    ),
    ("b10", "Die wird auf dem Platz sein, wo wir sie immer hinlegen."),
];

const PATTERN: &str = "SSTTTEV.wav (speaker, text, emotion letter, version letter), such as 03a01Fa.wav";

impl CorpusKind for Emodb {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn on_copies(&self) -> OnCopies {
        self.on_copies
    }

    fn people(&self, _dataset: &str) -> String {
        self.people.clone().unwrap_or_else(|| "emodb".to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(EMOTIONS.iter().map(|(_, name)| (*name).to_owned()).collect())
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        gather_files(dataset, self.root.as_path(), PATTERN, rules, |found| {
            parse(found.stem())
        })
    }
}

pub(super) fn parse(stem: &str) -> Parsed {
    let letters: Vec<char> = stem.chars().collect();
    // Some recordings carry no version letter in public copies.
    let [s1, s2, t1, t2, t3, emotion, ..] = letters[..] else {
        return Parsed::Unknown("the name is shorter than its code".into());
    };
    if letters.len() > 7 {
        return Parsed::Unknown("the name is longer than its code".into());
    }
    let speaker = String::from_iter([s1, s2]);
    let text = String::from_iter([t1, t2, t3]).to_lowercase();
    let Some((_, gender)) = SPEAKERS.iter().find(|(id, _)| *id == speaker) else {
        return Parsed::Unknown(format!("`{speaker}` is no speaker of the corpus"));
    };
    let Some((_, sentence)) = TEXTS.iter().find(|(code, _)| *code == text) else {
        return Parsed::Unknown(format!("`{text}` is no text of the corpus"));
    };
    let Some((_, name)) = EMOTIONS.iter().find(|(letter, _)| emotion.eq_ignore_ascii_case(letter)) else {
        return Parsed::Unknown(format!("`{emotion}` is no emotion letter of the corpus"));
    };
    Parsed::Known(Facts {
        speaker,
        emotion: Some((*name).to_owned()),
        gender: Some((*gender).to_owned()),
        text: Some((*sentence).to_owned()),
        ..Facts::default()
    })
}
