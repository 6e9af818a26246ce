//! Pretrained encoders against transformers: hidden states, gradients, and what trains.
//!
//! The vectors are made by `tests/golden/encoders/make_encoders.py`, whose header says what each
//! file holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use emorun_experiment::checkpoints::{Search, gather};
use emorun_lang::Signal;
use emorun_nn::facts::Facts;
use emorun_nn::precision::Precision;
use emorun_nn::recompute::Segments;
use emorun_nn::value::{Lengths, PortId, Value, Values};
use emorun_nodes::network::{Network, Pass, StepContext};
use emorun_nodes::parameters::{NamedTensors, collect, restore};
use safetensors::SafeTensors;
use serde_json::{Value as Json, json};

use crate::networks::{data, device, gradients, network_with, numbers, run, step, turn, wired_with};
use crate::support::REPOSITORY;

/// Folder and kind of every layout of the wav2vec 2.0 family.
const SPEECH: [(&str, &str); 7] = [
    ("hubert_base", "hubert"),
    ("hubert_large", "hubert"),
    ("wav2vec2_base", "wav2vec2"),
    ("wav2vec2_large", "wav2vec2"),
    ("wavlm_base", "wavlm"),
    ("wavlm_large", "wavlm"),
    ("data2vec_audio", "data2vec_audio"),
];

/// Largest error of a hidden state, in its standard deviations.
pub const HIDDEN: f64 = 1e-4;
/// Largest error of a gradient, relative to its largest element.
const GRADIENT: f64 = 1e-3;

/// Files of a layout; those of larger models where `EMORUN_ENCODERS` names their folder.
pub fn folder(layout: &str) -> PathBuf {
    let small = || Path::new(REPOSITORY).join("tests/golden/encoders");
    std::env::var_os("EMORUN_ENCODERS")
        .map_or_else(small, PathBuf::from)
        .join(layout)
}

/// The layouts of the wav2vec 2.0 family that there are files of.
fn speech() -> impl Iterator<Item = (&'static str, &'static str)> {
    let speech: Vec<_> = SPEECH
        .into_iter()
        .filter(|(layout, _)| folder(layout).is_dir())
        .collect();
    assert!(!speech.is_empty(), "no layout in {}", folder("").display());
    speech.into_iter()
}

/// Tensors of a file by name: shape and values.
pub type Golden = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub fn read(path: &Path) -> Golden {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            let bytes = view.data();
            let values = match view.dtype() {
                safetensors::Dtype::I64 => bytes
                    .chunks_exact(8)
                    .map(|number| i64::from_le_bytes(number.try_into().unwrap()) as f32)
                    .collect(),
                _ => bytes
                    .chunks_exact(4)
                    .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
                    .collect(),
            };
            (name.to_owned(), (view.shape().to_vec(), values))
        })
        .collect()
}

pub fn sizes(golden: &Golden, name: &str) -> Vec<usize> {
    golden[name].1.iter().map(|&size| size as usize).collect()
}

/// An encoder with the weights of a layout's checkpoint.
fn encoder(layout: &str, kind: &str, fields: &Json) -> Network {
    encoder_of(&folder(layout), kind, fields)
}

/// An encoder with the weights in a folder.
pub fn encoder_of(folder: &Path, kind: &str, fields: &Json) -> Network {
    let weights = folder.to_string_lossy().into_owned();
    let (facts, mistakes) = gather([weights.as_str()].into_iter(), Search::Local, true, None);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let mut all = json!({ "weights": weights });
    for (key, value) in fields.as_object().unwrap() {
        all[key] = value.clone();
    }
    one(kind, &all, &facts)
}

fn one(kind: &str, fields: &Json, facts: &Facts) -> Network {
    let signal = Signal::Wave { rate_hz: 16_000 };
    let inputs = [("input", data("audio"), signal)];
    network_with(vec![wired_with("node", kind, fields, &inputs, facts)], facts, 5)
}

/// The waveforms of a layout, padded with numbers that must not matter.
pub fn waves(golden: &Golden, padding: f32) -> (Tensor<2>, Lengths) {
    let inputs = read(&folder("input.safetensors"));
    let lengths = sizes(golden, "lengths");
    let longest = lengths.iter().copied().max().unwrap();
    let mut values = Vec::new();
    for (item, &length) in lengths.iter().enumerate() {
        let wave = &inputs[&format!("input.{item}")].1;
        values.extend_from_slice(&wave[..length]);
        values.extend(std::iter::repeat_n(padding, longest - length));
    }
    let wave = Tensor::from_data(TensorData::new(values, [lengths.len(), longest]), &device());
    (wave, Lengths::new(lengths))
}

/// The largest error of valid frames, in standard deviations of what is expected there.
pub fn hidden_error(found: &[f32], expected: &[f32], shape: &[usize], lengths: &[usize]) -> f64 {
    let (time, width) = (shape[1], shape[2]);
    assert_eq!(found.len(), expected.len());
    let mut pairs = Vec::new();
    for (item, &length) in lengths.iter().enumerate() {
        let start = item * time * width;
        let valid = start..start + length * width;
        pairs.extend(found[valid.clone()].iter().zip(&expected[valid]));
    }
    let count = pairs.len() as f64;
    let mean = pairs.iter().map(|(_, e)| f64::from(**e)).sum::<f64>() / count;
    let variance = pairs.iter().map(|(_, e)| (f64::from(**e) - mean).powi(2)).sum::<f64>() / count;
    let worst = pairs
        .iter()
        .map(|(f, e)| (f64::from(**f) - f64::from(**e)).abs())
        // A NaN must not get lost in a maximum.
        .fold(0.0, |worst: f64, error| {
            if error.is_nan() {
                f64::INFINITY
            } else {
                worst.max(error)
            }
        });
    worst / variance.sqrt()
}

pub fn last_hidden(golden: &Golden) -> (&Vec<usize>, &Vec<f32>) {
    let states = golden.keys().filter(|name| {
        name.strip_prefix("hidden.")
            .is_some_and(|number| number.parse::<usize>().is_ok())
    });
    let last = format!("hidden.{}", states.count() - 1);
    let (shape, values) = golden.get("last_hidden_state").unwrap_or(&golden[&last]);
    (shape, values)
}

/// Hidden states that a network gives, one after another.
pub fn states(network: &Network, wave: (Tensor<2>, Lengths), training: bool) -> (Vec<Vec<f32>>, Lengths) {
    let items = wave.1.as_slice().len();
    let values = run(
        network,
        &[(data("audio"), Value::Wave(wave.0, wave.1))],
        training,
        items,
    );
    match &values[&PortId::new("node", "")] {
        Value::Stack(stack, lengths) => {
            let count = stack.dims()[0];
            let states = (0..count).map(|at| numbers(stack.clone().narrow(0, at, 1))).collect();
            (states, lengths.clone())
        }
        Value::Frames(frames, lengths) => (vec![numbers(frames.clone())], lengths.clone()),
        other => panic!("{}", other.name()),
    }
}

#[test]
fn every_hidden_state_is_that_of_transformers() {
    let _turn = turn();
    for (layout, kind) in speech() {
        let golden = read(&folder(layout).join("golden.safetensors"));
        for train in [json!("none"), json!("all")] {
            let network = encoder(layout, kind, &json!({ "output": "all", "train": train }));
            let (found, lengths) = states(&network, waves(&golden, 0.0), false);
            assert_eq!(lengths.as_slice(), sizes(&golden, "frame_lengths"), "{layout}");
            for (number, found) in found.iter().enumerate() {
                let name = format!("hidden.{number}");
                let is_last = number + 1 == golden.keys().filter(|name| name.starts_with("hidden.")).count();
                let (shape, expected) = if is_last {
                    last_hidden(&golden)
                } else {
                    (&golden[&name].0, &golden[&name].1)
                };
                let error = hidden_error(found, expected, shape, lengths.as_slice());
                println!("{layout} train {train} {name}: {error:.1e}");
                assert!(error <= HIDDEN, "{layout} {name}: {error:.1e} standard deviations");
            }
        }
    }
}

#[test]
fn the_last_hidden_state_is_raw_or_normalised_as_asked() {
    let _turn = turn();
    let mut differ = 0;
    for (layout, kind) in speech() {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let count = golden.keys().filter(|name| name.starts_with("hidden.")).count() - 1;
        // What transformers 5 gives as hidden_states[-1] and as last_hidden_state; the same without a last norm.
        let (raw, normalised) = (&golden[&format!("hidden.{count}")], last_hidden(&golden));
        differ += usize::from(raw.1 != *normalised.1);
        for (output, final_norm, (shape, expected)) in [
            (json!("last"), json!(true), normalised),
            (json!({ "layer": count }), json!(true), normalised),
            (json!({ "layer": count }), json!(false), (&raw.0, &raw.1)),
            (json!("all"), json!(false), (&raw.0, &raw.1)),
            (json!("last"), json!(false), (&raw.0, &raw.1)),
        ] {
            for train in ["none", "all"] {
                let fields = json!({ "output": output, "train": train, "final_norm": final_norm });
                let network = encoder(layout, kind, &fields);
                let (found, lengths) = states(&network, waves(&golden, 0.0), false);
                let error = hidden_error(found.last().unwrap(), expected, shape, lengths.as_slice());
                assert!(error <= HIDDEN, "{layout} {fields}: {error:.1e} standard deviations");
            }
        }
    }
    assert!(differ >= 3, "layouts with a norm behind their layers");
}

#[test]
fn masked_frames_hold_what_transformers_puts_there() {
    let _turn = turn();
    let masked = read(&folder("masked.safetensors"));
    for (layout, kind) in speech().filter(|(layout, _)| masked.contains_key(*layout)) {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let mut fields = everything_trains();
        fields["output"] = json!("last");
        let plain = encoder(layout, kind, &fields);
        // As many spans of one frame as there can be: every frame.
        fields["mask_time_prob"] = json!(0.5);
        fields["mask_time_length"] = json!(1);
        fields["mask_time_min_masks"] = json!(60_000);
        let network = encoder(layout, kind, &fields);
        let (shape, expected) = &masked[layout];
        let (found, lengths) = states(&network, waves(&golden, 0.0), true);
        let error = hidden_error(&found[0], expected, shape, lengths.as_slice());
        assert!(error <= HIDDEN, "{layout}: {error:.1e} standard deviations");
        // Outside training nothing is masked.
        let (found, _) = states(&network, waves(&golden, 0.0), false);
        assert_eq!(found, states(&plain, waves(&golden, 0.0), false).0, "{layout}");
    }
    assert_eq!(masked.len(), 3);
}

#[test]
fn products_in_bfloat16_are_close_to_those_in_single_precision() {
    let _turn = turn();
    for (layout, kind) in [("hubert_base", "hubert"), ("wavlm_large", "wavlm")] {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let network = encoder(layout, kind, &everything_trains());
        let rounded = network.clone().with_precision(Precision::Bf16);
        let (expected, lengths) = states(&network, waves(&golden, 0.0), false);
        let (found, _) = states(&rounded, waves(&golden, 0.0), false);
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = hidden_error(found, expected, &golden["hidden.0"].0, lengths.as_slice());
            println!("{layout} hidden.{number}: {error:.1e}");
            // 8 bits of significand, through a few layers; more, and something was not rounded.
            assert!((1e-4..0.2).contains(&error), "{layout} {number}: {error:.1e}");
        }
        let gradients = [&network, &rounded].map(|network| {
            let (wave, lengths) = waves(&golden, 0.0);
            loss_gradients(layout, network, &golden, (data("audio"), Value::Wave(wave, lengths)))
        });
        let [exact, rounded] = gradients.map(|gradients| gradients.into_values().flatten().collect::<Vec<f32>>());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let cosine = dot(&exact, &rounded) / (dot(&exact, &exact) * dot(&rounded, &rounded)).sqrt();
        println!("{layout} gradients: cosine {cosine}");
        assert!((0.99..0.999_999).contains(&cosine), "{layout}: {cosine}");
    }
}

/// The name that a checkpoint has for a parameter of ours, and whether ours lies transposed.
fn checkpoint_name(layout: &str, name: &str) -> (String, bool) {
    let name = name.strip_prefix("node.model.").unwrap_or(name);
    let linear = [
        "_proj.weight",
        "projection.weight",
        "_dense.weight",
        "gru_rel_pos_linear.weight",
        "fc1.weight",
        "fc2.weight",
    ];
    let transposed = linear.iter().any(|end| name.ends_with(end));
    let name = name.replace("attention.gate.", "attention.").replace(
        "encoder.positions.rel_attn_embed",
        "encoder.layers.0.attention.rel_attn_embed.weight",
    );
    // data2vec has several plain positional convolutions, the others one with weight norm.
    let name = match name.strip_prefix("encoder.pos_conv_embed.layers.") {
        Some(rest) if layout == "data2vec_audio" => {
            let (number, field) = rest.split_once('.').unwrap();
            let field = field.trim_start_matches("kernel.");
            format!("encoder.pos_conv_embed.layers.{number}.conv.{field}")
        }
        Some("0.kernel.weight_g") => "encoder.pos_conv_embed.conv.parametrizations.weight.original0".into(),
        Some("0.kernel.weight_v") => "encoder.pos_conv_embed.conv.parametrizations.weight.original1".into(),
        Some(_) => "encoder.pos_conv_embed.conv.bias".into(),
        None => name,
    };
    (name, transposed)
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// Gradients by the checkpoint's names, of `sum(last_hidden_state · R)`.
fn loss_gradients(
    layout: &str,
    network: &Network,
    golden: &Golden,
    input: (PortId, Value),
) -> BTreeMap<String, Vec<f32>> {
    let items = golden["R"].0[0];
    // Training, with every dropout at zero: as evaluation, but on the side of autodiff.
    let values = run(network, &[input], true, items);
    let Value::Frames(frames, _) = &values[&PortId::new("node", "")] else {
        panic!("{layout}: no frames");
    };
    let (shape, weights) = &golden["R"];
    let shape: [usize; 3] = shape.clone().try_into().unwrap();
    let weights = Tensor::<3>::from_data(TensorData::new(weights.clone(), shape), &device());
    let frames = match golden.get("frames") {
        None => frames.clone(),
        Some((_, picked)) => {
            let picked: Vec<i64> = picked.iter().map(|&frame| frame as i64).collect();
            let count = picked.len();
            frames
                .clone()
                .select(1, Tensor::from_data(TensorData::new(picked, [count]), &device()))
        }
    };
    let loss = (frames * weights).sum();
    gradients(network, &loss.backward())
}

fn check_gradients(layout: &str, found: &BTreeMap<String, Vec<f32>>, golden: &Golden, prefix: &str) {
    let mut seen = 0;
    for (name, found) in found {
        let (name, transposed) = checkpoint_name(layout, name);
        let Some((shape, expected)) = golden.get(&format!("grad.{prefix}{name}")) else {
            panic!("{layout}: no golden gradient for {name}");
        };
        let expected = if transposed {
            transpose(expected, shape[0], shape[1])
        } else {
            expected.clone()
        };
        let largest = expected.iter().fold(0f64, |most, &x| most.max(f64::from(x).abs()));
        // The keys' bias has no effect: its gradient is 0 but for rounding.
        let scale = if name.ends_with("k_proj.bias") { 1.0 } else { largest };
        let worst = found
            .iter()
            .zip(&expected)
            .map(|(f, e)| (f64::from(*f) - f64::from(*e)).abs() / scale)
            .fold(0.0, |worst: f64, error| {
                if error.is_nan() {
                    f64::INFINITY
                } else {
                    worst.max(error)
                }
            });
        assert!(worst <= GRADIENT, "{layout} {name}: {worst:.1e}");
        seen += 1;
    }
    let all = golden.keys().filter(|name| name.starts_with("grad.")).count();
    assert_eq!(seen, all, "{layout}: gradients of all tensors");
}

/// Nothing random while training.
fn everything_trains() -> Json {
    json!({ "train": "all", "train_front_end": true, "dropout": 0.0, "layer_drop": 0.0 })
}

#[test]
fn every_gradient_is_that_of_transformers() {
    let _turn = turn();
    for (layout, kind) in speech() {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let network = encoder(layout, kind, &everything_trains());
        let (wave, lengths) = waves(&golden, 0.0);
        let found = loss_gradients(layout, &network, &golden, (data("audio"), Value::Wave(wave, lengths)));
        check_gradients(layout, &found, &golden, "");
    }
}

#[test]
fn no_tensor_can_be_zeroed_unnoticed() {
    let _turn = turn();
    for (layout, kind) in speech() {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let mut network = encoder(layout, kind, &everything_trains());
        let whole: NamedTensors = collect(&network);
        for name in whole.keys() {
            let mut zeroed = whole.clone();
            let data = &whole[name];
            let zeros = vec![0f32; data.num_elements()];
            zeroed.insert(name.clone(), TensorData::new(zeros, data.shape().clone()));
            restore(&mut network, zeroed).unwrap();
            let (found, lengths) = states(&network, waves(&golden, 0.0), false);
            let (shape, expected) = last_hidden(&golden);
            let error = hidden_error(&found[0], expected, shape, lengths.as_slice());
            if name.ends_with("k_proj.bias") {
                assert!(error <= HIDDEN, "{layout} {name} has no effect, but {error:.1e}");
            } else {
                assert!(
                    error > 10.0 * HIDDEN,
                    "{layout} {name}: zeroing it changes only {error:.1e}"
                );
            }
        }
    }
}

/// The mel spectrogram that the golden Whisper was given; see the script.
fn whisper_mel() -> Value {
    let (bands, frames) = (80, 3000);
    let mel: Vec<f32> = (0..frames)
        .flat_map(|t| (0..bands).map(move |m| (f64::from(m), f64::from(t))))
        .map(|(m, t)| {
            let value = 0.5 * (0.37 * m + 0.011 * t).sin()
                + 0.4 * (0.21 * m - 0.0137 * t).cos()
                + 0.3 * (0.9 * m).sin() * (0.45 * t).sin();
            value as f32
        })
        .collect();
    let mel = Tensor::from_data(TensorData::new(mel, [1, frames as usize, bands as usize]), &device());
    Value::Frames(mel, Lengths::new(vec![frames as usize]))
}

/// A network of a Whisper encoder whose input is a spectrogram, as the host's front end gives it.
fn whisper(fields: &Json) -> Network {
    encoder("whisper", "whisper", fields)
}

#[test]
fn the_encoder_of_whisper_is_that_of_transformers() {
    let _turn = turn();
    let golden = read(&folder("whisper").join("golden.safetensors"));
    let picked = sizes(&golden, "frames");
    for train in [json!("none"), json!("all")] {
        let network = whisper(&json!({ "output": "all", "train": train }));
        let values = run(&network, &[(data("audio"), whisper_mel())], false, 1);
        let Value::Stack(stack, _) = &values[&PortId::new("node", "")] else {
            panic!("no stack")
        };
        let [count, _, time, width] = stack.dims();
        assert_eq!(time, 1500);
        for state in 0..count {
            let whole = numbers(stack.clone().narrow(0, state, 1));
            let found: Vec<f32> = picked
                .iter()
                .flat_map(|frame| whole[frame * width..(frame + 1) * width].to_vec())
                .collect();
            let (shape, expected) = &golden[&format!("hidden.{state}")];
            let error = hidden_error(&found, expected, shape, &[picked.len()]);
            println!("whisper train {train} hidden.{state}: {error:.1e}");
            assert!(error <= HIDDEN, "hidden.{state}: {error:.1e}");
        }
    }
    let network = whisper(&everything_trains());
    let found = loss_gradients("whisper", &network, &golden, (data("audio"), whisper_mel()));
    check_gradients("whisper", &found, &golden, "model.encoder.");
}

#[test]
fn a_checkpoint_gives_the_same_in_every_form() {
    let _turn = turn();
    let golden = read(&folder("hubert_base").join("golden.safetensors"));
    // A pickle with the old names of weight norm, and a checkpoint with a classification head.
    for layout in ["hubert_base", "hubert_base_bin", "hubert_base_head"] {
        let (found, lengths) = states(&encoder(layout, "hubert", &json!({})), waves(&golden, 0.0), false);
        let (shape, expected) = last_hidden(&golden);
        let error = hidden_error(&found[0], expected, shape, lengths.as_slice());
        assert!(error <= HIDDEN, "{layout}: {error:.1e}");
    }
}

#[test]
fn padding_changes_no_frame_of_any_layout() {
    let _turn = turn();
    let long: Vec<f32> = read(&folder("input.safetensors"))["input.0"].1.clone();
    let pieces = [&long[..400], &long[..1700], &long[100..5500], &long[..7400]];
    let longest = 7400;
    for (layout, kind) in speech() {
        for train in ["none", "all"] {
            let network = encoder(layout, kind, &json!({ "output": "all", "train": train }));
            let mut values = vec![0f32; pieces.len() * longest];
            for (row, piece) in values.chunks_exact_mut(longest).zip(pieces) {
                row[..piece.len()].copy_from_slice(piece);
            }
            let wave = Tensor::from_data(TensorData::new(values, [pieces.len(), longest]), &device());
            let lengths = Lengths::new(pieces.iter().map(|piece| piece.len()).collect());
            let (together, frames) = states(&network, (wave, lengths), false);
            for (item, piece) in pieces.iter().enumerate() {
                let wave = Tensor::from_data(TensorData::new(piece.to_vec(), [1, piece.len()]), &device());
                let (alone, own) = states(&network, (wave, Lengths::new(vec![piece.len()])), false);
                assert_eq!(own.as_slice()[0], frames.as_slice()[item], "{layout}");
                for (state, (together, alone)) in together.iter().zip(&alone).enumerate() {
                    let row = together.len() / pieces.len();
                    let within = &together[item * row..item * row + alone.len()];
                    let of = format!("{layout} train {train} item {item} state {state}");
                    crate::networks::assert_near(within, alone, 2e-5, &of);
                    let rest = &together[item * row + alone.len()..(item + 1) * row];
                    assert!(rest.iter().all(|&x| x == 0.0), "{of}: padding is not zero");
                }
            }
        }
    }
}

/// Settings of `train`, with what of the encoder moves: its layers, and whether the front end does.
fn settings() -> Vec<(Json, Vec<&'static str>)> {
    vec![
        (json!({ "train": "none" }), vec![]),
        (json!({ "train": { "last": 1 } }), vec!["encoder.layers.1."]),
        (json!({ "train": "all" }), vec!["encoder.", "feature_projection."]),
        (
            json!({ "train": "all", "train_front_end": true }),
            vec!["encoder.", "feature_projection.", "feature_extractor."],
        ),
        (
            json!({ "train": { "lora": { "rank": 2, "targets": ["q_proj", "output_dense"] } } }),
            vec![".lora."],
        ),
    ]
}

#[test]
fn what_trains_gets_gradients_and_nothing_else_does() {
    let _turn = turn();
    for (layout, kind) in [
        ("hubert_base", "hubert"),
        ("wavlm_base", "wavlm"),
        ("wav2vec2_large", "wav2vec2"),
    ] {
        let golden = read(&folder(layout).join("golden.safetensors"));
        let layers = if layout == "wavlm_base" { 3 } else { 2 };
        for (mut fields, moving) in settings() {
            fields["dropout"] = json!(0.0);
            fields["layer_drop"] = json!(0.0);
            let network = encoder(layout, kind, &fields);
            let (wave, lengths) = waves(&golden, 0.0);
            let items = lengths.as_slice().len();
            let values = run(&network, &[(data("audio"), Value::Wave(wave, lengths))], true, items);
            let Value::Frames(frames, _) = &values[&PortId::new("node", "")] else {
                panic!("no frames")
            };
            if moving.is_empty() {
                assert!(
                    collect(&network).is_empty(),
                    "{layout} {fields}: a frozen encoder has no parameters"
                );
                continue;
            }
            let found = gradients(&network, &frames.clone().square().sum().backward());
            let moving: Vec<String> = moving
                .iter()
                .map(|part| part.replace("layers.1.", &format!("layers.{}.", layers - 1)))
                .collect();
            let parameters = collect(&network);
            assert_eq!(
                parameters.len(),
                found.len(),
                "{layout} {fields}: every parameter has a gradient"
            );
            for (name, gradient) in &found {
                let end = name.starts_with("node.model.encoder.layer_norm.");
                assert!(
                    end || moving.iter().any(|part| name.contains(part.as_str())),
                    "{layout} {fields}: {name} trains"
                );
                // The second factor of a low-rank change starts at zero, and so does the first's gradient.
                let zero = gradient.iter().all(|&x| x == 0.0);
                assert_eq!(zero, name.ends_with(".a"), "{layout} {fields}: {name}");
            }
            for part in &moving {
                assert!(
                    found.keys().any(|name| name.contains(part.as_str())),
                    "{layout} {fields}: nothing of {part}"
                );
            }
        }
    }
}

/// Gradients by name and values of what an encoder gives, all hidden states at once, with every dropout at work.
fn trained_step(network: &Network, input: &(PortId, Value), items: usize, again: bool) -> Vec<(String, Vec<f32>)> {
    let segments: Option<Arc<Segments>> = again.then(Arc::default);
    let context = StepContext {
        segments: segments.clone(),
        ..step(true, items)
    };
    let mut values = Values::from([input.clone()]);
    network.forward(Pass::Train, &mut values, &context).unwrap();
    let Value::Stack(states, _) = values.remove(&PortId::new("node", "")).unwrap() else {
        panic!("no hidden states")
    };
    let given = numbers(states.clone().inner());
    let loss = states.square().sum();
    let mut sum: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut take = |found: burn::tensor::Gradients| {
        for (name, new) in gradients(network, &found) {
            let sum = sum.entry(name).or_insert_with(|| vec![0.0; new.len()]);
            sum.iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        }
    };
    match segments {
        None => take(loss.backward()),
        Some(segments) => segments.backward(loss, take),
    }
    std::iter::once(("hidden states".to_owned(), given))
        .chain(sum)
        .collect()
}

#[test]
fn layers_that_are_computed_again_have_the_same_gradients() {
    let _turn = turn();
    let compare = |of: &str, network: &Network, input: (PortId, Value), items: usize| {
        let [kept, again] = [false, true].map(|again| trained_step(network, &input, items, again));
        assert_eq!(kept.len(), again.len(), "{of}");
        for ((name, kept), (again_name, again)) in kept.iter().zip(&again) {
            assert_eq!(name, again_name, "{of}");
            let largest = kept.iter().fold(0f32, |most, x| most.max(x.abs()));
            // Rounding alone: what comes from two layers is added in another order.
            let allowed = 1e-5 * largest + if name.ends_with("k_proj.bias") { 1e-3 } else { 0.0 };
            let worst = kept
                .iter()
                .zip(again)
                .fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(worst <= allowed, "{of} {name}: {worst:e} of {largest:e}");
        }
    };
    for (layout, kind) in [
        ("hubert_base", "hubert"),
        ("wavlm_base", "wavlm"),
        ("wav2vec2_large", "wav2vec2"),
    ] {
        let golden = read(&folder(layout).join("golden.safetensors"));
        for (mut fields, moving) in settings() {
            if moving.is_empty() {
                continue;
            }
            fields["output"] = json!("all");
            fields["dropout"] = json!(0.2);
            fields["layer_drop"] = json!(if fields["train"] == "all" { 0.4 } else { 0.0 });
            let network = encoder(layout, kind, &fields);
            let (wave, lengths) = waves(&golden, 0.0);
            let items = lengths.as_slice().len();
            let input = (data("audio"), Value::Wave(wave, lengths));
            compare(&format!("{layout} {fields}"), &network, input, items);
        }
    }
    let fields = json!({ "output": "all", "train": "all", "train_front_end": true, "dropout": 0.2 });
    compare("whisper", &whisper(&fields), (data("audio"), whisper_mel()), 1);
}

#[test]
fn learning_rates_fall_from_layer_to_layer() {
    use emorun_nodes::kinds::NodeLayer;
    let _turn = turn();
    let rates = json!({ "factor": 0.5, "layer_decay": 0.8 });
    let network = encoder(
        "hubert_base",
        "hubert",
        &json!({ "train": "all", "learning_rates": rates }),
    );
    let (_, node): (_, &NodeLayer) = network.nodes().next().unwrap();
    for (path, expected) in [
        ("model.encoder.layers.1.attention.q_proj.weight", 0.5),
        ("model.encoder.layers.0.final_layer_norm.bias", 0.4),
        ("model.feature_projection.projection.weight", 0.32),
    ] {
        let found = node.learning_rate(path);
        assert!((found - expected).abs() < 1e-12, "{path}: {found}");
    }
}
