//! From what the model says, time after time, to what is shown.

use emorun_metrics::Predicts;
use emorun_recognise::{Answer, Head};

use crate::event::Estimate;

/// Probabilities below this count as it: the logarithm of none would outweigh all that comes later.
const LEAST_PROBABILITY: f32 = 1e-6;

/// A head's state within a stretch of speech.
#[derive(Clone, Debug, Default)]
struct HeadState {
    /// Smoothed logarithms of probabilities, or numbers.
    smoothed: Vec<f32>,
    /// Number of the class that is shown.
    shown: Option<usize>,
    /// The class that was likeliest last, and in how many updates in a row.
    likeliest: Option<usize>,
    run: u32,
}

/// Smooths what heads say, and holds labels.
///
/// Exponential smoothing: `s ← a·s + (1 − a)·log p`, and what is shown is `softmax(s)`. Each stretch of speech starts anew.
#[derive(Debug)]
pub(crate) struct Smoother {
    share: f32,
    hold: u32,
    segment: u64,
    heads: Vec<HeadState>,
}

impl Smoother {
    pub(crate) fn new(share: f32, hold: u32) -> Self {
        Self {
            share,
            hold,
            segment: 0,
            heads: Vec::new(),
        }
    }

    /// What is shown once the heads have answered something of a stretch.
    pub(crate) fn update(&mut self, segment: u64, heads: &[Head], answers: Vec<Answer>) -> Vec<Estimate> {
        if self.segment != segment || self.heads.len() != heads.len() {
            self.segment = segment;
            self.heads = vec![HeadState::default(); heads.len()];
        }
        let (share, hold) = (self.share, self.hold);
        let states = self.heads.iter_mut().zip(heads);
        states
            .zip(answers)
            .map(|((state, head), answer)| match answer {
                Answer::Classes(raw) => {
                    let logs: Vec<f32> = raw.iter().map(|p| p.max(LEAST_PROBABILITY).ln()).collect();
                    state.smooth(&logs, share);
                    let smoothed = softmax(&state.smoothed);
                    let shown = state.hold(&smoothed, hold);
                    let label = shown.and_then(|shown| head.outputs.get(shown)).cloned();
                    Estimate {
                        predicts: Predicts::Classes,
                        raw,
                        smoothed,
                        label,
                    }
                }
                Answer::Numbers(raw) => {
                    state.smooth(&raw, share);
                    Estimate {
                        predicts: Predicts::Numbers,
                        raw,
                        smoothed: state.smoothed.clone(),
                        label: None,
                    }
                }
            })
            .collect()
    }
}

impl HeadState {
    fn smooth(&mut self, new: &[f32], share: f32) {
        if self.smoothed.len() != new.len() {
            self.smoothed = new.to_vec();
            return;
        }
        for (smoothed, new) in self.smoothed.iter_mut().zip(new) {
            *smoothed = share * *smoothed + (1.0 - share) * new;
        }
    }

    /// The class that is shown: the one before, until another was the likeliest for long enough.
    fn hold(&mut self, smoothed: &[f32], updates: u32) -> Option<usize> {
        let likeliest = (0..smoothed.len()).reduce(|best, at| if smoothed[at] > smoothed[best] { at } else { best });
        self.run = if likeliest == self.likeliest {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.likeliest = likeliest;
        if self.shown.is_none() || self.run >= updates {
            self.shown = likeliest;
        }
        self.shown
    }
}

fn softmax(logs: &[f32]) -> Vec<f32> {
    let largest = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logs.iter().map(|log| (log - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> Vec<Head> {
        vec![
            Head {
                name: "emotion".into(),
                predicts: Predicts::Classes,
                outputs: vec!["sad".into(), "happy".into()],
                temperature: None,
            },
            Head {
                name: "dims".into(),
                predicts: Predicts::Numbers,
                outputs: vec!["valence".into()],
                temperature: None,
            },
        ]
    }

    fn say(smoother: &mut Smoother, segment: u64, happy: f32) -> (f32, String) {
        let answers = vec![Answer::Classes(vec![1.0 - happy, happy]), Answer::Numbers(vec![happy])];
        let estimates = smoother.update(segment, &heads(), answers);
        assert_eq!(estimates[0].raw, [1.0 - happy, happy]);
        (estimates[0].smoothed[1], estimates[0].label.clone().unwrap())
    }

    #[test]
    fn numbers_are_those_worked_out_by_hand() {
        let mut smoother = Smoother::new(0.7, 1);
        let first = say(&mut smoother, 1, 0.8).0;
        assert!((first - 0.8).abs() < 1e-6);
        // ln(happy/sad) is ln 4, then 0.7 ln 4 − 0.3 ln 4 = 0.4 ln 4: 4^0.4 = 1.741101, of 2.741101.
        let second = say(&mut smoother, 1, 0.2).0;
        assert!((second - 0.635_183).abs() < 1e-5, "{second}");
        // 0.7 · 0.4 ln 4 − 0.3 ln 4 = −0.02 ln 4: 4^−0.02 = 0.972655, of 1.972655.
        let third = say(&mut smoother, 1, 0.2).0;
        assert!((third - 0.493_069).abs() < 1e-5, "{third}");
        // Numbers themselves: 0.7 (0.7 · 0.8 + 0.3 · 0.2) + 0.3 · 0.2 = 0.494, and of that 0.7, with 0.3 · 0.5.
        let answers = vec![Answer::Classes(vec![0.5, 0.5]), Answer::Numbers(vec![0.5])];
        let number = smoother.update(1, &heads(), answers)[1].smoothed[0];
        assert!((number - (0.7 * 0.494 + 0.15)).abs() < 1e-6, "{number}");
    }

    #[test]
    fn a_label_is_held_until_another_has_won_often_enough_in_a_row() {
        let mut smoother = Smoother::new(0.0, 3);
        let labels = [0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9].map(|happy| say(&mut smoother, 1, happy).1);
        assert_eq!(
            labels,
            ["happy", "happy", "happy", "happy", "happy", "happy", "sad", "sad"]
        );
    }

    #[test]
    fn another_stretch_starts_anew() {
        let mut smoother = Smoother::new(0.7, 3);
        say(&mut smoother, 1, 0.99);
        let (happy, label) = say(&mut smoother, 2, 0.1);
        assert!((happy - 0.1).abs() < 1e-6);
        assert_eq!(label, "sad");
    }

    #[test]
    fn a_probability_of_nothing_is_forgotten_too() {
        let mut smoother = Smoother::new(0.7, 1);
        say(&mut smoother, 1, 0.0);
        let last = (0..20).map(|_| say(&mut smoother, 1, 0.9).0).last().unwrap();
        assert!((last - 0.9).abs() < 0.01, "{last}");
    }

    #[test]
    fn a_model_that_answers_too_little_breaks_nothing() {
        let mut smoother = Smoother::new(0.7, 3);
        assert!(smoother.update(1, &heads(), Vec::new()).is_empty());
        let none = smoother.update(1, &heads(), vec![Answer::Classes(Vec::new())]);
        assert_eq!(none[0].label, None);
    }
}
