//! How long answers take, from the last sample that they are about.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Seconds of arrivals that are remembered: more than a question waits.
const REMEMBERED_S: f64 = 120.0;

/// When samples came, and how long answers to them took.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Where the samples end that came, in seconds, and when.
    arrivals: VecDeque<(f64, Instant)>,
    taken: Vec<Duration>,
}

impl Latency {
    /// Samples that end at so many seconds have come.
    pub(super) fn came(&mut self, to_s: f64, at: Instant) {
        self.arrivals.push_back((to_s, at));
        while self
            .arrivals
            .front()
            .is_some_and(|(first_s, _)| to_s - first_s > REMEMBERED_S)
        {
            self.arrivals.pop_front();
        }
    }

    /// An answer about sound that ends at so many seconds is there.
    pub(super) fn answered(&mut self, to_s: f64, at: Instant) {
        let arrived = self.arrivals.partition_point(|(end_s, _)| *end_s < to_s - 1e-6);
        if let Some((_, arrived)) = self.arrivals.get(arrived) {
            self.taken.push(at.saturating_duration_since(*arrived));
        }
    }

    /// The time within which a share of the answers was there.
    pub(super) fn within(&self, share: f64) -> Option<Duration> {
        let mut taken = self.taken.clone();
        taken.sort_unstable();
        let at = (share * taken.len() as f64).ceil() as usize;
        taken.get(at.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_timed_from_the_sample_it_ends_with() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut latency = Latency::default();
        assert_eq!(latency.within(0.5), None);
        for at in 1..=100_u64 {
            latency.came(at as f64 / 50.0, start + ms(20 * at));
        }
        // Within a piece, at its end, and of sound that has not come.
        latency.answered(0.999, start + ms(1100));
        latency.answered(1.0, start + ms(1030));
        latency.answered(1.001, start + ms(1040));
        latency.answered(5.0, start + ms(2000));
        assert_eq!(latency.within(0.0), Some(ms(20)));
        assert_eq!(latency.within(0.5), Some(ms(30)));
        assert_eq!(latency.within(0.95), Some(ms(100)));
    }
}
