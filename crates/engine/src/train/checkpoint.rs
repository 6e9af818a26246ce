//! Checkpoints: one directory each, complete or not there at all.
//!
//! A checkpoint is written beside its final place, every file synced, then a manifest with a
//! SHA-256 a file, then renamed. Older ones go only after the newer one is in place and has been read
//! back, and the one before it stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use emorun_files::{Files, read_regular};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::state::LoopState;
use crate::exit::Failure;
use emorun_nodes::parameters::NamedTensors;

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
    /// Id of the run that it was written by; empty where that was not stored yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    run: String,
    sha256: BTreeMap<String, String>,
}

impl Manifest {
    fn text(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec_pretty(self).map_err(|error| Failure::Bug(error.to_string()))
    }
}

/// Which checkpoints stay when a new one is written.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// So many of the newest, the new one among them.
    pub last: usize,
    /// Those of these steps.
    pub steps: Vec<u64>,
}

/// The checkpoints of one run.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Their folder.
    pub folder: PathBuf,
    /// Id of the run: checkpoints of another are not used. Empty asks for none.
    pub run: String,
    /// What they are written through.
    pub files: Files,
}

impl Store {
    /// The checkpoints in a folder, whichever run they are of, to be read.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Where the checkpoint of a step lies.
    pub fn path_of(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step}"))
    }

    fn draft_of(&self, step: u64) -> PathBuf {
        self.folder.join(format!(".step-{step}.partial"))
    }

    /// Whether there is any checkpoint, be it sound or not.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn has_any(&self) -> Result<bool, Failure> {
        Ok(!self.steps()?.is_empty())
    }

    /// Writes the checkpoint of `state.step` and removes what need not be kept, once the new one has been
    /// read back whole.
    ///
    /// # Errors
    /// A file cannot be written; the earlier checkpoints are then untouched.
    pub fn write(&self, checkpoint: &Checkpoint, keep: &Keep) -> Result<(), Failure> {
        let step = checkpoint.state.step;
        let draft = self.draft_of(step);
        if let Err(failure) = self.place(checkpoint, &draft) {
            // Its room is wanted where the disk is full; what remains goes with the next checkpoint.
            let _ = self.files.remove_dir_all(&draft);
            return Err(failure);
        }
        self.verify(step)?;
        self.prune(step, keep);
        Ok(())
    }

    /// Removes the checkpoints that need not be kept beside that of `step`; what cannot be removed is
    /// told, and tried again with the next.
    pub fn prune(&self, step: u64, keep: &Keep) {
        if let Err(failure) = self.remove_others(step, keep) {
            tracing::warn!("an old checkpoint is still there, and goes with the next: {failure}");
        }
    }

    /// Writes a checkpoint beside its place and moves it there.
    fn place(&self, checkpoint: &Checkpoint, draft: &Path) -> Result<(), Failure> {
        let files = &self.files;
        let place = self.path_of(checkpoint.state.step);
        if draft.exists() {
            files.remove_dir_all(draft).map_err(Failure::io("remove", draft))?;
        }
        files.create_dir_all(draft).map_err(Failure::io("create", draft))?;
        let state = serde_json::to_vec_pretty(&checkpoint.state).map_err(|error| Failure::Bug(error.to_string()))?;
        let mut parts = vec![
            (WEIGHTS, encode(&checkpoint.weights)?),
            (OPTIMIZER, encode(&checkpoint.optimizer)?),
            (STATE, state),
        ];
        if let Some(average) = &checkpoint.average {
            parts.push((AVERAGE, encode(average)?));
        }
        let mut manifest = Manifest {
            format: FORMAT,
            run: self.run.clone(),
            sha256: BTreeMap::new(),
        };
        for (name, bytes) in &parts {
            write_synced(files, &draft.join(name), bytes)?;
            manifest.sha256.insert((*name).to_owned(), digest(bytes));
        }
        write_synced(files, &draft.join(MANIFEST), &manifest.text()?)?;
        sync_dir(files, draft)?;
        if place.exists() {
            // It could not be used when the run was resumed, or training would not be here again.
            files.remove_dir_all(&place).map_err(Failure::io("replace", &place))?;
        }
        files.rename(draft, &place).map_err(Failure::io("rename", draft))?;
        sync_dir(files, &self.folder)
    }

    /// Removes the checkpoints that need not be kept beside that of `step`, and what was left half
    /// written or half removed by a process that was killed.
    fn remove_others(&self, step: u64, keep: &Keep) -> Result<(), Failure> {
        let folder = &self.folder;
        let remove = |path: &Path| self.files.remove_dir_all(path).map_err(Failure::io("remove", path));
        for entry in fs::read_dir(folder).map_err(Failure::io("read", folder))?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".step-") && name.ends_with(".partial") {
                remove(&entry.path())?;
            }
        }
        let mut found = self.steps()?;
        found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        // What stands at later steps was written by a run that was gone back on.
        let older = found.iter().filter(|(other, _)| *other <= step);
        let last: Vec<u64> = older.map(|(step, _)| *step).take(keep.last.max(1)).collect();
        for (other, path) in found {
            if !last.contains(&other) && !keep.steps.contains(&other) {
                // What has the name of a checkpoint is whole, also where removing is cut short.
                let gone = self.draft_of(other);
                self.files.rename(&path, &gone).map_err(Failure::io("rename", &path))?;
                remove(&gone)?;
            }
        }
        Ok(())
    }

    /// Checks every file of a checkpoint against its manifest.
    fn verify(&self, step: u64) -> Result<(), Failure> {
        let path = self.path_of(step);
        let manifest = read_manifest(&path)?;
        let average = manifest.sha256.contains_key(AVERAGE).then_some(AVERAGE);
        for name in [WEIGHTS, OPTIMIZER, STATE].into_iter().chain(average) {
            read_checked(&path, &manifest, name)?;
        }
        Ok(())
    }

    /// Reads the newest checkpoint that is whole and of this run; `warn` hears of those that are not.
    ///
    /// # Errors
    /// The folder cannot be read, or there are checkpoints and none can be used.
    pub fn read_newest(&self, mut warn: impl FnMut(String)) -> Result<Option<Checkpoint>, Failure> {
        let mut found = self.steps()?;
        found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        let mut last = None;
        for (step, _) in found {
            match self.read(step) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error) => {
                    warn(format!("checkpoint not used: {error}"));
                    last = Some(error);
                }
            }
        }
        last.map_or(Ok(None), Err)
    }

    /// Reads the checkpoint of a step, checking every file against the manifest.
    ///
    /// # Errors
    /// A file is missing, cannot be read or is not what was written, or it is of another run.
    pub fn read(&self, step: u64) -> Result<Checkpoint, Failure> {
        let path = &self.path_of(step);
        let manifest = read_manifest(path)?;
        if !self.run.is_empty() && !manifest.run.is_empty() && manifest.run != self.run {
            let message = "this checkpoint was written by another run; move it back there".to_owned();
            return Err(corrupt(path, MANIFEST, message));
        }
        let tensors =
            |name: &str| decode(&read_checked(path, &manifest, name)?).map_err(|error| corrupt(path, name, error));
        let checkpoint = Checkpoint {
            weights: tensors(WEIGHTS)?,
            optimizer: tensors(OPTIMIZER)?,
            average: manifest
                .sha256
                .contains_key(AVERAGE)
                .then(|| tensors(AVERAGE))
                .transpose()?,
            state: serde_json::from_slice(&read_checked(path, &manifest, STATE)?)
                .map_err(|error| corrupt(path, STATE, error.to_string()))?,
        };
        if checkpoint.state.step != step {
            let message = format!("this is the state of step {}", checkpoint.state.step);
            return Err(corrupt(path, STATE, message));
        }
        Ok(checkpoint)
    }

    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, Failure> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.folder).map_err(Failure::io("read", &self.folder))?;
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
}

fn corrupt(path: &Path, file: &str, message: String) -> Failure {
    Failure::Corrupt {
        path: path.join(file),
        message,
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, Failure> {
    let text = read_file(&path.join(MANIFEST))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| corrupt(path, MANIFEST, error.to_string()))?;
    if manifest.format != FORMAT {
        let message = format!("format {} is not known to this version of emorun", manifest.format);
        return Err(corrupt(path, MANIFEST, message));
    }
    let known = [WEIGHTS, OPTIMIZER, AVERAGE, STATE];
    if let Some(other) = manifest.sha256.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(corrupt(path, MANIFEST, format!("a checkpoint has no file {other:?}")));
    }
    // It has no hash of its own, but only one way to be written.
    if manifest.text()? != text {
        return Err(corrupt(path, MANIFEST, "this is not as emorun wrote it".to_owned()));
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
    read_regular(path, u64::MAX).map_err(Failure::io("read", path))
}

fn write_synced(files: &Files, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = files.create(path).map_err(Failure::io("create", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync())
        .map_err(Failure::io("write", path))
}

/// Makes the entries of a folder durable.
fn sync_dir(files: &Files, path: &Path) -> Result<(), Failure> {
    files.sync_dir(path).map_err(Failure::io("sync", path))
}

/// Replaces a file as a whole: readers see the old text or the new one.
///
/// # Errors
/// The file cannot be written.
pub fn write_atomically(files: &Files, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let draft = path.with_extension("partial");
    let written = write_synced(files, &draft, bytes)
        .and_then(|()| files.rename(&draft, path).map_err(Failure::io("rename", &draft)));
    if written.is_err() {
        let _ = files.remove_file(&draft);
    }
    written?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_dir(files, folder.unwrap_or(Path::new(".")))
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

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::in_folder(dir.path().to_owned())
    }

    fn keep(last: usize, steps: &[u64]) -> Keep {
        let steps = steps.to_vec();
        Keep { last, steps }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        store(&dir).write(&checkpoint(7), &keep(2, &[])).unwrap();
        let read = store(&dir).read_newest(|warning| panic!("{warning}")).unwrap().unwrap();
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
                store(&dir).write(&checkpoint(step), &keep(last, kept)).unwrap();
            }
            let mut left: Vec<u64> = store(&dir).steps().unwrap().into_iter().map(|(step, _)| step).collect();
            left.sort_unstable();
            assert_eq!(left, expected);
            // Gone back to step 3, and on from there.
            store(&dir).write(&checkpoint(4), &keep(1, &[])).unwrap();
            assert_eq!(store(&dir).steps().unwrap().len(), 1);
        }
    }

    #[test]
    fn every_flipped_bit_is_found_and_the_one_before_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store {
            run: "0123456789abcdef".to_owned(),
            ..store(&dir)
        };
        store.write(&checkpoint(1), &keep(2, &[])).unwrap();
        store.write(&checkpoint(2), &keep(2, &[1])).unwrap();
        for name in [WEIGHTS, OPTIMIZER, AVERAGE, STATE, MANIFEST] {
            let path = store.path_of(2).join(name);
            let whole = fs::read(&path).unwrap();
            let falls_back = |bytes: Option<&[u8]>, what: &str| {
                match bytes {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                let mut warnings = Vec::new();
                let read = store.read_newest(|warning| warnings.push(warning)).unwrap().unwrap();
                assert_eq!(read.state.step, 1, "{what} of {name}");
                assert!(
                    warnings.len() == 1 && warnings[0].contains("step-2"),
                    "{what}: {warnings:?}"
                );
            };
            for at in 0..8 * whole.len() {
                let mut flipped = whole.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                falls_back(Some(&flipped), &format!("bit {} of byte {}", at % 8, at / 8));
            }
            for length in 0..whole.len() {
                falls_back(Some(&whole[..length]), &format!("{length} bytes"));
            }
            falls_back(Some(&[&whole[..], b"\n"].concat()), "a byte more");
            falls_back(None, "nothing");
            fs::write(&path, &whole).unwrap();
            assert_eq!(
                store
                    .read_newest(|warning| panic!("{warning}"))
                    .unwrap()
                    .unwrap()
                    .state
                    .step,
                2
            );
        }
    }

    #[test]
    fn what_another_run_wrote_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let of = |run: &str| Store {
            run: run.to_owned(),
            ..store(&dir)
        };
        of("one").write(&checkpoint(1), &keep(9, &[])).unwrap();
        of("other").write(&checkpoint(2), &keep(9, &[])).unwrap();
        let mut warnings = Vec::new();
        let read = of("one")
            .read_newest(|warning| warnings.push(warning))
            .unwrap()
            .unwrap();
        assert_eq!(read.state.step, 1);
        assert!(
            warnings[0].contains("step-2") && warnings[0].contains("another run"),
            "{warnings:?}"
        );
        assert_eq!(store(&dir).read_newest(|_| {}).unwrap().unwrap().state.step, 2);
        let none = of("third").read_newest(|_| {}).unwrap_err();
        assert!(none.to_string().contains("another run"), "{none}");
        // Nor is one that was given the name of another step.
        fs::rename(store(&dir).path_of(2), store(&dir).path_of(3)).unwrap();
        let wrong = store(&dir).read(3).unwrap_err().to_string();
        assert!(wrong.contains("the state of step 2"), "{wrong}");
    }

    #[test]
    fn a_half_written_checkpoint_is_not_one() {
        let dir = tempfile::tempdir().unwrap();
        store(&dir).write(&checkpoint(1), &keep(2, &[])).unwrap();
        let draft = dir.path().join(".step-5.partial");
        fs::create_dir(&draft).unwrap();
        fs::write(draft.join(WEIGHTS), b"half").unwrap();
        assert_eq!(store(&dir).read_newest(|_| {}).unwrap().unwrap().state.step, 1);
        store(&dir).write(&checkpoint(3), &keep(1, &[])).unwrap();
        assert!(!draft.exists(), "what a kill left goes with the next checkpoint");
    }
}
