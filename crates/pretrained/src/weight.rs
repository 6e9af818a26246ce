//! Tensors of a pretrained model, each either trained or constant, and the layers made of them.

use std::sync::{Arc, OnceLock};

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use emorun_kernels as kernels;

use emorun_nn::node::Context;
use emorun_nn::precision::Precision;

/// A tensor of a pretrained model.
///
/// A model whose tensors are partly frozen has one structure in every setting: what is frozen is no
/// parameter (it is not saved with the run, has no optimizer state and no gradient), and a part that
/// is frozen throughout runs without autodiff.
#[derive(Module, Debug)]
pub enum Weight<const D: usize> {
    /// A parameter of the run.
    Trained(Param<Tensor<D>>),
    /// What stays as the checkpoint has it.
    Frozen(Constant<D>),
}

/// A tensor that no optimizer sees and no checkpoint of a run holds.
#[derive(Module, Debug)]
pub struct Constant<const D: usize> {
    #[module(skip)]
    tensor: Tensor<D>,
    /// The same as a factor of products in bfloat16, once it was asked for.
    #[module(skip)]
    rounded: Arc<OnceLock<Tensor<D>>>,
}

impl<const D: usize> Weight<D> {
    /// A constant, without autodiff.
    pub fn frozen(tensor: Tensor<D>) -> Self {
        Self::Frozen(Constant {
            tensor: tensor.inner(),
            rounded: Arc::default(),
        })
    }

    /// True if the optimizer moves it.
    pub fn trains(&self) -> bool {
        matches!(self, Self::Trained(_))
    }

    /// The tensor as it is: with autodiff only if it trains.
    pub fn value(&self) -> Tensor<D> {
        match self {
            Self::Trained(param) => param.val(),
            Self::Frozen(constant) => constant.tensor.clone(),
        }
    }

    /// The tensor as a factor of products in a precision: what is frozen is rounded but once. What trains is not
    /// rounded yet.
    fn factor(&self, precision: Precision) -> Tensor<D> {
        match self {
            Self::Frozen(constant) if precision == Precision::Bf16 => {
                let rounded = || precision.factor(constant.tensor.clone());
                constant.rounded.get_or_init(rounded).clone()
            }
            _ => self.value(),
        }
    }

    /// As [`Weight::beside`], for a product in a precision, to which what trains is still to be rounded.
    pub fn factor_beside<const E: usize>(&self, x: Tensor<E>, precision: Precision) -> (Tensor<D>, Tensor<E>) {
        together(self.factor(precision), x)
    }

    /// The tensor beside which `x` can be computed, and `x` on the same side of autodiff.
    pub fn beside<const E: usize>(&self, x: Tensor<E>) -> (Tensor<D>, Tensor<E>) {
        together(self.value(), x)
    }
}

/// Brings two tensors to autodiff if one of them is there: a frozen part that follows a trained one
/// passes gradients on, one that precedes it costs nothing.
pub fn together<const D: usize, const E: usize>(a: Tensor<D>, b: Tensor<E>) -> (Tensor<D>, Tensor<E>) {
    match (a.is_autodiff(), b.is_autodiff()) {
        (true, false) => (a, b.autodiff()),
        (false, true) => (a.autodiff(), b),
        _ => (a, b),
    }
}

/// `y = x · W + b`, and with low-rank adaptation `+ α/r · x · A · B`.
///
/// The checkpoint's `[output, input]` weight is kept transposed.
///
/// # Source
/// Adaptation: Hu et al., LoRA, ICLR 2022, §4.1.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[input, output]`
    pub weight: Weight<2>,
    /// `[output]`
    pub bias: Option<Weight<1>>,
    /// Trained beside the frozen weight.
    pub lora: Option<LowRank>,
}

/// The two factors of a low-rank change.
#[derive(Module, Debug)]
pub struct LowRank {
    /// `[input, rank]`
    pub a: Param<Tensor<2>>,
    /// `[rank, output]`, zero at the start
    pub b: Param<Tensor<2>>,
    /// `alpha / rank`
    #[module(skip)]
    pub scale: f64,
    /// Probability of dropout on the input.
    #[module(skip)]
    pub dropout: f64,
}

impl Linear {
    /// # Shapes
    /// - `x`: `[…, input]`
    /// - output: `[…, output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>, context: &Context) -> Tensor<D> {
        let precision = context.precision;
        let (weight, x) = self.weight.factor_beside(x, precision);
        let adapted = self.lora.as_ref().map(|lora| {
            let (a, x) = together(lora.a.val(), x.clone());
            let x = product(context.dropout(x, lora.dropout, "lora"), a, None, context);
            product(x, lora.b.val(), None, context).mul_scalar(lora.scale)
        });
        let y = match &self.bias {
            Some(bias) => {
                let (bias, x) = bias.factor_beside(x, precision);
                let (weight, x) = together(weight, x);
                product(x, weight, Some(bias), context)
            }
            None => product(x, weight, None, context),
        };
        match adapted {
            Some(change) => {
                let (y, change) = together(y, change);
                y + change
            }
            None => y,
        }
    }
}

fn product<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>, context: &Context) -> Tensor<D> {
    let precision = context.precision;
    let (x, weight) = (precision.factor(x), precision.factor(weight));
    precision.product(kernels::linear(x, weight, bias.map(|bias| precision.factor(bias))))
}

/// Normalisation over the last axis with a scale and a shift.
///
/// # Source
/// Ba, Kiros & Hinton 2016.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[width]`
    pub weight: Weight<1>,
    /// `[width]`
    pub bias: Weight<1>,
    /// Added to the variance.
    #[module(skip)]
    pub eps: f64,
}

impl LayerNorm {
    /// # Shapes
    /// - `x` and output: `[…, width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, x) = self.weight.beside(x);
        let (bias, x) = self.bias.beside(x);
        let (weight, x) = together(weight, x);
        kernels::layer_norm(x, weight, bias, self.eps)
    }
}
