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

            pub(super) fn known(self) -> Known {
                match self {
                    $(Self::$variant => Known {
                        $($field: $value,)*
                        ..Known { name: $name, voices: $voices, gender: None, genders: &[], language: $language }
                    },)*
                }
            }
        }
    };
}

corpora! {
    Aesdd => "aesdd", "AESDD, Greek", Voices::Path(r"\(0?(?P<speaker>[1-9])\)"), Some(&["greek"]);
    Ased => "ased", "ASED, Amharic", Voices::Path(r"-(?P<speaker>\d\d)\.[^./]+$"), Some(&["amharic"]);
    Asvpesd => "asvpesd", "ASVP-ESD, several languages and sounds without speech", Voices::Path(r"(?:^|/)(?:\d+-){5}0*(?P<speaker>\d+)-[^/]*$"), None;
    Cafe => "cafe", "CaFE, Canadian French", Voices::Path(r"(?:^|/)(?P<speaker>\d\d)-[A-Z]-\d+-\d+\.[^./]+$"), Some(&["french"]);
    Casia => "casia", "CASIA, Mandarin", Voices::Path(r"(?P<speaker>[^/]+)/[^/]+/[^/]+$"), Some(&["mandarin"]);
    Cremad => "cremad", "CREMA-D, English", Voices::Own("cremad"), Some(&["english"]);
    Emns => "emns", "EMNS, English, one speaker", Voices::One("3"), Some(&["english"]);
    Emodb => "emodb", "EmoDB, German", Voices::Own("emodb"), Some(&["german"]);
    Emovdb => "emovdb", "EmoV-DB, English", Voices::Path(r"(?:^|/)(?P<speaker>[^/_]+)_[^/]+/[^/]+$"), Some(&["english"]),
        genders: &[("bea", GENDERS[0]), ("jenie", GENDERS[0]), ("josh", GENDERS[1]), ("sam", GENDERS[1])];
    Emovo => "emovo", "EMOVO, Italian", Voices::Path(r"-(?P<speaker>(?P<gender>[fm])\d)-[a-z]\d+\.[^./]+$"), Some(&["italian"]);
    Emozionalmente => "emozionalmente", "Emozionalmente, Italian", Voices::Table, Some(&["italian"]);
    Enterface => "enterface", "eNTERFACE '05, English", Voices::Path(r"(?:^|/)(?P<speaker>s\d+)_[^/]+$"), Some(&["english"]);
    Esd => "esd", "ESD, English and Mandarin", Voices::Own("esd"), Some(&["english", "mandarin"]);
    Iemocap => "iemocap", "IEMOCAP, English", Voices::Own("iemocap"), Some(&["english"]);
    Jlcorpus => "jlcorpus", "JL-Corpus, New Zealand English", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>female|male)\d+)_[^/]+$"), Some(&["english"]);
    M3ed => "m3ed", "M3ED, Mandarin, television", Voices::Table, Some(&["mandarin"]);
    Mead => "mead", "MEAD, English", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[MW])\d+)/"), Some(&["english"]);
    Meld => "meld", "MELD, English, television", Voices::Table, Some(&["english"]);
    Mer2023 => "mer2023", "MER2023, Mandarin, television", Voices::Unknown, Some(&["mandarin"]);
    Mesd => "mesd", "MESD, Mexican Spanish", Voices::Path(r"_(?P<gender>[FM])_[AB]_[^/]*$"), Some(&["spanish"]);
    Msppodcast => "msppodcast", "MSP-Podcast, English, podcasts", Voices::Table, Some(&["english"]);
    Oreau => "oreau", "Oréau, French", Voices::Path(r"(?:^|/)(?P<gender>[fm])/[^/]+/(?P<speaker>\d\d)[^/]+$"), Some(&["french"]);
    Pavoque => "pavoque", "PAVOQUE, German, one speaker", Voices::One("STEFAN-RÖTTIG"), Some(&["german"]), gender: Some(GENDERS[1]);
    Polish => "polish", "Emotions in Polish speech recordings", Voices::Path(r"(?:^|/)(?P<speaker>m\d)\.[^/]+$"), Some(&["polish"]);
    Ravdess => "ravdess", "RAVDESS speech, English", Voices::Own("ravdess"), Some(&["english"]);
    Resd => "resd", "RESD, Russian dialogues", Voices::Path(r"(?P<dialogue>[^/]+)/[^/]+$"), Some(&["russian"]);
    Savee => "savee", "SAVEE, English", Voices::Path(r"(?:^|/)(?P<speaker>DC|JE|JK|KL)_[^/]+$"), Some(&["english"]), gender: Some(GENDERS[1]);
    Shemo => "shemo", "ShEMO, Persian", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[FM])\d\d)[A-Z][^/]+$"), Some(&["persian"]);
    Subesco => "subesco", "SUBESCO, Bangla", Voices::Path(r"(?:^|/)(?P<speaker>(?P<gender>[FM])_\d\d)_[^/]+$"), Some(&["bangla"]);
    Tess => "tess", "TESS, English", Voices::Path(r"(?:^|/)(?P<speaker>OAF|YAF)_[^/]+$"), Some(&["english"]), gender: Some(GENDERS[0]);
    Turevdb => "turevdb", "TurEV-DB, Turkish", Voices::Path(r"(?:^|/)(?P<speaker>\d{4})_[^/]+$"), Some(&["turkish"]);
    Urdu => "urdu", "URDU, Urdu, talk shows", Voices::Path(r"(?:^|/)(?P<speaker>S(?P<gender>[FM])\d+)_[^/]+$"), Some(&["urdu"]);
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

/// Name of a corpus' file of the cross-corpus track.
pub(crate) fn balanced(corpus: EmoboxCorpus) -> Option<&'static str> {
    match corpus {
        EmoboxCorpus::Iemocap => Some("IEMOCAP_selected_balenced.jsonl"),
        EmoboxCorpus::Meld => Some("MELD_selected_balenced.jsonl"),
        EmoboxCorpus::Ravdess => Some("RAVDESS_selected_balenced.jsonl"),
        EmoboxCorpus::Savee => Some("SAVEE_selected_balenced.jsonl"),
        _ => None,
    }
}

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
