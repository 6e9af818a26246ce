//! A sequence that comes in stretches gives what the whole gives.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use emorun_nn::draw::DrawKey;
use emorun_nn::node::{Context, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::state::State;
use emorun_nn::value::{Lengths, PortId, Value};
use emorun_nodes::kinds::NodeLayer;
use serde_json::json;

use crate::networks::{assert_near, data, device, frames_signal, network, numbers, run, turn, wired};
use emorun_nodes::samples::{Feed, WIDTH, samples};

/// Frames of the items: the longest fills the batch, one ends within the first stretch.
const LENGTHS: [usize; 3] = [23, 3, 14];
/// Frames of the stretches.
const STRETCHES: [usize; 6] = [5, 1, 1, 8, 2, 6];

fn context() -> Context {
    let key = DrawKey::root(1);
    Context {
        training: false,
        step: key,
        epoch: key,
        items: (0..LENGTHS.len()).map(|item| item.to_string()).collect(),
        precision: Precision::F32,
        progress: 1.0,
        segments: None,
    }
}

/// What a layer gives of stretches of frames, one behind the other.
fn in_stretches(layer: &NodeLayer, frames: &Tensor<3>) -> Vec<f32> {
    let stepper = layer.as_stepper().unwrap();
    let mut state = State::default();
    let mut start = 0;
    let mut given = Vec::new();
    for stretch in STRETCHES {
        let lengths = Lengths::new(LENGTHS.to_vec()).map(|length| length.saturating_sub(start).min(stretch));
        let mut ports = Ports::default();
        let part = frames.clone().narrow(1, start, stretch);
        ports.insert("input".into(), Value::Frames(part, lengths));
        let outputs = stepper.step(&ports, &mut state, &context()).unwrap();
        match &outputs[..] {
            [("", Value::Frames(frames, _))] => given.push(frames.clone()),
            other => panic!("{other:?}"),
        }
        start += stretch;
    }
    numbers(Tensor::cat(given, 1))
}

#[test]
fn stretches_give_what_the_whole_sequence_gives() {
    let _turn = turn();
    let time = LENGTHS[0];
    assert_eq!(STRETCHES.iter().sum::<usize>(), time);
    let noise: Vec<f32> = (0..LENGTHS.len() * time * WIDTH)
        .map(|at| (at as f32 * 1.7).sin())
        .collect();
    let frames = Tensor::<1>::from_floats(&noise[..], &device().inner()).reshape([LENGTHS.len(), time, WIDTH]);
    let mask = Lengths::new(LENGTHS.to_vec()).mask(time, &device().inner());
    let frames = frames * mask.reshape([LENGTHS.len(), time, 1]);
    let mut stepping = BTreeSet::new();
    for (kind, _, configs) in samples().into_iter().filter(|(_, feed, _)| *feed == Feed::Frames) {
        // They take more than frames.
        if ["early_classifier", "mixup"].contains(&kind) || kind.ends_with("_classifier") {
            continue;
        }
        for fields in configs {
            let node = wired("node", kind, &fields, &[("input", data("mel"), frames_signal(WIDTH))]);
            let network = network(vec![node], 1).without_autodiff();
            let (_, layer) = network.nodes().next().unwrap();
            if layer.as_stepper().is_none() {
                continue;
            }
            stepping.insert(kind);
            let whole = Value::Frames(frames.clone(), Lengths::new(LENGTHS.to_vec()));
            let values = run(&network, &[(data("mel"), whole)], false, LENGTHS.len());
            let Value::Frames(whole, _) = &values[&PortId::new("node", "")] else {
                panic!("{kind} gives no frames");
            };
            let of = format!("{kind} {fields}");
            assert_near(&in_stretches(layer, &frames), &numbers(whole.clone()), 1e-5, &of);
        }
    }
    assert_eq!(
        stepping,
        BTreeSet::from(["gru", "mamba", "causal_conv", "transformer", "linear", "normalise"])
    );
}

/// A layer says by its configuration whether it can be taken in stretches.
#[test]
fn a_transformer_that_looks_ahead_or_stacks_frames_needs_the_whole() {
    let _turn = turn();
    let can_step = |fields| {
        let node = wired(
            "node",
            "transformer",
            &fields,
            &[("input", data("mel"), frames_signal(WIDTH))],
        );
        network(vec![node], 1).nodes().next().unwrap().1.as_stepper().is_some()
    };
    assert!(can_step(json!({ "width": 8, "stack": 1, "causal": true })));
    assert!(!can_step(json!({ "width": 8, "stack": 1 })));
    assert!(!can_step(json!({ "width": 8, "stack": 2, "causal": true })));
}
