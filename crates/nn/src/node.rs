//! The contract of a device node's module: what it provides, and what it may use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use emorun_kernels::{self as kernels, Dropout};
use emorun_lang::InferError;

use rand::RngExt;

use crate::draw::DrawKey;
use crate::facts::Facts;
use crate::precision::Precision;
use crate::recompute::Segments;
use crate::state::State;
use crate::value::{Labels, Lengths, Targets, Tokens, Value};

/// Port of a device node at which what the host computes of it stands.
pub const FRONT_END: &str = "front_end";

/// Port at which a node finds what its frozen part gave, where that was kept.
pub const PREFIX: &str = "prefix";

/// Why a node could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Inference accepted what building did not: a bug.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The weights do not fit the architecture, or cannot be read.
    #[error("the weights `{weights}` cannot be used: {message}")]
    Weights {
        /// The text of `weights:`.
        weights: String,
        /// What is wrong with them.
        message: String,
    },
}

/// What a node may know when it is built.
#[derive(Clone, Copy, Debug)]
pub struct BuildContext<'a> {
    /// Where its tensors stand.
    pub device: &'a Device,
    /// Training items of each class, by label column.
    pub class_counts: &'a HashMap<String, Vec<usize>>,
    /// What is known of checkpoints.
    pub facts: &'a Facts,
    /// Key of what the node draws when it is built.
    pub key: DrawKey,
}

/// What is asked of a built node, which is a Burn module: it maps the values of its input ports to its outputs.
pub trait Layer: std::fmt::Debug + Send {
    /// Runs the node on one batch.
    ///
    /// # Errors
    /// A port that is missing or carries another kind of value than `infer` accepted.
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError>;

    /// Factor of the learning rate for a tensor, by its path in the module.
    fn learning_rate(&self, _path: &str) -> f64 {
        1.0
    }

    /// The axis of a tensor, by its path in the module, that has an entry for each of the node's outputs, where
    /// these have names: its target's classes, or what it predicts. So rows are known by what they are, not by their
    /// order.
    fn named_axis(&self, _path: &str) -> Option<usize> {
        None
    }

    /// Whether the node runs on items that lack some of its inputs, which are zeros then, but not all. Any other runs on
    /// those that lack none, see [`crate::presence`].
    fn takes_partial_items(&self) -> bool {
        false
    }

    /// What the node's frozen part gives for a batch, to be kept and handed in at [`PREFIX`]; `None`
    /// for a node without such a part.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn prefix(&self, _inputs: &Ports, _context: &Context) -> Result<Option<Value>, NodeError> {
        Ok(None)
    }

    /// True for a node that takes statistics of the training items before training.
    fn fits(&self) -> bool {
        false
    }

    /// Adds one batch of training items to the statistics.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn fit(&mut self, _inputs: &Ports) -> Result<(), NodeError> {
        Ok(())
    }

    /// Closes the statistics.
    fn finish_fit(&mut self) {}

    /// Labels that the node makes of labels alone, such as blended ones: the same as those of
    /// [`Layer::forward`] in the same step. `None` for a node that makes none.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn relabel(&self, _inputs: &Ports, _context: &Context) -> Result<Option<Outputs>, NodeError> {
        Ok(None)
    }

    /// The layer as one that takes sequences in stretches; `None` for one that needs the whole of them, as it is
    /// configured.
    fn as_stepper(&self) -> Option<&dyn Stepper> {
        None
    }

    /// The layer as one that continues frames beside a memory; `None` for any other.
    fn as_decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// The layer as one that gives distributions of what it sees; `None` for any other.
    fn as_latent(&self) -> Option<&dyn Latent> {
        None
    }

    /// Whether a tensor of two dimensions, by its path in the module, is the matrix of a hidden layer: not an
    /// embedding, the centre of a class, or the last layer of scores, which optimizers for matrices leave alone.
    fn is_hidden_matrix(&self, _path: &str) -> bool {
        true
    }
}

/// A layer that can take a sequence in stretches, as they come.
pub trait Stepper {
    /// As [`Layer::forward`] outside training, for the next frames of sequences whose earlier ones were given before
    /// with the same state. Of an item whose frames are fewer than the batch's nothing follows.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn step(&self, inputs: &Ports, state: &mut State, context: &Context) -> Result<Outputs, NodeError>;
}

/// A layer that a rollout holds, which gives the frames of a window.
pub trait Decoder {
    /// The frames of a window.
    ///
    /// # Errors
    /// What the window holds is not as wide as the layer was built for.
    fn decode(&self, window: &Window, context: &Context) -> Result<Tensor<3>, NodeError>;

    /// Whether no frame follows from what comes later in its window.
    fn is_causal(&self) -> bool;
}

/// What a [`Decoder`] makes the frames of a window from.
#[derive(Clone, Debug)]
pub struct Window {
    /// What is known at each frame of the window, `[batch, time, width]` each.
    pub inputs: Vec<Tensor<3>>,
    /// What may be looked at: so many frames before the window, then those at its own, `[batch, before + time, width]`.
    pub memory: Tensor<3>,
    /// 1 where the memory's frames are there, `[batch, before + time]`.
    pub mask: Tensor<2>,
    /// Frames of the memory before the window.
    pub before: usize,
}

/// A layer that a rollout holds, which gives a distribution of what it sees.
pub trait Latent {
    /// Mean and logarithm of the variance, `[batch, width]` each, of streams of frames at the same times.
    ///
    /// # Shapes
    /// - `streams`: `[batch, time, width]` each
    /// - `mask`: `[batch, time]`, 1 where frames are there
    ///
    /// # Errors
    /// The streams are not as wide as the layer was built for.
    fn distribution(
        &self,
        streams: &[Tensor<3>],
        mask: Tensor<2>,
        context: &Context,
    ) -> Result<(Tensor<2>, Tensor<2>), NodeError>;
}

/// What is asked of the module of a loss, beside what every [`Layer`] gives.
pub trait Loss {
    /// How much the items of a batch count together, from what they are compared with alone: the count that
    /// `forward` gives with its mean.
    ///
    /// # Errors
    /// [`NodeError::Missing`] where it is not known before the network has run; as [`Layer::forward`].
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError>;

    /// What the loss of a side of the split is.
    fn scope(&self) -> Scope<'_>;
}

/// What the loss of many batches is.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// The mean of those of the batches, by their counts: every item has a loss of its own.
    Items,
    /// Not that: items are compared with each other, and so all of a side at once.
    Side(&'a (dyn SideLoss + Sync)),
}

/// A loss that compares items with each other.
pub trait SideLoss {
    /// The loss over all items at once, and how much they count together. Values lie on the host; this is as
    /// `forward`, in double precision and in memory that grows with the items, not with their pairs.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn over_side(&self, inputs: &Ports) -> Result<(f64, f64), NodeError>;
}

/// A node that another one holds: it is run when that one asks, as often as it asks.
pub trait Callable: std::fmt::Debug + Send + Sync {
    /// Runs the node on values that the holder chooses; `context` is the holder's, narrowed to what it
    /// asks for.
    ///
    /// # Errors
    /// As [`Layer::forward`].
    fn call(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError>;

    /// The node with weights that stand without autodiff, see [`Context::no_grad`].
    fn without_autodiff(&self) -> Arc<dyn Callable>;

    /// The node's module.
    fn layer(&self) -> &dyn Layer;
}

impl<L: Layer + Module + Sync + 'static> Callable for L {
    fn call(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        self.forward(inputs, context)
    }

    fn without_autodiff(&self) -> Arc<dyn Callable> {
        Arc::new(self.valid())
    }

    fn layer(&self) -> &dyn Layer {
        self
    }
}

/// Why a node could not run on a batch.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A port has no value.
    #[error("port `{0}` has no value in this schedule")]
    Missing(String),
    /// A port carries another kind of value.
    #[error("port `{port}` carries {found}, not {wanted}")]
    Kind {
        /// The port.
        port: String,
        /// What the node takes.
        wanted: &'static str,
        /// What was there.
        found: &'static str,
    },
    /// A node that is held is no such as its holder needs.
    #[error("the node at `{port}` {reason}")]
    Held {
        /// Where it is held.
        port: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Values of a node's input ports (`input`, `target`, `inputs.face`, …), and the nodes that it holds.
#[derive(Debug, Default)]
pub struct Ports {
    values: BTreeMap<String, Value>,
    held: BTreeMap<String, Arc<dyn Callable>>,
}

macro_rules! typed_port {
    ($(#[$doc:meta])* $name:ident, $variant:ident($($field:ident),+) -> $out:ty, $wanted:literal) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// The port is missing or carries something else.
        pub fn $name(&self, port: &str) -> Result<$out, NodeError> {
            match self.get(port)? {
                Value::$variant($($field),+) => Ok(($($field.clone()),+)),
                other => Err(NodeError::Kind { port: port.to_owned(), wanted: $wanted, found: other.name() }),
            }
        }
    };
}

impl Ports {
    /// Sets the value of a port.
    pub fn insert(&mut self, port: String, value: Value) {
        self.values.insert(port, value);
    }

    /// Hands over a node to be held, such as `uses.policy`.
    pub fn hold(&mut self, port: String, node: Arc<dyn Callable>) {
        self.held.insert(port, node);
    }

    /// The node that is held at a port, such as `uses.policy`.
    ///
    /// # Errors
    /// None is held there.
    pub fn held(&self, port: &str) -> Result<&dyn Callable, NodeError> {
        let node = self.held.get(port).ok_or_else(|| NodeError::Missing(port.to_owned()))?;
        Ok(node.as_ref())
    }

    /// The value of a port.
    ///
    /// # Errors
    /// The port is missing.
    pub fn get(&self, port: &str) -> Result<&Value, NodeError> {
        self.values.get(port).ok_or_else(|| NodeError::Missing(port.to_owned()))
    }

    /// True if a value is on the side of autodiff.
    pub fn is_autodiff(&self) -> bool {
        self.values.values().any(Value::is_autodiff)
    }

    /// The same values and held nodes without autodiff.
    pub fn without_autodiff(&self) -> Self {
        let values = self.values.iter();
        Self {
            values: values
                .map(|(port, value)| (port.clone(), value.clone().without_autodiff()))
                .collect(),
            held: self
                .held
                .iter()
                .map(|(port, node)| (port.clone(), node.without_autodiff()))
                .collect(),
        }
    }

    typed_port!(
        /// Waveforms `[batch, samples]` and their lengths.
        wave, Wave(wave, lengths) -> (Tensor<2>, Lengths), "a waveform"
    );
    typed_port!(
        /// Stacks of hidden states `[layers, batch, time, width]` and their lengths.
        stack, Stack(stack, lengths) -> (Tensor<4>, Lengths), "a layer stack"
    );
    typed_port!(
        /// Several sequences of frames an item `[samples, batch, time, width]` and their lengths.
        samples, Samples(samples, lengths) -> (Tensor<4>, Lengths), "samples"
    );
    typed_port!(
        /// Vectors `[batch, width]`.
        vector, Vector(vector) -> Tensor<2>, "vectors"
    );
    typed_port!(
        /// Frames `[batch, time, width]` and their lengths.
        frames, Frames(frames, lengths) -> (Tensor<3>, Lengths), "frames"
    );
    typed_port!(
        /// Logits `[batch, classes]`.
        logits, Logits(logits) -> Tensor<2>, "logits"
    );
    typed_port!(
        /// Continuous labels or shares of votes.
        targets, Targets(targets) -> Targets, "continuous labels"
    );
    typed_port!(
        /// Texts, one an item.
        text, Text(texts) -> std::sync::Arc<[Option<String>]>, "text"
    );
    typed_port!(
        /// Symbols of a vocabulary `[batch, time]` and their lengths.
        tokens, Tokens(tokens) -> Tokens, "tokens"
    );
    typed_port!(
        /// Diagonal normal distributions `[batch, steps, width]`.
        distribution, Distribution(distribution) -> crate::value::Distribution, "a distribution"
    );
    typed_port!(
        /// Labels, one an item.
        labels, Labels(labels) -> Labels, "labels"
    );
}

/// Outputs of a node by port; most have one, the default port `""`.
pub type Outputs = Vec<(&'static str, Value)>;

/// The one output of a node with a single port.
pub fn output(value: Value) -> Outputs {
    vec![("", value)]
}

/// What a node may know of the step it runs in.
#[derive(Clone, Debug)]
pub struct Context {
    /// True while training: dropout, masks and running statistics are active.
    pub training: bool,
    /// Key of this node's draws in this step.
    pub step: DrawKey,
    /// Key of this node's draws in this epoch, to be narrowed by item.
    pub epoch: DrawKey,
    /// Stable keys of the batch's items.
    pub items: Arc<[String]>,
    /// Precision of large matrix products.
    pub precision: Precision,
    /// Share of all optimizer steps that are done, 1 outside training.
    pub progress: f64,
    /// Where layers are noted that are computed again in the backward pass, with gradient checkpointing.
    pub segments: Option<Arc<Segments>>,
}

impl Context {
    /// The same step, for a part of the node that draws by itself.
    pub fn within(&self, part: &str) -> Self {
        Self {
            step: self.step.with(part),
            epoch: self.epoch.with(part),
            ..self.clone()
        }
    }

    /// True with probability `p`, drawn for this step.
    pub fn chance(&self, site: &str, p: f64) -> bool {
        self.step.with(site).rng().random::<f64>() < p
    }

    /// Randomly zeroes elements with probability `p` and scales the rest by `1 / (1 − p)`.
    ///
    /// `site` tells several dropouts of one node apart.
    ///
    /// # Source
    /// Srivastava et al. 2014, inverted as in every current framework. Whether an element is kept is a function of
    /// (seed, step, node, site) and of its place in the tensor.
    pub fn dropout<const D: usize>(&self, x: Tensor<D>, p: f64, site: &str) -> Tensor<D> {
        match self.dropout_at(p, site) {
            Some(dropout) => kernels::dropout(x, dropout),
            None => x,
        }
    }

    /// What [`Context::dropout`] does at a site; `None` where it does nothing.
    pub fn dropout_at(&self, p: f64, site: &str) -> Option<Dropout> {
        (self.training && p > 0.0).then(|| Dropout::new(p, self.step.with(site).of_elements()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_says_what_it_carries_in_place_of_what_is_wanted() {
        let mut ports = Ports::default();
        let tokens = Tokens {
            ids: Tensor::from_data([[4, 0, 2]], &Device::flex()),
            lengths: Lengths::new(vec![3]),
            vocabulary: 5,
        };
        ports.insert("input".to_owned(), Value::Tokens(tokens));
        assert_eq!(ports.tokens("input").unwrap().vocabulary, 5);
        let error = ports.distribution("input").unwrap_err();
        assert_eq!(error.to_string(), "port `input` carries tokens, not a distribution");
    }
}
