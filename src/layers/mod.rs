//! Building blocks shared by nodes. Each respects lengths: padding never changes a result.

pub mod attention_pool;
pub mod conv_block;
pub mod fused;
pub mod gru;
