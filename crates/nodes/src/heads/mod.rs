//! Kinds of the section `heads`.

pub mod attention_classifier;
pub mod early_classifier;
pub mod mean_classifier;
pub mod mlp_classifier;
pub mod mlp_regressor;

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

/// What a head predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicts {
    /// One of several classes.
    Classes,
    /// Numbers.
    Numbers,
}

impl Predicts {
    /// The metrics of such a head, the first of which chooses the best epoch.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Classes => &["uar", "wa", "macro_f1", "weighted_f1", "log_loss"],
            Self::Numbers => &["ccc", "mse"],
        }
    }
}
