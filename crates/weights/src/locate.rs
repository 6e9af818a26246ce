//! The files that belong to a checkpoint.

use crate::hub::{self, HubSettings, Progress};
use crate::{WeightsError, WeightsSource};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
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
    progress: &mut dyn FnMut(Progress<'_>),
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
        return Err(WeightsError::Missing {
            path: folder.to_owned(),
        });
    }
    let found = CANDIDATES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| WeightsError::NoTensors {
            folder: folder.to_owned(),
        });
    let (config, preprocessor) = configurations(folder)?;
    let found = found?;
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
    })
}

fn beside(file: &Path) -> Result<Located, WeightsError> {
    if !file.is_file() {
        return Err(WeightsError::Missing { path: file.to_owned() });
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
            // A name that leaves the folder would let a downloaded index read or write elsewhere.
            let plain = Path::new(part).file_name().is_some_and(|file| file == part) && !part.contains('\\');
            if !plain {
                return Err(wrong(format!(
                    "its tensor `{name}` is said to be in `{part}`, which is no file name"
                )));
            }
            Ok((name.clone(), part.to_owned()))
        })
        .collect()
}

/// A JSON object in a file.
pub(crate) fn read_json(path: &Path) -> Result<Value, WeightsError> {
    let wrong = |reason: String| WeightsError::Config {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_JSON + 1).read_to_end(&mut bytes))
        .map_err(WeightsError::io("read", path))?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(wrong(format!("it has more than {MAX_JSON} bytes")));
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(wrong("it is no JSON object".to_owned()))
    }
}
