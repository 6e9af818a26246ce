//! Triplet loss over vectors.

use burn::module::Module;
use burn::tensor::{Bool, Tensor, TensorData, activation::softplus};
use emorun_lang::{Cost, InferError, Inferred, InputSignals, PortRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LossKind;
use super::compared::{Rows, rows_and_labels, summed};
use crate::contract::{DeviceKind, Kind};
use crate::inference::{labels_on, vector_on};
use crate::ramp::Ramp;
use emorun_nn::facts::Facts;
use emorun_nn::node::{
    BuildContext, BuildError, Context, Layer, Loss, NodeError, Outputs, Ports, Scope, SideLoss, output,
};
use emorun_nn::value::{Labels, Value};

/// Triplet loss: an item is to be nearer to those of its own class than to any other, by a margin.
///
/// Triplets are taken within a batch, among items that carry the label; their mean is over anchors
/// (`batch_hard`) or over pairs of anchor and positive (`semi_hard`). On validation and test they are taken
/// among all items of the side, whatever `evaluation.batch_size`.
///
/// # Source
/// Schroff et al., CVPR 2015, §3.2 (semi-hard); Hermans et al. 2017, eq. 5 (batch-hard).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Triplet {
    /// Vectors, such as of a `pool`.
    pub input: PortRef,
    /// Classes, such as `data.emotion`.
    pub target: PortRef,
    /// Factor of this loss in the sum of losses.
    #[serde(default = "crate::inference::default_loss_weight")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// How the factor changes over training; not at all when left out.
    #[serde(default)]
    pub ramp: Option<Ramp>,
    /// Which triplets count.
    #[serde(default)]
    pub mining: Mining,
    /// How much nearer.
    #[serde(default)]
    pub margin: Margin,
    /// Whether vectors are brought to length 1 first.
    #[serde(default = "yes")]
    pub normalise: bool,
}

/// Which triplets count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mining {
    /// For each anchor its farthest positive and its nearest negative.
    #[default]
    BatchHard,
    /// For each pair of anchor and positive the nearest negative that is farther than the positive;
    /// the farthest negative where none is.
    SemiHard,
}

/// How much nearer a positive is to be than a negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// By this distance; what is farther apart costs nothing.
    Hard(f64),
    /// `log(1 + exp(d⁺ − d⁻))`: ever more, at ever less cost.
    Soft,
}

impl Default for Margin {
    fn default() -> Self {
        Self::Hard(0.2)
    }
}

fn yes() -> bool {
    true
}

/// Stands for a distance that must not be chosen.
const FAR: f32 = 1e30;

impl LossKind for Triplet {
    fn factor(&self) -> (f64, Option<Ramp>) {
        (self.weight, self.ramp)
    }
}

impl Kind for Triplet {
    fn infer(&self, inputs: &InputSignals<'_>, _facts: &Facts) -> Result<Inferred, InferError> {
        let width = vector_on(inputs, "input")?;
        labels_on(inputs, "target")?;
        match self.margin {
            Margin::Hard(margin) if !margin.is_finite() || margin < 0.0 => {
                return Err(InferError::invalid("margin", "must be a distance of 0 or more"));
            }
            _ => {}
        }
        Ok(Inferred::loss(Cost {
            flops_per_item: 4.0 * width as f64,
            activation_floats_per_item: 4.0 * width as f64,
            ..Cost::default()
        }))
    }
}

impl DeviceKind for Triplet {
    type Layer = TripletLayer;

    fn build(&self, _inputs: &InputSignals<'_>, _context: &BuildContext<'_>) -> Result<TripletLayer, BuildError> {
        Ok(TripletLayer {
            mining: self.mining,
            margin: self.margin,
            normalise: self.normalise,
        })
    }
}

/// See [`Triplet`].
#[derive(Module, Debug)]
pub struct TripletLayer {
    #[module(skip)]
    mining: Mining,
    #[module(skip)]
    margin: Margin,
    #[module(skip)]
    normalise: bool,
}

/// Euclidean distances between the rows, `[batch, batch]`.
fn distances(x: Tensor<2>) -> Tensor<2> {
    let squares = x.clone().square().sum_dim(1);
    let products = x.clone().matmul(x.transpose());
    let squared = squares.clone() + squares.transpose() - products.mul_scalar(2.0);
    // The root has no gradient at 0, which a row has to itself.
    squared.clamp_min(1e-12).sqrt()
}

/// Rows at length 1.
pub(super) fn at_unit_length(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    x / length
}

/// Pairs that have the same class, but for an item with itself, and pairs that have another.
struct Pairs {
    same: Vec<bool>,
    other: Vec<bool>,
    batch: usize,
}

impl Pairs {
    fn of(labels: &Labels) -> Self {
        let labels = labels.as_slice();
        let pair = |relation: &dyn Fn(usize, usize) -> bool| {
            let pairs = (0..labels.len()).flat_map(|a| (0..labels.len()).map(move |b| (a, b)));
            pairs
                .map(|(a, b)| labels[a].is_some() && labels[b].is_some() && relation(a, b))
                .collect()
        };
        Self {
            same: pair(&|a, b| a != b && labels[a] == labels[b]),
            other: pair(&|a, b| labels[a] != labels[b]),
            batch: labels.len(),
        }
    }

    fn row<'a>(&self, pairs: &'a [bool], at: usize) -> &'a [bool] {
        &pairs[at * self.batch..(at + 1) * self.batch]
    }

    /// Anchors with a positive and a negative.
    fn is_anchor(&self, at: usize) -> bool {
        let has = |pairs| self.row(pairs, at).contains(&true);
        has(&self.same) && has(&self.other)
    }

    fn mask(&self, pairs: &[bool], like: &Tensor<2>) -> Tensor<2, Bool> {
        Tensor::from_data(
            TensorData::new(pairs.to_vec(), [self.batch, self.batch]),
            &like.device(),
        )
    }
}

impl TripletLayer {
    fn cost<const D: usize>(&self, positive: Tensor<D>, negative: Tensor<D>) -> Tensor<D> {
        match self.margin {
            Margin::Hard(margin) => (positive - negative).add_scalar(margin).clamp_min(0.0),
            Margin::Soft => softplus(positive - negative, 1.0),
        }
    }

    /// Cost of each anchor, `[batch, 1]`.
    fn batch_hard(&self, distances: Tensor<2>, pairs: &Pairs) -> Tensor<2> {
        let is_same = pairs.mask(&pairs.same, &distances);
        let is_other = pairs.mask(&pairs.other, &distances);
        let positive = distances.clone().mask_fill(is_same.bool_not(), -FAR).max_dim(1);
        let negative = distances.mask_fill(is_other.bool_not(), FAR).min_dim(1);
        self.cost(positive, negative)
    }

    /// Cost of each pair of anchor and positive, `[batch, batch]`.
    fn semi_hard(&self, distances: Tensor<2>, pairs: &Pairs) -> Tensor<2> {
        let batch = pairs.batch;
        let is_other = pairs.mask(&pairs.other, &distances);
        let farthest = distances
            .clone()
            .mask_fill(is_other.clone().bool_not(), -FAR)
            .max_dim(1);
        // Anchor, positive, negative.
        let positive = distances.clone().reshape([batch, batch, 1]);
        let negative = distances.clone().reshape([batch, 1, batch]).repeat_dim(1, batch);
        let is_farther = negative.clone().greater(positive.repeat_dim(2, batch));
        let may = is_other
            .reshape([batch, 1, batch])
            .repeat_dim(1, batch)
            .bool_and(is_farther);
        let nearest: Tensor<2> = negative
            .mask_fill(may.bool_not(), FAR)
            .min_dim(2)
            .reshape([batch, batch]);
        let there_is_none = nearest.clone().greater_equal_elem(FAR);
        let negative = nearest.mask_where(there_is_none, farthest.repeat_dim(1, batch));
        self.cost(distances, negative)
    }
}

impl TripletLayer {
    /// The costs that count, one an anchor or one a pair of anchor and positive, row after row.
    fn counted(&self, pairs: &Pairs) -> Vec<bool> {
        let batch = pairs.batch;
        match self.mining {
            Mining::BatchHard => (0..batch).map(|at| pairs.is_anchor(at)).collect(),
            Mining::SemiHard => (0..batch * batch)
                .map(|at| pairs.same[at] && pairs.is_anchor(at / batch))
                .collect(),
        }
    }

    fn cost_of(&self, positive: f64, negative: f64) -> f64 {
        let nearer = positive - negative;
        match self.margin {
            Margin::Hard(margin) => (nearer + margin).max(0.0),
            // ln(1 + exp(x)) that overflows nowhere.
            Margin::Soft => nearer.max(0.0) + (-nearer.abs()).exp().ln_1p(),
        }
    }

    /// Cost of an anchor, and how much it counts.
    fn of_anchor(&self, rows: &Rows, labels: &[Option<u32>], at: usize) -> (f64, f64) {
        let Some(own) = labels[at] else { return (0.0, 0.0) };
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for (other, label) in labels.iter().enumerate() {
            match label {
                Some(label) if *label != own => negatives.push(rows.distance(at, other)),
                Some(_) if other != at => positives.push(rows.distance(at, other)),
                _ => {}
            }
        }
        negatives.sort_unstable_by(f64::total_cmp);
        let (Some(&nearest), Some(&farthest)) = (negatives.first(), negatives.last()) else {
            return (0.0, 0.0);
        };
        if positives.is_empty() {
            return (0.0, 0.0);
        }
        match self.mining {
            Mining::BatchHard => {
                let positive = positives.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (self.cost_of(positive, nearest), 1.0)
            }
            Mining::SemiHard => {
                let cost = |&positive: &f64| {
                    let farther = negatives.partition_point(|negative| *negative <= positive);
                    self.cost_of(positive, negatives.get(farther).copied().unwrap_or(farthest))
                };
                (positives.iter().map(cost).sum(), positives.len() as f64)
            }
        }
    }
}

impl Loss for TripletLayer {
    fn count(&self, inputs: &Ports) -> Result<f64, NodeError> {
        let counted = self.counted(&Pairs::of(&inputs.labels("target")?));
        Ok(counted.iter().filter(|counts| **counts).count() as f64)
    }

    fn scope(&self) -> Scope<'_> {
        Scope::Side(self)
    }
}

impl SideLoss for TripletLayer {
    fn over_side(&self, inputs: &Ports) -> Result<(f64, f64), NodeError> {
        let (rows, labels) = rows_and_labels(inputs)?;
        let rows = if self.normalise { rows.at_unit_length() } else { rows };
        let labels = labels.as_slice();
        let (sum, count) = summed(labels.len(), |at| self.of_anchor(&rows, labels, at));
        Ok((sum / count.max(1.0), count))
    }
}

impl Layer for TripletLayer {
    fn forward(&self, inputs: &Ports, _context: &Context) -> Result<Outputs, NodeError> {
        let x = inputs.vector("input")?;
        let pairs = Pairs::of(&inputs.labels("target")?);
        let x = if self.normalise { at_unit_length(x) } else { x };
        let counts = self.counted(&pairs);
        let cost = match self.mining {
            Mining::BatchHard => self.batch_hard(distances(x), &pairs),
            Mining::SemiHard => self.semi_hard(distances(x), &pairs),
        };
        let count = counts.iter().filter(|counts| **counts).count();
        let shape = cost.dims();
        let counts = Tensor::<2, Bool>::from_data(TensorData::new(counts, shape), &cost.device());
        let sum = cost.mask_fill(counts.bool_not(), 0.0).sum();
        Ok(output(Value::Scalar(sum.div_scalar(count.max(1) as f64), count as f64)))
    }
}
