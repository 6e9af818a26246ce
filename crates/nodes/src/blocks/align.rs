//! Frames at another rate.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emorun_lang::{FrameRate, InferError, Inferred, InputSignals, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, frame_rate, frames_on};
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::{Lengths, Value};

/// Frames brought to another rate by their exact times: each frame that comes out is the mean of those that lie in its
/// time, weighted by how long they do. Frame `t` at 25 Hz is the mean of frames `2t` and `2t + 1` at 50 Hz. None knows of
/// what comes behind its own end.
///
/// A rest that makes no whole frame is dropped; of an item shorter than one frame that frame is made from what is there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Align {
    /// Frames.
    pub input: PortRef,
    /// Frames a second that come out, such as those of a face's stream.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub rate_hz: f64,
}

impl Align {
    fn rates(&self, inputs: &InputSignals<'_>) -> Result<(usize, Ratio, FrameRate), InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        let wanted = frame_rate(Some(self.rate_hz))?;
        let ((frames, seconds), (out_frames, out_seconds)) = (rate.fraction(), wanted.fraction());
        let ratio = Ratio {
            taken: u64::from(frames) * u64::from(out_seconds),
            given: u64::from(seconds) * u64::from(out_frames),
        };
        Ok((width, ratio, wanted))
    }
}

/// So many frames that are taken last as long as so many that are given.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    taken: u64,
    given: u64,
}

impl Ratio {
    /// Frames that are given of so many.
    fn frames(self, taken: usize) -> usize {
        let given = taken as u128 * u128::from(self.given) / u128::from(self.taken);
        (given as usize).max(usize::from(taken > 0))
    }

    /// How long each frame that is taken lies in the time of each that is given, `[given, taken]`.
    fn weights(self, taken: usize, device: &Device) -> Tensor<2> {
        let given = self.frames(taken);
        let (each, whole) = (u128::from(self.given), u128::from(self.taken));
        let mut weights = vec![0f32; given * taken];
        for (at, row) in weights.chunks_exact_mut(taken.max(1)).enumerate() {
            let (start, end) = (at as u128 * whole, (at as u128 + 1) * whole);
            let first = (start / each) as usize;
            for (frame, weight) in row.iter_mut().enumerate().skip(first) {
                let (own_start, own_end) = (frame as u128 * each, (frame as u128 + 1) * each);
                if own_start >= end {
                    break;
                }
                let shared = end.min(own_end) - start.max(own_start);
                *weight = (shared as f64 / whole as f64) as f32;
            }
        }
        Tensor::from_data(TensorData::new(weights, [given, taken]), device)
    }
}

impl Kind for Align {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, _, rate) = self.rates(inputs)?;
        let signal = Signal::Frames { width, rate };
        let cost = each_cost(&signal, 0, 4.0 * width as f64, 2.0 * width as f64);
        Ok(Inferred::device(signal, cost))
    }
}

impl DeviceKind for Align {
    type Layer = AlignLayer;

    fn build(&self, inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<AlignLayer, BuildError> {
        Ok(AlignLayer {
            ratio: self.rates(inputs)?.1,
        })
    }
}

/// See [`Align`].
#[derive(Module, Debug)]
pub struct AlignLayer {
    #[module(skip)]
    ratio: Ratio,
}

impl Layer for AlignLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (x, lengths) = inputs.frames("input")?;
        let [batch, time, width] = x.dims();
        let device = x.device();
        let weights = self.ratio.weights(time, &device);
        let [given, _] = weights.dims();
        let weights = weights.reshape([1, given, time]).expand([batch, given, time]);
        let there = weights
            .clone()
            .matmul(lengths.mask(time, &device).reshape([batch, time, 1]))
            .clamp_min(f64::from(f32::MIN_POSITIVE));
        let own: Lengths = lengths.map(|length| self.ratio.frames(length));
        let mask = own.mask(given, &device).reshape([batch, given, 1]);
        let aligned = (weights.matmul(x) / there.expand([batch, given, width])) * mask;
        Ok(output(Value::Frames(aligned, own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(taken: u64, given: u64, frames: usize) -> Vec<Vec<f32>> {
        let weights = Ratio { taken, given }.weights(frames, &Device::flex());
        let weights: Vec<f32> = weights.into_data().iter::<f32>().collect();
        weights.chunks_exact(frames).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn frames_are_weighted_by_how_long_they_lie_in_the_time_of_another() {
        let half = 0.5;
        assert_eq!(
            rows(2, 1, 5),
            [[half, half, 0.0, 0.0, 0.0], [0.0, 0.0, half, half, 0.0]]
        );
        // 30 to 20 Hz: three frames are two.
        let (two, one): (f32, f32) = (2.0 / 3.0, 1.0 / 3.0);
        assert_eq!(rows(3, 2, 3), [[two, one, 0.0], [0.0, one, two]]);
        // Twice as many: each comes twice.
        assert_eq!(rows(1, 2, 2), [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
        let ratio = Ratio { taken: 2, given: 1 };
        assert_eq!([0, 1, 2, 3, 750].map(|taken| ratio.frames(taken)), [0, 1, 1, 1, 375]);
    }
}
