//! `emorun runs diff`: what differs between runs, and nothing else.

use std::fmt::Write as _;
use std::path::Path;

use emorun_files::read_regular;
use emorun_metrics::{Confusion, Unit};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::Value;

use crate::facts::{RECORD, SUMMARY};
use crate::listing::unit_of;
use crate::settings::flat;
use crate::significance::{Compared, compare};
use crate::text::{clipped, table};
use crate::{Catalogue, CatalogueError, Run};

const MOST_BYTES: u64 = 1 << 30;
/// Widest cell of a table.
const WIDEST: usize = 48;

/// What differs between runs: of each thing a value a run, `null` where it has none.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Their places.
    pub runs: Vec<String>,
    /// The configuration, by path.
    pub settings: IndexMap<String, Vec<Value>>,
    /// Code, data, environment and pretrained weights.
    pub origin: IndexMap<String, Vec<Value>>,
    /// Results, by `HEAD.METRIC`; `validation.` stands in front of those of the validation side.
    pub metrics: IndexMap<String, Vec<Option<f64>>>,
    /// Recall and F1 of each class on the test side, by `HEAD CLASS recall`.
    pub classes: IndexMap<String, Vec<Option<f64>>>,
    /// Each run beside the first, on the test items of both.
    pub significance: Vec<Compared>,
    /// What could not be compared, and why.
    pub remarks: Vec<String>,
}

impl Comparison {
    /// Compares runs.
    ///
    /// # Errors
    /// There are fewer than two, or predictions of one cannot be read.
    pub fn of(catalogue: &Catalogue, runs: &[&Run]) -> Result<Self, CatalogueError> {
        if runs.len() < 2 {
            return Err(CatalogueError::OneRun);
        }
        let mut remarks = Vec::new();
        let problems = runs
            .iter()
            .flat_map(|run| run.facts.problems.iter().map(|problem| (&run.place, problem)));
        remarks.extend(problems.map(|(place, problem)| format!("{place}: {problem}")));
        let unfinished = runs.iter().filter(|run| run.facts.status != "completed");
        remarks.extend(unfinished.map(|run| format!("{} is {}, not completed", run.place, run.facts.status)));
        let with_predictions = |run: &&&Run| !crate::predictions::files_of(&run.dir).is_empty();
        let without = runs.iter().filter(|run| !with_predictions(run));
        remarks.extend(without.map(|run| {
            format!(
                "{} has no predictions in report/: it is not tested item by item",
                run.place
            )
        }));
        let (significance, refused) = compare(catalogue, runs)?;
        remarks.extend(refused);
        let settings = runs.iter().map(|run| {
            let own = catalogue.settings_of(run).into_iter();
            let parsed = own.map(|(path, value)| (path.to_owned(), serde_json::from_str(value).unwrap_or(Value::Null)));
            parsed.collect()
        });
        let classes = runs.iter().map(|run| classes_of(&run.dir));
        let metrics = runs.iter().map(|run| {
            let own = run.facts.metrics.iter();
            own.map(|(name, value)| (name.to_string(), *value)).collect()
        });
        Ok(Self {
            runs: runs.iter().map(|run| run.place.clone()).collect(),
            settings: differing(settings.collect(), |value| value.cloned().unwrap_or(Value::Null)),
            origin: differing(runs.iter().map(|run| origin(&run.dir)).collect(), |value| {
                value.cloned().unwrap_or(Value::Null)
            }),
            metrics: differing(metrics.collect(), |value| value.copied()),
            classes: differing(classes.collect(), |value| value.copied()),
            significance,
            remarks,
        })
    }

    /// As JSON.
    pub fn json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }

    /// As people read it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut section = |title: &str, rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                let header: Vec<&str> = std::iter::once("")
                    .chain(self.runs.iter().map(String::as_str))
                    .collect();
                let _ = write!(text, "{title}\n{}\n", table(&header, &vec![false; header.len()], &rows));
            }
        };
        section("configuration", rows(&self.settings, shown));
        section("code, data and environment", rows(&self.origin, shown));
        let metrics = self.metrics.iter().map(|(name, values)| {
            let cells = values.iter().map(|value| measured(unit_of(name), *value));
            std::iter::once(name.clone()).chain(cells).collect()
        });
        section("results", metrics.collect());
        section(
            "by class, on the test side",
            rows(&self.classes, |value| measured(Unit::Percent, *value)),
        );
        if text.is_empty() {
            text.push_str("nothing differs\n\n");
        }
        text.push_str(&self.significance_text());
        for remark in &self.remarks {
            let _ = writeln!(text, "{}", crate::text::plain(remark));
        }
        text
    }

    pub(crate) fn significance_text(&self) -> String {
        let mut text = String::new();
        let first = self.runs.first().map_or("", String::as_str);
        for found in &self.significance {
            let _ = write!(
                text,
                "{} above {first}, `{}`: {} shared test items of {} speaker(s)",
                found.run,
                found.head,
                found.shared - found.relabelled,
                found.speakers
            );
            let (ours, theirs) = found.unshared;
            if ours + theirs > 0 {
                let _ = write!(
                    text,
                    "; {ours} of {first} alone and {theirs} of {} alone are left out",
                    found.run
                );
            }
            if found.relabelled > 0 {
                let _ = write!(text, "; {} with other labels are left out", found.relabelled);
            }
            text.push('\n');
            for own in &found.metrics {
                let unit = own.metric.unit();
                let _ = write!(
                    text,
                    "  {}  {}{}",
                    own.metric.title(),
                    unit.signed(own.excess.difference),
                    unit.sign()
                );
                match own.excess.interval {
                    Some(interval) => {
                        let (low, high) = (unit.signed(interval.low), unit.signed(interval.high));
                        let _ = write!(text, " ({low} to {high})");
                    }
                    None => text.push_str(" (no interval: fewer than two speakers)"),
                }
                let _ = writeln!(text, "{}", probabilities(own.excess.p, own.holm));
            }
            if let Some(test) = found.mcnemar {
                let _ = writeln!(
                    text,
                    "  McNemar: {} right in {first} alone, {} in {} alone{}",
                    test.first_alone,
                    test.second_alone,
                    found.run,
                    probabilities(Some(test.p), found.mcnemar_holm)
                );
            }
        }
        if !text.is_empty() {
            text.push_str(
                "(intervals and p: 2000 draws of speakers, and of items of each, the same for both; McNemar: exact, which takes items for independent of each other",
            );
            let several = self.significance.len() > 1;
            text.push_str(if several {
                "; Holm over all runs and heads)\n"
            } else {
                ")\n"
            });
        }
        crate::text::plain_lines(&text)
    }
}

fn probabilities(p: Option<f64>, holm: Option<f64>) -> String {
    let number = |p: f64| {
        if p < 0.001 {
            "< 0.001".to_owned()
        } else {
            format!("= {p:.3}")
        }
    };
    let own = p.map_or_else(String::new, |p| format!(", p {}", number(p)));
    match (p, holm) {
        (Some(p), Some(holm)) if (holm - p).abs() > 1e-12 => format!("{own}, after Holm {}", number(holm)),
        _ => own,
    }
}

fn measured(unit: Unit, value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| unit.number(value) + unit.sign())
}

/// A value as people write it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => clipped(text, WIDEST),
        value => clipped(&value.to_string(), WIDEST),
    }
}

fn rows<T>(values: &IndexMap<String, Vec<T>>, cell: impl Fn(&T) -> String) -> Vec<Vec<String>> {
    let row =
        |(name, values): (&String, &Vec<T>)| std::iter::once(name.clone()).chain(values.iter().map(&cell)).collect();
    values.iter().map(row).collect()
}

/// Of each name that has not the same value in all, the value of each.
fn differing<T: PartialEq, C>(
    all: Vec<IndexMap<String, T>>,
    cell: impl Fn(Option<&T>) -> C,
) -> IndexMap<String, Vec<C>> {
    let names: IndexSet<&String> = all.iter().flat_map(IndexMap::keys).collect();
    let differs = |name: &&String| {
        let mut values = all.iter().map(|own| own.get(*name));
        let first = values.next().flatten();
        values.any(|value| value != first)
    };
    let of = |name: &String| (name.clone(), all.iter().map(|own| cell(own.get(name))).collect());
    names.into_iter().filter(differs).map(of).collect()
}

fn read_json(dir: &Path, name: &str) -> Value {
    let bytes = read_regular(&dir.join(name), MOST_BYTES).unwrap_or_default();
    // What cannot be read is among the problems of its run.
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// Parts of the record that say where a result comes from.
const ORIGIN: [&str; 8] = [
    "versions",
    "git",
    "device",
    "data",
    "weights",
    "files",
    "started_from",
    "set",
];

/// Code, data and environment of a run, by dotted path; changes that were not committed by their hash.
fn origin(dir: &Path) -> IndexMap<String, Value> {
    let mut record = read_json(dir, RECORD);
    if let Some(diff) = record["git"]["diff"].as_str() {
        let short = match diff {
            "" => "none".to_owned(),
            diff => format!(
                "{} bytes, BLAKE3 {}",
                diff.len(),
                &blake3::hash(diff.as_bytes()).to_hex()[..12]
            ),
        };
        record["git"]["diff"] = Value::String(short);
    }
    let parts = ORIGIN.iter().flat_map(|part| {
        let below = flat(&record[*part]).into_iter();
        below.map(move |(path, value)| {
            let name = if path.is_empty() {
                (*part).to_owned()
            } else {
                format!("{part}.{path}")
            };
            (name, value)
        })
    });
    parts.collect()
}

/// Recall and F1 of each class on the test side.
fn classes_of(dir: &Path) -> IndexMap<String, f64> {
    let summary = read_json(dir, SUMMARY);
    let pooled = &summary["pooled"]["heads"];
    let heads = if pooled.is_object() {
        pooled
    } else {
        &summary["splits"]["test"]["heads"]
    };
    let mut found = IndexMap::new();
    for (head, own) in heads.as_object().into_iter().flatten() {
        let Ok(counts) = serde_json::from_value::<Confusion>(own["confusion"].clone()) else {
            continue;
        };
        for class in counts.per_class() {
            found.insert(format!("{head} {} recall", class.label), class.recall);
            found.insert(format!("{head} {} F1", class.label), class.f1);
        }
    }
    found
}
