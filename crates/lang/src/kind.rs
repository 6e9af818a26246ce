//! What a node kind declares: its place in the file, its fields, what it makes of its inputs.

use std::fmt;
use std::ops::AddAssign;

use serde::Serialize;

use crate::de::DeserializeError;
use crate::document::Tree;
use crate::signal::{FrameRate, Signal};

/// A part of the experiment file that holds named nodes.
///
/// Sections are a way of reading the file; the graph only uses them to find its sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Corpora, merged in this order into `data`.
    Datasets,
    /// The host pipeline on training waveforms, in this order.
    Augmentations,
    /// What turns waveforms into features.
    Encoders,
    /// What turns features into features.
    Blocks,
    /// What turns features into a result with a target.
    Heads,
    /// Samplers, decoders and vocoders.
    Generators,
    /// What training minimises.
    Losses,
    /// What is trained by reward.
    Policies,
}

impl Section {
    /// Every section, in the order of the file.
    pub const ALL: [Self; 8] = [
        Self::Datasets,
        Self::Augmentations,
        Self::Encoders,
        Self::Blocks,
        Self::Heads,
        Self::Generators,
        Self::Losses,
        Self::Policies,
    ];

    /// The key of the section in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Datasets => "datasets",
            Self::Augmentations => "augmentations",
            Self::Encoders => "encoders",
            Self::Blocks => "blocks",
            Self::Heads => "heads",
            Self::Generators => "generators",
            Self::Losses => "losses",
            Self::Policies => "policies",
        }
    }

    /// What the section holds, for the JSON Schema.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Datasets => "Corpora by name, merged in this order; the graph sees them as `data`.",
            Self::Augmentations => {
                "Waveform augmentations by name, applied in this order to training items on the host; those \
                 that another one holds are applied by that."
            }
            Self::Encoders => "Nodes by name that turn waveforms into features.",
            Self::Blocks => "Nodes by name that turn features into features.",
            Self::Heads => "Nodes by name that turn features into a result compared with a target.",
            Self::Generators => "Samplers, decoders and vocoders by name.",
            Self::Losses => "Losses by name; training minimises their weighted sum.",
            Self::Policies => "Policies by name, trained by reward.",
        }
    }

    /// The section with that key.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }

    /// True for the sections whose nodes have ports; datasets and augmentations have none.
    pub fn has_ports(self) -> bool {
        !matches!(self, Self::Datasets | Self::Augmentations)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// In the loader's worker threads, item by item.
    Host,
    /// On the compute device, batch by batch.
    Device,
}

impl Placement {
    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Device => "device",
        }
    }
}

/// The static facts of a node kind.
#[derive(Clone, Debug)]
pub struct KindInfo {
    /// The value of `kind:`.
    pub name: &'static str,
    /// The only section where nodes of this kind may stand.
    pub section: Section,
    /// One line on what it does.
    pub summary: &'static str,
    /// Paper or software that it follows.
    pub source: &'static str,
    /// JSON Schema of its fields, without `kind`; see [`crate::schema_of`].
    pub schema: fn() -> serde_json::Value,
    /// What its input ports take, for people.
    pub inputs: &'static str,
    /// What its output ports give, for people.
    pub outputs: &'static str,
}

/// What a node costs; zero for what does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Number of parameters, trainable and frozen.
    pub parameters: u64,
    /// Number of trainable parameters.
    pub trainable: u64,
    /// Number of values kept beside the parameters, such as running statistics.
    pub buffers: u64,
    /// Activations kept for the backward pass, in floats a second of audio.
    pub activation_floats_per_second: f64,
    /// Activations kept for the backward pass that do not grow with length, in floats an item.
    pub activation_floats_per_item: f64,
    /// Activations kept for the backward pass that grow with the square of the length, such as weights of attention, in
    /// floats a square second.
    pub activation_floats_per_square_second: f64,
    /// Activations of [`Cost::activation_floats_per_second`] that gradient checkpointing does without.
    pub recomputed_floats_per_second: f64,
    /// Forward work, in floating-point operations a second of audio.
    pub flops_per_second: f64,
    /// Forward work that does not grow with length, in floating-point operations an item.
    pub flops_per_item: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.parameters = self.parameters.saturating_add(other.parameters);
        self.trainable = self.trainable.saturating_add(other.trainable);
        self.buffers = self.buffers.saturating_add(other.buffers);
        self.activation_floats_per_second += other.activation_floats_per_second;
        self.activation_floats_per_item += other.activation_floats_per_item;
        self.activation_floats_per_square_second += other.activation_floats_per_square_second;
        self.recomputed_floats_per_second += other.recomputed_floats_per_second;
        self.flops_per_second += other.flops_per_second;
        self.flops_per_item += other.flops_per_item;
    }
}

/// What inference finds out about a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Output ports; `""` is the default port, reached by the node's bare name.
    pub outputs: Vec<(String, Signal)>,
    /// Where the node runs.
    pub placement: Placement,
    /// What the node costs.
    pub cost: Cost,
    /// True if the outputs cannot be computed without labels; such a node can't be in the predict
    /// schedule.
    pub reads_labels: bool,
    /// True if the node acts by random draws and only while training (a random mask). It passes
    /// its input through otherwise; the frozen prefix ends before it.
    pub train_only: bool,
}

impl Inferred {
    /// A device node with one output on the default port.
    pub fn device(output: Signal, cost: Cost) -> Self {
        Self {
            outputs: vec![(String::new(), output)],
            placement: Placement::Device,
            cost,
            reads_labels: false,
            train_only: false,
        }
    }

    /// A loss: a device node that gives one number for the batch and reads labels.
    pub fn loss(cost: Cost) -> Self {
        Self {
            reads_labels: true,
            ..Self::device(Signal::Scalar, cost)
        }
    }
}

/// The signals at the input ports of a node (`input`, `target`, `inputs.face`, …).
///
/// Nodes that are held as callables are not inputs; they are reached at run time.
#[derive(Clone, Debug, Default)]
pub struct InputSignals<'a> {
    ports: Vec<(String, &'a Signal)>,
}

impl<'a> InputSignals<'a> {
    /// Signals by port, in the order of the node's fields.
    pub fn new(ports: Vec<(String, &'a Signal)>) -> Self {
        Self { ports }
    }

    /// The signal at a port, if it is connected.
    pub fn get(&self, port: &str) -> Option<&'a Signal> {
        self.ports
            .iter()
            .find_map(|(name, signal)| (name == port).then_some(*signal))
    }

    /// The signal at a port that must be connected.
    ///
    /// # Errors
    /// [`InferError::Missing`] if it is not.
    pub fn require(&self, port: &str) -> Result<&'a Signal, InferError> {
        self.get(port)
            .ok_or_else(|| InferError::Missing { port: port.to_owned() })
    }

    /// Every connected port and its signal, in the order of the node's fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a Signal)> {
        self.ports.iter().map(|(port, signal)| (port.as_str(), *signal))
    }

    /// The ports below `prefix`, such as `inputs` for `inputs.0` and `inputs.face`.
    pub fn below<'b>(&'b self, prefix: &'b str) -> impl Iterator<Item = (&'b str, &'a Signal)> {
        self.iter().filter_map(move |(port, signal)| {
            let rest = port.strip_prefix(prefix)?.strip_prefix('.')?;
            Some((rest, signal))
        })
    }
}

/// Why the outputs of a node could not be inferred.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InferError {
    /// A port carries something that the node can't take.
    #[error("port `{port}` takes {wanted}, not {found}")]
    Mismatch {
        /// The input port.
        port: String,
        /// What the node takes there.
        wanted: String,
        /// What is connected.
        found: Signal,
        /// What would make it fit.
        help: Option<String>,
    },
    /// A port must be connected and is not.
    #[error("port `{port}` is not connected")]
    Missing {
        /// The input port.
        port: String,
    },
    /// A field does not fit the inputs or another field.
    #[error("field `{field}`: {message}")]
    Invalid {
        /// Dotted path of the field within the node.
        field: String,
        /// What is wrong.
        message: String,
        /// What would make it right.
        help: Option<String>,
    },
}

impl InferError {
    /// A port that carries something that the node can't take.
    pub fn mismatch(port: &str, wanted: impl Into<String>, found: &Signal) -> Self {
        Self::Mismatch {
            port: port.to_owned(),
            wanted: wanted.into(),
            found: found.clone(),
            help: None,
        }
    }

    /// A field that does not fit.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            message: message.into(),
            help: None,
        }
    }
}

impl FrameRate {
    /// The rate after keeping one frame in `stride`, which the node's field `field` sets.
    ///
    /// # Errors
    /// The stride is beyond what a frame rate can be divided by.
    pub fn slower(self, stride: usize, field: &str) -> Result<Self, InferError> {
        u32::try_from(stride)
            .ok()
            .and_then(|stride| self.divided_by(stride))
            .ok_or_else(|| InferError::invalid(field, format!("a frame rate of {self} cannot be divided by {stride}")))
    }
}

/// The typed configuration of a node.
pub trait NodeSpec {
    /// What was found out about files that configurations name, before inference: inference itself
    /// reads nothing.
    type Facts;

    /// Output signals and cost from input signals: pure, without device and without I/O.
    ///
    /// # Errors
    /// A port that carries what the node can't take, or a field that does not fit its inputs.
    fn infer(&self, inputs: &InputSignals<'_>, facts: &Self::Facts) -> Result<Inferred, InferError>;
}

/// The node kinds of a program.
pub trait KindSet {
    /// One type for the configurations of all kinds.
    type Config: NodeSpec + Clone + fmt::Debug + Serialize;

    /// Every kind; names are unique.
    fn kinds(&self) -> &[KindInfo];

    /// Reads the fields of a node (without `kind`), which were checked against the kind's schema.
    ///
    /// # Errors
    /// What the schema does not say: conditions between fields, or a kind that is not in the set.
    fn parse(&self, kind: &str, fields: &Tree) -> Result<Self::Config, DeserializeError>;

    /// The kind with that name.
    fn kind(&self, name: &str) -> Option<&KindInfo> {
        self.kinds().iter().find(|kind| kind.name == name)
    }
}
