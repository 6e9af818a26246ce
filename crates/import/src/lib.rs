//! Configurations of the public `emotion_classifier` (attention classifiers on torchaudio's self-supervised encoders,
//! ARCHITECTURE.md's system 1) as experiment files.
//!
//! [`import`] tells a `config.yml` from a `model_runs.yml` and gives the text of an experiment or of a sweep. What the
//! program has in its code and not in its configuration (augmentations, periods of schedules) is written out; what has
//! no counterpart is a comment where it would stand, and a key that nobody knows a warning with its place. Where the
//! program does something else than it says, the experiment does what it says and a comment tells how.

mod classifier;
mod reader;
mod runs;

use emorun_lang::{Report, Tree};

/// What a file was made into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The text of an experiment file.
    Experiment(String),
    /// The text of a `model_runs` file, a sweep.
    Sweep(String),
}

impl Imported {
    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Experiment(text) | Self::Sweep(text) => text,
        }
    }
}

/// Makes a file of the program into one of emorun's; `name` is what it is called where it does not say. Its mistakes are
/// in the report: `None` where there is one.
#[must_use]
pub fn import(tree: &Tree, name: &str, report: &mut Report) -> Option<Imported> {
    match tree.get("runs") {
        Some(list) if tree.get("model").is_none() => runs::sweep(tree, list, name, report).map(Imported::Sweep),
        _ => classifier::experiment(tree, name, report).map(Imported::Experiment),
    }
}
