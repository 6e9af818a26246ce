//! A head that predicts classes, on a side.

use emorun_evaluation::{Classifier, Evaluation, Grouping, Mistake};
use emorun_figures::{Curve, Group, GroupBars, PrecisionRecallCurves, RiskCoverageCurves, RocCurves};
use emorun_metrics::Metric;

use crate::calibration;
use crate::origin::interval;
use crate::section::{Block, Drawn, Matrix, Section};
use crate::table::{Cell, Row, Table};
use crate::text::slug;

/// Groups and mistakes that a report shows at most.
const MOST_ROWS: usize = 40;
const MOST_MISTAKES: usize = 20;
/// Pairs of classes that are shown.
const PAIRS: usize = 10;

/// Everything of a head on a side.
pub(crate) fn section(evaluation: &Evaluation, (side, head): (&str, &str), found: &Classifier) -> Section {
    let whose = if evaluation.pooled.is_some() {
        ", all members"
    } else {
        ""
    };
    let title = format!("{head} on the {side} side{whose}");
    let mut blocks = vec![Block::Table(metrics(found)), Block::Table(classes(found))];
    let matrix = Matrix {
        caption: format!("Confusion of {head}, {side}: items, and below their share of the true class"),
        labels: found.confusion.labels().to_vec(),
        rows: found.confusion.rows().map(<[u64]>::to_vec).collect(),
        epochs: Vec::new(),
        animation: None,
    };
    blocks.push(Block::Matrix(matrix));
    if !found.confused.is_empty() {
        blocks.push(Block::Table(confused(found)));
    }
    blocks.push(Block::Figures(figures(&title, found)));
    blocks.extend(calibration::tables(evaluation.fits.get(head), found));
    for grouping in &found.groups {
        blocks.extend(groups(grouping, &found.shown, &found.metrics));
    }
    let mistakes = [
        (
            "confident-mistakes",
            "Most confident mistakes",
            &found.most_confident_mistakes,
        ),
        (
            "hardest",
            "Items whose true class was thought least probable",
            &found.hardest,
        ),
    ];
    for (name, caption, own) in mistakes {
        if !own.is_empty() {
            blocks.push(Block::Table(items(name, caption, own)));
        }
    }
    Section {
        id: format!("{}-{}", slug(head), slug(side)),
        title,
        blocks,
    }
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Every metric beside baselines.
fn metrics(found: &Classifier) -> Table {
    let baselines = found.baselines.iter();
    let row = |(metric, own): (&Metric, &emorun_evaluation::Measured)| {
        let write = |value: f64| metric.text(Some(value));
        let start = [
            Cell::text(metric.title()),
            Cell::number(own.value, write),
            interval(*metric, own),
        ];
        let baselines = baselines.clone();
        let others = baselines.map(|one| Cell::number(one.metrics.get(metric).copied().flatten(), write));
        let end = [Cell::text(metric.direction().text())];
        Row::new(start.into_iter().chain(others).chain(end))
    };
    let names = baselines
        .clone()
        .map(|one| format!("baseline: {}", one.baseline.name()));
    let start = header(&["metric", "value", "interval"]).into_iter();
    Table {
        name: "metrics".to_owned(),
        caption: format!(
            "Metrics over {} items of {} known speakers, beside what is reached without listening",
            found.items, found.speakers
        ),
        header: start.chain(names).chain(["direction".to_owned()]).collect(),
        rows: found.metrics.iter().map(row).collect(),
    }
}

fn classes(found: &Classifier) -> Table {
    let row = |class: &emorun_evaluation::Class| {
        let own = &class.report;
        Row::new([
            Cell::text(&own.label),
            Cell::count(own.support),
            // Without items there is nothing to recall.
            Cell::share(Some(own.recall).filter(|_| own.support > 0)),
            Cell::share(Some(own.precision).filter(|_| own.predicted > 0)),
            Cell::share(Some(own.f1).filter(|_| own.support + own.predicted > 0)),
            Cell::decimal(class.roc_auc),
            Cell::decimal(class.average_precision),
        ])
    };
    Table {
        name: "classes".to_owned(),
        caption: "Each class".to_owned(),
        header: header(&[
            "class",
            "items",
            "recall",
            "precision",
            "F1",
            "ROC AUC",
            "average precision",
        ]),
        rows: found.classes.iter().map(row).collect(),
    }
}

fn confused(found: &Classifier) -> Table {
    let row = |pair: &emorun_evaluation::Confused| {
        Row::new([
            Cell::text(&pair.truth),
            Cell::text(&pair.predicted),
            Cell::count(pair.items),
            Cell::share(Some(pair.share)),
        ])
    };
    Table {
        name: "confused".to_owned(),
        caption: "Classes that are taken for each other most".to_owned(),
        header: header(&["true", "taken for", "items", "share of the true class"]),
        rows: found.confused.iter().take(PAIRS).map(row).collect(),
    }
}

/// A curve as figures take it.
fn curve(name: &str, own: &emorun_metrics::Curve) -> Curve {
    Curve {
        name: name.to_owned(),
        points: own.x.iter().copied().zip(own.y.iter().copied()).collect(),
        area: Some(own.area),
    }
}

fn figures(title: &str, found: &Classifier) -> Vec<Drawn> {
    let curves = &found.curves;
    let title = |what: &str| format!("{what}, {title}");
    let mut drawn = Vec::new();
    let mut add = |name: &str, what: &str, figure| {
        drawn.push(Drawn {
            name: name.to_owned(),
            title: title(what),
            figure,
        });
    };
    if !curves.roc.is_empty() {
        let chart = RocCurves {
            title: title("ROC"),
            classes: curves.roc.iter().map(|(class, own)| curve(class, own)).collect(),
            macro_average: curves.roc_macro.as_ref().map(|own| curve("macro average", own)),
        };
        add("roc", "ROC curves, one class against the others", chart.draw());
    }
    if !curves.precision_recall.is_empty() {
        let prior = |class: &str| {
            let own = found.classes.iter().find(|own| own.report.label == class);
            own.map_or(0.0, |own| own.report.support as f64 / found.items.max(1) as f64)
        };
        let own = curves.precision_recall.iter();
        let average = curves.precision_recall_macro.as_ref();
        let chart = PrecisionRecallCurves {
            title: title("Precision and recall"),
            classes: own.map(|(class, own)| (curve(class, own), prior(class))).collect(),
            macro_average: average.map(|own| curve("macro average", own)),
        };
        add("precision-recall", "Precision-recall curves", chart.draw());
    }
    if let Some(figure) = calibration::reliability(&title("Reliability"), &found.calibration.before) {
        add("reliability", "Reliability diagram", figure);
    }
    if let Some(own) = &found.curves.risk_coverage {
        let chart = RiskCoverageCurves {
            title: title("Risk and coverage"),
            risk: "error rate".to_owned(),
            curves: vec![curve("most confident first", own)],
        };
        add(
            "risk-coverage",
            "Error rate over the share of items that is answered",
            chart.draw(),
        );
    }
    drawn
}

/// A column's groups as a table and bars, and their gaps.
pub(crate) fn groups(grouping: &Grouping, shown: &[Metric], overall: &emorun_evaluation::Metrics) -> Vec<Block> {
    let by = &grouping.by;
    let mut sorted: Vec<&emorun_evaluation::Group> = grouping.groups.iter().collect();
    if sorted.len() > MOST_ROWS
        && let Some(first) = shown.first()
    {
        let reward = |group: &emorun_evaluation::Group| {
            let value = group.metrics.get(first).and_then(|own| own.value);
            value.map_or(f64::INFINITY, |value| first.direction().reward(value))
        };
        sorted.sort_by(|one, other| reward(one).total_cmp(&reward(other)));
    }
    let all = sorted.len();
    sorted.truncate(MOST_ROWS);
    let has_interval = |metric: &Metric| {
        let mut own = sorted.iter().filter_map(|group| group.metrics.get(metric));
        own.any(|own| own.interval.is_some())
    };
    let row = |group: &&emorun_evaluation::Group| {
        let few = if group.few { " (few)" } else { "" };
        let start = [
            Cell::text(&format!("{}{few}", group.name)),
            Cell::count(group.items as u64),
            Cell::count(group.speakers as u64),
        ];
        let values = shown.iter().flat_map(|metric| {
            let own = group.metrics.get(metric).copied().unwrap_or_default();
            let value = Cell::number(own.value, |value| metric.text(Some(value)));
            let ends = has_interval(metric).then(|| interval(*metric, &own));
            std::iter::once(value).chain(ends)
        });
        Row {
            cells: start.into_iter().chain(values).collect(),
            few: group.few,
        }
    };
    let titles = shown.iter().flat_map(|metric| {
        let ends = has_interval(metric).then(|| "interval".to_owned());
        std::iter::once(metric.title().to_owned()).chain(ends)
    });
    let worst = if all > MOST_ROWS {
        format!(", the worst {MOST_ROWS} of {all}")
    } else {
        String::new()
    };
    let few = emorun_evaluation::FEW;
    let mut blocks = vec![Block::Table(Table {
        name: format!("by-{}", slug(by)),
        caption: format!("By {by}{worst}; grey and marked “few”: under {few} items, which say little"),
        header: header(&[by, "items", "speakers"]).into_iter().chain(titles).collect(),
        rows: sorted.iter().map(row).collect(),
    })];
    let gaps: Vec<Row> = grouping.gaps.iter().map(gap).collect();
    if !gaps.is_empty() {
        blocks.push(Block::Table(Table {
            name: format!("gaps-{}", slug(by)),
            caption: format!("How far the best and the worst {by} with {few} items or more are apart"),
            header: header(&["metric", "best", "worst", "gap", "interval of the gap"]),
            rows: gaps,
        }));
    }
    if let Some(metric) = shown.first() {
        let bar = |group: &&emorun_evaluation::Group| {
            let own = group.metrics.get(metric).copied().unwrap_or_default();
            Group {
                name: group.name.clone(),
                value: own.value.unwrap_or(f64::NAN),
                interval: own.interval.map(|interval| (interval.low, interval.high)),
                items: group.items as u64,
            }
        };
        let chart = GroupBars {
            title: format!("{} by {by}", metric.title()),
            value_label: metric.title().to_owned(),
            groups: sorted.iter().map(bar).collect(),
            overall: overall.get(metric).and_then(|own| own.value),
            lower_is_better: metric.direction() == emorun_metrics::Direction::Lower,
        };
        blocks.push(Block::Figures(vec![Drawn {
            name: format!("by-{}", slug(by)),
            title: chart.title.clone(),
            figure: chart.draw(),
        }]));
    }
    blocks
}

fn gap(own: &emorun_evaluation::Gap) -> Row {
    let unit = own.metric.unit();
    let ends = own.interval.map_or_else(
        || "–".to_owned(),
        |interval| format!("{} to {}", unit.number(interval.low), unit.number(interval.high)),
    );
    Row::new([
        Cell::text(own.metric.title()),
        Cell::text(&own.best),
        Cell::text(&own.worst),
        Cell::number(Some(own.gap), |value| unit.number(value) + unit.sign()),
        Cell::Text(ends),
    ])
}

fn items(name: &str, caption: &str, own: &[Mistake]) -> Table {
    let row = |one: &Mistake| {
        Row::new([
            Cell::text(&one.item),
            Cell::text(one.speaker.as_deref().unwrap_or("not known")),
            Cell::text(&one.truth),
            Cell::text(&one.predicted),
            Cell::share(Some(one.confidence)),
            Cell::share(Some(one.of_true)),
            Cell::number(Some(one.duration_s), |seconds| format!("{seconds:.1}")),
        ])
    };
    Table {
        name: name.to_owned(),
        caption: caption.to_owned(),
        header: header(&[
            "item",
            "speaker",
            "true",
            "predicted",
            "its probability",
            "that of the true class",
            "seconds",
        ]),
        rows: own.iter().take(MOST_MISTAKES).map(row).collect(),
    }
}
