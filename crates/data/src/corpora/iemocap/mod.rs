//! IEMOCAP: ten actors in five dyadic sessions, categories and dimensions of emotion.

mod labels;
mod stand_in;

pub use stand_in::{IemocapLabels, write_iemocap};

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, NameReader, Parsed, dataset, gather_found,
};
use crate::DataError;
use crate::emotion::GENDERS;
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::split::PublishedProtocol;
use crate::stand_in::Writer;
use crate::verify::{NO_CLASS, PublishedPart};
use crate::walk::{Found, find_files_within, is_audio};
use labels::{Labels, is_table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

dataset! {
    /// The Interactive Emotional Dyadic Motion Capture database, utterances of speech.
    ///
    /// Utterances are found at any depth by their names, such as `Ses01F_impro01_M003.wav`; recordings of
    /// whole dialogues are not used, and folders of video, motion capture and alignments (`dialog/MOCAP_head`, `dialog/avi`,
    /// `sentences/ForcedAlignment`, …) are not entered. Labels come from the files in `EmoEvaluation` (one a dialogue, with
    /// categories and valence, arousal and dominance from 1 to 5); where these are absent, from the raters'
    /// own files in `EmoEvaluation/Categorical` and `EmoEvaluation/Attribute`. Texts come from
    /// `transcriptions`. A session is a group: its two speakers are never on two sides of a split.
    ///
    /// # Source
    /// Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee & Narayanan, "IEMOCAP: Interactive Emotional
    /// Dyadic Motion Capture Database", Language Resources and Evaluation 42, 2008. Given out on request.
    pub struct Iemocap {
        shared root,
        /// Categories used before `mapping` and `emotions`.
        #[serde(default)]
        pub protocol: Protocol,
        /// Dialogues to use: improvised, scripted, or both.
        #[serde(default)]
        pub style: Style,
        shared classes: "all of the protocol by default.", "a label of the protocol", "applied before `emotions`.",
        shared on_bad_audio,
        shared on_copies,
        shared people: of iemocap,
        shared channel,
    }
}

/// Categories of IEMOCAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neutral, happy, sad and angry, with excited counted as happy: 5531 utterances. All others are
    /// left out.
    #[default]
    FourClass,
    /// All ten categories as labelled. Utterances on which raters did not agree are kept without one.
    All,
}

/// How the actors' dialogues came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Improvised upon a situation.
    Improvised,
    /// Played from a script.
    Scripted,
    /// Both.
    #[default]
    Both,
}

/// Code in the label files and canonical emotion.
const EMOTIONS: [(&str, &str); 10] = [
    ("neu", "neutral"),
    ("hap", "happy"),
    ("sad", "sad"),
    ("ang", "angry"),
    ("fea", "fearful"),
    ("dis", "disgust"),
    ("sur", "surprised"),
    ("exc", "excited"),
    ("fru", "frustrated"),
    ("oth", "other"),
];
/// Code of utterances on which raters did not agree.
const NO_AGREEMENT: &str = "xxx";
/// The two speakers of each session.
const SESSIONS: [&[&str]; 5] = [
    &["Ses01F", "Ses01M"],
    &["Ses02F", "Ses02M"],
    &["Ses03F", "Ses03M"],
    &["Ses04F", "Ses04M"],
    &["Ses05F", "Ses05M"],
];
/// Utterances of each session, as published.
const SESSION_FILES: [usize; 5] = [1819, 1811, 2136, 2103, 2170];
/// Utterances of each category, as published.
const CLASS_FILES: [(&str, usize); 11] = [
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
    (NO_AGREEMENT, 2507),
];
const FOUR: [&str; 4] = ["neutral", "happy", "sad", "angry"];
const STYLES: [&str; 2] = ["improvised", "scripted"];
const PATTERN: &str = "Ses<session><F or M>_<dialogue>_<F or M><number>.wav, such as Ses01F_impro01_M003.wav";

/// Largest text file that is read, in bytes: the largest label file of the corpus has some ten thousand.
const MAX_TABLE_BYTES: u64 = 1 << 22;

/// Whether a folder may hold utterances, labels or texts. The corpus' many others (motion capture, whose `.txt` files have
/// the names of the label files and gigabytes, video, alignments) do not.
fn is_entered(folder: &Path) -> bool {
    let name = |path: Option<&Path>| -> String {
        let name = path.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().to_lowercase()
    };
    let own = name(Some(folder));
    match name(folder.parent()).as_str() {
        "dialog" => ["emoevaluation", "transcriptions", "wav"].contains(&own.as_str()),
        "sentences" => own == "wav",
        // The actors' ratings of themselves are not those that the labels go by.
        "emoevaluation" => ["categorical", "attribute"].contains(&own.as_str()),
        _ => !own.starts_with("mocap") && !["avi", "lab", "forcedalignment"].contains(&own.as_str()),
    }
}

impl Described for Iemocap {
    const DESCRIPTION: Description = Description {
        summary: "IEMOCAP: ten actors in five sessions of dialogue, English speech; categories and dimensions",
        source: "Busso et al., Language Resources and Evaluation 42, 2008",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.emotion_soft, data.style, data.dimensions (valence, arousal, dominance; each also by its name)",
        protocols: &[PublishedProtocol {
            name: "iemocap_sessions",
            summary: "Leave one session out: the five sessions of IEMOCAP, as in SUPERB and EmoBox.",
            folds: &SESSIONS,
        }],
        ..Description::DEFAULT
    };
}

impl CorpusKind for Iemocap {
    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(match self.protocol {
            Protocol::FourClass => FOUR.map(str::to_owned).to_vec(),
            Protocol::All => EMOTIONS.map(|(_, name)| name.to_owned()).to_vec(),
        })
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![("style", &STYLES)]
    }

    fn values(&self) -> Vec<String> {
        crate::DIMENSIONS.map(str::to_owned).to_vec()
    }

    fn has_votes(&self) -> bool {
        true
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let root = self.root.as_path();
        let found = find_files_within(dataset, root, is_entered, |path| is_audio(path) || is_table(path));
        let found = found.and_then(|tree| tree.check_audio(dataset, root, is_audio).map(|()| tree));
        let mut tree = match found {
            Ok(tree) => tree,
            Err(error) => return Gathered::failed(error),
        };
        let mut tables: Vec<Found> = tree.found.extract_if(.., |found| is_table(&found.path)).collect();
        let large: Vec<Found> = tables.extract_if(.., |found| found.bytes > MAX_TABLE_BYTES).collect();
        if let Some(first) = large.first() {
            tree.remarks.push(format!(
                "dataset `{dataset}`: {} text files have more than {MAX_TABLE_BYTES} bytes, as no label file of the corpus has, and are not read, such as {:?}",
                large.len(),
                first.path
            ));
        }
        let labels = match Labels::read(dataset, &tables) {
            Ok(labels) => labels,
            Err(error) => return Gathered::failed(error),
        };
        let is_utterance = |found: &Found| matches!(utterance(found.stem()), Name::Utterance(_));
        if labels.is_empty() && tree.found.iter().any(is_utterance) {
            return Gathered::failed(DataError::TableMissing {
                dataset: dataset.to_owned(),
                field: "root",
                table: "dialog/EmoEvaluation/*.txt (the labels)",
                path: root.to_owned(),
            });
        }
        let mut gathered = gather_found(dataset, root, PATTERN, rules, tree, |found| {
            self.parse(found.stem(), &labels)
        });
        gathered.warnings.extend(labels.remark(dataset));
        gathered
    }

    fn published_parts(&self) -> Vec<PublishedPart> {
        vec![published()]
    }

    fn take_all(&mut self) {
        (self.emotions, self.mapping) = (None, None);
        (self.protocol, self.style) = (Protocol::All, Style::Both);
    }

    fn name_reader(&self, _dataset: &str) -> Result<NameReader, DataError> {
        Ok(Box::new(|found| match utterance(found.stem()) {
            Name::Utterance(name) => Some(name.facts()),
            Name::Dialogue | Name::Other => None,
        }))
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        SESSIONS.concat().contains(&text).then(|| text.to_owned())
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        let speakers = SESSIONS.iter().copied().flatten();
        speakers.take(count).map(|id| (*id).to_owned()).collect()
    }

    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        let (session, letter) = (speaker % 10 / 2 + 1, ["M", "F"][speaker % 2]);
        format!("Session{session}/sentences/wav/Ses0{session}F_impro01/Ses0{session}F_impro01_{letter}{number:03}.wav")
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        stand_in::write(self, writer).map(DatasetConfig::from)
    }
}

fn published() -> PublishedPart {
    let mut counts: Vec<(&'static str, String, usize)> = CLASS_FILES
        .iter()
        .map(|(code, files)| {
            let known = EMOTIONS.iter().find(|(known, _)| known == code);
            let class = known.map_or(NO_CLASS, |(_, name)| *name);
            ("class", class.to_owned(), *files)
        })
        .collect();
    counts.extend(
        (1..)
            .zip(SESSION_FILES)
            .map(|(session, files)| ("session", format!("{session}"), files)),
    );
    PublishedPart {
        counts,
        speakers: Some(SESSIONS.concat().len()),
        ..PublishedPart::new("utterances", SESSION_FILES.iter().sum())
    }
}

impl Iemocap {
    fn parse(&self, stem: &str, labels: &Labels) -> Parsed {
        let name = match utterance(stem) {
            Name::Utterance(name) => name,
            Name::Dialogue => return Parsed::Aside,
            Name::Other => {
                return Parsed::Unknown("the name is not Ses, session, F or M, dialogue, speaker and number".into());
            }
        };
        let wanted = match self.style {
            Style::Improvised => !name.scripted,
            Style::Scripted => name.scripted,
            Style::Both => true,
        };
        if !wanted {
            return Parsed::Filtered;
        }
        let Some(label) = labels.of(stem) else {
            return Parsed::Unknown("no label file has a label for it".into());
        };
        let emotion = label.category.and_then(|category| self.in_protocol(category));
        if self.protocol == Protocol::FourClass && emotion.is_none() {
            return Parsed::Filtered;
        }
        let votes = label.votes.iter().filter_map(|(category, votes)| {
            let name = self.in_protocol(category)?;
            Some((name, *votes))
        });
        let mut facts = Facts {
            emotion: emotion.map(str::to_owned),
            text: labels.text(stem),
            values: crate::DIMENSIONS
                .into_iter()
                .zip(label.dimensions)
                .filter_map(|(dimension, value)| Some((dimension.to_owned(), value?)))
                .collect(),
            ..name.facts()
        };
        for (category, count) in votes {
            *facts.votes.entry(category.to_owned()).or_default() += count;
        }
        Parsed::Known(facts)
    }

    /// The protocol's name for a category.
    fn in_protocol(&self, category: &'static str) -> Option<&'static str> {
        match self.protocol {
            Protocol::All => Some(category),
            Protocol::FourClass if category == "excited" => Some("happy"),
            Protocol::FourClass => FOUR.contains(&category).then_some(category),
        }
    }
}

/// What a name tells of an utterance.
struct Utterance {
    /// 1 to 5.
    session: u32,
    /// `F` or `M`: the sex of who speaks, which tells the two actors of a session apart.
    speaker: char,
    scripted: bool,
}

impl Utterance {
    /// Who speaks, and how.
    fn facts(&self) -> Facts {
        Facts {
            speaker: format!("Ses{:02}{}", self.session, self.speaker),
            gender: Some(GENDERS[usize::from(self.speaker == 'M')].to_owned()),
            groups: vec![format!("session/{}", self.session)],
            attributes: [("style".to_owned(), STYLES[usize::from(self.scripted)].to_owned())].into(),
            ..Facts::default()
        }
    }
}

enum Name {
    Utterance(Utterance),
    /// A whole dialogue.
    Dialogue,
    Other,
}

/// Reads a name such as `Ses01F_script02_1_M003`. The letter after the session says who wore the
/// motion-capture markers; who speaks is in the last part.
fn utterance(stem: &str) -> Name {
    let mut parts = stem.split('_');
    let first = parts.next().unwrap_or_default();
    let session = first
        .strip_prefix("Ses0")
        .and_then(|rest| rest.strip_suffix(['F', 'M']))
        .and_then(|digit| digit.parse::<u32>().ok())
        .filter(|session| (1..=5).contains(session) && first.len() == 6);
    let dialogue = parts.next().unwrap_or_default();
    let scripted = dialogue.starts_with("script");
    let (Some(session), true) = (session, scripted || dialogue.starts_with("impro")) else {
        return Name::Other;
    };
    let last = parts.next_back().unwrap_or_default();
    let number = last.strip_prefix(['F', 'M']).unwrap_or_default();
    let is_number = number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'X');
    match last.chars().next() {
        Some(speaker) if is_number => Name::Utterance(Utterance {
            session,
            speaker,
            scripted,
        }),
        _ => Name::Dialogue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_add_up_to_those_of_the_paper() {
        let part = published();
        assert_eq!(part.files, 10_039);
        let classes = part.counts.iter().filter(|(column, _, _)| *column == "class");
        assert_eq!(classes.map(|(_, _, files)| files).sum::<usize>(), 10_039);
        let four = ["neutral", "angry", "sad", "happy", "excited"].map(|class| part.count("class", class));
        assert_eq!(four.iter().sum::<usize>(), 5531);
    }

    #[test]
    fn names_tell_session_speaker_and_style() {
        let read = |stem| match utterance(stem) {
            Name::Utterance(name) => Some((name.session, name.speaker, name.scripted)),
            Name::Dialogue | Name::Other => None,
        };
        assert_eq!(read("Ses01F_impro01_M003"), Some((1, 'M', false)));
        assert_eq!(read("Ses05M_script03_2_F041"), Some((5, 'F', true)));
        assert_eq!(read("Ses03M_impro05b_F000"), Some((3, 'F', false)));
        assert!(matches!(utterance("Ses01F_impro01"), Name::Dialogue));
        assert!(matches!(utterance("Ses02M_script01_1b"), Name::Dialogue));
        for other in [
            "",
            "_",
            "Ses",
            "Ses06F_impro01_M003",
            "Ses1F_impro01_M003",
            "Ses01X_impro01_M003",
            "Ses01F",
            "Ses0é_impro_F000",
        ] {
            assert!(matches!(utterance(other), Name::Other), "{other}");
        }
    }
}
