//! What policies learn from, number by number, against others' implementations.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use emorun_nodes::policies::action::ActionSpace;
use emorun_nodes::policies::advantage::{generalised, returns};
use emorun_nodes::policies::episodes::{Episode, Episodes, Step};
use emorun_nodes::policies::joint::JointSpace;
use emorun_nodes::policies::layer::Judged;
use emorun_nodes::policies::objective::{Taken, Weights, objective};
use serde_json::Value as Json;

use crate::networks::{assert_near, device, numbers, turn};
use crate::support::{self, REPOSITORY};

pub fn golden() -> Json {
    support::json(Path::new(REPOSITORY).join("tests/golden/policies.json"))
}

pub fn array(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

pub fn doubles(tensor: &Json) -> Vec<f64> {
    array(&tensor["values"])
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

pub fn floats(tensor: &Json) -> Vec<f32> {
    doubles(tensor).into_iter().map(|value| value as f32).collect()
}

pub fn stored(tensor: &Json) -> TensorData {
    let shape: Vec<usize> = array(&tensor["shape"])
        .iter()
        .map(|size| size.as_u64().unwrap() as usize)
        .collect();
    TensorData::new(floats(tensor), shape)
}

fn tensor<const D: usize>(value: &Json) -> Tensor<D> {
    Tensor::from_data(stored(value), &device())
}

fn joint_golden() -> Json {
    support::json(Path::new(REPOSITORY).join("tests/golden/joint_actions.json"))
}

/// Two actions that are alike.
fn space(name: &Json) -> JointSpace {
    let space = if name == "between" {
        ActionSpace::Between([0.0, 1.0])
    } else {
        ActionSpace::Choices(vec![0.0, 0.25, 1.0])
    };
    JointSpace::alike(space, 2)
}

fn row(numbers: &[f64]) -> Tensor<2> {
    let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [1, count]), &device())
}

fn one(number: f64) -> Tensor<1> {
    Tensor::from_data([number as f32], &device())
}

#[test]
fn advantages_are_those_of_stable_baselines() {
    let golden = &golden()["advantages"];
    let (rewards, values) = (doubles(&golden["rewards"]), doubles(&golden["values"]));
    let first = golden["lengths"][0].as_u64().unwrap() as usize;
    for case in array(&golden["cases"]) {
        let number = |name: &str| case[name].as_f64().unwrap();
        let (gamma, lambda) = (number("gamma"), number("lambda"));
        let mut found = Vec::new();
        for (of, next) in [(0..first, 0.0), (first..rewards.len(), number("next"))] {
            let (rewards, values) = (row(&rewards[of.clone()]), row(&values[of.clone()]));
            found.extend(numbers(generalised(rewards.clone(), values, one(next), gamma, lambda)));
            if lambda == 1.0 {
                let expected = &floats(&case["returns"])[of.clone()];
                assert_near(&numbers(returns(rewards, one(next), gamma)), expected, 1e-5, "returns");
            }
        }
        assert_near(&found, &floats(&case["advantages"]), 1e-5, "advantages");
        let targets: Vec<f32> = found
            .iter()
            .zip(&values)
            .map(|(found, &value)| found + value as f32)
            .collect();
        assert_near(&targets, &floats(&case["returns"]), 1e-5, "targets");
    }
}

#[test]
fn episodes_of_several_lengths_have_the_advantages_that_each_has_alone() {
    let golden = joint_golden();
    let golden = &golden["advantages"];
    let number = |of: &Json, name: &str| of[name].as_f64().unwrap();
    // A state is what the value network would expect in it.
    let groups = array(&golden["episodes"]).iter().map(|episode| {
        let steps = doubles(&episode["rewards"])
            .into_iter()
            .zip(doubles(&episode["values"]));
        let steps = steps.map(|(reward, value)| Step {
            state: vec![value],
            drawn: vec![0.0],
            reward,
        });
        let next = number(episode, "next");
        let episode = Episode {
            steps: steps.collect(),
            next: (next != 0.0).then(|| vec![next]),
        };
        Episodes::of(&episode, &device()).unwrap()
    });
    let episodes = Episodes::joined(groups.collect()).unwrap();
    let steps = episodes.to_steps();
    let (next, goes_on) = episodes.next().unwrap();
    let values = steps.states.clone().reshape([steps.count]);
    let found = generalised(
        steps.to_episodes(steps.rewards.clone()),
        steps.to_episodes(values),
        next.reshape([episodes.count()]) * goes_on,
        number(golden, "gamma"),
        number(golden, "lambda"),
    );
    let expected: Vec<f32> = array(&golden["episodes"])
        .iter()
        .flat_map(|episode| floats(&episode["advantages"]))
        .collect();
    assert_near(&numbers(steps.of_episodes(found)), &expected, 1e-5, "advantages");
}

#[test]
fn actions_of_several_kinds_have_the_joint_probability_and_entropy_of_pytorch() {
    let _turn = turn();
    let golden = joint_golden();
    let golden = &golden["joint"];
    let space = JointSpace::new(vec![
        ActionSpace::Between([1.0, 7.0]),
        ActionSpace::Choices(vec![0.0, 0.5, 1.0]),
        ActionSpace::Between([-1.0, 1.0]),
        ActionSpace::Choices(vec![0.0, 1.0]),
    ]);
    let outputs = tensor::<2>(&golden["outputs"]).require_grad();
    let log_std = tensor::<1>(&golden["log_std"]).require_grad();
    let (log_p, entropy) = space.log_probability(&outputs, Some(&log_std), &tensor(&golden["drawn"]));
    for (found, name) in [(&log_p, "log_probability"), (&entropy, "entropy")] {
        assert_near(&numbers(found.clone()), &floats(&golden[name]), 1e-5, name);
    }
    let weighted = (log_p * tensor(&golden["weights"])).sum() - entropy.sum().mul_scalar(0.1);
    let gradients = weighted.backward();
    for (found, name) in [
        (numbers(outputs.grad(&gradients).unwrap()), "outputs"),
        (numbers(log_std.grad(&gradients).unwrap()), "log_std"),
    ] {
        assert_near(&found, &floats(&golden["gradients"][name]), 1e-5, name);
    }
}

#[test]
fn losses_and_their_gradients_are_those_of_the_published_equations() {
    let _turn = turn();
    for case in array(&golden()["objectives"]) {
        let input = |name: &str| &case["inputs"][name];
        let outputs = tensor::<2>(input("outputs")).require_grad();
        let log_std = tensor::<1>(input("log_std")).require_grad();
        let value = tensor::<1>(input("value")).require_grad();
        let space = space(&case["space"]);
        let (log_probability, entropy) = space.log_probability(&outputs, Some(&log_std), &tensor(input("drawn")));
        let of = format!("{} {}", case["rule"], case["space"]);
        assert_near(
            &numbers(log_probability.clone()),
            &floats(&case["log_probability"]),
            1e-5,
            &of,
        );
        let judged = Judged {
            log_probability,
            entropy,
            value: Some(value.clone()),
        };
        let taken = Taken {
            log_probability: tensor(input("old")),
            advantage: tensor(input("advantage")),
            target: tensor(input("target")),
        };
        let weights = Weights {
            entropy: 0.01,
            value: 0.5,
        };
        let is_ppo = case["rule"] == "ppo";
        let parts = objective(judged, taken, is_ppo.then_some(0.2), weights);
        let mut expected = vec![
            ("loss", parts.loss.clone()),
            ("policy", parts.policy),
            ("value", parts.value.unwrap()),
            ("entropy", parts.entropy),
            ("kl", parts.kl),
        ];
        if is_ppo {
            expected.push(("clip_fraction", parts.clip_fraction));
        }
        for (name, part) in expected {
            let golden = case["parts"][name].as_f64().unwrap() as f32;
            assert_near(&numbers(part), &[golden], 1e-5, &format!("{of} {name}"));
        }
        let gradients = parts.loss.backward();
        let mut found = vec![
            ("outputs", numbers(outputs.grad(&gradients).unwrap())),
            ("value", numbers(value.grad(&gradients).unwrap())),
        ];
        if case["space"] == "between" {
            found.push(("log_std", numbers(log_std.grad(&gradients).unwrap())));
        }
        for (name, gradient) in found {
            let golden = floats(&case["gradients"][name]);
            assert_near(&gradient, &golden, 1e-5, &format!("{of} gradient of {name}"));
        }
    }
}
