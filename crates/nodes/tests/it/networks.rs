//! Small networks built from configurations, as an experiment would build them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};
use emorun_lang::Signal;
use emorun_nn::draw::DrawKey;
use emorun_nn::facts::Facts;
use emorun_nn::value::{Labels, Lengths, PortId, Value, Values};
use emorun_nodes::kinds::NodeConfig;
use emorun_nodes::network::{Network, Pass, StepContext, Wired};
use emorun_nodes::parameters::collect;
pub use emorun_nodes::parameters::gradients;
use emorun_nodes::samples;
pub use emorun_nodes::samples::{data, frames_signal, labels_signal, logits_signal};
use serde_json::Value as Json;

/// The CPU's random generator is one of the whole process: tests that build or train networks take
/// turns.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed holds nothing that could be broken.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node's configuration from its fields, without the edges, which are in `inputs`.
pub fn config(kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)]) -> NodeConfig {
    samples::config(kind, fields, inputs).unwrap()
}

/// A node with its wires, which every schedule needs.
pub fn wired(name: &str, kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)]) -> Wired {
    wired_with(name, kind, fields, inputs, &Facts::default())
}

/// A node with its wires and what is known of its checkpoint.
pub fn wired_with(name: &str, kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)], facts: &Facts) -> Wired {
    samples::wired(name, kind, fields, inputs, facts).unwrap_or_else(|error| panic!("{kind} {fields}: {error}"))
}

/// The device of all these tests, with autodiff: the CPU, or what `EMORUN_TEST_DEVICE=wgpu` asks for in a build with
/// that feature.
pub fn device() -> Device {
    match std::env::var("EMORUN_TEST_DEVICE").as_deref() {
        Err(_) | Ok("" | "cpu") => Device::flex().autodiff(),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => gpu::device(),
        Ok(other) => panic!("EMORUN_TEST_DEVICE={other}: not in this build, or not known"),
    }
}

/// A GPU for the tests.
#[cfg(feature = "wgpu")]
mod gpu {
    use std::sync::OnceLock;

    use burn::tensor::{Device, DeviceType};

    /// The first device of wgpu, software or not.
    pub fn device() -> Device {
        static FOUND: OnceLock<Device> = OnceLock::new();
        let found = FOUND.get_or_init(|| {
            let found = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next();
            found.expect("no device of wgpu: install a driver (on Debian: .ci/wgpu)")
        });
        found.clone().autodiff()
    }
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
    samples::batch(items, width, time, &device())
}

/// Labels of a batch.
pub fn labels(labels: &[Option<u32>]) -> Value {
    Value::Labels(Labels::new(labels.to_vec()))
}

/// Numbers of a tensor.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Fails with the first number that is further from what is expected than the tolerance, taken relative above 1. On a GPU
/// the tolerance is at least that of the kind that `of` begins with.
pub fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, of: &str) {
    assert_eq!(found.len(), expected.len(), "{of}");
    let kind = of.split([' ', ':']).next().unwrap_or_default();
    let tolerance = if is_gpu() {
        tolerance.max(samples::gpu_tolerance(kind))
    } else {
        tolerance
    };
    let mut worst = 0f32;
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{of}[{at}]: {found} is not {expected}");
        worst = worst.max(error);
    }
    note(kind, worst);
}

/// Whether the tests run on a GPU, software or not.
fn is_gpu() -> bool {
    device().inner() != Device::flex()
}

/// Appends a kind's error to the file that `EMORUN_TEST_ERRORS` names, if it is the largest so far.
fn note(kind: &str, error: f32) {
    static LARGEST: Mutex<BTreeMap<String, f32>> = Mutex::new(BTreeMap::new());
    let Some(path) = std::env::var_os("EMORUN_TEST_ERRORS") else {
        return;
    };
    let mut all = LARGEST.lock().unwrap_or_else(PoisonError::into_inner);
    if all.get(kind).is_none_or(|&largest| error > largest) {
        all.insert(kind.to_owned(), error);
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        std::io::Write::write_all(&mut file, format!("{kind} {error:e}\n").as_bytes()).unwrap();
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
