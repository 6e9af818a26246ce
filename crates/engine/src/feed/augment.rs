//! The pipeline of waveform augmentations, and which version of an item it makes.

use std::sync::Arc;

use emorun_audio::augment::{Augment, AugmentError, Wave};
use emorun_data::Item;
use emorun_features::KeyBuilder;
use rand::RngExt;

use emorun_nn::draw::DrawKey;

/// A version of an item: as it is, or as augmentation has drawn it.
#[derive(Clone, Debug, PartialEq)]
pub enum Version {
    /// As it is.
    Plain,
    /// Augmented with draws for a key.
    Augmented {
        /// Key of the epoch, or of the view.
        key: DrawKey,
        /// Which of the versions that come again; `None` for one that never does.
        view: Option<u64>,
        /// What policies have chosen.
        strengths: Strengths,
    },
}

/// Shares that are left of augmentations' probabilities, by node; those that are not named keep theirs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strengths(Arc<[(String, f64)]>);

impl Strengths {
    /// Shares from 0 to 1 by the augmentation's name.
    pub fn new(shares: Vec<(String, f64)>) -> Self {
        Self(shares.into())
    }

    /// The share of an augmentation; `None` for one that keeps its probability.
    fn of(&self, name: &str) -> Option<f64> {
        let (_, share) = self.0.iter().find(|(named, _)| named == name)?;
        Some(*share)
    }
}

impl Version {
    /// The version with augmentations as strong as policies have chosen, which never comes again.
    pub fn with(self, strengths: &Strengths) -> Self {
        match self {
            Self::Augmented { key, .. } if !strengths.0.is_empty() => Self::Augmented {
                key,
                view: None,
                strengths: strengths.clone(),
            },
            version => version,
        }
    }

    /// What tells versions apart that come again; `None` for one that never does.
    pub fn again(&self) -> Option<Option<u64>> {
        match self {
            Self::Plain => Some(None),
            Self::Augmented { view, .. } => view.map(Some),
        }
    }
}

/// What an augmentation has drawn for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Name of its node.
    pub node: String,
    /// What was drawn, for people.
    pub note: String,
}

/// An augmentation in its place.
#[derive(Debug)]
pub struct AugmentationStep {
    /// Name of the node.
    pub name: String,
    /// Datasets that it is for; empty for all.
    pub only: Vec<String>,
    /// What it does.
    pub change: Change,
}

/// What an augmentation does.
#[derive(Debug)]
pub enum Change {
    /// It changes the waveform itself.
    Transform(Box<dyn Augment>),
    /// It applies others, in their order.
    Group {
        /// Probability with which it applies any.
        p: f64,
        /// Least and greatest number of them that are chosen.
        count: [usize; 2],
        /// The others.
        steps: Vec<AugmentationStep>,
    },
}

impl AugmentationStep {
    /// The least and greatest length, in samples, of what had a least and greatest length before this step, which may
    /// pass over items of other datasets than its own.
    fn lengths(before: [usize; 2], step: &Self) -> [usize; 2] {
        let either = |one: [usize; 2], other: [usize; 2]| [one[0].min(other[0]), one[1].max(other[1])];
        let applied = match &step.change {
            Change::Transform(augment) => [augment.shortest(before[0]), augment.longest(before[1])],
            Change::Group { p, count, steps } => match count {
                [least, _] if *least == steps.len() && *p >= 1.0 => steps.iter().fold(before, Self::lengths),
                [_, 1] => {
                    let each = steps.iter().map(|step| Self::lengths(before, step));
                    each.fold(before, either)
                }
                // Any of them, in their order.
                _ => steps
                    .iter()
                    .fold(before, |lengths, step| either(lengths, Self::lengths(lengths, step))),
            },
        };
        if step.only.is_empty() {
            applied
        } else {
            either(before, applied)
        }
    }

    /// Changes an item's waveform; `key` is that of the item and its version. What was drawn goes to `drawn`, where the
    /// waveform takes notes.
    fn apply(
        &self,
        wave: &mut Wave,
        dataset: &str,
        key: &DrawKey,
        strengths: &Strengths,
        drawn: &mut Vec<Drawn>,
    ) -> Result<(), (String, AugmentError)> {
        if !self.only.is_empty() && !self.only.iter().any(|name| name == dataset) {
            return Ok(());
        }
        let own = key.with(&self.name);
        // Drawn apart: what is left is changed as it would be at full strength.
        if let Some(share) = strengths.of(&self.name)
            && own.with("strength").rng().random::<f64>() >= share
        {
            return Ok(());
        }
        let mut rng = own.rng();
        match &self.change {
            Change::Transform(augment) => {
                augment
                    .apply(wave, &mut rng)
                    .map_err(|error| (self.name.clone(), error))?;
                drawn.extend(wave.take_notes().into_iter().map(|note| Drawn {
                    node: self.name.clone(),
                    note,
                }));
                Ok(())
            }
            Change::Group { p, count, steps } => {
                if rng.random::<f64>() >= *p {
                    return Ok(());
                }
                let [least, most] = *count;
                let mut wanted = rng.random_range(least..=most);
                // Each is as likely as any other to be among those that are still wanted.
                for (at, step) in steps.iter().enumerate() {
                    let left = steps.len() - at;
                    if rng.random_range(0..left) < wanted {
                        wanted -= 1;
                        step.apply(wave, dataset, key, strengths, drawn)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// All augmentations, in the order of the file.
#[derive(Debug, Default)]
pub struct Augmentations {
    /// The steps.
    pub steps: Vec<AugmentationStep>,
    /// Number of versions of each item that come again in turn; `None` for a new one each epoch.
    pub views: Option<u64>,
    /// Hash of all configurations and of the files that they read.
    pub hash: [u8; 32],
    /// Key of the draws for items that are evaluated, where these are changed too: to measure a run under a condition.
    pub evaluated: Option<DrawKey>,
}

impl Augmentations {
    /// The version of training items in an epoch.
    pub fn version(&self, seed: u64, epoch: u64) -> Version {
        if self.steps.is_empty() {
            return Version::Plain;
        }
        let view = self.views.map(|views| epoch % views.max(1));
        Version::Augmented {
            key: DrawKey::root(seed).with("augment").at(view.unwrap_or(epoch)),
            view,
            strengths: Strengths::default(),
        }
    }

    /// The version of items that are evaluated.
    pub fn evaluated_version(&self) -> Version {
        self.evaluated.map_or(Version::Plain, |key| Version::Augmented {
            key,
            view: None,
            strengths: Strengths::default(),
        })
    }

    /// An item's waveform at a sampling rate, changed.
    ///
    /// # Errors
    /// A file that an augmentation reads cannot be read any more; with the node's name.
    pub fn apply(
        &self,
        samples: Vec<f32>,
        rate_hz: u32,
        item: &Item,
        version: &Version,
    ) -> Result<Vec<f32>, (String, AugmentError)> {
        let (samples, _) = self.change(Wave::new(samples, rate_hz), item, version)?;
        Ok(samples)
    }

    /// As [`Self::apply`], with what was drawn.
    ///
    /// # Errors
    /// As there.
    pub fn apply_noting(
        &self,
        samples: Vec<f32>,
        rate_hz: u32,
        item: &Item,
        version: &Version,
    ) -> Result<(Vec<f32>, Vec<Drawn>), (String, AugmentError)> {
        self.change(Wave::new(samples, rate_hz).noting(), item, version)
    }

    fn change(
        &self,
        mut wave: Wave,
        item: &Item,
        version: &Version,
    ) -> Result<(Vec<f32>, Vec<Drawn>), (String, AugmentError)> {
        let mut drawn = Vec::new();
        if let Version::Augmented { key, strengths, .. } = version {
            let key = key.with(&item.key);
            for step in &self.steps {
                step.apply(&mut wave, &item.dataset, &key, strengths, &mut drawn)?;
            }
        }
        Ok((wave.into_samples(), drawn))
    }

    /// The least and greatest number of samples that a version of an item can have, which has so many as it is.
    pub fn lengths(&self, samples: usize) -> [usize; 2] {
        self.steps.iter().fold([samples; 2], AugmentationStep::lengths)
    }

    /// The first augmentation that can make an item of so many samples shorter than `least`.
    pub fn shortens_below(&self, least: usize, samples: usize) -> Option<&str> {
        let mut lengths = [samples; 2];
        let step = self.steps.iter().find(|step| {
            lengths = AugmentationStep::lengths(lengths, step);
            lengths[0] < least
        });
        step.map(|step| step.name.as_str())
    }

    /// Adds what a version of an item follows from to a key.
    pub fn add_to(&self, key: KeyBuilder, version: &Version) -> KeyBuilder {
        match version {
            Version::Plain => key.part("version", "plain"),
            Version::Augmented { key: draws, .. } => key
                .part("version", self.hash)
                .part("draws", draws.device_seed().to_le_bytes()),
        }
    }
}
