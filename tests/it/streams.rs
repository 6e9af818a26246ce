//! Streams of items beside their audio: two recordings, a face, an answer and its units.

use std::fs;

use crate::support::{Lab, assert_same_run, json, kill, wav};

const SPEAKERS: [&str; 4] = ["anna", "ben", "carl", "dora"];
const WIDTH: usize = 4;
/// Frames of a face that every item has, and more of them the later it stands.
const FRAMES: usize = 5;

/// A `.npy` file of a type.
fn npy(descr: &str, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape:?}, }}")
        .replace('[', "(")
        .replace(']', ",)");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

pub(crate) fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("<f4", shape, &bytes)
}

fn face(at: usize) -> (usize, Vec<f32>) {
    let frames = FRAMES + at;
    let side = if at.is_multiple_of(2) { 0.5 } else { -0.5 };
    let values = (0..frames * WIDTH).map(|place| side + 0.01 * (place % 7) as f32);
    (frames, values.collect())
}

fn tone(pitch: f64, samples: usize) -> Vec<u8> {
    let sample = |at: usize| (8000.0 * (at as f64 * pitch / 8000.0).sin()) as i16;
    wav(8000, (0..samples).map(sample))
}

/// A corpus of dyads. Items 3 and 6 lack the listener, items 1 and 6 the face.
fn lab() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion,listener_wav,face_file,reply,units\n".to_owned();
    let items = SPEAKERS
        .iter()
        .flat_map(|speaker| [(speaker, "angry"), (speaker, "neutral")]);
    for (at, (speaker, emotion)) in items.enumerate() {
        lab.write(&format!("corpus/{at}.wav"), tone(900.0 + 100.0 * at as f64, 2000));
        lab.write(
            &format!("corpus/listener/{at}.wav"),
            tone(2000.0 + 50.0 * at as f64, 1500 + 300 * at),
        );
        let (frames, values) = face(at);
        // Half of them tables, half of them arrays.
        let face = if at % 4 < 2 {
            lab.write(&format!("corpus/face/{at}.npy"), floats(&[frames, WIDTH], &values));
            format!("face/{at}.npy")
        } else {
            let rows = values.chunks(WIDTH).map(|row| {
                let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
                cells.join(", ")
            });
            let rows: Vec<String> = ["x0, x1, y0, y1".to_owned()].into_iter().chain(rows).collect();
            lab.write(&format!("corpus/face/{at}.csv"), rows.join("\n"));
            format!("face/{at}.csv")
        };
        let listener = if [3, 6].contains(&at) {
            String::new()
        } else {
            format!("listener/{at}.wav")
        };
        let face = if [1, 6].contains(&at) { String::new() } else { face };
        let units = if at == 0 {
            let bytes: Vec<u8> = [3_i64, 1, 2].iter().flat_map(|unit| unit.to_le_bytes()).collect();
            lab.write("corpus/units.npy", npy("<i8", &[3], &bytes));
            "units.npy".to_owned()
        } else {
            format!("{at} 0 {at}")
        };
        table.push_str(&format!("{at}.wav,{speaker},{emotion},{listener},{face},yes,{units}\n"));
    }
    lab.write("corpus/all.csv", table);
    declared(&lab, "");
    lab
}

/// The experiment, with a stream declared otherwise unless that is empty.
fn declared(lab: &Lab, changed: &str) {
    let log_mel = "kind: log_mel, n_mels: 8, n_fft: 256, win_length: 200, hop_length: 160";
    let text = format!(
        "\
name: dyads
seed: 7
sample_rate_hz: 8000
datasets:
  dyads:
    kind: manifest
    path: corpus/all.csv
    streams:
      listener: {{ kind: audio, column: listener_wav }}
      face: {{ kind: frames, column: face_file, width: {WIDTH}, rate_hz: 25 }}
      reply: {{ kind: text }}
      units: {{ kind: tokens, vocabulary: 8, rate_hz: 50 }}
split: {{ kind: by_speaker, validation: 0.25, test: 0.25 }}
augmentations:
  noise: {{ kind: gaussian_noise, p: 1.0 }}
encoders:
  spoken: {{ {log_mel}, input: data.audio }}
  heard: {{ {log_mel}, input: data.listener }}
blocks:
  normal: {{ kind: normalise, input: heard }}
  speaker: {{ kind: pool, input: spoken }}
  listener: {{ kind: pool, input: normal }}
  seen: {{ kind: pool, input: data.face }}
  all: {{ kind: fuse, inputs: [speaker, listener, seen] }}
heads:
  emotion: {{ kind: mlp_classifier, input: all, target: data.emotion, hidden: [8] }}
  by_face: {{ kind: mlp_classifier, input: seen, target: data.emotion, hidden: [8], dropout: 0.2 }}
losses:
  ce: {{ kind: cross_entropy, input: emotion }}
  face_ce: {{ kind: cross_entropy, input: by_face }}
training:
  epochs: 8
  batch_size: 2
  optimizer: {{ kind: adamw, lr: 1.0e-2 }}
  checkpoints: {{ every_steps: 1 }}
evaluation: {{ best: loss }}
logging: {{ every_steps: 1 }}
"
    );
    let name = changed.split(':').next().unwrap();
    let lines = text.lines().map(|line| {
        let is_changed = !changed.is_empty() && line.starts_with(&format!("      {name}: "));
        if is_changed {
            format!("      {changed}\n")
        } else {
            format!("{line}\n")
        }
    });
    lab.write("dyads.yaml", lines.collect::<String>());
}

/// Rows of a head's predictions, by their first cell.
fn predicted(run: &std::path::Path, head: &str) -> Vec<String> {
    let table = fs::read_to_string(run.join(format!("report/predictions.{head}.csv"))).unwrap();
    let rows = table.lines().skip(1).map(|line| {
        let path = line.split(',').next().unwrap();
        path.rsplit('/').next().unwrap().to_owned()
    });
    rows.collect()
}

#[test]
fn two_recordings_and_a_face_train_a_model_which_resumes_to_the_same_bits() {
    let lab = lab();
    let whole = lab.run(&["dyads.yaml", "--run-label", "whole"]);
    let summary = json(whole.join("summary.json"));
    assert_eq!(summary["status"], "completed", "{summary}");
    let losses: Vec<f64> = crate::support::metrics(&whole)
        .iter()
        .filter_map(|line| line["validation"]["loss"].as_f64().or(line["loss"].as_f64()))
        .collect();
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    // What the face alone says is said of those that have one.
    let all = predicted(&whole, "emotion");
    let by_face = predicted(&whole, "by_face");
    let lacking = |name: &String| name.contains("1.wav") || name.contains("6.wav");
    assert!(all.iter().any(lacking), "{all:?}");
    let expected: Vec<&String> = all.iter().filter(|name| !lacking(name)).collect();
    assert_eq!(by_face.iter().collect::<Vec<_>>(), expected);

    let run = lab.path("runs/dyads/cut");
    kill(lab.start_until(&["dyads.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 7));
    let outcome = lab.emorun(&["resume", "runs/dyads/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&whole, &run);
    // More workers and other batches of evaluation change nothing.
    let other = lab.run(&[
        "dyads.yaml",
        "--run-label",
        "workers",
        "--set",
        "training.loader.workers=3",
    ]);
    assert_eq!(predicted(&other, "by_face"), by_face);
    let of = |run: &std::path::Path| fs::read(run.join("report/predictions.by_face.csv")).unwrap();
    assert_eq!(of(&other), of(&whole));
}

#[test]
fn a_replaced_file_of_a_stream_is_noticed_when_a_run_goes_on() {
    let lab = lab();
    let run = lab.path("runs/dyads/cut");
    kill(lab.start_until(&["dyads.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 7));
    let path = lab.path("corpus/face/0.npy");
    let before = fs::read(&path).unwrap();
    let (frames, mut values) = face(0);
    values[3] += 0.001;
    fs::write(&path, floats(&[frames, WIDTH], &values)).unwrap();
    let outcome = lab.emorun(&["resume", "runs/dyads/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("have changed since"), "{}", outcome.stderr);
    let listener = lab.path("corpus/listener/0.wav");
    let sound = fs::read(&listener).unwrap();
    fs::write(&path, before).unwrap();
    fs::write(&listener, tone(777.0, 1500)).unwrap();
    let outcome = lab.emorun(&["resume", "runs/dyads/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    // The same content in files of another date is the same.
    fs::write(&listener, sound).unwrap();
    let outcome = lab.emorun(&["resume", "runs/dyads/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

#[test]
fn what_is_wrong_with_a_stream_is_told_with_its_place() {
    let lab = lab();
    let structure: [(&str, &[&str]); 4] = [
        (
            "face: { kind: frames, column: face_fil, width: 4, rate_hz: 25 }",
            &["no column `face_fil`", "did you mean `face_file`?"],
        ),
        ("face: { kind: frames, column: face_file, width: 4 }", &["rate_hz"]),
        ("face: { kind: video, column: face_file }", &["video"]),
        (
            "units: { kind: tokens, vocabulary: 6 }",
            &["line 8: column `units` has `6`, which is no symbol of a vocabulary of 6"],
        ),
    ];
    for (stream, parts) in structure {
        declared(&lab, stream);
        let outcome = lab.emorun(&["check", "dyads.yaml"]);
        assert!([3, 4].contains(&outcome.code), "{stream}: {}", outcome.stderr);
        for part in parts {
            assert!(
                outcome.stderr.contains(part),
                "{stream}: no `{part}` in {}",
                outcome.stderr
            );
        }
    }
    declared(&lab, "");
    let files: [(&str, Vec<u8>, &str); 6] = [
        (
            "corpus/face/0.npy",
            floats(&[2, 3], &[0.0; 6]),
            "line 2: \"corpus/face/0.npy\" has shape [2, 3], not that of frames 4 wide",
        ),
        ("corpus/face/0.npy", b"nothing".to_vec(), "0.npy\" is damaged"),
        ("corpus/face/0.npy", floats(&[0, 4], &[]), "thus no values"),
        (
            "corpus/face/2.csv",
            b"x0,x1,y0,y1\n1,2,3,nan\n".to_vec(),
            "2.csv\", line 2: column 4 is `nan`",
        ),
        ("corpus/face/2.csv", b"x0,x1,y0,y1\n".to_vec(), "2.csv\" holds no frame"),
        (
            "corpus/listener/0.wav",
            b"nothing".to_vec(),
            "stream `listener`: line 2: ",
        ),
    ];
    for (name, bytes, expected) in files {
        let before = fs::read(lab.path(name)).unwrap();
        lab.write(name, bytes);
        let outcome = lab.emorun(&["run", "dyads.yaml"]);
        assert_eq!(outcome.code, 4, "{name}: {}", outcome.stderr);
        let text = outcome.stderr.replace(&format!("{}/", lab.path("").display()), "");
        let text = text.replace(&lab.path("").display().to_string(), "");
        assert!(text.contains(expected), "{name}: no `{expected}` in {text}");
        lab.write(name, before);
    }
    fs::remove_file(lab.path("corpus/face/0.npy")).unwrap();
    let outcome = lab.emorun(&["check", "dyads.yaml"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is no file"), "{}", outcome.stderr);
    // Names that are ports already.
    let taken = lab.emorun(&[
        "check",
        "dyads.yaml",
        "--set",
        "datasets.dyads.streams.gender={kind: text, column: reply}",
    ]);
    assert_eq!(taken.code, 3, "{}", taken.stderr);
    assert!(taken.stderr.contains("its name is taken"), "{}", taken.stderr);
}

#[test]
fn items_that_lack_a_stream_are_counted_and_not_embedded() {
    let lab = lab();
    let outcome = lab.emorun(&["check", "dyads.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("2 of 8 items lack the stream `face`"), "{said}");
    let outcome = lab.emorun(&["embed", "dyads.yaml", "--node", "seen", "--out", "seen.safetensors"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let file = emorun_features::FeatureFile::open(&lab.path("seen.safetensors")).unwrap();
    let names: Vec<&str> = file.names().collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for at in [0, 2] {
        let (frames, values) = face(at);
        let means: Vec<f32> = (0..WIDTH)
            .map(|column| values.iter().skip(column).step_by(WIDTH).sum::<f32>() / frames as f32)
            .collect();
        let array = file.read(&format!("dyads/{at}.wav")).unwrap();
        for (mean, found) in means.iter().zip(array.values()) {
            assert!((mean - found).abs() < 1e-5, "{at}: {mean} {found}");
        }
    }
    let outcome = lab.emorun(&[
        "embed",
        "dyads.yaml",
        "--node",
        "seen",
        "--out",
        "x.safetensors",
        "corpus/0.wav",
    ]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("data.face"), "{}", outcome.stderr);
}

#[test]
fn what_takes_streams_is_tried_without_its_corpus() {
    let lab = lab();
    fs::remove_dir_all(lab.path("corpus")).unwrap();
    let outcome = lab.emorun(&["smoke", "dyads.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("generated, in the layout of manifest"),
        "{}",
        outcome.stdout
    );
}
