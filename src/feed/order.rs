//! Which items form which batch of which epoch.

use crate::draw::{DrawKey, permutation};

/// Batches of an epoch of training: all items once, in an order drawn for (seed, epoch).
///
/// The last batch may be smaller; one of a single item is left out, because batch statistics of
/// one item say nothing.
pub fn training_batches(items: &[usize], batch_size: usize, key: &DrawKey, epoch: u64) -> Vec<Vec<usize>> {
    let order = permutation(&key.with("order").at(epoch), items.len());
    let mut batches: Vec<Vec<usize>> = order
        .chunks(batch_size.max(1))
        .map(|chunk| chunk.iter().map(|&at| items[at]).collect())
        .collect();
    if batches.len() > 1 && batch_size > 1 && batches.last().is_some_and(|batch| batch.len() == 1) {
        batches.pop();
    }
    batches
}

/// Batches in the order of the items, for evaluation and fitting.
pub fn plain_batches(items: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    items.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_an_epoch_in_another_order() {
        let items: Vec<usize> = (10..31).collect();
        let key = DrawKey::root(42);
        let first = training_batches(&items, 4, &key, 0);
        assert_ne!(first, training_batches(&items, 4, &key, 1));
        assert_eq!(first, training_batches(&items, 4, &key, 0));
        let mut seen: Vec<usize> = training_batches(&items, 5, &key, 0).concat();
        assert_eq!(seen.len(), 20, "21 items in batches of 5 leave one alone");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 20);
    }
}
