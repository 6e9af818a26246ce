//! Kinds of the section `augmentations`, which `crates/audio` computes.

pub mod augmentation;
pub mod augmentation_group;

use emorun_audio::augment::{Augment, AugmentError};
use emorun_lang::NodeRef;

/// What is asked of a kind of the section `augmentations`.
pub trait AugmentationKind {
    /// Names of the datasets to whose training items it is applied; empty for all.
    fn only(&self) -> &[String];

    /// What it does to waveforms of a rate.
    ///
    /// # Errors
    /// A folder or file that it needs is missing or cannot be read.
    fn change(&self, rate_hz: u32) -> Result<Change<'_>, AugmentError>;

    /// Names of the augmentations that it holds, which are then applied nowhere else.
    fn holds(&self) -> &[NodeRef] {
        &[]
    }
}

/// What an augmentation does to a waveform.
pub enum Change<'a> {
    /// A transform, with its probability.
    Transform(Box<dyn Augment>),
    /// Others, that it chooses from.
    Group(Group<'a>),
}

/// A rule by which held augmentations are applied.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Names of the augmentations, in their order.
    pub of: &'a [NodeRef],
    /// Probability with which any is applied.
    pub p: f64,
    /// Least and greatest number of them that are.
    pub count: [usize; 2],
}
