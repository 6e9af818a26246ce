//! A trained run whose weights are used: found, opened, made a network again.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emorun_data::Items;

use super::bundle;
use super::dir::read_json;
use super::embed::without_run;
use super::record::{RunRecord, Status};
pub use super::weights::WhichWeights;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::host::HostParts;
use emorun_engine::train::checkpoint::Store;
use emorun_engine::train::state::Best;
use emorun_experiment::prepare::{Model, OnReport, Stored};
use emorun_nn::value::PortId;
use emorun_nodes::network::{Needed, Network, Wired};
use emorun_nodes::parameters::{self, NamedTensors};

/// Weights of a run, and where they come from.
#[derive(Clone, Debug)]
pub struct ChosenWeights {
    /// Which they are.
    pub which: WhichWeights,
    /// Step of their checkpoint.
    pub step: u64,
    /// Epoch after which they were best; `None` for the last.
    pub best_epoch: Option<u64>,
    /// How that was chosen.
    pub(super) best: Option<Best>,
    pub(super) path: PathBuf,
}

/// A run whose weights are used.
#[derive(Clone, Debug)]
pub struct TrainedRun {
    pub(super) dir: PathBuf,
    pub(super) seed: u64,
    pub(super) record: RunRecord,
    /// `path=value` arguments that say where what it is made of lies now.
    own_sets: Vec<String>,
}

impl TrainedRun {
    /// All that a path names to be put to use together: a run, the members of one, or what is in a bundle.
    ///
    /// # Errors
    /// It is none of these, a bundle that cannot be used, or a run with members that have not come to their end.
    pub fn open_all(path: &Path) -> Result<Vec<Self>, Failure> {
        if path.is_file() {
            let unpacked = bundle::unpack(path)?;
            let member = |(dir, own_sets): (PathBuf, Vec<String>)| {
                Ok(Self {
                    own_sets,
                    ..Self::open(&dir)?
                })
            };
            return unpacked.into_iter().map(member).collect();
        }
        let record = path.join("run.json");
        if !record.is_file() {
            return Ok(vec![Self::open(path)?]);
        }
        let record: RunRecord = read_json(&record)?;
        if record.seed.is_some() || record.members.is_empty() {
            return Ok(vec![Self::open(path)?]);
        }
        let members = record.members.iter().map(|member| {
            let run = Self::open(&path.join(member))?;
            match run.record.status {
                Status::Completed => Ok(run),
                status => Err(Failure::Conflict(format!(
                    "{} is {status}: a run is used with all of its members; continue it with: emorun resume {}, or name one member",
                    run.dir.display(),
                    path.display()
                ))),
            }
        });
        members.collect()
    }

    /// Name of its experiment and label.
    pub(super) fn label(&self) -> String {
        let label = self.dir.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{label}", self.record.name)
    }

    /// The run in a directory.
    ///
    /// # Errors
    /// It is no run, or one of several members.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let record = dir.join("run.json");
        if !record.is_file() {
            return Err(Failure::Usage(format!(
                "{} is no run directory: it has no run.json",
                dir.display()
            )));
        }
        let record: RunRecord = read_json(&record)?;
        match (record.seed, record.members.first().cloned()) {
            (Some(seed), _) => Ok(Self {
                dir: dir.to_owned(),
                seed,
                record,
                own_sets: Vec::new(),
            }),
            (None, Some(first)) => Err(Failure::Usage(format!(
                "{} is a run of {} members, each with weights of its own; name one of them, such as {}",
                dir.display(),
                record.members.len(),
                dir.join(first).display()
            ))),
            (None, None) => Err(Failure::Usage(format!("{} has not started", dir.display()))),
        }
    }

    /// The run's model, to be used on recordings that need not be of its corpora, as far as a node needs it.
    ///
    /// # Errors
    /// Something that it is made of is not there any more, or has changed; `on_report` has heard of mistakes.
    pub fn model(
        &self,
        node: &str,
        items: &Items,
        (sets, offline): (&[String], bool),
        on_report: OnReport<'_>,
    ) -> Result<Model, Failure> {
        let (node, _) = node.split_once('.').unwrap_or((node, ""));
        let needed = |model: &Model, name: &str| model.upstream(node).contains(name);
        self.model_for(&needed, items, (sets, offline), on_report)
    }

    /// As [`Self::model`], for the nodes that `needed` says so of, by name.
    pub(super) fn model_for(
        &self,
        needed: &dyn Fn(&Model, &str) -> bool,
        items: &Items,
        (sets, offline): (&[String], bool),
        on_report: OnReport<'_>,
    ) -> Result<Model, Failure> {
        let sets: Vec<String> = self.own_sets.iter().chain(sets).cloned().collect();
        let stored = Stored {
            classes: &self.record.classes,
            sets: &sets,
            offline,
        };
        Model::load(&self.dir.join("resolved.yaml"), stored, items, needed, on_report)
    }

    /// The run's network up to some nodes, with its weights, and which these are; refuses a model that is not made of what
    /// the run was.
    pub(super) fn network(
        &self,
        model: &Model,
        upstream: &BTreeSet<String>,
        device: &Chosen,
    ) -> Result<(Network, Option<ChosenWeights>), Failure> {
        self.record
            .check_identity(model, |node| upstream.contains(node), &self.dir)?;
        network(model, Some(self), upstream, self.seed, device)
    }

    /// What is computed on the host for the run's network up to some nodes.
    pub(super) fn parts(
        &self,
        model: &Model,
        network: &Network,
        upstream: &BTreeSet<String>,
        device: &Chosen,
    ) -> Result<HostParts, Failure> {
        parts_upstream(model, network, upstream, (self.seed, device.kind()))
    }

    /// The weights asked for, or those that the run is measured with, or else the newest.
    pub(super) fn chosen(
        &self,
        model: &Model,
        asked: Option<WhichWeights>,
    ) -> Result<(ChosenWeights, NamedTensors), Failure> {
        let store = Store {
            run: self.record.id.clone(),
            ..Store::in_folder(self.dir.join("checkpoints"))
        };
        let newest = store.read_newest(|warning| tracing::warn!("{warning}"))?;
        let newest = newest.ok_or_else(|| {
            Failure::Input(format!(
                "{} has no checkpoint, so that there are no weights; continue it with: emorun resume {0}, or put its folder `checkpoints` back",
                self.dir.display()
            ))
        })?;
        let last = newest.state.step;
        let best = newest.state.best.clone();
        let chosen = |which, step, best_epoch: Option<u64>| ChosenWeights {
            which,
            step,
            best_epoch,
            best: best.clone().filter(|_| best_epoch.is_some()),
            path: store.path_of(step),
        };
        let usual = model.settings.evaluation.weights.map(WhichWeights::from);
        match (asked.or(usual), best.clone()) {
            (Some(WhichWeights::Averaged), _) => match newest.average {
                Some(average) => Ok((chosen(WhichWeights::Averaged, last, None), average)),
                None => Err(Failure::Usage(format!(
                    "{} keeps no average of its weights, as `training.average` asks for; use --weights last",
                    self.dir.display()
                ))),
            },
            (Some(WhichWeights::Raw), _) => Ok((chosen(WhichWeights::Raw, last, None), newest.weights)),
            // Of one that still goes on nothing may have been measured yet.
            (Some(WhichWeights::Last), _) | (_, None) if asked != Some(WhichWeights::Best) => {
                Ok((chosen(WhichWeights::Last, last, None), newest.into_weights()))
            }
            (_, Some(best)) => {
                let weights = match best.step == last {
                    true => newest.into_weights(),
                    false => store.read(best.step)?.into_weights(),
                };
                Ok((chosen(WhichWeights::Best, best.step, Some(best.epoch)), weights))
            }
            (_, None) => Err(Failure::Usage(format!(
                "{} has no best weights: they are chosen on a validation side, after an epoch; use --weights last",
                self.dir.display()
            ))),
        }
    }
}

/// The device nodes upstream, with the weights of the run.
pub(super) fn network(
    model: &Model,
    run: Option<&TrainedRun>,
    upstream: &BTreeSet<String>,
    seed: u64,
    device: &Chosen,
) -> Result<(Network, Option<ChosenWeights>), Failure> {
    let wired: Arc<[Wired]> = model
        .wired()?
        .iter()
        .filter(|node| upstream.contains(&node.name))
        .map(|node| Wired {
            needed: Needed {
                predict: true,
                ..Needed::default()
            },
            ..node.clone()
        })
        .collect();
    // Classes are counted for losses alone.
    let counts = HashMap::new();
    let autodiff = device.device.clone().autodiff();
    let mut network =
        Network::build(wired, &counts, &model.facts, seed, &autodiff)?.with_precision(model.settings.precision);
    let mut used = None;
    match run {
        Some(run) => {
            let (chosen, mut weights) = run.chosen(model, None)?;
            weights.retain(|name, _| name.split('.').next().is_some_and(|node| upstream.contains(node)));
            parameters::restore(&mut network, weights).map_err(|message| Failure::Corrupt {
                path: chosen.path.clone(),
                message,
            })?;
            used = Some(chosen);
        }
        None => {
            if let Some(&index) = network.fitted_nodes().first() {
                let node = &network.wired()[index].name;
                return Err(without_run(node, "takes statistics of the training items"));
            }
        }
    }
    Ok((network.without_autodiff(), used))
}

/// What is computed on the host for these nodes.
pub(super) fn parts_upstream(
    model: &Model,
    network: &Network,
    upstream: &BTreeSet<String>,
    (seed, device): (u64, &str),
) -> Result<HostParts, Failure> {
    let mut parts = model.plain_host_parts(seed, device)?;
    parts.steps.retain(|step| upstream.contains(&step.output.node));
    parts.cached.retain(|node| upstream.contains(&node.name));
    let reads = |wanted: &PortId| {
        let mut inputs = network.wired().iter().flat_map(|node| &node.inputs);
        inputs.any(|(_, from, _)| from == wanted)
    };
    parts.wanted.retain(|wanted| reads(wanted));
    Ok(parts)
}
