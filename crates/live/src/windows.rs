//! The ear that takes every window which is loud enough.

use crate::past::Past;
use crate::settings::Gate;
use crate::span::{Ask, Heard, Span};

/// Least rest at a stream's end that is a window of its own, in seconds.
const LEAST_REST_S: f64 = 0.01;

/// Loud windows in a row.
#[derive(Clone, Copy, Debug)]
struct Open {
    segment: u64,
    span: Span,
}

/// Asks about windows.
#[derive(Debug)]
pub(crate) struct WindowEar {
    gate: Gate,
    window: u64,
    hop: u64,
    least_rest: u64,
    /// Where the next window ends.
    next: u64,
    segments: u64,
    open: Option<Open>,
}

impl WindowEar {
    /// Windows and the way between them in samples at a rate. The first windows are shorter where they overlap.
    pub(crate) fn new(gate: Gate, rate_hz: u32, (window, hop): (u64, u64)) -> Self {
        Self {
            gate,
            window,
            hop: hop.max(1),
            least_rest: (LEAST_REST_S * f64::from(rate_hz)) as u64,
            next: hop.max(1),
            segments: 0,
            open: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Hears all before a sample.
    pub(crate) fn hear(&mut self, end: u64, past: &Past, heard: &mut Vec<Heard>) {
        while self.next <= end {
            self.take(self.next, false, past, heard);
            self.next += self.hop;
        }
    }

    /// Hears that the stream ends before a sample: what is left is in a window that ends with it.
    pub(crate) fn finish(&mut self, end: u64, past: &Past, heard: &mut Vec<Heard>) {
        if end > self.next - self.hop + self.least_rest {
            self.take(end, true, past, heard);
        }
        self.close(heard);
    }

    fn take(&mut self, to: u64, last: bool, past: &Past, heard: &mut Vec<Heard>) {
        let from = to.saturating_sub(self.window);
        let span = Span { from, to };
        if !self.gate.passes(past.span(span)) {
            self.close(heard);
            return;
        }
        let open = self.open.get_or_insert_with(|| {
            self.segments += 1;
            let segment = self.segments;
            heard.push(Heard::Started { segment, from });
            Open { segment, span }
        });
        open.span.to = to;
        heard.push(Heard::Ask(Ask {
            segment: open.segment,
            span,
            heard: span.len(),
            last,
        }));
    }

    fn close(&mut self, heard: &mut Vec<Heard>) {
        if let Some(Open { segment, span }) = self.open.take() {
            heard.push(Heard::Ended {
                segment,
                span,
                forced: false,
            });
        }
    }
}
