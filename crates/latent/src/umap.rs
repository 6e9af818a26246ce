//! Uniform manifold approximation and projection.
//!
//! # Source
//! McInnes, Healy and Melville, UMAP, arXiv:1802.03426, 2018, and umap-learn 0.5 with its defaults: 15 neighbours counting
//! the item itself, least distance 0.1, 5 negative samples, 500 epochs. Neighbours are exact, and the start is the
//! principal components (`init="pca"` there).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use crate::Distances;
use crate::smooth::find_increasing;

/// Neighbours of an item, itself among them.
pub(crate) const NEIGHBOURS: usize = 15;
const EPOCHS: usize = 500;
const NEGATIVE_SAMPLES: f64 = 5.0;
/// The curve `1 / (1 + A d^(2B))` that is nearest to a least distance of 0.1 and a spread of 1.
const A: f64 = 1.576_943_460_311_307_7;
const B: f64 = 0.895_060_878_910_973_3;
/// Least width of a neighbourhood, as a share of the mean distance in it.
const LEAST_WIDTH: f64 = 1e-3;
/// Size of the plane at the start.
const SIZE: f64 = 10.0;
/// Most that one pull or push moves along an axis.
const MOST_MOVE: f64 = 4.0;

/// A connection of two items and its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    from: usize,
    to: usize,
    weight: f64,
}

/// Places on a plane, started from the principal components.
pub(crate) fn project(distances: &Distances, principal: &[[f64; 2]], seed: u64) -> Vec<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut places = start(principal, &mut rng);
    let mut edges = graph(distances);
    let strongest = edges.iter().map(|edge| edge.weight).fold(0.0, f64::max);
    edges.retain(|edge| edge.weight >= strongest / EPOCHS as f64);
    arrange(&mut places, &edges, strongest, &mut rng);
    places
}

/// The principal components on a square, with a little noise that parts items of one place.
fn start(principal: &[[f64; 2]], rng: &mut ChaCha8Rng) -> Vec<[f64; 2]> {
    let largest = principal
        .iter()
        .flatten()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut noisy = |value: f64| value / largest * SIZE + rng.random_range(-1e-4..1e-4);
    let mut places: Vec<[f64; 2]> = Vec::with_capacity(principal.len());
    for [x, y] in principal {
        places.push([noisy(*x), noisy(*y)]);
    }
    for axis in 0..2 {
        let values = || places.iter().map(|place| place[axis]);
        let (low, high) = (
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        );
        for place in &mut places {
            place[axis] = SIZE * (place[axis] - low) / (high - low);
        }
    }
    places
}

/// The fuzzy union of all neighbourhoods, both ways, in the order of items.
fn graph(distances: &Distances) -> Vec<Edge> {
    let items = distances.items();
    let others = NEIGHBOURS.min(items) - 1;
    let nearest: Vec<Vec<usize>> = (0..items)
        .into_par_iter()
        .map(|item| {
            let mut nearest = distances.nearest(item);
            nearest.truncate(others);
            nearest
        })
        .collect();
    let lengths: Vec<Vec<f64>> = nearest
        .iter()
        .enumerate()
        .map(|(item, row)| row.iter().map(|other| distances.between_items(item, *other)).collect())
        .collect();
    let mean = lengths.iter().flatten().sum::<f64>() / (items * (others + 1)) as f64;
    let mut edges = Vec::new();
    for (item, (row, lengths)) in nearest.iter().zip(&lengths).enumerate() {
        for (other, weight) in row.iter().zip(memberships(lengths, mean)) {
            edges.push((item, *other, weight, 0.0));
            edges.push((*other, item, 0.0, weight));
        }
    }
    edges.sort_by_key(|(from, to, ..)| (*from, *to));
    edges.dedup_by(|next, kept| {
        let same = (next.0, next.1) == (kept.0, kept.1);
        if same {
            kept.2 += next.2;
            kept.3 += next.3;
        }
        same
    });
    let united = |(from, to, there, back): (usize, usize, f64, f64)| Edge {
        from,
        to,
        weight: there + back - there * back,
    };
    edges.into_iter().map(united).collect()
}

/// How far each neighbour belongs to an item: the nearest wholly, all together `log2` of their number.
fn memberships(lengths: &[f64], mean_of_all: f64) -> Vec<f64> {
    let nearest = lengths.iter().copied().find(|length| *length > 0.0).unwrap_or(0.0);
    let count = (lengths.len() + 1) as f64;
    let member = |length: f64, width: f64| match length - nearest {
        beyond if beyond > 0.0 => (-beyond / width).exp(),
        _ => 1.0,
    };
    let sum = |width: f64| lengths.iter().map(|length| member(*length, width)).sum::<f64>();
    let width = find_increasing(count.log2(), 1e-5, sum);
    let mean = match nearest > 0.0 {
        true => lengths.iter().sum::<f64>() / count,
        false => mean_of_all,
    };
    let width = width.max(LEAST_WIDTH * mean);
    lengths.iter().map(|length| member(*length, width)).collect()
}

/// Stochastic gradient descent: each edge pulls in as many epochs as its weight says, and pushes items drawn at random.
fn arrange(places: &mut [[f64; 2]], edges: &[Edge], strongest: f64, rng: &mut ChaCha8Rng) {
    let every: Vec<f64> = edges.iter().map(|edge| strongest / edge.weight).collect();
    let mut next = every.clone();
    let mut next_negative: Vec<f64> = every.iter().map(|every| every / NEGATIVE_SAMPLES).collect();
    for epoch in 0..EPOCHS {
        let rate = 1.0 - epoch as f64 / EPOCHS as f64;
        for (at, edge) in edges.iter().enumerate() {
            if next[at] > epoch as f64 {
                continue;
            }
            let moved = pull(places[edge.from], places[edge.to]).map(|step| step * rate);
            for axis in 0..2 {
                places[edge.from][axis] += moved[axis];
                places[edge.to][axis] -= moved[axis];
            }
            next[at] += every[at];
            let between = every[at] / NEGATIVE_SAMPLES;
            let negatives = ((epoch as f64 - next_negative[at]) / between) as usize;
            for _ in 0..negatives {
                let other = rng.random_range(0..places.len() as u64) as usize;
                let moved = push(places[edge.from], places[other]);
                for axis in 0..2 {
                    places[edge.from][axis] += moved[axis] * rate;
                }
            }
            next_negative[at] += negatives as f64 * between;
        }
    }
}

fn pull(place: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    let squared = squared(place, other);
    let factor = match squared > 0.0 {
        true => -2.0 * A * B * squared.powf(B - 1.0) / (A * squared.powf(B) + 1.0),
        false => 0.0,
    };
    [0, 1].map(|axis| clip(factor * (place[axis] - other[axis])))
}

fn push(place: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    let squared = squared(place, other);
    let factor = match squared > 0.0 {
        true => 2.0 * B / ((0.001 + squared) * (A * squared.powf(B) + 1.0)),
        false => 0.0,
    };
    [0, 1].map(|axis| clip(factor * (place[axis] - other[axis])))
}

fn squared(place: [f64; 2], other: [f64; 2]) -> f64 {
    (place[0] - other[0]).powi(2) + (place[1] - other[1]).powi(2)
}

fn clip(step: f64) -> f64 {
    step.clamp(-MOST_MOVE, MOST_MOVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_belongs_wholly_and_all_together_log2_of_their_number() {
        let lengths: Vec<f64> = (1..15).map(|i| 3.0 + f64::from(i * i)).collect();
        let members = memberships(&lengths, 1.0);
        assert_eq!(members[0], 1.0);
        let sum: f64 = members.iter().sum();
        assert!((sum - 15_f64.log2()).abs() < 1e-4, "{sum}");
        assert_eq!(memberships(&[0.0; 14], 0.0), [1.0; 14]);
    }
}
