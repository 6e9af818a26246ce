//! What the fields of a pretrained encoder come to for a checkpoint and the node's inputs: signals, cost, the module.

use std::sync::Arc;

use emorun_lang::{FrameRate, InferError, Inferred, InputSignals, Signal};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError};

use super::config::{Dropouts, Preprocessor, SpeechConfig, WhisperConfig};
use super::cost::{Sizes, cost};
use super::encoder::{EncoderSpec, PretrainedEncoder};
use super::families::Family;
use super::load::{self, RANDOM};
use super::masks::Masks;
use super::settings::Pretrained;
use super::train::{Frozen, Hidden, Part};
use super::wav2vec2::{self, Wav2Vec2};
use super::whisper::{self, WhisperEncoder};

/// What the fields come to for a checkpoint.
pub struct Resolved<C> {
    /// Sizes of the model.
    pub config: C,
    /// Layers that are run, of those that there are.
    pub depth: usize,
    /// What is frozen in front.
    pub frozen: Frozen,
    layers: usize,
    rate: FrameRate,
    width: usize,
}

impl Pretrained {
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
            .and_then(|rate| rate.slower(stride, "weights"))?;
        Ok(Resolved {
            config,
            depth,
            frozen,
            layers,
            rate,
            width,
        })
    }

    /// Outputs and cost of an encoder with these sizes.
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
        let cost = cost(sizes, &self.train, frozen, depth);
        Inferred::device(output, cost)
    }

    /// What the node makes of the model.
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

    /// The fields together with what a checkpoint of the wav2vec 2.0 layout says.
    ///
    /// # Errors
    /// The input is no waveform at the checkpoint's rate, the checkpoint cannot be used, or a field does not fit it.
    pub fn speech(
        &self,
        family: Family,
        inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<(Resolved<SpeechConfig>, Preprocessor), InferError> {
        let config = self.speech_config(family, facts);
        let config = SpeechConfig::from_json(family, &config)
            .map_err(|error| unusable("config.json", &error.to_string(), family.model_type))?;
        let preprocessor = self.preprocessor(facts);
        let preprocessor = Preprocessor::from_json(&preprocessor.unwrap_or_else(|| serde_json::json!({})))
            .map_err(|error| unusable("preprocessor_config.json", &error.to_string(), family.model_type))?;
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

    /// Says that the checkpoint's configuration asks for masks that are off.
    pub fn remark_on_masks(&self, resolved: &Resolved<SpeechConfig>, facts: &Facts) -> Option<String> {
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

    /// Outputs and cost of an encoder of the wav2vec 2.0 layout.
    ///
    /// # Errors
    /// As [`Pretrained::speech`].
    pub fn infer_speech(
        &self,
        family: Family,
        inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<Inferred, InferError> {
        let (resolved, _) = self.speech(family, inputs, facts)?;
        let mut inferred = self.inferred(&resolved, &Sizes::of_speech(&resolved.config));
        if self.mask_time_prob > 0.0 {
            // The vector that stands in masked frames.
            inferred.cost.parameters += resolved.width as u64;
            inferred.cost.trainable += resolved.width as u64;
        }
        Ok(inferred)
    }

    /// The module of an encoder of the wav2vec 2.0 layout.
    ///
    /// # Errors
    /// As [`Pretrained::speech`], or weights that cannot be used.
    pub fn build_speech(
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
                prefixes: &[family.prefix],
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

    /// The fields together with what a checkpoint of Whisper says.
    ///
    /// # Errors
    /// As [`Pretrained::speech`].
    pub fn whisper(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Resolved<WhisperConfig>, InferError> {
        let config = self.whisper_config(facts);
        let config = WhisperConfig::from_json(&config)
            .map_err(|error| unusable("config.json", &error.to_string(), WhisperConfig::MODEL_TYPE))?;
        if let Some(field) = self.masked_axis() {
            return Err(InferError::invalid(field, "is for models of the wav2vec 2.0 layout"));
        }
        let sizes = (config.layers, config.hidden, whisper::STRIDE);
        self.resolve(inputs, config, whisper::SAMPLE_RATE_HZ, sizes)
    }

    /// Outputs and cost of Whisper's encoder.
    ///
    /// # Errors
    /// As [`Pretrained::whisper`].
    pub fn infer_whisper(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
        let resolved = self.whisper(inputs, facts)?;
        Ok(self.inferred(&resolved, &Sizes::of_whisper(&resolved.config)))
    }

    /// The module of Whisper's encoder.
    ///
    /// # Errors
    /// As [`Pretrained::whisper`], or weights that cannot be used.
    pub fn build_whisper(
        &self,
        inputs: &InputSignals<'_>,
        context: &BuildContext<'_>,
    ) -> Result<PretrainedEncoder<WhisperEncoder>, BuildError> {
        let mut resolved = self.whisper(inputs, context.facts)?;
        let spec = self.spec(&resolved, resolved.config.dropout);
        resolved.config.layers = resolved.depth;
        let (depth, frozen) = (resolved.depth, resolved.frozen);
        let model = load::model(
            &load::Request {
                weights: &self.weights,
                prefixes: &["model.encoder.", "encoder."],
                probe: "conv1.weight",
                adaptation: self.train.adaptation(),
                trains: &|name| {
                    let part = whisper::part_of(name);
                    let is_used = !whisper::is_constant(name) && (self.final_norm || part != Part::End);
                    is_used && self.train.trains(frozen, part)
                },
                skips: &|name| matches!(whisper::part_of(name), Part::Layer(layer) if layer >= depth),
            },
            context,
            |reader| WhisperEncoder::read(&resolved.config, reader),
        )?;
        Ok(PretrainedEncoder { model, spec })
    }
}

/// A checkpoint's file that the architecture cannot be built from.
pub fn unusable(file: &str, message: &str, model_type: &str) -> InferError {
    InferError::Invalid {
        field: "weights".into(),
        message: format!("has a {file} that cannot be used: {message}"),
        help: Some(format!("the kind takes checkpoints of the architecture `{model_type}`")),
    }
}
