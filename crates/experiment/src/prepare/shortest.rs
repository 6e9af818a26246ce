//! The shortest recording that a network can take: found by trying, so that it holds for every kind of node and for what
//! kinds make of one another's frames.

use std::iter::once;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::tensor::Device;
use emorun_data::{Item, Items, StreamForm, StreamSource};
use emorun_lang::{Code, Diagnostic, Report, Section, Tree};
use rand::RngExt;

use super::{Model, Prepared, at};
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::Version;
use emorun_engine::feed::batch::HostBatch;
use emorun_engine::feed::host::{HostParts, HostPipeline, ItemValues};
use emorun_engine::feed::loader::Batch;
use emorun_engine::feed::{Feed, FeedError};
use emorun_nn::draw::DrawKey;
use emorun_nn::value::{PortId, Value, Values};
use emorun_nodes::network::{Network, Pass, StepContext};

/// Longest recording that is tried, in seconds: a network that takes none of that length fails for another reason.
const LONGEST_S: f64 = 30.0;
/// Loudness of the noise that is tried.
const AMPLITUDE: f32 = 0.1;
/// Items that a message names.
const NAMED: usize = 4;

/// A network to be tried on recordings of any length.
#[derive(Debug)]
pub struct Trial<'a> {
    network: &'a Network,
    device: &'a Device,
    feed: Feed,
    item: Item,
    rate_hz: u32,
}

/// What a network is tried on.
#[derive(Clone, Copy)]
enum Tried<'a> {
    /// Noise of so many samples.
    Noise(usize),
    /// An item as it is.
    Item(&'a Item),
}

/// Why a network cannot take a recording.
#[derive(Debug)]
enum Unfit {
    /// Nothing is left of it behind this node, or numbers that are not finite.
    At(String),
    /// A node fails.
    Failed,
}

impl<'a> Trial<'a> {
    /// A trial of a network on its device, which is fed like `item`: of training beside evaluation if that is a device
    /// with autodiff.
    pub fn new(model: &Model, (network, device): (&'a Network, &'a Device), mut parts: HostParts, item: Item) -> Self {
        // Nothing is kept of noise.
        parts.cache = None;
        parts.steps.iter_mut().for_each(|step| step.keeping = None);
        Self {
            network,
            device,
            feed: Feed {
                // What is tried comes as batches of its own.
                items: Items::default(),
                pipeline: Arc::new(HostPipeline::new(model.settings.sample_rate_hz, parts, 0)),
                labels: model.label_ports().into(),
                workers: 1,
                ahead: 1,
            },
            item,
            rate_hz: model.settings.sample_rate_hz,
        }
    }

    /// The least number of samples that the network takes, if it takes no recording of `samples`, and the node that
    /// gives nothing of a shorter one, where that is known.
    pub fn least(&self, samples: usize) -> Option<(usize, Option<String>)> {
        let mut reason = self.tried(Tried::Noise(samples)).err()?;
        let longest = (LONGEST_S * f64::from(self.rate_hz)) as usize;
        let (mut below, mut enough) = (samples, samples);
        loop {
            enough = enough.saturating_mul(2).max(2);
            if enough > longest {
                return None;
            }
            match self.tried(Tried::Noise(enough)) {
                Ok(()) => break,
                Err(why) => (below, reason) = (enough, why),
            }
        }
        while enough - below > 1 {
            let middle = below + (enough - below) / 2;
            match self.tried(Tried::Noise(middle)) {
                Ok(()) => enough = middle,
                Err(why) => (below, reason) = (middle, why),
            }
        }
        let node = match reason {
            Unfit::At(node) => Some(node),
            Unfit::Failed => None,
        };
        Some((enough, node))
    }

    /// Whether the network takes an item, and else the node that gives nothing of it, where that is known.
    fn takes(&self, item: &Item) -> Result<(), Option<String>> {
        self.tried(Tried::Item(item)).map_err(|unfit| match unfit {
            Unfit::At(node) => Some(node),
            Unfit::Failed => None,
        })
    }

    fn tried(&self, what: Tried<'_>) -> Result<(), Unfit> {
        let hook = std::panic::take_hook();
        // What fails here is told as what it is: a recording that is too short.
        std::panic::set_hook(Box::new(|_| {}));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.passes(what)));
        std::panic::set_hook(hook);
        match outcome {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(node))) => Err(Unfit::At(node)),
            Ok(Err(_)) | Err(_) => Err(Unfit::Failed),
        }
    }

    /// The first node that gives nothing of use, if one does.
    fn passes(&self, what: Tried<'_>) -> Result<Option<String>, FeedError> {
        if !self.device.is_autodiff() {
            return self.first_without_use(self.network, self.device, Pass::Evaluate, what);
        }
        let found = self.first_without_use(self.network, self.device, Pass::Train, what)?;
        if found.is_some() {
            return Ok(found);
        }
        let (plain, device) = (self.network.without_autodiff(), self.device.clone().inner());
        self.first_without_use(&plain, &device, Pass::Evaluate, what)
    }

    fn first_without_use(
        &self,
        network: &Network,
        device: &Device,
        schedule: Pass,
        what: Tried<'_>,
    ) -> Result<Option<String>, FeedError> {
        let batch = self.batch(what)?;
        let items = batch.keys();
        let mut values = self.feed.values(batch, network, device)?;
        // What the host gives, before a node fails on it.
        let from_host = first_without_use(network, &values);
        if from_host.is_some() {
            return Ok(from_host);
        }
        let key = DrawKey::root(0).with("shortest");
        let context = StepContext {
            training: schedule == Pass::Train,
            step: key,
            epoch: key,
            items,
            progress: 0.0,
            segments: None,
        };
        network
            .forward(schedule, &mut values, &context)
            .map_err(FeedError::Node)?;
        Ok(first_without_use(network, &values))
    }

    /// Noise of a length, or an item, as a batch.
    fn batch(&self, what: Tried<'_>) -> Result<Batch, FeedError> {
        let (item, values) = match what {
            Tried::Noise(samples) => {
                let mut rng = DrawKey::root(0).with("noise").rng();
                let wave = (0..samples)
                    .map(|_| AMPLITUDE * (2.0 * rng.random::<f32>() - 1.0))
                    .collect();
                (&self.item, self.feed.pipeline.of_wave(&self.item, wave)?)
            }
            Tried::Item(item) => {
                let values = self.feed.pipeline.values(item, &Version::Plain)?;
                (item, ItemValues::clone(&values))
            }
        };
        Ok(Batch {
            items: vec![0],
            rows: vec![item.clone()],
            values: values
                .wanted
                .iter()
                .map(|value| HostBatch::collate(once(value.as_ref())))
                .collect(),
            cached: values.cached.into_iter().map(|value| vec![value]).collect(),
        })
    }
}

/// The first node with a sequence of no length, or with a number that is not finite. Losses are left out: what they make
/// of a single item of noise says nothing.
fn first_without_use(network: &Network, values: &Values) -> Option<String> {
    let is_of_use = |value: &Value| match value {
        Value::Wave(_, lengths) | Value::Frames(_, lengths) | Value::Stack(_, lengths) | Value::Samples(_, lengths) => {
            !lengths.as_slice().contains(&0) && value.items_not_finite().is_none()
        }
        Value::Vector(_) | Value::Logits(_) => value.items_not_finite().is_none(),
        Value::Tokens(tokens) => !tokens.lengths.as_slice().contains(&0),
        Value::Distribution(_) => value.items_not_finite().is_none(),
        Value::Labels(_) | Value::Targets(_) | Value::Text(_) | Value::Presence(_) | Value::Scalar(..) => true,
    };
    // What an item lacks is as it should be.
    let is_there = |port: &PortId| !values.contains_key(&port.presence());
    let mut of_no_use: Vec<&str> = values
        .iter()
        .filter(|(port, value)| is_there(port) && !is_of_use(value))
        .map(|(port, _)| port.node.as_str())
        .collect();
    let place = |name: &str| network.wired().iter().position(|node| node.name == name);
    // What comes from the host stands first.
    of_no_use.sort_by_key(|name| (place(name), name.to_owned()));
    of_no_use.first().map(|name| (*name).to_owned())
}

impl Model {
    /// Number of samples that an item of a length has at the experiment's rate.
    fn samples(&self, seconds: f64) -> usize {
        (seconds * f64::from(self.settings.sample_rate_hz)).round() as usize
    }

    /// How long recordings must be, and for what.
    pub fn needs(&self, least: usize, node: Option<&str>) -> String {
        let what = node.map_or_else(|| "it".to_owned(), |node| format!("`{node}`"));
        format!("{what} needs {}", self.seconds_text(least))
    }

    fn seconds_text(&self, samples: usize) -> String {
        let rate_hz = self.settings.sample_rate_hz;
        format!(
            "{:.4} s ({samples} samples at {rate_hz} Hz)",
            samples as f64 / f64::from(rate_hz)
        )
    }
}

impl Prepared {
    /// Builds the network, to hear now what is wrong with its weights, and tries it on the shortest item that it will
    /// meet; adds what is too short for it to `report`, and gives the number of mistakes.
    ///
    /// # Errors
    /// Weights that cannot be used.
    pub(super) fn check_network(&self, tree: &Tree, report: &mut Report) -> Result<usize, Failure> {
        let Some(assignment) = self.assignments.first() else {
            return Ok(0);
        };
        let device = Device::flex().autodiff();
        let counts = self.class_counts(assignment);
        let network = Network::build(self.wired()?, &counts, &self.facts, self.settings.seed, &device)?;
        let durations_s = self.corpus.items.durations_s();
        let mut trained = vec![false; durations_s.len()];
        let mut used = trained.clone();
        for assignment in &self.assignments {
            for &item in &assignment.train {
                (trained[item], used[item]) = (true, true);
            }
            for &item in assignment.validation.iter().chain(&assignment.test) {
                used[item] = true;
            }
        }
        let shortest = |item: usize| {
            let samples = self.samples(durations_s[item]);
            if trained[item] {
                samples.min(self.augmentations.lengths(samples)[0])
            } else {
                samples
            }
        };
        let items = || (0..used.len()).filter(|&item| used[item]);
        let Some(first) = items().min_by_key(|&item| shortest(item)) else {
            return Ok(0);
        };
        let parts = self.host_parts(self.settings.seed, "cpu")?;
        let trial = Trial::new(self, (&network, &device), parts, self.corpus.items.get(first)?);
        let before = report.errors();
        self.try_streams(&trial, &used, tree, report)?;
        let Some((least, node)) = trial.least(shortest(first)) else {
            return Ok(report.errors() - before);
        };
        let too_short: Vec<usize> = items()
            .filter(|&item| self.samples(durations_s[item]) < least)
            .collect();
        let needs = self.needs(least, node.as_deref());
        if !too_short.is_empty() {
            let message = format!(
                "{} item(s) are too short for the network: {}; {needs}",
                too_short.len(),
                self.named(&too_short)
            );
            let help = "leave them out, or let the front end take less: a shorter window, `center: true` of `log_mel`, fewer layers that pool or stride";
            let error = Diagnostic::error(Code::InvalidData, message).help(help);
            report.push(at(error, &[Section::Datasets.name().to_owned()], tree));
        }
        let mut shortened = items().filter(|&item| trained[item] && self.samples(durations_s[item]) >= least);
        let found = shortened.find_map(|item| {
            let node = self
                .augmentations
                .shortens_below(least, self.samples(durations_s[item]))?;
            Some((item, node))
        });
        if let Some((item, augmentation)) = found {
            let [shortest, _] = self.augmentations.lengths(self.samples(durations_s[item]));
            let message = format!(
                "`{augmentation}` can make training items too short for the network, such as {} down to {}; {needs}",
                self.named(&[item]),
                self.seconds_text(shortest)
            );
            let error = Diagnostic::error(Code::InvalidValue, message).help("let it leave more of them");
            let place = [Section::Augmentations.name(), augmentation].map(str::to_owned);
            report.push(at(error, &place, tree));
        }
        Ok(report.errors() - before)
    }

    /// Tries a network on the items with the shortest part of each stream; adds what it cannot take to `report`.
    fn try_streams(&self, trial: &Trial<'_>, used: &[bool], tree: &Tree, report: &mut Report) -> Result<(), Failure> {
        let streams = self.streams(|_| true);
        let mut shortest: Vec<Option<(f64, Item)>> = vec![None; streams.len()];
        if streams.is_empty() {
            return Ok(());
        }
        for (_, item) in self.corpus.items.iter().enumerate().filter(|(at, _)| used[*at]) {
            let item = item?;
            for ((name, _), known) in streams.iter().zip(&mut shortest) {
                let length = item.stream(name).and_then(StreamSource::length);
                if let Some(length) = length
                    && known.as_ref().is_none_or(|(least, _)| length < *least)
                {
                    *known = Some((length, item.clone()));
                }
            }
        }
        for ((name, form), found) in streams.iter().zip(shortest) {
            let Some((length, item)) = found else { continue };
            if let Err(node) = trial.takes(&item) {
                let unit = if *form == StreamForm::Audio { "s" } else { "long" };
                let of = node.map_or_else(|| "the network".to_owned(), |node| format!("`{node}`"));
                let message = format!(
                    "{of} cannot take {}, which has the shortest part of `data.{name}` ({length:.4} {unit})",
                    item.display_path()
                );
                let help = "leave the item out, or its stream, or let the network take less";
                let place = [Section::Datasets.name(), &item.dataset, "streams", name].map(str::to_owned);
                report.push(at(
                    Diagnostic::error(Code::InvalidData, message).help(help),
                    &place,
                    tree,
                ));
            }
        }
        Ok(())
    }

    fn named(&self, items: &[usize]) -> String {
        let durations_s = self.corpus.items.durations_s();
        let mut names: Vec<String> = items
            .iter()
            .take(NAMED)
            .filter_map(|&item| {
                let name = self.corpus.items.get(item).ok()?.display_path();
                Some(format!("{name} ({:.4} s)", durations_s[item]))
            })
            .collect();
        if items.len() > names.len() {
            names.push(format!("and {} more", items.len() - names.len()));
        }
        names.join(", ")
    }
}
