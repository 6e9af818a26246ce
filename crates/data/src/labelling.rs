//! From a corpus' own emotion labels to the experiment's classes: mapping first, then the subset.

use crate::DataError;
use crate::emotion::{canonical, in_canonical_order, nearest};
use indexmap::{IndexMap, IndexSet};

/// `mapping:` of a dataset: a label of the corpus, and the class it becomes (`null` drops its
/// items).
pub type Mapping = IndexMap<String, Option<String>>;

/// Which emotion labels a kind of corpus can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// These canonical names and no others.
    Closed(Vec<String>),
    /// Whatever words for emotions its files say.
    Open,
    /// Whatever its files say: what is no word for an emotion known here is a class as it is written.
    AsWritten,
}

/// The rules that turn one dataset's labels into classes.
#[derive(Clone, Debug)]
pub(crate) struct Labelling<'a> {
    dataset: &'a str,
    mapping: Option<&'a Mapping>,
    vocabulary: Vocabulary,
    /// The classes that remain, in the order given; `None` keeps all.
    subset: Option<Vec<String>>,
}

/// What becomes of an item with a certain label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has this class.
    Class(String),
    /// The experiment leaves its label out.
    Dropped,
    /// The label is no emotion known here, nor named in the experiment.
    Unknown,
}

impl<'a> Labelling<'a> {
    /// Checks the names in `emotions` and `mapping` as far as they can be known without reading the
    /// corpus.
    ///
    /// # Errors
    /// Every name that the corpus does not have, and every name given twice.
    pub fn new(
        dataset: &'a str,
        emotions: Option<&[String]>,
        mapping: Option<&'a Mapping>,
        vocabulary: Vocabulary,
    ) -> Result<Self, Vec<DataError>> {
        let mut errors = Vec::new();
        let mut rules = Self {
            dataset,
            mapping,
            vocabulary,
            subset: None,
        };
        if let Vocabulary::Closed(labels) = &rules.vocabulary {
            for key in mapping.into_iter().flat_map(|mapping| mapping.keys()) {
                if !labels.iter().any(|label| same(label, key)) {
                    errors.push(DataError::UnknownEmotion {
                        dataset: dataset.to_owned(),
                        field: vec!["mapping".to_owned(), key.clone()],
                        name: key.clone(),
                        nearest: nearest(key, labels.iter().map(String::as_str)),
                        known: labels.clone(),
                    });
                }
            }
        }
        if let Some(emotions) = emotions {
            let all = rules.classes();
            let mut subset: Vec<String> = Vec::new();
            for (index, name) in emotions.iter().enumerate() {
                let class = match &all {
                    Some(classes) => match classes.iter().find(|class| same(class, name)) {
                        Some(class) => class.clone(),
                        None => {
                            errors.push(rules.unknown_subset_name(index, name, classes));
                            continue;
                        }
                    },
                    None => canonical(name).map_or_else(|| name.trim().to_owned(), str::to_owned),
                };
                if subset.contains(&class) {
                    errors.push(DataError::RepeatedEmotion {
                        dataset: dataset.to_owned(),
                        index,
                        name: class,
                    });
                } else {
                    subset.push(class);
                }
            }
            if emotions.is_empty() {
                errors.push(DataError::NoEmotions {
                    dataset: dataset.to_owned(),
                });
            }
            rules.subset = Some(subset);
        }
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }

    /// The classes this dataset declares, in order; `None` where only its files can tell.
    pub fn classes(&self) -> Option<Vec<String>> {
        if let Some(subset) = &self.subset {
            return Some(subset.clone());
        }
        match &self.vocabulary {
            Vocabulary::Open | Vocabulary::AsWritten => None,
            Vocabulary::Closed(labels) => {
                let classes: Vec<String> = labels
                    .iter()
                    .filter_map(|label| match self.map(label) {
                        Some(target) => target.map(str::to_owned),
                        None => Some(label.clone()),
                    })
                    .collect();
                Some(in_canonical_order(classes.iter().map(String::as_str)))
            }
        }
    }

    /// The subset given in the file, where there is one.
    pub fn subset(&self) -> Option<&[String]> {
        self.subset.as_deref()
    }

    /// What becomes of an item that the corpus labels `label`.
    pub fn resolve(&self, label: &str) -> Outcome {
        match (self.before_subset(label), &self.subset) {
            (Outcome::Class(class), Some(subset)) if !subset.contains(&class) => Outcome::Dropped,
            (outcome, _) => outcome,
        }
    }

    /// What the mapping alone makes of `label`.
    pub fn before_subset(&self, label: &str) -> Outcome {
        if let Some(mapped) = self.map(label) {
            return mapped.map_or(Outcome::Dropped, |class| Outcome::Class(class.to_owned()));
        }
        let own = || {
            self.subset
                .iter()
                .flatten()
                .find(|class| same(class, label))
                .map(String::as_str)
        };
        let as_written = || (self.vocabulary == Vocabulary::AsWritten).then_some(label.trim());
        canonical(label)
            .or_else(own)
            .or_else(as_written)
            .map_or(Outcome::Unknown, |class| Outcome::Class(class.to_owned()))
    }

    /// Checks the subset of a corpus with an open vocabulary against the classes that its files
    /// turned out to have.
    pub fn check_subset(&self, found: &[String]) -> Vec<DataError> {
        match (&self.vocabulary, &self.subset) {
            (Vocabulary::Open | Vocabulary::AsWritten, Some(subset)) => subset
                .iter()
                .enumerate()
                .filter(|(_, name)| !found.contains(name))
                .map(|(index, name)| self.unknown_subset_name(index, name, found))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Checks the mapping of a corpus with an open vocabulary against the labels that its files turned out to have.
    pub fn check_mapping(&self, found: &IndexSet<String>) -> Vec<DataError> {
        if matches!(self.vocabulary, Vocabulary::Closed(_)) {
            return Vec::new();
        }
        let keys = self.mapping.into_iter().flat_map(IndexMap::keys);
        keys.filter(|key| !found.iter().any(|label| same(label, key)))
            .map(|key| DataError::UnusedLabel {
                dataset: self.dataset.to_owned(),
                name: key.clone(),
                nearest: nearest(key, found.iter().map(String::as_str)),
                known: found.iter().cloned().collect(),
            })
            .collect()
    }

    /// The nearest name that `label` could have meant.
    pub fn suggest(&self, label: &str) -> Option<String> {
        let own = self.subset.iter().flatten().map(String::as_str);
        nearest(label, own.chain(crate::emotion::EMOTIONS))
    }

    /// `None`: not mapped; `Some(None)`: dropped; `Some(Some(class))`: renamed.
    fn map(&self, label: &str) -> Option<Option<&str>> {
        let (_, target) = self.mapping?.iter().find(|(key, _)| same(key, label))?;
        Some(
            target
                .as_deref()
                .map(|target| canonical(target).unwrap_or(target.trim())),
        )
    }

    fn unknown_subset_name(&self, index: usize, name: &str, known: &[String]) -> DataError {
        DataError::UnknownEmotion {
            dataset: self.dataset.to_owned(),
            field: vec!["emotions".to_owned(), index.to_string()],
            name: name.to_owned(),
            nearest: nearest(name, known.iter().map(String::as_str)),
            known: known.to_vec(),
        }
    }
}

/// The classes of several datasets together: the order given, where all restrict to the same list,
/// or else the union in canonical order.
pub(crate) fn merge_classes(sets: &[(Vec<String>, bool)]) -> Vec<String> {
    match sets {
        [(first, true), rest @ ..] if rest.iter().all(|(set, given)| *given && set == first) => first.clone(),
        _ => in_canonical_order(sets.iter().flat_map(|(set, _)| set).map(String::as_str)),
    }
}

/// Whether two words name the same emotion.
fn same(a: &str, b: &str) -> bool {
    match (canonical(a), canonical(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.trim().to_lowercase() == b.trim().to_lowercase(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Vocabulary {
        Vocabulary::Closed(["neutral", "calm", "happy", "sad", "angry"].map(str::to_owned).to_vec())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_subset_keeps_the_order_in_which_it_is_written() {
        let subset = names(&["sadness", "Happy"]);
        let rules = Labelling::new("d", Some(&subset), None, closed()).unwrap();
        assert_eq!(rules.classes(), Some(names(&["sad", "happy"])));
        assert_eq!(rules.resolve("happy"), Outcome::Class("happy".into()));
        assert_eq!(rules.resolve("angry"), Outcome::Dropped);
    }

    #[test]
    fn mapping_comes_before_the_subset_and_null_drops() {
        let mapping: Mapping = [
            ("calm".to_owned(), Some("neutral".to_owned())),
            ("anger".to_owned(), Some("negative".to_owned())),
            ("sad".to_owned(), None),
        ]
        .into();
        let rules = Labelling::new("d", None, Some(&mapping), closed()).unwrap();
        assert_eq!(rules.classes(), Some(names(&["neutral", "happy", "negative"])));
        assert_eq!(rules.resolve("angry"), Outcome::Class("negative".into()));
        assert_eq!(rules.resolve("sad"), Outcome::Dropped);
        let subset = names(&["negative", "neutral"]);
        let rules = Labelling::new("d", Some(&subset), Some(&mapping), closed()).unwrap();
        assert_eq!(rules.resolve("calm"), Outcome::Class("neutral".into()));
        assert_eq!(rules.resolve("happy"), Outcome::Dropped);
    }

    #[test]
    fn every_unknown_name_is_reported_with_the_nearest_one() {
        let mapping: Mapping = [("clam".to_owned(), None)].into();
        let subset = names(&["hapy", "sad", "sad", "xylophone"]);
        let errors = Labelling::new("d", Some(&subset), Some(&mapping), closed()).unwrap_err();
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 4, "{messages:?}");
        assert!(errors.iter().all(|error| error.class() == crate::ErrorClass::Invalid));
        assert!(messages[0].contains("`clam`"));
        assert!(errors[1].help().unwrap().contains("`happy`"), "{:?}", errors[1].help());
    }

    #[test]
    fn an_open_vocabulary_knows_the_common_words_and_what_the_file_names() {
        let subset = names(&["sleepy", "happy"]);
        let rules = Labelling::new("d", Some(&subset), None, Vocabulary::Open).unwrap();
        assert_eq!(rules.resolve("Sleepy"), Outcome::Class("sleepy".into()));
        assert_eq!(rules.resolve("joy"), Outcome::Class("happy".into()));
        assert_eq!(rules.resolve("anger"), Outcome::Dropped);
        assert_eq!(rules.resolve("hapy"), Outcome::Unknown);
        assert_eq!(rules.suggest("hapy"), Some("happy".to_owned()));
        assert_eq!(rules.check_subset(&names(&["happy"])).len(), 1);
    }

    #[test]
    fn a_key_of_mapping_that_no_file_has_is_told_with_the_nearest_label() {
        let mapping: Mapping = [
            ("zufriden".to_owned(), Some("happy".to_owned())),
            ("Joy".to_owned(), None),
        ]
        .into();
        let rules = Labelling::new("d", None, Some(&mapping), Vocabulary::Open).unwrap();
        let found: IndexSet<String> = names(&["zufrieden", "happiness"]).into_iter().collect();
        let errors = rules.check_mapping(&found);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("`zufriden`"), "{}", errors[0]);
        assert!(errors[0].help().unwrap().contains("`zufrieden`"));
        assert_eq!(errors[0].document_path(), ["datasets", "d", "mapping", "zufriden"]);
    }

    #[test]
    fn datasets_merge_to_the_canonical_union_unless_all_give_one_list() {
        let given = (names(&["sad", "happy"]), true);
        let declared = (names(&["angry", "happy"]), false);
        assert_eq!(merge_classes(&[given.clone(), given.clone()]), ["sad", "happy"]);
        assert_eq!(merge_classes(&[given, declared]), ["happy", "sad", "angry"]);
    }
}
