//! What is asked of a kind of node because it is a pretrained encoder.

use emorun_lang::InputSignals;
use emorun_nn::facts::Facts;

use super::config::ConfigError;
use super::miniature::Miniature;
use super::settings::{Preparation, Pretrained};

/// What is known of an encoder because it is pretrained.
pub trait PretrainedKind {
    /// The fields that all of them share.
    fn settings(&self) -> &Pretrained;

    /// Whether its checkpoint's sizes are known by its name.
    fn is_known(&self) -> bool;

    /// How the waveform is prepared, for an encoder that takes waveforms as they are; `None` where the checkpoint is not
    /// known.
    fn preparation(&self, facts: &Facts) -> Option<Preparation> {
        self.settings().preparation(facts)
    }

    /// Seconds that it hears of each item, where there is a bound.
    fn hears_s(&self) -> Option<f64> {
        None
    }

    /// Why what is frozen cannot be kept; `None` if it can.
    fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String>;

    /// What the user should know of how it is trained.
    fn remark(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Option<String> {
        None
    }

    /// A tiny checkpoint in place of its own.
    ///
    /// # Errors
    /// The configuration cannot be used.
    fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError>;
}
