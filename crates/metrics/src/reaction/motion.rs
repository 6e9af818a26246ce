//! Frame by frame: how far reactions are from the one that was seen, and how they move.

use std::ops::Range;

use super::{Moments, columns};

/// How far samples are from the reaction that was seen, in a branch of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BranchErrors {
    /// Mean squared error over frames, channels and samples.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Pearson's correlation over time, mean over the channels that vary in both and the samples; `None` where none does.
    pub pearson: Option<f64>,
}

/// Errors in the channels of a branch, over the frames that samples and truth have both; `None` where there is none.
pub fn branch_errors(width: usize, branch: Range<usize>, samples: &[&[f32]], truth: &[f32]) -> Option<BranchErrors> {
    let (mut count, mut squares, mut sizes) = (0_u64, 0.0, 0.0);
    let (mut correlated, mut correlation) = (0_u32, 0.0);
    for sample in samples {
        let common = sample.len().min(truth.len()) / width.max(1) * width;
        let (own, seen) = (columns(&sample[..common], width), columns(&truth[..common], width));
        for (own, seen) in own.iter().zip(&seen).take(branch.end).skip(branch.start) {
            for (own, seen) in own.iter().zip(seen) {
                count += 1;
                squares += (own - seen) * (own - seen);
                sizes += (own - seen).abs();
            }
            if let Some(one) = Moments::of(own, seen).correlation() {
                correlated += 1;
                correlation += one;
            }
        }
    }
    let n = count as f64;
    (count > 0).then(|| BranchErrors {
        mse: squares / n,
        mae: sizes / n,
        rmse: (squares / n).sqrt(),
        pearson: (correlated > 0).then(|| correlation / f64::from(correlated)),
    })
}

/// How much a face moves from frame to frame. That of a generated one is good where it is that of a real one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Mean absolute difference of neighbouring frames.
    pub frame_difference: f64,
    /// Mean absolute second difference.
    pub acceleration: f64,
}

/// Motion in the channels of a branch; `None` of less than three frames.
pub fn motion(width: usize, branch: Range<usize>, rows: &[f32]) -> Option<Motion> {
    let columns: Vec<Vec<f64>> = columns(rows, width)
        .into_iter()
        .take(branch.end)
        .skip(branch.start)
        .collect();
    let frames = columns.first()?.len();
    if frames < 3 {
        return None;
    }
    let first: f64 = columns
        .iter()
        .flat_map(|own| own.windows(2))
        .map(|of| (of[1] - of[0]).abs())
        .sum();
    let second = |of: &[f64]| (of[2] - 2.0 * of[1] + of[0]).abs();
    let seconds: f64 = columns.iter().flat_map(|own| own.windows(3)).map(second).sum();
    Some(Motion {
        frame_difference: first / (columns.len() * (frames - 1)) as f64,
        acceleration: seconds / (columns.len() * (frames - 2)) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_moves_and_does_not_accelerate() {
        let line: Vec<f32> = (0..5).flat_map(|at| [at as f32, 7.0]).collect();
        let found = motion(2, 0..1, &line).unwrap();
        assert_eq!((found.frame_difference, found.acceleration), (1.0, 0.0));
        assert_eq!(motion(2, 0..2, &line).unwrap().frame_difference, 0.5);
        assert_eq!(motion(2, 0..2, &line[..4]), None);
        let hop = motion(1, 0..1, &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!((hop.frame_difference, hop.acceleration), (1.0, 2.0));
    }

    #[test]
    fn errors_are_those_of_a_branch_over_all_samples() {
        let truth = [0.0, 1.0, 0.0, 3.0];
        let (one, other) = ([9.0, 1.0, 9.0, 2.0], [9.0, 2.0, 9.0, 3.0]);
        let found = branch_errors(2, 1..2, &[&one, &other], &truth).unwrap();
        assert_eq!((found.mse, found.mae, found.rmse), (0.5, 0.5, 0.5_f64.sqrt()));
        assert!((found.pearson.unwrap() - 1.0).abs() < 1e-12);
        // A channel that stands still correlates with nothing.
        assert_eq!(branch_errors(2, 0..1, &[&one], &truth).unwrap().pearson, None);
        assert_eq!(branch_errors(2, 0..1, &[], &truth), None);
    }
}
