//! Matrix products on slices.

use rayon::prelude::*;

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
    let operands = Operands::new(sizes, a, b, out, add);
    let [m, _, n] = sizes;
    operands.tile([0, m], [0, n]);
}

/// As [`product`], on all cores; the result does not depend on their number.
pub fn product_on_all_cores(
    sizes: [usize; 3],
    a: (&[f32], Strides),
    b: (&[f32], Strides),
    out: (&mut [f32], Strides),
    add: bool,
) {
    let [m, k, n] = sizes;
    if m == 0 || n == 0 {
        return;
    }
    let columns = tile_columns(n, a.1);
    let rows = tile_rows(m, n.div_ceil(columns), b.1, rayon::current_num_threads());
    let operands = Operands::new(sizes, a, b, out, add);
    if m.saturating_mul(k).saturating_mul(n) < PARALLEL || (rows >= m && columns >= n) {
        return operands.tile([0, m], [0, n]);
    }
    let down = m.div_ceil(rows);
    // Cores take tiles as they come to them: one that is held up holds up no other.
    (0..down * n.div_ceil(columns)).into_par_iter().for_each(|tile| {
        let (row, column) = (tile % down * rows, tile / down * columns);
        operands.tile([row, rows.min(m - row)], [column, columns.min(n - column)]);
    });
}

/// Multiplications from which on a product is shared out.
const PARALLEL: usize = 1 << 19;
/// Tiles for each core.
const TILES: usize = 4;

/// Columns of a tile. A core packs the tile's columns of `b` for its own cache, a part at a time, and
/// reads the rows of `a` where they lie: narrow tiles cost nothing. Where it has to pack those too, they
/// are to meet many columns.
fn tile_columns(n: usize, a: Strides) -> usize {
    let most = if a.column == 1 { 128 } else { 1024 };
    let tiles = n.div_ceil(most).max(1);
    n.div_ceil(tiles).next_multiple_of(16)
}

/// Rows of a tile: enough of them to be worth packing `b`'s columns, which takes longer where those do
/// not lie side by side, unless cores would have nothing to do. Never so few that the product is
/// summed in another order.
fn tile_rows(m: usize, across: usize, b: Strides, cores: usize) -> usize {
    const FEWEST: usize = 96;
    let worth = m / if b.column == 1 { 256 } else { 512 };
    let tiles = (TILES * cores).div_ceil(across.max(1));
    let tiles = tiles
        .min(worth.max(cores.div_ceil(across.max(1))))
        .min(m / FEWEST)
        .max(1);
    m.div_ceil(tiles)
}

/// Three matrices that were looked at: the first two are read, the third is written, tile by tile.
#[derive(Clone, Copy)]
struct Operands<'a> {
    k: usize,
    a: (&'a [f32], Strides),
    b: (&'a [f32], Strides),
    out: (*mut f32, Strides),
    sizes: [usize; 2],
    add: bool,
}

// SAFETY: tiles that are written at the same time are disjoint; everything else is only read.
#[expect(unsafe_code, reason = "tiles of one matrix are no slices that could be handed out")]
unsafe impl Sync for Operands<'_> {}

impl<'a> Operands<'a> {
    fn new(
        [m, k, n]: [usize; 3],
        a: (&'a [f32], Strides),
        b: (&'a [f32], Strides),
        out: (&'a mut [f32], Strides),
        add: bool,
    ) -> Self {
        assert!(
            a.1.span(m, k) <= a.0.len() && b.1.span(k, n) <= b.0.len() && out.1.span(m, n) <= out.0.len(),
            "a slice is shorter than its matrix"
        );
        assert!(
            out.1.column == 1 && out.1.row >= n,
            "rows of the product must not overlap"
        );
        Self {
            k,
            a,
            b,
            out: (out.0.as_mut_ptr(), out.1),
            sizes: [m, n],
            add,
        }
    }

    /// Some rows and columns of the product: the first and how many. No other tile that is computed at
    /// the same time may have any of them both.
    fn tile(&self, [row, rows]: [usize; 2], [column, columns]: [usize; 2]) {
        let [m, n] = self.sizes;
        assert!(row + rows <= m && column + columns <= n, "a tile beyond the product");
        if rows == 0 || columns == 0 {
            return;
        }
        let distance = |strides: Strides| (strides.column as isize, strides.row as isize);
        let ((a_cs, a_rs), (b_cs, b_rs), (out_cs, out_rs)) =
            (distance(self.a.1), distance(self.b.1), distance(self.out.1));
        let (a, b) = (&self.a.0[row * self.a.1.row..], &self.b.0[column * self.b.1.column..]);
        // SAFETY: the slices hold every element that the strides reach (asserted when the operands were
        // taken, and above), `out` was borrowed mutably and so overlaps neither `a` nor `b`, and no two
        // of its elements coincide.
        #[expect(
            unsafe_code,
            reason = "gemm's interface takes raw pointers; its bounds are asserted above"
        )]
        unsafe {
            gemm::gemm(
                rows,
                columns,
                self.k,
                self.out.0.add(row * self.out.1.row + column),
                out_cs,
                out_rs,
                self.add,
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
                gemm::Parallelism::None,
            );
        }
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
    fn shared_out_they_do_not_depend_on_the_number_of_cores() {
        let plain = |rows, columns| {
            (
                Strides {
                    row: columns,
                    column: 1,
                },
                rows * columns,
            )
        };
        let turned = |rows, columns| (Strides { row: 1, column: rows }, rows * columns);
        let numbers = |count: usize, seed| super::super::check::values(count, seed);
        for [m, k, n] in [
            [298, 70, 520],
            [100, 1100, 130],
            [700, 600, 9],
            [97, 3, 2100],
            [1, 2000, 300],
        ] {
            for of_a in [plain(m, k), turned(m, k)] {
                for of_b in [plain(k, n), turned(k, n)] {
                    let (a, b) = (numbers(of_a.1, 1), numbers(of_b.1, 2));
                    let start = numbers(m * n, 3);
                    for add in [false, true] {
                        let mut want = start.clone();
                        product([m, k, n], (&a, of_a.0), (&b, of_b.0), (&mut want, rows(n)), add);
                        let shared_out = [1, 3, 16].map(|threads| {
                            let mut found = start.clone();
                            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                            pool.install(|| {
                                let out = (&mut found[..], rows(n));
                                product_on_all_cores([m, k, n], (&a, of_a.0), (&b, of_b.0), out, add);
                            });
                            found
                        });
                        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                        assert!(want.iter().zip(&shared_out[0]).all(near), "{m} × {k} × {n}");
                        for found in &shared_out[1..] {
                            assert!(*found == shared_out[0], "{m} × {k} × {n}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a slice is shorter than its matrix")]
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
