//! Neighbourhoods as probabilities: the width of a kernel such that it covers as many neighbours as asked for.

/// Halvings at most.
const STEPS: usize = 200;

/// The positive number at which an increasing function has a value, found by doubling and halving from 1; the nearest that
/// was met where there is none.
pub(crate) fn find_increasing(target: f64, tolerance: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high, mut at) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..STEPS {
        let found = function(at);
        if (found - target).abs() < tolerance {
            break;
        }
        if found > target {
            high = at;
            at = f64::midpoint(low, high);
        } else {
            low = at;
            at = match high.is_finite() {
                true => f64::midpoint(low, high),
                false => at * 2.0,
            };
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_a_function_has_a_value() {
        for target in [1e-6, 0.5, 1.0, 3e8] {
            let at = find_increasing(target, target * 1e-9, |at| at * at);
            assert!((at * at / target - 1.0).abs() < 1e-8, "{at}");
        }
        assert!(find_increasing(2.0, 1e-9, |_| 1.0) > 1.0);
        assert!(find_increasing(0.5, 1e-9, |_| 1.0) < 1e-9);
    }
}
