//! What a trained run says of recordings: `emorun predict`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::activation::softmax;
use emorun_audio::{Segment, each_block};
use emorun_data::{AudioSource, Item, Items};
use emorun_lang::Section;
use emorun_nn::value::{PortId, Value, Values};
use emorun_nodes::network::{Network, Pass};

use super::embed::{TrainedRun, failed, found_in, item};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::Feed;
use emorun_engine::feed::host::HostPipeline;
use emorun_engine::feed::order::evaluation_batches;
use emorun_engine::train::StepNames;
use emorun_experiment::prepare::{Model, OnReport, Trial};
use emorun_metrics::Predicts;

/// Seconds of a bin of loudness.
const BIN_S: f64 = 0.01;

/// How a recording is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Length of a window in seconds.
    pub window_s: f64,
    /// From the start of one to that of the next, in seconds.
    pub hop_s: f64,
}

/// What to say something of, and how.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Recordings, and folders of which all recordings are taken.
    pub given: &'a [PathBuf],
    /// Windows of each recording; the whole of it where there are none.
    pub windows: Option<Windows>,
    /// Root mean square below which a stretch counts as silence, in dB relative to full scale.
    pub silence_db: f64,
    /// `path=value` arguments that change the run's file.
    pub sets: &'a [String],
    /// Whether nothing may be downloaded.
    pub offline: bool,
}

/// What a head says of a stretch of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A probability for each class, in the head's order.
    Classes(Vec<f32>),
    /// A number for each name, in the head's order.
    Numbers(Vec<f32>),
}

/// What was said of a stretch of a recording.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The recording.
    pub file: String,
    /// Where the stretch begins, in seconds.
    pub start_s: f64,
    /// Where it ends, in seconds.
    pub end_s: f64,
    /// Whether it is silence, of which the answers say little.
    pub silent: bool,
    /// One for each head, in the order of [`Predictions::heads`].
    pub answers: Vec<Answer>,
}

/// A head: its name, and what its numbers are.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Name of the node.
    pub name: String,
    /// What it predicts.
    pub predicts: Predicts,
    /// Its classes, or the names of its numbers.
    pub outputs: Vec<String>,
}

/// What was said of all recordings.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// The heads.
    pub heads: Vec<Head>,
    /// In the order of the recordings, and of time within each.
    pub stretches: Vec<Prediction>,
    /// Recordings that could not be used, and why.
    pub unusable: Vec<(String, String)>,
}

/// Says what a run's heads make of recordings.
///
/// # Errors
/// The run has no weights or is not made of what is there now, or nothing can be predicted without labels; a recording
/// that cannot be used is no error but listed.
pub fn predict(
    run: &TrainedRun,
    request: &Request<'_>,
    device: &Chosen,
    on_report: OnReport<'_>,
) -> Result<Predictions, Failure> {
    let mut unusable = Vec::new();
    let mut stretches = Vec::new();
    for path in found_in(request.given)? {
        match stretches_of(&path, request) {
            Ok(found) => stretches.extend(found),
            Err(reason) => unusable.push((path.display().to_string(), reason)),
        }
    }
    let of: Items = stretches.iter().map(|stretch| stretch.item.clone()).collect();
    let needed = |model: &Model, name: &str| wanted(model).1.contains(name);
    let model = run.model_for(&needed, &of, (request.sets, request.offline), on_report)?;
    let (heads, upstream) = wanted(&model);
    if heads.is_empty() {
        return Err(Failure::Usage(
            "the run has no head that predicts something of recordings without labels".into(),
        ));
    }
    let upstream_reads = model.streams(|node| upstream.contains(node));
    if let Some((stream, _)) = upstream_reads.first() {
        return Err(Failure::Usage(format!(
            "the run's heads follow from `data.{stream}`, which recordings alone do not have"
        )));
    }
    let network = run.network(&model, &upstream, device)?;
    let parts = || run.parts(&model, &network, &upstream, device);
    let rate_hz = f64::from(model.settings.sample_rate_hz);
    let shortest = stretches.iter().min_by(|a, b| a.seconds().total_cmp(&b.seconds()));
    if let Some(shortest) = shortest {
        let samples = (shortest.seconds() * rate_hz).round() as usize;
        let trial = Trial::new(&model, (&network, &device.device), parts()?, shortest.item.clone());
        if let Some((least, node)) = trial.least(samples) {
            let needs = model.needs(least, node.as_deref());
            let is_long = |stretch: &Stretch| (stretch.seconds() * rate_hz).round() as usize >= least;
            for stretch in stretches.iter().filter(|stretch| !is_long(stretch)) {
                let reason = format!("is too short ({:.4} s): {needs}", stretch.seconds());
                unusable.push((stretch.file.clone(), reason));
            }
            stretches.retain(is_long);
        }
    }
    let feed = Feed {
        pipeline: Arc::new(HostPipeline::new(model.settings.sample_rate_hz, parts()?, 0)),
        items: stretches.iter().map(|stretch| stretch.item.clone()).collect(),
        labels: model.label_ports().into(),
        workers: model.settings.training.loader.workers,
        ahead: model.settings.training.loader.ahead(),
    };
    let batch_size = model.settings.evaluation.batch_size;
    let answers = answers(&network, &feed, &heads, batch_size, device)?;
    let stretches = stretches.into_iter().zip(answers).map(|(stretch, answers)| Prediction {
        file: stretch.file,
        start_s: stretch.start_s,
        end_s: stretch.end_s,
        silent: stretch.silent,
        answers,
    });
    Ok(Predictions {
        heads,
        stretches: stretches.collect(),
        unusable,
    })
}

/// A stretch of a recording.
#[derive(Clone, Debug)]
struct Stretch {
    file: String,
    start_s: f64,
    end_s: f64,
    silent: bool,
    item: Item,
}

impl Stretch {
    fn seconds(&self) -> f64 {
        self.item.duration_s
    }
}

/// The heads that answer without labels, and all that they follow from.
fn wanted(model: &Model) -> (Vec<Head>, BTreeSet<String>) {
    let names = model.output_names();
    let mut upstream = BTreeSet::new();
    let mut heads = Vec::new();
    for (_, name, config) in model.nodes().filter(|(section, ..)| *section == Section::Heads) {
        let Some(predicts) = config.predicts() else { continue };
        let is_run = model
            .plan()
            .running(emorun_lang::Schedule::Predict)
            .any(|node| node.name == name);
        if !is_run {
            continue;
        }
        upstream.extend(model.upstream(name));
        heads.push(Head {
            name: name.to_owned(),
            predicts,
            outputs: names.get(name).cloned().unwrap_or_default(),
        });
    }
    (heads, upstream)
}

/// The stretches of a recording, which is decoded to its end before anything is computed; or why it cannot be used.
fn stretches_of(path: &Path, request: &Request<'_>) -> Result<Vec<Stretch>, String> {
    let whole = item(path).map_err(|failure| failure.to_string())?;
    let loudness = Loudness::of(path)?;
    let duration_s = whole.duration_s;
    let file = path.display().to_string();
    let places = match request.windows {
        Some(windows) => windows.over(duration_s),
        None => vec![(0.0, duration_s)],
    };
    let is_whole = |start_s: f64, end_s: f64| start_s == 0.0 && end_s == duration_s;
    Ok(places
        .into_iter()
        .map(|(start_s, end_s)| {
            let mut item = whole.clone();
            if let AudioSource::File { segment, .. } = &mut item.audio
                && !is_whole(start_s, end_s)
            {
                *segment = Some(Segment { start_s, end_s });
                item.key = format!("{file}#{start_s}-{end_s}").into();
                item.duration_s = end_s - start_s;
                // What is kept by content is so by the whole file's.
                item.content = None;
            }
            Stretch {
                file: file.clone(),
                start_s,
                end_s,
                silent: loudness.db(start_s, end_s) < request.silence_db,
                item,
            }
        })
        .collect())
}

impl Windows {
    /// Where the windows of a recording begin and end: from its start on, and a last one that ends with it.
    pub fn over(self, duration_s: f64) -> Vec<(f64, f64)> {
        let Self { window_s, hop_s } = self;
        if duration_s <= window_s {
            return vec![(0.0, duration_s)];
        }
        let last = ((duration_s - window_s) / hop_s).floor() as usize;
        let mut places: Vec<(f64, f64)> = (0..=last)
            .map(|at| (at as f64 * hop_s, at as f64 * hop_s + window_s))
            .collect();
        // What is left at the end is heard too.
        if duration_s - (last as f64 * hop_s + window_s) > BIN_S {
            places.push((duration_s - window_s, duration_s));
        }
        places
    }
}

/// Mean squares of a recording, in bins of a hundredth of a second.
struct Loudness(Vec<f64>);

impl Loudness {
    fn of(path: &Path) -> Result<Self, String> {
        let failed = |error: emorun_audio::AudioError| error.to_string();
        let info = emorun_audio::probe(path).map_err(failed)?;
        let bin = ((f64::from(info.rate_hz) * BIN_S) as usize * usize::from(info.channels)).max(1);
        let (mut bins, mut sum, mut count) = (Vec::new(), 0.0, 0);
        each_block(path, None, &mut |block| {
            for &sample in block {
                sum += f64::from(sample) * f64::from(sample);
                count += 1;
                if count == bin {
                    bins.push(sum / bin as f64);
                    (sum, count) = (0.0, 0);
                }
            }
        })
        .map_err(failed)?;
        if count > 0 {
            bins.push(sum / count as f64);
        }
        Ok(Self(bins))
    }

    /// Root mean square of a stretch in dB relative to full scale.
    fn db(&self, start_s: f64, end_s: f64) -> f64 {
        let first = ((start_s / BIN_S) as usize).min(self.0.len().saturating_sub(1));
        let end = ((end_s / BIN_S).ceil() as usize).clamp(first + 1, self.0.len().max(first + 1));
        let bins = self.0.get(first..end.min(self.0.len())).unwrap_or_default();
        10.0 * (bins.iter().sum::<f64>() / bins.len().max(1) as f64).log10()
    }
}

/// What each head says of each item, in batches as evaluation has them.
fn answers(
    network: &Network,
    feed: &Feed,
    heads: &[Head],
    batch_size: usize,
    device: &Chosen,
) -> Result<Vec<Vec<Answer>>, Failure> {
    let durations_s = feed.items.durations_s();
    let all: Vec<usize> = (0..feed.items.len()).collect();
    let mut answers: Vec<Vec<Answer>> = vec![Vec::new(); all.len()];
    let names = StepNames::new(0);
    for batch in feed.load(evaluation_batches(&all, batch_size, |item| durations_s[item])) {
        let batch = batch.map_err(failed)?;
        let members = batch.items.clone();
        let keys = batch.keys();
        let mut values = feed.values(batch, network, &device.device).map_err(failed)?;
        emorun_kernels::on_cores(&device.device, || {
            network.forward(Pass::Predict, &mut values, &names.evaluation(keys))
        })
        .map_err(|error| Failure::Bug(error.to_string()))?;
        for head in heads {
            let rows = rows_of(&values, head)?;
            for (&item, row) in members.iter().zip(rows) {
                if !row.iter().all(|number| number.is_finite()) {
                    let name = feed.items.get(item)?.display_path();
                    return Err(Failure::Diverged(format!(
                        "`{}` gives numbers that are not finite for {name}: its weights, or this recording, cannot be used",
                        head.name
                    )));
                }
                answers[item].push(match head.predicts {
                    Predicts::Classes => Answer::Classes(row),
                    Predicts::Numbers => Answer::Numbers(row),
                });
            }
        }
    }
    Ok(answers)
}

/// What a head gives, a row an item: probabilities of classes, or numbers.
fn rows_of(values: &Values, head: &Head) -> Result<Vec<Vec<f32>>, Failure> {
    let given = match values.get(&PortId::new(&head.name, "")) {
        Some(Value::Logits(logits)) => softmax(logits.clone(), 1),
        Some(Value::Vector(numbers)) => numbers.clone(),
        _ => return Err(Failure::Bug(format!("`{}` gave nothing", head.name))),
    };
    let [_, width] = given.dims();
    let numbers: Vec<f32> = given.into_data().iter::<f32>().collect();
    Ok(numbers.chunks_exact(width.max(1)).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_recording_to_its_end() {
        let windows = Windows {
            window_s: 3.0,
            hop_s: 1.0,
        };
        assert_eq!(windows.over(2.5), [(0.0, 2.5)]);
        assert_eq!(windows.over(3.0), [(0.0, 3.0)]);
        assert_eq!(windows.over(5.0), [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]);
        assert_eq!(windows.over(4.5), [(0.0, 3.0), (1.0, 4.0), (1.5, 4.5)]);
        let far = Windows {
            window_s: 1.0,
            hop_s: 4.0,
        };
        assert_eq!(far.over(6.0), [(0.0, 1.0), (4.0, 5.0), (5.0, 6.0)]);
    }

    #[test]
    fn loudness_is_that_of_the_stretch() {
        let loudness = Loudness(vec![1e-12, 1e-12, 0.25, 0.25]);
        assert!((loudness.db(0.0, 0.02) + 120.0).abs() < 1e-9);
        assert!((loudness.db(0.02, 0.04) - 10.0 * 0.25f64.log10()).abs() < 1e-9);
        assert!((loudness.db(0.0, 0.04) - 10.0 * 0.125f64.log10()).abs() < 1e-6);
    }
}
