//! What a run's members give together, as files: predictions, evaluation, confusion and curves.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use emorun_data::SplitName;
use emorun_evaluation::{Evaluation, Measured, Metrics, Pooled, Protocol, Run, Weights};
use emorun_metrics::{ClassPredictions, Merge, Metric, NumberPredictions, Predictions};
use indexmap::IndexMap;

use super::curves;
use super::dir::RunDir;
use super::evaluated::{self, Basis, Origin};
use super::member::{MemberSpec, shown_metrics};
use super::summary::{ParentSummary, SplitSummary};
use emorun_engine::exit::Failure;
use emorun_engine::train::result::{HeadResult, SplitResult};
use emorun_experiment::prepare::Prepared;

/// Writes the test predictions of all members as one table a head and evaluated as one, their confusion as pictures, and
/// their mean curves.
///
/// # Errors
/// A member's file cannot be read, or one not be written.
pub fn write(
    prepared: &Prepared,
    dir: &RunDir,
    members: &[&MemberSpec],
    summary: &ParentSummary,
) -> Result<(), Failure> {
    let SplitSummary { heads, regressions, .. } = &summary.pooled;
    for head in heads.keys().chain(regressions.keys()) {
        let table = predictions(dir, members, head)?;
        dir.write(&format!("report/predictions.{head}.csv"), &table)?;
    }
    for (head, result) in heads {
        let Some(confusion) = &result.detail else { continue };
        let title = format!("{head}, test, all members");
        match emorun_figures::confusion_matrix(&title, confusion.labels(), confusion.rows()) {
            Ok(figure) => dir.write(&format!("report/confusion.{head}.test.svg"), figure.to_svg().as_bytes())?,
            Err(error) => tracing::warn!("no confusion matrix was drawn: {error}"),
        }
    }
    let evaluation = evaluation(prepared, dir, members, summary)?;
    let read = evaluated::text(&evaluation, |side| format!("{side}, all members"), |_| "");
    dir.write("report/evaluation.txt", read.as_bytes())?;
    dir.write(evaluated::FILE, &evaluated::bytes(&evaluation)?)?;
    let places: Vec<PathBuf> = members.iter().map(|member| dir.path().join(&member.path)).collect();
    curves::draw(dir, &places, &shown_metrics(prepared))
}

/// The test rows of the members' `predictions.<head>.csv`, each behind its member.
fn predictions(dir: &RunDir, members: &[&MemberSpec], head: &str) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let unwritten = |error: csv::Error| Failure::Bug(error.to_string());
    for (at, member) in members.iter().enumerate() {
        let path = dir
            .path()
            .join(&member.path)
            .join(format!("report/predictions.{head}.csv"));
        let unreadable = |error: csv::Error| Failure::Corrupt {
            path: path.clone(),
            message: error.to_string(),
        };
        let mut reader = csv::Reader::from_path(&path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.clone();
        let split = header.iter().position(|column| column == "split");
        if at == 0 {
            writer
                .write_record(std::iter::once("member").chain(header.iter()))
                .map_err(unwritten)?;
        }
        for row in reader.records() {
            let row = row.map_err(unreadable)?;
            if split.and_then(|split| row.get(split)) == Some("test") {
                let fields = std::iter::once(member.path.as_str()).chain(row.iter());
                writer.write_record(fields).map_err(unwritten)?;
            }
        }
    }
    writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error().into()))
}

/// What the members have said of their test sides, read from their tables and evaluated together.
fn evaluation(
    prepared: &Prepared,
    dir: &RunDir,
    members: &[&MemberSpec],
    summary: &ParentSummary,
) -> Result<Evaluation, Failure> {
    let SplitSummary { heads, regressions, .. } = &summary.pooled;
    let mut result = SplitResult {
        n: summary.pooled.n,
        ..SplitResult::default()
    };
    for (head, is_classifier) in heads
        .keys()
        .map(|head| (head, true))
        .chain(regressions.keys().map(|head| (head, false)))
    {
        let mut rows = Rows::default();
        for member in members {
            let path = dir
                .path()
                .join(&member.path)
                .join(format!("report/predictions.{head}.csv"));
            rows.read(
                prepared,
                &prepared.assignments[member.assignment].test,
                &path,
                is_classifier,
            )?;
        }
        if let Some(predictions) = rows.predictions {
            let own = HeadResult {
                order: (0..rows.items.len()).collect(),
                items: rows.items,
                ..HeadResult::new(head, predictions, &prepared.settings)
            };
            result.heads.insert(head.clone(), own);
        }
    }
    let basis = Basis {
        items: &prepared.corpus.items,
        classes: &prepared.corpus.label_sets,
        columns: &prepared.predicted_columns(),
        // Each member has been trained on others.
        training: &HashMap::new(),
        readers: &evaluated::Readers::new(),
        settings: &prepared.settings,
        seed: prepared.settings.seed,
        several_models: true,
    };
    let splits = IndexMap::from([(SplitName::Test, result)]);
    let origin = origin(prepared, members, summary, &splits);
    let mut evaluation = basis.evaluation(origin, &splits, None)?;
    // What cannot be computed over the scores of several models is their mean, as in the summary.
    let means = |metrics: &mut Metrics, own: &[(Metric, Option<f64>)]| {
        let own = own.iter().filter(|(metric, _)| metric.merge() == Merge::MemberMean);
        metrics.extend(own.map(|(metric, value)| {
            let (value, interval) = (*value, None);
            (*metric, Measured { value, interval })
        }));
    };
    for side in evaluation.sides.values_mut() {
        for (head, own) in &mut side.classifiers {
            heads
                .get(head)
                .into_iter()
                .for_each(|known| means(&mut own.metrics, &known.metrics));
        }
        for (head, own) in &mut side.regressors {
            regressions
                .get(head)
                .into_iter()
                .for_each(|known| means(&mut own.metrics, &known.metrics));
        }
    }
    Ok(evaluation)
}

/// What a reader must know of members that are taken together.
fn origin(
    prepared: &Prepared,
    members: &[&MemberSpec],
    summary: &ParentSummary,
    splits: &IndexMap<SplitName, SplitResult>,
) -> Origin {
    let folds: BTreeSet<usize> = members.iter().map(|member| member.assignment).collect();
    let seeds: BTreeSet<u64> = members.iter().map(|member| member.seed).collect();
    let heads = splits.values().flat_map(|split| split.heads.values());
    let largest = heads.max_by_key(|head| head.items.len());
    let rows = largest.map_or(0, |head| head.items.len());
    let items = largest.map_or(0, |head| head.items.iter().collect::<BTreeSet<_>>().len());
    let how_often = match rows == items {
        true => format!("Each of the {items} test items was predicted by one member."),
        false => format!(
            "{rows} predictions of {items} test items: an item counts once for each member that has predicted it, in counts and metrics; intervals draw an item with all its predictions."
        ),
    };
    let ranked = "What ranks or bins scores (ROC AUC, average precision, ECE) is the mean over members, without an interval, and its curves are in their own reports: scores of different models are not comparable.";
    let failed = summary.failed.len();
    let failed = (failed > 0).then(|| format!("{failed} member(s) have failed, and nothing here counts them."));
    let datasets = prepared.corpus.datasets.as_object();
    Origin {
        run: Run {
            name: prepared.settings.name.clone(),
            seed: prepared.settings.seed,
            fold: None,
            weights: Weights {
                which: "each member's own".to_owned(),
                ..Weights::default()
            },
            device: String::new(),
        },
        pooled: Some(Pooled {
            members: members.iter().map(|member| member.path.clone()).collect(),
            folds: folds.len(),
            seeds: seeds.into_iter().collect(),
        }),
        protocol: Protocol {
            datasets: datasets.map_or_else(Vec::new, |datasets| datasets.keys().cloned().collect()),
            own_data: true,
            split: prepared.resolved["split"].clone(),
            selection: None,
        },
        remarks: [how_often, ranked.to_owned()].into_iter().chain(failed).collect(),
    }
}

/// Rows of members' tables, with their items.
#[derive(Default)]
struct Rows {
    predictions: Option<Predictions>,
    items: Vec<usize>,
}

impl Rows {
    /// Adds the test rows of a member's table, which are in the order of its test items.
    fn read(&mut self, prepared: &Prepared, test: &[usize], path: &Path, is_classifier: bool) -> Result<(), Failure> {
        let damaged = |message: String| Failure::Corrupt {
            path: path.to_owned(),
            message,
        };
        let mut reader = csv::Reader::from_path(path).map_err(|error| damaged(error.to_string()))?;
        let header = reader.headers().map_err(|error| damaged(error.to_string()))?.clone();
        let columns = |prefix: &str| -> Vec<(usize, String)> {
            let names = header.iter().enumerate();
            let own = names.filter_map(|(at, name)| Some((at, name.strip_prefix(prefix)?.to_owned())));
            own.collect()
        };
        let named = |name: &str| {
            let at = header.iter().position(|own| own == name);
            at.ok_or_else(|| damaged(format!("it has no column `{name}`")))
        };
        let (split, place) = (named("split")?, named("path")?);
        let (scores, truths) = match is_classifier {
            true => (columns("p_"), Vec::new()),
            false => (columns("predicted_"), columns("true_")),
        };
        let labels: Vec<&String> = scores.iter().map(|(_, name)| name).collect();
        let predictions = self.predictions.get_or_insert_with(|| match is_classifier {
            true => Predictions::Classes(ClassPredictions::new(&labels)),
            false => Predictions::Numbers(NumberPredictions::new(&labels)),
        });
        let truth = if is_classifier { Some(named("true")?) } else { None };
        let mut ahead = test.iter();
        for row in reader.records() {
            let row = row.map_err(|error| damaged(error.to_string()))?;
            if row.get(split) != Some("test") {
                continue;
            }
            let line = row.position().map_or(0, csv::Position::line);
            let wrong = |what: &str| damaged(format!("line {line}: {what}"));
            let number = |at: usize| row.get(at).and_then(|text| text.parse::<f32>().ok());
            let given: Option<Vec<f32>> = scores.iter().map(|(at, _)| number(*at)).collect();
            let given = given.ok_or_else(|| wrong("a prediction is no number"))?;
            let path = row.get(place).unwrap_or_default();
            let item = loop {
                let item = ahead.next().ok_or_else(|| wrong("it is no item of the test side"))?;
                if prepared.corpus.items.get(*item)?.display_path() == path {
                    break *item;
                }
            };
            let added = match predictions {
                Predictions::Classes(rows) => {
                    let name = truth.and_then(|at| row.get(at)).filter(|name| !name.is_empty());
                    let class = |name: &str| {
                        let at = rows.labels().iter().position(|label| label == name);
                        at.ok_or_else(|| wrong("the true class is not among the classes"))
                    };
                    let class = name.map(class).transpose()?;
                    rows.add(class.map(|class| class as u32), &given)
                }
                Predictions::Numbers(rows) => {
                    let known: Vec<Option<f32>> = truths.iter().map(|(at, _)| number(*at)).collect();
                    rows.add(&known, &given)
                }
            };
            added.map_err(|error| wrong(&error.to_string()))?;
            self.items.push(item);
        }
        Ok(())
    }
}
