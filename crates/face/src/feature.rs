//! What is measured of a face, in which order and in which unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ACTION_UNITS, POINTS};

/// One kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Places of the 68 points in pixels: all x, then all y (136 numbers).
    Landmarks,
    /// Intensities of the 17 action units, from 0 to 5.
    ActionUnits,
    /// Rotations of the head about x, y and z (pitch, yaw, roll) in radians: 3 numbers.
    Pose,
    /// Direction of gaze, mean of both eyes, to the side and down in radians: 2 numbers.
    Gaze,
    /// 1 where the face was seen, or is bridged between frames in which it was; 0 elsewhere.
    Seen,
}

impl Feature {
    /// Numbers a frame.
    pub const fn width(self) -> usize {
        match self {
            Self::Landmarks => 2 * POINTS,
            Self::ActionUnits => ACTION_UNITS.len(),
            Self::Pose => 3,
            Self::Gaze => 2,
            Self::Seen => 1,
        }
    }

    /// Names of OpenFace's columns; none of what is not in a column.
    pub fn columns(self) -> Vec<String> {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Landmarks => {
                let axis = |axis: char| (0..POINTS).map(move |point| format!("{axis}_{point}"));
                axis('x').chain(axis('y')).collect()
            }
            Self::ActionUnits => ACTION_UNITS.iter().map(|unit| format!("{unit}_r")).collect(),
            Self::Pose => named(&["pose_Rx", "pose_Ry", "pose_Rz"]),
            Self::Gaze => named(&["gaze_angle_x", "gaze_angle_y"]),
            Self::Seen => Vec::new(),
        }
    }

    /// What a number is divided by in a scale.
    pub const fn divisor(self, scale: Scale) -> f32 {
        match (scale, self) {
            (Scale::Openface, _) | (_, Self::Seen) => 1.0,
            (Scale::Unit, Self::Landmarks) => 224.0,
            (Scale::Unit, Self::ActionUnits) => 5.0,
            (Scale::Unit, Self::Pose | Self::Gaze) => std::f32::consts::PI,
        }
    }
}

/// In which units a face is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Parts of what is possible: intensities divided by 5, angles by π, pixels by 224.
    #[default]
    Unit,
    /// As OpenFace writes them: intensities from 0 to 5, radians, pixels.
    Openface,
}
