//! Finding the audio files below a folder.

use crate::{DataError, SkipReason, Skipped};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// File name extensions that are read as audio, in lower case.
pub const AUDIO_EXTENSIONS: [&str; 3] = ["wav", "wave", "flac"];

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

/// The audio files below `root`, the least nested first and then by name, and those whose names
/// cannot be keys.
///
/// # Errors
/// Where the folder is missing, cannot be read or holds no audio file.
pub(crate) fn find_audio(dataset: &str, root: &Path) -> Result<(Vec<Found>, Vec<Skipped>), DataError> {
    let (found, skipped) = find_files(dataset, root, is_audio)?;
    if found.is_empty() && skipped.is_empty() {
        return Err(DataError::NoAudio {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
        });
    }
    Ok((found, skipped))
}

/// The files below `root` that are wanted, the least nested first and then by name, and those whose
/// names cannot be keys.
///
/// # Errors
/// Where the folder is missing or cannot be read.
pub(crate) fn find_files(
    dataset: &str,
    root: &Path,
    is_wanted: impl Fn(&Path) -> bool,
) -> Result<(Vec<Found>, Vec<Skipped>), DataError> {
    check_root(dataset, root)?;
    let mut found = Vec::new();
    let mut skipped = Vec::new();
    for entry in WalkDir::new(root).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            // A link to a folder above leads to files that are found without it.
            Err(error) if error.loop_ancestor().is_some() => continue,
            Err(error) => {
                return Err(DataError::Unreadable {
                    dataset: dataset.to_owned(),
                    path: error.path().unwrap_or(root).to_owned(),
                    reason: error.io_error().map_or_else(|| error.to_string(), ToString::to_string),
                });
            }
        };
        if !entry.file_type().is_file() || !is_wanted(entry.path()) {
            continue;
        }
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(relative) = relative.to_str() else {
            skipped.push(Skipped {
                dataset: dataset.to_owned(),
                path: entry.path().to_owned(),
                reason: SkipReason::Name("the name is not UTF-8".to_owned()),
            });
            continue;
        };
        found.push(Found {
            relative: relative.replace(std::path::MAIN_SEPARATOR, "/"),
            bytes: entry.metadata().map_or(0, |metadata| metadata.len()),
            path: entry.into_path(),
        });
    }
    found.sort_by(|a, b| depth(a).cmp(&depth(b)).then_with(|| a.relative.cmp(&b.relative)));
    Ok((found, skipped))
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

/// Whether a file's name is one of an audio file.
pub(crate) fn is_audio(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    // Archives made on a Mac hold a `._name.wav` beside each file, which is no audio.
    !hidden
        && AUDIO_EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
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
        let (found, skipped) = find_audio("d", root.path()).unwrap();
        let names: Vec<&str> = found.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(names, ["a.wav", "b/2.Flac", "b/deep/er/1.WAV"]);
        assert_eq!((found[2].stem(), found[2].bytes), ("1", 1));
        assert!(skipped.is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_above_ends() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("a/1.wav"), "x").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
        assert_eq!(find_audio("d", root.path()).unwrap().0.len(), 1);
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
