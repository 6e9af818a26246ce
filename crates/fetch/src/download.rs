//! One file, from an address to its place.

use crate::client::{Client, NoAnswer, text};
use crate::hash::{Hash, hex, read_checked};
use crate::patience::{Patience, is_busy};
use crate::{Body, FetchError};
use emorun_files::read_regular;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{HeaderMap, Response, StatusCode};

/// Connections in a row that may break off without bringing a byte.
const FRUITLESS: u32 = 3;
/// Bytes written at once.
const PIECE: usize = 256 << 10;

/// Most bytes of a file of which nobody says the length.
const MOST_UNKNOWN: u64 = 16 << 30;

/// Largest note of a server's version.
const MOST_VERSION: u64 = 1 << 20;

/// What a download is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadProgress<'a> {
    /// Another process downloads the same file; it is waited for.
    Waiting {
        /// The file.
        file: &'a str,
    },
    /// Bytes have arrived.
    Received {
        /// The file.
        file: &'a str,
        /// Bytes on the disk, those of an earlier run included.
        bytes: u64,
        /// Bytes of the whole file, where that is known.
        total: Option<u64>,
    },
    /// The server is busy and is asked again later.
    Busy {
        /// The file.
        file: &'a str,
        /// What it answered, such as 429 or 503.
        status: u16,
        /// How long it is waited for.
        wait: Duration,
    },
}

/// A file to bring.
#[derive(Clone, Copy, Debug)]
pub struct Download<'a> {
    /// Where from.
    pub url: &'a str,
    /// Its name in [`DownloadProgress`].
    pub name: &'a str,
    /// Where to; the name appears when all of the file is right and on the disk.
    pub to: &'a Path,
    /// Where bytes are gathered; what an earlier run left there is gone on from.
    pub aside: &'a Path,
    /// Its length in bytes, where that is known.
    pub size: Option<u64>,
    /// Hashes that it has to have, each with who says so.
    pub promised: &'a [(Hash, String)],
    /// Whether what is in `aside` may be of another version of the file. The server's tag, time and length are then kept
    /// beside it, and bytes are only added to those of the same version.
    pub validate: bool,
}

/// A file that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The server's tag of it.
    pub etag: Option<String>,
}

/// What a server said of the version whose bytes are in `aside`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    etag: Option<String>,
    modified: Option<String>,
    total: Option<u64>,
}

impl Version {
    fn of(headers: &HeaderMap) -> Self {
        let own = |name| text(headers, name).map(str::to_owned);
        Self {
            etag: own("etag"),
            modified: own("last-modified"),
            total: text(headers, "content-length").and_then(|length| length.parse().ok()),
        }
    }

    /// What a range may be made to depend on: a strong tag, else the time of change.
    fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.modified.as_deref())
    }

    /// Whether nothing that both say differs; a weak tag is as good as another here.
    fn agrees(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        same(self.etag.as_ref(), other.etag.as_ref())
            && same(self.modified.as_ref(), other.modified.as_ref())
            && same(self.total.as_ref(), other.total.as_ref())
    }
}

/// How a connection ended.
enum ConnectionEnd {
    /// Reading failed or stopped; another connection may bring more.
    Off(String),
    /// The server is busy.
    Busy(StatusCode, HeaderMap),
    /// The file cannot be had from there at all.
    Refused(String),
    /// The file is longer than it may be.
    TooLong,
    /// Writing failed.
    Here(FetchError),
}

/// Brings a file. Bytes that an earlier run left are kept; it gets its name only when length and hashes are right and it
/// is on the disk. The caller sees to it that nobody else writes the same `aside` at the same time.
///
/// # Errors
/// The download broke off for good, its bytes are wrong twice, or a file cannot be written.
pub fn download(
    client: &Client,
    file: &Download<'_>,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<Received, FetchError> {
    let failed = |action| FetchError::io(action, file.aside);
    let mut wrong = None;
    for _ in 0..2 {
        let mut out = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(file.aside)
            .map_err(failed("write"))?;
        let mut receiver = Receiver::new(client, file);
        if receiver.receive(&mut out, progress)? {
            let promised: Vec<&Hash> = file.promised.iter().map(|(hash, _)| hash).collect();
            let mut sha256 = Sha256::new();
            let differs = read_checked(file.aside, &promised, |piece| sha256.update(piece)).map_err(failed("read"))?;
            match differs {
                None => {
                    out.sync_all().map_err(failed("write"))?;
                    let size = out.metadata().map_err(failed("read"))?.len();
                    fs::rename(file.aside, file.to).map_err(FetchError::io("write", file.to))?;
                    remove(&beside(file.aside))?;
                    return Ok(Received {
                        size,
                        sha256: hex(&sha256.finalize()),
                        etag: receiver.version.etag,
                    });
                }
                Some(hash) => {
                    let who = file.promised.iter().find(|(promised, _)| promised == hash);
                    wrong = Some((
                        hash.name(),
                        hash.digits().to_owned(),
                        who.map_or_else(String::new, |(_, who)| who.clone()),
                    ));
                }
            }
        } else {
            wrong = file
                .size
                .map(|size| ("length in bytes", size.to_string(), "the table of files".to_owned()));
        }
        drop(out);
        remove(file.aside)?;
        remove(&beside(file.aside))?;
    }
    let (what, expected, source_of_it) =
        wrong.unwrap_or(("length", "that it says itself".to_owned(), "the server".to_owned()));
    Err(FetchError::WrongBytes {
        url: file.url.to_owned(),
        what,
        expected,
        source_of_it,
    })
}

/// The file beside the gathered bytes that says which version they are of.
fn beside(aside: &Path) -> PathBuf {
    let mut name = aside.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FetchError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

struct Receiver<'a> {
    client: &'a Client,
    file: &'a Download<'a>,
    /// What is known of the bytes that are there.
    version: Version,
}

impl<'a> Receiver<'a> {
    fn new(client: &'a Client, file: &'a Download<'a>) -> Self {
        let known = read_regular(&beside(file.aside), MOST_VERSION)
            .ok()
            .filter(|_| file.validate);
        let version = known.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            client,
            file,
            version: version.unwrap_or_default(),
        }
    }

    fn size(&self) -> Option<u64> {
        self.file.size.or(self.version.total)
    }

    /// Fills `out` to the size that was promised; `false` when more comes than that.
    fn receive(&mut self, out: &mut File, progress: &mut dyn FnMut(DownloadProgress<'_>)) -> Result<bool, FetchError> {
        let path = self.file.aside;
        let mut fruitless = 0;
        let mut patience = Patience::default();
        let mut most = 0;
        // Bytes of which nothing is known but that they are there cannot be added to.
        if self.file.validate && self.version == Version::default() {
            out.set_len(0).map_err(FetchError::io("write", path))?;
        }
        loop {
            let have = out.seek(SeekFrom::End(0)).map_err(FetchError::io("read", path))?;
            match self.size() {
                // A file of no bytes has to be asked for once, to know that.
                Some(size) if have == size && (size > 0 || self.version.total.is_some()) => return Ok(true),
                Some(size) if have > size => return Ok(false),
                _ => {}
            }
            progress(DownloadProgress::Received {
                file: self.file.name,
                bytes: have,
                total: self.size(),
            });
            let unchanged = self.version.validator().filter(|_| self.file.validate);
            let ended = self
                .client
                .get(self.file.url, have, unchanged)
                .map_err(|error| match error {
                    NoAnswer::Broke(reason) => ConnectionEnd::Off(reason),
                    NoAnswer::Refused(reason) => ConnectionEnd::Refused(reason),
                })
                .and_then(|response| self.append(response, have, out, progress));
            let mut gave_up = false;
            let reason = match ended {
                // Without a promised size, the end of the answer is the end of the file.
                Ok(()) if self.size().is_none() => return Ok(true),
                Ok(()) => "the connection ended early".to_owned(),
                Err(ConnectionEnd::TooLong) => return Ok(false),
                Err(ConnectionEnd::Off(reason)) => reason,
                Err(ConnectionEnd::Here(error)) => return Err(error),
                Err(ConnectionEnd::Refused(reason)) => {
                    return Err(FetchError::Refused {
                        url: self.file.url.to_owned(),
                        reason,
                    });
                }
                Err(ConnectionEnd::Busy(status, headers)) => {
                    match patience.next(status, &headers, self.client.clock.now()) {
                        Ok(wait) => {
                            progress(DownloadProgress::Busy {
                                file: self.file.name,
                                status: status.as_u16(),
                                wait,
                            });
                            self.client.clock.sleep(wait);
                            continue;
                        }
                        Err(reason) => {
                            gave_up = true;
                            reason
                        }
                    }
                }
            };
            let received = out.seek(SeekFrom::End(0)).map_err(FetchError::io("read", path))?;
            // More than ever before, not than just before: a server may make the download start anew each time.
            if received > most.max(have) {
                most = received;
                fruitless = 0;
                patience = Patience::default();
                continue;
            }
            fruitless += 1;
            if fruitless == FRUITLESS || gave_up {
                return Err(FetchError::Interrupted {
                    url: self.file.url.to_owned(),
                    received,
                    total: self.size(),
                    reason,
                });
            }
            self.client.clock.sleep(Duration::from_millis(200) * fruitless);
        }
    }

    /// Writes an answer behind the bytes that are there, or over them if it starts at 0; stops after one byte too many.
    fn append(
        &mut self,
        response: Response<Body>,
        have: u64,
        out: &mut File,
        progress: &mut dyn FnMut(DownloadProgress<'_>),
    ) -> Result<(), ConnectionEnd> {
        let path = self.file.aside;
        let here = |error| ConnectionEnd::Here(FetchError::io("write", path)(error));
        let mut have = match response.status() {
            StatusCode::PARTIAL_CONTENT if self.continues(&response, have) => have,
            StatusCode::OK => {
                if have > 0 {
                    out.set_len(0).and_then(|()| out.rewind()).map_err(here)?;
                }
                self.version = Version::of(response.headers());
                self.remember().map_err(ConnectionEnd::Here)?;
                if self
                    .file
                    .size
                    .zip(self.version.total)
                    .is_some_and(|(size, total)| total > size)
                {
                    return Err(ConnectionEnd::TooLong);
                }
                0
            }
            // Another part or version than was asked for, or none: the next connection asks for the whole file.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                out.set_len(0).map_err(here)?;
                self.version = Version::default();
                return Err(ConnectionEnd::Off(
                    "the server does not send the rest of the file".to_owned(),
                ));
            }
            status if is_busy(status) => return Err(ConnectionEnd::Busy(status, response.headers().clone())),
            status => return Err(ConnectionEnd::Off(format!("the server answers {status}"))),
        };
        let size = self.size();
        let most = size.unwrap_or(MOST_UNKNOWN).saturating_add(1);
        let mut body = response.into_body().into_reader();
        let mut piece = vec![0; PIECE];
        loop {
            let room = most.saturating_sub(have).min(PIECE as u64);
            let room = usize::try_from(room).unwrap_or(PIECE);
            if room == 0 {
                return Err(ConnectionEnd::TooLong);
            }
            let read = body
                .read(&mut piece[..room])
                .map_err(|error| ConnectionEnd::Off(error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            out.write_all(&piece[..read]).map_err(here)?;
            have += read as u64;
            progress(DownloadProgress::Received {
                file: self.file.name,
                bytes: have,
                total: size,
            });
        }
    }

    /// Whether a partial answer starts where it was asked to, in the version that is there.
    fn continues(&self, response: &Response<Body>, from: u64) -> bool {
        let range = text(response.headers(), "content-range").and_then(|range| range.strip_prefix("bytes "));
        let start = range.and_then(|range| range.split('-').next()?.parse().ok());
        let total = range.and_then(|range| range.split('/').nth(1)?.parse().ok());
        let version = Version {
            total,
            ..Version::of(response.headers())
        };
        start == Some(from) && (!self.file.validate || self.version.agrees(&version))
    }

    /// Keeps the version beside the bytes, before the first of them is written.
    fn remember(&self) -> Result<(), FetchError> {
        if !self.file.validate {
            return Ok(());
        }
        let path = beside(self.file.aside);
        let bytes = serde_json::to_vec(&self.version).unwrap_or_default();
        fs::write(&path, bytes).map_err(FetchError::io("write", path))
    }
}
