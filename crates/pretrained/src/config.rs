//! What a checkpoint's `config.json` and `preprocessor_config.json` say, read as transformers reads
//! them: absent keys have that library's defaults.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::families::Family;
use super::fields::Fields;

/// Where the convolutional front end normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Positional convolutions: how many in a row (more than one in a stack).
    pub position_layers: usize,
    /// Kernel of the positional convolution in frames.
    pub position_kernel: usize,
    /// Its groups.
    pub position_groups: usize,
    /// Batch norm in front of the positional convolution, which then has no weight norm.
    pub position_batch_norm: bool,
    /// Layer norm before the sublayers instead of after them.
    pub stable: bool,
    /// ε of every normalisation.
    pub eps: f64,
    /// Gated relative positions of attention.
    pub relative: Option<Relative>,
    /// Dropout probabilities that the checkpoint was trained with.
    pub dropout: Dropouts,
    /// Masks that it asks for while fine-tuning.
    pub masks: Masks,
}

/// SpecAugment inside the model, as transformers' configuration has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masks {
    /// Whether any are made.
    pub applied: bool,
    /// Share of the frames that masks begin in, times their length.
    pub time_prob: f64,
    /// Frames of a mask over time.
    pub time_length: usize,
    /// Least number of them in an item.
    pub time_min_masks: usize,
    /// Share of the channels that masks begin in, times their length.
    pub feature_prob: f64,
    /// Channels of a mask over channels.
    pub feature_length: usize,
    /// Least number of them in an item.
    pub feature_min_masks: usize,
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

/// Bucketed relative positions.
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
    /// A key is missing.
    #[error("{0}")]
    Field(String),
    /// A key has a value that no model has.
    #[error("`{key}` is {value}; it must be {wanted}")]
    Range {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it can be.
        wanted: String,
    },
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

/// Widths of a transformer, and numbers of what it is divided into: a lie in the file must not become an allocation.
const WIDTHS: RangeInclusive<usize> = 1..=16_384;
/// Widths inside its feed-forward sublayers.
const INNER_WIDTHS: RangeInclusive<usize> = 1..=65_536;
/// Numbers of its layers.
const LAYERS: RangeInclusive<usize> = 1..=512;
/// Most samples that a frame may hear, and that lie between two.
const MOST_SAMPLES: usize = 1 << 20;

fn convolutions(fields: &Fields<'_>) -> Result<Vec<Convolution>, ConfigError> {
    let channels = fields.sizes("conv_dim", &[512; 7], &WIDTHS)?;
    let kernels = fields.sizes("conv_kernel", &[10, 3, 3, 3, 3, 2, 2], &(1..=4096))?;
    let strides = fields.sizes("conv_stride", &[5, 2, 2, 2, 2, 2, 2], &(1..=4096))?;
    if channels.len() != kernels.len() || channels.len() != strides.len() {
        return Err(ConfigError::Contradiction(format!(
            "`conv_dim`, `conv_kernel` and `conv_stride` have {}, {} and {} entries",
            channels.len(),
            kernels.len(),
            strides.len()
        )));
    }
    let sizes = channels.into_iter().zip(kernels).zip(strides);
    Ok(sizes
        .map(|((channels, kernel), stride)| Convolution {
            channels,
            kernel,
            stride,
        })
        .collect())
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
        check_model_type(config, family.model_type)?;
        let fields = Fields(config);
        for key in ["hidden_act", "feat_extract_activation"] {
            fields.only(key, "gelu")?;
        }
        if fields.flag("add_adapter", false)? {
            return Err(ConfigError::Unsupported {
                key: "add_adapter",
                value: "true".into(),
            });
        }
        let stacked = family.stacked_positions;
        let default_norm = if stacked { "layer" } else { "group" };
        let feature_norm = match fields.word("feat_extract_norm", default_norm)? {
            "group" => FeatureNorm::Group,
            "layer" => FeatureNorm::Layer,
            other => {
                return Err(ConfigError::Unsupported {
                    key: "feat_extract_norm",
                    value: other.to_owned(),
                });
            }
        };
        // A stack has its convolutions counted where the others give the kernel of one.
        let (position_layers, position_kernel) = if stacked {
            (
                fields.size("num_conv_pos_embeddings", Some(5), 1..=64)?,
                fields.size("conv_pos_kernel_size", Some(19), 1..=4096)?,
            )
        } else {
            (1, fields.size("num_conv_pos_embeddings", Some(128), 1..=4096)?)
        };
        let config = Self {
            family,
            hidden: fields.size("hidden_size", Some(768), WIDTHS)?,
            layers: fields.size("num_hidden_layers", Some(12), LAYERS)?,
            heads: fields.size("num_attention_heads", Some(12), WIDTHS)?,
            feed_forward: fields.size("intermediate_size", Some(3072), INNER_WIDTHS)?,
            convolutions: convolutions(&fields)?,
            conv_bias: fields.flag("conv_bias", false)?,
            feature_norm,
            projection_norm: fields.flag("feat_proj_layer_norm", true)? || !family.optional_projection_norm,
            position_layers,
            position_kernel,
            position_groups: fields.size("num_conv_pos_embedding_groups", Some(16), WIDTHS)?,
            // The other architectures' classes do not know the key.
            position_batch_norm: family.optional_position_batch_norm && fields.flag("conv_pos_batch_norm", false)?,
            stable: fields.flag("do_stable_layer_norm", false)? && !stacked,
            eps: fields.eps("layer_norm_eps", 1e-5)?,
            relative: match family.relative_positions {
                true => Some(Relative {
                    buckets: fields.size("num_buckets", Some(320), 4..=65536)?,
                    max_distance: fields.size("max_bucket_distance", Some(800), 1..=1 << 20)?,
                }),
                false => None,
            },
            dropout: Dropouts {
                projection: fields.probability("feat_proj_dropout", 0.0)?,
                hidden: fields.probability("hidden_dropout", 0.1)?,
                attention: fields.probability("attention_dropout", 0.1)?,
                activation: fields.probability("activation_dropout", 0.1)?,
                layer: fields.probability("layerdrop", 0.1)?,
            },
            masks: Masks {
                applied: fields.flag("apply_spec_augment", true)?,
                time_prob: fields.probability("mask_time_prob", 0.05)?,
                time_length: fields.size("mask_time_length", Some(10), 1..=65536)?,
                time_min_masks: fields.size("mask_time_min_masks", Some(2), 0..=65536)?,
                feature_prob: fields.probability("mask_feature_prob", 0.0)?,
                feature_length: fields.size("mask_feature_length", Some(10), 1..=65536)?,
                feature_min_masks: fields.size("mask_feature_min_masks", Some(0), 0..=65536)?,
            },
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_divides(("hidden_size", self.hidden), ("num_attention_heads", self.heads))?;
        check_divides(
            ("hidden_size", self.hidden),
            ("num_conv_pos_embedding_groups", self.position_groups),
        )?;
        if let Some(relative) = self.relative {
            check_divides(("num_buckets", relative.buckets), ("4", 4))?;
            if relative.max_distance <= relative.buckets / 4 {
                return Err(ConfigError::Contradiction(format!(
                    "`max_bucket_distance` {} leaves no room for {} buckets",
                    relative.max_distance, relative.buckets
                )));
            }
        }
        // Every factor is small, but there may be many.
        let stride = self.convolutions.iter().try_fold(1_usize, |stride, convolution| {
            stride
                .checked_mul(convolution.stride)
                .filter(|stride| *stride <= MOST_SAMPLES)
        });
        let heard = self.convolutions.iter().rev().try_fold(1_usize, |frames, convolution| {
            let heard = (frames - 1)
                .checked_mul(convolution.stride)?
                .checked_add(convolution.kernel)?;
            (heard <= MOST_SAMPLES).then_some(heard)
        });
        if stride.is_none() || heard.is_none() {
            return Err(ConfigError::Contradiction(format!(
                "`conv_kernel` and `conv_stride` together span more than {MOST_SAMPLES} samples"
            )));
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preprocessor {
    /// Each waveform brought to zero mean and unit variance.
    pub do_normalize: bool,
    /// Sample rate in Hz.
    pub sampling_rate: u32,
}

impl Preprocessor {
    /// Reads a `preprocessor_config.json`; transformers' defaults stand for what it lacks.
    ///
    /// # Errors
    /// A key has another type, or there is more than one channel.
    pub fn from_json(config: &Value) -> Result<Self, ConfigError> {
        let fields = Fields(config);
        let channels = fields.size("feature_size", Some(1), 0..=usize::MAX)?;
        if channels != 1 {
            return Err(ConfigError::Unsupported {
                key: "feature_size",
                value: channels.to_string(),
            });
        }
        let rate = fields.size("sampling_rate", Some(16_000), 1000..=192_000)?;
        Ok(Self {
            do_normalize: fields.flag("do_normalize", true)?,
            sampling_rate: u32::try_from(rate).unwrap_or(u32::MAX),
        })
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

impl WhisperConfig {
    /// The value of `model_type` in `config.json`.
    pub const MODEL_TYPE: &'static str = "whisper";

    /// Reads a `config.json`; the decoder's part of it is of no use here.
    ///
    /// # Errors
    /// As [`SpeechConfig::from_json`].
    pub fn from_json(config: &Value) -> Result<Self, ConfigError> {
        check_model_type(config, Self::MODEL_TYPE)?;
        let fields = Fields(config);
        fields.only("activation_function", "gelu")?;
        if fields.flag("scale_embedding", false)? {
            return Err(ConfigError::Unsupported {
                key: "scale_embedding",
                value: "true".into(),
            });
        }
        let read = Self {
            hidden: fields.size("d_model", None, WIDTHS)?,
            layers: fields.size("encoder_layers", None, LAYERS)?,
            heads: fields.size("encoder_attention_heads", None, WIDTHS)?,
            feed_forward: fields.size("encoder_ffn_dim", None, INNER_WIDTHS)?,
            mels: fields.size("num_mel_bins", Some(80), 1..=4096)?,
            // Those of 30 s, which is what the front end gives.
            positions: fields.size("max_source_positions", Some(1500), 1500..=1500)?,
            dropout: Dropouts {
                projection: 0.0,
                hidden: fields.probability("dropout", 0.0)?,
                attention: fields.probability("attention_dropout", 0.0)?,
                activation: fields.probability("activation_dropout", 0.0)?,
                layer: fields.probability("encoder_layerdrop", 0.0)?,
            },
        };
        check_divides(("d_model", read.hidden), ("encoder_attention_heads", read.heads))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::families::WAVLM;
    use super::super::known::Layout;
    use super::*;

    fn message<T: std::fmt::Debug>(read: Result<T, ConfigError>) -> String {
        read.unwrap_err().to_string()
    }

    #[test]
    fn every_number_of_a_speech_model_has_its_range() {
        let with = |key: &str, value: Value| {
            let mut config = Layout::TinyLarge.speech(WAVLM);
            config[key] = value;
            SpeechConfig::from_json(WAVLM, &config)
        };
        assert!(with("hidden_dropout", json!(0.99)).is_ok());
        for (key, value) in [
            ("hidden_dropout", json!(1.5)),
            ("hidden_dropout", json!(-0.1)),
            ("hidden_dropout", json!(1)),
            ("hidden_dropout", json!("0.1")),
            ("activation_dropout", json!(2)),
            ("feat_proj_dropout", json!(-1e-9)),
            ("layerdrop", json!(7)),
            ("layer_norm_eps", json!(-1e-5)),
            ("layer_norm_eps", json!(0.0)),
            ("layer_norm_eps", json!(1e300)),
            ("hidden_size", json!(0)),
            ("hidden_size", json!(-768)),
            ("hidden_size", json!(1_u64 << 40)),
            ("hidden_size", json!(768.5)),
            ("num_hidden_layers", json!(0)),
            ("num_hidden_layers", json!(1_000_000)),
            ("num_attention_heads", json!(0)),
            ("intermediate_size", json!(u64::MAX)),
            ("conv_dim", json!([])),
            ("conv_dim", json!(vec![8; 100_000])),
            ("conv_dim", json!([8, 8, 8, 0, 8, 8, 8])),
            ("conv_kernel", json!(3)),
            ("conv_stride", json!([5, 2, 2, 2, 2, 2, 1_u64 << 60])),
            ("num_conv_pos_embeddings", json!(0)),
            ("num_conv_pos_embedding_groups", json!(-4)),
            ("num_buckets", json!(1_u64 << 50)),
            ("num_buckets", json!(0)),
            ("max_bucket_distance", json!(0)),
            ("mask_time_prob", json!(1.5)),
            ("mask_time_length", json!(0)),
            ("do_stable_layer_norm", json!(1)),
            ("feat_extract_norm", json!("batch")),
        ] {
            let told = message(with(key, value.clone()));
            assert!(told.contains(&format!("`{key}")), "{key} {value}: {told}");
        }
        let spans = with("conv_stride", json!(vec![4096; 7]));
        assert!(message(spans).contains("`conv_kernel` and `conv_stride` together span more than"));
        assert!(message(with("num_buckets", json!(30))).contains("`num_buckets` 30 is not divisible by"));
    }

    #[test]
    fn every_number_of_whisper_and_of_its_preparation_has_its_range() {
        let with = |key: &str, value: Value| {
            let mut config = Layout::TinyBase.whisper();
            config[key] = value;
            WhisperConfig::from_json(&config)
        };
        assert!(with("dropout", json!(0.0)).is_ok());
        for (key, value) in [
            ("dropout", json!(1.0)),
            ("attention_dropout", json!(-1)),
            ("activation_dropout", json!("no")),
            ("encoder_layerdrop", json!(2)),
            ("d_model", json!(0)),
            ("encoder_layers", json!(1_u64 << 33)),
            ("encoder_attention_heads", json!(-1)),
            ("encoder_ffn_dim", json!(1e9)),
            ("num_mel_bins", json!(0)),
            ("max_source_positions", json!(750)),
            ("activation_function", json!("relu")),
        ] {
            let told = message(with(key, value.clone()));
            assert!(told.contains(&format!("`{key}")), "{key} {value}: {told}");
        }
        for (key, value) in [
            ("sampling_rate", json!(0)),
            ("sampling_rate", json!(-16000)),
            ("sampling_rate", json!("16 kHz")),
            ("feature_size", json!(2)),
            ("feature_size", json!(-1)),
            ("do_normalize", json!("yes")),
        ] {
            let told = message(Preprocessor::from_json(&json!({ key: value })));
            assert!(told.contains(&format!("`{key}")), "{key}: {told}");
        }
    }
}
