//! Configurations of every kind that runs on batches.

use serde_json::{Value as Json, json};

/// Width of what nodes take.
pub const WIDTH: usize = 16;

/// What a node takes beside its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feed {
    Frames,
    Vector,
    Stack,
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

/// A kind, what it takes and the configurations to test.
pub fn cases() -> Vec<(&'static str, Feed, Vec<Json>)> {
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
