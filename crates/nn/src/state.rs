//! What a layer remembers from one stretch of a sequence to the next.

use std::collections::BTreeMap;

use burn::tensor::{Device, Shape, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::waits;

/// What a layer remembers between two stretches of the same sequences: tensors and numbers by name, and those of its
/// parts. A new one is that of a sequence which begins.
#[derive(Clone, Debug, Default)]
pub struct State {
    tensors: BTreeMap<String, (Tensor<1>, Shape)>,
    numbers: BTreeMap<String, usize>,
    parts: BTreeMap<String, State>,
}

/// A state as plain numbers, to be written and read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    /// Tensors by name: axes, and numbers in their order.
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    numbers: BTreeMap<String, usize>,
    parts: BTreeMap<String, SavedState>,
}

impl SavedState {
    /// The state on a device; `None` where a tensor's numbers do not fill its axes.
    pub fn restored(&self, device: &Device) -> Option<State> {
        let mut state = State {
            numbers: self.numbers.clone(),
            ..State::default()
        };
        for (name, (axes, numbers)) in &self.tensors {
            if axes.iter().product::<usize>() != numbers.len() {
                return None;
            }
            let flat = Tensor::from_data(TensorData::new(numbers.clone(), [numbers.len()]), device);
            state.tensors.insert(name.clone(), (flat, Shape::from(axes.clone())));
        }
        for (name, part) in &self.parts {
            state.parts.insert(name.clone(), part.restored(device)?);
        }
        Some(state)
    }
}

impl State {
    /// What is remembered, as plain numbers.
    pub fn saved(&self) -> SavedState {
        let tensors = self.tensors.iter().map(|(name, (flat, shape))| {
            let numbers = waits::numbers(flat.clone());
            (name.clone(), (shape.to_vec(), numbers))
        });
        let parts = self.parts.iter().map(|(name, part)| (name.clone(), part.saved()));
        SavedState {
            tensors: tensors.collect(),
            numbers: self.numbers.clone(),
            parts: parts.collect(),
        }
    }

    /// That of a part of the layer.
    pub fn part(&mut self, name: &str) -> &mut Self {
        self.parts.entry(name.to_owned()).or_default()
    }

    /// Takes a tensor out; `None` where nothing was put yet.
    pub fn take<const D: usize>(&mut self, name: &str) -> Option<Tensor<D>> {
        let (flat, shape) = self.tensors.remove(name)?;
        Some(flat.reshape(shape))
    }

    /// Puts a tensor in, in place of the one of that name.
    pub fn put<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) {
        let shape = tensor.shape();
        let flat = tensor.reshape([-1]);
        self.tensors.insert(name.to_owned(), (flat, shape));
    }

    /// A number, 0 at the beginning.
    pub fn number(&mut self, name: &str) -> &mut usize {
        self.numbers.entry(name.to_owned()).or_default()
    }
}
