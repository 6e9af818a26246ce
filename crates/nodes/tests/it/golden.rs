//! Nodes against PyTorch: values and gradients.

use burn::tensor::Tensor;
use emorun_lang::Signal;
use emorun_nn::value::{Lengths, PortId, Targets, Value};
use emorun_nodes::parameters::{collect, restore};
use emorun_nodes::samples::stack_signal;
use serde_json::{Value as Json, json};

use crate::networks::{
    assert_near, data, device, frames_signal, gradients, labels, labels_signal, logits_signal, network, numbers, run,
    turn, wired,
};
use crate::vectors::{array, by_name, floats, golden, loss_of, present, sizes, stored, tensor, weights};

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
        let of = format!(
            "cross_entropy {} {} {}",
            case["weights"], case["smoothing"], case["labels"]
        );
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
        "ctc: gradient",
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
    assert_near(
        &numbers(x.grad(&found).unwrap()),
        &[-0.25, 0.5],
        1e-7,
        "gradient_reversal half way",
    );
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
            &format!("crnn {mode}"),
        );
        let gradient = (output.clone() * tensor::<3>(&golden["seen"])).sum().backward();
        let found = gradients(&network, &gradient);
        let reference = by_name(&expected["gradients"]);
        assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
        for (name, reference) in &reference {
            assert_near(
                &found[name],
                reference,
                1e-5,
                &format!("crnn {mode}: gradient of {name}"),
            );
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
                &format!("crnn {mode}: gradient of item {item}"),
            );
        }
        let after = collect(&network);
        for (name, reference) in by_name(&expected["running"]) {
            let found: Vec<f32> = after[&name].iter::<f32>().collect();
            assert_near(&found, &reference, 1e-5, &format!("crnn {mode}: {name}"));
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
        "transformer: output",
    );
    let gradient = (output.clone() * tensor::<3>(&golden["seen"])).sum().backward();
    let found = gradients(&network, &gradient);
    let reference = by_name(&golden["gradients"]);
    assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
    for (name, reference) in &reference {
        assert_near(
            &found[name],
            reference,
            1e-5,
            &format!("transformer: gradient of {name}"),
        );
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
    assert_eq!(array(&golden["cases"]).len(), 32);
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

#[test]
fn mamba_and_its_gradients_are_those_of_transformers() {
    let _turn = turn();
    let golden = golden("mamba.json");
    let frames = tensor::<3>(&golden["frames"]).require_grad();
    let [_, _, width] = frames.dims();
    let inputs = [("input", data("mel"), frames_signal(width))];
    let lengths = Lengths::new(sizes(&golden["lengths"]));
    let mut network = network(vec![wired("node", "mamba", &golden["fields"], &inputs)], 1);
    restore(&mut network, weights(&golden["weights"])).unwrap();
    let given = [(data("mel"), Value::Frames(frames.clone(), lengths))];
    let values = run(&network, &given, true, 3);
    let Value::Frames(output, _) = &values[&PortId::new("node", "")] else {
        panic!("no frames");
    };
    let expected = floats(&golden["output"]["values"]);
    assert_near(&numbers(output.clone()), &expected, 1e-5, "mamba");
    let gradient = (output.clone() * tensor::<3>(&golden["seen"])).sum().backward();
    let found = gradients(&network, &gradient);
    let reference = by_name(&golden["gradients"]);
    assert_eq!(found.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>());
    for (name, reference) in &reference {
        assert_near(&found[name], reference, 1e-4, &format!("gradient of {name}"));
    }
    let of_input = numbers(frames.grad(&gradient).unwrap());
    assert_near(
        &of_input,
        &floats(&golden["input_gradient"]["values"]),
        1e-4,
        "gradient of the frames",
    );
}
