//! Kinds of the section `augmentations`, which `crates/audio` computes.

pub mod augmentation;
pub mod augmentation_group;
