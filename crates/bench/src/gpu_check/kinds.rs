//! Values and gradients of each kind beside the CPU's, which the tests hold against PyTorch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use emorun_engine::device::Chosen;
use emorun_nn::draw::DrawKey;
use emorun_nn::value::{Lengths, PortId, Value, Values};
use emorun_nodes::network::{Network, Pass, StepContext};
use emorun_nodes::parameters::{collect, gradients, restore};
use emorun_nodes::samples::{self, CUDA_TOLERANCE, LENGTHS, NODE, WIDTH, gpu_tolerance, noise, probe};
use serde_json::Value as Json;

use super::{Part, Row, Verdict};

/// Largest differences of one configuration from the CPU.
#[derive(Clone, Debug, Default)]
struct Differences {
    values: f32,
    gradients: f32,
    /// What the gradient is of that differs most.
    of: String,
}

/// Compares every kind.
pub fn compare(chosen: &Chosen, add: &mut dyn FnMut(Row)) {
    let mut kinds: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    for (kind, feed, configs) in samples::samples() {
        let of_kind = kinds.entry(kind).or_default();
        of_kind.extend(configs.into_iter().map(|fields| Sample::Small { kind, feed, fields }));
    }
    for kind in samples::PRETRAINED {
        kinds.entry(kind).or_default().push(Sample::Pretrained { kind });
    }
    for (kind, samples) in kinds {
        add(row(kind, &samples, chosen));
    }
}

fn row(kind: &str, samples: &[Sample], chosen: &Chosen) -> Row {
    let mut worst = Differences::default();
    for sample in samples {
        let tried = catch_unwind(AssertUnwindSafe(|| sample.differences(&chosen.device)));
        let found = tried.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            Err(said
                .or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()))
                .unwrap_or_else(|| "panicked".into()))
        });
        match found {
            Ok(found) => {
                worst.values = worst.values.max(found.values);
                if found.gradients > worst.gradients {
                    (worst.gradients, worst.of) = (found.gradients, found.of);
                }
            }
            Err(why) => {
                let why = why.lines().next().unwrap_or_default().to_owned();
                return Row::new(Part::Kinds, kind, Verdict::Failed, why);
            }
        }
    }
    let tolerance = match chosen.kind() {
        "cuda" => CUDA_TOLERANCE,
        _ => gpu_tolerance(kind),
    };
    let holds = worst.values <= tolerance && worst.gradients <= tolerance;
    let mut found = format!(
        "values {:.1e}, gradients {:.1e}; {tolerance:.0e} is allowed",
        worst.values, worst.gradients
    );
    if worst.gradients > tolerance {
        found.push_str(&format!(" (gradient of {})", worst.of));
    }
    Row::proof(Part::Kinds, kind, holds, found)
        .with("values", worst.values)
        .with("gradients", worst.gradients)
        .with("tolerance", tolerance)
}

/// A configuration to compare.
enum Sample {
    Small {
        kind: &'static str,
        feed: samples::Feed,
        fields: Json,
    },
    Pretrained {
        kind: &'static str,
    },
}

impl Sample {
    fn network(&self, device: &Device) -> Result<Network, String> {
        match self {
            Self::Small { kind, feed, fields } => samples::build(kind, *feed, fields, WIDTH, 3, device),
            Self::Pretrained { kind } => samples::build_pretrained(kind, 3, device),
        }
        .map_err(|error| error.to_string())
    }

    fn inputs(&self, device: &Device) -> Values {
        let longest = LENGTHS[LENGTHS.len() - 1];
        match self {
            Self::Small { .. } => samples::values(&samples::items(WIDTH), WIDTH, longest + 13, device)
                .into_iter()
                .collect(),
            Self::Pretrained { kind: "whisper" } => {
                let mel = TensorData::new(noise(5, 3000 * 80), [1, 3000, 80]);
                let mel = Value::Frames(Tensor::from_data(mel, device), Lengths::new(vec![3000]));
                Values::from([(samples::data("audio"), mel)])
            }
            Self::Pretrained { .. } => {
                let lengths = vec![4000, 2345];
                let mut wave = noise(5, 2 * 4000);
                wave[4000 + 2345..].fill(0.0);
                let wave = Tensor::from_data(TensorData::new(wave, [2, 4000]), device);
                Values::from([(samples::data("audio"), Value::Wave(wave, Lengths::new(lengths)))])
            }
        }
    }

    fn fields(&self) -> Option<&Json> {
        match self {
            Self::Small { fields, .. } => Some(fields),
            Self::Pretrained { .. } => None,
        }
    }

    fn items(&self) -> usize {
        match self {
            Self::Small { .. } => LENGTHS.len(),
            Self::Pretrained { kind: "whisper" } => 1,
            Self::Pretrained { .. } => 2,
        }
    }

    /// Differences between a device and the CPU with the same weights.
    fn differences(&self, device: &Device) -> Result<Differences, String> {
        let cpu = Device::flex();
        let own = self.network(&cpu.clone().autodiff())?;
        let mut theirs = self.network(&device.clone().autodiff())?;
        restore(&mut theirs, collect(&own))?;
        let expected = self.evaluated(&own, &cpu)?;
        let found = self.evaluated(&theirs, device)?;
        let mut differences = Differences {
            values: largest(&found, &expected)?,
            ..Differences::default()
        };
        let expected = self.trained(&own, &cpu.autodiff())?;
        let found = self.trained(&theirs, &device.clone().autodiff())?;
        for (name, expected) in &expected {
            let found = found.get(name).ok_or_else(|| format!("no gradient of {name}"))?;
            let difference = largest(found, expected).map_err(|why| format!("gradient of {name}: {why}"))?;
            if difference > differences.gradients {
                differences.gradients = difference;
                differences.of = self
                    .fields()
                    .map_or_else(|| name.clone(), |fields| format!("{name} of {fields}"));
            }
        }
        Ok(differences)
    }

    fn context(&self, training: bool) -> StepContext {
        let key = DrawKey::root(1);
        StepContext {
            training,
            step: key.with("step"),
            epoch: key.with("epoch"),
            items: (0..self.items())
                .map(|item| item.to_string())
                .collect::<Arc<[String]>>(),
            progress: 0.5,
            segments: None,
        }
    }

    /// What the node gives in evaluation.
    fn evaluated(&self, network: &Network, device: &Device) -> Result<Vec<f32>, String> {
        let mut values = self.inputs(device);
        let context = self.context(false);
        network
            .without_autodiff()
            .forward(Pass::Train, &mut values, &context)
            .map_err(|error| error.to_string())?;
        let numbers = |tensor: TensorData| tensor.iter::<f32>().collect();
        Ok(match &values[&PortId::new(NODE, "")] {
            Value::Frames(frames, _) => numbers(frames.clone().into_data()),
            Value::Logits(vectors) | Value::Vector(vectors) => numbers(vectors.clone().into_data()),
            Value::Stack(stack, _) => numbers(stack.clone().into_data()),
            Value::Scalar(loss, _) => numbers(loss.clone().into_data()),
            other => return Err(format!("gives {}", other.name())),
        })
    }

    /// Gradients of the parameters and of what the node is given, in training.
    fn trained(&self, network: &Network, device: &Device) -> Result<BTreeMap<String, Vec<f32>>, String> {
        let mut values = self.inputs(device);
        for value in values.values_mut() {
            *value = tracked(value);
        }
        let given = values.clone();
        network
            .forward(Pass::Train, &mut values, &self.context(true))
            .map_err(|error| error.to_string())?;
        let loss = probe(&values[&PortId::new(NODE, "")], device).ok_or("gives nothing to differentiate")?;
        let backward = loss.backward();
        let mut found = gradients(network, &backward);
        for (port, value) in given {
            let gradient = match value {
                // At padding, which by contract holds nothing that could change, a convolution reaches behind the end or not.
                Value::Frames(x, lengths) => {
                    let [items, time, _] = x.dims();
                    let valid = lengths.mask(time, &device.clone().inner()).reshape([items, time, 1]);
                    x.grad(&backward).map(|gradient| (gradient * valid).into_data())
                }
                Value::Stack(x, lengths) => {
                    let [_, items, time, _] = x.dims();
                    let valid = lengths.mask(time, &device.clone().inner()).reshape([1, items, time, 1]);
                    x.grad(&backward).map(|gradient| (gradient * valid).into_data())
                }
                Value::Vector(x) | Value::Logits(x) => x.grad(&backward).map(Tensor::into_data),
                _ => None,
            };
            if let Some(gradient) = gradient {
                found.insert(format!("data.{}", port.port), gradient.iter::<f32>().collect());
            }
        }
        Ok(found)
    }
}

/// A value whose gradient is asked for, where it can have one.
fn tracked(value: &Value) -> Value {
    match value.clone() {
        Value::Frames(x, lengths) => Value::Frames(x.require_grad(), lengths),
        Value::Stack(x, lengths) => Value::Stack(x.require_grad(), lengths),
        Value::Vector(x) => Value::Vector(x.require_grad()),
        Value::Logits(x) => Value::Logits(x.require_grad()),
        other => other,
    }
}

/// The largest difference, relative above 1.
fn largest(found: &[f32], expected: &[f32]) -> Result<f32, String> {
    if found.len() != expected.len() {
        return Err(format!("{} numbers for {}", found.len(), expected.len()));
    }
    let mut worst = 0f32;
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs() / expected.abs().max(1.0);
        if difference.is_nan() {
            return Err(format!("{found} for {expected}"));
        }
        worst = worst.max(difference);
    }
    Ok(worst)
}
