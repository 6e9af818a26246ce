//! The 32 corpora of EmoBox: their languages, and what the paths of their files tell of who speaks.

use crate::emotion::GENDERS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who speaks, as far as paths tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voices {
    /// Names are those of our own kind of this name.
    Own(&'static str),
    /// A regular expression, searched for in the path below the corpus' folder, with the groups `speaker`, `gender` or
    /// `dialogue`.
    Path(&'static str),
    /// One speaker.
    One(&'static str),
    /// Nothing in the path; the table `data.seg.wrd.stm` of the repository has the speakers.
    Table,
    /// Nobody tells.
    Unknown,
}

/// What is known of a corpus beside its metadata.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its name, that of its folder.
    pub name: &'static str,
    pub voices: Voices,
    /// The gender of every speaker, where it is the same.
    pub gender: Option<&'static str>,
    /// The genders of speakers whose names do not tell, as the corpus' authors do.
    pub genders: &'static [(&'static str, &'static str)],
    /// Its languages, in English and lower case; none where they are not told.
    pub language: Option<&'static [&'static str]>,
    /// Name of its file of the cross-corpus track.
    pub balanced: Option<&'static str>,
    /// The path of a recording of a stand-in, named as in the corpus; of a corpus that has a kind of its own that one's.
    pub path: fn(Voice) -> String,
    /// The speakers of a stand-in, given how many are wanted: as many as have names of their own.
    pub speakers: fn(usize) -> usize,
    /// Speakers of a stand-in who are never apart.
    pub together: usize,
}

/// A recording of a stand-in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    /// The speaker, from 1.
    pub speaker: usize,
    /// The number of the recording among the speaker's, from 1.
    pub number: usize,
}

impl Voice {
    /// One of two, for speakers in turn.
    fn of(self, two: [&'static str; 2]) -> &'static str {
        two[(self.speaker - 1) % 2]
    }
}

macro_rules! corpora {
    ($($variant:ident => $name:literal, $doc:literal, $voices:expr, $language:expr $(, $field:ident: $value:expr)*;)*) => {
        /// A corpus that EmoBox has metadata of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum EmoboxCorpus {
            $(#[doc = $doc] $variant,)*
        }

        impl EmoboxCorpus {
            /// All of them, in alphabetical order.
            pub const ALL: [Self; 32] = [$(Self::$variant,)*];

            /// Its name in EmoBox, that of its folder.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.known().name
            }

            /// Whether EmoBox has a balanced test set of it for the cross-corpus track.
            pub(crate) fn is_balanced(self) -> bool {
                self.known().balanced.is_some()
            }

            pub(super) fn known(self) -> Known {
                match self {
                    $(Self::$variant => Known {
                        $($field: $value,)*
                        ..Known {
                            name: $name,
                            voices: $voices,
                            gender: None,
                            genders: &[],
                            language: $language,
                            balanced: None,
                            path: |Voice { speaker: s, number: n }| format!("audio/{s}_{n}.wav"),
                            speakers: |wanted| wanted,
                            together: 1,
                        }
                    },)*
                }
            }
        }
    };
}

corpora! {
    Aesdd => "aesdd", "AESDD, Greek", Voices::Path(r"\(0?(?P<speaker>[1-9])\)"), Some(&["greek"]),
        path: |v| format!("anger/a{:02} ({}).wav", v.number, v.speaker);
    Ased => "ased", "ASED, Amharic", Voices::Path(r"-(?P<speaker>\d\d)\.[^./]+$"), Some(&["amharic"]),
        path: |v| format!("05Angry/a5-{:02}-01-01-{:02}.wav", v.number, v.speaker);
    Asvpesd => "asvpesd", "ASVP-ESD, several languages and sounds without speech", Voices::Path(r"(?:^|/)(?:\d+-){5}0*(?P<speaker>\d+)-[^/]*$"), None,
        path: |v| format!("Audio/actor_{s}/03-01-05-01-{:02}-{s:02}-02-02-01.wav", v.number, s = v.speaker);
    Cafe => "cafe", "CaFE, Canadian French", Voices::Path(r"(?:^|/)(?P<speaker>\d\d)-[A-Z]-\d+-\d+\.[^./]+$"), Some(&["french"]),
        path: |v| format!("CaFE_48k/Colère/{:02}-C-1-{}.wav", v.speaker, v.number);
    Casia => "casia", "CASIA, Mandarin", Voices::Path(r"(?P<speaker>[^/]+)/[^/]+/[^/]+$"), Some(&["mandarin"]),
        path: |v| format!("speaker{}/angry/{}.wav", v.speaker, v.number);
    Cremad => "cremad", "CREMA-D, English", Voices::Own("cremad"), Some(&["english"]);
    Emns => "emns", "EMNS, English, one speaker", Voices::One("3"), Some(&["english"]),
        path: |v| format!("cleaned_webm/recorded_audio_{}_{}.wav", v.speaker, v.number), speakers: |wanted| wanted.min(1);
    Emodb => "emodb", "EmoDB, German", Voices::Own("emodb"), Some(&["german"]);
    Emovdb => "emovdb", "EmoV-DB, English", Voices::Path(r"(?:^|/)(?P<speaker>[^/_]+)_[^/]+/[^/]+$"), Some(&["english"]),
        genders: &[("bea", GENDERS[0]), ("jenie", GENDERS[0]), ("josh", GENDERS[1]), ("sam", GENDERS[1])],
        path: |v| format!("speaker{}_Angry/anger_{:04}.wav", v.speaker, v.number);
    Emovo => "emovo", "EMOVO, Italian", Voices::Path(r"-(?P<speaker>(?P<gender>[fm])\d)-[a-z]\d+\.[^./]+$"), Some(&["italian"]),
        path: |v| format!("{who}/rab-{who}-b{}.wav", v.number, who = format_args!("{}{}", v.of(["m", "f"]), v.speaker));
    Emozionalmente => "emozionalmente", "Emozionalmente, Italian", Voices::Table, Some(&["italian"]);
    Enterface => "enterface", "eNTERFACE '05, English", Voices::Path(r"(?:^|/)(?P<speaker>s\d+)_[^/]+$"), Some(&["english"]),
        path: |v| format!("subject {s}/anger/sentence {n}/s{s}_an_{n}.wav", s = v.speaker, n = v.number);
    Esd => "esd", "ESD, English and Mandarin", Voices::Own("esd"), Some(&["english", "mandarin"]);
    Iemocap => "iemocap", "IEMOCAP, English", Voices::Own("iemocap"), Some(&["english"]),
        balanced: Some("IEMOCAP_selected_balenced.jsonl"), speakers: |wanted| wanted.max(10), together: 2;
    Jlcorpus => "jlcorpus", "JL-Corpus, New Zealand English", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>female|male)\d+)_[^/]+$"), Some(&["english"]),
        path: |v| format!("JL(wav+txt)/{}{}_angry_{}a_1.wav", v.of(["male", "female"]), v.speaker, v.number);
    M3ed => "m3ed", "M3ED, Mandarin, television", Voices::Table, Some(&["mandarin"]);
    Mead => "mead", "MEAD, English", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[MW])\d+)/"), Some(&["english"]),
        path: |v| format!("{}{:03}/audio/angry/level_1/{:03}.wav", v.of(["M", "W"]), v.speaker, v.number);
    Meld => "meld", "MELD, English, television", Voices::Table, Some(&["english"]),
        balanced: Some("MELD_selected_balenced.jsonl");
    Mer2023 => "mer2023", "MER2023, Mandarin, television", Voices::Unknown, Some(&["mandarin"]);
    Mesd => "mesd", "MESD, Mexican Spanish", Voices::Path(r"_(?P<gender>[FM])_[AB]_[^/]*$"), Some(&["spanish"]),
        path: |v| format!("MESD/Anger_{}_A_word{}x{}.wav", v.of(["M", "F"]), v.speaker, v.number);
    Msppodcast => "msppodcast", "MSP-Podcast, English, podcasts", Voices::Table, Some(&["english"]);
    Oreau => "oreau", "Oréau, French", Voices::Path(r"(?:^|/)(?P<gender>[fm])/[^/]+/(?P<speaker>\d\d)[^/]+$"), Some(&["french"]),
        path: |v| format!("OréauFR_02/{}/sessc/{:02}a{:02}Ca.wav", v.of(["m", "f"]), v.speaker, v.number);
    Pavoque => "pavoque", "PAVOQUE, German, one speaker", Voices::One("STEFAN-RÖTTIG"), Some(&["german"]), gender: Some(GENDERS[1]),
        speakers: |wanted| wanted.min(1);
    Polish => "polish", "Emotions in Polish speech recordings", Voices::Path(r"(?:^|/)(?P<speaker>m\d)\.[^/]+$"), Some(&["polish"]),
        path: |v| format!("m{}.a_nie{}_1.wav", v.speaker, v.number);
    Ravdess => "ravdess", "RAVDESS speech, English", Voices::Own("ravdess"), Some(&["english"]),
        balanced: Some("RAVDESS_selected_balenced.jsonl");
    Resd => "resd", "RESD, Russian dialogues", Voices::Path(r"(?P<dialogue>[^/]+)/[^/]+$"), Some(&["russian"]),
        path: |v| format!("train/dialogue_{s}/{s}_{}.wav", v.number, s = v.speaker);
    Savee => "savee", "SAVEE, English", Voices::Path(r"(?:^|/)(?P<speaker>DC|JE|JK|KL)_[^/]+$"), Some(&["english"]), gender: Some(GENDERS[1]),
        balanced: Some("SAVEE_selected_balenced.jsonl"),
        path: |v| format!("{}_a{:02}.wav", ["DC", "JE", "JK", "KL"][(v.speaker - 1) % 4], v.number), speakers: |wanted| wanted.min(4);
    Shemo => "shemo", "ShEMO, Persian", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[FM])\d\d)[A-Z][^/]+$"), Some(&["persian"]),
        path: |v| format!("male/{}{:02}A{:02}.wav", v.of(["M", "F"]), v.speaker, v.number);
    Subesco => "subesco", "SUBESCO, Bangla", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[FM])_\d\d)_[^/]+$"), Some(&["bangla"]),
        path: |v| format!("{}_{:02}_NAME_S_{}_ANGRY_1.wav", v.of(["M", "F"]), v.speaker, v.number);
    Tess => "tess", "TESS, English", Voices::Path(r"(?:^|/)(?P<speaker>OAF|YAF)_[^/]+$"), Some(&["english"]), gender: Some(GENDERS[0]),
        path: |v| format!("{}_word{}_angry.wav", v.of(["OAF", "YAF"]), v.number), speakers: |wanted| wanted.min(2);
    Turevdb => "turevdb", "TurEV-DB, Turkish", Voices::Path(r"(?:^|/)(?P<speaker>\d{4})_[^/]+$"), Some(&["turkish"]),
        path: |v| format!("Sound Source/Angry/{}_sk_{}.wav", 1000 + v.speaker, v.number);
    Urdu => "urdu", "URDU, Urdu, talk shows", Voices::Path(r"(?:^|/)(?P<speaker>S(?P<gender>[FM])\d+)_[^/]+$"), Some(&["urdu"]),
        path: |v| format!("Angry/S{}{}_F{n}_A{n:03}.wav", v.of(["M", "F"]), v.speaker, n = v.number);
}

/// The codes of EMOVO, whose metadata has no `label_map.json`: those of EmoBox's own `label_dict.json`.
pub(super) const EMOVO: [(&str, &str); 7] = [
    ("neu", "Neutral"),
    ("dis", "Disgust"),
    ("gio", "Happy"),
    ("pau", "Fear"),
    ("rab", "Angry"),
    ("sor", "Surprise"),
    ("tri", "Sad"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::gender;
    use regex::Regex;

    #[test]
    fn every_pattern_is_one_and_names_are_those_of_the_enum() {
        for corpus in EmoboxCorpus::ALL {
            let known = corpus.known();
            assert_eq!(serde_json::to_value(corpus).unwrap(), known.name);
            if let Voices::Path(pattern) = known.voices {
                let pattern = Regex::new(pattern).unwrap();
                let groups: Vec<&str> = pattern.capture_names().flatten().collect();
                assert!(
                    groups
                        .iter()
                        .all(|name| ["speaker", "gender", "dialogue"].contains(name))
                );
            }
        }
        assert_eq!((gender("M"), gender("W")), (Some(GENDERS[1]), Some(GENDERS[0])));
    }
}
