//! The largest batch that fits into memory, from steps on the longest items.

use emorun_kernels::on_cores;

use super::optimizer::Optimizer;
use super::replicas::Replicas;
use super::state::Seen;
use super::step::Waiting;
use super::{Abort, Moment, StepNames, Trainer};
use crate::feed::augment::Strengths;
use crate::memory::{forget_peak, peak_rss};
use emorun_nodes::network::Network;

/// Items of the largest batch that is tried, beside one of a single item: what is between them shows what an item costs.
const TRIED: usize = 4;

/// What steps took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    /// Items of the batch, the longest ones.
    pub items: usize,
    /// Largest resident memory of the process in bytes.
    pub peak: u64,
}

/// The most items of the longest length of which a step stays below `budget` bytes, at least one: memory grows by
/// the same amount with each of them. `None` if nothing was tried.
pub fn most_items(taken: &[Taken], budget: u64) -> Option<u64> {
    let (first, last) = (taken.first()?, taken.last()?);
    let more = last.items.saturating_sub(first.items).max(1) as u64;
    // A page, where what was kept from step to step hides the difference.
    let each = (last.peak.saturating_sub(first.peak) / more).max(4096);
    Some(first.items as u64 + budget.saturating_sub(first.peak) / each)
}

impl Trainer<'_> {
    /// Trains a copy of a network for a step each on the longest item and on the four longest ones; nothing of it is
    /// kept.
    ///
    /// # Errors
    /// See [`Abort`].
    pub fn dry_run(&self, mut network: Network) -> Result<Vec<Taken>, Abort> {
        let names = StepNames::new(self.seed);
        self.fit(&mut network, &names)?;
        let mut optimizer = Optimizer::new(&self.settings.training, &network);
        let alone = Replicas::default();
        let mut longest = self.train.to_vec();
        let durations_s = self.feed.items.durations_s();
        longest.sort_by(|a, b| durations_s[*b].total_cmp(&durations_s[*a]));
        let most = longest.len().min(self.settings.training.batch_size).min(TRIED);
        let mut taken = Vec::new();
        // A first step, which is not measured, brings what stays: moments of the optimizer, buffers of the threads.
        for items in [1, 1, most] {
            let measured = forget_peak();
            let group = [longest[..items].to_vec()];
            let mut batches = Waiting::over(&self.feed, &group, 1, self.seed, 0, &Strengths::default());
            let at = Moment {
                step: 0,
                micro_batch: 0,
                epoch: 0,
                progress: 0.0,
            };
            let step = self.gradients(
                (&network, &alone),
                &names,
                &mut Seen::default(),
                &mut batches,
                &group,
                at,
            )?;
            let (moved, rule) = (&mut network, &mut optimizer);
            on_cores(&self.device, || rule.step(moved, step.gradients, 0.0, 1.0));
            taken.extend(peak_rss().filter(|_| measured).map(|peak| Taken { items, peak }));
        }
        Ok(taken.split_off(taken.len().min(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_added_until_the_budget_is_used_up() {
        let mib = 1 << 20;
        let taken = [(1, 300), (4, 420)].map(|(items, peak)| Taken {
            items,
            peak: peak * mib,
        });
        for (budget, expected) in [(0, 1), (300, 1), (339, 1), (340, 2), (700, 11)] {
            assert_eq!(most_items(&taken, budget * mib), Some(expected), "{budget} MiB");
        }
        assert_eq!(most_items(&taken[..1], 300 * mib + 8192), Some(3));
        assert_eq!(most_items(&[], mib), None);
    }
}
