//! Reactions that need no model: what a trained one is held against.

/// A way to react without having learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// The listener does what the speaker does, at once.
    CopySpeaker,
    /// The mean face of the training listeners, still.
    MeanFace,
    /// What a listener of training did in another clip.
    RandomListener,
    /// The reaction that was seen, so many frames later; the start stands still.
    ShiftedTruth(usize),
}

impl Naive {
    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Self::CopySpeaker => "copy of the speaker".to_owned(),
            Self::MeanFace => "mean face".to_owned(),
            Self::RandomListener => "random listener".to_owned(),
            Self::ShiftedTruth(frames) => format!("truth, {frames} frames later"),
        }
    }

    /// Reactions to a clip, as many as `samples`, each as long as the truth. `number` is that of the clip, by which random
    /// listeners are drawn; `training` are those to draw from. Empty where there is nothing to make them of.
    ///
    /// # Shapes
    /// - `speaker`, `truth`, each of `training` and of the output: rows of `width` numbers
    pub fn reactions(
        self,
        width: usize,
        samples: usize,
        number: u64,
        [speaker, truth]: [&[f32]; 2],
        training: &[&[f32]],
    ) -> Vec<Vec<f32>> {
        let length = truth.len();
        let one = match self {
            Self::CopySpeaker => as_long(speaker, length, width),
            Self::MeanFace => as_long(&mean_face(training, width), length, width),
            Self::ShiftedTruth(frames) => {
                let mut rows = Vec::with_capacity(length);
                for at in 0..length / width.max(1) {
                    let from = at.saturating_sub(frames) * width;
                    rows.extend(&truth[from..from + width]);
                }
                rows
            }
            Self::RandomListener => {
                let drawn = (0..samples as u64).filter_map(|sample| {
                    let known = training.len() as u64;
                    let at = mixed(mixed(number).wrapping_add(sample)).checked_rem(known)?;
                    training.get(at as usize)
                });
                return drawn
                    .map(|rows| as_long(rows, length, width))
                    .filter(|rows| !rows.is_empty())
                    .collect();
            }
        };
        match one.is_empty() {
            true => Vec::new(),
            false => vec![one; samples],
        }
    }
}

/// SplitMix64's mixing (Steele, Lea, Flood, OOPSLA 2014).
fn mixed(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The start of rows, or all of them with the last again and again.
fn as_long(rows: &[f32], length: usize, width: usize) -> Vec<f32> {
    let mut own = rows[..length.min(rows.len())].to_vec();
    if let Some(last) = rows.len().checked_sub(width).map(|at| &rows[at..])
        && !last.is_empty()
    {
        while own.len() < length {
            own.extend(last);
        }
    }
    own
}

fn mean_face(training: &[&[f32]], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; width];
    let mut frames = 0_u64;
    for row in training.iter().flat_map(|rows| rows.chunks_exact(width.max(1))) {
        frames += 1;
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += f64::from(*value));
    }
    match frames {
        0 => Vec::new(),
        frames => sums.into_iter().map(|sum| (sum / frames as f64) as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEAKER: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    const TRUTH: [f32; 8] = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0];

    #[test]
    fn each_gives_as_many_reactions_as_long_as_the_truth() {
        let training: [&[f32]; 2] = [&[0.0, 2.0, 2.0, 4.0], &[4.0, 0.0]];
        let of = |naive: Naive| naive.reactions(2, 2, 5, [&SPEAKER, &TRUTH], &training);
        assert_eq!(
            of(Naive::CopySpeaker),
            vec![vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0]; 2]
        );
        assert_eq!(of(Naive::MeanFace), vec![vec![2.0; 8]; 2]);
        assert_eq!(
            of(Naive::ShiftedTruth(2))[0],
            [10.0, 20.0, 10.0, 20.0, 10.0, 20.0, 30.0, 40.0]
        );
        let drawn = of(Naive::RandomListener);
        assert_eq!(drawn, of(Naive::RandomListener));
        assert!(
            drawn
                .iter()
                .all(|rows| rows.len() == 8 && (rows[0] == 0.0 || rows[0] == 4.0))
        );
        // Clips draw differently.
        let firsts: Vec<f32> = (0..20)
            .map(|number| Naive::RandomListener.reactions(2, 1, number, [&SPEAKER, &TRUTH], &training)[0][0])
            .collect();
        assert!(firsts.contains(&0.0) && firsts.contains(&4.0));
        for naive in [Naive::MeanFace, Naive::RandomListener] {
            assert!(naive.reactions(2, 2, 5, [&SPEAKER, &TRUTH], &[]).is_empty());
        }
    }
}
