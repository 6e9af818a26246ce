//! Kinds of the section `encoders`.

pub mod conv_pool;
pub mod crnn;
pub mod fbank;
pub mod log_mel;
pub mod mamba;
pub mod mfcc;
pub mod onnx;
pub mod precomputed;
pub mod pretrained;
pub mod transformer;
