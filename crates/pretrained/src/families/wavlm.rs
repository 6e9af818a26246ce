//! WavLM (Chen et al. 2022): gated relative position bias.

use super::{Architecture, Family, base, large};

/// WavLM.
pub const WAVLM: Family = Family(&Architecture {
    kind: "wavlm",
    model_type: "wavlm",
    prefix: "wavlm.",
    published: &[
        base("microsoft/wavlm-base"),
        base("microsoft/wavlm-base-plus"),
        large("microsoft/wavlm-large"),
    ],
    large_conv_bias: false,
    relative_positions: true,
    ..Architecture::USUAL
});
