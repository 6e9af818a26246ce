//! What waits to be asked: little, and the newest.

use std::collections::VecDeque;

use crate::span::{Ask, Span};

/// Most questions that wait.
const MOST_WAITING: usize = 4;

/// A clip that the model is to be asked about.
///
/// It goes back to [`Listener::answer`](crate::Listener::answer) or [`Listener::give_up`](crate::Listener::give_up): as
/// long as it is out, nothing else is asked.
#[derive(Debug)]
#[must_use = "nothing else is asked before it is handed back"]
pub struct Question {
    pub(crate) ask: Ask,
    /// Of the asked span, what the clip holds.
    pub(crate) span: Span,
    clip: Vec<f32>,
    to_s: f64,
}

impl Question {
    pub(crate) fn new(ask: Ask, span: Span, clip: &[f32], rate_hz: u32) -> Self {
        Self {
            ask,
            span,
            clip: clip.to_vec(),
            to_s: span.to as f64 / f64::from(rate_hz),
        }
    }

    /// Mono samples at the model's rate, as many as it takes or more, all finite.
    #[must_use]
    pub fn clip(&self) -> &[f32] {
        &self.clip
    }

    /// Where the clip ends, in seconds from the stream's start.
    #[must_use]
    pub fn to_s(&self) -> f64 {
        self.to_s
    }

    /// Whether nothing more comes of its stretch of speech.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.ask.last
    }
}

/// Questions that wait, and those that were dropped.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    waiting: VecDeque<Question>,
    is_out: bool,
    skipped: u64,
}

impl Questions {
    /// Adds a question. Those before it that were not the last of their stretch are not asked any more, nor is the oldest
    /// of too many. Gives how many are dropped.
    pub(crate) fn add(&mut self, question: Question) -> u64 {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.ask.last);
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        let dropped = (before - self.waiting.len()) as u64;
        self.waiting.push_back(question);
        self.skipped += dropped;
        dropped
    }

    /// Hands out the oldest, one at a time.
    pub(crate) fn take(&mut self) -> Option<Question> {
        if self.is_out {
            return None;
        }
        let question = self.waiting.pop_front();
        self.is_out = question.is_some();
        question
    }

    /// The question that was out is answered, or never will be.
    pub(crate) fn back(&mut self, is_answered: bool) {
        self.is_out = false;
        self.skipped += u64::from(!is_answered);
    }

    /// Whether all are answered.
    pub(crate) fn is_done(&self) -> bool {
        !self.is_out && self.waiting.is_empty()
    }

    /// How many were dropped.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }
}
