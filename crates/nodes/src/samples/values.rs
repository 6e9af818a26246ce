//! A batch to run samples on, and what its outputs are summed to.

use burn::tensor::{Device, Tensor, TensorData};
use emorun_nn::value::{Distribution, Labels, Lengths, PortId, Targets, Value};

use super::{CLASSES, LATENT, LAYERS, LENGTHS, data};

/// Numbers that look random, the same in every run.
pub fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Items of frames of a width, of [`LENGTHS`], row after row each.
pub fn items(width: usize) -> Vec<Vec<f32>> {
    let lengths = LENGTHS.iter().enumerate();
    lengths.map(|(at, length)| noise(at as u32, length * width)).collect()
}

/// A batch of items of frames, row after row each, zero behind their ends up to `time`.
pub fn batch(items: &[Vec<f32>], width: usize, time: usize, device: &Device) -> (Tensor<3>, Lengths) {
    let lengths: Vec<usize> = items.iter().map(|item| item.len() / width).collect();
    let mut values = vec![0f32; items.len() * time * width];
    for (row, item) in values.chunks_exact_mut(time * width).zip(items) {
        row[..item.len()].copy_from_slice(item);
    }
    let data = TensorData::new(values, [items.len(), time, width]);
    (Tensor::from_data(data, device), Lengths::new(lengths))
}

/// Values at the ports of `data` for a batch of items, padded to `time` frames.
pub fn values(items: &[Vec<f32>], width: usize, time: usize, device: &Device) -> Vec<(PortId, Value)> {
    let (frames, lengths) = batch(items, width, time, device);
    // Whatever else a node takes is the item's own, whatever it stands beside.
    let own = |seed: u32, wide: usize| -> Tensor<2> {
        let numbers: Vec<f32> = items
            .iter()
            .flat_map(|item| noise(item.len() as u32 + seed, wide))
            .collect();
        Tensor::from_data(TensorData::new(numbers, [items.len(), wide]), device)
    };
    let layers = (0..LAYERS).map(|layer| {
        let of_layer: Vec<Vec<f32>> = items
            .iter()
            .map(|item| noise((item.len() + 500 * layer) as u32, item.len()))
            .collect();
        batch(&of_layer, width, time, device).0
    });
    let longer: Vec<Vec<f32>> = items
        .iter()
        .map(|item| noise(item.len() as u32 + 300, item.len() + width))
        .collect();
    let (longer, longer_lengths) = batch(&longer, width, time + 1, device);
    let classes: Vec<Option<u32>> = items
        .iter()
        .map(|item| Some((item.len() / width % CLASSES) as u32))
        .collect();
    // Some have more letters than frames, and one has none.
    let texts = items.iter().map(|item| {
        let letters = ["cab", "deaf", "", "feed", "hod"];
        Some(letters[item.len() / width % letters.len()].to_owned())
    });
    let drawn = (0..3).map(|sample| {
        let of_sample: Vec<Vec<f32>> = items
            .iter()
            .map(|item| noise((item.len() + 700 * (sample + 1)) as u32, item.len()))
            .collect();
        batch(&of_sample, width, time, device).0
    });
    let drawn = Value::Samples(Tensor::stack(drawn.collect(), 0), lengths.clone());
    let seen: Vec<Vec<f32>> = items
        .iter()
        .map(|item| {
            (0..item.len() / width)
                .map(|frame| f32::from(u8::from(frame % 3 != 1)))
                .collect()
        })
        .collect();
    let (seen, seen_lengths) = batch(&seen, 1, time, device);
    vec![
        (data("samples"), drawn),
        (data("seen"), Value::Frames(seen, seen_lengths)),
        (data("distributions"), distributions(items, width, time, device)),
        (data("mel"), Value::Frames(frames, lengths.clone())),
        (data("longer"), Value::Frames(longer, longer_lengths)),
        (data("stack"), Value::Stack(Tensor::stack(layers.collect(), 0), lengths)),
        (data("vector"), Value::Vector(own(200, width))),
        (data("second"), Value::Vector(own(201, width))),
        (data("third"), Value::Vector(own(202, width))),
        (data("logits"), Value::Logits(own(100, CLASSES))),
        (data("emotion"), Value::Labels(Labels::new(classes))),
        (data("numbers"), truth(items.len(), 2)),
        (data("own"), truth(items.len(), width)),
        (data("votes"), truth(items.len(), CLASSES)),
        (data("text"), Value::Text(texts.collect())),
    ]
}

/// A distribution for each frame of an item.
fn distributions(items: &[Vec<f32>], width: usize, time: usize, device: &Device) -> Value {
    let part = |seed: u32| {
        let rows: Vec<Vec<f32>> = items
            .iter()
            .map(|item| noise(item.len() as u32 + seed, item.len() / width * LATENT))
            .collect();
        batch(&rows, LATENT, time, device)
    };
    let ((mean, lengths), (log_variance, _)) = (part(800), part(801));
    Value::Distribution(Distribution {
        mean,
        log_variance,
        lengths,
    })
}

/// Numbers that items are labelled with.
fn truth(items: usize, width: usize) -> Value {
    let values = noise(7, items * width).into_iter().map(|value| Some(value.abs()));
    Value::Targets(Targets::new(values.collect(), width))
}

/// Sums a node's output, each valid number times one of its own, into a loss to differentiate; `None` for what no node
/// gives.
pub fn probe(output: &Value, device: &Device) -> Option<Tensor<1>> {
    match output {
        Value::Frames(frames, lengths) => {
            let [count, time, width] = frames.dims();
            let mut factors = vec![0f32; count * time * width];
            for (at, (row, &length)) in factors
                .chunks_exact_mut(time * width)
                .zip(lengths.as_slice())
                .enumerate()
            {
                row[..length * width].copy_from_slice(&noise(at as u32 + 50, length * width));
            }
            Some((frames.clone() * Tensor::from_data(TensorData::new(factors, [count, time, width]), device)).sum())
        }
        Value::Samples(samples, _) => {
            let numbers = samples.dims().iter().product();
            let [count, batch, time, width] = samples.dims();
            let own = noise(50, count * batch * width);
            // By item and channel, so that padding changes none.
            let factors = (0..numbers).map(|at| own[at / (time * width) * width + at % width]);
            let factors = TensorData::new(factors.collect::<Vec<f32>>(), samples.dims());
            Some((samples.clone() * Tensor::from_data(factors, device)).sum())
        }
        Value::Logits(vectors) | Value::Vector(vectors) => {
            let [count, width] = vectors.dims();
            let factors = TensorData::new(noise(50, count * width), [count, width]);
            Some((vectors.clone() * Tensor::from_data(factors, device)).sum())
        }
        Value::Scalar(loss, _) => Some(loss.clone()),
        _ => None,
    }
}
