//! How an operation of ours enters Burn: one trait for a forward and a backward on the CPU.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;

use super::simd::dense;

/// An operation on single-precision numbers in memory, with a backward of its own.
pub trait Kernel: Debug + Send + Sync {
    /// The output. `saved` is there where gradients may be asked for: it takes what
    /// [`Kernel::backward`] needs.
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor;

    /// Gradients of the inputs; those that are not `wanted` need not be computed.
    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>>;
}

/// One to five tensors: what the extension takes for a list of them.
#[derive(ExtensionType, Clone, Debug)]
pub enum Inputs<B: Backend> {
    One(FloatTensor<B>),
    Two(FloatTensor<B>, FloatTensor<B>),
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Four(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Five(
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ),
}

/// Runs a [`Kernel`].
#[backend_extension(Flex, Autodiff)]
pub trait KernelOps: Backend {
    /// The kernel's output, with its own backward where an input is tracked.
    fn run_kernel(#[extension_type] inputs: Inputs<Self>, operation: Arc<dyn Kernel>) -> FloatTensor<Self>;
}

impl KernelOps for Flex {
    fn run_kernel(inputs: Inputs<Self>, operation: Arc<dyn Kernel>) -> FlexTensor {
        let inputs = match inputs {
            Inputs::One(a) => vec![a],
            Inputs::Two(a, b) => vec![a, b],
            Inputs::Three(a, b, c) => vec![a, b, c],
            Inputs::Four(a, b, c, d) => vec![a, b, c, d],
            Inputs::Five(a, b, c, d, e) => vec![a, b, c, d, e],
        };
        operation.forward(inputs, None)
    }
}

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn run_kernel(inputs: Inputs<Self>, operation: Arc<dyn Kernel>) -> FloatTensor<Self> {
        match inputs {
            Inputs::One(a) => tracked::<C, 1>([a], operation),
            Inputs::Two(a, b) => tracked::<C, 2>([a, b], operation),
            Inputs::Three(a, b, c) => tracked::<C, 3>([a, b, c], operation),
            Inputs::Four(a, b, c, d) => tracked::<C, 4>([a, b, c, d], operation),
            Inputs::Five(a, b, c, d, e) => tracked::<C, 5>([a, b, c, d, e], operation),
        }
    }
}

fn tracked<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    operation: Arc<dyn Kernel>,
) -> FloatTensor<Autodiff<Flex, C>> {
    #[derive(Debug)]
    struct Step;
    impl<const N: usize> Backward<Flex, N> for Step {
        type State = (Arc<dyn Kernel>, Vec<FlexTensor>);
        fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
            let gradient = grads.consume::<Flex>(&ops.node);
            let (operation, saved) = ops.state;
            let wanted = ops.parents.each_ref().map(Option::is_some);
            let gradients = operation.backward(saved, gradient, &wanted);
            for (node, gradient) in ops.parents.into_iter().zip(gradients) {
                if let (Some(node), Some(gradient)) = (node, gradient) {
                    grads.register::<Flex>(node.id, gradient);
                }
            }
        }
    }
    let nodes = inputs.each_ref().map(|input| input.node());
    let inputs: Vec<FlexTensor> = inputs.into_iter().map(|input| input.into_primitive()).collect();
    match <Step as Backward<Flex, N>>::prepare::<C>(Step, nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let mut saved = Vec::new();
            let output = operation.forward(inputs, Some(&mut saved));
            prep.finish((operation, saved), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(operation.forward(inputs, None)),
    }
}

/// Whether kernels run on a tensor: one in single precision on the CPU.
pub fn runs_on<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && super::runs_on(&x.device())
}

/// Runs a kernel on one to five tensors; all must be in single precision on the CPU.
pub fn run<const D: usize>(operation: impl Kernel + 'static, inputs: Vec<FloatTensor<Dispatch>>) -> Tensor<D> {
    let mut inputs = inputs.into_iter();
    let inputs = match [(); 5].map(|()| inputs.next()) {
        [Some(a), None, ..] => Inputs::One(a),
        [Some(a), Some(b), None, ..] => Inputs::Two(a, b),
        [Some(a), Some(b), Some(c), None, _] => Inputs::Three(a, b, c),
        [Some(a), Some(b), Some(c), Some(d), None] => Inputs::Four(a, b, c, d),
        [Some(a), Some(b), Some(c), Some(d), Some(e)] => Inputs::Five(a, b, c, d, e),
        [None, ..] => unreachable!("an operation has inputs"),
    };
    Tensor::from_dispatch(<Dispatch as KernelOps>::run_kernel(inputs, Arc::new(operation)))
}

/// A kernel's tensors, each with its numbers in row-major order and nothing else in its storage.
pub fn dense_inputs<const N: usize>(tensors: Vec<FlexTensor>) -> [FlexTensor; N] {
    let tensors: Vec<FlexTensor> = tensors.into_iter().map(dense).collect();
    tensors
        .try_into()
        .unwrap_or_else(|tensors: Vec<_>| unreachable!("{} tensors where {N} were given", tensors.len()))
}
