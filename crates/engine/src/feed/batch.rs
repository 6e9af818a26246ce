//! A host value of a whole batch.

use burn::tensor::{Device, Tensor, TensorData};
use emorun_nn::host::HostValue;
use emorun_nn::value::{Lengths, Tokens, Value};

/// A wanted host value of a whole batch, padded with zeros.
#[derive(Clone, Debug)]
pub struct HostBatch {
    /// `[layers, batch, longest, width]`
    values: Vec<f32>,
    /// Symbols in place of values: `[batch, longest]`.
    ids: Vec<i64>,
    lengths: Lengths,
    layers: usize,
    longest: usize,
    width: usize,
    axes: Axes,
}

/// What a batch becomes on the device.
#[derive(Clone, Copy, Debug)]
enum Axes {
    Wave,
    Frames,
    Vector,
    Stack,
    /// Of a vocabulary of this size.
    Tokens(usize),
}

impl HostBatch {
    /// Joins items' values, which are of one kind; an item that has none has no length. `None` where no item has any.
    pub fn collate<'a>(items: impl Iterator<Item = Option<&'a HostValue>> + Clone) -> Option<Self> {
        let first = items.clone().flatten().next()?;
        let (layers, width) = first.layers_and_width();
        let lengths: Vec<usize> = items.clone().map(|item| item.map_or(0, HostValue::valid)).collect();
        let longest = items.clone().flatten().map(HostValue::steps).max().unwrap_or(0);
        let batch = lengths.len();
        let row = longest * width;
        let axes = match first {
            HostValue::Wave(_) => Axes::Wave,
            HostValue::Frames { .. } => Axes::Frames,
            HostValue::Vector(_) => Axes::Vector,
            HostValue::Stack { .. } => Axes::Stack,
            HostValue::Tokens { vocabulary, .. } => Axes::Tokens(*vocabulary),
        };
        let is_tokens = matches!(axes, Axes::Tokens(_));
        let mut values = vec![0f32; if is_tokens { 0 } else { layers * batch * row }];
        let mut symbols = vec![0i64; if is_tokens { batch * longest } else { 0 }];
        for (at, item) in items.enumerate() {
            let Some(item) = item else { continue };
            if let HostValue::Tokens { ids, .. } = item {
                let own = &mut symbols[at * longest..];
                own.iter_mut()
                    .zip(ids)
                    .for_each(|(symbol, id)| *symbol = i64::from(*id));
                continue;
            }
            let own = item.steps() * width;
            for (layer, source) in item.values().chunks_exact(own.max(1)).enumerate() {
                let start = (layer * batch + at) * row;
                values[start..start + own].copy_from_slice(source);
            }
        }
        Some(Self {
            values,
            ids: symbols,
            lengths: Lengths::new(lengths),
            layers,
            longest,
            width,
            axes,
        })
    }

    /// The batch as a value on a device.
    pub fn into_value(self, device: &Device) -> Value {
        let batch = self.lengths.as_slice().len();
        let Self {
            values,
            ids,
            lengths,
            layers,
            longest,
            width,
            axes,
        } = self;
        match axes {
            Axes::Wave => {
                let wave = TensorData::new(values, [batch, longest]);
                Value::Wave(Tensor::from_data(wave, device), lengths)
            }
            Axes::Frames => {
                let frames = TensorData::new(values, [batch, longest, width]);
                Value::Frames(Tensor::from_data(frames, device), lengths)
            }
            Axes::Vector => Value::Vector(Tensor::from_data(TensorData::new(values, [batch, width]), device)),
            Axes::Tokens(vocabulary) => Value::Tokens(Tokens {
                ids: Tensor::from_data(TensorData::new(ids, [batch, longest]), device),
                lengths,
                vocabulary,
            }),
            Axes::Stack => {
                let stack = TensorData::new(values, [layers, batch, longest, width]);
                Value::Stack(Tensor::from_data(stack, device), lengths)
            }
        }
    }
}
