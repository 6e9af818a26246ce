//! Padding never changes a result, and inference tells what a built node then does.

use std::collections::BTreeSet;

use burn::tensor::{Tensor, TensorData};
use emorun::facts::Facts;
use emorun::kinds::Kinds;
use emorun::network::Network;
use emorun::train::parameters::count;
use emorun::value::{Lengths, PortId, Value, Values};
use emorun_lang::{InputSignals, KindSet, NodeSpec, Section, Signal};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use crate::networks::{
    assert_near, batch, config, data, device, frames_signal, gradients, labels, labels_signal, logits_signal, network,
    numbers, run, turn, wired,
};

const WIDTH: usize = 16;
const CLASSES: usize = 3;
/// Lengths of the items of a batch, in frames: shorter than any stride, odd, and long.
const LENGTHS: [usize; 9] = [1, 2, 3, 5, 8, 17, 33, 40, 57];

/// A kind with the configurations to test.
fn cases() -> Vec<(&'static str, Vec<Json>)> {
    vec![
        (
            "crnn",
            vec![
                json!({ "channels": [3], "gru_hidden": 4 }),
                json!({ "channels": [4, 6, 5], "gru_hidden": 3 }),
                json!({ "channels": [2, 2, 2, 2], "gru_hidden": 2 }),
                // As wide as vector registers, so that every path of the CPU's kernels is taken.
                json!({ "channels": [16, 32], "gru_hidden": 16 }),
            ],
        ),
        (
            "transformer",
            vec![
                json!({ "stack": 1, "width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.0 }),
                json!({ "stack": 4, "width": 12, "layers": 1, "heads": 3, "feed_forward": 8, "dropout": 0.0 }),
            ],
        ),
        ("normalise", vec![json!({})]),
        (
            "spec_augment",
            vec![json!({ "features_mask_size": 5, "frames_mask_size": 20 })],
        ),
        ("attention_classifier", vec![json!({ "hidden": 7, "dropout": 0.0 })]),
        ("mean_classifier", vec![json!({ "hidden": 7 })]),
        (
            "cross_entropy",
            vec![
                json!({}),
                json!({ "label_smoothing": 0.2, "class_weights": { "values": [1.0, 3.0, 0.5] } }),
            ],
        ),
    ]
}

/// Input ports of a kind.
fn inputs(kind: &str, width: usize, classes: usize) -> Vec<(&'static str, PortId, Signal)> {
    let frames = ("input", data("mel"), frames_signal(width));
    let target = ("target", data("emotion"), labels_signal(classes));
    match kind {
        "attention_classifier" | "mean_classifier" => vec![frames, target],
        "cross_entropy" => vec![("input", data("logits"), logits_signal(classes)), target],
        _ => vec![frames],
    }
}

fn one_node(kind: &str, fields: &Json, width: usize) -> Network {
    network(vec![wired("node", kind, fields, &inputs(kind, width, CLASSES))], 3)
}

/// Numbers that look random, the same in every run.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn items(width: usize) -> Vec<Vec<f32>> {
    let lengths = LENGTHS.iter().enumerate();
    lengths.map(|(at, length)| noise(at as u32, length * width)).collect()
}

/// Values at the ports of `data` for a batch of items, padded to `time` frames.
fn values(items: &[Vec<f32>], width: usize, time: usize) -> Vec<(PortId, Value)> {
    let (frames, lengths) = batch(items, width, time);
    let count = items.len();
    // Logits and labels are the item's own, whatever it stands beside.
    let own: Vec<f32> = items
        .iter()
        .flat_map(|item| noise(item.len() as u32 + 100, CLASSES))
        .collect();
    let classes: Vec<Option<u32>> = items
        .iter()
        .map(|item| Some((item.len() / width % CLASSES) as u32))
        .collect();
    vec![
        (data("mel"), Value::Frames(frames, lengths)),
        (
            data("logits"),
            Value::Logits(Tensor::from_data(TensorData::new(own, [count, CLASSES]), &device())),
        ),
        (data("emotion"), labels(&classes)),
    ]
}

/// What a node gives for the item at a place of the batch: its valid frames, or its vector.
fn output_of(values: &Values, at: usize) -> Vec<f32> {
    match &values[&PortId::new("node", "")] {
        Value::Frames(frames, lengths) => {
            let [_, time, width] = frames.dims();
            let length = lengths.as_slice()[at];
            assert!(length <= time, "{length} valid frames of {time}");
            let row = numbers(frames.clone().narrow(0, at, 1));
            assert!(
                row[length * width..].iter().all(|&x| x == 0.0),
                "padding behind item {at} is not zero"
            );
            row[..length * width].to_vec()
        }
        Value::Logits(logits) => numbers(logits.clone().narrow(0, at, 1)),
        other => panic!("no test for {}", other.name()),
    }
}

#[test]
fn every_device_kind_is_tested_here() {
    let kinds = Kinds::default();
    let device_kinds: BTreeSet<&str> = kinds
        .kinds()
        .iter()
        // What has no ports are corpora; log_mel runs on the host, for one item alone.
        .filter(|kind| kind.section != Section::Datasets && kind.name != "log_mel")
        .map(|kind| kind.name)
        .collect();
    assert_eq!(device_kinds, cases().into_iter().map(|(kind, _)| kind).collect());
}

#[test]
fn an_item_gives_the_same_alone_and_in_any_batch() {
    let _turn = turn();
    let items = items(WIDTH);
    let longest = LENGTHS[LENGTHS.len() - 1];
    for (kind, configs) in cases().into_iter().filter(|(kind, _)| *kind != "cross_entropy") {
        for fields in configs {
            let network = one_node(kind, &fields, WIDTH).without_autodiff();
            let beside = run(&network, &values(&items, WIDTH, longest), false, items.len());
            let reversed: Vec<Vec<f32>> = items.iter().rev().cloned().collect();
            let padded = run(&network, &values(&reversed, WIDTH, longest + 13), false, items.len());
            for (at, item) in items.iter().enumerate() {
                let alone = run(
                    &network,
                    &values(std::slice::from_ref(item), WIDTH, LENGTHS[at]),
                    false,
                    1,
                );
                let alone = output_of(&alone, 0);
                let of = format!("{kind} {fields}, item of {} frames", LENGTHS[at]);
                assert_near(&output_of(&beside, at), &alone, 1e-5, &of);
                assert_near(
                    &output_of(&padded, items.len() - 1 - at),
                    &alone,
                    1e-5,
                    &format!("{of}, padded"),
                );
            }
        }
    }
}

#[test]
fn an_item_without_a_label_changes_no_loss() {
    let _turn = turn();
    for (kind, configs) in cases().into_iter().filter(|(kind, _)| *kind == "cross_entropy") {
        for fields in configs {
            let network = one_node(kind, &fields, WIDTH);
            let logits = noise(5, 4 * CLASSES);
            let loss = |count: usize, present: &[Option<u32>]| {
                let logits = TensorData::new(logits[..count * CLASSES].to_vec(), [count, CLASSES]);
                let logits = Value::Logits(Tensor::from_data(logits, &device()));
                let values = run(
                    &network,
                    &[(data("logits"), logits), (data("emotion"), labels(present))],
                    true,
                    count,
                );
                let loss = network.losses(&values).remove(0);
                (numbers(loss.mean)[0], loss.count)
            };
            let (with, without) = (loss(4, &[Some(2), Some(0), None, None]), loss(2, &[Some(2), Some(0)]));
            assert_near(&[with.0], &[without.0], 1e-6, &fields.to_string());
            assert_eq!(with.1, without.1);
            assert_eq!(loss(2, &[None, None]), (0.0, 0.0));
        }
    }
}

/// Sums a node's output, each valid number times one of its own, into a loss to differentiate.
fn probe(output: &Value) -> Tensor<1> {
    match output {
        Value::Frames(frames, lengths) => {
            let [count, time, width] = frames.dims();
            let mut factors = vec![0f32; count * time * width];
            for (at, (row, &length)) in factors
                .chunks_exact_mut(time * width)
                .zip(lengths.as_slice())
                .enumerate()
            {
                row[..length * width].copy_from_slice(&noise(at as u32 + 50, length * width));
            }
            (frames.clone() * Tensor::from_data(TensorData::new(factors, [count, time, width]), &device())).sum()
        }
        Value::Logits(logits) => {
            let [count, classes] = logits.dims();
            let factors = TensorData::new(noise(50, count * classes), [count, classes]);
            (logits.clone() * Tensor::from_data(factors, &device())).sum()
        }
        Value::Scalar(loss, _) => loss.clone(),
        other => panic!("no test for {}", other.name()),
    }
}

#[test]
fn more_padding_changes_no_gradient_in_training() {
    let _turn = turn();
    let longest = LENGTHS[LENGTHS.len() - 1];
    for (kind, configs) in cases() {
        for fields in configs {
            let found = [longest, longest + 50].map(|time| {
                let network = one_node(kind, &fields, WIDTH);
                let values = run(&network, &values(&items(WIDTH), WIDTH, time), true, LENGTHS.len());
                let loss = probe(&values[&PortId::new("node", "")]);
                let value = numbers(loss.clone())[0];
                if count(&network).1 == 0 {
                    return (value, std::collections::BTreeMap::new());
                }
                (value, gradients(&network, &loss.backward()))
            });
            let [(loss, gradients), (padded_loss, padded)] = found;
            assert_near(&[padded_loss], &[loss], 1e-5, &format!("{kind} {fields}: loss"));
            assert_eq!(gradients.len(), padded.len());
            for (name, gradient) in &gradients {
                assert_near(
                    &padded[name],
                    gradient,
                    1e-5,
                    &format!("{kind} {fields}: gradient of {name}"),
                );
                assert!(
                    gradient.iter().any(|&x| x != 0.0),
                    "{kind} {fields}: no gradient reaches {name}"
                );
            }
        }
    }
}

/// A configuration of any kind that may or may not fit its input.
fn any_config() -> impl Strategy<Value = (&'static str, Json)> {
    let crnn = (prop::collection::vec(1..20_usize, 1..4), 1..10_usize)
        .prop_map(|(channels, hidden)| ("crnn", json!({ "channels": channels, "gru_hidden": hidden })));
    let transformer = (1..6_usize, 1..5_usize, 1..4_usize, 1..3_usize, 1..12_usize).prop_map(
        |(stack, heads, times, layers, feed_forward)| {
            let width = 2 * heads * times;
            let fields = json!({
                "stack": stack, "width": width, "heads": heads, "layers": layers, "feed_forward": feed_forward
            });
            ("transformer", fields)
        },
    );
    let heads = (1..20_usize, prop::bool::ANY).prop_map(|(hidden, attention)| {
        let kind = if attention {
            "attention_classifier"
        } else {
            "mean_classifier"
        };
        (kind, json!({ "hidden": hidden }))
    });
    prop_oneof![
        4 => crnn,
        3 => transformer,
        3 => heads,
        1 => Just(("normalise", json!({}))),
        1 => Just(("spec_augment", json!({ "features_mask_size": 2 }))),
        1 => Just(("cross_entropy", json!({}))),
    ]
}

#[test]
fn what_is_inferred_is_what_is_built() {
    let _turn = turn();
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = (any_config(), 2..24_usize, prop::collection::vec(1..60_usize, 1..4));
    let result = runner.run(&strategy, |((kind, fields), width, lengths)| {
        let ports = inputs(kind, width, CLASSES);
        let node = config(kind, &fields, &ports);
        let signals = ports
            .iter()
            .map(|(port, _, signal)| ((*port).to_owned(), signal))
            .collect();
        // A configuration that does not fit is refused, which is for other tests.
        let Ok(inferred) = node.infer(&InputSignals::new(signals), &Facts::default()) else {
            return Ok(());
        };
        let network = one_node(kind, &fields, width);
        let cost = inferred.cost;
        prop_assert_eq!(
            count(&network),
            (cost.parameters + cost.buffers, cost.trainable),
            "tensors and trainable parameters of {} {}",
            kind,
            fields
        );
        let items: Vec<Vec<f32>> = lengths.iter().map(|length| noise(7, length * width)).collect();
        let time = lengths.iter().copied().max().unwrap_or(1);
        let values = run(&network, &values(&items, width, time), false, items.len());
        let (_, signal) = &inferred.outputs[0];
        match (&values[&PortId::new("node", "")], signal) {
            (Value::Frames(frames, after), Signal::Frames { width: wide, rate }) => {
                let [count, time, found] = frames.dims();
                prop_assert_eq!((count, found), (items.len(), *wide));
                prop_assert_eq!(after.longest(), time);
                // Every item keeps its share of the frame rate, and at least one frame.
                let stride = 100.0 / rate.hz();
                let expected = Lengths::new(lengths.clone()).map(|length| ((length as f64 / stride) as usize).max(1));
                prop_assert_eq!(after, &expected, "{} {}", kind, fields);
            }
            (Value::Logits(logits), Signal::Logits { labels }) => {
                prop_assert_eq!(logits.dims(), [items.len(), labels.len().unwrap()]);
            }
            (Value::Scalar(loss, _), Signal::Scalar) => prop_assert_eq!(loss.dims(), [1]),
            (value, signal) => prop_assert!(false, "{} at a port of {signal}", value.name()),
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
