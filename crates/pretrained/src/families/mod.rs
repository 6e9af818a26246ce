//! The architectures that share the wav2vec 2.0 layout: one file each, and one line in [`ALL`].

mod data2vec_audio;
mod hubert;
mod wav2vec2;
mod wavlm;

use std::ops::Deref;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::known::Layout;

pub use data2vec_audio::DATA2VEC_AUDIO;
pub use hubert::HUBERT;
pub use wav2vec2::WAV2VEC2;
pub use wavlm::WAVLM;

/// All of them.
pub const ALL: [Family; 4] = [HUBERT, WAV2VEC2, WAVLM, DATA2VEC_AUDIO];

/// An architecture of the wav2vec 2.0 layout: written as the name of its kind.
#[derive(Clone, Copy, Debug)]
pub struct Family(&'static Architecture);

/// What tells an architecture of the wav2vec 2.0 layout from the others.
#[derive(Debug)]
pub struct Architecture {
    /// Name of the kind of node.
    pub kind: &'static str,
    /// The value of `model_type` in `config.json`.
    pub model_type: &'static str,
    /// What the tensors' names begin with in a checkpoint that carries a head too.
    pub prefix: &'static str,
    /// Published checkpoints whose sizes are known by their names.
    pub published: &'static [Published],
    /// Whether convolutions of the front end have a bias in large layouts.
    pub large_conv_bias: bool,
    /// Whether `feat_proj_layer_norm` may leave the norm in front of the projection out.
    pub optional_projection_norm: bool,
    /// Whether `conv_pos_batch_norm` may put a batch norm in front of the positional convolution.
    pub optional_position_batch_norm: bool,
    /// Whether positions come from several convolutions in a row, each of them normalised; then the front end normalises
    /// after every convolution and layers normalise behind their sublayers, whatever the size.
    pub stacked_positions: bool,
    /// Whether attention has gated relative positions.
    pub relative_positions: bool,
}

/// A published checkpoint.
#[derive(Debug)]
pub struct Published {
    /// Its Hub id.
    pub id: &'static str,
    /// Its layout.
    pub layout: Layout,
    /// Its transformer layers, where they are not the layout's.
    pub layers: Option<usize>,
}

impl Architecture {
    /// What an architecture has that says nothing else: wav2vec 2.0's choices.
    const USUAL: Self = Self {
        kind: "",
        model_type: "",
        prefix: "",
        published: &[],
        large_conv_bias: true,
        optional_projection_norm: false,
        optional_position_batch_norm: false,
        stacked_positions: false,
        relative_positions: false,
    };
}

const fn base(id: &'static str) -> Published {
    Published {
        id,
        layout: Layout::Base,
        layers: None,
    }
}

const fn large(id: &'static str) -> Published {
    Published {
        id,
        layout: Layout::Large,
        layers: None,
    }
}

impl Deref for Family {
    type Target = Architecture;

    fn deref(&self) -> &Architecture {
        self.0
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Serialize for Family {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.kind)
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = String::deserialize(deserializer)?;
        let found = ALL.into_iter().find(|family| family.kind == kind);
        found.ok_or_else(|| D::Error::custom(format!("there is no architecture `{kind}`")))
    }
}
