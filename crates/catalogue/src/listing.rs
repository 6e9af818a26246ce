//! `emorun runs`: many runs as rows.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use emorun_metrics::{Metric, Unit};
use serde_json::{Value, json};

use crate::column::usual_metric;
use crate::settings::differing;
use crate::text::{clipped, table};
use crate::{Catalogue, CatalogueError, Filter, Kind, Run, Sorting, Spread};

/// Widest text of settings that differ, in a table.
const WIDEST: usize = 60;

/// Which runs are listed, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only those that it means.
    pub filter: Option<String>,
    /// Their order; that of their starts where none is asked for.
    pub sort: Option<String>,
    /// The result that is shown, such as `emotion.uar`; the first of most runs where none is named.
    pub metric: Option<String>,
    /// Whether archived runs are shown as well.
    pub archived: bool,
    /// Whether members are left out.
    pub without_members: bool,
}

/// Runs as rows.
#[derive(Debug)]
pub struct Listing<'a> {
    metric: Option<String>,
    rows: Vec<Row<'a>>,
    /// Left out because they are archived.
    archived: usize,
}

#[derive(Debug)]
struct Row<'a> {
    run: &'a Run,
    /// How many of its groups are rows above it.
    depth: usize,
    differs: Vec<(&'a str, &'a str)>,
}

impl<'a> Listing<'a> {
    /// Lists the runs of a catalogue: members below their runs, runs below their sweeps.
    ///
    /// # Errors
    /// The filter or the order cannot be read, or names what no run has.
    pub fn of(catalogue: &'a Catalogue, request: &Request) -> Result<Self, CatalogueError> {
        let filter = request
            .filter
            .as_deref()
            .map(|text| Filter::of(text, catalogue))
            .transpose()?;
        let sorting = request
            .sort
            .as_deref()
            .map(|text| Sorting::of(text, catalogue))
            .transpose()?;
        let put_away: HashSet<&str> = catalogue
            .runs
            .iter()
            .filter(|run| run.facts.notes.archived && !request.archived)
            .map(|run| run.place.as_str())
            .collect();
        let groups: HashMap<&str, &str> = catalogue
            .runs
            .iter()
            .filter_map(|run| Some((run.place.as_str(), run.group.as_deref()?)))
            .collect();
        // With what it belongs to, and what that belongs to.
        let is_put_away = |run: &Run| {
            let places = std::iter::successors(Some(run.place.as_str()), |place| groups.get(place).copied());
            places.take(3).any(|place| put_away.contains(place))
        };
        let is_meant = |run: &&Run| {
            let is_member = request.without_members && run.kind == Kind::Member;
            !is_member && filter.as_ref().is_none_or(|filter| filter.means(run))
        };
        let meant: Vec<&Run> = catalogue.runs.iter().filter(is_meant).collect();
        let (shown, archived): (Vec<&Run>, Vec<&Run>) = match put_away.is_empty() {
            true => (meant, Vec::new()),
            false => meant.into_iter().partition(|run| !is_put_away(run)),
        };
        let metric = match &request.metric {
            Some(metric) => {
                // A name that no run has is a mistake, rather than an empty column.
                Sorting::of(metric, catalogue)?;
                Some(metric.clone())
            }
            None => usual_metric(&shown),
        };
        let rows = tree(&shown, sorting.as_ref());
        let differs = differing(&catalogue.settings, &shown);
        let mut differs: HashMap<&str, _> = shown.iter().map(|run| run.place.as_str()).zip(differs).collect();
        let rows = rows.into_iter().map(|(run, depth)| Row {
            run,
            depth,
            differs: differs.remove(run.place.as_str()).unwrap_or_default(),
        });
        Ok(Self {
            metric,
            rows: rows.collect(),
            archived: archived.len(),
        })
    }

    /// As people read it.
    pub fn table(&self) -> String {
        let metric = self.metric.as_deref().unwrap_or("result");
        let header = [
            "run",
            "experiment",
            "status",
            metric,
            "took",
            "device",
            "tags",
            "differs in",
        ];
        let right = [false, false, false, true, true, false, false, false];
        let short = Short::of(
            self.rows
                .iter()
                .flat_map(|row| row.differs.iter().map(|(path, _)| *path)),
        );
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(|row| self.cells(row, &short)).collect();
        let is_used = |at: usize| rows.iter().any(|row| !row[at].is_empty());
        let used: Vec<usize> = (0..header.len()).filter(|&at| at < 4 || is_used(at)).collect();
        for row in &mut rows {
            *row = used.iter().map(|&at| row[at].clone()).collect();
        }
        let header: Vec<&str> = used.iter().map(|&at| header[at]).collect();
        let right: Vec<bool> = used.iter().map(|&at| right[at]).collect();
        let mut text = table(&header, &right, &rows);
        if self.rows.is_empty() {
            text = "no runs\n".to_owned();
        }
        for row in &self.rows {
            for problem in &row.run.facts.problems {
                text.push_str(&crate::text::plain(&format!("{}: {problem}", row.run.place)));
                text.push('\n');
            }
        }
        if self.archived > 0 {
            text.push_str(&format!(
                "{} archived run(s) are not shown; --archived shows them\n",
                self.archived
            ));
        }
        text
    }

    fn cells(&self, row: &Row<'_>, short: &Short<'_>) -> Vec<String> {
        let facts = &row.run.facts;
        let name = match row.depth {
            0 if row.run.kind == Kind::Member || row.run.group.is_some() => row.run.place.clone(),
            depth => "  ".repeat(depth) + row.run.label(),
        };
        let status = match (facts.status.is_empty(), facts.problems.is_empty()) {
            (true, _) => "unreadable".to_owned(),
            (false, true) => facts.status.clone(),
            (false, false) => format!("{} (!)", facts.status),
        };
        let differs: Vec<String> = row
            .differs
            .iter()
            .map(|(path, value)| format!("{}={}", short.name(path), value.trim_matches('"')))
            .collect();
        let archived = facts.notes.archived.then_some("archived");
        let tags = facts.notes.tags.iter().map(String::as_str).chain(archived);
        vec![
            name,
            facts.experiment.clone(),
            status,
            self.metric
                .as_deref()
                .map_or_else(String::new, |metric| result(row.run, metric)),
            facts.seconds.map_or_else(String::new, duration),
            facts.device.as_deref().map_or("", device).to_owned(),
            tags.collect::<Vec<_>>().join(", "),
            clipped(&differs.join(" "), WIDEST),
        ]
    }

    /// As comma-separated values: every result of any run is a column, and so is every setting in which runs differ.
    pub fn csv(&self) -> String {
        let mut metrics: Vec<&str> = Vec::new();
        let mut settings: Vec<&str> = Vec::new();
        let mut seen: HashSet<(bool, &str)> = HashSet::new();
        for row in &self.rows {
            let own = row.run.facts.metrics.iter().map(|(name, _)| &**name);
            metrics.extend(own.filter(|name| seen.insert((true, name))));
            let own = row.differs.iter().map(|(path, _)| *path);
            settings.extend(own.filter(|path| seen.insert((false, path))));
        }
        let fixed = [
            "place",
            "kind",
            "experiment",
            "label",
            "status",
            "seed",
            "fold",
            "started",
            "ended",
            "seconds",
            "device",
            "commit",
            "tags",
            "note",
            "archived",
            "problems",
        ];
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = fixed.iter().chain(&metrics).copied().map(str::to_owned);
        let header = header.chain(settings.iter().map(|path| format!("config.{path}")));
        // What is written to memory does not fail, and every row has the header's length.
        let _ = writer.write_record(header);
        for row in &self.rows {
            let facts = &row.run.facts;
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let own = [
                row.run.place.clone(),
                row.run.kind.name().to_owned(),
                facts.experiment.clone(),
                row.run.label().to_owned(),
                facts.status.clone(),
                facts.seed.map_or_else(String::new, |seed| seed.to_string()),
                facts.fold.clone().unwrap_or_default(),
                facts.started.clone(),
                facts.ended.clone().unwrap_or_default(),
                number(facts.seconds),
                facts.device.clone().unwrap_or_default(),
                facts.commit.clone().unwrap_or_default(),
                facts.notes.tags.join(" "),
                facts.notes.note.clone(),
                facts.notes.archived.to_string(),
                facts.problems.join("; "),
            ];
            let results = metrics.iter().map(|name| number(facts.metric(name)));
            let differs = settings.iter().map(|path| {
                let found = row.differs.iter().find(|(own, _)| own == path);
                found.map_or_else(String::new, |(_, value)| (*value).to_owned())
            });
            let _ = writer.write_record(
                own.into_iter()
                    .chain(results)
                    .chain(differs)
                    .map(|cell| unformulated(&cell)),
            );
        }
        let bytes = writer.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// As JSON: a list of objects.
    pub fn json(&self) -> String {
        let rows: Vec<Value> = self.rows.iter().map(|row| as_json(row.run, &row.differs)).collect();
        format!("{:#}\n", Value::Array(rows))
    }
}

/// A cell that a spreadsheet would take for a formula, so that it does not.
fn unformulated(cell: &str) -> String {
    let is_number = cell.parse::<f64>().is_ok();
    if !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// A run with all that its files say.
pub(crate) fn as_json(run: &Run, differs: &[(&str, &str)]) -> Value {
    let facts = &run.facts;
    let metrics: serde_json::Map<String, Value> = facts
        .metrics
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value)))
        .collect();
    let spread: serde_json::Map<String, Value> = facts
        .spread
        .iter()
        .map(|(name, spread)| (name.clone(), json!(spread)))
        .collect();
    let differs: serde_json::Map<String, Value> = differs
        .iter()
        .map(|(path, value)| ((*path).to_owned(), serde_json::from_str(value).unwrap_or(Value::Null)))
        .collect();
    json!({
        "place": run.place, "dir": run.dir.display().to_string(), "kind": run.kind.name(), "group": run.group,
        "label": run.label(), "experiment": facts.experiment, "status": facts.status, "id": facts.id,
        "seed": facts.seed, "fold": facts.fold, "started": facts.started, "ended": facts.ended,
        "seconds": facts.seconds, "device": facts.device, "commit": facts.commit, "version": facts.version,
        "config_hash": facts.config_hash, "items": facts.items, "metrics": metrics, "spread": spread,
        "best": facts.best.as_ref().map(|(metric, value)| json!({ "metric": metric, "value": value })),
        "error": facts.error, "problems": facts.problems, "tags": facts.notes.tags, "note": facts.notes.note,
        "archived": facts.notes.archived, "differs": differs,
    })
}

/// Rows in their order, with the number of their groups that are rows as well.
fn tree<'a>(shown: &[&'a Run], sorting: Option<&Sorting>) -> Vec<(&'a Run, usize)> {
    let places: HashSet<&str> = shown.iter().map(|run| run.place.as_str()).collect();
    let mut below: HashMap<Option<&str>, Vec<&'a Run>> = HashMap::new();
    for run in shown {
        let group = run.group.as_deref().filter(|group| places.contains(group));
        below.entry(group).or_default().push(run);
    }
    // A sweep has started with the first of its runs.
    let mut starts: HashMap<&str, &str> = HashMap::new();
    for run in shown {
        let own = run.facts.started.as_str();
        for place in [Some(run.place.as_str()), run.group.as_deref()].into_iter().flatten() {
            let known = starts.entry(place).or_insert(own);
            if known.is_empty() || (!own.is_empty() && own < *known) {
                *known = own;
            }
        }
    }
    let started = |run: &Run| starts.get(run.place.as_str()).copied().unwrap_or_default();
    for runs in below.values_mut() {
        runs.sort_by(|one, other| match sorting {
            Some(sorting) => sorting.compare(one, other),
            None => by_start((one, started(one)), (other, started(other))),
        });
    }
    let mut rows = Vec::with_capacity(shown.len());
    let mut open: Vec<(&Run, usize)> = Vec::new();
    let push = |open: &mut Vec<(&'a Run, usize)>, group: Option<&str>, depth: usize| {
        let runs = below.get(&group).into_iter().flatten().rev();
        open.extend(runs.map(|run| (*run, depth)));
    };
    push(&mut open, None, 0);
    while let Some((run, depth)) = open.pop() {
        rows.push((run, depth));
        if run.kind != Kind::Entered {
            push(&mut open, Some(&run.place), depth + 1);
        }
    }
    rows
}

/// The oldest first, members by their names, and what was entered from elsewhere last.
fn by_start((one, one_start): (&Run, &str), (other, other_start): (&Run, &str)) -> Ordering {
    let is_entered = |run: &Run| run.kind == Kind::Entered;
    let entered = is_entered(one).cmp(&is_entered(other));
    let names = || one.place.cmp(&other.place);
    if one.kind == Kind::Member && other.kind == Kind::Member {
        return names();
    }
    entered.then_with(|| one_start.cmp(other_start)).then_with(names)
}

/// A result with how sure it is.
pub(crate) fn result(run: &Run, metric: &str) -> String {
    let Some(value) = run.facts.metric(metric) else {
        return String::new();
    };
    let unit = unit_of(metric);
    let text = format!("{}{}", unit.number(value), unit.sign());
    match run.facts.spread_of(metric) {
        Some(Spread::Interval(low, high)) => format!("{text} ({} to {})", unit.number(low), unit.number(high)),
        Some(Spread::Sd(sd)) => format!("{text} ± {}", unit.number(sd)),
        None => text,
    }
}

/// How a result of `HEAD.METRIC` is written.
pub(crate) fn unit_of(name: &str) -> Unit {
    let metric = name.rsplit('.').next().and_then(Metric::named);
    metric.map_or(Unit::Number, Metric::unit)
}

/// A device without the reason why it was chosen.
fn device(text: &str) -> &str {
    text.split(" (").next().unwrap_or(text)
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    // As integers: a length of time that was read may be anything.
    let whole = seconds.clamp(0.0, 1e12) as u64;
    match whole {
        0..60 => format!("{:.1} s", seconds.clamp(0.0, 1e12)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Paths by their shortest ends that no other path has.
struct Short<'a>(HashMap<&'a str, &'a str>);

impl<'a> Short<'a> {
    fn of(paths: impl Iterator<Item = &'a str>) -> Self {
        let paths: HashSet<&str> = paths.collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for path in &paths {
            ends(path).for_each(|end| *counts.entry(end).or_default() += 1);
        }
        let short = |path: &'a str| {
            let mut all: Vec<&str> = ends(path).collect();
            all.reverse();
            let found = all.into_iter().find(|end| counts.get(end) == Some(&1));
            (path, found.unwrap_or(path))
        };
        Self(paths.into_iter().map(short).collect())
    }

    fn name(&self, path: &'a str) -> &'a str {
        self.0.get(path).copied().unwrap_or(path)
    }
}

/// A path, and what is left of it behind each of its dots.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    let dots = path.match_indices('.').map(|(at, _)| &path[at + 1..]);
    std::iter::once(path).chain(dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_called_by_the_shortest_end_that_tells_them_apart() {
        let paths = ["training.optimizer.lr", "heads.a.hidden", "heads.b.hidden", "lr"];
        let short = Short::of(paths.into_iter());
        let names = paths.map(|path| short.name(path));
        assert_eq!(names, ["optimizer.lr", "a.hidden", "b.hidden", "lr"]);
    }

    #[test]
    fn a_spreadsheet_is_given_no_formula() {
        let cells = ["=1+1", "-5e-3", "@x", "plain", "-label"].map(unformulated);
        assert_eq!(cells, ["'=1+1", "-5e-3", "'@x", "plain", "'-label"]);
    }

    #[test]
    fn seconds_are_told_in_two_units() {
        let texts = [0.25, 59.94, 61.0, 3599.9, 90061.0, f64::NAN].map(duration);
        assert_eq!(
            texts,
            ["0.2 s", "59.9 s", "1 min 01 s", "59 min 59 s", "25 h 01 min", "NaN s"]
        );
    }
}
