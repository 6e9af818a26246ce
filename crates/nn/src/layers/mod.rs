//! Building blocks shared by nodes. Each respects lengths: padding never changes a result.

pub mod activation;
pub mod batch_norm;
pub mod causal;
pub mod conv_block;
pub mod conv_stack;
pub mod decoder;
pub mod dense;
pub mod gru;
pub mod mamba;
pub mod pool;
pub mod positions;
pub mod stack;
pub mod transformer;
