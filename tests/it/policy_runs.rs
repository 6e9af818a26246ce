//! Policies that choose between the epochs of whole runs.

use std::fs;

use emorun_tensorboard::{EventValue, read_events};
use serde_json::Value;

use crate::support::{Lab, metrics};

/// A tiny experiment in which a policy chooses how strongly two augmentations act.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.write(
        "policy.yaml",
        "\
extends: crnn.yaml
augmentations:
  noise: { kind: gaussian_noise, level: { snr_db: [0, 10] }, p: 1.0 }
  mask: { kind: time_mask, p: 0.5 }
policies:
  strength:
    kind: ppo
    state: [run.progress, run.train.loss, run.validation.emotion.uar]
    acts_on: [noise, mask]
    reward: run.validation.loss
    horizon: 2
    minibatch: 1
    passes: 2
    hidden: [4]
training: { epochs: 6, checkpoints: { every_steps: 2 } }
",
    );
    lab
}

/// A `--set` by which the augmentations have actions of different kinds.
const KINDS: &str = "policies.strength.actions={ noise: { between: [0, 1] }, mask: { choices: [0, 0.5, 1] } }";

/// A `--set` that puts another policy in place of the file's.
const REINFORCE: &str = "policies.strength={ kind: reinforce, state: [run.progress], action: { choices: [0, 0.5, 1] }, acts_on: [mask], reward: run.validation.emotion.uar, baseline: moving_mean, horizon: 2, every_epochs: 2 }";

#[test]
fn a_policy_goes_on_to_the_same_bits_after_kills() {
    let lab = lab();
    for sets in [&[KINDS][..], &[REINFORCE, "training.average={ kind: ema, decay: 0.9 }"]] {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["verify-resume", "policy.yaml", "--kills", "3"]
            .into_iter()
            .chain(sets)
            .collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
    }
}

#[test]
fn what_a_policy_does_is_in_metrics_and_tensorboard() {
    let lab = lab();
    let run = lab.run(&["policy.yaml"]);
    let lines: Vec<Value> = metrics(&run)
        .into_iter()
        .filter(|line| line["split"] == "policy")
        .collect();
    assert_eq!(lines.len(), 6, "one an epoch: {lines:?}");
    let validation: Vec<f64> = metrics(&run)
        .iter()
        .filter(|line| line["split"] == "validation")
        .map(|line| line["loss"].as_f64().unwrap())
        .collect();
    for (epoch, line) in lines.iter().enumerate() {
        for augmentation in ["noise", "mask"] {
            let action = line[format!("strength/action.{augmentation}")].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&action), "{line}");
        }
        // The reward is by how much the loss fell; nothing was measured before the first epoch.
        match epoch {
            0 => assert!(line["strength/reward"].is_null(), "{line}"),
            _ => {
                let reward = line["strength/reward"].as_f64().unwrap();
                assert_eq!(reward, validation[epoch - 1] - validation[epoch]);
            }
        }
        // Two rewards are gathered after the third and after the fifth epoch.
        for name in ["entropy", "kl", "clip_fraction", "value_loss", "policy_loss"] {
            let told = line[format!("strength/{name}")].is_number();
            assert_eq!(told, epoch == 2 || epoch == 4, "{name} in epoch {}: {line}", epoch + 1);
        }
    }
    assert_ne!(lines[0]["strength/action.noise"], lines[1]["strength/action.noise"]);
    let events = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("tfevents"))
        .unwrap();
    let events = read_events(&events).unwrap();
    let tags: Vec<String> = events
        .events
        .iter()
        .filter_map(|event| match &event.value {
            EventValue::Scalar { tag, .. } => Some(tag.clone()),
            _ => None,
        })
        .collect();
    for tag in [
        "epoch/policy/strength/reward",
        "epoch/policy/strength/entropy",
        "epoch/policy/strength/action.mask",
    ] {
        assert!(tags.iter().any(|found| found == tag), "{tag}");
    }
}

#[test]
fn a_share_of_an_augmentation_is_left_and_that_share_is_as_it_would_be() {
    let lab = lab();
    let losses = |label: &str, sets: &[&str]| -> Vec<String> {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["policy.yaml", "--run-label", label, "--set", "training.epochs=1"]
            .into_iter()
            .chain(sets)
            .collect();
        let lines = metrics(&lab.run(&arguments)).into_iter();
        lines
            .filter(|line| line["split"] == "train")
            .map(|line| line["loss"].to_string())
            .collect()
    };
    let fixed =
        |value: &str| format!("policies.strength={{ kind: fixed_policy, acts_on: [noise, mask], value: {value} }}");
    let whole = losses("whole", &["policies.strength=null"]);
    assert_eq!(losses("full", &[&fixed("1.0")]), whole);
    let plain = [
        "policies.strength=null",
        "augmentations.noise=null",
        "augmentations.mask=null",
    ];
    let none = losses("none", &[&fixed("0.0")]);
    assert_eq!(none, losses("plain", &plain));
    let half = losses("half", &[&fixed("0.5")]);
    assert!(half != whole && half != none);
    let random = |label: &str, seed: &str| {
        let policy = "policies.strength={ kind: random_policy, acts_on: [noise, mask] }";
        losses(label, &[policy, seed])
    };
    assert_eq!(random("random", "seed=7"), random("again", "seed=7"));
}

#[test]
fn what_a_policy_cannot_do_is_told_with_its_place() {
    let lab = lab();
    let actions = |actions: &str| format!("policies.strength.actions={{ {actions} }}");
    let typo = actions("nose: { between: [0, 1] }, mask: { choices: [0, 1] }");
    let lacks = actions("noise: { between: [0, 1] }");
    let reversed = actions("noise: { between: [1, 0] }, mask: { choices: [0, 1] }");
    let none = actions("noise: { between: [0, 1] }, mask: { choices: [] }");
    let beyond = actions("noise: { between: [0, 1] }, mask: { choices: [0, 2] }");
    let cases: [(&[&str], &str); 16] = [
        (&[&typo], "did you mean `noise`?"),
        (&[&lacks], "`strength.actions` says nothing of `mask` in `acts_on`"),
        (
            &[&reversed],
            "`strength.actions.noise` is between 1 and 0; give the smaller number first",
        ),
        (&[&none], "policies.strength.actions.mask.choices"),
        (&[&beyond], "`strength.actions.mask` goes beyond 0 to 1"),
        (&["policies.strength.acts_on=[nose]"], "there is no node `nose`"),
        (
            &["policies.strength.acts_on=[crnn]"],
            "`crnn` in `encoders` is no augmentation",
        ),
        (
            &[
                "split={ kind: by_speaker, validation: 0.0, test: 0.2 }",
                "evaluation.best=null",
            ],
            "`run.validation.loss` is measured on a validation split, and there is none",
        ),
        (
            &["policies.strength.reward=run.test.emotion.uar"],
            "`run` has no port `test.emotion.uar`",
        ),
        (
            &["policies.strength.state=[run.validation.emotoin.uar]"],
            "did you mean `run.validation.emotion.uar`",
        ),
        (
            &["policies.strength.action={ between: [0.0, 2.0] }"],
            "goes beyond 0 to 1",
        ),
        (
            &["policies.strength.action={ between: [1.0, 0.0] }"],
            "give the smaller number first",
        ),
        (&["policies.strength.reward=ce"], "when `ce` has no value"),
        (
            &["policies.strength.acts_on=[noise, noise]"],
            "`noise` is acted on by `strength` already",
        ),
        (
            &["policies.other={ kind: random_policy, acts_on: [mask] }"],
            "`mask` is acted on by `strength` already",
        ),
        (&["policies.strength.horizon=0"], "policies.strength.horizon"),
    ];
    let check = |file: &str, sets: &[&str], message: &str| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["check", file, "--structure"].into_iter().chain(sets).collect();
        let outcome = lab.emorun(&arguments);
        assert_eq!(outcome.code, 3, "{message}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
    };
    for (sets, message) in cases {
        check("policy.yaml", sets, message);
    }
    // Versions that come again cannot follow a policy.
    let policy = "policies={ strength: { kind: random_policy, acts_on: [gain] } }";
    check(
        "hubert.yaml",
        &[policy],
        "no version of an item comes again: `strength` changes augmentation",
    );
}
