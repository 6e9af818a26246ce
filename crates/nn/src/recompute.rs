//! Gradient checkpointing: parts of the forward pass that keep their input alone and are computed again in the
//! backward pass.
//!
//! # Source
//! Chen et al. 2016, "Training deep nets with sublinear memory cost", with one segment for each layer, as
//! `torch.utils.checkpoint` is used by transformers' encoders.
//!
//! Burn's own strategy (`Device::gradient_checkpointing`) recomputes elementwise operations only and keeps every
//! matrix product's factors, which are most of what a transformer layer holds.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Gradients, Tensor};

/// A tensor behind which a backward pass starts anew.
#[derive(Clone, Debug)]
pub struct Cut {
    /// `[batch, time, width]`; where something before it trains, a leaf of its own.
    pub value: Tensor<3>,
    /// Its place among the leaves.
    leaf: Option<usize>,
}

impl From<Tensor<3>> for Cut {
    /// A tensor with its whole graph, or without one.
    fn from(value: Tensor<3>) -> Self {
        Self { value, leaf: None }
    }
}

/// What was left out of the graph of one forward pass, in its order.
#[derive(Default)]
pub struct Segments(Mutex<Tape>);

#[derive(Default)]
struct Tape {
    /// Tensors that take the place of what was cut off, to which their gradients belong.
    leaves: Vec<Tensor<3>>,
    parts: Vec<LeafSource>,
}

/// What gives a leaf.
struct LeafSource {
    leaf: usize,
    origin: Origin,
}

enum Origin {
    /// A tensor with a graph of its own.
    Graph(Tensor<3>),
    /// A function of a tensor, which stands for a leaf if it has one, without autodiff.
    Function {
        input: Tensor<3>,
        leaf: Option<usize>,
        compute: Box<dyn Fn(Tensor<3>) -> Tensor<3> + Send>,
    },
}

impl std::fmt::Debug for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segments").finish_non_exhaustive()
    }
}

impl Tape {
    fn cut(&mut self, value: Tensor<3>, origin: Origin) -> Cut {
        let value = value.inner().autodiff().require_grad();
        let leaf = self.leaves.len();
        self.leaves.push(value.clone());
        self.parts.push(LeafSource { leaf, origin });
        Cut {
            value,
            leaf: Some(leaf),
        }
    }
}

impl Segments {
    fn with<T>(&self, f: impl FnOnce(&mut Tape) -> T) -> T {
        // A panic elsewhere ends the step, and the tape with it.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cuts the graph at `x`. What it was computed from must serve nothing else: its backward pass is run by itself.
    pub fn cut(&self, x: Tensor<3>) -> Cut {
        if x.is_autodiff() && x.is_tracked() {
            self.with(|tape| tape.cut(x.clone(), Origin::Graph(x)))
        } else {
            Cut {
                value: x.inner(),
                leaf: None,
            }
        }
    }

    /// A segment behind `from`: `now` gives its output without autodiff, and `again`, in the backward pass, the same
    /// with it.
    pub fn run(
        &self,
        from: Cut,
        now: impl FnOnce(Tensor<3>) -> Tensor<3>,
        again: impl Fn(Tensor<3>) -> Tensor<3> + Send + 'static,
    ) -> Cut {
        let input = from.value.inner();
        let output = now(input.clone());
        let origin = Origin::Function {
            input,
            leaf: from.leaf,
            compute: Box::new(again),
        };
        self.with(|tape| tape.cut(output, origin))
    }

    /// The backward pass from `loss` through all segments, last first; `take` gets the gradients of each part's
    /// parameters, which add up.
    pub fn backward(&self, loss: Tensor<1>, mut take: impl FnMut(Gradients)) {
        let Tape { leaves, mut parts } = self.with(std::mem::take);
        let mut gradients = loss.backward();
        let mut found: Vec<Option<Tensor<3>>> = leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients)).collect();
        take(gradients);
        while let Some(LeafSource { leaf, origin }) = parts.pop() {
            let Some(gradient) = found[leaf].take() else {
                continue;
            };
            // The derivative of this sum by the output is the output's gradient.
            let backward = |output: Tensor<3>| (output * gradient.autodiff()).sum().backward();
            match origin {
                Origin::Graph(output) => take(backward(output)),
                Origin::Function { input, leaf, compute } => {
                    let input = input.autodiff();
                    let input = if leaf.is_some() { input.require_grad() } else { input };
                    let output = compute(input.clone());
                    if !output.is_tracked() {
                        // A layer that was passed by in this step, with nothing that trains before it.
                        continue;
                    }
                    let mut gradients = backward(output);
                    if let Some((before, new)) = leaf.zip(input.grad_remove(&mut gradients)) {
                        found[before] = Some(match found[before].take() {
                            Some(sum) => sum + new,
                            None => new,
                        });
                    }
                    take(gradients);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// Gradients of `x` and of a weight that two layers share, with the first layer's output used twice.
    fn gradients(segments: Option<&Segments>) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        device.seed(1);
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Default, &device).require_grad();
        let (x, weight) = (random([2, 5, 4]), random([1, 4, 4]));
        let layer = |weight: Tensor<3>| move |x: Tensor<3>| (x.matmul(weight.clone())).tanh();
        let start = x.clone().mul_scalar(2.0);
        let (once, twice) = match segments {
            None => {
                let once = layer(weight.clone())(start);
                (once.clone(), layer(weight.clone())(once))
            }
            Some(segments) => {
                let mut at = segments.cut(start);
                let mut given = Vec::new();
                for _ in 0..2 {
                    at = segments.run(at, layer(weight.clone().inner()), layer(weight.clone()));
                    given.push(at.value.clone());
                }
                (given[0].clone(), given[1].clone())
            }
        };
        let loss = (once.square() + twice).sum();
        let (mut of_x, mut of_weight) = (x.zeros_like().inner(), weight.zeros_like().inner());
        let mut take = |mut gradients: Gradients| {
            for (tensor, sum) in [(&x, &mut of_x), (&weight, &mut of_weight)] {
                if let Some(new) = tensor.grad_remove(&mut gradients) {
                    *sum = sum.clone() + new;
                }
            }
        };
        match segments {
            None => take(loss.backward()),
            Some(segments) => segments.backward(loss, take),
        }
        [of_x, of_weight].map(|gradient| gradient.into_data().iter::<f32>().collect())
    }

    #[test]
    fn segments_give_the_gradients_of_the_whole_graph() {
        let (whole, cut) = (gradients(None), gradients(Some(&Segments::default())));
        for (whole, cut) in whole.iter().zip(&cut) {
            assert!(whole.iter().any(|x| x.abs() > 0.1));
            for (a, b) in whole.iter().zip(cut) {
                assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
            }
        }
    }
}
