//! Checkpoints of the Hub, through the cache that they share with `huggingface_hub`.

mod cache;
mod client;
mod download;
mod settings;

pub use emorun_fetch::DownloadProgress;
pub use settings::HubSettings;

use crate::WeightsError;
use crate::locate::{CANDIDATES, CONFIG, Located, PREPROCESSOR, is_index, parts_of};
use cache::{Commit, RepoCache};
use client::{Answer, Client};
use std::path::PathBuf;

/// Finds the files of a repository in the cache and downloads the others.
pub(crate) fn locate(
    id: &str,
    revision: Option<&str>,
    settings: &HubSettings,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<Located, WeightsError> {
    let revision = revision.unwrap_or("main");
    let cache = RepoCache::new(&settings.cache, id);
    let commit = cache.commit(revision);
    let mut repository = Repository {
        id,
        revision,
        settings,
        cache,
        commit,
        client: None,
        progress,
        notes: Vec::new(),
    };
    let config = repository.needed(CONFIG)?;
    let preprocessor = repository.preprocessor()?;
    let (index, tensors) = repository.tensors()?;
    let Repository { commit, notes, .. } = repository;
    Ok(Located {
        config,
        preprocessor,
        index,
        tensors,
        revision: commit.map(|commit| commit.to_string()),
        notes,
        warnings: Vec::new(),
    })
}

struct Repository<'a> {
    id: &'a str,
    revision: &'a str,
    settings: &'a HubSettings,
    cache: RepoCache,
    /// What `revision` means, as soon as the cache or the Hub has said it: all files come from one commit.
    commit: Option<Commit>,
    client: Option<Client>,
    progress: &'a mut dyn FnMut(DownloadProgress<'_>),
    notes: Vec<String>,
}

impl Repository<'_> {
    fn needed(&mut self, file: &str) -> Result<PathBuf, WeightsError> {
        let no_file = WeightsError::NoFile {
            id: self.id.to_owned(),
            file: file.to_owned(),
        };
        self.file(file)?.ok_or(no_file)
    }

    /// The preprocessor's configuration. A cache filled by hand may lack it although the repository has it, so that its
    /// absence from the cache says nothing; when it cannot be asked for, the caller's default has to do.
    fn preprocessor(&mut self) -> Result<Option<PathBuf>, WeightsError> {
        match self.file(PREPROCESSOR) {
            Err(WeightsError::Unreachable { .. }) => {
                self.notes.push(format!(
                    "{PREPROCESSOR} of `{}` is not in the cache and the Hub cannot be asked whether there is one",
                    self.id
                ));
                Ok(None)
            }
            other => other,
        }
    }

    /// The index, where there is one, and the files of tensors: a complete set in the cache before a better one that
    /// would have to be downloaded.
    fn tensors(&mut self) -> Result<(Option<PathBuf>, Vec<PathBuf>), WeightsError> {
        for name in CANDIDATES {
            let Some(path) = self.cached(name) else { continue };
            if !is_index(&path) {
                return Ok((None, vec![path]));
            }
            let parts: Option<Vec<PathBuf>> = parts_of(&path)?.iter().map(|part| self.cached(part)).collect();
            if let Some(parts) = parts {
                return Ok((Some(path), parts));
            }
        }
        for name in CANDIDATES {
            let Some(path) = self.file(name)? else { continue };
            if !is_index(&path) {
                return Ok((None, vec![path]));
            }
            let parts: Result<Vec<PathBuf>, WeightsError> =
                parts_of(&path)?.iter().map(|part| self.needed(part)).collect();
            return Ok((Some(path), parts?));
        }
        Err(WeightsError::NoFile {
            id: self.id.to_owned(),
            file: CANDIDATES.join(", "),
        })
    }

    fn cached(&self, file: &str) -> Option<PathBuf> {
        self.cache.file(self.commit.as_ref()?, file)
    }

    /// A file of the repository, from the cache or the Hub; none when the repository does not have it.
    fn file(&mut self, file: &str) -> Result<Option<PathBuf>, WeightsError> {
        if let Some(commit) = &self.commit {
            if let Some(path) = self.cache.file(commit, file) {
                return Ok(Some(path));
            }
            if self.cache.is_absent(commit, file) {
                return Ok(None);
            }
        }
        if self.settings.offline {
            let why = "the Hub may not be asked (--offline or HF_HUB_OFFLINE)".to_owned();
            return Err(self.unreachable(file, why));
        }
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(Client::new(self.settings)?),
        };
        let revision = self.commit.as_ref().map_or(self.revision, Commit::as_str);
        let answer = client.ask(self.id, revision, file, self.commit.as_ref(), self.progress);
        let remote = match answer {
            Ok(Answer::Found(remote)) => remote,
            Ok(Answer::Absent(commit)) => {
                if let Some(commit) = commit.as_ref().or(self.commit.as_ref()) {
                    self.cache.note_absence(commit, file)?;
                }
                return Ok(None);
            }
            Err(client::Failure::Unreachable(why)) => return Err(self.unreachable(file, why)),
            Err(client::Failure::Other(error)) => return Err(error),
        };
        if self.commit.is_none() {
            self.cache.remember(self.revision, &remote.commit)?;
        }
        let commit = self.commit.insert(remote.commit.clone()).clone();
        download::fetch(client, &self.cache, self.id, file, &remote, self.progress)?;
        self.cache.link(&commit, file, &remote.etag).map(Some)
    }

    fn unreachable(&self, file: &str, why: String) -> WeightsError {
        WeightsError::Unreachable {
            id: self.id.to_owned(),
            why,
            file: file.to_owned(),
            folder: self.cache.folder_name().to_owned(),
            cache: self.settings.cache.clone(),
        }
    }
}
