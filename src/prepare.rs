//! From an experiment file to everything that a run needs, in stages: the structure is checked
//! before any data is touched, the data before anything is trained.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emorun_data::{Assignment, Corpus, DataError, DatasetConfig, ErrorClass, Item, ScanLevel};
use emorun_figures::{Diagram, DiagramEdge, DiagramNode};
use emorun_lang::{
    Code, Diagnostic, Draft, Experiment, LabelSet, Language, Placement, Plan, PlanNode, ReadError, Report, Role,
    Section, Signal, Sources, Span, Tree, load, to_yaml,
};
use emorun_weights::WeightsSource;
use indexmap::IndexMap;
use serde_json::Value;

use crate::checkpoints::{self, Mistakes, Search};
use crate::draw::DrawKey;
use crate::exit::Failure;
use crate::facts::Facts;
use crate::feed::host::{HostOp, HostStep};
use crate::kinds::{Kinds, NodeConfig};
use crate::memory::Load;
use crate::network::{Needed, Wired};
use crate::node::{BuildContext, FRONT_END};
use crate::settings::{FinalWeights, Settings};
use crate::value::PortId;

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

/// An experiment that was checked to the depth asked for.
#[derive(Debug)]
pub struct Prepared {
    /// Settings with every default.
    pub settings: Settings,
    /// The experiment's text as given.
    pub given: String,
    /// `path=value` arguments as given.
    pub sets: Vec<String>,
    /// Folder of the experiment file.
    pub folder: PathBuf,
    /// The experiment with every default and absolute paths.
    pub resolved: Value,
    /// The corpora; empty after a structural check.
    pub corpus: MergedCorpus,
    /// Who is on which side, one a fold; empty after a structural check.
    pub assignments: Vec<Assignment>,
    /// What is known of checkpoints.
    pub facts: Facts,
    experiment: Experiment<Settings, NodeConfig>,
}

/// The items of all corpora, shared with the loader's threads.
#[derive(Debug, Default)]
pub struct MergedCorpus {
    /// All items.
    pub items: Arc<Vec<Item>>,
    /// Classes of each label column.
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
            remarks.push(format!(
                "{} file(s) are copies of others and were counted once",
                corpus.duplicates.len()
            ));
        }
        for skipped in &corpus.skipped {
            remarks.push(format!("left out: {}: {}", skipped.path.display(), skipped.reason));
        }
        Self {
            items: Arc::new(corpus.items),
            label_sets: corpus.label_sets,
            datasets: serde_json::to_value(&corpus.datasets).unwrap_or_default(),
            remarks,
        }
    }

    /// Number of items of each class of a label column.
    pub fn class_counts(&self, column: &str, items: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.label_sets.get(column).map_or(0, Vec::len)];
        for class in items.iter().filter_map(|&item| self.items[item].label(column)) {
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
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
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    match length {
        Ok(length) if length > emorun_lang::MAX_TEXT_BYTES as u64 => return Err(ReadError::TooLarge),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(ReadError::NotFound),
        _ => {}
    }
    String::from_utf8(std::fs::read(path)?).map_err(|_| ReadError::NotUtf8)
}

/// Checks an experiment and prepares what running it needs.
///
/// # Errors
/// The experiment or its data has mistakes; `on_report` has heard of all of them.
pub fn prepare(source: &Source, depth: Depth, on_report: OnReport<'_>) -> Result<Prepared, Failure> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let path = source.path.to_string_lossy();
    let tree = load(&path, &source.sets, &mut read_text, &mut sources, &mut report);
    let Some(mut tree) = tree else {
        report.sort();
        on_report(&report, &sources);
        return Err(rejected(&report));
    };
    let given = std::fs::read_to_string(&source.path).map_err(Failure::io("read", &source.path))?;
    let language = language()?;
    make_weights_absolute(&mut tree);
    let draft = language.read(tree.clone(), &mut report);
    let datasets: IndexMap<String, DatasetConfig> = draft
        .configs(Section::Datasets)
        .filter_map(|(name, config)| match config {
            NodeConfig::Dataset(config) => Some((name.to_owned(), config.clone())),
            _ => None,
        })
        .collect();
    let (facts, unusable) = gather(&draft, Search::Glance, true);
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
            vec![
                ("audio".to_owned(), Signal::Wave { rate_hz }),
                open("emotion"),
                open("gender"),
                ("text".to_owned(), Signal::Text),
            ]
        }
    };
    if let Some(settings) = draft.settings() {
        check_settings(
            settings,
            draft
                .graph()
                .nodes()
                .iter()
                .map(|node| (node.section, node.name.as_str())),
            &tree,
            &mut report,
        );
    }
    let (experiment, mut report) = match draft.finish(&ports, &facts, report) {
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
        settings: experiment.settings.clone(),
        given,
        sets: source.sets.clone(),
        folder,
        resolved: experiment.resolved.clone(),
        corpus: MergedCorpus::default(),
        assignments: Vec::new(),
        facts,
        experiment,
    };
    if depth == Depth::Structure {
        on_report(&report, &sources);
        return Ok(prepared);
    }
    let level = if depth == Depth::Deep {
        ScanLevel::Deep
    } else {
        ScanLevel::Metadata
    };
    let search = if depth == Depth::Deep { Search::Fetch } else { Search::Local };
    let draft = language.read(tree.clone(), &mut Report::new());
    let (facts, unusable) = gather(&draft, search, source.offline);
    let probed = probe(&prepared.settings, &datasets, level);
    add_weights_errors(&draft, &unusable, &tree, &mut report);
    let (corpus, assignments) = match probed {
        Ok(probed) if unusable.is_empty() => probed,
        probed => {
            let errors = probed.err().unwrap_or_default();
            add_data_errors(&errors, &tree, &mut report);
            report.sort();
            on_report(&report, &sources);
            return Err(Failure::Rejected {
                mistakes: errors.len() + unusable.len(),
                data: errors.iter().all(|error| error.class() == ErrorClass::Data),
            });
        }
    };
    let ports = with_classes(ports, &corpus);
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
    let finished = draft.finish(&ports, &facts, report);
    match finished {
        Ok((experiment, report)) => {
            on_report(&report, &sources);
            prepared.experiment = experiment;
            prepared.corpus = corpus;
            prepared.assignments = assignments;
            prepared.facts = facts;
            if depth == Depth::Deep {
                prepared.check_weights()?;
            }
            Ok(prepared)
        }
        Err(report) => {
            on_report(&report, &sources);
            Err(rejected(&report))
        }
    }
}

/// Writes the paths among `weights:` absolute, as all paths in a file are; Hub ids stay as they are.
fn make_weights_absolute(tree: &mut Tree) {
    use emorun_lang::Value::{Map, Str};
    let Map(sections) = &mut tree.value else { return };
    for section in sections.iter_mut().filter(|entry| entry.key == Section::Encoders.name()) {
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

fn gather(draft: &ExperimentDraft, search: Search, offline: bool) -> (Facts, Mistakes) {
    let weights = weights_of(draft).map(|(_, weights)| weights);
    checkpoints::gather(weights, search, offline)
}

fn add_weights_errors(draft: &ExperimentDraft, mistakes: &Mistakes, tree: &Tree, report: &mut Report) {
    for (name, weights) in weights_of(draft) {
        if let Some(error) = mistakes.get(weights) {
            let place = [Section::Encoders.name(), name, "weights"].map(str::to_owned);
            report.push(at(Diagnostic::error(Code::MissingData, error.to_string()), &place, tree));
        }
    }
}

fn rejected(report: &Report) -> Failure {
    Failure::Rejected {
        mistakes: report.errors(),
        data: false,
    }
}

/// Reads the corpora and splits them.
fn probe(
    settings: &Settings,
    datasets: &IndexMap<String, DatasetConfig>,
    level: ScanLevel,
) -> Result<(MergedCorpus, Vec<Assignment>), Vec<DataError>> {
    let remembered = cache_file();
    let corpus = emorun_data::scan(datasets, level, remembered.as_deref())?;
    let assignments = emorun_data::split(&corpus, &settings.split, settings.seed)?;
    Ok((MergedCorpus::new(corpus), assignments))
}

/// Where decoded files are remembered from run to run; nowhere without a home directory.
fn cache_file() -> Option<PathBuf> {
    cache_folder().map(|folder| folder.join("scanned.json"))
}

/// Where everything is kept that can be computed again.
pub fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let folder = base.join("emorun");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

/// The declared ports with the classes that the corpora really have.
fn with_classes(ports: Vec<(String, Signal)>, corpus: &MergedCorpus) -> Vec<(String, Signal)> {
    ports
        .into_iter()
        .map(|(port, signal)| match (signal, corpus.label_sets.get(&port)) {
            (Signal::Labels { .. }, Some(classes)) => {
                let labels = LabelSet::new(port.clone(), classes.iter().cloned());
                (port, Signal::Labels { labels })
            }
            (signal, _) => (port, signal),
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
            (DataError::RootMissing { .. } | DataError::NoAudio { .. }, _) => Code::MissingData,
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
    let mut wrong = |place: &str, message: String, help: &str| {
        report.push(at(
            Diagnostic::error(Code::InvalidValue, message).help(help),
            &path(place),
            tree,
        ));
    };
    let heads: Vec<&str> = nodes
        .clone()
        .filter(|(section, _)| *section == Section::Heads)
        .map(|(_, name)| name)
        .collect();
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
    let known = |metric: &str| {
        metric == "loss"
            || metric
                .rsplit_once('.')
                .is_some_and(|(head, metric)| heads.contains(&head) && ["uar", "wa", "macro_f1"].contains(&metric))
    };
    let choices = std::iter::once("loss".to_owned()).chain(
        heads
            .iter()
            .flat_map(|head| ["uar", "wa", "macro_f1"].map(|metric| format!("{head}.{metric}"))),
    );
    let choices = format!("use one of {}", choices.collect::<Vec<_>>().join(", "));
    let watched = settings
        .training
        .early_stopping
        .as_ref()
        .and_then(|stopping| stopping.metric.as_ref());
    for (place, metric) in [
        ("evaluation.best", settings.evaluation.best.as_ref()),
        ("training.early_stopping.metric", watched),
    ] {
        if let Some(metric) = metric.filter(|metric| !known(metric)) {
            wrong(place, format!("`{metric}` is no metric of this experiment"), &choices);
        }
    }
    if !has_validation(settings) {
        let help = "give the split a validation side";
        if settings.training.early_stopping.is_some() {
            wrong(
                "training.early_stopping",
                "early stopping needs a validation split, and there is none".into(),
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
    let mut seeds = settings.training.seeds.clone();
    seeds.sort_unstable();
    if seeds.windows(2).any(|pair| pair[0] == pair[1]) {
        wrong("training.seeds", "a seed is listed twice".into(), "list each seed once");
    }
}

/// Whether the split has a validation side, as far as the file tells.
fn has_validation(settings: &Settings) -> bool {
    use emorun_data::SplitConfig;
    use emorun_data::split::FoldValidation;
    match &settings.split {
        SplitConfig::BySpeaker(split) => split.validation > 0.0,
        SplitConfig::Fixed(split) => split.from.is_some() || !split.validation.is_empty(),
        SplitConfig::Folds(split) => split.validation != FoldValidation::None,
    }
}

impl Prepared {
    /// Builds every node that has pretrained weights, to hear now what is wrong with them.
    fn check_weights(&self) -> Result<(), Failure> {
        let device = burn::tensor::Device::flex();
        for wired in self.wired()?.iter().filter(|wired| wired.config.weights().is_some()) {
            let context = BuildContext {
                device: &device,
                class_counts: &HashMap::new(),
                facts: &self.facts,
                key: DrawKey::root(self.settings.seed),
            };
            wired
                .config
                .build(&wired.signals(), &context)
                .map_err(Failure::from)?;
        }
        Ok(())
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.experiment.plan
    }

    /// `resolved.yaml`.
    pub fn resolved_yaml(&self) -> String {
        to_yaml(&self.resolved)
    }

    /// Hash of the resolved experiment.
    pub fn config_hash(&self) -> String {
        self.plan().hash().to_owned()
    }

    /// What is known of the datasets, for `run.json`.
    pub fn data_facts(&self) -> Value {
        self.corpus.datasets.clone()
    }

    /// What the user should know of the data.
    pub fn remarks(&self) -> &[String] {
        &self.corpus.remarks
    }

    /// Names of the classification heads.
    pub fn heads(&self) -> Vec<String> {
        self.experiment
            .graph
            .section(Section::Heads)
            .map(|node| node.name.clone())
            .collect()
    }

    /// Label columns that the corpora have.
    pub fn label_columns(&self) -> Vec<String> {
        self.corpus.label_sets.keys().cloned().collect()
    }

    /// The device nodes with their wires, in topological order.
    ///
    /// # Errors
    /// The plan and the graph do not agree, which is a bug.
    pub fn wired(&self) -> Result<Arc<[Wired]>, Failure> {
        self.plan()
            .nodes()
            .iter()
            .filter(|node| node.section.has_ports() && node.placement == Placement::Device)
            .map(|node| {
                let config = self.experiment.graph.node(&node.name).map(|node| node.config.clone());
                let config =
                    config.ok_or_else(|| Failure::Bug(format!("the plan names an unknown node `{}`", node.name)))?;
                let runs = |role: Role| role == Role::Runs;
                let has_front_end = self.host_op(node)?.is_some();
                Ok(Wired {
                    name: node.name.clone(),
                    config,
                    inputs: node
                        .inputs
                        .iter()
                        .map(|input| {
                            let from = if has_front_end {
                                PortId::new(&node.name, FRONT_END)
                            } else {
                                PortId::new(&input.node, &input.node_port)
                            };
                            (input.port.clone(), from, input.signal.clone())
                        })
                        .collect(),
                    outputs: node.outputs.clone(),
                    needed: Needed {
                        train: runs(node.roles.train),
                        evaluate: runs(node.roles.evaluate),
                        predict: runs(node.roles.predict),
                    },
                })
            })
            .collect()
    }

    /// What a node computes on the host, if it does: all of it, or its front end.
    fn host_op(&self, node: &PlanNode) -> Result<Option<HostOp>, Failure> {
        let Some(found) = self.experiment.graph.node(&node.name) else {
            return Ok(None);
        };
        found
            .config
            .host_op(&node.input_signals(), &self.facts)
            .map_err(|error| Failure::Bug(error.to_string()))
    }

    /// The host nodes as steps, and the host values that device nodes read.
    ///
    /// # Errors
    /// A host node cannot be built, which its check should have found.
    pub fn host_steps(&self) -> Result<(Vec<HostStep>, Vec<PortId>), Failure> {
        let mut steps = Vec::new();
        let mut wanted: Vec<PortId> = Vec::new();
        let is_host = |name: &str| {
            name == emorun_lang::DATA
                || self
                    .plan()
                    .node(name)
                    .is_some_and(|node| node.placement == Placement::Host)
        };
        for node in self.plan().nodes().iter().filter(|node| node.section.has_ports()) {
            let op = self.host_op(node)?;
            if let (Some(op), Some(input)) = (op, node.inputs.first()) {
                let on_host = node.placement == Placement::Host;
                let output = PortId::new(&node.name, if on_host { "" } else { FRONT_END });
                if !on_host {
                    wanted.push(output.clone());
                }
                steps.push(HostStep {
                    input: PortId::new(&input.node, &input.node_port),
                    output,
                    op,
                });
            } else if node.placement == Placement::Device {
                for input in node.inputs.iter().filter(|input| is_host(&input.node)) {
                    let port = PortId::new(&input.node, &input.node_port);
                    if matches!(input.signal, Signal::Wave { .. } | Signal::Frames { .. }) && !wanted.contains(&port) {
                        wanted.push(port);
                    }
                }
            }
        }
        Ok((steps, wanted))
    }

    /// Training items of each class by label column, for one assignment.
    pub fn class_counts(&self, assignment: &Assignment) -> HashMap<String, Vec<usize>> {
        self.corpus
            .label_sets
            .keys()
            .map(|column| (column.clone(), self.corpus.class_counts(column, &assignment.train)))
            .collect()
    }

    /// What training will hold in memory at most: of the assignment with the most training items.
    pub fn load(&self) -> Option<Load> {
        let largest = self
            .assignments
            .iter()
            .max_by_key(|assignment| assignment.train.len())?;
        let batch = self.settings.training.batch_size.min(largest.train.len());
        let mut seconds: Vec<f64> = largest
            .train
            .iter()
            .map(|&item| self.corpus.items[item].duration_s)
            .collect();
        seconds.sort_by(|a, b| b.total_cmp(a));
        // A batch is padded to its longest item, and the longest item of all is in some batch.
        let longest = seconds.first().copied().unwrap_or(0.0);
        let all_seconds: f64 = self.corpus.items.iter().map(|item| item.duration_s).sum();
        let host_floats: f64 = self
            .host_steps()
            .ok()?
            .1
            .iter()
            .map(
                |port| match self.plan().node(&port.node).and_then(|node| node.output(&port.port)) {
                    Some(Signal::Frames { width, rate }) => *width as f64 * rate.hz(),
                    _ => f64::from(self.settings.sample_rate_hz),
                },
            )
            .sum();
        let budget = self.settings.training.loader.memory_mib as f64 * (1u64 << 20) as f64;
        let mut cost = emorun_lang::Cost::default();
        self.plan()
            .running(emorun_lang::Schedule::Train)
            .for_each(|node| cost += node.cost);
        Some(Load {
            cost,
            batch_size: batch,
            evaluation_batch_size: self.settings.evaluation.batch_size,
            batch_seconds: longest,
            host_bytes: (4.0 * host_floats * all_seconds).min(budget),
        })
    }

    /// The graph as a drawing.
    pub fn diagram(&self) -> Diagram {
        let plan = self.plan();
        let mut nodes: Vec<DiagramNode> = Vec::new();
        let mut edges: Vec<DiagramEdge> = Vec::new();
        for node in plan.nodes() {
            let mut lines = vec![node.kind.clone()];
            lines.extend(node.output_text());
            if node.cost.parameters > 0 {
                lines.push(format!("{} parameters", node.cost.parameters));
            }
            nodes.push(DiagramNode {
                id: node.name.clone(),
                title: node.name.clone(),
                lines,
                section: node.section.name().to_owned(),
                dashed: node.placement == Placement::Host,
            });
            if !node.section.has_ports() {
                edges.push(DiagramEdge {
                    from: node.name.clone(),
                    to: emorun_lang::DATA.to_owned(),
                    ..DiagramEdge::default()
                });
            }
            for input in &node.inputs {
                let label = if input.node == emorun_lang::DATA {
                    input.node_port.clone()
                } else {
                    String::new()
                };
                edges.push(DiagramEdge {
                    from: input.node.clone(),
                    to: node.name.clone(),
                    label,
                    dashed: false,
                });
            }
            for held in &node.uses {
                edges.push(DiagramEdge {
                    from: held.node.clone(),
                    to: node.name.clone(),
                    label: held.port.clone(),
                    dashed: true,
                });
            }
        }
        nodes.push(DiagramNode {
            id: emorun_lang::DATA.to_owned(),
            title: emorun_lang::DATA.to_owned(),
            lines: plan
                .data()
                .iter()
                .map(|(port, signal)| format!("{port}: {signal}"))
                .collect(),
            section: Section::Datasets.name().to_owned(),
            dashed: true,
        });
        Diagram {
            title: self.settings.name.clone(),
            nodes,
            edges,
            dashed_nodes: "runs on the host".into(),
            dashed_edges: "holds as a callable".into(),
        }
    }
}
