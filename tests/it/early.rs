//! A policy held by a node of an experiment file: when to answer.

use serde_json::Value;

use crate::features::embed;
use crate::support::{Lab, json, metrics, wav};

/// A head that listens to tones of which nothing is heard before [`SILENCE_S`].
const LISTEN: &str = "\
name: listen
seed: 1
sample_rate_hz: 8000
datasets: { tones: { kind: manifest, path: tones/all.csv } }
split: { kind: by_speaker, validation: 0.25, test: 0.25 }
encoders: { mel: { kind: log_mel, input: data.audio, n_mels: 16, n_fft: 256, win_length: 200, hop_length: 80 } }
blocks: { norm: { kind: normalise, input: mel } }
heads:
  emotion:
    kind: early_classifier
    input: norm
    target: data.emotion
    uses: { policy: listen }
    stack: 20
    hidden: 16
    cost_per_second: 0.5
losses: { answer: { kind: cross_entropy, input: emotion }, whole: { kind: cross_entropy, input: emotion.whole } }
policies:
  listen:
    kind: ppo
    state: [emotion.state]
    taken: emotion.taken
    reward: emotion.reward
    action: { choices: [0, 0, 0, 1] }
    horizon: 100
    hidden: [16]
    gamma: 1.0
    lr: 5.0e-3
training:
  epochs: 30
  batch_size: 8
  optimizer: { kind: adam, lr: 5.0e-3 }
evaluation: { metrics: [uar], weights: last }
";

/// Seconds before each tone.
const SILENCE_S: f64 = 0.6;
/// Seconds of an item.
const ITEM_S: f64 = 1.6;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("listen.yaml", LISTEN);
    let rate_hz = 8000;
    let mut table = "path,speaker,emotion\n".to_owned();
    for speaker in 0..8 {
        for (emotion, pitch_hz) in [("angry", 1500.0), ("neutral", 500.0)] {
            for take in 0..4 {
                let name = format!("{speaker}-{emotion}-{take}.wav");
                let pitch_hz = pitch_hz * (1.0 + 0.01 * f64::from(4 * speaker + take));
                let sample = |at: u32| {
                    let time_s = f64::from(at) / f64::from(rate_hz);
                    let tone = (std::f64::consts::TAU * pitch_hz * time_s).sin();
                    // Before the tone something faint, the same for all.
                    let faint = f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
                    (if time_s < SILENCE_S {
                        30.0 * faint
                    } else {
                        8000.0 * tone
                    }) as i16
                };
                let bytes = wav(rate_hz, (0..(ITEM_S * f64::from(rate_hz)) as u32).map(sample));
                lab.write(&format!("tones/{name}"), bytes);
                table.push_str(&format!("{name},{speaker},{emotion}\n"));
            }
        }
    }
    lab.write("tones/all.csv", table);
    lab
}

#[test]
fn a_policy_listens_until_there_is_something_to_hear_and_no_longer() {
    let lab = lab();
    let run = lab.run(&["listen.yaml", "--run-label", "learned"]);
    let summary = json(run.join("summary.json"));
    assert_eq!(summary["splits"]["test"]["heads"]["emotion"]["uar"], 1.0);
    let heard = |run: &str, out: &str| -> Vec<f64> {
        let heard = embed(&lab, run, "emotion.heard", out, &[]);
        assert_eq!(heard.len(), 64);
        heard.values().map(|array| f64::from(array.values()[0])).collect()
    };
    // The tone is in the fourth step, which ends at 0.8 s.
    let learned = heard("runs/listen/learned", "learned.safetensors");
    assert!(
        learned.iter().all(|&seconds| seconds > SILENCE_S),
        "before the tone: {learned:?}"
    );
    let mean = learned.iter().sum::<f64>() / learned.len() as f64;
    assert!(mean < 1.0, "a second costs half an answer: {mean} s");
    // Told in the epoch's line.
    let rewards: Vec<f64> = metrics(&run)
        .iter()
        .filter(|line| line["split"] == "policy")
        .map(|line| line["listen/reward"].as_f64().unwrap())
        .collect();
    assert_eq!(rewards.len(), 30);
    // A right answer after the third step at the earliest, when a first window touches the tone.
    assert!(
        rewards[29] > 0.6 && rewards[29] <= 1.0 - 2.0 * 0.2 * 0.5 + 1e-6,
        "{rewards:?}"
    );
    // Policies that do not learn are held as well.
    for (value, seconds) in [("1", 0.2), ("0", ITEM_S)] {
        let policy = format!("policies.listen={{ kind: fixed_policy, value: {value} }}");
        let label = format!("fixed-{value}");
        let sets = ["--run-label", &label, "--set", &policy, "--set", "training.epochs=1"];
        lab.run(&[&["listen.yaml"], &sets[..]].concat());
        for found in heard(&format!("runs/listen/{label}"), &format!("{label}.safetensors")) {
            assert!((found - seconds).abs() < 1e-6, "{value}: {found}");
        }
    }
}

#[test]
fn a_policy_that_is_held_goes_on_to_the_same_bits_after_kills() {
    let lab = lab();
    let outcome = lab.emorun(&[
        "verify-resume",
        "listen.yaml",
        "--kills",
        "3",
        "--set",
        "training.epochs=6",
    ]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn a_policy_learns_from_the_node_that_holds_it() {
    let lab = lab();
    let told = |sets: &[&str]| -> Vec<(String, String)> {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["check", "listen.yaml", "--structure", "--message-format", "json"]
            .into_iter()
            .chain(sets)
            .collect();
        let outcome = lab.emorun(&arguments);
        let diagnostics = outcome.stderr.lines().chain(outcome.stdout.lines());
        let diagnostics = diagnostics.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        diagnostics
            .map(|told| (text(&told["message"]), text(&told["help"])))
            .filter(|(message, _)| !message.is_empty())
            .collect()
    };
    assert_eq!(told(&[]), []);
    let answer = "policies.listen.actions={ answer: { choices: [0, 0, 0, 1] } }";
    assert_eq!(told(&["policies.listen.action=null", answer]), []);
    let fixed = "policies.listen={ kind: fixed_policy, value: 1, dimensions: 2 }";
    let second = "heads.second={ kind: early_classifier, input: norm, target: data.emotion, uses: { policy: listen } }";
    for (sets, message, help) in [
        (
            &["policies.listen.state=[mel]"][..],
            "`emotion` holds the policy `listen`, which must learn from it",
            "write `state: [emotion.state]`",
        ),
        (
            &["policies.listen.state=[emotion.state, emotion.state]"],
            "`emotion` holds the policy `listen`, which must learn from it",
            "write `state: [emotion.state]`",
        ),
        (
            &["policies.listen.reward=emotion.taken"],
            "`emotion` holds the policy `listen`, which must learn from it",
            "write `reward: emotion.reward`",
        ),
        (
            &["heads.emotion.uses.policy=norm"],
            "`norm` is no policy",
            "name a node of `policies`",
        ),
        (
            &[fixed],
            "has 2 actions; `emotion` asks for one in each step",
            "leave `dimensions` out",
        ),
        (
            &[
                "policies.listen.action=null",
                "policies.listen.actions={ answr: { choices: [0, 1] } }",
            ],
            "`emotion` asks for no action `answr`",
            "did you mean `answer`? its actions are `answer`",
        ),
        (
            &[
                "policies.listen.action=null",
                "policies.listen.actions={ stop: { between: [0, 1] } }",
            ],
            "`emotion` asks for an action `answer`",
            "add `answer`",
        ),
        (
            &["policies.listen.actions={ answer: { choices: [0, 1] } }"],
            "`listen.actions` stands beside `action`, which is for actions that are alike",
            "leave one of them out",
        ),
        (
            &[second],
            "`listen` is held by `emotion` already",
            "give each node a policy of its own",
        ),
        (
            &["policies.idle={ kind: fixed_policy, value: 1 }"],
            "no node holds the policy `idle`, and it acts on no augmentation",
            "name it in the `uses` of a node such as early_classifier, or give it `acts_on`",
        ),
    ] {
        let told = told(sets);
        assert!(
            told.iter().any(|(found, helps)| found == message && helps == help),
            "{sets:?}: {told:?}"
        );
    }
}
