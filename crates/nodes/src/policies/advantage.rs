//! How much better than expected it went, for many episodes at once.
//!
//! Episodes end at the last column: `[episodes, steps]`, shorter ones with anything in front.

use burn::tensor::Tensor;

/// Sums of what stands at each step and behind it, each later step counting `factor` less.
///
/// By doubling: after `k` rounds each sum reaches `2^k` steps ahead.
fn discounted(mut sums: Tensor<2>, factor: f64) -> Tensor<2> {
    let [episodes, steps] = sums.dims();
    let (mut ahead, mut factor) = (1, factor);
    while ahead < steps && factor != 0.0 {
        let behind = Tensor::zeros([episodes, ahead], &sums.device());
        let later = Tensor::cat(vec![sums.clone().narrow(1, ahead, steps - ahead), behind], 1);
        sums = sums + later.mul_scalar(factor);
        factor *= factor;
        ahead *= 2;
    }
    sums
}

/// Each step's follower: what stands one step later, and `last` behind the last step, `[episodes]`.
fn following(x: &Tensor<2>, last: Tensor<1>) -> Tensor<2> {
    let [episodes, steps] = x.dims();
    let last = last.reshape([episodes, 1]);
    if steps == 1 {
        return last;
    }
    Tensor::cat(vec![x.clone().narrow(1, 1, steps - 1), last], 1)
}

/// Sums of the rewards from each step on, each later one counting γ less; `next` is what lies behind
/// the last step.
///
/// # Shapes
/// - `rewards` and output: `[episodes, steps]`
/// - `next`: `[episodes]`
pub fn returns(rewards: Tensor<2>, next: Tensor<1>, gamma: f64) -> Tensor<2> {
    let none = rewards.zeros_like();
    discounted(rewards + following(&none, next).mul_scalar(gamma), gamma)
}

/// The generalised advantage estimate of each step.
///
/// `δ_t = r_t + γ V_{t+1} − V_t`, `A_t = δ_t + γλ A_{t+1}`; `next` is the value behind the last step,
/// 0 where the episode is over.
///
/// # Shapes
/// - `rewards`, `values` and output: `[episodes, steps]`
/// - `next`: `[episodes]`
///
/// # Source
/// Schulman et al., ICLR 2016, equation 16.
pub fn generalised(rewards: Tensor<2>, values: Tensor<2>, next: Tensor<1>, gamma: f64, lambda: f64) -> Tensor<2> {
    let errors = rewards + following(&values, next).mul_scalar(gamma) - values;
    discounted(errors, gamma * lambda)
}

/// Brings advantages to zero mean and unit deviation (with n − 1); one alone stays as it is.
///
/// # Shapes
/// - input and output: `[steps]`
pub fn normalise(advantages: Tensor<1>) -> Tensor<1> {
    let [n] = advantages.dims();
    if n < 2 {
        return advantages;
    }
    let distance = advantages.clone() - advantages.mean();
    let variance = (distance.clone() * distance.clone()).sum().div_scalar((n - 1) as f64);
    distance / variance.sqrt().add_scalar(1e-8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn row(numbers: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(numbers.to_vec(), [1, numbers.len()]), &Device::flex())
    }

    fn one(number: f32) -> Tensor<1> {
        Tensor::from_data([number], &Device::flex())
    }

    fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn with_lambda_one_an_advantage_is_the_return_less_the_value() {
        let rewards = row(&[1.0, -2.0, 0.5, 0.0, 3.0]);
        let values = row(&[0.3, 0.1, -0.4, 2.0, 0.7]);
        let advantages = numbers(generalised(rewards.clone(), values.clone(), one(2.0), 0.9, 1.0));
        let expected = numbers(returns(rewards.clone(), one(2.0), 0.9) - values.clone());
        for (advantage, expected) in advantages.iter().zip(expected) {
            assert!((advantage - expected).abs() < 1e-5);
        }
        let one_step = numbers(generalised(rewards, values, one(2.0), 0.9, 0.0));
        assert!((one_step[4] - (3.0 + 0.9 * 2.0 - 0.7)).abs() < 1e-6);
    }

    #[test]
    fn sums_are_those_of_a_loop_whatever_the_number_of_steps() {
        for steps in 1..20usize {
            let rewards: Vec<f32> = (0..steps).map(|at| (at * 7 % 5) as f32 - 2.0).collect();
            let found = numbers(returns(row(&rewards), one(1.5), 0.8));
            let mut sum = 1.5;
            for (at, reward) in rewards.iter().enumerate().rev() {
                sum = f64::from(*reward) + 0.8 * sum;
                assert!((f64::from(found[at]) - sum).abs() < 1e-5, "{steps} steps, at {at}");
            }
        }
    }

    #[test]
    fn equal_advantages_become_zero_and_a_single_one_stays() {
        let of = |numbers: Vec<f32>| {
            let n = numbers.len();
            Tensor::<1>::from_data(TensorData::new(numbers, [n]), &Device::flex())
        };
        assert_eq!(numbers(normalise(of(vec![2.0; 4]))), [0.0; 4]);
        assert_eq!(numbers(normalise(of(vec![2.0]))), [2.0]);
    }
}
