//! A run's own data, as it was trained on it, for others who use the run's model.

use emorun_data::{Corpus, SplitName};

use super::{Request, apart, classes_of, corpora, own_sides};
use crate::run::trained::TrainedRun;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Model, OnReport, Stored};

/// A run's model and corpus.
pub(in crate::run) struct Own {
    /// The model, as far as a node needs it.
    pub model: Model,
    /// The corpus.
    pub corpus: Corpus,
    /// The items of the side asked for.
    pub items: Vec<usize>,
}

/// A run's own data, as far as a node needs it, compared with what the run has recorded of it.
///
/// # Errors
/// The corpora or the backbone are not there or have changed, or the run's split has no such side.
pub(in crate::run) fn own(
    run: &TrainedRun,
    node: &str,
    (side, sets, offline): (SplitName, &[String], bool),
    on_report: OnReport<'_>,
) -> Result<Own, Failure> {
    let request = Request {
        sets: sets.to_vec(),
        sides: vec![side],
        offline,
        ..Request::default()
    };
    let measured = corpora(run, &request, on_report)?;
    let classes = classes_of(run, &measured);
    let (_, sets) = apart(sets);
    let stored = Stored {
        classes: &classes,
        sets: &sets,
        offline,
    };
    let (name, _) = node.split_once('.').unwrap_or((node, ""));
    let needed = |model: &Model, other: &str| model.upstream(name).contains(other);
    let resolved = run.dir.join("resolved.yaml");
    let model = Model::load(&resolved, stored, &measured.corpus.items, &needed, on_report)?;
    let (_, mut sides) = own_sides(run, &model, &measured.corpus, &request)?;
    let items = sides.pop().map(|(_, items)| items).unwrap_or_default();
    Ok(Own {
        model,
        corpus: measured.corpus,
        items,
    })
}
