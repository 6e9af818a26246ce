//! From what a manifest writes to a file on disk.

use crate::error::Also;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use unicode_normalization::UnicodeNormalization as _;

/// Finds the files that a manifest names below a folder, and remembers in what they are written otherwise than they should.
pub(super) struct Places<'a> {
    root: &'a Path,
    /// What is in folders that were searched: names on disk by their [`folded`] form.
    folders: HashMap<PathBuf, HashMap<String, Vec<OsString>>>,
    /// Names that are written in another letter case or Unicode form on disk.
    respelt: Noted,
    /// Paths of Windows.
    windows: Noted,
}

/// Lines of which something is true: the first with what it holds, and the others.
#[derive(Default)]
pub(super) struct Noted {
    first: Option<(u64, String)>,
    also: Also,
}

/// A file that a manifest names.
pub(super) struct Place {
    pub path: PathBuf,
    /// Its path below the root, or absolute, with `/` between its parts.
    pub relative: String,
    pub bytes: u64,
}

/// Paths of Windows: the first line with one, as it is written, the start of it behind which it is that of a file here, and
/// the other lines.
pub(super) type OfWindows = (u64, String, Option<String>, Also);

impl Noted {
    fn add(&mut self, row: u64, written: &str) {
        match &self.first {
            None => self.first = Some((row, written.to_owned())),
            Some(_) => self.also.add(row),
        }
    }

    /// The first line, what it holds, and the others.
    pub fn into_parts(self) -> Option<(u64, String, Also)> {
        let (row, written) = self.first?;
        Some((row, written, self.also))
    }
}

impl<'a> Places<'a> {
    pub fn below(root: &'a Path) -> Self {
        Self {
            root,
            folders: HashMap::new(),
            respelt: Noted::default(),
            windows: Noted::default(),
        }
    }

    /// The file that a line names; one that is not there at the place where it should be. `None` for a path of Windows on
    /// another system.
    ///
    /// A path that is not there as it is written is looked for with `/` for `\`, and then in another letter case and
    /// Unicode form: tables made under Windows and macOS name files of other systems so.
    pub fn find(&mut self, row: u64, written: &str) -> Option<Place> {
        // `join` leaves an absolute path as it is.
        let path = self.root.join(written);
        if let Ok(metadata) = path.metadata() {
            return Some(self.place(path, metadata.len()));
        }
        if cfg!(windows) {
            return Some(self.place(path, 0));
        }
        if is_windows_path(written) {
            self.windows.add(row, written);
            return None;
        }
        let path = self.root.join(written.replace('\\', "/"));
        if let Ok(metadata) = path.metadata() {
            return Some(self.place(path, metadata.len()));
        }
        let relative = self.relative(&path);
        let found = self.respelt(&path);
        if found.is_some() {
            self.respelt.add(row, written);
        }
        let path = found.unwrap_or(path);
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        Some(Place { path, relative, bytes })
    }

    fn place(&self, path: PathBuf, bytes: u64) -> Place {
        let relative = self.relative(&path);
        Place { path, relative, bytes }
    }

    fn relative(&self, path: &Path) -> String {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        relative.to_string_lossy().replace('\\', "/")
    }

    /// The one path on disk that is this one but for letter case and Unicode form.
    fn respelt(&mut self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(self.root);
        let mut found = match below {
            Ok(_) => self.root.to_owned(),
            Err(_) => PathBuf::new(),
        };
        for part in below.unwrap_or(path).components() {
            let Component::Normal(name) = part else {
                found.push(part);
                continue;
            };
            // What cannot be looked at is not there; a link may lead nowhere and be there.
            if found.join(name).symlink_metadata().is_err() {
                let wanted = name.to_str()?;
                let names = self.names(&found).get(&folded(wanted))?;
                let same_form: Vec<&OsString> = names
                    .iter()
                    .filter(|own| own.to_str().is_some_and(|own| composed(own) == composed(wanted)))
                    .collect();
                match (&same_form[..], &names[..]) {
                    ([one], _) => found.push(one),
                    ([], [one]) => found.push(one),
                    _ => return None,
                }
            } else {
                found.push(name);
            }
        }
        Some(found)
    }

    fn names(&mut self, folder: &Path) -> &HashMap<String, Vec<OsString>> {
        self.folders.entry(folder.to_owned()).or_insert_with(|| {
            let mut names: HashMap<String, Vec<OsString>> = HashMap::new();
            // The working directory has no name in relative paths.
            let here = Path::new(".");
            let shown = if folder.as_os_str().is_empty() { here } else { folder };
            for entry in fs::read_dir(shown).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if let Some(text) = name.to_str().map(folded) {
                    names.entry(text).or_default().push(name);
                }
            }
            names
        })
    }

    /// A remark on names that differ from those on disk, and the lines with paths of Windows with the start of the first
    /// one behind which it is that of a file here.
    pub fn finish(self, dataset: &str) -> (Option<String>, Option<OfWindows>) {
        let remark = self.respelt.into_parts().map(|(row, written, also)| {
            format!(
                "dataset `{dataset}`: {} files are found by names that differ from the table's in letter case or Unicode form, such as {written:?} in line {row}",
                1 + also.count
            )
        });
        let windows = self.windows.into_parts().map(|(row, written, also)| {
            let start = foreign_start(self.root, &written);
            (row, written, start, also)
        });
        (remark, windows)
    }
}

/// A name in Unicode's composed form.
fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// A name as those compare that differ in letter case or Unicode form alone.
fn folded(name: &str) -> String {
    composed(&composed(name).to_lowercase())
}

/// Whether a path starts with a drive (`C:\`) or a server (`\\server\`).
fn is_windows_path(text: &str) -> bool {
    match text.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        start => start.starts_with(b"\\\\"),
    }
}

/// The shortest start of a path of Windows behind which it is that of a file below `root`.
fn foreign_start(root: &Path, written: &str) -> Option<String> {
    let borders = written.match_indices(['\\', '/']).map(|(at, _)| at + 1);
    borders
        .map(|at| written.split_at(at))
        .find(|(_, rest)| !rest.is_empty() && root.join(rest.replace('\\', "/")).is_file())
        .map(|(start, _)| start.to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_however_a_table_writes_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("wav/Spk 03")).unwrap();
        // On disk decomposed (as macOS writes) and composed.
        for name in [
            "wav/Spk 03/Mu\u{308}ller.WAV",
            "wav/Spk 03/Jos\u{e9}.wav",
            "a\\b.wav",
            "wav/x.wav",
            "wav/X.wav",
        ] {
            fs::write(root.join(name), "12").unwrap();
        }
        for (written, on_disk, is_respelt) in [
            ("wav/x.wav", Some("wav/x.wav"), false),
            ("wav\\x.wav", Some("wav/x.wav"), false),
            ("wav\\Spk 03\\Jos\u{e9}.wav", Some("wav/Spk 03/Jos\u{e9}.wav"), false),
            ("wav/Spk 03/Jose\u{301}.wav", Some("wav/Spk 03/Jos\u{e9}.wav"), true),
            ("wav/Spk 03/M\u{fc}ller.WAV", Some("wav/Spk 03/Mu\u{308}ller.WAV"), true),
            (
                "WAV\\spk 03\\m\u{dc}ller.wav",
                Some("wav/Spk 03/Mu\u{308}ller.WAV"),
                true,
            ),
            ("./wav/../WAV/x.wav", Some("wav/x.wav"), true),
            // A backslash may be part of a name.
            ("a\\b.wav", Some("a\\b.wav"), false),
            // Which of the two is meant?
            ("wav/x.WAV", None, false),
            ("wav/gone.wav", None, false),
        ] {
            let mut places = Places::below(root);
            let place = places.find(2, written).unwrap();
            let real = |path: &Path| path.canonicalize().ok();
            assert_eq!(
                real(&place.path),
                on_disk.map(|name| real(&root.join(name)).unwrap()),
                "{written}"
            );
            assert_eq!(place.bytes, if on_disk.is_some() { 2 } else { 0 });
            assert_eq!(place.relative, written.replace('\\', "/").replace("./wav", "wav"));
            assert_eq!(places.finish("d").0.is_some(), is_respelt, "{written}");
        }
    }

    #[test]
    fn paths_of_windows_are_told_with_what_to_take_off() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wav")).unwrap();
        fs::write(folder.path().join("wav/x.wav"), "").unwrap();
        let mut places = Places::below(folder.path());
        for (row, written) in [(2, "C:\\Users\\me\\wav\\x.wav"), (3, "d:/y.wav"), (4, "\\\\nas\\z.wav")] {
            assert!(places.find(row, written).is_none(), "{written}");
        }
        assert!(places.find(5, "c:wav").is_some());
        let (_, windows) = places.finish("d");
        let (row, written, start, also) = windows.unwrap();
        assert_eq!(
            (row, written.as_str(), also.rows),
            (2, "C:\\Users\\me\\wav\\x.wav", vec![3, 4])
        );
        assert_eq!(start.as_deref(), Some("C:\\Users\\me\\"));
    }
}
