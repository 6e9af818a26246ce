//! Cross-validation: each fold is the test set once.

use super::Assignment;
use super::assign::{assemble, draw};
use super::by_speaker::{by_dataset, share_error};
use super::named_folds::NamedFolds;
use super::speakers::{Rest, SpeakerRef, assign_lists};
use super::units::{Unit, units};
use crate::{Corpus, DataError, SplitName};
use indexmap::IndexSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cross-validation over groups of speakers: each fold is the test set of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// How speakers are put into folds.
    pub folds: FoldScheme,
    /// What each fold's run chooses by.
    #[serde(default)]
    pub validation: FoldValidation,
    /// What happens to speakers in no fold; an error by default.
    #[serde(default)]
    pub rest: Option<Rest>,
    /// Numbers of the folds to run, from 1; all by default.
    #[serde(default)]
    pub only: Option<Vec<usize>>,
}

/// How speakers are put into folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldScheme {
    /// This many folds (2 or more), drawn by the experiment's seed and as even as can be.
    K(usize),
    /// One fold a speaker; connected speakers share one.
    LeaveOneSpeakerOut,
    /// These speakers or datasets, one list a fold: `[[emodb], [ravdess]]` leaves one corpus out in turn.
    Groups(Vec<Vec<SpeakerRef>>),
    /// Folds of a published protocol.
    Named(NamedFolds),
}

/// What the run of one fold chooses by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldValidation {
    /// Nothing: the last epoch is reported.
    #[default]
    None,
    /// This share of each dataset's training speakers, above 0 and below 1.
    Fraction(f64),
    /// The fold that follows, the first after the last.
    NextFold,
}

pub(super) fn split(
    corpus: &Corpus,
    config: &Folds,
    learned: &[&str],
    seed: u64,
) -> Result<Vec<Assignment>, Vec<DataError>> {
    if let FoldValidation::Fraction(share) = config.validation
        && !(share > 0.0 && share < 1.0)
    {
        return Err(vec![share_error("validation.fraction", share)]);
    }
    if config.rest == Some(Rest::Test) {
        return Err(vec![DataError::SplitField {
            field: "rest".to_owned(),
            problem: "is `test`, and every fold would report on the same speakers again".to_owned(),
        }]);
    }
    let units = units(corpus);
    let (fold_of, count) = match &config.folds {
        FoldScheme::K(count) => (
            draw_folds(corpus, &units, *count, seed).map_err(|error| vec![error])?,
            *count,
        ),
        FoldScheme::LeaveOneSpeakerOut => {
            if units.len() < 2 {
                return Err(vec![too_few(corpus, units.len(), 2)]);
            }
            // By name, so that folds do not depend on where files lie.
            let mut order: Vec<usize> = (0..units.len()).collect();
            order.sort_by_key(|index| units[*index].name());
            let mut fold_of = vec![None; corpus.items.len()];
            for (fold, index) in order.iter().enumerate() {
                units[*index].items.iter().for_each(|item| fold_of[*item] = Some(fold));
            }
            (fold_of, units.len())
        }
        FoldScheme::Groups(groups) => (listed(corpus, groups, config.rest)?, groups.len()),
        FoldScheme::Named(protocol) => {
            let groups = published(corpus, *protocol).map_err(|error| vec![error])?;
            (listed(corpus, &groups, config.rest)?, groups.len())
        }
    };
    let wanted = wanted(config, count)?;
    let mut assignments = Vec::new();
    let mut errors = Vec::new();
    for fold in wanted {
        match assignment(corpus, config, learned, &units, &fold_of, (fold, count), seed) {
            Ok(assignment) => assignments.push(assignment),
            Err(wrong) => errors.extend(wrong),
        }
    }
    if errors.is_empty() {
        Ok(assignments)
    } else {
        Err(errors)
    }
}

/// The folds to run, counted from 0.
fn wanted(config: &Folds, count: usize) -> Result<Vec<usize>, Vec<DataError>> {
    let Some(only) = &config.only else {
        return Ok((0..count).collect());
    };
    let mut errors: Vec<DataError> = only
        .iter()
        .enumerate()
        .filter(|(place, number)| !(1..=count).contains(*number) || only[..*place].contains(*number))
        .map(|(place, number)| DataError::SplitField {
            field: format!("only.{place}"),
            problem: format!("is {number}, and folds are numbered from 1 to {count}, each once"),
        })
        .collect();
    if only.is_empty() {
        errors.push(DataError::SplitField {
            field: "only".to_owned(),
            problem: "is empty".to_owned(),
        });
    }
    if errors.is_empty() {
        Ok(only.iter().map(|number| number - 1).collect())
    } else {
        Err(errors)
    }
}

/// Draws units to `count` folds, dataset by dataset.
fn draw_folds(corpus: &Corpus, units: &[Unit], count: usize, seed: u64) -> Result<Vec<Option<usize>>, DataError> {
    if count < 2 {
        return Err(DataError::SplitField {
            field: "folds.k".to_owned(),
            problem: format!("is {count}, and there are at least 2 folds"),
        });
    }
    if units.len() < count {
        return Err(too_few(corpus, units.len(), count));
    }
    let shares = vec![1.0 / count as f64; count];
    let mut load = vec![0; count];
    let mut fold_of = vec![None; corpus.items.len()];
    for (dataset, own) in by_dataset(units) {
        let drawn = draw(&own, &shares, &load, seed, &format!("folds of {dataset}"));
        for (unit, fold) in own.iter().zip(drawn) {
            load[fold] += unit.speakers.len();
            unit.items.iter().for_each(|item| fold_of[*item] = Some(fold));
        }
    }
    Ok(fold_of)
}

/// The fold of each item, from lists of speakers.
fn listed(
    corpus: &Corpus,
    groups: &[Vec<SpeakerRef>],
    rest: Option<Rest>,
) -> Result<Vec<Option<usize>>, Vec<DataError>> {
    let problem = if groups.len() < 2 {
        Some(("folds.groups".to_owned(), "needs at least two lists"))
    } else {
        groups
            .iter()
            .position(Vec::is_empty)
            .map(|empty| (format!("folds.groups.{empty}"), "is empty"))
    };
    if let Some((field, problem)) = problem {
        return Err(vec![DataError::SplitField {
            field,
            problem: problem.to_owned(),
        }]);
    }
    let lists: Vec<(String, Vec<SpeakerRef>)> = groups
        .iter()
        .enumerate()
        .map(|(index, group)| (format!("folds.groups.{index}"), group.clone()))
        .collect();
    assign_lists(corpus, &lists, rest)
}

/// A protocol's folds as lists of speakers of the one corpus of its kind.
fn published(corpus: &Corpus, protocol: NamedFolds) -> Result<Vec<Vec<SpeakerRef>>, DataError> {
    let own = corpus.datasets.values().filter(|facts| facts.kind == protocol.kind());
    let people: IndexSet<&str> = own.map(|facts| facts.people.as_str()).collect();
    let Some(people) = people.first().filter(|_| people.len() == 1) else {
        return Err(DataError::ProtocolDataset {
            protocol: protocol.name(),
            kind: protocol.kind(),
            found: people.len(),
        });
    };
    let speakers = corpus.speakers();
    let groups: Vec<Vec<String>> = protocol
        .folds()
        .iter()
        .map(|fold| fold.iter().map(|speaker| format!("{people}/{speaker}")).collect())
        .collect();
    let missing: Vec<String> = groups
        .iter()
        .flatten()
        .filter(|speaker| !speakers.contains(&speaker.as_str()))
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(DataError::ProtocolSpeakers {
            protocol: protocol.name(),
            missing,
        });
    }
    Ok(groups
        .into_iter()
        .map(|group| group.into_iter().map(SpeakerRef::new).collect())
        .collect())
}

/// The run that tests on one fold.
fn assignment(
    corpus: &Corpus,
    config: &Folds,
    learned: &[&str],
    units: &[Unit],
    fold_of: &[Option<usize>],
    (fold, count): (usize, usize),
    seed: u64,
) -> Result<Assignment, Vec<DataError>> {
    let label = format!("fold-{}", fold + 1);
    let rest = config.rest.and_then(Rest::side);
    let mut sides: Vec<Option<SplitName>> = fold_of
        .iter()
        .map(|own| match own {
            Some(own) if *own == fold => Some(SplitName::Test),
            Some(own) if config.validation == FoldValidation::NextFold && *own == (fold + 1) % count => {
                Some(SplitName::Validation)
            }
            Some(_) => Some(SplitName::Train),
            None => rest,
        })
        .collect();
    let mut needed = vec![SplitName::Train, SplitName::Test];
    if config.validation != FoldValidation::None {
        needed.push(SplitName::Validation);
    }
    if let FoldValidation::Fraction(share) = config.validation {
        let trained = |unit: &&Unit| unit.items.iter().all(|item| sides[*item] == Some(SplitName::Train));
        let mut drawn = Vec::new();
        for (dataset, own) in by_dataset(units) {
            let own: Vec<&Unit> = own.into_iter().filter(trained).collect();
            // A dataset with one training speaker keeps it.
            if own.len() > 1 {
                let purpose = format!("validation of {label} of {dataset}");
                let sides = draw(&own, &[1.0 - share, share], &[0; 2], seed, &purpose);
                drawn.extend(
                    own.into_iter()
                        .zip(sides)
                        .filter(|(_, side)| *side == 1)
                        .map(|(unit, _)| unit),
                );
            }
        }
        for item in drawn.into_iter().flat_map(|unit| &unit.items) {
            sides[*item] = Some(SplitName::Validation);
        }
    }
    assemble(corpus, learned, Some(label), &sides, &needed, None)
}

fn too_few(corpus: &Corpus, found: usize, needed: usize) -> DataError {
    let names: Vec<&str> = corpus.datasets.keys().map(String::as_str).collect();
    DataError::TooFewSpeakers {
        dataset: names.join("` and `"),
        found,
        needed,
    }
}
