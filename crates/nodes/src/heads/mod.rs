//! Kinds of the section `heads`.

pub mod attention_classifier;
pub mod early_classifier;
pub mod mean_classifier;
pub mod mlp_classifier;
pub mod mlp_regressor;

pub use emorun_metrics::Predicts;

use crate::policies::Rollout;

/// What is asked of a kind of the section `heads`.
pub trait HeadKind {
    /// What it predicts.
    fn predicts(&self) -> Predicts;

    /// Where a policy that it holds finds what it learns from; `None` for a head that holds none.
    fn rollout(&self) -> Option<Rollout> {
        None
    }
}
