//! What a run is and how its numbers came about.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use emorun_evaluation::{Evaluation, Measured};
use emorun_metrics::Metric;
use serde_json::Value;

use crate::section::{Block, Section};
use crate::source::Source;
use crate::table::{Cell, Row, Table};
use crate::text::plain;

/// The metric of a name such as `emotion.uar`.
pub(crate) fn metric_of(name: &str) -> Option<Metric> {
    Metric::named(name.rsplit_once('.').map_or(name, |(_, metric)| metric))
}

/// An interval as a cell.
pub(crate) fn interval(metric: Metric, measured: &Measured) -> Cell {
    Cell::Text(emorun_evaluation::text::interval(metric, measured))
}

/// First of all: the results, and what they are results of.
pub(crate) fn summary(source: &Source) -> Section {
    let mut blocks = Vec::new();
    if let Some(evaluation) = &source.evaluation {
        blocks.push(Block::Table(results(evaluation)));
        blocks.push(Block::Text(protocol(evaluation, source)));
    } else {
        let members = source.record.members.len();
        let split = value_text(&source.record.resolved["split"]);
        blocks.push(Block::Text(vec![format!(
            "{members} members (folds and seeds). Split: {split}. Each member says in its own report how its epoch was chosen."
        )]));
    }
    let notes = &source.notes;
    if !notes.tags.is_empty() || !notes.note.is_empty() {
        let tags = Some(notes.tags.join(", ")).filter(|tags| !tags.is_empty());
        let tags = tags.map(|tags| format!("Tags: {tags}"));
        let note = notes.note.lines().map(str::to_owned);
        blocks.push(Block::Text(
            tags.into_iter().chain(note).map(|line| plain(&line)).collect(),
        ));
    }
    Section {
        id: "summary".to_owned(),
        title: "Summary".to_owned(),
        blocks,
    }
}

/// The metrics that are shown first, of every head and side.
fn results(evaluation: &Evaluation) -> Table {
    let mut rows = Vec::new();
    for (side, own) in evaluation.sides.iter().rev() {
        let classifiers = own.classifiers.iter();
        let classifiers = classifiers.map(|(head, own)| (head, own.items, own.speakers, &own.shown, &own.metrics));
        let regressors = own.regressors.iter();
        let regressors = regressors.map(|(head, own)| (head, own.items, own.speakers, &own.shown, &own.metrics));
        for (head, items, speakers, shown, metrics) in classifiers.chain(regressors) {
            for metric in shown {
                let own = metrics.get(metric).copied().unwrap_or_default();
                rows.push(Row::new([
                    Cell::text(&format!("{head}, {side}")),
                    Cell::text(metric.title()),
                    Cell::number(own.value, |value| metric.text(Some(value))),
                    interval(*metric, &own),
                    Cell::count(items),
                    Cell::count(speakers as u64),
                ]));
            }
        }
    }
    let level = 100.0 * evaluation.bootstrap.level;
    let interval = format!("{level:.0} % interval");
    let header = ["head, side", "metric", "value", &interval, "items", "speakers"];
    Table {
        name: "results".to_owned(),
        caption: "Results".to_owned(),
        header: header.map(str::to_owned).into(),
        rows,
    }
}

/// Corpus, split, fold, choice of the epoch, seeds, intervals; and remarks.
fn protocol(evaluation: &Evaluation, source: &Source) -> Vec<String> {
    let Evaluation {
        protocol,
        run,
        bootstrap,
        ..
    } = evaluation;
    let whose = if protocol.own_data {
        ""
    } else {
        " (not those that the run was trained on)"
    };
    let fold = run.fold.as_ref().map_or_else(String::new, |fold| format!(", {fold}"));
    let weights = &run.weights;
    let chosen = match &protocol.selection {
        Some(selection) => {
            let value = match metric_of(&selection.metric) {
                Some(metric) => metric.text(Some(selection.value)),
                None => format!("{:.4}", selection.value),
            };
            format!(
                "Epoch {} was chosen by {} on the validation side ({value} there).",
                selection.epoch, selection.metric
            )
        }
        None => "No epoch was chosen: the weights are those after training.".to_owned(),
    };
    let (datasets, split) = (protocol.datasets.join(", "), value_text(&protocol.split));
    let came_about = match &evaluation.pooled {
        None => format!(
            "Protocol: {datasets}{whose}; split {split}{fold}; seed {}. {chosen} Weights: {}, after step {}.",
            run.seed, weights.which, weights.step
        ),
        Some(pooled) => {
            let seeds: Vec<String> = pooled.seeds.iter().map(u64::to_string).collect();
            format!(
                "Protocol: {datasets}; split {split}; {} members, over {} split(s) and seed(s) {}, of each its test side. Each member says in its own report how its epoch was chosen.",
                pooled.members.len(),
                pooled.folds,
                seeds.join(", ")
            )
        }
    };
    let lines = [
        came_about,
        format!(
            "Intervals: {:.0} %, {} bootstrap over {}, seed {}. A dash: no interval with a single speaker, or not defined.",
            100.0 * bootstrap.level,
            bootstrap.method,
            bootstrap.over,
            bootstrap.seed
        ),
    ];
    let is_single = protocol.own_data && evaluation.pooled.is_none();
    let missing = (!evaluation.sides.contains_key("validation") && is_single)
        .then(|| "There is no validation side: nothing was chosen or fitted on one.".to_owned());
    let changed =
        (!source.record.set.is_empty()).then(|| format!("Changed by --set: {}", source.record.set.join(", ")));
    let remarks = evaluation.remarks.iter().cloned();
    let all = lines.into_iter().chain(missing).chain(changed).chain(remarks);
    all.map(|line| plain(&line)).collect()
}

/// A setting on one line.
fn value_text(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let known = map.iter().filter(|(_, value)| !value.is_null());
            let pairs: Vec<String> = known
                .map(|(key, value)| match (key.as_str(), value) {
                    ("kind", Value::String(kind)) => kind.clone(),
                    _ => format!("{key} {}", value_text(value)),
                })
                .collect();
            pairs.join(", ")
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            format!("[{}]", values.join(", "))
        }
        Value::String(text) => text.clone(),
        Value::Null => "not stated".to_owned(),
        other => other.to_string(),
    }
}

/// Results under other conditions.
pub(crate) fn conditions(evaluation: &Evaluation) -> Option<Section> {
    let first = evaluation.conditions.first()?;
    let metrics: Vec<Metric> = first.metrics.keys().copied().collect();
    let start = ["side, head", "heard in s", "noise SNR in dB", "codec", "items"].map(str::to_owned);
    let titles = metrics.iter().map(|metric| metric.title().to_owned());
    let rows = evaluation.conditions.iter().map(|result| {
        let own = &result.condition;
        let text = |value: Option<String>, plain: &str| Cell::text(&value.unwrap_or_else(|| plain.to_owned()));
        let start = [
            Cell::text(&format!("{}, {}", result.side, result.head)),
            text(own.heard_s.map(|seconds| seconds.to_string()), "all"),
            text(own.noise_snr_db.map(|snr| snr.to_string()), "none"),
            text(own.codec.clone(), "none"),
            Cell::count(result.items),
        ];
        let values = metrics.iter().map(|metric| {
            let value = result.metrics.get(metric).and_then(|own| own.value);
            Cell::number(value, |value| metric.text(Some(value)))
        });
        Row::new(start.into_iter().chain(values))
    });
    let table = Table {
        name: "conditions".to_owned(),
        caption: "The same items under other conditions".to_owned(),
        header: start.into_iter().chain(titles).collect(),
        rows: rows.collect(),
    };
    Some(Section {
        id: "conditions".to_owned(),
        title: "Conditions".to_owned(),
        blocks: vec![Block::Table(table)],
    })
}

/// Last of all: graph, certificate, configuration, environment.
pub(crate) fn sections(source: &Source) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |id: &str, title: &str, blocks: Vec<Block>| {
        sections.push(Section {
            id: id.to_owned(),
            title: title.to_owned(),
            blocks,
        });
    };
    if let Some(svg) = &source.graph {
        let uri = format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg));
        let alt = "The experiment's graph: its nodes and what flows between them".to_owned();
        add("graph", "Graph", vec![Block::Image { alt, uri }]);
    }
    if let Some(text) = &source.text {
        let (title, text) = (
            "report.txt, with what the split's certificate shows".to_owned(),
            text.clone(),
        );
        let hash = source.record.certificate["hash"].as_str();
        let hash = hash.map(|hash| Block::Text(vec![plain(&format!("Hash of the split: {hash}"))]));
        let block = Block::Verbatim { title, text };
        add("certificate", "Certificate", hash.into_iter().chain([block]).collect());
    }
    if let Some(text) = &source.config {
        let (title, text) = ("resolved.yaml".to_owned(), text.clone());
        add("configuration", "Configuration", vec![Block::Verbatim { title, text }]);
    }
    add("environment", "Environment", vec![Block::Table(environment(source))]);
    sections
}

/// Versions, device, data.
fn environment(source: &Source) -> Table {
    let record = &source.record;
    let mut rows: Vec<(String, String)> = vec![
        ("run".to_owned(), record.id.clone()),
        ("configuration".to_owned(), record.config_hash.clone()),
        ("started".to_owned(), record.started.clone()),
        ("device".to_owned(), record.device.clone().unwrap_or_default()),
    ];
    let versions = record.versions.iter();
    rows.extend(versions.map(|(name, version)| (name.clone(), value_text(version))));
    if let Some(commit) = record.git["commit"].as_str() {
        let is_changed = record.git["diff"].as_str().is_some_and(|diff| !diff.is_empty());
        let changed = if is_changed { ", with changes" } else { "" };
        rows.push(("commit".to_owned(), format!("{commit}{changed}")));
    }
    let data = record.data.iter();
    rows.extend(data.map(|(name, facts)| (format!("dataset {name}"), value_text(facts))));
    if record.weights.as_object().is_some_and(|weights| !weights.is_empty()) {
        rows.push(("pretrained weights".to_owned(), value_text(&record.weights)));
    }
    rows.retain(|(_, value)| !value.is_empty());
    let row = |(name, value): &(String, String)| Row::new([Cell::text(name), Cell::text(value)]);
    Table {
        name: "environment".to_owned(),
        caption: "What the run was made with".to_owned(),
        header: ["what", "value"].map(str::to_owned).into(),
        rows: rows.iter().map(row).collect(),
    }
}
