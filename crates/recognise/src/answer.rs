//! What heads say of stretches of sound.

use emorun_metrics::{Predicts, Temperature};

/// A head: its name, and what its numbers are.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Name of the node.
    pub name: String,
    /// What it predicts.
    pub predicts: Predicts,
    /// Its classes, or the names of its numbers.
    pub outputs: Vec<String>,
    /// What makes its probabilities as sure as they are right, where that was fitted on validation items.
    pub temperature: Option<Temperature>,
}

impl Head {
    /// Probabilities at the head's temperature; `None` where none was fitted.
    #[must_use]
    pub fn calibrated(&self, probabilities: &[f32]) -> Option<Vec<f32>> {
        self.temperature.map(|temperature| temperature.of(probabilities))
    }

    /// The class of the largest of some numbers, one for each class, and that number.
    #[must_use]
    pub fn likeliest(&self, numbers: &[f32]) -> (&str, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        for (at, &number) in numbers.iter().enumerate() {
            if number > best.1 {
                best = (at, number);
            }
        }
        (self.outputs.get(best.0).map_or("", String::as_str), best.1)
    }

    /// The class of the largest of some probabilities, and how sure it is: calibrated where that can be. A temperature
    /// changes no order.
    #[must_use]
    pub fn surest(&self, probabilities: &[f32]) -> (&str, f32) {
        let (label, share) = self.likeliest(probabilities);
        let calibrated = self.calibrated(probabilities);
        let most = calibrated.and_then(|shares| shares.into_iter().reduce(f32::max));
        (label, most.unwrap_or(share))
    }
}

/// What a head says of a stretch of sound.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A probability for each class, in the head's order.
    Classes(Vec<f32>),
    /// A number for each name, in the head's order.
    Numbers(Vec<f32>),
}

/// What was said of a stretch of a recording.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The recording.
    pub file: String,
    /// Where the stretch begins, in seconds.
    pub start_s: f64,
    /// Where it ends, in seconds.
    pub end_s: f64,
    /// Whether it is silence, of which the answers say little.
    pub silent: bool,
    /// One for each head, in the order of [`Predictions::heads`].
    pub answers: Vec<Answer>,
}

/// What was said of all recordings.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// The heads.
    pub heads: Vec<Head>,
    /// In the order of the recordings, and of time within each.
    pub stretches: Vec<Prediction>,
    /// Recordings that could not be used, and why.
    pub unusable: Vec<(String, String)>,
}
