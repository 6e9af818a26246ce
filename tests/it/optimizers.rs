//! Optimizers, averages and schedules of the learning rate against PyTorch.

use burn::tensor::Tensor;
use emorun_engine::settings::{SchedulerConfig, Training};
use emorun_engine::train::average::Average;
use emorun_engine::train::optimizer::{Gradients, Optimizer};
use emorun_engine::train::schedule::{LrSchedule, Plateau};
use emorun_nn::value::{Lengths, PortId, Value};
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{collect, restore};
use serde_json::{Value as Json, json};

use crate::networks::{
    assert_near, data, device, frames_signal, labels, labels_signal, logits_signal, network, numbers, run, turn, wired,
};
use crate::vectors::{array, by_name, floats, golden, loss_of, present, tensor, weights};
use emorun_lang::Signal;

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
        let schedule = LrSchedule::new(&config, 0.1, 1, 24);
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
    let schedule = LrSchedule::new(&config, lr, steps_per_epoch, epochs);
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
        let longest = LrSchedule::new(&config, 0.1, u64::MAX, u64::MAX);
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
