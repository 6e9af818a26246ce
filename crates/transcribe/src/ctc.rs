//! Text from the frames of a recogniser that was trained with CTC.
//!
//! # Source
//! Graves et al. 2006, §3.1 (best path); transformers' `Wav2Vec2CTCTokenizer`.

use serde_json::Value;

/// What the places of a recogniser's output stand for.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    tokens: Vec<String>,
    blank: usize,
    delimiter: String,
    lower_case: bool,
}

/// Why a vocabulary is of no use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VocabularyError {
    /// Not a JSON object of tokens and whole numbers.
    #[error("it is not an object of tokens and their numbers from 0")]
    Shape,
    /// Two tokens of one number, or a number that none has.
    #[error("no token, or more than one, has the number {0}")]
    Gap(usize),
    /// CTC needs a blank.
    #[error("it has no token `{0}`, the blank of CTC")]
    NoBlank(String),
}

impl Vocabulary {
    /// From `vocab.json`, the names of the blank (`pad_token`) and of the space (`word_delimiter_token`), and whether text
    /// is written small (`do_lower_case`).
    ///
    /// # Errors
    /// A vocabulary with gaps or without the blank.
    pub fn read(vocab: &Value, blank: &str, delimiter: &str, lower_case: bool) -> Result<Self, VocabularyError> {
        let map = vocab.as_object().ok_or(VocabularyError::Shape)?;
        let mut tokens = vec![None; map.len()];
        for (token, number) in map {
            let number = number.as_u64().ok_or(VocabularyError::Shape)? as usize;
            match tokens.get_mut(number) {
                Some(place @ None) => *place = Some(token.clone()),
                _ => return Err(VocabularyError::Gap(number)),
            }
        }
        let tokens = tokens.into_iter().flatten().collect::<Vec<_>>();
        let blank = tokens
            .iter()
            .position(|token| token == blank)
            .ok_or_else(|| VocabularyError::NoBlank(blank.to_owned()))?;
        Ok(Self {
            tokens,
            blank,
            delimiter: delimiter.to_owned(),
            lower_case,
        })
    }

    /// Number of tokens.
    #[must_use]
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// The text of the likeliest path: repeats are one, blanks are none. Of no frames it is empty.
    ///
    /// # Shapes
    /// - `path`: the likeliest token of each frame
    #[must_use]
    pub fn text(&self, path: &[usize]) -> String {
        let mut text = String::new();
        let mut before = None;
        for &place in path {
            if before.replace(place) == Some(place) || place == self.blank {
                continue;
            }
            match self.tokens.get(place) {
                Some(token) if *token == self.delimiter => text.push(' '),
                Some(token) => text.push_str(token),
                None => {}
            }
        }
        let text = text.trim();
        if self.lower_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    }
}
