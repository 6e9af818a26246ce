//! A whole corpus, into a folder.

use crate::contents;
use crate::download::Received;
use crate::lfs::{self, Pointer};
use crate::record::{RECORD, Record, RecordedFile};
use crate::sources::{How, Lfs, RemoteFile, Repository, SOURCES, Source};
use crate::{Client, Download, DownloadProgress, FetchError, Hash, Limits, Unpacked, download, repository, unpack};
use emorun_files::read_regular;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Name of the file by which one process at a time fetches into a folder.
const LOCK: &str = ".fetch.lock";

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

/// Whether what an archive was unpacked to is still there.
fn is_unpacked(file: &RecordedFile, folder: &Path) -> bool {
    !file.unpacked.is_empty() && file.unpacked.iter().all(|top| folder.join(top).exists())
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

/// Keeps other processes out of the folder.
fn lock(folder: &Path, on_event: OnEvent<'_>) -> Result<File, FetchError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(FetchError::io("lock", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            on_event(Event::Waiting);
            file.lock().map_err(FetchError::io("lock", path))?;
        }
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(FetchError::io("lock", path)(error)),
    }
    Ok(file)
}

struct Work<'a> {
    client: &'a Client,
    options: &'a Options<'a>,
    on_event: OnEvent<'a>,
    record: Mutex<Record>,
    fetched: Mutex<Fetched>,
}

impl Work<'_> {
    /// Does the same with many files, on as many threads as there may be connections. After an error nothing new is
    /// begun; the error of the first file in order is given.
    fn in_parallel<T: Sync>(
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

    fn address(&self, official: &str, name: &str) -> String {
        self.options.mirror.map_or_else(
            || official.to_owned(),
            |mirror| format!("{}/{name}", mirror.trim_end_matches('/')),
        )
    }

    fn hidden(&self, name: &str, what: &str) -> PathBuf {
        self.options.to.join(format!(".{name}.{what}"))
    }

    fn archive(&self, file: &RemoteFile) -> Result<(), FetchError> {
        // An archive that was never unpacked may have been anything, such as a network's log-in page.
        let known = lock_of(&self.record)
            .files
            .get(file.name)
            .filter(|known| !known.unpacked.is_empty())
            .cloned();
        if known.as_ref().is_some_and(|known| is_unpacked(known, self.options.to)) {
            (self.on_event)(Event::Present { file: file.name });
            lock_of(&self.fetched).present += 1;
            return Ok(());
        }
        let table = || "emorun's table of corpora".to_owned();
        let mut promised: Vec<(Hash, String)> = Vec::new();
        promised.extend(file.sha256.map(|digits| (Hash::Sha256(digits.to_owned()), table())));
        promised.extend(file.md5.map(|digits| (Hash::Md5(digits.to_owned()), table())));
        let published = !promised.is_empty();
        promised.extend(known.as_ref().map(|known| {
            let who = format!(
                "{} of the first download (remove its entry if the publisher has replaced the file)",
                self.options.to.join(RECORD).display()
            );
            (Hash::Sha256(known.sha256.clone()), who)
        }));
        let archive = self.options.to.join(file.name);
        let url = self.address(file.url, file.name);
        let received = download(
            self.client,
            &Download {
                url: &url,
                name: file.name,
                to: &archive,
                aside: &self.hidden(file.name, "part"),
                size: file.size,
                promised: &promised,
                validate: true,
            },
            &mut |progress| self.pass(progress),
        )?;
        let scratch = self.hidden(file.name, "unpacked");
        remove_folder(&scratch)?;
        fs::create_dir_all(&scratch).map_err(FetchError::io("create", &scratch))?;
        let mut on_file = |done: &Unpacked| {
            (self.on_event)(Event::Unpacking {
                file: file.name,
                files: done.files,
            });
        };
        let unpacked = unpack(&archive, &scratch, file.strip, Limits::default(), &mut on_file);
        let merged = unpacked.and_then(|_| {
            let tops = names(&scratch)?;
            expected(file, &scratch, &tops).map_err(|reason| FetchError::Archive {
                path: archive.clone(),
                reason,
            })?;
            merge(&scratch, self.options.to, file.name)?;
            Ok(tops)
        });
        remove_folder(&scratch)?;
        if let Err(FetchError::Archive { .. }) = &merged {
            // What is not the corpus is not kept, so that the next download starts anew.
            fs::remove_file(&archive).map_err(FetchError::io("remove", &archive))?;
        }
        let tops = merged?;
        // Only now: what is recorded is the corpus, and what comes later is held against it.
        self.note(file.name, &url, &received, tops)?;
        if !published && known.is_none() {
            lock_of(&self.fetched).recorded.push(file.name.to_owned());
        }
        if !self.options.keep_archives {
            fs::remove_file(&archive).map_err(FetchError::io("remove", &archive))?;
        }
        (self.on_event)(Event::Done { file: file.name });
        lock_of(&self.fetched).downloaded += 1;
        Ok(())
    }

    /// Downloads the archive of a commit and keeps one folder of it.
    fn repository(&self, repository: &Repository) -> Result<(), FetchError> {
        const NAME: &str = "repository.tar.gz";
        let known = lock_of(&self.record).files.get(NAME).cloned();
        if known.is_some_and(|known| is_unpacked(&known, self.options.to)) {
            (self.on_event)(Event::Present { file: NAME });
            lock_of(&self.fetched).present += 1;
            return Ok(());
        }
        let archive = self.hidden(NAME, "whole");
        let url = self.address(repository.url, NAME);
        let received = download(
            self.client,
            &Download {
                url: &url,
                name: NAME,
                to: &archive,
                aside: &self.hidden(NAME, "part"),
                size: None,
                promised: &[],
                validate: true,
            },
            &mut |progress| self.pass(progress),
        )?;
        let scratch = self.hidden(NAME, "unpacked");
        remove_folder(&scratch)?;
        let mut on_file = |done: &Unpacked| {
            (self.on_event)(Event::Unpacking {
                file: NAME,
                files: done.files,
            });
        };
        let folder = repository::unpacked(repository, &archive, &scratch, &mut on_file);
        let merged = folder.and_then(|folder| {
            let tops = names(&folder)?;
            merge(&folder, self.options.to, NAME)?;
            Ok(tops)
        });
        remove_folder(&scratch)?;
        // What is not the reviewed folder is not kept either, so that the next download starts anew.
        fs::remove_file(&archive).map_err(FetchError::io("remove", &archive))?;
        self.note(NAME, &url, &received, merged?)?;
        (self.on_event)(Event::Done { file: NAME });
        lock_of(&self.fetched).downloaded += 1;
        Ok(())
    }

    fn lfs(&self, lfs: &Lfs) -> Result<(), FetchError> {
        let name = "pointers.tar.gz";
        let archive = self.hidden(name, "whole");
        download(
            self.client,
            &Download {
                url: &self.address(lfs.pointers_url, name),
                name,
                to: &archive,
                aside: &self.hidden(name, "part"),
                size: None,
                promised: &[],
                validate: true,
            },
            &mut |progress| self.pass(progress),
        )?;
        let scratch = self.hidden(name, "unpacked");
        remove_folder(&scratch)?;
        fs::create_dir_all(&scratch).map_err(FetchError::io("create", &scratch))?;
        let listing = lfs::list(lfs, &archive, &scratch);
        remove_folder(&scratch)?;
        fs::remove_file(&archive).map_err(FetchError::io("remove", &archive))?;
        let listing = listing?;
        for (path, bytes) in &listing.plain {
            let to = self.options.to.join(path);
            if read_regular(&to, bytes.len() as u64).is_ok_and(|there| there == *bytes) {
                continue;
            }
            if to.exists() {
                return Err(in_the_way(&to, name));
            }
            make_folder_of(&to)?;
            let aside = self.hidden(&path.replace('/', "-"), "part");
            fs::write(&aside, bytes)
                .and_then(|()| fs::rename(&aside, &to))
                .map_err(FetchError::io("write", &to))?;
        }
        let folder = self.options.to.join(lfs.folder);
        fs::create_dir_all(&folder).map_err(FetchError::io("create", &folder))?;
        let counts = Mutex::new((0_usize, 0_u64));
        self.in_parallel(&listing.pointers, |pointer| {
            let fresh = self.stored(lfs, pointer)?;
            let (done, bytes) = {
                let mut counts = lock_of(&counts);
                counts.0 += 1;
                counts.1 += pointer.size;
                *counts
            };
            {
                let mut fetched = lock_of(&self.fetched);
                fetched.downloaded += usize::from(fresh);
                fetched.present += usize::from(!fresh);
            }
            (self.on_event)(Event::Counted {
                done,
                files: lfs.files,
                bytes,
                total: lfs.bytes,
            });
            Ok(())
        })?;
        let mut record = lock_of(&self.record);
        let now = unix_s();
        for Pointer { path, sha256, size } in listing.pointers {
            record.files.entry(path).or_insert_with_key(|path| RecordedFile {
                url: format!("{}{path}", lfs.files_url),
                size,
                sha256,
                etag: None,
                fetched_unix_s: now,
                unpacked: Vec::new(),
            });
        }
        record.write(self.options.to)
    }

    /// Makes sure that a stored file is there; whether it had to be downloaded.
    fn stored(&self, lfs: &Lfs, pointer: &Pointer) -> Result<bool, FetchError> {
        let to = self.options.to.join(&pointer.path);
        if let Ok(found) = fs::metadata(&to) {
            // It got its name after its hash was right.
            return if found.is_file() && found.len() == pointer.size {
                Ok(false)
            } else {
                Err(in_the_way(&to, "the repository"))
            };
        }
        let promised = [(
            Hash::Sha256(pointer.sha256.clone()),
            "the repository's pointer".to_owned(),
        )];
        let url = self.address(&format!("{}{}", lfs.files_url, pointer.path), &pointer.path);
        let aside = self.hidden(&pointer.path.replace('/', "-"), "part");
        download(
            self.client,
            &Download {
                url: &url,
                name: &pointer.path,
                to: &to,
                aside: &aside,
                size: Some(pointer.size),
                promised: &promised,
                validate: false,
            },
            &mut |progress| {
                // Of thousands of small files only the waits are told one by one.
                if matches!(progress, DownloadProgress::Busy { .. }) {
                    self.pass(progress);
                }
            },
        )?;
        Ok(true)
    }

    fn pass(&self, progress: DownloadProgress<'_>) {
        (self.on_event)(match progress {
            DownloadProgress::Waiting { .. } => Event::Waiting,
            DownloadProgress::Received { file, bytes, total } => Event::Received { file, bytes, total },
            DownloadProgress::Busy { file, status, wait } => Event::Busy { file, status, wait },
        });
    }

    fn note(&self, name: &str, url: &str, received: &Received, unpacked: Vec<String>) -> Result<(), FetchError> {
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

/// Whether what was unpacked is what should be in an archive.
fn expected(file: &RemoteFile, scratch: &Path, tops: &[String]) -> Result<(), String> {
    // The record and the lock would be replaced by it.
    if let Some(own) = tops.iter().find(|top| [RECORD, LOCK].contains(&top.as_str())) {
        return Err(format!("it holds {own}, which is emorun's own file"));
    }
    file.contents.map_or(Ok(()), |contents| {
        contents::verify(&contents, scratch).map_err(|reason| {
            format!(
                "{reason}; what came is not {} (a log-in page? an archive that was replaced?)",
                file.name
            )
        })
    })
}

fn lock_of<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn remove_folder(path: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FetchError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn make_folder_of(path: &Path) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FetchError::io("create", folder))
}

fn in_the_way(path: &Path, archive: &str) -> FetchError {
    FetchError::InTheWay {
        path: path.to_owned(),
        archive: archive.to_owned(),
    }
}

/// Names of what is in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>, FetchError> {
    let entries = fs::read_dir(folder).map_err(FetchError::io("read", folder))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(FetchError::io("read", folder))?;
    names.sort_unstable();
    Ok(names)
}

/// Moves what is in one folder into another, beside what is there. A file that is there already is replaced only by one
/// of the same length: an interrupted move left it, or it is the user's own copy.
fn merge(from: &Path, to: &Path, archive: &str) -> Result<(), FetchError> {
    for name in names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let moved = fs::metadata(&source).map_err(FetchError::io("read", &source))?;
        match fs::metadata(&target) {
            Ok(there) if moved.is_dir() && there.is_dir() => merge(&source, &target, archive)?,
            Ok(there) if moved.is_dir() || !there.is_file() || there.len() != moved.len() => {
                return Err(in_the_way(&target, archive));
            }
            _ => fs::rename(&source, &target).map_err(FetchError::io("write", target))?,
        }
    }
    Ok(())
}
