//! What a person reads at the end of a run, and the files under `report/`.

use std::fmt::Write as _;

use emorun_data::{Assignment, Certificate, Items, SplitName};
use emorun_evaluation::text::{classes, confusion};
use emorun_metrics::{ClassPredictions, Interval, Metric, Predicts};
use indexmap::IndexMap;

use super::summary::{ParentSummary, SplitSummary};
use emorun_engine::exit::Failure;
use emorun_engine::settings::Evaluation;
use emorun_engine::train::result::SplitResult;
use emorun_experiment::ancestry::{Ancestor, HeardBefore, not_known};

pub use emorun_evaluation::text::table;

/// A probability or an estimate with as many digits as give its bits back, nine at most.
fn exact(value: f32) -> String {
    if value == 0.0 || (1e-5..1e9).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// The losses on every split, where there are several: each by itself, and their weighted sum.
fn losses(splits: &IndexMap<SplitName, SplitResult>) -> String {
    let Some(first) = splits.values().next().filter(|first| first.losses.len() > 1) else {
        return String::new();
    };
    let header = ["split"].into_iter().chain(first.losses.keys().map(String::as_str));
    let header: Vec<&str> = header.chain(["weighted sum"]).collect();
    let row = |(name, split): (&SplitName, &SplitResult)| {
        let each = first.losses.keys();
        let each = each.map(|node| number(split.losses.get(node).and_then(|loss| loss.value)));
        std::iter::once(name.to_string())
            .chain(each)
            .chain([number(split.loss)])
            .collect()
    };
    let rows: Vec<Vec<String>> = splits.iter().map(row).collect();
    format!("\nlosses\n{}", table(&header, &rows))
}

/// The losses of a head alone, by their nodes.
fn own_losses<'a>(split: &'a SplitResult, head: &str) -> Vec<(&'a String, Option<f64>)> {
    let own = split.losses.iter().filter(|(_, loss)| loss.of == head);
    own.map(|(node, loss)| (node, loss.value)).collect()
}

/// Losses and metrics of every split, then each head's classes and confusion on the most telling split.
pub fn text(splits: &IndexMap<SplitName, SplitResult>) -> String {
    let mut text = losses(splits);
    let first = splits.values().next();
    for (head, result, _) in first.into_iter().flat_map(SplitResult::classifiers) {
        let metrics: Vec<Metric> = result.metrics.iter().map(|(metric, _)| *metric).collect();
        let rows: Vec<Vec<String>> = splits
            .iter()
            .filter_map(|(name, split)| {
                let counts = split.classes(head)?.confusion();
                let losses = own_losses(split, head).into_iter().map(|(_, loss)| number(loss));
                let own = split.heads.get(head)?;
                let metrics = metrics.iter().map(|metric| metric.text(own.metric(*metric)));
                let row = [name.to_string(), counts.total().to_string()].into_iter().chain(losses);
                Some(row.chain(metrics).collect())
            })
            .collect();
        let nodes = first.map(|split| own_losses(split, head));
        let nodes: Vec<&str> = nodes.iter().flatten().map(|(node, _)| node.as_str()).collect();
        let header = ["split", "items"].into_iter().chain(nodes);
        let header: Vec<&str> = header.chain(metrics.iter().map(|metric| metric.title())).collect();
        let _ = writeln!(text, "\n{head}");
        text.push_str(&table(&header, &rows));
        if let Some((name, counts)) = splits
            .iter()
            .next_back()
            .and_then(|(name, split)| Some((name, split.classes(head)?.confusion())))
        {
            let _ = writeln!(text, "\n{head} by class ({name})");
            text.push_str(&classes(counts));
            let _ = writeln!(text, "\n{head} confusion ({name}; rows true, columns predicted)");
            text.push_str(&confusion(counts));
        }
    }
    text.push_str(&numbers(splits));
    text
}

/// What the certificate of the split shows and what it does not.
pub fn claims(certificate: &Certificate) -> String {
    let lines = certificate.claims().into_iter();
    std::iter::once(String::new())
        .chain(lines)
        .map(|line| line + "\n")
        .collect()
}

/// As [`claims`], of all folds; what is the same in several is told once.
pub fn claims_of_all(assignments: &[Assignment]) -> String {
    let mut folds_of: IndexMap<String, Vec<&str>> = IndexMap::new();
    for assignment in assignments {
        for claim in assignment.certificate.claims() {
            folds_of
                .entry(claim)
                .or_default()
                .push(assignment.label.as_deref().unwrap_or_default());
        }
    }
    let line = |(claim, folds): (String, Vec<&str>)| match folds.len() == assignments.len() {
        true => format!("{claim}\n"),
        false => format!("{}: {claim}\n", folds.join(", ")),
    };
    std::iter::once("\n".to_owned())
        .chain(folds_of.into_iter().map(line))
        .collect()
}

/// What the runs and files that the weights come from have heard of the validation and test sides.
pub fn heard_text(heard: &[HeardBefore], ancestry: &[Ancestor]) -> String {
    let lines = heard.iter().map(|heard| format!("HEARD BEFORE: {heard}\n"));
    let unknown = not_known(ancestry)
        .into_iter()
        .map(|line| format!("PERHAPS HEARD BEFORE: {line}\n"));
    let text: String = lines.chain(unknown).collect();
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

/// Each head that predicts numbers: agreement on each number and split.
fn numbers(splits: &IndexMap<SplitName, SplitResult>) -> String {
    let mut text = String::new();
    let first = splits.values().next();
    for (head, result, _) in first.into_iter().flat_map(SplitResult::regressors) {
        let metrics = result.metrics_of_each_number();
        let mut rows = Vec::new();
        for (name, split) in splits {
            let Some(predictions) = split.numbers(head) else {
                continue;
            };
            for number in predictions.numbers() {
                let row = [format!("{name} {}", number.name), number.items().to_string()];
                let values = metrics.iter().map(|metric| metric.text(metric.of_number(number)));
                rows.push(row.into_iter().chain(values).collect());
            }
        }
        let _ = writeln!(text, "\n{head}");
        let header = ["split", "items"].into_iter();
        let header: Vec<&str> = header.chain(metrics.iter().map(|metric| metric.title())).collect();
        text.push_str(&table(&header, &rows));
        let own = splits.iter().map(|(name, split)| (name, own_losses(split, head)));
        let own: Vec<_> = own.filter(|(_, losses)| !losses.is_empty()).collect();
        if let Some((_, first)) = own.first() {
            let header = std::iter::once("split").chain(first.iter().map(|(node, _)| node.as_str()));
            let header: Vec<&str> = header.collect();
            let row = |(name, losses): &(&SplitName, Vec<(&String, Option<f64>)>)| {
                let losses = losses.iter().map(|(_, loss)| number(*loss));
                std::iter::once(name.to_string()).chain(losses).collect()
            };
            let _ = writeln!(text, "\n{head}: losses");
            text.push_str(&table(&header, &own.iter().map(row).collect::<Vec<Vec<String>>>()));
        }
    }
    text
}

/// Mean, deviation and pooled metrics of a parent, and each member.
pub fn parent_text(summary: &ParentSummary, evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let metrics = evaluation.shown(Predicts::Classes);
    for head in summary.mean.heads.keys() {
        let pick = |split: &SplitSummary, metric: Metric| {
            let value = split.heads.get(head).and_then(|head| head.metric(metric));
            metric.text(value)
        };
        let header: Vec<&str> = ["", "items"]
            .into_iter()
            .chain(metrics.iter().map(|metric| metric.title()))
            .collect();
        let row = |name: &str, items: u64, split: &SplitSummary| {
            [name.to_owned(), items.to_string()]
                .into_iter()
                .chain(metrics.iter().map(|&metric| pick(split, metric)))
                .collect::<Vec<_>>()
        };
        let mut rows: Vec<Vec<String>> = summary
            .members
            .iter()
            .map(|(name, member)| row(name, member.n, member))
            .collect();
        rows.extend(
            summary
                .seeds
                .iter()
                .map(|(seed, split)| row(&format!("seed {seed}, all folds"), split.n, split)),
        );
        rows.push(
            ["mean ± sd".to_owned(), String::new()]
                .into_iter()
                .chain(
                    metrics
                        .iter()
                        .map(|&metric| format!("{} ± {}", pick(&summary.mean, metric), pick(&summary.sd, metric))),
                )
                .collect(),
        );
        rows.push(row("pooled", summary.pooled.n, &summary.pooled));
        let _ = writeln!(text, "\n{head} on test ({})", members_of(summary));
        text.push_str(&table(&header, &rows));
        if let Some(counts) = summary.pooled.heads.get(head).and_then(|head| head.detail.as_ref()) {
            let _ = writeln!(text, "\n{head} confusion (pooled; rows true, columns predicted)");
            text.push_str(&confusion(counts));
        }
    }
    text.push_str(&parent_numbers(summary));
    if let Some(over) = summary.spread.over {
        let shown = metrics.iter().flat_map(|metric| {
            let heads = summary.mean.heads.keys();
            heads.map(move |head| (*metric, format!("{head}.{}", metric.name())))
        });
        let rows: Vec<Vec<String>> = shown
            .filter_map(|(metric, name)| {
                let found = summary.spread.means.get(&name)?;
                let unit = metric.unit();
                let Interval { low, high } = found.interval?;
                let ends = format!("{} to {}", unit.number(low), unit.number(high));
                Some(vec![name, metric.text(Some(found.mean)), ends])
            })
            .collect();
        if !rows.is_empty() {
            let _ = writeln!(
                text,
                "\n{}\n{}",
                over.text(),
                table(&["", "mean", "interval"], &rows).trim_end()
            );
        }
    }
    if !summary.failed.is_empty() {
        let names: Vec<&str> = summary.failed.keys().map(String::as_str).collect();
        let _ = writeln!(text, "\nnot counted, because they failed: {}", names.join(", "));
    }
    for (member, heard) in &summary.heard_before {
        for heard in heard {
            let _ = writeln!(text, "\nHEARD BEFORE by {member}: {heard}");
        }
    }
    text
}

/// How many members a parent's results are over, and of how many.
fn members_of(summary: &ParentSummary) -> String {
    let (done, failed) = (summary.members.len(), summary.failed.len());
    if failed == 0 {
        format!("{done} members")
    } else {
        format!("{done} of {} members: {failed} failed", done + failed)
    }
}

/// Test results of heads that predict numbers, over members.
fn parent_numbers(summary: &ParentSummary) -> String {
    let mut text = String::new();
    for (head, mean) in &summary.mean.regressions {
        let values = |split: &SplitSummary| {
            let own = split.regressions.get(head);
            let value = |(metric, _): &(Metric, _)| metric.text(own.and_then(|own| own.metric(*metric)));
            mean.metrics.iter().map(value).collect::<Vec<_>>()
        };
        let row = |name: &str, n: u64, split: &SplitSummary| {
            [name.to_owned(), n.to_string()]
                .into_iter()
                .chain(values(split))
                .collect()
        };
        let members = summary.members.iter();
        let mut rows: Vec<Vec<String>> = members.map(|(name, split)| row(name, split.n, split)).collect();
        let spread = values(&summary.mean).into_iter().zip(values(&summary.sd));
        let spread = spread.map(|(mean, sd)| format!("{mean} ± {sd}"));
        rows.push(
            ["mean ± sd".to_owned(), String::new()]
                .into_iter()
                .chain(spread)
                .collect(),
        );
        rows.push(row("pooled", summary.pooled.n, &summary.pooled));
        let _ = writeln!(text, "\n{head} on test ({})", members_of(summary));
        let titles = mean.metrics.iter().map(|(metric, _)| metric.title());
        let header: Vec<&str> = ["member", "items"].into_iter().chain(titles).collect();
        text.push_str(&table(&header, &rows));
    }
    text
}

/// `predictions.<head>.csv` of a head that predicts numbers: one row an item,
/// `path,dataset,split,speaker,true_<number>…,predicted_<number>…`.
///
/// # Errors
/// The corpus' index on disk cannot be read.
pub fn estimates_csv(items: &Items, head: &str, splits: &IndexMap<SplitName, SplitResult>) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let first = splits.values().find_map(|split| split.numbers(head));
    let names = || {
        first
            .into_iter()
            .flat_map(|rows| rows.numbers().map(|number| number.name))
    };
    let columns = ["path", "dataset", "split", "speaker"].map(str::to_owned).into_iter();
    let numbers = names().map(|name| format!("true_{name}"));
    writer
        .write_record(
            columns
                .chain(numbers)
                .chain(names().map(|name| format!("predicted_{name}"))),
        )
        .map_err(unwritten)?;
    for (split, result) in splits {
        let Some(predictions) = result.numbers(head) else {
            continue;
        };
        let rows: Vec<_> = predictions.rows().collect();
        for (item, (truth, predicted)) in result.in_order(head, &rows) {
            let item = items.get(item)?;
            let fields = [
                item.display_path(),
                item.dataset.to_string(),
                split.to_string(),
                item.speaker.to_string(),
            ];
            let truth = truth
                .iter()
                .map(|truth| truth.map_or_else(String::new, |truth| truth.to_string()));
            let predicted = predicted.iter().map(|value| exact(*value));
            writer
                .write_record(fields.into_iter().chain(truth).chain(predicted))
                .map_err(unwritten)?;
        }
    }
    writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error().into()))
}

/// `predictions.<head>.csv`: one row an item, `path,dataset,split,speaker,true,predicted,p_<label>…`. Probabilities
/// have as many digits as give their bits back, so that metrics follow from them.
///
/// # Errors
/// The corpus' index on disk cannot be read.
pub fn predictions_csv(
    items: &Items,
    head: &str,
    splits: &IndexMap<SplitName, SplitResult>,
) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let labels: Vec<String> = splits
        .values()
        .find_map(|split| split.classes(head))
        .map(|rows| rows.labels().to_vec())
        .unwrap_or_default();
    let columns = ["path", "dataset", "split", "speaker", "true", "predicted"].map(str::to_owned);
    writer
        .write_record(
            columns
                .into_iter()
                .chain(labels.iter().map(|label| format!("p_{label}"))),
        )
        .map_err(unwritten)?;
    let name = |class: usize| labels.get(class).cloned().unwrap_or_default();
    for (split, result) in splits {
        let rows: Vec<_> = result
            .classes(head)
            .into_iter()
            .flat_map(ClassPredictions::rows)
            .collect();
        for (item, prediction) in result.in_order(head, &rows) {
            let item = items.get(item)?;
            let fields = [
                item.display_path(),
                item.dataset.to_string(),
                split.to_string(),
                item.speaker.to_string(),
                prediction.truth.map(name).unwrap_or_default(),
                name(prediction.predicted),
            ];
            writer
                .write_record(
                    fields
                        .into_iter()
                        .chain(prediction.probabilities.iter().map(|p| exact(*p))),
                )
                .map_err(unwritten)?;
        }
    }
    writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error().into()))
}

/// What is written to memory fails by a mistake of ours alone.
fn unwritten(error: csv::Error) -> Failure {
    Failure::Bug(error.to_string())
}
