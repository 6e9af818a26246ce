//! Factors that change over training: of a loss, or of a reversed gradient.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A factor that goes from one value to 1 in the course of training. Progress is the share of all
/// optimizer steps that are done; outside training the factor is 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Factor at the start.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub from: f64,
    /// Progress at which it begins to change.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub begin: f64,
    /// Progress at which it has become 1.
    #[serde(default = "whole")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub end: f64,
    /// How it gets there.
    #[serde(default)]
    pub shape: Shape,
}

/// The way of a [`Ramp`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A straight line.
    #[default]
    Linear,
    /// Half a cosine: slow at both ends.
    Cosine,
    /// `2 / (1 + exp(−10 p)) − 1`, fast at first: Ganin & Lempitsky, ICML 2015, §4.1.
    Sigmoid,
}

fn whole() -> f64 {
    1.0
}

impl Ramp {
    /// The factor at a progress from 0 to 1.
    pub fn at(&self, progress: f64) -> f64 {
        if progress >= self.end {
            return 1.0;
        }
        if progress <= self.begin {
            return self.from;
        }
        let p = (progress - self.begin) / (self.end - self.begin);
        let way = match self.shape {
            Shape::Linear => p,
            Shape::Cosine => 0.5 - 0.5 * (PI * p).cos(),
            Shape::Sigmoid => 2.0 / (1.0 + (-10.0 * p).exp()) - 1.0,
        };
        self.from + (1.0 - self.from) * way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_goes_from_its_start_to_one() {
        for (shape, middle) in [(Shape::Linear, 0.6), (Shape::Cosine, 0.6), (Shape::Sigmoid, 0.989_32)] {
            let ramp = Ramp {
                from: 0.2,
                begin: 0.2,
                end: 0.6,
                shape,
            };
            for (progress, factor) in [(0.0, 0.2), (0.2, 0.2), (0.4, middle), (0.6, 1.0), (1.0, 1.0)] {
                assert!((ramp.at(progress) - factor).abs() < 1e-4, "{shape:?} at {progress}");
            }
        }
        let at_once = Ramp {
            from: 0.0,
            begin: 0.5,
            end: 0.5,
            shape: Shape::Linear,
        };
        assert_eq!((at_once.at(0.5), at_once.at(0.6)), (1.0, 1.0));
        assert_eq!(at_once.at(0.4), 0.0);
    }
}
