//! Mixup: items blended with one another, and their labels with them, while training.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use emorun_lang::{InferError, Inferred, InputSignals, PortRef, Signal};
use rand_distr::{Beta, Distribution};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{DeviceKind, Kind};
use crate::inference::{class_count, each_cost, labels_on};
use emorun_nn::draw::permutation;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, BuildError, Context, Layer, NodeError, Outputs, Ports};
use emorun_nn::value::{Labels, Lengths, Targets, Value};

/// Blends each item with another of its batch, `λ·x_i + (1 − λ)·x_j` with `λ` from Beta(α, α), and gives
/// at the port `target` the shares `λ` and `1 − λ` of their classes: the target of a `cross_entropy`. The classes
/// that a head is measured by stay `data`'s own, and outside training items and shares are the items' own.
///
/// Frames are blended from their start on and as long as the longer of the two, which goes on alone. Each item draws
/// its own λ. An item stays as it is where it or its partner lacks the label.
///
/// # Source
/// Zhang et al., mixup, ICLR 2018; between layers as in Verma et al., Manifold Mixup, ICML 2019.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixup {
    /// Frames, such as a normalised log-mel spectrogram, or a vector.
    pub input: PortRef,
    /// Labels that are blended with them.
    pub target: PortRef,
    /// α of the Beta distribution, above 0: near 0 items stay almost themselves, 1 makes every blend as
    /// likely as any other.
    #[serde(default = "default_alpha")]
    #[schemars(range(min = 0.001, max = 1000.0))]
    pub alpha: f64,
    /// Probability with which a batch is blended.
    #[serde(default = "default_p")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p: f64,
}

fn default_alpha() -> f64 {
    0.2
}
fn default_p() -> f64 {
    1.0
}

impl Kind for Mixup {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let signal = inputs.require("input")?;
        let width = match signal {
            Signal::Frames { width, .. } | Signal::Vector { width } => *width,
            found => return Err(InferError::mismatch("input", "frames or a vector", found)),
        };
        let labels = labels_on(inputs, "target")?;
        let cost = each_cost(signal, 0, 3.0 * width as f64, 3.0 * width as f64);
        Ok(Inferred {
            outputs: vec![
                (String::new(), signal.clone()),
                (TARGET.to_owned(), Signal::SoftLabels { labels }),
            ],
            train_only: true,
            ..Inferred::device(Signal::Scalar, cost)
        })
    }
}

impl DeviceKind for Mixup {
    type Layer = MixupLayer;

    fn build(&self, inputs: &InputSignals<'_>, _: &BuildContext<'_>) -> Result<MixupLayer, BuildError> {
        Ok(MixupLayer {
            alpha: self.alpha,
            p: self.p,
            classes: class_count(&labels_on(inputs, "target")?),
        })
    }
}

/// Port of the blended labels.
const TARGET: &str = "target";

/// See [`Mixup`].
#[derive(Module, Debug)]
pub struct MixupLayer {
    #[module(skip)]
    alpha: f64,
    #[module(skip)]
    p: f64,
    #[module(skip)]
    classes: usize,
}

/// Each item's partner and its own share.
struct Blend {
    partners: Vec<usize>,
    shares: Vec<f32>,
}

impl MixupLayer {
    /// What is blended with what; `None` where nothing is.
    fn blend(&self, labels: &Labels, context: &Context) -> Option<Blend> {
        if !context.training || !context.chance("apply", self.p) {
            return None;
        }
        let beta = Beta::new(self.alpha, self.alpha).ok()?;
        let labels = labels.as_slice();
        let partners = permutation(&context.step.with("partners"), labels.len());
        let shares = partners
            .iter()
            .enumerate()
            .map(|(at, &partner)| match (labels[at], labels[partner]) {
                (Some(_), Some(_)) => beta.sample(&mut context.step.with("shares").at(at as u64).rng()) as f32,
                _ => 1.0,
            })
            .collect();
        Some(Blend { partners, shares })
    }

    /// Share of each class in each item; none where it lacks the label.
    fn targets(&self, labels: &Labels, blend: Option<&Blend>) -> Targets {
        let labels = labels.as_slice();
        let mut rows = vec![None; labels.len() * self.classes];
        for (at, row) in rows.chunks_exact_mut(self.classes.max(1)).enumerate() {
            let Some(own) = labels[at] else { continue };
            row.fill(Some(0.0));
            let mut add = |class: u32, share: f32| {
                if let Some(Some(sum)) = row.get_mut(class as usize) {
                    *sum += share;
                }
            };
            match blend {
                None => add(own, 1.0),
                Some(blend) => {
                    add(own, blend.shares[at]);
                    if let Some(other) = labels[blend.partners[at]] {
                        add(other, 1.0 - blend.shares[at]);
                    }
                }
            }
        }
        Targets::new(rows, self.classes)
    }
}

impl Blend {
    /// The partners of a batch, in its order.
    fn of<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let rows = self.partners.iter().map(|&partner| x.clone().narrow(0, partner, 1));
        Tensor::cat(rows.collect(), 0)
    }

    /// Each item's own share, to be multiplied with a batch.
    fn shares<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let mut shape = [1; D];
        shape[0] = self.shares.len();
        Tensor::from_data(TensorData::new(self.shares.clone(), shape), device)
    }

    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let shares = self.shares::<D>(&x.device());
        let others = self.of(x.clone()) * shares.clone().neg().add_scalar(1.0);
        x * shares + others
    }

    /// A blend is as long as the longer of the two.
    fn lengths(&self, lengths: &Lengths) -> Lengths {
        let own = lengths.as_slice();
        let blended = self.partners.iter().zip(&self.shares).zip(own);
        let longer = |((&partner, &share), &length): ((&usize, &f32), &usize)| match share < 1.0 {
            true => length.max(own[partner]),
            false => length,
        };
        Lengths::new(blended.map(longer).collect())
    }
}

impl Layer for MixupLayer {
    fn relabel(&self, inputs: &Ports, context: &Context) -> Result<Option<Outputs>, NodeError> {
        let labels = inputs.labels(TARGET)?;
        let blend = self.blend(&labels, context);
        Ok(Some(vec![(
            TARGET,
            Value::Targets(self.targets(&labels, blend.as_ref())),
        )]))
    }

    fn forward(&self, inputs: &Ports, context: &Context) -> Result<Outputs, NodeError> {
        let labels = match context.training {
            true => Some(inputs.labels(TARGET)?),
            // Where labels are not known, nothing asks for their shares.
            false => inputs.labels(TARGET).ok(),
        };
        let blend = labels.as_ref().and_then(|labels| self.blend(labels, context));
        let mixed = match (inputs.get("input")?, &blend) {
            (Value::Frames(frames, lengths), Some(blend)) => {
                Value::Frames(blend.apply(frames.clone()), blend.lengths(lengths))
            }
            (Value::Vector(vectors), Some(blend)) => Value::Vector(blend.apply(vectors.clone())),
            (value @ (Value::Frames(..) | Value::Vector(_)), None) => value.clone(),
            (other, _) => {
                return Err(NodeError::Kind {
                    port: "input".to_owned(),
                    wanted: "frames or vectors",
                    found: other.name(),
                });
            }
        };
        let targets = labels.map(|labels| (TARGET, Value::Targets(self.targets(&labels, blend.as_ref()))));
        Ok(std::iter::once(("", mixed)).chain(targets).collect())
    }
}
