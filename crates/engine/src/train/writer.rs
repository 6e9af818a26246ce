//! Writing checkpoints beside training.

use std::thread::JoinHandle;

use emorun_files::File;

use super::checkpoint::{Checkpoint, Keep, Store};
use crate::exit::Failure;

/// Writes checkpoints on a thread of its own, one at a time: training waits only for copies of its
/// tensors, and for the checkpoint before where that is not written yet.
#[derive(Debug)]
pub struct CheckpointWriter {
    store: Store,
    writing: Option<JoinHandle<Result<(), Failure>>>,
}

/// A checkpoint to be written.
#[derive(Debug)]
pub struct Job {
    /// What is stored.
    pub checkpoint: Checkpoint,
    /// Which others stay.
    pub keep: Keep,
    /// `metrics.jsonl`, which should be on disk as far as the checkpoint says.
    pub metrics: Option<File>,
}

impl Job {
    fn run(self, store: &Store) -> Result<(), Failure> {
        // The log is no reason to go without the checkpoint.
        if let Some(metrics) = self.metrics
            && let Err(error) = metrics.sync()
        {
            tracing::warn!("cannot sync {}: {error}", metrics.path().display());
        }
        store.write(&self.checkpoint, &self.keep)
    }
}

impl CheckpointWriter {
    /// A writer of a run's checkpoints.
    pub fn new(store: Store) -> Self {
        Self { store, writing: None }
    }

    /// Begins to write a checkpoint, once the one before it is in place.
    ///
    /// # Errors
    /// The one before it could not be written.
    pub fn begin(&mut self, job: Job) -> Result<(), Failure> {
        self.wait()?;
        let store = self.store.clone();
        let spawned = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || job.run(&store));
        self.writing = Some(spawned.map_err(Failure::io("start a thread for", &self.store.folder))?);
        Ok(())
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// A checkpoint could not be written.
    pub fn wait(&mut self) -> Result<(), Failure> {
        match self.writing.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Failure::Bug("the thread that writes checkpoints panicked".into())),
        }
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        // On the way out of an error, which is the one to be told; the checkpoint is finished all the same.
        if let Err(failure) = self.wait() {
            tracing::warn!("a checkpoint was not written: {failure}");
        }
    }
}
