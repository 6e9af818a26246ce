//! Normal numbers by the block.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Pairs that are made together: what is between is in the processor's memory.
const PAIRS: usize = 128;
/// Bits of a float's mantissa.
const MANTISSA: u32 = 23;
/// Bits of √½: what is above it up to √2 has the logarithm nearest to 0.
const HALF_ROOT: i32 = 0x3f35_04f3;

/// Coefficients of the sine's power series in π/2, from the first on.
const SINE: [f32; 6] = [term(1), -term(3), term(5), -term(7), term(9), -term(11)];
/// Those of the cosine's, from the second on.
const COSINE: [f32; 6] = [-term(2), term(4), -term(6), term(8), -term(10), term(12)];

/// `(π/2)^n / n!`
const fn term(n: u32) -> f32 {
    let (mut term, mut k) = (1.0, 0);
    while k < n {
        k += 1;
        term *= std::f64::consts::FRAC_PI_2 / k as f64;
    }
    term as f32
}

/// Standard normal numbers from one seed.
///
/// Made of additions, multiplications, divisions and roots alone, so that they have the same bits on every machine,
/// and without branches, so that the processor makes several at once.
///
/// # Source
/// Box & Muller, A Note on the Generation of Random Normal Deviates, 1958.
pub(super) struct Normal {
    rng: Xoshiro256PlusPlus,
}

impl Normal {
    /// Seeded by `rng`: of a small state, the generator is several times faster than those that draws are keyed by,
    /// whose strength noise does not need.
    pub(super) fn new(rng: &mut dyn Rng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self {
            rng: Xoshiro256PlusPlus::from_seed(seed),
        }
    }

    /// Shows each of `samples` to `with`, with the next normal number.
    pub(super) fn each(&mut self, samples: &mut [f32], with: impl Fn(&mut f32, f32)) {
        for samples in samples.chunks_mut(2 * PAIRS) {
            for (x, normal) in samples.iter_mut().zip(self.block()) {
                with(x, normal);
            }
        }
    }

    fn block(&mut self) -> [f32; 2 * PAIRS] {
        let (mut lengths, mut turns) = ([0_i32; PAIRS], [0_i32; PAIRS]);
        for (length, turn) in lengths.iter_mut().zip(&mut turns) {
            let bits = self.rng.next_u64();
            (*length, *turn) = ((bits >> 33) as i32, bits as i32);
        }
        let mut block = [0.0; 2 * PAIRS];
        let (cosines, sines) = block.split_at_mut(PAIRS);
        for (((cosine, sine), length), turn) in cosines.iter_mut().zip(sines).zip(lengths).zip(turns) {
            // Within (0, 1], so that the logarithm is finite.
            let radius = (-2.0 * ln((length as f32 + 0.5) / (1_u32 << 31) as f32)).sqrt();
            let (sin, cos) = sin_cos_half(turn as f32 / (1_u32 << 31) as f32);
            *cosine = radius * (cos * cos - sin * sin);
            *sine = radius * (2.0 * sin * cos);
        }
        block
    }
}

/// The natural logarithm of a positive number, to seven digits.
fn ln(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let exponent = bits.wrapping_sub(HALF_ROOT) >> MANTISSA;
    let mantissa = f32::from_bits(bits.wrapping_sub(exponent << MANTISSA) as u32);
    // ln m = 2 artanh z, whose series ends soon for |z| < 0.172.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let z2 = z * z;
    let series = even(z2, [2.0, 2.0 / 3.0, 2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0, 2.0 / 11.0]);
    exponent as f32 * std::f32::consts::LN_2 + z * series
}

/// Sine and cosine of `π/2 · x` for |x| ≤ 1, to seven digits by their power series.
fn sin_cos_half(x: f32) -> (f32, f32) {
    let x2 = x * x;
    let sin = x * even(x2, SINE);
    let cos = 1.0 + x2 * even(x2, COSINE);
    (sin, cos)
}

/// A polynomial in `x2`. Not term into term, because the processor works on what does not wait for each other at once.
fn even(x2: f32, [a, b, c, d, e, f]: [f32; 6]) -> f32 {
    let x4 = x2 * x2;
    (a + b * x2) + x4 * ((c + d * x2) + x4 * (e + f * x2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(count: usize) -> Vec<f64> {
        let mut numbers = vec![0.0; count];
        Normal::new(&mut Xoshiro256PlusPlus::seed_from_u64(3)).each(&mut numbers, |x, normal| *x = normal);
        numbers.into_iter().map(f64::from).collect()
    }

    #[test]
    fn logarithm_and_circle_are_right_to_seven_digits() {
        for step in 1..100_000 {
            let x = step as f32 / 100_000.0;
            let (sin, cos) = sin_cos_half(x);
            let angle = std::f64::consts::FRAC_PI_2 * f64::from(x);
            assert!((f64::from(sin) - libm::sin(angle)).abs() < 3e-7, "sine at {x}");
            assert!((f64::from(cos) - libm::cos(angle)).abs() < 3e-7, "cosine at {x}");
            for x in [x, x * 1e-5] {
                let expected = libm::log(f64::from(x));
                let relative = (f64::from(ln(x)) - expected).abs() / expected.abs().max(1e-3);
                assert!(
                    relative < 3e-7 || (f64::from(ln(x)) - expected).abs() < 1e-7,
                    "logarithm of {x}"
                );
            }
        }
    }

    /// Kolmogorov and Smirnov's distance from the normal distribution, its tails, and what is next to each other.
    #[test]
    fn numbers_are_normal_and_independent() {
        let count = 1 << 20;
        let mut numbers = normals(count);
        for apart in [1, PAIRS, 2 * PAIRS] {
            let products = numbers.iter().zip(&numbers[apart..]).map(|(a, b)| a * b);
            let squares = numbers
                .iter()
                .zip(&numbers[apart..])
                .map(|(a, b)| (a * a - 1.0) * (b * b - 1.0));
            // Four standard errors.
            assert!(
                products.sum::<f64>().abs() < 4.0 * (count as f64).sqrt(),
                "{apart} apart"
            );
            assert!(
                squares.sum::<f64>().abs() < 4.0 * 2.0 * (count as f64).sqrt(),
                "{apart} apart"
            );
        }
        for (beyond, two_sided) in [(3.0, 2.699_8e-3), (4.0, 6.334e-5)] {
            let expected = two_sided * count as f64;
            let found = numbers.iter().filter(|x| x.abs() > beyond).count() as f64;
            assert!(
                (found - expected).abs() < 4.0 * expected.sqrt(),
                "{found} beyond {beyond}, expected {expected}"
            );
        }
        numbers.sort_by(f64::total_cmp);
        let below = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
        let distance = numbers
            .iter()
            .enumerate()
            .map(|(at, &x)| (below(x) - at as f64 / count as f64).abs())
            .fold(0.0, f64::max);
        // Less than this in 999 of 1000 samples of a normal distribution.
        assert!(distance * (count as f64).sqrt() < 1.95, "{distance}");
    }

    #[test]
    fn blocks_follow_each_other_and_a_shorter_end_begins_alike() {
        assert_eq!(normals(1000)[..777], normals(777));
    }
}
