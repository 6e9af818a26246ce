//! The fields that all pretrained encoders share, and what they come to without the node's inputs.

use emorun_lang::PortRef;
use emorun_nn::facts::Facts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::config::Preprocessor;
use super::families::Family;
use super::known::{self, Layout};
use super::masks::Spans;
use super::train::{Hidden, LearningRates, Train};

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

    /// What `config.json` says of a model of the wav2vec 2.0 layout.
    pub fn speech_config(&self, family: Family, facts: &Facts) -> serde_json::Value {
        self.config(facts, |id| known::speech(family, id), |layout| layout.speech(family))
    }

    /// What `config.json` says of a Whisper model.
    pub fn whisper_config(&self, facts: &Facts) -> serde_json::Value {
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

    /// What `preprocessor_config.json` says, where the checkpoint has one.
    pub fn preprocessor(&self, facts: &Facts) -> Option<serde_json::Value> {
        facts
            .checkpoint(&self.weights)
            .and_then(|facts| facts.preprocessor.clone())
    }

    /// The field that asks for masks.
    pub(crate) fn masked_axis(&self) -> Option<&'static str> {
        let time = (self.mask_time_prob > 0.0).then_some("mask_time_prob");
        time.or((self.mask_feature_prob > 0.0).then_some("mask_feature_prob"))
    }

    /// Spans that are masked over time and over channels.
    pub(crate) fn spans(&self) -> [Spans; 2] {
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
}
