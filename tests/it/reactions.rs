//! Frames that are predicted of frames: a regression of each, and a rollout that draws several.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use emorun_features::FeatureFile;

use crate::streams::floats;
use crate::support::{Lab, REPOSITORY, assert_same_run, json, kill, wav};

const PEOPLE: usize = 6;
const SPEAKER: usize = 3;
const LISTENER: usize = 2;

/// Clips of a speaker and a listener who does a part of what the speaker did four frames before.
fn lab(experiment: &str) -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,speaker_face,listener_face,seen\n".to_owned();
    for at in 0..2 * PEOPLE {
        let frames = 20 + 3 * at;
        let speaker: Vec<f32> = (0..frames * SPEAKER)
            .map(|place| ((place / SPEAKER) as f32 * 0.2 * (1 + place % SPEAKER) as f32 + at as f32).sin())
            .collect();
        let listener: Vec<f32> = (0..frames)
            .flat_map(|frame| (0..LISTENER).map(move |channel| (frame, channel)))
            .map(|(frame, channel)| 0.8 * speaker[frame.saturating_sub(4) * SPEAKER + channel])
            .collect();
        // Of the first clips a frame was not seen, and its numbers are far away.
        let hidden = if at < 4 { 7 } else { frames };
        let listener: Vec<f32> = listener
            .into_iter()
            .enumerate()
            .map(|(place, value)| if place / LISTENER == hidden { 1000.0 } else { value })
            .collect();
        let seen: Vec<f32> = (0..frames).map(|frame| f32::from(u8::from(frame != hidden))).collect();
        lab.write(
            &format!("corpus/{at}_speaker.npy"),
            floats(&[frames, SPEAKER], &speaker),
        );
        lab.write(
            &format!("corpus/{at}_listener.npy"),
            floats(&[frames, LISTENER], &listener),
        );
        lab.write(&format!("corpus/{at}_seen.npy"), floats(&[frames, 1], &seen));
        let tone = (0..frames * 320).map(|place| (8000.0 * (place as f64 * (0.05 + 0.01 * at as f64)).sin()) as i16);
        lab.write(&format!("corpus/{at}.wav"), wav(8000, tone));
        let person = at / 2;
        table.push_str(&format!(
            "{at}.wav,p{person},{at}_speaker.npy,{at}_listener.npy,{at}_seen.npy\n"
        ));
    }
    lab.write("corpus/all.csv", table);
    let text = format!(
        "\
name: reaction
seed: 7
sample_rate_hz: 8000
datasets:
  dyads:
    kind: manifest
    path: corpus/all.csv
    streams:
      speaker_face: {{ kind: frames, column: speaker_face, width: {SPEAKER}, rate_hz: 25 }}
      listener_face: {{ kind: frames, column: listener_face, width: {LISTENER}, rate_hz: 25 }}
      listener_seen: {{ kind: frames, column: seen, width: 1, rate_hz: 25 }}
split: {{ kind: by_speaker, validation: 0.2, test: 0.2 }}
training:
  batch_size: 2
  optimizer: {{ kind: adamw, lr: 2.0e-3 }}
  checkpoints: {{ every_steps: 1 }}
evaluation: {{ best: loss }}
logging: {{ every_steps: 1 }}
{experiment}"
    );
    lab.write("reaction.yaml", text.replace("training:\n", "training:\n  epochs: 3\n"));
    lab
}

const REGRESSOR: &str = "\
encoders:
  context: { kind: transformer, input: data.speaker_face, stack: 1, width: 8, layers: 1, heads: 2, feed_forward: 16, causal: true }
heads:
  listener: { kind: frame_regressor, input: context, target: data.listener_face, target_mask: data.listener_seen }
losses:
  error: { kind: mse, input: listener }
";

const ROLLOUT: &str = "\
encoders:
  mel: { kind: log_mel, input: data.audio, n_mels: 8, n_fft: 256, win_length: 200, hop_length: 160 }
blocks:
  heard: { kind: align, input: mel, rate_hz: 25 }
  voice: { kind: linear, input: heard, width: 8 }
  face: { kind: linear, input: data.speaker_face, width: 8 }
  speaker: { kind: fuse, inputs: [face, voice], how: weighted }
  latent: { kind: vae, inputs: [speaker, data.listener_face], latent: 3, width: 8, layers: 1, heads: 2, feed_forward: 16 }
  decoder:
    kind: transformer_decoder
    inputs: [latent, data.listener_face]
    memory: speaker
    target: data.listener_face
    width: 8
    layers: 1
    heads: 2
    feed_forward: 16
generators:
  listener:
    kind: window_rollout
    memory: speaker
    target: data.listener_face
    target_mask: data.listener_seen
    uses: { latent: latent, decoder: decoder }
    latent: 3
    window: 8
    samples: { training: 2, evaluation: 4 }
losses:
  error: { kind: mse, input: listener }
  kl: { kind: kl_divergence, input: listener.distribution, weight: 1.0e-3, ramp: { end: 0.5 } }
  smooth: { kind: smoothness, input: listener, weight: 0.1 }
  apart: { kind: diversity, input: listener, weight: 0.01 }
";

/// Of a run the mean squared error of the listener's frames on the test side.
fn error(run: &Path) -> f64 {
    let summary = json(run.join("summary.json"));
    assert_eq!(summary["status"], "completed", "{summary}");
    let test = &summary["splits"]["test"];
    let number = &test["regressions"]["listener"];
    assert!(number["numbers"].get("c1").is_some(), "{number}");
    number["mse"].as_f64().unwrap()
}

#[test]
fn a_regression_of_frames_is_trained_and_evaluated_without_what_was_not_seen_and_resumes_to_the_same_bits() {
    let lab = lab(REGRESSOR);
    let whole = lab.run(&["reaction.yaml", "--run-label", "whole"]);
    // A frame that is 1000 away would be seen.
    assert!(error(&whole) < 10.0, "{}", error(&whole));
    let evaluation = json(whole.join("report/evaluation.json"));
    let head = &evaluation["sides"]["test"]["regressors"]["listener"];
    assert_eq!(head["numbers"][0]["name"], "c0");
    assert!(head["items"].as_u64().unwrap() >= 2, "{head}");
    let table = fs::read_to_string(whole.join("report/predictions.listener.csv")).unwrap();
    assert!(
        table.starts_with("path,dataset,split,speaker,true_c0,true_c1,predicted_c0,predicted_c1\n"),
        "{table}"
    );
    let run = lab.path("runs/reaction/cut");
    kill(lab.start_until(&["reaction.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 5));
    let outcome = lab.emorun(&["resume", "runs/reaction/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&whole, &run);
}

#[test]
fn a_rollout_draws_the_same_reactions_after_a_kill_and_with_any_number_of_workers() {
    let lab = lab(ROLLOUT);
    let whole = lab.run(&["reaction.yaml", "--run-label", "whole"]);
    assert!(error(&whole) < 10.0, "{}", error(&whole));
    let run = lab.path("runs/reaction/cut");
    kill(lab.start_until(&["reaction.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 5));
    let outcome = lab.emorun(&["resume", "runs/reaction/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&whole, &run);
    let workers = "training.loader.workers=3";
    let other = lab.run(&["reaction.yaml", "--run-label", "workers", "--set", workers]);
    let predicted = |run: &Path| fs::read(run.join("report/predictions.listener.csv")).unwrap();
    assert_eq!(predicted(&other), predicted(&whole));
    // The samples of each item, from the run and what it was trained on.
    let outcome = lab.emorun(&[
        "embed",
        "runs/reaction/whole",
        "--node",
        "listener",
        "--out",
        "drawn.safetensors",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let file = FeatureFile::open(&lab.path("drawn.safetensors")).unwrap();
    assert_eq!(file.names().count(), 2 * PEOPLE);
    let drawn = file.read("dyads/1.wav").unwrap();
    assert_eq!(drawn.shape(), [4, 23, LISTENER]);
    let samples: Vec<&[f32]> = drawn.values().chunks_exact(23 * LISTENER).collect();
    assert!(samples[0] != samples[1] && samples[2] != samples[3]);
}

#[test]
fn what_a_rollout_holds_must_fit_it() {
    let lab = lab(ROLLOUT);
    let cases = [
        (
            "generators.listener.latent=5",
            "`latent` gives distribution 3 wide at `distribution`, where `listener` needs distribution 5 wide",
        ),
        (
            "generators.listener.uses={latent: decoder, decoder: latent}",
            "`decoder` gives nothing at `distribution`",
        ),
        (
            "blocks.decoder.inputs=[latent, latent]",
            "the inputs of `decoder` are [3, 3] wide, and `listener` hands over such as are [3, 2]",
        ),
        (
            "losses.error.channels=[1, 5]",
            "must be a channel and a later one, of 2",
        ),
        ("blocks.heard.rate_hz=20", "frames at"),
    ];
    for (change, expected) in cases {
        let outcome = lab.emorun(&["check", "reaction.yaml", "--structure", "--set", change]);
        assert_ne!(outcome.code, 0, "{change}: {}", outcome.stdout);
        assert_ne!(outcome.code, 1, "{change}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(expected),
            "{change}: no `{expected}` in {}",
            outcome.stderr
        );
    }
}

#[test]
fn the_experiment_runs_on_generated_dyads_of_which_none_is_on_two_sides() {
    let lab = Lab::new();
    let outcome = lab.emorun(&[
        "data",
        "dyads",
        "data/dyads",
        "--dyads",
        "8",
        "--clips",
        "2",
        "--frames",
        "40",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("16 clips of 1.6 s, 8 dyads"),
        "{}",
        outcome.stdout
    );
    let again = lab.emorun(&["data", "dyads", "data/dyads"]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    let text = fs::read_to_string(Path::new(REPOSITORY).join("experiments/facial_reaction.yaml")).unwrap();
    lab.write("facial_reaction.yaml", text);
    let run = lab.run(&[
        "facial_reaction.yaml",
        "--run-label",
        "one",
        "--set",
        "training.epochs=1",
        "--set",
        "generators.listener.samples.evaluation=2",
    ]);
    let summary = json(run.join("summary.json"));
    assert_eq!(summary["status"], "completed", "{summary}");
    let table = fs::read_to_string(run.join("report/predictions.listener.csv")).unwrap();
    let mut sides: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (side, speaker) = (place("split"), place("speaker"));
    for row in reader.records() {
        let row = row.unwrap();
        sides
            .entry(row[speaker].to_owned())
            .or_default()
            .insert(row[side].to_owned());
    }
    assert!(
        sides.len() >= 2 && sides.values().all(|sides| sides.len() == 1),
        "{sides:?}"
    );
}
