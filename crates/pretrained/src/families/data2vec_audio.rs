//! data2vec for speech (Baevski et al. 2022): a stack of positional convolutions.

use super::{Architecture, Family, base, large};

/// data2vec for speech.
pub const DATA2VEC_AUDIO: Family = Family(&Architecture {
    kind: "data2vec_audio",
    model_type: "data2vec-audio",
    prefix: "data2vec_audio.",
    published: &[
        base("facebook/data2vec-audio-base"),
        base("facebook/data2vec-audio-base-960h"),
        large("facebook/data2vec-audio-large"),
        large("facebook/data2vec-audio-large-960h"),
    ],
    large_conv_bias: false,
    stacked_positions: true,
    ..Architecture::USUAL
});
