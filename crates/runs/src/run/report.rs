//! What a person reads at the end of a run, and the files under `report/`.

use std::fmt::Write as _;

use emorun_data::{Assignment, Certificate, Items, SplitName};
use emorun_metrics::{Classification, Confusion};
use indexmap::IndexMap;

use super::summary::{ParentSummary, SplitSummary};
use emorun_engine::exit::Failure;
use emorun_engine::settings::Metric;
use emorun_engine::train::evaluate::SplitResult;
use emorun_experiment::ancestry::{Ancestor, HeardBefore, not_known};

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{:.2} %", 100.0 * value))
}

/// A probability or an estimate with as many digits as give its bits back, nine at most.
fn exact(value: f32) -> String {
    if value == 0.0 || (1e-5..1e9).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// A table with aligned columns; the first column is left-aligned, the others right-aligned.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain(header.get(column).map(|name| name.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let padding = " ".repeat(width - cell.chars().count());
            if column == 0 {
                format!("{cell}{padding}")
            } else {
                format!("{padding}{cell}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
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
    let heads: Vec<&String> = splits
        .values()
        .next()
        .map(|split| split.heads.keys().collect())
        .unwrap_or_default();
    for head in heads {
        let rows: Vec<Vec<String>> = splits
            .iter()
            .filter_map(|(name, split)| {
                let report = split.heads.get(head)?;
                let losses = own_losses(split, head).into_iter().map(|(_, loss)| number(loss));
                let metrics = Metric::ALL.map(|metric| metric.text(split.metric(&format!("{head}.{}", metric.name()))));
                let row = [name.to_string(), report.n.to_string()].into_iter().chain(losses);
                Some(row.chain(metrics).collect())
            })
            .collect();
        let nodes = splits.values().next().map(|split| own_losses(split, head));
        let nodes: Vec<&str> = nodes.iter().flatten().map(|(node, _)| node.as_str()).collect();
        let header = ["split", "items"].into_iter().chain(nodes);
        let header: Vec<&str> = header.chain(Metric::ALL.map(Metric::title)).collect();
        let _ = writeln!(text, "\n{head}");
        text.push_str(&table(&header, &rows));
        if let Some((name, report)) = splits
            .iter()
            .next_back()
            .and_then(|(name, split)| Some((name, split.heads.get(head)?)))
        {
            let _ = writeln!(text, "\n{head} by class ({name})");
            text.push_str(&classes(report));
            let _ = writeln!(text, "\n{head} confusion ({name}; rows true, columns predicted)");
            text.push_str(&confusion(&report.confusion));
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
    let heads = splits.values().next().map(|split| &split.regressions);
    for head in heads.into_iter().flat_map(|heads| heads.keys()) {
        let mut rows = Vec::new();
        for (name, split) in splits {
            let Some(regression) = split.regressions.get(head) else {
                continue;
            };
            for (of, agreement) in &regression.agreement {
                rows.push(vec![
                    format!("{name} {of}"),
                    agreement.n.to_string(),
                    number(agreement.ccc()),
                    number(agreement.pearson()),
                    number(agreement.mse()),
                ]);
            }
        }
        let _ = writeln!(text, "\n{head}");
        text.push_str(&table(&["split", "items", "CCC", "Pearson", "MSE"], &rows));
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

fn classes(report: &Classification) -> String {
    let rows: Vec<Vec<String>> = report
        .per_class
        .iter()
        .map(|class| {
            vec![
                class.label.clone(),
                class.support.to_string(),
                percent(Some(class.recall)),
                percent(Some(class.precision)),
                percent(Some(class.f1)),
            ]
        })
        .collect();
    table(&["class", "items", "recall", "precision", "F1"], &rows)
}

fn confusion(confusion: &Confusion) -> String {
    let header: Vec<&str> = std::iter::once("true")
        .chain(confusion.labels().iter().map(String::as_str))
        .collect();
    let rows: Vec<Vec<String>> = confusion
        .labels()
        .iter()
        .zip(confusion.rows())
        .map(|(label, row)| {
            std::iter::once(label.clone())
                .chain(row.iter().map(u64::to_string))
                .collect()
        })
        .collect();
    table(&header, &rows)
}

/// Mean, deviation and pooled metrics of a parent, and each member.
pub fn parent_text(summary: &ParentSummary, metrics: &[Metric]) -> String {
    let mut text = String::new();
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
        if let Some(counts) = summary.pooled.heads.get(head).and_then(|head| head.confusion.as_ref()) {
            let _ = writeln!(text, "\n{head} confusion (pooled; rows true, columns predicted)");
            text.push_str(&confusion(counts));
        }
    }
    text.push_str(&parent_numbers(summary));
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
    for head in summary.mean.regressions.keys() {
        let values = |split: &SplitSummary| {
            let head = split.regressions.get(head);
            [head.and_then(|head| head.ccc), head.and_then(|head| head.mse)]
        };
        let row = |name: &str, n: u64, split: &SplitSummary| {
            let cells = values(split).map(number);
            [name.to_owned(), n.to_string()].into_iter().chain(cells).collect()
        };
        let members = summary.members.iter();
        let mut rows: Vec<Vec<String>> = members.map(|(name, split)| row(name, split.n, split)).collect();
        let spread = values(&summary.mean).into_iter().zip(values(&summary.sd));
        let spread = spread.map(|(mean, sd)| format!("{} ± {}", number(mean), number(sd)));
        rows.push(
            ["mean ± sd".to_owned(), String::new()]
                .into_iter()
                .chain(spread)
                .collect(),
        );
        rows.push(row("pooled", summary.pooled.n, &summary.pooled));
        let _ = writeln!(text, "\n{head} on test ({})", members_of(summary));
        text.push_str(&table(&["member", "items", "CCC", "MSE"], &rows));
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
    let first = splits.values().find_map(|split| split.regressions.get(head));
    let names = || {
        first
            .into_iter()
            .flat_map(|of| of.agreement.iter().map(|(name, _)| name))
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
        let Some(regression) = result.regressions.get(head) else {
            continue;
        };
        for estimate in &regression.estimates {
            let item = items.get(estimate.item)?;
            let fields = [
                item.display_path(),
                item.dataset.to_string(),
                split.to_string(),
                item.speaker.to_string(),
            ];
            let truth = estimate
                .truth
                .iter()
                .map(|truth| truth.map_or_else(String::new, |truth| truth.to_string()));
            let predicted = estimate.predicted.iter().map(|value| exact(*value));
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
        .find_map(|split| split.heads.get(head))
        .map(|report| report.confusion.labels().to_vec())
        .unwrap_or_default();
    let columns = ["path", "dataset", "split", "speaker", "true", "predicted"].map(str::to_owned);
    writer
        .write_record(
            columns
                .into_iter()
                .chain(labels.iter().map(|label| format!("p_{label}"))),
        )
        .map_err(unwritten)?;
    let name = |class: u32| labels.get(class as usize).cloned().unwrap_or_default();
    for (split, result) in splits {
        for prediction in result.predictions.get(head).into_iter().flatten() {
            let item = items.get(prediction.item)?;
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
