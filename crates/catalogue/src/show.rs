//! `emorun runs show` and `emorun runs best`: one run.

use std::fmt::Write as _;

use emorun_metrics::{Direction, Metric};

use crate::column::usual_metric;
use crate::listing::{as_json, duration, result};
use crate::text::{plain, table};
use crate::{Catalogue, CatalogueError, Filter, Kind, Run, Sorting};

/// What there is to know of a run, as people read it.
pub fn show(catalogue: &Catalogue, run: &Run) -> String {
    let facts = &run.facts;
    let mut lines: Vec<(&str, String)> = vec![
        ("run", run.place.clone()),
        ("experiment", facts.experiment.clone()),
        ("status", facts.status.clone()),
    ];
    let mut add = |name: &'static str, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    };
    add("error", facts.error.clone());
    add("belongs to", run.group.clone());
    add(
        "members",
        (!facts.members.is_empty()).then(|| facts.members.len().to_string()),
    );
    add("id", Some(facts.id.clone()));
    add("seed", facts.seed.map(|seed| seed.to_string()));
    add("fold", facts.fold.clone());
    add("started", Some(facts.started.clone()));
    add("ended", facts.ended.clone());
    add("took", facts.seconds.map(duration));
    add("device", facts.device.clone());
    add("commit", facts.commit.clone());
    add("emorun", Some(facts.version.clone()));
    add("config hash", Some(facts.config_hash.clone()));
    add("tags", Some(facts.notes.tags.join(" ")));
    add("note", Some(facts.notes.note.clone()));
    add("archived", facts.notes.archived.then(|| "yes".to_owned()));
    let best = facts.best.as_ref();
    add(
        "chosen by",
        best.map(|(metric, value)| format!("{metric} of validation, {value:.4}")),
    );
    add("test items", facts.items.map(|items| items.to_string()));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:width$}  {}", plain(&value));
    }
    for problem in &facts.problems {
        let _ = writeln!(text, "{:width$}  {}", "problem", plain(problem));
    }
    text.push_str(&results(run));
    let settings = catalogue.settings_of(run).into_iter();
    let rows: Vec<Vec<String>> = settings
        .map(|(path, value)| vec![path.to_owned(), crate::text::clipped(value.trim_matches('"'), 80)])
        .collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(&["setting", "value"], &[false, false], &rows));
    }
    text
}

/// What there is to know of a run, as a JSON object.
pub fn show_json(catalogue: &Catalogue, run: &Run) -> String {
    let mut object = as_json(run, &[]);
    let settings = catalogue.settings_of(run).into_iter();
    let settings: serde_json::Map<String, serde_json::Value> = settings
        .map(|(path, value)| (path.to_owned(), serde_json::from_str(value).unwrap_or_default()))
        .collect();
    object["settings"] = serde_json::Value::Object(settings);
    format!("{object:#}\n")
}

/// Results of test and validation beside each other.
fn results(run: &Run) -> String {
    let metrics = run.facts.metrics.iter().map(|(name, _)| &**name);
    let mut names: Vec<&str> = metrics
        .map(|name| name.strip_prefix("validation.").unwrap_or(name))
        .collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let row = |name: &str| {
        vec![
            name.to_owned(),
            result(run, name),
            result(run, &format!("validation.{name}")),
        ]
    };
    let rows: Vec<Vec<String>> = names.into_iter().map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "\n{}",
            table(&["result", "test", "validation"], &[false, true, true], &rows)
        ),
    }
}

/// The best run, and by what it is.
#[derive(Debug)]
pub struct Best<'a> {
    /// The run.
    pub run: &'a Run,
    /// The result that says so, by its full name.
    pub metric: String,
    /// Of how many.
    pub among: usize,
}

impl Best<'_> {
    /// As people read it, without the run's directory.
    pub fn text(&self) -> String {
        let test = self.metric.strip_prefix("validation.");
        let said = match test {
            Some(test) => format!(
                "{} on validation, {} on test",
                result(self.run, &self.metric),
                result(self.run, test)
            ),
            None => format!(
                "{} on test (chosen on test: it flatters)",
                result(self.run, &self.metric)
            ),
        };
        let metric = test.unwrap_or(&self.metric);
        plain_line(&format!("{}: {metric} {said}; best of {}", self.run.place, self.among))
    }
}

fn plain_line(text: &str) -> String {
    plain(text) + "\n"
}

/// The best of the completed runs that are no members, by a result; on the validation side, unless no run has it there.
///
/// # Errors
/// No completed run has the result, or the filter cannot be read.
pub fn best<'a>(
    catalogue: &'a Catalogue,
    metric: Option<&str>,
    experiment: Option<&str>,
    filter: Option<&str>,
) -> Result<Best<'a>, CatalogueError> {
    let filter = filter.map(|text| Filter::of(text, catalogue)).transpose()?;
    let is_meant = |run: &&Run| {
        run.kind == Kind::Run
            && run.facts.status == "completed"
            && experiment.is_none_or(|name| run.facts.experiment == name)
            && filter.as_ref().is_none_or(|filter| filter.means(run))
    };
    let runs: Vec<&Run> = catalogue.runs.iter().filter(is_meant).collect();
    let asked = metric.map(str::to_owned).or_else(|| usual_metric(&runs));
    let asked = asked.unwrap_or_else(|| "emotion.uar".to_owned());
    let on_validation = format!("validation.{asked}");
    let of = |name: &str| -> Vec<(&'a Run, f64)> {
        let known = runs.iter().filter_map(|run| Some((*run, run.facts.metric(name)?)));
        known.collect()
    };
    let (metric, found) = match of(&on_validation) {
        found if found.is_empty() => (asked.clone(), of(&asked)),
        found => (on_validation, found),
    };
    let direction = direction(&metric);
    let among = found.len();
    let best = found
        .into_iter()
        .rev()
        .max_by(|(_, one), (_, other)| direction.reward(*one).total_cmp(&direction.reward(*other)));
    match best {
        Some((run, _)) => Ok(Best { run, metric, among }),
        None => {
            // A name that no run has gets the nearest.
            Sorting::of(&asked, catalogue)?;
            Err(CatalogueError::NoBest { metric: asked })
        }
    }
}

/// Which way a result is better; losses the lower.
fn direction(name: &str) -> Direction {
    let metric = name.rsplit('.').next().and_then(Metric::named);
    metric.map_or(Direction::Lower, Metric::direction)
}
