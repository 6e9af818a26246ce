//! IEMOCAP: ten actors in five dyadic sessions, categories and dimensions of emotion.

mod labels;

use super::{CorpusKind, Facts, Gathered, OnBadAudio, OnCopies, Parsed, Vocabulary, gather_found};
use crate::DataError;
use crate::emotion::GENDERS;
use crate::labelling::{Labelling, Mapping};
use crate::walk::{Found, find_files_within, is_audio};
use emorun_audio::Channel;
use emorun_lang::DataPath;
use labels::{Labels, is_table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Iemocap {
    /// Folder that holds the corpus, relative to the working directory.
    pub root: DataPath,
    /// Categories used before `mapping` and `emotions`.
    #[serde(default)]
    pub protocol: Protocol,
    /// Dialogues to use: improvised, scripted, or both.
    #[serde(default)]
    pub style: Style,
    /// Emotions to keep, numbered in this order; all of the protocol by default.
    #[serde(default)]
    pub emotions: Option<Vec<String>>,
    /// New class for a label of the protocol, or `null` to drop its items; applied before `emotions`.
    #[serde(default)]
    pub mapping: Option<Mapping>,
    /// What to do with a file that cannot be decoded or is too short.
    #[serde(default)]
    pub on_bad_audio: OnBadAudio,
    /// What to do with one recording under several names.
    #[serde(default)]
    pub on_copies: OnCopies,
    /// Name of the people whom its speakers' ids tell apart: datasets of the same people share their speakers and groups, and
    /// a split keeps all that one person says on one side. By default `iemocap`, whatever
    /// the dataset is called.
    #[serde(default)]
    pub people: Option<String>,
    /// Which channel of each file is heard: `mix` (the mean of all), `left`, `right`, or a number from 0 on.
    #[serde(default)]
    pub channel: Channel,
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
pub(crate) const EMOTIONS: [(&str, &str); 10] = [
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
pub(crate) const NO_AGREEMENT: &str = "xxx";
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

impl CorpusKind for Iemocap {
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
        self.people.clone().unwrap_or_else(|| "iemocap".to_owned())
    }

    fn channel(&self) -> Channel {
        self.channel
    }

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

/// What the name of an utterance tells, without labels.
pub(super) fn named(stem: &str) -> Option<Facts> {
    match utterance(stem) {
        Name::Utterance(name) => Some(name.facts()),
        Name::Dialogue | Name::Other => None,
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
