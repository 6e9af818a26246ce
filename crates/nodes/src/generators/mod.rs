//! Kinds of the section `generators`.

pub mod window_rollout;

use crate::heads::Predicts;

/// What is asked of a kind of the section `generators`.
pub trait GeneratorKind {
    /// What it gives, to be compared with its target.
    fn predicts(&self) -> Predicts;
}
