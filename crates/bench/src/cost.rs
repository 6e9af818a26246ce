//! What a training loop costs beside the work of its network: emorun's and Lightning's.
//!
//! The network is all but empty, logging and checkpoints are on. Every side is a process of its own
//! that trains once; sides take turns, so that what the machine does beside hits all of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use emorun_kernels::on_cores;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::median;
use emorun_engine::device::{DeviceRequest, choose};
use emorun_engine::exit::Failure;
use emorun_engine::train::optimizer::{Gradients, Optimizer};
use emorun_engine::train::{Moment, StepNames, total_loss};
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare_with};
use emorun_nn::value::{Labels, Lengths, PortId, Value, Values};
use emorun_nodes::network::Network;
use emorun_runs::run::dir::read_json;
use emorun_runs::run::parent::{Place, start};

/// The peer's program.
const PEER: &str = include_str!("lightning.py");
/// Bands of the log-mel spectrogram that the network reads, and its hidden units.
const WIDTH: usize = 4;
const HIDDEN: usize = 8;
/// Frames of an item in the sides that generate them.
const FRAMES: usize = 20;
/// Speakers and utterances of each in each of four emotions; the tenth part is held out.
const SPEAKERS: usize = 10;
const UTTERANCES: usize = 10;
const TRAINING_ITEMS: usize = (SPEAKERS - 1) * UTTERANCES * 4;

/// What every side is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CostSetup {
    /// Optimizer steps.
    pub steps: usize,
    /// Items of a batch.
    pub batch: usize,
    /// Steps from one line of metrics to the next.
    pub log_every: u64,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every: u64,
    /// Threads of each side.
    pub threads: usize,
}

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trainee {
    /// A run of emorun: loader, logging, checkpoints.
    Run,
    /// Its network and optimizer alone, on one batch again and again.
    Network,
    /// The same network in PyTorch alone.
    Alone,
    /// In a bare loop over a data loader, without logging and checkpoints.
    Bare,
    /// In Lightning, with logging and checkpoints.
    Lightning,
}

impl Trainee {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Network, Self::Run, Self::Alone, Self::Bare, Self::Lightning];

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "emorun, a run",
            Self::Network => "emorun, network alone",
            Self::Alone => "PyTorch, network alone",
            Self::Bare => "PyTorch, bare loop",
            Self::Lightning => "Lightning",
        }
    }

    fn is_own(self) -> bool {
        matches!(self, Self::Run | Self::Network)
    }

    /// The side whose network it has, without a loop.
    pub fn network(self) -> Self {
        if self.is_own() { Self::Network } else { Self::Alone }
    }
}

/// What one side took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Took {
    /// Seconds for all steps.
    pub seconds: f64,
    /// Steps.
    pub steps: usize,
    /// Libraries and their versions.
    pub versions: String,
}

impl Took {
    /// Seconds a step.
    pub fn per_step(&self) -> f64 {
        self.seconds / self.steps.max(1) as f64
    }
}

/// What each side took in each round.
#[derive(Clone, Debug, Serialize)]
pub struct Costs {
    /// Rounds by side.
    pub sides: Vec<(Trainee, Vec<Took>)>,
}

impl Costs {
    fn rounds(&self, of: Trainee) -> &[Took] {
        let side = self.sides.iter().find(|(side, _)| *side == of);
        side.map_or(&[], |(_, rounds)| rounds)
    }

    /// Median over the rounds of a side's seconds a step.
    pub fn per_step(&self, of: Trainee) -> Option<f64> {
        median(self.rounds(of).iter().map(Took::per_step).collect())
    }

    /// Median over the rounds of the seconds a step that a side takes beyond its network.
    pub fn overhead(&self, of: Trainee) -> Option<f64> {
        let pairs = self.rounds(of).iter().zip(self.rounds(of.network()));
        median(
            pairs
                .map(|(side, network)| side.per_step() - network.per_step())
                .collect(),
        )
    }
}

/// Times all sides `rounds` times in turn; `say` hears how it goes.
///
/// # Errors
/// A side does not start or fails.
pub fn costs(setup: &CostSetup, python: &Path, rounds: usize, say: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
    let mut sides: Vec<(Trainee, Vec<Took>)> = Trainee::ALL.map(|side| (side, Vec::new())).to_vec();
    for round in 0..rounds {
        say(&format!("round {} of {rounds}", round + 1));
        // Another side begins each round, so that none is always behind the same.
        for at in 0..sides.len() {
            let at = (at + round) % Trainee::ALL.len();
            let took = train(sides[at].0, setup, python)?;
            sides[at].1.push(took);
        }
    }
    Ok(Costs { sides })
}

/// Lets a side train once in a process of its own.
fn train(side: Trainee, setup: &CostSetup, python: &Path) -> Result<Took, Failure> {
    let mut command = if side.is_own() {
        let program = std::env::current_exe().map_err(Failure::io("find", Path::new("emorun")))?;
        let word = serde_json::to_value(side).map_err(|error| Failure::Bug(error.to_string()))?;
        let mut command = Command::new(program);
        command.args(["bench", "loop", "--setup", &json!(setup).to_string(), "--work"]);
        command.arg(word.as_str().unwrap_or_default());
        command.env("RAYON_NUM_THREADS", setup.threads.to_string());
        command
    } else {
        let mut given = json!(setup);
        for (key, value) in [
            ("side", json!(side)),
            ("width", json!(WIDTH)),
            ("hidden", json!(HIDDEN)),
            ("frames", json!(FRAMES)),
            ("items", json!(TRAINING_ITEMS)),
        ] {
            given[key] = value;
        }
        let mut command = Command::new(python);
        command.args(["-c", PEER, &given.to_string()]);
        command
    };
    let failed = |message: &str| Failure::Input(format!("{}: {message}", side.title()));
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&format!("does not start: {error}")))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let last = answer.lines().next_back().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| {
        let messages = String::from_utf8_lossy(&output.stderr);
        let said = messages.lines().rfind(|line| !line.trim().is_empty());
        failed(&format!("has ended: {}", said.unwrap_or("it did not say why")))
    })
}

/// Is one of emorun's own sides, in `folder`.
///
/// # Errors
/// The run fails.
pub fn train_own(side: Trainee, setup: &CostSetup, folder: &Path) -> Result<Took, Failure> {
    let prepared = experiment(setup, folder)?;
    let seconds = if side == Trainee::Network {
        network_alone(&prepared, setup)?
    } else {
        run(&prepared, folder)?
    };
    let steps_per_epoch = TRAINING_ITEMS.div_ceil(setup.batch);
    let steps = match side {
        Trainee::Network => setup.steps,
        _ => epochs(setup) * steps_per_epoch,
    };
    Ok(Took {
        seconds,
        steps,
        versions: format!("emorun {}", env!("CARGO_PKG_VERSION")),
    })
}

fn epochs(setup: &CostSetup) -> usize {
    setup.steps.div_ceil(TRAINING_ITEMS.div_ceil(setup.batch)).max(1)
}

/// Seconds that a run trains, as its summary says.
fn run(prepared: &Prepared, folder: &Path) -> Result<f64, Failure> {
    let place = Place {
        runs: folder.join("runs"),
        label: Some("loop".into()),
        files: emorun_files::Files::default(),
    };
    let finished = start(prepared, &place, &choose(DeviceRequest::Cpu)?)?.whole()?;
    let summary: Json = read_json(&finished.dir.join("summary.json"))?;
    let seconds = summary["seconds"]["train"].as_f64();
    seconds.ok_or_else(|| Failure::Bug("a summary without its seconds".into()))
}

/// Seconds of as many steps of the network alone.
fn network_alone(prepared: &Prepared, setup: &CostSetup) -> Result<f64, Failure> {
    let device = Device::flex().autodiff();
    let wired = prepared.wired()?;
    let mut network = Network::build(wired, &HashMap::new(), &prepared.facts, 1, &device)?;
    let training = &prepared.settings.training;
    let mut optimizer = Optimizer::new(training, &network);
    let frames = Tensor::<3>::random([setup.batch, FRAMES, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    let labels = (0..setup.batch).map(|item| Some(item as u32 % 4)).collect();
    let input = network.wired().iter().find(|node| node.name == "emotion");
    let input = input.and_then(|node| Some(node.inputs.first()?.1.clone()));
    let input = input.ok_or_else(|| Failure::Bug("the bench has no head".into()))?;
    let lengths = Lengths::new(vec![FRAMES; setup.batch]);
    let inputs = Values::from([
        (input, Value::Frames(frames, lengths)),
        (PortId::new("data", "emotion"), Value::Labels(Labels::new(labels))),
    ]);
    let names = StepNames::new(1);
    let items: Arc<[String]> = (0..setup.batch).map(|item| item.to_string()).collect();
    let mut started = Instant::now();
    for step in 0..=setup.steps {
        if step == 1 {
            // The first takes memory and starts threads.
            started = Instant::now();
        }
        let moment = Moment {
            step: step as u64,
            micro_batch: 0,
            epoch: 0,
            progress: 0.0,
        };
        let context = names.training(&moment, items.clone());
        let mut values = inputs.clone();
        on_cores(&device, || {
            let loss =
                total_loss(&network, &mut values, &context).map_err(|abort| abort.into_failure(Path::new("")))?;
            let _ = loss.clone().into_scalar::<f32>();
            let gradients = Gradients::of(&network, loss.backward());
            optimizer.step(&mut network, gradients, training.optimizer.lr(), 1.0);
            Ok::<_, Failure>(())
        })?;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// The experiment, checked and with its corpus.
fn experiment(setup: &CostSetup, folder: &Path) -> Result<Prepared, Failure> {
    let experiment = json!({
        "name": "loop",
        "sample_rate_hz": 2000,
        "datasets": { "speech": {
            "kind": "synthetic", "speakers": SPEAKERS, "utterances": UTTERANCES,
            "emotions": ["neutral", "happy", "sad", "angry"],
        } },
        "split": { "kind": "by_speaker", "validation": 0.0, "test": 0.1 },
        "encoders": { "mel": {
            "kind": "log_mel", "input": "data.audio", "n_mels": WIDTH, "n_fft": 256, "win_length": 200, "hop_length": 200,
        } },
        "heads": { "emotion": {
            "kind": "mean_classifier", "input": "mel", "target": "data.emotion", "hidden": HIDDEN, "dropout": 0.0,
        } },
        "losses": { "ce": { "kind": "cross_entropy", "input": "emotion" } },
        "training": {
            "epochs": epochs(setup), "batch_size": setup.batch, "optimizer": { "kind": "adam", "lr": 1e-3 },
            "checkpoints": { "every_epochs": 1_000_000, "every_steps": setup.checkpoint_every },
        },
        "logging": { "every_steps": setup.log_every },
    });
    // YAML takes JSON as it is.
    let path: PathBuf = folder.join("loop.yaml");
    std::fs::write(&path, experiment.to_string()).map_err(Failure::io("write", &path))?;
    let source = Source {
        path,
        sets: Vec::new(),
        offline: true,
    };
    let mut mistakes = String::new();
    let prepared = prepare_with(&source, Depth::Deep, None, &mut |report, sources| {
        mistakes = report.render(sources, false);
    });
    prepared.map_err(|failure| match failure {
        Failure::Rejected { .. } => Failure::Bug(mistakes),
        failure => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overhead_is_what_a_side_takes_beyond_its_own_network_in_the_same_round() {
        let took = |seconds: &[f64]| -> Vec<Took> {
            let one = |&seconds: &f64| Took {
                seconds,
                steps: 10,
                versions: String::new(),
            };
            seconds.iter().map(one).collect()
        };
        let costs = Costs {
            sides: vec![
                (Trainee::Network, took(&[1.0, 5.0, 1.0])),
                (Trainee::Run, took(&[2.0, 6.5, 3.0])),
                (Trainee::Alone, took(&[2.0])),
                (Trainee::Lightning, took(&[22.0])),
            ],
        };
        assert!((costs.overhead(Trainee::Run).unwrap() - 0.15).abs() < 1e-12);
        assert_eq!(costs.overhead(Trainee::Lightning), Some(2.0));
        assert_eq!(costs.overhead(Trainee::Bare), None);
        assert_eq!(costs.per_step(Trainee::Run), Some(0.3));
    }
}
