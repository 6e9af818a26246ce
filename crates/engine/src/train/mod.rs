//! Training one network on one split with one seed.
//!
//! The loop is our own: burn-train checkpoints at the ends of epochs only, without the order of
//! items or the state of its loader, so it cannot continue a killed run to the same bits.

pub mod average;
pub mod batches;
pub mod checkpoint;
pub mod dry_run;
mod epoch;
pub mod evaluate;
mod finite;
pub mod interrupt;
pub mod journal;
pub mod learn;
pub mod losses;
pub mod optimizer;
pub mod policy;
pub mod progress;
pub mod range_test;
pub mod replicas;
pub mod result;
pub mod schedule;
pub mod state;
mod step;
mod unread;
mod waiting;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use emorun_files::Files;
use emorun_kernels::on_cores;

use crate::exit::Failure;
use crate::feed::order::plain_batches;
use crate::feed::{Feed, FeedError};
use crate::settings::{FinalWeights, Settings};
use average::Average;
use batches::{epoch_batches, padding_share};
use checkpoint::{Checkpoint, Keep, Store};
use emorun_nn::draw::DrawKey;
use emorun_nn::waits::Waits;
use emorun_nodes::network::{Network, Pass, RunError, StepContext};
use emorun_nodes::parameters;
use finite::REMEDY;
use journal::{Journal, Line};
use optimizer::Optimizer;
use policy::Policies;
use progress::TrainingProgress;
use replicas::Replicas;
use state::LoopState;
pub use step::total_loss;
use step::{StepLoss, Waiting};
use writer::{CheckpointWriter, Job};

/// Why training or evaluation stopped.
#[derive(Debug)]
pub enum Abort {
    /// A batch cannot be prepared.
    Feed(FeedError),
    /// A node cannot run.
    Node(RunError),
    /// A number is not finite; the message names node and items.
    Diverged(String),
    /// A file cannot be written or read.
    File(Failure),
    /// Interrupted; the checkpoint is written.
    Interrupted,
    /// Something that should not happen.
    Bug(String),
}

impl Abort {
    /// The same, with the pass in which a number was found not to be finite.
    pub fn within(self, pass: &str) -> Self {
        match self {
            Self::Diverged(message) => Self::Diverged(format!("{pass}: {message}")),
            other => other,
        }
    }

    /// The failure of the run in `dir`.
    pub fn into_failure(self, dir: &Path) -> Failure {
        match self {
            Self::Feed(FeedError::Data(error)) => error.into(),
            Self::Feed(error @ (FeedError::Augment { .. } | FeedError::Feature { .. } | FeedError::Host { .. })) => {
                Failure::Input(error.to_string())
            }
            Self::Feed(FeedError::Node(error)) => Failure::Bug(error.to_string()),
            Self::Node(error) => Failure::Bug(error.to_string()),
            Self::Diverged(message) => Failure::Diverged(message),
            Self::File(failure) => failure,
            Self::Interrupted => Failure::Interrupted(dir.to_owned()),
            Self::Bug(message) => Failure::Bug(message),
        }
    }
}

impl From<Failure> for Abort {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

/// Where a training is.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Optimizer steps done.
    pub step: u64,
    /// Micro-batch of the step.
    pub micro_batch: usize,
    /// Epochs done.
    pub epoch: u64,
    /// Share of all optimizer steps that are done.
    pub progress: f64,
}

/// Keys of a run's draws.
#[derive(Clone, Debug)]
pub struct StepNames {
    key: DrawKey,
}

impl StepNames {
    /// Keys under a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            key: DrawKey::root(seed),
        }
    }

    /// Key of all that a policy draws.
    fn of_policy(&self, name: &str) -> DrawKey {
        self.key.with("policy").with(name)
    }

    /// What is known in a micro-batch of a training step.
    pub fn training(&self, at: &Moment, items: Arc<[String]>) -> StepContext {
        StepContext {
            training: true,
            step: self.key.with("step").at(at.step).at(at.micro_batch as u64),
            epoch: self.key.with("epoch").at(at.epoch),
            items,
            progress: at.progress,
            segments: None,
        }
    }

    /// What is known in a pass that does not train.
    pub fn evaluation(&self, items: Arc<[String]>) -> StepContext {
        StepContext {
            training: false,
            step: self.key,
            epoch: self.key,
            items,
            progress: 1.0,
            segments: None,
        }
    }
}

/// One training: what it is about, and where it is written.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// Settings of the experiment.
    pub settings: &'a Settings,
    /// Seed of all draws.
    pub seed: u64,
    /// Items and host pipeline.
    pub feed: Feed,
    /// Items to train on.
    pub train: &'a [usize],
    /// Items to choose by; may be empty.
    pub validation: &'a [usize],
    /// Metric by which the best epoch is chosen.
    pub best_metric: String,
    /// Device with autodiff.
    pub device: Device,
    /// Devices that take parts of each batch beside it, with autodiff.
    pub others: Vec<Device>,
    /// The run directory.
    pub dir: PathBuf,
    /// Id of the run, which its checkpoints bear.
    pub run_id: String,
    /// What the run is written through.
    pub files: Files,
    /// Name shown with the progress.
    pub label: String,
}

/// A trained network and how it came about.
#[derive(Debug)]
pub struct Trained {
    /// The network with the weights of the final evaluation, without autodiff.
    pub network: Network,
    /// Where the loop ended.
    pub state: LoopState,
    /// The journal, for the final evaluation's entries.
    pub journal: Journal,
}

/// Device-side running state of a training.
struct Session {
    network: Network,
    replicas: Replicas,
    optimizer: Optimizer,
    average: Option<Average>,
    policies: Policies,
    journal: Journal,
    state: LoopState,
    names: StepNames,
    writer: CheckpointWriter,
    /// When the last checkpoint was begun.
    saved: Instant,
    /// Seconds that training has waited for checkpoints since the epoch before ended.
    checkpoint_wait_s: f64,
}

impl Session {
    /// Lets policies learn from the rollouts of a step.
    fn after_step(&mut self, device: &Device) -> Result<(), Abort> {
        let Self {
            network,
            policies,
            state,
            names,
            ..
        } = self;
        if state.seen.rollouts.is_empty() {
            return Ok(());
        }
        on_cores(device, || policies.after_step(network, state, names))
    }

    /// The network that is evaluated: with averaged weights, where there are any yet.
    fn evaluated(&self) -> Network {
        match &self.average {
            Some(average) if self.state.averaged > 0 => average.network().clone(),
            _ => self.network.without_autodiff(),
        }
    }
}

impl Trainer<'_> {
    fn store(&self) -> Store {
        Store {
            folder: self.dir.join("checkpoints"),
            run: self.run_id.clone(),
            files: self.files.clone(),
        }
    }

    fn batches(&self, epoch: u64) -> Vec<Vec<usize>> {
        epoch_batches(&self.settings.training, &self.feed.items, self.train, self.seed, epoch)
    }

    /// Trains to the end, from the newest checkpoint if there is one.
    ///
    /// `prepare` writes what belongs at the start of the journal, on a fresh start only.
    ///
    /// # Errors
    /// See [`Abort`].
    pub fn run(&self, network: Network, prepare: impl FnOnce(&mut Journal)) -> Result<Trained, Abort> {
        let mut session = self.open(network, prepare)?;
        let first = self.batches(0);
        let schedule = schedule::LrSchedule::new(
            &self.settings.training.scheduler,
            self.settings.training.optimizer.lr(),
            first.len().div_ceil(self.settings.training.accumulate) as u64,
            self.settings.training.epochs,
        );
        let mut progress = TrainingProgress::new(&self.label, session.state.step, schedule.steps());
        let share = padding_share(&self.feed.items, &first);
        drop(first);
        tracing::info!("{:.1} % of a training batch is padding on average", 100.0 * share);
        let before = session.state.seconds;
        let started = Instant::now();
        while !session.state.finished {
            let outcome = self.epoch(&mut session, &schedule, &mut progress, started, before);
            if outcome.is_err() {
                progress.finish();
            }
            outcome?;
        }
        progress.finish();
        session.writer.wait()?;
        let mut network = session.evaluated();
        let Session { journal, state, .. } = session;
        if let (FinalWeights::Best, Some(best)) = (self.final_weights(), &state.best)
            && best.step != state.step
        {
            let weights = self.store().read(best.step)?.into_weights();
            parameters::restore(&mut network, weights).map_err(Abort::Bug)?;
        }
        Ok(Trained {
            network,
            state,
            journal,
        })
    }

    /// Which weights the final evaluation uses.
    pub fn final_weights(&self) -> FinalWeights {
        final_weights(self.settings, self.validation)
    }

    fn open(&self, mut network: Network, prepare: impl FnOnce(&mut Journal)) -> Result<Session, Abort> {
        let mut optimizer = Optimizer::new(&self.settings.training, &network);
        let mut policies = Policies::new(&self.settings.training, &network, &self.device);
        let average = self.settings.training.average.as_ref();
        let names = StepNames::new(self.seed);
        let writer = CheckpointWriter::new(self.store());
        let tensorboard = self.settings.logging.tensorboard;
        let found = self.store().read_newest(|warning| tracing::warn!("{warning}"))?;
        let Some(Checkpoint {
            weights,
            optimizer: mut stored,
            average: averaged,
            mut state,
        }) = found
        else {
            self.fit(&mut network, &names)?;
            let mut journal = Journal::open(&self.files, &self.dir, 0, 0, tensorboard)?;
            prepare(&mut journal);
            let mut state = LoopState::default();
            policies.begin(&network, &mut state, &names)?;
            return Ok(Session {
                replicas: Replicas::new(&network, &self.others),
                average: average.map(|config| Average::new(config, &network)),
                network,
                optimizer,
                policies,
                journal,
                state,
                names,
                writer,
                saved: Instant::now(),
                checkpoint_wait_s: 0.0,
            });
        };
        let step = state.step;
        let corrupt = |message| {
            Abort::File(Failure::Corrupt {
                path: self.store().path_of(step),
                message,
            })
        };
        parameters::restore(&mut network, weights).map_err(corrupt)?;
        let mut counters = state.optimizer_counters.clone();
        policies.load(&mut stored, &mut counters).map_err(corrupt)?;
        optimizer
            .load(stored, &counters, &self.device.clone().inner())
            .map_err(corrupt)?;
        let mut average = average.map(|config| Average::new(config, &network));
        if let (Some(average), Some(averaged)) = (&mut average, averaged) {
            average.restore(averaged).map_err(corrupt)?;
        }
        // What ended the run may have done so between writing a checkpoint and removing older ones.
        self.store().prune(state.step, &self.keep(&state));
        // More epochs may be asked for than when it was written.
        state.finished = self.is_finished(&state);
        let journal = Journal::open(&self.files, &self.dir, state.metrics_bytes, state.step + 1, tensorboard)?;
        Ok(Session {
            replicas: Replicas::new(&network, &self.others),
            network,
            optimizer,
            average,
            policies,
            journal,
            state,
            names,
            writer,
            saved: Instant::now(),
            checkpoint_wait_s: 0.0,
        })
    }

    /// Takes the statistics that nodes need of the training items.
    fn fit(&self, network: &mut Network, names: &StepNames) -> Result<(), Abort> {
        for index in network.fitted_nodes() {
            let frozen = network.without_autodiff();
            let device = self.device.clone().inner();
            for batch in self
                .feed
                .load(plain_batches(self.train, self.settings.evaluation.batch_size))
            {
                let batch = batch.map_err(Abort::Feed)?;
                let keys = batch.keys();
                let mut values = self.feed.values(batch, &frozen, &device).map_err(Abort::Feed)?;
                frozen
                    .forward(Pass::Upto(index), &mut values, &names.evaluation(keys))
                    .map_err(Abort::Node)?;
                // Of a batch in which no item has what the node takes there is nothing to be learned.
                if network
                    .presence(index, &values)
                    .is_some_and(|presence| presence.is_empty())
                {
                    continue;
                }
                let ports = network.ports(index, &values);
                let node = network.wired()[index].name.clone();
                if let Some(layer) = network.layer_mut(index) {
                    layer
                        .fit(&ports)
                        .map_err(|source| Abort::Node(RunError { node, source }))?;
                }
            }
            if let Some(layer) = network.layer_mut(index) {
                layer.finish_fit();
            }
        }
        Ok(())
    }

    fn epoch(
        &self,
        session: &mut Session,
        schedule: &schedule::LrSchedule,
        progress: &mut TrainingProgress,
        started: Instant,
        before: f64,
    ) -> Result<(), Abort> {
        let epoch = session.state.epoch;
        let training = &self.settings.training;
        let batches = self.batches(epoch);
        let ends_at = batches.len();
        let steps = ends_at.div_ceil(training.accumulate) as u64;
        let rest = batches[session.state.batch.min(ends_at)..].to_vec();
        drop(batches);
        let strengths = session.policies.strengths(&session.state);
        let devices = session.replicas.devices();
        let mut batches = Waiting::over(&self.feed, &rest, devices, self.seed, epoch, &strengths);
        let all_steps = schedule.steps().max(1);
        let epoch_started = Instant::now();
        let items_before = session.state.seen.items;
        let waits_before = Waits::so_far();
        for group in rest.chunks(training.accumulate) {
            let step = session.state.step;
            let counted = schedule.step_at(epoch, (session.state.batch / training.accumulate) as u64, steps);
            let at = Moment {
                step,
                micro_batch: 0,
                epoch,
                progress: counted as f64 / all_steps as f64,
            };
            let seen = &mut session.state.seen;
            let networks = (&session.network, &session.replicas);
            let mut taken = self.gradients(networks, &session.names, seen, &mut batches, group, at)?;
            let lr = schedule.lr(counted, &session.state.plateau);
            let (norm, step_loss) = (taken.norm, std::mem::take(&mut taken.loss));
            self.update(session, taken, lr);
            if !norm.is_finite() {
                return Err(Abort::Diverged(format!(
                    "the gradient's norm is {norm} at step {} (epoch {}); {REMEDY}",
                    step + 1,
                    epoch + 1
                )));
            }
            session.after_step(&self.device)?;
            session.replicas.follow(&session.network);
            session.state.step += 1;
            session.state.batch += group.len();
            let seconds = epoch_started.elapsed().as_secs_f64().max(1e-9);
            let speed = (session.state.seen.items - items_before) as f64 / seconds;
            progress.step(session.state.step, epoch + 1, step_loss.total, speed);
            if session.state.step.is_multiple_of(self.settings.logging.every_steps) {
                let wall = vec![("items_per_second", speed), ("loader_wait_s", batches.seconds)];
                let line = step_line(step_loss, (lr, norm), wall);
                session.journal.line(session.state.step, epoch + 1, "train", &line);
            }
            session.state.seconds = before + started.elapsed().as_secs_f64();
            let at_end = session.state.batch >= ends_at;
            if !at_end && interrupt::asked() {
                self.save(session)?;
                session.writer.wait()?;
                return Err(Abort::Interrupted);
            }
            let checkpoints = &training.checkpoints;
            let every_steps = checkpoints.every_steps;
            let minutes = session.saved.elapsed().as_secs_f64() / 60.0;
            if !at_end
                && (every_steps.is_some_and(|every| session.state.step.is_multiple_of(every))
                    || checkpoints.every_minutes.is_some_and(|every| minutes >= every))
            {
                self.save(session)?;
            }
        }
        drop(batches);
        let waits = Waits::so_far().since(waits_before);
        tracing::debug!(
            "epoch {}: {} steps, {} reads of devices, {} seeds of their generators",
            epoch + 1,
            rest.len().div_ceil(training.accumulate),
            waits.reads,
            waits.seeds
        );
        self.end_epoch(session, schedule, progress, epoch_started.elapsed().as_secs_f64())?;
        session.state.seconds = before + started.elapsed().as_secs_f64();
        let due = session.state.epoch.is_multiple_of(training.checkpoints.every_epochs);
        let step = session.state.step;
        let mut kept = session.state.best.iter().chain(&session.state.next_best);
        let is_best = kept.any(|best| best.step == step);
        if due || is_best || session.state.finished || interrupt::asked() {
            self.save(session)?;
        }
        if !session.state.finished && interrupt::asked() {
            session.writer.wait()?;
            return Err(Abort::Interrupted);
        }
        Ok(())
    }

    fn is_finished(&self, state: &LoopState) -> bool {
        let all_epochs = state.batch == 0 && state.epoch >= self.settings.training.epochs;
        all_epochs || self.is_stale(state)
    }

    /// Whether nothing has improved for so long that training stops.
    fn is_stale(&self, state: &LoopState) -> bool {
        let stopping = self.settings.training.early_stopping.as_ref();
        stopping.is_some_and(|stopping| state.stale_epochs >= stopping.patience)
    }

    /// Which checkpoints stay in a state.
    fn keep(&self, state: &LoopState) -> Keep {
        let best = state.best.iter().chain(&state.next_best);
        Keep {
            last: self.settings.training.checkpoints.keep_last,
            steps: best.map(|best| best.step).collect(),
        }
    }

    /// Keeps what is not finite out of the checkpoints, so that the newest can be gone on from.
    fn check_finite(&self, checkpoint: &Checkpoint) -> Result<(), Abort> {
        let state = &checkpoint.state;
        let parts = [
            ("the weight", Some(&checkpoint.weights)),
            ("the averaged weight", checkpoint.average.as_ref()),
            ("the optimizer's", Some(&checkpoint.optimizer)),
        ];
        for (what, tensors) in parts {
            if let Some(name) = tensors.and_then(finite::first_in) {
                return Err(Abort::Diverged(format!(
                    "{what} `{name}` is not finite after step {} (epoch {}); {REMEDY}",
                    state.step,
                    if state.batch == 0 { state.epoch } else { state.epoch + 1 },
                )));
            }
        }
        Ok(())
    }

    fn save(&self, session: &mut Session) -> Result<(), Abort> {
        let asked = Instant::now();
        session.journal.flush();
        session.state.metrics_bytes = session.journal.bytes();
        let (mut optimizer, mut counters) = session.optimizer.save();
        session.policies.save(&mut optimizer, &mut counters);
        session.state.optimizer_counters = counters;
        let average = session.average.as_ref().filter(|_| session.state.averaged > 0);
        let checkpoint = Checkpoint {
            weights: parameters::collect(&session.network),
            optimizer,
            average: average.map(Average::collect),
            state: session.state.clone(),
        };
        self.check_finite(&checkpoint)?;
        session.writer.begin(Job {
            checkpoint,
            keep: self.keep(&session.state),
            metrics: session.journal.metrics_file(),
        })?;
        session.saved = Instant::now();
        let waited = asked.elapsed().as_secs_f64();
        session.checkpoint_wait_s += waited;
        session.state.checkpoint_seconds += waited;
        Ok(())
    }
}

/// Which weights stand for a training with these validation items.
pub fn final_weights(settings: &Settings, validation: &[usize]) -> FinalWeights {
    let default = if validation.is_empty() {
        FinalWeights::Last
    } else {
        FinalWeights::Best
    };
    settings.evaluation.weights.unwrap_or(default)
}

/// What is logged of a step: its losses, learning rate and gradient's norm, and what the clock says.
fn step_line(loss: StepLoss, (lr, norm): (f64, f64), wall: Vec<(&'static str, f64)>) -> Line {
    let losses = loss.by_node.into_iter();
    let mut metrics = vec![("loss".to_owned(), Some(loss.total))];
    metrics.extend(losses.map(|(node, loss)| (format!("loss.{node}"), Some(loss))));
    metrics.extend([("lr".into(), Some(lr)), ("grad_norm".into(), Some(norm))]);
    Line {
        metrics,
        wall,
        ..Line::default()
    }
}
