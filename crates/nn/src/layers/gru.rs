//! Gated recurrent units that respect lengths.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{
    Device, Tensor, TensorData,
    activation::{sigmoid, tanh},
};

use crate::state::State;
use crate::value::Lengths;

/// One direction of a GRU, in PyTorch's formulation (`r`, `z`, `n` gates, two biases).
///
/// # Source
/// Cho et al. 2014, with the reset gate applied after the recurrent product as in cuDNN and
/// `torch.nn.GRU`.
#[derive(Module, Debug)]
struct Direction {
    weight_ih: Param<Tensor<2>>,
    weight_hh: Param<Tensor<2>>,
    bias_ih: Param<Tensor<1>>,
    bias_hh: Param<Tensor<1>>,
    #[module(skip)]
    reverse: bool,
}

impl Direction {
    /// Weights are uniform ±1/√hidden as in PyTorch.
    fn new(input: usize, hidden: usize, reverse: bool, device: &Device) -> Self {
        let bound = 1.0 / (hidden as f64).sqrt();
        let init = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            weight_ih: init.init([input, 3 * hidden], device),
            weight_hh: init.init([hidden, 3 * hidden], device),
            bias_ih: init.init([3 * hidden], device),
            bias_hh: init.init([3 * hidden], device),
            reverse,
        }
    }

    /// `x`: `[batch, time, input]`; `masks[t]`: `[batch, 1]` or `None` where every item is valid.
    fn forward(&self, x: Tensor<3>, masks: &[Option<Tensor<2>>]) -> Tensor<3> {
        self.starting_from(x, masks, None).0
    }

    /// As [`Self::forward`] from a state `[batch, hidden]`, zero where there is none, with the state behind the last frame.
    fn starting_from(
        &self,
        x: Tensor<3>,
        masks: &[Option<Tensor<2>>],
        state: Option<Tensor<2>>,
    ) -> (Tensor<3>, Tensor<2>) {
        let [batch, time, input] = x.dims();
        let weight_hh = self.weight_hh.val();
        let hidden = weight_hh.dims()[0];
        let bias_hh = self.bias_hh.val().unsqueeze::<2>();
        let projected =
            x.reshape([batch * time, input]).matmul(self.weight_ih.val()) + self.bias_ih.val().unsqueeze::<2>();
        let steps = projected.reshape([batch, time, 3 * hidden]).swap_dims(0, 1).split(1, 0);
        let device = weight_hh.device();
        let mut state = state.unwrap_or_else(|| Tensor::zeros([batch, hidden], &device));
        let mut outputs: Vec<Option<Tensor<3>>> = vec![None; time];
        let mut visit = |step: usize, gates: Tensor<3>| {
            let from_input = gates.reshape([batch, 3 * hidden]);
            let starting_from = state.clone().matmul(weight_hh.clone()) + bias_hh.clone();
            let reset_update =
                sigmoid(from_input.clone().narrow(1, 0, 2 * hidden) + starting_from.clone().narrow(1, 0, 2 * hidden));
            let reset = reset_update.clone().narrow(1, 0, hidden);
            let update = reset_update.narrow(1, hidden, hidden);
            let new =
                tanh(from_input.narrow(1, 2 * hidden, hidden) + reset * starting_from.narrow(1, 2 * hidden, hidden));
            let next = new.clone() + update * (state.clone() - new);
            // Behind an item's end the state stands still and the output is zero: the reverse
            // direction then starts from zero at the item's own last frame.
            let emitted = match &masks[step] {
                Some(mask) => {
                    state = state.clone() + (next - state.clone()) * mask.clone();
                    state.clone() * mask.clone()
                }
                None => {
                    state = next;
                    state.clone()
                }
            };
            outputs[step] = Some(emitted.reshape([batch, 1, hidden]));
        };
        if self.reverse {
            steps
                .into_iter()
                .enumerate()
                .rev()
                .for_each(|(step, gates)| visit(step, gates));
        } else {
            steps
                .into_iter()
                .enumerate()
                .for_each(|(step, gates)| visit(step, gates));
        }
        let outputs = Tensor::cat(outputs.into_iter().flatten().collect(), 1);
        (outputs, state)
    }
}

/// `[batch, 1]` for each step, 1 where an item has it; `None` where every item has.
fn masks(x: &Tensor<3>, lengths: &Lengths) -> Vec<Option<Tensor<2>>> {
    let [batch, time, _] = x.dims();
    let device = x.device();
    let mask = |step: usize| {
        let valid: Vec<f32> = lengths
            .as_slice()
            .iter()
            .map(|&length| f32::from(u8::from(step < length)))
            .collect();
        valid
            .contains(&0.0)
            .then(|| Tensor::from_data(TensorData::new(valid, [batch, 1]), &device))
    };
    (0..time).map(mask).collect()
}

/// A GRU that is not built yet: its sizes, of which both the cost and the module follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruSizes {
    /// Width of the frames that it takes.
    pub input: usize,
    /// Width of its state in each direction.
    pub hidden: usize,
    /// Directions, one or two.
    directions: usize,
}

impl GruSizes {
    /// A layer in one direction, which gives frames of the width `hidden`.
    pub fn forward(input: usize, hidden: usize) -> Self {
        Self {
            input,
            hidden,
            directions: 1,
        }
    }

    /// A layer in both, which gives frames twice as wide.
    pub fn both(input: usize, hidden: usize) -> Self {
        Self {
            directions: 2,
            ..Self::forward(input, hidden)
        }
    }

    /// Width of the frames that it gives.
    pub fn output(&self) -> usize {
        self.directions * self.hidden
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        (3 * self.directions * self.hidden * (self.input + self.hidden + 2)) as u64
    }

    /// Floating-point operations of a frame, in its matrix products.
    pub fn flops_per_frame(&self) -> f64 {
        6.0 * self.output() as f64 * (self.input + self.hidden) as f64
    }

    /// The module in one direction, its weights drawn.
    pub fn build(&self, device: &Device) -> Gru {
        Gru {
            forward: Direction::new(self.input, self.hidden, false, device),
        }
    }

    /// The module in both, its weights drawn.
    pub fn build_both(&self, device: &Device) -> BiGru {
        BiGru {
            forward: Direction::new(self.input, self.hidden, false, device),
            backward: Direction::new(self.input, self.hidden, true, device),
        }
    }
}

/// GRU in one direction: no frame's state knows of later ones.
#[derive(Module, Debug)]
pub struct Gru {
    forward: Direction,
}

impl Gru {
    /// # Shapes
    /// - `x`: `[batch, time, input]`
    /// - output: `[batch, time, hidden]`, zero at padding
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths) -> Tensor<3> {
        let masks = masks(&x, lengths);
        self.forward.forward(x, &masks)
    }

    /// As [`Self::forward`], for the next frames of sequences whose earlier ones were given before.
    pub fn step(&self, x: Tensor<3>, lengths: &Lengths, state: &mut State) -> Tensor<3> {
        let masks = masks(&x, lengths);
        let (outputs, after) = self.forward.starting_from(x, &masks, state.take("hidden"));
        state.put("hidden", after);
        outputs
    }
}

/// Bidirectional GRU: both directions' states concatenated at each frame.
#[derive(Module, Debug)]
pub struct BiGru {
    forward: Direction,
    backward: Direction,
}

impl BiGru {
    /// # Shapes
    /// - `x`: `[batch, time, input]`
    /// - output: `[batch, time, 2 × hidden]`, zero at padding
    pub fn forward(&self, x: Tensor<3>, lengths: &Lengths) -> Tensor<3> {
        let masks = masks(&x, lengths);
        Tensor::cat(
            vec![
                self.forward.forward(x.clone(), &masks),
                self.backward.forward(x, &masks),
            ],
            2,
        )
    }
}
