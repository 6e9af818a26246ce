//! A step of Adam over one tensor in one pass.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::kernel;
use super::simd::{BLOCK, dense, vectorised};

/// Adam or AdamW with Burn's arithmetic, bit for bit: Burn's own takes a dozen passes over memory.
///
/// # Source
/// Kingma & Ba 2015; Loshchilov & Hutter 2019.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamRule {
    /// Weight decay apart from the gradient (AdamW), or added to it (Adam).
    pub decoupled: bool,
    /// Weight decay; 0 for none.
    pub weight_decay: f32,
    /// Decay rates of the two moments.
    pub betas: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

/// One step with `scale` times the gradient: the changed tensor and the state after it. One pass over
/// memory on all cores, in place where nobody else holds a tensor.
///
/// # Errors
/// Gives everything back where [`adam_step`] does not run: elsewhere than on the CPU, in another
/// precision, with AMSGrad's maximum in the state.
pub fn adam_step<const D: usize>(
    rule: AdamRule,
    lr: f64,
    scale: f64,
    tensor: Tensor<D>,
    gradient: Tensor<D>,
    state: Option<AdaptiveMomentumState<D>>,
) -> Result<(Tensor<D>, AdaptiveMomentumState<D>), (Tensor<D>, Tensor<D>, Option<AdaptiveMomentumState<D>>)> {
    assert_eq!(tensor.dims(), gradient.dims(), "adam: the gradient has another shape");
    if !kernel::runs_on(&tensor) || state.as_ref().is_some_and(|state| state.max_moment_2.is_some()) {
        return Err((tensor, gradient, state));
    }
    let state = state.unwrap_or_else(|| AdaptiveMomentumState::new(0, gradient.zeros_like(), gradient.zeros_like()));
    let time = state.time + 1;
    let (tensor, moment_1, moment_2) = <Dispatch as AdamOps>::adam(
        tensor.into_dispatch(),
        gradient.into_dispatch(),
        state.moment_1.into_dispatch(),
        state.moment_2.into_dispatch(),
        Factors::new(rule, lr, scale, time),
    );
    let [tensor, moment_1, moment_2] = [tensor, moment_1, moment_2].map(Tensor::from_dispatch);
    Ok((tensor, AdaptiveMomentumState::new(time, moment_1, moment_2)))
}

/// A step's scalars as Burn computes them.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    decoupled: bool,
    betas: [f32; 2],
    /// 1 less each.
    others: [f32; 2],
    lr: f32,
    /// What the gradient is multiplied with.
    scale: f32,
    /// Of the gradient's decay; 0 for none.
    penalty: f32,
    /// What the tensor is multiplied with.
    keep: f32,
    /// By which the first moment is divided (AdamW) or multiplied (Adam).
    first: f32,
    /// By which AdamW divides the second moment.
    second: f32,
    epsilon: f32,
}

impl Factors {
    fn new(rule: AdamRule, lr: f64, scale: f64, time: usize) -> Self {
        let [beta_1, beta_2] = rule.betas;
        let time = time as i32;
        let [bias_1, bias_2] = [1.0 - beta_1.powi(time), 1.0 - beta_2.powi(time)];
        let decay = lr * f64::from(rule.weight_decay);
        Self {
            decoupled: rule.decoupled,
            betas: rule.betas,
            others: [1.0 - beta_1, 1.0 - beta_2],
            lr: lr as f32,
            scale: scale as f32,
            penalty: if rule.decoupled { 0.0 } else { rule.weight_decay },
            keep: if rule.decoupled { (1.0 - decay) as f32 } else { 1.0 },
            first: if rule.decoupled { bias_1 } else { bias_2.sqrt() / bias_1 },
            second: bias_2,
            epsilon: if rule.decoupled {
                rule.epsilon
            } else {
                rule.epsilon * bias_2.sqrt()
            },
        }
    }
}

vectorised! {
    fn step(tensor: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], factors: &Factors) {
        let ([beta_1, beta_2], [other_1, other_2]) = (factors.betas, factors.others);
        let numbers = tensor.iter_mut().zip(gradient).zip(first.iter_mut().zip(second));
        // Multiplications and additions are kept apart: fused they would give other bits than Burn.
        if factors.decoupled {
            for ((tensor, &gradient), (first, second)) in numbers {
                let gradient = gradient * factors.scale;
                *first = *first * beta_1 + gradient * other_1;
                *second = *second * beta_2 + gradient * gradient * other_2;
                let change = *first / factors.first / ((*second / factors.second).sqrt() + factors.epsilon);
                *tensor = *tensor * factors.keep - change * factors.lr;
            }
        } else {
            for ((tensor, &gradient), (first, second)) in numbers {
                let gradient = gradient * factors.scale;
                let gradient = if factors.penalty > 0.0 { *tensor * factors.penalty + gradient } else { gradient };
                *first = *first * beta_1 + gradient * other_1;
                *second = *second * beta_2 + gradient * gradient * other_2;
                let change = *first * factors.first / (second.sqrt() + factors.epsilon);
                *tensor -= change * factors.lr;
            }
        }
    }
}

/// A step of Adam on a backend.
#[backend_extension(Flex, Autodiff)]
pub trait AdamOps: Backend {
    /// The tensor and both moments after the step.
    fn adam(
        tensor: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AdamOps for Flex {
    fn adam(
        tensor: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        factors: Factors,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut tensor, gradient, mut moment_1, mut moment_2] =
            [dense(tensor), dense(gradient), dense(moment_1), dense(moment_2)];
        // `storage_mut` copies what somebody else holds.
        tensor
            .storage_mut::<f32>()
            .par_chunks_mut(BLOCK)
            .zip(gradient.storage::<f32>().par_chunks(BLOCK))
            .zip(moment_1.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .zip(moment_2.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .for_each(|(((tensor, gradient), first), second)| step(tensor, gradient, first, second, &factors));
        (tensor, moment_1, moment_2)
    }
}

impl<C: CheckpointStrategy> AdamOps for Autodiff<Flex, C> {
    fn adam(
        tensor: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        // No gradient goes through a step.
        let (tensor, moment_1, moment_2) = Flex::adam(
            tensor.into_primitive(),
            gradient.into_primitive(),
            moment_1.into_primitive(),
            moment_2.into_primitive(),
            factors,
        );
        let constant = Self::FloatTensorPrimitive::new;
        (constant(tensor), constant(moment_1), constant(moment_2))
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::{AdamConfig, AdamState, AdamWConfig, AdamWState, Optimizer};
    use burn::tensor::{Device, TensorData};

    use super::super::check::values;
    use super::*;

    type State = AdaptiveMomentumState<2>;

    fn ours(rule: AdamRule, scale: f64, x: Tensor<2>, gradient: Tensor<2>, state: Option<State>) -> (Tensor<2>, State) {
        match adam_step(rule, 0.01, scale, x, gradient, state) {
            Ok(moved) => moved,
            Err(_) => panic!("it runs on the CPU"),
        }
    }

    fn burns(
        rule: AdamRule,
        scale: f64,
        x: Tensor<2>,
        gradient: Tensor<2>,
        state: Option<State>,
    ) -> (Tensor<2>, State) {
        let gradient = gradient.mul_scalar(scale);
        let [beta_1, beta_2] = rule.betas;
        if rule.decoupled {
            let adam = AdamWConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(rule.epsilon)
                .with_weight_decay(rule.weight_decay)
                .build();
            let (x, state) = adam.step(0.01, x, gradient, state.map(AdamWState::new));
            (x, state.unwrap().momentum)
        } else {
            let adam = AdamConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(rule.epsilon)
                .with_weight_decay((rule.weight_decay > 0.0).then_some(WeightDecayConfig::new(rule.weight_decay)))
                .build();
            let (x, state) = adam.step(0.01, x, gradient, state.map(AdamState::new));
            (x, state.unwrap().momentum)
        }
    }

    #[test]
    fn steps_are_those_of_burn_bit_for_bit() {
        let device = Device::flex();
        let bits = |x: &Tensor<2>| -> Vec<u32> {
            let numbers = x.clone().into_data().try_to_vec::<f32>().unwrap();
            numbers.into_iter().map(f32::to_bits).collect()
        };
        for (decoupled, weight_decay, scale) in [
            (true, 0.0, 1.0),
            (true, 0.01, 0.3),
            (false, 0.0, 0.3),
            (false, 0.01, 1.0),
        ] {
            let rule = AdamRule {
                decoupled,
                weight_decay,
                betas: [0.9, 0.98],
                epsilon: 1e-6,
            };
            let tensor = |seed| Tensor::<2>::from_data(TensorData::new(values(71 * 130, seed), [71, 130]), &device);
            let (mut our_x, mut our_state) = (tensor(1), None);
            let (mut burn_x, mut burn_state) = (tensor(1), None);
            for at in 0..5 {
                let (next, state) = ours(rule, scale, our_x, tensor(at + 2), our_state);
                (our_x, our_state) = (next, Some(state));
                let (next, state) = burns(rule, scale, burn_x, tensor(at + 2), burn_state);
                (burn_x, burn_state) = (next, Some(state));
                assert_eq!(bits(&our_x), bits(&burn_x), "{rule:?}, step {at}");
            }
            let (ours, burn) = (our_state.unwrap(), burn_state.unwrap());
            assert_eq!(ours.time, burn.time);
            assert_eq!(bits(&ours.moment_1), bits(&burn.moment_1));
            assert_eq!(bits(&ours.moment_2), bits(&burn.moment_2));
        }
    }

    #[test]
    fn a_tensor_that_is_held_elsewhere_is_not_changed() {
        let device = Device::flex();
        let rule = AdamRule {
            decoupled: true,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
        };
        let held = Tensor::<2>::ones([1, 3], &device);
        let (moved, _) = ours(rule, 1.0, held.clone(), Tensor::ones([1, 3], &device), None);
        assert_eq!(held.into_data().try_to_vec::<f32>().unwrap(), [1.0; 3]);
        assert!(moved.into_data().try_to_vec::<f32>().unwrap()[0] < 0.991);
    }
}
