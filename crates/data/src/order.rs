//! Items in the order of their keys, without a copy of every key.

use crate::Item;

/// Indices of items in the order of their keys as `{:?}` writes them.
pub(crate) fn by_key(items: &[Item], indices: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut order: Vec<usize> = indices.collect();
    if !order.iter().all(|&index| is_plain(&items[index].key)) {
        order.sort_by_cached_key(|&index| format!("{:?}", items[index].key));
        return order;
    }
    // Plain keys compare byte by byte, the closing quote last. Most differ within a few bytes of where the first two
    // do, which make a number that sorts fast.
    let bytes = |index: usize| items[index].key.as_bytes();
    let Some(&first) = order.first() else { return order };
    let shared = order.iter().fold(bytes(first).len(), |shared, &index| {
        let same = bytes(index).iter().zip(&bytes(first)[..shared]);
        same.take_while(|(a, b)| a == b).count()
    });
    let start = |index: usize| {
        let mut start = [0_u8; 16];
        let rest = bytes(index)[shared..].iter().chain(std::iter::once(&b'"'));
        start.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
        u128::from_be_bytes(start)
    };
    let mut starts: Vec<(u128, usize)> = order.into_iter().map(|index| (start(index), index)).collect();
    starts.sort_unstable();
    let alike = |a: &(u128, usize), b: &(u128, usize)| a.0 == b.0;
    for run in starts.chunk_by_mut(alike).filter(|run| run.len() > 1) {
        let rest = |index: usize| bytes(index)[shared..].iter().chain(std::iter::once(&b'"'));
        run.sort_by(|a, b| rest(a.1).cmp(rest(b.1)));
    }
    starts.into_iter().map(|(_, index)| index).collect()
}

/// True for a text of which `{:?}` is the text itself, in quotes.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_sorted_lines() {
        let plain = ["d/b", "d/a b", "d/a", "d/a/b", "d/a!", "d/", "d/a#0-1", "d/a#0-1.5"];
        let long: Vec<String> = (0..50).map(|at| format!("d/{}{at}", "x".repeat(at % 7 * 9))).collect();
        let odd = ["d/\"", "d/a\\b", "d/ü", "d/a\u{301}", "d/a\n", "d/b", "d/a"];
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        for keys in [&plain[..], &odd, &long, &[], &["d/one"]] {
            let items: Vec<Item> = keys.iter().map(|key| Item::unlabelled((*key).into(), 1.0)).collect();
            let mut lines: Vec<String> = keys.iter().map(|key| format!("({key:?}, ")).collect();
            lines.sort_unstable();
            let found: Vec<String> = by_key(&items, 0..items.len())
                .into_iter()
                .map(|index| format!("({:?}, ", items[index].key))
                .collect();
            assert_eq!(found, lines);
        }
    }
}
