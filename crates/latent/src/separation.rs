//! How far classes lie apart, and how much of the neighbourhoods a plane keeps.

use rayon::prelude::*;

use crate::{Distances, LatentError};

/// Neighbours of which [`trustworthiness`] is told, as far as there are more than twice as many items.
pub const NEIGHBOURS: usize = 5;

/// The silhouette coefficient of classes, the mean over items: how much nearer an item is to its own class than to the
/// next, from -1 to 1; an item that is alone in its class counts 0. `classes` has a place for each item. Equal to
/// `sklearn.metrics.silhouette_score`.
///
/// # Errors
/// The classes are not of these items, are one alone, or as many as items.
///
/// # Source
/// Rousseeuw, Silhouettes, Journal of Computational and Applied Mathematics 20, 1987.
pub fn silhouette(distances: &Distances, classes: &[usize]) -> Result<f64, LatentError> {
    let items = distances.items();
    if classes.len() != items {
        return Err(LatentError::Labels {
            labels: classes.len(),
            items,
        });
    }
    let mut sizes = vec![0_usize; classes.iter().max().map_or(0, |most| most + 1)];
    for class in classes {
        sizes[*class] += 1;
    }
    let present = sizes.iter().filter(|size| **size > 0).count();
    if present < 2 || present >= items {
        return Err(LatentError::Classes {
            classes: present,
            items,
        });
    }
    let of_item = |item: usize| {
        let own = classes[item];
        if sizes[own] == 1 {
            return 0.0;
        }
        let mut sums = vec![0.0; sizes.len()];
        for (other, class) in classes.iter().enumerate() {
            sums[*class] += distances.between_items(item, other);
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..sizes.len()).filter(|class| *class != own && sizes[*class] > 0);
        let outside = others
            .map(|class| sums[class] / sizes[class] as f64)
            .fold(f64::INFINITY, f64::min);
        match inside.max(outside) {
            0.0 => 0.0,
            longer => (outside - inside) / longer,
        }
    };
    let each: Vec<f64> = (0..items).into_par_iter().map(of_item).collect();
    Ok(each.iter().sum::<f64>() / items as f64)
}

/// How far neighbours on a plane are neighbours in the space, from 0 to 1. Equal to `sklearn.manifold.trustworthiness`.
///
/// # Errors
/// There are no neighbours, or as many as half of the items.
///
/// # Source
/// Venna and Kaski, Neighborhood Preservation in Nonlinear Projection Methods, ICANN 2001.
pub fn trustworthiness(space: &Distances, plane: &Distances, neighbours: usize) -> Result<f64, LatentError> {
    let items = space.items();
    if neighbours == 0 || 2 * neighbours >= items {
        return Err(LatentError::Neighbours {
            items,
            most: (items - 1) / 2,
        });
    }
    let penalty = |item: usize| {
        let mut ranks = vec![0_usize; items];
        for (rank, other) in space.nearest(item).into_iter().enumerate() {
            ranks[other] = rank + 1;
        }
        let near = plane.nearest(item);
        let penalties = near
            .iter()
            .take(neighbours)
            .map(|other| ranks[*other].saturating_sub(neighbours));
        penalties.sum::<usize>()
    };
    let penalty: usize = (0..items).into_par_iter().map(penalty).sum();
    let (items, neighbours) = (items as f64, neighbours as f64);
    let worst = items * neighbours * (2.0 * items - 3.0 * neighbours - 1.0) / 2.0;
    Ok(1.0 - penalty as f64 / worst)
}
