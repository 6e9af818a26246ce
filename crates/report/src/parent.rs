//! What several members, folds and seeds, give together.

use emorun_evaluation::Evaluation;
use emorun_metrics::{Confusion, Metric};
use serde_json::{Map, Value};

use crate::section::{Block, Matrix, Section};
use crate::source::{ParentSummary, SideSummary};
use crate::table::{Cell, Row, Table};
use crate::text::{plain, slug};

/// A section a head.
pub(crate) fn sections(summary: &ParentSummary, evaluation: Option<&Evaluation>) -> Vec<Section> {
    let heads = summary.mean.heads.keys().chain(summary.mean.regressions.keys());
    heads.map(|head| section(summary, evaluation, head)).collect()
}

/// Results of a head; `None` where the side has none.
fn of_head<'a>(side: &'a SideSummary, head: &str) -> Option<&'a Map<String, Value>> {
    side.heads.get(head).or_else(|| side.regressions.get(head))
}

fn value(side: &SideSummary, head: &str, metric: Metric) -> Option<f64> {
    of_head(side, head)?.get(metric.name())?.as_f64()
}

fn section(summary: &ParentSummary, evaluation: Option<&Evaluation>, head: &str) -> Section {
    let known = of_head(&summary.mean, head).into_iter().flat_map(Map::keys);
    let metrics: Vec<Metric> = known.filter_map(|name| Metric::named(name)).collect();
    let mut blocks = vec![
        Block::Table(together(summary, head, &metrics)),
        Block::Table(each(summary, head, &metrics)),
    ];
    if !summary.failed.is_empty() {
        let line = |(member, error): (&String, &String)| plain(&format!("Failed, and not counted: {member}: {error}"));
        blocks.push(Block::Text(summary.failed.iter().map(line).collect()));
    }
    // The evaluation has them, where there is one.
    let pooled = Some(&summary.pooled).filter(|_| evaluation.is_none());
    let counts = pooled.and_then(|pooled| of_head(pooled, head)?.get("confusion"));
    let counts = counts.and_then(|counts| serde_json::from_value::<Confusion>(counts.clone()).ok());
    if let Some(counts) = counts {
        let title = format!("Confusion of {head}, test items of all members");
        blocks.push(Block::Matrix(Matrix {
            caption: format!("{title}: items, and below their share of the true class"),
            labels: counts.labels().to_vec(),
            rows: counts.rows().map(<[u64]>::to_vec).collect(),
            epochs: Vec::new(),
            animation: None,
        }));
    }
    Section {
        id: slug(head),
        title: format!("{head} on the test side, {} members", summary.members.len()),
        blocks,
    }
}

/// Mean, deviation, interval and pooled value of each metric.
fn together(summary: &ParentSummary, head: &str, metrics: &[Metric]) -> Table {
    let row = |metric: &Metric| {
        let write = |value: f64| metric.text(Some(value));
        let found = &summary.spread["means"][format!("{head}.{}", metric.name())]["interval"];
        let unit = metric.unit();
        let interval = found["low"].as_f64().zip(found["high"].as_f64()).map_or_else(
            || "–".to_owned(),
            |(low, high)| format!("{} to {}", unit.number(low), unit.number(high)),
        );
        Row::new([
            Cell::text(metric.title()),
            Cell::number(value(&summary.mean, head, *metric), write),
            Cell::number(value(&summary.sd, head, *metric), write),
            Cell::Text(interval),
            Cell::number(value(&summary.pooled, head, *metric), write),
        ])
    };
    let over = match summary.spread["over"].get("folds") {
        Some(_) => "95 % interval of the mean by the corrected resampled t test over folds",
        None => "95 % interval of the mean, where there is one",
    };
    let header = ["metric", "mean", "standard deviation", "interval of the mean", "pooled"];
    Table {
        name: "together".to_owned(),
        caption: format!(
            "{head} over members; {over}; pooled: over the {} predictions of all",
            summary.pooled.n
        ),
        header: header.map(str::to_owned).into(),
        rows: metrics.iter().map(row).collect(),
    }
}

fn each(summary: &ParentSummary, head: &str, metrics: &[Metric]) -> Table {
    let row = |(member, own): (&String, &SideSummary)| {
        let start = [Cell::text(member), Cell::count(own.n)];
        let values = metrics
            .iter()
            .map(|metric| Cell::number(value(own, head, *metric), |value| metric.text(Some(value))));
        Row::new(start.into_iter().chain(values))
    };
    let start = ["member", "items"].map(str::to_owned);
    let titles = metrics.iter().map(|metric| metric.title().to_owned());
    Table {
        name: "members".to_owned(),
        caption: "Each member; its own report lies in its folder, as report/index.html".to_owned(),
        header: start.into_iter().chain(titles).collect(),
        rows: summary.members.iter().map(row).collect(),
    }
}
