//! The contract of a corpus: everything that is asked of one.

use super::shared::SharedFields;
use super::{DatasetConfig, Facts, Gathered, Manifest, Utterance};
use crate::fixtures::FixtureError;
use crate::labelling::{Labelling, Vocabulary};
use crate::split::PublishedProtocol;
use crate::stand_in::{Told, Writer};
use crate::verify::PublishedPart;
use crate::walk::Found;
use crate::{DataError, StreamForm};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The ports of a corpus that tells emotion, gender and text.
const OUTPUTS: &str = "data.audio, data.emotion, data.gender, data.text";

/// What is known of a kind of corpus without any dataset of it.
pub(crate) struct Description {
    /// What it is, in a line.
    pub summary: &'static str,
    /// Its paper; empty where there is none.
    pub source: &'static str,
    /// Its ports, for the documentation.
    pub outputs: &'static str,
    /// The field that says where it lies; none of one that is generated.
    pub place: Option<&'static str>,
    /// Whether `emorun data fetch` brings it without a licence on paper.
    pub is_fetched: bool,
    /// Folds by which papers report on it.
    pub protocols: &'static [PublishedProtocol],
    /// What to do where a dataset of it tells no label of a column: the remedy, given the dataset and the column.
    pub label_remedy: fn(&str, &str) -> Option<String>,
}

impl Description {
    /// A corpus in a folder, of which nothing else is known.
    pub const DEFAULT: Self = Self {
        summary: "",
        source: "",
        outputs: OUTPUTS,
        place: Some("root"),
        is_fetched: false,
        protocols: &[],
        label_remedy: |_, _| None,
    };
}

/// What is known of a corpus apart from its datasets.
pub(crate) trait Described {
    const DESCRIPTION: Description;
}

/// The name of a dataset's kind, as the list in `corpora/mod.rs` has it.
pub(crate) trait Listed {
    fn kind(&self) -> &'static str;
}

/// Tells from a file's name what the corpus' naming says of it.
pub(crate) type NameReader = Box<dyn Fn(&Found) -> Option<Facts>>;

/// What every kind of corpus answers. Only the vocabulary and gathering have no default.
pub(crate) trait CorpusKind: SharedFields + Listed {
    /// Where it lies: its folder or table.
    fn place(&self) -> Option<&Path> {
        self.root()
    }
    /// The table that describes it, where there is one.
    fn table(&self) -> Option<&Path> {
        None
    }
    /// The files that a column of its table names; see [`DatasetConfig::column_files`].
    fn column_files(
        &self,
        dataset: &str,
        column: &str,
        _wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, Vec<DataError>> {
        Err(vec![DataError::NoTable {
            dataset: dataset.to_owned(),
            kind: self.kind(),
            column: column.to_owned(),
        }])
    }
    /// Name of its people where the dataset gives none: its kind, so that a corpus that is listed twice is of one set of
    /// people.
    fn own_people(&self, _dataset: &str) -> String {
        self.kind().to_owned()
    }
    /// Name of the people whom its speakers' ids tell apart: a speaker is `people/id`, a group `people/column/id`.
    fn people(&self, dataset: &str) -> String {
        let named = self.named_people().map(str::to_owned);
        named.unwrap_or_else(|| self.own_people(dataset))
    }
    /// Whether its items can have a text.
    fn has_text(&self) -> bool {
        true
    }
    /// The emotion labels it can have, before mapping.
    fn vocabulary(&self) -> Vocabulary;
    /// Further label columns beside emotion and gender, whose classes its files tell.
    fn label_columns(&self) -> Vec<String> {
        Vec::new()
    }
    /// Columns that further describe items and whose classes its files tell.
    fn attribute_columns(&self) -> Vec<String> {
        Vec::new()
    }
    /// Columns that further describe items, each with its classes.
    fn attributes(&self) -> Vec<(&'static str, &'static [&'static str])> {
        Vec::new()
    }
    /// Continuous labels that items can have.
    fn values(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether its items can have soft labels of emotion.
    fn has_votes(&self) -> bool {
        false
    }
    /// Named sources that items can have beside their audio.
    fn streams(&self) -> Vec<(String, StreamForm)> {
        Vec::new()
    }
    /// Checks of its own fields, without any file.
    fn check(&self, _dataset: &str) -> Vec<DataError> {
        Vec::new()
    }
    /// Reads names and tables; no audio.
    fn gather(&self, dataset: &str, rules: &Labelling<'_>) -> Gathered;

    /// As [`Self::gather`], but hands the utterances out, where it can as they are read.
    fn gather_each(&self, dataset: &str, rules: &Labelling<'_>, each: &mut dyn FnMut(Utterance)) -> Gathered {
        let mut gathered = self.gather(dataset, rules);
        gathered.utterances.drain(..).for_each(each);
        gathered
    }

    fn labelling<'a>(&'a self, dataset: &'a str) -> Result<Labelling<'a>, Vec<DataError>> {
        Labelling::new(dataset, self.emotions(), self.mapping(), self.vocabulary())
    }

    // What it was published with.

    /// Names, without extension, of files that were published with the same sound as one another.
    fn published_twice(&self) -> &'static [[&'static str; 2]] {
        &[]
    }
    /// The parts in which it was published; none of a corpus that is described by its own table.
    fn published_parts(&self) -> Vec<PublishedPart> {
        Vec::new()
    }
    /// Which of these parts an utterance belongs to, where it does to one.
    fn published_part_of(&self, _utterance: &Utterance) -> Option<usize> {
        Some(0)
    }
    /// The lengths in seconds that it was published with, by the recordings' keys.
    fn published_lengths(&self) -> HashMap<String, f64> {
        HashMap::new()
    }
    /// Takes in every recording, and every class as the corpus has it: what is held against what was published.
    fn take_all(&mut self) {
        self.keep_all_classes();
    }

    // What its files' names tell without its tables, for other lists of the same files, such as EmoBox's.

    /// Reads names.
    ///
    /// # Errors
    /// A table that tells who the speakers are cannot be read.
    fn name_reader(&self, _dataset: &str) -> Result<NameReader, DataError> {
        Ok(Box::new(|_| None))
    }
    /// Whether names tell the words that are spoken.
    fn names_tell_text(&self) -> bool {
        false
    }

    // A small generated corpus in its place, which `emorun smoke` runs on.

    /// The id by which it knows a speaker; `None` if it can have no such one.
    fn stand_in_speaker(&self, text: &str) -> Option<String> {
        Some(text.to_owned())
    }
    /// So many of its speakers, male and female in turn.
    fn stand_in_speakers(&self, count: usize) -> Vec<String> {
        (1..=count).map(|id| format!("speaker{id}")).collect()
    }
    /// The path of a speaker's recording, both by their numbers from 0, named as in the corpus.
    fn stand_in_path(&self, speaker: usize, number: usize) -> String {
        format!("audio/{}_{}.wav", speaker + 1, number + 1)
    }
    /// Writes it; the dataset that stands in. A table that tells the same, unless the corpus writes its own layout.
    ///
    /// # Errors
    /// A file cannot be written.
    fn stand_in(&self, writer: &Writer<'_>) -> Result<DatasetConfig, FixtureError> {
        let table = Manifest::stand_in_of(self, writer.dataset);
        writer.table(&table, &Told::of(self)).map(DatasetConfig::from)
    }
}
