//! What a user reads when something is wrong: one clear error, and the exit code that says of what
//! kind it is.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Lab, REPOSITORY, assert_same_run, files, finished, json, kill, metrics};

/// A lab with corpora that are wrong in one way each.
fn lab() -> Lab {
    let lab = Lab::new();
    for (name, dataset, split) in [
        ("missing_root", "{ kind: emodb, root: nowhere }", None),
        ("empty_folder", "{ kind: emodb, root: empty }", None),
        ("text_as_wav", "{ kind: manifest, path: text/all.csv }", None),
        ("truncated_wav", "{ kind: manifest, path: truncated/all.csv }", None),
        ("unknown_label", "{ kind: manifest, path: label/all.csv }", None),
        (
            "unknown_emotion",
            "{ kind: synthetic, emotions: [neutral, hapy] }",
            None,
        ),
        ("one_speaker", "{ kind: synthetic, speakers: 1 }", None),
        (
            "absent_class",
            "{ kind: manifest, path: absent/all.csv }",
            Some("{ kind: fixed, from: column }"),
        ),
    ] {
        let split = split.map_or_else(String::new, |split| format!("split: {split}\n"));
        lab.write(
            &format!("{name}.yaml"),
            format!("extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: {dataset}\n{split}"),
        );
    }
    fs::create_dir(lab.path("empty")).unwrap();
    let speakers = ["anna", "ben", "carl", "dora"];
    let manifest = |folder: &str, row: &dyn Fn(usize) -> (&'static str, &'static str)| {
        let mut table = "path,speaker,emotion,split\n".to_owned();
        for (at, speaker) in speakers.iter().enumerate() {
            let (emotion, split) = row(at);
            table.push_str(&format!("{speaker}.wav,{speaker},{emotion},{split}\n"));
            lab.write(&format!("{folder}/{speaker}.wav"), tone(at));
        }
        lab.write(&format!("{folder}/all.csv"), table);
    };
    let half = |at: usize| if at < 2 { "neutral" } else { "angry" };
    manifest("text", &|at| (half(at), "train"));
    lab.write("text/carl.wav", "This is no audio, whatever its name says.\n");
    manifest("truncated", &|at| (half(at), "train"));
    let whole = tone(2);
    lab.write("truncated/carl.wav", &whole[..whole.len() / 2]);
    manifest("label", &|at| (if at == 2 { "hapy" } else { half(at) }, "train"));
    manifest("absent", &|at| (half(at), if at < 2 { "train" } else { "test" }));
    checkpoints(&lab);
    lab.write(
        "syntax.yaml",
        "name: broken\ndatasets: { synthetic: { kind: synthetic }\nseed: 1\n",
    );
    lab.write(
        "only.yaml",
        "extends: hubert.yaml\naugmentations:\n  gain: { only: [synthetic, sinthetic] }\n  any: { kind: one_of, of: [noise], only: [ravdess] }\n",
    );
    lab.write(
        "several.yaml",
        "extends: crnn.yaml\nseeed: 3\nencoders:\n  crnn: { input: maskd }\ntraining: { epochs: -1 }\n",
    );
    lab.write(
        "sweep.yaml",
        "name: sweep\nruns:\n  - { label: good, experiment: crnn.yaml }\n  - { label: bad, experiment: crnn.yaml, set: { training.epochs: none } }\n",
    );
    lab.write(
        "labels.yaml",
        "name: labels\nruns: [{ label: entries, experiment: crnn.yaml }]\n",
    );
    lab
}

/// Checkpoints that are wrong in one way each, and experiments on them.
fn checkpoints(lab: &Lab) {
    let golden = Path::new(REPOSITORY).join("tests/golden/encoders");
    let whole = fs::read(golden.join("hubert_base/model.safetensors")).unwrap();
    let config = fs::read_to_string(golden.join("hubert_base/config.json")).unwrap();
    let pickle = fs::read(Path::new(REPOSITORY).join("crates/weights/tests/golden/attack_zip.pt")).unwrap();
    let without = |name: &str| {
        let text = String::from_utf8_lossy(&whole[8..]).into_owned();
        let at = 8 + text.find(name).unwrap();
        let mut bytes = whole.clone();
        bytes[at] = b'X';
        bytes
    };
    let mut not_a_number = whole.clone();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for number in not_a_number[8 + header..].chunks_exact_mut(4) {
        number.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let weights: [(&str, &str, &str, Vec<u8>); 7] = [
        (
            "truncated",
            &config,
            "model.safetensors",
            whole[..whole.len() / 2].to_vec(),
        ),
        (
            "renamed",
            &config,
            "model.safetensors",
            without("encoder.layers.1.final_layer_norm.bias"),
        ),
        ("nan", &config, "model.safetensors", not_a_number),
        ("pickle", &config, "pytorch_model.bin", pickle),
        ("no_config", "", "model.safetensors", whole.clone()),
        (
            "contradiction",
            &config.replace("\"num_attention_heads\": 4", "\"num_attention_heads\": 5"),
            "model.safetensors",
            whole.clone(),
        ),
        (
            "wider",
            &config.replace("\"hidden_size\": 16", "\"hidden_size\": 32"),
            "model.safetensors",
            whole.clone(),
        ),
    ];
    for (name, config, file, bytes) in weights {
        if !config.is_empty() {
            lab.write(&format!("weights/{name}/config.json"), config);
        }
        lab.write(&format!("weights/{name}/{file}"), bytes);
    }
    lab.write("weights/whole/config.json", &config);
    lab.write("weights/whole/model.safetensors", &whole);
    for (name, kind, weights) in [
        ("weights_truncated", "hubert", "weights/truncated"),
        ("weights_renamed", "hubert", "weights/renamed"),
        ("weights_nan", "hubert", "weights/nan"),
        ("weights_pickle", "hubert", "weights/pickle"),
        ("weights_no_config", "hubert", "weights/no_config"),
        ("weights_contradiction", "hubert", "weights/contradiction"),
        ("weights_wider", "hubert", "weights/wider"),
        ("weights_missing", "hubert", "./nowhere"),
        ("weights_other", "wavlm", "weights/whole"),
        ("weights_not_cached", "hubert", "facebok/hubert"),
        ("weights_form", "hubert", "hubert base"),
    ] {
        lab.write(
            &format!("{name}.yaml"),
            format!(
                "extends: hubert.yaml\nencoders:\n  hubert: null\n  speech: {{ kind: {kind}, input: data.audio, weights: {weights} }}\nheads: {{ emotion: {{ input: speech }} }}\n"
            ),
        );
    }
}

/// A WAV file of a second of a tone, each another.
fn tone(number: usize) -> Vec<u8> {
    tone_of(number, 1)
}

fn tone_of(number: usize, seconds: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for at in 0..8000 * seconds {
        let phase = f64::from(at) * 0.1 * (1.0 + number as f64 * 0.13);
        writer.write_sample((8000.0 * phase.sin()) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn a_number_that_no_model_has_is_named_with_its_file_and_key() {
    let lab = Lab::new();
    let golden = Path::new(REPOSITORY).join("tests/golden/encoders/hubert_large");
    let config = fs::read_to_string(golden.join("config.json")).unwrap();
    lab.write(
        "wrong.yaml",
        "extends: hubert.yaml\nencoders:\n  hubert: null\n  speech: { kind: hubert, input: data.audio, weights: weights/wrong }\nheads: { emotion: { input: speech } }\n",
    );
    for (right, wrong, told) in [
        (
            "\"hidden_dropout\": 0.0",
            "\"hidden_dropout\": 1.5",
            "`hidden_dropout` is 1.5; it must be a probability",
        ),
        (
            "\"layer_norm_eps\": 1e-05",
            "\"layer_norm_eps\": -1e-05",
            "`layer_norm_eps` is -0.00001; it must be a number above 0",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 9000000000",
            "`num_hidden_layers` is 9000000000; it must be",
        ),
        (
            "\"intermediate_size\": 24",
            "\"intermediate_size\": 65536",
            "but its config.json asks for",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 512",
            "tensors are missing",
        ),
    ] {
        assert!(config.contains(right), "{right}");
        lab.write("weights/wrong/config.json", config.replace(right, wrong));
        lab.write(
            "weights/wrong/model.safetensors",
            fs::read(golden.join("model.safetensors")).unwrap(),
        );
        let outcome = lab.emorun(&["check", "wrong.yaml", "--deep"]);
        assert!(
            [3, 4].contains(&outcome.code),
            "{wrong}: {} {}",
            outcome.code,
            outcome.stderr
        );
        assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("config.json") || told.contains("missing"),
            "{}",
            outcome.stderr
        );
    }
}

/// Arguments, exit code and name of the snapshot of stderr.
const CASES: [(&str, i32, &[&str]); 37] = [
    ("missing_root", 4, &["missing_root.yaml"]),
    ("empty_folder", 4, &["empty_folder.yaml"]),
    ("text_as_wav", 4, &["text_as_wav.yaml"]),
    ("truncated_wav", 4, &["truncated_wav.yaml"]),
    ("unknown_label", 3, &["unknown_label.yaml"]),
    ("unknown_emotion", 3, &["unknown_emotion.yaml"]),
    ("one_speaker", 3, &["one_speaker.yaml"]),
    ("absent_class", 3, &["absent_class.yaml"]),
    ("runs_below_a_file", 7, &["crnn.yaml", "--runs", "crnn.yaml/runs"]),
    (
        "runs_where_nothing_can_be_created",
        7,
        &["crnn.yaml", "--runs", "/proc/emorun/runs"],
    ),
    ("unknown_device", 2, &["crnn.yaml", "--device", "gpu"]),
    ("set_unknown_setting", 3, &["crnn.yaml", "--set", "training.epoch=3"]),
    ("set_unknown_field", 3, &["crnn.yaml", "--set", "heads.emotion.hiden=3"]),
    ("set_unknown_node", 3, &["crnn.yaml", "--set", "heads.emotoin.hidden=3"]),
    ("set_wrong_type", 3, &["crnn.yaml", "--set", "training.epochs=many"]),
    ("set_without_value", 3, &["crnn.yaml", "--set", "training.epochs"]),
    ("label_with_a_folder", 2, &["crnn.yaml", "--run-label", "a/b"]),
    ("syntax", 3, &["syntax.yaml"]),
    ("unknown_dataset", 3, &["only.yaml"]),
    ("several_mistakes", 3, &["several.yaml"]),
    ("no_such_experiment", 3, &["nowhere.yaml"]),
    ("no_such_run", 2, &["resume", "nowhere"]),
    ("no_run", 2, &["resume", "empty"]),
    ("no_such_kind", 2, &["nodes", "crn"]),
    ("sweep_with_an_invalid_run", 3, &["sweep", "sweep.yaml"]),
    ("sweep_with_a_reserved_label", 2, &["sweep", "labels.yaml"]),
    ("weights_truncated", 4, &["weights_truncated.yaml"]),
    ("weights_renamed", 4, &["weights_renamed.yaml"]),
    ("weights_nan", 4, &["weights_nan.yaml"]),
    ("weights_pickle", 4, &["weights_pickle.yaml"]),
    ("weights_no_config", 4, &["weights_no_config.yaml"]),
    ("weights_contradiction", 3, &["weights_contradiction.yaml"]),
    ("weights_wider", 4, &["weights_wider.yaml"]),
    ("weights_missing", 4, &["weights_missing.yaml"]),
    ("weights_other", 3, &["weights_other.yaml"]),
    ("weights_not_cached", 4, &["weights_not_cached.yaml", "--offline"]),
    ("weights_form", 3, &["weights_form.yaml"]),
];

#[test]
fn every_mistake_has_its_exit_code_and_one_clear_error() {
    let lab = lab();
    let before = files(&lab.path("."));
    for (name, code, arguments) in CASES {
        let outcome = lab.emorun(arguments);
        assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{name}");
        assert!(!outcome.stderr.contains("panicked"), "{name}: {}", outcome.stderr);
        insta::assert_snapshot!(format!("error_{name}"), lab.filtered(&outcome.stderr));
    }
    let after: Vec<String> = files(&lab.path("."))
        .into_iter()
        .filter(|name| name != "cache")
        .collect();
    assert_eq!(after, before, "a refused run leaves nothing behind");
}

#[test]
fn errors_are_json_objects_for_programs() {
    let lab = lab();
    let outcome = lab.emorun(&["several.yaml", "--message-format", "json", "--device", "cpu"]);
    assert_eq!(outcome.code, 3);
    let objects: Vec<Value> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let (last, diagnostics) = objects.split_last().unwrap();
    assert_eq!(last["code"], 3, "{last}");
    assert!(last["message"].as_str().unwrap().contains("3 mistake"), "{last}");
    let errors: Vec<&Value> = diagnostics
        .iter()
        .filter(|object| object.get("line").is_some())
        .collect();
    assert_eq!(errors.len(), 3, "{}", outcome.stderr);
    for error in errors {
        for key in ["code", "message", "file", "line", "column", "help"] {
            assert!(error.get(key).is_some(), "{key} in {error}");
        }
        assert_eq!(error["file"], "several.yaml");
    }
}

#[test]
fn a_check_as_json_says_what_is_wrong_and_what_is_planned() {
    let lab = lab();
    let wrong = lab.emorun(&["check", "several.yaml", "--format", "json"]);
    assert_eq!(wrong.code, 3);
    let report: Value = serde_json::from_str(&wrong.stdout).unwrap();
    assert_eq!((&report["ok"], &report["plan"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(report["diagnostics"].as_array().unwrap().len(), 3, "{report}");

    let right = lab.emorun(&["check", "crnn.yaml", "--format", "json"]);
    assert_eq!(right.code, 0, "{}", right.stderr);
    let report: Value = serde_json::from_str(&right.stdout).unwrap();
    assert_eq!(report["ok"], true);
    for node in report["plan"]["nodes"].as_array().unwrap() {
        for key in ["name", "kind", "output", "parameters", "trainable", "placement"] {
            assert!(node.get(key).is_some(), "{key} in {node}");
        }
    }
    assert!(report["plan"]["peak_memory_bytes"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn an_existing_run_is_never_overwritten() {
    let lab = Lab::new();
    let run = lab.run(&["crnn.yaml", "--run-label", "first"]);
    let before = fs::read(run.join("run.json")).unwrap();
    let outcome = lab.emorun(&["crnn.yaml", "--run-label", "first"]);
    assert_eq!(outcome.code, 5);
    assert!(
        outcome.stderr.contains("emorun resume runs/tiny/first"),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read(run.join("run.json")).unwrap(), before);
    // Told before data is looked for: that there is none is not come to.
    lab.write(
        "far.yaml",
        "extends: crnn.yaml\ndatasets:\n  synthetic: null\n  speech: { kind: emodb, root: nowhere }\n",
    );
    let outcome = lab.emorun(&["far.yaml", "--run-label", "first"]);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert_eq!(lab.emorun(&["far.yaml", "--run-label", "second"]).code, 4);
}

#[test]
fn what_a_kill_before_the_run_began_left_is_in_no_ones_way() {
    let lab = Lab::new();
    let left = lab.path("runs/tiny/again");
    fs::create_dir_all(left.join("report")).unwrap();
    for name in [".lock", "log.txt", "experiment.yaml", "resolved.partial"] {
        fs::write(left.join(name), "").unwrap();
    }
    let refused = lab.emorun(&["resume", "runs/tiny/again"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("start it again"), "{}", refused.stderr);
    assert_eq!(lab.run(&["crnn.yaml", "--run-label", "again"]), left);
    // A folder of something else is not taken for one.
    fs::create_dir_all(lab.path("runs/tiny/mine")).unwrap();
    fs::write(lab.path("runs/tiny/mine/notes.txt"), "").unwrap();
    assert_eq!(lab.emorun(&["crnn.yaml", "--run-label", "mine"]).code, 5);
}

#[test]
fn sizes_that_are_assumed_are_said_to_be() {
    let lab = Lab::new();
    let check = |weights: &str| {
        let set = format!("encoders.hubert={{ kind: hubert, input: data.audio, weights: {weights} }}");
        lab.emorun(&["check", "hubert.yaml", "--structure", "--set", &set])
    };
    let unknown = check("somebody/hubert-of-mine");
    assert_eq!(unknown.code, 0, "{}", unknown.stderr);
    let line = "the sizes of this checkpoint are not known here";
    assert!(unknown.stderr.contains(line), "{}", unknown.stderr);
    for weights in ["facebook/hubert-large-ll60k", "random"] {
        let known = check(weights);
        assert_eq!((known.code, &*known.stderr), (0, ""), "{weights}");
    }
}

#[test]
fn what_whisper_does_not_hear_is_told() {
    let lab = Lab::new();
    let mut table = "path,speaker,emotion\n".to_owned();
    for (at, speaker) in ["anna", "ben", "carl", "dora", "eve", "finn"].iter().enumerate() {
        let emotion = if at % 2 == 0 { "neutral" } else { "angry" };
        let other = if at % 2 == 0 { "angry" } else { "neutral" };
        lab.write(
            &format!("long/{speaker}.wav"),
            tone_of(at, if at == 3 { 31 } else { 1 }),
        );
        lab.write(&format!("long/{speaker}2.wav"), tone_of(at + 6, 1));
        table.push_str(&format!(
            "{speaker}.wav,{speaker},{emotion}\n{speaker}2.wav,{speaker},{other}\n"
        ));
    }
    lab.write("long/all.csv", table);
    lab.write(
        "long.yaml",
        "extends: hubert.yaml\ndatasets:\n  synthetic: null\n  speech: { kind: manifest, path: long/all.csv }\nencoders:\n  hubert: { kind: whisper, input: data.audio, weights: random, layout: tiny_base, train: none }\n",
    );
    let outcome = lab.emorun(&["check", "long.yaml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let remark = "remark: 1 item(s) are longer than the 30 s that `hubert` hears of each, the longest has 31.0 s";
    assert!(outcome.stdout.contains(remark), "{}", outcome.stdout);
}

#[test]
fn a_device_that_is_not_there_is_a_usage_error() {
    let lab = Lab::new();
    let outcome = lab.emorun(&["crnn.yaml", "--device", "cuda:31"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--device cuda:31"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("use --device cpu"), "{}", outcome.stderr);
    assert!(!lab.path("runs").exists());
}

#[test]
fn a_run_in_use_is_left_alone() {
    let lab = Lab::new();
    let long = ["crnn.yaml", "--run-label", "busy", "--set", "training.epochs=100000"];
    let run = lab.path("runs/tiny/busy");
    let child = lab.start_until(&long, &run.join("metrics.jsonl"), 3);
    let outcome = lab.emorun(&["resume", "runs/tiny/busy"]);
    kill(child);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("another process is working on the run runs/tiny/busy"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_loss_that_is_not_finite_names_node_and_batch() {
    let lab = Lab::new();
    let outcome = lab.emorun(&[
        "crnn.yaml",
        "--run-label",
        "nan",
        "--set",
        "training.optimizer.lr=1e38",
        "--set",
        "training.scheduler={ kind: constant }",
        "--set",
        "training.clip_norm=null",
    ]);
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("is that of node `") && outcome.stderr.contains("the batch holds "),
        "{}",
        outcome.stderr
    );
    let record = json(lab.path("runs/tiny/nan/run.json"));
    assert_eq!(
        (&record["status"], &record["exit_code"]),
        (&"diverged".into(), &6.into())
    );
    assert!(outcome.stderr.contains(record["error"].as_str().unwrap()));
}

/// A limit on the size of one file stands in for a full disk where none can be made.
#[test]
fn a_file_that_cannot_be_written_ends_the_run_with_its_name() {
    let lab = Lab::new();
    let script = format!(
        "ulimit -f 8; exec '{}' crnn.yaml --run-label full",
        env!("CARGO_BIN_EXE_emorun")
    );
    let outcome = finished(&lab.program("sh").args(["-c", &script]).output().unwrap());
    assert_eq!(outcome.code, 7, "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .lines()
            .last()
            .unwrap()
            .starts_with("error: cannot write "),
        "{}",
        outcome.stderr
    );
    let checkpoints = lab.path("runs/tiny/full/checkpoints");
    if checkpoints.exists() {
        let whole: Vec<String> = files(&checkpoints)
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect();
        assert_eq!(whole, Vec::<String>::new(), "no checkpoint is half written");
    }
}

#[test]
fn a_full_disk_costs_nothing_but_the_time_to_empty_it() {
    let lab = Lab::new();
    let epochs = ["--set", "training.epochs=20"];
    let script = format!(
        "set -e
        mkdir disk
        mount -t tmpfs -o size=8m tmpfs disk || exit 77
        '{emorun}' crnn.yaml --runs disk --run-label full --set training.epochs=20 2>messages & pid=$!
        until [ \"$(wc -l 2>/dev/null <disk/tiny/full/metrics.jsonl)\" -ge 20 ]; do kill -0 $pid; done 2>/dev/null
        cat /dev/zero >disk/ballast 2>/dev/null || true
        code=0; wait $pid || code=$?
        rm disk/ballast
        '{emorun}' resume disk/tiny/full >&2
        cp -r disk/tiny/full resumed
        echo $code",
        emorun = env!("CARGO_BIN_EXE_emorun")
    );
    // Of its own, so that the disk goes when the script ends.
    let command = lab
        .program("unshare")
        .args(["--mount", "sh", "-c", &script])
        .stderr(Stdio::piped())
        .output();
    let outcome = match command {
        Ok(output) => finished(&output),
        Err(error) => {
            println!("skipped: cannot start unshare: {error}");
            return;
        }
    };
    if outcome.code == 77 || outcome.stderr.contains("unshare failed") {
        println!("skipped: cannot mount a small disk: {}", outcome.stderr);
        return;
    }
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let messages = fs::read_to_string(lab.path("messages")).unwrap();
    assert_eq!(outcome.last_line(), "7", "{messages}");
    let last = messages.lines().last().unwrap();
    assert!(
        last.contains("free some space, then continue with emorun resume"),
        "{messages}"
    );
    let whole = lab.run(&[&["crnn.yaml", "--run-label", "whole"][..], &epochs].concat());
    assert_eq!(metrics(&lab.path("resumed")).len(), metrics(&whole).len());
    assert_same_run(&lab.path("resumed"), &whole);
}
