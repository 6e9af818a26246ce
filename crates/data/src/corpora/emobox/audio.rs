//! Where the files lie that the metadata lists.

use super::EmoboxError;
use super::metadata::{Entry, tail};
use crate::walk::{Found, is_audio};
use indexmap::IndexSet;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Most parts of a path that tell files apart.
const MAX_PARTS: usize = 16;

/// What was found of the files listed.
#[derive(Debug, Default)]
pub(super) struct Located {
    /// For each entry its file among those found.
    pub files: Vec<Option<usize>>,
    /// Paths that are listed and not found.
    pub missing: Vec<String>,
    /// Paths whose file is there in a format that is not read.
    pub unreadable: Vec<String>,
    /// Files that are there more than once, of which the least nested is used.
    pub copies: usize,
}

impl Located {
    /// How many that are listed cannot be used.
    pub fn absent(&self) -> usize {
        self.missing.len() + self.unreadable.len()
    }

    /// The error where too many are absent of those `listed`.
    pub fn missing_audio(self, dataset: &str, root: &Path, listed: usize) -> EmoboxError {
        EmoboxError::MissingAudio {
            dataset: dataset.to_owned(),
            path: root.to_owned(),
            missing: self.missing.len(),
            unreadable: self.unreadable.len(),
            listed,
            // Parts of one file have the same path.
            first: self
                .unreadable
                .into_iter()
                .chain(self.missing)
                .collect::<IndexSet<String>>()
                .into_iter()
                .take(3)
                .collect(),
        }
    }

    /// Remarks on those that are absent, of those `listed`, and on those that are there more than once.
    pub fn warnings(&self, dataset: &str, root: &Path, listed: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        let absent = self.absent();
        if absent > 0 {
            warnings.push(format!(
                "dataset `{dataset}`: {absent} of the {listed} recordings that EmoBox lists are not in {root:?} and are left out (`missing: skip`), such as {:?}; its folds are smaller than published",
                self.missing.iter().chain(&self.unreadable).next().map_or("", String::as_str)
            ));
        }
        if self.copies > 0 {
            warnings.push(format!(
                "dataset `{dataset}`: {} recordings are in {root:?} more than once; the least nested file of each is used",
                self.copies
            ));
        }
        warnings
    }
}

/// Whether a file may be one of those listed: audio, or the format in which the corpus is given out.
pub(super) fn may_be_listed(entries: &[Entry]) -> impl Fn(&Path) -> bool + use<> {
    let listed: HashSet<String> = entries.iter().filter_map(|entry| extension(&entry.path)).collect();
    move |path| {
        let own = path.extension().and_then(|own| own.to_str()).map(str::to_lowercase);
        is_audio(path) || own.is_some_and(|own| listed.contains(&own))
    }
}

/// Finds the file of each entry.
///
/// Folders above differ from copy to copy, and video is given out that people have made audio of. So files are compared by
/// as many of the last parts of their paths as tell all listed ones apart (mostly the name alone), in any letter case and
/// without the extension; of several the one that has most of the listed path, then the least nested.
pub(super) fn locate(entries: &[Entry], found: &[Found]) -> Located {
    let paths: HashSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let distinct = |count: &usize| {
        let mut seen = HashSet::with_capacity(paths.len());
        paths.iter().all(|path| seen.insert(tail(path, *count)))
    };
    let parts = (1..MAX_PARTS).find(distinct).unwrap_or(MAX_PARTS);
    let mut by_tail: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    // SAVEE as published has a folder where copies of it have the start of a name: JK/sa09.wav, JK_sa09.wav.
    let mut by_folder: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, file) in found.iter().enumerate() {
        // The root's own last folders count as well: it may lie within the corpus.
        let path = file.path.to_string_lossy().replace('\\', "/");
        by_tail.entry(tail(&path, parts)).or_default().push(index);
        by_folder
            .entry(tail(&path, parts + 1).replace('/', "_"))
            .or_default()
            .push(index);
    }
    let mut located = Located::default();
    for entry in entries {
        let wanted = tail(&entry.path, parts);
        let candidates = by_tail
            .get(&wanted)
            .or_else(|| by_folder.get(&wanted.replace('/', "_")));
        let candidates = candidates.map(Vec::as_slice).unwrap_or_default();
        let readable: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|index| is_audio(&found[*index].path))
            .collect();
        let likeness = |index: &usize| {
            let file = &found[*index];
            let common = common_parts(&entry.path, &file.path.to_string_lossy().replace('\\', "/"));
            (common, extension(&entry.path) == extension(&file.relative))
        };
        // The first of the best: files are in order of nesting.
        let best = readable.iter().rev().max_by_key(|index| likeness(index)).copied();
        if let Some(best) = best {
            let alike = readable
                .iter()
                .filter(|index| likeness(index) == likeness(&best))
                .count();
            located.copies += usize::from(alike > 1);
        } else if candidates.is_empty() {
            located.missing.push(entry.path.clone());
        } else {
            located.unreadable.push(entry.path.clone());
        }
        located.files.push(best);
    }
    located
}

/// How many of the last parts of two paths are the same, in any letter case, names compared without extension.
fn common_parts(a: &str, b: &str) -> usize {
    let (a, b) = (tail(a, usize::MAX), tail(b, usize::MAX));
    a.rsplit('/').zip(b.rsplit('/')).take_while(|(a, b)| a == b).count()
}

fn extension(path: &str) -> Option<String> {
    Path::new(path)
        .extension()
        .and_then(|own| own.to_str())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn located(listed: &[&str], root: &str, found: &[&str]) -> Vec<Option<String>> {
        let entries: Vec<Entry> = listed.iter().map(|path| Entry::of(path)).collect();
        let found: Vec<Found> = found
            .iter()
            .map(|relative| Found {
                path: PathBuf::from(root).join(relative),
                relative: (*relative).to_owned(),
                bytes: 1,
            })
            .collect();
        let located = locate(&entries, &found);
        let name = |index: &Option<usize>| index.map(|index| found[index].relative.clone());
        located.files.iter().map(name).collect()
    }

    fn some(names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| Some((*name).to_owned())).collect()
    }

    #[test]
    fn folders_above_letter_case_and_format_may_differ() {
        let listed = ["audio/Audio_Speech_Actors_01-24/Actor_11/03-01-05-02-02-01-11.wav"];
        for found in [
            "Actor_11/03-01-05-02-02-01-11.wav",
            "x/y/03-01-05-02-02-01-11.WAV",
            "03-01-05-02-02-01-11.flac",
        ] {
            assert_eq!(located(&listed, "/r", &[found]), some(&[found]));
        }
        assert_eq!(
            located(&["a/JK_sa09.wav"], "/r", &["AudioData/JK/sa09.wav"]),
            some(&["AudioData/JK/sa09.wav"])
        );
        assert_eq!(located(&["train/dia1_utt2.mp4"], "/r", &["dia1_utt2.mp4"]), [None]);
    }

    #[test]
    fn a_name_that_several_files_have_is_told_apart_by_its_folders() {
        let listed = [
            "wangzhe/neutral/239.wav",
            "wangzhe/happy/239.wav",
            "liuchanhg/happy/239.wav",
        ];
        let found = ["neutral/239.wav", "happy/239.wav"];
        let first = Some("neutral/239.wav".to_owned());
        // The root lies within the corpus, and the other speaker is absent.
        assert_eq!(
            located(&listed, "/casia/wangzhe", &found),
            [first, Some("happy/239.wav".to_owned()), None]
        );
        assert_eq!(located(&listed, "/casia/other", &found), [None, None, None]);
    }

    #[test]
    fn of_several_files_the_one_with_most_of_the_listed_path_is_taken_then_the_least_nested() {
        let listed = ["wav/03a01Fa.wav"];
        assert_eq!(
            located(&listed, "/r", &["b/03a01Fa.wav", "a/wav/03a01Fa.wav"]),
            some(&["a/wav/03a01Fa.wav"])
        );
        assert_eq!(
            located(&listed, "/r", &["wav/03a01Fa.wav", "a/wav/03a01Fa.wav"]),
            some(&["wav/03a01Fa.wav"])
        );
        assert_eq!(
            located(&listed, "/r", &["wav/03a01Fa.flac", "x/wav/03a01Fa.wav"]),
            some(&["x/wav/03a01Fa.wav"])
        );
    }
}
