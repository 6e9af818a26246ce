//! Which clips are computed together.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Something that waits to be computed.
pub(crate) trait Waiting {
    /// Its length, in samples.
    fn samples(&self) -> usize;

    /// Since when it waits.
    fn since(&self) -> Instant;
}

/// Makes batches of what comes in.
#[derive(Debug)]
pub(crate) struct Batcher<T> {
    incoming: Receiver<T>,
    /// What did not fit into the batch before.
    left: Option<T>,
    /// Padded samples of a batch: its number of clips times the longest.
    most_samples: f64,
    wait: Duration,
}

impl<T: Waiting> Batcher<T> {
    pub fn new(incoming: Receiver<T>, most_samples: f64, wait: Duration) -> Self {
        Self {
            incoming,
            left: None,
            most_samples,
            wait,
        }
    }

    /// The next batch, in the order of arrival; `None` when nobody is left who could send anything.
    ///
    /// It is closed when one more clip would make it longer than a batch may be, or when its oldest clip has waited long
    /// enough and no other is there.
    pub fn next(&mut self) -> Option<Vec<T>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => self.incoming.recv().ok()?,
        };
        let deadline = first.since() + self.wait;
        let mut longest = first.samples();
        let mut batch = vec![first];
        while let Some(next) = self.until(deadline) {
            longest = longest.max(next.samples());
            if (batch.len() + 1) as f64 * longest as f64 > self.most_samples {
                self.left = Some(next);
                break;
            }
            batch.push(next);
        }
        Some(batch)
    }

    /// What is there, or comes before the deadline.
    fn until(&self, deadline: Instant) -> Option<T> {
        match self.incoming.try_recv() {
            Ok(next) => return Some(next),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        let left = deadline.checked_duration_since(Instant::now())?;
        self.incoming.recv_timeout(left).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    struct Clip(usize, Instant);

    impl Waiting for Clip {
        fn samples(&self) -> usize {
            self.0
        }

        fn since(&self) -> Instant {
            self.1
        }
    }

    fn batches(lengths: &[usize], most_samples: f64) -> Vec<Vec<usize>> {
        let (sender, incoming) = channel();
        for &length in lengths {
            sender.send(Clip(length, Instant::now())).unwrap();
        }
        drop(sender);
        let mut batcher = Batcher::new(incoming, most_samples, Duration::from_secs(60));
        std::iter::from_fn(|| batcher.next())
            .map(|batch| batch.iter().map(|clip| clip.0).collect())
            .collect()
    }

    #[test]
    fn a_batch_is_full_by_its_padded_length() {
        assert_eq!(batches(&[10, 10, 10, 10, 10], 30.0), [vec![10, 10, 10], vec![10, 10]]);
        // A long one makes those before it longer.
        assert_eq!(batches(&[10, 10, 16], 30.0), [vec![10, 10], vec![16]]);
        assert_eq!(batches(&[100, 1, 1], 30.0), [vec![100], vec![1, 1]]);
        assert_eq!(batches(&[], 30.0), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_lone_clip_does_not_wait_for_ever() {
        let (sender, incoming) = channel();
        sender.send(Clip(1, Instant::now())).unwrap();
        let mut batcher = Batcher::new(incoming, 100.0, Duration::from_millis(1));
        assert_eq!(batcher.next().unwrap().len(), 1);
        drop(sender);
        assert!(batcher.next().is_none());
    }

    #[test]
    fn what_has_waited_too_long_goes_with_all_that_is_there() {
        let (sender, incoming) = channel();
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for _ in 0..3 {
            sender.send(Clip(1, long_ago)).unwrap();
        }
        let mut batcher = Batcher::new(incoming, 100.0, Duration::from_millis(1));
        assert_eq!(batcher.next().unwrap().len(), 3);
    }
}
