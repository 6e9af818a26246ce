//! Front ends on the host, and statistics that are taken of what they give.

use burn::tensor::{Tensor, TensorData};
use emorun_nn::value::{Lengths, PortId, Value, Values};
use emorun_nodes::network::Pass;
use serde_json::json;

use crate::networks::{data, device, frames_signal, network, step, turn, wired};
use crate::support::{Lab, json, wav};

#[test]
fn coefficients_and_filterbank_energies_are_front_ends_like_any_other() {
    let lab = Lab::new();
    lab.write(
        "both.yaml",
        "\
extends: crnn.yaml
encoders:
  mel: null
  crnn: null
  mfcc: { kind: mfcc, input: data.audio, n_mfcc: 13, n_mels: 40, hop_length: 80 }
  fbank: { kind: fbank, input: data.audio, num_mel_bins: 20, use_energy: true }
blocks:
  masked: null
  norm: { kind: normalise, input: mfcc }
  coefficients: { kind: pool, input: norm, how: statistics }
  bands: { kind: pool, input: fbank, how: mean }
  both: { kind: fuse, inputs: [coefficients, bands], how: concat }
heads: { emotion: { kind: mlp_classifier, input: both, target: data.emotion, hidden: [8] } }
",
    );
    let outcome = lab.emorun(&["both.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let run = lab.path(outcome.last_line());
    assert!(json(run.join("summary.json"))["splits"]["test"]["loss"].is_number());
    // Frames of 80 samples at 8 kHz, and of 10 ms: as torchaudio counts them.
    lab.write(
        "tone.wav",
        wav(8000, (0..8000).map(|at| ((f64::from(at) * 0.3).sin() * 9000.0) as i16)),
    );
    for (node, shape) in [("mfcc", "[101, 13]"), ("fbank", "[98, 21]")] {
        let out = format!("{node}.safetensors");
        let outcome = lab.emorun(&["embed", "both.yaml", "tone.wav", "--node", node, "--out", &out]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let bytes = std::fs::read(lab.path(&out)).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let found: Vec<String> = file.iter().map(|(_, view)| format!("{:?}", view.shape())).collect();
        assert!(found.iter().any(|found| found == shape), "{node}: {found:?}");
    }
    for (set, message) in [
        (
            "encoders.mfcc.n_mfcc=41",
            "n_mfcc is 41; give 1 to n_mels = 40 coefficients",
        ),
        ("encoders.mfcc.log=none", "log is none; choose natural or db"),
        ("encoders.fbank.low_freq_hz=5000", "is not within 0 to 4000 Hz"),
    ] {
        let outcome = lab.emorun(&["check", "both.yaml", "--structure", "--set", set]);
        assert_eq!(outcome.code, 3, "{set}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{message}: {}", outcome.stderr);
    }
}

#[test]
fn what_is_upstream_of_a_node_runs_and_nothing_else() {
    let _turn = turn();
    let mel = [("input", data("mel"), frames_signal(3))];
    let of = |node: &str| [("input", PortId::new(node, ""), frames_signal(3))];
    let network = network(
        vec![
            wired("first", "linear", &json!({ "width": 3 }), &mel),
            wired("beside", "linear", &json!({ "width": 3 }), &mel),
            // Lacks its input, so that it would fail.
            wired(
                "other",
                "linear",
                &json!({ "width": 3 }),
                &[("input", data("nothing"), frames_signal(3))],
            ),
            wired("second", "linear", &json!({ "width": 3 }), &of("first")),
            wired("fitted", "normalise", &json!({}), &of("second")),
        ],
        1,
    );
    let frames = Tensor::from_data(TensorData::new(vec![0.5f32; 6], [1, 2, 3]), &device());
    let mut values = Values::from([(data("mel"), Value::Frames(frames, Lengths::new(vec![2])))]);
    network.forward(Pass::Upto(4), &mut values, &step(false, 1)).unwrap();
    let mut ran: Vec<&str> = values.keys().map(|port| port.node.as_str()).collect();
    ran.sort_unstable();
    assert_eq!(ran, ["data", "first", "second"]);
}
