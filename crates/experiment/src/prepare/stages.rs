//! The stages of a check: texts, structure, data, recordings, network. Each adds to one report, which is told where it ends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use emorun_data::{Assignment, DataError, DatasetConfig, ErrorClass, ScanLevel};
use emorun_lang::{Code, Diagnostic, LabelSet, Producer, Report, Section, Signal, Sources, Tree, load};
use emorun_weights::WeightsSource;
use indexmap::IndexMap;

#[cfg(feature = "onnx")]
use super::models;
use super::{
    Depth, ExperimentDraft, ExperimentLanguage, MergedCorpus, Model, OnReport, Prepared, Source, add_data_errors,
    add_weights_errors, at, features, gather, held, inherit, language, measures, model, only, origin, policies,
    read_text, recordings, rejected, remembered, settings, trained, with_classes,
};
use crate::ancestry::Ancestry;
use crate::checkpoints::Search;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::Augmentations;
use emorun_nn::facts::Facts;

/// An experiment on its way through the check.
pub(super) struct Stages<'a> {
    source: &'a Source,
    depth: Depth,
    cache: Option<PathBuf>,
    language: ExperimentLanguage,
    sources: Sources,
    tree: Tree,
    given: String,
    datasets: IndexMap<String, DatasetConfig>,
    /// What stands at the ports of `data`, as far as the file tells.
    ports: Vec<(String, Signal)>,
    run_ports: Vec<(String, Signal)>,
    on_report: OnReport<'a>,
}

impl<'a> Stages<'a> {
    /// Reads the file, what it extends and the arguments that change it.
    pub(super) fn read(
        source: &'a Source,
        depth: Depth,
        cache: Option<PathBuf>,
        on_report: OnReport<'a>,
    ) -> Result<(Self, Report), Failure> {
        let (mut sources, mut report) = (Sources::new(), Report::new());
        let path = source.path.to_string_lossy();
        let tree = load(&path, &source.sets, &mut read_text, &mut sources, &mut report);
        let Some(mut tree) = tree else {
            report.sort();
            on_report(&report, &sources);
            return Err(rejected(&report));
        };
        let given = read_text(&path).map_err(|error| Failure::Input(format!("{path}: {error}")))?;
        make_weights_absolute(&mut tree);
        let stages = Self {
            source,
            depth,
            cache,
            language: language()?,
            sources,
            tree,
            given,
            datasets: IndexMap::new(),
            ports: Vec::new(),
            run_ports: Vec::new(),
            on_report,
        };
        Ok((stages, report))
    }

    /// Tells the report and ends the check with it.
    fn reject(&mut self, mut report: Report, failure: impl FnOnce(&Report) -> Failure) -> Failure {
        report.sort();
        (self.on_report)(&report, &self.sources);
        failure(&report)
    }

    /// Checks the file by itself.
    pub(super) fn structure(&mut self, mut report: Report) -> Result<(Prepared, Report), Failure> {
        let draft = self.language.read(self.tree.clone(), &mut report);
        self.datasets = model::datasets_of(&draft);
        let (facts, unusable) = gather(&draft, Search::Glance, true, None);
        add_weights_errors(&draft, &unusable, &self.tree, &mut report);
        let rate_hz = draft.settings().map_or(16_000, |settings| settings.sample_rate_hz);
        self.ports = emorun_data::declare(&self.datasets, rate_hz).unwrap_or_else(|errors| {
            add_data_errors(&errors, &self.tree, &mut report);
            any_ports(&self.datasets, rate_hz)
        });
        only::check(&draft, &self.tree, &mut report);
        if let Some(settings) = draft.settings() {
            let nodes = draft.graph().nodes().iter();
            let nodes = nodes.map(|node| (node.section, node.name.as_str()));
            settings::check(settings, nodes, &self.tree, &mut report);
            measures::check(&draft, settings, &self.tree, &mut report);
            policies::check(&draft, settings, &self.tree, &mut report);
            trained::check(&draft, settings, &self.tree, &mut report);
        }
        self.run_ports = policies::run_ports(&draft);
        let (experiment, mut report) = match draft.finish(&self.ports, &self.run_ports, &facts, report) {
            Ok(finished) => finished,
            Err(report) => return Err(self.reject(report, rejected)),
        };
        let folder = self
            .source
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let prepared = Prepared {
            model: Model::new(experiment, facts, self.cache.clone()),
            given: self.given.clone(),
            sets: self.source.sets.clone(),
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            corpus: MergedCorpus::default(),
            assignments: Vec::new(),
            ancestry: Ancestry::new(),
            inherited: None,
            augmentations: Augmentations::default(),
        };
        let before = report.errors();
        held::check(&prepared.model, &self.tree, &mut report);
        if report.errors() > before {
            return Err(self.reject(report, rejected));
        }
        if let Some((node, message, help)) = prepared.views_conflict() {
            let place = [Section::Encoders.name(), &node, "cache", "views"].map(str::to_owned);
            let mistake = Diagnostic::error(Code::InvalidValue, message).help(help);
            report.push(at(mistake, &place, &self.tree));
            return Err(self.reject(report, rejected));
        }
        Ok((prepared, report))
    }

    /// Says where the structure was checked against sizes that are assumed, and tells the report.
    pub(super) fn guess(&mut self, prepared: &Prepared, report: &mut Report) {
        add_guesses(prepared, &self.tree, report);
        (self.on_report)(report, &self.sources);
    }

    /// Reads corpora, checkpoints, features and models, splits the items, and infers all signals again from what is
    /// there.
    pub(super) fn data(&mut self, prepared: &mut Prepared, mut report: Report) -> Result<Report, Failure> {
        let (level, search) = match self.depth {
            Depth::Deep => (ScanLevel::Deep, Search::Fetch),
            Depth::Structure | Depth::Metadata => (ScanLevel::Metadata, Search::Local),
        };
        if let Some(from) = &prepared.settings.init_from {
            match origin::ancestry(from) {
                Ok(ancestry) => prepared.ancestry = ancestry,
                Err((field, message)) => {
                    let place = ["init_from", field].map(str::to_owned);
                    report.push(at(Diagnostic::error(Code::MissingData, message), &place, &self.tree));
                    return Err(self.reject(report, |_| Failure::Rejected {
                        mistakes: 1,
                        data: true,
                    }));
                }
            }
        }
        let draft = self.language.read(self.tree.clone(), &mut Report::new());
        let (mut facts, unusable) = gather(&draft, search, self.source.offline, self.cache.as_deref());
        let probed = probe(prepared, &self.datasets, &self.ports, level);
        add_weights_errors(&draft, &unusable, &self.tree, &mut report);
        let mut mistakes = unusable.len();
        if let Ok((corpus, _)) = &probed {
            let items = &corpus.items;
            mistakes += features::gather(
                &draft,
                &|_| true,
                items,
                self.depth,
                &mut facts,
                &self.tree,
                &mut report,
            );
        }
        #[cfg(feature = "onnx")]
        {
            mistakes += models::gather(&draft, prepared.plan(), &mut facts, &self.tree, &mut report);
        }
        let (corpus, assignments) = match probed {
            Ok(probed) if mistakes == 0 => probed,
            probed => {
                let errors = probed.err().unwrap_or_default();
                add_data_errors(&errors, &self.tree, &mut report);
                return Err(self.reject(report, |_| Failure::Rejected {
                    mistakes: errors.len() + mistakes,
                    data: errors.iter().all(|error| error.class() == ErrorClass::Data),
                }));
            }
        };
        let ports = with_classes(self.ports.clone(), &corpus.label_sets);
        add_split_warnings(&assignments, &self.tree, &mut report);
        add_assumptions(&draft, &facts, &self.tree, &mut report);
        match draft.finish(&ports, &self.run_ports, &facts, report) {
            Ok((experiment, report)) => {
                prepared.model = Model::new(experiment, facts, self.cache.clone());
                prepared.corpus = corpus;
                prepared.assignments = assignments;
                Ok(report)
            }
            Err(report) => Err(self.reject(report, rejected)),
        }
    }

    /// Builds augmentations from the recordings that they draw from, compares what weights are taken over, and tells
    /// the report.
    pub(super) fn recordings(&mut self, prepared: &mut Prepared, mut report: Report) -> Result<(), Failure> {
        let (mistakes, data) = recordings::check(prepared, self.depth, &self.tree, &mut report);
        let mistakes = mistakes + inherit::check(prepared, &self.tree, &mut report)?;
        (self.on_report)(&report, &self.sources);
        match mistakes {
            0 => Ok(()),
            mistakes => Err(Failure::Rejected { mistakes, data }),
        }
    }

    /// Builds the network and tries it.
    pub(super) fn network(&mut self, prepared: &mut Prepared) -> Result<(), Failure> {
        prepared.note_drawn()?;
        let mut report = Report::new();
        let mistakes = prepared.check_network(&self.tree, &mut report)?;
        if mistakes > 0 {
            (self.on_report)(&report, &self.sources);
            return Err(Failure::Rejected { mistakes, data: true });
        }
        #[cfg(feature = "onnx")]
        models::try_out(prepared)?;
        Ok(())
    }
}

/// What any corpus may give, so that one mistake in a dataset is not reported at every edge.
fn any_ports(datasets: &IndexMap<String, DatasetConfig>, rate_hz: u32) -> Vec<(String, Signal)> {
    let open = |name: &str| {
        let labels = LabelSet::undetermined(name);
        (name.to_owned(), Signal::Labels { labels })
    };
    let streams = emorun_data::stream_forms(datasets).unwrap_or_default();
    let mut ports = vec![
        ("audio".to_owned(), Signal::Wave { rate_hz }),
        open("emotion"),
        open("gender"),
        ("text".to_owned(), Signal::Text),
    ];
    ports.extend(streams.into_iter().map(|(name, form)| (name, form.signal(rate_hz))));
    ports
}

/// Says what is odd about the sides of each split.
fn add_split_warnings(assignments: &[Assignment], tree: &Tree, report: &mut Report) {
    for assignment in assignments {
        let label = assignment.label.as_ref();
        let within = label.map_or_else(String::new, |label| format!("{label}: "));
        for warning in &assignment.warnings {
            let warning = Diagnostic::warning(Code::InvalidData, format!("{within}{warning}"));
            report.push(at(warning, &["split".to_owned()], tree));
        }
    }
}

/// Says where the structure was checked against sizes that are assumed.
fn add_guesses(prepared: &Prepared, tree: &Tree, report: &mut Report) {
    for (section, name, config) in prepared.nodes() {
        if config.guesses_sizes(&prepared.facts) {
            let message = "the sizes of this checkpoint are not known here; those of the base layout are assumed";
            let help = "check without --structure, which reads its config.json";
            let place = [section.name(), name, "weights"].map(str::to_owned);
            report.push(at(
                Diagnostic::warning(Code::MissingData, message).help(help),
                &place,
                tree,
            ));
        }
    }
}

/// Says where it is assumed how waveforms are prepared for an encoder.
fn add_assumptions(draft: &ExperimentDraft, facts: &Facts, tree: &Tree, report: &mut Report) {
    for (name, config) in draft.configs(Section::Encoders) {
        let preparation = config.preparation(facts).filter(|preparation| preparation.assumed);
        if preparation.is_some() {
            let message = format!(
                "it is assumed that `{name}` takes each waveform with zero mean and unit variance: its checkpoint has no preprocessor_config.json here"
            );
            let help = "put the file that was published with the weights beside them, or let it be downloaded once";
            let place = [Section::Encoders.name(), name, "weights"].map(str::to_owned);
            let warning = Diagnostic::warning(Code::MissingData, message).help(help);
            report.push(at(warning, &place, tree));
        }
    }
}

/// Reads the corpora and splits them.
fn probe(
    prepared: &Prepared,
    datasets: &IndexMap<String, DatasetConfig>,
    ports: &[(String, Signal)],
    level: ScanLevel,
) -> Result<(MergedCorpus, Vec<Assignment>), Vec<DataError>> {
    let corpus = emorun_data::scan(datasets, level, remembered(prepared).as_deref())?;
    let settings = &prepared.settings;
    let learned = learned_columns(prepared, ports);
    let unlabelled = corpus.unlabelled(&learned);
    if !unlabelled.is_empty() {
        return Err(unlabelled);
    }
    let assignments = emorun_data::split(&corpus, &settings.split, &learned, settings.seed)?;
    Ok((MergedCorpus::new(corpus), assignments))
}

/// The label columns that nodes take.
pub(super) fn learned_columns<'a>(model: &Model, ports: &'a [(String, Signal)]) -> Vec<&'a str> {
    let edges = model.experiment.graph.nodes().iter().flat_map(|node| &node.edges);
    let taken: BTreeSet<&str> = edges
        .filter(|edge| edge.from.producer == Producer::Data)
        .map(|edge| edge.from.port.as_str())
        .collect();
    ports
        .iter()
        .filter(|(port, _)| taken.contains(port.as_str()))
        .filter_map(|(_, signal)| match signal {
            Signal::Labels { labels } | Signal::SoftLabels { labels } => Some(labels.name.as_str()),
            _ => None,
        })
        .collect()
}

/// Writes the paths among `weights:` absolute, as all paths in a file are; Hub ids stay as they are.
fn make_weights_absolute(tree: &mut Tree) {
    use emorun_lang::Value::{Map, Str};
    let Map(sections) = &mut tree.value else { return };
    for section in sections
        .iter_mut()
        .filter(|entry| entry.key == Section::Encoders.name())
    {
        let Map(nodes) = &mut section.value.value else { continue };
        for node in nodes {
            let Map(fields) = &mut node.value.value else { continue };
            for field in fields.iter_mut().filter(|field| field.key == "weights") {
                if let Str(text) = &mut field.value.value
                    && let Ok(WeightsSource::Folder(path) | WeightsSource::File(path)) = WeightsSource::parse(text)
                    && let Ok(path) = std::path::absolute(path)
                {
                    *text = path.to_string_lossy().into_owned();
                }
            }
        }
    }
}
