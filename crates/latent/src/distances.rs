//! Distances between all pairs of items, and the nearest of each.

use rayon::prelude::*;

use crate::Vectors;

/// Euclidean distances between all pairs of items, squared.
#[derive(Clone, Debug)]
pub struct Distances {
    items: usize,
    /// The pairs `(i, j)`, `j < i`, row after row.
    squared: Vec<f64>,
}

impl Distances {
    /// Distances between vectors.
    pub fn of(vectors: &Vectors) -> Self {
        // Columns of the transpose lie together in memory.
        let by_item = vectors.matrix().transpose();
        let columns: Vec<&[f64]> = by_item.as_slice().chunks(vectors.width()).collect();
        Self::between(&columns)
    }

    /// Distances on a plane.
    pub fn on_plane(places: &[[f64; 2]]) -> Self {
        Self::between(places)
    }

    /// Distances between some of the items, in the order given.
    pub(crate) fn among(&self, items: &[usize]) -> Self {
        let pairs = items.iter().enumerate();
        let row = |(at, one): (usize, &usize)| items[..at].iter().map(|other| self.squared(*one, *other)).collect();
        let rows: Vec<Vec<f64>> = pairs.map(row).collect();
        Self {
            items: items.len(),
            squared: rows.concat(),
        }
    }

    fn between<V: AsRef<[f64]> + Sync>(points: &[V]) -> Self {
        let row = |i: usize| {
            let one = points[i].as_ref();
            let to = |other: &V| {
                let pairs = one.iter().zip(other.as_ref());
                pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
            };
            points[..i].iter().map(to).collect::<Vec<f64>>()
        };
        let rows: Vec<Vec<f64>> = (0..points.len()).into_par_iter().map(row).collect();
        Self {
            items: points.len(),
            squared: rows.concat(),
        }
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The squared distance between two.
    pub fn squared(&self, one: usize, other: usize) -> f64 {
        match one.cmp(&other) {
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => self.squared[one * (one - 1) / 2 + other],
            std::cmp::Ordering::Less => self.squared[other * (other - 1) / 2 + one],
        }
    }

    /// The distance between two.
    pub fn between_items(&self, one: usize, other: usize) -> f64 {
        self.squared(one, other).sqrt()
    }

    /// The other items, the nearest first; of those that are as near the first in order.
    pub(crate) fn nearest(&self, item: usize) -> Vec<usize> {
        let mut others: Vec<usize> = (0..self.items).filter(|other| *other != item).collect();
        others.sort_by(|a, b| self.squared(item, *a).total_cmp(&self.squared(item, *b)));
        others
    }

    /// Median of the distances between all pairs.
    pub(crate) fn median(&self) -> f64 {
        if self.squared.is_empty() {
            return 0.0;
        }
        let mut sorted = self.squared.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            1 => sorted[middle].sqrt(),
            _ => f64::midpoint(sorted[middle - 1].sqrt(), sorted[middle].sqrt()),
        }
    }
}
