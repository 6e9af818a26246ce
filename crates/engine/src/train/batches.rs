//! Which items form the batches of a training, by its settings.

use emorun_data::Items;

use crate::feed::order::{ByLength, padding, training_batches};
use crate::settings::{Batching, Training};
use emorun_nn::draw::DrawKey;

/// Batches of an epoch of training on some items of a corpus.
pub fn epoch_batches(training: &Training, corpus: &Items, items: &[usize], seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let length = |item: usize| corpus.durations_s()[item];
    let by_length = match &training.batching {
        Batching::Random => None,
        Batching::ByLength(settings) => Some(ByLength {
            window: settings.window,
            length: &length,
            max_seconds: training.batching.max_seconds(),
        }),
    };
    training_batches(items, training.batch_size, by_length, &DrawKey::root(seed), epoch)
}

/// Share of batches that is padding.
pub fn padding_share(corpus: &Items, batches: &[Vec<usize>]) -> f64 {
    padding(batches, |item| corpus.durations_s()[item])
}
