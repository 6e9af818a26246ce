//! Generated speech-like audio: a corpus without a download.

use super::{
    CorpusKind, DatasetConfig, Described, Description, Facts, Gathered, Listed as _, Source, Utterance, dataset,
};
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::stand_in::Writer;
use crate::{DataError, GENDERS};
use emorun_audio::synthetic::{Gender, SyntheticEmotion, VoiceSpec};

dataset! {
    /// Expressive speech-like audio, generated when it is asked for: nothing is downloaded or stored.
    ///
    /// Speakers differ in pitch, voice quality and expressiveness, and emotions overlap as in acted
    /// speech; every speaker says the same sentences in every emotion.
    ///
    /// # Source
    /// Klatt & Klatt, JASA 87, 1990 (synthesis); Scherer, Speech Communication 40, 2003, and Juslin &
    /// Laukka, Psychological Bulletin 129, 2003 (how emotions sound).
    pub struct Synthetic {
        /// Number of speakers, half of them female (1 to 1000).
        #[serde(default = "default_speakers")]
        #[schemars(range(min = 1, max = 1000))]
        pub speakers: u32,
        /// Utterances of each speaker in each emotion, each another sentence (1 to 1000).
        #[serde(default = "default_utterances")]
        #[schemars(range(min = 1, max = 1000))]
        pub utterances: u32,
        shared classes: "all five (neutral, happy, sad, angry, fearful) by\ndefault.", "a label of the corpus", "applied before `emotions`.",
        /// How far emotions overlap: 0 are clean prototypes, 1 is as hard as acted speech, 3 is the
        /// most.
        #[serde(default = "default_overlap")]
        #[schemars(range(min = 0.0, max = 3.0))]
        pub overlap: f32,
        /// Seed of the voices, the sentences and their readings.
        #[serde(default)]
        pub seed: u64,
        shared people: "`synthetic` for voices of\nseed 0, and `synthetic-7` for those of seed 7.",
    }
}

fn default_speakers() -> u32 {
    12
}

fn default_utterances() -> u32 {
    8
}

fn default_overlap() -> f32 {
    1.0
}

/// Rate at which utterances are generated for their length alone, in hertz: the lowest that divides
/// control frames evenly. Waveforms are generated at the rate they are asked for.
const LENGTH_RATE_HZ: u32 = 2_000;

impl Described for Synthetic {
    const DESCRIPTION: Description = Description {
        summary: "generated speech-like audio, without any file",
        source: "Klatt & Klatt, JASA 87, 1990; Scherer, Speech Communication 40, 2003",
        outputs: "data.audio, data.emotion, data.gender",
        place: None,
        ..Description::DEFAULT
    };
}

impl CorpusKind for Synthetic {
    fn own_people(&self, _dataset: &str) -> String {
        match self.seed {
            0 => self.kind().to_owned(),
            seed => format!("{}-{seed}", self.kind()),
        }
    }

    fn has_text(&self) -> bool {
        false
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary::Closed(SyntheticEmotion::ALL.map(|emotion| emotion.name().to_owned()).to_vec())
    }

    fn check(&self, dataset: &str) -> Vec<DataError> {
        let field = |field, problem| DataError::Field {
            dataset: dataset.to_owned(),
            field,
            problem,
        };
        let mut errors = Vec::new();
        if !(1..=1000).contains(&self.speakers) {
            errors.push(field("speakers", "must be from 1 to 1000"));
        }
        if !(1..=1000).contains(&self.utterances) {
            errors.push(field("utterances", "must be from 1 to 1000"));
        }
        if !(0.0..=3.0).contains(&self.overlap) {
            errors.push(field("overlap", "must be from 0 to 3"));
        }
        errors
    }

    fn gather(&self, _dataset: &str, rules: &Labelling<'_>) -> Gathered {
        let mut gathered = Gathered::default();
        for speaker in 1..=self.speakers {
            // As in RAVDESS: odd speakers are male.
            let gender = if speaker % 2 == 1 { Gender::Male } else { Gender::Female };
            for emotion in SyntheticEmotion::ALL {
                for sentence in 1..=self.utterances {
                    let spec = VoiceSpec {
                        speaker,
                        gender,
                        emotion,
                        sentence,
                        take: 0,
                        seed: self.seed,
                        rate_hz: LENGTH_RATE_HZ,
                        overlap: self.overlap,
                    };
                    let utterance = Utterance {
                        key: format!("{speaker:02}/{}_{sentence:02}", emotion.name()),
                        source: Source::Voice(spec),
                        facts: Facts {
                            speaker: format!("{speaker:02}"),
                            emotion: Some(emotion.name().to_owned()),
                            gender: Some(GENDERS[usize::from(gender == Gender::Male)].to_owned()),
                            ..Facts::default()
                        },
                        row: None,
                    };
                    // Its emotions are canonical, so none is unknown.
                    let _ = gathered.push(utterance, rules);
                }
            }
        }
        gathered
    }
    // Its own labels may need its mapping.
    fn take_all(&mut self) {}

    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        let id = text.parse::<u32>().ok().filter(|id| (1..=self.speakers).contains(id))?;
        Some(format!("{id:02}"))
    }

    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        (1..=count).map(|id| format!("{id:02}")).collect()
    }

    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        // Named speakers must be there, and its speakers are numbered from 1.
        let speakers = match writer.named {
            true => self.speakers,
            false => self.speakers.min(writer.speakers.len() as u32),
        };
        let utterances = self.utterances.min(writer.takes as u32);
        Ok(Self {
            speakers,
            utterances,
            ..self.clone()
        }
        .into())
    }
}
