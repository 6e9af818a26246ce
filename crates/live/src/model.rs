//! What a listener knows of the model.

use std::sync::Arc;

use emorun_recognise::{Head, Recogniser};

/// What a model takes, and what it answers.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its heads, in the order of answers.
    pub heads: Arc<[Head]>,
    /// Sample rate that it takes, in Hz.
    pub rate_hz: u32,
    /// Samples of the shortest clip that it takes.
    pub shortest: usize,
}

impl Model {
    /// What a recogniser says of itself.
    #[must_use]
    pub fn of(recogniser: &dyn Recogniser) -> Self {
        Self {
            heads: recogniser.heads().into(),
            rate_hz: recogniser.rate_hz(),
            shortest: recogniser.shortest(),
        }
    }
}
