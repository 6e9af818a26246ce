//! Parts of training against PyTorch: values, gradients and updates.
//!
//! The vectors are made by `tests/golden/make_golden.py`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use emorun::network::Network;
use emorun::settings::{SchedulerConfig, Training};
use emorun::train::average::Average;
use emorun::train::parameters::{Gradients, NamedTensors, Optimizer, collect, restore};
use emorun::train::schedule::{Plateau, Schedule};
use emorun::value::{Lengths, PortId, Targets, Value};
use emorun_lang::Signal;
use serde_json::{Value as Json, json};

use crate::networks::{
    assert_near, data, device, frames_signal, gradients, labels, labels_signal, logits_signal, network, numbers, run,
    stack_signal, turn, wired,
};
use crate::support::{self, REPOSITORY};

fn golden(name: &str) -> Json {
    support::json(Path::new(REPOSITORY).join("tests/golden").join(name))
}

fn array(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

fn floats(value: &Json) -> Vec<f32> {
    array(value)
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn sizes(value: &Json) -> Vec<usize> {
    array(value)
        .iter()
        .map(|value| value.as_u64().unwrap() as usize)
        .collect()
}

fn stored(value: &Json) -> TensorData {
    TensorData::new(floats(&value["values"]), sizes(&value["shape"]))
}

fn tensor<const D: usize>(value: &Json) -> Tensor<D> {
    Tensor::from_data(stored(value), &device())
}

fn by_name(value: &Json) -> BTreeMap<String, Vec<f32>> {
    let entries = value.as_object().unwrap().iter();
    entries
        .map(|(name, tensor)| (name.clone(), floats(&tensor["values"])))
        .collect()
}

fn weights(value: &Json) -> NamedTensors {
    let entries = value.as_object().unwrap().iter();
    entries.map(|(name, tensor)| (name.clone(), stored(tensor))).collect()
}

fn present(value: &Json) -> Vec<Option<u32>> {
    array(value)
        .iter()
        .map(|label| label.as_u64().map(|label| label as u32))
        .collect()
}

fn loss_of(network: &Network, values: &emorun::value::Values) -> Tensor<1> {
    network.losses(values, 1.0).remove(0).mean
}

#[test]
fn cross_entropy_and_its_gradient_are_those_of_pytorch() {
    let _turn = turn();
    let cases = golden("cross_entropy.json");
    assert_eq!(array(&cases).len(), 27);
    for case in array(&cases) {
        let class_weights = match &case["weights"] {
            Json::Null => json!("none"),
            weights => json!({ "values": weights }),
        };
        let fields = json!({ "class_weights": class_weights, "label_smoothing": case["smoothing"] });
        let inputs = [
            ("input", data("logits"), logits_signal(4)),
            ("target", data("emotion"), labels_signal(4)),
        ];
        let network = network(vec![wired("ce", "cross_entropy", &fields, &inputs)], 1);
        let logits = tensor::<2>(&case["logits"]).require_grad();
        let values = run(
            &network,
            &[
                (data("logits"), Value::Logits(logits.clone())),
                (data("emotion"), labels(&present(&case["labels"]))),
            ],
            true,
            5,
        );
        let loss = loss_of(&network, &values);
        let of = format!("{} {} {}", case["weights"], case["smoothing"], case["labels"]);
        assert_near(
            &numbers(loss.clone()),
            &[case["loss"].as_f64().unwrap() as f32],
            1e-6,
            &of,
        );
        let gradient = logits.grad(&loss.backward()).unwrap();
        assert_near(&numbers(gradient), &floats(&case["gradient"]["values"]), 1e-6, &of);
    }
}

#[test]
fn losses_and_their_gradients_are_those_of_their_papers() {
    let _turn = turn();
    let cases = &golden("objectives.json")["labels"];
    assert_eq!(array(cases).len(), 21);
    for case in array(cases) {
        let kind = case["kind"].as_str().unwrap();
        let width = case["x"]["shape"][1].as_u64().unwrap() as usize;
        let (port, signal) = match kind {
            "focal" => ("logits", logits_signal(4)),
            _ => ("vector", Signal::Vector { width }),
        };
        let inputs = [
            ("input", data(port), signal),
            ("target", data("emotion"), labels_signal(4)),
        ];
        let mut network = network(vec![wired("loss", kind, &case["fields"], &inputs)], 1);
        let of = format!("{kind} {}", case["fields"]);
        if let Some(named) = case["weights"].as_object().filter(|named| !named.is_empty()) {
            let named = named
                .iter()
                .map(|(name, tensor)| (format!("loss.{name}"), stored(tensor)));
            restore(&mut network, named.collect()).unwrap();
        }
        let x = tensor::<2>(&case["x"]).require_grad();
        let input = match kind {
            "focal" => Value::Logits(x.clone()),
            _ => Value::Vector(x.clone()),
        };
        let truth = labels(&present(&case["labels"]));
        let values = run(&network, &[(data(port), input), (data("emotion"), truth)], true, 10);
        let loss = loss_of(&network, &values);
        assert_near(
            &numbers(loss.clone()),
            &[case["loss"].as_f64().unwrap() as f32],
            2e-6,
            &of,
        );
        let found = loss.backward();
        assert_near(
            &numbers(x.grad(&found).unwrap()),
            &floats(&case["gradient"]["values"]),
            1e-5,
            &of,
        );
        for (name, expected) in by_name(&case["gradients"]) {
            let found = gradients(&network, &found);
            assert_near(&found[&format!("loss.{name}")], &expected, 1e-5, &of);
        }
    }
}

#[test]
fn losses_of_numbers_and_their_gradients_are_those_of_their_papers() {
    let _turn = turn();
    let cases = &golden("objectives.json")["numbers"];
    assert_eq!(array(cases).len(), 3);
    for case in array(cases) {
        let kind = case["kind"].as_str().unwrap();
        let width = case["x"]["shape"][1].as_u64().unwrap() as usize;
        let is_soft = kind == "soft_label_kl";
        let (port, signal, target) = if is_soft {
            let Signal::Logits { labels } = logits_signal(width) else {
                panic!("no logits")
            };
            ("logits", logits_signal(width), Signal::SoftLabels { labels })
        } else {
            let names = (0..width).map(|at| format!("number{at}")).collect();
            ("vector", Signal::Vector { width }, Signal::Values { names })
        };
        let inputs = [("input", data(port), signal), ("target", data("truth"), target)];
        let network = network(vec![wired("loss", kind, &json!({}), &inputs)], 1);
        let x = tensor::<2>(&case["x"]).require_grad();
        let input = if is_soft {
            Value::Logits(x.clone())
        } else {
            Value::Vector(x.clone())
        };
        let rows = array(&case["targets"]).iter();
        let rows = rows.flat_map(|row| (0..width).map(move |at| row.get(at).and_then(Json::as_f64)));
        let rows = rows.map(|value| value.map(|value| value as f32)).collect();
        let truth = Value::Targets(Targets::new(rows, width));
        let values = run(&network, &[(data(port), input), (data("truth"), truth)], true, 6);
        let loss = loss_of(&network, &values);
        assert_near(
            &numbers(loss.clone()),
            &[case["loss"].as_f64().unwrap() as f32],
            2e-6,
            kind,
        );
        let gradient = x.grad(&loss.backward()).unwrap();
        assert_near(&numbers(gradient), &floats(&case["gradient"]["values"]), 1e-5, kind);
    }
}

#[test]
fn the_loss_of_transcripts_and_its_gradient_are_those_of_pytorch() {
    let _turn = turn();
    let case = &golden("objectives.json")["ctc"];
    let inputs = [
        ("input", data("mel"), frames_signal(5)),
        ("target", data("text"), Signal::Text),
    ];
    let network = network(
        vec![wired("loss", "ctc", &json!({ "alphabet": case["alphabet"] }), &inputs)],
        1,
    );
    let x = tensor::<3>(&case["x"]).require_grad();
    let texts = array(&case["texts"]).iter();
    let texts: Vec<Option<String>> = texts.map(|text| text.as_str().map(str::to_owned)).collect();
    let frames = Value::Frames(x.clone(), Lengths::new(sizes(&case["lengths"])));
    let values = [(data("mel"), frames), (data("text"), Value::Text(texts.into()))];
    let values = run(&network, &values, true, 5);
    let loss = network.losses(&values, 1.0).remove(0);
    assert_eq!(
        loss.count, 2.0,
        "items without a text, or with one that does not fit, do not count"
    );
    assert_near(
        &numbers(loss.mean.clone()),
        &[case["loss"].as_f64().unwrap() as f32],
        2e-6,
        "ctc",
    );
    let gradient = x.grad(&loss.mean.backward()).unwrap();
    assert_near(
        &numbers(gradient),
        &floats(&case["gradient"]["values"]),
        1e-5,
        "gradient of ctc",
    );
}

#[test]
fn losses_without_a_pair_or_a_label_are_zero_and_count_nothing() {
    let _turn = turn();
    let x = || Tensor::<2>::from_data([[0.5f32, 1.0], [2.0, -1.0], [0.0, 0.0]], &device());
    for kind in ["triplet", "supervised_contrastive", "center"] {
        for truth in [[None, None, None], [Some(0), Some(1), None]] {
            let inputs = [
                ("input", data("vector"), Signal::Vector { width: 2 }),
                ("target", data("emotion"), labels_signal(2)),
            ];
            let network = network(vec![wired("loss", kind, &json!({}), &inputs)], 1);
            let x = x().require_grad();
            let values = [
                (data("vector"), Value::Vector(x.clone())),
                (data("emotion"), labels(&truth)),
            ];
            let values = run(&network, &values, true, 3);
            let loss = network.losses(&values, 1.0).remove(0);
            if kind == "center" && truth[0].is_some() {
                assert_eq!(loss.count, 2.0);
                continue;
            }
            assert_eq!(
                (loss.count, numbers(loss.mean.clone())),
                (0.0, vec![0.0]),
                "{kind} {truth:?}"
            );
            let gradient = numbers(x.grad(&loss.mean.backward()).unwrap());
            assert!(gradient.iter().all(|&g| g == 0.0), "{kind} {truth:?}: {gradient:?}");
        }
    }
}

#[test]
fn a_reversed_gradient_is_turned_round_and_grows_over_training() {
    let _turn = turn();
    let fields = json!({ "lambda": 0.5, "ramp": { "shape": "linear" } });
    let inputs = [("input", data("vector"), Signal::Vector { width: 2 })];
    let network = network(vec![wired("turned", "gradient_reversal", &fields, &inputs)], 1);
    let x = Tensor::<2>::from_data([[0.1f32, 7.3]], &device()).require_grad();
    let values = run(&network, &[(data("vector"), Value::Vector(x.clone()))], true, 1);
    let Value::Vector(y) = &values[&PortId::new("turned", "")] else {
        panic!("no vector");
    };
    assert_eq!(numbers(y.clone()), numbers(x.clone()), "the same bits");
    let found = (y.clone() * Tensor::from_data([[1.0f32, -2.0]], &device()))
        .sum()
        .backward();
    // Half of the way, half of λ.
    assert_near(&numbers(x.grad(&found).unwrap()), &[-0.25, 0.5], 1e-7, "half way");
}

#[test]
fn the_crnn_and_its_gradients_are_those_of_pytorch() {
    let _turn = turn();
    let golden = golden("crnn.json");
    let bands = golden["bands"].as_u64().unwrap() as usize;
    let fields = json!({ "channels": golden["channels"], "gru_hidden": golden["hidden"] });
    let inputs = [("input", data("mel"), frames_signal(bands))];
    let lengths = Lengths::new(sizes(&golden["lengths"]));
    for (mode, training) in [("training", true), ("evaluation", false)] {
        let expected = &golden["modes"][mode];
        let mut network = network(vec![wired("node", "crnn", &fields, &inputs)], 1);
        restore(&mut network, weights(&golden["weights"])).unwrap();
        let frames = tensor::<3>(&golden["frames"]).require_grad();
        let values = run(
            &network,
            &[(data("mel"), Value::Frames(frames.clone(), lengths.clone()))],
            training,
            3,
        );
        let Value::Frames(output, after) = &values[&PortId::new("node", "")] else {
            panic!("no frames");
        };
        assert_eq!(after.as_slice(), sizes(&expected["lengths"]));
        assert_near(
            &numbers(output.clone()),
            &floats(&expected["output"]["values"]),
            1e-5,
            mode,
        );
        let gradient = (output.clone() * tensor::<3>(&golden["seen"])).sum().backward();
        let found = gradients(&network, &gradient);
        let reference = by_name(&expected["gradients"]);
        assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
        for (name, reference) in &reference {
            assert_near(&found[name], reference, 1e-5, &format!("{mode}: gradient of {name}"));
        }
        let of_input = numbers(frames.grad(&gradient).unwrap());
        // Behind an item's end the reference has the gradient of the convolution's reach.
        for (item, &length) in lengths.as_slice().iter().enumerate() {
            let valid = item * 11 * bands..(item * 11 + length) * bands;
            let reference = floats(&expected["input_gradient"]["values"]);
            assert_near(
                &of_input[valid.clone()],
                &reference[valid],
                1e-5,
                &format!("{mode}: gradient of item {item}"),
            );
        }
        let after = collect(&network);
        for (name, reference) in by_name(&expected["running"]) {
            let found: Vec<f32> = after[&name].iter::<f32>().collect();
            assert_near(&found, &reference, 1e-5, &format!("{mode}: {name}"));
        }
    }
}

#[test]
fn the_transformer_and_its_gradients_are_those_of_pytorch() {
    let _turn = turn();
    let golden = golden("transformer.json");
    let bands = golden["bands"].as_u64().unwrap() as usize;
    let inputs = [("input", data("mel"), frames_signal(bands))];
    let mut network = network(vec![wired("node", "transformer", &golden["fields"], &inputs)], 1);
    restore(&mut network, weights(&golden["weights"])).unwrap();
    let lengths = Lengths::new(sizes(&golden["lengths"]));
    let values = run(
        &network,
        &[(data("mel"), Value::Frames(tensor(&golden["frames"]), lengths))],
        true,
        3,
    );
    let Value::Frames(output, after) = &values[&PortId::new("node", "")] else {
        panic!("no frames");
    };
    assert_eq!(after.as_slice(), sizes(&golden["stacked"]));
    assert_near(
        &numbers(output.clone()),
        &floats(&golden["output"]["values"]),
        1e-5,
        "output",
    );
    let gradient = (output.clone() * tensor::<3>(&golden["seen"])).sum().backward();
    let found = gradients(&network, &gradient);
    let reference = by_name(&golden["gradients"]);
    assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
    for (name, reference) in &reference {
        assert_near(&found[name], reference, 1e-5, &format!("gradient of {name}"));
    }
}

/// The signal and the value of an input, and its tensor on the side of autodiff, flattened.
fn input_of(input: &Json, lengths: &Lengths) -> (Signal, Value, Leaf) {
    let shape = sizes(&input["value"]["shape"]);
    let width = shape[shape.len() - 1];
    match input["signal"].as_str().unwrap() {
        "stack" => {
            let x = tensor::<4>(&input["value"]).require_grad();
            let value = Value::Stack(x.clone(), lengths.clone());
            (stack_signal(shape[0], width), value, Leaf::Stack(x))
        }
        "frames" => {
            let x = tensor::<3>(&input["value"]).require_grad();
            let value = Value::Frames(x.clone(), lengths.clone());
            (frames_signal(width), value, Leaf::Frames(x))
        }
        _ => {
            let x = tensor::<2>(&input["value"]).require_grad();
            (Signal::Vector { width }, Value::Vector(x.clone()), Leaf::Vector(x))
        }
    }
}

/// A tensor whose gradient is asked for.
enum Leaf {
    Stack(Tensor<4>),
    Frames(Tensor<3>),
    Vector(Tensor<2>),
}

impl Leaf {
    /// Its gradient, zero at padding, which by contract holds nothing that could change.
    fn gradient(&self, gradients: &burn::tensor::Gradients, lengths: &Lengths) -> Vec<f32> {
        let mask = |time: usize| lengths.mask(time, &device().inner());
        match self {
            Self::Stack(x) => {
                let [_, batch, time, _] = x.dims();
                numbers(x.grad(gradients).unwrap() * mask(time).reshape([1, batch, time, 1]))
            }
            Self::Frames(x) => {
                let [batch, time, _] = x.dims();
                numbers(x.grad(gradients).unwrap() * mask(time).reshape([batch, time, 1]))
            }
            Self::Vector(x) => numbers(x.grad(gradients).unwrap()),
        }
    }
}

#[test]
fn blocks_and_heads_and_their_gradients_are_those_of_pytorch() {
    let _turn = turn();
    let golden = golden("blocks.json");
    let lengths = Lengths::new(sizes(&golden["lengths"]));
    assert_eq!(array(&golden["cases"]).len(), 27);
    for case in array(&golden["cases"]) {
        let kind = case["kind"].as_str().unwrap();
        let of = format!("{kind} {}, training {}", case["fields"], case["training"]);
        let mut ports = Vec::new();
        let mut values = Vec::new();
        let mut leaves = Vec::new();
        for (port, input) in case["inputs"].as_object().unwrap() {
            let (signal, value, leaf) = input_of(input, &lengths);
            ports.push((port.as_str(), data(port), signal));
            values.push((data(port), value));
            leaves.push((port, leaf, floats(&input["gradient"]["values"])));
        }
        if kind == "mlp_classifier" {
            ports.push(("target", data("emotion"), labels_signal(2)));
        }
        let mut network = network(vec![wired("node", kind, &case["fields"], &ports)], 1);
        restore(&mut network, weights(&case["weights"])).unwrap();
        let values = run(
            &network,
            &values,
            case["training"].as_bool().unwrap(),
            lengths.as_slice().len(),
        );
        let seen = stored(&case["seen"]);
        let (output, probed) = match &values[&PortId::new("node", "")] {
            Value::Frames(x, after) => {
                assert_eq!(after, &lengths, "{of}");
                (
                    numbers(x.clone()),
                    (x.clone() * Tensor::from_data(seen, &device())).sum(),
                )
            }
            Value::Vector(x) | Value::Logits(x) => (
                numbers(x.clone()),
                (x.clone() * Tensor::from_data(seen, &device())).sum(),
            ),
            other => panic!("{of} gives {}", other.name()),
        };
        assert_near(&output, &floats(&case["output"]["values"]), 1e-5, &of);
        let backward = probed.backward();
        for (port, leaf, reference) in leaves {
            let found = leaf.gradient(&backward, &lengths);
            assert_near(&found, &reference, 1e-5, &format!("{of}: gradient of {port}"));
        }
        let reference = by_name(&case["gradients"]);
        let found = gradients(&network, &backward);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            reference.keys().collect::<Vec<_>>(),
            "{of}"
        );
        for (name, reference) in &reference {
            assert_near(&found[name], reference, 1e-5, &format!("{of}: gradient of {name}"));
        }
        let after = collect(&network);
        for (name, reference) in by_name(&case["running"]) {
            let found: Vec<f32> = after[&name].iter::<f32>().collect();
            assert_near(&found, &reference, 1e-5, &format!("{of}: {name}"));
        }
    }
}

/// Settings of training with what is not looked at filled in.
fn training(fields: &Json) -> Training {
    let mut all = json!({ "epochs": 1, "batch_size": 6 });
    let fields = fields.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(all).unwrap()
}

fn assert_weights(network: &Network, expected: &Json, of: &str) {
    let found = collect(network);
    for (name, reference) in by_name(expected) {
        let found: Vec<f32> = found[&name].iter::<f32>().collect();
        assert_near(&found, &reference, 1e-5, &format!("{of}: {name}"));
    }
}

#[test]
fn five_steps_of_every_optimizer_and_their_averages_are_those_of_pytorch() {
    let _turn = turn();
    let golden = golden("optimizers.json");
    let first = [("input", data("mel"), frames_signal(3))];
    let second = [
        ("input", PortId::new("hidden", ""), frames_signal(4)),
        ("target", data("emotion"), labels_signal(3)),
    ];
    let logits = [
        ("input", PortId::new("head", ""), logits_signal(3)),
        ("target", data("emotion"), labels_signal(3)),
    ];
    let inputs = [
        (
            data("mel"),
            Value::Frames(tensor(&golden["frames"]), Lengths::new(vec![4; 6])),
        ),
        (data("emotion"), labels(&present(&golden["labels"]))),
    ];
    for case in array(&golden["runs"]) {
        let of = case["training"].to_string();
        let settings = training(&case["training"]);
        let mut network = network(
            vec![
                wired("hidden", "linear", &json!({ "width": 4 }), &first),
                wired("head", "mean_classifier", &json!({ "hidden": 5 }), &second),
                wired("ce", "cross_entropy", &json!({}), &logits),
            ],
            1,
        );
        restore(&mut network, weights(&golden["start"])).unwrap();
        let mut optimizer = Optimizer::new(&settings, &network);
        let fresh = network.clone();
        let average = |fields: Json| Average::new(&serde_json::from_value(fields).unwrap(), &fresh);
        let mut moving = (average(json!({ "kind": "ema", "decay": 0.1 })), 0);
        let mut mean = (average(json!({ "kind": "swa", "from_epoch": 3 })), 0);
        for (number, (loss, norm)) in floats(&case["losses"])
            .into_iter()
            .zip(floats(&case["norms"]))
            .enumerate()
        {
            let found = loss_of(&network, &run(&network, &inputs, true, 6));
            assert_near(
                &numbers(found.clone()),
                &[loss],
                1e-5,
                &format!("{of}: loss at step {number}"),
            );
            let gradients = Gradients::of(&network, found.backward());
            let found = gradients.norm(&network);
            assert_near(&[found as f32], &[norm], 1e-5, &format!("{of}: norm at step {number}"));
            let scale = case["clip_norm"].as_f64().map_or(1.0, |most| (most / found).min(1.0));
            optimizer.step(&mut network, gradients, settings.optimizer.lr(), scale);
            moving.0.after_step(&network, &mut moving.1);
            mean.0.after_epoch(&network, number as u64 + 1, &mut mean.1);
            // Stored and taken up again between any two steps, it goes on as if it had not been.
            let (tensors, counters) = optimizer.save();
            optimizer = Optimizer::new(&settings, &network);
            optimizer.load(tensors, &counters, &device().inner()).unwrap();
            let stored = moving.0.collect();
            moving.0 = average(json!({ "kind": "ema", "decay": 0.1 }));
            moving.0.restore(stored).unwrap();
        }
        assert_weights(&network, &case["end"], &of);
        if case.get("ema").is_some() {
            assert_weights(moving.0.network(), &case["ema"], &format!("{of}: ema"));
            assert_weights(mean.0.network(), &case["swa"], &format!("{of}: swa"));
            assert_eq!((moving.1, mean.1), (5, 3));
        }
    }
}

#[test]
fn muon_moves_the_matrices_of_hidden_layers_alone() {
    let _turn = turn();
    let frames = [("input", data("mel"), frames_signal(3))];
    let of = |node: &str, signal: Signal| ("input", PortId::new(node, ""), signal);
    let target = |name: &str| ("target", data(name), labels_signal(3));
    let nodes = || {
        vec![
            wired(
                "hidden",
                "linear",
                &json!({ "width": 4, "activation": "tanh" }),
                &frames,
            ),
            wired(
                "pooled",
                "attention_pool",
                &json!({ "heads": 2, "hidden": 3 }),
                &[of("hidden", frames_signal(4))],
            ),
            wired(
                "head",
                "mlp_classifier",
                &json!({ "hidden": [5] }),
                &[of("pooled", Signal::Vector { width: 8 }), target("emotion")],
            ),
            wired(
                "scores",
                "linear",
                &json!({ "width": 4 }),
                &[of("hidden", frames_signal(4))],
            ),
            wired(
                "ce",
                "cross_entropy",
                &json!({}),
                &[of("head", logits_signal(3)), target("emotion")],
            ),
            wired(
                "near",
                "center",
                &json!({}),
                &[of("pooled", Signal::Vector { width: 8 }), target("emotion")],
            ),
            wired(
                "text",
                "ctc",
                &json!({ "alphabet": "abc" }),
                &[of("scores", frames_signal(4)), ("target", data("text"), Signal::Text)],
            ),
        ]
    };
    let inputs = [
        (
            data("mel"),
            Value::Frames(tensor(&golden("optimizers.json")["frames"]), Lengths::new(vec![4; 6])),
        ),
        (
            data("emotion"),
            labels(&[Some(0), Some(1), Some(2), Some(0), Some(1), Some(2)]),
        ),
        (data("text"), Value::Text(vec![Some("ab".to_owned()); 6].into())),
    ];
    let stepped = |kind: &str| {
        let settings = training(&json!({
            "epochs": 1, "batch_size": 6, "optimizer": { "kind": kind, "lr": 0.01, "weight_decay": 0.1 }
        }));
        let mut network = network(nodes(), 1);
        let values = run(&network, &inputs, true, 6);
        let losses = network.losses(&values, 1.0).into_iter().map(|loss| loss.mean);
        let total = losses.reduce(|sum, loss| sum + loss).unwrap();
        let gradients = Gradients::of(&network, total.backward());
        let mut optimizer = Optimizer::new(&settings, &network);
        optimizer.step(&mut network, gradients, 0.01, 1.0);
        collect(&network)
    };
    let (muon, adamw) = (stepped("muon"), stepped("adamw"));
    let moved: Vec<&str> = muon
        .iter()
        .filter(|(name, data)| adamw[*name] != **data)
        .map(|(name, _)| name.as_str())
        .collect();
    // Jordan 2024: the last layer, embeddings and what is no matrix stay with AdamW. So does each of
    // `near.centers`, `pooled.pool.score`, `scores.linear.weight`, and all of the head.
    assert_eq!(moved, ["hidden.linear.weight", "pooled.pool.hidden.weight"]);
    assert!(
        muon.contains_key("near.centers") && muon.contains_key("pooled.pool.score"),
        "{:?}",
        muon.keys()
    );
}

#[test]
fn a_plateau_lowers_the_rate_when_pytorch_does() {
    let cases = golden("plateau.json");
    assert_eq!(array(&cases).len(), 6);
    for case in array(&cases) {
        let config: SchedulerConfig = serde_json::from_value(case["scheduler"].clone()).unwrap();
        let SchedulerConfig::Plateau(plateau) = &config else {
            panic!("{}", case["scheduler"]);
        };
        let schedule = Schedule::new(&config, 0.1, 1, 24);
        let metric = plateau.metric.clone().unwrap();
        let mut seen = Plateau::default();
        let mut found = Vec::new();
        for value in array(&case["values"]) {
            let lr = schedule.lr(found.len() as u64, &seen);
            found.push(lr);
            seen.after_epoch(plateau, &metric, value.as_f64(), lr);
        }
        let expected: Vec<f64> = array(&case["rates"])
            .iter()
            .map(|rate| rate.as_f64().unwrap())
            .collect();
        assert!(expected.iter().any(|rate| *rate < 0.1), "{}", case["scheduler"]);
        assert_rates(&found, &expected, &case["scheduler"].to_string());
    }
}

fn rates(config: Json, lr: f64, steps_per_epoch: u64, epochs: u64) -> Vec<f64> {
    let config: SchedulerConfig = serde_json::from_value(config).unwrap();
    let schedule = Schedule::new(&config, lr, steps_per_epoch, epochs);
    (0..steps_per_epoch * epochs)
        .map(|step| schedule.lr(step, &Plateau::default()))
        .collect()
}

fn assert_rates(found: &[f64], expected: &[f64], of: &str) {
    assert_eq!(found.len(), expected.len(), "{of}");
    for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() < 1e-11,
            "{of}: step {step} has {found}, not {expected}"
        );
    }
}

#[test]
fn learning_rates_are_those_of_pytorch() {
    let cases = golden("schedules.json");
    assert_eq!(array(&cases).len(), 15);
    for case in array(&cases) {
        let count = |key: &str| case[key].as_u64().unwrap();
        let lr = case["lr"].as_f64().unwrap();
        let found = rates(case["scheduler"].clone(), lr, count("steps_per_epoch"), count("epochs"));
        let expected: Vec<f64> = array(&case["rates"])
            .iter()
            .map(|rate| rate.as_f64().unwrap())
            .collect();
        assert_rates(&found, &expected, &case["scheduler"].to_string());
    }
}

#[test]
fn constant_and_warming_rates_follow_their_definition() {
    assert_rates(&rates(json!({ "kind": "constant" }), 0.1, 2, 3), &[0.1; 6], "constant");
    let warm = |fields: Json| rates(fields, 1.0, 2, 4);
    let (a, b, c) = (0.2, 0.4, 0.6);
    assert_rates(
        &warm(json!({ "kind": "warm_up", "unit": "step", "warm_up": 4.0 })),
        &[a, b, c, 0.8, 1.0, 1.0, 1.0, 1.0],
        "by step",
    );
    assert_rates(
        &warm(json!({ "kind": "warm_up", "unit": "epoch", "warm_up": 1.0 })),
        &[0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        "by epoch",
    );
    // transformers 5.23.0: the rates of get_constant_schedule_with_warmup(optimizer, 5) and of
    // get_cosine_schedule_with_warmup(optimizer, 5, 9), whose first step has 0. Ours are theirs a step later.
    let constant = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0];
    let found = warm(json!({ "kind": "warm_up", "unit": "step", "warm_up": 4.0 }));
    assert_rates(&found, &constant[1..], "a step later than transformers");
    let cosine = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 0.853553390593, 0.5, 0.146446609407];
    let found = warm(json!({ "kind": "cosine", "unit": "step", "warm_up": 4.0 }));
    assert_rates(&found, &cosine[1..], "a step later than transformers");
    let cosine = warm(json!({ "kind": "cosine", "unit": "step", "warm_up": 4.0, "min_lr": 0.2 }));
    let half = |progress: f64| 0.2 + 0.8 * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0;
    assert_rates(
        &cosine,
        &[a, b, c, 0.8, half(0.0), half(0.25), half(0.5), half(0.75)],
        "cosine after warm-up",
    );
}

#[test]
fn no_length_of_a_run_makes_a_rate_that_is_no_number() {
    for kind in [
        json!({ "kind": "constant" }),
        json!({ "kind": "warm_up", "unit": "step", "warm_up": 0.0 }),
        json!({ "kind": "cosine", "unit": "epoch", "warm_up": 100.0 }),
        json!({ "kind": "cosine_warm_restarts", "unit": "step", "t_0": 1, "t_mult": 3 }),
        json!({ "kind": "one_cycle", "max_lr": 0.1, "pct_start": 0.0 }),
        json!({ "kind": "one_cycle", "max_lr": 0.1, "pct_start": 1.0 }),
    ] {
        for (steps_per_epoch, epochs) in [(1, 1), (1, 2), (2, 1), (3, 7)] {
            for rate in rates(kind.clone(), 0.1, steps_per_epoch, epochs) {
                assert!(
                    rate.is_finite() && (0.0..=0.1 + 1e-12).contains(&rate),
                    "{kind}: {rate}"
                );
            }
        }
        let config: SchedulerConfig = serde_json::from_value(kind.clone()).unwrap();
        let longest = Schedule::new(&config, 0.1, u64::MAX, u64::MAX);
        for step in [0, 1, 1_000_000] {
            assert!(longest.lr(step, &Plateau::default()).is_finite(), "{kind}");
        }
    }
}

/// Burn's clones share running statistics, and `fork` moves them.
#[test]
fn a_copy_for_another_device_shares_nothing_with_the_network() {
    let _turn = turn();
    let first = [("input", data("mel"), frames_signal(16))];
    let crnn = json!({ "channels": [2, 2], "gru_hidden": 3 });
    let network = network(vec![wired("crnn", "crnn", &crnn, &first)], 1);
    let before = collect(&network);
    let replica = network.replica(&device());
    assert_eq!(collect(&replica), before);
    let frames = Tensor::<3>::ones([2, 8, 16], &device());
    let inputs = [(data("mel"), Value::Frames(frames, Lengths::new(vec![8; 2])))];
    run(&replica, &inputs, true, 2);
    assert_ne!(collect(&replica), before, "its running statistics move");
    assert_eq!(collect(&network), before);
}
