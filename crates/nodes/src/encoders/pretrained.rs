//! Pretrained encoders as nodes: `hubert`, `wav2vec2`, `wavlm`, `data2vec_audio`, `whisper`.

use std::sync::Arc;

use emorun_audio::{WhisperFront, WhisperFrontConfig};
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EncoderKind;
use crate::inference::slower;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Kind};
use emorun_pretrained::cache::Cache;
use emorun_pretrained::config::{ConfigError, Dropouts, Family, Preprocessor, SpeechConfig, WhisperConfig};
use emorun_pretrained::cost::{Sizes, cost};
use emorun_pretrained::encoder::{EncoderSpec, PretrainedEncoder};
use emorun_pretrained::known::{self, Layout};
use emorun_pretrained::load::{self, RANDOM};
use emorun_pretrained::masks::{Masks, Spans};
use emorun_pretrained::miniature::Miniature;
use emorun_pretrained::train::{Frozen, Hidden, LearningRates, Part, Train};
use emorun_pretrained::wav2vec2::{self, Wav2Vec2};
use emorun_pretrained::whisper::{self, WhisperEncoder};

/// A pretrained encoder: frames from a waveform, or the stack of all its hidden states.
///
/// Sizes, preparation of the waveform and sample rate are those of the checkpoint's `config.json`
/// and `preprocessor_config.json`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pretrained {
    /// Waveform to encode, usually `data.audio`.
    pub input: PortRef,
    /// Where the weights come from: a Hub id such as `facebook/hubert-base-ls960` (with
    /// `@revision` to pin it), a local folder, a `.safetensors` or PyTorch file beside its
    /// `config.json`, or `random`.
    pub weights: String,
    /// Sizes for `weights: random`.
    #[serde(default)]
    pub layout: Option<Layout>,
    /// What the node gives: the `last` hidden state, that of one layer, or the stack of `all`.
    #[serde(default)]
    pub output: Hidden,
    /// Whether the last hidden state goes through the layer norm behind all layers, which large layouts (those with
    /// norms in front of their sublayers) and Whisper have; all others give the same either way. `true`, the default,
    /// is transformers' `last_hidden_state`, and `hidden_states[-1]` of its versions up to 4; `false` is the raw output
    /// of the last layer, as `hidden_states[-1]` of such a layout is from version 5 on. States before the last are raw
    /// in any case.
    #[serde(default = "yes")]
    pub final_norm: bool,
    /// What is trained.
    #[serde(default)]
    pub train: Train,
    /// Whether `train: all` includes the convolutional front end, which is usually kept frozen.
    #[serde(default)]
    pub train_front_end: bool,
    /// Dropout probability in trained layers, in place of the checkpoint's own.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: Option<f64>,
    /// Probability of skipping a trained layer in a step, in place of the checkpoint's own.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.99))]
    pub layer_drop: Option<f64>,
    /// SpecAugment behind the front end while training, as transformers has it: share of the frames in which masks
    /// begin, times their length. 0, the default, masks nothing, whatever the checkpoint's config.json says. For
    /// `train: all` of models of the wav2vec 2.0 layout; masked frames hold a learned vector.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub mask_time_prob: f64,
    /// Frames of each of these masks.
    #[serde(default = "default_mask_length")]
    #[schemars(range(min = 1, max = 65536))]
    pub mask_time_length: usize,
    /// Least number of them in an item, where `mask_time_prob` is above 0.
    #[serde(default = "default_min_masks")]
    #[schemars(range(max = 65536))]
    pub mask_time_min_masks: usize,
    /// Share of the channels in which masks begin, times their length; masked channels are zero.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub mask_feature_prob: f64,
    /// Channels of each of these masks.
    #[serde(default = "default_mask_length")]
    #[schemars(range(min = 1, max = 65536))]
    pub mask_feature_length: usize,
    /// Least number of them in an item, where `mask_feature_prob` is above 0.
    #[serde(default)]
    #[schemars(range(max = 65536))]
    pub mask_feature_min_masks: usize,
    /// Learning rates of what trains.
    #[serde(default)]
    pub learning_rates: LearningRates,
    /// How what cannot change is kept from epoch to epoch and from run to run.
    #[serde(default)]
    pub cache: Cache,
}

/// How a waveform is prepared for an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// Whether each is brought to zero mean and unit variance.
    pub normalise: bool,
    /// Whether that is an assumption: the checkpoint has no `preprocessor_config.json`, or it was not to be had.
    pub assumed: bool,
}

fn yes() -> bool {
    true
}
fn default_mask_length() -> usize {
    10
}
fn default_min_masks() -> usize {
    2
}

/// What is known of an encoder because it is pretrained.
pub trait PretrainedKind {
    /// The fields that all of them share.
    fn settings(&self) -> &Pretrained;

    /// Whether its checkpoint's sizes are known by its name.
    fn is_known(&self) -> bool;

    /// Seconds that it hears of each item, where there is a bound.
    fn hears_s(&self) -> Option<f64>;

    /// Why what is frozen cannot be kept; `None` if it can.
    fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String>;

    /// What the user should know of how it is trained.
    fn remark(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String>;

    /// A tiny checkpoint in place of its own.
    ///
    /// # Errors
    /// The configuration cannot be used.
    fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError>;
}

/// What the fields come to for a checkpoint.
struct Resolved<C> {
    config: C,
    /// Layers that are run, of those that there are.
    depth: usize,
    layers: usize,
    frozen: Frozen,
    rate: FrameRate,
    width: usize,
}

impl Pretrained {
    /// The Hub id, without its revision, if `weights` is one.
    pub fn id(&self) -> &str {
        self.weights.split('@').next().unwrap_or_default()
    }

    /// What `config.json` says: of the checkpoint, or of what its name or `layout` stands for.
    fn config(
        &self,
        facts: &Facts,
        known: impl Fn(&str) -> Option<serde_json::Value>,
        layout: impl Fn(Layout) -> serde_json::Value,
    ) -> serde_json::Value {
        match facts.checkpoint(&self.weights) {
            Some(facts) => facts.config.clone(),
            None => known(self.id()).unwrap_or_else(|| layout(self.layout.unwrap_or_default())),
        }
    }

    fn resolve<C>(
        &self,
        inputs: &InputSignals<'_>,
        config: C,
        sample_rate_hz: u32,
        (layers, width, stride): (usize, usize, usize),
    ) -> Result<Resolved<C>, InferError> {
        let rate_hz = match inputs.require("input")? {
            Signal::Wave { rate_hz } => *rate_hz,
            found => return Err(InferError::mismatch("input", "a waveform such as data.audio", found)),
        };
        if rate_hz != sample_rate_hz {
            return Err(InferError::Mismatch {
                port: "input".into(),
                wanted: format!("a waveform at {sample_rate_hz} Hz"),
                found: Signal::Wave { rate_hz },
                help: Some(format!("set `sample_rate_hz: {sample_rate_hz}`")),
            });
        }
        if self.layout.is_some() && self.weights != RANDOM {
            return Err(InferError::invalid("layout", "is only for `weights: random`"));
        }
        let depth = self.output.depth(layers)?;
        let frozen = self.train.frozen(layers, depth, self.train_front_end)?;
        let rate = FrameRate::new(rate_hz, 1)
            .ok_or_else(|| InferError::invalid("input", "the sample rate is 0 Hz"))
            .and_then(|rate| slower(rate, stride, "weights"))?;
        Ok(Resolved {
            config,
            depth,
            layers,
            frozen,
            rate,
            width,
        })
    }

    fn inferred<C>(&self, resolved: &Resolved<C>, sizes: &Sizes) -> Inferred {
        let Resolved {
            depth,
            layers,
            frozen,
            rate,
            width,
            ..
        } = *resolved;
        let output = match self.output {
            Hidden::All => Signal::LayerStack {
                layers: layers + 1,
                width,
                rate,
            },
            Hidden::Last | Hidden::Layer(_) => Signal::Frames { width, rate },
        };
        let cost: Cost = cost(sizes, &self.train, frozen, depth);
        Inferred::device(output, cost)
    }

    fn spec<C>(&self, resolved: &Resolved<C>, checkpoint: Dropouts) -> Arc<EncoderSpec> {
        let rate = |own: f64| self.dropout.unwrap_or(own);
        Arc::new(EncoderSpec {
            output: self.output,
            depth: resolved.depth,
            finished: self.final_norm && resolved.depth == resolved.layers,
            frozen: resolved.frozen,
            rates: Dropouts {
                projection: rate(checkpoint.projection),
                hidden: rate(checkpoint.hidden),
                attention: rate(checkpoint.attention),
                activation: rate(checkpoint.activation),
                layer: self.layer_drop.unwrap_or(checkpoint.layer),
            },
            learning_rates: self.learning_rates,
        })
    }

    fn speech_config(&self, family: Family, facts: &Facts) -> serde_json::Value {
        self.config(facts, |id| known::speech(family, id), |layout| layout.speech(family))
    }

    fn whisper_config(&self, facts: &Facts) -> serde_json::Value {
        self.config(facts, known::whisper_by_id, Layout::whisper)
    }

    /// How the waveform is prepared for an encoder that takes waveforms, and whether that is assumed because the
    /// checkpoint does not say it; `None` where the checkpoint is not known or says what cannot be used.
    pub fn preparation(&self, facts: &Facts) -> Option<Preparation> {
        let told = &facts.checkpoint(&self.weights)?.preprocessor;
        let read = Preprocessor::from_json(told.as_ref().unwrap_or(&serde_json::Value::Object(Default::default())));
        Some(Preparation {
            normalise: read.ok()?.do_normalize,
            assumed: told.is_none(),
        })
    }

    fn preprocessor(&self, facts: &Facts) -> Option<serde_json::Value> {
        facts
            .checkpoint(&self.weights)
            .and_then(|facts| facts.preprocessor.clone())
    }

    fn speech(
        &self,
        family: Family,
        inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<(Resolved<SpeechConfig>, Preprocessor), InferError> {
        let config = self.speech_config(family, facts);
        let config = SpeechConfig::from_json(family, &config)
            .map_err(|error| unusable("config.json", &error.to_string(), family.model_type()))?;
        let preprocessor = self.preprocessor(facts);
        let preprocessor = Preprocessor::from_json(&preprocessor.unwrap_or_else(|| serde_json::json!({})))
            .map_err(|error| unusable("preprocessor_config.json", &error.to_string(), family.model_type()))?;
        let sizes = (config.layers, config.hidden, config.stride());
        let resolved = self.resolve(inputs, config, preprocessor.sampling_rate, sizes)?;
        if let Some(field) = self.masked_axis()
            && !matches!(resolved.frozen, Frozen::Nothing | Frozen::FrontEnd)
        {
            return Err(InferError::Invalid {
                field: field.into(),
                message: "masks what is frozen and computed once".into(),
                help: Some("set `train: all`, or leave it out".into()),
            });
        }
        Ok((resolved, preprocessor))
    }

    /// The field that asks for masks.
    fn masked_axis(&self) -> Option<&'static str> {
        let time = (self.mask_time_prob > 0.0).then_some("mask_time_prob");
        time.or((self.mask_feature_prob > 0.0).then_some("mask_feature_prob"))
    }

    /// Spans that are masked over time and over channels.
    fn spans(&self) -> [Spans; 2] {
        [
            Spans {
                prob: self.mask_time_prob,
                length: self.mask_time_length,
                min_masks: self.mask_time_min_masks,
            },
            Spans {
                prob: self.mask_feature_prob,
                length: self.mask_feature_length,
                min_masks: self.mask_feature_min_masks,
            },
        ]
    }

    /// Says that the checkpoint's configuration asks for masks that are off.
    fn remark_on_masks(&self, resolved: &Resolved<SpeechConfig>, facts: &Facts) -> Option<String> {
        let asked = resolved.config.masks;
        let trains = matches!(resolved.frozen, Frozen::Nothing | Frozen::FrontEnd);
        let wanted = asked.applied && (asked.time_prob > 0.0 || asked.feature_prob > 0.0);
        (wanted && trains && self.masked_axis().is_none() && facts.checkpoint(&self.weights).is_some()).then(|| {
            format!(
                "the config.json of {} asks for SpecAugment while fine-tuning (mask_time_prob {}, mask_time_length {}, mask_feature_prob {}, mask_feature_length {}), as transformers would apply it; it is off here: set `mask_time_prob: {}` and the like to have it",
                self.weights,
                asked.time_prob,
                asked.time_length,
                asked.feature_prob,
                asked.feature_length,
                asked.time_prob
            )
        })
    }

    fn infer_speech(&self, family: Family, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
        let (resolved, _) = self.speech(family, inputs, facts)?;
        let mut inferred = self.inferred(&resolved, &Sizes::of_speech(&resolved.config));
        if self.mask_time_prob > 0.0 {
            // The vector that stands in masked frames.
            inferred.cost.parameters += resolved.width as u64;
            inferred.cost.trainable += resolved.width as u64;
        }
        Ok(inferred)
    }

    fn build_speech(
        &self,
        family: Family,
        inputs: &InputSignals<'_>,
        context: &BuildContext<'_>,
    ) -> Result<PretrainedEncoder<Wav2Vec2>, BuildError> {
        let (mut resolved, preprocessor) = self.speech(family, inputs, context.facts)?;
        let spec = self.spec(&resolved, resolved.config.dropout);
        let stable = resolved.config.stable;
        resolved.config.layers = resolved.depth;
        let (depth, frozen) = (resolved.depth, resolved.frozen);
        let model = load::model(
            &load::Request {
                weights: &self.weights,
                prefixes: &[family.prefix()],
                probe: "feature_projection.projection.weight",
                adaptation: self.train.adaptation(),
                trains: &|name| {
                    let part = wav2vec2::part_of(name, stable);
                    self.train.trains(frozen, part) && (self.final_norm || part != Part::End)
                },
                skips: &|name| {
                    // Used for masking while pretraining; layers above the one asked for.
                    name == "masked_spec_embed"
                        || matches!(wav2vec2::part_of(name, stable), Part::Layer(layer) if layer >= depth)
                },
            },
            context,
            |reader| {
                let model = Wav2Vec2::read(&resolved.config, preprocessor.do_normalize, reader);
                let [time, feature] = self.spans();
                let masks = self.masked_axis();
                let masks = masks.map(|_| Masks::read(time, feature, resolved.config.hidden, reader));
                model.with_masks(masks)
            },
        )?;
        Ok(PretrainedEncoder { model, spec })
    }

    fn whisper(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Resolved<WhisperConfig>, InferError> {
        let config = self.whisper_config(facts);
        let config = WhisperConfig::from_json(&config)
            .map_err(|error| unusable("config.json", &error.to_string(), WhisperConfig::MODEL_TYPE))?;
        if let Some(field) = self.masked_axis() {
            return Err(InferError::invalid(field, "is for models of the wav2vec 2.0 layout"));
        }
        let sizes = (config.layers, config.hidden, whisper::STRIDE);
        self.resolve(inputs, config, whisper::SAMPLE_RATE_HZ, sizes)
    }
}

fn unusable(file: &str, message: &str, model_type: &str) -> InferError {
    InferError::Invalid {
        field: "weights".into(),
        message: format!("has a {file} that cannot be used: {message}"),
        help: Some(format!("the kind takes checkpoints of the architecture `{model_type}`")),
    }
}

/// Makes a kind of its own for each architecture of the wav2vec 2.0 layout.
macro_rules! speech_kinds {
    ($($(#[$doc:meta])* $name:ident => $family:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Pretrained);

        impl EncoderKind for $name {
            fn pretrained(&self) -> Option<&dyn PretrainedKind> {
                Some(self)
            }
        }

        impl PretrainedKind for $name {
            fn settings(&self) -> &Pretrained {
                &self.0
            }

            fn is_known(&self) -> bool {
                known::speech(Family::$family, self.0.id()).is_some()
            }

            fn hears_s(&self) -> Option<f64> {
                None
            }

            fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
                let (resolved, _) = self.0.speech(Family::$family, inputs, facts).ok()?;
                (resolved.frozen == Frozen::Nothing).then(|| "everything of it trains".into())
            }

            fn remark(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
                let (resolved, _) = self.0.speech(Family::$family, inputs, facts).ok()?;
                self.0.remark_on_masks(&resolved, facts)
            }

            fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError> {
                let config = self.0.speech_config(Family::$family, facts);
                Miniature::speech(Family::$family, &config, self.0.preprocessor(facts), width)
            }
        }

        impl Kind for $name {
            type Layer = PretrainedEncoder<Wav2Vec2>;

            fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
                self.0.infer_speech(Family::$family, inputs, facts)
            }

            fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<Self::Layer, BuildError> {
                self.0.build_speech(Family::$family, inputs, context)
            }
        }
    )+};
}

speech_kinds! {
    /// wav2vec 2.0.
    Wav2Vec2Node => Wav2Vec2;
    /// HuBERT.
    Hubert => Hubert;
    /// WavLM.
    WavLm => WavLm;
    /// data2vec for speech.
    Data2VecAudio => Data2VecAudio;
}

/// The encoder of Whisper.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Whisper(pub Pretrained);

impl EncoderKind for Whisper {
    fn pretrained(&self) -> Option<&dyn PretrainedKind> {
        Some(self)
    }
}

impl PretrainedKind for Whisper {
    fn settings(&self) -> &Pretrained {
        &self.0
    }

    fn is_known(&self) -> bool {
        known::whisper_by_id(self.0.id()).is_some()
    }

    fn hears_s(&self) -> Option<f64> {
        Some(30.0)
    }

    fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
        let resolved = self.0.whisper(inputs, facts).ok()?;
        match resolved.frozen {
            Frozen::Everything => None,
            _ => Some("part of it trains, and that part needs all of Whisper's 30 s of every item".into()),
        }
    }

    fn remark(&self, _inputs: &InputSignals<'_>, _facts: &Facts) -> Option<String> {
        None
    }

    fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError> {
        Miniature::whisper(&self.0.whisper_config(facts), self.0.preprocessor(facts), width)
    }
}

impl Whisper {
    /// Its front end, which runs on the host.
    ///
    /// # Errors
    /// As [`Kind::infer`].
    pub fn front_end(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<WhisperFront, InferError> {
        let resolved = self.0.whisper(inputs, facts)?;
        WhisperFront::new(WhisperFrontConfig {
            feature_size: resolved.config.mels,
            ..WhisperFrontConfig::default()
        })
        .map_err(|error| unusable("config.json", &error.to_string(), WhisperConfig::MODEL_TYPE))
    }
}

impl Kind for Whisper {
    type Layer = PretrainedEncoder<WhisperEncoder>;

    fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
        let resolved = self.0.whisper(inputs, facts)?;
        Ok(self.0.inferred(&resolved, &Sizes::of_whisper(&resolved.config)))
    }

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<Self::Layer, BuildError> {
        let mut resolved = self.0.whisper(inputs, context.facts)?;
        let spec = self.0.spec(&resolved, resolved.config.dropout);
        resolved.config.layers = resolved.depth;
        let (depth, frozen) = (resolved.depth, resolved.frozen);
        let model = load::model(
            &load::Request {
                weights: &self.0.weights,
                prefixes: &["model.encoder.", "encoder."],
                probe: "conv1.weight",
                adaptation: self.0.train.adaptation(),
                trains: &|name| {
                    let part = whisper::part_of(name);
                    let is_used = !whisper::is_constant(name) && (self.0.final_norm || part != Part::End);
                    is_used && self.0.train.trains(frozen, part)
                },
                skips: &|name| matches!(whisper::part_of(name), Part::Layer(layer) if layer >= depth),
            },
            context,
            |reader| WhisperEncoder::read(&resolved.config, reader),
        )?;
        Ok(PretrainedEncoder { model, spec })
    }
}
