//! Pretrained encoders against transformers while they train: gradients, and what gets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use emorun_nn::recompute::Segments;
use emorun_nn::value::{PortId, Value, Values};
use emorun_nodes::network::{Network, Pass, StepContext};
use emorun_nodes::parameters::{NamedTensors, collect, restore};
use serde_json::{Value as Json, json};

use crate::networks::{data, device, gradients, numbers, run, step, turn};
use crate::pretrained::{
    Golden, HIDDEN, encoder, folder, hidden_error, last_hidden, read, speech, states, waves, whisper, whisper_mel,
};

/// Largest error of a gradient, relative to its largest element.
const GRADIENT: f64 = 1e-3;

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
pub fn loss_gradients(
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

pub fn check_gradients(layout: &str, found: &BTreeMap<String, Vec<f32>>, golden: &Golden, prefix: &str) {
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
pub fn everything_trains() -> Json {
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
