//! What a feature is in memory, and what is left of it at a precision.

use crate::ArrayError;
use crate::convert::{append_values, to_bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A feature of one item, in row-major order.
///
/// # Shapes
/// `[width]` is a vector, `[time, width]` are frames, `[layers, time, width]` is a stack of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// An array of a shape with one to three axes.
    ///
    /// # Errors
    /// Where the shape has another number of axes or does not hold as many values.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Self, ArrayError> {
        let shape = shape.into();
        if !(1..=3).contains(&shape.len()) {
            return Err(ArrayError::Rank { shape });
        }
        if product(&shape) != Some(values.len()) {
            let values = values.len();
            return Err(ArrayError::Length { shape, values });
        }
        Ok(Self { shape, values })
    }

    /// An array whose shape and number of values agree already.
    pub(crate) const fn verified(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, values }
    }

    /// One to three axes, the width last.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in row-major order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Size of the last axis.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or_default()
    }

    /// What reading this back gives after it was stored at `precision`: a computed value that went through here equals
    /// the cached one to the last bit.
    ///
    /// # Errors
    /// Where a finite value lies beyond what the precision holds.
    pub fn rounded(&self, precision: Precision) -> Result<Self, ArrayError> {
        if precision == Precision::F32 {
            return Ok(self.clone());
        }
        let mut values = Vec::with_capacity(self.values.len());
        append_values(precision.dtype(), &to_bytes(&self.values, precision)?, &mut values);
        Ok(Self {
            shape: self.shape.clone(),
            values,
        })
    }
}

/// Number of values of a shape, where it can be counted.
pub(crate) fn product(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
}

/// Floating-point format in which values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 16 bits: 11 significant ones, magnitudes to 65504; half the space.
    F16,
    /// 32 bits: values as they were computed.
    #[default]
    F32,
}

impl Precision {
    /// Bytes of one value.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    fn vector(values: &[f32]) -> Array {
        Array::new([values.len()], values.to_vec()).unwrap()
    }

    #[test]
    fn a_shape_has_one_to_three_axes_and_as_many_values_as_it_says() {
        for (shape, values) in [
            (vec![], 1),
            (vec![1; 4], 1),
            (vec![2, 3], 5),
            (vec![usize::MAX, 2], 0),
            (vec![usize::MAX, 3], 1),
        ] {
            assert!(Array::new(shape.clone(), vec![0.0; values]).is_err(), "{shape:?}");
        }
        let stack = Array::new([2, 1, 3], vec![0.0; 6]).unwrap();
        assert_eq!((stack.shape(), stack.width()), (&[2, 1, 3][..], 3));
        assert_eq!(Array::new([0, 3], vec![]).unwrap().width(), 3);
    }

    #[test]
    fn single_precision_changes_nothing_and_half_rounds_to_nearest_even() {
        let values = [
            0.0,
            -0.0,
            1.0,
            1.0 + 2.0_f32.powi(-11),
            1.0 + 3.0 * 2.0_f32.powi(-11),
            65504.0,
            1e-8,
            f32::INFINITY,
        ];
        let array = vector(&values);
        assert_eq!(array.rounded(Precision::F32).unwrap(), array);
        let half = array.rounded(Precision::F16).unwrap();
        let expected = [0.0, -0.0, 1.0, 1.0, 1.0 + 2.0_f32.powi(-9), 65504.0, 0.0, f32::INFINITY];
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(half.values()), bits(&expected));
        assert_eq!(half.rounded(Precision::F16).unwrap(), half);
    }

    #[test]
    fn rounding_does_not_depend_on_the_processor() {
        // Every f16 and the points between two of them, by the plain formulation.
        let values: Vec<f32> = (0..=u16::MAX)
            .map(|bits| f16::from_bits(bits).to_f32_const())
            .filter(|value| value.is_finite())
            .flat_map(|value| {
                [
                    value,
                    f32::from_bits(value.to_bits() + 0x1000),
                    f32::from_bits(value.to_bits() + 0x0fff),
                ]
            })
            .filter(|value| value.abs() < 65504.0)
            .collect();
        let half = vector(&values).rounded(Precision::F16).unwrap();
        for (value, rounded) in values.iter().zip(half.values()) {
            let plain = f16::from_f32_const(*value).to_f32_const();
            assert_eq!(plain.to_bits(), rounded.to_bits(), "{value}");
        }
    }

    #[test]
    fn a_value_beyond_half_precision_is_an_error_that_names_it() {
        let error = vector(&[1.0, -70000.0]).rounded(Precision::F16).unwrap_err();
        assert_eq!(
            error.to_string(),
            "value 1 is -70000, beyond what f16 holds (65504); use precision f32"
        );
        assert!(vector(&[65519.0]).rounded(Precision::F16).is_ok());
        assert!(vector(&[65520.0]).rounded(Precision::F16).is_err());
    }
}
