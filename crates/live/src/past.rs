//! What is kept of a stream.

use crate::span::Span;

/// The newest samples of a stream.
#[derive(Debug)]
pub(crate) struct Past {
    samples: Vec<f32>,
    /// Place of the first that is kept.
    start: u64,
    /// How many are kept at least.
    keep: usize,
}

impl Past {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            samples: Vec::new(),
            start: 0,
            keep,
        }
    }

    /// Where new samples are appended.
    pub(crate) fn incoming(&mut self) -> &mut Vec<f32> {
        &mut self.samples
    }

    /// How many samples there were.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// The samples of a span, as far as they are kept.
    pub(crate) fn span(&self, span: Span) -> &[f32] {
        let at = |place: u64| (place.clamp(self.start, self.end()) - self.start) as usize;
        self.samples.get(at(span.from)..at(span.to)).unwrap_or_default()
    }

    /// Forgets what is further before a place than is kept, once that is as much again, so that little is moved.
    pub(crate) fn forget(&mut self, place: u64) {
        let first = place.saturating_sub(self.keep as u64);
        let old = first.saturating_sub(self.start) as usize;
        if old >= self.keep.max(1) {
            self.samples.drain(..old.min(self.samples.len()));
            self.start += old as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_samples_are_kept_and_old_ones_forgotten() {
        let mut past = Past::new(10);
        for at in 0..1000_u16 {
            past.incoming().push(f32::from(at));
            past.forget(past.end());
            assert!(past.samples.len() <= 20);
            let end = past.end();
            let from = end.saturating_sub(10);
            let expected: Vec<f32> = (from..end).map(|at| at as f32).collect();
            assert_eq!(past.span(Span { from, to: end }), expected);
        }
        assert_eq!(past.span(Span { from: 0, to: 5 }), [] as [f32; 0]);
        assert_eq!(past.span(Span { from: 998, to: 2000 }), [998.0, 999.0]);
        assert_eq!(past.span(Span { from: 2000, to: 1000 }), [] as [f32; 0]);
    }
}
