//! Waveform augmentations as nodes of the host pipeline.

use emorun_audio::augment::{
    Augment, AugmentConfig, AugmentError, BackgroundNoise, BandPass, Clipping, Codec, Gain, GaussianNoise, PadOrTrim,
    PeakNormalise, PitchShift, Polarity, RandomCrop, Reverb, SpeedPerturb, TimeMask, TimeShift, TimeStretch, VadTrim,
};
use emorun_lang::{
    Cost, DeserializeError, InferError, Inferred, KindInfo, Placement, Section, Tree, from_tree, schema_of,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::augmentation_group::GroupNode;

/// The field that every augmentation has beside those of its kind.
const ONLY: &str = "only";

/// An augmentation and the datasets that it is for.
#[derive(Clone, Debug)]
pub struct Augmentation<C> {
    /// Names of the datasets to whose training items it is applied; empty for all.
    pub only: Vec<String>,
    /// The fields of its kind.
    pub config: C,
}

impl<C: AugmentConfig + JsonSchema> Augmentation<C> {
    /// JSON Schema of its fields, `only` among them.
    pub fn schema() -> Value {
        let mut schema = schema_of::<C>();
        schema["properties"][ONLY] = json!({
            "description": "Datasets to whose training items it is applied; all of them when left out.",
            "type": "array",
            "items": { "type": "string" },
            "default": [],
        });
        schema
    }

    /// Checks the fields against each other; reads no file.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn infer(&self) -> Result<Inferred, InferError> {
        if let Err(errors) = self.config.validate()
            && let Some(error) = errors.first()
        {
            return Err(InferError::invalid(field_of(error), error.to_string()));
        }
        Ok(on_host())
    }

    /// The transform for waveforms of a rate, with its probability.
    ///
    /// # Errors
    /// A folder or file that it needs is missing or cannot be read.
    pub fn build(&self, rate_hz: u32) -> Result<Box<dyn Augment>, AugmentError> {
        self.config.build(rate_hz)
    }
}

impl<C: DeserializeOwned> Augmentation<C> {
    /// Reads the fields of a node.
    ///
    /// # Errors
    /// What the schema does not say.
    pub fn parse(fields: &Tree) -> Result<Self, DeserializeError> {
        let mut fields = fields.clone();
        let mut only = Vec::new();
        if let emorun_lang::Value::Map(entries) = &mut fields.value
            && let Some(at) = entries.iter().position(|entry| entry.key == ONLY)
        {
            only = from_tree(&entries.remove(at).value)?;
        }
        Ok(Self {
            only,
            config: from_tree(&fields)?,
        })
    }
}

impl<C: Serialize> Serialize for Augmentation<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serde_json::to_value(&self.config).map_err(S::Error::custom)?;
        fields[ONLY] = json!(self.only);
        fields.serialize(serializer)
    }
}

/// What there is to know of any augmentation.
pub(super) fn on_host() -> Inferred {
    Inferred {
        outputs: Vec::new(),
        placement: Placement::Host,
        cost: Cost::default(),
        reads_labels: false,
        train_only: true,
    }
}

/// The field that an error is about, as a dotted path.
pub fn field_of(error: &AugmentError) -> &str {
    match error {
        AugmentError::Probability(_) => "p",
        AugmentError::Range { field, .. } | AugmentError::Value { field, .. } | AugmentError::Length { field, .. } => {
            field
        }
        AugmentError::CategoryName(_) => "categories",
        AugmentError::Rate { .. } | AugmentError::Resample(_) => "kind",
        AugmentError::NoiseFolder(_) | AugmentError::NoiseFile(_) => "root",
    }
}

/// Whether an error is about files rather than about the experiment.
pub fn is_about_files(error: &AugmentError) -> bool {
    matches!(error, AugmentError::NoiseFolder(_) | AugmentError::NoiseFile(_))
}

/// Makes, from the list of augmentations, the enum of their nodes and the dispatch over it.
macro_rules! augmentations {
    ($($name:ident => $config:ident, $summary:literal, $source:literal;)+) => {
        /// A waveform augmentation of any kind.
        #[derive(Clone, Debug)]
        pub enum AugmentationNode {
            $(
                #[doc = $summary]
                $config(Augmentation<$config>),
            )+
            /// Several of them under one name.
            Group(GroupNode),
        }

        /// The kinds of augmentations.
        pub const KINDS: &[KindInfo] = &[$(KindInfo {
            name: stringify!($name),
            section: Section::Augmentations,
            summary: $summary,
            source: $source,
            schema: Augmentation::<$config>::schema,
            inputs: "waveforms of training items",
            outputs: "the same, changed",
        }),+];

        impl AugmentationNode {
            /// Reads the fields of a kind; `None` if it is no augmentation.
            pub fn parse(kind: &str, fields: &Tree) -> Option<Result<Self, DeserializeError>> {
                match kind {
                    $(stringify!($name) => Some(Augmentation::parse(fields).map(Self::$config)),)+
                    _ => GroupNode::parse(kind, fields).map(|parsed| parsed.map(Self::Group)),
                }
            }

            /// The kind's name.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$config(_) => stringify!($name),)+
                    Self::Group(node) => node.kind(),
                }
            }

            /// Names of the datasets that it is for; empty for all.
            pub fn only(&self) -> &[String] {
                match self {
                    $(Self::$config(node) => &node.only,)+
                    Self::Group(node) => node.only(),
                }
            }

            /// See [`Augmentation::infer`].
            ///
            /// # Errors
            /// As there.
            pub fn infer(&self) -> Result<Inferred, InferError> {
                match self {
                    $(Self::$config(node) => node.infer(),)+
                    Self::Group(node) => node.infer(),
                }
            }

            /// See [`Augmentation::build`]; for a group its rule, to be built with what it holds.
            ///
            /// # Errors
            /// As there.
            pub fn build(&self, rate_hz: u32) -> Result<Result<Box<dyn Augment>, &GroupNode>, AugmentError> {
                match self {
                    $(Self::$config(node) => node.build(rate_hz).map(Ok),)+
                    Self::Group(node) => Ok(Err(node)),
                }
            }
        }

        impl Serialize for AugmentationNode {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$config(node) => node.serialize(serializer),)+
                    Self::Group(node) => node.serialize(serializer),
                }
            }
        }
    };
}

augmentations! {
    background_noise => BackgroundNoise,
        "recorded noise, music or speech mixed in at a drawn signal-to-noise ratio",
        "Snyder, Chen & Povey, MUSAN, 2015";
    gaussian_noise => GaussianNoise,
        "white noise of a drawn level",
        "audiomentations AddGaussianNoise and AddGaussianSNR";
    gain => Gain,
        "louder or quieter by a drawn number of decibels",
        "audiomentations Gain";
    polarity => Polarity,
        "the waveform turned upside down",
        "audiomentations PolarityInversion";
    pitch_shift => PitchShift,
        "higher or lower by a drawn number of semitones, at the same length",
        "Signalsmith Stretch; audiomentations PitchShift";
    time_stretch => TimeStretch,
        "faster or slower by a drawn factor, at the same pitch",
        "Signalsmith Stretch; audiomentations TimeStretch";
    speed_perturb => SpeedPerturb,
        "played at one of several speeds, pitch and all",
        "Ko et al., Interspeech 2015";
    time_shift => TimeShift,
        "moved within its length, what falls out coming round",
        "audiomentations Shift";
    reverb => Reverb,
        "heard in a recorded or a synthetic room",
        "Ko et al., ICASSP 2017; Allen & Berkley, JASA 65, 1979";
    band_pass => BandPass,
        "only a band of frequencies, as over a telephone",
        "audiomentations BandPassFilter; ITU-T G.712";
    codec => Codec,
        "coded at a low rate with 8 bits a sample, and decoded",
        "ITU-T G.711 and G.191";
    clipping => Clipping,
        "the loudest samples clipped",
        "audiomentations ClippingDistortion";
    time_mask => TimeMask,
        "drawn stretches silenced",
        "audiomentations TimeMask; SpeechBrain DropChunk";
    peak_normalise => PeakNormalise,
        "the loudest sample brought to one level",
        "audiomentations Normalize";
    vad_trim => VadTrim,
        "without the silence before and after",
        "librosa.effects.trim; audiomentations Trim";
    random_crop => RandomCrop,
        "a stretch of drawn length and place",
        "system 1 of the reference: crops of 2 to 3 s";
    pad_or_trim => PadOrTrim,
        "brought to one length",
        "audiomentations AdjustDuration";
}
