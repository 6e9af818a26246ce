//! Items that lack a stream: what they do to others, to losses, and to what streams are fused into.

use burn::tensor::{Tensor, TensorData};
use emorun_lang::Signal;
use emorun_nn::presence::Presence;
use emorun_nn::value::{Distribution, Lengths, PortId, Tokens, Value, Values};
use emorun_nodes::network::{Network, Wired};
use serde_json::json;

use crate::networks::{
    assert_near, batch, data, device, frames_signal, gradients, labels, labels_signal, logits_signal, network, numbers,
    run, step, turn, wired,
};

const WIDTH: usize = 8;

fn own(node: &str) -> PortId {
    PortId::new(node, "")
}

/// Two streams, of which the second goes through batch statistics, an attention and a head of its own; both are fused.
fn two_streams() -> Network {
    let vector = |width: usize| Signal::Vector { width };
    let head = |name: &str, from: &str, width: usize| -> [Wired; 2] {
        let target = || ("target", data("emotion"), labels_signal(2));
        let fields = json!({ "hidden": [4], "dropout": 0.3 });
        let input = ("input", own(from), vector(width));
        [
            wired(name, "mlp_classifier", &fields, &[input, target()]),
            wired(
                &format!("{name}_loss"),
                "cross_entropy",
                &json!({}),
                &[("input", own(name), logits_signal(2)), target()],
            ),
        ]
    };
    let conv = json!({ "channels": [2, 2], "gru_hidden": 3 });
    let crnn = wired("crnn", "crnn", &conv, &[("input", data("face"), frames_signal(WIDTH))]);
    let frames = crnn.outputs[0].1.clone();
    let attention = wired("seen", "attention_pool", &json!({}), &[("input", own("crnn"), frames)]);
    let Signal::Vector { width: seen } = attention.outputs[0].1 else {
        panic!("a vector");
    };
    let pool = wired(
        "heard",
        "pool",
        &json!({}),
        &[("input", data("mel"), frames_signal(WIDTH))],
    );
    let fuse = wired(
        "both",
        "fuse",
        &json!({ "how": { "gated": { "width": 5 } } }),
        &[
            ("inputs.heard", own("heard"), vector(WIDTH)),
            ("inputs.seen", own("seen"), vector(seen)),
        ],
    );
    let mut nodes = vec![crnn, attention, pool, fuse];
    nodes.extend(head("by_both", "both", 5));
    nodes.extend(head("by_face", "seen", seen));
    network(nodes, 3)
}

fn frames(item: usize, time: usize) -> Vec<f32> {
    (0..time * WIDTH)
        .map(|at| ((at * (item + 2)) % 11) as f32 / 5.0 - 1.0)
        .collect()
}

/// The inputs of a batch of some of four items, of which the second and fourth lack the face.
fn inputs(items: &[usize]) -> Vec<(PortId, Value)> {
    let of = |lengths: [usize; 4], lacking: &[usize]| {
        let rows: Vec<Vec<f32>> = items
            .iter()
            .map(|&item| {
                if lacking.contains(&item) {
                    Vec::new()
                } else {
                    frames(item, lengths[item])
                }
            })
            .collect();
        let (frames, lengths) = batch(&rows, WIDTH, 24);
        Value::Frames(frames, lengths)
    };
    let classes = [Some(0), Some(1), Some(1), Some(0)];
    let classes: Vec<Option<u32>> = items.iter().map(|&item| classes[item]).collect();
    let face = data("face");
    let mut inputs = vec![
        (data("mel"), of([20, 11, 24, 16], &[])),
        (face.clone(), of([16, 0, 24, 0], &[1, 3])),
        (data("emotion"), labels(&classes)),
    ];
    let presence = Presence::new(items.iter().map(|item| item % 2 == 0).collect());
    if !presence.is_whole() {
        inputs.push((face.presence(), Value::Presence(presence)));
    }
    inputs
}

fn loss(values: &Values, node: &str) -> (Tensor<1>, f64) {
    match &values[&own(node)] {
        Value::Scalar(mean, count) => (mean.clone(), *count),
        other => panic!("{}", other.name()),
    }
}

#[test]
fn an_item_without_a_stream_changes_nothing_of_what_others_make_of_it() {
    let _turn = turn();
    let of = |items: &[usize]| {
        let network = two_streams();
        let values = run(&network, &inputs(items), false, items.len());
        let (mean, count) = loss(&values, "by_face_loss");
        let found = gradients(&network, &mean.clone().backward());
        (numbers(mean), count, found)
    };
    let (whole, alone) = (of(&[0, 1, 2, 3]), of(&[0, 2]));
    assert_eq!((whole.1, alone.1), (2.0, 2.0));
    assert_near(&whole.0, &alone.0, 1e-6, "the loss");
    assert_eq!(whole.2.keys().collect::<Vec<_>>(), alone.2.keys().collect::<Vec<_>>());
    assert!(whole.2.keys().any(|name| name.starts_with("crnn")));
    for (name, gradient) in &whole.2 {
        assert_near(gradient, &alone.2[name], 1e-5, name);
    }
    // Statistics of the batch, too, while training.
    let of = |items: &[usize]| {
        let values = run(&two_streams(), &inputs(items), true, items.len());
        let Value::Frames(frames, _) = values[&own("crnn")].rows(&[0]) else {
            panic!("frames");
        };
        numbers(frames)
    };
    assert_near(&of(&[0, 1, 2, 3]), &of(&[0, 2]), 1e-6, "the frames");
}

#[test]
fn what_is_fused_has_zeros_for_a_stream_that_an_item_lacks() {
    let _turn = turn();
    let network = two_streams();
    let logits = |items: &[usize], row: usize| {
        let values = run(&network, &inputs(items), false, items.len());
        let Value::Logits(logits) = values[&own("by_both")].rows(&[row]) else {
            panic!("logits");
        };
        (values, numbers(logits))
    };
    let (values, whole) = logits(&[0, 1, 2, 3], 1);
    // In a batch in which nobody has the stream, too.
    let (without, alone) = logits(&[1, 3], 0);
    assert_near(&whole, &alone, 1e-6, "the second item");
    assert_eq!(loss(&values, "by_both_loss").1, 4.0);
    assert_eq!(loss(&without, "by_both_loss").1, 2.0);
    let Value::Vector(seen) = values[&own("seen")].rows(&[1, 3]) else {
        panic!("vectors");
    };
    assert!(numbers(seen).iter().all(|number| *number == 0.0));
    // Nothing counts, and there is a gradient to be taken all the same.
    let (mean, count) = loss(&without, "by_face_loss");
    assert_eq!((numbers(mean.clone()), count), (vec![0.0], 0.0));
    mean.backward();
    // What items count is known from labels and presence alone.
    let known: Values = inputs(&[0, 1, 2, 3])
        .into_iter()
        .filter(|(_, value)| !matches!(value, Value::Frames(..)))
        .collect();
    let counts = network.counts(known, &step(true, 4)).unwrap();
    assert_eq!((counts["by_both_loss"], counts["by_face_loss"]), (4.0, 2.0));
    assert_eq!(network.present("by_face", &values).unwrap().rows(), [0, 2]);
    assert_eq!(network.present("by_both", &values), None);
}

#[test]
fn rows_and_lengths_of_new_values_respect_padding() {
    let presence = Presence::new(vec![true, false]);
    let tokens = Value::Tokens(Tokens {
        ids: Tensor::from_data(TensorData::new(vec![5_i64, 6, 0], [1, 3]), &device()),
        lengths: Lengths::new(vec![2]),
        vocabulary: 7,
    });
    let Value::Tokens(spread) = tokens.spread(&presence) else {
        panic!("tokens");
    };
    assert_eq!(spread.lengths.as_slice(), [2, 0]);
    assert_eq!(numbers(spread.mask()), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let distribution = Value::Distribution(Distribution {
        mean: Tensor::from_data([[[1.0, 2.0]]], &device()),
        log_variance: Tensor::from_data([[[3.0, 4.0]]], &device()),
        lengths: Lengths::new(vec![1]),
    });
    let Value::Distribution(spread) = distribution.spread(&presence) else {
        panic!("a distribution");
    };
    assert_eq!(numbers(spread.mean), [1.0, 2.0, 0.0, 0.0]);
    assert_eq!(numbers(spread.log_variance), [3.0, 4.0, 0.0, 0.0]);
}
