//! Building a model from named tensors: of a checkpoint or drawn at random.

use std::collections::BTreeSet;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use emorun_weights::{Checkpoint, WeightsError};
use rand::RngExt;

use super::naming::Naming;
use super::weight::{LayerNorm, Linear, LowRank, Weight};
use emorun_nn::draw::DrawKey;
use emorun_nn::waits;

/// Where tensors come from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// A checkpoint.
    Checkpoint {
        /// The files.
        checkpoint: &'a Checkpoint,
        /// What it calls the model's tensors.
        naming: &'a Naming,
    },
    /// Drawn for a key and each tensor's name.
    Random(DrawKey),
}

/// How a tensor is drawn when it is not read.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal around zero with this standard deviation.
    Normal(f64),
    /// Uniform from zero to one.
    Uniform,
}

/// Standard deviation of the weights of linear layers, as `initializer_range` in transformers.
pub const LINEAR: Init = Init::Normal(0.02);

/// Low-rank adaptation of linear layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptation {
    /// Rank `r`.
    pub rank: usize,
    /// The change is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Last parts of the names of the layers that are adapted.
    pub targets: Vec<String>,
    /// Dropout on their input.
    pub dropout: f64,
}

/// A tensor that was asked for.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it is drawn when it is not read.
    pub init: Init,
}

/// A tensor that a checkpoint should have and has not, or has otherwise.
#[derive(Debug)]
pub enum Mistake {
    /// It is not there.
    Missing(String),
    /// It has another shape.
    Shape {
        /// Its name.
        name: String,
        /// The shape in the checkpoint.
        found: Vec<usize>,
        /// The shape that the configuration asks for.
        wanted: Vec<usize>,
    },
    /// It cannot be read.
    Unreadable(WeightsError),
}

/// Hands out the tensors of a model by name, noting every mistake instead of stopping at the first.
pub struct WeightReader<'a> {
    origin: Origin<'a>,
    device: Device,
    trains: &'a dyn Fn(&str) -> bool,
    adaptation: Option<&'a Adaptation>,
    key: DrawKey,
    /// What was asked for, in order.
    pub listed: Vec<Listed>,
    /// What was wrong.
    pub mistakes: Vec<Mistake>,
    used: BTreeSet<String>,
}

impl<'a> WeightReader<'a> {
    /// A reader; `device` is where trained tensors stand, `trains` tells them by name, `key` is for
    /// what adaptation draws.
    pub fn new(
        origin: Origin<'a>,
        device: &Device,
        trains: &'a dyn Fn(&str) -> bool,
        adaptation: Option<&'a Adaptation>,
        key: DrawKey,
    ) -> Self {
        Self {
            origin,
            device: device.clone(),
            trains,
            adaptation,
            key,
            listed: Vec::new(),
            mistakes: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Whether a tensor of the checkpoint was asked for, by the checkpoint's name.
    pub fn was_used(&self, stored: &str) -> bool {
        self.used.contains(stored)
    }

    /// True if the checkpoint has a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        match self.origin {
            Origin::Checkpoint { naming, .. } => naming.stored(name).is_some(),
            Origin::Random(_) => false,
        }
    }

    /// A tensor that is never trained.
    pub fn constant<const D: usize>(&mut self, name: &str, shape: [usize; D], init: Init) -> Weight<D> {
        let data = stored(self.values(name, &shape, init), shape);
        Weight::frozen(Tensor::from_data(data, &self.device.clone().inner()))
    }

    /// A tensor.
    pub fn tensor<const D: usize>(&mut self, name: &str, shape: [usize; D], init: Init) -> Weight<D> {
        let data = self.values(name, &shape, init);
        self.weight(name, stored(data, shape), |tensor| tensor)
    }

    /// A matrix stored as `[output, input]`, given as `[input, output]`.
    fn transposed(&mut self, name: &str, input: usize, output: usize) -> Weight<2> {
        let data = self.values(name, &[output, input], LINEAR);
        // Laid out anew once, so that no product has to.
        self.weight(name, stored(data, [output, input]), |tensor: Tensor<2>| {
            Tensor::from_data(waits::data(tensor.transpose()), &self.device.clone().inner())
        })
    }

    fn weight<const D: usize>(
        &self,
        name: &str,
        data: TensorData,
        lay: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Weight<D> {
        let tensor = lay(Tensor::from_data(data, &self.device.clone().inner()));
        if (self.trains)(name) {
            Weight::Trained(Param::from_tensor(Tensor::from_inner(tensor).require_grad()))
        } else {
            Weight::frozen(tensor)
        }
    }

    /// A tensor that a checkpoint may lack, where it is drawn.
    pub fn tensor_or_drawn<const D: usize>(&mut self, name: &str, shape: [usize; D], init: Init) -> Weight<D> {
        if let Origin::Checkpoint { .. } = self.origin
            && !self.has(name)
        {
            tracing::warn!("the checkpoint has no `{name}`: it is drawn at random, and trained");
            let data = draw(&self.key.with(name), shape.iter().product(), init);
            return self.weight(name, TensorData::new(data, shape), |tensor| tensor);
        }
        self.tensor(name, shape, init)
    }

    /// The values of a tensor; `None` after a mistake, so that no lie of a configuration becomes an allocation.
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Option<Vec<f32>> {
        self.listed.push(Listed {
            name: name.to_owned(),
            shape: shape.to_vec(),
            init,
        });
        let count = shape.iter().product();
        match self.origin {
            Origin::Random(key) => Some(draw(&key.with(name), count, init)),
            Origin::Checkpoint { checkpoint, naming } => {
                let stored = naming.stored(name);
                let read = match stored.and_then(|stored| Some((stored, checkpoint.shape(stored)?))) {
                    None => Err(Mistake::Missing(naming.full(name))),
                    Some((stored, found)) if found != shape => Err(Mistake::Shape {
                        name: stored.to_owned(),
                        found: found.to_vec(),
                        wanted: shape.to_vec(),
                    }),
                    Some((stored, _)) => checkpoint.read_f32(stored).map_err(Mistake::Unreadable),
                };
                self.used.extend(stored.map(str::to_owned));
                read.map_err(|mistake| self.mistakes.push(mistake)).ok()
            }
        }
    }

    /// A linear layer `<name>.weight`, `<name>.bias`; adapted if it is a target.
    pub fn linear(&mut self, name: &str, input: usize, output: usize, bias: bool) -> Linear {
        let weight = self.transposed(&format!("{name}.weight"), input, output);
        let bias = bias.then(|| self.tensor(&format!("{name}.bias"), [output], Init::Zeros));
        let last = name.rsplit('.').next().unwrap_or(name);
        let lora = self
            .adaptation
            .filter(|adaptation| adaptation.targets.iter().any(|target| target == last))
            .map(|adaptation| self.low_rank(name, input, output, adaptation));
        Linear { weight, bias, lora }
    }

    /// The factors start at a product of zero: `A` uniform as PyTorch's linear layers, `B` zero.
    fn low_rank(&self, name: &str, input: usize, output: usize, adaptation: &Adaptation) -> LowRank {
        let rank = adaptation.rank;
        let bound = (1.0 / input as f64).sqrt();
        let mut rng = self.key.with("lora").with(name).rng();
        let a: Vec<f32> = (0..input * rank)
            .map(|_| ((rng.random::<f64>() * 2.0 - 1.0) * bound) as f32)
            .collect();
        let param = |data| Param::from_tensor(Tensor::from_data(data, &self.device).require_grad());
        LowRank {
            a: param(TensorData::new(a, [input, rank])),
            b: param(TensorData::new(vec![0f32; rank * output], [rank, output])),
            scale: adaptation.alpha / adaptation.rank.max(1) as f64,
            dropout: adaptation.dropout,
        }
    }

    /// A layer norm `<name>.weight`, `<name>.bias`.
    pub fn layer_norm(&mut self, name: &str, width: usize, eps: f64) -> LayerNorm {
        LayerNorm {
            weight: self.tensor(&format!("{name}.weight"), [width], Init::Ones),
            bias: self.tensor(&format!("{name}.bias"), [width], Init::Zeros),
            eps,
        }
    }
}

/// The values in their shape; where there are none, a single zero that nothing is computed with.
fn stored<const D: usize>(values: Option<Vec<f32>>, shape: [usize; D]) -> TensorData {
    match values {
        Some(values) => TensorData::new(values, shape),
        None => TensorData::new(vec![0f32], [1; D]),
    }
}

/// Values for a key, the same on every machine.
pub(super) fn draw(key: &DrawKey, count: usize, init: Init) -> Vec<f32> {
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Uniform => {
            let mut rng = key.rng();
            (0..count).map(|_| rng.random::<f64>() as f32).collect()
        }
        Init::Normal(deviation) => {
            let mut rng = key.rng();
            let mut values = Vec::with_capacity(count + 1);
            while values.len() < count {
                // Box and Muller: two normal numbers of two uniform ones.
                let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * deviation;
                let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
                values.extend([(radius * cos) as f32, (radius * sin) as f32]);
            }
            values.truncate(count);
            values
        }
    }
}
