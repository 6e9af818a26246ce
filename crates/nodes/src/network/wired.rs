//! A node with its wires, and where its predictions stand.

use emorun_lang::{InputSignals, Signal};

use crate::kinds::NodeConfig;
use emorun_nn::value::PortId;

/// A device node of the graph with its wires.
#[derive(Clone, Debug)]
pub struct Wired {
    /// Name of the node in the experiment file.
    pub name: String,
    /// Its configuration.
    pub config: NodeConfig,
    /// Input ports: name, where the value comes from, its signal.
    pub inputs: Vec<(String, PortId, Signal)>,
    /// Output ports and their signals; the default port is empty.
    pub outputs: Vec<(String, Signal)>,
    /// Nodes that it holds as callables: the field, and their names.
    pub uses: Vec<(String, String)>,
    /// Which schedules need it.
    pub needed: Needed,
}

impl Wired {
    /// The signals at its input ports.
    pub fn signals(&self) -> InputSignals<'_> {
        InputSignals::new(
            self.inputs
                .iter()
                .map(|(port, _, signal)| (port.clone(), signal))
                .collect(),
        )
    }

    /// The node as a classification head: one that gives logits and has a target.
    pub fn head(&self) -> Option<HeadPorts<'_>> {
        let (_, target, signal) = self.inputs.iter().find(|(port, _, _)| port == "target")?;
        let (port, _) = self
            .outputs
            .iter()
            .find(|(_, signal)| matches!(signal, Signal::Logits { .. }))?;
        let Signal::Labels { labels } = signal else { return None };
        let classes = labels.classes.as_deref()?;
        Some(HeadPorts {
            name: &self.name,
            output: PortId::new(&self.name, port),
            target: target.clone(),
            classes,
        })
    }

    /// The node as one that predicts frames: one that gives frames, or samples of them, and has frames as target.
    pub fn frame_regressor(&self) -> Option<FramePorts<'_>> {
        let input = |port: &str| self.inputs.iter().find(|(name, ..)| name == port);
        let (_, target, signal) = input("target")?;
        let (port, _) = self.outputs.iter().find(|(port, signal)| {
            port.is_empty() && matches!(signal, Signal::Frames { .. } | Signal::Samples { .. })
        })?;
        let Signal::Frames { width, .. } = signal else {
            return None;
        };
        Some(FramePorts {
            name: &self.name,
            output: PortId::new(&self.name, port),
            target: target.clone(),
            mask: input("target_mask").map(|(_, from, _)| from.clone()),
            width: *width,
        })
    }

    /// The node as a regression head: one that gives a vector and has continuous labels as target.
    pub fn regressor(&self) -> Option<RegressorPorts<'_>> {
        let (_, target, signal) = self.inputs.iter().find(|(port, _, _)| port == "target")?;
        let (port, _) = self
            .outputs
            .iter()
            .find(|(_, signal)| matches!(signal, Signal::Vector { .. }))?;
        let Signal::Values { names } = signal else { return None };
        Some(RegressorPorts {
            name: &self.name,
            output: PortId::new(&self.name, port),
            target: target.clone(),
            names,
        })
    }
}

/// The frames that a head or generator predicts and those that they are compared with.
#[derive(Clone, Debug)]
pub struct FramePorts<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// Where its frames stand.
    pub output: PortId,
    /// Where the true ones stand.
    pub target: PortId,
    /// Where it stands which of these are known; `None` where all are.
    pub mask: Option<PortId>,
    /// Numbers of a frame.
    pub width: usize,
}

/// The numbers that a head predicts and those that they are compared with.
#[derive(Clone, Debug)]
pub struct RegressorPorts<'a> {
    /// Name of the head.
    pub name: &'a str,
    /// Where its numbers stand.
    pub output: PortId,
    /// Where the true ones stand.
    pub target: PortId,
    /// What each number is.
    pub names: &'a [String],
}

/// The logits of a head and the labels that they are compared with.
#[derive(Clone, Debug)]
pub struct HeadPorts<'a> {
    /// Name of the head.
    pub name: &'a str,
    /// Where its logits stand.
    pub output: PortId,
    /// Where its labels stand.
    pub target: PortId,
    /// Class names.
    pub classes: &'a [String],
}

/// Which schedules need a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Needed by losses.
    pub train: bool,
    /// Needed by metrics.
    pub evaluate: bool,
    /// Needed where items have no labels.
    pub predict: bool,
}
