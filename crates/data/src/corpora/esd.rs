//! ESD: twenty speakers, ten of English and ten of Mandarin, five emotions.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, NameReader, Parsed, Utterance, dataset,
    gather_found,
};
use crate::emotion::{GENDERS, canonical};
use crate::fixtures::{FixtureError, tone, write};
use crate::labelling::{Labelling, Vocabulary};
use crate::split::PublishedProtocol;
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use crate::walk::{Found, find_files, is_audio};
use crate::{DataError, SplitName, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;

dataset! {
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
    pub struct Esd {
        shared root,
        /// Language to use: speakers 0011 to 0020 speak English, 0001 to 0010 Mandarin.
        #[serde(default)]
        pub language: Language,
        shared classes,
        shared on_bad_audio,
        shared on_copies,
        shared people: of esd,
        shared channel,
    }
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
const EMOTIONS: [(&str, &str); 5] = [
    ("Neutral", "neutral"),
    ("Angry", "angry"),
    ("Happy", "happy"),
    ("Sad", "sad"),
    ("Surprise", "surprised"),
];
/// Utterances of each speaker in each emotion.
const EACH: u32 = 350;
/// Number of speakers.
const SPEAKERS: u32 = 20;
/// Speakers up to this one speak Mandarin.
const MANDARIN: u32 = 10;
/// Female speakers, as the corpus' own notes list them.
const FEMALE: [u32; 10] = [1, 2, 3, 7, 9, 15, 16, 17, 18, 19];
const LANGUAGES: [&str; 2] = ["english", "mandarin"];
const PATTERN: &str = "speaker_number.wav, such as 0011_000351.wav";

/// Test speakers of EmoBox's folds.
const EMOBOX_FOLDS: [&[&str]; 5] = [
    &["0005", "0011", "0016", "0018"],
    &["0012", "0014", "0015", "0019"],
    &["0003", "0004", "0006", "0009"],
    &["0007", "0008", "0013", "0020"],
    &["0001", "0002", "0010", "0017"],
];

impl Described for Esd {
    const DESCRIPTION: Description = Description {
        summary: "ESD: twenty speakers, five emotions, English and Mandarin speech",
        source: "Zhou et al., ICASSP 2021",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.language",
        protocols: &[PublishedProtocol {
            name: "emobox_esd",
            summary: "EmoBox's five folds of four speakers over both languages of ESD (Ma et al., Interspeech 2024).",
            folds: &EMOBOX_FOLDS,
        }],
        ..Description::DEFAULT
    };
}

impl CorpusKind for Esd {
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

    fn published_parts(&self) -> Vec<PublishedPart> {
        vec![
            published("english", MANDARIN + 1..=SPEAKERS),
            published("mandarin", 1..=MANDARIN),
        ]
    }

    fn published_part_of(&self, utterance: &Utterance) -> Option<usize> {
        Some(usize::from(utterance.facts.attributes.get("language")? == "mandarin"))
    }

    fn take_all(&mut self) {
        (self.emotions, self.mapping, self.language) = (None, None, Language::Both);
    }

    fn name_reader(&self, _dataset: &str) -> Result<NameReader, DataError> {
        let own = self.clone();
        Ok(Box::new(move |found| own.parse(found, &HashMap::new()).known()))
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        let id = text.parse::<u32>().ok().filter(|id| (1..=SPEAKERS).contains(id))?;
        Some(format!("{id:04}"))
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        let speakers = match self.language {
            Language::English => [11, 15, 12, 16, 13, 17],
            Language::Mandarin => [4, 1, 5, 2, 6, 3],
            Language::Both => [11, 15, 4, 1, 12, 16],
        };
        speakers.into_iter().take(count).map(|id| format!("{id:04}")).collect()
    }

    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        let speaker = speaker + 1;
        format!("{speaker:04}/Angry/{speaker:04}_{:06}.wav", EACH as usize + number + 1)
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let mut number = 0;
        for (at, id) in writer.speakers.iter().enumerate() {
            let Ok(speaker) = id.parse::<u32>() else { continue };
            let side = ["/train", "/evaluation", "/test"][at % SplitName::ALL.len()];
            let folder = if writer.sides_by_column { side } else { "" };
            let mut names = Vec::new();
            for rank in 0..EMOTIONS.len() as u32 {
                for take in 0..writer.takes as u32 {
                    let (stem, path) = path_of(speaker, rank, take, folder);
                    writer.tone(&path, 16_000, number, 1 + rank as usize)?;
                    names.push((stem, rank));
                    number += 1;
                }
            }
            write_transcript(&writer.root, speaker, &names)?;
        }
        let root = writer.root();
        Ok(Self { root, ..self.clone() }.into())
    }
}

impl Esd {
    fn parse(&self, found: &Found, texts: &HashMap<String, String>) -> Parsed {
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
fn name(stem: &str) -> Option<(u32, u32)> {
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

/// 350 recordings of each speaker in each emotion.
fn published(name: &'static str, speakers: RangeInclusive<u32>) -> PublishedPart {
    let mut files = Vec::new();
    for speaker in speakers {
        for (rank, (_, class)) in (0..).zip(EMOTIONS) {
            for take in 1..=EACH {
                let stem = format!("{speaker:04}_{:06}", rank * EACH + take);
                files.push((stem, class, format!("{speaker:04}")));
            }
        }
    }
    PublishedPart::of_names(name, files)
}

/// How the files lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EsdLayout {
    /// `0011/Angry/0011_000351.wav`.
    Folders,
    /// `0011/Angry/train/0011_000351.wav`, with `evaluation` and `test` beside.
    Sides,
}

/// Writes the first utterances of these speakers (1 to 20) in each emotion at 16 kHz, and their transcripts.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_esd(
    root: &Path,
    speakers: &[u32],
    each: u32,
    layout: EsdLayout,
    seconds: f64,
) -> Result<usize, FixtureError> {
    let mut files = 0;
    for speaker in speakers {
        let mut names = Vec::new();
        for rank in 0..EMOTIONS.len() as u32 {
            for take in 0..each {
                let side = ["evaluation", "test", "train"][(take as usize).min(2)];
                let folder = match layout {
                    EsdLayout::Folders => String::new(),
                    EsdLayout::Sides => format!("/{side}"),
                };
                let (stem, path) = path_of(*speaker, rank, take, &folder);
                tone(root, &path, 16_000, seconds, rank + 1)?;
                names.push((stem, rank));
                files += 1;
            }
        }
        write_transcript(root, *speaker, &names)?;
    }
    Ok(files)
}

/// Name and path of an utterance, given the place of its emotion and its number in it, both from 0.
fn path_of(speaker: u32, rank: u32, take: u32, folder: &str) -> (String, String) {
    let stem = format!("{speaker:04}_{:06}", rank * EACH + take % EACH + 1);
    let path = format!("{speaker:04}/{}{folder}/{stem}.wav", EMOTIONS[rank as usize].0);
    (stem, path)
}

/// Writes the transcript of a speaker for these names and places of emotions.
fn write_transcript(root: &Path, speaker: u32, names: &[(String, u32)]) -> Result<(), FixtureError> {
    let labels = ["中立", "生气", "快乐", "伤心", "惊喜"];
    let lines: String = names
        .iter()
        .map(|(stem, rank)| {
            let (words, label) = if speaker <= MANDARIN {
                ("一个声音。", labels[*rank as usize])
            } else {
                ("A generated tone.", EMOTIONS[*rank as usize].0)
            };
            format!("{stem}\t{words}\t{label}\n")
        })
        .collect();
    write(&root.join(format!("{speaker:04}/{speaker:04}.txt")), lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_add_up_to_the_published_counts() {
        let halves = [published("english", 11..=20), published("mandarin", 1..=10)];
        assert_eq!(halves.map(|half| half.files).iter().sum::<usize>(), 35_000);
    }

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
