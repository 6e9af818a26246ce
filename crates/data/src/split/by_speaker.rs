//! Speakers drawn to training, validation and test.

use super::Assignment;
use super::assign::{assemble, draw};
use super::units::{Unit, units};
use crate::person::is_unknown;
use crate::{Corpus, DataError, SplitName};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Speakers drawn at random, by the experiment's seed, to training, validation and test.
///
/// Each dataset is split by itself, then the sides are merged. Of many draws the most even one in
/// genders, classes and numbers of items is taken. Items of speakers who are not known are trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BySpeaker {
    /// Share of each dataset's speakers in validation, from 0 to below 1; at least one speaker
    /// unless it is 0.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation: f64,
    /// Share of each dataset's speakers in test, from 0 to below 1; at least one speaker unless it
    /// is 0.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test: f64,
}

fn default_share() -> f64 {
    0.15
}

pub(super) fn split(
    corpus: &Corpus,
    config: &BySpeaker,
    learned: &[&str],
    seed: u64,
) -> Result<Assignment, Vec<DataError>> {
    let shares = [1.0 - config.validation - config.test, config.validation, config.test];
    let mut errors: Vec<DataError> = [("validation", config.validation), ("test", config.test)]
        .into_iter()
        .filter(|(_, share)| !(0.0..1.0).contains(share))
        .map(|(field, share)| share_error(field, share))
        .collect();
    if errors.is_empty() && shares[0] <= 1e-9 {
        errors.push(DataError::SplitField {
            field: "validation".to_owned(),
            problem: "and `test` together leave nothing to train on".to_owned(),
        });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let units = units(corpus);
    let needed: Vec<SplitName> = SplitName::ALL
        .into_iter()
        .zip(shares)
        .filter(|(_, share)| *share > 0.0)
        .map(|(side, _)| side)
        .collect();
    let mut sides = vec![None; corpus.items.len()];
    for (dataset, own) in by_dataset(&units) {
        // Who is not known may be anybody: nothing is chosen by them or reported on.
        let (unknown, own): (Vec<&Unit>, Vec<&Unit>) = own
            .into_iter()
            .partition(|unit| unit.speakers.iter().any(|speaker| is_unknown(speaker)));
        for item in unknown.into_iter().flat_map(|unit| &unit.items) {
            sides[*item] = Some(SplitName::Train);
        }
        // A single speaker is never enough: even a split without test or validation would report on
        // nobody else.
        let least = needed.len().max(2);
        if own.len() < least {
            errors.push(DataError::TooFewSpeakers {
                dataset: dataset.to_owned(),
                found: own.len(),
                needed: least,
            });
            continue;
        }
        let drawn = draw(&own, &shares, &[0; 3], seed, dataset);
        for (unit, side) in own.iter().zip(drawn) {
            unit.items
                .iter()
                .for_each(|index| sides[*index] = Some(SplitName::ALL[side]));
        }
    }
    if errors.is_empty() {
        assemble(corpus, learned, None, &sides, &needed, None)
    } else {
        Err(errors)
    }
}

/// The units of each dataset.
pub(super) fn by_dataset(units: &[Unit]) -> IndexMap<&str, Vec<&Unit>> {
    let mut datasets: IndexMap<&str, Vec<&Unit>> = IndexMap::new();
    for unit in units {
        datasets.entry(&unit.dataset).or_default().push(unit);
    }
    datasets
}

pub(super) fn share_error(field: &str, share: f64) -> DataError {
    DataError::SplitField {
        field: field.to_owned(),
        problem: format!("is {share}, and a share is from 0 to below 1"),
    }
}
