//! Finding the features of items in files that other programs made.

use crate::file::{Format, format};
use crate::{Array, FeatureError, FeatureFile, Missing};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use walkdir::WalkDir;

/// Extensions that a feature's key may have kept from the recording.
const RECORDINGS: [&str; 16] = [
    "wav", "wave", "flac", "mp3", "mp4", "ogg", "oga", "opus", "m4a", "aac", "aif", "aiff", "aifc", "caf", "sph", "avi",
];
/// Items that a message names.
const NAMED: usize = 5;

/// Features of many items: their places, not their values.
///
/// A feature belongs to an item when their paths agree from the end on, whether or not either keeps an extension: for
/// the item `ravdess/Actor_01/x.wav` (dataset `ravdess`) these fit: `ravdess/Actor_01/x`, `Actor_01/x` (both exactly),
/// `Actor_01/x.wav`, `x`, `hubert/Actor_01/x`. A part of a recording, `x.wav#0.5-2`, fits `x#0.5-2` only.
#[derive(Debug)]
pub struct FeatureSource {
    root: PathBuf,
    index: Index,
}

#[derive(Debug)]
enum Index {
    /// Features by their names.
    Named {
        features: Vec<Feature>,
        /// Which of them have a last part of their key.
        by_last: HashMap<String, Vec<usize>>,
    },
    /// Files by items.
    Listed {
        items: BTreeMap<String, PathBuf>,
        files: BTreeMap<PathBuf, FeatureSource>,
    },
}

#[derive(Debug)]
struct Feature {
    /// Its key: a file's path below the root, or a tensor's name, without extensions.
    key: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Npy(PathBuf),
    Tensor(Arc<FeatureFile>, String),
}

/// The feature of one item, not read yet.
#[derive(Clone, Debug)]
pub struct Located {
    file: Arc<FeatureFile>,
    name: String,
}

impl Located {
    /// The file that it is in.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Its shape, from the file's header.
    ///
    /// # Errors
    /// Where it has no type, rank or size of a feature.
    pub fn shape(&self) -> Result<&[usize], FeatureError> {
        self.file.shape(&self.name)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where the file can no longer be read as it was opened, or a value is not finite.
    pub fn read(&self) -> Result<Array, FeatureError> {
        self.file.read(&self.name)
    }

    /// How messages call it.
    #[must_use]
    pub fn place(&self) -> String {
        self.file.place(&self.name)
    }
}

/// What the features of all items have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// Number of axes: 1 for vectors, 2 for frames, 3 for stacks.
    pub axes: usize,
    /// Size of the first axis of stacks.
    pub layers: Option<usize>,
    /// Size of the last axis.
    pub width: usize,
}

impl Common {
    /// What `located` have in common; `None` of none.
    ///
    /// # Errors
    /// Where two differ, or one has no shape of a feature.
    pub fn of(located: &[Located]) -> Result<Option<Self>, FeatureError> {
        let mut common: Option<(Self, &Located)> = None;
        for one in located {
            let shape = one.shape()?;
            let this = Self {
                axes: shape.len(),
                layers: shape.first().copied().filter(|_| shape.len() == 3),
                width: shape.last().copied().unwrap_or_default(),
            };
            match &common {
                None => common = Some((this, one)),
                Some((common, _)) if *common == this => {}
                Some((_, first)) => {
                    return Err(FeatureError::Differ {
                        first: first.place(),
                        first_shape: first.shape()?.to_vec(),
                        second: one.place(),
                        second_shape: shape.to_vec(),
                    });
                }
            }
        }
        Ok(common.map(|(common, _)| common))
    }
}

impl FeatureSource {
    /// The features below a folder (each `.npy`, and each tensor of each `.safetensors`), or in one `.safetensors`.
    /// Headers of `.npy` files are read when they are looked up.
    ///
    /// # Errors
    /// Where the folder or a `.safetensors` cannot be read, or there is nothing.
    pub fn scan(root: &Path) -> Result<Self, FeatureError> {
        if matches!(format(root), Some(Format::Npy)) && root.is_file() {
            return Err(FeatureError::OneArray { path: root.to_owned() });
        }
        Self::of(root)
    }

    /// The files that a table names: pairs of an item's key and the path of its `.npy`, or of a `.safetensors` with one
    /// tensor or one whose name fits the item. `table` is for messages.
    ///
    /// # Errors
    /// Where a `.safetensors` cannot be read, or a file is of neither format.
    pub fn listed(table: &Path, files: impl IntoIterator<Item = (String, PathBuf)>) -> Result<Self, FeatureError> {
        let items: BTreeMap<String, PathBuf> = files.into_iter().collect();
        let mut files = BTreeMap::new();
        for path in items.values() {
            if format(path).is_none() {
                return Err(FeatureError::Format { path: path.clone() });
            }
            if !files.contains_key(path) {
                files.insert(path.clone(), Self::of(path)?);
            }
        }
        Ok(Self {
            root: table.to_owned(),
            index: Index::Listed { items, files },
        })
    }

    fn of(root: &Path) -> Result<Self, FeatureError> {
        let mut features = Vec::new();
        if root.is_file() {
            add_file(root, root.parent().unwrap_or(root), &mut features)?;
        } else {
            for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
                let entry = match entry {
                    Ok(entry) => entry,
                    // A link to a folder above leads to files that are found without it.
                    Err(error) if error.loop_ancestor().is_some() => continue,
                    Err(error) => {
                        let path = error.path().unwrap_or(root).to_owned();
                        return Err(FeatureError::io("read", path)(error.into()));
                    }
                };
                // Archives made on a Mac hold a `._name.npy` beside each file.
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if entry.file_type().is_file() && !hidden && format(entry.path()).is_some() {
                    add_file(entry.path(), root, &mut features)?;
                }
            }
        }
        if features.is_empty() {
            return Err(FeatureError::NoFiles { root: root.to_owned() });
        }
        let mut by_last: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, feature) in features.iter().enumerate() {
            by_last.entry(last(&feature.key).to_owned()).or_default().push(index);
        }
        Ok(Self {
            root: root.to_owned(),
            index: Index::Named { features, by_last },
        })
    }

    /// Number of features, or of items that a table names.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.index {
            Index::Named { features, .. } => features.len(),
            Index::Listed { items, .. } => items.len(),
        }
    }

    /// Whether a table names no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The feature of one item, by the key that its dataset gave it: `dataset/path in the corpus`.
    ///
    /// # Errors
    /// Where there is none or more than one, or its file cannot be read.
    pub fn lookup(&self, item: &str) -> Result<Located, FeatureError> {
        match self.find(item)? {
            Some((located, _)) => Ok(located),
            None => Err(self.missing(1, &[item])),
        }
    }

    /// The features of all items of an experiment, in their order, each of another feature. This sees what one lookup
    /// cannot: how many items are missing, and features that fit several.
    ///
    /// # Errors
    /// As [`Self::lookup`], for all items without a feature at once; where two items would share a feature, or the
    /// features of one dataset lie in different folders that the corpus does not have.
    pub fn lookup_all<S: AsRef<str>>(&self, items: &[S]) -> Result<Vec<Located>, FeatureError> {
        let mut found = Vec::with_capacity(items.len());
        let mut missing = Vec::new();
        let mut users: HashMap<(PathBuf, String), &str> = HashMap::with_capacity(items.len());
        let mut folders: HashMap<&str, (String, Located)> = HashMap::new();
        for item in items.iter().map(AsRef::as_ref) {
            let Some((located, folder)) = self.find(item)? else {
                missing.push(item);
                continue;
            };
            let place = (located.path().to_owned(), located.name.clone());
            if let Some(first) = users.insert(place, item) {
                return Err(FeatureError::Shared {
                    place: located.place(),
                    first: first.to_owned(),
                    second: item.to_owned(),
                });
            }
            if let Some(folder) = folder {
                let dataset = item.split_once('/').map_or("", |(dataset, _)| dataset);
                let (first_folder, first) = folders
                    .entry(dataset)
                    .or_insert_with(|| (folder.clone(), located.clone()));
                if *first_folder != folder {
                    return Err(FeatureError::Scattered {
                        first: first.place(),
                        second: located.place(),
                    });
                }
            }
            found.push(located);
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(self.missing(items.len(), &missing))
        }
    }

    /// The feature of an item, with the folders that it has beyond those of the item, where it is found by its name.
    fn find(&self, item: &str) -> Result<Option<(Located, Option<String>)>, FeatureError> {
        let (features, by_last) = match &self.index {
            Index::Named { features, by_last } => (features, by_last),
            Index::Listed { items, files } => {
                let source = items.get(item).and_then(|path| files.get(path));
                return match source.map(|source| (source, &source.index)) {
                    None => Ok(None),
                    Some((_, Index::Named { features, .. })) if features.len() == 1 => {
                        Ok(Some((features[0].place.open()?, None)))
                    }
                    Some((source, _)) => Ok(source.find(item)?.map(|(located, _)| (located, None))),
                };
            }
        };
        let full = canonical(item);
        let inner = within_dataset(&full);
        let same_name = by_last.get(last(&full)).map_or(&[][..], Vec::as_slice);
        let fitting = |fits: &dyn Fn(&str) -> bool| {
            let mut fitting = same_name
                .iter()
                .map(|index| &features[*index])
                .filter(|feature| fits(&feature.key));
            match (fitting.next(), fitting.next()) {
                (Some(first), Some(second)) => Err(FeatureError::Ambiguous {
                    item: item.to_owned(),
                    first: first.place.to_string(),
                    second: second.place.to_string(),
                }),
                (first, _) => Ok(first),
            }
        };
        let exact = fitting(&|key| key == full || key == inner)?;
        let found = match exact {
            Some(feature) => Some(feature),
            None => fitting(&|key| ends_with(key, inner) || ends_with(&full, key))?,
        };
        found
            .map(|feature| {
                let key = &feature.key;
                // The whole key ends with the item's path, or is a part of it and thus in no other folder.
                let folder = if *key == full {
                    ""
                } else {
                    key.strip_suffix(inner).unwrap_or_default()
                };
                Ok((feature.place.open()?, Some(folder.to_owned())))
            })
            .transpose()
    }

    fn missing(&self, items: usize, missing: &[&str]) -> FeatureError {
        let full = missing.first().map(|item| canonical(item)).unwrap_or_default();
        let inner = within_dataset(&full);
        let (looked_for, near) = match &self.index {
            Index::Listed { .. } => (vec!["a row that names its file".to_owned()], None),
            Index::Named { features, by_last } => {
                let mut names = vec![full.clone(), inner.to_owned(), last(inner).to_owned()];
                names.dedup();
                let near = by_last.get(last(inner)).and_then(|same| same.first());
                (names, near.map(|index| features[*index].place.to_string()))
            }
        };
        FeatureError::Missing(Missing {
            root: self.root.clone(),
            missing: missing.len(),
            items,
            first: missing.iter().take(NAMED).map(|item| (*item).to_owned()).collect(),
            looked_for,
            near,
        })
    }
}

impl Place {
    fn open(&self) -> Result<Located, FeatureError> {
        let (file, name) = match self {
            Self::Tensor(file, name) => (Arc::clone(file), name.clone()),
            Self::Npy(path) => {
                let file = FeatureFile::open(path)?;
                let name = file.names().next().unwrap_or_default().to_owned();
                (Arc::new(file), name)
            }
        };
        file.shape(&name)?;
        Ok(Located { file, name })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Npy(path) => write!(f, "{path:?}"),
            Self::Tensor(file, name) => f.write_str(&file.place(name)),
        }
    }
}

fn add_file(path: &Path, root: &Path, features: &mut Vec<Feature>) -> Result<(), FeatureError> {
    if matches!(format(path), Some(Format::Npy)) {
        let relative = path.strip_prefix(root).unwrap_or(path).with_extension("");
        features.push(Feature {
            key: canonical(&relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")),
            place: Place::Npy(path.to_owned()),
        });
        return Ok(());
    }
    let file = Arc::new(FeatureFile::open(path)?);
    features.extend(file.names().map(|name| Feature {
        key: canonical(name),
        place: Place::Tensor(Arc::clone(&file), name.to_owned()),
    }));
    Ok(())
}

/// A key without the extension of the recording (before what says which part of it), and without `.` and empty folders.
fn canonical(key: &str) -> String {
    let (path, part) = match key.rfind('#') {
        Some(at) if is_part(&key[at + 1..]) => key.split_at(at),
        _ => (key, ""),
    };
    let path = match path.rsplit_once('.') {
        Some((stem, extension)) if RECORDINGS.iter().any(|known| extension.eq_ignore_ascii_case(known)) => stem,
        _ => path,
    };
    let folders: Vec<&str> = path.split('/').filter(|folder| !["", "."].contains(folder)).collect();
    folders.join("/") + part
}

/// Whether this is `start-end` or `start-`, in seconds.
fn is_part(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.matches('-').count() == 1
        && text
            .chars()
            .all(|char| char.is_ascii_digit() || ['.', '-', 'e'].contains(&char))
}

/// The last part of a path.
fn last(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, last)| last)
}

/// An item's key without its dataset.
fn within_dataset(key: &str) -> &str {
    key.split_once('/').map_or(key, |(_, inner)| inner)
}

/// Whether a path ends with another one, folder by folder.
fn ends_with(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
