//! Golden vectors: what they are read as.
//!
//! They are made by `tests/golden/make_golden.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use emorun_nodes::network::Network;
use emorun_nodes::parameters::NamedTensors;
use serde_json::Value as Json;

use crate::networks::device;

/// The folder of golden vectors.
const GOLDEN: &str = env!("CARGO_MANIFEST_DIR");

/// A file of golden vectors.
pub fn golden(name: &str) -> Json {
    let root = Path::new(GOLDEN);
    // Of this crate's folder, or of the program's own.
    let root = root
        .ancestors()
        .find(|root| root.join("tests/golden/blocks.json").is_file())
        .unwrap_or(root);
    let path = root.join("tests/golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn array(value: &Json) -> &[Json] {
    value.as_array().unwrap()
}

pub fn floats(value: &Json) -> Vec<f32> {
    array(value)
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

pub fn sizes(value: &Json) -> Vec<usize> {
    array(value)
        .iter()
        .map(|value| value.as_u64().unwrap() as usize)
        .collect()
}

pub fn stored(value: &Json) -> TensorData {
    TensorData::new(floats(&value["values"]), sizes(&value["shape"]))
}

pub fn tensor<const D: usize>(value: &Json) -> Tensor<D> {
    Tensor::from_data(stored(value), &device())
}

pub fn by_name(value: &Json) -> BTreeMap<String, Vec<f32>> {
    let entries = value.as_object().unwrap().iter();
    entries
        .map(|(name, tensor)| (name.clone(), floats(&tensor["values"])))
        .collect()
}

pub fn weights(value: &Json) -> NamedTensors {
    let entries = value.as_object().unwrap().iter();
    entries.map(|(name, tensor)| (name.clone(), stored(tensor))).collect()
}

pub fn present(value: &Json) -> Vec<Option<u32>> {
    array(value)
        .iter()
        .map(|label| label.as_u64().map(|label| label as u32))
        .collect()
}

pub fn loss_of(network: &Network, values: &emorun_nn::value::Values) -> Tensor<1> {
    network.losses(values, 1.0).remove(0).mean
}
