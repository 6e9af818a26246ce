//! Normalisation of each feature band to zero mean and unit deviation over the training items.

use burn::module::{Module, RunningState};
use burn::tensor::{Tensor, TensorData};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports, Stepper, output};
use emorun_nn::state::State;
use emorun_nn::value::Value;
use emorun_nn::waits;

/// Per-band mean and standard deviation over all valid frames of the training items only, fitted
/// before training and stored with the weights: `y = (x − mean) / sd`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normalise {
    /// Frames to normalise.
    pub input: PortRef,
}

/// Bands whose deviation is below this are only centred.
const LEAST_SD: f64 = 1e-5;

impl Kind for Normalise {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (width, rate) = frames_on(inputs, "input")?;
        Ok(Inferred {
            outputs: vec![(String::new(), Signal::Frames { width, rate })],
            placement: Placement::Device,
            cost: Cost {
                buffers: 2 * width as u64,
                flops_per_second: 2.0 * rate.hz() * width as f64,
                activation_floats_per_second: rate.hz() * width as f64,
                ..Cost::default()
            },
            reads_labels: false,
            train_only: false,
        })
    }
}

impl DeviceKind for Normalise {
    type Layer = NormaliseLayer;

    fn build(&self, inputs: &InputSignals<'_>, context: &BuildContext<'_>) -> Result<NormaliseLayer, BuildError> {
        let (width, _) = frames_on(inputs, "input")?;
        Ok(NormaliseLayer {
            mean: RunningState::new(Tensor::zeros([width], context.device)),
            sd: RunningState::new(Tensor::ones([width], context.device)),
            sums: Sums::default(),
        })
    }
}

/// See [`Normalise`].
#[derive(Module, Debug)]
pub struct NormaliseLayer {
    mean: RunningState<Tensor<1>>,
    sd: RunningState<Tensor<1>>,
    #[module(skip)]
    sums: Sums,
}

/// Running count, mean and sum of squared deviations of each band, in double precision.
#[derive(Clone, Debug, Default)]
struct Sums {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    /// Welford's update by one frame: stable where a sum of squares is not.
    fn add(&mut self, frame: &[f32]) {
        self.mean.resize(frame.len(), 0.0);
        self.squares.resize(frame.len(), 0.0);
        self.count += 1.0;
        for ((mean, squares), &x) in self.mean.iter_mut().zip(&mut self.squares).zip(frame) {
            let delta = f64::from(x) - *mean;
            *mean += delta / self.count;
            *squares += delta * (f64::from(x) - *mean);
        }
    }
}

impl Layer for NormaliseLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let [batch, time, width] = frames.dims();
        let normalised = (frames - self.mean.value().reshape([1, 1, width])) / self.sd.value().reshape([1, 1, width]);
        let normalised = if lengths.all_full(time) {
            normalised
        } else {
            let mask = lengths.mask(time, &normalised.device());
            normalised * mask.reshape([batch, time, 1])
        };
        Ok(output(Value::Frames(normalised, lengths)))
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }

    fn fits(&self) -> bool {
        true
    }

    fn fit(&mut self, inputs: &Ports) -> Result<(), NodeError> {
        let (frames, lengths) = inputs.frames("input")?;
        let [_, time, width] = frames.dims();
        let values = waits::numbers(frames);
        for (item, &length) in values.chunks_exact(time * width).zip(lengths.as_slice()) {
            item.chunks_exact(width)
                .take(length)
                .for_each(|frame| self.sums.add(frame));
        }
        Ok(())
    }

    fn finish_fit(&mut self) {
        let sums = std::mem::take(&mut self.sums);
        if sums.count == 0.0 {
            return;
        }
        let device = self.mean.value().device();
        let width = sums.mean.len();
        let mean: Vec<f32> = sums.mean.iter().map(|&mean| mean as f32).collect();
        let sd: Vec<f32> = sums
            .squares
            .iter()
            .map(|&squares| (squares / sums.count).sqrt())
            .map(|sd| if sd < LEAST_SD { 1.0 } else { sd as f32 })
            .collect();
        for (state, values) in [(&self.mean, mean), (&self.sd, sd)] {
            state.update(Tensor::from_data(TensorData::new(values, [width]), &device));
            state.value_sync();
        }
    }
}

impl Stepper for NormaliseLayer {
    fn step(&self, inputs: &Ports, _state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        // Each frame is for itself.
        self.forward(inputs, context)
    }
}
