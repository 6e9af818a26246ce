//! Dynamic time warping.

/// A sequence that others are compared with, its channels one after the other, so that a frame is compared with all of it
/// at once.
#[derive(Clone, Debug)]
pub struct Warped {
    channels: Vec<Vec<f64>>,
    frames: usize,
}

impl Warped {
    /// The channels `from..to` of frames `width` wide, row after row.
    pub fn new(rows: &[f32], width: usize, part: std::ops::Range<usize>) -> Self {
        let width = width.max(1);
        let channel = |at: usize| {
            rows.iter()
                .skip(at)
                .step_by(width)
                .map(|value| f64::from(*value))
                .collect()
        };
        Self {
            channels: part.map(channel).collect(),
            frames: rows.len() / width,
        }
    }

    /// The distance of two sequences: the root of the least sum of squared differences along a path through both that goes on
    /// in one of them or in both at each step. `None` where either has no frame.
    ///
    /// # Source
    /// Sakoe and Chiba, IEEE Trans. ASSP 26, 1978, without a window; equal to `tslearn.metrics.dtw`.
    pub fn distance(&self, other: &Self) -> Option<f64> {
        if self.frames == 0 || other.frames == 0 {
            return None;
        }
        let mut apart = vec![0.0; other.frames];
        // Sums of the best paths to each frame of the other, up to the frame before and up to this one.
        let (mut before, mut now) = (vec![f64::INFINITY; other.frames], vec![0.0; other.frames]);
        for at in 0..self.frames {
            apart.fill(0.0);
            for (own, theirs) in self.channels.iter().zip(&other.channels) {
                let value = own[at];
                for (sum, their) in apart.iter_mut().zip(theirs) {
                    let difference = value - their;
                    *sum += difference * difference;
                }
            }
            // The start of the path comes from nowhere.
            let (mut left, mut corner) = (f64::INFINITY, if at == 0 { 0.0 } else { f64::INFINITY });
            for ((sum, above), apart) in now.iter_mut().zip(&before).zip(&apart) {
                left = apart + above.min(corner).min(left);
                corner = *above;
                *sum = left;
            }
            std::mem::swap(&mut before, &mut now);
        }
        before.last().map(|sum| sum.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &[f32], b: &[f32]) -> Option<f64> {
        Warped::new(a, 1, 0..1).distance(&Warped::new(b, 1, 0..1))
    }

    #[test]
    fn a_sequence_is_no_distance_from_itself_stretched() {
        assert_eq!(distance(&[1.0, 2.0, 3.0], &[1.0, 1.0, 2.0, 2.0, 3.0]), Some(0.0));
        assert_eq!(distance(&[0.0], &[3.0, 4.0]), Some(5.0));
        assert_eq!(distance(&[3.0, 4.0], &[0.0]), Some(5.0));
        // By hand: 1–2, 5–2 or 5–6, 1–6 or 1–2.
        assert_eq!(distance(&[1.0, 5.0], &[2.0, 6.0]), Some(2.0_f64.sqrt()));
        assert_eq!(distance(&[], &[1.0]), None);
    }
}
