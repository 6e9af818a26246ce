//! What all ways of fetching a corpus share: threads, addresses, names of unfinished files, the record.

use super::{Event, Fetched, OnEvent, Options};
use crate::download::Received;
use crate::record::{Record, RecordedFile};
use crate::{Client, DownloadProgress, FetchError};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) struct Work<'a> {
    pub client: &'a Client,
    pub options: &'a Options<'a>,
    pub on_event: OnEvent<'a>,
    pub record: Mutex<Record>,
    pub fetched: Mutex<Fetched>,
}

impl Work<'_> {
    /// Does the same with many files, on as many threads as there may be connections. After an error nothing new is
    /// begun; the error of the first file in order is given.
    pub fn in_parallel<T: Sync>(
        &self,
        files: &[T],
        one: impl Fn(&T) -> Result<(), FetchError> + Sync,
    ) -> Result<(), FetchError> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let errors = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.options.connections.clamp(1, 16).min(files.len()) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(index) else { break };
                        if let Err(error) = one(file) {
                            stop.store(true, Ordering::Relaxed);
                            lock_of(&errors).push((index, error));
                        }
                    }
                });
            }
        });
        let mut errors = errors.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        errors.sort_by_key(|(index, _)| *index);
        errors.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    pub fn address(&self, official: &str, name: &str) -> String {
        self.options.mirror.map_or_else(
            || official.to_owned(),
            |mirror| format!("{}/{name}", mirror.trim_end_matches('/')),
        )
    }

    pub fn hidden(&self, name: &str, what: &str) -> PathBuf {
        self.options.to.join(format!(".{name}.{what}"))
    }

    pub fn pass(&self, progress: DownloadProgress<'_>) {
        (self.on_event)(match progress {
            DownloadProgress::Waiting { .. } => Event::Waiting,
            DownloadProgress::Received { file, bytes, total } => Event::Received { file, bytes, total },
            DownloadProgress::Busy { file, status, wait } => Event::Busy { file, status, wait },
        });
    }

    pub fn note(&self, name: &str, url: &str, received: &Received, unpacked: Vec<String>) -> Result<(), FetchError> {
        let mut record = lock_of(&self.record);
        let entry = RecordedFile {
            url: url.to_owned(),
            size: received.size,
            sha256: received.sha256.clone(),
            etag: received.etag.clone(),
            fetched_unix_s: unix_s(),
            unpacked,
        };
        record.files.insert(name.to_owned(), entry);
        record.write(self.options.to)
    }
}

pub(super) fn lock_of<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub(super) fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
