//! What a person reads of a side.

use std::fmt::Write as _;

use emorun_metrics::{Confusion, Metric, Unit};

use crate::document::{Calibrated, Classifier, Grouping, Measured, Metrics, Regressor};

/// Groups of a column that are shown; of more, the worst.
const SHOWN: usize = 12;
/// Pairs of classes that are shown.
const PAIRS: usize = 5;

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

/// The ends of an interval.
pub fn interval(metric: Metric, measured: &Measured) -> String {
    let end = |value: f64| metric.unit().number(value);
    measured.interval.map_or_else(
        || "–".to_owned(),
        |interval| format!("{} to {}", end(interval.low), end(interval.high)),
    )
}

/// Precision, recall and F1 of each class.
pub fn classes(counts: &Confusion) -> String {
    let percent = |value: f64| Unit::Percent.number(value) + Unit::Percent.sign();
    let row = |class: &emorun_metrics::ClassReport| {
        let shares = [class.recall, class.precision, class.f1].map(percent);
        let start = [class.label.clone(), class.support.to_string()];
        start.into_iter().chain(shares).collect()
    };
    let rows: Vec<Vec<String>> = counts.per_class().iter().map(row).collect();
    table(&["class", "items", "recall", "precision", "F1"], &rows)
}

/// Counts of true and predicted classes.
pub fn confusion(confusion: &Confusion) -> String {
    let labels = || confusion.labels().iter();
    let header: Vec<&str> = std::iter::once("true").chain(labels().map(String::as_str)).collect();
    let row = |(label, row): (&String, &[u64])| {
        let counts = row.iter().map(u64::to_string);
        std::iter::once(label.clone()).chain(counts).collect()
    };
    let rows: Vec<Vec<String>> = labels().zip(confusion.rows()).map(row).collect();
    table(&header, &rows)
}

/// A head that predicts classes on a side that is so called; `mark` stands behind names of metrics.
pub fn classifier(name: &str, side: &str, head: &Classifier, mark: &str) -> String {
    let mut text = title(name, side, head.items, head.speakers);
    text.push_str(&metrics(&head.metrics, &head.shown, mark, &baselines(head)));
    let _ = writeln!(text, "\n{name} by class\n{}", classes(&head.confusion).trim_end());
    let _ = writeln!(
        text,
        "\n{name} confusion (rows true, columns predicted)\n{}",
        confusion(&head.confusion).trim_end()
    );
    if !head.confused.is_empty() {
        let pair = |pair: &crate::Confused| {
            let share = Unit::Percent.short(pair.share);
            format!("{} as {} ({}, {share})", pair.truth, pair.predicted, pair.items)
        };
        let pairs: Vec<String> = head.confused.iter().take(PAIRS).map(pair).collect();
        let _ = writeln!(text, "most confused: {}", pairs.join("; "));
    }
    text.push_str(&trust(name, head));
    for grouping in &head.groups {
        text.push_str(&grouped(name, grouping, &head.shown));
    }
    text
}

/// A head that predicts numbers.
pub fn regressor(name: &str, side: &str, head: &Regressor) -> String {
    let mut text = title(name, side, head.items, head.speakers);
    text.push_str(&metrics(&head.metrics, &head.shown, "", &[]));
    for number in &head.numbers {
        let row = |bin: &emorun_metrics::TargetBin| {
            let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.4}"));
            vec![
                format!("{:.3} to {:.3}", bin.low, bin.high),
                bin.items.to_string(),
                value(bin.bias),
            ]
        };
        if number.by_target.is_empty() {
            continue;
        }
        let rows: Vec<Vec<String>> = number.by_target.iter().map(row).collect();
        let _ = writeln!(text, "\n{name}: bias of {} by its true value", number.name);
        text.push_str(&table(&["true value", "items", "bias"], &rows));
    }
    for grouping in &head.groups {
        text.push_str(&grouped(name, grouping, &head.shown));
    }
    text
}

fn title(name: &str, side: &str, items: u64, speakers: usize) -> String {
    format!("\n{name} on {side}: {items} item(s) of {speakers} known speaker(s)\n")
}

/// Names of baselines with their values.
fn baselines(head: &Classifier) -> Vec<(&'static str, &indexmap::IndexMap<Metric, Option<f64>>)> {
    let all = head.baselines.iter();
    all.map(|report| (report.baseline.name(), &report.metrics)).collect()
}

/// The metrics that are shown, beside baselines.
fn metrics(
    all: &Metrics,
    shown: &[Metric],
    mark: &str,
    baselines: &[(&'static str, &indexmap::IndexMap<Metric, Option<f64>>)],
) -> String {
    let row = |metric: &Metric| {
        let own = all.get(metric).copied().unwrap_or_default();
        let start = [
            format!("{}{mark}", metric.title()),
            metric.text(own.value),
            interval(*metric, &own),
        ];
        let others = baselines
            .iter()
            .map(|(_, values)| metric.text(values.get(metric).copied().flatten()));
        start.into_iter().chain(others).collect()
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    let header = ["metric", "value", "95 % interval"].into_iter();
    let header: Vec<&str> = header.chain(baselines.iter().map(|(name, _)| *name)).collect();
    table(&header, &rows)
}

/// Calibration, risk and coverage, conformal sets, votes.
fn trust(name: &str, head: &Classifier) -> String {
    let mut rows = Vec::new();
    let mut row = |what: &str, own: &Calibrated| {
        rows.push(vec![
            what.to_owned(),
            Metric::ECE.text(own.ece),
            Metric::BRIER.text(own.brier),
            Metric::LOG_LOSS.text(own.log_loss),
        ]);
    };
    row("as they are", &head.calibration.before);
    if let Some(after) = &head.calibration.after {
        row("at the temperature", after);
    }
    let mut text = format!(
        "\n{name}: probabilities\n{}",
        table(&["", "ECE", "Brier", "log loss"], &rows)
    );
    for line in head.calibration.remark.iter() {
        let _ = writeln!(text, "{line}");
    }
    if let Some(curve) = &head.curves.risk_coverage {
        let _ = writeln!(text, "area under risk over coverage: {:.4}", curve.area);
    }
    if let Some(conformal) = head.conformal.as_ref().filter(|conformal| !conformal.made_here) {
        let percent = |value: f64| Unit::Percent.short(value);
        let worst = conformal
            .by_speaker
            .iter()
            .min_by(|one, other| one.1.coverage.total_cmp(&other.1.coverage));
        let worst = worst.map_or_else(String::new, |(speaker, coverage)| {
            format!("; {} at the least, of {speaker}", percent(coverage.coverage))
        });
        let _ = writeln!(
            text,
            "conformal sets for {}: the true class is in {} of them{worst}; {:.2} classes a set",
            percent(conformal.sets.level),
            percent(conformal.coverage.coverage),
            conformal.coverage.mean_size
        );
    }
    if let Some(votes) = &head.votes {
        let _ = writeln!(
            text,
            "beside the votes of {} item(s): KL {:.4} nats, JSD {:.4}",
            votes.divergence.items, votes.divergence.kl, votes.divergence.jsd
        );
        for third in &votes.by_agreement {
            let _ = writeln!(
                text,
                "  entropy of votes {} (to {:.2} bits): {} item(s), KL {:.4}, JSD {:.4}, top class {}",
                third.third,
                third.most_bits,
                third.divergence.items,
                third.divergence.kl,
                third.divergence.jsd,
                Unit::Percent.short(third.top_agrees)
            );
        }
    }
    text
}

/// The groups of a column; of many the worst by the first metric that is shown.
fn grouped(head: &str, grouping: &Grouping, shown: &[Metric]) -> String {
    let Some(first) = shown.first() else {
        return String::new();
    };
    let (column, groups) = (grouping.by.as_str(), &grouping.groups);
    let measured = |group: &crate::Group, metric: Metric| group.metrics.get(&metric).copied().unwrap_or_default();
    let mut ordered: Vec<&crate::Group> = groups.iter().collect();
    let reward = |group: &crate::Group| {
        let value = measured(group, *first).value;
        value.map_or(f64::INFINITY, |value| first.direction().reward(value))
    };
    let mut title = format!("\n{head} by {column}");
    if groups.len() > SHOWN || column == "speaker" {
        // What few items say would stand in front by chance.
        ordered.sort_by(|one, other| one.few.cmp(&other.few).then(reward(one).total_cmp(&reward(other))));
        ordered.truncate(SHOWN);
        let _ = write!(title, ", the worst first, {} of {}", ordered.len(), groups.len());
    }
    let row = |group: &&crate::Group| {
        let mark = if group.few { " *" } else { "" };
        let start = [format!("{}{mark}", group.name), group.items.to_string()].into_iter();
        let values = shown.iter().map(|metric| metric.text(measured(group, *metric).value));
        start.chain(values).collect()
    };
    let rows: Vec<Vec<String>> = ordered.iter().map(row).collect();
    let header = [column, "items"].into_iter();
    let header: Vec<&str> = header.chain(shown.iter().map(|metric| metric.title())).collect();
    let mut text = format!("{title}\n{}", table(&header, &rows));
    if ordered.iter().any(|group| group.few) {
        let _ = writeln!(text, "* fewer than {} items, which say little", crate::FEW);
    }
    for gap in &grouping.gaps {
        let unit = gap.metric.unit();
        let interval = gap.interval.map_or_else(String::new, |interval| {
            format!(" ({} to {})", unit.signed(interval.low), unit.signed(interval.high))
        });
        let _ = writeln!(
            text,
            "{} of {} above {}: {}{interval}",
            gap.metric.title(),
            gap.best,
            gap.worst,
            unit.signed(gap.gap)
        );
    }
    text
}
