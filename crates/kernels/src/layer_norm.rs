//! Layer normalisation.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{BLOCK, map, multiply_add, rows_of_part, sum, sum2, total, vectorised};
use super::tensor;

/// `(x − mean) / √(var + ε) · weight + bias` over the last axis, with the biased variance.
///
/// On the CPU values and gradients are within 1e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `x` and output: `[…, width]`; `weight`, `bias`: `[width]`
///
/// # Source
/// Ba, Kiros & Hinton 2016.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1..],
        weight.dims(),
        "layer norm: weight is not as wide as x"
    );
    if kernel::runs_on(&x) {
        let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return kernel::run(LayerNorm { eps }, inputs);
    }
    plain(x, weight, bias, eps)
}

fn plain<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().powi_scalar(2).mean_dim(D - 1);
    centred / (variance + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()
}

#[derive(Debug)]
struct LayerNorm {
    eps: f64,
}

/// Mean and 1 / √(var + ε).
#[inline(always)]
fn statistics(row: &[f32], eps: f64) -> (f32, f32) {
    let count = row.len() as f64;
    let mean = (f64::from(sum(row, |x| x)) / count) as f32;
    let variance = f64::from(sum(row, |x| (x - mean) * (x - mean))) / count;
    (mean, (1.0 / (variance + eps).sqrt()) as f32)
}

vectorised! {
    fn normalise(rows: &mut [f32], weight: &[f32], bias: &[f32], eps: f64) {
        for row in rows.chunks_exact_mut(weight.len()) {
            let (mean, inverse_sd) = statistics(row, eps);
            for ((x, &weight), &bias) in row.iter_mut().zip(weight).zip(bias) {
                *x = multiply_add::<FMA>((*x - mean) * inverse_sd, weight, bias);
            }
        }
    }
}

vectorised! {
    /// Turns the gradient of the output into that of `x` and adds to those of weight and bias.
    ///
    /// With `x̂` the normalised input and `h = gradient · weight`:
    /// `dx = (h − mean(h) − x̂ · mean(h · x̂)) / √(var + ε)`.
    fn normalise_gradient(
        x: &[f32],
        gradient: &mut [f32],
        weight: &[f32],
        eps: f64,
        weight_gradient: &mut [f32],
        bias_gradient: &mut [f32],
    ) {
        let width = weight.len();
        for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            let (mean, inverse_sd) = statistics(x, eps);
            for ((((x, gradient), weight), weight_gradient), bias_gradient) in x
                .iter()
                .zip(gradient.iter_mut())
                .zip(weight)
                .zip(weight_gradient.iter_mut())
                .zip(bias_gradient.iter_mut())
            {
                *weight_gradient = multiply_add::<FMA>(*gradient, (x - mean) * inverse_sd, *weight_gradient);
                *bias_gradient += *gradient;
                *gradient *= weight;
            }
            let along = sum(gradient, |h| h) / width as f32;
            let across = sum2(gradient, x, |h, x| h * (x - mean)) / width as f32 * inverse_sd * inverse_sd;
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient = inverse_sd * (*gradient - along - across * (x - mean));
            }
        }
    }
}

impl Kernel for LayerNorm {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let [x, weight, bias] = dense_inputs(inputs);
        if let Some(saved) = saved {
            saved.extend([x.clone(), weight.clone()]);
        }
        let (weight, bias) = (weight.storage::<f32>(), bias.storage::<f32>());
        if weight.is_empty() {
            return x;
        }
        let rows = (BLOCK / weight.len()).max(1);
        map(x, rows * weight.len(), |_, rows| {
            normalise(rows, weight, bias, self.eps)
        })
        .0
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = dense_inputs(saved);
        let (x, weight) = (x.storage::<f32>(), weight.storage::<f32>());
        let width = weight.len();
        if width == 0 {
            return vec![Some(gradient), None, None];
        }
        let part = rows_of_part(x.len() / width) * width;
        let (dx, sums) = map(gradient, part, |at, gradient| {
            let mut sum = vec![0f32; 2 * width];
            let (of_weight, of_bias) = sum.split_at_mut(width);
            let x = &x[at * part..at * part + gradient.len()];
            normalise_gradient(x, gradient, weight, self.eps, of_weight, of_bias);
            sum
        });
        let sums = total(sums, 2 * width);
        let (of_weight, of_bias) = sums.split_at(width);
        vec![
            Some(dx),
            Some(tensor(of_weight.to_vec(), [width])),
            Some(tensor(of_bias.to_vec(), [width])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, time, width) in [(1, 1, 3), (2, 5, 31), (3, 7, 64), (1, 50, 768), (4, 149, 100)] {
            // All three inputs as rank 3, with an offset that a one-pass variance would lose.
            let x = values(batch * time * width, 1).into_iter().map(|x| x + 5.0).collect();
            let case = Case::new([
                (x, [batch, time, width]),
                (values(width, 2), [1, 1, width]),
                (values(width, 3), [1, 1, width]),
            ]);
            let flat = |w: Tensor<3>| w.reshape([width]);
            case.agrees(
                |[x, w, b]| layer_norm(x, flat(w), flat(b), 1e-5),
                |[x, w, b]| plain(x, flat(w), flat(b), 1e-5),
                2e-6,
            );
        }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_order() {
        let case = Case::new([
            (values(6 * 33, 1), [33, 6]),
            (values(33, 2), [33, 1]),
            (values(33, 3), [33, 1]),
        ]);
        let flat = |w: Tensor<2>| w.reshape([33]);
        case.agrees(
            |[x, w, b]| layer_norm(x.transpose(), flat(w), flat(b), 1e-5),
            |[x, w, b]| plain(x.transpose(), flat(w), flat(b), 1e-5),
            1e-6,
        );
    }

    #[test]
    fn a_tensor_that_is_held_elsewhere_is_not_changed() {
        let device = burn::tensor::Device::flex();
        let x = Tensor::<2>::from_floats([[1.0, 2.0, 4.0]], &device);
        let _ = layer_norm(x.clone(), Tensor::ones([3], &device), Tensor::zeros([3], &device), 1e-5);
        assert_eq!(x.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 4.0]);
    }
}
