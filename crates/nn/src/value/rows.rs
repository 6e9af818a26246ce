//! Values of some of a batch's items, and of a batch of which some items lack them: see [`crate::presence`].

use burn::tensor::{Device, Int, Tensor, TensorData};
use emorun_lang::{DATA, Signal};

use super::{Distribution, Labels, Lengths, PortId, Targets, Tokens, Value};
use crate::presence::Presence;

impl PortId {
    /// Where it stands which items have what stands here. All ports of a node have the same.
    pub fn presence(&self) -> Self {
        let port = if self.node == DATA { self.port.as_str() } else { "" };
        Self::new(&self.node, &format!("{port}?"))
    }
}

impl Value {
    /// The value of some of the items, by their places.
    pub fn rows(&self, rows: &[usize]) -> Self {
        match self {
            Self::Wave(x, lengths) => Self::Wave(select(x, 0, rows), lengths.rows(rows)),
            Self::Frames(x, lengths) => Self::Frames(select(x, 0, rows), lengths.rows(rows)),
            Self::Stack(x, lengths) => Self::Stack(select(x, 1, rows), lengths.rows(rows)),
            Self::Samples(x, lengths) => Self::Samples(select(x, 1, rows), lengths.rows(rows)),
            Self::Vector(x) => Self::Vector(select(x, 0, rows)),
            Self::Logits(x) => Self::Logits(select(x, 0, rows)),
            Self::Distribution(x) => Self::Distribution(Distribution {
                mean: select(&x.mean, 0, rows),
                log_variance: select(&x.log_variance, 0, rows),
                lengths: x.lengths.rows(rows),
            }),
            Self::Tokens(x) => Self::Tokens(Tokens {
                ids: x.ids.clone().select(0, indices(rows, &x.ids.device())),
                lengths: x.lengths.rows(rows),
                vocabulary: x.vocabulary,
            }),
            Self::Labels(labels) => Self::Labels(Labels::new(picked(labels.as_slice(), rows))),
            Self::Targets(targets) => {
                let all: Vec<&[Option<f32>]> = targets.rows().collect();
                let width = targets.columns().count();
                Self::Targets(Targets::new(picked(&all, rows).concat(), width))
            }
            Self::Text(texts) => Self::Text(picked(texts, rows).into()),
            Self::Presence(presence) => Self::Presence(Presence::new(picked(presence.as_slice(), rows))),
            Self::Scalar(..) => self.clone(),
        }
    }

    /// The value of a whole batch, of which this is that of the items that are present: zeros, sequences of no length or
    /// absent labels stand for the others.
    pub fn spread(self, presence: &Presence) -> Self {
        let places = presence.places();
        match self {
            Self::Wave(x, lengths) => Self::Wave(spread(x, 0, &places), lengths.spread(&places)),
            Self::Frames(x, lengths) => Self::Frames(spread(x, 0, &places), lengths.spread(&places)),
            Self::Stack(x, lengths) => Self::Stack(spread(x, 1, &places), lengths.spread(&places)),
            Self::Samples(x, lengths) => Self::Samples(spread(x, 1, &places), lengths.spread(&places)),
            Self::Vector(x) => Self::Vector(spread(x, 0, &places)),
            Self::Logits(x) => Self::Logits(spread(x, 0, &places)),
            Self::Distribution(x) => Self::Distribution(Distribution {
                mean: spread(x.mean, 0, &places),
                log_variance: spread(x.log_variance, 0, &places),
                lengths: x.lengths.spread(&places),
            }),
            Self::Tokens(x) => {
                let device = x.ids.device();
                let [_, time] = x.ids.dims();
                let none = Tensor::<2, Int>::zeros([1, time], &device);
                Self::Tokens(Tokens {
                    ids: Tensor::cat(vec![x.ids, none], 0).select(0, indices(&places, &device)),
                    lengths: x.lengths.spread(&places),
                    vocabulary: x.vocabulary,
                })
            }
            Self::Labels(labels) => {
                let own = |&place: &usize| labels.as_slice().get(place).copied().flatten();
                Self::Labels(Labels::new(places.iter().map(own).collect()))
            }
            Self::Targets(targets) => {
                let width = targets.columns().count();
                let none = vec![None; width];
                let all: Vec<&[Option<f32>]> = targets.rows().collect();
                let own = places.iter().map(|&place| all.get(place).copied().unwrap_or(&none));
                Self::Targets(Targets::new(own.collect::<Vec<_>>().concat(), width))
            }
            Self::Text(texts) => {
                let own = places.iter().map(|&place| texts.get(place).cloned().flatten());
                Self::Text(own.collect())
            }
            value @ (Self::Presence(_) | Self::Scalar(..)) => value,
        }
    }

    /// What stands for a batch in which no item has the signal; `None` for what is not carried by tensors.
    pub fn absent(signal: &Signal, batch: usize, device: &Device) -> Option<Self> {
        let lengths = || Lengths::new(vec![0; batch]);
        let zeros = |width: usize| Tensor::<2>::zeros([batch, width], device);
        Some(match signal {
            Signal::Wave { .. } => Self::Wave(zeros(1), lengths()),
            Signal::Frames { width, .. } => Self::Frames(Tensor::zeros([batch, 1, *width], device), lengths()),
            Signal::LayerStack { layers, width, .. } => {
                Self::Stack(Tensor::zeros([*layers, batch, 1, *width], device), lengths())
            }
            Signal::Samples { width, .. } => Self::Samples(Tensor::zeros([1, batch, 1, *width], device), lengths()),
            Signal::Vector { width } => Self::Vector(zeros(*width)),
            Signal::Logits { labels } => Self::Logits(zeros(labels.len().unwrap_or(0))),
            Signal::Distribution { width } => Self::Distribution(Distribution {
                mean: Tensor::zeros([batch, 1, *width], device),
                log_variance: Tensor::zeros([batch, 1, *width], device),
                lengths: lengths(),
            }),
            Signal::Tokens { vocabulary, .. } => Self::Tokens(Tokens {
                ids: Tensor::zeros([batch, 1], device),
                lengths: lengths(),
                vocabulary: *vocabulary,
            }),
            // A leaf of the graph: a step in which no item counts in any loss can be gone back as well.
            Signal::Scalar => {
                let zero = Tensor::<1>::zeros([1], device);
                Self::Scalar(
                    if device.is_autodiff() {
                        zero.require_grad()
                    } else {
                        zero
                    },
                    0.0,
                )
            }
            Signal::Labels { .. } => Self::Labels(Labels::new(vec![None; batch])),
            Signal::SoftLabels { labels } => {
                let width = labels.len().unwrap_or(0);
                Self::Targets(Targets::new(vec![None; batch * width], width))
            }
            Signal::Values { names } => Self::Targets(Targets::new(vec![None; batch * names.len()], names.len())),
            Signal::Text => Self::Text(vec![None; batch].into()),
        })
    }
}

impl Lengths {
    fn rows(&self, rows: &[usize]) -> Self {
        Self::new(picked(self.as_slice(), rows))
    }

    fn spread(&self, places: &[usize]) -> Self {
        let own = |&place: &usize| self.as_slice().get(place).copied().unwrap_or(0);
        Self::new(places.iter().map(own).collect())
    }
}

fn picked<T: Clone>(all: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|&row| all.get(row).cloned()).collect()
}

fn indices(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

fn select<const D: usize>(x: &Tensor<D>, axis: usize, rows: &[usize]) -> Tensor<D> {
    x.clone().select(axis, indices(rows, &x.device()))
}

/// The items at their places, and zeros at the place behind the last.
fn spread<const D: usize>(x: Tensor<D>, axis: usize, places: &[usize]) -> Tensor<D> {
    let device = x.device();
    let mut shape = x.dims();
    shape[axis] = 1;
    let none = Tensor::<D>::zeros(shape, &device);
    Tensor::cat(vec![x, none], axis).select(axis, indices(places, &device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
        x.clone().into_data().iter::<f32>().collect()
    }

    #[test]
    fn what_some_items_have_is_spread_over_the_batch_and_back() {
        let device = Device::flex();
        let presence = Presence::new(vec![false, true, false, true]);
        assert_eq!(presence.rows(), [1, 3]);
        let frames = Tensor::<3>::from_data([[[1.0], [2.0]], [[3.0], [0.0]]], &device);
        let whole = Value::Frames(frames.clone(), Lengths::new(vec![2, 1])).spread(&presence);
        let Value::Frames(spread, lengths) = &whole else {
            panic!("frames");
        };
        assert_eq!(numbers(spread), [0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 0.0]);
        assert_eq!(lengths.as_slice(), [0, 2, 0, 1]);
        let Value::Frames(back, lengths) = whole.rows(&presence.rows()) else {
            panic!("frames");
        };
        assert_eq!((numbers(&back), lengths.as_slice()), (numbers(&frames), &[2, 1][..]));
        let stack = Tensor::<4>::from_data([[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]], &device);
        let Value::Stack(spread, _) = Value::Stack(stack, Lengths::new(vec![1, 1])).spread(&presence) else {
            panic!("a stack");
        };
        assert_eq!(numbers(&spread), [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0]);
        let Value::Labels(labels) = Value::Labels(Labels::new(vec![Some(5), None])).spread(&presence) else {
            panic!("labels");
        };
        assert_eq!(labels.as_slice(), [None, Some(5), None, None]);
        let targets = Value::Targets(Targets::new(vec![Some(0.5), None, Some(1.0), Some(2.0)], 2));
        let Value::Targets(targets) = targets.spread(&presence) else {
            panic!("targets");
        };
        let rows: Vec<_> = targets.rows().map(<[_]>::to_vec).collect();
        assert_eq!(rows[0], [None, None]);
        assert_eq!(rows[3], [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn gradients_reach_present_items_alone_and_zeros_cost_nothing() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &device).require_grad();
        let presence = Presence::new(vec![true, false, true]);
        let Value::Vector(spread) = Value::Vector(x.clone()).spread(&presence) else {
            panic!("vectors");
        };
        let gradients = (spread.clone() * spread).sum().backward();
        assert_eq!(numbers(&x.grad(&gradients).unwrap()), [2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn tokens_of_absent_items_have_no_length() {
        let device = Device::flex();
        let tokens = Value::Tokens(Tokens {
            ids: Tensor::from_data([[4, 2]], &device),
            lengths: Lengths::new(vec![2]),
            vocabulary: 5,
        });
        let Value::Tokens(spread) = tokens.spread(&Presence::new(vec![false, true])) else {
            panic!("tokens");
        };
        let ids: Vec<i64> = spread.ids.clone().into_data().iter::<i64>().collect();
        assert_eq!((ids, spread.lengths.as_slice()), (vec![0, 0, 4, 2], &[0, 2][..]));
    }
}
