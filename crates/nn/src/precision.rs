//! The precision that matrix products and convolutions are computed in.

use burn::tensor::{FloatDType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Precision of matrix products and convolutions in pretrained encoders. Weights, gradients, sums,
/// normalisation, softmax, losses and the optimizer's state are in single precision in any case.
///
/// # Source
/// Kalamkar et al. 2019, "A study of BFLOAT16 for deep learning training"; the operations are those
/// of PyTorch's autocast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// bfloat16: the range of single precision with 8 bits of significand. Twice as fast or more on
    /// GPUs, slower on the CPU. Products are summed in an order that depends on the size of the batch, and rounding to
    /// 8 bits makes that visible: an item's results differ by about 1e-4 from batch to batch, and with
    /// `evaluation.batch_size`.
    Bf16,
}

impl Precision {
    /// Whether what is computed beside an item shows in its results.
    pub fn depends_on_the_batch(self) -> bool {
        self == Self::Bf16
    }

    /// Whether the CPU takes longer than in single precision.
    pub fn is_slow_on_cpu(self) -> bool {
        self == Self::Bf16
    }

    /// A factor of a product, rounded.
    pub fn factor<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(FloatDType::BF16),
        }
    }

    /// A product, in single precision again.
    pub fn product<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(FloatDType::F32),
        }
    }
}
