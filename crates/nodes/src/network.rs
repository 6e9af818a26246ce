//! The device side of the graph as Burn modules, and running a schedule of it on a batch.

mod presence;
mod wired;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use emorun_lang::Signal;

use crate::kinds::NodeLayer;
use crate::policies::layer::PolicyLayer;
use emorun_nn::draw::DrawKey;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, NodeError, PREFIX, Ports, Scope, SideLoss};
use emorun_nn::precision::Precision;
use emorun_nn::presence::Presence;
use emorun_nn::recompute::Segments;
use emorun_nn::value::{PortId, Value, Values};
use emorun_nn::waits;

pub use wired::{FramePorts, HeadPorts, Needed, RegressorPorts, Wired};

/// What a loss node gives for a batch.
#[derive(Clone, Debug)]
pub struct BatchLoss<'a> {
    /// Name of the node.
    pub node: &'a str,
    /// Its factor in the sum of losses.
    pub weight: f64,
    /// Mean over the items that count.
    pub mean: Tensor<1>,
    /// How much the items count together.
    pub count: f64,
}

/// The part of the graph that is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// What losses need.
    Train,
    /// What metrics need, but for losses that compare items with each other: those are computed once for all
    /// items of a side.
    Evaluate,
    /// What heads give of items without labels.
    Predict,
    /// What is upstream of a node, and nothing else.
    Upto(usize),
}

/// A node that failed on a batch.
#[derive(Debug, thiserror::Error)]
#[error("node `{node}`: {source}")]
pub struct RunError {
    /// The node.
    pub node: String,
    /// Why.
    pub source: NodeError,
}

/// What a step knows beside its values.
#[derive(Clone, Debug)]
pub struct StepContext {
    /// True while training.
    pub training: bool,
    /// Key of draws of this step.
    pub step: DrawKey,
    /// Key of draws of this epoch.
    pub epoch: DrawKey,
    /// Stable keys of the batch's items.
    pub items: Arc<[String]>,
    /// Share of all optimizer steps that are done, 1 outside training.
    pub progress: f64,
    /// Where layers are noted that are computed again in the backward pass, with gradient checkpointing.
    pub segments: Option<Arc<Segments>>,
}

/// The network: device nodes in topological order.
#[derive(Clone, Debug)]
pub struct Network {
    wired: Arc<[Wired]>,
    layers: Vec<NodeLayer>,
    precision: Precision,
    device: Device,
}

impl Network {
    /// Builds every node, with weights drawn for (seed, node).
    ///
    /// # Errors
    /// Weights that cannot be used; as inference, which was called with the same signals before.
    pub fn build(
        wired: Arc<[Wired]>,
        class_counts: &HashMap<String, Vec<usize>>,
        facts: &Facts,
        seed: u64,
        device: &Device,
    ) -> Result<Self, BuildError> {
        let key = DrawKey::root(seed).with("weights");
        let layers = wired
            .iter()
            .map(|node| {
                let key = key.with(&node.name);
                waits::seed(device, key.device_seed());
                let context = BuildContext {
                    device,
                    class_counts,
                    facts,
                    key,
                };
                node.config.build(&node.signals(), &context).map(drawn)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            wired,
            layers,
            precision: Precision::default(),
            device: device.clone(),
        })
    }

    /// The network with products in another precision than [`Precision::F32`].
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The nodes and their wires, in topological order.
    pub fn wired(&self) -> &[Wired] {
        &self.wired
    }

    /// Ports of the data with texts that nodes read, beside what is said in the audio itself.
    pub fn texts(&self) -> Vec<PortId> {
        let inputs = self.wired.iter().flat_map(|node| &node.inputs);
        let texts = inputs.filter(|(_, from, signal)| from.node == emorun_lang::DATA && *signal == Signal::Text);
        let mut found: Vec<PortId> = texts.map(|(_, from, _)| from.clone()).collect();
        found.sort();
        found.dedup();
        found.retain(|port| port.port != "text");
        found
    }

    /// Ports of the data with continuous labels or shares of votes that nodes read.
    pub fn targets(&self) -> Vec<(PortId, Signal)> {
        let inputs = self.wired.iter().flat_map(|node| &node.inputs);
        let mut found: Vec<(PortId, Signal)> = Vec::new();
        for (_, from, signal) in inputs.filter(|(_, from, _)| from.node == emorun_lang::DATA) {
            let is_target = matches!(signal, Signal::Values { .. } | Signal::SoftLabels { .. });
            if is_target && !found.iter().any(|(known, _)| known == from) {
                found.push((from.clone(), signal.clone()));
            }
        }
        found
    }

    /// Whether a node is the last layer of a network: a `linear` layer whose output a loss compares by itself.
    pub fn gives_scores(&self, name: &str) -> bool {
        let takes = |node: &Wired| node.inputs.iter().any(|(_, from, _)| from.node == name);
        let is_linear = |node: &&Wired| node.name == name && node.config.is_linear();
        self.wired.iter().any(|node| is_linear(&node))
            && self
                .wired
                .iter()
                .any(|node| node.config.as_loss().is_some() && takes(node))
    }

    /// Node names and modules.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeLayer)> {
        self.wired.iter().map(|node| node.name.as_str()).zip(&self.layers)
    }

    /// Replaces every module by what `f` makes of it.
    pub fn map_nodes(&mut self, mut f: impl FnMut(&str, NodeLayer) -> NodeLayer) {
        let layers = std::mem::take(&mut self.layers);
        self.layers = self
            .wired
            .iter()
            .zip(layers)
            .map(|(node, layer)| f(&node.name, layer))
            .collect();
    }

    /// The network without autodiff, for evaluation.
    pub fn without_autodiff(&self) -> Self {
        Self {
            wired: self.wired.clone(),
            layers: self.layers.iter().map(Module::valid).collect(),
            precision: self.precision,
            device: self.device.clone().inner(),
        }
    }

    /// A copy on another device with autodiff, which shares nothing with this one.
    ///
    /// Burn's `fork` of a clone would take the running statistics of this one along, which clones share.
    pub fn replica(&self, device: &Device) -> Self {
        let inner = device.clone().inner();
        let copy = |layer: &NodeLayer| layer.valid().to_device(&inner).train();
        Self {
            wired: self.wired.clone(),
            layers: self.layers.iter().map(copy).collect(),
            precision: self.precision,
            device: device.clone(),
        }
    }

    /// Indices of nodes that take statistics of the training items, in topological order.
    pub fn fitted_nodes(&self) -> Vec<usize> {
        self.layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| layer.fits())
            .map(|(index, _)| index)
            .collect()
    }

    /// The module at an index.
    pub fn layer_mut(&mut self, index: usize) -> Option<&mut NodeLayer> {
        self.layers.get_mut(index)
    }

    /// What the frozen part of a node gives, by the node's name; `None` where it has none.
    ///
    /// # Errors
    /// The node's inputs are not there.
    pub fn frozen_part(&self, name: &str, values: &Values, items: Arc<[String]>) -> Result<Option<Value>, RunError> {
        let key = DrawKey::root(0);
        let context = Context {
            training: false,
            step: key,
            epoch: key,
            items,
            precision: self.precision,
            progress: 1.0,
            segments: None,
        };
        match self.wired.iter().position(|node| node.name == name) {
            Some(index) => self.layers[index]
                .prefix(&self.ports(index, values), &context)
                .map_err(|source| RunError {
                    node: name.to_owned(),
                    source,
                }),
            None => Ok(None),
        }
    }

    /// For each node whether a schedule runs it.
    fn running(&self, schedule: Pass) -> Vec<bool> {
        match schedule {
            Pass::Train => self.wired.iter().map(|node| node.needed.train).collect(),
            Pass::Predict => self.wired.iter().map(|node| node.needed.predict).collect(),
            // What compares items is computed of all of them at once.
            Pass::Evaluate => {
                let compares = self.layers.iter().map(|layer| side_of(layer).is_some());
                let needed = self.wired.iter().map(|node| node.needed.evaluate);
                needed
                    .zip(compares)
                    .map(|(needed, compares)| needed && !compares)
                    .collect()
            }
            Pass::Upto(last) => {
                let mut wanted = vec![false; self.wired.len()];
                let mut open = vec![last];
                while let Some(at) = open.pop() {
                    for (_, from, _) in &self.wired[at].inputs {
                        let before = self
                            .wired
                            .iter()
                            .position(|node| node.name == from.node && from.node != self.wired[at].name);
                        if let Some(before) = before.filter(|before| !wanted[*before]) {
                            wanted[before] = true;
                            open.push(before);
                        }
                    }
                }
                wanted
            }
        }
    }

    /// Indices of losses that compare items with each other, as far as evaluation needs them.
    pub fn side_losses(&self) -> impl Iterator<Item = usize> {
        let nodes = self.wired.iter().zip(&self.layers).enumerate();
        nodes
            .filter(|(_, (node, layer))| node.needed.evaluate && side_of(layer).is_some())
            .map(|(index, _)| index)
    }

    /// A loss that compares items with each other: its name, its factor outside training, and what computes it.
    pub fn side_loss(&self, index: usize) -> Option<(&str, f64, &(dyn SideLoss + Sync))> {
        let node = self.wired.get(index)?;
        let loss = side_of(self.layers.get(index)?)?;
        Some((&node.name, node.config.as_loss()?.weight(1.0), loss))
    }

    /// The node whose output a loss is about.
    pub fn compared_by(&self, loss: &str) -> Option<&str> {
        let node = self.wired.iter().find(|node| node.name == loss)?;
        let (_, from, _) = node.inputs.iter().find(|(port, ..)| port == "input")?;
        Some(&from.node)
    }

    /// How much a batch's items count in the losses that training needs, from their labels alone; without those of
    /// which it is not known before the network has run.
    ///
    /// # Errors
    /// A node got another kind of value than it was checked for.
    pub fn counts(&self, mut labels: Values, step: &StepContext) -> Result<BTreeMap<String, f64>, RunError> {
        let mut counts = BTreeMap::new();
        for (index, (node, layer)) in self.wired.iter().zip(&self.layers).enumerate() {
            if !node.needed.train {
                continue;
            }
            let failed = |source| RunError {
                node: node.name.clone(),
                source,
            };
            let presence = self.presence(index, &labels);
            let nobody = presence.as_ref().is_some_and(Presence::is_empty);
            let ports = self.ports(index, &labels);
            if let Some(loss) = layer.as_loss() {
                let count = if nobody { Ok(0.0) } else { loss.count(&ports) };
                match count {
                    Ok(count) => counts.insert(node.name.clone(), count),
                    Err(NodeError::Missing(_)) => None,
                    Err(error) => return Err(failed(error)),
                };
            } else if !nobody
                && let Some(outputs) = layer
                    .relabel(&ports, &self.context(node, step, presence.as_ref()))
                    .map_err(failed)?
            {
                for (port, value) in outputs {
                    let value = match &presence {
                        Some(presence) => value.spread(presence),
                        None => value,
                    };
                    labels.insert(PortId::new(&node.name, port), value);
                }
            }
            self.pass_on(index, presence, &mut labels);
        }
        Ok(counts)
    }

    /// What a node that runs on these items may know of a step.
    fn context(&self, node: &Wired, step: &StepContext, presence: Option<&Presence>) -> Context {
        let own = |presence: &Presence| {
            let rows = presence.rows().into_iter();
            rows.filter_map(|row| step.items.get(row).cloned()).collect()
        };
        Context {
            training: step.training,
            step: step.step.with(&node.name),
            epoch: step.epoch.with(&node.name),
            items: presence.map_or_else(|| step.items.clone(), own),
            precision: self.precision,
            progress: step.progress,
            segments: step.segments.clone(),
        }
    }

    /// The module of the policy with that name.
    pub fn policy(&self, name: &str) -> Option<&PolicyLayer> {
        self.nodes().find(|(node, _)| *node == name)?.1.policy()
    }

    /// Input values of a node for the items that it runs on, as far as they are there, and the nodes that it holds.
    pub fn ports(&self, index: usize, values: &Values) -> Ports {
        let rows = self.presence(index, values).map(|presence| presence.rows());
        let of_own = |value: &Value| match &rows {
            Some(rows) => value.rows(rows),
            None => value.clone(),
        };
        let mut ports = Ports::default();
        for (port, from, _) in &self.wired[index].inputs {
            if let Some(value) = values.get(from) {
                ports.insert(port.clone(), of_own(value));
            }
        }
        for (port, name) in &self.wired[index].uses {
            if let Some((_, held)) = self.nodes().find(|(node, _)| node == name) {
                ports.hold(port.clone(), Arc::new(held.clone()));
            }
        }
        if let Some(value) = values.get(&PortId::new(&self.wired[index].name, PREFIX)) {
            ports.insert(PREFIX.to_owned(), of_own(value));
        }
        ports
    }

    /// Runs the schedule's nodes in order and adds their outputs to `values`.
    ///
    /// # Errors
    /// A node got another kind of value than it was checked for.
    pub fn forward(&self, schedule: Pass, values: &mut Values, step: &StepContext) -> Result<(), RunError> {
        let running = self.running(schedule);
        for (index, node) in self.wired.iter().enumerate() {
            if running[index] {
                self.run(index, values, step).map_err(|source| RunError {
                    node: node.name.clone(),
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// Losses of the batch, in topological order, weighted as at a progress of training.
    pub fn losses(&self, values: &Values, progress: f64) -> Vec<BatchLoss<'_>> {
        self.wired
            .iter()
            .filter_map(|node| {
                let weight = node.config.as_loss()?.weight(progress);
                match values.get(&PortId::new(&node.name, ""))? {
                    Value::Scalar(mean, count) => Some(BatchLoss {
                        node: &node.name,
                        weight,
                        mean: mean.clone(),
                        count: *count,
                    }),
                    _ => None,
                }
            })
            .collect()
    }

    /// The first node whose output holds a number that is not finite, and of which items of the batch: what comes
    /// from the host first, then the network's nodes in topological order.
    pub fn first_not_finite(&self, values: &Values) -> Option<NotFinite> {
        let mut from_host: Vec<&PortId> = values.keys().filter(|port| !self.gives(port)).collect();
        from_host.sort();
        let own = self.wired.iter().flat_map(|node| {
            let outputs = node.outputs.iter();
            outputs.map(|(port, _)| PortId::new(&node.name, port))
        });
        let ports = from_host.into_iter().cloned().chain(own);
        ports.into_iter().find_map(|port| {
            let items = values.get(&port)?.items_not_finite()?;
            Some(NotFinite { node: port.node, items })
        })
    }

    /// Whether a port is one of the network's own, whatever the host gives of it.
    fn gives(&self, port: &PortId) -> bool {
        let mut own = self.wired.iter();
        own.any(|node| node.name == port.node && node.outputs.iter().any(|(name, _)| *name == port.port))
    }
}

/// Where the first number of a batch is that is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The node that gave it.
    pub node: String,
    /// Places of the items in the batch; empty where it is one number for all of them.
    pub items: Vec<usize>,
}

/// The module as a loss that compares items with each other.
fn side_of(layer: &NodeLayer) -> Option<&(dyn SideLoss + Sync)> {
    match layer.as_loss()?.scope() {
        Scope::Side(loss) => Some(loss),
        Scope::Items => None,
    }
}

/// A module whose weights are there: Burn draws them at first use, which would be under the seed of
/// whatever node then happens to be at work.
fn drawn(layer: NodeLayer) -> NodeLayer {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            param.val();
        }
    }
    layer.visit(&mut Draw);
    layer
}
