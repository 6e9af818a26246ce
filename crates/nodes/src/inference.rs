//! Parts of inference that kinds share: what stands at a port, and what a node of a common form is.

use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, LabelSet, Placement, Signal};

/// The frames on a port: width and rate.
///
/// # Errors
/// The port is missing or carries something else.
pub(crate) fn frames_on(inputs: &InputSignals<'_>, port: &str) -> Result<(usize, FrameRate), InferError> {
    match inputs.require(port)? {
        Signal::Frames { width, rate } => Ok((*width, *rate)),
        found => Err(misfit(port, "frames", found)),
    }
}

/// The vector on a port: its width.
///
/// # Errors
/// The port is missing or carries something else.
pub(crate) fn vector_on(inputs: &InputSignals<'_>, port: &str) -> Result<usize, InferError> {
    match inputs.require(port)? {
        Signal::Vector { width } => Ok(*width),
        found => Err(misfit(port, "a vector", found)),
    }
}

/// A port with another kind of features than a node takes, and what turns them into those.
pub(crate) fn misfit(port: &str, wanted: &str, found: &Signal) -> InferError {
    let help = match found {
        Signal::LayerStack { .. } => Some("a `weighted_sum` makes frames of a layer stack"),
        Signal::Frames { .. } if wanted == "a vector" => Some("a `pool` or `attention_pool` makes a vector of frames"),
        _ => None,
    };
    InferError::Mismatch {
        port: port.to_owned(),
        wanted: wanted.to_owned(),
        found: found.clone(),
        help: help.map(str::to_owned),
    }
}

/// The labels on a port.
///
/// # Errors
/// The port is missing or carries something else.
pub(crate) fn labels_on(inputs: &InputSignals<'_>, port: &str) -> Result<LabelSet, InferError> {
    match inputs.require(port)? {
        Signal::Labels { labels } => Ok(labels.clone()),
        found => Err(InferError::mismatch(port, "class labels such as data.emotion", found)),
    }
}

/// Names of the continuous labels on a port.
///
/// # Errors
/// The port is missing or carries something else.
pub(crate) fn values_on(inputs: &InputSignals<'_>, port: &str) -> Result<Vec<String>, InferError> {
    match inputs.require(port)? {
        Signal::Values { names } => Ok(names.clone()),
        found => Err(InferError::mismatch(
            port,
            "continuous labels such as data.dimensions",
            found,
        )),
    }
}

/// The axis of a linear layer's tensor that has an entry for each of its outputs, given that the layer is the field of
/// this name: the weight is `[input, output]`, the bias `[output]`.
pub(crate) fn outputs_axis(path: &str, layer: &str) -> Option<usize> {
    match path.strip_prefix(layer)? {
        ".weight" => Some(1),
        ".bias" => Some(0),
        _ => None,
    }
}

/// What a loss is that compares the vector at `input` with as many continuous labels at `target`.
///
/// # Errors
/// The ports are missing, carry something else, or differ in their number.
pub(crate) fn numbers_compared(inputs: &InputSignals<'_>) -> Result<Inferred, InferError> {
    let names = values_on(inputs, "target")?;
    if vector_on(inputs, "input")? != names.len() {
        return Err(InferError::mismatch(
            "input",
            format!("a vector of {}: one number each for {}", names.len(), names.join(", ")),
            inputs.require("input")?,
        ));
    }
    Ok(Inferred::loss(Cost {
        flops_per_item: 10.0 * names.len() as f64,
        activation_floats_per_item: 6.0 * names.len() as f64,
        ..Cost::default()
    }))
}

/// What a node is that changes the frames at `input` by random draws while training and passes them on
/// otherwise.
///
/// # Errors
/// The port is missing or carries something else.
pub(crate) fn passed_while_evaluating(inputs: &InputSignals<'_>) -> Result<Inferred, InferError> {
    let (width, rate) = frames_on(inputs, "input")?;
    let signal = Signal::Frames { width, rate };
    let cost = each_cost(&signal, 0, 2.0 * width as f64, 2.0 * width as f64);
    Ok(Inferred {
        train_only: true,
        ..Inferred::device(signal, cost)
    })
}

/// Sample rate in Hz of the waveform among a node's inputs.
pub(crate) fn wave_rate(inputs: &InputSignals<'_>) -> Option<u32> {
    inputs.iter().find_map(|(_, signal)| match signal {
        Signal::Wave { rate_hz } => Some(*rate_hz),
        _ => None,
    })
}

/// What a node is that computes frames on the host from the waveform at `input`: `of` a sample rate in Hz it gives
/// their width, the samples from one to the next, the field that this follows from, and the work for one of them in
/// floating-point operations.
///
/// # Errors
/// The port is missing or carries something else; as `of`.
pub(crate) fn host_frames(
    inputs: &InputSignals<'_>,
    of: impl FnOnce(u32) -> Result<(usize, usize, &'static str, f64), InferError>,
) -> Result<Inferred, InferError> {
    let rate_hz = match inputs.require("input")? {
        Signal::Wave { rate_hz } => *rate_hz,
        found => return Err(InferError::mismatch("input", "a waveform such as data.audio", found)),
    };
    let (width, hop, field, work) = of(rate_hz)?;
    let rate = FrameRate::new(rate_hz, 1)
        .ok_or_else(|| InferError::invalid(field, "the sample rate is 0 Hz"))
        .and_then(|rate| rate.slower(hop, field))?;
    let cost = Cost {
        flops_per_second: rate.hz() * work,
        ..Cost::default()
    };
    Ok(Inferred {
        placement: Placement::Host,
        ..Inferred::device(Signal::Frames { width, rate }, cost)
    })
}

/// A frame rate that a file of features or a model is declared to have.
///
/// # Errors
/// None is declared, or one below a thousandth.
pub(crate) fn frame_rate(rate_hz: Option<f64>) -> Result<FrameRate, InferError> {
    let rate_hz =
        rate_hz.ok_or_else(|| InferError::invalid("rate_hz", "is needed for frames: how many there are a second"))?;
    FrameRate::of_hz(rate_hz).ok_or_else(|| InferError::invalid("rate_hz", "must be 0.001 Hz or more"))
}

/// Number of classes; label sets known only from the corpus count as none in a structural check.
pub(crate) fn class_count(labels: &LabelSet) -> usize {
    labels.len().unwrap_or(0)
}

/// Factor of a loss in the sum of losses, where the file gives none.
pub(crate) fn default_loss_weight() -> f64 {
    1.0
}

/// Cost of a node with only trainable parameters.
pub(crate) fn trainable(parameters: u64) -> Cost {
    Cost {
        parameters,
        trainable: parameters,
        ..Cost::default()
    }
}

/// Cost of a layer that does the same for each frame, or once for a vector: its parameters, and for
/// each of them the work and the activations kept.
pub(crate) fn each_cost(signal: &Signal, parameters: u64, flops: f64, floats: f64) -> Cost {
    match signal {
        Signal::Frames { rate, .. } => Cost {
            flops_per_second: rate.hz() * flops,
            activation_floats_per_second: rate.hz() * floats,
            ..trainable(parameters)
        },
        _ => Cost {
            flops_per_item: flops,
            activation_floats_per_item: floats,
            ..trainable(parameters)
        },
    }
}
