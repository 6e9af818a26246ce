//! Whether a linear classifier finds out who speaks.

use std::collections::BTreeMap;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::logistic::Logistic;
use crate::{LatentError, Vectors};

/// Folds, as far as a speaker has so many items.
pub const FOLDS: usize = 5;

/// What a linear classifier finds out about speakers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Items of speakers that have at least two.
    pub items: usize,
    /// Those speakers.
    pub speakers: usize,
    /// Folds.
    pub folds: usize,
    /// Share of items whose speaker was found.
    pub accuracy: f64,
    /// Share of a guess: one in as many as there are speakers.
    pub chance: f64,
    /// Share of items of the speaker who has most.
    pub majority: f64,
}

/// Finds out speakers by a multinomial logistic regression with an L2 penalty of 1, over folds: of each speaker's items, in
/// their order, the first goes to the first fold, the next to the next, and so on, so that every speaker is known to all
/// folds. Dimensions are standardised by the items that a fold is fitted on. Speakers of one item are left out, as are items
/// without a speaker. `speakers` has a place for each item.
///
/// # Errors
/// The speakers are not of these items, or fewer than two of them have two items.
///
/// # Source
/// Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes, 2016.
pub fn probe(vectors: &Vectors, speakers: &[Option<usize>]) -> Result<Probe, LatentError> {
    if speakers.len() != vectors.items() {
        return Err(LatentError::Labels {
            labels: speakers.len(),
            items: vectors.items(),
        });
    }
    let mut by_speaker: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (item, speaker) in speakers.iter().enumerate() {
        if let Some(speaker) = speaker {
            by_speaker.entry(*speaker).or_default().push(item);
        }
    }
    let known: Vec<&Vec<usize>> = by_speaker.values().filter(|items| items.len() > 1).collect();
    let most = known.iter().map(|items| items.len()).max().unwrap_or(0);
    if known.len() < 2 {
        return Err(LatentError::Speakers);
    }
    let folds = FOLDS.min(most);
    let items: usize = known.iter().map(|items| items.len()).sum();
    let mut found = 0;
    for fold in 0..folds {
        let (mut fitted, mut held) = (Vec::new(), Vec::new());
        for (speaker, items) in known.iter().enumerate() {
            for (place, item) in items.iter().enumerate() {
                let side = if place % folds == fold { &mut held } else { &mut fitted };
                side.push((*item, speaker));
            }
        }
        found += found_in(vectors, &fitted, &held, known.len());
    }
    Ok(Probe {
        items,
        speakers: known.len(),
        folds,
        accuracy: found as f64 / items as f64,
        chance: 1.0 / known.len() as f64,
        majority: most as f64 / items as f64,
    })
}

/// How many of the held-out items' speakers are found.
fn found_in(vectors: &Vectors, fitted: &[(usize, usize)], held: &[(usize, usize)], speakers: usize) -> usize {
    let rows = |side: &[(usize, usize)]| {
        let items: Vec<usize> = side.iter().map(|(item, _)| *item).collect();
        vectors.matrix().select_rows(&items)
    };
    let (mut inputs, mut others) = (rows(fitted), rows(held));
    standardise(&mut inputs, &mut others);
    let classes: Vec<usize> = fitted.iter().map(|(_, speaker)| *speaker).collect();
    let predicted = Logistic::fit(&inputs, &classes, speakers).predict(&others);
    let pairs = predicted.iter().zip(held);
    pairs.filter(|(predicted, (_, speaker))| *predicted == speaker).count()
}

/// Gives every dimension mean 0 and standard deviation 1, by the first; one without spread keeps it.
fn standardise(inputs: &mut DMatrix<f64>, others: &mut DMatrix<f64>) {
    for (mut column, mut other) in inputs.column_iter_mut().zip(others.column_iter_mut()) {
        let (mean, sd) = (column.mean(), column.variance().sqrt());
        // Below the rounding of the mean there is no spread.
        let sd = if sd > 1e-12 * mean.abs() { sd } else { 1.0 };
        for value in column.iter_mut().chain(other.iter_mut()) {
            *value = (*value - mean) / sd;
        }
    }
}
