//! Several vectors, or frames at one rate, made into one.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use emorun_lang::{InferError, Inferred, InputSignals, Inputs, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{each_cost, misfit};
use emorun_nn::facts::Facts;
use emorun_nn::layers::dense::Dense;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, output};
use emorun_nn::value::{Lengths, Value};

/// The widest result: beyond it sizes could not be counted.
const WIDEST: usize = 1 << 24;

/// Several vectors made into one, or several streams of frames at the same rate.
///
/// Streams may differ by a few frames at their end: each item keeps the frames that all of them have. Of an item that
/// lacks a stream (an empty cell of a manifest's `streams`), zeros stand for the vectors that come of it; of frames it
/// keeps none then.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fuse {
    /// Two inputs or more, all vectors or all frames.
    pub inputs: Inputs,
    /// How they are made into one.
    #[serde(default)]
    pub how: How,
}

/// How inputs are made into one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// One behind the other, in the order of `inputs`.
    #[default]
    Concat,
    /// Their sum; all must be of the same width.
    Sum,
    /// Their sum, weighted by the softmax of a learned number each; all must be of the same width.
    Weighted,
    /// A gated multimodal unit (Arevalo et al. 2017, §3.1): `h_i = tanh(W_i x_i)`,
    /// `z = σ(Z [x_1, …, x_n])`; of two inputs `z ⊙ h_1 + (1 − z) ⊙ h_2`, of more `Σ_i z_i ⊙ h_i` with
    /// a gate each.
    Gated {
        /// Width of the output.
        #[schemars(range(min = 1, max = 65536))]
        width: usize,
    },
}

/// What the inputs are.
struct Streams {
    ports: Vec<String>,
    widths: Vec<usize>,
    total: usize,
    output: Signal,
}

impl Fuse {
    fn streams(&self, inputs: &InputSignals<'_>) -> Result<Streams, InferError> {
        let found: Vec<(String, &Signal)> = inputs
            .below("inputs")
            .map(|(name, signal)| (format!("inputs.{name}"), signal))
            .collect();
        let [(first_port, first), _, ..] = found.as_slice() else {
            return Err(InferError::invalid("inputs", "must name two inputs or more"));
        };
        let mut widths = Vec::with_capacity(found.len());
        for (port, signal) in &found {
            let width = match (signal, first) {
                (Signal::Vector { width }, Signal::Vector { .. }) => *width,
                (Signal::Frames { width, rate }, Signal::Frames { rate: of_first, .. }) if rate == of_first => *width,
                (_, Signal::Vector { .. }) => return Err(misfit(port, "a vector", signal)),
                (_, Signal::Frames { rate, .. }) => {
                    return Err(InferError::Mismatch {
                        port: port.clone(),
                        wanted: format!("frames at {rate}, as at `{first_port}`"),
                        found: (*signal).clone(),
                        help: Some("streams of different rates are fused as vectors: pool each of them first".into()),
                    });
                }
                _ => return Err(misfit(port, "frames or a vector", signal)),
            };
            widths.push(width);
        }
        let total: usize = widths.iter().sum();
        let width = match self.how {
            How::Concat => total,
            How::Gated { width } => width,
            How::Sum | How::Weighted => {
                if widths.iter().any(|width| *width != widths[0]) {
                    return Err(InferError::Invalid {
                        field: "how".into(),
                        message: format!("adds inputs, but they are {widths:?} wide"),
                        help: Some("bring them to one width with `linear`, or use `concat` or `gated`".into()),
                    });
                }
                widths[0]
            }
        };
        if total > WIDEST {
            return Err(InferError::invalid(
                "inputs",
                format!("are {total} wide together; the most is {WIDEST}"),
            ));
        }
        Ok(Streams {
            output: match first {
                Signal::Frames { rate, .. } => Signal::Frames { width, rate: *rate },
                _ => Signal::Vector { width },
            },
            ports: found.into_iter().map(|(port, _)| port).collect(),
            widths,
            total,
        })
    }
}

impl Streams {
    /// The layers of a gated unit of this width: a transform for each input, and what all gates come from.
    fn gated(&self, width: usize) -> (Vec<Dense>, Dense) {
        let transforms = self.widths.iter().map(|&input| Dense::without_bias(input, width));
        let gate = Dense::without_bias(self.total, gates(self.widths.len()) * width);
        (transforms.collect(), gate)
    }
}

/// Gates of a unit: of two inputs the second has what the first leaves.
fn gates(inputs: usize) -> usize {
    if inputs == 2 { 1 } else { inputs }
}

impl Kind for Fuse {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let streams = self.streams(inputs)?;
        let total = streams.total;
        let cost = match self.how {
            How::Concat | How::Sum => each_cost(&streams.output, 0, total as f64, total as f64),
            How::Weighted => {
                let inputs = streams.widths.len() as u64;
                each_cost(&streams.output, inputs, 2.0 * total as f64, 2.0 * total as f64)
            }
            How::Gated { width } => {
                let (transforms, gate) = streams.gated(width);
                let parameters = transforms.iter().map(Dense::parameters).sum::<u64>() + gate.parameters();
                let kept = total + width * (2 * transforms.len() + 1) + 2 * gate.output;
                each_cost(&streams.output, parameters, 2.0 * parameters as f64, kept as f64)
            }
        };
        Ok(Inferred::device(streams.output, cost))
    }
}

impl DeviceKind for Fuse {
    type Layer = FuseLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<FuseLayer, BuildError> {
        let streams = self.streams(inputs)?;
        let build = |layer: &Dense| layer.build(context.device);
        Ok(FuseLayer {
            gated: match self.how {
                How::Gated { width } => {
                    let (transforms, gate) = streams.gated(width);
                    Some(GatedUnit {
                        transforms: transforms.iter().map(build).collect(),
                        gate: build(&gate),
                    })
                }
                How::Concat | How::Sum | How::Weighted => None,
            },
            weights: (self.how == How::Weighted)
                .then(|| Initializer::Zeros.init([streams.widths.len()], context.device)),
            sum: self.how == How::Sum,
            of_vectors: matches!(streams.output, Signal::Vector { .. }),
            ports: streams.ports,
        })
    }
}

/// See [`Fuse`].
#[derive(Module, Debug)]
pub struct FuseLayer {
    gated: Option<GatedUnit>,
    /// Before the softmax, one an input.
    weights: Option<Param<Tensor<1>>>,
    #[module(skip)]
    sum: bool,
    #[module(skip)]
    of_vectors: bool,
    #[module(skip)]
    ports: Vec<String>,
}

/// A gated multimodal unit.
#[derive(Module, Debug)]
struct GatedUnit {
    transforms: Vec<Linear>,
    gate: Linear,
}

impl GatedUnit {
    fn forward(&self, inputs: Vec<Tensor<3>>) -> Option<Tensor<3>> {
        let count = gates(inputs.len());
        let mut gates = sigmoid(self.gate.forward(Tensor::cat(inputs.clone(), 2))).chunk(count, 2);
        if let [gate] = gates.as_slice() {
            gates.push(gate.clone().neg().add_scalar(1.0));
        }
        self.transforms
            .iter()
            .zip(inputs)
            .zip(gates)
            .map(|((transform, input), gate)| gate * transform.forward(input).tanh())
            .reduce(Tensor::add)
    }
}

impl FuseLayer {
    /// # Shapes
    /// - `streams`: `[batch, time, width]` each
    /// - output: `[batch, time, output width]`
    fn fuse(&self, streams: Vec<Tensor<3>>) -> Result<Tensor<3>, NodeError> {
        if let Some(weights) = &self.weights {
            let shares = softmax(weights.val(), 0);
            let share = |at: usize| shares.clone().narrow(0, at, 1).reshape([1, 1, 1]);
            let weighted = streams.into_iter().enumerate().map(|(at, stream)| stream * share(at));
            return weighted
                .reduce(Tensor::add)
                .ok_or_else(|| NodeError::Missing("inputs".into()));
        }
        let fused = match &self.gated {
            Some(unit) => unit.forward(streams),
            None if self.sum => streams.into_iter().reduce(Tensor::add),
            None => Some(Tensor::cat(streams, 2)),
        };
        fused.ok_or_else(|| NodeError::Missing("inputs".into()))
    }
}

impl Layer for FuseLayer {
    // Frames are fused as far as all have them.
    fn takes_partial_items(&self) -> bool {
        self.of_vectors
    }

    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let mut streams = Vec::with_capacity(self.ports.len());
        let mut shared: Option<Lengths> = None;
        for port in &self.ports {
            if let Value::Vector(vector) = inputs.get(port)? {
                let [batch, width] = vector.dims();
                streams.push(vector.clone().reshape([batch, 1, width]));
                continue;
            }
            let (frames, lengths) = inputs.frames(port)?;
            streams.push(frames);
            shared = Some(match shared {
                Some(shared) => shorter(&shared, &lengths),
                None => lengths,
            });
        }
        let Some(lengths) = shared else {
            return Ok(output(Value::Vector(self.fuse(streams)?.squeeze_dim(1))));
        };
        let time = lengths.longest();
        let fused = self.fuse(streams.into_iter().map(|stream| stream.narrow(1, 0, time)).collect())?;
        let [batch, ..] = fused.dims();
        let mask = lengths.mask(time, &fused.device()).reshape([batch, time, 1]);
        Ok(output(Value::Frames(fused * mask, lengths)))
    }
}

/// The smaller of two lengths of each item.
fn shorter(a: &Lengths, b: &Lengths) -> Lengths {
    let pairs = a.as_slice().iter().zip(b.as_slice());
    Lengths::new(pairs.map(|(a, b)| *a.min(b)).collect())
}

#[cfg(test)]
mod tests {
    use emorun_lang::{FrameRate, PortRef};

    use super::*;

    #[test]
    fn inputs_that_do_not_go_together_are_refused_by_name() {
        let frames = |width, hz| Signal::Frames {
            width,
            rate: FrameRate::new(hz, 1).unwrap(),
        };
        let vector = |width| Signal::Vector { width };
        for (how, signals, expected) in [
            (
                How::Concat,
                vec![vector(3)],
                "field `inputs`: must name two inputs or more",
            ),
            (
                How::Concat,
                vec![vector(3), frames(3, 50)],
                "port `inputs.1` takes a vector, not frames 3 wide at 50 Hz",
            ),
            (
                How::Concat,
                vec![frames(3, 50), vector(3)],
                "port `inputs.1` takes frames at 50 Hz, as at `inputs.0`, not vector 3 wide",
            ),
            (
                How::Concat,
                vec![frames(3, 50), frames(3, 100)],
                "port `inputs.1` takes frames at 50 Hz, as at `inputs.0`, not frames 3 wide at 100 Hz",
            ),
            (
                How::Concat,
                vec![Signal::Text, vector(3)],
                "port `inputs.0` takes frames or a vector, not text",
            ),
            (
                How::Sum,
                vec![vector(3), vector(4)],
                "field `how`: adds inputs, but they are [3, 4] wide",
            ),
            (
                How::Concat,
                vec![vector(WIDEST), vector(WIDEST)],
                "field `inputs`: are 33554432 wide together; the most is 16777216",
            ),
        ] {
            let node = Fuse {
                inputs: Inputs::List(vec![PortRef::new("a"); signals.len()]),
                how,
            };
            let ports = signals.iter().enumerate();
            let ports = ports.map(|(at, signal)| (format!("inputs.{at}"), signal)).collect();
            let error = node.infer(&InputSignals::new(ports), &Facts::default()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
