//! Kinds of the section `encoders`.

pub mod conv_pool;
pub mod crnn;
pub mod fbank;
pub mod log_mel;
pub mod mfcc;
pub mod onnx;
pub mod precomputed;
pub mod pretrained;
pub mod transformer;

use pretrained::PretrainedKind;

/// What is asked of a kind of the section `encoders` that runs on the device.
pub trait EncoderKind {
    /// What is known of it as a pretrained encoder; `None` for one that starts from drawn weights.
    fn pretrained(&self) -> Option<&dyn PretrainedKind>;
}
