//! CREMA-D: 91 actors, twelve sentences, six emotions.

use super::{CorpusKind, Facts, Gathered, OnBadAudio, Parsed, Vocabulary, gather_files};
use crate::DataError;
use crate::emotion;
use crate::labelling::{Labelling, Mapping};
use crate::walk::check_root;
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The Crowd-sourced Emotional Multimodal Actors Dataset, audio only.
///
/// Files are found at any depth by their names, `actor_sentence_emotion_level.wav`, such as
/// `1001_DFA_ANG_XX.wav`. The actors' sex is read from `VideoDemographics.csv` where it is there,
/// in the root or beside it; without it the items have no gender.
///
/// # Source
/// Cao, Cooper, Keutmann, Gur, Nenkova & Verma, "CREMA-D: Crowd-Sourced Emotional Multimodal Actors
/// Dataset", IEEE Transactions on Affective Computing 5(4), 2014. Open Database License.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cremad {
    /// Folder that holds the corpus, relative to the working directory.
    pub root: DataPath,
    /// Table of the actors' sex (CSV with the columns `ActorID` and `Sex`); by default
    /// `VideoDemographics.csv` in the root or in the folder above it, where there is one.
    #[serde(default)]
    pub demographics: Option<DataPath>,
    /// Emotions to keep, numbered in this order; all by default.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the corpus, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
}

/// Code in the file name and canonical emotion.
pub(crate) const EMOTIONS: [(&str, &str); 6] = [
    ("NEU", "neutral"),
    ("HAP", "happy"),
    ("SAD", "sad"),
    ("ANG", "angry"),
    ("FEA", "fearful"),
    ("DIS", "disgust"),
];

/// Code of a sentence and its words.
pub(crate) const SENTENCES: [(&str, &str); 12] = [
    ("IEO", "It's eleven o'clock."),
    ("TIE", "That is exactly what happened."),
    ("IOM", "I'm on my way to the meeting."),
    ("IWW", "I wonder what this is about."),
    ("TAI", "The airplane is almost full."),
    ("MTI", "Maybe tomorrow it will be cold."),
    ("IWL", "I would like a new alarm clock."),
    ("ITH", "I think I have a doctor's appointment."),
    ("DFA", "Don't forget a jacket."),
    ("ITS", "I think I've seen this before."),
    ("TSI", "The surface is slick."),
    ("WSI", "We'll stop in a couple of minutes."),
];

const LEVELS: [&str; 4] = ["LO", "MD", "HI", "XX"];
const PATTERN: &str = "actor_sentence_emotion_level.wav, such as 1001_DFA_ANG_XX.wav";

impl CorpusKind for Cremad {
    fn emotions(&self) -> Option<&[String]> {
        self.emotions.as_deref()
    }

    fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    fn on_bad_audio(&self) -> OnBadAudio {
        self.on_bad_audio
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(EMOTIONS.iter().map(|(_, name)| (*name).to_owned()).collect())
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let genders = match self.genders(dataset) {
            Ok(genders) => genders,
            Err(error) => return Gathered::failed(error),
        };
        let mut gathered = gather_files(dataset, self.root.as_path(), PATTERN, rules, |stem| {
            parse(stem, &genders)
        });
        let without = gathered
            .utterances
            .iter()
            .filter(|utterance| utterance.facts.gender.is_none())
            .count();
        if without > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {without} items have no gender, because VideoDemographics.csv is absent or lacks their actors"
            ));
        }
        gathered
    }
}

impl Cremad {
    /// Gender of each actor that the table lists.
    fn genders(&self, dataset: &str) -> Result<IndexMap<String, String>, DataError> {
        let root = self.root.as_path();
        check_root(dataset, root)?;
        let beside = |folder: &Path| -> Option<PathBuf> {
            let path = folder.join("VideoDemographics.csv");
            path.is_file().then_some(path)
        };
        let table = match &self.demographics {
            Some(path) => path.as_path().to_owned(),
            None => match beside(root).or_else(|| root.parent().and_then(beside)) {
                Some(path) => path,
                None => return Ok(IndexMap::new()),
            },
        };
        let unreadable = |error: csv::Error| DataError::Unreadable {
            dataset: dataset.to_owned(),
            path: table.clone(),
            reason: error.to_string(),
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_path(&table)
            .map_err(unreadable)?;
        let headers = reader.headers().map_err(unreadable)?.clone();
        let column = |name: &str| {
            headers
                .iter()
                .position(|header| header.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name))
                .ok_or_else(|| DataError::Unreadable {
                    dataset: dataset.to_owned(),
                    path: table.clone(),
                    reason: format!("it has no column `{name}`"),
                })
        };
        let (actor, sex) = (column("ActorID")?, column("Sex")?);
        let mut genders = IndexMap::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            if let (Some(actor), Some(gender)) = (record.get(actor), record.get(sex).and_then(emotion::gender)) {
                genders.insert(actor.to_owned(), gender.to_owned());
            }
        }
        Ok(genders)
    }
}

fn parse(stem: &str, genders: &IndexMap<String, String>) -> Parsed {
    let code = stem.to_uppercase();
    let parts: Vec<&str> = code.split('_').collect();
    let [actor, sentence, emotion, level] = parts[..] else {
        return Parsed::Unknown("the name is not four codes joined by `_`".into());
    };
    if actor.len() != 4 || !actor.bytes().all(|byte| byte.is_ascii_digit()) {
        return Parsed::Unknown(format!("`{actor}` is no four-digit actor"));
    }
    let Some((_, text)) = SENTENCES.iter().find(|(code, _)| *code == sentence) else {
        return Parsed::Unknown(format!("`{sentence}` is no sentence of the corpus"));
    };
    let Some((_, name)) = EMOTIONS.iter().find(|(code, _)| *code == emotion) else {
        return Parsed::Unknown(format!("`{emotion}` is no emotion of the corpus"));
    };
    // One published file, 1040_ITH_SAD_X.wav, lacks a letter.
    if !LEVELS.contains(&level) && level != "X" {
        return Parsed::Unknown(format!("`{level}` is no level of the corpus"));
    }
    Parsed::Known(Facts {
        speaker: actor.to_owned(),
        emotion: Some((*name).to_owned()),
        gender: genders.get(actor).cloned(),
        text: Some((*text).to_owned()),
        ..Facts::default()
    })
}
