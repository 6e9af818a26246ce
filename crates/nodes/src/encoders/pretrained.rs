//! Pretrained encoders as nodes: a line for each of the wav2vec 2.0 layout, and Whisper's.

use emorun_audio::{WhisperFront, WhisperFrontConfig};
use emorun_lang::{InferError, Inferred, InputSignals};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use emorun_nn::facts::Facts;
use emorun_nn::host::{HostOperation, HostValue, of_wave};
use emorun_nn::node::{BuildContext, BuildError};
use emorun_pretrained::config::{ConfigError, WhisperConfig};
use emorun_pretrained::encoder::PretrainedEncoder;
use emorun_pretrained::families::{DATA2VEC_AUDIO, HUBERT, WAV2VEC2, WAVLM};
use emorun_pretrained::kind::PretrainedKind;
use emorun_pretrained::known;
use emorun_pretrained::miniature::Miniature;
use emorun_pretrained::resolve::unusable;
use emorun_pretrained::settings::{Preparation, Pretrained};
use emorun_pretrained::train::Frozen;
use emorun_pretrained::wav2vec2::Wav2Vec2;
use emorun_pretrained::whisper::WhisperEncoder;

/// Makes a kind of its own for each architecture of the wav2vec 2.0 layout.
macro_rules! speech_kinds {
    ($($(#[$doc:meta])* $name:ident => $family:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Pretrained);

        impl PretrainedKind for $name {
            fn settings(&self) -> &Pretrained {
                &self.0
            }

            fn is_known(&self) -> bool {
                known::speech($family, self.0.id()).is_some()
            }

            fn not_cacheable(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
                let (resolved, _) = self.0.speech($family, inputs, facts).ok()?;
                (resolved.frozen == Frozen::Nothing).then(|| "everything of it trains".into())
            }

            fn remark(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Option<String> {
                let (resolved, _) = self.0.speech($family, inputs, facts).ok()?;
                self.0.remark_on_masks(&resolved, facts)
            }

            fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError> {
                let config = self.0.speech_config($family, facts);
                Miniature::speech($family, &config, self.0.preprocessor(facts), width)
            }
        }

        impl Kind for $name {
            fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
                self.0.infer_speech($family, inputs, facts)
            }

            fn pretrained(&self) -> Option<&dyn PretrainedKind> {
                Some(self)
            }
        }

        impl DeviceKind for $name {
            type Layer = PretrainedEncoder<Wav2Vec2>;

            fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<Self::Layer, BuildError> {
                self.0.build_speech($family, inputs, context)
            }
        }
    )+};
}

speech_kinds! {
    /// wav2vec 2.0.
    Wav2Vec2Node => WAV2VEC2;
    /// HuBERT.
    Hubert => HUBERT;
    /// WavLM.
    WavLm => WAVLM;
    /// data2vec for speech.
    Data2VecAudio => DATA2VEC_AUDIO;
}

/// The encoder of Whisper.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Whisper(pub Pretrained);

impl PretrainedKind for Whisper {
    fn settings(&self) -> &Pretrained {
        &self.0
    }

    fn is_known(&self) -> bool {
        known::whisper_by_id(self.0.id()).is_some()
    }

    // Its spectrogram is always the same.
    fn preparation(&self, _facts: &Facts) -> Option<Preparation> {
        None
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

    fn miniature(&self, facts: &Facts, width: Option<usize>) -> Result<Miniature, ConfigError> {
        Miniature::whisper(&self.0.whisper_config(facts), self.0.preprocessor(facts), width)
    }
}

impl Kind for Whisper {
    fn infer(&self, inputs: &InputSignals<'_>, facts: &Facts) -> Result<Inferred, InferError> {
        self.0.infer_whisper(inputs, facts)
    }

    fn pretrained(&self) -> Option<&dyn PretrainedKind> {
        Some(self)
    }

    fn host_operation(
        &self,
        inputs: &InputSignals<'_>,
        facts: &Facts,
    ) -> Result<Option<Box<dyn HostOperation>>, InferError> {
        let front = WhisperFront::new(WhisperFrontConfig {
            feature_size: self.0.whisper(inputs, facts)?.config.mels,
            ..WhisperFrontConfig::default()
        })
        .map_err(|error| unusable("config.json", &error.to_string(), WhisperConfig::MODEL_TYPE))?;
        Ok(Some(of_wave(move |samples| HostValue::Frames {
            values: front.compute(samples),
            width: front.config().feature_size,
            valid: front.frames(samples.len()),
        })))
    }
}

impl DeviceKind for Whisper {
    type Layer = PretrainedEncoder<WhisperEncoder>;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<Self::Layer, BuildError> {
        self.0.build_whisper(inputs, context)
    }
}
