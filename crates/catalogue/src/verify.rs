//! `emorun verify`: whether the files of a finished run bear each other out.
//!
//! What follows from the run's directory alone is here: metrics from predictions, the split from them, hashes. What needs
//! the corpus is added by the command.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use emorun_files::{open_regular, read_regular};
use emorun_lang::{Report, Sources, from_tree, parse};
use emorun_metrics::{Metric, Predictions, highest};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::facts::{RECORD, SUMMARY};
use crate::predictions::{Row, Said, files_of, read};

const MOST_BYTES: u64 = 1 << 30;
/// Metrics are written with all their digits; sums may be taken in another order.
const TOLERANCE: f64 = 1e-9;
/// How far probabilities of 32 bits may miss 1 in sum.
const SUM_TOLERANCE: f32 = 1e-3;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was computed or compared again and holds.
    Proven,
    /// What it would take is not here.
    NotProvable,
    /// It does not hold.
    Contradicted,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proven => "proven",
            Self::NotProvable => "not provable here",
            Self::Contradicted => "CONTRADICTED",
        })
    }
}

/// A claim of a run, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What is claimed.
    pub what: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// How that is known, or what is missing.
    pub why: String,
}

impl Claim {
    /// A claim that holds.
    pub fn proven(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::Proven, what.into(), why.into())
    }

    /// A claim that cannot be looked into.
    pub fn not_provable(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::NotProvable, what.into(), why.into())
    }

    /// A claim that does not hold.
    pub fn contradicted(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::Contradicted, what.into(), why.into())
    }

    fn new(verdict: Verdict, what: String, why: String) -> Self {
        Self { what, verdict, why }
    }
}

/// Holds what the files of a run say against each other: of a parent, those of its members too.
pub fn verify(dir: &Path) -> Vec<Claim> {
    let record = match read_json(dir, RECORD) {
        Ok(record) => record,
        Err(problem) => return vec![Claim::contradicted("the record can be read", problem)],
    };
    let mut claims = vec![finished(&record)];
    claims.extend(configuration(dir, &record));
    match read_json(dir, SUMMARY) {
        Ok(summary) => claims.extend(results(dir, &record, &summary)),
        Err(problem) => claims.push(Claim::contradicted("the summary can be read", problem)),
    }
    claims.extend(checkpoints(dir, &record));
    for member in record["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let Some(below) = crate::scan::member_path(member) else {
            claims.push(Claim::contradicted(
                format!("{member} is a member"),
                "it is no path below the run",
            ));
            continue;
        };
        let own = verify(&dir.join(below)).into_iter();
        claims.extend(own.map(|claim| Claim {
            what: format!("{member}: {}", claim.what),
            ..claim
        }));
    }
    claims
}

fn read_json(dir: &Path, name: &str) -> Result<Value, String> {
    let bytes = read_regular(&dir.join(name), MOST_BYTES).map_err(|error| format!("{name}: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}"))
}

fn finished(record: &Value) -> Claim {
    let what = "the run is completed";
    match record["status"].as_str() {
        Some("completed") => Claim::proven(what, "run.json says so"),
        status => Claim::contradicted(what, format!("run.json says {}", status.unwrap_or("nothing"))),
    }
}

/// The configuration that the record bears is that of `resolved.yaml`.
fn configuration(dir: &Path, record: &Value) -> Option<Claim> {
    let what = "the configuration is the recorded one";
    if record["resolved"].is_null() {
        // Of a member it stands in its run's record.
        return None;
    }
    let text = match read_regular(&dir.join("resolved.yaml"), MOST_BYTES) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return Some(Claim::not_provable(what, format!("resolved.yaml: {error}"))),
    };
    let mut sources = Sources::new();
    let mut report = Report::new();
    let id = sources.add("resolved.yaml".to_owned(), text);
    let tree = parse(&sources, id, &mut report);
    let Some(found) = tree.and_then(|tree| from_tree::<Value>(&tree).ok()) else {
        return Some(Claim::contradicted(what, "resolved.yaml cannot be read"));
    };
    let flat = |value: &Value| {
        crate::settings::flat(value)
            .into_iter()
            .collect::<BTreeMap<String, Value>>()
    };
    let (then, now) = (flat(&record["resolved"]), flat(&found));
    let keys: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let differing: Vec<&str> = keys
        .into_iter()
        .filter(|key| !same(then.get(*key), now.get(*key)))
        .map(String::as_str)
        .collect();
    Some(if differing.is_empty() {
        Claim::proven(
            what,
            format!("{} settings of resolved.yaml are those of run.json", now.len()),
        )
    } else {
        Claim::contradicted(
            what,
            format!("resolved.yaml and run.json differ in {}", differing.join(", ")),
        )
    })
}

/// Whether two settings are the same; 1 and 1.0 are.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(Some(one), Some(other)))
        }
        (Some(Value::Number(one)), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// Results and sides follow from the predictions.
fn results(dir: &Path, record: &Value, summary: &Value) -> Vec<Claim> {
    let files = files_of(dir);
    if files.is_empty() {
        return vec![Claim::not_provable(
            "results follow from predictions",
            "there are none in report/",
        )];
    }
    let mut claims = Vec::new();
    for (head, path) in files {
        let what = format!("results of `{head}` follow from its predictions");
        let said = match read(&path) {
            Ok(said) => said,
            Err(error) => {
                claims.push(Claim::contradicted(what, error.to_string()));
                continue;
            }
        };
        if let Some(problem) = contradiction_within(&said) {
            claims.push(Claim::contradicted(
                format!("predictions of `{head}` are consistent"),
                problem,
            ));
        }
        let sides: BTreeSet<&str> = said.rows.iter().map(|row| row.split.as_str()).collect();
        let parent = summary.get("pooled").filter(|pooled| pooled.is_object());
        for side in sides {
            let of_side = parent.filter(|_| side == "test").unwrap_or(&summary["splits"][side]);
            claims.push(recomputed(&format!("{what}, {side}"), &said, side, of_side, &head));
        }
        let own_splits = &record["certificate"]["splits"];
        if own_splits.is_object() {
            claims.push(certified(&said, own_splits, &head));
        }
    }
    claims
}

/// What within a table of predictions does not fit together.
fn contradiction_within(said: &Said) -> Option<String> {
    if !said.predicts_classes {
        return None;
    }
    said.rows.iter().find_map(|row| {
        let sum: f32 = row.values.iter().sum();
        let likeliest = said.names.get(highest(&row.values))?;
        if *likeliest != row.predicted {
            return Some(format!(
                "{}: {} is predicted, but {likeliest} is likelier",
                row.path, row.predicted
            ));
        }
        let is_distribution = (sum - 1.0).abs() <= SUM_TOLERANCE && row.values.iter().all(|p| *p >= 0.0);
        (!is_distribution).then(|| format!("{}: its probabilities are none (their sum is {sum})", row.path))
    })
}

/// Every metric of a side that the summary has, computed again.
fn recomputed(what: &str, said: &Said, side: &str, summary: &Value, head: &str) -> Claim {
    let rows = || said.rows.iter().filter(|row| row.split == side);
    let section = if said.predicts_classes { "heads" } else { "regressions" };
    let Some(known) = summary[section][head].as_object() else {
        return Claim::contradicted(what, format!("the summary has no result of `{head}` on {side}"));
    };
    let number = rows().count();
    if summary["n"].as_u64() != Some(number as u64) {
        let said = summary["n"]
            .as_u64()
            .map_or_else(|| "none".to_owned(), |n| n.to_string());
        return Claim::contradicted(
            what,
            format!("there are {number} predictions, and the summary says {said}"),
        );
    }
    let predictions = said.predictions(rows(), &said.names);
    let mut problems: Vec<String> = Vec::new();
    let mut checked = 0;
    let is_pooled = rows().any(|row| row.member.is_some());
    for (metric, value) in known
        .iter()
        .filter_map(|(name, value)| Some((Metric::named(name)?, value)))
    {
        // Scores of different models are not ranked together: pooled, these are means over the members.
        if is_pooled && metric.merge() != emorun_metrics::Merge::Pooled {
            continue;
        }
        checked += 1;
        let (found, said) = (metric.compute(&predictions), value.as_f64());
        let fits = match (found, said) {
            (Some(found), Some(said)) => (found - said).abs() <= TOLERANCE * said.abs().max(1.0),
            (None, None) => true,
            _ => false,
        };
        if !fits {
            let (found, said) = (metric.text(found), metric.text(said));
            problems.push(format!("{} is {found}, and the summary says {said}", metric.title()));
        }
    }
    problems.extend(other_counts(&predictions, known));
    if problems.is_empty() {
        Claim::proven(what, format!("{checked} metrics over {number} items computed again"))
    } else {
        Claim::contradicted(what, problems.join("; "))
    }
}

/// That the counts of classes are others than the summary's.
fn other_counts(predictions: &Predictions, known: &Map<String, Value>) -> Option<String> {
    let Predictions::Classes(rows) = predictions else {
        return None;
    };
    let stored = known.get("confusion")?;
    let own = serde_json::to_value(rows.confusion()).ok()?;
    (own != *stored).then(|| "the confusion matrix is another one".to_owned())
}

/// The sides of the predictions are those of the certificate, and no speaker is on two of them.
fn certified(said: &Said, splits: &Value, head: &str) -> Claim {
    let what = format!("the items of `{head}` are split as certified");
    let mut speakers: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    let of = |row: &Row| (row.split.as_str().to_owned(), row.speaker.clone());
    let mut sides_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &said.rows {
        *speakers.entry(&row.split).or_default().entry(&row.speaker).or_default() += 1;
        let (side, speaker) = of(row);
        sides_of.entry(speaker).or_default().insert(side);
    }
    let mut problems = Vec::new();
    for (side, own) in &speakers {
        let certified = splits[*side]["speakers"].as_object();
        for (speaker, number) in own {
            let there = certified.and_then(|known| known.get(*speaker)).and_then(Value::as_u64);
            // An item without a label of this head has no prediction.
            if there.is_none_or(|there| there < *number) {
                let there = there.unwrap_or(0);
                problems.push(format!(
                    "{speaker} has {number} items in {side}, and the certificate says {there}"
                ));
            }
        }
    }
    let both = sides_of
        .iter()
        .filter(|(speaker, sides)| sides.len() > 1 && !speaker.is_empty());
    problems.extend(both.map(|(speaker, sides)| {
        let sides: Vec<&str> = sides.iter().map(String::as_str).collect();
        format!("{speaker} is in {}", sides.join(" and "))
    }));
    if problems.is_empty() {
        let number: usize = speakers.values().map(BTreeMap::len).sum();
        Claim::proven(what, format!("{number} speakers, each on the certified side alone"))
    } else {
        Claim::contradicted(what, problems.join("; "))
    }
}

/// The files of each checkpoint have the hashes of its manifest, which bears the run's id.
fn checkpoints(dir: &Path, record: &Value) -> Vec<Claim> {
    let entries = fs::read_dir(dir.join("checkpoints"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut steps: Vec<String> = names
        .filter(|name| name.starts_with("step-") && !name.contains('.'))
        .collect();
    steps.sort();
    if steps.is_empty() {
        let is_parent = record["members"].as_array().is_some_and(|members| !members.is_empty());
        let missing = Claim::not_provable("weights are those that were trained", "there are no checkpoints");
        return if is_parent { Vec::new() } else { vec![missing] };
    }
    let of = |step: &String| {
        let what = format!("checkpoint {step} is whole and the run's own");
        let place = dir.join("checkpoints").join(step);
        match compared(&place, record["id"].as_str().unwrap_or_default()) {
            Ok((number, missing)) if missing.is_empty() => Claim::proven(what, format!("SHA-256 of {number} files")),
            Ok((number, missing)) => {
                let missing = missing.join(", ");
                Claim::not_provable(
                    what,
                    format!("{missing} is not here; the SHA-256 of {number} files holds"),
                )
            }
            Err(problem) => Claim::contradicted(what, problem),
        }
    };
    steps.iter().map(of).collect()
}

/// How many files of a checkpoint were compared, and which are not there, as in an archive for a reviewer.
///
/// # Errors
/// One is not what the manifest says; the message says which.
fn compared(place: &Path, id: &str) -> Result<(usize, Vec<String>), String> {
    let manifest = read_json(place, "manifest.json")?;
    let run = manifest["run"].as_str().unwrap_or_default();
    if !run.is_empty() && !id.is_empty() && run != id {
        return Err("its manifest bears the id of another run".to_owned());
    }
    let files = manifest["sha256"].as_object().ok_or("its manifest lists no files")?;
    let mut missing = Vec::new();
    for (name, expected) in files {
        let is_file_name = crate::scan::member_path(name).is_some_and(|path| path.components().count() == 1);
        if !is_file_name {
            return Err(format!("its manifest names {name:?}, which is no file of its own"));
        }
        match sha256(&place.join(name)) {
            Ok(found) if expected.as_str() == Some(&found) => {}
            Ok(_) => return Err(format!("the SHA-256 of {name} is not that of the manifest")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing.push(name.clone()),
            Err(error) => return Err(format!("{name}: {error}")),
        }
    }
    Ok((files.len() - missing.len(), missing))
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = open_regular(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Predictions that were computed again, in `again`, held against those in a run's report.
pub fn compare_predictions(dir: &Path, again: &Path, what: &str) -> Vec<Claim> {
    let of = |(head, path): (String, std::path::PathBuf)| {
        let what = format!("{what}, `{head}`");
        let (then, now) = match (read(&path), read(&again.join(format!("predictions.{head}.csv")))) {
            (Ok(then), Ok(now)) => (then, now),
            (Err(error), _) | (_, Err(error)) => return Claim::contradicted(what, error.to_string()),
        };
        difference(&what, &then, &now)
    };
    files_of(dir).into_iter().map(of).collect()
}

/// Differences up to this are the rounding of another processor.
const ROUNDING: f32 = 1e-4;

fn difference(what: &str, then: &Said, now: &Said) -> Claim {
    let key = |row: &Row| (row.split.clone(), row.path.clone());
    let known: BTreeMap<(String, String), &Row> = then.rows.iter().map(|row| (key(row), row)).collect();
    let (mut largest, mut compared) = (0.0_f32, 0);
    for row in &now.rows {
        let Some(own) = known.get(&key(row)).filter(|own| own.values.len() == row.values.len()) else {
            return Claim::contradicted(what, format!("{} has no such prediction in the report", row.path));
        };
        compared += 1;
        for (then, now) in own.values.iter().zip(&row.values) {
            let distance = (then - now).abs();
            if distance > ROUNDING * then.abs().max(1.0) {
                return Claim::contradicted(what, format!("{}: the report says {then}, the weights {now}", row.path));
            }
            largest = largest.max(distance);
        }
    }
    if compared < then.rows.len() {
        let missing = then.rows.len() - compared;
        return Claim::contradicted(what, format!("the report has {missing} predictions that no item has"));
    }
    Claim::proven(what, format!("{compared} items, largest difference {largest:e}"))
}

/// The members that a run names, as paths below it.
pub fn members(dir: &Path) -> Vec<String> {
    let record = read_json(dir, RECORD).unwrap_or_default();
    let names = record["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let below = names.filter(|name| crate::scan::member_path(name).is_some());
    below.map(str::to_owned).collect()
}
