//! Results by what describes items, and how far groups are apart.

use emorun_metrics::{Bootstrap, Clusters, Metric};
use indexmap::{IndexMap, IndexSet};

use crate::document::{Gap, Group, Grouping, Measured};
use crate::said::{ItemFacts, Said};

/// Items below which a group says little.
pub const FEW: usize = 10;

/// Upper ends of lengths in seconds, and what they are called.
const LENGTHS: [(f64, &str); 5] = [
    (1.0, "under 1 s"),
    (2.0, "1 to 2 s"),
    (4.0, "2 to 4 s"),
    (8.0, "4 to 8 s"),
    (f64::INFINITY, "8 s or more"),
];

/// Rows by the values of a column.
type Rows = IndexMap<String, Vec<usize>>;

/// Every column with more than one value.
pub(crate) fn groupings(said: &Said, clusters: &Clusters, bootstrap: &Bootstrap) -> Vec<Grouping> {
    let mut columns: IndexMap<String, Rows> = IndexMap::new();
    for (row, item) in said.items.iter().enumerate() {
        let mut add = |column: &str, value: &str| {
            let groups = columns.entry(column.to_owned()).or_default();
            groups.entry(value.to_owned()).or_default().push(row);
        };
        if let Some(speaker) = &item.speaker {
            add("speaker", speaker);
        }
        add("dataset", &item.dataset);
        for (column, value) in &item.described {
            add(column, value);
        }
    }
    columns.insert("duration".to_owned(), by_length(&said.items));
    columns.retain(|_, groups| groups.len() > 1);
    let columns = columns.into_iter();
    columns
        .map(|(by, rows)| {
            let groups: Vec<Group> = rows
                .iter()
                .map(|(name, rows)| group(said, bootstrap, name, rows))
                .collect();
            let gap = |metric: &Metric| gap(said, (clusters, bootstrap), &by, &groups, &rows, *metric);
            Grouping {
                gaps: said.shown.iter().take(1).filter_map(gap).collect(),
                groups,
                by,
            }
        })
        .collect()
}

/// Rows by length, the shortest first.
fn by_length(items: &[ItemFacts]) -> Rows {
    let mut rows: Rows = LENGTHS
        .iter()
        .map(|(_, name)| ((*name).to_owned(), Vec::new()))
        .collect();
    for (row, item) in items.iter().enumerate() {
        let name = LENGTHS.iter().find(|(below, _)| item.duration_s < *below);
        if let Some(own) = name.and_then(|(_, name)| rows.get_mut(*name)) {
            own.push(row);
        }
    }
    rows.retain(|_, rows| !rows.is_empty());
    rows
}

fn group(said: &Said, bootstrap: &Bootstrap, name: &str, rows: &[usize]) -> Group {
    let own = said.predictions.at(rows);
    let speaker = |row: &usize| said.items[*row].speaker.as_deref();
    let clusters = Clusters::of(rows.iter().map(speaker));
    let intervals = bootstrap.intervals(&own, &clusters, &said.shown);
    let metrics = said.metrics.iter().map(|metric| {
        let shown = said.shown.iter().position(|shown| shown == metric);
        let measured = Measured {
            value: metric.compute(&own),
            interval: shown.and_then(|at| intervals[at]),
        };
        (*metric, measured)
    });
    let speakers: IndexSet<&str> = rows.iter().filter_map(speaker).collect();
    Group {
        name: name.to_owned(),
        items: rows.len(),
        speakers: speakers.len(),
        few: rows.len() < FEW,
        metrics: metrics.collect(),
    }
}

/// The distance of the best from the worst group that has enough items; `None` where there are not two.
fn gap(
    said: &Said,
    (clusters, bootstrap): (&Clusters, &Bootstrap),
    by: &str,
    groups: &[Group],
    rows: &Rows,
    metric: Metric,
) -> Option<Gap> {
    let value = |group: &Group| group.metrics.get(&metric)?.value;
    let known = groups.iter().filter(|group| !group.few);
    let mut known: Vec<(&Group, f64)> = known.filter_map(|group| Some((group, value(group)?))).collect();
    let reward = |value: f64| metric.direction().reward(value);
    known.sort_by(|one, other| reward(other.1).total_cmp(&reward(one.1)));
    let ((best, high), (worst, low)) = match known.as_slice() {
        [best, .., worst] => (*best, *worst),
        _ => return None,
    };
    let interval = match by {
        // A speaker is drawn as a whole or not at all.
        "speaker" => None,
        _ => {
            let rows = (rows.get(&best.name)?.as_slice(), rows.get(&worst.name)?.as_slice());
            let found = bootstrap.gaps(&said.predictions, clusters, &[metric], rows);
            found.into_iter().next().flatten()
        }
    };
    Some(Gap {
        metric,
        best: best.name.clone(),
        worst: worst.name.clone(),
        gap: high - low,
        interval,
    })
}
