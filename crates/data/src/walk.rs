//! Finding the audio files below a folder.

use crate::{DataError, SkipReason, Skipped};
use emorun_audio::has_audio_name;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Extensions of the names of audio files as corpora are published, in lower case. Some have other forms of the same
/// recordings beside them, such as CREMA-D its `AudioMP3`.
const PUBLISHED: [&str; 3] = ["wav", "wave", "flac"];

/// An audio file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub path: PathBuf,
    /// Path below the root, with `/` between its parts on every system.
    pub relative: String,
    pub bytes: u64,
}

impl Found {
    /// The file's name without its extension.
    pub fn stem(&self) -> &str {
        let name = self.name();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        self.relative
            .rsplit_once('/')
            .map_or(self.relative.as_str(), |(_, name)| name)
    }
}

/// The files of a corpus on disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// The least nested first, and then by name.
    pub found: Vec<Found>,
    /// Those whose names cannot be keys.
    pub skipped: Vec<Skipped>,
    /// Remarks on what is not read, one for each reason.
    pub remarks: Vec<String>,
}

/// Why something below a root is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unread {
    /// A link to what is not there, or to itself.
    DeadLink,
    /// A link to a folder that it is in.
    Loop,
    /// A folder that this user may not read.
    Forbidden,
    /// The folder in which file systems put what a repair finds.
    LostAndFound,
    /// A pipe, socket or device.
    Special,
}

impl Unread {
    /// One remark on all that is not read for this reason.
    fn remark(self, dataset: &str, count: usize, first: &Path) -> String {
        let what = match self {
            Self::DeadLink => "links lead nowhere and are left out",
            Self::Loop => "links lead to a folder that they are in and are not followed",
            Self::Forbidden => "folders may not be read by this user and are left out",
            Self::LostAndFound => "folders called `lost+found` are no part of a corpus and are left out",
            Self::Special => "pipes, sockets or devices are left out",
        };
        format!("dataset `{dataset}`: {count} {what}, such as {first:?}")
    }
}

/// The files below `root` in any form that can be decoded.
///
/// # Errors
/// Where the folder is missing, cannot be read or holds no audio file.
pub(crate) fn find_decodable(dataset: &str, root: &Path) -> Result<Tree, DataError> {
    let tree = find_files(dataset, root, has_audio_name)?;
    tree.check_audio(dataset, root, has_audio_name)?;
    Ok(tree)
}

/// The audio files of a published corpus below `root`.
///
/// # Errors
/// Where the folder is missing, cannot be read or holds no audio file.
pub(crate) fn find_audio(dataset: &str, root: &Path) -> Result<Tree, DataError> {
    let tree = find_files(dataset, root, is_audio)?;
    tree.check_audio(dataset, root, is_audio)?;
    Ok(tree)
}

/// The files below `root` that are wanted.
///
/// # Errors
/// Where the folder is missing or cannot be read.
pub(crate) fn find_files(dataset: &str, root: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Tree, DataError> {
    find_files_within(dataset, root, |_| true, is_wanted)
}

/// As [`find_files`], without the folders that are not to be entered.
///
/// # Errors
/// Where the folder is missing or cannot be read.
pub(crate) fn find_files_within(
    dataset: &str,
    root: &Path,
    is_entered: impl Fn(&Path) -> bool,
    is_wanted: impl Fn(&Path) -> bool,
) -> Result<Tree, DataError> {
    check_root(dataset, root)?;
    let mut tree = Tree::default();
    let mut unread: BTreeMap<Unread, (usize, PathBuf)> = BTreeMap::new();
    let mut leave = |why: Unread, path: &Path| unread.entry(why).or_insert_with(|| (0, path.to_owned())).0 += 1;
    let mut walk = WalkDir::new(root).follow_links(true).into_iter();
    while let Some(entry) = walk.next() {
        let (path, bytes) = match entry {
            Ok(entry) if entry.file_type().is_dir() => {
                let is_lost = entry.depth() > 0 && entry.file_name() == "lost+found";
                if is_lost {
                    leave(Unread::LostAndFound, entry.path());
                }
                if is_lost || entry.depth() > 0 && !is_entered(entry.path()) {
                    walk.skip_current_dir();
                }
                continue;
            }
            Ok(entry) if !entry.file_type().is_file() => {
                leave(Unread::Special, entry.path());
                continue;
            }
            Ok(entry) => {
                let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                (entry.into_path(), bytes)
            }
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                match unread_for(error.depth(), &path, error.loop_ancestor().is_some(), error.io_error()) {
                    // What a link of audio leads to is for the dataset's `on_bad_audio`.
                    Some(Unread::DeadLink) if is_audio(&path) => (path, 0),
                    Some(why) => {
                        leave(why, &path);
                        continue;
                    }
                    None => {
                        return Err(DataError::Unreadable {
                            dataset: dataset.to_owned(),
                            path,
                            reason: error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
                        });
                    }
                }
            }
        };
        if !is_wanted(&path) {
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let Some(relative) = relative.to_str() else {
            tree.skipped.push(Skipped {
                dataset: dataset.to_owned(),
                path,
                reason: SkipReason::Name("the name is not UTF-8".to_owned()),
            });
            continue;
        };
        tree.found.push(Found {
            relative: relative.replace(std::path::MAIN_SEPARATOR, "/"),
            bytes,
            path,
        });
    }
    tree.found
        .sort_by(|a, b| depth(a).cmp(&depth(b)).then_with(|| a.relative.cmp(&b.relative)));
    let remarks = unread.into_iter();
    tree.remarks = remarks
        .map(|(why, (count, first))| why.remark(dataset, count, &first))
        .collect();
    Ok(tree)
}

/// Why what a walk met with an error is left out; `None` where the error is one of the disk or of the root itself.
fn unread_for(depth: usize, path: &Path, is_loop: bool, error: Option<&io::Error>) -> Option<Unread> {
    if depth == 0 {
        return None;
    }
    if is_loop {
        return Some(Unread::Loop);
    }
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    let kind = error.map(io::Error::kind);
    if is_link && path.metadata().is_err() {
        return Some(Unread::DeadLink);
    }
    (kind == Some(io::ErrorKind::PermissionDenied)).then_some(Unread::Forbidden)
}

impl Tree {
    /// Fails where no file is audio.
    pub fn check_audio(&self, dataset: &str, root: &Path, is_audio: impl Fn(&Path) -> bool) -> Result<(), DataError> {
        let is_there = self.found.iter().any(|found| is_audio(&found.path));
        if is_there || !self.skipped.is_empty() {
            return Ok(());
        }
        Err(DataError::NoAudio {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
            remarks: self.remarks.clone(),
        })
    }
}

/// Fails where `root` is no folder.
pub(crate) fn check_root(dataset: &str, root: &Path) -> Result<(), DataError> {
    if root.is_dir() {
        Ok(())
    } else if root.exists() {
        Err(DataError::RootNotFolder {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
        })
    } else {
        Err(DataError::RootMissing {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
        })
    }
}

fn depth(found: &Found) -> usize {
    found.relative.matches('/').count()
}

/// Whether a file's name is one of an audio file of a published corpus.
pub(crate) fn is_audio(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    // Archives made on a Mac hold a `._name.wav` beside each file, which is no audio.
    !hidden && PUBLISHED.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn finds_any_letter_case_at_any_depth_and_ignores_the_rest() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("b/deep/er")).unwrap();
        for name in ["b/deep/er/1.WAV", "b/2.Flac", "a.wav", "._a.wav", "notes.txt", "c.mp4"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        let tree = find_audio("d", root.path()).unwrap();
        let names: Vec<&str> = tree.found.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(names, ["a.wav", "b/2.Flac", "b/deep/er/1.WAV"]);
        assert_eq!((tree.found[2].stem(), tree.found[2].bytes), ("1", 1));
        assert!(tree.skipped.is_empty() && tree.remarks.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_neither_file_nor_folder_is_left_out_with_one_remark_for_each_reason() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/lost+found")).unwrap();
        fs::write(at("a/1.wav"), "x").unwrap();
        fs::write(at("a/lost+found/2.wav"), "x").unwrap();
        symlink(root.path(), at("a/up")).unwrap();
        symlink(at("a"), at("a/itself")).unwrap();
        for name in ["a/gone.link", "a/gone.txt", "a/gone.wav"] {
            symlink("/nonexistent", at(name)).unwrap();
        }
        symlink("ring", at("ring")).unwrap();
        symlink("/dev/zero", at("zero.wav")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.wav")).unwrap();
        let tree = find_audio("d", root.path()).unwrap();
        let names: Vec<&str> = tree.found.iter().map(|file| file.relative.as_str()).collect();
        // A dead link that is called audio is for `on_bad_audio`.
        assert_eq!(names, ["a/1.wav", "a/gone.wav"]);
        let starts = [
            "dataset `d`: 3 links lead nowhere",
            "dataset `d`: 2 links lead to a folder that they are in",
            "dataset `d`: 1 folders called `lost+found`",
            "dataset `d`: 2 pipes, sockets or devices",
        ];
        assert_eq!(tree.remarks.len(), starts.len(), "{:#?}", tree.remarks);
        for (remark, start) in tree.remarks.iter().zip(starts) {
            assert!(remark.starts_with(start), "{remark}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_without_permission_is_left_out_and_a_broken_disk_is_not() {
        use io::ErrorKind::{NotFound, Other, PermissionDenied};
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/nonexistent", &link).unwrap();
        let folder = root.path();
        for (depth, path, is_loop, kind, expected) in [
            (1, folder, false, PermissionDenied, Some(Unread::Forbidden)),
            (0, folder, false, PermissionDenied, None),
            (1, folder, true, Other, Some(Unread::Loop)),
            (2, folder, false, Other, None),
            (2, &link, false, NotFound, Some(Unread::DeadLink)),
        ] {
            let error = io::Error::from(kind);
            assert_eq!(unread_for(depth, path, is_loop, Some(&error)), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_missing_an_empty_and_a_false_root_are_different_errors() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(
            find_audio("d", &root.path().join("no")),
            Err(DataError::RootMissing { .. })
        ));
        assert!(matches!(find_audio("d", root.path()), Err(DataError::NoAudio { .. })));
        assert!(matches!(find_audio("d", &file), Err(DataError::RootNotFolder { .. })));
    }
}
