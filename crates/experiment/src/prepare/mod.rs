//! From an experiment file to everything that a run needs, in stages: the structure is checked
//! before any data is touched, the data before anything is trained.

mod corpora;
mod features;
mod fits;
mod host;
mod identity;
mod measures;
mod model;
#[cfg(feature = "onnx")]
mod models;
mod only;
mod origin;
mod policies;
mod prepared;
mod recordings;
mod shortest;
mod trained;

pub use corpora::Corpora;
pub use host::Caching;
pub use identity::WeightsFacts;
pub use model::{Model, Stored};
pub use shortest::Trial;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use emorun_data::{Assignment, Corpus, DataError, DatasetConfig, ErrorClass, Items, ScanLevel};
use emorun_files::read_regular;
use emorun_lang::{
    Code, Diagnostic, Draft, LabelSet, Language, Producer, ReadError, Report, Section, Signal, Sources, Span, Tree,
    load, suggestion,
};
use emorun_weights::{WeightsError, WeightsSource};
use indexmap::IndexMap;
use serde_json::Value;

use crate::ancestry::Ancestry;
use crate::checkpoints::{self, Mistakes, Search};
use crate::folders;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::Augmentations;
use emorun_engine::settings::{AverageConfig, FinalWeights, SchedulerConfig, Settings};
use emorun_nn::facts::Facts;
use emorun_nodes::kinds::{Kinds, NodeConfig};

/// The language of emorun's experiment files.
pub type ExperimentLanguage = Language<Settings, Kinds>;

/// An experiment file and what `--set` changes in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// `path=value` arguments.
    pub sets: Vec<String>,
    /// Whether nothing may be downloaded.
    pub offline: bool,
}

/// How far an experiment is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The file alone.
    Structure,
    /// Also names and headers of the corpora.
    Metadata,
    /// Also every sample of every file.
    Deep,
}

/// Hears of the mistakes and remarks found, with the texts that they point into.
pub type OnReport<'a> = &'a mut dyn FnMut(&Report, &Sources);

/// An experiment that was checked to the depth asked for: its [`Model`], and the corpora that it is trained on.
#[derive(Debug)]
pub struct Prepared {
    /// What the network follows from.
    pub model: Model,
    /// The experiment's text as given.
    pub given: String,
    /// `path=value` arguments as given.
    pub sets: Vec<String>,
    /// Folder of the experiment file.
    pub folder: PathBuf,
    /// The corpora; empty after a structural check.
    pub corpus: MergedCorpus,
    /// Who is on which side, one a fold; empty after a structural check.
    pub assignments: Vec<Assignment>,
    /// The runs and files that the weights come from; nobody after a structural check.
    pub ancestry: Ancestry,
    /// Changes of training waveforms, for how long these can become.
    augmentations: Augmentations,
}

/// Copies that a remark names.
const COPIES_SHOWN: usize = 3;

/// The items of all corpora, shared with the loader's threads.
#[derive(Debug, Default)]
pub struct MergedCorpus {
    /// All items.
    pub items: Items,
    /// Classes of each label column and attribute.
    pub label_sets: IndexMap<String, Vec<String>>,
    /// What is known of each dataset, as JSON.
    pub datasets: Value,
    /// What the user should know: copies counted once, files left out, oddities.
    pub remarks: Vec<String>,
}

impl MergedCorpus {
    fn new(corpus: Corpus) -> Self {
        let mut remarks = corpus.warnings;
        if !corpus.duplicates.is_empty() {
            let shown = corpus.duplicates.iter().take(COPIES_SHOWN);
            let mut shown: Vec<String> = shown
                .map(|copy| format!("`{}` of `{}`", copy.dropped, copy.kept))
                .collect();
            if corpus.duplicates.len() > COPIES_SHOWN {
                shown.push(format!("{} more", corpus.duplicates.len() - COPIES_SHOWN));
            }
            remarks.push(format!(
                "{} file(s) are copies of others and were counted once: {}",
                corpus.duplicates.len(),
                shown.join(", ")
            ));
        }
        for skipped in &corpus.skipped {
            remarks.push(format!("left out: {}: {}", skipped.path.display(), skipped.reason));
        }
        Self {
            items: corpus.items,
            label_sets: corpus.label_sets.into_iter().chain(corpus.attribute_sets).collect(),
            datasets: serde_json::to_value(&corpus.datasets).unwrap_or_default(),
            remarks,
        }
    }

    /// Number of items of each class of a label column.
    pub fn class_counts(&self, column: &str, items: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.label_sets.get(column).map_or(0, Vec::len)];
        for (class, own) in emorun_data::count_classes(&self.items, items, column) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += own;
            }
        }
        counts
    }
}

/// The language with paths against the current directory.
///
/// # Errors
/// There is no current directory.
pub fn language() -> Result<ExperimentLanguage, Failure> {
    let here = std::env::current_dir().map_err(Failure::io("find", Path::new(".")))?;
    Ok(Language::new(Kinds::default(), here))
}

/// Reads a file for the language.
///
/// # Errors
/// It does not exist, is too large or is no text.
pub fn read_text(path: &str) -> Result<String, ReadError> {
    let bytes =
        read_regular(Path::new(path), emorun_lang::MAX_TEXT_BYTES as u64).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ReadError::NotFound,
            std::io::ErrorKind::FileTooLarge => ReadError::TooLarge,
            _ => ReadError::Io(error),
        })?;
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8)
}

/// Checks an experiment and prepares what running it needs.
///
/// # Errors
/// The experiment or its data has mistakes; `on_report` has heard of all of them.
pub fn prepare(source: &Source, depth: Depth, on_report: OnReport<'_>) -> Result<Prepared, Failure> {
    prepare_with(source, depth, folders::cache(), on_report)
}

/// As [`prepare`], with a folder of its own for what can be computed again.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_with(
    source: &Source,
    depth: Depth,
    cache: Option<PathBuf>,
    on_report: OnReport<'_>,
) -> Result<Prepared, Failure> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let path = source.path.to_string_lossy();
    let tree = load(&path, &source.sets, &mut read_text, &mut sources, &mut report);
    let Some(mut tree) = tree else {
        report.sort();
        on_report(&report, &sources);
        return Err(rejected(&report));
    };
    let given = read_text(&path).map_err(|error| Failure::Input(format!("{path}: {error}")))?;
    let language = language()?;
    make_weights_absolute(&mut tree);
    let draft = language.read(tree.clone(), &mut report);
    let datasets = model::datasets_of(&draft);
    let (facts, unusable) = gather(&draft, Search::Glance, true, None);
    add_weights_errors(&draft, &unusable, &tree, &mut report);
    let rate_hz = draft.settings().map_or(16_000, |settings| settings.sample_rate_hz);
    let ports = match emorun_data::declare(&datasets, rate_hz) {
        Ok(ports) => ports,
        Err(errors) => {
            add_data_errors(&errors, &tree, &mut report);
            // What any corpus may give, so that one mistake is not reported at every edge.
            let open = |name: &str| {
                (
                    name.to_owned(),
                    Signal::Labels {
                        labels: LabelSet::undetermined(name),
                    },
                )
            };
            let streams = emorun_data::stream_forms(&datasets).unwrap_or_default();
            let mut ports = vec![
                ("audio".to_owned(), Signal::Wave { rate_hz }),
                open("emotion"),
                open("gender"),
                ("text".to_owned(), Signal::Text),
            ];
            ports.extend(streams.into_iter().map(|(name, form)| (name, form.signal(rate_hz))));
            ports
        }
    };
    only::check(&draft, &tree, &mut report);
    if let Some(settings) = draft.settings() {
        let nodes = draft.graph().nodes().iter();
        check_settings(
            settings,
            nodes.map(|node| (node.section, node.name.as_str())),
            &tree,
            &mut report,
        );
        measures::check(&draft, settings, &tree, &mut report);
        policies::check(&draft, settings, &tree, &mut report);
        trained::check(&draft, settings, &tree, &mut report);
    }
    let run_ports = policies::run_ports(&draft);
    let (experiment, mut report) = match draft.finish(&ports, &run_ports, &facts, report) {
        Ok(finished) => finished,
        Err(report) => {
            on_report(&report, &sources);
            return Err(rejected(&report));
        }
    };
    let folder = source.path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let folder = if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder
    };
    let mut prepared = Prepared {
        model: Model::new(experiment, facts, cache.clone()),
        given,
        sets: source.sets.clone(),
        folder,
        corpus: MergedCorpus::default(),
        assignments: Vec::new(),
        ancestry: Ancestry::new(),
        augmentations: Augmentations::default(),
    };
    if let Some((node, message, help)) = prepared.views_conflict() {
        let place = [Section::Encoders.name(), &node, "cache", "views"].map(str::to_owned);
        let mistake = Diagnostic::error(Code::InvalidValue, message).help(help);
        report.push(at(mistake, &place, &tree));
        report.sort();
        on_report(&report, &sources);
        return Err(rejected(&report));
    }
    if depth == Depth::Structure {
        add_guesses(&prepared, &tree, &mut report);
        on_report(&report, &sources);
        return Ok(prepared);
    }
    let level = if depth == Depth::Deep {
        ScanLevel::Deep
    } else {
        ScanLevel::Metadata
    };
    let search = if depth == Depth::Deep {
        Search::Fetch
    } else {
        Search::Local
    };
    if let Some(from) = &prepared.settings.init_from {
        match origin::ancestry(from) {
            Ok(ancestry) => prepared.ancestry = ancestry,
            Err((field, message)) => {
                let place = ["init_from", field].map(str::to_owned);
                report.push(at(Diagnostic::error(Code::MissingData, message), &place, &tree));
                report.sort();
                on_report(&report, &sources);
                return Err(Failure::Rejected {
                    mistakes: 1,
                    data: true,
                });
            }
        }
    }
    let draft = language.read(tree.clone(), &mut Report::new());
    let (mut facts, unusable) = gather(&draft, search, source.offline, cache.as_deref());
    let probed = probe(&prepared, &datasets, &ports, level);
    add_weights_errors(&draft, &unusable, &tree, &mut report);
    let unusable = unusable.len()
        + match &probed {
            Ok((corpus, _)) => {
                features::gather(&draft, &|_| true, &corpus.items, depth, &mut facts, &tree, &mut report)
            }
            Err(_) => 0,
        };
    #[cfg(feature = "onnx")]
    let unusable = unusable + models::gather(&draft, prepared.plan(), &mut facts, &tree, &mut report);
    let (corpus, assignments) = match probed {
        Ok(probed) if unusable == 0 => probed,
        probed => {
            let errors = probed.err().unwrap_or_default();
            add_data_errors(&errors, &tree, &mut report);
            report.sort();
            on_report(&report, &sources);
            return Err(Failure::Rejected {
                mistakes: errors.len() + unusable,
                data: errors.iter().all(|error| error.class() == ErrorClass::Data),
            });
        }
    };
    let ports = with_classes(ports, &corpus.label_sets);
    for assignment in &assignments {
        let within = assignment
            .label
            .as_ref()
            .map_or_else(String::new, |label| format!("{label}: "));
        for warning in &assignment.warnings {
            report.push(at(
                Diagnostic::warning(Code::InvalidData, format!("{within}{warning}")),
                &["split".to_owned()],
                &tree,
            ));
        }
    }
    add_assumptions(&draft, &facts, &tree, &mut report);
    let finished = draft.finish(&ports, &run_ports, &facts, report);
    match finished {
        Ok((experiment, mut report)) => {
            prepared.model = Model::new(experiment, facts, cache);
            prepared.corpus = corpus;
            prepared.assignments = assignments;
            let (mistakes, data) = recordings::check(&mut prepared, depth, &tree, &mut report);
            on_report(&report, &sources);
            if mistakes > 0 {
                return Err(Failure::Rejected { mistakes, data });
            }
            if depth == Depth::Deep {
                prepared.note_drawn()?;
                let mut report = Report::new();
                let mistakes = prepared.check_network(&tree, &mut report)?;
                if mistakes > 0 {
                    on_report(&report, &sources);
                    return Err(Failure::Rejected { mistakes, data: true });
                }
                #[cfg(feature = "onnx")]
                models::try_out(&prepared)?;
            }
            Ok(prepared)
        }
        Err(report) => {
            on_report(&report, &sources);
            Err(rejected(&report))
        }
    }
}

/// An experiment as it was resolved before, perhaps by an older version, with the defaults of this one.
///
/// # Errors
/// This version does not know what it holds any more.
pub fn with_defaults(resolved: &Value) -> Result<Value, Failure> {
    let text = emorun_lang::to_yaml(resolved);
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let tree = load("run.json", &[], &mut |_| Ok(text.clone()), &mut sources, &mut report);
    let language = language()?;
    let resolved = tree.and_then(|tree| language.read(tree, &mut report).resolved());
    resolved.ok_or_else(|| {
        Failure::Conflict(format!(
            "the run was started by a version of emorun whose experiment this one cannot read; resume it with that version\n{}",
            report.render(&sources, false)
        ))
    })
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

type ExperimentDraft = Draft<Settings, NodeConfig>;

/// Names of nodes and the text of their `weights:`.
fn weights_of(draft: &ExperimentDraft) -> impl Iterator<Item = (&str, &str)> {
    draft
        .configs(Section::Encoders)
        .filter_map(|(name, config)| Some((name, config.weights()?)))
}

fn gather(draft: &ExperimentDraft, search: Search, offline: bool, cache: Option<&Path>) -> (Facts, Mistakes) {
    let weights = weights_of(draft).map(|(_, weights)| weights);
    checkpoints::gather(weights, search, offline, cache)
}

fn add_weights_errors(draft: &ExperimentDraft, mistakes: &Mistakes, tree: &Tree, report: &mut Report) {
    for (name, weights) in weights_of(draft) {
        if let Some(error) = mistakes.get(weights) {
            let place = [Section::Encoders.name(), name, "weights"].map(str::to_owned);
            let code = if matches!(error, WeightsError::Form { .. }) {
                Code::InvalidValue
            } else {
                Code::MissingData
            };
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim);
            let message = lines.next().unwrap_or_default();
            let help: Vec<&str> = lines.collect();
            let help = (!help.is_empty()).then(|| help.join("\n"));
            report.push(at(Diagnostic::error(code, message).maybe_help(help), &place, tree));
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

fn rejected(report: &Report) -> Failure {
    Failure::Rejected {
        mistakes: report.errors(),
        data: false,
    }
}

/// Where decoded files are remembered from run to run.
fn remembered(prepared: &Prepared) -> Option<PathBuf> {
    Some(prepared.cache.as_ref()?.join("scanned.json"))
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
fn learned_columns<'a>(model: &Model, ports: &'a [(String, Signal)]) -> Vec<&'a str> {
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

/// The declared ports with the classes that the corpora really have, by label column.
fn with_classes(ports: Vec<(String, Signal)>, classes: &IndexMap<String, Vec<String>>) -> Vec<(String, Signal)> {
    ports
        .into_iter()
        .map(|(port, signal)| {
            let known = |labels: &LabelSet| {
                let classes = classes.get(&labels.name);
                classes.map(|classes| LabelSet::new(&labels.name, classes.iter().cloned()))
            };
            let signal = match signal {
                Signal::Labels { labels } => Signal::Labels {
                    labels: known(&labels).unwrap_or(labels),
                },
                Signal::SoftLabels { labels } => Signal::SoftLabels {
                    labels: known(&labels).unwrap_or(labels),
                },
                signal => signal,
            };
            (port, signal)
        })
        .collect()
}

/// Points a diagnostic at the innermost value of a path that is there.
fn at(diagnostic: Diagnostic, path: &[String], tree: &Tree) -> Diagnostic {
    let mut place: (&Tree, Option<Span>) = (tree, None);
    for key in path {
        let below = match &place.0.value {
            emorun_lang::Value::Seq(items) => key
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (item, item.span)),
            _ => place.0.entry(key).map(|entry| (&entry.value, entry.key_span)),
        };
        match below {
            Some((below, span)) => place = (below, Some(span)),
            None => break,
        }
    }
    // A scalar itself says more than its key; a mapping is as long as the section.
    let span = match &place.0.value {
        emorun_lang::Value::Map(_) | emorun_lang::Value::Seq(_) => place.1.unwrap_or(Span {
            end: tree.span.start,
            ..tree.span
        }),
        _ => place.0.span,
    };
    diagnostic.label(span, "")
}

fn add_data_errors(errors: &[DataError], tree: &Tree, report: &mut Report) {
    for error in errors {
        let code = match (error, error.class()) {
            (DataError::RootMissing { .. } | DataError::NoAudio { .. } | DataError::Pointers { .. }, _) => {
                Code::MissingData
            }
            (_, ErrorClass::Data) => Code::InvalidData,
            (_, ErrorClass::Invalid) => Code::InvalidValue,
        };
        let diagnostic = Diagnostic::error(code, error.to_string()).maybe_help(error.help());
        report.push(at(diagnostic, &error.document_path(), tree));
    }
}

/// What settings must be beyond what their schema says.
fn check_settings<'a>(
    settings: &Settings,
    nodes: impl Iterator<Item = (Section, &'a str)> + Clone,
    tree: &Tree,
    report: &mut Report,
) {
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    if let SchedulerConfig::OneCycle(cycle) = &settings.training.scheduler {
        let (lr, max_lr) = (settings.training.optimizer.lr(), cycle.max_lr);
        if lr != max_lr {
            let message = format!("`lr: {lr}` has no effect: `one_cycle` goes up to `max_lr: {max_lr}` and down again");
            let help = "set training.scheduler.max_lr; the same number in both places is not warned of";
            let warning = Diagnostic::warning(Code::InvalidValue, message).help(help);
            report.push(at(warning, &path("training.optimizer.lr"), tree));
        }
    }
    let mut wrong = |place: &str, message: String, help: &str| {
        report.push(at(
            Diagnostic::error(Code::InvalidValue, message).help(help),
            &path(place),
            tree,
        ));
    };
    if !nodes.clone().any(|(section, _)| section == Section::Losses) {
        wrong(
            "losses",
            "there is nothing to train: no loss".into(),
            "add a loss such as `losses: { ce: { kind: cross_entropy, input: HEAD } }`",
        );
    }
    if !nodes.clone().any(|(section, _)| section == Section::Datasets) {
        wrong(
            "datasets",
            "there is nothing to train on: no dataset".into(),
            "add one such as `datasets: { speech: { kind: synthetic } }`",
        );
    }
    let plateau = match &settings.training.scheduler {
        SchedulerConfig::Plateau(plateau) => Some(plateau),
        _ => None,
    };
    if !has_validation(settings) {
        let help = "give the split a validation side";
        if settings.training.early_stopping.is_some() {
            wrong(
                "training.early_stopping",
                "early stopping needs a validation split, and there is none".into(),
                help,
            );
        }
        if plateau.is_some() {
            wrong(
                "training.scheduler",
                "a plateau is seen on a validation split, and there is none".into(),
                help,
            );
        }
        if settings.evaluation.weights == Some(FinalWeights::Best) {
            wrong(
                "evaluation.weights",
                "the best weights are chosen on a validation split, and there is none".into(),
                help,
            );
        }
    }
    if let Some(AverageConfig::Swa(swa)) = &settings.training.average
        && swa.from_epoch > settings.training.epochs
    {
        let message = format!(
            "no epoch is averaged: the run ends after epoch {}",
            settings.training.epochs
        );
        let help = "begin earlier, at three quarters of the epochs for instance";
        wrong("training.average.from_epoch", message, help);
    }
    for (index, group) in settings.training.groups.iter().enumerate() {
        for (at, name) in group.nodes.iter().enumerate() {
            if !nodes.clone().any(|(_, node)| node == name) {
                let known: Vec<&str> = nodes.clone().map(|(_, node)| node).collect();
                wrong(
                    &format!("training.groups.{index}.nodes.{at}"),
                    format!("`{name}` is no node of this experiment"),
                    &suggestion(name, &known, "nodes").unwrap_or_default(),
                );
            }
        }
    }
    if let Some((field, message, help)) = settings.init_from.as_ref().and_then(origin::mistake) {
        wrong(&format!("init_from{field}"), message, help);
    }
    let mut seeds = settings.training.seeds.clone();
    seeds.sort_unstable();
    if seeds.windows(2).any(|pair| pair[0] == pair[1]) {
        wrong("training.seeds", "a seed is listed twice".into(), "list each seed once");
    }
}

/// Whether the split has a validation side, as far as the file tells.
fn has_validation(settings: &Settings) -> bool {
    use emorun_data::SplitConfig;
    use emorun_data::split::{FoldValidation, Rest};
    match &settings.split {
        SplitConfig::BySpeaker(split) => split.validation > 0.0,
        SplitConfig::Fixed(split) => {
            split.from.is_some() || !split.validation.is_empty() || split.rest == Some(Rest::Validation)
        }
        SplitConfig::Folds(split) => split.validation != FoldValidation::None,
        SplitConfig::EmoboxFolds(split) => split.validation > 0.0,
        SplitConfig::EmoboxCross(split) => split.validation > 0.0,
    }
}
