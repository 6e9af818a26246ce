//! A rollout gives the same frames however they come: alone or in a batch, all at once or some at a time.

use std::sync::Arc;

use burn::tensor::Tensor;
use emorun_nn::draw::DrawKey;
use emorun_nn::node::{Context, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::state::{SavedState, State};
use emorun_nn::value::{Lengths, Value};
use emorun_nodes::network::Network;
use emorun_nodes::samples::{self, Feed, NODE, WIDTH, noise};
use serde_json::{Value as Json, json};

use crate::networks::{assert_near, batch, device, numbers, turn};

const LENGTHS: [usize; 3] = [37, 9, 22];

fn rollout(window: usize, sees: &str) -> Network {
    let fields: Json = json!({
        "uses": { "latent": "latent", "decoder": "decoder" }, "latent": 4, "window": window, "context": 7,
        "momentum": 0.6, "sees": sees, "samples": { "training": 2, "evaluation": 3 },
    });
    let network = samples::build("window_rollout", Feed::Rollout, &fields, WIDTH, 5, &device());
    network.unwrap().without_autodiff()
}

fn context(items: &[&str]) -> Context {
    let key = DrawKey::root(1);
    Context {
        training: false,
        step: key,
        epoch: key,
        items: items.iter().map(|item| (*item).to_owned()).collect(),
        precision: Precision::F32,
        progress: 1.0,
        segments: None,
    }
}

/// The ports of a rollout for frames of items: without a target, as it is when nobody knows one.
fn ports(network: &Network, memory: Tensor<3>, lengths: Lengths) -> Ports {
    let mut ports = Ports::default();
    ports.insert("memory".into(), Value::Frames(memory, lengths));
    for held in ["latent", "decoder"] {
        let (_, layer) = network.nodes().find(|(name, _)| *name == held).unwrap();
        ports.hold(format!("uses.{held}"), Arc::new(layer.clone()));
    }
    ports
}

fn node(network: &Network) -> &emorun_nodes::kinds::NodeLayer {
    network.nodes().find(|(name, _)| *name == NODE).unwrap().1
}

fn drawn(outputs: &[(&str, Value)]) -> Tensor<4> {
    match outputs.iter().find(|(port, _)| port.is_empty()) {
        Some((_, Value::Samples(samples, _))) => samples.clone(),
        other => panic!("{other:?}"),
    }
}

fn items() -> Vec<Vec<f32>> {
    let lengths = LENGTHS.iter().enumerate();
    lengths
        .map(|(at, length)| noise(at as u32 + 3, length * WIDTH))
        .collect()
}

fn memory() -> (Tensor<3>, Lengths) {
    let (frames, lengths) = batch(&items(), WIDTH, LENGTHS[0]);
    (frames.inner(), lengths)
}

fn whole(network: &Network) -> Tensor<4> {
    let (frames, lengths) = memory();
    let ports = ports(network, frames, lengths);
    drawn(&node(network).forward(&ports, &context(&["a", "b", "c"])).unwrap())
}

fn bits(x: Tensor<4>) -> Vec<u32> {
    numbers(x).into_iter().map(f32::to_bits).collect()
}

/// What comes of frames that come so many at a time; behind each stretch the state is written and read.
fn in_stretches(network: &Network, stretch: usize) -> Tensor<4> {
    let (frames, lengths) = memory();
    let stepper = node(network).as_stepper().unwrap();
    let mut state = State::default();
    let mut given = Vec::new();
    let mut from = 0;
    while from < LENGTHS[0] {
        let take = stretch.min(LENGTHS[0] - from);
        let own = lengths.map(|length| length.saturating_sub(from).min(take));
        let ports = ports(network, frames.clone().narrow(1, from, take), own);
        given.push(drawn(
            &stepper.step(&ports, &mut state, &context(&["a", "b", "c"])).unwrap(),
        ));
        let text = serde_json::to_string(&state.saved()).unwrap();
        let saved: SavedState = serde_json::from_str(&text).unwrap();
        state = saved.restored(&device().inner()).unwrap();
        from += take;
    }
    Tensor::cat(given, 2)
}

#[test]
fn frames_that_come_some_at_a_time_give_the_bits_of_the_whole() {
    let _turn = turn();
    for window in [1, 5, 8, 16] {
        for sees in ["clip", "past"] {
            let network = rollout(window, sees);
            let expected = bits(whole(&network));
            for stretch in [1, 5, 8, 16, 23, 37] {
                let found = bits(in_stretches(&network, stretch));
                assert!(found == expected, "window {window}, {sees}, {stretch} frames at a time");
            }
        }
    }
}

#[test]
fn no_frame_follows_from_a_later_one() {
    let _turn = turn();
    for sees in ["clip", "past"] {
        let network = rollout(8, sees);
        let before = whole(&network);
        let (frames, lengths) = memory();
        for changed in [0, 7, 8, 20, 36] {
            let [batch, time, width] = frames.dims();
            let other = frames.clone().slice_assign(
                [0..batch, changed..time, 0..width],
                frames
                    .clone()
                    .narrow(1, changed, time - changed)
                    .mul_scalar(-3.0)
                    .add_scalar(1.0),
            );
            let mask = lengths.mask(time, &frames.device()).reshape([batch, time, 1]);
            let ports = ports(&network, other * mask, lengths.clone());
            let after = drawn(&node(&network).forward(&ports, &context(&["a", "b", "c"])).unwrap());
            let part = |x: &Tensor<4>| bits(x.clone().narrow(2, 0, changed));
            if changed > 0 {
                assert!(
                    part(&before) == part(&after),
                    "{sees}: frame {changed} is seen before it comes"
                );
            }
            let own = |x: &Tensor<4>| bits(x.clone().narrow(2, changed, 1).narrow(1, 0, 1));
            assert!(own(&before) != own(&after), "{sees}: frame {changed} changes nothing");
        }
    }
}

#[test]
fn the_same_noise_gives_the_same_frames_alone_and_in_a_batch_and_other_noise_gives_others() {
    let _turn = turn();
    for sees in ["clip", "past"] {
        let network = rollout(8, sees);
        let all = whole(&network);
        for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
            let alone = |name: &str| {
                let (frames, lengths) = batch(&items()[at..=at], WIDTH, LENGTHS[at]);
                let ports = ports(&network, frames.inner(), lengths);
                drawn(&node(&network).forward(&ports, &context(&[name])).unwrap())
            };
            let beside = all.clone().narrow(1, at, 1).narrow(2, 0, LENGTHS[at]);
            assert_near(
                &numbers(alone(name)),
                &numbers(beside.clone()),
                1e-5,
                &format!("window_rollout {sees} {at}"),
            );
            assert!(bits(alone("another")) != bits(alone(name)));
            let sample = |at: usize| bits(beside.clone().narrow(0, at, 1));
            assert!(sample(0) != sample(1) && sample(1) != sample(2));
        }
        assert_eq!(all.dims()[0], 3);
    }
}

#[test]
fn what_does_not_fit_a_rollout_is_told() {
    let _turn = turn();
    let network = rollout(8, "past");
    let (frames, lengths) = memory();
    let fails = |ports: &Ports| {
        node(&network)
            .forward(ports, &context(&["a", "b", "c"]))
            .unwrap_err()
            .to_string()
    };
    let mut swapped = ports(&network, frames.clone(), lengths.clone());
    let (_, decoder) = network.nodes().find(|(name, _)| *name == "decoder").unwrap();
    swapped.hold("uses.latent".into(), Arc::new(decoder.clone()));
    assert_eq!(
        fails(&swapped),
        "the node at `uses.latent` is not one that can be held there: a `vae` is"
    );
    let narrow = ports(&network, frames.narrow(2, 0, 3), lengths);
    assert!(
        fails(&narrow).contains("takes streams [16, 16] wide, not [3, 16]"),
        "{}",
        fails(&narrow)
    );
}
