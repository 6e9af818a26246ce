//! Small networks built from configurations, as an experiment would build them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use emorun_lang::{FrameRate, InputSignals, KindSet, LabelSet, NodeSpec, Signal, Sources, Tree};
use emorun_nn::draw::DrawKey;
use emorun_nn::facts::Facts;
use emorun_nn::value::{Labels, Lengths, PortId, Value, Values};
use emorun_nodes::kinds::{Kinds, NodeConfig};
use emorun_nodes::network::{Needed, Network, Pass, StepContext, Wired};
use emorun_nodes::parameters::collect;
use serde_json::Value as Json;

/// The CPU's random generator is one of the whole process: tests that build or train networks take
/// turns.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed holds nothing that could be broken.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frames of a width at 100 Hz.
pub fn frames_signal(width: usize) -> Signal {
    Signal::Frames {
        width,
        rate: FrameRate::new(100, 1).unwrap(),
    }
}

/// A stack of layers with frames of a width at 100 Hz.
pub fn stack_signal(layers: usize, width: usize) -> Signal {
    Signal::LayerStack {
        layers,
        width,
        rate: FrameRate::new(100, 1).unwrap(),
    }
}

/// Labels of some classes.
pub fn labels_signal(classes: usize) -> Signal {
    Signal::Labels {
        labels: classes_of(classes),
    }
}

/// Logits over some classes.
pub fn logits_signal(classes: usize) -> Signal {
    Signal::Logits {
        labels: classes_of(classes),
    }
}

fn classes_of(classes: usize) -> LabelSet {
    LabelSet::new("emotion", (0..classes).map(|class| format!("class{class}")))
}

/// A node's configuration from its fields, without the edges, which are in `inputs`.
pub fn config(kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)]) -> NodeConfig {
    let mut fields = fields.clone();
    for (port, from, _) in inputs {
        let from = [&from.node, &from.port]
            .map(String::as_str)
            .into_iter()
            .filter(|part| !part.is_empty());
        let from = from.collect::<Vec<_>>().join(".");
        match port.split_once('.') {
            Some((field, name)) => fields[field][name] = from.into(),
            None => fields[*port] = from.into(),
        }
    }
    let mut sources = Sources::new();
    let source = sources.add("test", "");
    let span = emorun_lang::Span {
        source,
        start: 0,
        end: 0,
    };
    Kinds::default().parse(kind, &Tree::from_json(&fields, span)).unwrap()
}

/// A node with its wires, which every schedule needs.
pub fn wired(name: &str, kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)]) -> Wired {
    wired_with(name, kind, fields, inputs, &Facts::default())
}

/// A node with its wires and what is known of its checkpoint.
pub fn wired_with(name: &str, kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)], facts: &Facts) -> Wired {
    let config = config(kind, fields, inputs);
    let signals = inputs
        .iter()
        .map(|(port, _, signal)| ((*port).to_owned(), signal))
        .collect();
    let inferred = config
        .infer(&InputSignals::new(signals), facts)
        .unwrap_or_else(|error| panic!("{kind} {fields}: {error}"));
    Wired {
        name: name.to_owned(),
        config,
        inputs: inputs
            .iter()
            .map(|(port, from, signal)| ((*port).to_owned(), from.clone(), signal.clone()))
            .collect(),
        outputs: inferred.outputs,
        uses: Vec::new(),
        needed: Needed {
            train: true,
            evaluate: true,
            predict: true,
        },
    }
}

/// A port of `data`.
pub fn data(port: &str) -> PortId {
    PortId::new("data", port)
}

/// The CPU, with autodiff.
pub fn device() -> Device {
    Device::flex().autodiff()
}

/// A network of these nodes with weights drawn for a seed.
pub fn network(nodes: Vec<Wired>, seed: u64) -> Network {
    network_with(nodes, &Facts::default(), seed)
}

/// A network of these nodes, some with the weights of checkpoints.
pub fn network_with(nodes: Vec<Wired>, facts: &Facts, seed: u64) -> Network {
    Network::build(nodes.into(), &HashMap::new(), facts, seed, &device()).unwrap()
}

/// What a step knows; items are named by their numbers.
pub fn step(training: bool, items: usize) -> StepContext {
    let key = DrawKey::root(1);
    StepContext {
        training,
        step: key.with("step"),
        epoch: key.with("epoch"),
        items: (0..items).map(|item| item.to_string()).collect(),
        progress: 0.5,
        segments: None,
    }
}

/// Runs a network on values and gives all of them.
pub fn run(network: &Network, inputs: &[(PortId, Value)], training: bool, items: usize) -> Values {
    let mut values: Values = inputs.iter().cloned().collect();
    network
        .forward(Pass::Train, &mut values, &step(training, items))
        .unwrap();
    values
}

/// A batch of items of frames, row after row each, zero behind their ends up to `time`.
pub fn batch(items: &[Vec<f32>], width: usize, time: usize) -> (Tensor<3>, Lengths) {
    let lengths: Vec<usize> = items.iter().map(|item| item.len() / width).collect();
    let mut values = vec![0f32; items.len() * time * width];
    for (row, item) in values.chunks_exact_mut(time * width).zip(items) {
        row[..item.len()].copy_from_slice(item);
    }
    let data = TensorData::new(values, [items.len(), time, width]);
    (Tensor::from_data(data, &device()), Lengths::new(lengths))
}

/// Labels of a batch.
pub fn labels(labels: &[Option<u32>]) -> Value {
    Value::Labels(Labels::new(labels.to_vec()))
}

/// Numbers of a tensor.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Gradients of all parameters by name, as checkpoints name them.
pub fn gradients(network: &Network, gradients: &burn::tensor::Gradients) -> BTreeMap<String, Vec<f32>> {
    struct Visit<'a> {
        gradients: &'a burn::tensor::Gradients,
        path: Vec<String>,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Visit<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                let parts = self.path.iter().filter(|part| !part.is_empty());
                let name = parts.cloned().collect::<Vec<_>>().join(".");
                self.found.insert(name, numbers(gradient));
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            let own = if container.starts_with("Enum:") { "" } else { name };
            self.path.push(own.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
    }
    let mut visit = Visit {
        gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    for (name, node) in network.nodes() {
        visit.path.push(name.to_owned());
        node.visit(&mut visit);
        visit.path.pop();
    }
    visit.found
}

/// Fails with the first number that is further from what is expected than the tolerance, taken
/// relative above 1.
pub fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, of: &str) {
    assert_eq!(found.len(), expected.len(), "{of}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{of}[{at}]: {found} is not {expected}");
    }
}

#[test]
fn the_first_weights_of_a_node_do_not_depend_on_other_nodes() {
    let _turn = turn();
    let linear = |name: &str, width: usize| {
        let input = ("input", data("vector"), Signal::Vector { width: 3 });
        wired(name, "linear", &serde_json::json!({ "width": width }), &[input])
    };
    let weights = |nodes: Vec<Wired>| collect(&network(nodes, 1)).remove("own.linear.weight");
    let alone = weights(vec![linear("own", 4)]);
    assert!(alone.is_some());
    assert_eq!(
        alone,
        weights(vec![linear("before", 2), linear("own", 4), linear("behind", 5)])
    );
    assert_ne!(
        alone,
        collect(&network(vec![linear("own", 4)], 2)).remove("own.linear.weight")
    );
}
