//! Places in a stream, in samples at the model's rate.

/// Samples from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first.
    pub(crate) from: u64,
    /// Behind the last.
    pub(crate) to: u64,
}

impl Span {
    pub(crate) fn len(self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// What an ear wants asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Number of the stretch of speech, from 1 on.
    pub(crate) segment: u64,
    /// All that could be heard of it.
    pub(crate) span: Span,
    /// How many samples of it are counted as heard.
    pub(crate) heard: u64,
    /// Whether nothing more comes of this stretch.
    pub(crate) last: bool,
}

/// What an ear has heard in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A stretch has begun.
    Started {
        /// Its number.
        segment: u64,
        /// Its first sample.
        from: u64,
    },
    /// A stretch has ended.
    Ended {
        /// Its number.
        segment: u64,
        /// Its samples.
        span: Span,
        /// Whether it goes on as another.
        forced: bool,
    },
    /// Something is to be asked.
    Ask(Ask),
}
