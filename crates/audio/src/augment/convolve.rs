//! Convolution with a long kernel, block by block.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A kernel's spectrum.
pub(super) struct Kernel {
    spectrum: Vec<Complex<f32>>,
    /// Samples of the waveform in a block.
    block: usize,
    taps: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
}

impl Kernel {
    /// For blocks at least as long as the kernel.
    pub fn new(kernel: &[f32]) -> Self {
        let taps = kernel.len().max(1);
        let size = (2 * taps).next_power_of_two().max(1024);
        let mut planner = RealFftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let mut time = forward.make_input_vec();
        let scale = 1.0 / size as f32;
        for (at, tap) in time.iter_mut().zip(kernel) {
            *at = tap * scale;
        }
        let mut spectrum = forward.make_output_vec();
        // The buffers are of the lengths that the plan asks for.
        let _ = forward.process(&mut time, &mut spectrum);
        Self {
            spectrum,
            block: size - taps + 1,
            taps,
            forward,
            backward,
        }
    }

    /// Convolves in place; the result has the waveform's length, from its sample `skipped` on.
    pub fn apply(&self, samples: &mut [f32], skipped: usize) {
        let mut time = self.forward.make_input_vec();
        let mut bins = self.forward.make_output_vec();
        let mut result = vec![0f32; samples.len()];
        for (index, block) in samples.chunks(self.block).enumerate() {
            time.fill(0.0);
            time[..block.len()].copy_from_slice(block);
            let _ = self.forward.process(&mut time, &mut bins);
            for (bin, kernel) in bins.iter_mut().zip(&self.spectrum) {
                *bin *= kernel;
            }
            // Rounding leaves traces where the transform of a real signal has none.
            for edge in [0, self.spectrum.len() - 1] {
                bins[edge].im = 0.0;
            }
            let _ = self.backward.process(&mut bins, &mut time);
            let start = index * self.block;
            for (i, value) in time[..block.len() + self.taps - 1].iter().enumerate() {
                if let Some(at) = (start + i).checked_sub(skipped).and_then(|at| result.get_mut(at)) {
                    *at += value;
                }
            }
        }
        samples.copy_from_slice(&result);
    }
}
