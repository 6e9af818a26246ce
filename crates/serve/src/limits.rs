//! What a server takes at most.

use std::time::Duration;

/// What a server takes at most, of everything that comes from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// Seconds of a recording.
    pub seconds: f64,
    /// Seconds that a model is given at once; longer recordings are asked about by windows. What a network needs can grow
    /// with the square of it.
    pub clip_seconds: f64,
    /// Recordings that are received, decoded and answered at the same time.
    pub requests: usize,
    /// Clips that wait for a model or are being answered by it, windows and updates of streams among them.
    pub queue: usize,
    /// Streams at the same time.
    pub streams: usize,
    /// Padded seconds of a batch: its number of clips times the longest of them. A longer clip is a batch of its own.
    pub batch_seconds: f64,
    /// How long a clip waits for others to be computed with.
    pub batch_wait: Duration,
    /// How long a silent or slow client is waited for: for a request's head, for the next part of its body, and until it
    /// has read what it was sent.
    pub patience: Duration,
    /// How long what has begun may take once the server is asked to end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            seconds: 600.0,
            clip_seconds: 60.0,
            requests: 16,
            queue: 256,
            streams: 64,
            batch_seconds: 60.0,
            batch_wait: Duration::from_millis(10),
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Rate that [`Self::seconds`] is meant for, in Hz: of a recording of a higher one fewer seconds are taken, so that
    /// what is held in memory is bounded.
    const MEANT_HZ: f64 = 48_000.0;

    /// Connections at the same time: those of streams and of requests, and as many that wait or look at the page.
    pub(crate) fn connections(&self) -> usize {
        2 * (self.streams + self.requests) + 64
    }

    /// Whether a recording of so many frames at a rate is longer than what is taken.
    pub(crate) fn is_too_long(&self, frames: u64, rate_hz: u32) -> bool {
        frames as f64 > self.seconds * f64::from(rate_hz).min(Self::MEANT_HZ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_of_a_high_rate_may_be_shorter() {
        let limits = Limits {
            seconds: 10.0,
            ..Limits::default()
        };
        assert!(!limits.is_too_long(160_000, 16_000));
        assert!(limits.is_too_long(160_001, 16_000));
        assert!(!limits.is_too_long(480_000, 192_000));
        assert!(limits.is_too_long(480_001, 192_000));
    }
}
