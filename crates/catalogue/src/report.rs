//! `emorun runs report`: several runs on one page, which needs nothing beside itself.

use emorun_metrics::Unit;
use minijinja::{AutoEscape, Environment, Value, context};

use crate::compare::{Comparison, shown};
use crate::curves::charts;
use crate::listing::{duration, result, unit_of};
use crate::{Catalogue, CatalogueError, Run};

const TEMPLATE: &str = include_str!("report.html");
/// Curves and columns are of no use beyond this.
const MOST_RUNS: usize = 100;

/// A row of a table: its name, and a cell a run.
type Named = (String, Vec<String>);

/// Runs beside each other as an HTML page: what they are, their curves laid over each other, what differs between them.
///
/// # Errors
/// As [`Comparison::of`].
pub fn report(catalogue: &Catalogue, runs: &[&Run]) -> Result<String, CatalogueError> {
    if runs.len() > MOST_RUNS {
        return Err(CatalogueError::TooMany {
            number: runs.len(),
            most: MOST_RUNS,
        });
    }
    let comparison = Comparison::of(catalogue, runs)?;
    let figures = charts(catalogue, runs).into_iter().map(|chart| {
        let svg = chart.draw().to_svg();
        // The figures' writer has escaped what stands in it.
        context! { title => chart.title, svg => Value::from_safe_string(svg) }
    });
    let number = |value: &Option<f64>, unit: Unit| {
        value.map_or_else(|| "–".to_owned(), |value| unit.number(value) + unit.sign())
    };
    let metrics = comparison.metrics.iter().map(|(name, values)| {
        let unit = unit_of(name);
        (name.clone(), values.iter().map(|value| number(value, unit)).collect())
    });
    let classes = comparison.classes.iter().map(|(name, values)| {
        let cells = values.iter().map(|value| number(value, Unit::Percent));
        (name.clone(), cells.collect())
    });
    let plain = |values: &indexmap::IndexMap<String, Vec<serde_json::Value>>| -> Vec<Named> {
        let row =
            |(name, values): (&String, &Vec<serde_json::Value>)| (name.clone(), values.iter().map(shown).collect());
        values.iter().map(row).collect()
    };
    let sections: [(&str, Vec<Named>); 4] = [
        ("Results", metrics.collect()),
        ("By class, on the test side", classes.collect()),
        ("Configuration", plain(&comparison.settings)),
        ("Code, data and environment", plain(&comparison.origin)),
    ];
    let sections: Vec<Value> = sections
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(title, rows)| {
            let rows: Vec<Value> = rows.into_iter().map(|(name, cells)| context! { name, cells }).collect();
            context! { title, rows }
        })
        .collect();
    let metric = crate::column::usual_metric(runs);
    let metric = metric.as_deref();
    let overview: Vec<Value> = runs
        .iter()
        .map(|run| {
            context! {
                place => run.place.clone(),
                experiment => run.facts.experiment.clone(),
                status => run.facts.status.clone(),
                result => metric.map_or_else(String::new, |metric| result(run, metric)),
                took => run.facts.seconds.map_or_else(String::new, duration),
                started => run.facts.started.clone(),
                tags => run.facts.notes.tags.join(", "),
                note => run.facts.notes.note.clone(),
            }
        })
        .collect();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report", TEMPLATE)?;
    let significance = comparison.significance_text();
    let page = environment.get_template("report")?.render(context! {
        metric => metric.unwrap_or("result"),
        overview,
        runs => comparison.runs,
        figures => figures.collect::<Vec<Value>>(),
        sections,
        significance,
        remarks => comparison.remarks,
    })?;
    Ok(page)
}
