//! Writing features to a file that other programs read.

use crate::convert::to_bytes;
use crate::{Array, FeatureError, Precision};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// Writes a `.safetensors` file, one tensor an item, without holding it in memory.
///
/// The file appears when it is complete; until then an existing one is untouched. The format has its table in front, so
/// values are first written to a file without a name beside it, which needs as much room again for a moment.
#[derive(Debug)]
pub struct FeatureWriter {
    path: PathBuf,
    precision: Precision,
    values: BufWriter<File>,
    table: Map<String, Value>,
    length: u64,
}

/// The table's own entry.
const METADATA: &str = "__metadata__";

impl FeatureWriter {
    /// Begins a file. Its folder must exist.
    ///
    /// # Errors
    /// Where the folder cannot be written to.
    pub fn create(path: &Path, precision: Precision) -> Result<Self, FeatureError> {
        let values = tempfile::tempfile_in(folder(path)).map_err(FeatureError::io("write", path))?;
        Ok(Self {
            path: path.to_owned(),
            precision,
            values: BufWriter::new(values),
            table: Map::new(),
            length: 0,
        })
    }

    /// Adds an item's feature under its key.
    ///
    /// # Errors
    /// Where the key was added before, a value lies beyond the precision, or the disk is full.
    pub fn add(&mut self, key: &str, value: &Array) -> Result<(), FeatureError> {
        if key == METADATA || self.table.contains_key(key) {
            return Err(FeatureError::TakenKey {
                path: self.path.clone(),
                key: key.to_owned(),
            });
        }
        let bytes = to_bytes(value.values(), self.precision).map_err(|error| FeatureError::Value {
            key: key.to_owned(),
            error,
        })?;
        self.values
            .write_all(&bytes)
            .map_err(FeatureError::io("write", &self.path))?;
        let start = self.length;
        self.length += bytes.len() as u64;
        let dtype = match self.precision {
            Precision::F16 => "F16",
            Precision::F32 => "F32",
        };
        let entry = json!({ "dtype": dtype, "shape": value.shape(), "data_offsets": [start, self.length] });
        self.table.insert(key.to_owned(), entry);
        Ok(())
    }

    /// Writes the table, with texts that describe the whole file, and puts the file in its place.
    ///
    /// # Errors
    /// Where the disk is full or the file cannot be replaced.
    pub fn finish(self, metadata: &BTreeMap<String, String>) -> Result<(), FeatureError> {
        let Self {
            path, values, table, ..
        } = self;
        assemble(&path, values, table, metadata).map_err(FeatureError::io("write", path))
    }
}

fn assemble(
    path: &Path,
    values: BufWriter<File>,
    mut table: Map<String, Value>,
    metadata: &BTreeMap<String, String>,
) -> io::Result<()> {
    if !metadata.is_empty() {
        table.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut header = serde_json::to_vec(&table)?;
    // Values begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut values = values.into_inner().map_err(io::IntoInnerError::into_error)?;
    values.rewind()?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder(path))?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    io::copy(&mut values, file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Writes all features to a `.safetensors` file, one at a time.
///
/// # Errors
/// As [`FeatureWriter`]; the first error of `features` itself.
pub fn write_features<K: AsRef<str>, E: From<FeatureError>>(
    path: &Path,
    precision: Precision,
    features: impl IntoIterator<Item = Result<(K, Array), E>>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), E> {
    let mut writer = FeatureWriter::create(path, precision)?;
    for feature in features {
        let (key, value) = feature?;
        writer.add(key.as_ref(), &value)?;
    }
    Ok(writer.finish(metadata)?)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
