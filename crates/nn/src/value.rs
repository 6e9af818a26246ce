//! What flows along the edges of the graph at run time: a [`Value`] for each `Signal`.

mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::presence::Presence;
use crate::waits;

/// Exact number of valid steps of each sequence of a batch; what lies behind is padding.
#[derive(Clone)]
pub struct Lengths {
    steps: Arc<[usize]>,
    /// Masks that were asked for, which clones share: every layer asks anew, and a device is sent each but once.
    masks: Arc<Mutex<Vec<Tensor<2>>>>,
}

impl PartialEq for Lengths {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl Eq for Lengths {}

impl std::fmt::Debug for Lengths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lengths").field(&self.steps).finish()
    }
}

impl Lengths {
    /// Lengths of a batch, one an item.
    pub fn new(lengths: Vec<usize>) -> Self {
        Self {
            steps: lengths.into(),
            masks: Arc::default(),
        }
    }

    /// The lengths, one an item.
    pub fn as_slice(&self) -> &[usize] {
        &self.steps
    }

    /// The longest sequence of the batch.
    pub fn longest(&self) -> usize {
        self.steps.iter().copied().max().unwrap_or(0)
    }

    /// Number of valid steps in the whole batch.
    pub fn total(&self) -> usize {
        self.steps.iter().sum()
    }

    /// True when every sequence fills `steps`, so that no masking is needed.
    pub fn all_full(&self, steps: usize) -> bool {
        self.steps.iter().all(|&length| length >= steps)
    }

    /// Lengths after a layer that maps each of them.
    pub fn map(&self, f: impl Fn(usize) -> usize) -> Self {
        Self::new(self.steps.iter().map(|&length| f(length)).collect())
    }

    /// `1` at valid steps and `0` at padding.
    ///
    /// # Shapes
    /// - output: `[batch, steps]`
    pub fn mask(&self, steps: usize, device: &Device) -> Tensor<2> {
        let inner = device.clone().inner();
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = masks
            .iter()
            .find(|mask| mask.dims()[1] == steps && mask.device() == inner);
        let mask = known.cloned().unwrap_or_else(|| {
            let mask = self.new_mask(steps, &inner);
            masks.push(mask.clone());
            mask
        });
        if device.is_autodiff() { mask.autodiff() } else { mask }
    }

    fn new_mask(&self, steps: usize, device: &Device) -> Tensor<2> {
        let mut mask = vec![0f32; self.steps.len() * steps];
        for (row, &length) in mask.chunks_exact_mut(steps.max(1)).zip(self.steps.iter()) {
            row[..length.min(steps)].fill(1.0);
        }
        Tensor::from_data(TensorData::new(mask, [self.steps.len(), steps]), device)
    }
}

/// Class labels of a batch; `None` where an item does not carry the label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Arc<[Option<u32>]>);

impl Labels {
    /// Labels of a batch, one an item.
    pub fn new(labels: Vec<Option<u32>>) -> Self {
        Self(labels.into())
    }

    /// The labels, one an item.
    pub fn as_slice(&self) -> &[Option<u32>] {
        &self.0
    }

    /// Number of items that carry the label.
    pub fn present(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Class indices, `0` where absent: to be used beside [`Labels::mask`].
    ///
    /// # Shapes
    /// - output: `[batch]`
    pub fn indices(&self, device: &Device) -> Tensor<1, Int> {
        let indices: Vec<i64> = self.0.iter().map(|label| i64::from(label.unwrap_or(0))).collect();
        let count = indices.len();
        Tensor::from_data(TensorData::new(indices, [count]), device)
    }

    /// `1` where the label is present, else `0`.
    ///
    /// # Shapes
    /// - output: `[batch]`
    pub fn mask(&self, device: &Device) -> Tensor<1> {
        let mask: Vec<f32> = self
            .0
            .iter()
            .map(|label| f32::from(u8::from(label.is_some())))
            .collect();
        let count = mask.len();
        Tensor::from_data(TensorData::new(mask, [count]), device)
    }
}

/// Numbers that the items of a batch are labelled with, each with presence: continuous labels, or
/// shares of votes.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    rows: Arc<[Option<f32>]>,
    width: usize,
}

impl Targets {
    /// Numbers of a batch, `width` of each item, item by item.
    pub fn new(rows: Vec<Option<f32>>, width: usize) -> Self {
        Self {
            rows: rows.into(),
            width,
        }
    }

    /// The numbers of each item.
    pub fn rows(&self) -> impl Iterator<Item = &[Option<f32>]> {
        self.rows.chunks_exact(self.width.max(1))
    }

    /// How many numbers are there in all.
    pub fn present(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    /// How many items have each of the numbers.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        (0..self.width).map(|column| self.rows().filter(|row| row[column].is_some()).count())
    }

    /// The numbers, `0` where absent: to be used beside [`Targets::mask`].
    ///
    /// # Shapes
    /// - output: `[batch, width]`
    pub fn values(&self, device: &Device) -> Tensor<2> {
        self.tensor(|value| value.unwrap_or(0.0), device)
    }

    /// `1` where a number is present, else `0`.
    ///
    /// # Shapes
    /// - output: `[batch, width]`
    pub fn mask(&self, device: &Device) -> Tensor<2> {
        self.tensor(|value| f32::from(u8::from(value.is_some())), device)
    }

    fn tensor(&self, of: impl Fn(Option<f32>) -> f32, device: &Device) -> Tensor<2> {
        let values: Vec<f32> = self.rows.iter().map(|&value| of(value)).collect();
        let items = values.len() / self.width.max(1);
        Tensor::from_data(TensorData::new(values, [items, self.width]), device)
    }
}

/// Symbols of a vocabulary: units of speech, or of text.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Numbers from 0 up to `vocabulary`, `[batch, time]`; 0 behind each length.
    pub ids: Tensor<2, Int>,
    /// How many each item has.
    pub lengths: Lengths,
    /// Number of different symbols.
    pub vocabulary: usize,
}

impl Tokens {
    /// `1` at an item's own symbols and `0` at padding.
    ///
    /// # Shapes
    /// - output: `[batch, time]`
    pub fn mask(&self) -> Tensor<2> {
        let [_, time] = self.ids.dims();
        self.lengths.mask(time, &self.ids.device())
    }
}

/// Diagonal normal distributions, one an item or several one after the other, as a variational autoencoder's encoder gives
/// them.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Means `μ`, `[batch, steps, width]`.
    pub mean: Tensor<3>,
    /// Logarithms of variances, `log σ²`, `[batch, steps, width]`.
    pub log_variance: Tensor<3>,
    /// How many each item has.
    pub lengths: Lengths,
}

/// Where a value stands in the graph: a node (or `data`) and its output port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId {
    /// Node name, or `data`.
    pub node: String,
    /// Port of the node; empty for its only one.
    pub port: String,
}

impl PortId {
    /// A port.
    pub fn new(node: &str, port: &str) -> Self {
        Self {
            node: node.to_owned(),
            port: port.to_owned(),
        }
    }
}

/// Values by port of one batch.
pub type Values = HashMap<PortId, Value>;

/// One batch of what a port gives.
#[derive(Clone, Debug)]
pub enum Value {
    /// Waveforms `[batch, samples]`, zero behind each length.
    Wave(Tensor<2>, Lengths),
    /// Feature frames `[batch, time, width]`, zero behind each length.
    Frames(Tensor<3>, Lengths),
    /// Hidden states of several layers `[layers, batch, time, width]`, zero behind each length.
    Stack(Tensor<4>, Lengths),
    /// Several sequences of frames an item, `[samples, batch, time, width]`, zero behind each length.
    Samples(Tensor<4>, Lengths),
    /// One vector an item, `[batch, width]`.
    Vector(Tensor<2>),
    /// Class scores before the softmax, `[batch, classes]`.
    Logits(Tensor<2>),
    /// Class labels.
    Labels(Labels),
    /// Continuous labels or shares of votes.
    Targets(Targets),
    /// Texts, one an item.
    Text(Arc<[Option<String>]>),
    /// Symbols of a vocabulary.
    Tokens(Tokens),
    /// Diagonal normal distributions.
    Distribution(Distribution),
    /// Which items of the batch have what stands at another port; there only where some lack it.
    Presence(Presence),
    /// A loss: its mean over the items that count, `[1]`, and how much they count together.
    Scalar(Tensor<1>, f64),
}

impl Value {
    /// True if it is a tensor on the side of autodiff.
    pub fn is_autodiff(&self) -> bool {
        match self {
            Self::Wave(x, _) | Self::Vector(x) | Self::Logits(x) => x.is_autodiff(),
            Self::Frames(x, _) => x.is_autodiff(),
            Self::Stack(x, _) | Self::Samples(x, _) => x.is_autodiff(),
            Self::Scalar(x, _) => x.is_autodiff(),
            Self::Distribution(x) => x.mean.is_autodiff(),
            Self::Tokens(x) => x.ids.is_autodiff(),
            Self::Labels(_) | Self::Targets(_) | Self::Text(_) | Self::Presence(_) => false,
        }
    }

    /// The same value without autodiff.
    pub fn without_autodiff(self) -> Self {
        match self {
            Self::Wave(x, lengths) => Self::Wave(x.inner(), lengths),
            Self::Frames(x, lengths) => Self::Frames(x.inner(), lengths),
            Self::Stack(x, lengths) => Self::Stack(x.inner(), lengths),
            Self::Samples(x, lengths) => Self::Samples(x.inner(), lengths),
            Self::Vector(x) => Self::Vector(x.inner()),
            Self::Logits(x) => Self::Logits(x.inner()),
            Self::Scalar(x, count) => Self::Scalar(x.inner(), count),
            Self::Distribution(x) => Self::Distribution(Distribution {
                mean: x.mean.inner(),
                log_variance: x.log_variance.inner(),
                lengths: x.lengths,
            }),
            Self::Tokens(x) => Self::Tokens(Tokens {
                ids: x.ids.inner(),
                ..x
            }),
            value @ (Self::Labels(_) | Self::Targets(_) | Self::Text(_) | Self::Presence(_)) => value,
        }
    }

    /// Whether all numbers are finite, as far as their sum tells: false also where it is too large to be one.
    pub fn has_finite_sum(&self) -> bool {
        let sum = match self {
            Self::Wave(x, _) | Self::Vector(x) | Self::Logits(x) => x.clone().sum(),
            Self::Frames(x, _) => x.clone().sum(),
            Self::Stack(x, _) | Self::Samples(x, _) => x.clone().sum(),
            Self::Scalar(x, _) => x.clone(),
            Self::Distribution(x) => x.mean.clone().sum() + x.log_variance.clone().sum(),
            Self::Labels(_) | Self::Targets(_) | Self::Text(_) | Self::Tokens(_) | Self::Presence(_) => return true,
        };
        waits::number(sum).is_finite()
    }

    /// Places in the batch of the items with a number that is not finite, padding left out, and none of them where it is
    /// one number for the whole batch; `None` if all numbers are finite.
    pub fn items_not_finite(&self) -> Option<Vec<usize>> {
        // Layers, items, and numbers of a step of time.
        let (numbers, layers, batch, width) = match self {
            Self::Wave(x, _) => (waits::data(x.clone()), 1, x.dims()[0], 1),
            Self::Vector(x) | Self::Logits(x) => (waits::data(x.clone()), 1, x.dims()[0], 0),
            Self::Frames(x, _) => (waits::data(x.clone()), 1, x.dims()[0], x.dims()[2]),
            Self::Stack(x, _) | Self::Samples(x, _) => (waits::data(x.clone()), x.dims()[0], x.dims()[1], x.dims()[3]),
            Self::Scalar(x, _) => {
                let is_finite = waits::number(x.clone()).is_finite();
                return (!is_finite).then(Vec::new);
            }
            Self::Distribution(x) => {
                // Two layers, as it were.
                let both = Tensor::stack::<4>(vec![x.mean.clone(), x.log_variance.clone()], 0);
                (waits::data(both), 2, x.mean.dims()[0], x.mean.dims()[2])
            }
            Self::Labels(_) | Self::Targets(_) | Self::Text(_) | Self::Tokens(_) | Self::Presence(_) => return None,
        };
        let numbers: Vec<f32> = numbers.iter::<f32>().collect();
        let own = numbers.len() / (layers * batch).max(1);
        let valid = |item: usize| match self {
            Self::Wave(_, lengths)
            | Self::Frames(_, lengths)
            | Self::Stack(_, lengths)
            | Self::Samples(_, lengths)
            | Self::Distribution(Distribution { lengths, .. }) => lengths
                .as_slice()
                .get(item)
                .map_or(own, |length| (length * width).min(own)),
            _ => own,
        };
        let is_bad = |item: usize| {
            (0..layers).any(|layer| {
                let start = (layer * batch + item) * own;
                numbers[start..start + valid(item)]
                    .iter()
                    .any(|number| !number.is_finite())
            })
        };
        let items: Vec<usize> = (0..batch).filter(|&item| is_bad(item)).collect();
        (!items.is_empty()).then_some(items)
    }

    /// The kind of content, for messages about wiring.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Wave(..) => "wave",
            Self::Frames(..) => "frames",
            Self::Stack(..) => "layer stack",
            Self::Samples(..) => "samples",
            Self::Vector(_) => "vector",
            Self::Logits(_) => "logits",
            Self::Labels(_) => "labels",
            Self::Targets(_) => "continuous labels",
            Self::Text(_) => "text",
            Self::Tokens(_) => "tokens",
            Self::Distribution(_) => "distribution",
            Self::Presence(_) => "presence",
            Self::Scalar(..) => "scalar",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_with_a_number_that_is_not_finite_are_found_and_padding_is_left_out() {
        let device = Device::flex();
        // Two layers, three items, two steps of width 2.
        let mut numbers = vec![1f32; 2 * 3 * 2 * 2];
        let at = |layer: usize, item: usize, step: usize| ((layer * 3 + item) * 2 + step) * 2;
        numbers[at(1, 0, 0)] = f32::NAN;
        numbers[at(0, 1, 1)] = f32::INFINITY;
        let lengths = Lengths::new(vec![2, 1, 2]);
        let stack = Tensor::from_data(TensorData::new(numbers, [2, 3, 2, 2]), &device);
        let stack = Value::Stack(stack, lengths.clone());
        assert_eq!(stack.items_not_finite(), Some(vec![0]));
        assert!(!stack.has_finite_sum());
        let frames = |numbers: Vec<f32>| {
            let frames = Tensor::from_data(TensorData::new(numbers, [3, 2, 1]), &device);
            Value::Frames(frames, lengths.clone())
        };
        // Behind the second item's length.
        assert_eq!(frames(vec![0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0]).items_not_finite(), None);
        assert_eq!(
            frames(vec![0.0, 0.0, f32::NAN, 0.0, 0.0, f32::INFINITY]).items_not_finite(),
            Some(vec![1, 2])
        );
        let vector =
            |numbers: [f32; 2]| Value::Vector(Tensor::from_data(TensorData::new(numbers.to_vec(), [2, 1]), &device));
        assert_eq!(vector([1.0, f32::NEG_INFINITY]).items_not_finite(), Some(vec![1]));
        assert_eq!(vector([1.0, 2.0]).items_not_finite(), None);
        // Finite numbers whose sum is none.
        let large = vector([f32::MAX, f32::MAX]);
        assert!(!large.has_finite_sum() && large.items_not_finite().is_none());
        let numbers = |numbers: [f32; 4]| Tensor::from_data(TensorData::new(numbers.to_vec(), [2, 1, 2]), &device);
        let distribution = Value::Distribution(Distribution {
            mean: numbers([0.0, 1.0, 2.0, 3.0]),
            log_variance: numbers([0.0, 0.0, 0.0, f32::NEG_INFINITY]),
            lengths: Lengths::new(vec![1, 1]),
        });
        assert_eq!(distribution.items_not_finite(), Some(vec![1]));
        assert!(!distribution.has_finite_sum());
    }

    #[test]
    fn tokens_and_distributions_leave_autodiff_and_name_themselves() {
        let device = Device::flex().autodiff();
        let numbers = Tensor::<3>::from_data([[[1.0, 2.0]], [[3.0, 4.0]]], &device);
        let distribution = Value::Distribution(Distribution {
            mean: numbers.clone(),
            log_variance: numbers,
            lengths: Lengths::new(vec![1, 1]),
        });
        assert!(distribution.is_autodiff() && !distribution.without_autodiff().is_autodiff());
        let tokens = Tokens {
            ids: Tensor::from_data([[4, 0, 2], [3, 0, 0]], &device),
            lengths: Lengths::new(vec![3, 1]),
            vocabulary: 5,
        };
        let mask: Vec<f32> = tokens.mask().into_data().iter::<f32>().collect();
        assert_eq!(mask, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        let tokens = Value::Tokens(tokens);
        assert!(tokens.is_autodiff() && tokens.has_finite_sum() && tokens.items_not_finite().is_none());
        assert_eq!(tokens.name(), "tokens");
        assert!(!tokens.without_autodiff().is_autodiff());
    }
}
