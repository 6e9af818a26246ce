//! Loops over slices that the compiler turns into vector instructions, and what they share.

use std::mem::MaybeUninit;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::tensor;

/// Compiles a function for AVX-512, for AVX2 and for any processor; a call takes the best that the
/// machine has. In the body `FMA` says whether multiplication and addition are one instruction.
macro_rules! vectorised {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name($($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            fn body<const FMA: bool>($($argument: $type),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($argument: $type),*) $(-> $output)? {
                    body::<true>($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $output)? {
                    body::<true>($($argument),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    let avx512_too = is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl");
                    // SAFETY: the processor has what each function was compiled for.
                    #[expect(unsafe_code, reason = "the processor is asked first")]
                    return unsafe {
                        if avx512_too {
                            avx512($($argument),*)
                        } else {
                            avx2($($argument),*)
                        }
                    };
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($argument),*)
        }
    };
}
pub(super) use vectorised;

/// Numbers that a task takes at once: input and output of a block stay in a core's own cache.
pub const BLOCK: usize = 4096;
/// Parts into which a sum over rows is cut, each summed apart and then together in this order: the
/// same number on every machine, so that results are too.
const PARTS: usize = 16;

/// `a · b + c`.
#[inline(always)]
pub fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// A polynomial by Horner's rule, highest power first.
#[inline(always)]
pub fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for &coefficient in &coefficients[1..] {
        sum = multiply_add::<FMA>(sum, x, coefficient);
    }
    sum
}

/// `exp(x)` for `x ≤ 0`, within 2 units in the last place; below −87 it is 0.
///
/// # Source
/// Cody & Waite's reduction to `2ⁿ · exp(r)`, `|r| ≤ ln 2 / 2`, and the polynomial of Cephes' `expf`.
#[inline(always)]
pub fn exp_negative<const FMA: bool>(x: f32) -> f32 {
    /// Adding it rounds to an integer, which is left in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let inside = x.max(-87.0);
    let shifted = multiply_add::<FMA>(inside, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add::<FMA>(n, -0.693_359_4, inside);
    let r = multiply_add::<FMA>(n, 2.121_944_4e-4, r);
    let p = polynomial::<FMA, 6>(
        r,
        [
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            0.5,
        ],
    );
    let value = multiply_add::<FMA>(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { value * power }
}

const LANES: usize = 32;

/// Sum of `f` over two slices of one length, in `LANES` sums side by side; the order is fixed.
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut a).zip(&mut b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a, b);
        }
    }
    let mut rest = 0f32;
    for (&a, &b) in a.remainder().iter().zip(b.remainder()) {
        rest += f(a, b);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for at in 0..width {
            lanes[at] += lanes[at + width];
        }
        width /= 2;
    }
    lanes[0] + rest
}

/// Sum of `f` over a slice, as [`sum2`].
#[inline(always)]
pub fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(values, values, |value, _| f(value))
}

/// Numbers that are cleared at once: they stay in a processor's own memory.
const CLEARED: usize = 1 << 14;

/// Zeros, written by all cores where there are many: the standard library's way takes one.
pub fn zeros(count: usize) -> Vec<f32> {
    built(count, |blank| {
        blank.par_chunks_mut(CLEARED).for_each(|block| {
            cleared(block);
        });
    })
    .0
}

/// `count` numbers in items of `item`, which `write` makes from zeros: block by block of `size` within each item, with
/// something of the core's own, the item's index and the block's within it.
pub fn filled<S>(
    count: usize,
    (item, size): (usize, usize),
    own: impl Fn() -> S + Sync,
    write: impl Fn(&mut S, usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    built(count, |blank| {
        blank.par_chunks_mut(item.max(1)).enumerate().for_each(|(item, blank)| {
            blank
                .par_chunks_mut(size.max(1))
                .enumerate()
                .for_each_init(&own, |own, (at, block)| write(own, item, at, cleared(block)));
        });
    })
    .0
}

/// The same memory with zeros in it.
fn cleared(blank: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    blank.fill(MaybeUninit::new(0.0));
    // SAFETY: every number was written just now.
    #[expect(unsafe_code, reason = "the standard library has no safe way")]
    unsafe {
        blank.assume_init_mut()
    }
}

/// `count` numbers, of which `write` writes every one, and what it returns.
fn built<R>(count: usize, write: impl FnOnce(&mut [MaybeUninit<f32>]) -> R) -> (Vec<f32>, R) {
    let mut numbers = Vec::<f32>::with_capacity(count);
    let result = write(&mut numbers.spare_capacity_mut()[..count]);
    // SAFETY: the capacity is there, and `write`, which is one of three in this file, has written it.
    #[expect(unsafe_code, reason = "the standard library has no safe way")]
    unsafe {
        numbers.set_len(count);
    }
    (numbers, result)
}

/// The same tensor with its numbers in row-major order and nothing else in its storage.
pub fn dense(tensor: FlexTensor) -> FlexTensor {
    // `tensor` is gone before the result is used, so that the result may be its only owner.
    tensor.to_contiguous()
}

/// Changes a tensor block by block on all cores: in place if nobody else holds it, else in a copy.
/// Blocks are `size` long, the last one maybe shorter. Also what `change` returns, in order.
pub fn map<R: Send>(
    values: FlexTensor,
    size: usize,
    change: impl Fn(usize, &mut [f32]) -> R + Sync,
) -> (FlexTensor, Vec<R>) {
    let all = values.layout().num_elements();
    map_items(values, all, size, |_, at, block| change(at, block))
}

/// As [`map`], with blocks that end where an item of `item` numbers does: `change` gets the item's
/// index and the block's within the item.
pub fn map_items<R: Send>(
    values: FlexTensor,
    item: usize,
    size: usize,
    change: impl Fn(usize, usize, &mut [f32]) -> R + Sync,
) -> (FlexTensor, Vec<R>) {
    let mut x = dense(values);
    let (item, size, change) = (item.max(1), size.max(1), &change);
    if let Some(numbers) = x.try_storage_mut::<f32>() {
        let results = numbers
            .par_chunks_mut(item)
            .enumerate()
            .flat_map(|(item, numbers)| {
                numbers
                    .par_chunks_mut(size)
                    .enumerate()
                    .map(move |(at, block)| change(item, at, block))
            })
            .collect();
        return (x, results);
    }
    let source = x.storage::<f32>();
    let (out, results) = built(source.len(), |blank| {
        let parts = blank.par_chunks_mut(item).zip(source.par_chunks(item)).enumerate();
        let blocks = parts.flat_map(|(item, (blank, source))| {
            blank
                .par_chunks_mut(size)
                .zip(source.par_chunks(size))
                .enumerate()
                .map(move |(at, (blank, source))| change(item, at, blank.write_copy_of_slice(source)))
        });
        blocks.collect()
    });
    (tensor(out, x.layout().shape().clone()), results)
}

/// Rows of each part of a sum over `rows` rows.
pub fn rows_of_part(rows: usize) -> usize {
    rows.div_ceil(PARTS).max(1)
}

/// The sum of vectors of one length, in their order.
pub fn total(parts: Vec<Vec<f32>>, columns: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![0.0; columns]);
    for part in parts {
        sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    sum
}

vectorised! {
    fn add_rows(rows: &[f32], sum: &mut [f32]) {
        for row in rows.chunks_exact(sum.len().max(1)) {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// Sum of the rows of a matrix `[rows, columns]`.
pub fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    let columns = columns.max(1);
    let part = rows_of_part(matrix.len() / columns) * columns;
    let parts = matrix
        .par_chunks(part)
        .map(|rows| {
            let mut sum = vec![0f32; columns];
            add_rows(rows, &mut sum);
            sum
        })
        .collect();
    total(parts, columns)
}
