//! `emorun predict`: a trained run put to use on recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::features::tone;
use crate::support::{Lab, finished, wav};

/// A run on recordings of four people, in `runs/tiny/one`.
pub fn trained() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion\n".to_owned();
    for at in 0..16 {
        let (file, emotion) = (format!("{at}.wav"), ["angry", "sad"][at % 2]);
        lab.write(&format!("audio/{file}"), tone(8000, 300.0 + 170.0 * at as f64));
        table.push_str(&format!("{file},person{},{emotion}\n", at / 4));
    }
    lab.write("audio/all.csv", table);
    lab.write(
        "tones.yaml",
        "extends: crnn.yaml
datasets:
  synthetic: null
  speech: { kind: manifest, path: audio/all.csv }
split: { kind: by_speaker, validation: 0.25, test: 0.25 }
training: { epochs: 2 }
",
    );
    lab.run(&["tones.yaml", "--run-label", "one"]);
    lab
}

/// Rows of a table by the text of a column, as columns by name.
fn rows(text: &str, by: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    rows.into_iter().map(|row| (row[by].clone(), row)).collect()
}

#[test]
fn predictions_of_recordings_are_those_of_evaluation() {
    let lab = trained();
    let evaluated = fs::read_to_string(lab.path("runs/tiny/one/report/predictions.emotion.csv")).unwrap();
    let evaluated = rows(&evaluated, "path");
    let outcome = lab.emorun(&["predict", "runs/tiny/one", "audio", "--format", "csv"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let predicted = rows(&outcome.stdout, "file");
    assert_eq!(predicted.len(), 16);
    let mut compared = 0;
    for (file, row) in &predicted {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let Some((_, known)) = evaluated
            .iter()
            .find(|(item, _)| item.ends_with(&format!("/{name}")) || *item == name)
        else {
            continue;
        };
        compared += 1;
        assert_eq!(row["emotion"], known["predicted"], "{file}");
        for class in ["angry", "sad"] {
            let of = |text: &str| text.parse::<f32>().unwrap();
            let (found, known) = (of(&row[&format!("emotion.{class}")]), of(&known[&format!("p_{class}")]));
            assert!((found - known).abs() <= 1e-6, "{file} {class}: {found} is not {known}");
        }
    }
    assert!(compared >= 4, "{:?}", evaluated.keys());
}

#[test]
fn long_recordings_are_said_window_by_window_in_every_form() {
    let lab = trained();
    let second = |loud: f64| (0..8000).map(move |at| (loud * (at as f64 * 0.2).sin()) as i16);
    lab.write(
        "long.wav",
        wav(
            8000,
            second(9000.0)
                .chain(second(0.0))
                .chain(second(0.0))
                .chain(second(9000.0)),
        ),
    );
    let base = ["predict", "runs/tiny/one", "long.wav", "--window", "1", "--hop", "0.5"];
    let predict = |more: &[&str]| {
        let outcome = lab.emorun(&[&base, more].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    };
    let lines: Vec<Value> = predict(&["--format", "jsonl"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let starts: Vec<f64> = lines.iter().map(|line| line["start_s"].as_f64().unwrap()).collect();
    assert_eq!(starts, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    let silent: Vec<bool> = lines.iter().map(|line| line["silent"].as_bool().unwrap()).collect();
    assert_eq!(silent, [false, false, true, true, true, false, false]);
    for line in &lines {
        let probabilities = line["heads"]["emotion"]["probabilities"].as_object().unwrap();
        let sum: f64 = probabilities.values().map(|share| share.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{line}");
    }
    assert!(predict(&[]).contains("1.00–2.00  (silence)"));
    predict(&["--format", "audacity", "--out", "tracks"]);
    let track = fs::read_to_string(lab.path("tracks/long.emotion.txt")).unwrap();
    assert!(track.contains("\tsilence\n"), "{track}");
    assert!(track.lines().last().unwrap().contains("\t4.000000\t"), "{track}");
    predict(&["--format", "textgrid", "--out", "tracks"]);
    let grid = fs::read_to_string(lab.path("tracks/long.TextGrid")).unwrap();
    assert!(
        grid.starts_with("File type = \"ooTextFile\"\n") && grid.contains("text = \"silence\""),
        "{grid}"
    );
    let rttm = predict(&["--format", "rttm"]);
    assert!(
        rttm.lines().all(|line| line.starts_with("EMOTION long.wav 1 ")),
        "{rttm}"
    );
}

#[test]
fn recordings_that_cannot_be_used_are_named_and_the_others_done() {
    let lab = trained();
    lab.write("mixed/good.wav", tone(8000, 500.0));
    lab.write("mixed/broken.wav", "RIFF");
    lab.write("mixed/short.wav", wav(8000, (0..100).map(|at| at as i16)));
    let outcome = lab.emorun(&["predict", "runs/tiny/one", "mixed", "none.wav", "--format", "csv"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert_eq!(
        rows(&outcome.stdout, "file").keys().collect::<Vec<_>>(),
        ["mixed/good.wav"]
    );
    for part in ["3 recording(s)", "mixed/broken.wav", "mixed/short.wav", "none.wav"] {
        assert!(outcome.stderr.contains(part), "no `{part}` in {}", outcome.stderr);
    }
    let no_folder = lab.emorun(&["predict", "runs/tiny/one", "mixed/good.wav", "--format", "textgrid"]);
    assert_eq!(no_folder.code, 2, "{}", no_folder.stderr);
    let no_run = lab.emorun(&["predict", "mixed", "mixed/good.wav"]);
    assert_eq!(no_run.code, 2, "{}", no_run.stderr);
}

#[test]
fn recordings_are_named_by_patterns_and_come_on_stdin() {
    let lab = trained();
    let csv = |arguments: &[&str]| {
        let outcome = lab.emorun(&[&["predict", "runs/tiny/one", "--format", "csv"], arguments].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        rows(&outcome.stdout, "file")
    };
    let several = csv(&["audio/1?.wav"]);
    let names: Vec<&str> = several.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "audio/10.wav",
            "audio/11.wav",
            "audio/12.wav",
            "audio/13.wav",
            "audio/14.wav",
            "audio/15.wav"
        ]
    );
    let mut command = lab.command(&["predict", "runs/tiny/one", "-", "--format", "csv"]);
    command.stdin(fs::File::open(lab.path("audio/11.wav")).unwrap());
    let outcome = finished(&command.output().unwrap());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let from_stdin = rows(&outcome.stdout, "file");
    for class in ["angry", "sad"] {
        let column = format!("emotion.{class}");
        assert_eq!(from_stdin["-"][&column], several["audio/11.wav"][&column]);
    }
    let mut command = lab.command(&["predict", "runs/tiny/one", "-"]);
    command.stdin(fs::File::open(lab.path("audio/all.csv")).unwrap());
    let outcome = finished(&command.output().unwrap());
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("emorun-stdin"), "{}", outcome.stderr);
    let none = lab.emorun(&["predict", "runs/tiny/one", "audio/x*.wav"]);
    assert_eq!(none.code, 4, "{}", none.stderr);
    let twice = lab.emorun(&["predict", "runs/tiny/one", "-", "-"]);
    assert_eq!(twice.code, 2, "{}", twice.stderr);
}

#[test]
fn a_temperature_of_the_weights_in_use_makes_probabilities_as_sure_as_they_are_right() {
    let lab = trained();
    let path = lab.path("runs/tiny/one/report/evaluation.json");
    let mut evaluation: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let write = |evaluation: &Value| fs::write(&path, evaluation.to_string()).unwrap();
    evaluation["fits"]["emotion"]["temperature"] = serde_json::json!({ "value": 2.0, "items": 4 });
    write(&evaluation);
    let predicted = |model: &str| {
        let outcome = lab.emorun(&["predict", model, "audio/3.wav", "--format", "csv"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        rows(&outcome.stdout, "file")["audio/3.wav"].clone()
    };
    let row = predicted("runs/tiny/one");
    let of = |column: &str| row[column].parse::<f64>().unwrap();
    let (angry, sad) = (of("emotion.angry"), of("emotion.sad"));
    let calibrated = angry.sqrt() / (angry.sqrt() + sad.sqrt());
    assert!((of("emotion.angry.calibrated") - calibrated).abs() < 1e-6, "{row:?}");
    // A bundle holds it.
    let outcome = lab.emorun(&["bundle", "runs/tiny/one", "--out", "one.emorun"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(predicted("one.emorun"), row);
    // One that was fitted to other weights is none of these.
    let step = evaluation["run"]["weights"]["step"].as_u64().unwrap();
    evaluation["run"]["weights"]["step"] = (step + 1).into();
    write(&evaluation);
    assert!(!predicted("runs/tiny/one").contains_key("emotion.angry.calibrated"));
}

#[test]
fn every_form_that_is_decoded_is_found_in_a_folder() {
    let lab = trained();
    let golden = Path::new(crate::support::REPOSITORY).join("crates/audio/tests/golden");
    fs::create_dir(lab.path("mixed")).unwrap();
    fs::copy(golden.join("opus/celt_stereo.opus"), lab.path("mixed/a.opus")).unwrap();
    lab.write("mixed/b.WAV", tone(8000, 500.0));
    // What a Mac leaves beside it in an archive.
    lab.write("mixed/._b.WAV", "Mac OS X");
    lab.write("mixed/notes.txt", "no sound");
    let outcome = lab.emorun(&["predict", "runs/tiny/one", "mixed", "--format", "csv"]);
    let mut found: Vec<String> = rows(&outcome.stdout, "file").into_keys().collect();
    found.sort();
    assert_eq!(found, ["mixed/a.opus", "mixed/b.WAV"], "{}", outcome.stderr);
}
