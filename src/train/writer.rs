//! Writing checkpoints beside training.

use std::fs::File;
use std::path::PathBuf;
use std::thread::JoinHandle;

use super::checkpoint::{self, Checkpoint, Keep};
use crate::exit::Failure;

/// Writes checkpoints on a thread of its own, one at a time: training waits only for copies of its
/// tensors, and for the checkpoint before where that is not written yet.
#[derive(Debug)]
pub struct CheckpointWriter {
    folder: PathBuf,
    writing: Option<JoinHandle<Result<(), Failure>>>,
}

/// A checkpoint to be written.
#[derive(Debug)]
pub struct Job {
    /// What is stored.
    pub checkpoint: Checkpoint,
    /// Which others stay.
    pub keep: Keep,
    /// `metrics.jsonl`, which must be on disk as far as the checkpoint says.
    pub metrics: File,
    /// Its place, to be named if it cannot be synced.
    pub metrics_path: PathBuf,
}

impl Job {
    fn run(self, folder: &std::path::Path) -> Result<(), Failure> {
        self.metrics
            .sync_data()
            .map_err(Failure::io("sync", &self.metrics_path))?;
        checkpoint::write(folder, &self.checkpoint, &self.keep)
    }
}

impl CheckpointWriter {
    /// A writer into a folder of checkpoints.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, writing: None }
    }

    /// Begins to write a checkpoint, once the one before it is in place.
    ///
    /// # Errors
    /// The one before it could not be written.
    pub fn begin(&mut self, job: Job) -> Result<(), Failure> {
        self.wait()?;
        let folder = self.folder.clone();
        let spawned = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || job.run(&folder));
        self.writing = Some(spawned.map_err(Failure::io("start a thread for", &self.folder))?);
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
