//! ESD: twenty speakers, ten of English and ten of Mandarin, five emotions.

use super::{CorpusKind, Facts, Gathered, OnBadAudio, OnCopies, Parsed, Vocabulary, gather_found};
use crate::emotion::{GENDERS, canonical};
use crate::labelling::{Labelling, Mapping};
use crate::walk::{Found, find_files, is_audio};
use crate::{SplitName, text};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The Emotional Speech Dataset.
///
/// Files are found at any depth by their names, `speaker_number.wav`, such as `0011_000351.wav`. The
/// emotion is the name of the folder that they lie in (with `train`, `evaluation` and `test` below it
/// in some releases, which become the corpus' own split); of files that were unpacked flat it follows
/// from the number. Texts come from `0011/0011.txt`.
///
/// # Source
/// Zhou, Sisman, Liu & Li, "Seen and Unseen Emotional Style Transfer for Voice Conversion with a New
/// Emotional Speech Dataset", ICASSP 2021. Given out on request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Esd {
    /// Folder that holds the corpus, relative to the working directory.
    pub root: DataPath,
    /// Language to use: speakers 0011 to 0020 speak English, 0001 to 0010 Mandarin.
    #[serde(default)]
    pub language: Language,
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
    /// a split keeps all that one person says on one side. By default `esd`, whatever
    /// the dataset is called.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
}

/// Languages of ESD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Ten native speakers of English.
    English,
    /// Ten native speakers of Mandarin.
    Mandarin,
    /// Both.
    #[default]
    Both,
}

/// Folder and canonical emotion, in the order of the files' numbers.
pub(crate) const EMOTIONS: [(&str, &str); 5] = [
    ("Neutral", "neutral"),
    ("Angry", "angry"),
    ("Happy", "happy"),
    ("Sad", "sad"),
    ("Surprise", "surprised"),
];
/// Utterances of each speaker in each emotion.
pub(crate) const EACH: u32 = 350;
/// Number of speakers.
pub(crate) const SPEAKERS: u32 = 20;
/// Speakers up to this one speak Mandarin.
pub(crate) const MANDARIN: u32 = 10;
/// Female speakers, as the corpus' own notes list them.
const FEMALE: [u32; 10] = [1, 2, 3, 7, 9, 15, 16, 17, 18, 19];
const LANGUAGES: [&str; 2] = ["english", "mandarin"];
const PATTERN: &str = "speaker_number.wav, such as 0011_000351.wav";

impl CorpusKind for Esd {
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
        self.people.clone().unwrap_or_else(|| "esd".to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(EMOTIONS.iter().map(|(_, name)| (*name).to_owned()).collect())
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("language", &LANGUAGES)]
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let root = self.root.as_path();
        let found = find_files(dataset, root, |path| is_audio(path) || is_transcript(path));
        let found = found.and_then(|tree| tree.check_audio(dataset, root, is_audio).map(|()| tree));
        let mut tree = match found {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let transcripts: Vec<Found> = tree.found.extract_if(.., |found| is_transcript(&found.path)).collect();
        let mut texts = HashMap::new();
        let mut damaged = Vec::new();
        for transcript in &transcripts {
            match text::read(dataset, &transcript.path) {
                Ok(text) if text.is_whole => add_texts(&text.text, &mut texts),
                Ok(_) => damaged.push(transcript.relative.as_str()),
                Err(error) => return Gathered::failed(error),
            }
        }
        let mut gathered = gather_found(dataset, root, PATTERN, rules, tree, |found| self.parse(found, &texts));
        if let Some(first) = damaged.first() {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {} transcripts are neither UTF-8 nor UTF-16, such as {first:?}; their texts are left out (convert them with iconv)",
                damaged.len()
            ));
        }
        gathered
    }
}

impl Esd {
    pub(super) fn parse(&self, found: &Found, texts: &HashMap<String, String>) -> Parsed {
        let Some((speaker, number)) = name(found.stem()) else {
            return Parsed::Unknown(format!(
                "the name is not a speaker from 0001 to {SPEAKERS:04}, `_` and a number from 000001 to {:06}",
                EMOTIONS.len() as u32 * EACH
            ));
        };
        let mandarin = speaker <= MANDARIN;
        let wanted = match self.language {
            Language::English => !mandarin,
            Language::Mandarin => mandarin,
            Language::Both => true,
        };
        if !wanted {
            return Parsed::Filtered;
        }
        let folders = || found.relative.rsplit('/').skip(1);
        let of_folder = folders().find_map(|folder| {
            let name = canonical(folder)?;
            EMOTIONS
                .iter()
                .find(|(_, known)| *known == name)
                .map(|(_, known)| *known)
        });
        let (_, of_number) = EMOTIONS[((number - 1) / EACH) as usize];
        Parsed::Known(Facts {
            speaker: format!("{speaker:04}"),
            emotion: Some(of_folder.unwrap_or(of_number).to_owned()),
            gender: Some(GENDERS[usize::from(!FEMALE.contains(&speaker))].to_owned()),
            text: texts.get(found.stem()).cloned(),
            split: folders().next().and_then(side),
            attributes: [("language".to_owned(), LANGUAGES[usize::from(mandarin)].to_owned())].into(),
            ..Facts::default()
        })
    }
}

/// Speaker and number of a file's name without extension.
pub(crate) fn name(stem: &str) -> Option<(u32, u32)> {
    let (speaker, number) = stem.split_once('_')?;
    let digits = |text: &str, length| {
        let number = text.parse::<u32>().ok()?;
        (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
    };
    let (speaker, number) = (digits(speaker, 4)?, digits(number, 6)?);
    let known = (1..=SPEAKERS).contains(&speaker) && (1..=EMOTIONS.len() as u32 * EACH).contains(&number);
    known.then_some((speaker, number))
}

/// The side that a folder below the emotion's stands for.
fn side(folder: &str) -> Option<SplitName> {
    match folder.to_lowercase().as_str() {
        "train" => Some(SplitName::Train),
        "evaluation" => Some(SplitName::Validation),
        "test" => Some(SplitName::Test),
        _ => None,
    }
}

/// Whether a path is a speaker's transcript: `0011.txt`.
fn is_transcript(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".txt").unwrap_or_default();
    stem.len() == 4 && stem.bytes().all(|byte| byte.is_ascii_digit())
}

/// Adds the texts of a transcript: lines of name, text and emotion, separated by tabs (in some files
/// by blanks).
fn add_texts(transcript: &str, texts: &mut HashMap<String, String>) {
    for line in transcript.lines().map(str::trim) {
        let Some((id, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let words = match rest.trim().rsplit_once(char::is_whitespace) {
            Some((words, last)) if canonical(last).is_some() => words,
            _ => rest,
        };
        if name(id).is_some() {
            texts.entry(id.to_owned()).or_insert_with(|| words.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_speaker_and_a_number() {
        assert_eq!(name("0011_000351"), Some((11, 351)));
        for wrong in [
            "0021_000001",
            "0000_000001",
            "0011_001751",
            "0011_000000",
            "011_000001",
            "0011_+00001",
            "0011",
            "é_1",
        ] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn transcripts_in_tabs_or_blanks_give_the_words() {
        let mut texts = HashMap::new();
        add_texts(
            "0001_000351\t打远一看，它们的确很是美丽，\t生气\n\n0011_000701 Happy that you came. Happy\n0011_000702\tno label here\nx\ty\n0011_000701\tagain\tHappy",
            &mut texts,
        );
        assert_eq!(texts.len(), 3);
        assert_eq!(texts["0001_000351"], "打远一看，它们的确很是美丽，");
        assert_eq!(texts["0011_000701"], "Happy that you came.");
        assert_eq!(texts["0011_000702"], "no label here");
    }
}
