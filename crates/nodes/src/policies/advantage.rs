//! How much better than expected it went.

/// Sums of the rewards from each step on, each later one counting γ less; `next` is what lies behind
/// the last step.
pub fn returns(rewards: &[f64], next: f64, gamma: f64) -> Vec<f64> {
    let mut sum = next;
    let mut returns: Vec<f64> = rewards
        .iter()
        .rev()
        .map(|reward| {
            sum = reward + gamma * sum;
            sum
        })
        .collect();
    returns.reverse();
    returns
}

/// The generalised advantage estimate of each step.
///
/// `δ_t = r_t + γ V_{t+1} − V_t`, `A_t = δ_t + γλ A_{t+1}`; `next` is the value behind the last step,
/// 0 where the episode is over.
///
/// # Source
/// Schulman et al., ICLR 2016, equation 16.
pub fn generalised(rewards: &[f64], values: &[f64], next: f64, gamma: f64, lambda: f64) -> Vec<f64> {
    let (mut value, mut advantage) = (next, 0.0);
    let mut advantages: Vec<f64> = rewards
        .iter()
        .zip(values)
        .rev()
        .map(|(reward, &before)| {
            advantage = reward + gamma * value - before + gamma * lambda * advantage;
            value = before;
            advantage
        })
        .collect();
    advantages.reverse();
    advantages
}

/// Brings advantages to zero mean and unit deviation (with n − 1); one alone stays as it is.
pub fn normalise(advantages: &mut [f64]) {
    let n = advantages.len() as f64;
    if n < 2.0 {
        return;
    }
    let mean = advantages.iter().sum::<f64>() / n;
    let variance = advantages.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = 1.0 / (variance.sqrt() + 1e-8);
    for advantage in advantages {
        *advantage = (*advantage - mean) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_lambda_one_an_advantage_is_the_return_less_the_value() {
        let (rewards, values) = ([1.0, -2.0, 0.5], [0.3, 0.1, -0.4]);
        let advantages = generalised(&rewards, &values, 2.0, 0.9, 1.0);
        for ((advantage, sum), value) in advantages.iter().zip(returns(&rewards, 2.0, 0.9)).zip(values) {
            assert!((advantage - (sum - value)).abs() < 1e-12);
        }
        let one_step = generalised(&rewards, &values, 2.0, 0.9, 0.0);
        assert!((one_step[2] - (0.5 + 0.9 * 2.0 + 0.4)).abs() < 1e-12);
    }

    #[test]
    fn equal_advantages_become_zero_and_a_single_one_stays() {
        let mut equal = [2.0; 4];
        normalise(&mut equal);
        assert_eq!(equal, [0.0; 4]);
        let mut one = [2.0];
        normalise(&mut one);
        assert_eq!(one, [2.0]);
    }
}
