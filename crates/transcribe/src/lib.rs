//! From what a speech recogniser says of each step to tokens and text. No Burn, no I/O: a model is a [`Step`].
//!
//! `rules` forbid tokens before one is chosen, `search` chooses (greedy and beams), `segments` cuts the windows of long recordings by
//! their times, `fallback` judges a text, `ctc` reads text from frames.

pub mod ctc;
pub mod fallback;
pub mod rules;
pub mod search;
pub mod segments;

/// A model that is asked for the next token of several hypotheses at once.
pub trait Step {
    /// What can go wrong in a model.
    type Error;

    /// Scores of every token of the vocabulary, before softmax, as what follows each of `sequences`.
    ///
    /// `parents[i]` is the row of the call before that `sequences[i]` continues by one token, so that keys and values of
    /// attention are kept and reordered; in the first call all of a sequence is new.
    ///
    /// # Shapes
    /// - output: a row for each sequence, as long as the vocabulary
    ///
    /// # Errors
    /// Those of the model.
    fn step(&mut self, sequences: &[Vec<u32>], parents: &[usize]) -> Result<Vec<Vec<f32>>, Self::Error>;
}
