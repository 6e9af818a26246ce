//! A head that predicts numbers, on a side.

use emorun_evaluation::Regressor;
use emorun_metrics::Metric;

use crate::classifier::groups;
use crate::origin::interval;
use crate::section::{Block, Section};
use crate::table::{Cell, Row, Table};
use crate::text::slug;

/// Everything of a head on a side.
pub(crate) fn section((side, head): (&str, &str), found: &Regressor) -> Section {
    let mut blocks = vec![Block::Table(metrics(found)), Block::Table(numbers(found))];
    for number in found.numbers.iter().filter(|number| !number.by_target.is_empty()) {
        let row = |bin: &emorun_metrics::TargetBin| {
            Row::new([
                Cell::text(&format!("{:.3} to {:.3}", bin.low, bin.high)),
                Cell::count(bin.items),
                Cell::number(bin.bias, |value| format!("{value:+.4}")),
                Cell::decimal(bin.mae),
            ])
        };
        blocks.push(Block::Table(Table {
            name: format!("bias-{}", slug(&number.name)),
            caption: format!("Bias of {} by its true value", number.name),
            header: ["true value", "items", "bias", "mean absolute error"]
                .map(str::to_owned)
                .into(),
            rows: number.by_target.iter().map(row).collect(),
        }));
    }
    for grouping in &found.groups {
        blocks.extend(groups(grouping, &found.shown, &found.metrics));
    }
    Section {
        id: format!("{}-{}", slug(head), slug(side)),
        title: format!("{head} on the {side} side"),
        blocks,
    }
}

fn metrics(found: &Regressor) -> Table {
    let row = |(metric, own): (&Metric, &emorun_evaluation::Measured)| {
        Row::new([
            Cell::text(metric.title()),
            Cell::number(own.value, |value| metric.text(Some(value))),
            interval(*metric, own),
            Cell::text(metric.direction().text()),
        ])
    };
    Table {
        name: "metrics".to_owned(),
        caption: format!(
            "Means over the numbers: {} items of {} known speakers",
            found.items, found.speakers
        ),
        header: ["metric", "value", "interval", "direction"].map(str::to_owned).into(),
        rows: found.metrics.iter().map(row).collect(),
    }
}

fn numbers(found: &Regressor) -> Table {
    let metrics: Vec<Metric> = found.metrics.keys().copied().collect();
    let row = |number: &emorun_evaluation::NumberReport| {
        let start = [Cell::text(&number.name), Cell::count(number.items)];
        let values = metrics.iter().map(|metric| {
            let value = number.metrics.get(metric).copied().flatten();
            Cell::number(value, |value| metric.text(Some(value)))
        });
        Row::new(start.into_iter().chain(values))
    };
    let titles = metrics.iter().map(|metric| metric.title().to_owned());
    let start = ["number", "items"].map(str::to_owned);
    Table {
        name: "numbers".to_owned(),
        caption: "Each number".to_owned(),
        header: start.into_iter().chain(titles).collect(),
        rows: found.numbers.iter().map(row).collect(),
    }
}
