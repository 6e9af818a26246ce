//! What the operations' tests share: comparing with a plain formulation in double precision.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// Numbers that look random, in about [−1, 1], the same for the same seed.
pub fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

/// Inputs of one rank.
pub struct Case<const N: usize, const D: usize> {
    inputs: [(Vec<f32>, [usize; D]); N],
}

fn vector<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

impl<const N: usize, const D: usize> Case<N, D> {
    pub fn new(inputs: [(Vec<f32>, [usize; D]); N]) -> Self {
        Self { inputs }
    }

    /// Output and gradients of the inputs for a gradient of the output that looks random.
    fn run<const O: usize>(
        &self,
        dtype: FloatDType,
        operation: impl Fn([Tensor<D>; N]) -> Tensor<O>,
    ) -> (Vec<f64>, Vec<Vec<f64>>) {
        let device = Device::flex().autodiff();
        let leaves = self.inputs.each_ref().map(|(numbers, shape)| {
            Tensor::<D>::from_data(TensorData::new(numbers.clone(), *shape), &device)
                .cast(dtype)
                .detach()
                .require_grad()
        });
        let output = operation(leaves.clone());
        let count = output.shape().num_elements();
        let gradient = TensorData::new(values(count, 99), output.shape());
        let gradient = Tensor::<O>::from_data(gradient, &device).cast(dtype);
        let gradients = (output.clone() * gradient).sum().backward();
        let gradients = leaves
            .iter()
            .map(|leaf| leaf.grad(&gradients).map(vector).unwrap_or_default())
            .collect();
        (vector(output), gradients)
    }

    /// Values and gradients of `ours` are those of `plain`, relative to the largest of each.
    pub fn agrees<const O: usize>(
        &self,
        ours: impl Fn([Tensor<D>; N]) -> Tensor<O>,
        plain: impl Fn([Tensor<D>; N]) -> Tensor<O>,
        bound: f64,
    ) {
        let (got, got_gradients) = self.run(FloatDType::F32, ours);
        let (want, want_gradients) = self.run(FloatDType::F64, plain);
        let shapes: Vec<_> = self.inputs.iter().map(|(_, shape)| shape).collect();
        close("output", &got, &want, bound, &shapes);
        for (at, (got, want)) in got_gradients.iter().zip(&want_gradients).enumerate() {
            close(&format!("gradient {at}"), got, want, bound, &shapes);
        }
    }
}

fn close(what: &str, got: &[f64], want: &[f64], bound: f64, shapes: &dyn std::fmt::Debug) {
    assert_eq!(got.len(), want.len(), "{what} of {shapes:?}");
    let scale = want.iter().fold(0f64, |scale, x| scale.max(x.abs()));
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs() / scale.max(1e-30);
        assert!(
            error <= bound,
            "{what} of {shapes:?} at {at}: {got} for {want}, error {error:e}"
        );
    }
}
