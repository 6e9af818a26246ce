//! Sums of squares.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{self, Kernel, dense_inputs};
use super::simd::{BLOCK, map, sum, vectorised};
use super::tensor;

/// Numbers from which on a pass on all cores is worth it.
const LARGE: usize = 1 << 20;

/// Sum of the squares of all numbers.
///
/// On the CPU a large tensor takes one pass on all cores, within 1e-6 of the definition; else it is
/// Burn's own, to the bit.
///
/// # Shapes
/// - output: `[1]`
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    if x.shape().num_elements() >= LARGE && kernel::runs_on(&x) {
        kernel::run(Squares, vec![x.into_dispatch()])
    } else {
        x.square().sum()
    }
}

#[derive(Debug)]
struct Squares;

vectorised! {
    fn squares(x: &[f32]) -> f32 {
        sum(x, |x| x * x)
    }
}

vectorised! {
    fn multiply(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }
}

impl Kernel for Squares {
    fn forward(&self, inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let [x] = dense_inputs(inputs);
        // Summed in the blocks' order, whatever the number of threads.
        let blocks: Vec<f32> = x.storage::<f32>().par_chunks(BLOCK).map(squares).collect();
        let total: f64 = blocks.into_iter().map(f64::from).sum();
        if let Some(saved) = saved {
            saved.push(x);
        }
        tensor(vec![total as f32], [1])
    }

    fn backward(&self, saved: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let factor = 2.0 * gradient.storage::<f32>()[0];
        let dx = saved
            .into_iter()
            .map(|x| map(x, BLOCK, |_, block| multiply(block, factor)).0);
        dx.map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for (rows, columns) in [(3, 5), (1, LARGE), (1030, 1027)] {
            let case = Case::new([(values(rows * columns, 1), [rows, columns])]);
            case.agrees(|[x]| sum_of_squares(x), |[x]| x.square().sum(), 1e-6);
        }
        let case = Case::new([(values(1030 * 1027, 1), [1030, 1027])]);
        case.agrees(|[x]| sum_of_squares(x.transpose()), |[x]| x.square().sum(), 1e-6);
    }
}
