//! The contract of a kind: what one file provides for its configuration, and what the program asks of it.
//!
//! A question that only some kinds have an answer to is a default method here, answered in the files of those kinds.
//! What a section cannot do without is a trait of that section ([`crate::heads::HeadKind`],
//! [`crate::losses::LossKind`], [`crate::policies::PolicyKind`], [`crate::augmentations::AugmentationKind`]): a kind
//! that is listed there and does not say it does not compile.

use burn::module::Module;
use emorun_audio::augment::Recordings;
use emorun_data::DatasetConfig;
use emorun_features::{Common, Precision};
use emorun_lang::{
    Cost, DataPath, DeserializeError, InferError, Inferred, InputSignals, Placement, Signal, Tree, from_tree, schema_of,
};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, ItemModel};
use emorun_nn::node::{BuildContext, BuildError, Layer};
use emorun_pretrained::cache::Cache;
use emorun_pretrained::config::ConfigError;
use emorun_pretrained::kind::PretrainedKind;
use emorun_pretrained::load::RANDOM;
use emorun_pretrained::miniature::Miniature;
use emorun_pretrained::settings::Preparation;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind of node: its configuration can be checked.
///
/// One file implements it for its configuration struct, and one line in `kinds.rs` registers it.
pub trait Kind {
    /// The node's output signals and cost from its input signals; no device and no I/O.
    ///
    /// # Errors
    /// A port that carries something else than the node takes, or a field that does not fit it.
    fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError>;

    /// What the numbers at the port `input` stand for, where the node itself says so and not its target.
    fn input_names(&self) -> Option<Vec<String>> {
        None
    }

    /// What the node computes on the host for each item: all of it, or the front end of a device node. `None` for a node
    /// that computes nothing there, or whose files are not known yet.
    ///
    /// # Errors
    /// As [`Kind::infer`].
    fn host_operation(
        &self,
        _inputs: &InputSignals<'_>,
        _facts: &Facts,
    ) -> Result<Option<Box<dyn HostOperation>>, InferError> {
        Ok(None)
    }

    /// How what cannot change is kept; `None` for a node that keeps nothing.
    fn cache(&self) -> Option<Cache> {
        self.pretrained().map(|pretrained| pretrained.settings().cache)
    }

    /// Why what is frozen of a node cannot be kept; `None` if it can.
    fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
        match self.pretrained() {
            Some(pretrained) => pretrained.not_cacheable(inputs, facts),
            None => Some("it is no pretrained encoder".into()),
        }
    }

    /// The node as a corpus.
    fn dataset(&self) -> Option<&DatasetConfig> {
        None
    }

    /// The node as a pretrained encoder.
    fn pretrained(&self) -> Option<&dyn PretrainedKind> {
        None
    }

    /// Features of the items' own that it takes from files.
    fn feature_files(&self) -> Option<FeatureFiles<'_>> {
        None
    }

    /// A model of another runtime's that it takes from a file.
    fn model_file(&self) -> Option<ModelFile<'_>> {
        None
    }

    /// Where a policy that this node holds finds what it learns from; `None` for a node that holds none.
    fn rollout(&self) -> Option<Rollout> {
        None
    }

    /// What the nodes that it holds must be, beside policies.
    fn holds(&self, _inputs: &InputSignals<'_>) -> Vec<Holds> {
        Vec::new()
    }

    /// Whether the node is one linear map, so that it is the last layer of a network where a loss compares its output.
    fn is_linear(&self) -> bool {
        false
    }

    /// The text of `weights:` of a pretrained encoder.
    fn weights(&self) -> Option<&str> {
        self.pretrained()
            .map(|pretrained| pretrained.settings().weights.as_str())
    }

    /// How the waveform is prepared for a pretrained encoder; see [`PretrainedKind::preparation`].
    fn preparation(&self, facts: &Facts) -> Option<Preparation> {
        self.pretrained()?.preparation(facts)
    }

    /// Whether the sizes of a pretrained encoder are a guess: its checkpoint is not on this machine
    /// and not known by name.
    fn guesses_sizes(&self, facts: &Facts) -> bool {
        self.pretrained().is_some_and(|pretrained| {
            let weights = &pretrained.settings().weights;
            weights != RANDOM && facts.checkpoint(weights).is_none() && !pretrained.is_known()
        })
    }

    /// Seconds that an encoder hears of each item, where there is a bound.
    fn hears_s(&self) -> Option<f64> {
        self.pretrained()?.hears_s()
    }

    /// What the user should know of how a pretrained encoder is trained.
    fn remark(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
        self.pretrained()?.remark(inputs, facts)
    }

    /// The folder of recordings that an augmentation draws from; `None` for any other node.
    fn recordings(&self) -> Option<Recordings> {
        None
    }

    /// A tiny checkpoint in place of a pretrained encoder's own; `None` for any other node.
    fn miniature(&self, facts: &Facts, width: Option<usize>) -> Option<Result<Miniature, ConfigError>> {
        self.pretrained().map(|pretrained| pretrained.miniature(facts, width))
    }
}

/// A kind of node that runs on the device: it is built as a module.
pub trait DeviceKind: Kind {
    /// The module that `build` makes.
    type Layer: Layer + Module;

    /// Makes the module; weights are drawn from the device's generator, seeded for this node.
    ///
    /// # Errors
    /// As [`Kind::infer`], which was called with the same signals before; or weights that cannot be
    /// used.
    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<Self::Layer, BuildError>;
}

/// A configuration that is read from an experiment file.
pub trait Fields: Sized {
    /// JSON Schema of the fields, without `kind`.
    fn schema() -> Value;

    /// Reads the fields, which were checked against the schema.
    ///
    /// # Errors
    /// What the schema does not say.
    fn parse(fields: &Tree) -> Result<Self, DeserializeError>;
}

impl<T: JsonSchema + DeserializeOwned> Fields for T {
    fn schema() -> Value {
        schema_of::<Self>()
    }

    fn parse(fields: &Tree) -> Result<Self, DeserializeError> {
        from_tree(fields)
    }
}

/// What a node that is held must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Where it is held, such as `uses.decoder`.
    pub held: &'static str,
    /// Widths of what is handed over to its `inputs`, in their order.
    pub inputs: Vec<usize>,
    /// Another port and the width of what is handed over there.
    pub beside: Option<(&'static str, usize)>,
    /// A port and what must stand there.
    pub gives: (&'static str, Signal),
}

/// Ports of a node that holds a policy, at which it learns from that node's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Where the policy is held, such as `uses.policy`.
    pub held: &'static str,
    /// What it saw in each step.
    pub state: &'static str,
    /// What it drew.
    pub taken: &'static str,
    /// What came of it.
    pub reward: &'static str,
    /// Names of the actions that the node asks for in each step, in the order of the policy's columns: that of the names.
    pub actions: &'static [&'static str],
}

/// Features of the items' own that a node takes from files.
#[derive(Clone, Copy, Debug)]
pub struct FeatureFiles<'a> {
    /// The folder or file, where the field `path` names one.
    pub path: Option<&'a DataPath>,
    /// The column of the corpora's tables that names files, where the field `column` does.
    pub column: Option<&'a str>,
    /// What each item's feature is declared to be.
    pub declared: Common,
    /// Frames a second that are declared.
    pub rate_hz: Option<f64>,
}

impl FeatureFiles<'_> {
    /// What tells the files from those of other nodes: where they are.
    pub fn place(&self) -> String {
        match (self.path, self.column) {
            (Some(path), _) => path.as_str().to_owned(),
            (None, column) => format!("column {}", column.unwrap_or_default()),
        }
    }
}

/// A model that a node takes from a file, and how it is used.
#[derive(Clone, Debug)]
pub struct ModelFile<'a> {
    /// The file.
    pub path: &'a DataPath,
    /// Name of the model's input.
    pub input_name: &'a str,
    /// Order of the axes of frames in the input.
    pub input_layout: Axes,
    /// Whether each waveform is brought to zero mean and unit variance first.
    pub normalise: bool,
    /// Name of an input that takes a mask of the valid steps.
    pub mask_name: Option<&'a str>,
    /// Name of an input that takes the number of steps.
    pub length_name: Option<&'a str>,
    /// Name of the model's output.
    pub output_name: &'a str,
    /// Order of the axes of frames in the output; `None` where it is one vector.
    pub output_layout: Option<Axes>,
    /// Number of values of a frame or vector.
    pub width: usize,
    /// Frames a second that are declared.
    pub rate_hz: Option<f64>,
    /// Precision in which results are kept.
    pub precision: Precision,
    /// Everything that its results follow from, but the file's content and the input's values.
    pub settings: Value,
}

/// Order of the axes of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axes {
    /// `[time, width]`
    TimeFirst,
    /// `[width, time]`
    WidthFirst,
}

impl ModelFile<'_> {
    /// The model, once it was read.
    pub fn read<'f>(&self, facts: &'f Facts) -> Option<&'f std::sync::Arc<dyn ItemModel>> {
        facts.model(self.path.as_str(), self.settings.clone())
    }
}

/// What is known of a node that gives nothing at ports of its own.
pub(crate) fn without_outputs(train_only: bool) -> Inferred {
    Inferred {
        outputs: Vec::new(),
        placement: Placement::Host,
        cost: Cost::default(),
        reads_labels: false,
        train_only,
    }
}

impl Kind for DatasetConfig {
    // What datasets give stands at the ports of `data`.
    fn infer(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        Ok(without_outputs(false))
    }

    fn dataset(&self) -> Option<&DatasetConfig> {
        Some(self)
    }
}
