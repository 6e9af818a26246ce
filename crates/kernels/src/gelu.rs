//! The exact GELU.

use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;

use super::kernel::{self, Kernel};
use super::simd::{BLOCK, dense, exp_negative, map, multiply_add, polynomial, vectorised};

/// `x · Φ(x)` with Φ the normal distribution (the erf form), element by element.
///
/// On the CPU within 2e-7 of the definition, relative to the largest value; elsewhere through the error function.
///
/// # Source
/// Hendrycks & Gimpel 2016.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernel::runs_on(&x) {
        kernel::run(Gelu, vec![x.into_dispatch()])
    } else {
        plain(x)
    }
}

/// As [`gelu`], in Burn's own operations on the CPU too: with the bits that they have there.
pub fn composed_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if super::runs_on(&x.device()) {
        activation::gelu(x)
    } else {
        plain(x)
    }
}

/// Burn's own has, on other backends than the CPU, the gradient of the tanh approximation: 3e-4 off. That of the error
/// function is exact.
fn plain<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cumulative = (x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    x * cumulative
}

#[derive(Debug)]
struct Gelu;

/// `1 − Φ(a)` for `a ≥ 0`, within 2e-7.
///
/// `Φ(a) − ½` as `a · P(a²) / Q(a²)`, fitted for the least error (7e-9) on [0, 5.5]; what is above
/// has no part in single precision.
#[inline(always)]
fn upper_tail<const FMA: bool>(a: f32) -> f32 {
    const END: f32 = 5.5;
    let square = a * a;
    let p = polynomial::<FMA, 6>(
        square,
        [
            2.274_803_1e-8,
            6.350_627e-6,
            1.687_535_8e-4,
            4.676_817e-3,
            3.384_666e-2,
            3.989_422_4e-1,
        ],
    );
    let q = polynomial::<FMA, 6>(
        square,
        [
            1.197_353_3e-6,
            7.361_903e-5,
            1.884_045_2e-3,
            2.864_224_6e-2,
            2.515_069_3e-1,
            1.0,
        ],
    );
    let tail = 0.5 - a * p / q;
    if a < END { tail } else { 0.0 }
}

vectorised! {
    fn gelu_in_place(x: &mut [f32]) {
        for x in x {
            let a = x.abs();
            // x·Φ(x) is max(x, 0) less a part that is the same on both sides.
            *x = x.max(0.0) - a * upper_tail::<FMA>(a);
        }
    }
}

vectorised! {
    /// Turns the gradient of the output into that of the input.
    pub fn gelu_gradient(x: &[f32], gradient: &mut [f32]) {
        const DENSITY_AT_0: f32 = 0.398_942_3;
        for (gradient, &x) in gradient.iter_mut().zip(x) {
            let tail = upper_tail::<FMA>(x.abs());
            let cumulative = if x > 0.0 { 1.0 - tail } else { tail };
            let density = DENSITY_AT_0 * exp_negative::<FMA>(-0.5 * x * x);
            *gradient *= multiply_add::<FMA>(x, density, cumulative);
        }
    }
}

/// The GELU of each number.
pub fn apply(x: &mut [f32]) {
    gelu_in_place(x);
}

impl Kernel for Gelu {
    fn forward(&self, mut inputs: Vec<FlexTensor>, saved: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        let x = dense(inputs.remove(0));
        if let Some(saved) = saved {
            saved.push(x.clone());
        }
        map(x, BLOCK, |_, block| apply(block)).0
    }

    fn backward(&self, mut saved: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let x = saved.remove(0);
        let x = x.storage::<f32>();
        let (dx, _) = map(gradient, BLOCK, |at, gradient| {
            let start = at * BLOCK;
            gelu_gradient(&x[start..start + gradient.len()], gradient);
        });
        vec![Some(dx)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for shape in [vec![1], vec![3, 5, 7], vec![2, 4099]] {
            let count = shape.iter().product();
            let x: Vec<f32> = values(count, 1).into_iter().map(|x| 3.0 * x).collect();
            match shape[..] {
                [n] => Case::new([(x, [n])]).agrees(|[x]| gelu(x), |[x]| activation::gelu(x), 5e-7),
                [a, b] => Case::new([(x, [a, b])]).agrees(|[x]| gelu(x), |[x]| activation::gelu(x), 5e-7),
                [a, b, c] => Case::new([(x, [a, b, c])]).agrees(
                    |[x]| gelu(x.swap_dims(0, 2)),
                    |[x]| activation::gelu(x.swap_dims(0, 2)),
                    5e-7,
                ),
                _ => unreachable!(),
            }
        }
    }

    #[test]
    fn operations_of_burn_alone_are_the_definition_too() {
        let x: Vec<f32> = values(4099, 2).into_iter().map(|x| 4.0 * x).collect();
        Case::new([(x, [4099])]).agrees(|[x]| plain(x), |[x]| activation::gelu(x), 1e-6);
    }

    #[test]
    fn far_from_zero_it_is_the_rectifier() {
        let mut x = [-1e30, -100.0, -6.0, 0.0, 6.0, 100.0, 1e30, f32::INFINITY];
        let want = x.map(|x| if x > 0.0 { x } else { 0.0 });
        apply(&mut x);
        assert_eq!(x[..7], want[..7]);
        let mut gradient = [1.0; 4];
        gelu_gradient(&[-1e30, -100.0, 100.0, 1e30], &mut gradient);
        assert_eq!(gradient, [0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn not_a_number_stays_one() {
        let mut x = [f32::NAN, 1.0];
        apply(&mut x);
        assert!(x[0].is_nan() && x[1] > 0.8);
        let mut gradient = [1.0];
        gelu_gradient(&[f32::NAN], &mut gradient);
        assert!(gradient[0].is_nan());
    }
}
