//! One blob, from the Hub into the cache.

use super::Progress;
use super::cache::RepoCache;
use super::client::{Client, Remote};
use crate::WeightsError;
use crate::content::check_while_reading;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;
use ureq::Body;
use ureq::http::{Response, StatusCode};

/// Connections in a row that may break off without bringing a byte.
const FRUITLESS: u32 = 3;
/// Bytes written at once.
const PIECE: usize = 256 << 10;

/// How a connection ended.
enum Broke {
    /// Reading failed or stopped; another connection may bring more.
    Off(String),
    /// Writing failed.
    Here(WeightsError),
}

/// Makes sure that a blob is in the cache. One process at a time downloads it; bytes that an earlier one left are kept;
/// it gets its name only when length and hash are right and it is on the disk.
pub(super) fn fetch(
    client: &Client,
    cache: &RepoCache,
    id: &str,
    file: &str,
    remote: &Remote,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), WeightsError> {
    let blob = cache.blob(&remote.etag)?;
    let (lock_path, lock) = cache.lock(&remote.etag)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(Progress::Waiting { file });
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
    let aside = blob.with_file_name(format!("{}.incomplete", remote.etag));
    let failed = |action| WeightsError::io(action, &aside);
    let mut wrong = None;
    for _ in 0..2 {
        let mut out = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&aside)
            .map_err(failed("write"))?;
        if receive(client, id, file, remote, &mut out, &aside, progress)? {
            match check_while_reading(&aside, &remote.etag, |_| ())? {
                Ok(()) => {
                    out.sync_all().map_err(failed("write"))?;
                    return fs::rename(&aside, &blob).map_err(WeightsError::io("write", &blob));
                }
                Err(what) => wrong = Some((what, remote.etag.clone())),
            }
        } else {
            wrong = remote.size.map(|size| ("length in bytes", size.to_string()));
        }
        drop(out);
        fs::remove_file(&aside).map_err(failed("remove"))?;
    }
    let (what, expected) = wrong.unwrap_or(("length", "that it says itself".to_owned()));
    Err(WeightsError::WrongBytes {
        id: id.to_owned(),
        file: file.to_owned(),
        what,
        expected,
    })
}

/// Fills `out` to the size that the Hub promises; `false` when more comes than that.
fn receive(
    client: &Client,
    id: &str,
    file: &str,
    remote: &Remote,
    out: &mut File,
    path: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<bool, WeightsError> {
    let mut fruitless = 0;
    let mut most = 0;
    loop {
        let have = out.seek(SeekFrom::End(0)).map_err(WeightsError::io("read", path))?;
        match remote.size {
            Some(size) if have == size => return Ok(true),
            Some(size) if have > size => return Ok(false),
            _ => {}
        }
        let mut report = |bytes| {
            progress(Progress::Received {
                file,
                bytes,
                total: remote.size,
            })
        };
        report(have);
        let ended = client
            .get(&remote.url, have)
            .map_err(Broke::Off)
            .and_then(|response| append(response, have, remote.size, out, path, &mut report));
        let reason = match ended {
            // Without a promised size, the end of the answer is the end of the file.
            Ok(()) if remote.size.is_none() => return Ok(true),
            Ok(()) => "the connection ended early".to_owned(),
            Err(Broke::Off(reason)) => reason,
            Err(Broke::Here(error)) => return Err(error),
        };
        let received = out.seek(SeekFrom::End(0)).map_err(WeightsError::io("read", path))?;
        // More than ever before, not than just before: a server may make the download start anew each time.
        if received > most.max(have) {
            most = received;
            fruitless = 0;
            continue;
        }
        fruitless += 1;
        if fruitless == FRUITLESS {
            return Err(WeightsError::Interrupted {
                id: id.to_owned(),
                file: file.to_owned(),
                received,
                total: remote.size.unwrap_or(received),
                reason,
            });
        }
        std::thread::sleep(Duration::from_millis(200) * fruitless);
    }
}

/// Writes an answer behind the bytes that are there, or over them if it starts at 0; stops after one byte too many.
fn append(
    response: Response<Body>,
    have: u64,
    size: Option<u64>,
    out: &mut File,
    path: &Path,
    report: &mut dyn FnMut(u64),
) -> Result<(), Broke> {
    let here = |error| Broke::Here(WeightsError::io("write", path)(error));
    let status = response.status();
    let mut have = match status {
        StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => have,
        StatusCode::OK if have == 0 => 0,
        StatusCode::OK => {
            out.set_len(0).and_then(|()| out.rewind()).map_err(here)?;
            0
        }
        // Another part than was asked for, or none: the next connection asks for the whole file.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            out.set_len(0).map_err(here)?;
            return Err(Broke::Off("the server does not send the rest of the file".to_owned()));
        }
        _ => return Err(Broke::Off(format!("the server answers {status}"))),
    };
    let mut body = response.into_body().into_reader();
    let mut piece = vec![0; PIECE];
    loop {
        let room = size
            .map_or(PIECE as u64, |size| size.saturating_add(1).saturating_sub(have))
            .min(PIECE as u64);
        let room = usize::try_from(room).unwrap_or(PIECE);
        if room == 0 {
            return Ok(());
        }
        let read = body
            .read(&mut piece[..room])
            .map_err(|error| Broke::Off(error.to_string()))?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(&piece[..read]).map_err(here)?;
        have += read as u64;
        report(have);
    }
}

/// Whether a partial answer starts where it was asked to.
fn starts_at(response: &Response<Body>, from: u64) -> bool {
    response.headers().get("content-range").and_then(|range| {
        range
            .to_str()
            .ok()?
            .strip_prefix("bytes ")?
            .split('-')
            .next()?
            .parse()
            .ok()
    }) == Some(from)
}
