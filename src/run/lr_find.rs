//! Finding a learning rate: the range test of a member, drawn.

use std::path::Path;

use emorun_figures::{LineChart, Series};

use super::member::set_up;
use super::parent::members;
use crate::device::Chosen;
use crate::exit::Failure;
use crate::prepare::Prepared;
use crate::train::Abort;
use crate::train::range_test::{RangeTest, Tried};

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

/// Loss over learning rate as a drawing, in SVG.
pub fn draw(name: &str, tried: &[Tried]) -> String {
    let over = |of: fn(&Tried) -> f64| tried.iter().map(|tried| (tried.lr.log10(), of(tried))).collect();
    let chart = LineChart {
        title: format!("learning-rate range test of {name}"),
        x_label: "logarithm of the learning rate to base 10".to_owned(),
        y_label: "loss".to_owned(),
        series: vec![
            Series {
                name: "smoothed".to_owned(),
                points: over(|tried| tried.smoothed),
            },
            Series {
                name: "each step".to_owned(),
                points: over(|tried| tried.loss),
            },
        ],
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
