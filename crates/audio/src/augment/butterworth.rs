//! Butterworth filters as second-order sections.

use std::f64::consts::PI;

/// Which side of the cut-off passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Low,
    High,
}

/// A section `(b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²)`.
#[derive(Debug, Clone, Copy)]
struct Section {
    b: [f64; 3],
    a: [f64; 2],
}

/// A Butterworth filter of even order, by the bilinear transform.
#[derive(Debug, Clone)]
pub(super) struct Butterworth(Vec<Section>);

impl Butterworth {
    /// A filter that is 3 dB down at `cut_off`, a fraction of the sampling rate within 0 to 0.5;
    /// `scipy.signal.butter` of the same order.
    pub fn new(pass: Pass, order: usize, cut_off: f64) -> Self {
        let warped = libm::tan(PI * cut_off);
        let section = |k: usize| {
            // The poles' pair with this angle has quality 1 / (2 sin).
            let damping = 2.0 * libm::sin(PI * (2 * k + 1) as f64 / (2 * order) as f64);
            let scale = 1.0 / (1.0 + damping * warped + warped * warped);
            let b = match pass {
                Pass::Low => [1.0, 2.0, 1.0].map(|b| b * warped * warped * scale),
                Pass::High => [1.0, -2.0, 1.0].map(|b| b * scale),
            };
            let a = [
                2.0 * (warped * warped - 1.0) * scale,
                (1.0 - damping * warped + warped * warped) * scale,
            ];
            Section { b, a }
        };
        Self((0..order / 2).map(section).collect())
    }

    /// Filters samples in place, from rest.
    pub fn apply(&self, samples: &mut [f32]) {
        for Section { b, a } in &self.0 {
            let (mut first, mut second) = (0.0, 0.0);
            for sample in samples.iter_mut() {
                let x = f64::from(*sample);
                let y = b[0] * x + first;
                first = b[1] * x - a[0] * y + second;
                second = b[2] * x - a[1] * y;
                *sample = y as f32;
            }
        }
    }
}
