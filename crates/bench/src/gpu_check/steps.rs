//! Hundreds of steps at awkward widths, with fusion and without, beside the CPU: what Burn's open faults around fusion and
//! autotune (tracel-ai/burn #5352, #5202, #4347) would show in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::settings::Training;
use emorun_engine::train::optimizer::{Gradients, Optimizer};
use emorun_engine::train::{Moment, StepNames, total_loss};
use emorun_kernels::on_cores;
use emorun_nn::facts::Facts;
use emorun_nn::value::{Labels, PortId, Value, Values};
use emorun_nodes::network::{Network, Wired};
use emorun_nodes::parameters::{collect, restore};
use emorun_nodes::samples::{SampleError, batch, data, frames_signal, labels_signal, logits_signal, noise, wired};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::part::{start, worker};
use super::{Deadline, Part, Request, Row, Told, Verdict, wait_for};

/// Widths that no register, tile or vector is a multiple of.
const WIDTHS: [usize; 2] = [7, 126];
/// Steps of a training.
const STEPS: usize = 500;
/// Steps where each takes a software device half a second.
const FEW: usize = 25;
/// Steps at the beginning whose losses are compared one by one: rounding has not grown yet.
const FIRST: usize = 20;
/// How far these losses may be from the CPU's, relative above 1.
const NEAR: f64 = 1e-3;
/// How far the mean of the last losses may be from the CPU's: rounding has grown by then, the result has to be as good.
const AS_GOOD: f64 = 0.1;
/// Losses of that mean.
const LAST: usize = 20;
/// Items of a batch, and batches that come again and again.
const ITEMS: usize = 8;
const BATCHES: usize = 4;
/// Classes.
const CLASSES: usize = 3;

/// Whether Burn may fuse operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// It may.
    On,
    /// It looks for nothing to fuse: each operation is a kernel of its own.
    Off,
}

/// A training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trained {
    /// One a step.
    losses: Vec<f64>,
    /// Of all steps but the first.
    seconds: f64,
    /// Of the first step, in which kernels are compiled.
    first_s: f64,
}

/// Trains a small network on a device.
///
/// # Errors
/// It cannot be built or run.
pub fn train(device: &Device, told: &Told) -> Result<Trained, Failure> {
    on_cores(device, || trained(device, told))
}

fn trained(inner: &Device, told: &Told) -> Result<Trained, Failure> {
    let failed = |error: SampleError| Failure::Bug(error.to_string());
    let device = inner.clone().autodiff();
    let nodes: Arc<[Wired]> = nodes(told.width).map_err(failed)?.into();
    let build = |device: &Device| {
        Network::build(nodes.clone(), &HashMap::new(), &Facts::default(), 1, device)
            .map_err(|error| Failure::Bug(error.to_string()))
    };
    // Devices draw first weights in their own ways; here all begin with the CPU's.
    let mut network = build(&device)?;
    restore(&mut network, collect(&build(&Device::flex().autodiff())?)).map_err(Failure::Bug)?;
    let training: Training = serde_json::from_value(json!({
        "epochs": 1, "batch_size": ITEMS, "optimizer": { "kind": "adamw", "lr": 1e-3 },
    }))
    .map_err(|error| Failure::Bug(error.to_string()))?;
    let mut optimizer = Optimizer::new(&training, &network);
    let names = StepNames::new(1);
    let items: Arc<[String]> = (0..ITEMS).map(|item| item.to_string()).collect();
    let mut losses = Vec::with_capacity(told.steps);
    let (mut started, mut first_s) = (Instant::now(), 0.0);
    for step in 0..told.steps {
        let moment = Moment {
            step: step as u64,
            micro_batch: 0,
            epoch: 0,
            progress: 0.0,
        };
        let mut values = inputs(step % BATCHES, told.width, &device);
        let context = names.training(&moment, items.clone());
        let loss = total_loss(&network, &mut values, &context)
            .map_err(|abort| abort.into_failure(std::path::Path::new("")))?;
        losses.push(f64::from(loss.clone().into_scalar::<f32>()));
        drop(values);
        let gradients = Gradients::of(&network, loss.backward());
        optimizer.step(&mut network, gradients, 1e-3, 1.0);
        if step == 0 {
            wait_for(inner)?;
            first_s = started.elapsed().as_secs_f64();
            started = Instant::now();
        }
    }
    wait_for(inner)?;
    Ok(Trained {
        losses,
        seconds: started.elapsed().as_secs_f64(),
        first_s,
    })
}

/// Frames → linear with GELU → a layer of attention → attention pooling → cross-entropy.
fn nodes(width: usize) -> Result<Vec<Wired>, SampleError> {
    let facts = Facts::default();
    // Heads of seven, and positions in pairs.
    let wide = if width.is_multiple_of(2) { width } else { 2 * width };
    let from = |node: &str| PortId::new(node, "");
    Ok(vec![
        wired(
            "input",
            "linear",
            &json!({ "width": width, "activation": "gelu" }),
            &[("input", data("mel"), frames_signal(width))],
            &facts,
        )?,
        wired(
            "context",
            "transformer",
            &json!({
                "stack": 1, "width": wide, "layers": 1, "heads": 7, "feed_forward": wide + width, "dropout": 0.0,
            }),
            &[("input", from("input"), frames_signal(width))],
            &facts,
        )?,
        wired(
            "emotion",
            "attention_classifier",
            &json!({ "hidden": width, "dropout": 0.0 }),
            &[
                ("input", from("context"), frames_signal(wide)),
                ("target", data("emotion"), labels_signal(CLASSES)),
            ],
            &facts,
        )?,
        wired(
            "loss",
            "cross_entropy",
            &json!({}),
            &[
                ("input", from("emotion"), logits_signal(CLASSES)),
                ("target", data("emotion"), labels_signal(CLASSES)),
            ],
            &facts,
        )?,
    ])
}

/// A batch of items of several lengths, whose class shows faintly in their frames.
fn inputs(number: usize, width: usize, device: &Device) -> Values {
    let class = |item: usize| (item + number) % CLASSES;
    let items: Vec<Vec<f32>> = (0..ITEMS)
        .map(|item| {
            let frames = 13 + 3 * item;
            let mut numbers = noise((ITEMS * number + item) as u32, frames * width);
            for (at, x) in numbers.iter_mut().enumerate() {
                *x += if at % width % CLASSES == class(item) { 0.3 } else { 0.0 };
            }
            numbers
        })
        .collect();
    let (frames, lengths) = batch(&items, width, 13 + 3 * ITEMS, device);
    let labels = (0..ITEMS).map(|item| Some(class(item) as u32)).collect();
    Values::from([
        (data("mel"), Value::Frames(frames, lengths)),
        (data("emotion"), Value::Labels(Labels::new(labels))),
    ])
}

/// Compares trainings on the device, with fusion and without, with one on the CPU.
///
/// # Errors
/// The program cannot be started.
pub fn compare(
    request: &Request,
    chosen: &Chosen,
    deadline: Deadline,
    add: &mut dyn FnMut(Row),
) -> Result<(), Failure> {
    let steps = if request.small { FEW } else { STEPS };
    for width in WIDTHS {
        let told = Told {
            small: request.small,
            width,
            steps,
        };
        let what = |how: &str| format!("{steps} steps, {width} wide, {how}");
        let expected = match of_device("cpu", Fusion::On, &told, deadline)? {
            Ok(expected) => expected,
            Err(why) => {
                add(Row::new(Part::Steps, what("CPU"), Verdict::Failed, why));
                continue;
            }
        };
        if chosen.kind() == "cpu" {
            let again = of_device("cpu", Fusion::On, &told, deadline)?;
            let same = again.is_ok_and(|again| again.losses == expected.losses);
            add(Row::proof(Part::Steps, what("twice"), same, "the same bits"));
            continue;
        }
        for (fusion, how) in [(Fusion::On, "with fusion"), (Fusion::Off, "without fusion")] {
            add(match of_device(&request.device, fusion, &told, deadline)? {
                Ok(found) => row(what(how), &found, &expected),
                Err(why) => Row::new(Part::Steps, what(how), Verdict::Failed, why),
            });
        }
    }
    if chosen.kind() == "cpu" {
        let why = "the CPU's operations are not fused at run time";
        add(Row::new(Part::Steps, "fusion", Verdict::LeftOut, why));
    }
    Ok(())
}

/// Trains in a process of its own; gives why it failed if it did.
fn of_device(
    device: &str,
    fusion: Fusion,
    told: &Told,
    deadline: Deadline,
) -> Result<Result<Trained, String>, Failure> {
    let mut command = worker(Part::Steps, device, told)?;
    if fusion == Fusion::Off {
        // Burn chooses at build time whether it can fuse; a search that may explore nothing fuses nothing.
        command.env("BURN_FUSION_MAX_EXPLORATIONS", "0");
    }
    let ended = start(command)?.end(deadline.left());
    if let Some(failure) = ended.failure {
        return Ok(Err(failure));
    }
    Ok(serde_json::from_str(ended.stdout.trim()).map_err(|error| error.to_string()))
}

fn row(what: String, found: &Trained, expected: &Trained) -> Row {
    let finite = found.losses.iter().all(|loss| loss.is_finite());
    let pairs = found.losses.iter().zip(&expected.losses).take(FIRST);
    let first = pairs
        .map(|(found, expected)| (found - expected).abs() / expected.max(1.0))
        .fold(0f64, f64::max);
    let (end, end_expected) = (mean_of_last(&found.losses), mean_of_last(&expected.losses));
    let holds =
        finite && found.losses.len() == expected.losses.len() && first <= NEAR && (end - end_expected).abs() <= AS_GOOD;
    let per_step = 1e3 * found.seconds / found.losses.len().saturating_sub(1).max(1) as f64;
    let text = format!(
        "first {FIRST} losses within {first:.1e}, last {LAST} on average {end:.4} for {end_expected:.4}; {per_step:.1} ms a step, the first {:.1} s",
        found.first_s
    );
    Row::proof(Part::Steps, what, holds, text)
        .with("first_losses_difference", first)
        .with("last_losses", end)
        .with("last_losses_cpu", end_expected)
        .with("step_ms", per_step)
        .with("first_step_s", found.first_s)
}

fn mean_of_last(losses: &[f64]) -> f64 {
    let last = &losses[losses.len().saturating_sub(LAST)..];
    last.iter().sum::<f64>() / last.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(losses: &[f64]) -> Trained {
        Trained {
            losses: losses.to_vec(),
            seconds: 1.0,
            first_s: 1.0,
        }
    }

    #[test]
    fn a_training_is_proved_by_its_first_losses_and_its_end() {
        let expected = trained(&[1.0; 100]);
        let verdict = |losses: Vec<f64>| row("steps".into(), &trained(&losses), &expected).verdict;
        assert_eq!(verdict(vec![1.0; 100]), Verdict::Proved);
        let mut early = vec![1.0; 100];
        early[3] = 1.01;
        assert_eq!(verdict(early), Verdict::Failed);
        let mut late = vec![1.0; 100];
        late[60..].fill(1.2);
        assert_eq!(verdict(late), Verdict::Failed);
        let mut nan = vec![1.0; 100];
        nan[30] = f64::NAN;
        assert_eq!(verdict(nan), Verdict::Failed);
        assert_eq!(verdict(vec![1.0; 99]), Verdict::Failed);
    }

    #[test]
    fn the_network_learns_on_the_cpu() {
        let told = Told {
            small: true,
            width: 7,
            steps: 300,
        };
        let trained = train(&Device::flex(), &told).unwrap();
        assert!(
            mean_of_last(&trained.losses[250..]) < 0.9 * trained.losses[0],
            "{:?}",
            trained.losses
        );
    }
}
