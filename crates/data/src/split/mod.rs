//! Assigning items to training, validation and test.

mod assign;
mod by_speaker;
mod certificate;
mod claims;
mod emobox;
mod fixed;
mod folds;
mod named_folds;
mod speakers;
mod units;

pub use by_speaker::BySpeaker;
pub use certificate::{Certificate, Shared, SideFacts, TextFacts, shared_between_sides};
pub use emobox::{EmoboxCross, EmoboxFolds};
pub use fixed::{Fixed, SplitSource};
pub use folds::{FoldScheme, FoldValidation, Folds};
pub use named_folds::NamedFolds;
pub(crate) use named_folds::PublishedProtocol;
pub(crate) use speakers::glob;
pub use speakers::{Rest, SpeakerRef};

use crate::{Corpus, DataError};

emorun_lang::kinded_enum! {
    /// How items are assigned to training, validation and test. Connected speakers (and copies of
    /// one recording) are never cut apart.
    #[derive(PartialEq)]
    pub enum SplitConfig {
        by_speaker => BySpeaker(BySpeaker),
        fixed => Fixed(Fixed),
        folds => Folds(Folds),
        emobox_folds => EmoboxFolds(EmoboxFolds),
        emobox_cross => EmoboxCross(EmoboxCross),
    }
}

/// One way of splitting a corpus: the whole of a `by_speaker` or `fixed` split, one fold of
/// `folds`.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// `fold-1`, `fold-2`, …; `None` where there are no folds.
    pub label: Option<String>,
    /// Indices of the corpus' items to train on, ascending.
    pub train: Vec<usize>,
    /// Indices of the items to choose by, ascending.
    pub validation: Vec<usize>,
    /// Indices of the items to report on, ascending.
    pub test: Vec<usize>,
    /// Remarks for the person who runs the experiment.
    pub warnings: Vec<String>,
    /// What is on each side, and the proof that nothing is on two.
    pub certificate: Certificate,
}

/// Splits a corpus: one assignment, or one a fold. The same corpus, config and seed give the same
/// answer everywhere. Of the label columns that are `learned`, each class must be in training; where another
/// side lacks one, the assignment warns.
///
/// # Errors
/// Everything that is wrong with the split: unknown or repeated speakers, too few of them, a side
/// without items, a learned class without training items, anything on two sides.
pub fn split(
    corpus: &Corpus,
    config: &SplitConfig,
    learned: &[&str],
    seed: u64,
) -> Result<Vec<Assignment>, Vec<DataError>> {
    match config {
        SplitConfig::BySpeaker(config) => by_speaker::split(corpus, config, learned, seed).map(|one| vec![one]),
        SplitConfig::Fixed(config) => fixed::split(corpus, config, learned).map(|one| vec![one]),
        SplitConfig::Folds(config) => folds::split(corpus, config, learned, seed),
        SplitConfig::EmoboxFolds(config) => emobox::folds(corpus, config, learned, seed),
        SplitConfig::EmoboxCross(config) => emobox::cross(corpus, config, learned, seed).map(|one| vec![one]),
    }
}
