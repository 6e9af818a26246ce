//! The cache's layout, that of `huggingface_hub`: `refs` say which commit a branch is, `snapshots` have the files of a
//! commit as links to `blobs`, which are named by their hash.

use crate::WeightsError;
use crate::aside::aside;
use emorun_files::read_regular;
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A commit of Git, and so the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit(String);

impl Commit {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_commit = text.len() == 40
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_commit.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hash that names a blob, and so the name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlobName(String);

impl BlobName {
    /// The name that a server's tag gives.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let name = tag.trim_start_matches("W/").trim_matches('"');
        let is_name = !name.is_empty()
            && name.len() <= 128
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        is_name.then(|| Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Largest file that says which commit a branch is.
const MOST_REF: u64 = 1024;

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
    pub(super) fn commit(&self, revision: &str) -> Option<Commit> {
        Commit::parse(revision).or_else(|| {
            let bytes = read_regular(&self.root.join("refs").join(revision), MOST_REF).ok()?;
            Commit::parse(std::str::from_utf8(&bytes).ok()?.trim())
        })
    }

    /// Remembers which commit a revision means.
    pub(super) fn remember(&self, revision: &str, commit: &Commit) -> Result<(), WeightsError> {
        if revision == commit.as_str() {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        make_folder_of(&path)?;
        let aside = aside(&path);
        File::create(&aside)
            .and_then(|mut file| file.write_all(commit.as_str().as_bytes()))
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(WeightsError::io("write", path))
    }

    /// A file of a commit that is there.
    pub(super) fn file(&self, commit: &Commit, file: &str) -> Option<PathBuf> {
        Some(self.snapshot(commit, file)).filter(|path| path.is_file())
    }

    /// Whether a commit is known not to have a file.
    pub(super) fn is_absent(&self, commit: &Commit, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    pub(super) fn note_absence(&self, commit: &Commit, file: &str) -> Result<(), WeightsError> {
        let path = self.absence(commit, file);
        make_folder_of(&path)?;
        File::create(&path).map(drop).map_err(WeightsError::io("write", path))
    }

    /// The blob of a hash, whether it is there or not; its folder is.
    pub(super) fn blob(&self, etag: &BlobName) -> Result<PathBuf, WeightsError> {
        let path = self.root.join("blobs").join(etag.as_str());
        make_folder_of(&path)?;
        Ok(path)
    }

    /// The lock of a blob, opened. `huggingface_hub` locks the same file in the same way.
    pub(super) fn lock(&self, etag: &BlobName) -> Result<(PathBuf, File), WeightsError> {
        let path = self.locks.join(format!("{}.lock", etag.as_str()));
        make_folder_of(&path)?;
        let opened = File::options().create(true).write(true).truncate(false).open(&path);
        opened
            .map(|file| (path.clone(), file))
            .map_err(WeightsError::io("lock", path))
    }

    /// Makes a blob a file of a commit. Where there are no links, it becomes a copy.
    pub(super) fn link(&self, commit: &Commit, file: &str, etag: &BlobName) -> Result<PathBuf, WeightsError> {
        let path = self.snapshot(commit, file);
        make_folder_of(&path)?;
        let aside = aside(&path);
        fs::remove_file(&aside).ok();
        let linked = symlink(&Path::new("../../blobs").join(etag.as_str()), &aside);
        linked
            .or_else(|_| fs::copy(self.root.join("blobs").join(etag.as_str()), &aside).map(drop))
            .and_then(|()| fs::rename(&aside, &path))
            .map_err(WeightsError::io("write", &path))?;
        Ok(path)
    }

    fn snapshot(&self, commit: &Commit, file: &str) -> PathBuf {
        self.root.join("snapshots").join(commit.as_str()).join(file)
    }

    fn absence(&self, commit: &Commit, file: &str) -> PathBuf {
        self.root.join(".no_exist").join(commit.as_str()).join(file)
    }
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
