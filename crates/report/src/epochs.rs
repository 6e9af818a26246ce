//! How training went: what the journals of runs hold of each epoch.

use std::collections::BTreeMap;

use emorun_figures::{Figure, LineChart, Series, animation, confusion_matrix};
use serde_json::{Map, Value};

use crate::origin::metric_of;
use crate::section::{Block, Drawn, Matrix, Section};
use crate::source::Source;
use crate::text::slug;

/// Sides that are measured after every epoch: as they are called, and as the journal calls them.
const SIDES: [(&str, &str); 2] = [("training", "train_epoch"), ("validation", "validation")];
/// Where a line of the journal counts true and predicted classes after an epoch, by head.
const CONFUSION: &str = "confusion";
/// Charts that a report shows at most.
const MOST_CHARTS: usize = 13;
/// Epochs that are shown of a longer training, evenly chosen.
const MOST_EPOCHS: usize = 60;
/// Seconds that an epoch is seen in the animation.
const SECONDS_EACH: f64 = 0.5;

/// Loss and metrics over epochs: of several members, the mean over those that came so far.
pub(crate) fn curves(source: &Source) -> Option<Section> {
    let mut names = vec!["loss".to_owned()];
    for line in source.journals.iter().flatten() {
        let is_epoch = SIDES
            .iter()
            .any(|(_, split)| line.get("split").is_some_and(|own| own == split));
        let known = line
            .keys()
            .filter(|name| is_epoch && name.contains('.') && metric_of(name).is_some());
        for name in known {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names.truncate(MOST_CHARTS);
    let charts = names.iter().filter_map(|name| chart(source, name));
    let figures: Vec<Drawn> = charts.collect();
    let members = source.journals.len();
    let of = match members {
        1 => Vec::new(),
        _ => vec![Block::Text(vec![format!("Means over {members} members.")])],
    };
    (!figures.is_empty()).then(|| Section {
        id: "curves".to_owned(),
        title: "Curves over epochs".to_owned(),
        blocks: of.into_iter().chain([Block::Figures(figures)]).collect(),
    })
}

fn chart(source: &Source, name: &str) -> Option<Drawn> {
    let series = SIDES.map(|(side, split)| Series {
        name: side.to_owned(),
        points: mean(&source.journals, split, name),
        ..Series::default()
    });
    let series: Vec<Series> = series.into_iter().filter(|own| !own.points.is_empty()).collect();
    let title = match (name.rsplit_once('.'), metric_of(name)) {
        (Some((head, _)), Some(metric)) => format!("{head} {}", metric.title()),
        _ => name.to_owned(),
    };
    let chart = LineChart {
        y_label: title.clone(),
        title: title.clone(),
        x_label: "epoch".to_owned(),
        series,
        log_x: false,
    };
    (!chart.series.is_empty()).then(|| Drawn {
        name: slug(name),
        title: format!("{title} over epochs"),
        figure: chart.draw(),
    })
}

/// A number over epochs: the mean of the runs that have it there.
fn mean(journals: &[Vec<Map<String, Value>>], split: &str, name: &str) -> Vec<(f64, f64)> {
    let mut by_epoch: BTreeMap<u64, (f64, u32)> = BTreeMap::new();
    let lines = journals.iter().flatten();
    for line in lines.filter(|line| line.get("split").is_some_and(|own| own == split)) {
        let number = |key: &str| line.get(key);
        if let (Some(epoch), Some(value)) = (
            number("epoch").and_then(Value::as_u64),
            number(name).and_then(Value::as_f64),
        ) {
            let (sum, count) = by_epoch.entry(epoch).or_default();
            *sum += value;
            *count += 1;
        }
    }
    let means = by_epoch.into_iter();
    means
        .map(|(epoch, (sum, count))| (epoch as f64, sum / f64::from(count)))
        .collect()
}

/// Confusion after every epoch, where the journal of a single run holds it.
pub(crate) fn confusions(source: &Source) -> Vec<Section> {
    let [journal] = source.journals.as_slice() else {
        return Vec::new();
    };
    let heads = source.record.outputs.iter();
    heads
        .filter_map(|(head, labels)| confusion(journal, head, labels))
        .collect()
}

fn confusion(journal: &[Map<String, Value>], head: &str, labels: &[String]) -> Option<Section> {
    let mut epochs: BTreeMap<u64, Vec<Vec<u64>>> = BTreeMap::new();
    for line in journal {
        let counts = line.get(CONFUSION).and_then(|counts| counts.get(head));
        let counts = counts.and_then(|own| serde_json::from_value::<Vec<Vec<u64>>>(own.clone()).ok());
        let is_square =
            |counts: &Vec<Vec<u64>>| counts.len() == labels.len() && counts.iter().all(|row| row.len() == labels.len());
        if let (Some(epoch), Some(counts)) = (line.get("epoch").and_then(Value::as_u64), counts.filter(is_square)) {
            epochs.insert(epoch, counts);
        }
    }
    let last = epochs.len().checked_sub(1)?;
    let is_shown = |at: usize| {
        let step = last.div_ceil(MOST_EPOCHS).max(1);
        at == last || at.is_multiple_of(step)
    };
    let all = epochs.into_iter().enumerate();
    let epochs: Vec<(u64, Vec<Vec<u64>>)> = all.filter(|(at, _)| is_shown(*at)).map(|(_, epoch)| epoch).collect();
    let (_, rows) = epochs.last()?.clone();
    let frame = |(epoch, rows): &(u64, Vec<Vec<u64>>)| {
        confusion_matrix(
            &format!("{head}, epoch {epoch}"),
            labels,
            rows.iter().map(Vec::as_slice),
        )
        .ok()
    };
    let frames: Vec<Figure> = epochs.iter().filter_map(frame).collect();
    let has_several = epochs.len() > 1;
    let animated = has_several.then(|| animation(&frames, SECONDS_EACH).ok()).flatten();
    let matrix = Matrix {
        caption: format!(
            "Confusion of {head} after an epoch, validation: items, and below their share of the true class"
        ),
        labels: labels.to_vec(),
        rows,
        epochs: if has_several { epochs } else { Vec::new() },
        animation: animated.map(|png| png.bytes),
    };
    Some(Section {
        id: format!("{}-epochs", slug(head)),
        title: format!("Confusion of {head} over epochs"),
        blocks: vec![Block::Matrix(matrix)],
    })
}
