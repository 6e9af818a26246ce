//! A trained run, loaded once and asked again and again: what `predict`, `live` and `serve` use.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use emorun_audio::Clip;
use emorun_data::{AudioSource, Item, Items};
use emorun_lang::{Schedule, Section};
use emorun_metrics::Predicts;
use emorun_nn::value::{PortId, Value, Values};
use emorun_nodes::network::{Network, Pass};
use emorun_recognise::{Answer, Head, Recogniser, RecogniserError};

use super::embed::{failed, unlabelled};
use super::evaluated;
use super::trained::TrainedRun;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::Feed;
use emorun_engine::feed::host::{HostParts, HostPipeline};
use emorun_engine::feed::order::evaluation_batches;
use emorun_engine::train::StepNames;
use emorun_experiment::prepare::{Model, OnReport, Trial};

/// Trained runs of one experiment that are ready to answer together: one run, or the members of one, of whose
/// probabilities and numbers the mean is taken.
#[derive(Debug)]
pub struct Predictor {
    members: Vec<Member>,
    name: String,
    shortest: usize,
}

/// Where the sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In files, which threads decode ahead.
    Files,
    /// In memory.
    Memory,
}

/// One trained run.
#[derive(Debug)]
struct Member {
    run: TrainedRun,
    model: Model,
    network: Network,
    pipeline: Arc<HostPipeline>,
    heads: Vec<Head>,
    /// Nodes that the heads follow from, themselves among them.
    upstream: BTreeSet<String>,
    /// Step of the weights.
    step: u64,
    device: Chosen,
}

impl Predictor {
    /// A predictor of sound that is in memory, by these runs together.
    ///
    /// # Errors
    /// A run has no weights or is not made of what is there now, nothing can be predicted of sound alone, or the runs
    /// do not answer alike.
    pub fn open(
        runs: &[TrainedRun],
        changes: (&[String], bool),
        device: &Chosen,
        on_report: OnReport<'_>,
    ) -> Result<Self, Failure> {
        let mut predictor = Self::for_items(runs, &Items::default(), changes, device, on_report)?;
        for member in &predictor.members {
            member.refuse_files()?;
        }
        let probe = in_memory(String::new(), predictor.rate_hz(), &[0.0]);
        predictor.shortest = predictor.least(&probe)?.map_or(1, |(least, _)| least);
        Ok(predictor)
    }

    /// A predictor of some items, of which features are looked up where nodes read them from files.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn for_items(
        runs: &[TrainedRun],
        items: &Items,
        changes: (&[String], bool),
        device: &Chosen,
        on_report: OnReport<'_>,
    ) -> Result<Self, Failure> {
        let members = runs
            .iter()
            .map(|run| Member::new(run, items, changes, device, on_report));
        let mut members: Vec<Member> = members.collect::<Result<_, _>>()?;
        if let [alone] = &mut members[..] {
            // The mean of several is another model than those that temperatures were fitted to.
            alone.calibrate();
        }
        let first = members
            .first()
            .ok_or_else(|| Failure::Usage("no run is given".into()))?;
        let is_alike = |other: &Member| other.heads == first.heads && other.rate_hz() == first.rate_hz();
        if let Some(other) = members.iter().find(|other| !is_alike(other)) {
            return Err(Failure::Usage(format!(
                "{} and {} have other heads, classes or sample rates, so that no mean of their answers can be taken",
                first.run.dir.display(),
                other.run.dir.display()
            )));
        }
        Ok(Self {
            name: first.run.label(),
            members,
            shortest: 1,
        })
    }

    /// How many samples so many seconds are.
    pub(super) fn samples(&self, seconds: f64) -> usize {
        (seconds * f64::from(self.rate_hz())).round() as usize
    }

    /// The least number of samples that all networks take, with what needs them, if one does not take this item.
    ///
    /// # Errors
    /// What is computed on the host cannot be made ready.
    pub(super) fn least(&self, item: &Item) -> Result<Option<(usize, String)>, Failure> {
        let samples = self.samples(item.duration_s);
        let of_each = self.members.iter().map(|member| member.least(item, samples));
        let of_each: Vec<_> = of_each.collect::<Result<_, _>>()?;
        Ok(of_each.into_iter().flatten().max_by_key(|(least, _)| *least))
    }

    /// What each head says of each item, in batches as evaluation has them: `[item][head]`.
    ///
    /// # Errors
    /// An item cannot be read, or a head gives numbers that are not finite.
    pub(super) fn answers(&self, items: &Items, source: Source) -> Result<Vec<Vec<Answer>>, Failure> {
        let answers = |member: &Member| member.answers(items.clone(), source);
        let mut of_members = self.members.iter().map(answers);
        let mut sum = of_members.next().unwrap_or_else(|| Ok(Vec::new()))?;
        for answers in of_members {
            for (sum, answer) in sum.iter_mut().flatten().zip(answers?.iter().flatten()) {
                for (sum, number) in numbers_mut(sum).iter_mut().zip(numbers(answer)) {
                    *sum += number;
                }
            }
        }
        if self.members.len() > 1 {
            let count = self.members.len() as f32;
            for number in sum.iter_mut().flatten().flat_map(numbers_mut) {
                *number /= count;
            }
        }
        Ok(sum)
    }
}

fn numbers(answer: &Answer) -> &[f32] {
    match answer {
        Answer::Classes(numbers) | Answer::Numbers(numbers) => numbers,
    }
}

fn numbers_mut(answer: &mut Answer) -> &mut Vec<f32> {
    match answer {
        Answer::Classes(numbers) | Answer::Numbers(numbers) => numbers,
    }
}

impl Member {
    fn new(
        run: &TrainedRun,
        items: &Items,
        changes: (&[String], bool),
        device: &Chosen,
        on_report: OnReport<'_>,
    ) -> Result<Self, Failure> {
        let needed = |model: &Model, name: &str| wanted(model).1.contains(name);
        let model = run.model_for(&needed, items, changes, on_report)?;
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
        let (network, weights) = run.network(&model, &upstream, device)?;
        let parts = run.parts(&model, &network, &upstream, device)?;
        Ok(Self {
            pipeline: Arc::new(HostPipeline::new(model.settings.sample_rate_hz, parts, 0)),
            run: run.clone(),
            model,
            network,
            heads,
            upstream,
            step: weights.map_or(0, |weights| weights.step),
            device: device.clone(),
        })
    }

    fn rate_hz(&self) -> u32 {
        self.model.settings.sample_rate_hz
    }

    /// Takes the temperatures that were fitted to the weights in use.
    fn calibrate(&mut self) {
        let temperatures = evaluated::temperatures(&self.run.dir, self.step);
        for head in &mut self.heads {
            head.temperature = temperatures.get(&head.name).copied();
        }
    }

    /// Refuses a model that reads features from files: sound alone has none.
    fn refuse_files(&self) -> Result<(), Failure> {
        let mut nodes = self.model.nodes();
        let reads = nodes.find(|(_, name, config)| self.upstream.contains(*name) && config.feature_files().is_some());
        match reads {
            Some((_, name, _)) => Err(Failure::Usage(format!(
                "the run's heads follow from `{name}`, which reads features from files: sound alone has none"
            ))),
            None => Ok(()),
        }
    }

    fn least(&self, item: &Item, samples: usize) -> Result<Option<(usize, String)>, Failure> {
        let parts: HostParts = self
            .run
            .parts(&self.model, &self.network, &self.upstream, &self.device)?;
        let trial = Trial::new(&self.model, (&self.network, &self.device.device), parts, item.clone());
        let least = trial.least(samples);
        Ok(least.map(|(least, node)| (least, self.model.needs(least, node.as_deref()))))
    }

    fn answers(&self, items: Items, source: Source) -> Result<Vec<Vec<Answer>>, Failure> {
        let loader = &self.model.settings.training.loader;
        let feed = Feed {
            pipeline: self.pipeline.clone(),
            items,
            labels: self.model.label_ports().into(),
            workers: loader.workers,
            ahead: loader.ahead(),
        };
        let durations_s = feed.items.durations_s();
        let all: Vec<usize> = (0..feed.items.len()).collect();
        let batch_size = self.model.settings.evaluation.batch_size;
        let mut answers: Vec<Vec<Answer>> = vec![Vec::new(); all.len()];
        let names = StepNames::new(0);
        let batches = evaluation_batches(&all, batch_size, |item| durations_s[item]);
        let batches: Box<dyn Iterator<Item = _>> = match source {
            Source::Files => Box::new(feed.load(batches)),
            Source::Memory => Box::new(feed.load_here(batches)),
        };
        for batch in batches {
            let batch = batch.map_err(failed)?;
            let members = batch.items.clone();
            let keys = batch.keys();
            let device = &self.device.device;
            let mut values = feed.values(batch, &self.network, device).map_err(failed)?;
            emorun_kernels::on_cores(device, || {
                self.network
                    .forward(Pass::Predict, &mut values, &names.evaluation(keys))
            })
            .map_err(|error| Failure::Bug(error.to_string()))?;
            for head in &self.heads {
                for (&item, row) in members.iter().zip(rows_of(&values, head)?) {
                    if !row.iter().all(|number| number.is_finite()) {
                        let name = feed.items.get(item)?.display_path();
                        return Err(Failure::Diverged(format!(
                            "`{}` gives numbers that are not finite for {name}: its weights, or this recording, cannot be used",
                            head.name
                        )));
                    }
                    answers[item].push(match head.predicts {
                        Predicts::Classes => Answer::Classes(row),
                        Predicts::Numbers | Predicts::Frames => Answer::Numbers(row),
                    });
                }
            }
        }
        Ok(answers)
    }
}

impl Recogniser for Predictor {
    fn name(&self) -> &str {
        &self.name
    }

    fn rate_hz(&self) -> u32 {
        self.members.first().map_or(0, Member::rate_hz)
    }

    fn heads(&self) -> &[Head] {
        self.members.first().map_or(&[], |member| &member.heads)
    }

    fn shortest(&self) -> usize {
        self.shortest
    }

    fn recognise(&mut self, clips: &[&[f32]]) -> Result<Vec<Vec<Answer>>, RecogniserError> {
        let rate_hz = self.rate_hz();
        for clip in clips {
            if clip.len() < self.shortest {
                return Err(RecogniserError::TooShort {
                    samples: clip.len(),
                    shortest: self.shortest,
                    rate_hz,
                });
            }
            if let Some(at) = clip.iter().position(|sample| !sample.is_finite()) {
                return Err(RecogniserError::NotFinite { at });
            }
        }
        let clips = clips.iter().enumerate();
        let items = clips.map(|(at, clip)| in_memory(format!("clip {}", at + 1), rate_hz, clip));
        self.answers(&items.collect(), Source::Memory)
            .map_err(|failure| RecogniserError::Model(failure.to_string()))
    }
}

/// Sound in memory as an item.
fn in_memory(key: String, rate_hz: u32, samples: &[f32]) -> Item {
    let clip = Clip {
        samples: samples.to_vec(),
        rate_hz,
    };
    let duration_s = clip.duration_s();
    unlabelled(key, AudioSource::Samples(Arc::new(clip)), duration_s)
}

/// The heads that answer without labels, and all that they follow from.
pub(super) fn wanted(model: &Model) -> (Vec<Head>, BTreeSet<String>) {
    let names = model.output_names();
    let mut upstream = BTreeSet::new();
    let mut heads = Vec::new();
    for (_, name, config) in model.nodes().filter(|(section, ..)| *section == Section::Heads) {
        // What is said of each frame is no row.
        let Some(predicts) = config.predicts().filter(|predicts| *predicts != Predicts::Frames) else {
            continue;
        };
        if !model.plan().running(Schedule::Predict).any(|node| node.name == name) {
            continue;
        }
        upstream.extend(model.upstream(name));
        heads.push(Head {
            name: name.to_owned(),
            predicts,
            outputs: names.get(name).cloned().unwrap_or_default(),
            temperature: None,
        });
    }
    (heads, upstream)
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
