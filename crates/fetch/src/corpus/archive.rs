//! A corpus that comes in archives, or as a folder of a repository.

use super::Event;
use super::folders::{LOCK, is_unpacked, merge, names, remove_folder};
use super::work::{Work, lock_of};
use crate::record::RECORD;
use crate::sources::{RemoteFile, Repository};
use crate::{Download, FetchError, Hash, Limits, Unpacked, contents, download, repository, unpack};
use std::fs;
use std::path::Path;

impl Work<'_> {
    /// Downloads an archive, unpacks it aside and moves what was in it to its place.
    pub fn archive(&self, file: &RemoteFile) -> Result<(), FetchError> {
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
    pub fn repository(&self, repository: &Repository) -> Result<(), FetchError> {
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
