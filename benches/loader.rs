//! What the loader costs: epochs of training that it feeds, against the same epochs on tensors that are there already.
//!
//! `cargo bench --bench loader -- EXPERIMENT [BATCHES [SETTING…]]`; both kinds of epoch take turns, so that what else the
//! machine does hits both, and workers take their cores from the model. Prints each pair, and the median of their ratios.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use emorun_engine::exit::Failure;
use emorun_engine::feed::Feed;
use emorun_engine::feed::augment::Strengths;
use emorun_engine::feed::host::HostPipeline;
use emorun_engine::train::batches::epoch_batches;
use emorun_engine::train::optimizer::{Gradients, Optimizer};
use emorun_engine::train::{Abort, Moment, StepNames, total_loss};
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare};
use emorun_kernels::on_cores;
use emorun_nn::value::Values;
use emorun_nodes::network::Network;

const PAIRS: u64 = 5;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [experiment, more @ ..] = &arguments[..] else {
        println!("usage: cargo bench --bench loader -- EXPERIMENT [BATCHES [SETTING…]]");
        return Ok(());
    };
    let batches = more.first().and_then(|count| count.parse().ok()).unwrap_or(usize::MAX);
    let source = Source {
        path: PathBuf::from(experiment),
        sets: more.iter().skip(1).cloned().collect(),
        offline: true,
    };
    let prepared = prepare(&source, Depth::Metadata, &mut |report, sources| {
        eprintln!("{}", report.render(sources, false));
    })?;
    let failed = |abort: Abort| abort.into_failure(Path::new(""));
    let mut bench = Bench::new(&prepared, batches)?;
    let mut ratios = Vec::new();
    // The first epochs warm up what is kept from epoch to epoch.
    bench.fed(0).map_err(failed)?;
    for pair in 1..=PAIRS {
        let epoch = 2 * pair;
        let (fed, ready) = match pair % 2 {
            0 => {
                let fed = bench.fed(epoch).map_err(failed)?;
                (fed, bench.ready(epoch + 1).map_err(failed)?)
            }
            _ => {
                let ready = bench.ready(epoch + 1).map_err(failed)?;
                (bench.fed(epoch).map_err(failed)?, ready)
            }
        };
        let ratio = fed.0 / ready;
        println!(
            "with the loader {:.2} s, of which it waited {:.2} s; on tensors {ready:.2} s; {:+.1} %",
            fed.0,
            fed.1,
            100.0 * (ratio - 1.0)
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:+.1} %", 100.0 * (ratios[ratios.len() / 2] - 1.0));
    Ok(())
}

struct Bench<'a> {
    prepared: &'a Prepared,
    feed: Feed,
    train: &'a [usize],
    network: Network,
    optimizer: Optimizer,
    device: Device,
    most: usize,
    steps: u64,
}

impl<'a> Bench<'a> {
    fn new(prepared: &'a Prepared, most: usize) -> Result<Self, Failure> {
        let settings = &prepared.settings;
        let loader = &settings.training.loader;
        let assignment = &prepared.assignments[0];
        let pipeline = HostPipeline::new(
            settings.sample_rate_hz,
            prepared.host_parts(settings.seed, "cpu")?,
            loader.memory_mib.saturating_mul(1 << 20),
        );
        let device = Device::flex().autodiff();
        let network = Network::build(
            prepared.wired()?,
            &prepared.class_counts(assignment),
            &prepared.facts,
            settings.seed,
            &device,
        )?;
        Ok(Self {
            prepared,
            feed: Feed {
                items: prepared.corpus.items.clone(),
                pipeline: Arc::new(pipeline),
                labels: prepared.label_columns().into(),
                workers: loader.workers,
                ahead: loader.ahead(),
            },
            train: &assignment.train,
            optimizer: Optimizer::new(&settings.training, &network),
            network: network.with_precision(settings.precision),
            device,
            most,
            steps: 0,
        })
    }

    fn batches(&self, epoch: u64) -> Vec<Vec<usize>> {
        let settings = &self.prepared.settings;
        let mut batches = epoch_batches(&settings.training, &self.feed.items, self.train, settings.seed, epoch);
        batches.truncate(self.most);
        batches
    }

    /// Seconds of an epoch that the loader feeds, and of waiting for it.
    fn fed(&mut self, epoch: u64) -> Result<(f64, f64), Abort> {
        let started = Instant::now();
        let mut loader = self.feed.load_training(
            self.batches(epoch),
            self.prepared.settings.seed,
            epoch,
            &Strengths::default(),
        );
        let mut waited = 0.0;
        loop {
            let asked = Instant::now();
            let Some(batch) = loader.next() else { break };
            waited += asked.elapsed().as_secs_f64();
            let batch = batch.map_err(Abort::Feed)?;
            let keys = batch.keys();
            let values = self
                .feed
                .values(batch, &self.network, &self.device)
                .map_err(Abort::Feed)?;
            self.step(values, keys, epoch)?;
        }
        Ok((started.elapsed().as_secs_f64(), waited))
    }

    /// Seconds of an epoch whose tensors are made before.
    fn ready(&mut self, epoch: u64) -> Result<f64, Abort> {
        let mut ready = Vec::new();
        for batch in self.feed.load_training(
            self.batches(epoch),
            self.prepared.settings.seed,
            epoch,
            &Strengths::default(),
        ) {
            let batch = batch.map_err(Abort::Feed)?;
            let keys = batch.keys();
            ready.push((
                self.feed
                    .values(batch, &self.network, &self.device)
                    .map_err(Abort::Feed)?,
                keys,
            ));
        }
        let started = Instant::now();
        for (values, keys) in ready {
            self.step(values, keys, epoch)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    fn step(&mut self, mut values: Values, keys: Arc<[String]>, epoch: u64) -> Result<(), Abort> {
        let moment = Moment {
            step: self.steps,
            micro_batch: 0,
            epoch,
            progress: 0.0,
        };
        let names = StepNames::new(self.prepared.settings.seed);
        let context = names.training(&moment, keys);
        let (network, optimizer, lr) = (
            &mut self.network,
            &mut self.optimizer,
            self.prepared.settings.training.optimizer.lr(),
        );
        on_cores(&self.device, || -> Result<(), Abort> {
            let loss = total_loss(network, &mut values, &context)?;
            drop(values);
            let gradients = Gradients::of(network, loss.backward());
            optimizer.step(network, gradients, lr, 1.0);
            Ok(())
        })?;
        self.steps += 1;
        Ok(())
    }
}
