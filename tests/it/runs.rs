//! Runs from start to end: what they leave behind, and that they repeat.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json as value};

use crate::support::{Lab, TINY, assert_same_run, files, json, metrics, yaml};

/// What the record of a run that was started with `training.epochs=2` says.
fn check_record(run: &Path) {
    let record = json(run.join("run.json"));
    let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "status",
            "id",
            "name",
            "seed",
            "fold",
            "parent",
            "set",
            "config_hash",
            "resolved",
            "changes",
            "versions",
            "git",
            "device",
            "started",
            "ended",
            "members",
            "data",
            "classes",
            "outputs",
            "weights",
            "files",
            "started_from",
            "ancestry",
            "certificate",
            "peak_memory_bytes",
            "unlogged",
            "error",
            "exit_code"
        ]
    );
    assert_eq!(
        (&record["status"], &record["seed"], &record["set"]),
        (&value!("completed"), &value!(7), &value!(["training.epochs=2"]))
    );
    assert!(record["device"].as_str().unwrap().starts_with("cpu ("));
    assert!(record["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(record["data"]["synthetic"]["fingerprint"].is_string());
    assert!(record["certificate"]["hash"].is_string());
}

/// What the summary of a run of two epochs of six steps says.
fn check_summary(run: &Path) {
    let summary = json(run.join("summary.json"));
    assert_eq!(summary["status"], "completed");
    for split in ["train", "validation", "test"] {
        let split = &summary["splits"][split];
        assert!(split["n"].as_u64().unwrap() >= 6 && split["loss"].is_f64(), "{split}");
        for metric in ["uar", "wa", "macro_f1"] {
            assert!(split["heads"]["emotion"][metric].is_f64(), "{split}");
        }
    }
    assert_eq!(summary["best"]["metric"], "loss");
    assert!(
        summary["best"]["step"]
            .as_u64()
            .is_some_and(|step| [6, 12].contains(&step))
    );
    assert!(summary["seconds"]["train"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_run_directory_is_complete_by_itself() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["crnn.yaml", "--run-label", "first", "--set", "training.epochs=2"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.last_line(), "runs/tiny/first");
    let run = lab.path("runs/tiny/first");
    let events = |name: &String| name.starts_with("events.out.tfevents.");
    let (event_files, others): (Vec<String>, Vec<String>) = files(&run).into_iter().partition(events);
    assert_eq!(event_files.len(), 1);
    assert_eq!(
        others,
        [
            ".lock",
            "checkpoints",
            "experiment.yaml",
            "log.txt",
            "metrics.jsonl",
            "report",
            "resolved.yaml",
            "run.json",
            "summary.json"
        ]
    );
    assert_eq!(
        files(&run.join("report")),
        [
            "confusion.emotion.test.svg",
            "confusion.emotion.train.svg",
            "confusion.emotion.validation.svg",
            "evaluation.json",
            "evaluation.txt",
            "graph.svg",
            "index.html",
            "loss.svg",
            "metrics.svg",
            "predictions.emotion.csv",
            "report.txt"
        ]
    );
    assert_eq!(
        fs::read(run.join("experiment.yaml")).unwrap(),
        fs::read(lab.path("crnn.yaml")).unwrap()
    );
    let resolved = yaml(run.join("resolved.yaml"));
    assert_eq!(resolved["training"]["epochs"], 2, "what --set changed");
    assert_eq!(
        resolved["training"]["optimizer"]["betas"],
        value!([0.9, 0.999]),
        "defaults"
    );

    check_record(&run);
    check_summary(&run);
    for checkpoint in files(&run.join("checkpoints")) {
        assert_eq!(
            files(&run.join("checkpoints").join(checkpoint)),
            [
                "manifest.json",
                "optimizer.safetensors",
                "state.json",
                "weights.safetensors"
            ]
        );
    }
    let splits: Vec<String> = metrics(&run)
        .iter()
        .map(|line| line["split"].as_str().unwrap().to_owned())
        .collect();
    let epoch = [&["train"; 6][..], &["train_epoch", "validation"]].concat();
    let expected = [&epoch[..], &epoch, &["final_train", "final_validation", "final_test"]].concat();
    assert_eq!(splits, expected);
    let first = &metrics(&run)[0];
    for key in ["step", "epoch", "loss", "lr", "grad_norm"] {
        assert!(first[key].is_number(), "{first}");
    }
}

/// Rows of a predictions file: column name to value.
pub fn predictions(run: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let expected = [
        "path",
        "dataset",
        "split",
        "speaker",
        "true",
        "predicted",
        "p_neutral",
        "p_angry",
    ];
    assert_eq!(header.iter().collect::<Vec<_>>(), expected);
    reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            header
                .iter()
                .map(str::to_owned)
                .zip(row.iter().map(str::to_owned))
                .collect()
        })
        .collect()
}

/// Recall of each class, weighted and unweighted, and macro F1, straight from their definitions.
pub fn recomputed(rows: &[&BTreeMap<String, String>]) -> [f64; 3] {
    let count = |test: &dyn Fn(&str, &str) -> bool| {
        rows.iter().filter(|row| test(&row["true"], &row["predicted"])).count() as f64
    };
    let classes = ["neutral", "angry"];
    let mut recalls = Vec::new();
    let mut f1 = Vec::new();
    for class in classes {
        let hit = count(&|truth, said| truth == class && said == class);
        let (support, said) = (count(&|truth, _| truth == class), count(&|_, said| said == class));
        if support > 0.0 {
            recalls.push(hit / support);
        }
        if support + said > 0.0 {
            f1.push(2.0 * hit / (support + said));
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    [
        mean(&recalls),
        count(&|truth, said| truth == said) / rows.len() as f64,
        mean(&f1),
    ]
}

pub fn head_metrics(split: &Value) -> [f64; 3] {
    ["uar", "wa", "macro_f1"].map(|metric| split["heads"]["emotion"][metric].as_f64().unwrap())
}

pub fn assert_close(found: [f64; 3], expected: [f64; 3], of: &str) {
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{of}: {found} is not {expected}");
    }
}

#[test]
fn the_summary_is_what_the_predictions_say() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "first", "--set", "training.epochs=4"]);
    let rows = predictions(&run);
    let summary = json(run.join("summary.json"));
    let certificate = json(run.join("run.json"))["certificate"].clone();
    for split in ["train", "validation", "test"] {
        let of_split: Vec<_> = rows.iter().filter(|row| row["split"] == split).collect();
        let found = &summary["splits"][split];
        assert_eq!(found["n"], of_split.len());
        // In the corpus' order, speaker by speaker, though evaluation sorts by length.
        let mut speakers: Vec<&str> = of_split.iter().map(|row| row["speaker"].as_str()).collect();
        speakers.dedup();
        assert_eq!(
            speakers.len(),
            certificate["splits"][split]["speakers"].as_object().unwrap().len()
        );
        assert_close(head_metrics(found), recomputed(&of_split), split);
        for row in of_split {
            assert!(
                certificate["splits"][split]["speakers"].get(&row["speaker"]).is_some(),
                "{row:?}"
            );
            let p = |class: &str| row[&format!("p_{class}")].parse::<f64>().unwrap();
            assert!((p("neutral") + p("angry") - 1.0).abs() < 2e-6, "{row:?}");
            let other = if row["predicted"] == "angry" {
                "neutral"
            } else {
                "angry"
            };
            assert!(p(&row["predicted"]) >= p(other), "{row:?}");
        }
    }
}

#[test]
fn a_run_repeats_to_the_same_bits_with_any_number_of_workers() {
    for experiment in TINY {
        let lab = Lab::new();
        let runs: Vec<PathBuf> = [("a", 1), ("b", 4), ("c", 4)]
            .into_iter()
            .map(|(label, workers)| {
                let workers = format!("training.loader.workers={workers}");
                lab.run(&[experiment, "--run-label", label, "--set", &workers])
            })
            .collect();
        assert_same_run(&runs[0], &runs[1]);
        assert_same_run(&runs[1], &runs[2]);
        let other = lab.run(&[experiment, "--run-label", "d", "--set", "seed=8"]);
        assert_ne!(metrics(&runs[0]), metrics(&other), "the seed matters");
    }
}

#[test]
fn what_is_kept_in_memory_changes_nothing() {
    let lab = Lab::new();
    let kept = lab.run(&["crnn.yaml", "--run-label", "kept"]);
    let computed = lab.run(&[
        "crnn.yaml",
        "--run-label",
        "computed",
        "--set",
        "training.loader.memory_mib=0",
    ]);
    assert_same_run(&kept, &computed);
}

#[test]
fn decoded_audio_that_is_kept_changes_nothing() {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion\n".to_owned();
    for at in 0..12_u32 {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 11_025,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        fs::create_dir_all(lab.path("corpus")).unwrap();
        let mut wav = hound::WavWriter::create(lab.path(format!("corpus/{at}.wav")), spec).unwrap();
        for sample in 0..6000 + 700 * at {
            let tone = (f64::from(sample) * 0.05 * f64::from(1 + at % 3)).sin();
            wav.write_sample((6000.0 * tone) as i16).unwrap();
        }
        wav.finalize().unwrap();
        table.push_str(&format!(
            "{at}.wav,s{},{}\n",
            at / 2,
            ["neutral", "angry"][at as usize % 2]
        ));
    }
    lab.write("corpus/all.csv", table);
    lab.write(
        "decoded.yaml",
        "\
extends: crnn.yaml
datasets:
  synthetic: null
  tones: { kind: manifest, path: corpus/all.csv }
augmentations:
  gain: { kind: gain, p: 1.0 }
",
    );
    let run = |label: &str, loader: &str| {
        lab.run(&[
            "decoded.yaml",
            "--run-label",
            label,
            "--set",
            &format!("training.loader={loader}"),
        ])
    };
    let kept = run("kept", "{}");
    assert_eq!(
        lab.emorun(&["cache", "stats"]).stdout.matches("decoded audio").count(),
        0
    );
    let decoded = run("decoded", "{ memory_mib: 0, prefetch_batches: 1 }");
    assert_same_run(&kept, &decoded);
    // The second finds on disk what the first has left there.
    for label in ["first", "second"] {
        let on_disk = run(label, "{ memory_mib: 0, decoded_on_disk: true, prefetch_batches: 7 }");
        assert_same_run(&kept, &on_disk);
        let stats = lab.emorun(&["cache", "stats"]).stdout;
        assert!(stats.contains("decoded audio"), "{stats}");
    }
}

#[test]
fn the_batch_size_of_evaluation_changes_no_result() {
    let lab = Lab::new();
    let weights = "losses.ce.class_weights={ values: [1.0, 5.0] }";
    let losses = [1, 5, 100].map(|batch| {
        let label = format!("b{batch}");
        let batch = format!("evaluation.batch_size={batch}");
        let run = lab.run(&["crnn.yaml", "--run-label", &label, "--set", &batch, "--set", weights]);
        json(run.join("summary.json"))["splits"]["test"].clone()
    });
    for other in &losses[1..] {
        assert_eq!(other["heads"], losses[0]["heads"]);
        let difference = other["loss"].as_f64().unwrap() - losses[0]["loss"].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{losses:?}");
    }
}

#[test]
fn runs_that_begin_in_the_same_second_do_not_meet() {
    let lab = Lab::new();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            lab.command(&["crnn.yaml", "--set", "training.epochs=1"])
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(files(&lab.path("runs/tiny")).len(), 3);
}

#[test]
fn training_stops_early_and_keeps_the_best_weights() {
    let lab = Lab::new();
    let run = lab.run(&[
        "crnn.yaml",
        "--run-label",
        "early",
        "--set",
        "training.epochs=50",
        "--set",
        "training.early_stopping={ patience: 2, metric: loss, min_delta: 10.0 }",
    ]);
    let validation: Vec<Value> = metrics(&run)
        .into_iter()
        .filter(|line| line["split"] == "validation")
        .collect();
    assert_eq!(validation.len(), 3, "the first epoch and two without improvement");
    let best = &json(run.join("summary.json"))["best"];
    let least = validation
        .iter()
        .min_by(|a, b| a["loss"].as_f64().unwrap().total_cmp(&b["loss"].as_f64().unwrap()))
        .unwrap();
    assert_eq!((&best["step"], &best["value"]), (&least["step"], &least["loss"]));
    let last = metrics(&run)
        .into_iter()
        .find(|line| line["split"] == "final_validation")
        .unwrap();
    assert_eq!(last["loss"], least["loss"], "measured on the best weights");
    assert!(run.join(format!("checkpoints/step-{}", best["step"])).is_dir());
}

#[test]
fn micro_batches_and_the_parts_of_several_devices_are_one_step() {
    let lab = Lab::new();
    // Without batch statistics and dropout, four micro-batches of two are one batch of eight, and so are parts of
    // two, three and three items.
    let common = [
        "--set",
        "heads.emotion.dropout=0.0",
        "--set",
        "encoders.transformer.dropout=0.0",
        "--set",
        "blocks.masked.p=0.0",
        "--set",
        "blocks.mixed.p=0.0",
        "--set",
        "training.epochs=2",
        "--set",
        "training.optimizer={ kind: sgd, lr: 0.01 }",
        "--set",
        "training.scheduler={ kind: constant }",
        "--set",
        "training.batching=random",
    ];
    let run = |label: &str, batch: &str, divided: &str| {
        let own = [
            "transformer.yaml",
            "--run-label",
            label,
            "--set",
            batch,
            "--set",
            divided,
        ];
        let run = lab.run(&[&own[..], &common].concat());
        let of_epochs = |line: &Value| line["split"] == "validation" || line["split"] == "train_epoch";
        metrics(&run).into_iter().filter(of_epochs).collect::<Vec<_>>()
    };
    let whole = run("whole", "training.batch_size=8", "training.accumulate=1");
    assert_eq!(whole.len(), 4);
    let micro_batches = run("micro-batches", "training.batch_size=2", "training.accumulate=4");
    let devices = run("devices", "training.batch_size=8", "training.devices=3");
    for parts in [micro_batches, devices] {
        assert_eq!(whole.len(), parts.len());
        for (whole, parts) in whole.iter().zip(&parts) {
            for metric in ["loss", "emotion.uar"] {
                let (whole, parts) = (whole[metric].as_f64().unwrap(), parts[metric].as_f64().unwrap());
                assert!((whole - parts).abs() < 1e-5, "{metric} {whole} {parts}");
            }
        }
    }
}

#[test]
fn gradient_checkpointing_trains_the_same_network() {
    let lab = Lab::new();
    let run = |label: &str, own: &[&str]| {
        let all = [
            "hubert.yaml",
            "--run-label",
            label,
            "--set",
            "encoders.hubert.train=all",
            "--set",
            "training.epochs=2",
        ];
        let run = lab.run(&[&all[..], own].concat());
        let of_epochs = |line: &Value| line["split"] == "validation" || line["split"] == "train_epoch";
        metrics(&run).into_iter().filter(of_epochs).collect::<Vec<_>>()
    };
    let on = ["--set", "training.gradient_checkpointing=true"];
    let devices = ["--set", "training.devices=2"];
    for (of, own) in [("one", &[][..]), ("two", &devices)] {
        let kept = run(&format!("{of}-kept"), own);
        let again = run(&format!("{of}-again"), &[&on[..], own].concat());
        assert_eq!((kept.len(), again.len()), (4, 4));
        for (kept, again) in kept.iter().zip(&again) {
            let (kept, again) = (kept["loss"].as_f64().unwrap(), again["loss"].as_f64().unwrap());
            assert!((kept - again).abs() < 1e-4, "{of}: {kept} {again}");
        }
    }
    let checked = |file: &str, own: &[&str]| lab.emorun(&[&["check", file], &on[..], own].concat()).stdout;
    let remark = "`training.gradient_checkpointing` has nothing to work on";
    assert!(checked("crnn.yaml", &[]).contains(remark));
    assert!(checked("hubert.yaml", &[]).contains(remark), "one layer trains");
    assert!(!checked("hubert.yaml", &["--set", "encoders.hubert.train=all"]).contains(remark));
}
