//! A whole corpus, into a folder.

mod archive;
mod folders;
mod stored;
mod work;

use crate::record::{RECORD, Record};
use crate::sources::{How, RemoteFile, SOURCES, Source};
use crate::{Client, FetchError};
use folders::{LOCK, is_unpacked, lock};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use work::Work;

/// What to fetch, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The corpus' folder; made where it is missing.
    pub to: &'a Path,
    /// Parts of the corpus; its default ones when empty.
    pub parts: &'a [String],
    /// Address of a folder with the same files, to be asked instead of the official one.
    pub mirror: Option<&'a str>,
    /// Whether archives stay beside what was in them.
    pub keep_archives: bool,
    /// Files that are downloaded at the same time.
    pub connections: usize,
}

/// What is being done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Another process fetches into the same folder; it is waited for.
    Waiting,
    /// A file is there from an earlier time.
    Present {
        /// The file.
        file: &'a str,
    },
    /// Bytes of a file have arrived.
    Received {
        /// The file.
        file: &'a str,
        /// Bytes on the disk.
        bytes: u64,
        /// Bytes of the whole file, where that is known.
        total: Option<u64>,
    },
    /// The server of a file is busy and is asked again later.
    Busy {
        /// The file.
        file: &'a str,
        /// What it answered, such as 429 or 503.
        status: u16,
        /// How long it is waited for.
        wait: Duration,
    },
    /// An archive is being unpacked.
    Unpacking {
        /// The archive.
        file: &'a str,
        /// Files so far.
        files: u64,
    },
    /// A file is there, checked and unpacked.
    Done {
        /// The file.
        file: &'a str,
    },
    /// Of many small files, how many are there.
    Counted {
        /// Files that are there.
        done: usize,
        /// All files.
        files: usize,
        /// Bytes of the files that are there.
        bytes: u64,
        /// Bytes of all files.
        total: u64,
    },
}

/// What was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files that were downloaded.
    pub downloaded: usize,
    /// Files that were there already.
    pub present: usize,
    /// Names of files whose hash nobody publishes: it was recorded now.
    pub recorded: Vec<String>,
}

/// What is in a folder that a corpus would be fetched into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is no such folder.
    Absent,
    /// A fetch that was begun and not finished.
    Begun,
    /// What was fetched, all of it.
    Whole,
    /// A folder in which nothing was ever fetched: the user's own.
    Own,
}

/// What is in a folder that a corpus would be fetched into, after its record.
///
/// # Errors
/// The record cannot be read, or is not one.
pub fn presence(source: &Source, folder: &Path) -> Result<Presence, FetchError> {
    if !folder.exists() {
        return Ok(Presence::Absent);
    }
    if !folder.join(LOCK).exists() {
        return Ok(Presence::Own);
    }
    let record = Record::read(folder)?;
    let whole = match source.how {
        How::Lfs(lfs) => record.files.len() >= lfs.files,
        _ => !record.files.is_empty() && record.files.values().all(|file| is_unpacked(file, folder)),
    };
    Ok(if whole { Presence::Whole } else { Presence::Begun })
}

/// Hears of events, from several threads.
type OnEvent<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// Fetches a corpus. What is there already is left alone, what was begun is gone on with, and nothing half-written has
/// its final name. Whoever calls has shown the licence and asked for consent.
///
/// # Errors
/// The corpus is only given out on request, a part is unknown, or the first file that could not be fetched.
pub fn fetch_corpus(
    client: &Client,
    source: &Source,
    options: &Options<'_>,
    on_event: OnEvent<'_>,
) -> Result<Fetched, FetchError> {
    let chosen = parts(source, options.parts)?;
    fs::create_dir_all(options.to).map_err(FetchError::io("create", options.to))?;
    let _lock = lock(options.to, on_event)?;
    let mut record = Record::read(options.to)?;
    if !record.corpus.is_empty() && record.corpus != source.name {
        return Err(FetchError::Record {
            path: options.to.join(RECORD),
            reason: format!("it is of the corpus `{}`", record.corpus),
        });
    }
    source.name.clone_into(&mut record.corpus);
    source.licence.name.clone_into(&mut record.licence);
    let work = Work {
        client,
        options,
        on_event,
        record: Mutex::new(record),
        fetched: Mutex::new(Fetched::default()),
    };
    match source.how {
        How::Archives(_) => work.in_parallel(&chosen, |file| work.archive(file))?,
        How::Lfs(lfs) => work.lfs(&lfs)?,
        How::Repository(repository) => work.repository(&repository)?,
        How::Request(_) => {
            return Err(FetchError::OnRequest {
                corpus: source.name.to_owned(),
            });
        }
    }
    Ok(work
        .fetched
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// The archives that hold the parts.
fn parts(source: &Source, named: &[String]) -> Result<Vec<&'static RemoteFile>, FetchError> {
    let files: &'static [RemoteFile] = match source.how {
        How::Archives(files) => files,
        How::Lfs(_) | How::Repository(_) => &[],
        How::Request(_) => {
            return Err(FetchError::OnRequest {
                corpus: source.name.to_owned(),
            });
        }
    };
    let error = |reason: String| FetchError::Part {
        corpus: source.name.to_owned(),
        reason,
        known: files.iter().map(|file| file.part.to_owned()).collect(),
    };
    if files.is_empty() {
        return match named.first() {
            Some(name) => Err(error(format!(
                "there is no part `{name}`, for the corpus comes as a whole"
            ))),
            None => Ok(Vec::new()),
        };
    }
    if named.is_empty() {
        let chosen: Vec<_> = files.iter().filter(|file| file.default).collect();
        return if chosen.is_empty() {
            Err(error("it is large: say which parts with --part".to_owned()))
        } else {
            Ok(chosen)
        };
    }
    let mut chosen: Vec<&RemoteFile> = Vec::new();
    for name in named {
        let file = files.iter().find(|file| file.part == name);
        let file = file.ok_or_else(|| error(format!("there is no part `{name}`")))?;
        if !chosen.iter().any(|known| known.part == file.part) {
            chosen.push(file);
        }
    }
    Ok(chosen)
}

impl Source {
    /// The corpus of that name.
    ///
    /// # Errors
    /// There is none; the error has the most similar name.
    pub fn named(name: &str) -> Result<&'static Self, FetchError> {
        crate::find(name).ok_or_else(|| {
            let common = |known: &str| {
                let letters: BTreeSet<char> = known.chars().collect();
                let given: BTreeSet<char> = name.to_lowercase().chars().collect();
                2 * letters.intersection(&given).count() > letters.union(&given).count()
            };
            FetchError::UnknownCorpus {
                name: name.to_owned(),
                nearest: SOURCES
                    .iter()
                    .find(|source| common(source.name))
                    .map(|source| source.name.to_owned()),
            }
        })
    }
}
