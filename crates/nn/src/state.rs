//! What a layer remembers from one stretch of a sequence to the next.

use std::collections::BTreeMap;

use burn::tensor::{Shape, Tensor};

/// What a layer remembers between two stretches of the same sequences: tensors and numbers by name, and those of its
/// parts. A new one is that of a sequence which begins.
#[derive(Clone, Debug, Default)]
pub struct State {
    tensors: BTreeMap<String, (Tensor<1>, Shape)>,
    numbers: BTreeMap<String, usize>,
    parts: BTreeMap<String, State>,
}

impl State {
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
