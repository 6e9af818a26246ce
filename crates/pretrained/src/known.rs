//! Sizes of architectures known by name, so that structure can be checked without their files, and
//! of the layouts that `weights: random` draws.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::WhisperConfig;
use super::families::Family;

/// Width of the tiny layouts.
const TINY_WIDTH: usize = 16;

/// Sizes of a model with random weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// 12 layers, 768 wide.
    #[default]
    Base,
    /// 24 layers, 1024 wide.
    Large,
    /// The layers of `base`, 16 wide: for trying an experiment out.
    TinyBase,
    /// The layers of `large`, 16 wide: for trying an experiment out.
    TinyLarge,
}

impl Layout {
    fn is_large(self) -> bool {
        matches!(self, Self::Large | Self::TinyLarge)
    }

    fn is_tiny(self) -> bool {
        matches!(self, Self::TinyBase | Self::TinyLarge)
    }

    /// The layout of as many layers that is quick to compute.
    pub fn tiny(self) -> Self {
        if self.is_large() {
            Self::TinyLarge
        } else {
            Self::TinyBase
        }
    }

    /// What `config.json` would say of a model of the wav2vec 2.0 layout.
    pub fn speech(self, family: Family) -> Value {
        let large = self.is_large();
        let mut config = json!({
            "model_type": family.model_type,
            "hidden_size": if large { 1024 } else { 768 },
            "num_hidden_layers": if large { 24 } else { 12 },
            "num_attention_heads": if large { 16 } else { 12 },
            "intermediate_size": if large { 4096 } else { 3072 },
            "feat_extract_norm": if large || family.stacked_positions { "layer" } else { "group" },
            "do_stable_layer_norm": large && !family.stacked_positions,
            "conv_bias": large && family.large_conv_bias,
        });
        if self.is_tiny() {
            shrink_speech(&mut config, family, Some(TINY_WIDTH));
        }
        config
    }

    /// What `config.json` would say of a Whisper model; `base` is whisper-base.
    pub fn whisper(self) -> Value {
        let (width, layers, heads) = match self {
            Self::Base => (512, 6, 8),
            Self::Large => (1280, 32, 20),
            Self::TinyBase => (TINY_WIDTH, 6, 2),
            Self::TinyLarge => (TINY_WIDTH, 32, 2),
        };
        whisper(width, layers, heads, 80)
    }
}

/// Makes a model of the wav2vec 2.0 layout quick to compute: a few channels, `width` (a multiple of
/// 4) or its own; with all its layers.
pub fn shrink_speech(config: &mut Value, family: Family, width: Option<usize>) {
    let convolutions = config["conv_dim"].as_array().map_or(7, Vec::len);
    for (key, value) in [
        ("num_attention_heads", json!(2)),
        ("intermediate_size", json!(TINY_WIDTH)),
        ("conv_dim", json!(vec![8; convolutions])),
        ("num_conv_pos_embedding_groups", json!(4)),
        ("num_buckets", json!(32)),
        ("max_bucket_distance", json!(80)),
    ] {
        config[key] = value;
    }
    if let Some(width) = width {
        config["hidden_size"] = width.into();
    }
    if !family.stacked_positions {
        config["num_conv_pos_embeddings"] = json!(16);
    }
}

/// Makes a Whisper encoder quick to compute, as [`shrink_speech`]; `width` is a multiple of 2.
pub fn shrink_whisper(config: &mut Value, width: Option<usize>) {
    config["encoder_attention_heads"] = json!(2);
    config["encoder_ffn_dim"] = json!(TINY_WIDTH);
    if let Some(width) = width {
        config["d_model"] = width.into();
    }
}

fn whisper(width: usize, layers: usize, heads: usize, mels: usize) -> Value {
    json!({
        "model_type": WhisperConfig::MODEL_TYPE,
        "d_model": width,
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "num_mel_bins": mels,
    })
}

/// `config.json` of a published checkpoint of the wav2vec 2.0 layout, as far as sizes go.
pub fn speech(family: Family, id: &str) -> Option<Value> {
    let published = family.published.iter().find(|published| published.id == id)?;
    let mut config = published.layout.speech(family);
    if let Some(layers) = published.layers {
        config["num_hidden_layers"] = layers.into();
    }
    Some(config)
}

/// `config.json` of a published Whisper checkpoint, as far as sizes go.
pub fn whisper_by_id(id: &str) -> Option<Value> {
    let size = id.strip_prefix("openai/whisper-")?;
    let size = size.strip_suffix(".en").unwrap_or(size);
    Some(match size {
        "tiny" => whisper(384, 4, 6, 80),
        "base" => whisper(512, 6, 8, 80),
        "small" => whisper(768, 12, 12, 80),
        "medium" => whisper(1024, 24, 16, 80),
        "large" | "large-v2" => whisper(1280, 32, 20, 80),
        "large-v3" | "large-v3-turbo" => whisper(1280, 32, 20, 128),
        _ => return None,
    })
}
