//! Kinds of the section `losses`.

pub mod ccc;
pub mod center;
mod compared;
pub mod consistency;
pub mod cross_entropy;
pub mod ctc;
pub mod diversity;
pub mod focal;
mod frames;
pub mod kl_divergence;
pub mod mse;
pub mod sample_contrastive;
pub mod smoothness;
pub mod soft_label_kl;
pub mod supervised_contrastive;
pub mod triplet;

use crate::ramp::Ramp;

/// What is asked of a kind of the section `losses`.
pub trait LossKind {
    /// Its factor in the sum of losses, and how that changes over training.
    fn factor(&self) -> (f64, Option<Ramp>);

    /// Its factor in the sum of losses at a progress of training from 0 to 1.
    fn weight(&self, progress: f64) -> f64 {
        let (weight, ramp) = self.factor();
        weight * ramp.map_or(1.0, |ramp| ramp.at(progress))
    }
}
