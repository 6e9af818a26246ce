//! Kinds of the section `blocks`.

pub mod align;
pub mod attention_pool;
pub mod causal_conv;
pub mod feature_noise;
pub mod fuse;
pub mod gradient_reversal;
pub mod gru;
pub mod linear;
pub mod mixup;
pub mod normalise;
pub mod pool;
pub mod sequence_crop;
pub mod spec_augment;
pub mod temporal_dropout;
pub mod transformer_decoder;
pub mod vae;
pub mod weighted_sum;
