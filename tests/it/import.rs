//! `emorun import`: configurations of another program as experiments that pass the check.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::origin::refused;
use crate::support::{Lab, REPOSITORY, yaml};

/// A configuration of the tests, imported into a file of the lab.
fn imported(lab: &Lab, name: &str) -> Value {
    let configs = Path::new(REPOSITORY).join("crates/import/tests/configs");
    lab.write(
        &format!("{name}.yml"),
        fs::read(configs.join(format!("{name}.yml"))).unwrap(),
    );
    let out = format!("{name}-imported.yaml");
    let outcome = lab.emorun(&["import", &format!("{name}.yml"), "--out", &out]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.last_line(), out);
    yaml(lab.path(&out))
}

#[test]
fn configurations_become_experiments_that_pass_the_check() {
    let lab = Lab::new();
    let experiment = imported(&lab, "adversarial");
    assert_eq!(experiment["encoders"]["encoder"]["train"], json!({ "last": 2 }));
    assert_eq!(experiment["blocks"]["reversed"]["lambda"], 1);
    assert_eq!(experiment["losses"]["adversary"]["weight"], 1);
    assert_eq!(
        experiment["split"],
        json!({ "kind": "by_speaker", "validation": 0.2, "test": 0 })
    );
    assert_eq!(experiment["training"]["scheduler"]["t_0"], 10);
    assert_eq!(experiment["augmentations"]["noise"]["root"], "corpora/musan");
    assert_eq!(
        experiment["description"],
        "Features may know the corpus. Two layers train; the head forgets it."
    );
    let experiment = imported(&lab, "frozen");
    assert_eq!(experiment["sample_rate_hz"], 16_000);
    assert_eq!(experiment["encoders"]["encoder"]["weights"], "microsoft/wavlm-base");
    assert_eq!(experiment["encoders"]["encoder"]["train"], "none");
    assert_eq!(experiment["training"]["optimizer"]["lr"], 1e-4);
    assert_eq!(experiment["name"], "WavLM-Freez+Dropout-0.5");
    assert!(experiment["blocks"].is_null() && experiment["augmentations"]["noise"].is_null());
    let text = fs::read_to_string(lab.path("frozen-imported.yaml")).unwrap();
    assert!(
        text.contains("# Not known, and left out: training.label_smoothing\n"),
        "{text}"
    );
    let experiment = imported(&lab, "first");
    assert_eq!(experiment["encoders"]["encoder"]["train"], "all");
    assert_eq!(
        experiment["datasets"],
        json!({ "ravdess": { "kind": "ravdess", "root": "./corpora/ravdess/" } })
    );
    for name in ["adversarial", "frozen", "first"] {
        let outcome = lab.emorun(&["check", "--structure", &format!("{name}-imported.yaml")]);
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
    }
}

#[test]
fn a_tracker_becomes_a_sweep_with_every_label_once() {
    let lab = Lab::new();
    let sweep = imported(&lab, "model_runs");
    let runs = sweep["runs"].as_array().unwrap();
    let labels: Vec<&str> = runs.iter().map(|run| run["label"].as_str().unwrap()).collect();
    assert_eq!(
        labels,
        [
            "hubert_0Enc_noisedata_cosinewrmst_D0p3",
            "hubert_0Enc_noisedata_cosinewrmst_D0p3-2",
            "Wav2Vec2-Freez-Dropout-0.3"
        ]
    );
    let again = lab.emorun(&["import", "model_runs.yml", "--out", "model_runs-imported.yaml"]);
    refused(&again, 5, &["model_runs-imported.yaml exists"]);
}

#[test]
fn what_cannot_be_imported_is_told_with_its_place() {
    let lab = Lab::new();
    let cases: [(&str, &[&str]); 7] = [
        (
            "data: {}\n",
            &["`data.datasets` is absent", "`model.encoder_name` is absent"],
        ),
        (
            "data: { datasets: [{ class_path: data.RAVDESDataset, data_dir: a }] }\nmodel: { encoder_name: hubrt }\n",
            &[
                "the dataset \"RAVDESDataset\"",
                "did you mean `RAVDESSDataset`",
                "did you mean `hubert`",
                "bad.yml:1:20",
            ],
        ),
        (
            "data: { datasets: [{ class_path: x.RAVDESSDataset }] }\nmodel: { encoder_name: hubert }\n",
            &["a dataset has no `data_dir`"],
        ),
        (
            "data: { datasets: 3 }\nmodel: { encoder_name: hubert }\n",
            &["must be a list, but is the number 3"],
        ),
        (
            "data: { datasets: [{ class_path: x.RAVDESSDataset, data_dir: a }] }\nmodel: { encoder_name: hubert }\ntraining: { epochs: many, lr: -1 }\n",
            &["`training.epochs` must be", "`training.lr` must be"],
        ),
        ("runs: []\n", &["`runs` is empty"]),
        ("runs: [{ log_dir: a }, 3]\n", &["a run has no `label`"]),
    ];
    for (text, parts) in cases {
        lab.write("bad.yml", text);
        refused(&lab.emorun(&["import", "bad.yml"]), 3, parts);
    }
    lab.write(
        "strange.yml",
        "data: { datasets: [{ class_path: x.RAVDESSDataset, data_dir: \"a: b\\n# c\" }] }\nmodel: { encoder_name: hubert }\nnotes: \"one\\n- two: {{\"\nlogging: { run_label: \"../../etc\" }\n",
    );
    let outcome = lab.emorun(&["import", "strange.yml", "--out", "strange.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let experiment = yaml(lab.path("strange.yaml"));
    assert_eq!(experiment["datasets"]["ravdess"]["root"], "a: b\n# c");
    assert_eq!(experiment["description"], "one - two: {{");
    assert_eq!(experiment["name"], "etc");
    assert_eq!(lab.emorun(&["import", "none.yml"]).code, 3);
}
