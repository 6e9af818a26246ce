//! Results by what describes items, and how far groups are apart.

use emorun_metrics::{Bootstrap, Clusters, Interval, Metric};
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
            Grouping {
                gaps: gaps(said, (clusters, bootstrap), &by, &groups, &rows),
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
    let clusters = said.clusters_of(rows.iter().copied());
    let items = said.items_of(rows.iter().copied()).len();
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
        items,
        speakers: speakers.len(),
        few: items < FEW,
        metrics: metrics.collect(),
    }
}

/// The distance of the best from the worst group that has enough items, by each metric that is shown; none where there
/// are not two.
fn gaps(
    said: &Said,
    (clusters, bootstrap): (&Clusters, &Bootstrap),
    by: &str,
    groups: &[Group],
    rows: &Rows,
) -> Vec<Gap> {
    let mut found: Vec<Gap> = said.shown.iter().filter_map(|metric| gap(groups, *metric)).collect();
    // A speaker is drawn as a whole or not at all.
    if by == "speaker" {
        return found;
    }
    // Metrics that differ most between the same groups are drawn together.
    let mut pairs: IndexMap<(String, String), Vec<Metric>> = IndexMap::new();
    for gap in &found {
        pairs
            .entry((gap.best.clone(), gap.worst.clone()))
            .or_default()
            .push(gap.metric);
    }
    let mut intervals: IndexMap<Metric, Option<Interval>> = IndexMap::new();
    for ((best, worst), metrics) in pairs {
        if let (Some(best), Some(worst)) = (rows.get(&best), rows.get(&worst)) {
            let drawn = bootstrap.gaps(&said.predictions, clusters, &metrics, (best, worst));
            intervals.extend(metrics.into_iter().zip(drawn));
        }
    }
    for gap in &mut found {
        gap.interval = intervals.get(&gap.metric).copied().flatten();
    }
    found
}

/// The groups with the best and the worst value, without an interval.
fn gap(groups: &[Group], metric: Metric) -> Option<Gap> {
    let value = |group: &Group| group.metrics.get(&metric)?.value;
    let known = groups.iter().filter(|group| !group.few);
    let mut known: Vec<(&Group, f64)> = known.filter_map(|group| Some((group, value(group)?))).collect();
    let reward = |value: f64| metric.direction().reward(value);
    known.sort_by(|one, other| reward(other.1).total_cmp(&reward(one.1)));
    let [(best, high), .., (worst, low)] = known.as_slice() else {
        return None;
    };
    Some(Gap {
        metric,
        best: best.name.clone(),
        worst: worst.name.clone(),
        gap: high - low,
        interval: None,
    })
}
