//! Tokens that may not come next, as transformers' logits processors forbid them.

/// What is forbidden while a text is decoded.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Tokens that never come (`suppress_tokens`).
    pub suppress: Vec<u32>,
    /// Tokens that do not come first (`begin_suppress_tokens`).
    pub begin_suppress: Vec<u32>,
    /// No run of so many tokens comes twice, the prompt included; 0 allows all (`no_repeat_ngram_size`).
    pub no_repeat_ngram: usize,
    /// Where the model is to say when it heard what.
    pub timestamps: Option<Timestamps>,
}

/// Whisper's rules of timestamps.
///
/// # Source
/// Radford et al. 2023, §2.3; transformers' `WhisperTimeStampLogitsProcessor`.
#[derive(Clone, Copy, Debug)]
pub struct Timestamps {
    /// `<|notimestamps|>`; the token behind it is `<|0.00|>`.
    pub no_timestamps: u32,
    /// The end of a text.
    pub end: u32,
    /// The latest first timestamp, counted from `<|0.00|>`, each 20 ms.
    pub max_initial: Option<u32>,
}

impl Rules {
    /// Sets the scores of forbidden tokens to −∞.
    ///
    /// # Shapes
    /// - `sequence`: prompt and what was decoded; the first `prompt` tokens are the prompt
    /// - `scores`: `[vocabulary]`, logits or log-probabilities alike
    pub fn apply(&self, sequence: &[u32], prompt: usize, scores: &mut [f32]) {
        self.forbid_repeats(sequence, scores);
        for &token in &self.suppress {
            forbid(scores, token);
        }
        if sequence.len() == prompt {
            for &token in &self.begin_suppress {
                forbid(scores, token);
            }
        }
        if let Some(timestamps) = &self.timestamps {
            timestamps.apply(sequence.get(prompt..).unwrap_or_default(), scores);
        }
    }

    fn forbid_repeats(&self, sequence: &[u32], scores: &mut [f32]) {
        let size = self.no_repeat_ngram;
        if size == 0 || sequence.len() + 1 < size {
            return;
        }
        let last = &sequence[sequence.len() + 1 - size..];
        for window in sequence.windows(size) {
            if let Some((&next, before)) = window.split_last()
                && before == last
            {
                forbid(scores, next);
            }
        }
    }
}

fn forbid(scores: &mut [f32], token: u32) {
    if let Some(score) = scores.get_mut(token as usize) {
        *score = f32::NEG_INFINITY;
    }
}

impl Timestamps {
    fn apply(&self, decoded: &[u32], scores: &mut [f32]) {
        forbid(scores, self.no_timestamps);
        let begin = self.no_timestamps.saturating_add(1);
        let first = (begin as usize).min(scores.len());
        let is_time = |token: &u32| *token >= begin;
        let last = decoded.last().is_some_and(is_time);
        let before = decoded.len() < 2 || decoded.iter().rev().nth(1).is_some_and(is_time);
        // They come in pairs, but for the one before the end.
        match (last, before) {
            (true, true) => scores[first..].fill(f32::NEG_INFINITY),
            (true, false) => {
                let end = (self.end as usize).min(scores.len());
                scores[..end].fill(f32::NEG_INFINITY);
            }
            (false, _) => {}
        }
        // They do not decrease, and a segment is not empty.
        if let Some(&latest) = decoded.iter().rev().find(|token| is_time(token)) {
            let from = if last && !before {
                latest
            } else {
                latest.saturating_add(1)
            };
            let from = (from as usize).min(scores.len());
            scores[first..from].fill(f32::NEG_INFINITY);
        }
        if decoded.is_empty() {
            scores[..first].fill(f32::NEG_INFINITY);
            if let Some(most) = self.max_initial {
                let behind = (begin as usize)
                    .saturating_add(most as usize)
                    .saturating_add(1)
                    .min(scores.len());
                scores[behind..].fill(f32::NEG_INFINITY);
            }
        }
        // All timestamps together may be likelier than any one text token.
        let (text, times) = scores.split_at_mut(first);
        let likeliest = text.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if log_sum_exp(times) > likeliest {
            text.fill(f32::NEG_INFINITY);
        }
    }
}

/// `ln Σ exp(x)`; −∞ of nothing.
pub(crate) fn log_sum_exp(scores: &[f32]) -> f32 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    let sum: f64 = scores.iter().map(|score| f64::from(score - most).exp()).sum();
    (f64::from(most) + sum.ln()) as f32
}
