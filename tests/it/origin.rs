//! What a run is made of is compared by what it is: classes by their names, weights and noise by their content, people
//! by whom the run's ancestors have heard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use emorun_lang::{KindInfo, KindSet, Section, Signal};
use emorun_nodes::kinds::Kinds;
use emorun_nodes::parameters::collect;
use serde_json::{Value, json as value};

use crate::networks::{data, frames_signal, labels_signal, logits_signal, network, turn, wired};
use crate::support::{Lab, Outcome, REPOSITORY, assert_same_run, json, kill, wav};

/// The share of a side's items that the head `emotion` gets right, class by class.
fn uar(run: &Path, side: &str) -> f64 {
    let summary = json(run.join("summary.json"));
    summary["splits"][side]["heads"]["emotion"]["uar"].as_f64().unwrap()
}

pub fn refused(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
    for part in parts {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

/// Runs that learn what they are to learn, on which a permutation of classes shows.
const LEARNS: [&str; 12] = [
    "--set",
    "training.epochs=12",
    "--set",
    "training.scheduler={ kind: constant }",
    "--set",
    "training.optimizer.lr=0.02",
    "--set",
    "blocks.masked={ kind: spec_augment, input: norm, features_mask_size: 0, frames_mask_size: 0 }",
    "--set",
    "datasets.synthetic.overlap=0.0",
    "--set",
    "heads.emotion.dropout=0.0",
];
/// Runs that stay what they began as.
const STAYS: [&str; 6] = [
    "--set",
    "training.epochs=1",
    "--set",
    "training.optimizer={ kind: sgd, lr: 1.0e-30 }",
    "--set",
    "training.scheduler={ kind: constant }",
];

#[test]
fn a_head_starts_with_its_classes_whatever_their_order() {
    let lab = Lab::new();
    let three = |order: &str| format!("datasets.synthetic.emotions=[{order}]");
    let first = three("neutral, angry, sad");
    let first = lab.run(
        &[
            &["crnn.yaml", "--run-label", "first", "--set", first.as_str()],
            &LEARNS[..],
        ]
        .concat(),
    );
    let learned = uar(&first, "train");
    assert!(learned > 0.9, "{learned}");
    let classes = json(first.join("run.json"))["classes"]["emotion"].clone();
    assert_eq!(classes, value!(["neutral", "angry", "sad"]));
    assert_eq!(json(first.join("run.json"))["outputs"]["emotion"], classes);
    let start = |label: &str, order: &str, nodes: &str| {
        let (emotions, from) = (three(order), format!("init_from={{ run: runs/tiny/first{nodes} }}"));
        let own = ["crnn.yaml", "--run-label", label, "--set", &emotions, "--set", &from];
        lab.emorun(&[&own[..], &STAYS, &LEARNS[6..]].concat())
    };
    for (label, order) in [("same", "neutral, angry, sad"), ("turned", "sad, neutral, angry")] {
        let outcome = start(label, order, "");
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let kept = uar(&lab.path(outcome.last_line()), "train");
        assert!((kept - learned).abs() < 0.1, "{label}: {learned} became {kept}");
    }
    // Other classes are another head: left as drawn and said, or refused where it is asked for.
    let others = start("others", "neutral, angry, happy", "");
    assert_eq!(others.code, 0, "{}", others.stderr);
    let lists = ["there neutral, angry, sad", "here neutral, angry, happy"];
    refused(&others, 0, &[&["`emotion` is not taken"][..], &lists].concat());
    refused(
        &start("named", "neutral, angry, happy", ", nodes: [emotion]"),
        4,
        &[&["`emotion` tells other classes"][..], &lists].concat(),
    );
    // Runs of versions that stored no classes have them in their certificates.
    let record = first.join("run.json");
    let mut old = json(&record);
    for key in ["classes", "outputs", "weights", "ancestry", "started_from"] {
        old.as_object_mut().unwrap().remove(key).unwrap();
    }
    fs::write(&record, old.to_string()).unwrap();
    let outcome = start("old", "sad, neutral, angry", "");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(uar(&lab.path(outcome.last_line()), "train") > 0.8);
}

/// A corpus of tones with labels that are no common words for emotions, its rows in an order.
fn write_tones(lab: &Lab, table: &str, turned: bool) {
    let mut rows = Vec::new();
    for (number, speaker) in ["anna", "ben", "carl", "dora", "emil", "fritz"].iter().enumerate() {
        for (emotion, pitch) in [("zeta", 0.1), ("eta", 0.17)] {
            let name = format!("{speaker}-{emotion}.wav");
            let tone = (0..4000).map(|at| {
                let phase = f64::from(at) * pitch * (1.0 + number as f64 * 0.02);
                (8000.0 * phase.sin()) as i16
            });
            lab.write(&format!("corpus/{name}"), wav(8000, tone));
            rows.push(format!(
                "{name},{speaker},{emotion},{}\n",
                if emotion == "eta" { "loud" } else { "calm" }
            ));
        }
    }
    if turned {
        rows.reverse();
    }
    lab.write(table, format!("path,speaker,emotion,voice\n{}", rows.concat()));
}

const TONES: &str = "\
extends: crnn.yaml
datasets:
  synthetic: null
  speech: { kind: manifest, path: corpus/all.csv, labels: [voice], mapping: { zeta: zeta, eta: eta } }
";

#[test]
fn rows_in_another_order_number_no_class_anew_and_are_not_resumed_with() {
    let lab = Lab::new();
    write_tones(&lab, "corpus/all.csv", false);
    lab.write("tones.yaml", TONES);
    let more = ["--set", "training.epochs=6"];
    let run = lab.path("runs/tiny/cut");
    let arguments = [&["tones.yaml", "--run-label", "cut"][..], &more].concat();
    kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), 6));
    write_tones(&lab, "corpus/all.csv", true);
    refused(
        &lab.emorun(&["resume", "runs/tiny/cut"]),
        5,
        &["in another order", "runs/tiny/cut"],
    );
    let turned = lab.run(&["tones.yaml", "--run-label", "turned", "--set", "training.epochs=1"]);
    for run in [&run, &turned] {
        let classes = &json(run.join("run.json"))["classes"];
        assert_eq!(classes["emotion"], value!(["eta", "zeta"]));
        assert_eq!(classes["voice"], value!(["calm", "loud"]));
    }
    write_tones(&lab, "corpus/all.csv", false);
    // As a version would have it that numbered classes by their first appearance.
    let record = fs::read_to_string(run.join("run.json")).unwrap();
    let mut other: Value = serde_json::from_str(&record).unwrap();
    other["outputs"]["emotion"] = value!(["zeta", "eta"]);
    fs::write(run.join("run.json"), other.to_string()).unwrap();
    refused(
        &lab.emorun(&["resume", "runs/tiny/cut"]),
        5,
        &["classes of `emotion`", "then zeta, eta, now eta, zeta"],
    );
    refused(
        &lab.emorun(&[
            "embed",
            "runs/tiny/cut",
            "--node",
            "emotion",
            "--out",
            "given.safetensors",
        ]),
        5,
        &["then zeta, eta, now eta, zeta"],
    );
    fs::write(run.join("run.json"), record).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(
        &run,
        &lab.run(&[&["tones.yaml", "--run-label", "whole"][..], &more].concat()),
    );
}

/// Every kind with a target whose tensors count its classes or numbers says along which axis.
#[test]
fn every_tensor_that_grows_with_the_classes_names_the_axis() {
    let _turn = turn();
    let vector = || Signal::Vector { width: 6 };
    let numbers = |count: usize| Signal::Values {
        names: (0..count).map(|number| format!("number{number}")).collect(),
    };
    // What a kind takes is read off its line in the list, so that a new one is among them.
    let layers_of = |kind: &KindInfo, count: usize| {
        let takes = |what: &str| kind.inputs.contains(what);
        let input = match kind.section {
            _ if takes("input: frames") => frames_signal(6),
            _ if takes("input: logits") => logits_signal(count),
            Section::Losses if takes("target: values") => Signal::Vector { width: count },
            _ => vector(),
        };
        let target = match labels_signal(count) {
            _ if takes("target: values") => numbers(count),
            Signal::Labels { labels } if takes("target: soft labels") => Signal::SoftLabels { labels },
            labels => labels,
        };
        let fields = match takes("uses.policy") {
            true => value!({ "uses": { "policy": "guide" } }),
            false => value!({}),
        };
        let inputs = [("input", data("x"), input), ("target", data("y"), target)];
        network(vec![wired("node", kind.name, &fields, &inputs)], 5)
    };
    let mut growing = BTreeSet::new();
    let kinds = Kinds::default();
    let with_target = kinds.kinds().iter().filter(|kind| {
        let named = kind.inputs.contains("target: labels") || kind.inputs.contains("target: values");
        [Section::Heads, Section::Losses].contains(&kind.section)
            && (named || kind.inputs.contains("target: soft labels"))
    });
    for kind in with_target {
        let (three, five) = (layers_of(kind, 3), layers_of(kind, 5));
        let kind = kind.name;
        let (_, layer) = three.nodes().next().unwrap();
        for ((name, small), (_, large)) in collect(&three).iter().zip(&collect(&five)) {
            let path = name.strip_prefix("node.").unwrap();
            let grows = small.shape().iter().zip(large.shape().iter()).position(|(a, b)| a != b);
            assert_eq!(layer.named_axis(path), grows, "{kind}: {name}");
            if grows.is_some() {
                growing.insert(kind);
            }
        }
    }
    let expected = [
        "attention_classifier",
        "center",
        "early_classifier",
        "mean_classifier",
        "mlp_classifier",
        "mlp_regressor",
    ];
    assert_eq!(Vec::from_iter(growing), expected);
}

/// A published checkpoint, tiny, in a folder of the lab.
fn put_weights(lab: &Lab, folder: &str, bytes: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) {
    let golden = Path::new(REPOSITORY).join("tests/golden/encoders/hubert_base");
    for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
        match bytes(name, fs::read(golden.join(name)).unwrap()) {
            Some(bytes) => lab.write(&format!("{folder}/{name}"), bytes),
            None => fs::remove_file(lab.path(folder).join(name)).unwrap_or_default(),
        }
    }
}

/// The same model with the last number of its tensors changed.
fn other_model(name: &str, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    if name == "model.safetensors" {
        let at = bytes.len() - 2;
        bytes[at] ^= 0x10;
    }
    as_published(name, bytes)
}

/// As it was published, but for waveforms that are normalised.
fn as_published(name: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    match name {
        "preprocessor_config.json" => {
            let text = String::from_utf8(bytes).ok()?;
            Some(
                text.replace("\"do_normalize\": false", "\"do_normalize\": true")
                    .into_bytes(),
            )
        }
        _ => Some(bytes),
    }
}

/// The small experiment on frozen weights from a folder.
const PUBLISHED: &str = "\
extends: hubert.yaml
augmentations: { gain: null, noise: null }
encoders: { hubert: { weights: published, layout: null, train: none, cache: { views: null } } }
training: { epochs: 4 }
";

#[test]
fn a_run_knows_its_pretrained_weights_and_goes_on_with_no_others() {
    let lab = Lab::new();
    lab.write("published.yaml", PUBLISHED);
    put_weights(&lab, "published", as_published);
    let whole = lab.run(&["published.yaml", "--run-label", "whole"]);
    let facts = &json(whole.join("run.json"))["weights"]["hubert"];
    let hash = |folder: &str, name: &str| blake3::hash(&fs::read(lab.path(folder).join(name)).unwrap()).to_string();
    assert_eq!(facts["tensors"], hash("published", "model.safetensors"));
    assert_eq!(facts["config"], hash("published", "config.json"));
    assert_eq!(facts["preparation"], value!({ "normalise": true, "assumed": false }));
    assert_eq!(facts["frozen"], true);
    let run = lab.path("runs/tiny/cut");
    kill(lab.start_until(&["published.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 7));
    let then = hash("published", "model.safetensors");
    put_weights(&lab, "published", other_model);
    let now = hash("published", "model.safetensors");
    let parts = ["pretrained weights of `hubert`", then.as_str(), now.as_str()];
    refused(&lab.emorun(&["resume", "runs/tiny/cut"]), 5, &parts);
    for node in ["emotion", "hubert"] {
        let embed = ["embed", "runs/tiny/whole", "--node", node, "--out", "given.safetensors"];
        refused(&lab.emorun(&embed), 5, &parts);
    }
    let start = [
        "published.yaml",
        "--run-label",
        "start",
        "--set",
        "init_from={ run: runs/tiny/whole }",
    ];
    refused(
        &lab.emorun(&start),
        4,
        &["`emotion` was trained behind other", parts[1], parts[2]],
    );
    assert!(!lab.path("runs/tiny/start").exists());
    // What the preprocessor says is part of them; where nothing changes by its absence, nothing is refused.
    put_weights(&lab, "published", |_, bytes| Some(bytes));
    refused(
        &lab.emorun(&["resume", "runs/tiny/cut"]),
        5,
        &["preprocessor_config.json", "`hubert`"],
    );
    // The same content elsewhere is the same.
    fs::remove_dir_all(lab.path("published")).unwrap();
    put_weights(&lab, "moved", |name, bytes| (!name.starts_with("pre")).then_some(bytes));
    let moved = ["resume", "runs/tiny/cut", "--set", "encoders.hubert.weights=./moved"];
    let outcome = lab.emorun(&moved);
    refused(
        &outcome,
        0,
        &["assumed that `hubert` takes each waveform with zero mean"],
    );
    let weights = |run: &Path| {
        let newest = crate::support::files(&run.join("checkpoints")).pop().unwrap();
        fs::read(run.join("checkpoints").join(newest).join("weights.safetensors")).unwrap()
    };
    assert!(weights(&run) == weights(&whole));
    let check = lab.emorun(&["check", "published.yaml", "--set", "encoders.hubert.weights=./moved"]);
    assert!(
        check
            .stdout
            .contains("input: `hubert` takes each waveform with zero mean and unit variance (ASSUMED")
    );
    // Weights that are drawn are others for another seed.
    lab.write(
        "drawn.yaml",
        "extends: hubert.yaml\nencoders: { hubert: { train: none } }\n",
    );
    lab.run(&["drawn.yaml", "--run-label", "drawn", "--set", "training.epochs=1"]);
    let start = [
        "drawn.yaml",
        "--run-label",
        "again",
        "--set",
        "init_from={ run: runs/tiny/drawn }",
    ];
    refused(
        &lab.emorun(&[&start[..], &["--set", "seed=8"]].concat()),
        4,
        &["drawn for another seed"],
    );
}

/// Whom a member of a chain of runs hears: the lists of a fixed split.
fn sides(train: &str, validation: &str, test: &str) -> String {
    format!("split={{ kind: fixed, train: [{train}], validation: [{validation}], test: [{test}], rest: drop }}")
}

#[test]
fn whom_ancestors_have_heard_is_known_through_any_number_of_runs() {
    let lab = Lab::new();
    let start = |label: &str, from: Option<&str>, split: &str| -> PathBuf {
        let from = from.map(|from| format!("init_from={{ run: runs/tiny/{from} }}"));
        let mut arguments = vec!["crnn.yaml", "--run-label", label, "--set", split];
        arguments.extend(["--set", "training.epochs=1"]);
        if let Some(from) = &from {
            arguments.extend(["--set", from]);
        }
        lab.run(&arguments)
    };
    start("first", None, &sides("'01', '02'", "'03'", "'04'"));
    start("second", Some("first"), &sides("'05', '06'", "'02'", "'04'"));
    let third = start("third", Some("second"), &sides("'05'", "'04'", "'01', '03', '06'"));
    let ancestry = json(third.join("run.json"))["ancestry"].clone();
    let from: Vec<&str> = ancestry
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["from"].as_str().unwrap())
        .collect();
    assert_eq!(from.len(), 2, "{ancestry}");
    assert!(
        from[0].ends_with("runs/tiny/second") && from[1].ends_with("runs/tiny/first"),
        "{from:?}"
    );
    let heard = json(third.join("summary.json"))["heard_before"].clone();
    let lines: BTreeSet<String> = heard
        .as_array()
        .unwrap()
        .iter()
        .map(|heard| {
            let from = Path::new(heard["from"].as_str().unwrap()).file_name().unwrap();
            let count = heard["speakers"].as_array().unwrap().len();
            let text = |key: &str| heard[key].as_str().unwrap().to_owned();
            format!("{} {} {} {count}", text("side"), from.display(), text("how"))
        })
        .collect();
    let expected = [
        "test first selected_on 1",
        "test first trained_on 1",
        "test second trained_on 1",
    ];
    assert_eq!(lines, expected.map(str::to_owned).into());
    let report = fs::read_to_string(third.join("report/report.txt")).unwrap();
    assert_eq!(report.matches("HEARD BEFORE").count(), 3, "{report}");
    let split = sides("'05'", "'04'", "'01', '03', '06'");
    let check = [
        "check",
        "crnn.yaml",
        "--set",
        &split,
        "--set",
        "init_from={ run: runs/tiny/second }",
    ];
    let told = lab.emorun(&check);
    assert_eq!(told.stdout.matches("HEARD BEFORE").count(), 3, "{}", told.stdout);
    let told = lab.emorun(&[&check[..], &["--format", "json"]].concat());
    let plan: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(plan["plan"]["splits"][0]["heard_before"], heard);
    assert_eq!(plan["plan"]["ancestry"], ancestry);
}
