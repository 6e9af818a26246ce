//! Features in files: `emorun embed` writes them, `precomputed` reads them, `emorun cache` keeps house.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use emorun_features::{Array, FeatureFile, FeatureWriter, Precision};
use serde_json::Value;

use crate::support::{Lab, Outcome, REPOSITORY, files, json, metrics, wav};

/// Features of a file by name.
fn read(path: &Path) -> BTreeMap<String, Array> {
    let file = FeatureFile::open(path).unwrap();
    file.names()
        .map(|name| (name.to_owned(), file.read(name).unwrap()))
        .collect()
}

pub fn write(path: &Path, features: &BTreeMap<String, Array>) {
    let mut writer = FeatureWriter::create(path, Precision::F32).unwrap();
    for (key, value) in features {
        writer.add(key, value).unwrap();
    }
    writer.finish(&BTreeMap::new()).unwrap();
}

/// What a node gives, by recording, as `emorun embed` writes it.
pub fn embed(lab: &Lab, from: &str, node: &str, out: &str, more: &[&str]) -> BTreeMap<String, Array> {
    let outcome = lab.emorun(&[&["embed", from], more, &["--node", node, "--out", out]].concat());
    assert_eq!(outcome.code, 0, "{node}: {}", outcome.stderr);
    read(&lab.path(out))
}

/// The small experiment with `mel` read from a file.
pub fn given_frames(lab: &Lab, fields: &str) {
    lab.write(
        "given.yaml",
        format!(
            "extends: crnn.yaml\nencoders:\n  mel: null\n  given: {{ kind: precomputed, {fields} }}\nblocks: {{ norm: {{ input: given }} }}\n"
        ),
    );
}

pub const FRAMES: &str = "path: mel.safetensors, width: 16, rate_hz: 50";

/// A head on vectors from a file.
const VECTORS: &str = "\
extends: crnn.yaml
encoders:
  mel: null
  crnn: null
  given: { kind: precomputed, path: vectors.safetensors, what: vector, width: 2 }
blocks: { norm: null, masked: null }
heads:
  emotion: null
  judge: { kind: mlp_classifier, input: given, target: data.emotion, hidden: [8] }
losses: { ce: { input: judge } }
";

#[test]
fn frames_that_were_embedded_train_like_the_node_that_gave_them() {
    let lab = Lab::new();
    let mel = embed(&lab, "crnn.yaml", "mel", "mel.safetensors", &[]);
    assert_eq!(mel.len(), 36);
    assert!(
        mel.values()
            .all(|frames| frames.shape().len() == 2 && frames.width() == 16)
    );
    given_frames(&lab, FRAMES);
    let again = embed(&lab, "given.yaml", "given", "again.safetensors", &[]);
    assert!(mel == again, "reading and writing again changes nothing");
    let computed = lab.run(&["crnn.yaml", "--run-label", "computed"]);
    let given = lab.run(&["given.yaml", "--run-label", "given"]);
    assert_eq!(metrics(&computed), metrics(&given));
}

#[test]
fn a_run_gives_its_logits_and_a_head_trains_on_them_as_vectors() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "one"]);
    let logits = embed(&lab, "runs/tiny/one", "emotion", "vectors.safetensors", &[]);
    // The weights of the final evaluation: its probabilities are the softmax of these logits.
    let mut table = csv::Reader::from_path(run.join("report/predictions.emotion.csv")).unwrap();
    let mut seen = 0;
    for row in table.records() {
        let row = row.unwrap();
        let scores = logits[&row[0]].values();
        let odds = f64::from(scores[1] - scores[0]).exp();
        let expected: f64 = row[row.len() - 1].parse().unwrap();
        assert!((odds / (1.0 + odds) - expected).abs() < 1e-4, "{row:?} {scores:?}");
        seen += 1;
    }
    assert_eq!((seen, logits.len()), (36, 36));
    lab.write("vectors.yaml", VECTORS);
    let again = embed(&lab, "vectors.yaml", "given", "again.safetensors", &[]);
    assert!(logits == again);
    let trained = lab.run(&["vectors.yaml", "--run-label", "two"]);
    assert_eq!(json(trained.join("run.json"))["status"], "completed");
    let half = embed(
        &lab,
        "runs/tiny/one",
        "emotion",
        "half.safetensors",
        &["--precision", "f16"],
    );
    for (key, whole) in &logits {
        assert_eq!(whole.rounded(Precision::F16).unwrap(), half[key], "{key}");
    }
}

/// Half a second of a tone at a rate.
pub fn tone(rate_hz: u32, pitch: f64) -> Vec<u8> {
    let sample = |at: u32| {
        let phase = f64::from(at) * pitch / f64::from(rate_hz);
        (8000.0 * phase.sin()) as i16
    };
    wav(rate_hz, (0..rate_hz / 2).map(sample))
}

#[test]
fn stacks_of_a_frozen_encoder_are_embedded_read_and_kept() {
    let lab = Lab::new();
    let weights = Path::new(REPOSITORY).join("tests/golden/encoders/hubert_base");
    let hubert = |fields: &str| {
        format!(
            "extends: crnn.yaml\nsample_rate_hz: 16000\ndatasets: {{ synthetic: {{ speakers: 4 }} }}\nencoders:\n  mel: null\n  crnn: null\n  hubert: {{ {fields} }}\nblocks:\n  norm: null\n  masked: null\n  sum: {{ kind: weighted_sum, input: hubert }}\nheads: {{ emotion: {{ input: sum }} }}\n"
        )
    };
    lab.write(
        "hubert.yaml",
        hubert(&format!(
            "kind: hubert, input: data.audio, weights: {}, output: all",
            weights.display()
        )),
    );
    let stacks = embed(&lab, "hubert.yaml", "hubert", "stacks.safetensors", &[]);
    assert_eq!(stacks.len(), 24);
    let [layers, _, width] = *stacks.values().next().unwrap().shape() else {
        panic!("no stack");
    };
    lab.write(
        "given.yaml",
        hubert(&format!(
            "kind: precomputed, path: stacks.safetensors, what: stack, layers: {layers}, width: {width}, rate_hz: 50"
        )),
    );
    assert!(stacks == embed(&lab, "given.yaml", "hubert", "again.safetensors", &[]));
    let computed = lab.run(&["hubert.yaml", "--run-label", "computed"]);
    let given = lab.run(&["given.yaml", "--run-label", "given"]);
    assert_eq!(metrics(&computed), metrics(&given));

    // What was kept meanwhile, and what is left of it.
    let stats = |arguments: &[&str]| -> Value {
        let outcome = lab.emorun(&[&["cache"], arguments, &["--format", "json"]].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    };
    let kept = stats(&[]);
    assert_eq!(kept["by_origin"].as_array().unwrap().len(), 1);
    let origin = &kept["by_origin"][0];
    assert_eq!(
        (&origin["encoder"], &origin["dataset"]),
        (&"hubert".into(), &"synthetic".into())
    );
    assert_eq!((&origin["entries"], &kept["entries"]), (&24.into(), &24.into()));
    assert!(kept["oldest_use"].is_string() && kept["removed"].is_null());
    let human = lab.emorun(&["cache", "stats"]);
    assert!(
        human.stdout.contains("hubert") && human.stdout.contains("synthetic"),
        "{}",
        human.stdout
    );
    // Room for half of it.
    let gib = kept["bytes"].as_f64().unwrap() / 2.0 / f64::from(1 << 30);
    let half = stats(&["gc", "--limit-gib", &gib.to_string()]);
    let left = half["entries"].as_u64().unwrap();
    assert!((1..24).contains(&left), "{half}");
    assert_eq!(half["removed"]["entries"].as_u64().unwrap(), 24 - left);
    assert_eq!(stats(&["gc", "--limit-gib", "0"])["entries"], 0);
    assert_eq!(lab.emorun(&["cache", "stats", "--limit-gib", "1"]).code, 2);
    assert_eq!(lab.emorun(&["cache", "gc", "--limit-gib", "-1"]).code, 2);
}

#[test]
fn recordings_of_any_rate_are_embedded_under_the_paths_given() {
    let lab = Lab::new();
    let rates = [("anna", 8000), ("ben", 16_000), ("carl", 44_100), ("dora", 22_050)];
    let mut table = "path,speaker,emotion\n".to_owned();
    let mut given = Vec::new();
    for (at, (name, rate_hz)) in rates.into_iter().enumerate() {
        for (emotion, pitch) in [("angry", 2000.0), ("neutral", 900.0)] {
            let file = format!("{name}_{emotion}.wav");
            lab.write(&format!("audio/{file}"), tone(rate_hz, pitch + 10.0 * at as f64));
            table.push_str(&format!("{file},{name},{emotion}\n"));
            given.push(format!("audio/{file}"));
        }
    }
    lab.write("audio/all.csv", table);
    lab.write(
        "files.yaml",
        "extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: { kind: manifest, path: audio/all.csv }\n",
    );
    let corpus = embed(&lab, "files.yaml", "mel", "corpus.safetensors", &[]);
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let alone = embed(&lab, "crnn.yaml", "mel", "mel.safetensors", &given);
    assert_eq!(alone.keys().map(String::as_str).collect::<Vec<_>>(), given);
    assert_eq!(
        corpus.into_values().collect::<Vec<_>>(),
        alone.values().cloned().collect::<Vec<_>>(),
        "a recording's features do not depend on how it is named"
    );
    // Half a second at 50 frames a second, centred.
    assert!(alone.values().all(|mel| mel.shape() == [26, 16]));
    // Named by their paths, they are found again for the corpus and for the files.
    lab.write(
        "given.yaml",
        format!(
            "extends: files.yaml\nencoders:\n  mel: null\n  given: {{ kind: precomputed, {FRAMES} }}\nblocks: {{ norm: {{ input: given }} }}\n"
        ),
    );
    let again = embed(&lab, "given.yaml", "given", "again.safetensors", &[]);
    assert!(again.values().eq(alone.values()));
    assert!(alone == embed(&lab, "given.yaml", "given", "files.safetensors", &given));
}

#[test]
fn a_run_is_used_where_neither_its_corpora_nor_its_noise_are_any_more() {
    let lab = Lab::new();
    let mut table = "path,speaker,mood\n".to_owned();
    for at in 0..12 {
        let (file, mood) = (format!("{at}.wav"), ["calm", "loud", "sad"][at % 3]);
        lab.write(&format!("audio/{file}"), tone(8000, 300.0 + 170.0 * at as f64));
        table.push_str(&format!("{file},person{},{mood}\n", at / 3));
    }
    lab.write("audio/all.csv", table);
    lab.write("noise/hum.wav", tone(8000, 60.0));
    lab.write(
        "moods.yaml",
        "extends: crnn.yaml
datasets:
  synthetic: null
  speech: { kind: manifest, path: audio/all.csv, labels: [mood] }
split: { kind: by_speaker, validation: 0.25, test: 0.25 }
augmentations:
  noise: { kind: background_noise, root: noise, snr_db: [5, 20], p: 0.5 }
heads: { emotion: { target: data.mood } }
training: { epochs: 1 }
",
    );
    lab.run(&["moods.yaml", "--run-label", "one"]);
    let given = ["audio/3.wav", "audio/7.wav"];
    let with = embed(&lab, "runs/tiny/one", "emotion", "with.safetensors", &given);
    assert_eq!(with["audio/3.wav"].shape(), [3]);
    let corpus = embed(&lab, "runs/tiny/one", "emotion", "corpus.safetensors", &[]);
    assert!(with.values().all(|own| corpus.values().any(|given| given == own)));
    fs::create_dir(lab.path("elsewhere")).unwrap();
    fs::rename(lab.path("audio/3.wav"), lab.path("elsewhere/3.wav")).unwrap();
    fs::remove_dir_all(lab.path("audio")).unwrap();
    fs::remove_dir_all(lab.path("noise")).unwrap();
    let without = embed(&lab, "runs/tiny/one", "emotion", "without.safetensors", &["elsewhere"]);
    assert!(without.values().eq([&with["audio/3.wav"]]));
    let of_corpus = lab.emorun(&[
        "embed",
        "runs/tiny/one",
        "--node",
        "emotion",
        "--out",
        "all.safetensors",
    ]);
    assert_refused("its corpora", &of_corpus, 4, &["audio/all.csv"]);
}

fn assert_refused(name: &str, outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{name}: {}", outcome.stderr);
    for part in parts {
        assert!(
            outcome.stderr.contains(part),
            "{name}: no `{part}` in {}",
            outcome.stderr
        );
    }
}

/// A table of requests and what is said of each, on one run.
#[test]
fn what_cannot_be_embedded_is_refused_with_the_reason() {
    let lab = Lab::new();
    lab.write("text.wav", "This is no audio.\n");
    lab.write("tone.wav", tone(8000, 900.0));
    lab.write("there.safetensors", "mine");
    lab.run(&[
        "crnn.yaml",
        "--run-label",
        "seeds",
        "--set",
        "training.seeds=[1, 2]",
        "--set",
        "training.epochs=1",
    ]);
    let before = files(&lab.path("."));
    let cases: [(&str, i32, &[&str], &[&str]); 14] = [
        (
            "missing file",
            4,
            &["crnn.yaml", "nowhere.wav", "--node", "mel"],
            &["nowhere.wav"],
        ),
        (
            "corrupt file",
            4,
            &["crnn.yaml", "text.wav", "--node", "mel"],
            &["text.wav"],
        ),
        (
            "unknown node",
            2,
            &["crnn.yaml", "--node", "mell"],
            &["there is no node `mell`; did you mean `mel`?"],
        ),
        (
            "unknown port",
            2,
            &["crnn.yaml", "--node", "mel.x"],
            &["`mel` has no output `x`"],
        ),
        (
            "a loss",
            2,
            &["crnn.yaml", "--node", "ce"],
            &["scalar, which is no feature"],
        ),
        (
            "a dataset",
            2,
            &["crnn.yaml", "--node", "synthetic"],
            &["nodes with features are"],
        ),
        (
            "weights without a run",
            2,
            &["crnn.yaml", "--node", "emotion"],
            &["`crnn` trains", "directory of a run"],
        ),
        (
            "statistics without a run",
            2,
            &["crnn.yaml", "--node", "norm"],
            &["`norm` takes statistics"],
        ),
        (
            "out there",
            5,
            &["crnn.yaml", "--node", "mel", "--out", "there.safetensors"],
            &["exists already"],
        ),
        (
            "out of another format",
            2,
            &["crnn.yaml", "--node", "mel", "--out", "a.npz"],
            &["must end in .safetensors"],
        ),
        (
            "out in no folder",
            7,
            &["crnn.yaml", "--node", "mel", "--out", "no/a.safetensors"],
            &["no/a.safetensors"],
        ),
        (
            "several members",
            2,
            &["runs/tiny/seeds", "--node", "mel"],
            &["2 members", "runs/tiny/seeds/seed-1"],
        ),
        ("no run", 2, &["runs", "--node", "mel"], &["no run.json"]),
        (
            "a file twice",
            2,
            &["crnn.yaml", "tone.wav", "tone.wav", "--node", "mel"],
            &["tone.wav is given twice"],
        ),
    ];
    for (name, code, arguments, parts) in cases {
        let out: &[&str] = if arguments.contains(&"--out") {
            &[]
        } else {
            &["--out", "new.safetensors"]
        };
        let outcome = lab.emorun(&[&["embed"], arguments, out].concat());
        assert_refused(name, &outcome, code, parts);
    }
    assert_eq!(files(&lab.path(".")), before, "nothing is left behind");
    assert_eq!(fs::read(lab.path("there.safetensors")).unwrap(), b"mine");
    // A member of the same run has weights.
    embed(&lab, "runs/tiny/seeds/seed-2", "crnn", "new.safetensors", &["tone.wav"]);
}

/// A table of files and what is said of each, on one experiment.
#[test]
fn features_that_do_not_fit_are_found_before_training() {
    let lab = Lab::new();
    let mel = embed(&lab, "crnn.yaml", "mel", "mel.safetensors", &[]);
    let (last, frames) = mel
        .last_key_value()
        .map(|(key, frames)| (key.clone(), frames.clone()))
        .unwrap();
    let mut fewer = mel.clone();
    fewer.remove(&last);
    write(&lab.path("fewer.safetensors"), &fewer);
    let mut other = mel.clone();
    other.insert(last.clone(), Array::new([2, 3], vec![0.0; 6]).unwrap());
    write(&lab.path("other.safetensors"), &other);
    let mut nan = mel.clone();
    let mut values = frames.values().to_vec();
    values[5] = f32::NAN;
    nan.insert(last.clone(), Array::new(frames.shape(), values).unwrap());
    write(&lab.path("nan.safetensors"), &nan);
    let whole = fs::read(lab.path("mel.safetensors")).unwrap();
    lab.write("cut.safetensors", &whole[..whole.len() / 2]);
    lab.write("empty/readme.txt", "nothing\n");
    let cases: [(&str, i32, &str, &[&str]); 11] = [
        (
            "no such file",
            4,
            "path: nowhere, width: 16, rate_hz: 50",
            &["nowhere", "help: give a folder"],
        ),
        (
            "no features",
            4,
            "path: empty, width: 16, rate_hz: 50",
            &["no .npy or .safetensors"],
        ),
        (
            "a cut file",
            4,
            "path: cut.safetensors, width: 16, rate_hz: 50",
            &["cut.safetensors", "damaged"],
        ),
        (
            "an item without",
            4,
            "path: fewer.safetensors, width: 16, rate_hz: 50",
            &["1 of 36 items", &last, "help: name"],
        ),
        (
            "two forms",
            4,
            "path: other.safetensors, width: 16, rate_hz: 50",
            &["[2, 3]", &last],
        ),
        (
            "another width",
            4,
            "path: mel.safetensors, width: 17, rate_hz: 50",
            &["width: 17", "frames 16 wide, not the frames 17"],
        ),
        ("no rate", 3, "path: mel.safetensors, width: 16", &["rate_hz"]),
        (
            "a rate for vectors",
            3,
            "path: mel.safetensors, what: vector, width: 16, rate_hz: 50",
            &["rate_hz"],
        ),
        (
            "layers for frames",
            3,
            "path: mel.safetensors, width: 16, rate_hz: 50, layers: 2",
            &["layers"],
        ),
        (
            "no layers",
            3,
            "path: mel.safetensors, what: stack, width: 16, rate_hz: 50",
            &["layers"],
        ),
        ("no width", 3, "path: mel.safetensors, rate_hz: 50", &["width"]),
    ];
    for (name, code, fields, parts) in cases {
        given_frames(&lab, fields);
        let outcome = lab.emorun(&["check", "given.yaml"]);
        assert_refused(name, &outcome, code, parts);
        let structure = lab.emorun(&["check", "given.yaml", "--structure"]);
        let expected = if code == 4 { 0 } else { 3 };
        assert_eq!(structure.code, expected, "{name}: {}", structure.stderr);
    }
    lab.write(
        "vectors.yaml",
        VECTORS.replace("vectors.safetensors", "mel.safetensors"),
    );
    let parts = ["what: vector", "frames 16 wide, not the vectors 2 wide"];
    assert_refused("another form", &lab.emorun(&["check", "vectors.yaml"]), 4, &parts);
    given_frames(&lab, "path: nan.safetensors, width: 16, rate_hz: 50");
    assert_eq!(lab.emorun(&["check", "given.yaml"]).code, 0);
    assert_refused(
        "not a number",
        &lab.emorun(&["given.yaml"]),
        4,
        &["nan.safetensors", &last, "NaN"],
    );
    given_frames(&lab, "path: mel.safetensors, width: 16, rate_hz: 100");
    let outcome = lab.emorun(&["check", "given.yaml"]);
    assert_refused("another rate", &outcome, 0, &["warning", "not the 100 declared"]);
}

#[test]
fn folders_are_embedded_whole_and_a_file_is_replaced_when_asked() {
    let lab = Lab::new();
    for name in ["b/two.wav", "b/one.WAV", "b/deeper/three.wav", "b/notes.txt"] {
        lab.write(name, tone(8000, 440.0));
    }
    let found = embed(&lab, "crnn.yaml", "mel", "x.safetensors", &["b"]);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["b/deeper/three.wav", "b/one.WAV", "b/two.wav"]
    );
    let again = [
        "embed",
        "crnn.yaml",
        "b/two.wav",
        "--node",
        "mel",
        "--out",
        "x.safetensors",
    ];
    let refused = lab.emorun(&again);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("replace it with --force"), "{}", refused.stderr);
    assert_eq!(lab.emorun(&[&again[..], &["--force"]].concat()).code, 0);
    assert_eq!(read(&lab.path("x.safetensors")).len(), 1);
    lab.write("empty/notes.txt", "");
    let empty = lab.emorun(&["embed", "crnn.yaml", "empty", "--node", "mel", "--out", "y.safetensors"]);
    assert_eq!(empty.code, 4, "{}", empty.stderr);
    assert!(empty.stderr.contains("empty holds no recording"), "{}", empty.stderr);
}
