//! Numbers that are not finite end a run, wherever they arise, and are named.

use burn::tensor::TensorData;
use emorun_data::Items;

use super::Abort;
use crate::memory::work_on;
use emorun_nn::value::Values;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::NamedTensors;

/// Items that a message names.
const NAMED: usize = 4;

/// What helps against weights that grow beyond all bounds.
pub(super) const REMEDY: &str = "lower the learning rate, or set training.clip_norm";

/// The end of a run in which a number of a batch of these items is not finite: where it arose first, and for whom.
pub(super) fn not_finite(network: &Network, values: &Values, items: &Items, batch: &[usize], what: &str) -> Abort {
    let found = network.first_not_finite(values);
    let (node, rows) = match &found {
        Some(found) => (format!("that of node `{}`", found.node), found.items.as_slice()),
        None => ("the sum of losses".to_owned(), &[][..]),
    };
    let of: Vec<usize> = rows.iter().filter_map(|&row| batch.get(row).copied()).collect();
    let (whose, of) = if of.is_empty() || of.len() == batch.len() {
        ("the batch holds", batch)
    } else {
        ("it is so for", &of[..])
    };
    Abort::Diverged(format!(
        "{what}: the first output that is not finite is {node}; {whose} {}; {REMEDY}",
        names(items, of)
    ))
}

/// The first items by their paths, and how many more there are.
pub(super) fn names(items: &Items, of: &[usize]) -> String {
    let mut names: Vec<String> = of
        .iter()
        .take(NAMED)
        .filter_map(|&item| Some(items.get(item).ok()?.display_path()))
        .collect();
    if of.len() > names.len() {
        names.push(format!("and {} more", of.len() - names.len()));
    }
    names.join(", ")
}

/// Notes that a batch is worked on, by its longest item, to be named should memory end.
pub(super) fn work_on_batch(items: &Items, batch: &[usize]) {
    let durations_s = items.durations_s();
    let longest = batch
        .iter()
        .max_by(|a, b| durations_s[**a].total_cmp(&durations_s[**b]));
    if let Some(&longest) = longest {
        let what = format!(
            "a batch of {} item(s), the longest of which is {} ({:.1} s)",
            batch.len(),
            names(items, &[longest]),
            durations_s[longest]
        );
        work_on(what, false);
    }
}

/// The first tensor with a number that is not finite.
pub(super) fn first_in(tensors: &NamedTensors) -> Option<&str> {
    let is_finite = |data: &TensorData| data.iter::<f32>().all(f32::is_finite);
    let mut bad = tensors.iter().filter(|(_, data)| !is_finite(data));
    bad.next().map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_that_is_not_finite_is_named() {
        let tensor = |numbers: [f32; 2]| TensorData::new(numbers.to_vec(), [2]);
        let mut tensors = NamedTensors::from([
            ("a.weight".to_owned(), tensor([1.0, -1.0])),
            ("b.bias".to_owned(), tensor([0.0, f32::MAX])),
        ]);
        assert_eq!(first_in(&tensors), None);
        tensors.insert("b.weight".to_owned(), tensor([f32::NEG_INFINITY, 0.0]));
        tensors.insert("c.weight".to_owned(), tensor([f32::NAN, 0.0]));
        assert_eq!(first_in(&tensors), Some("b.weight"));
    }
}
