//! What all requests share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::access::Gate;
use crate::drain::Drain;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::problem::Problem;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub models: Models,
    pub limits: Limits,
    pub gate: Gate,
    pub metrics: Metrics,
    pub drain: Drain,
    /// Places of recordings that are received, decoded and answered.
    pub requests: Semaphore,
    /// Places of streams.
    pub streams: Arc<Semaphore>,
    /// Places of what computes beside the models, one a core.
    background: Arc<Semaphore>,
}

impl App {
    pub fn new(models: Models, limits: Limits, gate: Gate, metrics: Metrics) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            requests: Semaphore::new(limits.requests),
            streams: Arc::new(Semaphore::new(limits.streams)),
            background: Arc::new(Semaphore::new(cores)),
            drain: Drain::new(),
            models,
            limits,
            gate,
            metrics,
        }
    }

    /// Does what takes long, or reads a disk, on a thread that no connection waits for.
    ///
    /// # Errors
    /// The work's own; it panicked, which is a bug.
    pub async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.background.clone().acquire_owned().await;
        let place = place.map_err(|_| Problem::draining())?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|error| Problem::internal(&error.to_string()))?
    }
}
