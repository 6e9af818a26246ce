//! Corpora by themselves, to measure a trained network on: its own, or others in their place.

use std::collections::BTreeSet;
use std::path::Path;

use emorun_data::{Assignment, Corpus, DatasetConfig, ErrorClass, ScanLevel};
use emorun_lang::{Entry, Report, Section, Signal, Sources, Tree, Value, load};
use indexmap::IndexMap;

use super::{
    Model, OnReport, add_data_errors, language, model::datasets_of, read_text, rejected, stages::learned_columns,
};
use emorun_engine::exit::Failure;

/// What stands under `datasets:` of an experiment, or of a file with nothing else.
#[derive(Debug)]
pub struct Corpora {
    /// Datasets by name.
    pub datasets: IndexMap<String, DatasetConfig>,
    tree: Tree,
    sources: Sources,
}

impl Corpora {
    /// The datasets of an experiment with what `sets` change; with `instead`, those of that file in their place.
    ///
    /// # Errors
    /// A file cannot be read, or its datasets have mistakes; `on_report` has heard of them.
    pub fn read(
        experiment: &Path,
        instead: Option<&Path>,
        sets: &[String],
        on_report: OnReport<'_>,
    ) -> Result<Self, Failure> {
        let (mut sources, mut report) = (Sources::new(), Report::new());
        let read = |path: &Path, sets: &[String], sources: &mut Sources, report: &mut Report| {
            load(&path.to_string_lossy(), sets, &mut read_text, sources, report)
        };
        let own = if instead.is_some() { &[] } else { sets };
        let mut tree = read(experiment, own, &mut sources, &mut report);
        if let (Some(tree), Some(path)) = (&mut tree, instead)
            && let Some(others) = read(path, sets, &mut sources, &mut report)
        {
            replace_datasets(tree, &others).ok_or_else(|| {
                Failure::Usage(format!(
                    "{} has no `datasets:`; write the corpora as in an experiment, such as `datasets: {{ other: {{ kind: files, … }} }}`",
                    path.display()
                ))
            })?;
        }
        let language = language()?;
        let tree = tree.filter(|_| !report.has_errors());
        let read = tree.map(|tree| (language.read(tree.clone(), &mut report), tree));
        match read.filter(|_| !report.has_errors()) {
            Some((draft, tree)) => Ok(Self {
                datasets: datasets_of(&draft),
                tree,
                sources,
            }),
            None => {
                report.sort();
                on_report(&report, &sources);
                Err(rejected(&report))
            }
        }
    }

    /// Reads their items, every sample of every file.
    ///
    /// # Errors
    /// They are not there or cannot be used; `on_report` has heard why.
    pub fn scan(&self, on_report: OnReport<'_>) -> Result<Corpus, Failure> {
        let memory = crate::folders::cache().map(|folder| folder.join("scanned.json"));
        emorun_data::scan(&self.datasets, ScanLevel::Deep, memory.as_deref()).map_err(|errors| {
            let mut report = Report::new();
            add_data_errors(&errors, &self.tree, &mut report);
            report.sort();
            on_report(&report, &self.sources);
            Failure::Rejected {
                mistakes: errors.len(),
                data: errors.iter().all(|error| error.class() == ErrorClass::Data),
            }
        })
    }
}

/// Puts the datasets of one file in the place of another's; `None` where there are none.
fn replace_datasets(tree: &mut Tree, others: &Tree) -> Option<()> {
    let name = Section::Datasets.name();
    let others: &Entry = others.entry(name)?;
    let Value::Map(sections) = &mut tree.value else {
        return None;
    };
    sections.retain(|entry| entry.key != name);
    sections.push(others.clone());
    Some(())
}

impl Model {
    /// The sides of the run's own corpus, one assignment a fold, drawn again as for training.
    ///
    /// # Errors
    /// The corpus cannot be split so any more.
    pub fn split(&self, corpus: &Corpus) -> Result<Vec<Assignment>, Failure> {
        let graph = &self.experiment.graph;
        let datasets = graph
            .section(Section::Datasets)
            .filter_map(|node| Some((node.name.clone(), node.config.dataset()?.clone())))
            .collect();
        let ports = emorun_data::declare(&datasets, self.settings.sample_rate_hz).map_err(Failure::Data)?;
        let learned = learned_columns(self, &ports);
        emorun_data::split(corpus, &self.settings.split, &learned, self.settings.seed).map_err(Failure::Data)
    }

    /// Label columns that heads predict, by head, in the order of the graph.
    pub fn predicted_columns(&self) -> IndexMap<String, String> {
        let heads: BTreeSet<String> = self.heads().into_iter().collect();
        let nodes = self.plan().nodes().iter().filter(|node| heads.contains(&node.name));
        let column = |signal: &Signal| match signal {
            Signal::Labels { labels } => Some(labels.name.clone()),
            _ => None,
        };
        nodes
            .filter_map(|node| {
                let target = node.inputs.iter().find(|input| input.port == "target")?;
                Some((node.name.clone(), column(&target.signal)?))
            })
            .collect()
    }
}
