//! Consecutive frames joined into one.

use burn::tensor::Tensor;

use crate::value::Lengths;

/// Joins every `stack` frames; a rest is dropped, and an item shorter than one stack keeps one, padded with zeros.
///
/// # Shapes
/// - `frames`: `[batch, time, width]`
/// - output: `[batch, max(1, time / stack), width · stack]`
pub fn stacked(frames: Tensor<3>, lengths: &Lengths, stack: usize) -> (Tensor<3>, Lengths) {
    let [batch, time, width] = frames.dims();
    let steps = (time / stack).max(1);
    let frames = if time < stack {
        let rest = Tensor::zeros([batch, stack - time, width], &frames.device());
        Tensor::cat(vec![frames, rest], 1)
    } else {
        frames.narrow(1, 0, steps * stack)
    };
    let lengths = lengths.map(|length| (length / stack).max(1));
    (frames.reshape([batch, steps, width * stack]), lengths)
}
