//! Samples of every kind that runs on the device: small configurations, and a batch to run them on. The tests of kinds and
//! `emorun gpu-check` try them all.

mod values;

use std::collections::HashMap;

use burn::tensor::Device;
use emorun_lang::{
    DeserializeError, FrameRate, InferError, InputSignals, KindSet, LabelSet, NodeSpec, Signal, Sources, Span, Tree,
};
use emorun_nn::facts::Facts;
use emorun_nn::node::BuildError;
use emorun_nn::value::PortId;
use serde_json::{Value as Json, json};

use crate::kinds::{Kinds, NodeConfig};
use crate::network::{Needed, Network, Wired};

pub use values::{batch, items, noise, probe, values};

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
/// Dimensions of latent vectors, and samples of frames.
const LATENT: usize = 4;
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
    /// Frames that are attended to, beside others and a vector.
    Memory,
    /// Frames, and others that are the target.
    Target,
    /// Frames, compared with others where a mask says so.
    ComparedFrames,
    /// Samples of frames, compared with frames.
    Drawn,
    /// Several distributions.
    Distributions,
    /// Frames that a generator follows beside a target, with the nodes that it holds.
    Rollout,
}

/// Whether the nodes that take it give one number for the batch.
pub fn is_loss(feed: Feed) -> bool {
    matches!(
        feed,
        Feed::Logits
            | Feed::Compared
            | Feed::Votes
            | Feed::Numbers
            | Feed::Transcript
            | Feed::ComparedFrames
            | Feed::Drawn
            | Feed::Distributions
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
                json!({ "how": "weighted" }),
                json!({ "how": { "gated": { "width": 6 } } }),
            ],
        ),
        (
            "fuse",
            Feed::Vectors,
            vec![
                json!({}),
                json!({ "how": "sum" }),
                json!({ "how": "weighted" }),
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
        (
            "mse",
            Feed::ComparedFrames,
            vec![json!({}), json!({ "channels": [2, 7] })],
        ),
        ("mse", Feed::Drawn, vec![json!({})]),
        (
            "kl_divergence",
            Feed::Distributions,
            vec![json!({}), json!({ "free_bits": 0.2 })],
        ),
        (
            "smoothness",
            Feed::Drawn,
            vec![json!({}), json!({ "channels": [0, 3] })],
        ),
        ("diversity", Feed::Drawn, vec![json!({ "scale": 3.0 })]),
        ("sample_contrastive", Feed::Drawn, vec![json!({})]),
        (
            "consistency",
            Feed::Drawn,
            vec![json!({ "part": [0, 3], "with": [5, 16], "window": 5 })],
        ),
        (
            "align",
            Feed::Frames,
            vec![json!({ "rate_hz": 50 }), json!({ "rate_hz": 30 })],
        ),
        (
            "vae",
            Feed::Streams,
            vec![json!({ "latent": 3, "width": 8, "layers": 1, "heads": 2, "feed_forward": 12, "dropout": 0.0 })],
        ),
        (
            "transformer_decoder",
            Feed::Memory,
            vec![
                json!({ "width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "dropout": 0.0, "period": 5 }),
                json!({ "width": 8, "layers": 1, "heads": 1, "feed_forward": 8, "dropout": 0.0, "causal": false }),
            ],
        ),
        ("frame_regressor", Feed::Target, vec![json!({})]),
        (
            "window_rollout",
            Feed::Rollout,
            vec![
                json!({ "uses": { "latent": "latent", "decoder": "decoder" }, "latent": LATENT, "window": 8, "context": 5 }),
                json!({
                    "uses": { "latent": "latent", "decoder": "decoder" }, "latent": LATENT, "window": 5, "context": 8,
                    "momentum": 0.5, "sees": "past",
                }),
            ],
        ),
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
        Feed::Memory => vec![
            ("inputs.a", data("vector"), vector()),
            ("inputs.b", data("longer"), frames_signal(width)),
            ("memory", data("mel"), frames_signal(width)),
        ],
        Feed::Target => vec![
            ("input", data("mel"), frames_signal(width)),
            ("target", data("longer"), frames_signal(width)),
        ],
        Feed::Rollout => vec![
            ("memory", data("mel"), frames_signal(width)),
            ("target", data("longer"), frames_signal(width)),
        ],
        Feed::ComparedFrames => vec![
            ("input", data("mel"), frames_signal(width)),
            ("target", data("longer"), frames_signal(width)),
            ("target_mask", data("seen"), frames_signal(1)),
        ],
        Feed::Drawn => {
            let mut ports = vec![("input", data("samples"), Signal::Samples { width, rate: rate() })];
            // The others look at samples alone.
            if ["mse", "sample_contrastive"].contains(&kind) {
                ports.push(("target", data("longer"), frames_signal(width)));
            }
            return ports;
        }
        Feed::Distributions => {
            return vec![("input", data("distributions"), Signal::Distribution { width: LATENT })];
        }
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
        (_, Feed::ComparedFrames, _) => None,
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
    for (held, name) in fields["uses"].as_object().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        node.uses.push((format!("uses.{held}"), name.into()));
        nodes.push(held_by_sample(held, name, width, &facts)?);
    }
    nodes.push(node);
    Ok(Network::build(nodes.into(), &HashMap::new(), &facts, seed, device)?)
}

/// A node that a sample holds, which no schedule runs by itself.
fn held_by_sample(held: &str, name: &str, width: usize, facts: &Facts) -> Result<Wired, SampleError> {
    let small = json!({ "width": 8, "layers": 1, "heads": 2, "feed_forward": 12, "dropout": 0.0 });
    let with = |more: Json| {
        let mut fields = small.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            fields[key] = value.clone();
        }
        fields
    };
    let frames = |port: &'static str, from: &str| (port, data(from), frames_signal(width));
    let wired = match held {
        "latent" => {
            let inputs = [frames("inputs.a", "mel"), frames("inputs.b", "longer")];
            wired(name, "vae", &with(json!({ "latent": LATENT })), &inputs, facts)?
        }
        "decoder" => {
            let latent = ("inputs.a", data("latent"), Signal::Vector { width: LATENT });
            let inputs = [
                latent,
                frames("inputs.b", "longer"),
                frames("memory", "mel"),
                frames("target", "longer"),
            ];
            wired(
                name,
                "transformer_decoder",
                &with(json!({ "period": 10 })),
                &inputs,
                facts,
            )?
        }
        // A policy, which has no parameters here and listens to the end.
        _ => wired(name, "fixed_policy", &json!({ "value": 0.0 }), &[], facts)?,
    };
    Ok(Wired {
        needed: Needed::default(),
        ..wired
    })
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
