//! Networks that start from a file of tensors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use emorun_lang::Signal;
use serde_json::{Value, json as value};

use crate::networks::{data, frames_signal, labels_signal, network, turn, wired};
use crate::origin::refused;
use crate::support::{Lab, Outcome, REPOSITORY, json};

/// A head of linear layers and batch norms on vectors of a file.
const JUDGE: &str = "\
extends: crnn.yaml
encoders:
  mel: null
  crnn: null
  given: { kind: precomputed, path: vectors.safetensors, what: vector, width: 3 }
blocks: { norm: null, masked: null }
heads:
  emotion: null
  judge: { kind: mlp_classifier, input: given, target: data.emotion, hidden: [5, 5], batch_norm: true, dropout: 0.0 }
losses: { ce: { input: judge } }
# One item leaves the statistics of batch norms as they are.
training: { epochs: 1, batch_size: 1, optimizer: { kind: sgd, lr: 1.0e-30 }, scheduler: { kind: constant } }
";

/// Which tensor of PyTorch's stands where.
const MAP: &str = "map: { first: judge.layers.0.linear, norm: judge.layers.0.norm, second: judge.layers.1.linear, second_norm: judge.layers.1.norm, out: judge.classes }";

/// A lab with the head's file, and its tensors as PyTorch has stored them.
fn judge_lab() -> Lab {
    let lab = Lab::new();
    let golden = Path::new(REPOSITORY).join("tests/golden/init");
    for name in ["head.pt", "head.safetensors", "vectors.safetensors"] {
        fs::copy(golden.join(name), lab.path(name)).unwrap();
    }
    lab.write("judge.yaml", JUDGE);
    lab
}

/// Starts a run from what is said.
fn start(lab: &Lab, label: &str, from: &str) -> Outcome {
    let from = format!("init_from={{ {from} }}");
    lab.emorun(&["judge.yaml", "--run-label", label, "--set", &from])
}

/// Compares what a run predicts with what PyTorch does.
fn answers_are_those_of_pytorch(run: &Path) {
    let expected = json(Path::new(REPOSITORY).join("tests/golden/init/expected.json"));
    let mut reader = csv::Reader::from_path(run.join("report/predictions.judge.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (path, neutral, angry) = (at("path"), at("p_neutral"), at("p_angry"));
    let mut compared = 0;
    for row in reader.records() {
        let row = row.unwrap();
        for (column, class) in [(neutral, "neutral"), (angry, "angry")] {
            let found: f64 = row[column].parse().unwrap();
            let torch = expected[&row[path]][class].as_f64().unwrap();
            assert!((found - torch).abs() < 2e-6, "{}: {found} is not {torch}", &row[path]);
            compared += 1;
        }
    }
    assert_eq!(compared, 72);
}

/// What a run cannot start from, with the exit code and what is said.
fn refusals() -> Vec<(String, i32, &'static str)> {
    let classes = "classes: { judge: [angry, neutral] }";
    vec![
        (
            format!("file: head.pt, {MAP}"),
            4,
            "`classes: { judge: [neutral, angry] }`",
        ),
        (
            format!("file: head.pt, {MAP}, classes: {{ judge: [angry, sad] }}"),
            4,
            "there angry, sad, here neutral, angry",
        ),
        (
            format!("file: head.pt, map: {{ frist: judge.layers.0.linear }}, {classes}"),
            4,
            "begins at `frist`",
        ),
        (
            format!("file: head.pt, map: {{ out: judgement }}, {classes}"),
            4,
            "leads to `judgement`",
        ),
        (
            format!("file: head.pt, map: {{ out: judge.layers.0.linear }}, {classes}"),
            4,
            "no place here for out.bias [2]",
        ),
        (
            format!("file: head.pt, map: {{ norm: judge }}, {classes}"),
            4,
            "no place here for norm.bias [5] as judge.bias",
        ),
        (
            format!("file: head.pt, map: {{ out: judge.classes, first: judge.layers }}, {classes}"),
            4,
            "no place here for first.weight [5, 3] as judge.layers.weight",
        ),
        (
            "file: head.pt, map: { first: judge.layers.1.linear }".to_owned(),
            4,
            "first.weight is [5, 3], judge.layers.1.linear.weight wants [5, 5]",
        ),
        (
            format!("file: head.pt, {MAP}, {classes}, layout: emorun"),
            4,
            "first.weight is [5, 3], judge.layers.0.linear.weight wants [3, 5]; the file has it the other way round",
        ),
        (
            "file: head.pt".to_owned(),
            4,
            "none of its tensors is named as one here",
        ),
        ("file: nowhere.pt".to_owned(), 4, "there is no file"),
        ("file: head.pt, run: runs/tiny/torch".to_owned(), 3, "not from both"),
        ("nodes: [judge]".to_owned(), 3, "not said where the weights come from"),
        (format!("run: runs/tiny/torch, {classes}"), 3, "only for `file`"),
        ("file: head.pt, nodes: [judge]".to_owned(), 3, "only for `run`"),
    ]
}

#[test]
fn a_network_starts_from_a_file_of_tensors_to_the_same_answers() {
    let lab = judge_lab();
    for (label, file) in [("torch", "head.pt"), ("safetensors", "head.safetensors")] {
        let outcome = start(
            &lab,
            label,
            &format!("file: {file}, {MAP}, classes: {{ judge: [angry, neutral] }}"),
        );
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let run = lab.path(outcome.last_line());
        answers_are_those_of_pytorch(&run);
        let record = json(run.join("run.json"));
        assert!(record["started_from"]["from"].as_str().unwrap().ends_with(file));
        assert_eq!(record["started_from"]["nodes"], value!(["judge"]));
        assert_eq!(record["ancestry"][0]["trained_on"], Value::Null);
        assert!(
            outcome.stderr.contains("nobody knows whom the weights"),
            "{}",
            outcome.stderr
        );
    }
    // A checkpoint of a run is a file too, the other way round.
    // Its layout and classes are the run's, whatever is said or not.
    let steps = crate::support::files(&lab.path("runs/tiny/torch/checkpoints"));
    let own = format!(
        "file: runs/tiny/torch/checkpoints/{}/weights.safetensors",
        steps.last().unwrap()
    );
    for (label, more) in [
        ("own", ", layout: emorun, classes: { judge: [neutral, angry] }"),
        ("plain", ""),
        ("mapped", ", map: { judge: judge }, layout: torch"),
    ] {
        let outcome = start(&lab, label, &format!("{own}{more}"));
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let hash = |label: &str| json(lab.path(format!("runs/tiny/{label}/run.json")))["started_from"]["hash"].clone();
        assert_eq!(hash(label), hash("torch"), "{label}");
    }
    refused(
        &start(
            &lab,
            "contradicted",
            &format!("{own}, classes: {{ judge: [angry, neutral] }}"),
        ),
        4,
        &[
            "`classes` has angry, neutral for `judge`",
            "has stored neutral, angry",
            "leave `judge` out",
        ],
    );
    for (number, (from, code, message)) in refusals().into_iter().enumerate() {
        refused(&start(&lab, &format!("refused-{number}"), &from), code, &[message]);
    }
}

/// Matrices that PyTorch keeps the other way round are found in every module that holds one.
#[test]
fn matrices_of_linear_layers_are_known_by_their_module() {
    struct Matrices(BTreeSet<String>, Vec<String>);
    impl ModuleVisitor for Matrices {
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            if D == 2 {
                self.0.insert(self.1.join("."));
            }
        }
        fn enter_module(&mut self, name: &str, container: &str) {
            self.1
                .push(if container.starts_with("Enum:") { "" } else { name }.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
    }
    let _turn = turn();
    let inputs = |signal: Signal| [("input", data("x"), signal), ("target", data("y"), labels_signal(2))];
    let waves = [("input", data("audio"), Signal::Wave { rate_hz: 16_000 })];
    let frames = [("input", data("x"), frames_signal(8))];
    // Nodes, and their matrices that stand in PyTorch's order.
    let hubert = value!({ "weights": "random", "layout": "tiny_base", "train": { "lora": {} } });
    for (node, same) in [
        (
            wired("node", "center", &value!({}), &inputs(Signal::Vector { width: 4 })),
            1,
        ),
        (
            wired("node", "attention_classifier", &value!({}), &inputs(frames_signal(8))),
            0,
        ),
        (
            wired(
                "node",
                "crnn",
                &value!({ "channels": [4, 4], "gru_hidden": 3 }),
                &frames,
            ),
            0,
        ),
        (wired("node", "attention_pool", &value!({ "heads": 2 }), &frames), 1),
        (wired("node", "hubert", &hubert, &waves), 0),
    ] {
        let network = network(vec![node], 5);
        let mut found = Matrices(BTreeSet::new(), Vec::new());
        network.nodes().for_each(|(_, layer)| layer.visit(&mut found));
        let turned = emorun_nodes::parameters::transposed_in_torch(&network);
        assert_eq!(found.0.len() - turned.len(), same, "{turned:?} of {:?}", found.0);
    }
}
