//! Features that a manifest names, that are kept in memory, and that change under a run.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use emorun_data::{AudioSource, Item};
use emorun_engine::feed::augment::{Strengths, Version};
use emorun_engine::feed::host::{HostParts, HostPipeline, HostStep, ItemValues};
use emorun_features::{Array, Common, FeatureFile, FeatureSource, FeatureWriter, Precision};
use emorun_nn::draw::DrawKey;
use emorun_nn::host::ItemFeatures;
use emorun_nn::value::PortId;

use crate::support::{Lab, assert_same_run, json, kill};

const SPEAKERS: [&str; 4] = ["anna", "ben", "carl", "dora"];

/// A `.npy` file of float32.
fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape:?}, }}")
        .replace('[', "(")
        .replace(']', ",)");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A quarter of a second of a tone.
fn tone(pitch: f64) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for at in 0..2000 {
        let sample = (f64::from(at) * pitch / 8000.0).sin();
        writer.write_sample((8000.0 * sample) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// The vector of a recording, by its number.
fn vector(at: usize) -> Vec<f32> {
    let side = if at.is_multiple_of(2) { 1.0 } else { -1.0 };
    vec![side, 0.1 * at as f32, -side]
}

/// A corpus whose table, in a folder of its own, names a file of features for each recording: half of
/// them `.npy`, half `.safetensors`.
fn lab() -> Lab {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion,vectors,sparse,gone\n".to_owned();
    for (at, (speaker, emotion)) in SPEAKERS
        .iter()
        .flat_map(|speaker| [(speaker, "angry"), (speaker, "neutral")])
        .enumerate()
    {
        lab.write(
            &format!("audio/{speaker}/{emotion}.wav"),
            tone(900.0 + 100.0 * at as f64),
        );
        // Named by numbers: nothing but the table tells whose they are.
        let file = if at % 4 < 2 {
            lab.write(&format!("tables/features/{at}.npy"), npy(&[3], &vector(at)));
            format!("features/{at}.npy")
        } else {
            let path = lab.path(format!("tables/features/{at}.safetensors"));
            let mut writer = FeatureWriter::create(&path, Precision::F32).unwrap();
            writer.add("anything", &Array::new([3], vector(at)).unwrap()).unwrap();
            writer.finish(&Default::default()).unwrap();
            path.display().to_string()
        };
        let sparse = if at == 5 { "" } else { &file };
        let gone = if at == 2 { "features/gone.npy" } else { &file };
        table.push_str(&format!(
            "{speaker}/{emotion}.wav,{speaker},{emotion},{file},{sparse},{gone}\n"
        ));
    }
    lab.write("tables/all.csv", table);
    given(&lab, "column: vectors");
    lab
}

/// The experiment on the corpus with the features given in a way.
fn given(lab: &Lab, fields: &str) {
    lab.write(
        "given.yaml",
        format!(
            "\
extends: crnn.yaml
datasets:
  synthetic: null
  speech: {{ kind: manifest, path: tables/all.csv, root: audio }}
split: {{ kind: by_speaker, validation: 0.25, test: 0.25 }}
encoders:
  mel: null
  crnn: null
  given: {{ kind: precomputed, what: vector, width: 3, {fields} }}
blocks: {{ norm: null, masked: null }}
heads:
  emotion: null
  judge: {{ kind: mlp_classifier, input: given, target: data.emotion, hidden: [8] }}
losses: {{ ce: {{ input: judge }} }}
training: {{ epochs: 40, batch_size: 2 }}
"
        ),
    );
}

#[test]
fn a_column_of_the_table_names_the_features_of_each_recording() {
    let lab = lab();
    let outcome = lab.emorun(&["embed", "given.yaml", "--node", "given", "--out", "again.safetensors"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let file = FeatureFile::open(&lab.path("again.safetensors")).unwrap();
    for (at, (speaker, emotion)) in SPEAKERS
        .iter()
        .flat_map(|speaker| [(speaker, "angry"), (speaker, "neutral")])
        .enumerate()
    {
        let array = file.read(&format!("speech/{speaker}/{emotion}.wav")).unwrap();
        assert_eq!(array.values(), vector(at), "{speaker} {emotion}");
    }
    let run = lab.run(&["given.yaml", "--run-label", "one"]);
    assert_eq!(json(run.join("summary.json"))["status"], "completed");
}

#[test]
fn a_column_that_cannot_be_read_is_refused_with_its_line() {
    let lab = lab();
    let cases: [(&str, i32, &[&str]); 6] = [
        (
            "column: vector",
            4,
            &[
                "tables/all.csv",
                "no column `vector`; it has `path`",
                "did you mean `vectors`?",
            ],
        ),
        (
            "column: sparse",
            4,
            &["tables/all.csv\", line 7: column `sparse` is empty"],
        ),
        (
            "column: gone",
            4,
            &[
                "line 4: column `gone` names",
                "tables/features/gone.npy",
                "which is no file",
            ],
        ),
        ("column: path", 4, &["line 2: column `path` names", "which is no file"]),
        ("column: vectors, path: tables/features", 3, &["one of them"]),
        ("layers: null", 3, &["one of them"]),
    ];
    for (fields, code, parts) in cases {
        given(&lab, fields);
        let outcome = lab.emorun(&["check", "given.yaml"]);
        assert_eq!(outcome.code, code, "{fields}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{fields}: {}", outcome.stderr);
        for part in parts {
            assert!(
                outcome.stderr.contains(part),
                "{fields}: no `{part}` in {}",
                outcome.stderr
            );
        }
    }
    // The width, and whose file it is, are checked as everywhere.
    given(&lab, "column: vectors");
    lab.write("tables/features/4.npy", npy(&[2], &[0.0, 0.0]));
    let outcome = lab.emorun(&["check", "given.yaml"]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("4.npy"), "{}", outcome.stderr);
    // A corpus without a table has no columns.
    let synthetic = "datasets.more={kind: synthetic, speakers: 4, emotions: [neutral, angry]}";
    given(&lab, "column: vectors");
    lab.write("tables/features/4.npy", npy(&[3], &vector(4)));
    let outcome = lab.emorun(&["check", "given.yaml", "--set", synthetic]);
    assert_eq!(outcome.code, 4, "{}", outcome.stderr);
    let expected = "dataset `more` is of kind `synthetic`, which has no table and thus no column `vectors`";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

#[test]
fn a_run_whose_features_have_changed_is_not_resumed() {
    let lab = lab();
    let whole = lab.run(&["given.yaml", "--run-label", "whole"]);
    let run = lab.path("runs/tiny/cut");
    kill(lab.start_until(&["given.yaml", "--run-label", "cut"], &run.join("metrics.jsonl"), 11));
    let recorded = json(run.join("run.json"))["files"]["given"].clone();
    assert_eq!(recorded.as_str().map(str::len), Some(64));
    let feature = lab.path("tables/features/4.npy");
    let before = fs::read(&feature).unwrap();
    let mut values = vector(4);
    values[1] += 0.001;
    fs::write(&feature, npy(&[3], &values)).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    let expected = "the files that `given` reads have changed since";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    // The same values in another file of another date are the same features.
    fs::write(&feature, before).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_same_run(&whole, &run);
    // Also where the run is a parent of several.
    let seeds = "training.seeds=[1, 2]";
    let parent = lab.path("runs/tiny/seeds");
    let metrics = parent.join("seed-1/metrics.jsonl");
    kill(lab.start_until(&["given.yaml", "--run-label", "seeds", "--set", seeds], &metrics, 11));
    fs::write(&feature, npy(&[3], &values)).unwrap();
    let outcome = lab.emorun(&["resume", "runs/tiny/seeds"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
}

fn item(key: &str) -> Item {
    Item {
        key: key.into(),
        dataset: "d".into(),
        audio: AudioSource::File {
            path: "none.wav".into(),
            segment: None,
            channel: Default::default(),
        },
        speaker: "d/1".into(),
        groups: Default::default(),
        labels: Default::default(),
        attributes: Default::default(),
        soft_labels: Default::default(),
        values: Default::default(),
        text: None,
        streams: Default::default(),
        split: None,
        duration_s: 1.0,
        content: None,
        part_content: None,
        stamp: None,
    }
}

#[test]
fn features_are_read_once_also_beside_augmentation_within_the_memory_given() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str| place.path().join(name);
    for name in ["a.npy", "b.npy"] {
        fs::write(file(name), npy(&[2, 3], &[0.5; 6])).unwrap();
    }
    let pipeline = |folder: &Path, bytes: usize| {
        let output = PortId::new("given", "");
        let op = Box::new(ItemFeatures {
            source: Arc::new(FeatureSource::scan(folder).unwrap()),
            declared: Common {
                axes: 2,
                layers: None,
                width: 3,
            },
        });
        let parts = HostParts {
            steps: vec![HostStep {
                input: None,
                output: output.clone(),
                op,
                keeping: None,
            }],
            wanted: vec![output],
            ..HostParts::default()
        };
        HostPipeline::new(8000, parts, bytes)
    };
    let items = ["d/a.wav", "d/b.wav"].map(item);
    let epoch = |at: u64| Version::Augmented {
        key: DrawKey::root(at),
        view: None,
        strengths: Strengths::default(),
    };
    // Room for one of the two, for one and some of the other, and for both.
    for (bytes, room) in [(0, 0), (24, 1), (47, 1), (48, 2)] {
        fs::write(file("b.npy"), npy(&[2, 3], &[0.5; 6])).unwrap();
        fs::write(file("a.npy"), npy(&[2, 3], &[0.5; 6])).unwrap();
        let pipeline = pipeline(place.path(), bytes);
        let first: Vec<_> = items
            .iter()
            .map(|item| pipeline.values(item, &epoch(0)).unwrap())
            .collect();
        for name in ["a.npy", "b.npy"] {
            fs::remove_file(file(name)).unwrap();
        }
        let again: Vec<_> = items.iter().map(|item| pipeline.values(item, &epoch(1))).collect();
        assert_eq!(
            again.iter().filter(|values| values.is_ok()).count(),
            room,
            "{bytes} bytes"
        );
        for (first, again) in first.iter().zip(&again) {
            if let Ok(again) = again {
                let values = |values: &ItemValues| values.wanted[0].as_ref().unwrap().values().to_vec();
                assert_eq!(values(first), values(again));
            }
        }
    }
}
