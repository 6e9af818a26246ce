//! Finding a learning rate: the range test of a member, drawn.

use std::path::Path;

use emorun_figures::{LineChart, Series};

use super::member::set_up;
use super::parent::members;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::train::Abort;
use emorun_engine::train::range_test::{RangeTest, Suggestion, TOO_HIGH, Tried};
use emorun_experiment::prepare::Prepared;

/// Runs the range test of an experiment's first member; nothing of it is kept.
///
/// # Errors
/// Weights or recordings that cannot be read; a node that fails.
pub fn range_test(prepared: &Prepared, test: RangeTest, device: &Chosen) -> Result<Vec<Tried>, Failure> {
    let members = members(prepared);
    let first = members
        .first()
        .ok_or_else(|| Failure::Bug("the experiment has no member".into()))?;
    let (trainer, network) = set_up(prepared, first, device)?;
    let tried = trainer.range_test(network, test);
    tried.map_err(|abort: Abort| abort.into_failure(Path::new("")))
}

/// Loss over learning rate as a drawing, in SVG, cut off at four times the least smoothed loss; what is suggested stands
/// out as lines of their own.
pub fn draw(name: &str, tried: &[Tried], found: Option<Suggestion>) -> String {
    let least = tried.iter().map(|tried| tried.smoothed).fold(f64::INFINITY, f64::min);
    let most = TOO_HIGH * least.abs();
    let over = |of: fn(&Tried) -> f64| -> Vec<(f64, f64)> {
        tried.iter().map(|tried| (tried.lr, of(tried).min(most))).collect()
    };
    let smoothed = over(|tried| tried.smoothed);
    let highest = smoothed.iter().map(|(_, loss)| *loss).fold(least, f64::max);
    let mark = |name: &str, lr: f64| Series {
        name: format!("{name}: {lr:.1e}"),
        points: vec![(lr, least), (lr, highest)],
        ..Series::default()
    };
    let marks = found.into_iter().flat_map(|found| {
        [
            mark("falls fastest", found.steepest),
            mark("a tenth of the least", found.tenth_of_least),
        ]
    });
    let lines = [
        Series {
            name: "smoothed".to_owned(),
            points: smoothed,
            ..Series::default()
        },
        Series {
            name: "each step".to_owned(),
            points: over(|tried| tried.loss),
            ..Series::default()
        },
    ];
    let chart = LineChart {
        title: format!("learning-rate range test of {name}"),
        x_label: "learning rate".to_owned(),
        y_label: "loss".to_owned(),
        series: lines.into_iter().chain(marks).collect(),
        log_x: true,
    };
    chart.draw().to_svg()
}

/// The steps as CSV: `lr,loss,smoothed`.
pub fn csv(tried: &[Tried]) -> String {
    let rows = tried
        .iter()
        .map(|Tried { lr, loss, smoothed }| format!("{lr:e},{loss},{smoothed}\n"));
    std::iter::once("lr,loss,smoothed\n".to_owned()).chain(rows).collect()
}
