//! A run's network, put to the items of a side under a condition.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use emorun_data::{Items, SplitName};
use indexmap::IndexMap;

use super::{Request, Sides, UnderItems, conditions, heard};
use crate::run::embed::refuse_too_short;
use crate::run::trained::{ChosenWeights, TrainedRun};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::Feed;
use emorun_engine::feed::augment::Augmentations;
use emorun_engine::feed::host::{HostParts, HostPipeline};
use emorun_engine::train::StepNames;
use emorun_engine::train::evaluate::evaluate;
use emorun_engine::train::result::SplitResult;
use emorun_experiment::prepare::Model;
use emorun_nodes::network::Network;
use emorun_nodes::parameters::{self, NamedTensors};

/// A run's network with its weights.
pub(super) struct Tested<'a> {
    run: &'a TrainedRun,
    model: &'a Model,
    network: Network,
    device: &'a Chosen,
}

impl<'a> Tested<'a> {
    /// What is predicted of the items under each condition of the grid, with what they are under it.
    ///
    /// # Errors
    /// As [`Self::on`]; a beginning is too short for the model.
    pub(super) fn under(
        &self,
        request: &Request,
        all: &Items,
        sides: &Sides,
        noise: Option<&conditions::Noise>,
    ) -> Result<Vec<UnderItems>, Failure> {
        let mut under = Vec::new();
        for asked in request.grid.conditions() {
            let items = match asked.0.heard_s {
                Some(seconds) => {
                    let items = heard::beginnings(self.model, all, seconds)?;
                    self.refuse_too_short(&items)?;
                    items
                }
                None => all.clone(),
            };
            let changes = request
                .grid
                .changes_of(&asked, noise, self.model.settings.sample_rate_hz)?;
            let splits = self.on(&items, sides, changes)?;
            under.push((asked.0, items, splits));
        }
        Ok(under)
    }

    pub(super) fn new(
        run: &'a TrainedRun,
        model: &'a Model,
        (chosen, weights): (&ChosenWeights, NamedTensors),
        counts: &HashMap<String, Vec<usize>>,
        device: &'a Chosen,
    ) -> Result<Self, Failure> {
        let autodiff = device.device.clone().autodiff();
        let network = Network::build(model.wired()?, counts, &model.facts, run.seed, &autodiff)?;
        let mut network = network.with_precision(model.settings.precision);
        parameters::restore(&mut network, weights).map_err(|message| Failure::Corrupt {
            path: chosen.path.clone(),
            message,
        })?;
        Ok(Self {
            run,
            model,
            network: network.without_autodiff(),
            device,
        })
    }

    pub(super) fn parts(&self) -> Result<HostParts, Failure> {
        self.model.plain_host_parts(self.run.seed, self.device.kind())
    }

    /// Refuses items of which nothing would be left; those that the run was trained with were tried before.
    pub(super) fn refuse_too_short(&self, items: &Items) -> Result<(), Failure> {
        refuse_too_short(self.model, (&self.network, &self.device.device), self.parts()?, items)
    }

    /// What it says of each side, of items that are changed so.
    pub(super) fn on(
        &self,
        items: &Items,
        sides: &Sides,
        changes: Augmentations,
    ) -> Result<IndexMap<SplitName, SplitResult>, Failure> {
        let settings = &self.model.settings;
        let loader = &settings.training.loader;
        let mut parts = self.parts()?;
        if changes.evaluated.is_some() {
            // What is kept is of recordings as they are.
            parts.cache = None;
            parts.augmentations = changes;
        }
        let feed = Feed {
            pipeline: Arc::new(HostPipeline::new(settings.sample_rate_hz, parts, 0)),
            items: items.clone(),
            labels: self.model.label_ports().into(),
            workers: loader.workers,
            ahead: loader.ahead(),
        };
        let names = StepNames::new(self.run.seed);
        let side = |(side, items): &(SplitName, Vec<usize>)| {
            let result = evaluate(&self.network, &feed, items, settings, &names, &self.device.device);
            let within = format!("evaluation on {side}");
            let result = result.map_err(|abort| abort.within(&within).into_failure(Path::new("")))?;
            Ok((*side, result))
        };
        sides.iter().map(side).collect()
    }
}
