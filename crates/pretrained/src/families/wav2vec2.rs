//! wav2vec 2.0 (Baevski et al. 2020).

use super::{Architecture, Family, Published, base, large};

/// wav2vec 2.0.
pub const WAV2VEC2: Family = Family(&Architecture {
    kind: "wav2vec2",
    model_type: "wav2vec2",
    prefix: "wav2vec2.",
    published: &[
        base("facebook/wav2vec2-base"),
        base("facebook/wav2vec2-base-960h"),
        large("facebook/wav2vec2-large-lv60"),
        large("facebook/wav2vec2-large-robust"),
        large("facebook/wav2vec2-large-xlsr-53"),
        large("facebook/wav2vec2-xls-r-300m"),
        Published {
            layers: Some(12),
            ..large("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim")
        },
    ],
    ..Architecture::USUAL
});
