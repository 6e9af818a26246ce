//! A decoder, a variational autoencoder and losses of frames against PyTorch: values and gradients.

use burn::tensor::Tensor;
use emorun_lang::{FrameRate, Signal};
use emorun_nn::value::{Distribution, Lengths, PortId, Value};
use emorun_nodes::parameters::restore;
use serde_json::Value as Json;

use crate::networks::{assert_near, data, frames_signal, network, numbers, run, turn, wired};
use crate::vectors::{array, floats, golden, loss_of, sizes, tensor, weights};

fn lengths(case: &Json) -> Lengths {
    Lengths::new(sizes(&case["lengths"]))
}

#[test]
fn a_decoder_with_periods_gives_what_pytorch_gives() {
    let _turn = turn();
    let case = &golden("reactions.json")["decoder"];
    let inputs = [
        ("inputs.latent", data("latent"), Signal::Vector { width: 3 }),
        ("inputs.last", data("last"), frames_signal(5)),
        ("memory", data("memory"), frames_signal(6)),
        ("target", data("last"), frames_signal(5)),
    ];
    let mut network = network(vec![wired("node", "transformer_decoder", &case["fields"], &inputs)], 1);
    restore(&mut network, weights(&case["weights"])).unwrap();
    let memory = tensor::<3>(&case["memory"]).require_grad();
    let values = [
        (data("latent"), Value::Vector(tensor(&case["vector"]))),
        (data("last"), Value::Frames(tensor(&case["frames"]), lengths(case))),
        (data("memory"), Value::Frames(memory.clone(), lengths(case))),
    ];
    let values = run(&network, &values, false, 2);
    let Value::Frames(found, _) = &values[&PortId::new("node", "")] else {
        panic!("no frames");
    };
    assert_near(
        &numbers(found.clone()),
        &floats(&case["output"]["values"]),
        1e-5,
        "transformer_decoder",
    );
    // As the script weighs each item's numbers.
    let [batch, time, width] = found.dims();
    let factors: Vec<f32> = (0..batch)
        .flat_map(|_| (0..time * width).map(|at| (at as f32).cos()))
        .collect();
    let factors = Tensor::<1>::from_floats(&factors[..], &found.device()).reshape([batch, time, width]);
    let gradients = (found.clone() * factors).sum().backward();
    let gradient = numbers(memory.grad(&gradients).unwrap());
    assert_near(
        &gradient,
        &floats(&case["gradient"]["values"]),
        1e-5,
        "transformer_decoder gradient",
    );
}

#[test]
fn a_vae_gives_the_distributions_that_pytorch_gives() {
    let _turn = turn();
    let case = &golden("reactions.json")["vae"];
    let inputs = [
        ("inputs.a", data("a"), frames_signal(3)),
        ("inputs.b", data("b"), frames_signal(4)),
    ];
    let mut network = network(vec![wired("node", "vae", &case["fields"], &inputs)], 1);
    restore(&mut network, weights(&case["weights"])).unwrap();
    let stream = tensor::<3>(&case["streams"][0]).require_grad();
    let values = [
        (data("a"), Value::Frames(stream.clone(), lengths(case))),
        (data("b"), Value::Frames(tensor(&case["streams"][1]), lengths(case))),
    ];
    let values = run(&network, &values, false, 2);
    let Value::Distribution(found) = &values[&PortId::new("node", "distribution")] else {
        panic!("no distribution");
    };
    assert_near(
        &numbers(found.mean.clone()),
        &floats(&case["mean"]["values"]),
        1e-5,
        "vae mean",
    );
    let expected = floats(&case["log_variance"]["values"]);
    assert_near(
        &numbers(found.log_variance.clone()),
        &expected,
        1e-5,
        "vae log_variance",
    );
    let loss = found.mean.clone().sum() + found.log_variance.clone().sum().mul_scalar(2.0);
    let gradient = numbers(stream.grad(&loss.backward()).unwrap());
    assert_near(&gradient, &floats(&case["gradient"]["values"]), 1e-5, "vae gradient");
    // Outside training the mean stands for what would be drawn.
    let Value::Vector(vector) = &values[&PortId::new("node", "")] else {
        panic!("no vector");
    };
    assert_eq!(numbers(vector.clone()), numbers(found.mean.clone()));
}

#[test]
fn losses_of_frames_and_their_gradients_are_those_of_their_equations() {
    let _turn = turn();
    let cases = &golden("reactions.json")["losses"];
    assert_eq!(array(cases).len(), 8);
    for case in array(cases) {
        let kind = case["kind"].as_str().unwrap();
        let shape = sizes(&case["frames"]["shape"]);
        let rate = FrameRate::new(100, 1).unwrap();
        // One sample is as well plain frames.
        let is_plain = shape[0] == 1;
        let signal = match is_plain {
            true => frames_signal(shape[3]),
            false => Signal::Samples { width: shape[3], rate },
        };
        let mut inputs = vec![("input", data("frames"), signal)];
        if ["mse", "sample_contrastive"].contains(&kind) {
            inputs.push(("target", data("truth"), frames_signal(shape[3])));
        }
        let network = network(vec![wired("loss", kind, &case["fields"], &inputs)], 1);
        let frames = tensor::<4>(&case["frames"]).require_grad();
        let value = match is_plain {
            true => Value::Frames(frames.clone().squeeze_dim(0), lengths(case)),
            false => Value::Samples(frames.clone(), lengths(case)),
        };
        let values = [
            (data("frames"), value),
            (data("truth"), Value::Frames(tensor(&case["truth"]), lengths(case))),
        ];
        let loss = loss_of(&network, &run(&network, &values, true, 3));
        let of = format!("{kind} {} of {} samples", case["fields"], shape[0]);
        assert_near(
            &numbers(loss.clone()),
            &[case["loss"].as_f64().unwrap() as f32],
            2e-6,
            &of,
        );
        let gradient = numbers(frames.grad(&loss.backward()).unwrap());
        assert_near(
            &gradient,
            &floats(&case["gradient"]["values"]),
            1e-5,
            &format!("{kind}: gradient of {of}"),
        );
    }
}

#[test]
fn the_divergence_from_the_standard_normal_distribution_is_that_of_pytorch() {
    let _turn = turn();
    let cases = &golden("reactions.json")["divergences"];
    assert_eq!(array(cases).len(), 2);
    for case in array(cases) {
        let input = ("input", data("distribution"), Signal::Distribution { width: 4 });
        let network = network(vec![wired("loss", "kl_divergence", &case["fields"], &[input])], 1);
        let mean = tensor::<3>(&case["mean"]).require_grad();
        let log_variance = tensor::<3>(&case["log_variance"]).require_grad();
        let distribution = Value::Distribution(Distribution {
            mean: mean.clone(),
            log_variance: log_variance.clone(),
            lengths: lengths(case),
        });
        let loss = loss_of(
            &network,
            &run(&network, &[(data("distribution"), distribution)], true, 2),
        );
        let of = format!("kl_divergence {}", case["fields"]);
        assert_near(
            &numbers(loss.clone()),
            &[case["loss"].as_f64().unwrap() as f32],
            2e-6,
            &of,
        );
        let gradients = loss.backward();
        for (tensor, expected) in [(mean, "of_mean"), (log_variance, "of_log_variance")] {
            let gradient = numbers(tensor.grad(&gradients).unwrap());
            assert_near(
                &gradient,
                &floats(&case[expected]["values"]),
                1e-5,
                &format!("{of} {expected}"),
            );
        }
    }
}

#[test]
fn samples_that_are_the_same_have_a_gradient_that_is_a_number() {
    let _turn = turn();
    let rate = FrameRate::new(100, 1).unwrap();
    let input = ("input", data("frames"), Signal::Samples { width: 2, rate });
    let network = network(vec![wired("loss", "diversity", &serde_json::json!({}), &[input])], 1);
    let frames = Tensor::<4>::ones([2, 1, 3, 2], &crate::networks::device()).require_grad();
    let values = [(data("frames"), Value::Samples(frames.clone(), Lengths::new(vec![3])))];
    let loss = loss_of(&network, &run(&network, &values, true, 1));
    assert_near(&numbers(loss.clone()), &[1.0], 1e-6, "diversity");
    let gradient = numbers(frames.grad(&loss.backward()).unwrap());
    assert!(gradient.iter().all(|number| *number == 0.0), "{gradient:?}");
}
