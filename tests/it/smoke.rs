//! `emorun smoke`: every experiment file end to end, without its data and weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use emorun_engine::device::{DeviceRequest, choose};
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::Source;
use emorun_runs::smoke::{Smoked, smoke};
use serde_json::Value;

use crate::networks::turn;
use crate::support::{Lab, REPOSITORY, files, json, metrics, yaml};

/// Longest that one file may take, in seconds.
const LONGEST_S: f64 = 60.0;
/// Longest that all of `experiments/` may take, in seconds.
const ALL_S: f64 = 600.0;

/// Waveforms are changed, and the frozen HuBERT is kept in two versions; Whisper trains in part.
const PRETRAINED: &str = "\
name: pretrained
datasets:
  iemocap: { kind: manifest, path: nowhere/iemocap.csv, columns: { groups: [session] }, emotions: [neutral, happy, sad, angry] }
  cremad: { kind: cremad, root: nowhere/cremad, emotions: [neutral, happy, sad, angry] }
split: { kind: folds, folds: { k: 5 }, validation: { fraction: 0.1 } }
augmentations:
  noise: { kind: background_noise, root: nowhere/musan, categories: [noise, music], p: 0.8 }
  louder: { kind: gain, only: [cremad] }
  channel: { kind: one_of, of: [room, line], p: 0.8 }
  room: { kind: reverb, response: { folder: nowhere/rirs }, p: 1.0 }
  line: { kind: sequence, of: [telephone, coded] }
  telephone: { kind: band_pass, p: 1.0 }
  coded: { kind: codec, p: 1.0 }
encoders:
  hubert: { kind: hubert, input: data.audio, weights: facebook/hubert-large-ll60k, output: { layer: 24 }, cache: { views: 2 } }
  whisper: { kind: whisper, input: data.audio, weights: openai/whisper-tiny.en, train: { last: 4 } }
  mel: { kind: log_mel, input: data.audio, n_mels: 24 }
  transformer: { kind: transformer, input: mel, stack: 4, width: 24, layers: 1, heads: 12, feed_forward: 16 }
  context: { kind: transformer, input: hubert, stack: 1, width: 1024, projection: false, layers: 1, heads: 16, feed_forward: 16 }
heads:
  emotion: { kind: attention_classifier, input: context, target: data.emotion, hidden: 8 }
  gender: { kind: mean_classifier, input: whisper, target: data.gender, hidden: 8 }
  again: { kind: mean_classifier, input: transformer, target: data.emotion, hidden: 8 }
losses:
  ce: { kind: cross_entropy, input: emotion, class_weights: balanced }
  gender_ce: { kind: cross_entropy, input: gender }
  again_ce: { kind: cross_entropy, input: again }
training:
  epochs: 30
  batch_size: 64
  accumulate: 4
  seeds: [3, 4]
  optimizer: { kind: adamw, lr: 1.0e-3 }
  scheduler: { kind: cosine_warm_restarts, unit: epoch, t_0: 10 }
  early_stopping: { patience: 5, metric: emotion.uar }
";

fn smoked(experiment: &Path, folder: &Path) -> Result<Smoked, (Failure, String)> {
    let source = Source {
        path: experiment.to_owned(),
        sets: Vec::new(),
        offline: true,
    };
    let device = choose(DeviceRequest::Cpu).unwrap();
    let mut heard = String::new();
    smoke(&source, folder, &device, &mut |report, sources| {
        heard.push_str(&report.render(sources, false))
    })
    .map_err(|failure| (failure, heard))
}

fn experiments() -> Vec<PathBuf> {
    let folder = Path::new(REPOSITORY).join("experiments");
    let is_experiment = |path: &PathBuf| {
        let header = fs::read_to_string(path).unwrap();
        header.starts_with("# yaml-language-server: $schema=../schemas/experiment.schema.json")
    };
    let paths = files(&folder).into_iter().map(|name| folder.join(name));
    paths.filter(is_experiment).collect()
}

#[test]
fn every_experiment_runs_end_to_end_without_its_data_and_weights() {
    let _turn = turn();
    let started = Instant::now();
    let experiments = experiments();
    assert!(experiments.len() >= 4);
    for experiment in &experiments {
        let folder = tempfile::tempdir().unwrap();
        let Smoked { finished, seconds, .. } = smoked(experiment, folder.path())
            .unwrap_or_else(|(failure, heard)| panic!("{}: {failure}\n{heard}", experiment.display()));
        let total: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
        println!("{total:6.1} s  {}", experiment.display());
        assert!(total < LONGEST_S, "{} takes {seconds:?}", experiment.display());
        assert!(!finished.test.is_empty(), "{}", experiment.display());
        assert_eq!(json(finished.dir.join("summary.json"))["status"], "completed");
    }
    let total = started.elapsed().as_secs_f64();
    println!("{total:6.1} s  all of experiments/");
    assert!(total < ALL_S, "{total:.0} s");
}

#[test]
fn pretrained_encoders_and_noise_are_stood_in_for_and_the_rest_stays() {
    let _turn = turn();
    let lab = Lab::new();
    lab.write("pretrained.yaml", PRETRAINED);
    let run = |name: &str| {
        let folder = lab.path(name);
        fs::create_dir(&folder).unwrap();
        let smoked = smoked(&lab.path("pretrained.yaml"), &folder);
        let smoked = smoked.unwrap_or_else(|(failure, heard)| panic!("{failure}\n{heard}"));
        (smoked, folder)
    };
    let (one, folder) = run("one");
    let (other, _) = run("other");
    let member = |smoked: &Smoked| smoked.finished.dir.join("fold-1/seed-3");
    assert_eq!(metrics(&member(&one)), metrics(&member(&other)), "two runs differ");
    assert_eq!(one.finished.test, other.finished.test);

    let small = yaml(folder.join("smoke.yaml"));
    let responses = small["augmentations"]["room"]["response"]["folder"].as_str().unwrap();
    assert_eq!(files(&Path::new(responses).join("noise")).len(), 2);
    assert_eq!(small["encoders"]["hubert"]["output"]["layer"], 24);
    assert_eq!(small["encoders"]["hubert"]["cache"]["views"], 2);
    assert_eq!(small["encoders"]["whisper"]["train"]["last"], 4);
    assert_eq!(small["encoders"]["transformer"]["width"], 24);
    assert_eq!(small["encoders"]["context"]["width"], 48);
    assert_eq!(small["training"]["epochs"], 2);
    assert_eq!(small["training"]["seeds"], Value::from(vec![3]));
    assert_eq!(small["training"]["scheduler"]["t_0"], 10);
    assert_eq!(small["training"]["early_stopping"]["patience"], 5);
    let config = json(folder.join("weights/hubert/config.json"));
    assert_eq!(
        (&config["num_hidden_layers"], &config["hidden_size"]),
        (&24.into(), &48.into())
    );
    assert_eq!(json(folder.join("weights/whisper/config.json"))["encoder_layers"], 4);
    assert!(files(&folder.join("cache/features")).len() > 1, "nothing was kept");
}

#[test]
fn corpora_of_every_layout_are_stood_in_for_and_absent_labels_are_left_out() {
    let _turn = turn();
    let lab = Lab::new();
    lab.write(
        "layouts.yaml",
        "\
extends: crnn.yaml
datasets:
  synthetic: null
  dialogues: { kind: iemocap, root: nowhere/iemocap }
  voices: { kind: esd, root: nowhere/esd, language: mandarin, mapping: { surprise: happy } }
  crowd: { kind: cremad, root: nowhere/cremad, recognised_only: true, min_agreement: 0.6 }
  books: { kind: librispeech, root: nowhere/librispeech }
heads:
  style: { kind: mean_classifier, input: crnn, target: data.style, hidden: 4 }
losses:
  style_ce: { kind: cross_entropy, input: style }
",
    );
    let smoked = smoked(&lab.path("layouts.yaml"), &lab.path("."));
    let smoked = smoked.unwrap_or_else(|(failure, heard)| panic!("{failure}\n{heard}"));
    let heads = &json(smoked.finished.dir.join("summary.json"))["splits"]["test"]["heads"];
    assert!(
        heads["emotion"]["uar"].is_number() && heads["style"]["uar"].is_number(),
        "{heads}"
    );
}

#[test]
fn an_encoder_keeps_its_width_where_another_node_is_bound_to_it() {
    let lab = Lab::new();
    lab.write(
        "crnn.yaml",
        "\
name: bound
datasets: { emodb: { kind: emodb, root: nowhere/emodb, emotions: [happy, sad] } }
split: { kind: by_speaker, validation: 0.0, test: 0.2 }
encoders: { whisper: { kind: whisper, input: data.audio, weights: openai/whisper-tiny, output: { layer: 1 } } }
blocks:
  bent: { kind: linear, input: whisper, width: 384 }
  both: { kind: fuse, inputs: [whisper, bent], how: sum }
heads: { emotion: { kind: mean_classifier, input: both, target: data.emotion } }
losses: { ce: { kind: cross_entropy, input: emotion } }
training: { epochs: 1, batch_size: 4, optimizer: { kind: sgd, lr: 0.01 } }
",
    );
    let smoked = smoked(&lab.path("crnn.yaml"), &lab.path("."));
    smoked.unwrap_or_else(|(failure, heard)| panic!("{failure}\n{heard}"));
    assert_eq!(json(lab.path("weights/whisper/config.json"))["d_model"], 384);
}

#[test]
fn the_command_keeps_its_folder_only_if_asked_to() {
    let lab = Lab::new();
    let temporary = lab.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = lab.command(arguments);
        crate::support::finished(&command.env("TMPDIR", &temporary).output().unwrap())
    };
    let outcome = run(&["smoke", "crnn.yaml", "--set", "training.epochs=1"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("crnn.yaml runs end to end"),
        "{}",
        outcome.stdout
    );
    assert!(
        files(&temporary).is_empty() && !lab.path("runs").exists() && !lab.path("cache/emorun/scanned.json").exists()
    );
    let outcome = run(&["smoke", "crnn.yaml", "--keep", "--device", "cpu"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let kept = temporary.join(&files(&temporary)[0]);
    assert!(
        outcome.stderr.contains(&kept.display().to_string()),
        "{}",
        outcome.stderr
    );
    let summary = json(kept.join("runs/tiny/smoke/summary.json"));
    assert_eq!(summary["status"], "completed");
}

#[test]
fn what_fails_is_named_with_the_exit_code_of_a_run() {
    let _turn = turn();
    let lab = Lab::new();
    let outcome = lab.emorun(&["smoke", "crnn.yaml", "--set", "heads.emotion.input=crn"]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("smoke, checking the file"),
        "{}",
        outcome.stderr
    );
    let outcome = lab.emorun(&[
        "smoke",
        "crnn.yaml",
        "--message-format",
        "json",
        "--set",
        "training.optimizer.lr=1e30",
        "--set",
        "training.scheduler={kind: constant}",
        "--set",
        "training.clip_norm=null",
    ]);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    let last: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("smoke, training, evaluating"), "{message}");
}
