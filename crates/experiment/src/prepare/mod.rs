//! From an experiment file to everything that a run needs, in stages: the structure is checked
//! before any data is touched, the data before anything is trained.

mod corpora;
mod features;
mod fits;
mod held;
mod host;
mod identity;
mod inherit;
mod measures;
mod model;
#[cfg(feature = "onnx")]
mod models;
mod only;
mod origin;
mod policies;
mod prepared;
mod recordings;
mod settings;
mod shortest;
mod stages;
mod trained;

pub use corpora::Corpora;
pub use host::Caching;
pub use identity::WeightsFacts;
pub use inherit::{Shapes, same_tensors};
pub use model::{Model, Stored};
pub use shortest::Trial;

use stages::Stages;

use std::path::{Path, PathBuf};

use emorun_data::{Assignment, Corpus, DataError, ErrorClass, Items};
use emorun_files::read_regular;
use emorun_lang::{
    Code, Diagnostic, Draft, LabelSet, Language, ReadError, Report, Section, Severity, Signal, Sources, Span, Tree,
    load,
};
use emorun_weights::WeightsError;
use indexmap::IndexMap;
use serde_json::Value;

use crate::ancestry::Ancestry;
use crate::checkpoints::{self, Mistakes, Search};
use crate::folders;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::Augmentations;
use emorun_engine::settings::Settings;
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
    /// What is taken of the run that `init_from` names, in words.
    inherited: Option<String>,
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
    let (mut stages, report) = Stages::read(source, depth, cache, on_report)?;
    let (mut prepared, mut report) = stages.structure(report)?;
    if depth == Depth::Structure {
        stages.guess(&prepared, &mut report);
        return Ok(prepared);
    }
    let report = stages.data(&mut prepared, report)?;
    stages.recordings(&mut prepared, report)?;
    if depth == Depth::Deep {
        stages.network(&mut prepared)?;
    }
    Ok(prepared)
}

/// An experiment as it was resolved before, perhaps by an older version, with the defaults of this one.
///
/// # Errors
/// This version does not know what it holds any more.
pub fn with_defaults(resolved: &Value) -> Result<Value, Failure> {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let resolved = read_again(&emorun_lang::to_yaml(resolved), &mut sources, &mut report)?;
    resolved.ok_or_else(|| {
        Failure::Conflict(format!(
            "the run was started by a version of emorun whose experiment this one cannot read; resume it with that version\n{}",
            report.render(&sources, false)
        ))
    })
}

/// The text of a run's `resolved.yaml` with the defaults of this version; `None` where it does not know what it holds any
/// more.
fn read_resolved(text: &str) -> Result<Option<Value>, Failure> {
    read_again(text, &mut Sources::new(), &mut Report::new())
}

fn read_again(text: &str, sources: &mut Sources, report: &mut Report) -> Result<Option<Value>, Failure> {
    let tree = load("run.json", &[], &mut |_| Ok(text.to_owned()), sources, report);
    let language = language()?;
    Ok(tree.and_then(|tree| language.read(tree, report).resolved()))
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

fn rejected(report: &Report) -> Failure {
    let mut mistakes = report
        .diagnostics()
        .iter()
        .filter(|found| found.severity == Severity::Error);
    Failure::Rejected {
        mistakes: report.errors(),
        data: report.has_errors() && mistakes.all(|mistake| mistake.code == Code::MissingData),
    }
}

/// Where decoded files are remembered from run to run.
fn remembered(prepared: &Prepared) -> Option<PathBuf> {
    Some(prepared.cache.as_ref()?.join("scanned.json"))
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
