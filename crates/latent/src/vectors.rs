//! Vectors of items, checked once.

use nalgebra::DMatrix;

use crate::LatentError;

/// The fewest items of which anything is said.
pub const FEWEST_ITEMS: usize = 4;
/// The most items that are looked at together: distances between all pairs are in memory, 100 MB of them.
pub const MOST_ITEMS: usize = 5000;

/// Vectors `[items, width]`: at least four, all finite, not all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors(DMatrix<f64>);

impl Vectors {
    /// The vectors of items.
    ///
    /// # Errors
    /// They are fewer than four, of several lengths, hold a number that is not finite, or are all the same.
    pub fn new<V: AsRef<[f32]>>(rows: &[V]) -> Result<Self, LatentError> {
        if rows.len() < FEWEST_ITEMS {
            return Err(LatentError::TooFew(rows.len()));
        }
        let first = rows[0].as_ref();
        for (item, row) in rows.iter().map(AsRef::as_ref).enumerate() {
            if row.len() != first.len() {
                return Err(LatentError::Width {
                    item,
                    found: row.len(),
                    expected: first.len(),
                });
            }
            if row.iter().any(|value| !value.is_finite()) {
                return Err(LatentError::NotFinite(item));
            }
        }
        if rows.iter().all(|row| row.as_ref() == first) {
            return Err(LatentError::Constant);
        }
        let value = |item: usize, at: usize| f64::from(rows[item].as_ref()[at]);
        Ok(Self(DMatrix::from_fn(rows.len(), first.len(), value)))
    }

    /// How many there are.
    pub fn items(&self) -> usize {
        self.0.nrows()
    }

    /// Numbers of each.
    pub fn width(&self) -> usize {
        self.0.ncols()
    }

    pub(crate) fn matrix(&self) -> &DMatrix<f64> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_nothing_can_be_said_of() {
        let same = vec![vec![1.0, 2.0]; 5];
        assert_eq!(Vectors::new(&same), Err(LatentError::Constant));
        assert_eq!(Vectors::new(&same[..3]), Err(LatentError::TooFew(3)));
        let no_numbers: [&[f32]; 4] = [&[]; 4];
        assert_eq!(Vectors::new(&no_numbers), Err(LatentError::Constant));
        let mut longer = same.clone();
        longer[2].push(0.0);
        let expected = LatentError::Width {
            item: 2,
            found: 3,
            expected: 2,
        };
        assert_eq!(Vectors::new(&longer), Err(expected));
        for value in [f32::NAN, f32::INFINITY] {
            let mut broken = same.clone();
            broken[4][1] = value;
            assert_eq!(Vectors::new(&broken), Err(LatentError::NotFinite(4)));
        }
    }
}
