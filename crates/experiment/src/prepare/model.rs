//! A model: what of an experiment its network follows from, without the corpora that it was trained on.

use std::path::{Path, PathBuf};

use emorun_data::{DatasetConfig, Items};
use emorun_lang::{Draft, Experiment, Report, Section, Signal, Sources, load};
use indexmap::IndexMap;
use serde_json::Value;

use super::{
    Depth, ExperimentDraft, OnReport, Prepared, add_weights_errors, features, gather, language, policies, read_text,
    rejected, with_classes,
};
use crate::checkpoints::Search;
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_nn::facts::Facts;
use emorun_nodes::kinds::NodeConfig;

/// What the network of an experiment follows from: its settings, its plan, and what is known of its checkpoints. A
/// trained run is used by this and by its weights; [`Prepared`] is it with its corpora.
#[derive(Debug)]
pub struct Model {
    /// Settings with every default.
    pub settings: Settings,
    /// The experiment with every default and absolute paths.
    pub resolved: Value,
    /// What is known of checkpoints.
    pub facts: Facts,
    /// Folder of what can be computed again; `None` keeps nothing.
    pub cache: Option<PathBuf>,
    pub(super) experiment: Experiment<Settings, NodeConfig>,
}

/// What a run says of its model beside its `resolved.yaml`.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Names of the classes of each label column, in the order of their numbers.
    pub classes: &'a IndexMap<String, Vec<String>>,
    /// `path=value` arguments that change the file.
    pub sets: &'a [String],
    /// Whether nothing may be downloaded.
    pub offline: bool,
}

impl std::ops::Deref for Prepared {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

/// The corpora of an experiment.
pub(super) fn datasets_of(draft: &ExperimentDraft) -> IndexMap<String, DatasetConfig> {
    draft
        .configs(Section::Datasets)
        .filter_map(|(name, config)| Some((name.to_owned(), config.dataset()?.clone())))
        .collect()
}

impl Model {
    /// The model of an experiment that was checked.
    pub(super) fn new(experiment: Experiment<Settings, NodeConfig>, facts: Facts, cache: Option<PathBuf>) -> Self {
        Self {
            settings: experiment.settings.clone(),
            resolved: experiment.resolved.clone(),
            facts,
            cache,
            experiment,
        }
    }

    /// The model of a run by its `resolved.yaml`, for recordings that need not be of its corpora: these are not looked
    /// for. Pretrained weights are found and read as for training; features of recordings are looked up in the files
    /// that `precomputed` nodes name, as far as `needed`, which says so of nodes by name.
    ///
    /// # Errors
    /// The file, weights, models or features cannot be used; `on_report` has heard why.
    pub fn load(
        resolved: &Path,
        stored: Stored<'_>,
        items: &Items,
        needed: &dyn Fn(&Self, &str) -> bool,
        on_report: OnReport<'_>,
    ) -> Result<Self, Failure> {
        let (mut sources, mut report) = (Sources::new(), Report::new());
        let path = resolved.to_string_lossy();
        let tree = load(&path, stored.sets, &mut read_text, &mut sources, &mut report);
        let Some(tree) = tree else {
            report.sort();
            on_report(&report, &sources);
            return Err(rejected(&report));
        };
        let cache = crate::folders::cache();
        let language = language()?;
        let draft = language.read(tree.clone(), &mut report);
        let (facts, unusable) = gather(&draft, Search::Fetch, stored.offline, cache.as_deref());
        add_weights_errors(&draft, &unusable, &tree, &mut report);
        let ports = stored.ports(&draft)?;
        let finish = |draft: Draft<Settings, NodeConfig>, facts: &Facts, report: Report| {
            let run_ports = policies::run_ports(&draft);
            draft.finish(&ports, &run_ports, facts, report)
        };
        let (experiment, mut report) = match finish(draft, &facts, report) {
            Ok(finished) => finished,
            Err(report) => {
                on_report(&report, &sources);
                return Err(rejected(&report));
            }
        };
        let mut model = Self::new(experiment, facts, cache);
        let draft = language.read(tree.clone(), &mut Report::new());
        let is_needed = |name: &str| needed(&model, name);
        let mut facts = model.facts.clone();
        let mistakes = features::gather(
            &draft,
            &is_needed,
            items,
            Depth::Metadata,
            &mut facts,
            &tree,
            &mut report,
        );
        #[cfg(feature = "onnx")]
        let mistakes = mistakes + super::models::gather(&draft, model.plan(), &mut facts, &tree, &mut report);
        if mistakes > 0 {
            report.sort();
            on_report(&report, &sources);
            return Err(Failure::Rejected { mistakes, data: true });
        }
        model.facts = facts;
        Ok(model)
    }

    /// Ports of `data` at which classes stand.
    pub fn label_ports(&self) -> Vec<String> {
        let ports = self.plan().data().iter();
        ports
            .filter(|(_, signal)| matches!(signal, Signal::Labels { .. }))
            .map(|(port, _)| port.clone())
            .collect()
    }
}

impl Stored<'_> {
    /// What stood at the ports of `data`.
    fn ports(&self, draft: &ExperimentDraft) -> Result<Vec<(String, Signal)>, Failure> {
        let rate_hz = draft.settings().map_or(16_000, |settings| settings.sample_rate_hz);
        let ports = emorun_data::declare(&datasets_of(draft), rate_hz).map_err(Failure::Data)?;
        Ok(with_classes(ports, self.classes))
    }
}
