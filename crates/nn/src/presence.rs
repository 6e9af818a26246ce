//! Items that lack a stream: on which of a batch a node runs, and what stands for the others.
//!
//! A node runs on the items of a batch that have everything it takes, as if there were no others: what is absent changes
//! no statistic, no draw of another item and no gradient. Behind it, zeros (or sequences of no length, or absent labels)
//! stand for the others. A node that says so ([`crate::node::Layer::takes_partial_items`]) runs on the items that have
//! anything of what it takes. So a loss counts the items that have what it needs.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Which items of a batch have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence(Arc<[bool]>);

impl Presence {
    /// Of each item whether it has one.
    pub fn new(present: Vec<bool>) -> Self {
        Self(present.into())
    }

    /// Of each item whether it has one.
    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// Places of the items that have one.
    pub fn rows(&self) -> Vec<usize> {
        let all = self.0.iter().enumerate();
        all.filter(|(_, present)| **present).map(|(row, _)| row).collect()
    }

    /// Whether all items have one.
    pub fn is_whole(&self) -> bool {
        self.0.iter().all(|present| *present)
    }

    /// Whether no item has one.
    pub fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// Those that have this and the other.
    pub fn and(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(other.0.iter());
        Self(pairs.map(|(a, b)| *a && *b).collect())
    }

    /// Those that have this or the other.
    pub fn or(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(other.0.iter());
        Self(pairs.map(|(a, b)| *a || *b).collect())
    }

    /// True where an item has one.
    ///
    /// # Shapes
    /// - output: `[batch]`
    pub fn mask(&self, device: &Device) -> Tensor<1, Bool> {
        Tensor::from_data(TensorData::new(self.0.to_vec(), [self.0.len()]), device)
    }

    /// For each item its place among those that have one; the number of these for those that have none.
    pub(crate) fn places(&self) -> Vec<usize> {
        let count = self.rows().len();
        let mut next = 0..;
        let place = |present: &bool| if *present { next.next().unwrap_or(count) } else { count };
        self.0.iter().map(place).collect()
    }
}
