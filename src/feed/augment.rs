//! The pipeline of waveform augmentations, and which version of an item it makes.

use emorun_audio::augment::{Augment, AugmentError};
use emorun_data::Item;
use emorun_features::KeyBuilder;

use crate::draw::DrawKey;

/// A version of an item: as it is, or as augmentation has drawn it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    /// As it is.
    Plain,
    /// Augmented with draws for a key.
    Augmented {
        /// Key of the epoch, or of the view.
        key: DrawKey,
        /// Which of the versions that come again; `None` for one that never does.
        view: Option<u64>,
    },
}

impl Version {
    /// What tells versions apart that come again; `None` for one that never does.
    pub fn again(&self) -> Option<Option<u64>> {
        match self {
            Self::Plain => Some(None),
            Self::Augmented { view, .. } => view.map(Some),
        }
    }
}

/// An augmentation in its place.
#[derive(Debug)]
pub struct AugmentationStep {
    /// Name of the node.
    pub name: String,
    /// Datasets that it is for; empty for all.
    pub only: Vec<String>,
    /// What it does.
    pub augment: Box<dyn Augment>,
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
        }
    }

    /// Changes an item's waveform.
    ///
    /// # Errors
    /// A file that an augmentation reads cannot be read any more; with the node's name.
    pub fn apply(&self, wave: &mut Vec<f32>, item: &Item, version: &Version) -> Result<(), (String, AugmentError)> {
        let Version::Augmented { key, .. } = version else {
            return Ok(());
        };
        let for_item = |step: &&AugmentationStep| step.only.is_empty() || step.only.contains(&item.dataset);
        for step in self.steps.iter().filter(for_item) {
            let mut rng = key.with(&item.key).with(&step.name).rng();
            step.augment
                .apply(wave, &mut rng)
                .map_err(|error| (step.name.clone(), error))?;
        }
        Ok(())
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
