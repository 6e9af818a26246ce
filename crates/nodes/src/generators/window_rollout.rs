//! Frames generated window by window, each window following from the one before.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emorun_lang::{Cost, FrameRate, InferError, Inferred, InputSignals, NodeRef, Placement, PortRef, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GeneratorKind;
use crate::blocks::vae::normal_rows;
use crate::contract::{DeviceKind, Holds, Kind};
use crate::heads::Predicts;
use crate::heads::frame_regressor::target_width;
use crate::inference::frames_on;
use emorun_nn::facts::Facts;
use emorun_nn::node::{
    BuildContext, BuildError, Context, Decoder, Latent, Layer, NodeError, Outputs, Ports, Stepper, Window,
};
use emorun_nn::state::State;
use emorun_nn::value::{Distribution, Lengths, Value};

/// Frames such as a listener's face, generated window by window beside the frames of `memory`, such as what a speaker's
/// face and voice say: in several samples, each from noise of its own.
///
/// A window's frames are what `uses.decoder` makes of: a latent vector at each frame, the window before as it was generated
/// (its frame at the same place), and the memory's frames of the window and of `context` frames before it. No frame follows
/// from a later one of the memory, if the decoder is causal, so that frames can be given as they come
/// ([`Stepper`]): in stretches of any length they are the same as of the whole, to the bit on the CPU. With a decoder that is
/// not causal, and a window as long as the longest item, whole items are generated at once.
///
/// The latent vector is `μ + σ ε` with the noise ε of a sample, keyed by (seed, item, sample) and while training by the epoch
/// as well, and `μ` and `σ` from `uses.latent`, which sees
/// - `clip`: the item's memory and its true frames, while training; otherwise the vector is ε, as the true frames are what is
///   to be generated. So what cannot be told from the memory is told by the latent vector;
/// - `past`: the memory and the generated frames of the window before, always.
///
/// From window to window it moves by `z ← momentum · z + (1 − momentum) · z_new`, along a straight line within the window.
/// Gradients do not go back into the window before.
///
/// A `kl_divergence` takes the port `distribution`.
///
/// Source: the task of Song et al., "REACT 2024", FG 2024; latent vectors over windows after Luo et al., "ReactFace", IEEE
/// TVCG 2024.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRollout {
    /// Frames that the generated ones follow from, at the target's rate.
    pub memory: PortRef,
    /// Frames to generate, such as `data.listener_face`.
    pub target: PortRef,
    /// Frames of a single number at the target's rate: above 0.5 where the target is known, and is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mask: Option<PortRef>,
    /// The nodes that it holds.
    pub uses: Held,
    /// Dimensions of the latent vector, as of the node at `uses.latent`.
    #[serde(default = "default_latent")]
    #[schemars(range(min = 1, max = 65536))]
    pub latent: usize,
    /// What the node at `uses.latent` sees.
    #[serde(default)]
    pub sees: Sees,
    /// Frames of a window.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 10_000))]
    pub window: usize,
    /// Frames of the memory before a window that it may look at.
    #[serde(default = "default_window")]
    #[schemars(range(min = 0, max = 10_000))]
    pub context: usize,
    /// Share of the latent vector that stays from window to window.
    #[serde(default = "default_momentum")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub momentum: f64,
    /// How many samples are drawn.
    #[serde(default)]
    pub samples: Samples,
}

/// What a rollout holds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Gives distributions of the latent vector: a `vae` of two inputs, the memory and the target.
    pub latent: NodeRef,
    /// Gives the frames of a window: a `transformer_decoder` of two inputs, the latent vector and the target, beside the
    /// memory.
    pub decoder: NodeRef,
}

/// What the latent vector follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// The whole item with its true frames, while training.
    #[default]
    Clip,
    /// The window before, with the frames generated of it.
    Past,
}

/// Numbers of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Samples {
    /// While training.
    #[serde(default = "default_training")]
    #[schemars(range(min = 1, max = 1000))]
    pub training: usize,
    /// Otherwise.
    #[serde(default = "default_evaluation")]
    #[schemars(range(min = 1, max = 1000))]
    pub evaluation: usize,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            training: default_training(),
            evaluation: default_evaluation(),
        }
    }
}

fn default_latent() -> usize {
    256
}
fn default_window() -> usize {
    16
}
fn default_momentum() -> f64 {
    0.9
}
fn default_training() -> usize {
    3
}
fn default_evaluation() -> usize {
    10
}

/// Port at which the latent node is held.
const LATENT: &str = "uses.latent";
/// Port at which the decoder is held.
const DECODER: &str = "uses.decoder";

impl WindowRollout {
    fn widths(&self, inputs: &InputSignals<'_>) -> Result<(usize, usize, FrameRate), InferError> {
        let (memory, rate) = frames_on(inputs, "memory")?;
        Ok((memory, target_width(inputs, rate)?, rate))
    }
}

impl GeneratorKind for WindowRollout {
    fn predicts(&self) -> Predicts {
        Predicts::Frames
    }
}

impl Kind for WindowRollout {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let (memory, width, rate) = self.widths(inputs)?;
        let reach = (self.window + self.context) as f64 / self.window as f64;
        let kept = 3.0 * (self.latent + 2 * width) as f64 + reach * memory as f64;
        Ok(Inferred {
            outputs: vec![
                (String::new(), Signal::Samples { width, rate }),
                ("distribution".to_owned(), Signal::Distribution { width: self.latent }),
            ],
            placement: Placement::Device,
            cost: Cost {
                activation_floats_per_second: rate.hz() * self.samples.training as f64 * kept,
                ..Cost::default()
            },
            reads_labels: false,
            train_only: false,
        })
    }

    fn holds(&self, inputs: &InputSignals<'_>) -> Vec<Holds> {
        let Ok((memory, width, rate)) = self.widths(inputs) else {
            return Vec::new();
        };
        let latent = Holds {
            held: LATENT,
            inputs: vec![memory, width],
            beside: None,
            gives: ("distribution", Signal::Distribution { width: self.latent }),
        };
        let decoder = Holds {
            held: DECODER,
            inputs: vec![self.latent, width],
            beside: Some(("memory", memory)),
            gives: ("", Signal::Frames { width, rate }),
        };
        vec![latent, decoder]
    }
}

impl DeviceKind for WindowRollout {
    type Layer = WindowRolloutLayer;

    fn build(&self, inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<WindowRolloutLayer, BuildError> {
        Ok(WindowRolloutLayer {
            width: self.widths(inputs)?.1,
            latent: self.latent,
            sees: self.sees,
            window: self.window,
            before: self.context,
            momentum: self.momentum,
            samples: self.samples,
        })
    }
}

/// See [`WindowRollout`].
#[derive(Module, Debug)]
pub struct WindowRolloutLayer {
    #[module(skip)]
    width: usize,
    #[module(skip)]
    latent: usize,
    #[module(skip)]
    sees: Sees,
    #[module(skip)]
    window: usize,
    #[module(skip)]
    before: usize,
    #[module(skip)]
    momentum: f64,
    #[module(skip)]
    samples: Samples,
}

/// Means and logarithms of variances, `[batch, latent]` each.
type Normal = (Tensor<2>, Tensor<2>);

/// What stays the same from window to window.
struct Rollout<'a> {
    latent: &'a dyn Latent,
    decoder: &'a dyn Decoder,
    context: &'a Context,
    samples: usize,
    /// Noise of each sample of each item, `[samples · batch, latent]`.
    noise: Tensor<2>,
    /// What the true frames say, where the latent vector follows from them.
    posterior: Option<Normal>,
}

/// The memory's frames in sight of a window, and which of them are there.
struct InSight {
    /// `[batch, before + window, width]`
    frames: Tensor<3>,
    /// `[batch, before + window]`
    mask: Tensor<2>,
}

fn held<'a, T: ?Sized>(
    inputs: &'a Ports,
    port: &str,
    wanted: &str,
    of: impl Fn(&'a dyn Layer) -> Option<&'a T>,
) -> Result<&'a T, NodeError> {
    of(inputs.held(port)?.layer()).ok_or_else(|| NodeError::Held {
        port: port.to_owned(),
        reason: format!("is not one that can be held there: {wanted} is"),
    })
}

impl WindowRolloutLayer {
    fn rollout<'a>(
        &self,
        inputs: &'a Ports,
        context: &'a Context,
        posterior: Option<Normal>,
        device: &Device,
    ) -> Result<Rollout<'a>, NodeError> {
        let samples = match context.training {
            true => self.samples.training,
            false => self.samples.evaluation,
        };
        let keys = (0..samples as u64).flat_map(|sample| {
            let items = context.items.iter();
            items.map(move |item| context.epoch.with(item).at(sample))
        });
        Ok(Rollout {
            latent: held(inputs, LATENT, "a `vae`", |layer| layer.as_latent())?,
            decoder: held(inputs, DECODER, "a `transformer_decoder`", |layer| layer.as_decoder())?,
            context,
            samples,
            noise: Tensor::from_data(normal_rows(keys, self.latent), device),
            posterior,
        })
    }

    /// What the latent vectors of a window are drawn from; `None` for the prior.
    fn normal(
        &self,
        rollout: &Rollout<'_>,
        seen: &InSight,
        last: &Tensor<3>,
        at: usize,
    ) -> Result<Option<Normal>, NodeError> {
        if self.sees == Sees::Clip {
            let all = |x: &Tensor<2>| x.clone().repeat_dim(0, rollout.samples);
            return Ok(rollout
                .posterior
                .as_ref()
                .map(|(mean, log_variance)| (all(mean), all(log_variance))));
        }
        // Of the window before, as far as it is in sight.
        let reach = self.before.min(self.window);
        let frames = seen.frames.clone().narrow(1, self.before - reach, reach);
        let mask = seen.mask.clone().narrow(1, self.before - reach, reach);
        let streams = [
            frames.repeat_dim(0, rollout.samples),
            last.clone().narrow(1, self.window - reach, reach),
        ];
        let within = rollout.context.within(&format!("latent {at}"));
        let mask = mask.repeat_dim(0, rollout.samples);
        rollout.latent.distribution(&streams, mask, &within).map(Some)
    }

    /// The frames of a window, `[samples · batch, time, width]`, the latent vectors at its end, and what they were drawn
    /// from.
    fn frames(
        &self,
        rollout: &Rollout<'_>,
        seen: InSight,
        (last, z_before): (&Tensor<3>, Option<&Tensor<2>>),
        at: usize,
    ) -> Result<(Tensor<3>, Tensor<2>, Option<Normal>), NodeError> {
        let normal = self.normal(rollout, &seen, last, at)?;
        let drawn = match &normal {
            Some((mean, log_variance)) => {
                mean.clone() + log_variance.clone().mul_scalar(0.5).exp() * rollout.noise.clone()
            }
            None => rollout.noise.clone(),
        };
        let z = match z_before {
            Some(before) => before.clone().mul_scalar(self.momentum) + drawn.mul_scalar(1.0 - self.momentum),
            None => drawn,
        };
        let [rows, latent] = z.dims();
        let time = seen.frames.dims()[1] - self.before;
        let places: Vec<f32> = (1..=time).map(|at| at as f32 / self.window as f32).collect();
        let places = Tensor::<3>::from_data(TensorData::new(places, [1, time, 1]), &z.device());
        let begin = z_before.unwrap_or(&z).clone().reshape([rows, 1, latent]);
        let way = z.clone().reshape([rows, 1, latent]) - begin.clone();
        let latents = begin.expand([rows, time, latent]) + way.expand([rows, time, latent]) * places;
        let window = Window {
            inputs: vec![latents, last.clone().narrow(1, 0, time)],
            memory: seen.frames.repeat_dim(0, rollout.samples),
            mask: seen.mask.repeat_dim(0, rollout.samples),
            before: self.before,
        };
        let within = rollout.context.within(&format!("window {at}"));
        let frames = rollout.decoder.decode(&window, &within)?;
        let found = frames.dims()[2];
        if found != self.width {
            return Err(NodeError::Held {
                port: DECODER.to_owned(),
                reason: format!("gives frames {found} wide, not {}: name its `target`", self.width),
            });
        }
        Ok((frames, z, normal))
    }

    /// The next frames, `[samples · batch, time, width]`, and what the latent vectors of each window that begins were drawn
    /// from.
    ///
    /// A causal decoder computes each window at its full length, with zeros for the frames that have not come: these are
    /// hidden from those that have, whose numbers are thus the same however many come at a time.
    fn advance(
        &self,
        rollout: &Rollout<'_>,
        (frames, mask): (Tensor<3>, Tensor<2>),
        state: &mut State,
    ) -> Result<(Tensor<3>, Vec<Normal>), NodeError> {
        let [batch, time, memory] = frames.dims();
        let device = frames.device();
        let (mut given, mut normals) = (Vec::new(), Vec::new());
        let mut from = 0;
        while from < time {
            let (have, at) = (*state.number("frames"), *state.number("windows"));
            let take = (self.window - have).min(time - from);
            let is_whole = have + take == self.window;
            let missing = match rollout.decoder.is_causal() {
                true => self.window - have - take,
                false => 0,
            };
            let new = (frames.clone().narrow(1, from, take), mask.clone().narrow(1, from, take));
            let held = |state: &mut State| {
                let known: Option<(Tensor<3>, Tensor<2>)> = state.take("memory").zip(state.take("mask"));
                known.or_else(|| {
                    let none = (
                        Tensor::zeros([batch, self.before, memory], &device),
                        Tensor::zeros([batch, self.before], &device),
                    );
                    (self.before > 0).then_some(none)
                })
            };
            let (known, known_mask) = match held(state) {
                Some((known, known_mask)) => (
                    Tensor::cat(vec![known, new.0], 1),
                    Tensor::cat(vec![known_mask, new.1], 1),
                ),
                None => new,
            };
            let seen = if missing > 0 {
                InSight {
                    frames: Tensor::cat(vec![known.clone(), Tensor::zeros([batch, missing, memory], &device)], 1),
                    mask: Tensor::cat(vec![known_mask.clone(), Tensor::zeros([batch, missing], &device)], 1),
                }
            } else {
                InSight {
                    frames: known.clone(),
                    mask: known_mask.clone(),
                }
            };
            let last = state
                .take("last")
                .unwrap_or_else(|| Tensor::zeros([rollout.samples * batch, self.window, self.width], &device));
            let z_before: Option<Tensor<2>> = state.take("latent");
            let (whole, z, normal) = self.frames(rollout, seen, (&last, z_before.as_ref()), at)?;
            if have == 0 {
                normals.extend(normal);
            }
            given.push(whole.clone().narrow(1, have, take));
            from += take;
            if !is_whole {
                *state.number("frames") = have + take;
                state.put("memory", known);
                state.put("mask", known_mask);
                state.put("last", last);
                if let Some(z) = z_before {
                    state.put("latent", z);
                }
            } else {
                *state.number("frames") = 0;
                *state.number("windows") = at + 1;
                if self.before > 0 {
                    state.put("memory", known.narrow(1, self.window, self.before));
                    state.put("mask", known_mask.narrow(1, self.window, self.before));
                }
                state.put("last", whole.detach());
                state.put("latent", z);
            }
        }
        Ok((Tensor::cat(given, 1), normals))
    }

    /// Frames of all samples with their lengths as a value.
    fn samples_of(&self, frames: Tensor<3>, lengths: Lengths, samples: usize) -> Value {
        let [rows, time, width] = frames.dims();
        let batch = rows / samples.max(1);
        let mask = lengths.mask(time, &frames.device()).reshape([1, batch, time, 1]);
        Value::Samples(frames.reshape([samples, batch, time, width]) * mask, lengths)
    }

    /// What the true frames say of the latent vector, where it follows from them and they are there.
    fn posterior(&self, inputs: &Ports, context: &Context) -> Result<Option<Normal>, NodeError> {
        if self.sees != Sees::Clip || inputs.get("target").is_err() {
            return Ok(None);
        }
        let (memory, lengths) = inputs.frames("memory")?;
        let (target, true_lengths) = inputs.frames("target")?;
        let pairs = lengths.as_slice().iter().zip(true_lengths.as_slice());
        let lengths = Lengths::new(pairs.map(|(a, b)| *a.min(b)).collect());
        let time = lengths.longest();
        let streams = [memory.narrow(1, 0, time), target.narrow(1, 0, time)];
        let mask = lengths.mask(time, &streams[0].device());
        let latent = held(inputs, LATENT, "a `vae`", |layer| layer.as_latent())?;
        latent
            .distribution(&streams, mask, &context.within("posterior"))
            .map(Some)
    }

    /// The distributions of all windows, one behind the other, those of samples side by side.
    fn distribution(&self, normals: Vec<Normal>, lengths: &Lengths, samples: usize) -> Option<Value> {
        let windows = normals.len();
        let batch = lengths.as_slice().len();
        let (means, log_variances): (Vec<Tensor<2>>, Vec<Tensor<2>>) = normals.into_iter().unzip();
        if windows == 0 {
            return None;
        }
        let steps = |all: Vec<Tensor<2>>| {
            let each = |x: Tensor<2>| x.reshape([samples, batch, self.latent]).swap_dims(0, 1);
            Tensor::cat(all.into_iter().map(each).collect(), 1)
        };
        Some(Value::Distribution(Distribution {
            mean: steps(means),
            log_variance: steps(log_variances),
            lengths: lengths.map(|length| length.div_ceil(self.window) * samples),
        }))
    }
}

impl Layer for WindowRolloutLayer {
    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let (memory, lengths) = inputs.frames("memory")?;
        let posterior = self.posterior(inputs, context)?;
        let [batch, time, _] = memory.dims();
        let device = memory.device();
        // Outside training it is known for the loss alone.
        let drawn_from = posterior.clone().filter(|_| context.training);
        let rollout = self.rollout(inputs, context, drawn_from, &device)?;
        let mask = lengths.mask(time, &device);
        let (frames, normals) = self.advance(&rollout, (memory, mask), &mut State::default())?;
        let distribution = match posterior {
            Some((mean, log_variance)) => Some(Value::Distribution(Distribution {
                mean: mean.reshape([batch, 1, self.latent]),
                log_variance: log_variance.reshape([batch, 1, self.latent]),
                lengths: Lengths::new(vec![1; batch]),
            })),
            None => self.distribution(normals, &lengths, rollout.samples),
        };
        let mut outputs = vec![("", self.samples_of(frames, lengths, rollout.samples))];
        outputs.extend(distribution.map(|distribution| ("distribution", distribution)));
        Ok(outputs)
    }

    fn as_stepper(&self) -> Option<&dyn Stepper> {
        Some(self)
    }
}

impl Stepper for WindowRolloutLayer {
    fn step(&self, inputs: &Ports, state: &mut State, context: &Context) -> Result<Outputs, NodeError> {
        let (memory, lengths) = inputs.frames("memory")?;
        let [_, time, _] = memory.dims();
        let rollout = self.rollout(inputs, context, None, &memory.device())?;
        if !rollout.decoder.is_causal() {
            return Err(NodeError::Held {
                port: DECODER.to_owned(),
                reason: "looks ahead, so that its frames cannot be given as they come".to_owned(),
            });
        }
        let mask = lengths.mask(time, &memory.device());
        let (frames, _) = self.advance(&rollout, (memory, mask), state)?;
        Ok(vec![("", self.samples_of(frames, lengths, rollout.samples))])
    }
}
