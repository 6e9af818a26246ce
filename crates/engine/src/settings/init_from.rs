//! Weights to start from.

use emorun_lang::DataPath;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Weights to start from: those of another run, or of a file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitFrom {
    /// Directory of the run; of one member, where it has several. Its best epoch is taken, or its
    /// newest checkpoint where none was chosen. Classes are matched by their names, whatever their order.
    #[serde(default)]
    pub run: Option<DataPath>,
    /// With `run`: nodes whose weights are taken; left out, all that have the same name, tensors and classes here.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// A file of tensors, `.safetensors` or what `torch.save` wrote of a `state_dict`.
    #[serde(default)]
    pub file: Option<DataPath>,
    /// With `file`: how names of its tensors begin, and how the same ones begin here, such as `"classifier.out":
    /// "emotion.classes"`; the longest that fits counts. Everything below what is named here must be in the file; what
    /// is not named stays as drawn. Left out, tensors are named in the file as they are here, `node.…`.
    #[serde(default)]
    pub map: IndexMap<String, String>,
    /// With `file`: which way round it has the weights of linear layers. Of a checkpoint in the directory of a run this is
    /// known.
    #[serde(default)]
    pub layout: FileLayout,
    /// With `file`: for each head (or `center` loss) that is taken, its classes (or numbers) in the order in which the
    /// file has them, which the file itself does not tell, such as `emotion: [neutral, angry]`. A checkpoint in the
    /// directory of a run tells it by its run.
    #[serde(default)]
    pub classes: IndexMap<String, Vec<String>>,
}

/// Which way round a file has the weights of linear layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileLayout {
    /// `[outputs, inputs]`, as PyTorch has them.
    #[default]
    Torch,
    /// `[inputs, outputs]`, as in the checkpoints of runs (`weights.safetensors`).
    Emorun,
}
