//! Writing what a node gives for recordings to a file that `precomputed` and other programs read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use emorun_audio::{AudioError, Channel, EXTENSIONS, MIN_DURATION_S, has_audio_name, probe};
use emorun_data::{AudioSource, ContentHash, DataError, Item, Items};
use emorun_features::{Array, FeatureError, FeatureWriter, Precision};
use emorun_lang::{PlanNode, Signal, suggestion};

use super::parent;
use super::trained::{TrainedRun, network, parts_upstream};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::host::{HostParts, HostPipeline};
use emorun_engine::feed::order::plain_batches;
use emorun_engine::feed::{Feed, FeedError};
use emorun_engine::train::progress::say;
use emorun_engine::train::{Abort, StepNames};
use emorun_experiment::prepare::{Model, Trial};
use emorun_nn::value::{PortId, Value};
use emorun_nodes::network::{Network, Pass};

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `node`, or `node.port`.
    pub node: &'a str,
    /// Recordings.
    pub items: &'a Items,
    /// Whether they are others than the experiment was checked with.
    pub others: bool,
    /// The file to write; one that is there is replaced.
    pub out: &'a Path,
    /// How values are stored.
    pub precision: Precision,
}

/// Recordings as they are given, those in a folder in the order of their names.
///
/// # Errors
/// A folder cannot be read, or holds none; a recording cannot be read, or is given twice.
pub fn recordings(given: &[PathBuf]) -> Result<Items, Failure> {
    let files = found_in(given)?;
    let items: Items = files.iter().map(|file| item(file)).collect::<Result<_, _>>()?;
    refuse_repeated(&items)?;
    Ok(items)
}

/// Refuses a recording that is there twice: the tensors that are written are named by them.
fn refuse_repeated(items: &Items) -> Result<(), Failure> {
    let mut keys = BTreeSet::new();
    for item in items.iter() {
        if let Some(key) = keys.replace(item?.key) {
            return Err(Failure::Usage(format!("{key} is given twice")));
        }
    }
    Ok(())
}

pub(super) fn found_in(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in given {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        add_recordings(path, &mut found)?;
        if found.len() == before {
            return Err(Failure::Input(format!(
                "{} holds no recording: no file in it ends in .{}",
                path.display(),
                EXTENSIONS.join(", .")
            )));
        }
    }
    Ok(found)
}

fn add_recordings(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = || Failure::io("read", folder);
    let entries = std::fs::read_dir(folder).map_err(unreadable())?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable())?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A link to a folder could lead back here.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_recordings(&path, found)?;
        } else if has_audio_name(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Writes what a node gives for each recording, in evaluation mode, each computed alone; gives the
/// number of recordings: those that lack a stream of what the node takes are left out.
///
/// # Errors
/// The node is unknown or gives nothing that can be stored; something upstream of it trains and no
/// run is given; a recording or weights cannot be read; the file cannot be written.
pub fn embed(
    model: &Model,
    run: Option<&TrainedRun>,
    request: &Request<'_>,
    device: &Chosen,
) -> Result<usize, Failure> {
    let outputs = Outputs::new(model, run, (request.node, request.items, request.others), device)?;
    let mut writer = FeatureWriter::create(request.out, request.precision).map_err(unwritten)?;
    let mut written = 0;
    let all: Vec<usize> = (0..request.items.len()).collect();
    outputs.each(&all, &mut |_, key, array| {
        written += 1;
        writer.add(key, &array).map_err(unwritten)
    })?;
    let metadata = [
        ("emorun", env!("CARGO_PKG_VERSION").to_owned()),
        ("experiment", model.settings.name.clone()),
        ("config_hash", model.config_hash()),
        ("node", request.node.to_owned()),
    ];
    let mut metadata: BTreeMap<String, String> = metadata.map(|(name, text)| (name.to_owned(), text)).into();
    // What the numbers of a head are; those at its other ports are something else.
    if let Some(names) = model
        .output_names()
        .get(&outputs.port.node)
        .filter(|_| outputs.port.port.is_empty())
    {
        metadata.insert("outputs".to_owned(), serde_json::json!(names).to_string());
    }
    writer.finish(&metadata).map_err(unwritten)?;
    Ok(written)
}

/// True for what has a form in a feature file.
fn can_be_stored(signal: &Signal) -> bool {
    matches!(
        signal,
        Signal::Frames { .. }
            | Signal::Vector { .. }
            | Signal::LayerStack { .. }
            | Signal::Samples { .. }
            | Signal::Logits { .. }
    )
}

fn find_port(model: &Model, text: &str) -> Result<PortId, Failure> {
    let (name, port) = text.split_once('.').unwrap_or((text, ""));
    let choices = model.plan().nodes().iter().flat_map(|node| {
        let stored = node.outputs.iter().filter(|(_, signal)| can_be_stored(signal));
        stored.map(|(port, _)| match port.as_str() {
            "" => node.name.clone(),
            port => format!("{}.{port}", node.name),
        })
    });
    let choices: Vec<String> = choices.collect();
    let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
    let help = suggestion(text, &choices, "nodes with features").map_or_else(String::new, |help| format!("; {help}"));
    let refuse = |message: String| Err(Failure::Usage(format!("--node {text}: {message}{help}")));
    let Some(node) = model.plan().node(name) else {
        return refuse(format!("there is no node `{name}`"));
    };
    match node.output(port) {
        Some(signal) if can_be_stored(signal) => Ok(PortId::new(name, port)),
        Some(signal) => refuse(format!("it gives {}, which is no feature of an item", signal.name())),
        None if port.is_empty() => refuse(format!("`{name}` has no single output")),
        None => refuse(format!("`{name}` has no output `{port}`")),
    }
}

fn refuse_training(model: &Model, upstream: &BTreeSet<String>) -> Result<(), Failure> {
    let trains = |node: &&PlanNode| upstream.contains(&node.name) && node.cost.trainable > 0;
    match model.plan().nodes().iter().find(trains) {
        Some(node) => Err(without_run(&node.name, "trains")),
        None => Ok(()),
    }
}

pub(super) fn without_run(node: &str, what: &str) -> Failure {
    Failure::Usage(format!(
        "`{node}` {what}, so that the file alone does not say what is to be written; give the directory of a run in place of the experiment"
    ))
}

/// A recording as an item.
pub(super) fn item(path: &Path) -> Result<Item, Failure> {
    let unusable = |error: AudioError| Failure::Input(error.to_string());
    let info = probe(path).map_err(unusable)?;
    if let Some(remark) = info.remark {
        tracing::warn!("{} is one of the files that {remark}", path.display());
    }
    let seconds = info.duration_s();
    if seconds < MIN_DURATION_S {
        return Err(unusable(AudioError::TooShort {
            path: path.to_owned(),
            seconds,
            minimum_s: MIN_DURATION_S,
        }));
    }
    let audio = AudioSource::File {
        path: path.into(),
        segment: None,
        channel: Channel::Mix,
    };
    Ok(Item {
        content: Some(ContentHash::of_audio(path).map_err(Failure::io("read", path))?),
        ..unlabelled(path.display().to_string(), audio, seconds)
    })
}

/// Sound of which nothing is known but what it is called and how many seconds it lasts.
pub(super) fn unlabelled(key: String, audio: AudioSource, duration_s: f64) -> Item {
    Item {
        key: key.into(),
        dataset: "files".into(),
        audio,
        speaker: Default::default(),
        groups: Default::default(),
        labels: Default::default(),
        attributes: Default::default(),
        soft_labels: Default::default(),
        values: Default::default(),
        text: None,
        streams: Default::default(),
        split: None,
        duration_s,
        content: None,
        part_content: None,
        stamp: None,
    }
}

/// Refuses recordings of which nothing would be left; those of the experiment's corpora were tried before.
pub(super) fn refuse_too_short(
    model: &Model,
    network: (&Network, &burn::tensor::Device),
    parts: HostParts,
    items: &Items,
) -> Result<(), Failure> {
    let durations_s = items.durations_s();
    let shortest = (0..durations_s.len()).min_by(|&a, &b| durations_s[a].total_cmp(&durations_s[b]));
    let Some(shortest) = shortest else { return Ok(()) };
    let item = items.get(shortest)?;
    let samples = (item.duration_s * f64::from(model.settings.sample_rate_hz)).round() as usize;
    let name = item.display_path();
    let Some((least, node)) = Trial::new(model, network, parts, item).least(samples) else {
        return Ok(());
    };
    Err(Failure::Input(format!(
        "{name} is too short ({:.4} s): {}",
        durations_s[shortest],
        model.needs(least, node.as_deref())
    )))
}

/// What is computed on the host for the port, and nothing else.
fn host_parts(
    model: &Model,
    network: &Network,
    upstream: &BTreeSet<String>,
    port: &PortId,
    (seed, device): (u64, &str),
) -> Result<HostParts, Failure> {
    let mut parts = parts_upstream(model, network, upstream, (seed, device))?;
    if parts.steps.iter().any(|step| step.output == *port) && !parts.wanted.contains(port) {
        parts.wanted.push(port.clone());
    }
    Ok(parts)
}

/// What a node gives for recordings, in evaluation mode.
pub(super) struct Outputs<'a> {
    network: Network,
    feed: Feed,
    port: PortId,
    device: &'a Chosen,
}

/// Takes what is given for an item, by the item's index and key.
pub(super) type Take<'a> = &'a mut dyn FnMut(usize, &str, Array) -> Result<(), Failure>;

impl<'a> Outputs<'a> {
    /// The node `node` or port `node.port`, for items that are `others` than the experiment was checked with or not.
    ///
    /// # Errors
    /// As [`embed`], before anything is computed.
    pub(super) fn new(
        model: &Model,
        run: Option<&TrainedRun>,
        (node, items, others): (&str, &Items, bool),
        device: &'a Chosen,
    ) -> Result<Self, Failure> {
        let port = find_port(model, node)?;
        let upstream = model.upstream(&port.node);
        let seed = match run {
            Some(run) => {
                let needed = |node: &str| upstream.contains(node);
                run.record.check_identity(model, needed, &run.dir)?;
                run.seed
            }
            None => {
                refuse_training(model, &upstream)?;
                parent::first_seed(&model.settings)
            }
        };
        let (network, _) = network(model, run, &upstream, seed, device)?;
        model.warn_of_no_cache();
        let parts = || host_parts(model, &network, &upstream, &port, (seed, device.kind()));
        if others {
            if let Some((stream, _)) = model.streams(|node| upstream.contains(node)).first() {
                return Err(Failure::Usage(format!(
                    "`{node}` follows from `data.{stream}`, which recordings given by name do not have; leave them out for the items of the experiment's corpora"
                )));
            }
            refuse_too_short(model, (&network, &device.device), parts()?, items)?;
        }
        let feed = Feed {
            pipeline: Arc::new(HostPipeline::new(model.settings.sample_rate_hz, parts()?, 0)),
            items: items.clone(),
            labels: model.label_ports().into(),
            workers: model.settings.training.loader.workers,
            ahead: model.settings.training.loader.ahead(),
        };
        Ok(Self {
            network,
            feed,
            port,
            device,
        })
    }

    /// Hands over what is given for each wanted item, each computed alone; an item that lacks a stream of what the node takes has
    /// nothing.
    ///
    /// # Errors
    /// A recording cannot be read, a number is not finite, or what takes it fails.
    pub(super) fn each(&self, wanted: &[usize], take: Take<'_>) -> Result<(), Failure> {
        const LINE_EVERY: Duration = Duration::from_secs(10);
        let names = StepNames::new(0);
        let mut last_line = Instant::now();
        // One at a time: what is written for an item does not depend on the others, to the last bit.
        for (at, batch) in self.feed.load(plain_batches(wanted, 1)).enumerate() {
            let batch = batch.map_err(failed)?;
            let keys = batch.keys();
            let key = keys.first().cloned().unwrap_or_default();
            let mut values = self
                .feed
                .values(batch, &self.network, &self.device.device)
                .map_err(failed)?;
            self.network
                .forward(Pass::Predict, &mut values, &names.evaluation(keys))
                .map_err(|error| Failure::Bug(error.to_string()))?;
            // An item that lacks a stream of what the node takes has nothing to be written.
            if self.network.present(&self.port.node, &values).is_some() {
                continue;
            }
            let array = values
                .remove(&self.port)
                .and_then(array_of)
                .ok_or_else(|| Failure::Bug(format!("`{}` gave nothing", self.port.node)))?;
            if array.values().iter().any(|value| !value.is_finite()) {
                return Err(Failure::Diverged(format!(
                    "`{}` gives numbers that are not finite for {key}: its weights, or this recording, cannot be used",
                    self.port.node
                )));
            }
            take(wanted[at], &key, array)?;
            if last_line.elapsed() >= LINE_EVERY {
                say(&format!("{}/{} {}", at + 1, wanted.len(), key));
                last_line = Instant::now();
            }
        }
        Ok(())
    }
}

/// The value of a batch of one item, without the batch.
fn array_of(value: Value) -> Option<Array> {
    let (shape, data) = match value {
        Value::Frames(frames, lengths) => {
            let [_, time, width] = frames.dims();
            let valid = lengths.longest().min(time);
            (vec![valid, width], frames.narrow(1, 0, valid).into_data())
        }
        Value::Stack(stack, lengths) | Value::Samples(stack, lengths) => {
            let [layers, _, time, width] = stack.dims();
            let valid = lengths.longest().min(time);
            (vec![layers, valid, width], stack.narrow(2, 0, valid).into_data())
        }
        Value::Vector(vector) | Value::Logits(vector) => (vec![vector.dims()[1]], vector.into_data()),
        Value::Wave(..)
        | Value::Labels(_)
        | Value::Targets(_)
        | Value::Text(_)
        | Value::Tokens(_)
        | Value::Distribution(_)
        | Value::Presence(_)
        | Value::Scalar(..) => return None,
    };
    Array::new(shape, data.iter::<f32>().collect()).ok()
}

pub(super) fn failed(error: FeedError) -> Failure {
    match error {
        FeedError::Data(DataError::BadAudio { error, .. }) => Failure::Input(error.to_string()),
        error => Abort::Feed(error).into_failure(Path::new("")),
    }
}

fn unwritten(error: FeatureError) -> Failure {
    match error {
        FeatureError::Io { action, path, source } => Failure::Io { action, path, source },
        error => Failure::Input(error.to_string()),
    }
}
