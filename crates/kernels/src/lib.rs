//! Operations on Burn's CPU backend, written for it: each with its own backward.
//!
//! They are the inner loops of training, so this crate is compiled in one part at the highest optimisation
//! (`[profile.release.package]`). Results do not depend on the number of threads: what is summed over items is summed
//! in a fixed order.
//!
//! First come the convolution block's. Burn's CPU backend composes batch norm, ReLU and pooling of about ten passes over
//! memory, and unfolds the whole input for the gradient of a convolution's weights. Here valid frames alone are touched,
//! a tile at a time.

mod adam;
mod attention;
#[cfg(test)]
mod check;
mod conv;
mod dropout;
mod frame_conv;
mod gelu;
mod gemm;
mod grouped_conv;
mod kernel;
mod layer_norm;
mod linear;
mod norm_pool;
mod selective_scan;
mod simd;
mod squares;
mod time_norm;
mod wave_layer;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, Dispatch, DispatchDevice, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

pub use adam::{AdamRule, adam_step};
pub use attention::{AttentionExtras, attention};
pub use dropout::{Dropout, dropout};
pub use frame_conv::conv1d_channels_last;
pub use gelu::{composed_gelu, gelu};
pub use grouped_conv::grouped_same_conv;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use norm_pool::Statistics;
pub use selective_scan::{Scan, selective_scan};
pub use squares::sum_of_squares;
pub use time_norm::group_norm_over_time;
pub use wave_layer::wave_layer;

/// What batch norm adds to the variance (the field's usual value).
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// Sizes of a batch of images `[batch, channels, time, bands]` and each item's valid frames.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Items.
    pub batch: usize,
    /// Frames, padding included.
    pub time: usize,
    /// Bands.
    pub bands: usize,
    /// Valid frames of each item, at most `time`.
    pub lengths: Vec<usize>,
}

/// Operations of the convolution block.
#[backend_extension(Flex, Autodiff)]
pub trait ConvBlockOps: Backend {
    /// 3×3 convolution with zero padding, without bias.
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    /// Gradient of [`ConvBlockOps::conv3x3`] for its input.
    fn conv3x3_input(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    /// Gradient of [`ConvBlockOps::conv3x3`] for its weight.
    fn conv3x3_weight(x: FloatTensor<Self>, gradient: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    /// Mean and biased variance of each channel over valid frames, `[2, channels]`.
    fn channel_statistics(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    /// `max_pool2x2(relu(gamma · (x − mean) / sqrt(var + ε) + beta))` over valid frames; gradients
    /// go through the statistics as in batch norm.
    fn norm_pool(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Gradients of [`ConvBlockOps::norm_pool`] for `x`, `gamma` and `beta`.
    fn norm_pool_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// A tensor's numbers in row-major order, copied only where they do not lie so.
struct Numbers(FlexTensor);

impl Numbers {
    fn of(tensor: &FlexTensor) -> Self {
        let tensor = tensor.to_contiguous();
        let whole =
            tensor.layout().num_elements() == tensor.storage::<f32>().len() && tensor.layout().start_offset() == 0;
        Self(if whole {
            tensor
        } else {
            FlexTensor::from_data(tensor.into_data())
        })
    }

    fn get(&self) -> &[f32] {
        self.0.storage::<f32>()
    }

    fn channels(&self) -> usize {
        self.0.layout().shape()[1]
    }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

impl ConvBlockOps for Flex {
    fn conv3x3(x: FlexTensor, weight: FlexTensor, geometry: Geometry) -> FlexTensor {
        let (x, weight) = (Numbers::of(&x), Numbers::of(&weight));
        let outputs = weight.0.layout().shape()[0];
        let y = conv::forward(x.get(), weight.get(), x.channels(), outputs, &geometry);
        tensor(y, [geometry.batch, outputs, geometry.time, geometry.bands])
    }

    fn conv3x3_input(weight: FlexTensor, gradient: FlexTensor, geometry: Geometry) -> FlexTensor {
        let (weight, gradient) = (Numbers::of(&weight), Numbers::of(&gradient));
        let inputs = weight.channels();
        let dx = conv::input_gradient(weight.get(), gradient.get(), inputs, gradient.channels(), &geometry);
        tensor(dx, [geometry.batch, inputs, geometry.time, geometry.bands])
    }

    fn conv3x3_weight(x: FlexTensor, gradient: FlexTensor, geometry: Geometry) -> FlexTensor {
        let (x, gradient) = (Numbers::of(&x), Numbers::of(&gradient));
        let (inputs, outputs) = (x.channels(), gradient.channels());
        tensor(
            conv::weight_gradient(x.get(), gradient.get(), inputs, outputs, &geometry),
            [outputs, inputs, 3, 3],
        )
    }

    fn channel_statistics(x: FlexTensor, geometry: Geometry) -> FlexTensor {
        let x = Numbers::of(&x);
        let channels = x.channels();
        tensor(Statistics::of(x.get(), channels, &geometry).into_vec(), [2, channels])
    }

    fn norm_pool(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        statistics: FlexTensor,
        geometry: Geometry,
    ) -> FlexTensor {
        let (x, gamma, beta) = (Numbers::of(&x), Numbers::of(&gamma), Numbers::of(&beta));
        let statistics = Statistics::from_slice(Numbers::of(&statistics).get());
        let pooled = norm_pool::forward(x.get(), gamma.get(), beta.get(), &statistics, &geometry);
        tensor(
            pooled,
            [geometry.batch, x.channels(), geometry.time / 2, geometry.bands / 2],
        )
    }

    fn norm_pool_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        statistics: FlexTensor,
        gradient: FlexTensor,
        geometry: Geometry,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, gamma, beta, gradient) = (
            Numbers::of(&x),
            Numbers::of(&gamma),
            Numbers::of(&beta),
            Numbers::of(&gradient),
        );
        let statistics = Statistics::from_slice(Numbers::of(&statistics).get());
        let channels = x.channels();
        let (dx, dgamma, dbeta) =
            norm_pool::backward(x.get(), gamma.get(), beta.get(), &statistics, gradient.get(), &geometry);
        (
            tensor(dx, [geometry.batch, channels, geometry.time, geometry.bands]),
            tensor(dgamma, [channels]),
            tensor(dbeta, [channels]),
        )
    }
}

impl<B: ConvBlockOps, C: CheckpointStrategy> ConvBlockOps for Autodiff<B, C> {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Conv;
        impl<B: ConvBlockOps> Backward<B, 2> for Conv {
            type State = (FloatTensor<B>, FloatTensor<B>, Geometry);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [x_node, weight_node] = ops.parents;
                let gradient = grads.consume::<B>(&ops.node);
                let (x, weight, geometry) = ops.state;
                if let Some(node) = x_node {
                    grads.register::<B>(node.id, B::conv3x3_input(weight, gradient.clone(), geometry.clone()));
                }
                if let Some(node) = weight_node {
                    grads.register::<B>(node.id, B::conv3x3_weight(x, gradient, geometry));
                }
            }
        }
        match Conv.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = (x.primitive().clone(), weight.primitive().clone(), geometry.clone());
                prep.finish(state, B::conv3x3(x.into_primitive(), weight.into_primitive(), geometry))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::conv3x3(x.into_primitive(), weight.into_primitive(), geometry)),
        }
    }

    fn norm_pool(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct NormPool;
        impl<B: ConvBlockOps> Backward<B, 3> for NormPool {
            type State = ([FloatTensor<B>; 4], Geometry);
            fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = grads.consume::<B>(&ops.node);
                let ([x, gamma, beta, statistics], geometry) = ops.state;
                let (dx, dgamma, dbeta) = B::norm_pool_backward(x, gamma, beta, statistics, gradient, geometry);
                for (node, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, gradient);
                    }
                }
            }
        }
        let statistics = statistics.into_primitive();
        match NormPool
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let inputs = [
                    x.into_primitive(),
                    gamma.into_primitive(),
                    beta.into_primitive(),
                    statistics,
                ];
                let [x, gamma, beta, statistics] = inputs.clone();
                prep.finish(
                    (inputs, geometry.clone()),
                    B::norm_pool(x, gamma, beta, statistics, geometry),
                )
            }
            OpsKind::UnTracked(prep) => {
                let (gamma, beta) = (gamma.into_primitive(), beta.into_primitive());
                prep.finish(B::norm_pool(x.into_primitive(), gamma, beta, statistics, geometry))
            }
        }
    }

    fn channel_statistics(x: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        // Gradients through the statistics are part of `norm_pool`.
        Self::FloatTensorPrimitive::new(B::channel_statistics(x.into_primitive(), geometry))
    }

    fn conv3x3_input(weight: FloatTensor<Self>, gradient: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        Self::FloatTensorPrimitive::new(B::conv3x3_input(
            weight.into_primitive(),
            gradient.into_primitive(),
            geometry,
        ))
    }

    fn conv3x3_weight(x: FloatTensor<Self>, gradient: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        Self::FloatTensorPrimitive::new(B::conv3x3_weight(
            x.into_primitive(),
            gradient.into_primitive(),
            geometry,
        ))
    }

    fn norm_pool_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (dx, dgamma, dbeta) = B::norm_pool_backward(
            x.into_primitive(),
            gamma.into_primitive(),
            beta.into_primitive(),
            statistics.into_primitive(),
            gradient.into_primitive(),
            geometry,
        );
        let constant = Self::FloatTensorPrimitive::new;
        (constant(dx), constant(dgamma), constant(dbeta))
    }
}

/// Whether these operations exist on a device.
pub fn runs_on(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Runs work on a device, on the CPU as one of the threads that share its parts out: from outside, each
/// of a step's thousand operations would wake one of them and wait to be woken.
pub fn on_cores<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if runs_on(device) {
        rayon::scope(|_| work())
    } else {
        work()
    }
}

/// 3×3 convolution of the valid frames; padding of the result is zero.
///
/// # Shapes
/// - `x`: `[batch, inputs, time, bands]`, zero at padding; `weight`: `[outputs, inputs, 3, 3]`
/// - output: `[batch, outputs, time, bands]`
pub fn conv3x3(x: Tensor<4>, weight: Tensor<4>, geometry: &Geometry) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvBlockOps>::conv3x3(
        x.into_dispatch(),
        weight.into_dispatch(),
        geometry.clone(),
    ))
}

/// Mean and biased variance of each channel over the valid frames, without gradient.
///
/// # Shapes
/// - `x`: `[batch, channels, time, bands]`
/// - output: `[2, channels]`
pub fn channel_statistics(x: Tensor<4>, geometry: &Geometry) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as ConvBlockOps>::channel_statistics(
        x.into_dispatch(),
        geometry.clone(),
    ))
}

/// Batch norm with the given statistics, ReLU and 2×2 max-pooling over the valid frames.
///
/// # Shapes
/// - `x`: `[batch, channels, time, bands]`; `gamma`, `beta`: `[channels]`; `statistics`: `[2, channels]`
/// - output: `[batch, channels, ⌊time / 2⌋, ⌊bands / 2⌋]`, zero at padding
pub fn norm_pool(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    statistics: Tensor<2>,
    geometry: &Geometry,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvBlockOps>::norm_pool(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        statistics.into_dispatch(),
        geometry.clone(),
    ))
}
