//! Matrix products on slices.

/// A matrix in a slice: rows and columns with their distances in elements.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// Distance from one row to the next.
    pub row: usize,
    /// Distance from one column to the next.
    pub column: usize,
}

impl Strides {
    /// Elements that a matrix of this layout spans.
    fn span(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 {
            0
        } else {
            (rows - 1) * self.row + (columns - 1) * self.column + 1
        }
    }
}

/// Strides of a matrix whose rows follow each other.
pub fn rows(columns: usize) -> Strides {
    Strides {
        row: columns,
        column: 1,
    }
}

/// Strides of the transpose of a matrix whose rows, `columns` long, follow each other.
pub fn transposed(columns: usize) -> Strides {
    Strides {
        row: 1,
        column: columns,
    }
}

/// `out (+)= a · b`, single-threaded: `a` is `m × k`, `b` is `k × n`, `out` is `m × n`.
///
/// Adds to `out` where `add`, else replaces it.
///
/// # Panics
/// A slice is shorter than its matrix, or two elements of `out` would share a place.
pub fn product(sizes: [usize; 3], a: (&[f32], Strides), b: (&[f32], Strides), out: (&mut [f32], Strides), add: bool) {
    product_on(sizes, a, b, out, add, gemm::Parallelism::None);
}

/// As [`product`], on all cores; the result does not depend on their number.
pub fn product_on_all_cores(
    sizes: [usize; 3],
    a: (&[f32], Strides),
    b: (&[f32], Strides),
    out: (&mut [f32], Strides),
    add: bool,
) {
    product_on(sizes, a, b, out, add, gemm::Parallelism::Rayon(0));
}

fn product_on(
    [m, k, n]: [usize; 3],
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
    (out, out_strides): (&mut [f32], Strides),
    add: bool,
    parallelism: gemm::Parallelism,
) {
    assert!(a_strides.span(m, k) <= a.len() && b_strides.span(k, n) <= b.len() && out_strides.span(m, n) <= out.len());
    assert!(
        out_strides.column == 1 && out_strides.row >= n,
        "rows of the product must not overlap"
    );
    let distance = |strides: Strides| (strides.column as isize, strides.row as isize);
    let ((a_cs, a_rs), (b_cs, b_rs), (out_cs, out_rs)) =
        (distance(a_strides), distance(b_strides), distance(out_strides));
    // SAFETY: the slices hold every element that the strides reach (asserted above), `out` is
    // borrowed mutably and so overlaps neither `a` nor `b`, and no two of its elements coincide.
    #[expect(
        unsafe_code,
        reason = "gemm's interface takes raw pointers; its bounds are asserted above"
    )]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_cs,
            out_rs,
            add,
            a.as_ptr(),
            a_cs,
            a_rs,
            b.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let (m, k, n) = (3, 5, 4);
        let a: Vec<f32> = (0..m * k).map(|x| x as f32 - 6.0).collect();
        let b: Vec<f32> = (0..k * n).map(|x| 0.5 * x as f32).collect();
        let rows = |columns| Strides {
            row: columns,
            column: 1,
        };
        let mut out = vec![1.0; m * n];
        product([m, k, n], (&a, rows(k)), (&b, rows(n)), (&mut out, rows(n)), true);
        for i in 0..m {
            for j in 0..n {
                let want: f32 = 1.0 + (0..k).map(|at| a[i * k + at] * b[at * n + j]).sum::<f32>();
                assert_eq!(out[i * n + j], want);
            }
        }
        // The transpose of `b` by its strides.
        let mut gram = vec![7.0; k * k];
        product(
            [k, n, k],
            (&b, rows(n)),
            (&b, Strides { row: 1, column: n }),
            (&mut gram, rows(k)),
            false,
        );
        assert_eq!(gram[k + 2], (0..n).map(|at| b[n + at] * b[2 * n + at]).sum::<f32>());
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_slice_that_is_too_short_is_refused() {
        let rows = Strides { row: 2, column: 1 };
        product(
            [2, 2, 2],
            (&[0.0; 3], rows),
            (&[0.0; 4], rows),
            (&mut [0.0; 4], rows),
            false,
        );
    }
}
