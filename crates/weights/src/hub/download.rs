//! One blob, from the Hub into the cache.

use super::DownloadProgress;
use super::cache::RepoCache;
use super::client::{Client, Remote};
use crate::WeightsError;
use emorun_fetch::{Download, FetchError, Hash, download};
use std::fs::{self, TryLockError};
use std::io::ErrorKind;

/// Makes sure that a blob is in the cache. One process at a time downloads it; bytes that an earlier one left are kept,
/// for the blob's name says which content they are of.
pub(super) fn fetch(
    client: &Client,
    cache: &RepoCache,
    id: &str,
    file: &str,
    remote: &Remote,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<(), WeightsError> {
    let blob = cache.blob(&remote.etag)?;
    let (lock_path, lock) = cache.lock(&remote.etag)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(DownloadProgress::Waiting { file });
            lock.lock().map_err(WeightsError::io("lock", lock_path))?;
        }
        // Without locks, two downloads at once can spoil each other's bytes, which the hash then tells.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(WeightsError::io("lock", lock_path)(error)),
    }
    // A blob of another length was damaged since; one that is damaged otherwise is found when its content is hashed.
    if fs::metadata(&blob).is_ok_and(|found| found.is_file() && remote.size.is_none_or(|size| found.len() == size)) {
        return Ok(());
    }
    let promised: Vec<(Hash, String)> = Hash::of_blob(remote.etag.as_str())
        .map(|hash| (hash, "the Hub".to_owned()))
        .into_iter()
        .collect();
    let wanted = Download {
        url: &remote.url,
        name: file,
        to: &blob,
        aside: &blob.with_file_name(format!("{}.incomplete", remote.etag.as_str())),
        size: remote.size,
        promised: &promised,
        validate: false,
    };
    match download(&client.http, &wanted, progress) {
        Ok(_) => Ok(()),
        Err(FetchError::Interrupted {
            received,
            total,
            reason,
            ..
        }) => Err(WeightsError::Interrupted {
            id: id.to_owned(),
            file: file.to_owned(),
            received,
            total: total.unwrap_or(received),
            reason,
        }),
        Err(FetchError::WrongBytes { what, expected, .. }) => Err(WeightsError::WrongBytes {
            id: id.to_owned(),
            file: file.to_owned(),
            what,
            expected,
        }),
        Err(error) => Err(error.into()),
    }
}
