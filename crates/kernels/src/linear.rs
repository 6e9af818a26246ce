//! The linear layer.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::gemm::{product_on_all_cores, rows, transposed};
use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{column_sums, zeros};
use super::tensor;

/// `x · weight + bias` over the last axis.
///
/// On the CPU values and gradients are within 2e-6 of the definition, relative to the largest.
///
/// # Shapes
/// - `x`: `[…, inputs]`; `weight`: `[inputs, outputs]`; `bias`: `[outputs]`
/// - output: `[…, outputs]`
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    assert_eq!(x.dims()[D - 1], inputs, "linear: weight takes another width than x has");
    if !kernel::runs_on(&x) {
        return plain(x, weight, bias);
    }
    let mut tensors = vec![x.into_dispatch(), weight.into_dispatch()];
    tensors.extend(bias.map(Tensor::into_dispatch));
    kernel::run(Linear { inputs, outputs }, tensors)
}

fn plain<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    shape[D - 1] = outputs;
    let y = x.reshape([rows, inputs]).matmul(weight).reshape(shape);
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

#[derive(Debug)]
struct Linear {
    inputs: usize,
    outputs: usize,
}

impl Kernel for Linear {
    fn forward(&self, mut inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let bias = (inputs.len() == 3).then(|| inputs.remove(2).to_contiguous());
        let [x, weight] = dense_inputs(inputs);
        let frames = x.storage::<f32>().len() / self.inputs.max(1);
        let mut y = zeros(frames * self.outputs);
        if let Some(bias) = &bias {
            y.par_chunks_exact_mut(self.outputs.max(1))
                .with_min_len(64)
                .for_each(|y| y.copy_from_slice(bias.storage()));
        }
        product_on_all_cores(
            [frames, self.inputs, self.outputs],
            (x.storage(), rows(self.inputs)),
            (weight.storage(), rows(self.outputs)),
            (&mut y, rows(self.outputs)),
            bias.is_some(),
        );
        let mut shape = x.layout().shape().clone();
        let last = shape.num_dims() - 1;
        shape[last] = self.outputs;
        if let Some(saved) = saved {
            saved.extend([x, weight]);
        }
        tensor(y, shape)
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = dense_inputs(saved);
        let [gradient] = dense_inputs(vec![gradient]);
        let (inputs, outputs) = (self.inputs, self.outputs);
        let gradient = gradient.storage::<f32>();
        let frames = gradient.len() / outputs.max(1);
        let of_x = wanted[0].then(|| {
            let mut dx = zeros(frames * inputs);
            product_on_all_cores(
                [frames, outputs, inputs],
                (gradient, rows(outputs)),
                (weight.storage(), transposed(outputs)),
                (&mut dx, rows(inputs)),
                false,
            );
            tensor(dx, x.layout().shape().clone())
        });
        let of_weight = wanted[1].then(|| {
            let mut dw = zeros(inputs * outputs);
            product_on_all_cores(
                [inputs, frames, outputs],
                (x.storage(), transposed(inputs)),
                (gradient, rows(outputs)),
                (&mut dw, rows(outputs)),
                false,
            );
            tensor(dw, [inputs, outputs])
        });
        let of_bias = (wanted.get(2) == Some(&true)).then(|| tensor(column_sums(gradient, outputs), [outputs]));
        vec![of_x, of_weight, of_bias]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (batch, time, inputs, outputs) in [(1, 1, 1, 1), (2, 5, 7, 3), (1, 1, 40, 20), (4, 37, 65, 130)] {
            let case = Case::new([
                (values(batch * time * inputs, 1), [batch, time, inputs]),
                (values(inputs * outputs, 2), [1, outputs, inputs]),
                (values(outputs, 3), [1, 1, outputs]),
            ]);
            let flat = |w: Tensor<3>| w.squeeze_dim::<2>(0).transpose();
            let vector = |b: Tensor<3>| Some(b.reshape([outputs]));
            case.agrees(
                |[x, w, b]| linear(x, flat(w), vector(b)),
                |[x, w, b]| plain(x, flat(w), vector(b)),
                1e-6,
            );
            case.agrees(
                |[x, w, b]| linear(x.swap_dims(0, 1), flat(w), None) + b,
                |[x, w, b]| plain(x.swap_dims(0, 1), flat(w), None) + b,
                1e-6,
            );
        }
    }
}
