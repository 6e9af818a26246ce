//! Which items form which batch of which epoch.

use rand::RngExt;

use emorun_nn::draw::{DrawKey, permutation};

/// Batches of items of like length, which need little padding.
#[derive(Clone, Copy)]
pub struct ByLength<'a> {
    /// Batches whose items are sorted together.
    pub window: usize,
    /// Length of an item in seconds.
    pub length: &'a dyn Fn(usize) -> f64,
    /// Most seconds of a batch: its items times the longest of them; `None` for no bound.
    pub max_seconds: Option<f64>,
}

/// Batches of an epoch of training: all items once, in an order drawn for (seed, epoch).
///
/// One batch may be smaller; one of a single item is left out, because batch statistics of one item
/// say nothing. With `by_length` the drawn order is cut into windows, each sorted and cut into
/// batches, which come in an order of their own; bounded in seconds, no item is left out, and how many
/// batches there are differs a little from epoch to epoch.
pub fn training_batches(
    items: &[usize],
    batch_size: usize,
    by_length: Option<ByLength<'_>>,
    key: &DrawKey,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let batch_size = batch_size.max(1);
    let mut order: Vec<usize> = permutation(&key.with("order").at(epoch), items.len())
        .into_iter()
        .map(|at| items[at])
        .collect();
    let bound = by_length.and_then(|by_length| by_length.max_seconds);
    if bound.is_none() && batch_size > 1 && order.len() > batch_size && order.len() % batch_size == 1 {
        order.pop();
    }
    let Some(ByLength { window, length, .. }) = by_length else {
        return cut(&order, batch_size);
    };
    let window = batch_size.saturating_mul(window.max(1));
    for window in order.chunks_mut(window) {
        window.sort_by(|&a, &b| length(a).total_cmp(&length(b)));
    }
    if let Some(max_seconds) = bound {
        let mut rng = key.with("first batches").at(epoch).rng();
        let mut batches = Vec::new();
        for window in order.chunks(window) {
            // A first batch of drawn size, so that the same items do not meet every epoch.
            let first = rng.random_range(1..=batch_size);
            cut_bounded(window, first, batch_size, max_seconds, length, &mut batches);
        }
        return shuffled(batches, key, epoch);
    }
    let mut batches = cut(&order, batch_size);
    // The smaller batch holds the longest items of the last window: which, must not be the same ones
    // every epoch, so it takes its items at a drawn place.
    let rest = order.len() % batch_size;
    if rest > 0 {
        let first = (order.len() - 1) / window * window;
        let whole = (order.len() - first) / batch_size;
        let before = key.with("smaller batch").at(epoch).rng().random_range(0..=whole);
        let (front, back) = order[first..].split_at(before * batch_size);
        let (smaller, back) = back.split_at(rest);
        batches.truncate(first / batch_size);
        batches.extend(cut(front, batch_size));
        batches.push(smaller.to_vec());
        batches.extend(cut(back, batch_size));
    }
    shuffled(batches, key, epoch)
}

fn shuffled(mut batches: Vec<Vec<usize>>, key: &DrawKey, epoch: u64) -> Vec<Vec<usize>> {
    permutation(&key.with("batches").at(epoch), batches.len())
        .into_iter()
        .map(|at| std::mem::take(&mut batches[at]))
        .collect()
}

/// Cuts items, the shortest first, into batches of at most `batch_size` items, the first of at most
/// `first`, whose number times the longest is at most `max_seconds`. An item that is longer by itself is a
/// batch of its own.
fn cut_bounded(
    items: &[usize],
    first: usize,
    batch_size: usize,
    max_seconds: f64,
    length: &dyn Fn(usize) -> f64,
    batches: &mut Vec<Vec<usize>>,
) {
    let (mut batch, mut most) = (Vec::new(), first);
    for &item in items {
        let padded = (batch.len() + 1) as f64 * length(item);
        if !batch.is_empty() && (batch.len() >= most || padded > max_seconds) {
            batches.push(std::mem::take(&mut batch));
            most = batch_size;
        }
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
}

fn cut(items: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    items.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

/// Batches in the order of the items.
pub fn plain_batches(items: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    cut(items, batch_size)
}

/// Batches for evaluation: of like length, the longest first, so that what does not fit into memory
/// shows at once.
pub fn evaluation_batches(items: &[usize], batch_size: usize, length: impl Fn(usize) -> f64) -> Vec<Vec<usize>> {
    let mut order = items.to_vec();
    order.sort_by(|&a, &b| length(b).total_cmp(&length(a)));
    cut(&order, batch_size)
}

/// Share of batches padded to their longest items that is padding.
pub fn padding(batches: &[Vec<usize>], length: impl Fn(usize) -> f64) -> f64 {
    let (mut used, mut padded) = (0.0, 0.0);
    for batch in batches {
        let longest = batch.iter().map(|&item| length(item)).fold(0.0, f64::max);
        padded += longest * batch.len() as f64;
        used += batch.iter().map(|&item| length(item)).sum::<f64>();
    }
    if padded > 0.0 { 1.0 - used / padded } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths in seconds as in spontaneous speech: log-normal, a median of 3.5 s, few above 12 s.
    fn lengths(count: usize) -> Vec<f64> {
        let mut rng = DrawKey::root(3).rng();
        (0..count)
            .map(|_| {
                let normal = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                (1.25 + 0.6 * normal).exp().clamp(0.6, 30.0)
            })
            .collect()
    }

    fn by_length<'a>(window: usize, length: &'a dyn Fn(usize) -> f64) -> Option<ByLength<'a>> {
        Some(ByLength {
            window,
            length,
            max_seconds: None,
        })
    }

    #[test]
    fn bounded_batches_hold_every_item_once_and_no_more_seconds_than_asked_for() {
        let lengths = lengths(3000);
        let length = |item: usize| lengths[item];
        let items: Vec<usize> = (0..3000).collect();
        let key = DrawKey::root(5);
        for (window, max_seconds) in [(3, 40.0), (200, 20.0), (200, 2.0), (50, 1e9)] {
            let sorted = ByLength {
                window,
                length: &length,
                max_seconds: Some(max_seconds),
            };
            let batches = |epoch| training_batches(&items, 16, Some(sorted), &key, epoch);
            assert_eq!(batches(3), batches(3));
            assert_ne!(batches(3), batches(4));
            let mut seen = batches(3).concat();
            seen.sort_unstable();
            assert_eq!(seen, items, "no item is left out or comes twice");
            for batch in batches(3) {
                let longest = batch.iter().map(|&item| length(item)).fold(0.0, f64::max);
                let padded = longest * batch.len() as f64;
                assert!(
                    batch.len() <= 16 && (padded <= max_seconds || batch.len() == 1),
                    "{padded} s"
                );
            }
            let company = |epoch| {
                let mut own = batches(epoch).into_iter().find(|batch| batch.contains(&7)).unwrap();
                own.sort_unstable();
                own
            };
            let always = (0..20).all(|epoch| company(epoch) == company(0));
            assert!(
                max_seconds < 3.0 || !always,
                "an item has other company in another epoch"
            );
        }
        let bounded = |max_seconds| {
            let max_seconds = Some(max_seconds);
            ByLength {
                window: 200,
                length: &length,
                max_seconds,
            }
        };
        let share = padding(&training_batches(&items, 64, Some(bounded(60.0)), &key, 0), length);
        assert!(share < 0.05, "{share:.3}");
    }

    #[test]
    fn every_item_comes_once_an_epoch_in_another_order() {
        let items: Vec<usize> = (10..31).collect();
        let key = DrawKey::root(42);
        let length = |item: usize| (item % 7) as f64;
        for by_length in [None, by_length(2, &length), by_length(100, &length)] {
            let batches = |size, epoch| training_batches(&items, size, by_length, &key, epoch);
            let first = batches(4, 0);
            assert_ne!(first, batches(4, 1));
            assert_eq!(first, batches(4, 0));
            let other = training_batches(&items, 4, by_length, &DrawKey::root(43), 0);
            assert_ne!(first, other, "another seed");
            let mut seen: Vec<usize> = batches(5, 0).concat();
            assert_eq!(seen.len(), 20, "21 items in batches of 5 leave one alone");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 20);
            let mut sizes: Vec<usize> = batches(6, 0).iter().map(Vec::len).collect();
            sizes.sort_unstable();
            assert_eq!(sizes, [3, 6, 6, 6]);
        }
    }

    #[test]
    fn items_of_like_length_need_less_than_a_twentieth_of_padding() {
        let key = DrawKey::root(7);
        for (count, batch_size, window) in [
            (5500, 8, 200),
            (5500, 32, 200),
            (1100, 8, 200),
            (20_000, 16, 200),
            (5500, 4, 50),
        ] {
            let lengths = lengths(count);
            let length = |item: usize| lengths[item];
            let items: Vec<usize> = (0..count).collect();
            let share = |by_length| padding(&training_batches(&items, batch_size, by_length, &key, 1), length);
            assert!(share(None) > 0.3, "{count} items: {:.3}", share(None));
            let sorted = share(by_length(window, &length));
            assert!(sorted < 0.05, "{count} items by {batch_size}: {sorted:.3}");
            let evaluated = padding(&evaluation_batches(&items, batch_size, length), length);
            assert!(evaluated < 0.05, "{count} items by {batch_size}: {evaluated:.3}");
        }
    }

    #[test]
    fn no_item_is_always_in_the_smaller_batch_or_left_out() {
        let items: Vec<usize> = (0..23).collect();
        let length = |item: usize| item as f64;
        let sorted = by_length(50, &length);
        for (size, rest) in [(4, 3), (11, 1)] {
            let mut seen: Vec<usize> = (0..40)
                .filter_map(|epoch| {
                    let batches = training_batches(&items, size, sorted, &DrawKey::root(1), epoch);
                    match rest {
                        1 => items.iter().copied().find(|item| !batches.concat().contains(item)),
                        _ => batches.iter().find(|batch| batch.len() == rest).map(|batch| batch[0]),
                    }
                })
                .collect();
            assert_eq!(seen.len(), 40);
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() > 4, "{seen:?}");
        }
    }

    #[test]
    fn batches_in_evaluation_hold_every_item_the_longest_first() {
        let batches = evaluation_batches(&[5, 1, 3, 2], 3, |item| item as f64);
        assert_eq!(batches, [vec![5, 3, 2], vec![1]]);
        assert_eq!(padding(&batches, |item| item as f64), 1.0 - 11.0 / 16.0);
        assert_eq!(padding(&[], |_| 1.0), 0.0);
    }
}
