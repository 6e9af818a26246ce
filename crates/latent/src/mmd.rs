//! The maximum mean discrepancy between classes, beside how often they are confused.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Distances, LatentError};

/// How far two classes are apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairDiscrepancy {
    /// The classes, by their numbers.
    pub classes: [usize; 2],
    /// The squared discrepancy, which can be a little below 0 for classes that are the same: the estimate has no bias.
    pub mmd2: f64,
}

/// How far each pair of classes is apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discrepancies {
    /// Bandwidth of the kernel `exp(-d² / (2 bandwidth²))`, the median distance of all pairs of items.
    pub bandwidth: f64,
    /// Pairs of classes with at least two items each.
    pub pairs: Vec<PairDiscrepancy>,
}

/// The squared maximum mean discrepancy of each pair of classes, without bias, by a Gaussian kernel whose bandwidth is the
/// median distance of all pairs of items, so that pairs of classes can be compared. `classes` has a place for each item.
///
/// # Errors
/// The classes are not of these items, or the median distance is 0.
///
/// # Source
/// Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, lemma 6.
pub fn discrepancies(distances: &Distances, classes: &[usize]) -> Result<Discrepancies, LatentError> {
    let items = distances.items();
    if classes.len() != items {
        return Err(LatentError::Labels {
            labels: classes.len(),
            items,
        });
    }
    let bandwidth = distances.median();
    if bandwidth <= 0.0 {
        return Err(LatentError::NoBandwidth);
    }
    let count = classes.iter().max().map_or(0, |most| most + 1);
    let mut sizes = vec![0_usize; count];
    for class in classes {
        sizes[*class] += 1;
    }
    let row = |item: usize| {
        let mut sums = vec![0.0; count];
        for (other, class) in classes.iter().enumerate().filter(|(other, _)| *other != item) {
            sums[*class] += (-distances.squared(item, other) / (2.0 * bandwidth * bandwidth)).exp();
        }
        sums
    };
    let rows: Vec<Vec<f64>> = (0..items).into_par_iter().map(row).collect();
    let mut kernels = vec![vec![0.0; count]; count];
    for (row, class) in rows.iter().zip(classes) {
        for (sum, kernel) in row.iter().zip(&mut kernels[*class]) {
            *kernel += sum;
        }
    }
    let within = |class: usize| kernels[class][class] / (sizes[class] * (sizes[class] - 1)) as f64;
    let mut pairs = Vec::new();
    for one in (0..count).filter(|class| sizes[*class] > 1) {
        for other in (one + 1..count).filter(|class| sizes[*class] > 1) {
            let across = kernels[one][other] / (sizes[one] * sizes[other]) as f64;
            pairs.push(PairDiscrepancy {
                classes: [one, other],
                mmd2: within(one) + within(other) - 2.0 * across,
            });
        }
    }
    Ok(Discrepancies { bandwidth, pairs })
}

/// How often two classes are taken for one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    /// The classes, by their numbers.
    pub classes: [usize; 2],
    /// Items of either that were taken for the other, as a share of the items of both.
    pub share: f64,
}

/// How two lists go together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Pairs of classes.
    pub pairs: usize,
    /// Pearson's correlation.
    pub pearson: f64,
    /// Spearman's, of ranks.
    pub spearman: f64,
}

/// The correlation of how far classes are apart with how often they are confused; below 0 where those that are near are
/// confused. `None` for fewer than 3 pairs, or where all are the same.
pub fn correlation(apart: &[PairDiscrepancy], confused: &[Confused]) -> Option<Correlation> {
    let both = apart.iter().filter_map(|pair| {
        let found = confused.iter().find(|confused| confused.classes == pair.classes)?;
        Some((pair.mmd2, found.share))
    });
    let (apart, confused): (Vec<f64>, Vec<f64>) = both.unzip();
    if apart.len() < 3 {
        return None;
    }
    Some(Correlation {
        pairs: apart.len(),
        pearson: pearson(&apart, &confused)?,
        spearman: pearson(&ranks(&apart), &ranks(&confused))?,
    })
}

fn pearson(one: &[f64], other: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a, b) = (mean(one), mean(other));
    let sum =
        |product: &dyn Fn(f64, f64) -> f64| -> f64 { one.iter().zip(other).map(|(x, y)| product(x - a, y - b)).sum() };
    let spread = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    (spread > 0.0).then(|| (sum(&|x, y| x * y) / spread).clamp(-1.0, 1.0))
}

/// Ranks from 1; those of equal values are their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let same = values.iter().filter(|other| *other == value).count();
        below as f64 + f64::midpoint(1.0, same as f64)
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_a_rank_and_too_little_gives_no_correlation() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        let apart = |values: &[f64]| -> Vec<PairDiscrepancy> {
            let pair = |(at, mmd2): (usize, &f64)| PairDiscrepancy {
                classes: [at, 9],
                mmd2: *mmd2,
            };
            values.iter().enumerate().map(pair).collect()
        };
        let confused = |values: &[f64]| -> Vec<Confused> {
            let pair = |(at, share): (usize, &f64)| Confused {
                classes: [at, 9],
                share: *share,
            };
            values.iter().enumerate().map(pair).collect()
        };
        let found = correlation(&apart(&[1.0, 2.0, 4.0]), &confused(&[0.3, 0.2, 0.1])).unwrap();
        assert_eq!((found.pairs, found.spearman), (3, -1.0));
        assert!(correlation(&apart(&[1.0, 2.0]), &confused(&[0.3, 0.2])).is_none());
        assert!(correlation(&apart(&[1.0, 2.0, 3.0]), &confused(&[0.0; 3])).is_none());
    }
}
