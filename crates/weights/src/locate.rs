//! The files that belong to a checkpoint.

use crate::hub::{self, DownloadProgress, HubSettings};
use crate::source::EXTENSIONS;
use crate::{WeightsError, WeightsSource, stand_in};
use emorun_files::{open_regular, read_regular};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Configuration of the network.
pub(crate) const CONFIG: &str = "config.json";
/// Configuration of what comes before the network.
pub(crate) const PREPROCESSOR: &str = "preprocessor_config.json";
/// Files of tensors, the better first; an index names the parts of a checkpoint in several files.
pub(crate) const CANDIDATES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];
/// Largest JSON file that is read. The index of the largest speech models has a tenth of this.
const MAX_JSON: u64 = 16 << 20;

/// Where the files of a checkpoint are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// `config.json`.
    pub config: PathBuf,
    /// `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<PathBuf>,
    /// The index that says which tensor is in which file, where there are several.
    pub index: Option<PathBuf>,
    /// The files of tensors, in the order of their names.
    pub tensors: Vec<PathBuf>,
    /// Commit of the Hub's repository, where the files come from one.
    pub revision: Option<String>,
    /// What the user should be told, one line each, lower case.
    pub notes: Vec<String>,
    /// What may be another than the user means, one line each, lower case.
    pub warnings: Vec<String>,
}

/// Finds the files of a checkpoint, downloading those that the cache does not have. Gives `None` for `random` alone.
///
/// A Hub id whose files are in the cache needs no network, whatever the revision: `main` then means the commit that the
/// cache remembers.
///
/// # Errors
/// Files that are not there and, for a Hub id, everything that can go wrong with a download.
pub fn locate(
    source: &WeightsSource,
    hub: &HubSettings,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<Option<Located>, WeightsError> {
    match source {
        WeightsSource::Random => Ok(None),
        WeightsSource::Folder(folder) => in_folder(folder).map(Some),
        WeightsSource::File(file) => beside(file).map(Some),
        WeightsSource::Hub { id, revision } => hub::locate(id, revision.as_deref(), hub, progress).map(Some),
    }
}

fn in_folder(folder: &Path) -> Result<Located, WeightsError> {
    if !folder.is_dir() {
        return Err(unusable(folder));
    }
    let mut there = CANDIDATES
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.is_file());
    let found = there.next().ok_or_else(|| {
        let folder = folder.to_owned();
        if folder.join("adapter_config.json").is_file() {
            WeightsError::AdaptersOnly { folder }
        } else {
            WeightsError::NoTensors { folder }
        }
    });
    let others: Vec<String> = there
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let (config, preprocessor) = configurations(folder)?;
    let found = found?;
    let warnings = match others.as_slice() {
        [] => Vec::new(),
        others => vec![format!(
            "{} is read, as transformers does, and not {} beside it; if they differ, remove those that are out of date",
            found.display(),
            others.join(", ")
        )],
    };
    let (index, tensors) = if is_index(&found) {
        let mut parts = Vec::new();
        for part in parts_of(&found)? {
            let path = folder.join(&part);
            if !path.is_file() {
                let reason = format!("it names {part}, which is not there");
                return Err(WeightsError::Index { path: found, reason });
            }
            parts.push(path);
        }
        (Some(found), parts)
    } else {
        (None, vec![found])
    };
    Ok(Located {
        config,
        preprocessor,
        index,
        tensors,
        revision: None,
        notes: Vec::new(),
        warnings,
    })
}

/// Why a path that should be there cannot be used.
fn unusable(path: &Path) -> WeightsError {
    let path = path.to_owned();
    match open_regular(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => WeightsError::io("read", path)(error),
        _ => WeightsError::Missing { path },
    }
}

fn beside(file: &Path) -> Result<Located, WeightsError> {
    if !file.is_file() {
        return Err(unusable(file));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let (config, preprocessor) = configurations(folder)?;
    let tensors = vec![file.to_owned()];
    Ok(Located {
        config,
        preprocessor,
        index: None,
        tensors,
        revision: None,
        notes: Vec::new(),
        warnings: Vec::new(),
    })
}

fn configurations(folder: &Path) -> Result<(PathBuf, Option<PathBuf>), WeightsError> {
    let config = folder.join(CONFIG);
    if !config.is_file() {
        return Err(WeightsError::NoConfig {
            folder: folder.to_owned(),
        });
    }
    let preprocessor = folder.join(PREPROCESSOR);
    Ok((config, preprocessor.is_file().then_some(preprocessor)))
}

/// Whether a file names the parts of a checkpoint instead of holding tensors.
pub(crate) fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// The files that an index names, sorted.
pub(crate) fn parts_of(index: &Path) -> Result<Vec<String>, WeightsError> {
    let mut parts: Vec<String> = read_index(index)?.into_values().collect();
    parts.sort_unstable();
    parts.dedup();
    Ok(parts)
}

/// Which file holds each tensor, as an index says it.
pub(crate) fn read_index(path: &Path) -> Result<BTreeMap<String, String>, WeightsError> {
    let wrong = |reason: String| WeightsError::Index {
        path: path.to_owned(),
        reason,
    };
    let json = read_json(path)?;
    let map = json
        .get("weight_map")
        .and_then(Value::as_object)
        .filter(|map| !map.is_empty())
        .ok_or_else(|| wrong("it has no `weight_map`".to_owned()))?;
    map.iter()
        .map(|(name, part)| {
            let part = part.as_str().unwrap_or_default();
            if !can_be_part(part) {
                let shown: String = part.chars().take(100).flat_map(char::escape_debug).collect();
                return Err(wrong(format!(
                    "its tensor `{name}` is said to be in `{shown}`, which is no name of a file of tensors"
                )));
            }
            Ok((name.clone(), part.to_owned()))
        })
        .collect()
}

/// Whether a text is the plain name of a file of tensors. One that leaves the folder would let a downloaded index read or
/// write elsewhere, and one with signs of its own in an address would be another file at the Hub.
fn can_be_part(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    name.len() <= 255
        && !name.starts_with(['.', '-'])
        && EXTENSIONS.contains(&extension)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.+= ".contains(&byte))
}

/// A JSON object in a file.
pub(crate) fn read_json(path: &Path) -> Result<Value, WeightsError> {
    let wrong = |reason: String| WeightsError::Config {
        path: path.to_owned(),
        reason,
    };
    let bytes = match read_regular(path, MAX_JSON) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => return Err(wrong(error.to_string())),
        read => read.map_err(WeightsError::io("read", path))?,
    };
    stand_in::refuse(path, &bytes[..bytes.len().min(stand_in::START)])?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(wrong("it is no JSON object".to_owned()))
    }
}
