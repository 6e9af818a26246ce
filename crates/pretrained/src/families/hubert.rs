//! HuBERT (Hsu et al. 2021).

use super::{Architecture, Family, base, large};

/// HuBERT.
pub const HUBERT: Family = Family(&Architecture {
    kind: "hubert",
    model_type: "hubert",
    prefix: "hubert.",
    published: &[
        base("facebook/hubert-base-ls960"),
        base("superb/hubert-base-superb-er"),
        large("facebook/hubert-large-ll60k"),
        large("facebook/hubert-large-ls960-ft"),
    ],
    optional_projection_norm: true,
    optional_position_batch_norm: true,
    ..Architecture::USUAL
});
