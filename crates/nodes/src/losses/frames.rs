//! What losses of frames share: predicted frames beside true ones, and which of them count.

use burn::tensor::Tensor;
use emorun_lang::{FrameRate, InferError, Inferred, InputSignals, Signal};

use crate::inference::each_cost;
use emorun_nn::node::{NodeError, Ports};
use emorun_nn::value::Value;

/// Predicted frames, of which there may be several samples, beside the true ones.
pub(super) struct Compared {
    /// `[samples, batch, time, width]`
    pub predicted: Tensor<4>,
    /// `[batch, time, width]`
    pub truth: Tensor<3>,
    /// 1 where frames count, `[batch, time, 1]`.
    pub mask: Tensor<3>,
}

/// First channel of those that count, and the one behind the last; `None` for all.
pub(super) type Channels = Option<[usize; 2]>;

fn channels_within(channels: Channels, width: usize) -> Result<(), InferError> {
    match channels {
        Some([from, to]) if from >= to || to > width => {
            let message =
                format!("must be a channel and a later one, of {width}: the first and the one behind the last");
            Err(InferError::invalid("channels", message))
        }
        _ => Ok(()),
    }
}

/// Width and rate of the frames, or samples of frames, on a port.
///
/// # Errors
/// The port is missing or carries something else.
pub(super) fn predicted_on(inputs: &InputSignals<'_>, port: &str) -> Result<(usize, FrameRate), InferError> {
    match inputs.require(port)? {
        Signal::Frames { width, rate } | Signal::Samples { width, rate } => Ok((*width, *rate)),
        found => Err(InferError::mismatch(port, "frames, or samples of frames", found)),
    }
}

/// What a loss is that compares frames at `input` with as wide ones at `target`.
///
/// # Errors
/// A port is missing or carries something else.
pub(super) fn frames_compared(inputs: &InputSignals<'_>, channels: Channels) -> Result<Inferred, InferError> {
    let (width, rate) = predicted_on(inputs, "input")?;
    channels_within(channels, width)?;
    let wanted = Signal::Frames { width, rate };
    let found = inputs.require("target")?;
    if *found != wanted {
        return Err(InferError::Mismatch {
            port: "target".to_owned(),
            wanted: format!("{wanted}, as at `input`"),
            found: found.clone(),
            help: Some("`align` brings frames to another rate".to_owned()),
        });
    }
    mask_fits(inputs, rate)?;
    Ok(Inferred::loss(each_cost(
        &wanted,
        0,
        10.0 * width as f64,
        6.0 * width as f64,
    )))
}

/// What a loss is of frames, or samples of frames, at `input` alone.
///
/// # Errors
/// A port is missing or carries something else.
pub(super) fn frames_alone(inputs: &InputSignals<'_>, channels: Channels) -> Result<Inferred, InferError> {
    let (width, rate) = predicted_on(inputs, "input")?;
    channels_within(channels, width)?;
    let frames = Signal::Frames { width, rate };
    Ok(Inferred::loss(each_cost(
        &frames,
        0,
        10.0 * width as f64,
        6.0 * width as f64,
    )))
}

fn mask_fits(inputs: &InputSignals<'_>, rate: FrameRate) -> Result<(), InferError> {
    match inputs.get("target_mask") {
        Some(found) if *found != (Signal::Frames { width: 1, rate }) => {
            let wanted = format!("frames 1 wide at {rate}");
            Err(InferError::mismatch("target_mask", wanted, found))
        }
        _ => Ok(()),
    }
}

/// The frames at `input` with which of them count: those of the item's own length.
pub(super) fn predicted(inputs: &Ports, channels: Channels) -> Result<(Tensor<4>, Tensor<3>), NodeError> {
    let (frames, lengths) = match inputs.get("input")? {
        Value::Samples(frames, lengths) => (frames.clone(), lengths.clone()),
        _ => {
            let (frames, lengths) = inputs.frames("input")?;
            (frames.unsqueeze::<4>(), lengths)
        }
    };
    let frames = match channels {
        Some([from, to]) => frames.narrow(3, from, to - from),
        None => frames,
    };
    let [_, batch, time, _] = frames.dims();
    let mask = lengths.mask(time, &frames.device()).reshape([batch, time, 1]);
    Ok((frames, mask))
}

/// The frames at `input` and `target` as far as both are there, and which of them count.
pub(super) fn compared(inputs: &Ports, channels: Channels) -> Result<Compared, NodeError> {
    let (predicted, mask) = predicted(inputs, channels)?;
    let (truth, lengths) = inputs.frames("target")?;
    let truth = match channels {
        Some([from, to]) => truth.narrow(2, from, to - from),
        None => truth,
    };
    let ([_, batch, time, _], [_, true_time, _]) = (predicted.dims(), truth.dims());
    let time = time.min(true_time);
    let device = truth.device();
    let mut mask = mask.narrow(1, 0, time)
        * lengths
            .mask(true_time, &device)
            .reshape([batch, true_time, 1])
            .narrow(1, 0, time);
    if inputs.get("target_mask").is_ok() {
        let (seen, _) = inputs.frames("target_mask")?;
        let short = time.saturating_sub(seen.dims()[1]);
        let seen = match short {
            0 => seen.narrow(1, 0, time),
            _ => Tensor::cat(vec![seen, Tensor::zeros([batch, short, 1], &device)], 1),
        };
        mask = mask * seen.greater_elem(0.5).float();
    }
    Ok(Compared {
        predicted: predicted.narrow(2, 0, time),
        truth: truth.narrow(1, 0, time),
        mask,
    })
}

/// The mean over items of each one's mean over its frames that count, and how many items that is: those that have a
/// frame. An item of which a mask leaves none counts as one without an error, so that nothing has to be read from the
/// device.
///
/// # Shapes
/// - `each`: `[batch, time, 1]`
/// - `mask`: `[batch, time, 1]`
pub(super) fn mean_over_items(each: Tensor<3>, mask: Tensor<3>, items: f64) -> Value {
    let [batch, ..] = each.dims();
    let frames = mask.clone().sum_dim(1).reshape([batch]);
    let sum = (each * mask).sum_dim(1).reshape([batch]);
    let mean = (sum / frames.clamp_min(1.0)).sum().div_scalar(items.max(1.0));
    Value::Scalar(mean, items)
}

/// The mean over items of the mean of some numbers that each has, `[batch]` each, of the items with a 1 in `counts`.
pub(super) fn mean_of_items(each: Vec<Tensor<1>>, counts: Tensor<1>, items: f64) -> Value {
    let number = each.len().max(1) as f64;
    let sum = each
        .into_iter()
        .map(|each| (each * counts.clone()).sum())
        .reduce(Tensor::add);
    let sum = sum.unwrap_or_else(|| counts.sum().mul_scalar(0.0));
    Value::Scalar(sum.div_scalar(number * items.max(1.0)), items)
}

/// All numbers of each item's frames that count, one after the other, `[samples, batch, numbers]`.
pub(super) fn flattened(frames: Tensor<4>, mask: Tensor<3>) -> Tensor<3> {
    let [samples, batch, time, width] = frames.dims();
    (frames * mask.unsqueeze::<4>()).reshape([samples, batch, time * width])
}

/// Euclidean distances of each pair of samples, `[batch]` each. Where they are the same there is no slope.
pub(super) fn distances(rows: &Tensor<3>) -> impl Iterator<Item = Tensor<1>> + '_ {
    let [samples, batch, _] = rows.dims();
    let sample = move |at: usize| rows.clone().narrow(0, at, 1);
    let pairs = (0..samples).flat_map(move |a| (a + 1..samples).map(move |b| (a, b)));
    pairs.map(move |(a, b)| {
        let squares = (sample(a) - sample(b)).square().sum_dim(2).reshape([batch]);
        squares.clamp_min(1e-12).sqrt()
    })
}

/// Cosines of rows, `[batch]`.
///
/// # Source
/// `torch.nn.functional.cosine_similarity`, whose least norm is 1e-8 as well.
pub(super) fn cosine(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [batch, _] = a.dims();
    let norm = |x: Tensor<2>| x.square().sum_dim(1).clamp_min(1e-16).sqrt();
    let product = (a.clone() * b.clone()).sum_dim(1);
    (product / (norm(a) * norm(b))).reshape([batch])
}

/// Items of which both sides have a frame, from their lengths.
///
/// # Errors
/// A port is missing or carries something else.
pub(super) fn items_counted(inputs: &Ports, ports: &[&str]) -> Result<f64, NodeError> {
    let mut counted: Option<Vec<bool>> = None;
    for port in ports {
        let lengths = match inputs.get(port)? {
            Value::Samples(_, lengths) => lengths.clone(),
            _ => inputs.frames(port)?.1,
        };
        let own = lengths.as_slice().iter().map(|&length| length > 0);
        counted = Some(match counted {
            Some(others) => others.into_iter().zip(own).map(|(a, b)| a && b).collect(),
            None => own.collect(),
        });
    }
    let counted = counted.unwrap_or_default();
    Ok(counted.iter().filter(|counts| **counts).count() as f64)
}
