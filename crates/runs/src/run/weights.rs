//! Which of a run's weights are used.

use emorun_engine::settings::FinalWeights;
use serde::Serialize;

/// Which of a run's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichWeights {
    /// Those of the best validation metric; their average, where one is kept.
    Best,
    /// Those of the newest checkpoint; their average, where one is kept.
    Last,
    /// The average of the newest checkpoint.
    Averaged,
    /// Those of the newest checkpoint as they are trained, also where an average is kept.
    Raw,
}

impl WhichWeights {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Last => "last",
            Self::Averaged => "averaged",
            Self::Raw => "raw",
        }
    }
}

impl From<FinalWeights> for WhichWeights {
    fn from(weights: FinalWeights) -> Self {
        match weights {
            FinalWeights::Best => Self::Best,
            FinalWeights::Last => Self::Last,
        }
    }
}
