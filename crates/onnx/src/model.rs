//! An ONNX file that was read.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use emorun_files::{open_regular, read_regular};
use rten::{NodeId, ValueOrView, ValueView};
use rten_tensor::AsView;

use crate::outline::Outline;
use crate::{OnnxError, Port};

/// Largest file that is read: what Protocol Buffers allow a message to be.
const MAX_BYTES: u64 = 1 << 31;

/// A model from a file.
pub struct Model {
    path: PathBuf,
    outline: Outline,
    hash: [u8; 32],
    runtime: rten::Model,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("path", &self.path)
            .field("outline", &self.outline)
            .finish_non_exhaustive()
    }
}

/// A value that the runtime gave.
#[derive(Debug)]
pub(crate) struct Given {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// A value for the runtime.
pub(crate) enum Fed<'a> {
    Floats(&'a [f32]),
    Integers(Vec<i32>),
}

impl Model {
    /// Reads a model, with the files beside it that hold its weights.
    ///
    /// # Errors
    /// A file cannot be read or is damaged, or the model has an operator that the runtime does not have.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let damaged = |reason: String| OnnxError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut hasher = blake3::Hasher::new();
        let outline = {
            let bytes = read(path)?;
            hasher.update(&bytes);
            Outline::read(&bytes).map_err(damaged)?
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let names: BTreeSet<&str> = outline
            .outside
            .iter()
            .map(|outside| outside.location.as_str())
            .collect();
        for name in names {
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(damaged(format!(
                    "it asks for weights in {name:?}, which is no file beside it"
                )));
            }
            let beside = folder.join(name);
            let mut file = open_regular(&beside).map_err(failed(&beside))?;
            let length = file.metadata().map_err(failed(&beside))?.len();
            let end = outline
                .outside
                .iter()
                .filter(|one| one.location == name)
                .filter_map(|one| one.end)
                .max();
            if let Some(end) = end.filter(|end| *end > length) {
                return Err(OnnxError::Damaged {
                    path: beside,
                    reason: format!("it has {length} bytes, and {path:?} asks for {end}"),
                });
            }
            hasher.update_reader(&mut file).map_err(failed(&beside))?;
        }
        let runtime = guarded(|| rten::Model::load_file(path))
            .and_then(|loaded| loaded.map_err(|error| error.to_string()))
            .map_err(|reason| OnnxError::Unsupported {
                path: path.to_owned(),
                opset: outline.opset,
                reason,
            })?;
        Ok(Self {
            path: path.to_owned(),
            outline,
            hash: *hasher.finalize().as_bytes(),
            runtime,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the file and of those with its weights.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// What it takes.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.outline.inputs
    }

    /// What it gives.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outline.outputs
    }

    /// The number by which the runtime knows a name.
    pub(crate) fn id(&self, name: &str) -> Option<NodeId> {
        self.runtime.find_node(name)
    }

    /// Runs it on inputs with their shapes.
    ///
    /// # Errors
    /// The runtime's words.
    pub(crate) fn run(&self, inputs: &[(NodeId, Vec<usize>, Fed<'_>)], output: NodeId) -> Result<Given, String> {
        let mut fed = Vec::with_capacity(inputs.len());
        for (id, shape, value) in inputs {
            let misfit = || format!("{shape:?} does not fit what is given");
            let view: ValueOrView<'_> = match value {
                Fed::Floats(values) => ValueView::from_shape(shape, values).map_err(|_| misfit())?.into(),
                Fed::Integers(values) => ValueView::from_shape(shape, values.as_slice())
                    .map_err(|_| misfit())?
                    .into(),
            };
            fed.push((*id, view));
        }
        let [value] = guarded(|| self.runtime.run_n(fed, [output], None))?.map_err(|error| error.to_string())?;
        let kind = value.dtype();
        let tensor = value
            .into_tensor::<f32>()
            .ok_or_else(|| format!("the output holds {kind}, not float32"))?;
        Ok(Given {
            shape: rten_tensor::Layout::shape(&tensor).to_vec(),
            values: tensor.to_vec(),
        })
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> OnnxError {
    let path = path.to_owned();
    move |source| OnnxError::Io { path, source }
}

fn read(path: &Path) -> Result<Vec<u8>, OnnxError> {
    let length = open_regular(path)
        .and_then(|file| file.metadata())
        .map_err(failed(path))?
        .len();
    if length > MAX_BYTES {
        return Err(OnnxError::Damaged {
            path: path.to_owned(),
            reason: format!(
                "{length} bytes are more than an ONNX file may have; its weights belong into a file beside it"
            ),
        });
    }
    read_regular(path, MAX_BYTES).map_err(failed(path))
}

/// The runtime is another's code and the file anybody's: should it panic, the file is to blame, not the run.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        format!("the runtime gave up: {}", words.unwrap_or("it does not say why"))
    })
}
