//! A face of 68 points whose brows, lids, lips and jaw follow action units, and which turns with the head.
//!
//! It is a drawing, not a measurement: which points an action unit moves, and where to, follows its definition; by how much
//! is chosen so that a person sees it. The scheme of points is iBUG's.
//!
//! # Source
//! Ekman, Friesen, Hager: "Facial Action Coding System", 2002; Sagonas et al.: "300 Faces in-the-Wild Challenge", ICCVW 2013.

use crate::ACTION_UNITS;

/// Points of a face: the 68 of the iBUG scheme.
pub const POINTS: usize = 68;

/// A point of a face: x to the right and y down, in pixels of an image of 224 × 224.
pub type Point = [f32; 2];

/// Half of a face at rest, seen from the front: points of the left side of the image and of the middle. Unit: half of its
/// width, from the middle between nose and eyes; y points down.
const REST: [(usize, f64, f64); 39] = [
    (0, -0.95, -0.22),
    (1, -0.94, 0.02),
    (2, -0.90, 0.25),
    (3, -0.84, 0.47),
    (4, -0.73, 0.67),
    (5, -0.57, 0.83),
    (6, -0.38, 0.95),
    (7, -0.19, 1.02),
    (8, 0.0, 1.05),
    (17, -0.80, -0.42),
    (18, -0.68, -0.53),
    (19, -0.52, -0.57),
    (20, -0.36, -0.54),
    (21, -0.21, -0.48),
    (27, 0.0, -0.30),
    (28, 0.0, -0.13),
    (29, 0.0, 0.04),
    (30, 0.0, 0.20),
    (31, -0.16, 0.30),
    (32, -0.08, 0.33),
    (33, 0.0, 0.36),
    (36, -0.58, -0.28),
    (37, -0.49, -0.34),
    (38, -0.37, -0.34),
    (39, -0.28, -0.27),
    (40, -0.37, -0.23),
    (41, -0.49, -0.23),
    (48, -0.36, 0.58),
    (49, -0.22, 0.53),
    (50, -0.08, 0.50),
    (51, 0.0, 0.52),
    (57, 0.0, 0.70),
    (58, -0.09, 0.69),
    (59, -0.21, 0.66),
    (60, -0.30, 0.58),
    (61, -0.10, 0.565),
    (62, 0.0, 0.57),
    (66, 0.0, 0.595),
    (67, -0.10, 0.59),
];

/// The point on the other side of the face.
const fn opposite(point: usize) -> usize {
    match point {
        0..=16 => 16 - point,
        17..=26 => 43 - point,
        31..=35 => 66 - point,
        36..=39 | 42..=45 => 81 - point,
        40 | 41 | 46 | 47 => 87 - point,
        48..=54 => 102 - point,
        55..=59 => 114 - point,
        60..=64 => 124 - point,
        65..=67 => 132 - point,
        _ => point,
    }
}

/// Where an action unit at its highest intensity moves points of the left side and the middle.
type Moves = &'static [(usize, f64, f64)];

const MOVES: [Moves; ACTION_UNITS.len()] = [
    // AU01, AU02, AU04: the brows.
    &[(21, 0.0, -0.17), (20, 0.0, -0.14), (19, 0.0, -0.07)],
    &[(17, 0.0, -0.12), (18, 0.0, -0.15), (19, 0.0, -0.11), (20, 0.0, -0.03)],
    &[
        (17, 0.0, 0.03),
        (18, 0.02, 0.06),
        (19, 0.04, 0.10),
        (20, 0.06, 0.13),
        (21, 0.08, 0.14),
    ],
    // AU05, AU06, AU07: the lids.
    &[(37, 0.0, -0.05), (38, 0.0, -0.05)],
    &[(41, 0.0, -0.05), (40, 0.0, -0.05), (36, 0.0, -0.01)],
    &[(41, 0.0, -0.03), (40, 0.0, -0.03), (37, 0.0, 0.025), (38, 0.0, 0.025)],
    // AU09, AU10: nose and upper lip.
    &[
        (31, -0.02, -0.06),
        (32, 0.0, -0.06),
        (33, 0.0, -0.04),
        (21, 0.02, 0.05),
        (50, 0.0, -0.03),
    ],
    &[
        (49, 0.0, -0.04),
        (50, 0.0, -0.07),
        (51, 0.0, -0.07),
        (61, 0.0, -0.05),
        (62, 0.0, -0.05),
        (31, -0.01, -0.02),
    ],
    // AU12, AU14, AU15: the corners of the lips.
    &[
        (48, -0.13, -0.15),
        (60, -0.12, -0.14),
        (49, -0.08, -0.06),
        (59, -0.07, -0.05),
        (61, -0.03, -0.03),
        (67, -0.03, -0.02),
    ],
    &[(48, -0.06, 0.0), (60, -0.05, 0.0)],
    &[(48, 0.02, 0.13), (60, 0.02, 0.12), (49, 0.0, 0.04), (59, 0.0, 0.06)],
    // AU17, AU20, AU23: chin and lips.
    &[
        (57, 0.0, -0.05),
        (58, 0.0, -0.05),
        (59, 0.0, -0.03),
        (66, 0.0, -0.02),
        (67, 0.0, -0.02),
        (8, 0.0, -0.04),
        (7, 0.0, -0.03),
    ],
    &[
        (48, -0.11, 0.01),
        (60, -0.10, 0.01),
        (49, -0.05, 0.0),
        (59, -0.05, 0.01),
    ],
    &[
        (48, 0.07, 0.0),
        (60, 0.07, 0.0),
        (50, 0.0, 0.03),
        (51, 0.0, 0.03),
        (58, 0.0, -0.04),
        (57, 0.0, -0.04),
    ],
    // AU25, AU26: how far the mouth is open.
    &[
        (61, 0.0, -0.02),
        (62, 0.0, -0.02),
        (66, 0.0, 0.10),
        (67, 0.0, 0.08),
        (57, 0.0, 0.09),
        (58, 0.0, 0.08),
        (59, 0.0, 0.05),
    ],
    &[
        (66, 0.0, 0.20),
        (67, 0.0, 0.17),
        (57, 0.0, 0.20),
        (58, 0.0, 0.19),
        (59, 0.02, 0.11),
        (48, 0.03, 0.03),
        (60, 0.03, 0.03),
        (8, 0.0, 0.18),
        (7, 0.0, 0.17),
        (6, 0.0, 0.14),
        (5, 0.0, 0.09),
        (4, 0.0, 0.04),
    ],
    // AU45: blinks.
    &[(37, 0.0, 0.10), (38, 0.0, 0.10), (40, 0.0, -0.01), (41, 0.0, -0.01)],
];

/// Pixels of half of a face's width.
const HALF_WIDTH: f64 = 72.0;

/// The points of a face that shows these action units (intensities from 0 to 5, in the order of [`ACTION_UNITS`]) with the
/// head turned about x, y and z (radians, as OpenFace has them). What is not a number counts as 0.
pub fn landmarks(action_units: &[f32], pose: [f32; 3]) -> [Point; POINTS] {
    let mut points = [[0.0_f64; 2]; POINTS];
    for (point, x, y) in REST {
        points[point] = [x, y];
        points[opposite(point)] = [if opposite(point) == point { x } else { -x }, y];
    }
    for (moves, intensity) in MOVES.iter().zip(action_units) {
        let part = known(*intensity).clamp(0.0, 5.0) / 5.0;
        for &(point, dx, dy) in *moves {
            let other = opposite(point);
            points[point][0] += part * dx;
            points[point][1] += part * dy;
            if other != point {
                points[other][0] -= part * dx;
                points[other][1] += part * dy;
            }
        }
    }
    // A closed eye is a line.
    for (upper, lower) in [(37, 41), (38, 40), (43, 47), (44, 46)] {
        points[upper][1] = points[upper][1].min(points[lower][1]);
    }
    for (upper, lower) in [(61, 67), (62, 66), (63, 65)] {
        points[upper][1] = points[upper][1].min(points[lower][1]);
    }
    turned(points, pose.map(known))
}

fn known(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

/// How far a point stands out from the plane of the ears.
fn depth(point: usize, x: f64) -> f64 {
    let nose = match point {
        27 => 0.05,
        28 => 0.14,
        29 => 0.24,
        30 => 0.34,
        31..=35 => 0.14,
        _ => 0.0,
    };
    0.55 - 0.6 * x * x + nose
}

/// Turns a face about the middle of the head: R = Rx · Ry · Rz, in OpenFace's axes (x to the right, y down, z away from the
/// camera).
fn turned(points: [[f64; 2]; POINTS], [pitch, yaw, roll]: [f64; 3]) -> [Point; POINTS] {
    let [(sp, cp), (sy, cy), (sr, cr)] = [pitch, yaw, roll].map(|angle| (libm::sin(angle), libm::cos(angle)));
    let mut placed = [[0.0; 2]; POINTS];
    for (number, [x, y]) in points.into_iter().enumerate() {
        let z = -depth(number, x);
        let (x, y) = (cr * x - sr * y, sr * x + cr * y);
        let (x, z) = (cy * x + sy * z, cy * z - sy * x);
        let y = cp * y - sp * z;
        placed[number] = [(112.0 + HALF_WIDTH * x) as f32, (100.0 + HALF_WIDTH * y) as f32];
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(unit: &str, intensity: f32) -> [Point; POINTS] {
        let units = ACTION_UNITS.map(|own| if own == unit { intensity } else { 0.0 });
        landmarks(&units, [0.0; 3])
    }

    #[test]
    fn a_face_is_symmetric_and_within_its_image() {
        for unit in ACTION_UNITS {
            let face = with(unit, 5.0);
            for (point, [x, y]) in face.into_iter().enumerate() {
                let [other_x, other_y] = face[opposite(point)];
                assert!(
                    (x + other_x - 224.0).abs() < 1e-3 && (y - other_y).abs() < 1e-3,
                    "{unit} {point}"
                );
                assert!(
                    (10.0..214.0).contains(&x) && (10.0..214.0).contains(&y),
                    "{unit} {point}: {x} {y}"
                );
            }
        }
        assert!((0..POINTS).all(|point| opposite(opposite(point)) == point));
    }

    #[test]
    fn every_action_unit_moves_what_it_is_named_for() {
        let rest = landmarks(&[], [0.0; 3]);
        let y = |face: &[Point; POINTS], point: usize| face[point][1];
        let x = |face: &[Point; POINTS], point: usize| face[point][0];
        // The point, and whether it goes up or down, or outwards.
        for (unit, point, up) in [
            ("AU01", 21, true),
            ("AU02", 17, true),
            ("AU04", 21, false),
            ("AU05", 37, true),
            ("AU06", 41, true),
            ("AU12", 48, true),
            ("AU15", 48, false),
            ("AU17", 57, true),
            ("AU25", 66, false),
            ("AU26", 8, false),
            ("AU45", 37, false),
        ] {
            let moved = y(&with(unit, 5.0), point) - y(&rest, point);
            assert!(if up { moved < -1.0 } else { moved > 1.0 }, "{unit}: {moved}");
        }
        assert!(x(&with("AU20", 5.0), 48) < x(&rest, 48) - 1.0);
        let closed = with("AU45", 5.0);
        assert!(y(&closed, 41) - y(&closed, 37) < 2.0);
    }

    #[test]
    fn a_head_turns_as_openface_has_it() {
        let rest = landmarks(&[], [0.0; 3]);
        let tip = |pose| landmarks(&[], pose)[30];
        // A positive pitch is a nod, a positive yaw a turn to the left of the image.
        assert!(tip([0.3, 0.0, 0.0])[1] > rest[30][1] + 5.0);
        assert!(tip([0.0, 0.3, 0.0])[0] < rest[30][0] - 5.0);
        let tilted = landmarks(&[], [0.0, 0.0, 0.3]);
        assert!(tilted[36][1] < tilted[45][1] - 5.0);
        assert_eq!(landmarks(&[f32::NAN], [f32::NAN, 0.0, 0.0]), rest);
    }
}
