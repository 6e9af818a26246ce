//! Ranges that parameters are drawn from.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A range `[low, high]` with finite ends in order; equal ends fix the value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "[f64; 2]", into = "[f64; 2]")]
#[schemars(inline)]
pub struct Interval([f64; 2]);

/// Two numbers that are no range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum IntervalError {
    /// The ends are in the wrong order.
    #[error("the range [{low}, {high}] is reversed; write [{high}, {low}]")]
    Reversed {
        /// First number.
        low: f64,
        /// Second number.
        high: f64,
    },
    /// An end is NaN or infinite.
    #[error("the range [{low}, {high}] has an end that is not finite; give two numbers")]
    NotFinite {
        /// First number.
        low: f64,
        /// Second number.
        high: f64,
    },
}

impl Interval {
    /// The range from `low` to `high`.
    ///
    /// # Errors
    /// `low` is above `high`, or one of them is not finite.
    pub fn new(low: f64, high: f64) -> Result<Self, IntervalError> {
        if !low.is_finite() || !high.is_finite() {
            Err(IntervalError::NotFinite { low, high })
        } else if low > high {
            Err(IntervalError::Reversed { low, high })
        } else {
            Ok(Self([low, high]))
        }
    }

    /// A range known to be in order, for defaults.
    pub(super) const fn known(low: f64, high: f64) -> Self {
        Self([low, high])
    }

    /// Lower end.
    pub fn low(self) -> f64 {
        self.0[0]
    }

    /// Upper end.
    pub fn high(self) -> f64 {
        self.0[1]
    }

    /// Uniform within the range, from one draw.
    pub(super) fn draw(self, rng: &mut dyn Rng) -> f64 {
        let drawn = self.low() + (self.high() - self.low()) * rng.random::<f64>();
        // Rounding may carry it over the end.
        drawn.min(self.high())
    }
}

impl TryFrom<[f64; 2]> for Interval {
    type Error = IntervalError;

    fn try_from([low, high]: [f64; 2]) -> Result<Self, IntervalError> {
        Self::new(low, high)
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {}]", self.low(), self.high())
    }
}
