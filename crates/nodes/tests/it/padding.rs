//! Padding never changes a result, and inference tells what a built node then does.

use std::collections::BTreeSet;

use burn::tensor::{Tensor, TensorData};
use emorun_lang::{InputSignals, KindSet, NodeSpec, Section, Signal};
use emorun_nn::facts::Facts;
use emorun_nn::value::{Lengths, PortId, Value, Values};
use emorun_nodes::kinds::Kinds;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::count;
use emorun_nodes::samples::{self, CLASSES, Feed, LENGTHS, WIDTH, inputs, is_loss, items, noise, probe, samples};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use crate::networks::{assert_near, config, data, device, gradients, labels, numbers, run, turn};

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
        Value::Logits(vectors) | Value::Vector(vectors) => numbers(vectors.clone().narrow(0, at, 1)),
        Value::Samples(samples, lengths) => {
            let [_, _, time, _] = samples.dims();
            let own = samples.clone().narrow(1, at, 1);
            let length = lengths.as_slice()[at];
            let behind = numbers(own.clone().narrow(2, length, time - length));
            assert!(behind.iter().all(|&x| x == 0.0), "padding behind item {at} is not zero");
            numbers(own.narrow(2, 0, length))
        }
        other => panic!("no test for {}", other.name()),
    }
}

fn one_node(kind: &str, feed: Feed, fields: &Json, width: usize) -> Network {
    samples::build(kind, feed, fields, width, 3, &device()).unwrap()
}

fn values(items: &[Vec<f32>], width: usize, time: usize) -> Vec<(PortId, Value)> {
    samples::values(items, width, time, &device())
}

#[test]
fn every_device_kind_is_tested_here() {
    let kinds = Kinds::default();
    let device_kinds: BTreeSet<&str> = kinds
        .kinds()
        .iter()
        // All else runs on the host, for one item alone.
        .filter(|kind| Kinds::ON_DEVICE.contains(&kind.name))
        // What is asked step by step: `policies.rs`.
        .filter(|kind| kind.section != Section::Policies)
        .map(|kind| kind.name)
        // Those that `pretrained.rs` holds against their originals, padded and not.
        .filter(|kind| !samples::PRETRAINED.contains(kind))
        .collect();
    assert_eq!(device_kinds, samples().into_iter().map(|(kind, ..)| kind).collect());
}

#[test]
fn an_item_gives_the_same_alone_and_in_any_batch() {
    let _turn = turn();
    let items = items(WIDTH);
    let longest = LENGTHS[LENGTHS.len() - 1];
    for (kind, feed, configs) in samples().into_iter().filter(|(_, feed, _)| !is_loss(*feed)) {
        // Draws by the item's name: `rollout.rs`.
        if feed == Feed::Rollout {
            continue;
        }
        for fields in configs {
            let network = one_node(kind, feed, &fields, WIDTH).without_autodiff();
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
                let of = format!("{kind} {fields} {feed:?}, item of {} frames", LENGTHS[at]);
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
    for (kind, feed, configs) in samples().into_iter().filter(|(_, feed, _)| *feed == Feed::Logits) {
        for fields in configs {
            let network = one_node(kind, feed, &fields, WIDTH);
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
                let loss = network.losses(&values, 1.0).remove(0);
                (numbers(loss.mean)[0], loss.count)
            };
            let (with, without) = (loss(4, &[Some(2), Some(0), None, None]), loss(2, &[Some(2), Some(0)]));
            assert_near(&[with.0], &[without.0], 1e-6, &format!("{kind} {fields}"));
            assert_eq!(with.1, without.1);
            assert_eq!(loss(2, &[None, None]), (0.0, 0.0));
        }
    }
}

#[test]
fn more_padding_changes_no_gradient_in_training() {
    let _turn = turn();
    let longest = LENGTHS[LENGTHS.len() - 1];
    for (kind, feed, configs) in samples() {
        for fields in configs {
            let found = [longest, longest + 50].map(|time| {
                let network = one_node(kind, feed, &fields, WIDTH);
                let values = run(&network, &values(&items(WIDTH), WIDTH, time), true, LENGTHS.len());
                let loss = probe(&values[&PortId::new("node", "")], &device()).unwrap();
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

/// A configuration of any kind for inputs of a width, which may or may not fit.
fn any_config(width: usize) -> impl Strategy<Value = (&'static str, Feed, Json)> {
    let crnn = (prop::collection::vec(1..20_usize, 1..4), 1..10_usize).prop_map(|(channels, hidden)| {
        (
            "crnn",
            Feed::Frames,
            json!({ "channels": channels, "gru_hidden": hidden }),
        )
    });
    let conv_pool = prop::collection::vec(1..20_usize, 1..4)
        .prop_map(|channels| ("conv_pool", Feed::Frames, json!({ "channels": channels })));
    let transformer = (1..6_usize, 1..5_usize, 1..4_usize, 1..3_usize, 1..12_usize).prop_map(
        |(stack, heads, times, layers, feed_forward)| {
            let width = 2 * heads * times;
            let fields = json!({
                "stack": stack, "width": width, "heads": heads, "layers": layers, "feed_forward": feed_forward
            });
            ("transformer", Feed::Frames, fields)
        },
    );
    let context = (1..3_usize, prop::sample::select(vec!["before", "after"])).prop_map(move |(stack, norm)| {
        let fields = json!({
            "stack": stack, "width": stack * width, "heads": 1, "projection": false, "positions": "none", "norm": norm
        });
        ("transformer", Feed::Frames, fields)
    });
    let heads = (1..20_usize, prop::bool::ANY).prop_map(|(hidden, attention)| {
        let kind = if attention {
            "attention_classifier"
        } else {
            "mean_classifier"
        };
        (kind, Feed::Frames, json!({ "hidden": hidden }))
    });
    let mlp = (prop::collection::vec(1..20_usize, 0..3), prop::bool::ANY).prop_map(|(hidden, batch_norm)| {
        (
            "mlp_classifier",
            Feed::Vector,
            json!({ "hidden": hidden, "batch_norm": batch_norm }),
        )
    });
    let attention_pool = (1..4_usize, 1..6_usize, prop::option::of(1..9_usize)).prop_map(|(heads, hidden, output)| {
        let fields = json!({ "heads": heads, "hidden": hidden, "output": output });
        ("attention_pool", Feed::Frames, fields)
    });
    let pool = prop::sample::select(vec!["mean", "max", "statistics"])
        .prop_map(|how| ("pool", Feed::Frames, json!({ "how": how })));
    let linear = (1..9_usize, prop::sample::select(vec![Feed::Frames, Feed::Vector]))
        .prop_map(|(width, feed)| ("linear", feed, json!({ "width": width })));
    let fuse = (
        prop_oneof![
            Just(json!("concat")),
            Just(json!("sum")),
            (1..9_usize).prop_map(|width| json!({ "gated": { "width": width } }))
        ],
        prop::sample::select(vec![Feed::Streams, Feed::Vectors]),
    )
        .prop_map(|(how, feed)| ("fuse", feed, json!({ "how": how })));
    let gru = (1..9_usize, 1..4_usize)
        .prop_map(|(hidden, layers)| ("gru", Feed::Frames, json!({ "hidden": hidden, "layers": layers })));
    let causal_conv = (1..9_usize, 1..6_usize, 1..5_usize).prop_map(|(width, kernel_size, dilation)| {
        let fields = json!({ "width": width, "kernel_size": kernel_size, "dilation": dilation });
        ("causal_conv", Feed::Frames, fields)
    });
    let mamba = (1..9_usize, 1..3_usize, 1..6_usize, 1..5_usize, any::<bool>()).prop_map(
        |(width, layers, states, kernel_size, bidirectional)| {
            let fields = json!({
                "width": width, "layers": layers, "states": states, "kernel_size": kernel_size,
                "bidirectional": bidirectional,
            });
            ("mamba", Feed::Frames, fields)
        },
    );
    prop_oneof![
        1 => gru,
        2 => mamba,
        1 => causal_conv,
        3 => crnn,
        1 => conv_pool,
        3 => transformer,
        1 => context,
        3 => heads,
        2 => mlp,
        2 => attention_pool,
        1 => pool,
        1 => linear,
        3 => fuse,
        1 => Just(("weighted_sum", Feed::Stack, json!({}))),
        1 => Just(("normalise", Feed::Frames, json!({}))),
        1 => Just(("spec_augment", Feed::Frames, json!({ "features_mask_size": 2 }))),
        1 => Just(("temporal_dropout", Feed::Frames, json!({}))),
        1 => Just(("feature_noise", Feed::Frames, json!({}))),
        1 => Just(("sequence_crop", Feed::Frames, json!({ "length_s": 0.1 }))),
        1 => prop::sample::select(vec![Feed::Frames, Feed::Vector]).prop_map(|feed| ("mixup", feed, json!({}))),
        1 => Just(("cross_entropy", Feed::Logits, json!({}))),
    ]
}

#[test]
fn what_is_inferred_is_what_is_built() {
    let _turn = turn();
    let mut runner = TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let config_of_width = (2..24_usize).prop_flat_map(|width| (any_config(width), Just(width)));
    let strategy = (config_of_width, prop::collection::vec(1..60_usize, 1..4));
    let result = runner.run(&strategy, |(((kind, feed, fields), width), lengths)| {
        let ports = inputs(kind, feed, width, CLASSES);
        let node = config(kind, &fields, &ports);
        let signals = ports
            .iter()
            .map(|(port, _, signal)| ((*port).to_owned(), signal))
            .collect();
        // A configuration that does not fit is refused, which is for other tests.
        let Ok(inferred) = node.infer(&InputSignals::new(signals), &Facts::default()) else {
            return Ok(());
        };
        let network = one_node(kind, feed, &fields, width);
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
            (Value::Vector(vectors), Signal::Vector { width }) => {
                prop_assert_eq!(vectors.dims(), [items.len(), *width]);
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
