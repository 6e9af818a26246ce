//! How sure a metric is: intervals by drawing speakers, and their items, again.

use std::collections::BTreeMap;

use crate::{Interval, Metric, Predictions};

/// A bootstrap over speakers, whose items are not independent of each other.
///
/// In every replicate as many speakers are drawn as there are, with replacement, and of each drawn speaker as many of
/// its items, with replacement: a speaker that is drawn twice counts twice, each time with a draw of its items of its own.
/// The interval holds the middle 95 % of the replicates (percentile method), which are those in which the metric is
/// defined; quantiles are interpolated linearly, as numpy's are.
///
/// A draw is a function of (seed, replicate, place), so that neither threads nor other metrics change it.
///
/// # Source
/// Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals); Davison & Hinkley,
/// "Bootstrap Methods and their Application", 1997, section 3.8 (hierarchical data, both levels drawn with replacement).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// How often everything is drawn.
    pub replicates: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Rows of predictions by who speaks, in the order of each speaker's first row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters {
    /// The items of each speaker.
    speakers: Vec<Vec<usize>>,
    /// The rows of each item, which are drawn together; `None` where item and row are one.
    items: Option<Vec<Vec<usize>>>,
}

/// Share of the replicates in which a metric must be defined to have an interval.
const DEFINED: f64 = 0.5;

impl Clusters {
    /// The speaker of each row, in order; one without a speaker is drawn by itself.
    pub fn of<'a>(speakers: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut clusters: Vec<Vec<usize>> = Vec::new();
        // Rows, of which each is an item.
        for (row, speaker) in speakers.into_iter().enumerate() {
            let next = clusters.len();
            let place = speaker.map_or(next, |speaker| *known.entry(speaker).or_insert(next));
            match clusters.get_mut(place) {
                Some(rows) => rows.push(row),
                None => clusters.push(vec![row]),
            }
        }
        Self {
            speakers: clusters,
            items: None,
        }
    }

    /// The speaker and the name of the item of each row, in order. Rows of the same item, which several models have
    /// predicted, are drawn together: they are as dependent as can be.
    pub fn of_items<'a>(rows: impl IntoIterator<Item = (Option<&'a str>, &'a str)>) -> Self {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut speakers, mut items): (Vec<Option<&str>>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (row, (speaker, item)) in rows.into_iter().enumerate() {
            let place = *known.entry(item).or_insert(items.len());
            match items.get_mut(place) {
                Some(rows) => rows.push(row),
                None => {
                    items.push(vec![row]);
                    speakers.push(speaker);
                }
            }
            count = row + 1;
        }
        let is_repeated = items.len() < count;
        Self {
            speakers: Self::of(speakers).speakers,
            items: is_repeated.then_some(items),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.speakers.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.speakers.is_empty()
    }
}

impl Bootstrap {
    /// The 95 % interval of each metric. A metric has none where there are fewer than two speakers, and where it is not
    /// defined in half of the replicates.
    pub fn intervals(
        &self,
        predictions: &Predictions,
        clusters: &Clusters,
        metrics: &[Metric],
    ) -> Vec<Option<Interval>> {
        self.intervals_of(clusters, metrics.len(), |rows| {
            let drawn = predictions.at(rows);
            metrics.iter().map(|metric| metric.compute(&drawn)).collect()
        })
    }

    /// The 95 % interval of how far each metric is above in one group of rows what it is in another, which are drawn together: a
    /// speaker may have items in both.
    pub fn gaps(
        &self,
        predictions: &Predictions,
        clusters: &Clusters,
        metrics: &[Metric],
        (one, other): (&[usize], &[usize]),
    ) -> Vec<Option<Interval>> {
        let end = one.iter().chain(other).max().map_or(0, |last| last + 1);
        let member = |of: &[usize]| {
            let mut is_member = vec![false; end];
            of.iter().for_each(|&row| is_member[row] = true);
            is_member
        };
        let members = [member(one), member(other)];
        self.intervals_of(clusters, metrics.len(), |rows| {
            let drawn = members.each_ref().map(|is_member| {
                let own = rows.iter().copied().filter(|row| is_member.get(*row) == Some(&true));
                predictions.at(&own.collect::<Vec<usize>>())
            });
            let gap = |metric: &Metric| Some(metric.compute(&drawn[0])? - metric.compute(&drawn[1])?);
            metrics.iter().map(gap).collect()
        })
    }

    /// The 95 % interval of each of `number` values that follow from drawn rows.
    fn intervals_of(
        &self,
        clusters: &Clusters,
        number: usize,
        of: impl Fn(&[usize]) -> Vec<Option<f64>> + Sync,
    ) -> Vec<Option<Interval>> {
        let replicates = self.replicates(clusters, number, of);
        replicates.iter().map(|values| self.middle(values)).collect()
    }

    /// Of each of `number` values of the rows that a replicate draws, those of all replicates in which it is defined, in
    /// ascending order; none where there are fewer than two speakers.
    pub(crate) fn replicates(
        &self,
        clusters: &Clusters,
        number: usize,
        of: impl Fn(&[usize]) -> Vec<Option<f64>> + Sync,
    ) -> Vec<Vec<f64>> {
        if clusters.len() < 2 {
            return vec![Vec::new(); number];
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = self.replicates.div_ceil(threads).max(1);
        let values = |first: usize| {
            let mut values: Vec<Vec<f64>> = vec![Vec::new(); number];
            for replicate in first..(first + share).min(self.replicates) {
                let drawn = of(&self.rows(clusters, replicate as u64));
                values
                    .iter_mut()
                    .zip(drawn)
                    .for_each(|(values, drawn)| values.extend(drawn));
            }
            values
        };
        let parts: Vec<Vec<Vec<f64>>> = std::thread::scope(|scope| {
            let values = &values;
            let threads = (0..self.replicates).step_by(share);
            let threads: Vec<_> = threads.map(|first| scope.spawn(move || values(first))).collect();
            // A thread that has panicked leaves its share out, and with it the interval.
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_default())
                .collect()
        });
        let of = |at: usize| {
            let all = parts.iter().flat_map(|part| part.get(at).into_iter().flatten());
            let mut all: Vec<f64> = all.copied().collect();
            all.sort_by(f64::total_cmp);
            all
        };
        (0..number).map(of).collect()
    }

    /// The interval of values in ascending order; `None` where too few replicates have one.
    pub(crate) fn middle(&self, values: &[f64]) -> Option<Interval> {
        let defined = values.len() as f64 >= DEFINED * self.replicates as f64;
        (defined && !values.is_empty()).then(|| Interval {
            low: quantile(values, 0.025),
            high: quantile(values, 0.975),
        })
    }

    /// The rows that a replicate draws.
    fn rows(&self, clusters: &Clusters, replicate: u64) -> Vec<usize> {
        let mut draws = Draws(mixed(mixed(self.seed).wrapping_add(replicate)));
        let mut rows = Vec::new();
        for _ in 0..clusters.len() {
            let own = &clusters.speakers[draws.below(clusters.len())];
            for _ in 0..own.len() {
                let item = own[draws.below(own.len())];
                match &clusters.items {
                    None => rows.push(item),
                    Some(items) => rows.extend_from_slice(&items[item]),
                }
            }
        }
        rows
    }
}

/// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), which takes three
/// lines in any language, so that anybody can draw the same.
struct Draws(u64);

impl Draws {
    /// A number below `bound`, which is not 0; of 64 bits, the bias of which is below 2⁻³² for what fits into memory.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(mixed(self.0)) * bound as u128) >> 64) as usize
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A quantile of values in ascending order, linear between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassPredictions;

    #[test]
    fn rows_without_a_speaker_stand_alone_and_those_of_one_together() {
        let clusters = Clusters::of([Some("a"), None, Some("b"), Some("a"), None]);
        assert_eq!(clusters.speakers, [vec![0, 3], vec![1], vec![2], vec![4]]);
    }

    #[test]
    fn rows_of_one_item_are_drawn_together() {
        let rows = [(Some("a"), "x"), (Some("b"), "y"), (Some("a"), "z")];
        let once = Clusters::of_items(rows);
        assert_eq!(once, Clusters::of(rows.map(|(speaker, _)| speaker)));
        let twice = Clusters::of_items(rows.into_iter().chain(rows));
        assert_eq!(twice.len(), 2);
        let bootstrap = Bootstrap { replicates: 1, seed: 3 };
        for replicate in 0..32 {
            let drawn = bootstrap.rows(&twice, replicate);
            let expected = bootstrap
                .rows(&once, replicate)
                .into_iter()
                .flat_map(|row| [row, row + 3]);
            assert_eq!(drawn, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_speaker_that_is_drawn_twice_counts_twice_with_other_draws_of_its_items() {
        let clusters = Clusters::of((0..9).map(|row| Some(if row < 8 { "a" } else { "b" })));
        let bootstrap = Bootstrap { replicates: 1, seed: 3 };
        let twice = (0..64).map(|replicate| bootstrap.rows(&clusters, replicate));
        let twice: Vec<Vec<usize>> = twice.filter(|rows| rows.len() == 16).collect();
        assert!(!twice.is_empty());
        assert!(twice.iter().all(|rows| rows[..8] != rows[8..]), "{twice:?}");
    }

    #[test]
    fn one_speaker_has_no_interval() {
        let mut rows = ClassPredictions::new(&["a", "b"]);
        rows.add(Some(0), &[0.75, 0.25]).unwrap();
        rows.add(Some(1), &[0.75, 0.25]).unwrap();
        let bootstrap = Bootstrap {
            replicates: 10,
            seed: 0,
        };
        let clusters = Clusters::of([Some("a"), Some("a")]);
        assert_eq!(
            bootstrap.intervals(&Predictions::Classes(rows), &clusters, &[Metric::UAR]),
            [None]
        );
    }
}
