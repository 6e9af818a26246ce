//! Removing runs, and putting them back: a removed run is a directory under another name, with what it was.
//!
//! The trash lies beside the folder of runs, as `.NAME-trash`, so that TensorBoard on the folder does not read it; where
//! nothing can be written there, or it is another disk, it lies in the folder as `.trash`. One removal is one folder:
//! `removed.json`, and the runs by number.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use emorun_files::{Files, Hold, HoldError, read_regular};
use serde::{Deserialize, Serialize};

use crate::written::replace;
use crate::{Catalogue, CatalogueError, Kind, Run};

const RECORD: &str = "removed.json";
const MOST_BYTES: u64 = 1 << 24;

/// One removal: what it removed, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    /// Places below the folder of runs.
    places: Vec<String>,
}

/// A run in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Where it lay below the folder of runs.
    pub place: String,
    /// Where it lies now.
    pub dir: PathBuf,
    /// The removal that it belongs to.
    batch: PathBuf,
}

/// Runs that are held while they are moved, by their places.
type Held<'a> = Vec<(&'a Run, Hold)>;

/// Moves runs to the trash, all of them or none, and gives their places.
///
/// # Errors
/// One is a member, or a process is working on it; or it cannot be moved.
pub fn remove(catalogue: &Catalogue, runs: &[&Run]) -> Result<Vec<String>, CatalogueError> {
    let files = Files::default();
    let mut held: Held<'_> = Vec::new();
    for run in runs {
        hold(catalogue, run, &files, &mut held)?;
    }
    // What goes with its sweep is not moved by itself.
    let is_above = |run: &Run, other: &Run| other.place.starts_with(&format!("{}/", run.place));
    let moved: Vec<&Run> = runs
        .iter()
        .copied()
        .filter(|run| !runs.iter().any(|other| is_above(other, run)))
        .collect();
    let mut last = None;
    for trash in trashes(&catalogue.root) {
        match move_to(&trash, &moved, &files) {
            Ok(()) => return Ok(moved.iter().map(|run| run.place.clone()).collect()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| CatalogueError::NoFolder(catalogue.root.clone())))
}

fn hold<'a>(catalogue: &'a Catalogue, run: &'a Run, files: &Files, held: &mut Held<'a>) -> Result<(), CatalogueError> {
    let place = run.place.clone();
    match (run.kind, &run.group) {
        (Kind::Member, Some(parent)) => {
            let parent = parent.clone();
            return Err(CatalogueError::Member { place, parent });
        }
        (Kind::Entered, _) => return Err(CatalogueError::NotARun(run.dir.clone())),
        _ => {}
    }
    if held.iter().any(|(own, _)| own.place == run.place) {
        return Ok(());
    }
    let found = match Hold::of(&run.dir, files) {
        // Where nothing can be locked, what it says of itself is all there is.
        Ok(found) if found.unlocked().is_some() && run.facts.status == "running" => {
            return Err(CatalogueError::Held { place });
        }
        Ok(found) => found,
        Err(HoldError::Held) => return Err(CatalogueError::Held { place }),
        Err(HoldError::Io(source)) => return Err(CatalogueError::io("lock", &run.dir)(source)),
    };
    held.push((run, found));
    if run.kind == Kind::Sweep {
        let own = catalogue
            .runs
            .iter()
            .filter(|other| other.group.as_ref() == Some(&run.place));
        for run in own {
            hold(catalogue, run, files, held)?;
        }
    }
    Ok(())
}

/// Moves runs into one folder of a trash; what was moved is moved back where the next cannot be.
fn move_to(trash: &Path, runs: &[&Run], files: &Files) -> Result<(), CatalogueError> {
    files
        .create_dir_all(trash)
        .map_err(CatalogueError::io("create", trash))?;
    let batch = new_folder(trash, files)?;
    let removal = Removal {
        places: runs.iter().map(|run| run.place.clone()).collect(),
    };
    // Before anything is moved: what is in the trash can be put back whenever this ends.
    replace(
        files,
        &batch.join(RECORD),
        format!("{:#}\n", serde_json::json!(removal)).as_bytes(),
    )?;
    for (at, run) in runs.iter().enumerate() {
        if let Err(source) = files.rename(&run.dir, &batch.join(at.to_string())) {
            for (at, run) in runs[..at].iter().enumerate() {
                let _ = files.rename(&batch.join(at.to_string()), &run.dir);
            }
            let _ = files.remove_dir_all(&batch);
            return Err(CatalogueError::io("move to the trash", &run.dir)(source));
        }
    }
    Ok(())
}

/// A folder that no other removal has, later ones behind earlier ones in the order of their names.
fn new_folder(trash: &Path, files: &Files) -> Result<PathBuf, CatalogueError> {
    let mut time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    loop {
        let folder = trash.join(format!("{time:032}"));
        match files.create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => time += 1,
            Err(error) => return Err(CatalogueError::io("create", &folder)(error)),
        }
    }
}

fn trashes(root: &Path) -> Vec<PathBuf> {
    let beside = fs::canonicalize(root).ok().and_then(|root| {
        let name = root.file_name()?.to_string_lossy().into_owned();
        Some(root.parent()?.join(format!(".{name}-trash")))
    });
    beside.into_iter().chain([root.join(".trash")]).collect()
}

/// What the trash of a folder of runs holds, the latest removal last.
pub fn contents(root: &Path) -> Vec<Removed> {
    let mut batches: Vec<PathBuf> = trashes(root)
        .iter()
        .filter_map(|trash| fs::read_dir(trash).ok())
        .flat_map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()))
        .collect();
    batches.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    let of = |batch: &PathBuf| -> Vec<Removed> {
        let record = read_regular(&batch.join(RECORD), MOST_BYTES).ok();
        let removal: Option<Removal> = record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let places = removal.map(|removal| removal.places).unwrap_or_default();
        let all = places.into_iter().enumerate().map(|(at, place)| Removed {
            place,
            dir: batch.join(at.to_string()),
            batch: batch.clone(),
        });
        all.filter(|removed| removed.dir.symlink_metadata().is_ok()).collect()
    };
    batches.iter().flat_map(of).collect()
}

/// Puts back what the last removal took, and gives its places.
///
/// # Errors
/// The trash is empty, or something lies where a run was.
pub fn undo(root: &Path) -> Result<Vec<String>, CatalogueError> {
    let all = contents(root);
    let Some(last) = all.last() else {
        return Err(CatalogueError::EmptyTrash(root.to_owned()));
    };
    let batch: Vec<&Removed> = all.iter().filter(|removed| removed.batch == last.batch).collect();
    put_back(root, &batch)
}

/// Puts back the run that lay at a place, or was called so; of several the one that was removed last.
///
/// # Errors
/// The trash holds none of this name, or something lies where it was.
pub fn restore(root: &Path, name: &str) -> Result<Vec<String>, CatalogueError> {
    let all = contents(root);
    let name = name.trim_end_matches('/');
    let is_called = |removed: &&Removed| {
        let label = removed.place.rsplit('/').next();
        removed.place == name || label == Some(name) || name.ends_with(&format!("/{}", removed.place))
    };
    match all.iter().rev().find(is_called) {
        Some(removed) => put_back(root, &[removed]),
        None => Err(CatalogueError::NotInTrash {
            name: name.to_owned(),
            names: all.into_iter().map(|removed| removed.place).collect(),
        }),
    }
}

fn put_back(root: &Path, runs: &[&Removed]) -> Result<Vec<String>, CatalogueError> {
    let files = Files::default();
    // All or nothing, and nothing is overwritten.
    for removed in runs {
        let is_below = crate::scan::member_path(&removed.place).is_some();
        let target = root.join(&removed.place);
        if !is_below || target.symlink_metadata().is_ok() {
            return Err(CatalogueError::Taken(target));
        }
    }
    for removed in runs {
        let target = root.join(&removed.place);
        if let Some(parent) = target.parent() {
            files
                .create_dir_all(parent)
                .map_err(CatalogueError::io("create", parent))?;
        }
        files
            .rename(&removed.dir, &target)
            .map_err(CatalogueError::io("put back", &target))?;
        let is_empty = !contents(root).iter().any(|other| other.batch == removed.batch);
        if is_empty {
            let _ = files.remove_dir_all(&removed.batch);
        }
    }
    Ok(runs.iter().map(|removed| removed.place.clone()).collect())
}

/// Deletes what the trash holds, for good, and gives the places.
///
/// # Errors
/// It cannot be deleted; some of it may be gone.
pub fn empty(root: &Path) -> Result<Vec<String>, CatalogueError> {
    let files = Files::default();
    let all = contents(root);
    for trash in trashes(root).iter().filter(|trash| trash.is_dir()) {
        files
            .remove_dir_all(trash)
            .map_err(CatalogueError::io("delete", trash))?;
    }
    Ok(all.into_iter().map(|removed| removed.place).collect())
}
