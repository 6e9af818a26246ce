//! What a run's own files say of it, as far as lists and filters ask.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use emorun_files::read_regular;
use emorun_metrics::Interval;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::notes::{self, Notes};

/// Largest JSON file of a run that is read. A certificate names every speaker, a summary every class.
const MOST_JSON: u64 = 1 << 30;

/// What is recorded of a run.
pub(crate) const RECORD: &str = "run.json";
/// What a run has found.
pub(crate) const SUMMARY: &str = "summary.json";

/// What a run's files say of it. Times are RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Name of the experiment.
    pub experiment: String,
    /// What its checkpoints bear.
    pub id: String,
    /// How it stands, such as `completed`; empty where that cannot be read.
    pub status: String,
    /// Seed; `None` for a parent of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Fold, such as `fold-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<String>,
    /// Members (folds and seeds) by their folders below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Start.
    pub started: String,
    /// End.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Seconds of training, over all starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Device, and why it was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Commit of the experiment's checkout, with a `+` where there were changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Hash of the resolved experiment.
    pub config_hash: String,
    /// Version of emorun.
    pub version: String,
    /// Items of the test side; of a parent, of all members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Results by `HEAD.METRIC`, and `loss`: of the test side by these names, of the validation side with
    /// `validation.` in front.
    #[serde(skip)]
    pub metrics: Vec<(Arc<str>, f64)>,
    /// How sure results of the test side are, by the same names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<(String, Spread)>,
    /// The metric by which the weights were chosen, and its best value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<(String, f64)>,
    /// What went wrong, its first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What of its files cannot be used, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Its configuration: places in the catalogue's table of settings, in ascending order.
    #[serde(skip)]
    pub settings: Vec<u32>,
    /// Tags, the note, and whether it is archived.
    #[serde(skip_serializing_if = "Notes::is_empty")]
    pub notes: Notes,
}

/// How sure a result is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// A 95 % interval, from below to above.
    Interval(f64, f64),
    /// Standard deviation over the members of a parent.
    Sd(f64),
}

impl Facts {
    /// A result of the test side by `HEAD.METRIC`, or of the validation side with `validation.` in front.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|(own, _)| **own == *name);
        found.map(|(_, value)| *value)
    }

    /// How sure a result is.
    pub fn spread_of(&self, name: &str) -> Option<Spread> {
        let found = self.spread.iter().find(|(own, _)| own == name);
        found.map(|(_, spread)| *spread)
    }
}

/// Reads what a run's files say of it, and its configuration with all defaults (of a member, which does not repeat it,
/// `null`). What cannot be read is told in `problems`.
pub(crate) fn of_run(dir: &Path) -> (Facts, Value) {
    let mut facts = Facts::default();
    let mut resolved = Value::Null;
    match read_json::<RecordView>(dir, RECORD) {
        Ok(Some(record)) => resolved = record.into_facts(&mut facts),
        Ok(None) => facts.problems.push(format!(
            "no {RECORD}: it was stopped before it began, or is being started"
        )),
        Err(problem) => facts.problems.push(problem),
    }
    read_results(dir, &mut facts);
    match notes::read(dir) {
        Ok(found) => facts.notes = found,
        Err(error) => facts.problems.push(problem_within(dir, &error.to_string())),
    }
    (facts, resolved)
}

/// Reads what a sweep's files say of it.
pub(crate) fn of_sweep(dir: &Path) -> Facts {
    let mut facts = Facts {
        experiment: dir
            .parent()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        status: "sweep".to_owned(),
        ..Facts::default()
    };
    match read_json::<SweepView>(dir, SUMMARY) {
        Ok(Some(summary)) => facts.status = summary.status,
        Ok(None) => facts.status = "unfinished".to_owned(),
        Err(problem) => facts.problems.push(problem),
    }
    match notes::read(dir) {
        Ok(found) => facts.notes = found,
        Err(error) => facts.problems.push(problem_within(dir, &error.to_string())),
    }
    facts
}

/// Results from the summary.
fn read_results(dir: &Path, facts: &mut Facts) {
    match read_json::<SummaryView>(dir, SUMMARY) {
        Ok(Some(summary)) => summary.into_facts(facts),
        Ok(None) if facts.status == "completed" => facts.problems.push(format!("no {SUMMARY}, though it is completed")),
        Ok(None) => {}
        Err(problem) => facts.problems.push(problem),
    }
}

/// A JSON file of a run; `None` where there is none.
fn read_json<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<Option<T>, String> {
    let bytes = match read_regular(&dir.join(name), MOST_JSON) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    serde_json::from_slice(&bytes).map_err(|error| format!("{name}: {error}"))
}

/// A problem told without the directory, which stands beside it already.
fn problem_within(dir: &Path, text: &str) -> String {
    text.replace(&format!("{}{}", dir.display(), std::path::MAIN_SEPARATOR), "")
}

/// What of `run.json` is read. What another version lacks or has more does not count.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct RecordView {
    status: String,
    id: String,
    name: String,
    seed: Option<u64>,
    fold: Option<String>,
    members: Vec<String>,
    config_hash: String,
    resolved: Value,
    versions: VersionsView,
    git: Option<GitView>,
    device: Option<String>,
    started: String,
    ended: Option<String>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionsView {
    emorun: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GitView {
    commit: String,
    diff: String,
}

impl RecordView {
    fn into_facts(self, facts: &mut Facts) -> Value {
        if self.status.is_empty() {
            facts.problems.push(format!("{RECORD}: it says no `status`"));
        }
        facts.status = self.status;
        facts.id = self.id;
        facts.experiment = self.name;
        facts.seed = self.seed;
        facts.fold = self.fold;
        facts.members = self.members;
        facts.config_hash = self.config_hash;
        facts.version = self.versions.emorun;
        facts.commit = self.git.map(|git| {
            let changed = if git.diff.is_empty() { "" } else { "+" };
            git.commit + changed
        });
        facts.device = self.device;
        facts.started = self.started;
        facts.ended = self.ended;
        facts.error = self.error.and_then(|error| error.lines().next().map(str::to_owned));
        self.resolved
    }
}

/// What of `summary.json` is read, of a run or a parent of members.
#[derive(Deserialize)]
struct SummaryView {
    #[serde(default)]
    splits: BTreeMap<String, SplitView>,
    pooled: Option<SplitView>,
    sd: Option<SplitView>,
    /// By side, head and metric.
    #[serde(default)]
    intervals: BTreeMap<String, BTreeMap<String, BTreeMap<String, Interval>>>,
    best: Option<BestView>,
    #[serde(default)]
    seconds: SecondsView,
}

#[derive(Deserialize)]
struct SweepView {
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SplitView {
    n: u64,
    loss: Option<f64>,
    heads: BTreeMap<String, Map<String, Value>>,
    regressions: BTreeMap<String, Map<String, Value>>,
}

#[derive(Deserialize)]
struct BestView {
    metric: String,
    value: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecondsView {
    train: Option<f64>,
}

impl SplitView {
    /// Results by `HEAD.METRIC`, and the loss.
    fn metrics(&self) -> impl Iterator<Item = (String, f64)> {
        let heads = self.heads.iter().chain(&self.regressions);
        let of_heads = heads.flat_map(|(head, own)| {
            let numbers = own.iter().filter_map(|(name, value)| Some((name, value.as_f64()?)));
            numbers.map(move |(name, value)| (format!("{head}.{name}"), value))
        });
        of_heads.chain(self.loss.map(|loss| ("loss".to_owned(), loss)))
    }
}

impl SummaryView {
    fn into_facts(mut self, facts: &mut Facts) {
        let test = self.pooled.as_ref().or_else(|| self.splits.get("test"));
        if let Some(test) = test {
            facts.items = Some(test.n);
            facts
                .metrics
                .extend(test.metrics().map(|(name, value)| (name.into(), value)));
        }
        if let Some(validation) = self.splits.get("validation") {
            let named = validation.metrics();
            let named = named.map(|(name, value)| (format!("validation.{name}").into(), value));
            facts.metrics.extend(named);
        }
        // A parent has its members' deviation.
        let deviations = self.sd.iter().flat_map(SplitView::metrics);
        facts.spread = deviations.map(|(name, sd)| (name, Spread::Sd(sd))).collect();
        for (head, metrics) in self.intervals.remove("test").into_iter().flatten() {
            let named = |(metric, Interval { low, high })| (format!("{head}.{metric}"), Spread::Interval(low, high));
            facts.spread.extend(metrics.into_iter().map(named));
        }
        facts.best = self.best.map(|best| (best.metric, best.value));
        facts.seconds = self.seconds.train;
    }
}
