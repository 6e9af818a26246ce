//! Loss and metrics over epochs as pictures, from what the journals of runs hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emorun_figures::{LineChart, Series};
use serde_json::Value;

use super::dir::RunDir;
use emorun_engine::exit::Failure;

/// Sides that are measured after every epoch: as they are called, and as the journal calls them.
const SIDES: [(&str, &str); 2] = [("training", "train_epoch"), ("validation", "validation")];

/// Draws `report/loss.svg` and, of the named metrics, `report/metrics.svg`: of several runs, the mean over them.
///
/// # Errors
/// A journal cannot be read, or a picture not be written.
pub fn draw(dir: &RunDir, runs: &[PathBuf], metrics: &[String]) -> Result<(), Failure> {
    let journals = runs.iter().map(|run| journal(run)).collect::<Result<Vec<_>, _>>()?;
    let of = if runs.len() > 1 {
        format!(", mean over {} members", runs.len())
    } else {
        String::new()
    };
    let picture = |title: &str, y_label: &str, series: Vec<Series>| {
        let chart = LineChart {
            title: format!("{title}{of}"),
            x_label: "epoch".to_owned(),
            y_label: y_label.to_owned(),
            series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
            log_x: false,
        };
        chart.draw().to_svg()
    };
    let losses = SIDES.map(|(name, split)| Series {
        name: name.to_owned(),
        points: mean(&journals, split, "loss"),
        ..Series::default()
    });
    dir.write("report/loss.svg", picture("loss", "loss", losses.into()).as_bytes())?;
    let of_metrics = metrics.iter().flat_map(|metric| {
        let side = |(name, split): (&str, &str)| Series {
            name: format!("{metric} {name}"),
            points: mean(&journals, split, metric),
            ..Series::default()
        };
        SIDES.map(side)
    });
    let svg = picture("metrics", "value", of_metrics.collect());
    dir.write("report/metrics.svg", svg.as_bytes())
}

/// The lines of a run's journal.
fn journal(run: &Path) -> Result<Vec<Value>, Failure> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

/// A number over epochs: the mean of the runs that have it there.
fn mean(journals: &[Vec<Value>], split: &str, name: &str) -> Vec<(f64, f64)> {
    let mut by_epoch: BTreeMap<u64, (f64, u32)> = BTreeMap::new();
    for line in journals.iter().flatten().filter(|line| line["split"] == split) {
        if let (Some(epoch), Some(value)) = (line["epoch"].as_u64(), line[name].as_f64()) {
            let (sum, count) = by_epoch.entry(epoch).or_default();
            *sum += value;
            *count += 1;
        }
    }
    let means = by_epoch
        .into_iter()
        .map(|(epoch, (sum, count))| (epoch as f64, sum / f64::from(count)));
    means.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn curves_of_several_runs_are_means_over_those_that_came_so_far() {
        let line = |epoch: u64, loss: f64| json!({ "split": "validation", "epoch": epoch, "loss": loss });
        let journals = [
            vec![
                line(1, 1.0),
                line(2, 0.5),
                json!({ "split": "train", "epoch": 1, "loss": 9.0 }),
            ],
            vec![line(1, 2.0), json!({ "split": "validation", "epoch": 2, "loss": null })],
        ];
        assert_eq!(mean(&journals, "validation", "loss"), [(1.0, 1.5), (2.0, 0.5)]);
        assert!(mean(&journals, "validation", "emotion.uar").is_empty());
    }
}
