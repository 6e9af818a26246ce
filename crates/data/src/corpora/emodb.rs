//! EmoDB: ten speakers, ten German sentences, seven emotions.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, NameReader, Parsed, dataset, gather_files,
};
use crate::DataError;
use crate::emotion::GENDERS;
use crate::fixtures::{FixtureError, tone};
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use std::path::Path;

dataset! {
    /// The Berlin Database of Emotional Speech.
    ///
    /// Files are found at any depth by their names, `SSTTTEV.wav` (speaker, text, emotion, version),
    /// such as `03a01Fa.wav`.
    ///
    /// # Source
    /// Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, "A Database of German Emotional Speech",
    /// Interspeech 2005.
    pub struct Emodb {
        shared root,
        shared classes,
        shared on_bad_audio,
        shared on_copies,
        shared people: of emodb,
        shared channel,
    }
}

/// Letter in the file name (from the German word) and canonical emotion.
const EMOTIONS: [(char, &str); 7] = [
    ('N', "neutral"),
    ('F', "happy"),
    ('T', "sad"),
    ('W', "angry"),
    ('A', "fearful"),
    ('E', "disgust"),
    ('L', "bored"),
];

/// Speaker number and gender.
const SPEAKERS: [(&str, &str); 10] = [
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
const TEXTS: [(&str, &str); 10] = [
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

/// The speaker and text of all files, and emotion and version of each.
const NAMES: &str = include_str!("emodb.txt");
const PATTERN: &str = "SSTTTEV.wav (speaker, text, emotion letter, version letter), such as 03a01Fa.wav";

impl Described for Emodb {
    const DESCRIPTION: Description = Description {
        summary: "EmoDB: ten speakers, seven emotions, German speech",
        source: "Burkhardt et al., Interspeech 2005",
        is_fetched: true,
        ..Description::DEFAULT
    };
}

impl CorpusKind for Emodb {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(EMOTIONS.iter().map(|(_, name)| (*name).to_owned()).collect())
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        gather_files(dataset, self.root.as_path(), PATTERN, rules, |found| {
            parse(found.stem())
        })
    }

    fn published_parts(&self) -> Vec<PublishedPart> {
        vec![published()]
    }

    fn name_reader(&self, _dataset: &str) -> Result<NameReader, DataError> {
        Ok(Box::new(|found| parse(found.stem()).known()))
    }

    fn names_tell_text(&self) -> bool {
        true
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        let id = format!("{:02}", text.parse::<u32>().ok()?);
        SPEAKERS.iter().any(|(known, _)| *known == id).then_some(id)
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        let first = SPEAKERS[0].1;
        let (one, other): (Vec<&(&str, &str)>, Vec<_>) = SPEAKERS.iter().partition(|(_, gender)| *gender == first);
        let pairs = one.into_iter().zip(other).flat_map(|(one, other)| [one.0, other.0]);
        pairs.take(count).map(str::to_owned).collect()
    }

    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        let (id, _) = SPEAKERS[speaker % SPEAKERS.len()];
        let version = char::from(b'a' + (number / 10 % 26) as u8);
        format!("wav/{id}{}W{version}.wav", TEXTS[number % 10].0)
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let mut number = 0;
        for speaker in &writer.speakers {
            for (rank, (emotion, _)) in (1..).zip(EMOTIONS) {
                for (text, _) in TEXTS.iter().take(writer.takes) {
                    writer.tone(&format!("wav/{speaker}{text}{emotion}a.wav"), 16_000, number, rank)?;
                    number += 1;
                }
            }
        }
        let root = writer.root();
        Ok(Self { root, ..self.clone() }.into())
    }
}

fn published() -> PublishedPart {
    let mut files = Vec::new();
    for line in NAMES.lines() {
        let mut words = line.split(' ');
        let start = words.next().unwrap_or_default();
        for code in words {
            let letter = code.chars().next().unwrap_or_default();
            if let Some((_, class)) = EMOTIONS.iter().find(|(known, _)| *known == letter) {
                let speaker = start.get(..2).unwrap_or_default().to_owned();
                files.push((format!("{start}{code}"), *class, speaker));
            }
        }
    }
    PublishedPart::of_names("speech", files)
}

fn parse(stem: &str) -> Parsed {
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

/// Writes an utterance of every text in every emotion for these speakers (`03`, `08` to `16`), 70 each at 16 kHz, as
/// `wav/03a01Fa.wav`.
///
/// # Errors
/// Where a folder or file cannot be written.
pub fn write_emodb(root: &Path, speakers: &[&str], seconds: f64) -> Result<usize, FixtureError> {
    let mut files = 0;
    for speaker in speakers {
        for (text, _) in TEXTS {
            for (rank, (emotion, _)) in (1..).zip(EMOTIONS) {
                let name = format!("wav/{speaker}{text}{emotion}a.wav");
                tone(root, &name, 16_000, seconds, rank)?;
                files += 1;
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_adds_up_to_the_published_counts() {
        let part = published();
        assert_eq!(part.files, 535);
        for (class, files) in [
            ("neutral", 79),
            ("happy", 71),
            ("sad", 62),
            ("angry", 127),
            ("fearful", 69),
            ("disgust", 46),
            ("bored", 81),
        ] {
            assert_eq!(part.count("class", class), files, "{class}");
        }
    }
}
