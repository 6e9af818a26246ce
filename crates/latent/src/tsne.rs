//! t-distributed stochastic neighbour embedding.
//!
//! # Source
//! van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008; above [`MOST_EXACT`] items van der Maaten,
//! Accelerating t-SNE using Tree-Based Algorithms, JMLR 15, 2014. Start, learning rate and exaggeration are those of
//! scikit-learn: Belkina et al., 2019, and Kobak and Berens, 2019.

use rayon::prelude::*;

use crate::Distances;
use crate::quadtree::QuadTree;
use crate::smooth::find_increasing;

/// Items up to which every pair pushes; among more, the Barnes–Hut approximation does.
pub const MOST_EXACT: usize = 2000;
/// Neighbours that an item has, as far as there are three times as many items.
pub const PERPLEXITY: f64 = 30.0;
const STEPS: usize = 1000;
/// Steps in which neighbours pull stronger, and how much stronger.
const EARLY_STEPS: usize = 250;
const EXAGGERATION: f64 = 12.0;
const EARLY_MOMENTUM: f64 = 0.5;
const MOMENTUM: f64 = 0.8;
const SMALLEST_GAIN: f64 = 0.01;
/// Standard deviation of the first coordinate at the start.
const START_SD: f64 = 1e-4;
/// Largest side of a cell, seen from a point, that counts as one place.
const ANGLE: f64 = 0.5;

/// For each item, those that it is pulled to and how strongly; all strengths together are 1.
type Affinities = Vec<Vec<(usize, f64)>>;

/// The perplexity for so many items.
pub fn perplexity(items: usize) -> f64 {
    PERPLEXITY.min((items - 1) as f64 / 3.0)
}

/// Places on a plane, started from the principal components.
pub(crate) fn project(distances: &Distances, principal: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let items = distances.items();
    let exact = items <= MOST_EXACT;
    let affinities = affinities(distances, exact);
    let rate = (items as f64 / EXAGGERATION / 4.0).max(50.0);
    let mut places = start(principal);
    let mut moves = vec![[0.0; 2]; items];
    let mut gains = vec![[1.0; 2]; items];
    for step in 0..STEPS {
        let (pull, momentum) = match step < EARLY_STEPS {
            true => (EXAGGERATION, EARLY_MOMENTUM),
            false => (1.0, MOMENTUM),
        };
        let gradients = gradients(&affinities, &places, pull, exact);
        for (item, gradient) in gradients.iter().enumerate() {
            for axis in 0..2 {
                let gain: &mut f64 = &mut gains[item][axis];
                let movement: &mut f64 = &mut moves[item][axis];
                *gain = match *movement * gradient[axis] < 0.0 {
                    true => *gain + 0.2,
                    false => *gain * 0.8,
                };
                *gain = gain.max(SMALLEST_GAIN);
                *movement = momentum * *movement - rate * *gain * gradient[axis];
                places[item][axis] += *movement;
            }
        }
    }
    places
}

/// The principal components, made so small that their shape decides and not their size.
fn start(principal: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let count = principal.len() as f64;
    let sd = (principal.iter().map(|place| place[0] * place[0]).sum::<f64>() / count).sqrt();
    let scaled = |place: &[f64; 2]| place.map(|value| value / sd * START_SD);
    principal.iter().map(scaled).collect()
}

/// The joint probabilities `p_ij`: of all pairs, or of each item's `3 · perplexity` nearest.
fn affinities(distances: &Distances, exact: bool) -> Affinities {
    let items = distances.items();
    let perplexity = perplexity(items);
    let near = match exact {
        true => items - 1,
        false => (3.0 * perplexity) as usize + 1,
    };
    let row = |item: usize| {
        let mut others = distances.nearest(item);
        others.truncate(near);
        let squared: Vec<f64> = others.iter().map(|other| distances.squared(item, *other)).collect();
        others.into_iter().zip(conditional(&squared, perplexity)).collect()
    };
    let conditional: Affinities = (0..items).into_par_iter().map(row).collect();
    let mut joint: Affinities = conditional.clone();
    for (item, row) in conditional.iter().enumerate() {
        for (other, p) in row {
            joint[*other].push((item, *p));
        }
    }
    for row in &mut joint {
        row.sort_by_key(|(other, _)| *other);
        row.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }
    let total: f64 = joint.iter().flatten().map(|(_, p)| p).sum();
    for (_, p) in joint.iter_mut().flatten() {
        *p /= total;
    }
    joint
}

/// Probabilities that fall with the distance, so fast that their perplexity is the one asked for.
fn conditional(squared: &[f64], perplexity: f64) -> Vec<f64> {
    let nearest = squared.first().copied().unwrap_or_default();
    let weights = |width: f64| squared.iter().map(move |d| (-(d - nearest) / width).exp());
    let entropy = |width: f64| {
        let sum: f64 = weights(width).sum();
        // A weight of 0 adds nothing, though its distance can be infinite in these units.
        let spread = squared.iter().zip(weights(width)).filter(|(_, weight)| *weight > 0.0);
        let spread: f64 = spread.map(|(d, weight)| weight * (d - nearest) / width).sum();
        sum.ln() + spread / sum
    };
    let width = find_increasing(perplexity.ln(), 1e-5, entropy);
    let sum: f64 = weights(width).sum();
    weights(width).map(|weight| weight / sum).collect()
}

/// Gradient of the Kullback–Leibler divergence by places (van der Maaten and Hinton 2008, equation 5).
fn gradients(affinities: &Affinities, places: &[[f64; 2]], pull: f64, exact: bool) -> Vec<[f64; 2]> {
    let tree = (!exact).then(|| QuadTree::new(places));
    let pushed: Vec<([f64; 2], f64)> = (0..places.len())
        .into_par_iter()
        .map(|item| match &tree {
            None => push(places, item),
            Some(tree) => tree.push(places[item], ANGLE),
        })
        .collect();
    let total: f64 = pushed.iter().map(|(_, sum)| sum).sum();
    let gradient = |item: usize| {
        let mut pulled = [0.0; 2];
        for (other, p) in &affinities[item] {
            let (across, up, q) = between(places[item], places[*other]);
            pulled[0] += p * q * across;
            pulled[1] += p * q * up;
        }
        let (push, _) = pushed[item];
        [0, 1].map(|axis| 4.0 * (pull * pulled[axis] - push[axis] / total))
    };
    (0..places.len()).into_par_iter().map(gradient).collect()
}

/// The way from one place to another and Student's kernel of its length.
pub(crate) fn between(to: [f64; 2], from: [f64; 2]) -> (f64, f64, f64) {
    let (across, up) = (to[0] - from[0], to[1] - from[1]);
    (across, up, 1.0 / (1.0 + across * across + up * up))
}

/// What all others push an item with, and the sum of kernels.
fn push(places: &[[f64; 2]], item: usize) -> ([f64; 2], f64) {
    let mut force = [0.0; 2];
    let mut sum = 0.0;
    for (other, from) in places.iter().enumerate() {
        let (across, up, q) = between(places[item], *from);
        force[0] += q * q * across;
        force[1] += q * q * up;
        if other != item {
            sum += q;
        }
    }
    (force, sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_have_the_perplexity_asked_for() {
        let squared: Vec<f64> = (0..200).map(|i| f64::from(i) * 1e6).collect();
        for asked in [2.0, 30.0] {
            let p = conditional(&squared, asked);
            let entropy: f64 = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            assert!((entropy.exp() / asked - 1.0).abs() < 1e-4, "{}", entropy.exp());
        }
        assert_eq!(conditional(&[0.0; 4], 2.0), [0.25; 4]);
    }

    #[test]
    fn a_tree_pushes_as_all_pairs_do() {
        let place = |i: usize| [((i * 37) % 101) as f64 / 7.0, ((i * i) % 89) as f64 / 5.0];
        let mut places: Vec<[f64; 2]> = (0..500).map(place).collect();
        places.extend([[1.0, 1.0]; 20]);
        let tree = QuadTree::new(&places);
        let length = |force: [f64; 2]| force[0].hypot(force[1]);
        let (mut error, mut all) = (0.0, 0.0);
        for item in (0..520).step_by(13) {
            let (force, sum) = push(&places, item);
            let (near, close) = tree.push(places[item], ANGLE);
            assert!((close / sum - 1.0).abs() < 0.02, "{close} {sum}");
            error += length([near[0] - force[0], near[1] - force[1]]);
            all += length(force);
            let (same, exact) = tree.push(places[item], 0.0);
            assert!((exact - sum).abs() < 1e-9 && length([same[0] - force[0], same[1] - force[1]]) < 1e-9);
        }
        assert!(error < 0.03 * all, "{error} {all}");
    }
}
