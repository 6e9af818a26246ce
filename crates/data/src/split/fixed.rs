//! Sides that the experiment file or the corpus itself assigns.

use super::Assignment;
use super::assign::assemble;
use super::speakers::{Rest, SpeakerRef, assign_lists};
use crate::{Corpus, DataError, SplitName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sides that are given: as lists of speakers, or by a column of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// Take each item's side from the corpus itself, in place of lists of speakers.
    #[serde(default)]
    pub from: Option<SplitSource>,
    /// Who is trained on: speakers (`people/id`, `dataset/id`, or the id alone where one corpus has it), several of them
    /// (`emodb/*`), or whole datasets (`emodb`).
    #[serde(default)]
    pub train: Vec<SpeakerRef>,
    /// Who is chosen by.
    #[serde(default)]
    pub validation: Vec<SpeakerRef>,
    /// Who is reported on.
    #[serde(default)]
    pub test: Vec<SpeakerRef>,
    /// What happens to speakers in no list, and to items without a side; an error by default.
    #[serde(default)]
    pub rest: Option<Rest>,
    /// Why this split has to put speakers or recordings on two sides, where it does: every report
    /// repeats it.
    #[serde(default)]
    pub leak: Option<String>,
}

/// Where a corpus keeps its own split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitSource {
    /// The manifest's `split` column.
    Column,
}

pub(super) fn split(corpus: &Corpus, config: &Fixed, learned: &[&str]) -> Result<Assignment, Vec<DataError>> {
    let lists = [
        ("train".to_owned(), config.train.clone()),
        ("validation".to_owned(), config.validation.clone()),
        ("test".to_owned(), config.test.clone()),
    ];
    let listed = lists.iter().any(|(_, names)| !names.is_empty());
    let rest = config.rest.and_then(Rest::side);
    let field = |field: &str, problem: &str| {
        vec![DataError::SplitField {
            field: field.to_owned(),
            problem: problem.to_owned(),
        }]
    };
    let sides: Vec<Option<SplitName>> = match config.from {
        Some(SplitSource::Column) if listed => {
            return Err(field("from", "and lists of speakers cannot both assign the sides"));
        }
        Some(SplitSource::Column) => {
            let items = &corpus.items;
            let mut without = (0..items.len()).filter(|index| items.profile(*index).split.is_none());
            if let (Some(first), None) = (without.next(), config.rest) {
                let first = items.get(first).map_err(|error| vec![error])?;
                return Err(vec![DataError::ItemsLeft {
                    count: 1 + without.count(),
                    example: first.key.to_string(),
                }]);
            }
            let side = |index: usize| items.profile(index).split.or(rest);
            (0..items.len()).map(side).collect()
        }
        None if !listed => {
            return Err(field(
                "from",
                "is absent, and so are lists of speakers: nothing assigns the sides",
            ));
        }
        None => {
            let list_of = assign_lists(corpus, &lists, config.rest)?.into_iter();
            list_of
                .map(|list| list.map_or(rest, |list| Some(SplitName::ALL[list])))
                .collect()
        }
    };
    assemble(
        corpus,
        learned,
        None,
        &sides,
        &[SplitName::Train],
        config.leak.as_deref(),
    )
}
