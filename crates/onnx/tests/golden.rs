//! What models give, against onnxruntime; what cannot be used, and what is said then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emorun_onnx::{Encoder, Features, Gives, Layout, Model, OnnxError, Takes, Wiring};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The numbers that the golden script gave the models.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
        })
        .collect()
}

fn wiring(input: &str, takes: Takes, output: &str, gives: Gives) -> Wiring {
    Wiring {
        input: input.to_owned(),
        takes,
        mask: None,
        length: None,
        output: output.to_owned(),
        gives,
    }
}

const WAVE: Takes = Takes::Wave { normalise: false };

fn recurrent(output: &str, gives: Gives) -> (&'static str, Wiring) {
    ("recurrent.onnx", wiring("signal", WAVE, output, gives))
}

fn frames(width: usize, layout: Layout) -> Gives {
    Gives::Frames { width, layout }
}

fn bands() -> (&'static str, Wiring) {
    let takes = Takes::Frames {
        width: 5,
        layout: Layout::WidthFirst,
    };
    let wiring = Wiring {
        length: Some("length".to_owned()),
        ..wiring("bands", takes, "encoded", frames(4, Layout::WidthFirst))
    };
    ("bands.onnx", wiring)
}

fn attention() -> (&'static str, Wiring) {
    let takes = Takes::Frames {
        width: 5,
        layout: Layout::TimeFirst,
    };
    let wiring = Wiring {
        mask: Some("attention_mask".to_owned()),
        ..wiring("features", takes, "last_hidden_state", frames(8, Layout::TimeFirst))
    };
    ("attention.onnx", wiring)
}

fn encoder((file, wiring): (&str, Wiring)) -> Result<Encoder, OnnxError> {
    Encoder::new(Arc::new(Model::open(&golden(file))?), wiring)
}

#[test]
fn outputs_are_those_of_onnxruntime_at_every_length() {
    let stored: Value = serde_json::from_slice(&fs::read(golden("golden.json")).unwrap()).unwrap();
    let cases = [
        (recurrent("hidden_states", frames(6, Layout::TimeFirst)), [333, 800], 1),
        (recurrent("logits", Gives::Vector { width: 3 }), [333, 800], 1),
        (attention(), [9, 31], 5),
        (bands(), [9, 17], 5),
    ];
    for (case, lengths, width) in cases {
        let (file, wiring) = case.clone();
        let encoder = encoder(case).unwrap();
        for steps in lengths {
            let Features { shape, values } = encoder.run(&numbers(steps as u64, steps * width)).unwrap();
            let expected = &stored[format!("{} {steps}", file.trim_end_matches(".onnx"))][&wiring.output];
            let mut expected_shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
            assert_eq!(expected_shape.remove(0), 1);
            let mut expected: Vec<f32> = serde_json::from_value(expected["values"].clone()).unwrap();
            if file == "bands.onnx" {
                // Stored as the model gives it: width first.
                let time = expected_shape[1];
                expected = (0..time)
                    .flat_map(|at| (0..4).map(move |band| band * time + at))
                    .map(|at| expected[at])
                    .collect();
                expected_shape.reverse();
            }
            assert_eq!(shape, expected_shape, "{file} {steps}");
            let error = values
                .iter()
                .zip(&expected)
                .map(|(got, expected)| (got - expected).abs())
                .fold(0.0, f32::max);
            println!("{file} {} {steps}: {error:e}", wiring.output);
            assert!(error <= 1e-5, "{file} {steps}: {error:e}");
            assert!(
                expected.iter().any(|value| value.abs() > 0.1),
                "{file}: nothing to compare"
            );
        }
    }
}

#[test]
fn a_normalised_waveform_has_zero_mean_and_unit_variance() {
    let (file, plain) = recurrent("logits", Gives::Vector { width: 3 });
    let normalising = Wiring {
        takes: Takes::Wave { normalise: true },
        ..plain.clone()
    };
    let wave: Vec<f32> = numbers(7, 800).iter().map(|sample| 0.02 * sample + 0.3).collect();
    let mean = wave.iter().map(|&x| f64::from(x)).sum::<f64>() / 800.0;
    let variance = wave.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / 800.0;
    let by_hand: Vec<f32> = wave
        .iter()
        .map(|&x| ((f64::from(x) - mean) / (variance + 1e-7).sqrt()) as f32)
        .collect();
    let given = encoder((file, normalising)).unwrap().run(&wave).unwrap();
    let plain = encoder((file, plain)).unwrap();
    assert_eq!(given, plain.run(&by_hand).unwrap());
    assert_ne!(given, plain.run(&wave).unwrap());
}

#[test]
fn weights_in_a_file_beside_the_model_are_read_and_count_for_its_hash() {
    let place = tempfile::tempdir().unwrap();
    let (model, data) = (place.path().join("beside.onnx"), place.path().join("beside.onnx.data"));
    fs::copy(golden("beside.onnx"), &model).unwrap();
    let weights = fs::read(golden("beside.onnx.data")).unwrap();
    fs::write(&data, &weights).unwrap();
    let opened = Model::open(&model).unwrap();
    let hash = opened.hash();
    let doubled = wiring("signal", WAVE, "result", Gives::Vector { width: 64 });
    let encoder = Encoder::new(Arc::new(opened), doubled).unwrap();
    assert_eq!(encoder.run(&[1.0, 2.0]).unwrap().values, [3.0; 64]);

    let mut others = weights.clone();
    others[1] ^= 1;
    fs::write(&data, &others).unwrap();
    assert_ne!(Model::open(&model).unwrap().hash(), hash);

    fs::write(&data, &weights[..100]).unwrap();
    let error = Model::open(&model).unwrap_err().to_string();
    assert!(
        error.contains("it has 100 bytes") && error.contains("beside.onnx.data"),
        "{error}"
    );
    fs::remove_file(&data).unwrap();
    let error = Model::open(&model).unwrap_err().to_string();
    assert!(
        error.contains("cannot read") && error.contains("beside.onnx.data"),
        "{error}"
    );
    // A file elsewhere is never read.
    let mut bytes = fs::read(&model).unwrap();
    let at = bytes.windows(16).position(|part| part == b"beside.onnx.data").unwrap();
    bytes[at..at + 16].copy_from_slice(b"../../etc/passwd");
    fs::write(&model, bytes).unwrap();
    let error = Model::open(&model).unwrap_err().to_string();
    assert!(error.contains("which is no file beside it"), "{error}");
}

#[test]
fn what_does_not_fit_the_file_is_refused_with_what_is_there() {
    let vector = |width| Gives::Vector { width };
    let named = |input: &str, output: &str| wiring(input, WAVE, output, vector(3));
    let wave = |file, output, gives| (file, wiring("signal", WAVE, output, gives));
    let time_first = |width| Takes::Frames {
        width,
        layout: Layout::TimeFirst,
    };
    let cases: Vec<((&str, Wiring), &[&str])> = vec![
        (
            ("recurrent.onnx", named("speech", "logits")),
            &["has no input `speech`; it has `signal` (float32 [", "recurrent.onnx"],
        ),
        (
            ("recurrent.onnx", named("signal", "emotion")),
            &[
                "has no output `emotion`; it has `hidden_states` (float32 [",
                ", `logits` (float32 [",
            ],
        ),
        (
            recurrent("logits", vector(4)),
            &["output `logits`", ", 3], not float32 [batch, 4]"],
        ),
        (
            recurrent("logits", frames(3, Layout::TimeFirst)),
            &["output `logits`", "not float32 [batch, time, 3]"],
        ),
        (
            recurrent("hidden_states", frames(6, Layout::WidthFirst)),
            &["output `hidden_states`", "not float32 [batch, 6, time]"],
        ),
        (
            ("recurrent.onnx", wiring("signal", time_first(5), "logits", vector(3))),
            &["input `signal`", "not float32 [batch, time, 5]"],
        ),
        (
            (
                "attention.onnx",
                wiring(
                    "features",
                    time_first(5),
                    "last_hidden_state",
                    frames(8, Layout::TimeFirst),
                ),
            ),
            &["also takes `attention_mask` (int64 ["],
        ),
        (
            (
                "attention.onnx",
                Wiring {
                    takes: time_first(6),
                    ..attention().1
                },
            ),
            &["input `features`", ", 5], not float32 [batch, time, 6]"],
        ),
        (
            wave("fixed.onnx", "result", vector(400)),
            &["float32 [1, 400]", "time must be a dynamic axis of the export"],
        ),
        (
            wave("whole.onnx", "result", vector(3)),
            &["input `signal`", "is int64 [batch, time], not float32"],
        ),
        (
            wave("foreign.onnx", "result", vector(3)),
            &["(opset 18) cannot be run", "Emotion"],
        ),
        (
            wave("unknown.onnx", "result", vector(3)),
            &["(opset 18) cannot be run", "Sing"],
        ),
        (
            wave("golden.json", "result", vector(3)),
            &["golden.json", "is damaged or no ONNX model"],
        ),
        (
            wave("nowhere.onnx", "result", vector(3)),
            &["cannot read", "nowhere.onnx"],
        ),
    ];
    for (case, parts) in cases {
        let error = encoder(case).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
    }
}

#[test]
fn what_a_model_gives_is_checked_for_every_item() {
    let cases: [(_, usize, &[&str]); 4] = [
        // The file leaves its width open.
        (
            ("logarithm.onnx", Gives::Vector { width: 3 }),
            5,
            &["output `result`", "float32 [1, 5], not float32 [batch, 3]"],
        ),
        (
            ("logarithm.onnx", Gives::Vector { width: 5 }),
            5,
            &["output `result` is not finite (NaN) for 5 samples"],
        ),
        // Shorter than the first convolution.
        (
            ("recurrent.onnx", Gives::Vector { width: 3 }),
            4,
            &["the model fails on 4 samples"],
        ),
        (
            ("recurrent.onnx", Gives::Vector { width: 3 }),
            0,
            &["the model fails on 0 samples"],
        ),
    ];
    for ((file, gives), samples, parts) in cases {
        let output = if file == "recurrent.onnx" { "logits" } else { "result" };
        let encoder = encoder((file, wiring("signal", WAVE, output, gives))).unwrap();
        let error = encoder.run(&vec![-0.5; samples]).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no `{part}` in: {error}");
        }
    }
}

/// Every file that is cut short or has bytes changed either gives an error or runs; it never panics, hangs or takes
/// memory that the file does not have.
#[test]
fn damaged_files_never_panic() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    let whole = fs::read(golden("recurrent.onnx")).unwrap();
    let try_out = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let model = Model::open(&path)?;
        let wiring = wiring("signal", WAVE, "logits", Gives::Vector { width: 3 });
        Encoder::new(Arc::new(model), wiring)?.run(&numbers(1, 333)).map(drop)
    };
    let mut refused = 0;
    for length in (0..whole.len()).step_by(37) {
        let outcome = try_out(&whole[..length]);
        refused += usize::from(outcome.is_err());
        if let Err(error) = outcome {
            assert!(!error.to_string().contains("gave up"), "{length}: {error}");
        }
    }
    assert_eq!(refused, whole.len().div_ceil(37), "a part of a model is no model");
    let mut state = 1_u64;
    for round in 0..600 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] ^= 1 << ((state >> 20) & 7);
        }
        if let Err(error) = try_out(&bytes) {
            assert!(!error.to_string().contains("gave up"), "{round}: {error}");
        }
    }
}
