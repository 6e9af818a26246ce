//! emorun's side: an experiment as a user would write it, its network and its optimizer.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor};
use emorun_kernels::on_cores;
use serde_json::json;

use super::gpu_check::wait_for;
use super::{SAMPLE_RATE_HZ, Setup, Task};
use emorun_engine::device::choose;
use emorun_engine::exit::Failure;
use emorun_engine::train::optimizer::{Gradients, Optimizer};
use emorun_engine::train::{Abort, Moment, StepNames, total_loss};
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare_with};
use emorun_nn::value::{Labels, Lengths, PortId, Value, Values};
use emorun_nodes::network::{Network, Pass, RunError};

const SEED: u64 = 1;
const ENCODER: &str = "encoder";
const HEAD: &str = "emotion";

/// Answers every line of `input` with one of `output` after one pass or step, until there are no more.
///
/// # Errors
/// The model cannot be built or run.
pub fn work(task: Task, setup: &Setup, input: impl BufRead, mut output: impl Write) -> Result<(), Failure> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(setup.threads)
        .build_global()
        .map_err(|error| Failure::Bug(error.to_string()))?;
    let asked = setup.device.parse().map_err(Failure::Usage)?;
    let device = choose(asked)?.device;
    let mut stepper = Stepper::new(task, setup, device.clone())?;
    let mut answer = |line: &str| {
        // Who does not listen any more sends no more lines either.
        let _ = writeln!(output, "{line}").and_then(|()| output.flush());
    };
    answer(&format!("ready emorun {}", env!("CARGO_PKG_VERSION")));
    for _ in input.lines().map_while(Result::ok) {
        on_cores(&device, || stepper.step())?;
        wait_for(&device)?;
        match device.memory_pool_usage() {
            Some(memory) => answer(&format!("done {}", memory.bytes_reserved)),
            None => answer("done"),
        }
    }
    Ok(())
}

/// A network with its batch.
struct Stepper {
    task: Task,
    network: Network,
    optimizer: Optimizer,
    lr: f64,
    names: StepNames,
    inputs: Values,
    items: Arc<[String]>,
    /// Index of the head: what is in front of it is the encoder.
    head: usize,
    steps: u64,
}

impl Stepper {
    fn new(task: Task, setup: &Setup, inner: Device) -> Result<Self, Failure> {
        let prepared = experiment(task, setup)?;
        let device = if task == Task::Forward {
            inner.clone()
        } else {
            inner.clone().autodiff()
        };
        let autodiff = inner.autodiff();
        let network = Network::build(prepared.wired()?, &HashMap::new(), &prepared.facts, SEED, &autodiff)?
            .with_precision(setup.precision);
        let optimizer = &prepared.settings.training.optimizer;
        let optimizer_state = Optimizer::new(&prepared.settings.training, &network);
        let head = network.wired().iter().position(|node| node.name == HEAD);
        let samples = setup.samples();
        let wave = Tensor::<2>::random([setup.batch, samples], Distribution::Normal(0.0, 0.1), &device);
        let labels = (0..setup.batch).map(|item| Some(item as u32 % 4)).collect();
        Ok(Self {
            task,
            network: if task == Task::Forward {
                network.without_autodiff()
            } else {
                network
            },
            lr: optimizer.lr(),
            optimizer: optimizer_state,
            names: StepNames::new(SEED),
            inputs: Values::from([
                (
                    PortId::new("data", "audio"),
                    Value::Wave(wave, Lengths::new(vec![samples; setup.batch])),
                ),
                (PortId::new("data", "emotion"), Value::Labels(Labels::new(labels))),
            ]),
            items: (0..setup.batch).map(|item| item.to_string()).collect(),
            head: head.ok_or_else(|| Failure::Bug("the bench has no head".into()))?,
            steps: 0,
        })
    }

    fn step(&mut self) -> Result<(), Failure> {
        let mut values = self.inputs.clone();
        let failed = |error: RunError| Abort::Node(error).into_failure(Path::new(""));
        if self.task == Task::Forward {
            let context = self.names.evaluation(self.items.clone());
            let schedule = Pass::Upto(self.head);
            return self.network.forward(schedule, &mut values, &context).map_err(failed);
        }
        let moment = Moment {
            step: self.steps,
            micro_batch: 0,
            epoch: 0,
            progress: 0.0,
        };
        let context = self.names.training(&moment, self.items.clone());
        let loss =
            total_loss(&self.network, &mut values, &context).map_err(|abort| abort.into_failure(Path::new("")))?;
        let value = loss.clone().into_scalar::<f32>();
        drop(values);
        let gradients = Gradients::of(&self.network, loss.backward());
        let norm = gradients.norm(&self.network);
        if !value.is_finite() || !norm.is_finite() {
            return Err(Failure::Diverged(format!(
                "the loss is {value}, its gradient's norm {norm}"
            )));
        }
        self.optimizer.step(&mut self.network, gradients, self.lr, 1.0);
        self.steps += 1;
        Ok(())
    }
}

/// The experiment, checked as far as can be without a corpus.
fn experiment(task: Task, setup: &Setup) -> Result<Prepared, Failure> {
    let experiment = json!({
        "name": "bench",
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "datasets": { "speech": { "kind": "synthetic", "emotions": ["neutral", "happy", "sad", "angry"] } },
        "split": { "kind": "by_speaker", "test": 0.2 },
        "encoders": { ENCODER: {
            "kind": setup.model,
            "input": "data.audio",
            "weights": "random",
            "layout": setup.layout,
            "train": if matches!(task, Task::Transformer | Task::Full) { "all" } else { "none" },
            "train_front_end": task == Task::Full,
            "dropout": 0.0,
            "layer_drop": 0.0,
        } },
        "heads": { HEAD: {
            "kind": "attention_classifier", "input": ENCODER, "target": "data.emotion", "hidden": 256, "dropout": 0.0,
        } },
        "losses": { "ce": { "kind": "cross_entropy", "input": HEAD } },
        "training": { "epochs": 1, "batch_size": setup.batch, "optimizer": { "kind": "adamw", "lr": 1e-5 } },
    });
    // YAML takes JSON as it is.
    let path = std::env::temp_dir().join(format!("emorun-bench-{}-{}.yaml", std::process::id(), task.name()));
    std::fs::write(&path, experiment.to_string()).map_err(Failure::io("write", &path))?;
    let source = Source {
        path: path.clone(),
        sets: Vec::new(),
        offline: true,
    };
    let mut mistakes = String::new();
    let prepared = prepare_with(&source, Depth::Structure, None, &mut |report, sources| {
        mistakes = report.render(sources, false);
    });
    // Nothing of it is needed any more, and a temporary folder is cleared by itself.
    let _ = std::fs::remove_file(&path);
    prepared.map_err(|failure| match failure {
        Failure::Rejected { .. } => Failure::Bug(mistakes),
        failure => failure,
    })
}
