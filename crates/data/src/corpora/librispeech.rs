//! LibriSpeech: a thousand hours of English read aloud, with texts and speakers.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, OnBadAudio, Parsed, Utterance, dataset,
    gather_found,
};
use crate::emotion::gender;
use crate::fixtures::{FixtureError, tone_flac, write};
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use crate::walk::{Found, find_files, is_audio};
use crate::{SplitName, text};
use emorun_audio::Channel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

dataset! {
    /// The LibriSpeech corpus of read English speech. It has no labels of emotion.
    ///
    /// Files are found at any depth by their names, `speaker-chapter-number.flac`, such as
    /// `84-121123-0000.flac`; the subset is the name of a folder above them, or else what `SPEAKERS.TXT`
    /// says of the speaker. Texts come from `speaker-chapter.trans.txt`, genders from `SPEAKERS.TXT`. The
    /// subsets named `train`, `dev` and `test` are the corpus' own split.
    ///
    /// # Source
    /// Panayotov, Chen, Povey & Khudanpur, "LibriSpeech: An ASR Corpus Based on Public Domain Audio
    /// Books", ICASSP 2015. CC BY 4.0.
    pub struct Librispeech {
        shared root,
        /// Subsets to use; all that are there by default.
        #[serde(default)]
        pub subsets: Option<Vec<Subset>>,
        shared on_bad_audio,
        shared on_copies,
        shared people: of librispeech,
        shared channel,
    }
}

/// Subsets of LibriSpeech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subset {
    /// 5.4 hours for validation.
    DevClean,
    /// 5.3 hours for validation, harder to recognise.
    DevOther,
    /// 5.4 hours for tests.
    TestClean,
    /// 5.1 hours for tests, harder to recognise.
    TestOther,
    /// 100.6 hours.
    #[serde(rename = "train-clean-100")]
    TrainClean100,
    /// 363.6 hours.
    #[serde(rename = "train-clean-360")]
    TrainClean360,
    /// 496.7 hours, harder to recognise.
    #[serde(rename = "train-other-500")]
    TrainOther500,
}

impl Subset {
    fn name(self) -> &'static str {
        SUBSETS[self as usize].0
    }
}

/// Name of each subset, its utterances and its speakers.
const SUBSETS: [(&str, usize, usize); 7] = [
    ("dev-clean", 2703, 40),
    ("dev-other", 2864, 33),
    ("test-clean", 2620, 40),
    ("test-other", 2939, 33),
    ("train-clean-100", 28_539, 251),
    ("train-clean-360", 104_014, 921),
    ("train-other-500", 148_688, 1166),
];
const NAMES: [&str; 7] = [
    SUBSETS[0].0,
    SUBSETS[1].0,
    SUBSETS[2].0,
    SUBSETS[3].0,
    SUBSETS[4].0,
    SUBSETS[5].0,
    SUBSETS[6].0,
];
const PATTERN: &str = "speaker-chapter-number.flac, such as 84-121123-0000.flac";

/// A speaker in `SPEAKERS.TXT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reader {
    gender: Option<&'static str>,
    subset: Option<&'static str>,
}

impl Described for Librispeech {
    const DESCRIPTION: Description = Description {
        summary: "LibriSpeech: a thousand hours of English read aloud, without emotions",
        source: "Panayotov et al., ICASSP 2015",
        outputs: "data.audio, data.gender, data.text, data.subset",
        is_fetched: true,
        label_remedy: |dataset, column| {
            (column == "gender").then(|| format!("put SPEAKERS.TXT into the root of `{dataset}`"))
        },
        ..Description::DEFAULT
    };
}

impl CorpusKind for Librispeech {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(Vec::new())
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("subset", &NAMES)]
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let root = self.root.as_path();
        let found = find_files(dataset, root, |path| is_audio(path) || table_of(path).is_some());
        let found = found.and_then(|tree| tree.check_audio(dataset, root, is_audio).map(|()| tree));
        let mut tree = match found {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let mut texts = HashMap::new();
        let mut readers = HashMap::new();
        let mut audio = Vec::new();
        for found in tree.found {
            let Some(table) = table_of(&found.path) else {
                audio.push(found);
                continue;
            };
            match (text::read(dataset, &found.path), table) {
                (Ok(text), TableKind::Texts) => add_texts(&text.text, &mut texts),
                (Ok(text), TableKind::Readers) => add_readers(&text.text, &mut readers),
                (Err(error), _) => return Gathered::failed(error),
            }
        }
        tree.found = audio;
        let mut gathered = gather_found(dataset, root, PATTERN, rules, tree, |found| {
            self.parse(found, &texts, &readers)
        });
        let silent = gathered
            .utterances
            .iter()
            .filter(|one| one.facts.text.is_none())
            .count();
        if silent > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {silent} items have no text, because their .trans.txt files are absent or lack them"
            ));
        }
        gathered
    }

    fn published_parts(&self) -> Vec<PublishedPart> {
        SUBSETS
            .into_iter()
            .map(|(name, files, speakers)| PublishedPart {
                speakers: Some(speakers),
                ..PublishedPart::new(name, files)
            })
            .collect()
    }

    fn published_part_of(&self, utterance: &Utterance) -> Option<usize> {
        let subset = utterance.facts.attributes.get("subset")?;
        SUBSETS.iter().position(|(name, _, _)| name == subset)
    }

    fn take_all(&mut self) {
        (self.subsets, self.on_bad_audio, self.channel) = (None, OnBadAudio::Error, Channel::default());
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        text.parse::<u32>().ok().map(|id| id.to_string())
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        (1..=count).map(|id| (100 + id).to_string()).collect()
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let subsets: Vec<&'static str> = match &self.subsets {
            Some(subsets) => subsets.iter().map(|subset| subset.name()).collect(),
            None => vec!["train-clean-100", "dev-clean", "test-clean"],
        };
        let readers: Vec<ReaderToWrite> = writer
            .speakers
            .iter()
            .zip(subsets.iter().cycle())
            .map(|(id, subset)| ReaderToWrite {
                id: id.clone(),
                subset,
                utterances: 2 * writer.takes as u32,
            })
            .collect();
        write_readers(&writer.root, writer.dataset, &readers, |number| writer.seconds(number))?;
        let root = writer.root();
        Ok(Self { root, ..self.clone() }.into())
    }
}

impl Librispeech {
    fn parse(&self, found: &Found, texts: &HashMap<String, String>, readers: &HashMap<String, Reader>) -> Parsed {
        let Some(speaker) = speaker(found.stem()) else {
            return Parsed::Unknown("the name is not speaker, chapter and number joined by `-`".into());
        };
        let reader = readers.get(speaker).cloned().unwrap_or_default();
        let of_folder = found
            .relative
            .rsplit('/')
            .skip(1)
            .find_map(|folder| NAMES.into_iter().find(|name| *name == folder));
        // The root may be the folder of a subset itself.
        let of_root = || {
            let folder = self.root.as_path().file_name()?.to_str()?;
            NAMES.into_iter().find(|name| *name == folder)
        };
        let subset = of_folder.or_else(of_root).or(reader.subset);
        if let Some(wanted) = &self.subsets
            && !subset.is_some_and(|subset| wanted.iter().any(|wanted| wanted.name() == subset))
        {
            return Parsed::Filtered;
        }
        let split = subset.and_then(|subset| match subset.split('-').next() {
            Some("train") => Some(SplitName::Train),
            Some("dev") => Some(SplitName::Validation),
            Some("test") => Some(SplitName::Test),
            _ => None,
        });
        Parsed::Known(Facts {
            speaker: speaker.to_owned(),
            gender: reader.gender.map(str::to_owned),
            text: texts.get(found.stem()).cloned(),
            split,
            attributes: subset
                .map(|subset| ("subset".to_owned(), subset.to_owned()))
                .into_iter()
                .collect(),
            ..Facts::default()
        })
    }
}

/// The speaker of a name such as `84-121123-0000`.
fn speaker(stem: &str) -> Option<&str> {
    let mut parts = stem.split('-');
    let (speaker, chapter, number) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = [speaker, chapter, number].into_iter().all(is_number) && number.len() == 4;
    (is_name && parts.next().is_none()).then_some(speaker)
}

enum TableKind {
    Texts,
    Readers,
}

fn table_of(path: &Path) -> Option<TableKind> {
    let name = path.file_name()?.to_str()?;
    if name.eq_ignore_ascii_case("SPEAKERS.TXT") {
        Some(TableKind::Readers)
    } else {
        (name.ends_with(".trans.txt") && !name.starts_with('.')).then_some(TableKind::Texts)
    }
}

/// `84-121123-0000 GO DO YOU HEAR`
fn add_texts(table: &str, texts: &mut HashMap<String, String>) {
    for (id, words) in table.lines().filter_map(|line| line.trim().split_once(' ')) {
        if speaker(id).is_some() {
            texts.entry(id.to_owned()).or_insert_with(|| words.trim().to_owned());
        }
    }
}

/// `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`
fn add_readers(table: &str, readers: &mut HashMap<String, Reader>) {
    for line in table.lines().filter(|line| !line.starts_with(';')) {
        let mut cells = line.split('|').map(str::trim);
        if let (Some(id), Some(sex), Some(subset)) = (cells.next(), cells.next(), cells.next()) {
            let reader = Reader {
                gender: gender(sex),
                subset: NAMES.into_iter().find(|name| *name == subset),
            };
            readers.insert(id.to_owned(), reader);
        }
    }
}

/// A reader to write.
#[derive(Clone, Debug)]
struct ReaderToWrite {
    id: String,
    subset: &'static str,
    /// How many utterances.
    utterances: u32,
}

/// Writes readers as FLAC at 16 kHz, two in each of its subsets with three utterances
/// each, transcripts and `SPEAKERS.TXT`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_librispeech(root: &Path, seconds: f64) -> Result<usize, FixtureError> {
    let readers: Vec<ReaderToWrite> = SUBSETS
        .iter()
        .enumerate()
        .flat_map(|(at, (subset, _, _))| {
            [0, 1].map(|second| ReaderToWrite {
                id: (100 + 2 * at + second).to_string(),
                subset,
                utterances: 3,
            })
        })
        .collect();
    write_readers(root, "", &readers, |_| seconds)
}

/// Writes these readers, each of one chapter; `seconds` tells the length of each file by its number.
fn write_readers(
    root: &Path,
    seed: &str,
    readers: &[ReaderToWrite],
    seconds: impl Fn(usize) -> f64,
) -> Result<usize, FixtureError> {
    let mut files = 0;
    let mut table = String::from(";ID  |SEX| SUBSET           |MINUTES| NAME\n");
    for (at, reader) in readers.iter().enumerate() {
        let ReaderToWrite { id, subset, utterances } = reader;
        let sex = if at % 2 == 0 { "M" } else { "F" };
        table.push_str(&format!("{id:<5}| {sex} | {subset:<16} | 0.01  | Generated\n"));
        let chapter = format!("{id}-{}", 1000 + at);
        let folder = format!("{subset}/{id}/{}", 1000 + at);
        let mut lines = String::new();
        for number in 0..*utterances {
            let path = format!("{folder}/{chapter}-{number:04}.flac");
            tone_flac(
                &root.join(&path),
                &format!("{seed}{path}"),
                16_000,
                seconds(files),
                1 + number,
            )?;
            lines.push_str(&format!("{chapter}-{number:04} A GENERATED TONE\n"));
            files += 1;
        }
        write(&root.join(format!("{folder}/{chapter}.trans.txt")), lines.as_bytes())?;
    }
    write(&root.join("SPEAKERS.TXT"), table.as_bytes())?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsets_are_named_as_the_corpus_names_them() {
        let all: Vec<Subset> = serde_json::from_value(serde_json::json!(NAMES)).unwrap();
        assert_eq!(all.iter().map(|subset| subset.name()).collect::<Vec<_>>(), NAMES);
    }

    #[test]
    fn names_texts_and_readers_are_read() {
        assert_eq!(speaker("84-121123-0000"), Some("84"));
        for wrong in ["84-121123", "84-121123-000", "84-121123-0000-1", "a-1-0000", "", "--"] {
            assert_eq!(speaker(wrong), None, "{wrong}");
        }
        let (mut texts, mut readers) = (HashMap::new(), HashMap::new());
        add_texts("84-121123-0000 GO DO YOU HEAR\n\nx y\n", &mut texts);
        add_readers(
            ";ID |SEX| SUBSET\n84   | F | dev-clean        | 8.02  | Christie Nowak\n12 | X\n",
            &mut readers,
        );
        assert_eq!(texts["84-121123-0000"], "GO DO YOU HEAR");
        assert_eq!(
            (readers["84"].gender, readers["84"].subset),
            (Some("female"), Some("dev-clean"))
        );
        assert_eq!((texts.len(), readers.len()), (1, 1));
    }
}
