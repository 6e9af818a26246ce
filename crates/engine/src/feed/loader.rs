//! Worker threads that prepare batches ahead of the training thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use emorun_data::{Item, Items};

use super::FeedError;
use super::augment::Version;
use super::batch::HostBatch;
use super::cached::CachedValue;
use super::host::HostPipeline;
use crate::memory::work_on;

/// A batch ready for the device.
#[derive(Debug)]
pub struct Batch {
    /// Indices of its items in the corpus.
    pub items: Vec<usize>,
    /// The items.
    pub rows: Vec<Item>,
    /// The pipeline's wanted values, in its order; `None` of what all of its items lack.
    pub values: Vec<Option<HostBatch>>,
    /// What its cached nodes give, in its order, for each item.
    pub cached: Vec<Vec<CachedValue>>,
}

impl Batch {
    /// Stable keys of its items, for draws.
    pub fn keys(&self) -> Arc<[String]> {
        self.rows.iter().map(|item| item.key.to_string()).collect()
    }
}

/// Prepares batches on worker threads and hands them out in order.
///
/// Workers only run ahead by a fixed number of batches and wait when these are not taken, so memory stays
/// bounded; what a batch holds does not depend on how many workers there are.
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    batches: usize,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ahead: usize,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    delivered: usize,
    ready: BTreeMap<usize, Result<Batch, FeedError>>,
    closed: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loader {
    /// Starts `workers` threads (at least one) over the given batches of item indices, of which at most
    /// `ahead` are under way or wait to be taken.
    pub fn start(
        corpus: Items,
        pipeline: Arc<HostPipeline>,
        batches: Vec<Vec<usize>>,
        version: Version,
        workers: usize,
        ahead: usize,
    ) -> Self {
        let workers = workers.max(1);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            ahead: ahead.max(1),
        });
        let count = batches.len();
        let batches = Arc::new(batches);
        let workers = (0..workers.min(count.max(1)))
            .map(|_| {
                let (shared, corpus, pipeline, batches) =
                    (shared.clone(), corpus.clone(), pipeline.clone(), batches.clone());
                let version = version.clone();
                std::thread::spawn(move || work(&shared, &corpus, &pipeline, &batches, &version))
            })
            .collect();
        Self {
            shared,
            workers,
            batches: count,
        }
    }
}

fn work(shared: &Shared, corpus: &Items, pipeline: &HostPipeline, batches: &[Vec<usize>], version: &Version) {
    loop {
        let number = {
            let mut state = shared.state();
            while !state.closed && state.taken < batches.len() && state.taken >= state.delivered + shared.ahead {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed || state.taken >= batches.len() {
                return;
            }
            state.taken += 1;
            state.taken - 1
        };
        let batch = prepare(corpus, pipeline, &batches[number], version);
        shared.state().ready.insert(number, batch);
        shared.changed.notify_all();
    }
}

/// Prepares a batch on the calling thread.
pub(super) fn prepare(
    corpus: &Items,
    pipeline: &HostPipeline,
    items: &[usize],
    version: &Version,
) -> Result<Batch, FeedError> {
    let rows = items
        .iter()
        .map(|&item| corpus.get(item).map_err(FeedError::Data))
        .collect::<Result<Vec<_>, _>>()?;
    let values = rows
        .iter()
        .map(|item| {
            work_on(item.display_path(), true);
            pipeline.values(item, version)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Batch {
        items: items.to_vec(),
        rows,
        values: (0..pipeline.parts.wanted.len())
            .map(|at| HostBatch::collate(values.iter().map(|item| item.wanted[at].as_ref())))
            .collect(),
        cached: (0..pipeline.parts.cached.len())
            .map(|at| values.iter().map(|item| item.cached[at].clone()).collect())
            .collect(),
    })
}

impl Iterator for Loader {
    type Item = Result<Batch, FeedError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.state();
        let number = state.delivered;
        if number >= self.batches {
            return None;
        }
        loop {
            if let Some(batch) = state.ready.remove(&number) {
                state.delivered += 1;
                drop(state);
                self.shared.changed.notify_all();
                return Some(batch);
            }
            // A batch stays away only if the worker that took it panicked: a bug, to be heard of.
            if self.workers.iter().all(JoinHandle::is_finished) && !state.ready.contains_key(&number) {
                drop(state);
                for worker in self.workers.drain(..) {
                    if let Err(panic) = worker.join() {
                        std::panic::resume_unwind(panic);
                    }
                }
                return None;
            }
            let (next, _) = self
                .shared
                .changed
                .wait_timeout(state, std::time::Duration::from_millis(200))
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A worker's panic has been reported by the panic hook already.
            let _ = worker.join();
        }
    }
}
