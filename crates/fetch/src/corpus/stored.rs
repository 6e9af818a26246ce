//! A corpus whose files are in the large-file storage of a Git repository.

use super::Event;
use super::folders::{in_the_way, make_folder_of, remove_folder};
use super::work::{Work, lock_of, unix_s};
use crate::lfs::{self, Pointer};
use crate::record::RecordedFile;
use crate::sources::Lfs;
use crate::{Download, DownloadProgress, FetchError, Hash, download};
use emorun_files::read_regular;
use std::fs;
use std::sync::Mutex;

impl Work<'_> {
    /// Downloads the pointers, and the files that they stand for.
    pub fn lfs(&self, lfs: &Lfs) -> Result<(), FetchError> {
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
}
