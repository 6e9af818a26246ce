//! Kinds of the section `heads`.

pub mod attention_classifier;
pub mod early_classifier;
pub mod frame_regressor;
pub mod mean_classifier;
pub mod mlp_classifier;
pub mod mlp_regressor;

pub use emorun_metrics::Predicts;

/// What is asked of a kind of the section `heads`.
pub trait HeadKind {
    /// What it predicts.
    fn predicts(&self) -> Predicts;
}

/// The kind of loss that a head is usually trained by, to be named in advice.
pub fn usual_loss(predicts: Predicts) -> &'static str {
    match predicts {
        Predicts::Classes => "cross_entropy",
        Predicts::Numbers => "ccc",
        Predicts::Frames => "mse",
    }
}
