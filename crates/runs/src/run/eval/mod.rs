//! Measuring a trained run again: on a side of its own data, or on another corpus.

pub mod conditions;
mod heard;
mod members;
mod others;
mod outcome;
mod own;
mod tested;
mod written;

pub use members::Members;
pub use outcome::Outcome;
pub(super) use own::own;
pub use written::{free, write};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use emorun_data::{Assignment, Corpus, Items, SplitName};
use indexmap::IndexMap;
use serde_json::Value;

use super::evaluated::{self, Basis, Origin, Readers};
use super::record::{Status, Versions};
use super::trained::{ChosenWeights, TrainedRun, WhichWeights};
use conditions::Grid;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::feed::augment::Augmentations;
use emorun_engine::train::result::SplitResult;
use emorun_evaluation::{Condition, ConditionResult, Protocol, Run, Weights};
use emorun_experiment::ancestry::{self, Ancestry, HeardBefore};
use emorun_experiment::prepare::{Corpora, Model, OnReport, Stored};
use others::{LeftOut, Others};
use outcome::UnderCondition;
use tested::Tested;

/// What to measure.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A file whose `datasets:` take the place of the run's.
    pub data: Option<PathBuf>,
    /// `path=value` arguments: those of `datasets` change the corpora, all others the experiment.
    pub sets: Vec<String>,
    /// Sides of the run's own data; none where it was not said.
    pub sides: Vec<SplitName>,
    /// Which weights; `None` takes those that the run itself was measured with, and wants it completed.
    pub weights: Option<WhichWeights>,
    /// Conditions beside recordings as they are.
    pub grid: Grid,
    /// Nothing may be downloaded.
    pub offline: bool,
}

/// What is measured on.
struct Measured {
    corpus: Corpus,
    /// The datasets by name.
    datasets: Vec<String>,
    /// Whether it is the run's own data.
    is_own: bool,
    /// What others lack, and what the run lacks of them.
    left_out: LeftOut,
}

/// Measures a run.
///
/// # Errors
/// The run is not completed, or cannot be used by this version; its weights, its backbone or the corpora are not there
/// or have changed; no item has a class that the run knows; a number is not finite.
pub fn eval(run: &TrainedRun, request: &Request, device: &Chosen, on_report: OnReport<'_>) -> Result<Outcome, Failure> {
    let mut remarks = remarks_on(run, request, device)?;
    let mut measured = corpora(run, request, on_report)?;
    remarks.extend(remarks_of(&measured.corpus));
    if measured.is_own && run.record.classes.is_empty() {
        remarks.push("the run does not say how its classes were numbered; they are taken from its corpora".to_owned());
    }
    let classes = classes_of(run, &measured);
    let (_, sets) = apart(&request.sets);
    let stored = Stored {
        classes: &classes,
        sets: &sets,
        offline: request.offline,
    };
    let resolved = run.dir.join("resolved.yaml");
    let mut others = (!measured.is_own).then(|| Others::new(&classes, &all_sets(&measured.corpus)));
    if let Some(others) = &mut others {
        measured.corpus.items = others.renumbered(&measured.corpus.items)?;
    }
    let model = Model::load(&resolved, stored, &measured.corpus.items, &|_, _| true, on_report)?;
    run.record.check_identity(&model, |_| true, &run.dir)?;
    let (assignment, sides) = match others {
        Some(others) => {
            let (left_out, items) = others.left(&measured.corpus, &model, &measured.datasets)?;
            measured.left_out = left_out;
            (None, vec![(SplitName::Test, items)])
        }
        None => own_sides(run, &model, &measured.corpus, request)?,
    };
    let (chosen, weights) = run.chosen(&model, request.weights)?;
    let ancestry = ancestry::of_run(&run.dir)?;
    if measured.is_own {
        remarks.extend(sides.iter().filter_map(|(side, _)| remark_on(*side)).map(str::to_owned));
    }
    let heard = heard(&ancestry, &measured, &sides, assignment.as_ref())?;
    let counts = match &assignment {
        Some(assignment) => own_counts(&model, &measured.corpus, assignment),
        None => run.class_counts(&model, &classes),
    };
    let readers = match &assignment {
        Some(assignment) => evaluated::readers(&measured.corpus.items, &assignment.train, &classes)?,
        None => Readers::default(),
    };
    let tested = Tested::new(run, &model, (&chosen, weights), &counts, device)?;
    if !measured.is_own {
        tested.refuse_too_short(&measured.corpus.items)?;
    }
    let noise = request.grid.noise(&model)?;
    let splits = tested.on(&measured.corpus.items, &sides, Augmentations::default())?;
    let under = tested.under(request, &measured.corpus.items, &sides, noise.as_ref())?;
    remarks.extend(noise.as_ref().and_then(conditions::Noise::remark));
    let all_classes: IndexMap<String, Vec<String>> = all_sets(&measured.corpus).into_iter().chain(classes).collect();
    let columns = model.predicted_columns();
    let basis = Basis {
        items: &measured.corpus.items,
        classes: &all_classes,
        columns: &columns,
        training: &counts,
        readers: &readers,
        settings: &model.settings,
        seed: run.seed,
        several_models: false,
    };
    let origin = Origin {
        remarks: remarks.clone(),
        ..origin(run, &model, &chosen, &measured, device)
    };
    let fitted = evaluated::fitted_before(&run.dir, &origin.run);
    let mut evaluation = basis.evaluation(origin, &splits, fitted)?;
    let conditions = conditions_of(&basis, under, &evaluation.fits)?;
    if !conditions.is_empty() {
        evaluation.conditions = outcome::plain_results(&evaluation.sides);
        let under = conditions.iter().flat_map(|under| under.results.iter().cloned());
        evaluation.conditions.extend(under);
    }
    Ok(Outcome {
        run: run.dir.clone(),
        record: run.record.clone(),
        seed: run.seed,
        weights: chosen,
        device: device.name.to_string(),
        is_own: measured.is_own,
        datasets: measured.datasets,
        facts: serde_json::to_value(&measured.corpus.datasets).unwrap_or_default(),
        left_out: measured.left_out,
        heard,
        not_known: ancestry::not_known(&ancestry),
        remarks,
        classes: all_classes,
        columns,
        items: measured.corpus.items,
        splits,
        evaluation,
        conditions,
        settings: model.settings.clone(),
        noise,
    })
}

/// What somebody must know who reads what was measured on a side of the run's own data.
fn remark_on(side: SplitName) -> Option<&'static str> {
    match side {
        SplitName::Train => {
            Some("the run was trained on its train side: what is measured there says how well it knows it by heart")
        }
        SplitName::Validation => {
            Some("the run's epoch was chosen on its validation side: what is measured there is too good")
        }
        SplitName::Test => None,
    }
}

/// Where what is measured comes from.
fn origin(run: &TrainedRun, model: &Model, chosen: &ChosenWeights, measured: &Measured, device: &Chosen) -> Origin {
    Origin {
        pooled: None,
        run: Run {
            name: run.record.name.clone(),
            seed: run.seed,
            fold: run.record.fold.clone(),
            weights: Weights {
                which: chosen.which.name().to_owned(),
                step: chosen.step,
                epoch: chosen.best_epoch,
            },
            device: device.name.to_string(),
        },
        protocol: Protocol {
            datasets: measured.datasets.clone(),
            own_data: measured.is_own,
            split: model.resolved["split"].clone(),
            selection: chosen.best.as_ref().and_then(|best| evaluated::selection(Some(best))),
        },
        remarks: Vec::new(),
    }
}

/// A condition, the items as they are under it, and what is predicted of them.
type UnderItems = (Condition, Items, IndexMap<SplitName, SplitResult>);

/// What was measured under each condition, everything of it.
fn conditions_of(
    basis: &Basis<'_>,
    under: Vec<UnderItems>,
    fits: &IndexMap<String, emorun_evaluation::Fit>,
) -> Result<Vec<UnderCondition>, Failure> {
    let of = |(condition, items, splits): UnderItems| {
        let basis = Basis {
            items: &items,
            ..basis.clone()
        };
        let mut sides = IndexMap::new();
        let heard_alone = condition.noise_snr_db.is_none() && condition.codec.is_none();
        let mut results = Vec::new();
        for (side, split) in &splits {
            let said = basis.said(split)?;
            for said in &said {
                results.push(ConditionResult {
                    condition: condition.clone(),
                    side: side.to_string(),
                    head: said.head.clone(),
                    items: said.items.len() as u64,
                    metrics: emorun_evaluation::measured(said, basis.seed).0,
                });
            }
            if heard_alone {
                sides.insert(
                    side.to_string(),
                    emorun_evaluation::side(&said, fits, (false, basis.seed)),
                );
            }
        }
        Ok(UnderCondition {
            condition,
            splits,
            sides,
            results,
        })
    };
    under.into_iter().map(of).collect()
}

/// Refuses a run that has not come to its end, unless weights were asked for by name; gives what is to be said of one
/// from elsewhere.
fn remarks_on(run: &TrainedRun, request: &Request, device: &Chosen) -> Result<Vec<String>, Failure> {
    let (record, dir) = (&run.record, run.dir.display());
    let mut remarks = Vec::new();
    if record.status != Status::Completed {
        let status = match record.status {
            Status::Running => "is still going on, or was killed".to_owned(),
            Status::Diverged => "has diverged".to_owned(),
            status => format!("is {status}"),
        };
        if request.weights.is_none() {
            let why = record
                .error
                .as_ref()
                .map_or_else(String::new, |why| format!(" ({why})"));
            let whole = record.parent.as_deref().unwrap_or_default();
            let whole = if whole.is_empty() {
                dir.to_string()
            } else {
                whole.to_owned()
            };
            return Err(Failure::Conflict(format!(
                "{dir} {status}{why}, so that its weights are not its result; continue it with: emorun resume {whole}; or measure what its newest checkpoint holds with --weights last"
            )));
        }
        remarks.push(format!("{dir} {status}: what is measured is not its result"));
    }
    let here = Versions::default();
    if record.versions != here {
        remarks.push(format!(
            "the run was made with emorun {} on Burn {}, this is emorun {} on Burn {}: numbers may differ",
            record.versions.emorun, record.versions.burn, here.emorun, here.burn
        ));
    }
    let now = device.name.to_string();
    if let Some(then) = record.device.as_ref().filter(|then| **then != now) {
        remarks.push(format!(
            "the run was trained on {then}, this is {now}: the last digits may differ"
        ));
    }
    Ok(remarks)
}

/// What is to be said of a corpus: oddities, files left out, copies counted once.
fn remarks_of(corpus: &Corpus) -> Vec<String> {
    let mut remarks = corpus.warnings.clone();
    if let Some(first) = corpus.skipped.first() {
        remarks.push(format!(
            "{} file(s) are left out, such as {}: {}",
            corpus.skipped.len(),
            first.path.display(),
            first.reason
        ));
    }
    if let Some(first) = corpus.duplicates.first() {
        remarks.push(format!(
            "{} file(s) are copies of others and are counted once, such as `{}` of `{}`",
            corpus.duplicates.len(),
            first.dropped,
            first.kept
        ));
    }
    remarks
}

/// Arguments that change corpora, and all others.
fn apart(sets: &[String]) -> (Vec<String>, Vec<String>) {
    let of_data = |set: &&String| set.starts_with("datasets.") || set.starts_with("datasets=");
    let (data, others): (Vec<_>, Vec<_>) = sets.iter().partition(of_data);
    (
        data.into_iter().cloned().collect(),
        others.into_iter().cloned().collect(),
    )
}

/// The corpora: the run's own by content, or those that are named.
fn corpora(run: &TrainedRun, request: &Request, on_report: OnReport<'_>) -> Result<Measured, Failure> {
    let resolved = run.dir.join("resolved.yaml");
    let (sets, _) = apart(&request.sets);
    let mut corpora = Corpora::read(&resolved, request.data.as_deref(), &sets, on_report)?;
    let known = |name: &str| run.record.data.get(name).is_some();
    // `datasets.NAME=…` and `datasets.NAME.root=…`
    let name_in = |set: &String| {
        let path = set.strip_prefix("datasets.")?.split('=').next()?;
        Some(path.split('.').next()?.to_owned())
    };
    let named: BTreeSet<String> = sets.iter().filter_map(name_in).collect();
    let may_be_own = request.data.is_none() && named.iter().all(|name| known(name));
    let mut corpus = None;
    if may_be_own {
        let own = corpora.scan(on_report)?;
        let facts = serde_json::to_value(&own.datasets).unwrap_or_default();
        let is_own = run.record.check_items(&facts, &run.dir);
        let is_own = is_own.and_then(|()| check_numbers(run, &all_sets(&own)));
        if named.is_empty() || is_own.is_ok() {
            is_own?;
            return Ok(Measured {
                datasets: corpora.datasets.keys().cloned().collect(),
                corpus: own,
                is_own: true,
                left_out: LeftOut::default(),
            });
        }
        corpus = (named.len() == corpora.datasets.len()).then_some(own);
    }
    if request.data.is_none() {
        corpora.datasets.retain(|name, _| named.contains(name));
    }
    if !request.sides.is_empty() {
        return Err(Failure::Usage(
            "--split names a side of the run's own data; of another corpus all items are measured".into(),
        ));
    }
    if run.record.classes.is_empty() {
        return Err(Failure::Conflict(format!(
            "{} does not say how its classes are numbered, as runs of this version do; measure it on its own data",
            run.dir.display()
        )));
    }
    let corpus = corpus.map_or_else(|| corpora.scan(on_report), Ok)?;
    Ok(Measured {
        datasets: corpora.datasets.keys().cloned().collect(),
        corpus,
        is_own: false,
        left_out: LeftOut::default(),
    })
}

/// Compares how classes are numbered: items and their labels can be the same, by names, where that has changed.
fn check_numbers(run: &TrainedRun, now: &IndexMap<String, Vec<String>>) -> Result<(), Failure> {
    let mut then = run.record.classes.iter();
    match then.find(|(column, classes)| now.get(*column) != Some(classes)) {
        None => Ok(()),
        Some((column, classes)) => Err(Failure::Conflict(format!(
            "the classes of `{column}` are not numbered as when {} was started: then {}, now {}; put them back, or name the corpus with --data or --set, by which classes go by their names",
            run.dir.display(),
            classes.join(", "),
            now.get(column).map_or_else(|| "none".to_owned(), |now| now.join(", ")),
        ))),
    }
}

/// Names of the classes of all label columns and attributes of a corpus.
fn all_sets(corpus: &Corpus) -> IndexMap<String, Vec<String>> {
    let sets = corpus.label_sets.iter().chain(&corpus.attribute_sets);
    sets.map(|(column, classes)| (column.clone(), classes.clone()))
        .collect()
}

/// How the run's classes are numbered: as it says, or of a version that did not say it as its corpora have them.
fn classes_of(run: &TrainedRun, measured: &Measured) -> IndexMap<String, Vec<String>> {
    match run.record.classes.is_empty() {
        true => all_sets(&measured.corpus),
        false => run.record.classes.clone(),
    }
}

/// Sides with their items.
type Sides = Vec<(SplitName, Vec<usize>)>;

/// The sides of the run's own data that are asked for, as they were drawn for its fold.
fn own_sides(
    run: &TrainedRun,
    model: &Model,
    corpus: &Corpus,
    request: &Request,
) -> Result<(Option<Assignment>, Sides), Failure> {
    let fold = &run.record.fold;
    let mut assignments = model.split(corpus)?.into_iter();
    let assignment = assignments
        .find(|assignment| assignment.label == *fold)
        .ok_or_else(|| {
            Failure::Conflict(format!(
                "the split has no {} any more, which {} was trained on",
                fold.as_deref().unwrap_or("single fold"),
                run.dir.display()
            ))
        })?;
    let certificate = serde_json::to_value(&assignment.certificate).map_err(|error| Failure::Bug(error.to_string()))?;
    let facts = serde_json::to_value(&corpus.datasets).unwrap_or_default();
    run.record.check_data(&facts, &certificate, &run.dir)?;
    let asked = match request.sides.is_empty() {
        true => vec![SplitName::Test],
        false => request.sides.clone(),
    };
    let items = |side: SplitName| match side {
        SplitName::Train => assignment.train.clone(),
        SplitName::Validation => assignment.validation.clone(),
        SplitName::Test => assignment.test.clone(),
    };
    let sides: Sides = asked.iter().map(|&side| (side, items(side))).collect();
    let sides: Sides = sides.into_iter().filter(|(_, items)| !items.is_empty()).collect();
    if sides.is_empty() {
        return Err(Failure::Usage(format!(
            "the run's split has no {} side; choose another with --split",
            asked.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
        )));
    }
    Ok((Some(assignment), sides))
}

/// Whom of those measured the run, or what its weights come from, has heard.
fn heard(
    ancestry: &Ancestry,
    measured: &Measured,
    sides: &Sides,
    assignment: Option<&Assignment>,
) -> Result<Vec<HeardBefore>, Failure> {
    if let Some(assignment) = assignment {
        // Its own training and choice of an epoch are what the sides are for.
        let before = ancestry.get(1..).unwrap_or_default();
        return Ok(ancestry::heard_before(before, &assignment.certificate.splits));
    }
    let mut speakers = IndexMap::new();
    for &item in sides.iter().flat_map(|(_, items)| items) {
        let item = measured.corpus.items.get(item)?;
        if item.has_known_speaker() {
            *speakers.entry(item.speaker.to_string()).or_insert(0) += 1;
        }
    }
    let facts = emorun_data::split::SideFacts {
        speakers,
        ..Default::default()
    };
    Ok(ancestry::heard_before(ancestry, &[(SplitName::Test, facts)].into()))
}

impl TrainedRun {
    /// Training items of each class, by which losses weigh classes.
    fn class_counts(&self, model: &Model, classes: &IndexMap<String, Vec<String>>) -> HashMap<String, Vec<usize>> {
        let stored = &self.record.certificate["splits"]["train"]["classes"];
        let count = |column: &str, class: &str| stored[column][class].as_u64().map(|count| count as usize);
        let columns = model.label_ports().into_iter().filter_map(|column| {
            let own = classes.get(&column)?;
            let counts = own.iter().map(|class| count(&column, class));
            Some((column.clone(), counts.collect::<Option<Vec<_>>>()?))
        });
        columns.collect()
    }
}

/// Training items of each class of the run's own corpus, as training counted them.
fn own_counts(model: &Model, corpus: &Corpus, assignment: &Assignment) -> HashMap<String, Vec<usize>> {
    let columns = model.label_ports().into_iter();
    let count = |column: String| {
        let counts = corpus.class_counts(&column, &assignment.train);
        (column, counts.into_values().collect())
    };
    columns.map(count).collect()
}

/// Numbers of each class by name, for JSON.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// A value as JSON; what cannot be written so is a bug.
fn json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Bug(error.to_string()))
}
