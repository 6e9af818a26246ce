//! EmoBox's metadata of one corpus: what is listed, with which labels, and in which folds.

use super::error::EmoboxError;
use super::list::{EMOVO, EmoboxCorpus, Voices};
use crate::corpora::FilePart;
use crate::{DataError, SplitName, text};
use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Wrong lines after which reading stops.
const MAX_ERRORS: usize = 20;
/// Most folds of a corpus; EmoBox has six.
const MAX_FOLDS: usize = 1000;
/// The table of the repository that tells who speaks.
pub(super) const SPEAKERS: &str = "data.seg.wrd.stm";

/// A recording as the metadata lists it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// EmoBox's own key, such as `savee-JE-n23`.
    pub key: String,
    /// Path of the audio below the corpus' folder, with `/` between its parts.
    pub path: String,
    /// The part of the file, where it is not all of it.
    pub part: Option<FilePart>,
    /// The corpus' code of the emotion.
    pub code: String,
    /// Length in seconds.
    pub seconds: Option<f64>,
    /// Place of its first mention: number of the file among [`Metadata::files`], and line.
    from: (usize, u64),
}

impl Entry {
    #[cfg(test)]
    pub fn of(path: &str) -> Self {
        Self {
            key: path.to_owned(),
            path: path.to_owned(),
            part: None,
            code: "neutral".to_owned(),
            seconds: None,
            from: (0, 0),
        }
    }

    /// Name within the dataset: the path, with the times of a part behind it.
    pub fn name(&self) -> String {
        match self.part {
            Some(FilePart {
                start_s,
                end_s: Some(end_s),
            }) => format!("{}#{start_s}-{end_s}", self.path),
            Some(FilePart { start_s, end_s: None }) => format!("{}#{start_s}-", self.path),
            None => self.path.clone(),
        }
    }
}

/// A fold as published: the side of each entry, by its place in [`Metadata::entries`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fold {
    /// From 1.
    pub number: usize,
    /// Sides of entries.
    pub sides: IndexMap<usize, SplitName>,
    /// Whether it has a validation side of its own.
    pub has_validation: bool,
    /// Names of its files that are absent, below the metadata's folder.
    pub missing: Vec<String>,
}

/// The cross-corpus track's test set of a corpus.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Balanced {
    /// Places in [`Metadata::entries`].
    pub entries: Vec<usize>,
    /// Recordings in its list that are none of the corpus' list, or could be several, such as the first.
    pub unknown: Vec<String>,
}

/// What the metadata's folder says of a corpus.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    /// Everything listed anywhere, in the order of its first mention.
    pub entries: Vec<Entry>,
    pub folds: Vec<Fold>,
    /// Class of each code, as the map has it; none where there is no map.
    pub labels: Option<IndexMap<String, String>>,
    /// Who speaks, by [`Entry::key`], where the repository's table is there.
    pub speakers: Option<HashMap<String, String>>,
    pub balanced: Option<Balanced>,
    /// Files without which nothing lists all of the corpus: its own list, or both sides of a fold.
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    /// Files that were read.
    pub files: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Line {
    key: String,
    wav: String,
    emo: String,
    start_time: Option<f64>,
    end_time: Option<f64>,
    length: Option<f64>,
}

#[derive(Deserialize)]
struct BalancedLine {
    wav_filename: String,
    label: String,
    #[serde(default)]
    speaker: String,
}

/// What tells one entry from another: its path, times in bits and key.
type Known = (String, Option<(u64, u64)>, String);

/// Reads of one corpus, with the mistakes that were found.
struct Reader<'a> {
    dataset: &'a str,
    corpus: EmoboxCorpus,
    metadata: Metadata,
    /// Places of entries.
    known: HashMap<Known, usize>,
    errors: Vec<DataError>,
}

impl Metadata {
    /// Reads the metadata of a corpus from EmoBox's folder `data`, from the repository that holds it, or from the corpus'
    /// own folder.
    ///
    /// # Errors
    /// No such folder, a file that cannot be read, up to [`MAX_ERRORS`] wrong lines.
    pub fn read(dataset: &str, folder: &Path, corpus: EmoboxCorpus) -> Result<Self, Vec<DataError>> {
        let own = find(dataset, folder, corpus).map_err(|error| vec![error.into()])?;
        let mut reader = Reader {
            dataset,
            corpus,
            metadata: Self::default(),
            known: HashMap::new(),
            errors: Vec::new(),
        };
        reader.read(&own);
        if reader.errors.is_empty() {
            Ok(reader.metadata)
        } else {
            Err(reader.errors)
        }
    }

    /// Which entries are used: the first of those that list one part of one file under one label, and none where the labels
    /// differ. The other two numbers are of those left out, for the one reason and the other.
    pub fn used(&self) -> (Vec<bool>, usize, usize) {
        let mut same: IndexMap<String, Vec<usize>> = IndexMap::new();
        for (place, entry) in self.entries.iter().enumerate() {
            same.entry(entry.name()).or_default().push(place);
        }
        let mut used = vec![true; self.entries.len()];
        let (mut again, mut contradicting) = (0, 0);
        for places in same.values().filter(|places| places.len() > 1) {
            let agree = places
                .iter()
                .all(|place| self.entries[*place].code == self.entries[places[0]].code);
            let left_out = &places[usize::from(agree)..];
            left_out.iter().for_each(|place| used[*place] = false);
            *(if agree { &mut again } else { &mut contradicting }) += left_out.len();
        }
        (used, again, contradicting)
    }

    /// The class that a code stands for: of the map, in any letter case if not in its own; the code where the map has none.
    pub fn label(&self, code: &str) -> (String, bool) {
        let Some(labels) = &self.labels else {
            return (code.to_owned(), true);
        };
        let other_case = || {
            labels
                .iter()
                .find(|(known, _)| known.to_lowercase() == code.to_lowercase())
        };
        match labels.get(code).or_else(|| other_case().map(|(_, class)| class)) {
            Some(class) => (class.clone(), true),
            None => (code.to_owned(), false),
        }
    }
}

/// The corpus' folder.
fn find(dataset: &str, folder: &Path, corpus: EmoboxCorpus) -> Result<PathBuf, EmoboxError> {
    let name = corpus.known().name;
    let error = |problem: String| EmoboxError::Metadata {
        dataset: dataset.to_owned(),
        path: folder.to_owned(),
        row: None,
        problem,
    };
    if !folder.exists() {
        return Err(error(
            "does not exist, and EmoBox's metadata is read from it".to_owned(),
        ));
    }
    if !folder.is_dir() {
        return Err(error(
            "is not a folder, and EmoBox's metadata is read from one".to_owned(),
        ));
    }
    let is_own = |folder: &Path| folder.join(format!("{name}.jsonl")).is_file() || folder.join("fold_1").is_dir();
    let itself = folder
        .file_name()
        .is_some_and(|own| own == name)
        .then(|| folder.to_owned());
    let candidates = [Some(folder.join(name)), Some(folder.join("data").join(name)), itself];
    let found = candidates.into_iter().flatten().find(|candidate| is_own(candidate));
    found.ok_or_else(|| {
        error(format!(
            "has no metadata of `{name}`: neither {name}/{name}.jsonl nor {name}/fold_1"
        ))
    })
}

impl Reader<'_> {
    fn read(&mut self, folder: &Path) {
        let name = self.corpus.known().name;
        self.labels(folder);
        let main = format!("{name}.jsonl");
        let has_main = folder.join(&main).is_file();
        if has_main {
            self.list(&folder.join(&main), None);
        }
        for number in fold_numbers(folder) {
            self.fold(folder, number);
        }
        let folds = &self.metadata.folds;
        if !has_main && !folds.iter().any(|fold| fold.missing.is_empty()) {
            let of_folds = folds.iter().flat_map(|fold| fold.missing.iter().cloned());
            self.metadata.missing = std::iter::once(main).chain(of_folds).collect();
        }
        if let (Some(list), true) = (self.corpus.known().balanced, self.errors.is_empty()) {
            let path = folder.parent().map(|above| above.join("track2").join(list));
            if let Some(path) = path.filter(|path| path.is_file()) {
                self.speakers(folder);
                self.balanced(&path);
            }
        }
        if self.corpus.known().voices == Voices::Table {
            self.speakers(folder);
        }
    }

    fn error(&mut self, path: &Path, row: Option<u64>, problem: String) {
        self.errors.push(
            EmoboxError::Metadata {
                dataset: self.dataset.to_owned(),
                path: path.to_owned(),
                row,
                problem,
            }
            .into(),
        );
    }

    /// The text of a file; an error where there is none.
    fn text(&mut self, path: &Path) -> Option<String> {
        match text::read(self.dataset, path) {
            Ok(text) if text.is_whole => Some(text.text),
            Ok(_) => {
                self.error(path, None, "is neither UTF-8 nor UTF-16".to_owned());
                None
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    fn labels(&mut self, folder: &Path) {
        let path = ["label_map.json", "label_dict.json"]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.is_file());
        let Some(path) = path else {
            let name = self.corpus.known().name;
            if self.corpus == EmoboxCorpus::Emovo {
                let own = EMOVO.map(|(code, class)| (code.to_owned(), class.to_owned()));
                self.metadata.labels = Some(own.into_iter().collect());
            } else {
                self.metadata.warnings.push(format!(
                    "dataset `{}`: the metadata of `{name}` has no label_map.json, so that its codes are the classes",
                    self.dataset
                ));
            }
            return;
        };
        if let Some(text) = self.text(&path) {
            match serde_json::from_str(&text) {
                Ok(labels) => self.metadata.labels = Some(labels),
                Err(error) => self.error(&path, None, format!("is no map of codes to classes: {error}")),
            }
        }
    }

    fn fold(&mut self, folder: &Path, number: usize) {
        let name = self.corpus.known().name;
        let mut fold = Fold {
            number,
            ..Fold::default()
        };
        for (side, word) in [
            (SplitName::Train, "train"),
            (SplitName::Validation, "valid"),
            (SplitName::Test, "test"),
        ] {
            let file = format!("fold_{number}/{name}_{word}_fold_{number}.jsonl");
            let path = folder.join(&file);
            if path.is_file() {
                fold.has_validation |= side == SplitName::Validation;
                self.list(&path, Some((&mut fold, side)));
            } else if side != SplitName::Validation {
                fold.missing.push(file);
            }
        }
        self.metadata.folds.push(fold);
    }

    /// Reads a list; its recordings are on a side of a fold, where one is given.
    fn list(&mut self, path: &Path, mut fold: Option<(&mut Fold, SplitName)>) {
        let Some(text) = self.text(path) else { return };
        let file = self.metadata.files.len();
        self.metadata.files.push(path.to_owned());
        let mut lines: HashMap<usize, u64> = HashMap::new();
        for (line, row) in text.lines().zip(1_u64..) {
            if line.trim().is_empty() {
                continue;
            }
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let placed = self
                .entry(line, (file, row))
                .and_then(|place| match lines.insert(place, row) {
                    Some(earlier) => Err(format!("lists what line {earlier} lists")),
                    None => Ok(place),
                });
            let placed = placed.and_then(|place| match &mut fold {
                Some((fold, side)) => match fold.sides.insert(place, *side) {
                    Some(other) => Err(format!("lists what is in {other} of the same fold")),
                    None => Ok(()),
                },
                None => Ok(()),
            });
            if let Err(problem) = placed {
                self.error(path, Some(row), problem);
            }
        }
        if lines.is_empty() && self.errors.is_empty() {
            self.error(path, None, "lists no recording".to_owned());
        }
    }

    /// The place of the entry that a line describes.
    fn entry(&mut self, line: &str, from: (usize, u64)) -> Result<usize, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| format!("is no recording of EmoBox: {error}"))?;
        let path = below(&line.wav, self.corpus.known().name).ok_or("has no path in `wav`")?;
        let part = match (line.start_time, line.end_time) {
            (None, None) => None,
            (start, end_s) => {
                let start_s = start.unwrap_or(0.0);
                let is_time = |time: f64| time.is_finite() && time >= 0.0;
                if !is_time(start_s) || end_s.is_some_and(|end_s| !is_time(end_s) || end_s <= start_s) {
                    return Err(format!(
                        "has times that are no part of a file: from {start_s} s to {} s",
                        end_s.unwrap_or(f64::NAN)
                    ));
                }
                Some(FilePart { start_s, end_s })
            }
        };
        let code = line.emo.trim().to_owned();
        if code.is_empty() {
            return Err("has no emotion in `emo`".to_owned());
        }
        let bits = part.map(|part| (part.start_s.to_bits(), part.end_s.unwrap_or(f64::INFINITY).to_bits()));
        let entries = &mut self.metadata.entries;
        let place = *self
            .known
            .entry((path.clone(), bits, line.key.clone()))
            .or_insert(entries.len());
        if let Some(known) = entries.get(place) {
            if known.code != code {
                let (file, row) = known.from;
                return Err(format!(
                    "labels {path:?} `{code}`, and line {row} of {:?} labels it `{}`",
                    self.metadata.files[file], known.code
                ));
            }
            return Ok(place);
        }
        entries.push(Entry {
            key: line.key,
            path,
            part,
            code,
            seconds: line.length,
            from,
        });
        Ok(place)
    }

    /// Reads who speaks from the repository's table, where it is there.
    fn speakers(&mut self, folder: &Path) {
        let path = folder.join(SPEAKERS);
        if self.metadata.speakers.is_some() || !path.is_file() {
            return;
        }
        if let Some(text) = self.text(&path) {
            self.metadata.speakers = Some(text.lines().filter_map(speaker_of).collect());
        }
    }

    /// Reads the test set of the cross-corpus track. Its names are not those of the lists: folders differ, and in MELD one
    /// name is in several folders, of which label and speaker tell the right one.
    fn balanced(&mut self, path: &Path) {
        let Some(text) = self.text(path) else { return };
        let metadata = &self.metadata;
        let by_stem = |path: &str| match self.corpus {
            // JK/sa09.wav is JK_sa09.wav.
            EmoboxCorpus::Savee => tail(path, 2).replace('/', "_"),
            _ => tail(path, 1),
        };
        let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, entry) in metadata.entries.iter().enumerate() {
            named.entry(tail(&entry.path, 1)).or_default().push(place);
        }
        let mut set = Balanced::default();
        let mut wrong = None;
        for (line, row) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty()) {
            let line: BalancedLine = match serde_json::from_str(line) {
                Ok(line) => line,
                Err(error) => {
                    wrong = Some((row, format!("is no recording of the cross-corpus track: {error}")));
                    break;
                }
            };
            let fits = |place: &&usize| {
                let entry = &metadata.entries[**place];
                let speaker = metadata.speakers.as_ref().and_then(|speakers| speakers.get(&entry.key));
                let in_table = |speaker: &String| *speaker == line.speaker.replace(' ', "-");
                let tells = self.corpus == EmoboxCorpus::Meld;
                metadata.label(&entry.code).0.eq_ignore_ascii_case(&line.label)
                    && (!tells || speaker.is_none_or(in_table))
            };
            let found: Vec<&usize> = named
                .get(&by_stem(&line.wav_filename))
                .into_iter()
                .flatten()
                .filter(fits)
                .collect();
            match found[..] {
                [place] if !set.entries.contains(place) => set.entries.push(*place),
                _ => set.unknown.push(line.wav_filename),
            }
        }
        self.metadata.balanced = Some(set);
        if let Some((row, problem)) = wrong {
            self.error(path, Some(row), problem);
        }
    }
}

/// The last `count` parts of a path, in lower case and without the extension.
pub(super) fn tail(path: &str, count: usize) -> String {
    let lower = path.to_lowercase();
    let name_from = lower.rfind('/').map_or(0, |slash| slash + 1);
    let end = lower[name_from..].rfind('.').map_or(lower.len(), |dot| name_from + dot);
    let parts: Vec<&str> = lower[..end].split('/').collect();
    parts[parts.len().saturating_sub(count)..].join("/")
}

/// The path below the corpus' folder: what follows `downloads/` and its name.
fn below(wav: &str, name: &str) -> Option<String> {
    let path = wav.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let path = path.strip_prefix("downloads/").unwrap_or(path);
    let path = path
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(path);
    let path = path.trim_matches('/');
    (!path.is_empty()).then(|| path.to_owned())
}

/// Key and speaker of a line such as `meld-dia0_utt0-train 1 Chandler 0 5.67 <id=…,lang=en,spk=Chandler,emotion=neutral>
/// neutral`.
fn speaker_of(line: &str) -> Option<(String, String)> {
    let (_, rest) = line.split_once("<id=")?;
    let (key, rest) = rest.split_once(",lang=")?;
    let (_, rest) = rest.split_once(",spk=")?;
    let (speaker, _) = rest.rsplit_once(",emotion=")?;
    let speaker = speaker.trim();
    let is_known = !speaker.is_empty() && !speaker.eq_ignore_ascii_case("unknown");
    is_known.then(|| (key.to_owned(), speaker.to_owned()))
}

/// The numbers of the folders `fold_1`, `fold_2`, …
fn fold_numbers(folder: &Path) -> Vec<usize> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<usize> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("fold_")?.parse().ok())
        .filter(|number| (1..=MAX_FOLDS).contains(number))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Names in a message: the first few of them.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
