//! Samples of every kind that runs on the device: small configurations, and a batch to run them on. The tests of kinds and
//! `emorun gpu-check` try them all.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use emorun_lang::{
    DeserializeError, FrameRate, InferError, InputSignals, KindSet, LabelSet, NodeSpec, Signal, Sources, Span, Tree,
};
use emorun_nn::facts::Facts;
use emorun_nn::node::BuildError;
use emorun_nn::value::{Labels, Lengths, PortId, Targets, Value};
use serde_json::{Value as Json, json};

use crate::kinds::{Kinds, NodeConfig};
use crate::network::{Needed, Network, Wired};

/// Width of the inputs that samples are for.
pub const WIDTH: usize = 16;
/// Classes of the labels.
pub const CLASSES: usize = 3;
/// Layers of a stack.
const LAYERS: usize = 4;
/// Lengths of the items of a batch, in frames: shorter than any stride, odd, and long.
pub const LENGTHS: [usize; 9] = [1, 2, 3, 5, 8, 17, 33, 40, 57];
/// Kinds that are pretrained encoders: [`build_pretrained`] draws small ones.
pub const PRETRAINED: [&str; 5] = ["hubert", "wav2vec2", "wavlm", "data2vec_audio", "whisper"];
/// How far values and gradients on a GPU of CUDA may be from the CPU's, relative above 1: products there are TF32, with 10
/// bits behind the point.
pub const CUDA_TOLERANCE: f32 = 5e-3;
/// Name of the node in a sample's network.
pub const NODE: &str = "node";

/// A port of `data`.
pub fn data(port: &str) -> PortId {
    PortId::new("data", port)
}

/// Frames of a width at 100 Hz.
pub fn frames_signal(width: usize) -> Signal {
    Signal::Frames { width, rate: rate() }
}

/// A stack of layers with frames of a width at 100 Hz.
pub fn stack_signal(layers: usize, width: usize) -> Signal {
    Signal::LayerStack {
        layers,
        width,
        rate: rate(),
    }
}

fn rate() -> FrameRate {
    FrameRate::new(100, 1).unwrap_or_else(|| unreachable!("neither is zero"))
}

/// Labels of some classes.
pub fn labels_signal(classes: usize) -> Signal {
    Signal::Labels {
        labels: classes_of(classes),
    }
}

/// Logits over some classes.
pub fn logits_signal(classes: usize) -> Signal {
    Signal::Logits {
        labels: classes_of(classes),
    }
}

fn classes_of(classes: usize) -> LabelSet {
    LabelSet::new("emotion", (0..classes).map(|class| format!("class{class}")))
}

/// How far a kind's values and gradients on a GPU in single precision may be from the CPU's or PyTorch's, relative above 1.
/// On the CPU all are held to 1e-5 or less.
pub fn gpu_tolerance(kind: &str) -> f32 {
    match kind {
        // Dozens of layers, or sums over thousands of frames.
        "hubert" | "wav2vec2" | "wavlm" | "data2vec_audio" | "whisper" => 1e-3,
        _ => 5e-5,
    }
}

/// Why a sample cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// Its fields are not those of its kind.
    #[error(transparent)]
    Fields(#[from] DeserializeError),
    /// Its kind does not take what it is given.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// Its module cannot be made.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What a node takes beside its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feed {
    /// Frames.
    Frames,
    /// A vector.
    Vector,
    /// The layers of an encoder.
    Stack,
    /// Logits, compared with a label.
    Logits,
    /// A vector that a loss compares with those of other items.
    Compared,
    /// Logits, compared with shares of votes.
    Votes,
    /// A vector, compared with as many numbers.
    Numbers,
    /// Frames, and others of which each item has one more.
    Streams,
    /// Three vectors.
    Vectors,
    /// Scores of frames, compared with a text.
    Transcript,
}

/// Whether the nodes that take it give one number for the batch.
pub fn is_loss(feed: Feed) -> bool {
    matches!(
        feed,
        Feed::Logits | Feed::Compared | Feed::Votes | Feed::Numbers | Feed::Transcript
    )
}

/// Every kind that runs on the device, but for pretrained encoders: what it takes and configurations of it, for inputs of
/// [`WIDTH`].
pub fn samples() -> Vec<(&'static str, Feed, Vec<Json>)> {
    vec![
        (
            "crnn",
            Feed::Frames,
            vec![
                json!({ "channels": [3], "gru_hidden": 4 }),
                json!({ "channels": [4, 6, 5], "gru_hidden": 3 }),
                json!({ "channels": [2, 2, 2, 2], "gru_hidden": 2 }),
                // As wide as vector registers, so that every path of the CPU's kernels is taken.
                json!({ "channels": [16, 32], "gru_hidden": 16 }),
            ],
        ),
        (
            "transformer",
            Feed::Frames,
            vec![
                json!({ "stack": 1, "width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.0 }),
                json!({ "stack": 4, "width": 12, "layers": 1, "heads": 3, "feed_forward": 8, "dropout": 0.0 }),
                json!({
                    "stack": 1, "width": WIDTH, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.0,
                    "projection": false, "positions": "none", "norm": "after", "activation": "relu",
                }),
            ],
        ),
        (
            "transformer",
            Feed::Frames,
            vec![json!({
                "stack": 1, "width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.0, "causal": true,
            })],
        ),
        (
            "mamba",
            Feed::Frames,
            vec![
                json!({ "width": 6, "layers": 2, "states": 4, "dropout": 0.0 }),
                json!({ "width": WIDTH, "layers": 1, "states": 3, "expand": 1, "kernel_size": 1, "dropout": 0.0 }),
            ],
        ),
        (
            "mamba",
            Feed::Frames,
            vec![json!({ "width": 5, "layers": 2, "states": 4, "dropout": 0.0, "bidirectional": true })],
        ),
        (
            "gru",
            Feed::Frames,
            vec![json!({ "hidden": 5 }), json!({ "hidden": 4, "layers": 3 })],
        ),
        (
            "causal_conv",
            Feed::Frames,
            vec![
                json!({ "width": 5 }),
                json!({ "width": 3, "kernel_size": 4, "dilation": 6, "activation": null }),
            ],
        ),
        (
            "conv_pool",
            Feed::Frames,
            vec![json!({ "channels": [3, 4] }), json!({ "channels": [2, 3, 4, 5] })],
        ),
        (
            "early_classifier",
            Feed::Frames,
            vec![
                json!({ "uses": { "policy": "listen" }, "stack": 3, "hidden": 5 }),
                json!({ "uses": { "policy": "listen" }, "stack": 1, "hidden": 8 }),
            ],
        ),
        ("normalise", Feed::Frames, vec![json!({})]),
        (
            "spec_augment",
            Feed::Frames,
            vec![json!({ "features_mask_size": 5, "frames_mask_size": 20 })],
        ),
        ("temporal_dropout", Feed::Frames, vec![json!({ "p": 0.4 })]),
        ("feature_noise", Feed::Frames, vec![json!({ "std": 0.5 })]),
        ("sequence_crop", Feed::Frames, vec![json!({ "length_s": 0.2 })]),
        ("mixup", Feed::Frames, vec![json!({ "alpha": 1.0 })]),
        ("mixup", Feed::Vector, vec![json!({ "alpha": 1.0 })]),
        (
            "weighted_sum",
            Feed::Stack,
            vec![json!({}), json!({ "normalise": true })],
        ),
        (
            "linear",
            Feed::Frames,
            vec![json!({ "width": 5 }), json!({ "width": 20, "activation": "gelu" })],
        ),
        (
            "linear",
            Feed::Vector,
            vec![json!({ "width": 5, "activation": "tanh" })],
        ),
        (
            "pool",
            Feed::Frames,
            vec![json!({}), json!({ "how": "max" }), json!({ "how": "statistics" })],
        ),
        (
            "attention_pool",
            Feed::Frames,
            vec![
                json!({ "heads": 3, "hidden": 5 }),
                json!({ "heads": 2, "hidden": 4, "output": 7 }),
            ],
        ),
        (
            "fuse",
            Feed::Streams,
            vec![
                json!({}),
                json!({ "how": "sum" }),
                json!({ "how": { "gated": { "width": 6 } } }),
            ],
        ),
        (
            "fuse",
            Feed::Vectors,
            vec![
                json!({}),
                json!({ "how": "sum" }),
                json!({ "how": { "gated": { "width": 6 } } }),
            ],
        ),
        (
            "attention_classifier",
            Feed::Frames,
            vec![json!({ "hidden": 7, "dropout": 0.0 })],
        ),
        ("mean_classifier", Feed::Frames, vec![json!({ "hidden": 7 })]),
        (
            "mlp_classifier",
            Feed::Vector,
            vec![
                json!({ "hidden": [], "dropout": 0.0 }),
                json!({ "hidden": [7, 6], "dropout": 0.0, "activation": "leaky_relu", "batch_norm": true }),
            ],
        ),
        (
            "cross_entropy",
            Feed::Logits,
            vec![
                json!({}),
                json!({ "label_smoothing": 0.2, "class_weights": { "values": [1.0, 3.0, 0.5] } }),
            ],
        ),
        ("focal", Feed::Logits, vec![json!({ "gamma": 1.0 })]),
        (
            "triplet",
            Feed::Compared,
            vec![json!({}), json!({ "mining": "semi_hard", "margin": "soft" })],
        ),
        ("center", Feed::Compared, vec![json!({})]),
        ("supervised_contrastive", Feed::Compared, vec![json!({})]),
        ("soft_label_kl", Feed::Votes, vec![json!({})]),
        ("ccc", Feed::Numbers, vec![json!({})]),
        ("mse", Feed::Numbers, vec![json!({})]),
        ("ctc", Feed::Transcript, vec![json!({ "alphabet": "abcdefghijklmno" })]),
        (
            "mlp_regressor",
            Feed::Vector,
            vec![json!({ "hidden": [5], "dropout": 0.0 })],
        ),
        ("gradient_reversal", Feed::Frames, vec![json!({})]),
        ("gradient_reversal", Feed::Vector, vec![json!({ "lambda": 0.1 })]),
    ]
}

/// Input ports of a sample, where their values come from and their signals.
pub fn inputs(kind: &str, feed: Feed, width: usize, classes: usize) -> Vec<(&'static str, PortId, Signal)> {
    let vector = || Signal::Vector { width };
    let mut ports = match feed {
        Feed::Frames | Feed::Transcript => vec![("input", data("mel"), frames_signal(width))],
        Feed::Vector | Feed::Compared | Feed::Numbers => vec![("input", data("vector"), vector())],
        Feed::Stack => vec![("input", data("stack"), stack_signal(LAYERS, width))],
        Feed::Logits | Feed::Votes => vec![("input", data("logits"), logits_signal(classes))],
        Feed::Streams => vec![
            ("inputs.a", data("mel"), frames_signal(width)),
            ("inputs.b", data("longer"), frames_signal(width)),
        ],
        Feed::Vectors => vec![
            ("inputs.a", data("vector"), vector()),
            ("inputs.b", data("second"), vector()),
            ("inputs.c", data("third"), vector()),
        ],
    };
    let numbers = |count: usize| Signal::Values {
        names: (0..count).map(|at| format!("number{at}")).collect(),
    };
    ports.extend(match (kind, feed, labels_signal(classes)) {
        ("mlp_regressor", ..) => Some(("target", data("numbers"), numbers(2))),
        (_, Feed::Transcript, _) => Some(("target", data("text"), Signal::Text)),
        (_, Feed::Numbers, _) => Some(("target", data("own"), numbers(width))),
        (_, Feed::Votes, Signal::Labels { labels }) => Some(("target", data("votes"), Signal::SoftLabels { labels })),
        (_, _, labels) if kind.ends_with("_classifier") || kind == "mixup" || is_loss(feed) => {
            Some(("target", data("emotion"), labels))
        }
        _ => None,
    });
    ports
}

/// A node's configuration from its fields, without the edges, which are in `inputs`.
///
/// # Errors
/// The fields are not those of the kind.
pub fn config(kind: &str, fields: &Json, inputs: &[(&str, PortId, Signal)]) -> Result<NodeConfig, SampleError> {
    let mut fields = fields.clone();
    for (port, from, _) in inputs {
        let from = [&from.node, &from.port]
            .map(String::as_str)
            .into_iter()
            .filter(|part| !part.is_empty());
        let from = from.collect::<Vec<_>>().join(".");
        match port.split_once('.') {
            Some((field, name)) => fields[field][name] = from.into(),
            None => fields[*port] = from.into(),
        }
    }
    let source = Sources::new().add("sample", "");
    let span = Span {
        source,
        start: 0,
        end: 0,
    };
    Ok(Kinds::default().parse(kind, &Tree::from_json(&fields, span))?)
}

/// A node with its wires, which every schedule needs.
///
/// # Errors
/// The fields are not those of the kind, or it does not take what it is given.
pub fn wired(
    name: &str,
    kind: &str,
    fields: &Json,
    inputs: &[(&str, PortId, Signal)],
    facts: &Facts,
) -> Result<Wired, SampleError> {
    let config = config(kind, fields, inputs)?;
    let signals = inputs
        .iter()
        .map(|(port, _, signal)| ((*port).to_owned(), signal))
        .collect();
    let inferred = config.infer(&InputSignals::new(signals), facts)?;
    Ok(Wired {
        name: name.to_owned(),
        config,
        inputs: inputs
            .iter()
            .map(|(port, from, signal)| ((*port).to_owned(), from.clone(), signal.clone()))
            .collect(),
        outputs: inferred.outputs,
        uses: Vec::new(),
        needed: Needed {
            train: true,
            evaluate: true,
            predict: true,
        },
    })
}

/// A network of one node, [`NODE`], with weights drawn for a seed.
///
/// # Errors
/// The sample does not fit inputs of this width.
pub fn build(
    kind: &str,
    feed: Feed,
    fields: &Json,
    width: usize,
    seed: u64,
    device: &Device,
) -> Result<Network, SampleError> {
    let facts = Facts::default();
    let mut node = wired(NODE, kind, fields, &inputs(kind, feed, width, CLASSES), &facts)?;
    let mut nodes = Vec::new();
    for (_, policy) in fields["uses"].as_object().into_iter().flatten() {
        // It holds a policy, which has no parameters here and listens to the end.
        let policy = policy.as_str().unwrap_or_default();
        node.uses.push(("uses.policy".into(), policy.into()));
        nodes.push(wired(policy, "fixed_policy", &json!({ "value": 0.0 }), &[], &facts)?);
    }
    nodes.push(node);
    Ok(Network::build(nodes.into(), &HashMap::new(), &facts, seed, device)?)
}

/// A network of one pretrained encoder, [`NODE`], with small layers whose weights are drawn for a seed, all of which train.
///
/// # Errors
/// The kind is none of [`PRETRAINED`].
pub fn build_pretrained(kind: &str, seed: u64, device: &Device) -> Result<Network, SampleError> {
    let facts = Facts::default();
    let mut fields = json!({
        "weights": "random", "layout": "tiny_base", "train": "all", "dropout": 0.0, "layer_drop": 0.0,
    });
    fields["train_front_end"] = (kind != "whisper").into();
    let input = ("input", data("audio"), Signal::Wave { rate_hz: 16_000 });
    let node = wired(NODE, kind, &fields, &[input], &facts)?;
    Ok(Network::build(
        vec![node].into(),
        &HashMap::new(),
        &facts,
        seed,
        device,
    )?)
}

/// Numbers that look random, the same in every run.
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Items of frames of a width, of [`LENGTHS`], row after row each.
pub fn items(width: usize) -> Vec<Vec<f32>> {
    let lengths = LENGTHS.iter().enumerate();
    lengths.map(|(at, length)| noise(at as u32, length * width)).collect()
}

/// A batch of items of frames, row after row each, zero behind their ends up to `time`.
pub fn batch(items: &[Vec<f32>], width: usize, time: usize, device: &Device) -> (Tensor<3>, Lengths) {
    let lengths: Vec<usize> = items.iter().map(|item| item.len() / width).collect();
    let mut values = vec![0f32; items.len() * time * width];
    for (row, item) in values.chunks_exact_mut(time * width).zip(items) {
        row[..item.len()].copy_from_slice(item);
    }
    let data = TensorData::new(values, [items.len(), time, width]);
    (Tensor::from_data(data, device), Lengths::new(lengths))
}

/// Values at the ports of `data` for a batch of items, padded to `time` frames.
pub fn values(items: &[Vec<f32>], width: usize, time: usize, device: &Device) -> Vec<(PortId, Value)> {
    let (frames, lengths) = batch(items, width, time, device);
    // Whatever else a node takes is the item's own, whatever it stands beside.
    let own = |seed: u32, wide: usize| -> Tensor<2> {
        let numbers: Vec<f32> = items
            .iter()
            .flat_map(|item| noise(item.len() as u32 + seed, wide))
            .collect();
        Tensor::from_data(TensorData::new(numbers, [items.len(), wide]), device)
    };
    let layers = (0..LAYERS).map(|layer| {
        let of_layer: Vec<Vec<f32>> = items
            .iter()
            .map(|item| noise((item.len() + 500 * layer) as u32, item.len()))
            .collect();
        batch(&of_layer, width, time, device).0
    });
    let longer: Vec<Vec<f32>> = items
        .iter()
        .map(|item| noise(item.len() as u32 + 300, item.len() + width))
        .collect();
    let (longer, longer_lengths) = batch(&longer, width, time + 1, device);
    let classes: Vec<Option<u32>> = items
        .iter()
        .map(|item| Some((item.len() / width % CLASSES) as u32))
        .collect();
    // Some have more letters than frames, and one has none.
    let texts = items.iter().map(|item| {
        let letters = ["cab", "deaf", "", "feed", "hod"];
        Some(letters[item.len() / width % letters.len()].to_owned())
    });
    vec![
        (data("mel"), Value::Frames(frames, lengths.clone())),
        (data("longer"), Value::Frames(longer, longer_lengths)),
        (data("stack"), Value::Stack(Tensor::stack(layers.collect(), 0), lengths)),
        (data("vector"), Value::Vector(own(200, width))),
        (data("second"), Value::Vector(own(201, width))),
        (data("third"), Value::Vector(own(202, width))),
        (data("logits"), Value::Logits(own(100, CLASSES))),
        (data("emotion"), Value::Labels(Labels::new(classes))),
        (data("numbers"), truth(items.len(), 2)),
        (data("own"), truth(items.len(), width)),
        (data("votes"), truth(items.len(), CLASSES)),
        (data("text"), Value::Text(texts.collect())),
    ]
}

/// Numbers that items are labelled with.
fn truth(items: usize, width: usize) -> Value {
    let values = noise(7, items * width).into_iter().map(|value| Some(value.abs()));
    Value::Targets(Targets::new(values.collect(), width))
}

/// Sums a node's output, each valid number times one of its own, into a loss to differentiate; `None` for what no node
/// gives.
pub fn probe(output: &Value, device: &Device) -> Option<Tensor<1>> {
    match output {
        Value::Frames(frames, lengths) => {
            let [count, time, width] = frames.dims();
            let mut factors = vec![0f32; count * time * width];
            for (at, (row, &length)) in factors
                .chunks_exact_mut(time * width)
                .zip(lengths.as_slice())
                .enumerate()
            {
                row[..length * width].copy_from_slice(&noise(at as u32 + 50, length * width));
            }
            Some((frames.clone() * Tensor::from_data(TensorData::new(factors, [count, time, width]), device)).sum())
        }
        Value::Logits(vectors) | Value::Vector(vectors) => {
            let [count, width] = vectors.dims();
            let factors = TensorData::new(noise(50, count * width), [count, width]);
            Some((vectors.clone() * Tensor::from_data(factors, device)).sum())
        }
        Value::Scalar(loss, _) => Some(loss.clone()),
        _ => None,
    }
}
