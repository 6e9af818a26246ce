//! Pretrained encoders against transformers: hidden states, in every form of a checkpoint.
//!
//! The vectors are made by `tests/golden/encoders/make_encoders.py`, whose header says what each
//! file holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use emorun_experiment::checkpoints::{Search, gather};
use emorun_lang::Signal;
use emorun_nn::facts::Facts;
use emorun_nn::precision::Precision;
use emorun_nn::value::{Lengths, PortId, Value};
use emorun_nodes::network::Network;
use safetensors::SafeTensors;
use serde_json::{Value as Json, json};

use crate::networks::{data, device, network_with, numbers, run, turn, wired_with};
use crate::pretrained_training::{check_gradients, everything_trains, loss_gradients};
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

/// Files of a layout; those of larger models where `EMORUN_ENCODERS` names their folder.
pub fn folder(layout: &str) -> PathBuf {
    let small = || Path::new(REPOSITORY).join("tests/golden/encoders");
    std::env::var_os("EMORUN_ENCODERS")
        .map_or_else(small, PathBuf::from)
        .join(layout)
}

/// The layouts of the wav2vec 2.0 family that there are files of.
pub fn speech() -> impl Iterator<Item = (&'static str, &'static str)> {
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
pub fn encoder(layout: &str, kind: &str, fields: &Json) -> Network {
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

/// The mel spectrogram that the golden Whisper was given; see the script.
pub fn whisper_mel() -> Value {
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
pub fn whisper(fields: &Json) -> Network {
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
