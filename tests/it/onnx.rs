//! `kind: onnx`: what it says without its runtime, and what it does with it.

use crate::support::Lab;

/// An experiment on a model in the folder, which gives vectors or frames of a waveform.
fn experiment(lab: &Lab, name: &str, encoder: &str, head: &str) {
    lab.write(
        name,
        format!(
            "\
extends: crnn.yaml
encoders:
  crnn: null
{encoder}
blocks: {{ norm: null, masked: null }}
heads:
  emotion: null
  judge: {{ {head}, target: data.emotion }}
losses: {{ ce: {{ input: judge }} }}
evaluation: {{ best: loss }}
"
        ),
    );
}

const VECTORS: &str = "  mel: null\n  model: { kind: onnx, input: data.audio, model: recurrent.onnx, input_name: signal, sample_rate_hz: 8000, output_name: logits, what: vector, width: 3 }";
const ON_VECTORS: &str = "kind: mlp_classifier, input: model, hidden: [8]";

#[cfg(not(feature = "onnx"))]
#[test]
fn a_program_without_the_runtime_says_how_to_get_it() {
    let lab = Lab::new();
    experiment(&lab, "vectors.yaml", VECTORS, ON_VECTORS);
    for arguments in [
        &["check", "vectors.yaml"][..],
        &["check", "vectors.yaml", "--structure"],
        &["vectors.yaml"],
    ] {
        let outcome = lab.emorun(arguments);
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
        assert_eq!(outcome.stderr.matches("error[").count(), 1, "{}", outcome.stderr);
        for part in [
            "vectors.yaml:",
            "`model.kind` needs the runtime for ONNX models, which this program was built without",
            "help: build it with `cargo build --release --features onnx`",
        ] {
            assert!(outcome.stderr.contains(part), "no `{part}` in {}", outcome.stderr);
        }
    }
    // The kind itself is known.
    let outcome = lab.emorun(&["nodes", "onnx"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "input_name",
        "wav2vec2-large-robust-12-ft-emotion-msp-dim",
        "--features onnx",
    ] {
        assert!(outcome.stdout.contains(part), "no `{part}` in {}", outcome.stdout);
    }
}

#[cfg(feature = "onnx")]
mod with_the_runtime {
    use std::fs;
    use std::path::{Path, PathBuf};

    use emorun_features::FeatureFile;
    use serde_json::Value;

    use super::{Lab, ON_VECTORS, VECTORS, experiment};
    use crate::support::{REPOSITORY, json, kill, metrics};

    const FRAMES: &str = "  mel: null\n  model: { kind: onnx, input: data.audio, model: recurrent.onnx, input_name: signal, sample_rate_hz: 8000, normalise: true, output_name: hidden_states, what: frames, width: 6, rate_hz: 400, cache: { precision: f16 } }";
    const ON_FRAMES: &str = "kind: attention_classifier, input: model, hidden: 8";
    const OF_MEL: &str = "  mel: { n_mels: 5 }
  model: { kind: onnx, input: mel, model: attention.onnx, input_name: features, mask_name: attention_mask, output_name: last_hidden_state, what: frames, width: 8, rate_hz: 50 }";
    const OF_BANDS: &str = "  mel: { n_mels: 5 }
  model: { kind: onnx, input: mel, model: bands.onnx, input_name: bands, input_layout: width_first, length_name: length, output_name: encoded, what: frames, width: 4, rate_hz: 50, output_layout: width_first }";

    fn golden(name: &str) -> PathBuf {
        Path::new(REPOSITORY).join("crates/onnx/tests/golden").join(name)
    }

    /// A model's file in which only the name of who made it is another.
    fn other_bytes(name: &str) -> Vec<u8> {
        let mut bytes = fs::read(golden(name)).unwrap();
        let at = bytes.windows(7).position(|part| part == b"pytorch").unwrap();
        bytes[at] = b'P';
        bytes
    }

    fn lab() -> Lab {
        let lab = Lab::new();
        for name in ["recurrent.onnx", "attention.onnx", "bands.onnx", "logarithm.onnx"] {
            fs::copy(golden(name), lab.path(name)).unwrap();
        }
        experiment(&lab, "vectors.yaml", VECTORS, ON_VECTORS);
        experiment(&lab, "frames.yaml", FRAMES, ON_FRAMES);
        experiment(&lab, "mel.yaml", OF_MEL, ON_FRAMES);
        experiment(&lab, "bands.yaml", OF_BANDS, ON_FRAMES);
        lab
    }

    fn kept(lab: &Lab) -> Value {
        let outcome = lab.emorun(&["cache", "--format", "json"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    #[test]
    fn an_experiment_trains_on_it_and_the_next_run_reads_what_was_kept() {
        let lab = lab();
        let mut entries = 0;
        for experiment in ["vectors", "frames", "mel", "bands"] {
            let file = format!("{experiment}.yaml");
            let first = lab.run(&[&file, "--run-label", &format!("{experiment}-first")]);
            assert_eq!(
                json(first.join("run.json"))["files"]["model"].as_str().map(str::len),
                Some(64)
            );
            entries += 36;
            let stats = kept(&lab);
            assert_eq!(stats["entries"], entries, "{experiment}: {stats}");
            assert_eq!(stats["by_origin"][0]["encoder"], "onnx");
            let second = lab.run(&[&file, "--run-label", &format!("{experiment}-second")]);
            assert_eq!(metrics(&first), metrics(&second), "{experiment}");
            let off = "encoders.model.cache.enabled=false";
            let third = lab.run(&[&file, "--run-label", &format!("{experiment}-third"), "--set", off]);
            if experiment != "frames" {
                assert_eq!(metrics(&first), metrics(&third), "{experiment}");
            }
            assert_eq!(kept(&lab)["entries"], entries, "{experiment}");
        }
    }

    #[test]
    fn what_is_kept_is_found_by_content_and_not_used_for_anything_else() {
        let lab = lab();
        let mut entries = 0;
        let mut run = |label: &str, sets: &[&str], more: u64| {
            let mut arguments = vec!["mel.yaml", "--run-label", label];
            sets.iter().for_each(|set| arguments.extend(["--set", set]));
            lab.run(&arguments);
            entries += more;
            assert_eq!(kept(&lab)["entries"], entries, "{label}");
        };
        run("first", &[], 36);
        fs::rename(lab.path("attention.onnx"), lab.path("renamed.onnx")).unwrap();
        run("renamed", &["encoders.model.model=renamed.onnx"], 0);
        run(
            "other-frames",
            &["encoders.model.model=renamed.onnx", "encoders.mel.f_min_hz=100"],
            36,
        );
        run(
            "other-precision",
            &[
                "encoders.model.model=renamed.onnx",
                "encoders.model.cache.precision=f16",
            ],
            36,
        );
        fs::write(lab.path("attention.onnx"), other_bytes("attention.onnx")).unwrap();
        run("other-content", &[], 36);
        // Versions that augmentation makes: each training item plain for evaluation, and twice.
        let count = {
            let label = "runs/tiny/first/summary.json";
            json(lab.path(label))["splits"]["train"]["n"].as_u64().unwrap()
        };
        run(
            "views",
            &["augmentations.gain={ kind: gain }", "encoders.model.cache.views=2"],
            2 * count,
        );
        run("fresh", &["augmentations.gain={ kind: gain }"], 0);
    }

    #[test]
    fn its_output_is_embedded_and_read_again() {
        let lab = lab();
        let outcome = lab.emorun(&["embed", "frames.yaml", "--node", "model", "--out", "given.safetensors"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let file = FeatureFile::open(&lab.path("given.safetensors")).unwrap();
        assert_eq!(file.names().count(), 36);
        experiment(
            &lab,
            "given.yaml",
            "  mel: null\n  model: { kind: precomputed, path: given.safetensors, width: 6, rate_hz: 400 }",
            ON_FRAMES,
        );
        let computed = lab.run(&["frames.yaml", "--run-label", "computed"]);
        let given = lab.run(&["given.yaml", "--run-label", "given"]);
        assert_eq!(metrics(&computed), metrics(&given));
    }

    /// A table of models and what is said of each; making one takes longer than asking.
    #[test]
    fn what_does_not_fit_is_found_before_training() {
        let lab = lab();
        lab.write("cut.onnx", &fs::read(golden("recurrent.onnx")).unwrap()[..3000]);
        fs::copy(golden("foreign.onnx"), lab.path("foreign.onnx")).unwrap();
        // Exit code of `check`, then of a run; a value to set; what is said by the first that fails.
        let cases: [(&str, i32, i32, &str, &[&str]); 13] = [
            (
                "vectors.yaml",
                4,
                4,
                "model=nowhere.onnx",
                &["nowhere.onnx", "help: give the path of an .onnx file"],
            ),
            (
                "vectors.yaml",
                4,
                4,
                "model=cut.onnx",
                &["cut.onnx", "is damaged or no ONNX model"],
            ),
            (
                "vectors.yaml",
                4,
                4,
                "model=foreign.onnx",
                &["foreign.onnx", "(opset 18) cannot be run", "`kind: precomputed`"],
            ),
            (
                "vectors.yaml",
                4,
                4,
                "input_name=speech",
                &[
                    "no input `speech`; it has `signal` (float32 [batch, time])",
                    "--> --set",
                ],
            ),
            (
                "vectors.yaml",
                4,
                4,
                "output_name=emotion",
                &["no output `emotion`; it has `hidden_states`"],
            ),
            (
                "vectors.yaml",
                4,
                4,
                "width=4",
                &["output `logits`", "not float32 [batch, 4]"],
            ),
            (
                "mel.yaml",
                4,
                4,
                "mask_name=null",
                &["also takes `attention_mask` (int64"],
            ),
            (
                "mel.yaml",
                4,
                4,
                "input_layout=width_first",
                &["input `features`", "not float32 [batch, 5, time]"],
            ),
            (
                "vectors.yaml",
                3,
                3,
                "sample_rate_hz=16000",
                &["a waveform at 16000 Hz", "set `sample_rate_hz: 16000`"],
            ),
            (
                "vectors.yaml",
                3,
                3,
                "sample_rate_hz=null",
                &["sample_rate_hz", "is needed for a waveform"],
            ),
            (
                "vectors.yaml",
                3,
                3,
                "rate_hz=50",
                &["rate_hz", "a vector has no frames"],
            ),
            ("mel.yaml", 3, 3, "normalise=true", &["normalise", "is for waveforms"]),
            // Only running it tells.
            (
                "frames.yaml",
                0,
                4,
                "rate_hz=50",
                &["`model` gives ", "frames a second of audio, not the 50 declared"],
            ),
        ];
        for (file, checked, ran, set, parts) in cases {
            let set = format!("encoders.model.{set}");
            let check = lab.emorun(&["check", file, "--set", &set]);
            assert_eq!(check.code, checked, "{set}: {}", check.stderr);
            let run = lab.emorun(&["run", file, "--set", &set]);
            assert_eq!(run.code, ran, "{set}: {}", run.stderr);
            let failed = if checked == 0 { run } else { check };
            assert!(!failed.stderr.contains("panicked"), "{set}: {}", failed.stderr);
            for part in parts {
                assert!(failed.stderr.contains(part), "{set}: no `{part}` in {}", failed.stderr);
            }
        }
        // Not finite, and of another width for every item.
        let logarithm = [
            "--set",
            "encoders.model.model=logarithm.onnx",
            "--set",
            "encoders.model.output_name=result",
        ];
        let run = lab.emorun(&[&["run", "vectors.yaml"], &logarithm[..]].concat());
        assert_eq!(run.code, 4, "{}", run.stderr);
        assert!(
            run.stderr.contains("output `result`") && run.stderr.contains("synthetic/"),
            "{}",
            run.stderr
        );
        assert!(!lab.path("runs").exists(), "nothing was trained");
    }

    #[test]
    fn a_run_whose_model_has_changed_is_not_resumed() {
        let lab = lab();
        let run = lab.path("runs/tiny/cut");
        let arguments = ["frames.yaml", "--run-label", "cut", "--set", "training.epochs=30"];
        kill(lab.start_until(&arguments, &run.join("metrics.jsonl"), 11));
        fs::write(lab.path("recurrent.onnx"), other_bytes("recurrent.onnx")).unwrap();
        let outcome = lab.emorun(&["resume", "runs/tiny/cut"]);
        assert_eq!(outcome.code, 5, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("the files that `model` reads have changed"),
            "{}",
            outcome.stderr
        );
        fs::copy(golden("recurrent.onnx"), lab.path("recurrent.onnx")).unwrap();
        assert_eq!(lab.emorun(&["resume", "runs/tiny/cut"]).code, 0);
    }
}
