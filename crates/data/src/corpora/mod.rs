//! The kinds of corpora: one file each, and one line each in the list below.
//!
//! `kind` says what is asked of a corpus, most of it with a default; `shared` writes the fields that datasets have in
//! common; `gathered` is what reading one yields.

mod gathered;
mod kind;
mod shared;

pub mod musan;

pub(crate) use gathered::{Facts, FilePart, Gathered, Parsed, Source, Utterance, gather_files, gather_found};
pub(crate) use kind::{CorpusKind, Described, Description, Listed, NameReader};
pub(crate) use manifest::Manifest;
pub use shared::{OnBadAudio, OnCopies, OtherLabels, SameLabels};
pub(crate) use shared::{SharedFields, dataset};

use crate::DataError;
use emorun_lang::{KindInfo, Section, schema_of};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Makes, from the list of corpora, their modules, the configuration of any of them, what is known of each, and the way
/// from the one to what the corpus answers.
macro_rules! corpora {
    ($($kind:ident => $config:ident,)+) => {
        $(pub mod $kind;)+

        emorun_lang::kinded_enum! {
            /// A corpus: where it lies and what of it to use.
            #[derive(PartialEq)]
            pub enum DatasetConfig {
                $($kind => $config($kind::$config)),+
            }
        }

        impl DatasetConfig {
            pub(crate) fn corpus(&self) -> &dyn CorpusKind {
                match self {
                    $(Self::$config(config) => config),+
                }
            }

            fn corpus_mut(&mut self) -> &mut dyn CorpusKind {
                match self {
                    $(Self::$config(config) => config),+
                }
            }
        }

        $(
            impl Listed for $kind::$config {
                fn kind(&self) -> &'static str {
                    stringify!($kind)
                }
            }

            impl From<$kind::$config> for DatasetConfig {
                fn from(config: $kind::$config) -> Self {
                    Self::$config(config)
                }
            }
        )+

        /// The kinds of datasets, for the registry and the documentation.
        pub const KINDS: &[KindInfo] = &[$({
            let description = <$kind::$config as Described>::DESCRIPTION;
            KindInfo {
                name: stringify!($kind),
                section: Section::Datasets,
                summary: description.summary,
                source: description.source,
                schema: schema_of::<$kind::$config>,
                inputs: "",
                outputs: description.outputs,
            }
        }),+];

        /// Each kind of corpus with what is known of it.
        const DESCRIPTIONS: &[(&str, Description)] =
            &[$((stringify!($kind), <$kind::$config as Described>::DESCRIPTION)),+];
    };
}

corpora! {
    ravdess => Ravdess,
    cremad => Cremad,
    emodb => Emodb,
    iemocap => Iemocap,
    esd => Esd,
    librispeech => Librispeech,
    emobox => Emobox,
    files => Files,
    manifest => Manifest,
    synthetic => Synthetic,
}

/// Sources of noise, which can be held against what they were published with, and are no datasets.
pub const NOISES: [&NoiseCorpus; 1] = [&musan::MUSAN];

/// A corpus to mix into training items: nobody in it has a label.
#[derive(Debug)]
pub struct NoiseCorpus {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its categories and how many files each was published with.
    pub categories: &'static [(&'static str, usize)],
    /// The category of a file by its path below the root.
    pub category: fn(&str) -> Option<&'static str>,
}

/// What is known of each kind of corpus.
pub(crate) fn descriptions() -> impl Iterator<Item = (&'static str, &'static Description)> {
    DESCRIPTIONS.iter().map(|(kind, description)| (*kind, description))
}

/// What is known of a kind of corpus, where there is such one.
pub(crate) fn described(kind: &str) -> Option<&'static Description> {
    descriptions()
        .find(|(known, _)| *known == kind)
        .map(|(_, description)| description)
}

impl DatasetConfig {
    /// The files that a column of a corpus' table names, for the items that are wanted by their keys;
    /// relative paths start from the folder of the table.
    ///
    /// # Errors
    /// The corpus has no table or the table no such column; each line whose cell is empty or names no
    /// file.
    pub fn column_files(
        &self,
        dataset: &str,
        column: &str,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, Vec<DataError>> {
        self.corpus().column_files(dataset, column, wanted)
    }

    /// The table that describes the corpus, where there is one.
    #[must_use]
    pub fn table(&self) -> Option<&Path> {
        self.corpus().table()
    }

    /// A dataset of this kind with all of its recordings, at `place` (a folder, or the table of one that has a table);
    /// `None` where kind and place alone do not describe one.
    #[must_use]
    pub fn whole(kind: &str, place: &Path) -> Option<Self> {
        let mut config = serde_json::json!({ "kind": kind });
        if let Some(field) = described(kind)?.place {
            config[field] = serde_json::json!(place);
        }
        serde_json::from_value(config)
            .ok()
            .map(|config: Self| config.with_all())
    }

    /// The same corpus without what the experiment leaves out.
    pub(crate) fn with_all(&self) -> Self {
        let mut config = self.clone();
        config.corpus_mut().take_all();
        config
    }
}

/// Name of each dataset's people: what it says itself, or else its corpus' name, or that of another dataset of the same
/// table.
pub(crate) fn people_of(datasets: &IndexMap<String, DatasetConfig>) -> Vec<String> {
    let mut of_table: HashMap<PathBuf, String> = HashMap::new();
    let people = |(name, config): (&String, &DatasetConfig)| {
        let own = config.corpus().people(name);
        match config.table() {
            Some(table) if own == *name => {
                let table = table.canonicalize().unwrap_or_else(|_| table.to_owned());
                of_table.entry(table).or_insert(own).clone()
            }
            _ => own,
        }
    };
    datasets.iter().map(people).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_corpus_lies_where_its_dataset_says() {
        for (kind, description) in descriptions() {
            let mut config = serde_json::json!({ "kind": kind, "corpus": "savee", "pattern": "." });
            let known = match kind {
                "emobox" => &["kind", "corpus"][..],
                "files" => &["kind", "pattern"],
                _ => &["kind"],
            };
            config
                .as_object_mut()
                .unwrap()
                .retain(|field, _| known.contains(&field.as_str()));
            if let Some(field) = description.place {
                config[field] = "a/place".into();
            }
            let config: DatasetConfig = serde_json::from_value(config).unwrap();
            let place = description.place.map(|_| Path::new("a/place"));
            assert_eq!(config.corpus().place(), place, "{kind}");
            assert_eq!(config.with_all().corpus().place(), place, "{kind}");
        }
        assert_eq!(DatasetConfig::whole("no_such_kind", Path::new("")), None);
    }
}
