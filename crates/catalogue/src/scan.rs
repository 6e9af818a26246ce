//! Finding runs: the folders below a folder of runs that hold one.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use emorun_files::Stamp;

use crate::facts::{RECORD, SUMMARY};
use crate::notes::NOTES;

/// Folders below that of the runs that are looked into: experiment, label, and what somebody has put around them.
const DEEPEST: usize = 5;
/// What makes a folder a sweep.
pub(crate) const SWEEP: &str = "sweep.yaml";
/// What a run leaves behind that was stopped before it began.
const LEAVINGS: [&str; 5] = [
    "resolved.yaml",
    "experiment.yaml",
    "metrics.jsonl",
    "checkpoints",
    SUMMARY,
];
/// A file that was written so shortly ago may be written again without another time.
const FRESH: Duration = Duration::from_secs(2);

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A run, alone or with members.
    #[default]
    Run,
    /// A member of a run: a fold, a seed.
    Member,
    /// Several runs that were started as one.
    Sweep,
    /// What was entered in `model_runs.yaml` from elsewhere.
    Entered,
}

impl Kind {
    /// As lists name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Member => "member",
            Self::Sweep => "sweep",
            Self::Entered => "entered",
        }
    }
}

/// A folder that holds a run or a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path below the folder of runs, with `/`.
    pub place: String,
    pub kind: Kind,
    /// The sweep or run that it belongs to.
    pub group: Option<String>,
    pub stamped: Stamped,
}

/// What tells whether a run's files are those that were read.
pub(crate) fn stamp_of(dir: &Path) -> Stamped {
    let now = SystemTime::now();
    let mut hasher = DefaultHasher::new();
    let mut is_fresh = false;
    let mut is_recorded = false;
    for name in [RECORD, SUMMARY, NOTES] {
        let metadata = fs::metadata(dir.join(name)).ok();
        if let Some(metadata) = &metadata {
            let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
            is_fresh |= age.is_none_or(|age| age < FRESH);
            is_recorded |= name == RECORD;
        }
        metadata.as_ref().map(Stamp::from).hash(&mut hasher);
    }
    Stamped {
        stamp: hasher.finish(),
        is_fresh,
        is_recorded,
    }
}

/// Sizes, times and numbers of a run's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub stamp: u64,
    /// Whether some file is so new that it may change without another stamp.
    pub is_fresh: bool,
    /// Whether there is a `run.json`.
    pub is_recorded: bool,
}

/// The runs and sweeps below a folder; members are named by their runs.
///
/// # Errors
/// The folder itself cannot be read.
pub(crate) fn find(root: &Path) -> std::io::Result<Vec<Found>> {
    // Links that lead to where we are already are not followed.
    let mut seen: HashSet<PathBuf> = fs::canonicalize(root).into_iter().collect();
    let mut found = Vec::new();
    let mut level: Vec<Folder> = folders(root, &mut seen)?
        .into_iter()
        .map(|place| Folder { place, group: None })
        .collect();
    for depth in 1..=DEEPEST {
        let looks = in_parallel(&level, |folder| look(root, folder, depth));
        let mut next = Vec::new();
        for (folder, look) in level.into_iter().zip(looks) {
            let group = match look {
                Look::Holds(kind, stamped) => {
                    found.push(Found {
                        place: folder.place.clone(),
                        kind,
                        group: folder.group.clone(),
                        stamped,
                    });
                    if kind != Kind::Sweep {
                        continue;
                    }
                    Some(folder.place.clone())
                }
                Look::Other => folder.group,
            };
            // What cannot be read holds nothing that could be shown.
            let names = folders(&root.join(&folder.place), &mut seen).unwrap_or_default();
            next.extend(names.into_iter().map(|name| Folder {
                place: format!("{}/{name}", folder.place),
                group: group.clone(),
            }));
        }
        level = next;
    }
    Ok(found)
}

/// A folder to be looked at.
struct Folder {
    place: String,
    /// The sweep that it lies in.
    group: Option<String>,
}

/// What a folder turned out to be.
enum Look {
    Holds(Kind, Stamped),
    Other,
}

fn look(root: &Path, folder: &Folder, depth: usize) -> Look {
    let dir = root.join(&folder.place);
    let is_there = |name: &str| dir.join(name).symlink_metadata().is_ok();
    let stamped = stamp_of(&dir);
    if stamped.is_recorded {
        return Look::Holds(Kind::Run, stamped);
    }
    if folder.group.is_none() && is_there(SWEEP) {
        return Look::Holds(Kind::Sweep, stamped);
    }
    if depth > 1 && (is_there(RECORD) || LEAVINGS.iter().any(|name| is_there(name))) {
        return Look::Holds(Kind::Run, stamped);
    }
    Look::Other
}

/// What a function gives of each of many things, found by several threads.
pub(crate) fn in_parallel<T: Sync, R: Send>(all: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(threads).max(1);
    if all.len() < threads {
        return all.iter().map(one).collect();
    }
    std::thread::scope(|scope| {
        let one = &one;
        let started: Vec<_> = all
            .chunks(share)
            .map(|part| (part, scope.spawn(move || part.iter().map(one).collect::<Vec<R>>())))
            .collect();
        // What a thread has panicked at is done again here, where the panic is seen.
        started
            .into_iter()
            .flat_map(|(part, thread)| thread.join().unwrap_or_else(|_| part.iter().map(one).collect()))
            .collect()
    })
}

/// The folders in a folder, by name: hidden ones are not runs, and links are followed once.
fn folders(dir: &Path, seen: &mut HashSet<PathBuf>) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)?.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !name.starts_with('.') && is_folder(&entry, seen) {
            found.push(name);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn is_folder(entry: &DirEntry, seen: &mut HashSet<PathBuf>) -> bool {
    let Ok(kind) = entry.file_type() else {
        return false;
    };
    if !kind.is_symlink() {
        return kind.is_dir();
    }
    let Ok(target) = fs::canonicalize(entry.path()) else {
        return false;
    };
    let is_within = seen
        .iter()
        .any(|known| target.starts_with(known) || known.starts_with(&target));
    target.is_dir() && !is_within && seen.insert(target)
}

/// A member's path below its run, if it is one: it stands in a file.
pub(crate) fn member_path(member: &str) -> Option<&Path> {
    let path = Path::new(member);
    let mut parts = path.components().peekable();
    parts.peek()?;
    parts.all(|part| matches!(part, Component::Normal(_))).then_some(path)
}
