//! Curves of training: `metrics.jsonl` of runs, laid over each other.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use emorun_figures::{LineChart, Series};
use emorun_files::open_regular;
use emorun_metrics::Unit;
use indexmap::IndexMap;
use serde_json::Value;

use crate::listing::unit_of;
use crate::{Catalogue, Run};

/// Longest line that is read.
const LONGEST: usize = 1 << 20;

/// Points by epoch, of a side and a result.
type Curves = IndexMap<(&'static str, String), BTreeMap<u64, Vec<f64>>>;

const SIDES: [&str; 2] = ["train_epoch", "validation"];

/// A chart a result that any of the runs has, each with a line a run: the loss of both sides, and other results of the
/// validation side (of training where there is none).
pub(crate) fn charts(catalogue: &Catalogue, runs: &[&Run]) -> Vec<LineChart> {
    let curves: Vec<Curves> = runs.iter().map(|run| curves_of(catalogue, run)).collect();
    let mut wanted: Vec<(&'static str, String)> = SIDES.map(|side| (side, "loss".to_owned())).to_vec();
    let has_validation = curves.iter().any(|own| own.keys().any(|(side, _)| *side == SIDES[1]));
    let side = if has_validation { SIDES[1] } else { SIDES[0] };
    for own in &curves {
        let more = own
            .keys()
            .filter(|(own, name)| *own == side && name.contains('.') && !name.starts_with("loss."));
        for key in more {
            if !wanted.contains(key) {
                wanted.push(key.clone());
            }
        }
    }
    let chart = |(side, name): &(&'static str, String)| {
        let key = (*side, name.clone());
        let unit = unit_of(name);
        let factor = if unit == Unit::Percent { 100.0 } else { 1.0 };
        let series = runs.iter().zip(&curves).filter_map(|(run, own)| {
            let points = own.get(&key)?.iter();
            let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            Some(Series {
                name: run.place.clone(),
                points: points
                    .map(|(epoch, values)| (*epoch as f64, factor * mean(values)))
                    .collect(),
                ..Series::default()
            })
        });
        let said = if *side == SIDES[0] { "training" } else { "validation" };
        LineChart {
            title: format!("{name}, {said}"),
            x_label: "epoch".to_owned(),
            y_label: format!("{name}{}", unit.sign()),
            series: series.collect(),
            log_x: false,
        }
    };
    wanted
        .iter()
        .map(chart)
        .filter(|chart| !chart.series.is_empty())
        .collect()
}

/// A run's curves; of a parent, those of its members together.
fn curves_of(catalogue: &Catalogue, run: &Run) -> Curves {
    let mut found = Curves::new();
    add(&run.dir, &mut found);
    let members = catalogue
        .runs
        .iter()
        .filter(|own| own.group.as_ref() == Some(&run.place));
    members.for_each(|member| add(&member.dir, &mut found));
    found
}

/// Adds what a log says at the ends of epochs. A line that cannot be read, such as the last of a run that was killed,
/// says nothing.
fn add(dir: &Path, curves: &mut Curves) {
    let Ok(file) = open_regular(&dir.join("metrics.jsonl")) else {
        return;
    };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        let Ok(Value::Object(line)) = serde_json::from_str(&line[..line.len().min(LONGEST)]) else {
            continue;
        };
        let (Some(side), Some(epoch)) = (
            line.get("split").and_then(Value::as_str),
            line.get("epoch").and_then(Value::as_u64),
        ) else {
            continue;
        };
        let Some(side) = SIDES.into_iter().find(|own| *own == side) else {
            continue;
        };
        for (name, value) in line
            .iter()
            .filter(|(name, _)| !["step", "epoch"].contains(&name.as_str()))
        {
            if let Some(value) = value.as_f64() {
                let curve = curves.entry((side, name.clone())).or_default();
                curve.entry(epoch).or_default().push(value);
            }
        }
    }
}
