//! A folder of a Git repository.

use crate::hash::{git_of, sha256_of};
use crate::sources::Repository;
use crate::{FetchError, Limits, Unpacked, unpack};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest file that is read into memory, in bytes: GitHub takes none larger.
const MAX_FILE: u64 = 100 << 20;

/// Unpacks the archive of a commit to `scratch`, which is made, and gives the wanted folder in it, when it holds what was
/// reviewed.
pub(crate) fn unpacked(
    repository: &Repository,
    archive: &Path,
    scratch: &Path,
    progress: &mut dyn FnMut(&Unpacked),
) -> Result<PathBuf, FetchError> {
    let wrong = |reason: String| FetchError::Listing {
        url: repository.url.to_owned(),
        reason,
    };
    let limits = Limits {
        entries: 200_000,
        bytes: 4 << 30,
        // Lists of files are alike.
        ratio: 200,
    };
    fs::create_dir_all(scratch).map_err(FetchError::io("create", scratch))?;
    unpack(archive, scratch, 1, limits, progress)?;
    let folder = scratch.join(repository.folder);
    if !folder.is_dir() {
        return Err(wrong(format!("it has no folder {}", repository.folder)));
    }
    let mut files = Vec::new();
    list(&folder, "", &mut files)?;
    files.sort_unstable();
    let lines: String = files.iter().map(|(path, blob)| format!("{blob} {path}\n")).collect();
    if files.len() != repository.files || sha256_of(lines.as_bytes()) != repository.listing_sha256 {
        return Err(wrong(format!(
            "{} files were reviewed, and it has {}, or others",
            repository.files,
            files.len()
        )));
    }
    Ok(folder)
}

/// Adds path and blob of every file in a folder.
fn list(folder: &Path, start: &str, files: &mut Vec<(String, String)>) -> Result<(), FetchError> {
    for entry in fs::read_dir(folder).map_err(FetchError::io("read", folder))? {
        let entry = entry.map_err(FetchError::io("read", folder))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let metadata = entry.metadata().map_err(FetchError::io("read", &path))?;
        if metadata.is_dir() {
            list(&path, &format!("{start}{name}/"), files)?;
        } else if metadata.len() <= MAX_FILE {
            let bytes = fs::read(&path).map_err(FetchError::io("read", &path))?;
            files.push((format!("{start}{name}"), git_of(&bytes)));
        } else {
            // It is in no list.
            files.push((format!("{start}{name}"), String::new()));
        }
    }
    Ok(())
}
