//! Dropout whose mask is a function of a key and an element's place, so that no generator has a state.
//!
//! A device's own generator is seeded from the host, which waits for all that the device has to do. Here the mask is
//! computed where the tensor lies, and again in the backward pass instead of being kept.

use burn::tensor::{DType, Device, Int, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

use super::kernel::{self, Kernel};
use super::simd::{BLOCK, map, vectorised};

/// Which elements of a tensor are dropped, and the factor of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    key: [u32; 2],
    /// Elements whose 24 drawn bits are below it are dropped.
    threshold: u32,
    /// `1 / (1 − p)`
    scale: f32,
}

/// Bits of a draw that are compared, as many as single precision holds.
const BITS: u32 = 24;
/// Multipliers and shifts of [`mixed`]. Both multipliers are below 2³¹: the CPU's backend computes products of 32-bit
/// numbers in 64 bits with a sign.
const MULTIPLIERS: [u32; 2] = [0x21f0_aaad, 0x735a_2d97];
const SHIFTS: [u32; 3] = [16, 15, 15];

impl Dropout {
    /// Dropout with probability `p`, for a key of its own.
    pub fn new(p: f64, key: [u32; 2]) -> Self {
        let p = p.clamp(0.0, 1.0);
        Self {
            key,
            threshold: (p * f64::from(1_u32 << BITS)).round() as u32,
            scale: if p < 1.0 { (1.0 / (1.0 - p)) as f32 } else { 0.0 },
        }
    }

    /// The factor of an element, by its place in row-major order.
    #[inline(always)]
    fn factor(self, at: u32) -> f32 {
        if drawn(self.key, at) >> (32 - BITS) < self.threshold {
            0.0
        } else {
            self.scale
        }
    }

    /// Multiplies the elements from `first` on by their factors.
    pub(super) fn apply(self, x: &mut [f32], first: usize) {
        // Places beyond 2³² begin anew.
        multiply_by_factors(x, first as u32, self);
    }

    /// The factors of all elements, in operations that every backend has.
    ///
    /// # Shapes
    /// - output: `shape`, without autodiff
    pub(super) fn factors<const D: usize>(self, shape: Shape, device: &Device) -> Tensor<D> {
        let at = places(shape, &device.clone().inner());
        let mix = |x: Tensor<D, Int>| {
            let x = folded(x, SHIFTS[0]).mul_scalar(MULTIPLIERS[0]);
            folded(folded(x, SHIFTS[1]).mul_scalar(MULTIPLIERS[1]), SHIFTS[2])
        };
        let drawn = mix(keyed(mix(keyed(at, self.key[0])), self.key[1]));
        let kept = drawn
            .bitwise_right_shift_scalar(32 - BITS)
            .greater_equal_elem(self.threshold);
        kept.float().mul_scalar(self.scale)
    }
}

/// Each element's place in row-major order, as unsigned numbers of 32 bits: of a table of the lowest places and one of
/// what is added to them. Burn's `arange` on GPUs is a cumulative sum of ones, which is quadratic, and adds −1, which is
/// no unsigned number.
fn places<const D: usize>(shape: Shape, device: &Device) -> Tensor<D, Int> {
    const LOW: usize = 1 << 12;
    let count = shape.num_elements();
    let column =
        |numbers: Vec<u32>, shape| Tensor::<2, Int>::from_data(TensorData::new(numbers, shape), (device, DType::U32));
    let rows = count.div_ceil(LOW).max(1);
    let low = column((0..LOW as u32).collect(), [1, LOW]);
    // Places beyond 2³² begin anew.
    let high = column((0..rows).map(|row| (row * LOW) as u32).collect(), [rows, 1]);
    (low + high).reshape([rows * LOW]).narrow(0, 0, count).reshape(shape)
}

/// `x ⊕ key`. A number of 2³¹ and more, which wgpu's operations take for a negative one and refuse, is not given to any.
fn keyed<const D: usize>(x: Tensor<D, Int>, key: u32) -> Tensor<D, Int> {
    match key >> 31 {
        0 => x.bitwise_xor_scalar(key),
        _ => x.bitwise_xor_scalar(!key).bitwise_not(),
    }
}

/// `x ⊕ (x ≫ by)`.
fn folded<const D: usize>(x: Tensor<D, Int>, by: u32) -> Tensor<D, Int> {
    x.clone().bitwise_xor(x.bitwise_right_shift_scalar(by))
}

/// 32 bits for a place under a key: a permutation of all places.
///
/// # Source
/// A keyed permutation as in Even & Mansour 1997, with two rounds of [`mixed`].
#[inline(always)]
fn drawn(key: [u32; 2], at: u32) -> u32 {
    mixed(mixed(at ^ key[0]) ^ key[1])
}

/// A permutation of 32 bits in which every bit of the output depends on every bit of the input.
///
/// # Source
/// Wellons, "Prospecting for hash functions", 2018 (github.com/skeeto/hash-prospector), the best one found with two
/// multipliers below 2³¹: `[16 21f0aaad 15 735a2d97 15]`, of a bias of 0.107.
#[inline(always)]
fn mixed(mut x: u32) -> u32 {
    x ^= x >> SHIFTS[0];
    x = x.wrapping_mul(MULTIPLIERS[0]);
    x ^= x >> SHIFTS[1];
    x = x.wrapping_mul(MULTIPLIERS[1]);
    x ^ (x >> SHIFTS[2])
}

/// Zeroes elements as `dropout` says and multiplies the others by `1 / (1 − p)`.
///
/// # Shapes
/// - output: as `x`
///
/// # Source
/// Srivastava et al. 2014, inverted as in every current framework.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    if kernel::runs_on(&x) {
        kernel::run(dropout, vec![x.into_dispatch()])
    } else {
        plain(x, dropout)
    }
}

/// As [`dropout`], in operations that every backend has.
pub(super) fn plain<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    let factors = dropout.factors::<D>(x.shape(), &x.device()).cast(x.dtype());
    x.clone() * if x.is_autodiff() { factors.autodiff() } else { factors }
}

vectorised! {
    fn multiply_by_factors(x: &mut [f32], first: u32, dropout: Dropout) {
        for (at, x) in x.iter_mut().enumerate() {
            *x *= dropout.factor(first.wrapping_add(at as u32));
        }
    }
}

impl Kernel for Dropout {
    fn forward(&self, mut inputs: Vec<FlexTensor>, _: Option<&mut Vec<FlexTensor>>) -> FlexTensor {
        map(inputs.remove(0), BLOCK, |at, block| self.apply(block, at * BLOCK)).0
    }

    fn backward(&self, _: Vec<FlexTensor>, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let (dx, _) = map(gradient, BLOCK, |at, block| self.apply(block, at * BLOCK));
        vec![Some(dx)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{Case, values};
    use super::*;

    const KEY: [u32; 2] = [0x9e37_79b9, 0x0bad_cafe];

    /// Factors of so many elements, by the definition.
    fn factors(dropout: Dropout, count: usize) -> Vec<f32> {
        (0..count as u32).map(|at| dropout.factor(at)).collect()
    }

    /// 1 where an element is dropped.
    fn dropped(p: f64, key: [u32; 2], count: usize) -> Vec<f64> {
        let dropped = |factor: &f32| f64::from(u8::from(*factor == 0.0));
        factors(Dropout::new(p, key), count).iter().map(dropped).collect()
    }

    #[test]
    fn the_mixing_is_the_published_one() {
        // From its definition in C: x ^= x >> 16; x *= 0x21f0aaad; x ^= x >> 15; x *= 0x735a2d97; x ^= x >> 15;
        let rounds = |x: u64| {
            let x = x ^ (x >> 16);
            let x = (x * 0x21f0_aaad) % (1 << 32);
            let x = x ^ (x >> 15);
            let x = (x * 0x735a_2d97) % (1 << 32);
            x ^ (x >> 15)
        };
        for x in [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1234_5678] {
            assert_eq!(u64::from(mixed(x)), rounds(x.into()), "{x:x}");
        }
    }

    #[test]
    fn kernel_and_plain_operations_drop_the_same_elements_to_the_bit() {
        let device = Device::flex();
        for (p, shape) in [
            (0.1, [3, 5, 7]),
            (0.5, [1, 1, 1]),
            (0.9, [2, 4099, 3]),
            (0.0, [2, 2, 2]),
            (1.0, [2, 3, 4]),
        ] {
            let count = shape.iter().product();
            let dropout_ = Dropout::new(p, KEY);
            let want = factors(dropout_, count);
            let numbers = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().unwrap();
            assert_eq!(numbers(dropout_.factors::<3>(Shape::new(shape), &device)), want);
            assert_eq!(numbers(dropout(Tensor::ones(shape, &device), dropout_)), want);
            assert_eq!(numbers(plain(Tensor::ones(shape, &device), dropout_)), want);
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let dropout_ = Dropout::new(0.3, KEY);
        let case = Case::new([(values(3 * 5 * 4099, 1), [3, 5, 4099])]);
        case.agrees(|[x]| dropout(x, dropout_), |[x]| plain(x, dropout_), 1e-6);
        case.agrees(
            |[x]| dropout(x.swap_dims(0, 2), dropout_),
            |[x]| plain(x.swap_dims(0, 2), dropout_),
            1e-6,
        );
    }

    #[test]
    fn not_a_number_stays_one_where_it_is_kept_or_not() {
        let x = Tensor::<1>::full([64], f32::NAN, &Device::flex());
        let numbers = dropout(x, Dropout::new(0.5, KEY)).into_data();
        assert!(numbers.iter::<f32>().all(f32::is_nan));
    }

    #[test]
    fn as_many_are_dropped_as_are_asked_for_and_they_are_independent() {
        let count = 1 << 18;
        // Keys that differ in a bit, as well as ones that look random.
        let keys = [KEY, [KEY[0] ^ 1, KEY[1]], [KEY[0], KEY[1] ^ 1], [0, 0], [u32::MAX, 7]];
        for p in [0.05_f64, 0.1, 0.3, 0.5, 0.9] {
            let (mean, deviation) = (p, (p * (1.0 - p)).sqrt());
            let masks: Vec<Vec<f64>> = keys.iter().map(|&key| dropped(p, key, count)).collect();
            // In units of what independent draws would have as standard deviation.
            let z = |sum: f64, count: usize| sum / (count as f64).sqrt();
            let correlation = |a: &[f64], b: &[f64]| {
                let products = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| (a - mean) * (b - mean) / deviation.powi(2));
                z(products.sum(), a.len().min(b.len()))
            };
            for (at, mask) in masks.iter().enumerate() {
                let off = z(mask.iter().map(|x| (x - mean) / deviation).sum(), count);
                assert!(off.abs() < 4.0, "p {p}, key {at}: mean {off} standard deviations off");
                // Neighbours in a row, and in the columns of usual widths.
                for step in [
                    1, 2, 3, 4, 7, 8, 16, 31, 32, 64, 128, 256, 512, 768, 1024, 3072, 4096, 65536,
                ] {
                    let off = correlation(mask, &mask[step..]);
                    assert!(off.abs() < 4.5, "p {p}, key {at}, distance {step}: {off}");
                }
                for (other_at, other) in masks.iter().enumerate().skip(at + 1) {
                    let off = correlation(mask, other);
                    assert!(off.abs() < 4.5, "p {p}, keys {at} and {other_at}: {off}");
                }
                // How many of 64 neighbours are dropped is spread as a binomial distribution is.
                let sums = mask.chunks_exact(64).map(|block| block.iter().sum::<f64>());
                let spread: f64 = sums.map(|sum| (sum - 64.0 * mean).powi(2)).sum::<f64>() / (count / 64) as f64;
                let ratio = spread / (64.0 * deviation.powi(2));
                assert!(
                    (ratio - 1.0).abs() < 0.1,
                    "p {p}, key {at}: variance {ratio} of the expected"
                );
            }
        }
    }

    #[test]
    fn all_bits_of_a_draw_are_even_and_follow_from_every_bit_of_place_and_key() {
        let count = 1_u32 << 16;
        let bound = 5.0 * 0.5 / f64::from(count).sqrt();
        let share = |of: &dyn Fn(u32) -> u32, bit: u32| {
            let ones = (0..count).filter(|&at| of(at) >> bit & 1 == 1).count();
            ones as f64 / f64::from(count)
        };
        for bit in 8..32 {
            let even = share(&|at| drawn(KEY, at), bit);
            assert!((even - 0.5).abs() < bound, "bit {bit}: {even}");
            for change in 0..32 {
                let flips: [(&str, &dyn Fn(u32) -> u32); 3] = [
                    ("place", &|at| drawn(KEY, at) ^ drawn(KEY, at ^ (1 << change))),
                    ("first key", &|at| {
                        drawn(KEY, at) ^ drawn([KEY[0] ^ (1 << change), KEY[1]], at)
                    }),
                    ("second key", &|at| {
                        drawn(KEY, at) ^ drawn([KEY[0], KEY[1] ^ (1 << change)], at)
                    }),
                ];
                for (what, flips) in flips {
                    let share = share(flips, bit);
                    assert!(
                        (share - 0.5).abs() < 0.02,
                        "bit {bit} by bit {change} of the {what}: {share}"
                    );
                }
            }
        }
    }
}
