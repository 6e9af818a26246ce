//! Checkpoints: one directory each, complete or not there at all.
//!
//! A checkpoint is written beside its final place, every file synced, then a manifest with a
//! SHA-256 a file, then renamed. Older ones go only after the newer one is in place, and the one
//! before it stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::parameters::NamedTensors;
use super::state::LoopState;
use crate::exit::Failure;

const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "average.safetensors";
const STATE: &str = "state.json";
const FORMAT: u32 = 1;

/// Everything that a run needs to continue to the same bits.
#[derive(Debug)]
pub struct Checkpoint {
    /// Weights and running statistics by name.
    pub weights: NamedTensors,
    /// Optimizer state by name.
    pub optimizer: NamedTensors,
    /// The average of the weights, where one is kept.
    pub average: Option<NamedTensors>,
    /// Where the loop stands.
    pub state: LoopState,
}

impl Checkpoint {
    /// The weights that are evaluated and used: their average, where one is kept.
    pub fn into_weights(self) -> NamedTensors {
        self.average.unwrap_or(self.weights)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    sha256: BTreeMap<String, String>,
}

/// Where the checkpoint of a step lies.
pub fn path_of(checkpoints: &Path, step: u64) -> PathBuf {
    checkpoints.join(format!("step-{step}"))
}

/// Which checkpoints stay when a new one is written.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// So many of the newest, the new one among them.
    pub last: usize,
    /// Those of these steps.
    pub steps: Vec<u64>,
}

/// Writes the checkpoint of `state.step` and removes what need not be kept, once the new one has been
/// read back whole.
///
/// # Errors
/// A file cannot be written; the earlier checkpoints are then untouched.
pub fn write(checkpoints: &Path, checkpoint: &Checkpoint, keep: &Keep) -> Result<(), Failure> {
    let step = checkpoint.state.step;
    let place = path_of(checkpoints, step);
    let draft = checkpoints.join(format!(".step-{step}.partial"));
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(Failure::io("remove", &draft))?;
    }
    fs::create_dir_all(&draft).map_err(Failure::io("create", &draft))?;
    let state = serde_json::to_vec_pretty(&checkpoint.state).map_err(|error| Failure::Bug(error.to_string()))?;
    let mut files = vec![
        (WEIGHTS, encode(&checkpoint.weights)?),
        (OPTIMIZER, encode(&checkpoint.optimizer)?),
        (STATE, state),
    ];
    if let Some(average) = &checkpoint.average {
        files.push((AVERAGE, encode(average)?));
    }
    let mut manifest = Manifest {
        format: FORMAT,
        sha256: BTreeMap::new(),
    };
    for (name, bytes) in &files {
        write_synced(&draft.join(name), bytes)?;
        manifest.sha256.insert((*name).to_owned(), digest(bytes));
    }
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| Failure::Bug(error.to_string()))?;
    write_synced(&draft.join(MANIFEST), &manifest)?;
    sync_dir(&draft)?;
    if place.exists() {
        // The same step written anew, for instance at an interrupt right after an epoch's end.
        fs::remove_dir_all(&place).map_err(Failure::io("replace", &place))?;
    }
    fs::rename(&draft, &place).map_err(Failure::io("rename", &draft))?;
    sync_dir(checkpoints)?;
    verify(&place)?;
    let mut found = steps(checkpoints)?;
    found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    // What stands at later steps was written by a run that was gone back on.
    let older = found.iter().filter(|(other, _)| *other <= step);
    let last: Vec<u64> = older.map(|(step, _)| *step).take(keep.last.max(1)).collect();
    for (other, path) in found {
        if !last.contains(&other) && !keep.steps.contains(&other) {
            fs::remove_dir_all(&path).map_err(Failure::io("remove", &path))?;
        }
    }
    remove_drafts(checkpoints)
}

/// Removes what was left half written by a process that was killed.
fn remove_drafts(checkpoints: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(checkpoints)
        .map_err(Failure::io("read", checkpoints))?
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(".step-") && name.ends_with(".partial") {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(Failure::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Checks every file of a checkpoint against its manifest.
///
/// # Errors
/// A file is missing, cannot be read or is not what was written.
fn verify(path: &Path) -> Result<(), Failure> {
    let manifest = read_manifest(path)?;
    for name in [WEIGHTS, OPTIMIZER, STATE] {
        read_checked(path, &manifest, name)?;
    }
    if manifest.sha256.contains_key(AVERAGE) {
        read_checked(path, &manifest, AVERAGE)?;
    }
    Ok(())
}

/// Reads the newest checkpoint that is whole; `warn` hears of those that are not.
///
/// # Errors
/// The folder cannot be read, or there are checkpoints and none is whole.
pub fn read_newest(checkpoints: &Path, mut warn: impl FnMut(String)) -> Result<Option<Checkpoint>, Failure> {
    let mut found = steps(checkpoints)?;
    found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    let mut last = None;
    for (_, path) in found {
        match read(&path) {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(error) => {
                warn(format!("checkpoint not used: {error}"));
                last = Some(error);
            }
        }
    }
    last.map_or(Ok(None), Err)
}

/// Reads one checkpoint, checking every file against the manifest.
///
/// # Errors
/// A file is missing, cannot be read or is not what was written.
pub fn read(path: &Path) -> Result<Checkpoint, Failure> {
    let manifest = read_manifest(path)?;
    let tensors =
        |name: &str| decode(&read_checked(path, &manifest, name)?).map_err(|error| corrupt(path, name, error));
    Ok(Checkpoint {
        weights: tensors(WEIGHTS)?,
        optimizer: tensors(OPTIMIZER)?,
        average: manifest
            .sha256
            .contains_key(AVERAGE)
            .then(|| tensors(AVERAGE))
            .transpose()?,
        state: serde_json::from_slice(&read_checked(path, &manifest, STATE)?)
            .map_err(|error| corrupt(path, STATE, error.to_string()))?,
    })
}

fn corrupt(path: &Path, file: &str, message: String) -> Failure {
    Failure::Corrupt {
        path: path.join(file),
        message,
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, Failure> {
    let manifest: Manifest = serde_json::from_slice(&read_file(&path.join(MANIFEST))?)
        .map_err(|error| corrupt(path, MANIFEST, error.to_string()))?;
    if manifest.format != FORMAT {
        let message = format!("format {} is not known to this version of emorun", manifest.format);
        return Err(corrupt(path, MANIFEST, message));
    }
    Ok(manifest)
}

fn read_checked(path: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>, Failure> {
    let bytes = read_file(&path.join(name))?;
    if manifest.sha256.get(name) == Some(&digest(&bytes)) {
        Ok(bytes)
    } else {
        let message = "its SHA-256 is not that of the manifest".to_owned();
        Err(corrupt(path, name, message))
    }
}

fn steps(checkpoints: &Path) -> Result<Vec<(u64, PathBuf)>, Failure> {
    if !checkpoints.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(checkpoints).map_err(Failure::io("read", checkpoints))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?,
                entry.path(),
            ))
        })
        .collect())
}

fn encode(tensors: &NamedTensors) -> Result<Vec<u8>, Failure> {
    let views = tensors
        .iter()
        .map(|(name, data)| {
            let shape: Vec<usize> = data.shape().iter().copied().collect();
            TensorView::new(Dtype::F32, shape, data.as_bytes()).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::Bug(format!("a tensor cannot be stored: {error}")))?;
    safetensors::serialize(views, None).map_err(|error| Failure::Bug(format!("tensors cannot be stored: {error}")))
}

fn decode(bytes: &[u8]) -> Result<NamedTensors, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {name} is {:?}, not F32", view.dtype()));
            }
            Ok((
                name,
                TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32),
            ))
        })
        .collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::io("read", path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = fs::File::create(path).map_err(Failure::io("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(Failure::io("write", path))
}

/// Makes the entries of a folder durable.
fn sync_dir(path: &Path) -> Result<(), Failure> {
    fs::File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Failure::io("sync", path))
}

/// Replaces a file as a whole: readers see the old text or the new one.
///
/// # Errors
/// The file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let draft = path.with_extension("partial");
    write_synced(&draft, bytes)?;
    fs::rename(&draft, path).map_err(Failure::io("rename", &draft))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        let tensor = |values: Vec<f32>| TensorData::new(values, [2]);
        Checkpoint {
            weights: NamedTensors::from([("a.weight".to_owned(), tensor(vec![step as f32, -0.0]))]),
            optimizer: NamedTensors::from([("a.weight.moment".to_owned(), tensor(vec![1e-30, f32::MAX]))]),
            average: Some(NamedTensors::from([("a.weight".to_owned(), tensor(vec![0.25, 3.0]))])),
            state: LoopState {
                step,
                ..LoopState::default()
            },
        }
    }

    fn keep(last: usize, steps: &[u64]) -> Keep {
        let steps = steps.to_vec();
        Keep { last, steps }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &checkpoint(7), &keep(2, &[])).unwrap();
        let read = read_newest(dir.path(), |warning| panic!("{warning}")).unwrap().unwrap();
        assert_eq!(
            (read.weights, read.optimizer, read.average, read.state),
            (
                checkpoint(7).weights,
                checkpoint(7).optimizer,
                checkpoint(7).average,
                checkpoint(7).state
            )
        );
    }

    #[test]
    fn the_newest_and_the_kept_ones_stay() {
        for (last, kept, expected) in [
            (1, &[][..], &[10][..]),
            (2, &[2], &[2, 7, 10]),
            (3, &[1, 2], &[1, 2, 3, 7, 10]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for step in [1, 2, 3, 7, 10] {
                write(dir.path(), &checkpoint(step), &keep(last, kept)).unwrap();
            }
            let mut left: Vec<u64> = steps(dir.path()).unwrap().into_iter().map(|(step, _)| step).collect();
            left.sort_unstable();
            assert_eq!(left, expected);
            // Gone back to step 3, and on from there.
            write(dir.path(), &checkpoint(4), &keep(1, &[])).unwrap();
            assert_eq!(steps(dir.path()).unwrap().len(), 1);
        }
    }

    #[test]
    fn every_flipped_byte_is_found_and_the_one_before_is_used() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &checkpoint(1), &keep(2, &[])).unwrap();
        write(dir.path(), &checkpoint(2), &keep(2, &[1])).unwrap();
        for name in [WEIGHTS, OPTIMIZER, AVERAGE, STATE, MANIFEST] {
            let path = path_of(dir.path(), 2).join(name);
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 1;
                fs::write(&path, &flipped).unwrap();
                let mut warnings = Vec::new();
                let read = read_newest(dir.path(), |warning| warnings.push(warning))
                    .unwrap()
                    .unwrap();
                // White space and hash letters' case do not carry meaning; all else must be found.
                if read.state.step == 2 {
                    assert_eq!(name, MANIFEST, "byte {at} of {name}");
                    assert!(
                        whole[at].is_ascii_whitespace(),
                        "byte {at} of {name}: {:?}",
                        whole[at] as char
                    );
                } else {
                    assert!(
                        warnings.iter().any(|warning| warning.contains("step-2")),
                        "{warnings:?}"
                    );
                }
            }
            fs::write(&path, &whole).unwrap();
        }
    }

    #[test]
    fn a_half_written_checkpoint_is_not_one() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &checkpoint(1), &keep(2, &[])).unwrap();
        let draft = dir.path().join(".step-5.partial");
        fs::create_dir(&draft).unwrap();
        fs::write(draft.join(WEIGHTS), b"half").unwrap();
        assert_eq!(read_newest(dir.path(), |_| {}).unwrap().unwrap().state.step, 1);
        write(dir.path(), &checkpoint(3), &keep(1, &[])).unwrap();
        assert!(!draft.exists(), "what a kill left goes with the next checkpoint");
    }
}
