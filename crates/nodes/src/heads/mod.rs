//! Kinds of the section `heads`.

pub mod attention_classifier;
pub mod early_classifier;
pub mod mean_classifier;
pub mod mlp_classifier;
pub mod mlp_regressor;

/// What is asked of a kind of the section `heads`.
pub trait HeadKind {
    /// What it predicts.
    fn predicts(&self) -> Predicts;
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

    /// The kind of loss that such a head is usually trained by, to be named in advice.
    pub fn usual_loss(self) -> &'static str {
        match self {
            Self::Classes => "cross_entropy",
            Self::Numbers => "ccc",
        }
    }
}
