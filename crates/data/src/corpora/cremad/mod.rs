//! CREMA-D: 91 actors, twelve sentences, six emotions.

mod stand_in;
mod tables;

pub use stand_in::write_cremad;

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, NameReader, Parsed, dataset, gather_files,
};
use crate::DataError;
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::Writer;
use crate::verify::PublishedPart;
use crate::walk::check_root;
use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tables::{Actor, Rating};

dataset! {
    /// The Crowd-sourced Emotional Multimodal Actors Dataset, audio only.
    ///
    /// Files are found at any depth by their names, `actor_sentence_emotion_level.wav`, such as
    /// `1001_DFA_ANG_XX.wav`. The actors' sex, age, race and ethnicity are read from
    /// `VideoDemographics.csv`, and what raters heard from `processedResults/tabulatedVotes.csv` (counts of
    /// votes) or else `processedResults/summaryTable.csv` (the most frequent ones), where these are there,
    /// in the root or in the folder above it. Without them the items have no gender and no soft labels.
    ///
    /// # Source
    /// Cao, Cooper, Keutmann, Gur, Nenkova & Verma, "CREMA-D: Crowd-Sourced Emotional Multimodal Actors
    /// Dataset", IEEE Transactions on Affective Computing 5(4), 2014. Open Database License.
    pub struct Cremad {
        shared root,
        /// Table of the actors' sex (CSV with the columns `ActorID` and `Sex`); by default
        /// `VideoDemographics.csv` in the root or in the folder above it, where there is one.
        #[serde(default)]
        pub demographics: Option<DataPath>,
        /// Which class an utterance has: the emotion acted, or the one that most raters perceived
        /// (recordings on which the most frequent ones tie are left out).
        #[serde(default)]
        pub target: Target,
        /// Ratings that soft labels, `target: perceived`, `min_agreement` and `recognised_only` go by.
        #[serde(default)]
        pub votes: Modality,
        /// Least share of raters, from 0 to 1, who chose the most frequent emotion; recordings below it, or
        /// without ratings, are left out. All are kept by default. Needs `tabulatedVotes.csv`.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        pub min_agreement: Option<f64>,
        /// Whether to keep only recordings that most raters recognised: whose most frequent vote is the
        /// emotion acted.
        #[serde(default)]
        pub recognised_only: bool,
        shared classes,
        shared on_bad_audio,
        shared on_copies,
        shared people: of cremad,
        shared channel,
    }
}

/// What decides an utterance's class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The emotion that the actor was asked for.
    #[default]
    Acted,
    /// The emotion that most raters chose.
    Perceived,
}

/// What raters saw or heard, by its number in the corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// The voice alone.
    #[default]
    Voice = 1,
    /// The face alone.
    Face = 2,
    /// Face and voice together.
    Both = 3,
}

/// Code in the file name and canonical emotion.
const EMOTIONS: [(&str, &str); 6] = [
    ("NEU", "neutral"),
    ("HAP", "happy"),
    ("SAD", "sad"),
    ("ANG", "angry"),
    ("FEA", "fearful"),
    ("DIS", "disgust"),
];

/// Code of a sentence and its words.
const SENTENCES: [(&str, &str); 12] = [
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

/// Levels of acting, in the file name and by name; `XX` says nothing.
const LEVELS: [(&str, Option<&str>); 4] = [
    ("LO", Some("low")),
    ("MD", Some("medium")),
    ("HI", Some("high")),
    ("XX", None),
];
/// Recordings that were published under two names, with two emotions.
const TWICE: [[&str; 2]; 3] = [
    ["1006_TIE_HAP_XX", "1006_TIE_NEU_XX"],
    ["1013_WSI_DIS_XX", "1013_WSI_SAD_XX"],
    ["1017_IWW_ANG_XX", "1017_IWW_FEA_XX"],
];
/// The 7442 recordings are those of the full plan (82 of each of 91 actors) without these: actor, sentence and emotions
/// that were lost.
const LOST: [(u32, &str, &[&str]); 5] = [
    (1002, "TIE", &["NEU"]),
    (1008, "WSI", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1009, "MTI", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1019, "ITH", &["NEU", "HAP", "SAD", "ANG", "FEA", "DIS"]),
    (1076, "ITS", &["NEU"]),
];
const RACES: [&str; 3] = ["african_american", "asian", "caucasian"];
const ETHNICITIES: [&str; 2] = ["hispanic", "not_hispanic"];
const PATTERN: &str = "actor_sentence_emotion_level.wav, such as 1001_DFA_ANG_XX.wav";

impl Described for Cremad {
    const DESCRIPTION: Description = Description {
        summary: "CREMA-D: 91 actors, six emotions, English speech",
        source: "Cao et al., IEEE Transactions on Affective Computing 5(4), 2014",
        outputs: "data.audio, data.emotion, data.gender, data.text, data.emotion_soft, data.intensity, data.race, data.ethnicity, data.age",
        is_fetched: true,
        label_remedy: |dataset, column| {
            (column == "gender").then(|| {
                format!("put VideoDemographics.csv into the root of `{dataset}`, or name it in `demographics`")
            })
        },
        ..Description::DEFAULT
    };
}

impl CorpusKind for Cremad {
    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        &TWICE
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(EMOTIONS.iter().map(|(_, name)| (*name).to_owned()).collect())
    }

    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        vec![
            ("intensity", &["low", "medium", "high"]),
            ("race", &RACES),
            ("ethnicity", &ETHNICITIES),
        ]
    }

    fn values(&self) -> Vec<String> {
        vec!["age".to_owned()]
    }

    fn has_votes(&self) -> bool {
        true
    }

    fn check(&self, dataset: &str) -> Vec<DataError> {
        let wrong = self.min_agreement.is_some_and(|least| !(0.0..=1.0).contains(&least));
        let error = DataError::Field {
            dataset: dataset.to_owned(),
            field: "min_agreement",
            problem: "must be from 0 to 1",
        };
        wrong.then_some(error).into_iter().collect()
    }

    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let read = self
            .actors(dataset)
            .and_then(|actors| Ok((actors, self.ratings(dataset)?)));
        let (actors, ratings) = match read {
            Ok(read) => read,
            Err(error) => return Gathered::failed(error),
        };
        let mut gathered = gather_files(dataset, self.root.as_path(), PATTERN, rules, |found| {
            match parse(found.stem(), &actors) {
                Parsed::Known(facts) => self.complete(facts, found.stem(), &ratings),
                other => other,
            }
        });
        let without = |has: &dyn Fn(&Facts) -> bool| {
            let facts = gathered.utterances.iter().map(|utterance| &utterance.facts);
            facts.filter(|facts| !has(facts)).count()
        };
        let (no_gender, no_votes) = (
            without(&|facts| facts.gender.is_some()),
            without(&|facts| !facts.votes.is_empty()),
        );
        if no_gender > 0 {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {no_gender} items have no gender, because VideoDemographics.csv is absent or lacks their actors"
            ));
        }
        if no_votes > 0 && !ratings.is_empty() {
            gathered.warnings.push(format!(
                "dataset `{dataset}`: {no_votes} items have no soft label, because the table of votes lacks them"
            ));
        }
        gathered
    }

    fn published_parts(&self) -> Vec<PublishedPart> {
        vec![published()]
    }

    fn take_all(&mut self) {
        (self.emotions, self.mapping) = (None, None);
        (self.target, self.min_agreement, self.recognised_only) = (Target::Acted, None, false);
    }

    fn name_reader(&self, dataset: &str) -> Result<NameReader, DataError> {
        let actors = self.actors(dataset)?;
        Ok(Box::new(move |found| parse(found.stem(), &actors).known()))
    }

    fn names_tell_text(&self) -> bool {
        true
    }

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        let id = text.parse::<u32>().ok().filter(|id| (1000..10_000).contains(id))?;
        Some(id.to_string())
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        (1001..=1000 + count).map(|id| id.to_string()).collect()
    }

    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        let (sentence, level) = (SENTENCES[number % 12].0, LEVELS[number / 12 % 4].0);
        format!("AudioWAV/{}_{sentence}_ANG_{level}.wav", 1001 + speaker)
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        stand_in::write(self, writer).map(DatasetConfig::from)
    }
}

fn published() -> PublishedPart {
    let mut files = Vec::new();
    for actor in 1001..=1091_u32 {
        for (sentence, _) in SENTENCES {
            for (code, class) in EMOTIONS {
                let lost = LOST
                    .iter()
                    .any(|(a, s, codes)| *a == actor && *s == sentence && codes.contains(&code));
                let levels = if lost { &[] } else { levels_of(sentence, code) };
                let stems = levels.iter().map(|level| format!("{actor}_{sentence}_{code}_{level}"));
                files.extend(stems.map(|stem| (stem, class, actor.to_string())));
            }
        }
    }
    PublishedPart::of_names("speech", files)
}

/// The levels at which a sentence was spoken in an emotion: one sentence at three, except in neutral.
fn levels_of(sentence: &str, emotion: &str) -> &'static [&'static str] {
    match sentence == "IEO" && emotion != "NEU" {
        true => &["LO", "MD", "HI"],
        false => &["XX"],
    }
}

impl Cremad {
    /// The actors that the table lists.
    fn actors(&self, dataset: &str) -> Result<IndexMap<String, Actor>, DataError> {
        let root = self.root.as_path();
        check_root(dataset, root)?;
        let table = match &self.demographics {
            Some(path) => Some(path.as_path().to_owned()),
            None => tables::find(root, "VideoDemographics.csv"),
        };
        table.map_or_else(|| Ok(IndexMap::new()), |table| tables::actors(dataset, &table))
    }

    /// How recordings were rated, from the counts where they are there, else from the summary.
    fn ratings(&self, dataset: &str) -> Result<IndexMap<String, Rating>, DataError> {
        let root = self.root.as_path();
        let missing = |field, table| DataError::TableMissing {
            dataset: dataset.to_owned(),
            field,
            table,
            path: root.to_owned(),
        };
        let counts = tables::find(root, tables::TABULATED);
        if counts.is_none() && self.min_agreement.is_some() {
            return Err(missing("min_agreement", "processedResults/tabulatedVotes.csv"));
        }
        let summary = tables::find(root, tables::SUMMARY);
        match (counts, summary) {
            (Some(table), _) => tables::tabulated(dataset, &table, self.votes),
            (None, Some(table)) => tables::summary(dataset, &table, self.votes),
            (None, None) if self.target == Target::Perceived => {
                Err(missing("target", "processedResults/summaryTable.csv"))
            }
            (None, None) if self.recognised_only => {
                Err(missing("recognised_only", "processedResults/summaryTable.csv"))
            }
            (None, None) => Ok(IndexMap::new()),
        }
    }

    /// What is known of a recording beside its name, or that the config leaves it out.
    fn complete(&self, mut facts: Facts, stem: &str, ratings: &IndexMap<String, Rating>) -> Parsed {
        let rating = ratings.get(&stem.to_uppercase());
        if let Some(least) = self.min_agreement
            && rating
                .and_then(Rating::agreement)
                .is_none_or(|agreement| agreement < least)
        {
            return Parsed::Filtered;
        }
        let winners = rating.map(Rating::winners).unwrap_or_default();
        if self.recognised_only && facts.emotion.as_deref().is_none_or(|acted| winners != [acted]) {
            return Parsed::Filtered;
        }
        if self.target == Target::Perceived {
            match winners[..] {
                [winner] => facts.emotion = Some(winner.to_owned()),
                _ => return Parsed::Filtered,
            }
        }
        facts.votes = rating.map(|rating| rating.votes.clone()).unwrap_or_default();
        Parsed::Known(facts)
    }
}

fn parse(stem: &str, actors: &IndexMap<String, Actor>) -> Parsed {
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
    let known = LEVELS.iter().find(|(code, _)| *code == level).map(|(_, name)| *name);
    let Some(intensity) = known.or((level == "X").then_some(None)) else {
        return Parsed::Unknown(format!("`{level}` is no level of the corpus"));
    };
    let actor_facts = actors.get(actor).cloned().unwrap_or_default();
    let attributes = [
        ("intensity", intensity.map(str::to_owned)),
        ("race", actor_facts.race),
        ("ethnicity", actor_facts.ethnicity),
    ];
    Parsed::Known(Facts {
        speaker: actor.to_owned(),
        emotion: Some((*name).to_owned()),
        gender: actor_facts.gender,
        text: Some((*text).to_owned()),
        attributes: attributes
            .into_iter()
            .filter_map(|(column, class)| Some((column.to_owned(), class?)))
            .collect(),
        values: actor_facts.age.map(|age| ("age".to_owned(), age)).into_iter().collect(),
        ..Facts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_adds_up_to_the_published_counts() {
        let part = published();
        assert_eq!(part.files, 7442);
        for (class, files) in [
            ("angry", 1271),
            ("disgust", 1271),
            ("fearful", 1271),
            ("happy", 1271),
            ("sad", 1271),
            ("neutral", 1087),
        ] {
            assert_eq!(part.count("class", class), files, "{class}");
        }
    }
}
