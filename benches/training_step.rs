//! Time of a training step of the CRNN of `experiments/emodb_crnn.yaml`: 32 clips of 2 s.
//!
//! `cargo bench --bench training_step`; prints the median of repeated steps in milliseconds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use emorun_lang::{FrameRate, InputSignals, PortRef, Signal};
use emorun_nn::draw::DrawKey;
use emorun_nn::facts::Facts;
use emorun_nn::node::{BuildContext, Context, Layer, Ports};
use emorun_nn::precision::Precision;
use emorun_nn::value::{Lengths, Value};
use emorun_nodes::contract::DeviceKind;
use emorun_nodes::encoders::crnn::Crnn;

const BATCH: usize = 32;
const BANDS: usize = 64;
const REPEATS: usize = 15;

fn main() {
    for frames in [201, 370] {
        let (forward, step) = measure(frames);
        println!("{BATCH} × {frames} frames: forward {forward:.0} ms, forward and backward {step:.0} ms");
    }
}

/// Median milliseconds of a forward pass and of a whole step.
fn measure(frames: usize) -> (f64, f64) {
    let device = Device::flex().autodiff();
    let crnn = Crnn {
        input: PortRef::new("mel"),
        channels: vec![32, 64, 128, 128],
        gru_hidden: 128,
    };
    let Some(rate) = FrameRate::new(100, 1) else {
        return (f64::NAN, f64::NAN);
    };
    let signal = Signal::Frames { width: BANDS, rate };
    let signals = InputSignals::new(vec![("input".into(), &signal)]);
    let counts = HashMap::new();
    let Ok(layer) = crnn.build(
        &signals,
        &BuildContext {
            facts: &Facts::default(),
            key: DrawKey::root(1),
            device: &device,
            class_counts: &counts,
        },
    ) else {
        return (f64::NAN, f64::NAN);
    };
    let x = Tensor::<3>::random([BATCH, frames, BANDS], Distribution::Normal(0.0, 1.0), &device);
    let mut ports = Ports::default();
    ports.insert("input".into(), Value::Frames(x, Lengths::new(vec![frames; BATCH])));
    let key = DrawKey::root(1);
    let context = Context {
        training: true,
        step: key,
        epoch: key,
        items: Arc::from(Vec::new()),
        precision: Precision::default(),
        progress: 0.0,
        segments: None,
    };
    let mut times: Vec<(f64, f64)> = Vec::new();
    for _ in 0..REPEATS {
        let started = Instant::now();
        let Ok(outputs) = layer.forward(&ports, &context) else {
            return (f64::NAN, f64::NAN);
        };
        let forward = started.elapsed();
        for (_, value) in outputs {
            if let Value::Frames(y, _) = value {
                let gradients = y.square().mean().backward();
                drop(GradientsParams::from_grads(gradients, &layer));
            }
        }
        times.push((forward.as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (
        median(times.iter().map(|time| time.0).collect()),
        median(times.iter().map(|time| time.1).collect()),
    )
}
