//! The cache's layout, that of `huggingface_hub`: `refs` say which commit a branch is, `snapshots` have the files of a
//! commit as links to `blobs`, which are named by their hash.

use crate::WeightsError;
use crate::aside::aside;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) struct RepoCache {
    name: String,
    root: PathBuf,
    locks: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache: &Path, id: &str) -> Self {
        let name = format!("models--{}", id.replace('/', "--"));
        Self {
            root: cache.join(&name),
            locks: cache.join(".locks").join(&name),
            name,
        }
    }

    pub(super) fn folder_name(&self) -> &str {
        &self.name
    }

    /// The commit that a revision means, as far as the cache knows.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Remembers which commit a revision means.
    pub(super) fn remember(&self, revision: &str, commit: &str) -> Result<(), WeightsError> {
        if revision == commit {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        make_folder_of(&path)?;
        let aside = aside(&path);
        File::create(&aside)
            .and_then(|mut file| file.write_all(commit.as_bytes()))
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(WeightsError::io("write", path))
    }

    /// A file of a commit that is there.
    pub(super) fn file(&self, commit: &str, file: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit, file)).filter(|path| path.is_file())
    }

    /// Whether a commit is known not to have a file.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    pub(super) fn note_absence(&self, commit: &str, file: &str) -> Result<(), WeightsError> {
        let path = self.absence(commit, file);
        make_folder_of(&path)?;
        File::create(&path).map(drop).map_err(WeightsError::io("write", path))
    }

    /// The blob of a hash, whether it is there or not; its folder is.
    pub(super) fn blob(&self, etag: &str) -> Result<PathBuf, WeightsError> {
        let path = self.root.join("blobs").join(etag);
        make_folder_of(&path)?;
        Ok(path)
    }

    /// The lock of a blob, opened. `huggingface_hub` locks the same file in the same way.
    pub(super) fn lock(&self, etag: &str) -> Result<(PathBuf, File), WeightsError> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_folder_of(&path)?;
        let opened = File::options().create(true).write(true).truncate(false).open(&path);
        opened
            .map(|file| (path.clone(), file))
            .map_err(WeightsError::io("lock", path))
    }

    /// Makes a blob a file of a commit. Where there are no links, it becomes a copy.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf, WeightsError> {
        let path = self.snapshot(commit, file);
        make_folder_of(&path)?;
        let aside = aside(&path);
        fs::remove_file(&aside).ok();
        let linked = symlink(&Path::new("../../blobs").join(etag), &aside);
        linked
            .or_else(|_| fs::copy(self.root.join("blobs").join(etag), &aside).map(drop))
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(WeightsError::io("write", &path))?;
        Ok(path)
    }

    fn snapshot(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(file)
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join(".no_exist").join(commit).join(file)
    }
}

/// Whether a text is a commit of Git.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn make_folder_of(path: &Path) -> Result<(), WeightsError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(WeightsError::io("create", folder))
}

#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

/// Links need rights elsewhere that users rarely have.
#[cfg(not(unix))]
fn symlink(_to: &Path, _at: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
