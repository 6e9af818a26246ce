//! What a checkpoint's `config.json` and `preprocessor_config.json` say, read as transformers reads
//! them: absent keys have that library's defaults.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The architectures that share the wav2vec 2.0 layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// wav2vec 2.0 (Baevski et al. 2020).
    #[serde(rename = "wav2vec2")]
    Wav2Vec2,
    /// HuBERT (Hsu et al. 2021).
    Hubert,
    /// WavLM (Chen et al. 2022): gated relative position bias.
    #[serde(rename = "wavlm")]
    WavLm,
    /// data2vec for speech (Baevski et al. 2022): a stack of positional convolutions.
    #[serde(rename = "data2vec_audio")]
    Data2VecAudio,
}

impl Family {
    /// The value of `model_type` in `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Wav2Vec2 => "wav2vec2",
            Self::Hubert => "hubert",
            Self::WavLm => "wavlm",
            Self::Data2VecAudio => "data2vec-audio",
        }
    }

    /// What the tensors' names begin with in a checkpoint that carries a head too.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Wav2Vec2 => "wav2vec2.",
            Self::Hubert => "hubert.",
            Self::WavLm => "wavlm.",
            Self::Data2VecAudio => "data2vec_audio.",
        }
    }
}

/// Where the convolutional front end normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureNorm {
    /// Each channel over time, after the first convolution only ("base" layouts).
    Group,
    /// Over channels, after every convolution ("large" layouts).
    Layer,
}

/// Sizes and choices of a model of the wav2vec 2.0 layout.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechConfig {
    /// Which of the architectures.
    pub family: Family,
    /// Width of the transformer.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward sublayers.
    pub feed_forward: usize,
    /// Output channels, kernel in samples or frames, and stride of each convolution of the front end.
    pub convolutions: Vec<Convolution>,
    /// Whether those convolutions have a bias.
    pub conv_bias: bool,
    /// Where they are normalised.
    pub feature_norm: FeatureNorm,
    /// Whether their output is normalised before its projection.
    pub projection_norm: bool,
    /// Positional convolutions: how many in a row (more than one in data2vec only).
    pub position_layers: usize,
    /// Kernel of the positional convolution in frames.
    pub position_kernel: usize,
    /// Its groups.
    pub position_groups: usize,
    /// Batch norm in front of the positional convolution, which then has no weight norm (HuBERT only).
    pub position_batch_norm: bool,
    /// Layer norm before the sublayers instead of after them.
    pub stable: bool,
    /// ε of every normalisation.
    pub eps: f64,
    /// WavLM's relative positions.
    pub relative: Option<Relative>,
    /// Dropout probabilities that the checkpoint was trained with.
    pub dropout: Dropouts,
}

/// One convolution of the front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Output channels.
    pub channels: usize,
    /// Kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
}

/// WavLM's bucketed relative positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Buckets, both directions together.
    pub buckets: usize,
    /// Distance in frames from which all share the last bucket.
    pub max_distance: usize,
}

/// Probabilities of dropout while fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropouts {
    /// After the projection of the front end.
    pub projection: f64,
    /// After attention and feed-forward sublayers, and on their input.
    pub hidden: f64,
    /// On attention weights.
    pub attention: f64,
    /// Inside the feed-forward sublayers.
    pub activation: f64,
    /// Of whole layers.
    pub layer: f64,
}

/// Why a `config.json` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It describes another architecture.
    #[error("its model_type is `{found}`, not `{wanted}`")]
    OtherModel {
        /// What the node's kind is for.
        wanted: String,
        /// What the file says.
        found: String,
    },
    /// It does not say which architecture it describes.
    #[error("it has no `model_type`; write `\"model_type\": \"{wanted}\"` into it if it is of that architecture")]
    NoModelType {
        /// What the node's kind is for.
        wanted: String,
    },
    /// A key is missing or has another type.
    #[error("{0}")]
    Field(String),
    /// It asks for something that is not built.
    #[error("`{key}: {value}` is not supported")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Two keys contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

#[derive(Deserialize)]
struct RawSpeech {
    #[serde(default = "hidden_768")]
    hidden_size: usize,
    #[serde(default = "layers_12")]
    num_hidden_layers: usize,
    #[serde(default = "layers_12")]
    num_attention_heads: usize,
    #[serde(default = "ff_3072")]
    intermediate_size: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "gelu")]
    feat_extract_activation: String,
    #[serde(default = "tenth")]
    hidden_dropout: f64,
    #[serde(default = "tenth")]
    activation_dropout: f64,
    #[serde(default = "tenth")]
    attention_dropout: f64,
    #[serde(default)]
    feat_proj_dropout: f64,
    #[serde(default = "tenth")]
    layerdrop: f64,
    #[serde(default = "eps")]
    layer_norm_eps: f64,
    #[serde(default = "conv_dim")]
    conv_dim: Vec<usize>,
    #[serde(default = "conv_stride")]
    conv_stride: Vec<usize>,
    #[serde(default = "conv_kernel")]
    conv_kernel: Vec<usize>,
    #[serde(default)]
    conv_bias: bool,
    feat_extract_norm: Option<FeatureNorm>,
    #[serde(default = "yes")]
    feat_proj_layer_norm: bool,
    num_conv_pos_embeddings: Option<usize>,
    #[serde(default = "groups_16")]
    num_conv_pos_embedding_groups: usize,
    #[serde(default = "kernel_19")]
    conv_pos_kernel_size: usize,
    #[serde(default)]
    conv_pos_batch_norm: bool,
    #[serde(default)]
    do_stable_layer_norm: bool,
    #[serde(default)]
    add_adapter: bool,
    #[serde(default = "buckets_320")]
    num_buckets: usize,
    #[serde(default = "distance_800")]
    max_bucket_distance: usize,
}

fn hidden_768() -> usize {
    768
}
fn layers_12() -> usize {
    12
}
fn ff_3072() -> usize {
    3072
}
fn groups_16() -> usize {
    16
}
fn kernel_19() -> usize {
    19
}
fn buckets_320() -> usize {
    320
}
fn distance_800() -> usize {
    800
}
fn tenth() -> f64 {
    0.1
}
fn eps() -> f64 {
    1e-5
}
fn yes() -> bool {
    true
}
fn gelu() -> String {
    "gelu".into()
}
fn conv_dim() -> Vec<usize> {
    vec![512; 7]
}
fn conv_stride() -> Vec<usize> {
    vec![5, 2, 2, 2, 2, 2, 2]
}
fn conv_kernel() -> Vec<usize> {
    vec![10, 3, 3, 3, 3, 2, 2]
}

/// Largest size that a configuration may ask for in any one place: a lie in the file must not
/// become an allocation.
const MOST: usize = 1 << 20;

/// Reads the keys of a configuration; one that is `null` counts as absent.
fn parse<T: for<'de> Deserialize<'de>>(config: &Value) -> Result<T, ConfigError> {
    let mut keys = config.as_object().cloned().unwrap_or_default();
    keys.retain(|_, value| !value.is_null());
    let read = |keys: &serde_json::Map<String, Value>| T::deserialize(keys.clone());
    read(&keys).map_err(|error| {
        let error = error.to_string();
        // Which key it is does not stand in the error: it is the one without which the error is another, or none.
        let named = keys.iter().find(|(key, _)| {
            let mut others = keys.clone();
            others.remove(*key);
            read(&others).err().is_none_or(|other| other.to_string() != error)
        });
        ConfigError::Field(match named {
            Some((key, value)) => format!("`{key}: {value}` cannot be read: {error}"),
            None => error,
        })
    })
}

fn check_model_type(config: &Value, wanted: &str) -> Result<(), ConfigError> {
    match config.get("model_type").and_then(Value::as_str) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(ConfigError::OtherModel {
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        }),
        None => Err(ConfigError::NoModelType {
            wanted: wanted.to_owned(),
        }),
    }
}

fn check_sizes(sizes: &[(&str, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|(_, size)| *size == 0 || *size > MOST) {
        Some((key, size)) => Err(ConfigError::Field(format!("`{key}` is {size}"))),
        None => Ok(()),
    }
}

fn check_divides(whole: (&str, usize), parts: (&str, usize)) -> Result<(), ConfigError> {
    if whole.1.is_multiple_of(parts.1) {
        Ok(())
    } else {
        Err(ConfigError::Contradiction(format!(
            "`{}` {} is not divisible by `{}` {}",
            whole.0, whole.1, parts.0, parts.1
        )))
    }
}

impl SpeechConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// It is for another architecture, contradicts itself, or asks for something that is not built.
    pub fn from_json(family: Family, config: &Value) -> Result<Self, ConfigError> {
        check_model_type(config, family.model_type())?;
        let raw: RawSpeech = parse(config)?;
        for (key, value) in [
            ("hidden_act", &raw.hidden_act),
            ("feat_extract_activation", &raw.feat_extract_activation),
        ] {
            if value != "gelu" {
                return Err(ConfigError::Unsupported {
                    key,
                    value: value.clone(),
                });
            }
        }
        if raw.add_adapter {
            return Err(ConfigError::Unsupported {
                key: "add_adapter",
                value: "true".into(),
            });
        }
        if raw.conv_dim.len() != raw.conv_kernel.len() || raw.conv_dim.len() != raw.conv_stride.len() {
            return Err(ConfigError::Contradiction(format!(
                "`conv_dim`, `conv_kernel` and `conv_stride` have {}, {} and {} entries",
                raw.conv_dim.len(),
                raw.conv_kernel.len(),
                raw.conv_stride.len()
            )));
        }
        let data2vec = family == Family::Data2VecAudio;
        let positions = raw.num_conv_pos_embeddings.unwrap_or(if data2vec { 5 } else { 128 });
        let config = Self {
            family,
            hidden: raw.hidden_size,
            layers: raw.num_hidden_layers,
            heads: raw.num_attention_heads,
            feed_forward: raw.intermediate_size,
            convolutions: raw
                .conv_dim
                .iter()
                .zip(&raw.conv_kernel)
                .zip(&raw.conv_stride)
                .map(|((&channels, &kernel), &stride)| Convolution {
                    channels,
                    kernel,
                    stride,
                })
                .collect(),
            conv_bias: raw.conv_bias,
            feature_norm: raw.feat_extract_norm.unwrap_or(if data2vec {
                FeatureNorm::Layer
            } else {
                FeatureNorm::Group
            }),
            projection_norm: family != Family::Hubert || raw.feat_proj_layer_norm,
            position_layers: if data2vec { positions } else { 1 },
            position_kernel: if data2vec { raw.conv_pos_kernel_size } else { positions },
            position_groups: raw.num_conv_pos_embedding_groups,
            // The other architectures' classes do not know the key.
            position_batch_norm: family == Family::Hubert && raw.conv_pos_batch_norm,
            stable: raw.do_stable_layer_norm && !data2vec,
            eps: raw.layer_norm_eps,
            relative: (family == Family::WavLm).then_some(Relative {
                buckets: raw.num_buckets,
                max_distance: raw.max_bucket_distance,
            }),
            dropout: Dropouts {
                projection: raw.feat_proj_dropout,
                hidden: raw.hidden_dropout,
                attention: raw.attention_dropout,
                activation: raw.activation_dropout,
                layer: raw.layerdrop,
            },
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_sizes(&[
            ("hidden_size", self.hidden),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.feed_forward),
            ("num_conv_pos_embeddings", self.position_kernel),
            ("num_conv_pos_embeddings", self.position_layers),
            ("num_conv_pos_embedding_groups", self.position_groups),
            ("conv_dim", self.convolutions.len()),
        ])?;
        for convolution in &self.convolutions {
            check_sizes(&[
                ("conv_dim", convolution.channels),
                ("conv_kernel", convolution.kernel),
                ("conv_stride", convolution.stride),
            ])?;
        }
        check_divides(("hidden_size", self.hidden), ("num_attention_heads", self.heads))?;
        check_divides(
            ("hidden_size", self.hidden),
            ("num_conv_pos_embedding_groups", self.position_groups),
        )?;
        if let Some(relative) = self.relative {
            if relative.buckets < 4 || !relative.buckets.is_multiple_of(4) || relative.buckets > MOST {
                return Err(ConfigError::Field(format!("`num_buckets` is {}", relative.buckets)));
            }
            if relative.max_distance <= relative.buckets / 4 {
                return Err(ConfigError::Contradiction(format!(
                    "`max_bucket_distance` {} leaves no room for {} buckets",
                    relative.max_distance, relative.buckets
                )));
            }
        }
        Ok(())
    }

    /// Samples from one frame to the next.
    pub fn stride(&self) -> usize {
        self.convolutions.iter().map(|convolution| convolution.stride).product()
    }

    /// Least number of samples that give a frame.
    pub fn receptive_field(&self) -> usize {
        self.convolutions.iter().rev().fold(1, |frames, convolution| {
            (frames - 1) * convolution.stride + convolution.kernel
        })
    }

    /// Frames that the front end makes of `samples`: exact, each convolution without padding. Items
    /// shorter than the receptive field count as that long.
    pub fn frames(&self, samples: usize) -> usize {
        self.convolutions
            .iter()
            .fold(samples.max(self.receptive_field()), |length, convolution| {
                (length - convolution.kernel) / convolution.stride + 1
            })
    }
}

/// How a waveform is prepared for a model of the wav2vec 2.0 layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Preprocessor {
    /// Each waveform brought to zero mean and unit variance.
    #[serde(default = "yes")]
    pub do_normalize: bool,
    /// Sample rate in Hz.
    #[serde(default = "rate_16000")]
    pub sampling_rate: u32,
}

fn rate_16000() -> u32 {
    16_000
}

impl Preprocessor {
    /// Reads a `preprocessor_config.json`; transformers' defaults stand for what it lacks.
    ///
    /// # Errors
    /// A key has another type, or there is more than one channel.
    pub fn from_json(config: &Value) -> Result<Self, ConfigError> {
        match config.get("feature_size").and_then(Value::as_u64) {
            None | Some(1) => {}
            Some(channels) => {
                return Err(ConfigError::Unsupported {
                    key: "feature_size",
                    value: channels.to_string(),
                });
            }
        }
        let read: Self = parse(config)?;
        check_sizes(&[("sampling_rate", read.sampling_rate as usize)])?;
        Ok(read)
    }
}

/// Sizes of a Whisper encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct WhisperConfig {
    /// Width.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward sublayers.
    pub feed_forward: usize,
    /// Mel bands of the input.
    pub mels: usize,
    /// Frames after the second convolution: 1500 for 30 s.
    pub positions: usize,
    /// Dropout probabilities that the checkpoint was trained with.
    pub dropout: Dropouts,
}

#[derive(Deserialize)]
struct RawWhisper {
    d_model: usize,
    encoder_layers: usize,
    encoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    #[serde(default = "mels_80")]
    num_mel_bins: usize,
    #[serde(default = "positions_1500")]
    max_source_positions: usize,
    #[serde(default = "gelu")]
    activation_function: String,
    #[serde(default)]
    dropout: f64,
    #[serde(default)]
    attention_dropout: f64,
    #[serde(default)]
    activation_dropout: f64,
    #[serde(default)]
    encoder_layerdrop: f64,
    #[serde(default)]
    scale_embedding: bool,
}

fn mels_80() -> usize {
    80
}
fn positions_1500() -> usize {
    1500
}

impl WhisperConfig {
    /// The value of `model_type` in `config.json`.
    pub const MODEL_TYPE: &'static str = "whisper";

    /// Reads a `config.json`; the decoder's part of it is of no use here.
    ///
    /// # Errors
    /// As [`SpeechConfig::from_json`].
    pub fn from_json(config: &Value) -> Result<Self, ConfigError> {
        check_model_type(config, Self::MODEL_TYPE)?;
        let raw: RawWhisper = parse(config)?;
        if raw.activation_function != "gelu" {
            return Err(ConfigError::Unsupported {
                key: "activation_function",
                value: raw.activation_function,
            });
        }
        if raw.scale_embedding {
            return Err(ConfigError::Unsupported {
                key: "scale_embedding",
                value: "true".into(),
            });
        }
        check_sizes(&[
            ("d_model", raw.d_model),
            ("encoder_layers", raw.encoder_layers),
            ("encoder_attention_heads", raw.encoder_attention_heads),
            ("encoder_ffn_dim", raw.encoder_ffn_dim),
            ("num_mel_bins", raw.num_mel_bins),
            ("max_source_positions", raw.max_source_positions),
        ])?;
        check_divides(
            ("d_model", raw.d_model),
            ("encoder_attention_heads", raw.encoder_attention_heads),
        )?;
        Ok(Self {
            hidden: raw.d_model,
            layers: raw.encoder_layers,
            heads: raw.encoder_attention_heads,
            feed_forward: raw.encoder_ffn_dim,
            mels: raw.num_mel_bins,
            positions: raw.max_source_positions,
            dropout: Dropouts {
                projection: 0.0,
                hidden: raw.dropout,
                attention: raw.attention_dropout,
                activation: raw.activation_dropout,
                layer: raw.encoder_layerdrop,
            },
        })
    }
}
