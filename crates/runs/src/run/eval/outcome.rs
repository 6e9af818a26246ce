//! What measuring a run has found, as people and programs read it.

use std::fmt::Write as _;
use std::path::PathBuf;

use emorun_data::{Items, SplitName};
use emorun_evaluation::text::{interval, table};
use emorun_evaluation::{Condition, ConditionResult, Evaluation, Group, Grouping, Metrics, Side};
use emorun_metrics::{Interval, Metric};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::conditions::Noise;
use super::others::LeftOut;
use super::{ChosenWeights, json as to_json};
use crate::run::evaluated;
use crate::run::record::RunRecord;
use crate::run::summary::SplitSummary;
use crate::run::trained::WhichWeights;
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_engine::train::result::SplitResult;
use emorun_experiment::ancestry::{HeardBefore, How};

/// Speakers that a line names before it counts.
const NAMED: usize = 20;

/// What measuring a run has found.
#[derive(Debug)]
pub struct Outcome {
    pub(super) run: PathBuf,
    pub(super) record: RunRecord,
    pub(super) seed: u64,
    pub(super) weights: ChosenWeights,
    pub(super) device: String,
    pub(super) is_own: bool,
    pub(super) datasets: Vec<String>,
    pub(super) facts: Value,
    pub(super) left_out: LeftOut,
    pub(super) heard: Vec<HeardBefore>,
    pub(super) not_known: Vec<String>,
    pub(super) remarks: Vec<String>,
    pub(super) classes: IndexMap<String, Vec<String>>,
    pub(super) items: Items,
    /// The result on each side; of another corpus all items stand for the test side.
    pub splits: IndexMap<SplitName, SplitResult>,
    /// Everything that is known of them.
    pub evaluation: Evaluation,
    /// The same under other conditions.
    pub(super) conditions: Vec<UnderCondition>,
    /// Label column of each head that predicts classes.
    pub(super) columns: IndexMap<String, String>,
    /// The run's settings.
    pub(super) settings: Settings,
    /// The noise of these.
    pub(super) noise: Option<Noise>,
}

/// What a condition has given.
#[derive(Debug)]
pub(super) struct UnderCondition {
    pub condition: Condition,
    pub splits: IndexMap<SplitName, SplitResult>,
    /// Everything that is known, of beginnings of recordings alone.
    pub sides: IndexMap<String, Side>,
    /// Metrics of each head on each side.
    pub results: Vec<ConditionResult>,
}

impl Outcome {
    /// What a person reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let what = match self.is_own {
            true => "its own data".to_owned(),
            false => format!("another corpus: {}", self.datasets.join(", ")),
        };
        let which = match (self.weights.which, self.weights.best_epoch) {
            (WhichWeights::Best, Some(epoch)) => format!("best, after epoch {epoch}"),
            (which, _) => which.name().to_owned(),
        };
        let _ = writeln!(
            text,
            "{} on {what}; weights of step {} ({which})",
            self.run.display(),
            self.weights.step
        );
        for line in self.differences() {
            let _ = writeln!(text, "{line}");
        }
        let name = |side: &str| match self.is_own {
            true => side.to_owned(),
            false => self.datasets.join(", "),
        };
        let mark = |head: &str| {
            let column = self.columns.get(head);
            let absent = column.and_then(|column| self.left_out.absent.get(column));
            absent.map_or("", |_| " of present classes")
        };
        text.push_str(&evaluated::text(&self.evaluation, name, mark));
        text.push_str(&self.endings());
        text.push_str(&conditions_text(&self.evaluation, name));
        text
    }

    /// What the corpus and the run do not share.
    fn differences(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (column, counts) in &self.left_out.unknown {
            let counts: Vec<String> = counts
                .iter()
                .map(|(class, count)| format!("{class} ({count})"))
                .collect();
            lines.push(format!(
                "classes of `{column}` that the run does not know, whose items it is not measured on: {}",
                counts.join(", ")
            ));
        }
        if self.left_out.items > 0 {
            lines.push(format!("{} item(s) are left out", self.left_out.items));
        }
        for (column, absent) in &self.left_out.absent {
            let all = self.classes.get(column).map_or(0, Vec::len);
            lines.push(format!(
                "classes of `{column}` that no item has: {}; UAR and the like are over the {} of {all} classes that are present, and what is taken for an absent one is wrong",
                absent.join(", "),
                all - absent.len()
            ));
        }
        lines
    }

    /// What is to be known of intervals, people and where the run comes from.
    fn endings(&self) -> String {
        let sides = self.evaluation.sides.values();
        let people = |side: &Side| -> Vec<(usize, usize, usize)> {
            let classes = side.classifiers.values();
            let classes = classes.map(|own| (own.replicates, own.speakers, own.items_of_unknown_speakers));
            let numbers = side.regressors.values();
            let numbers = numbers.map(|own| (own.replicates, own.speakers, own.items_of_unknown_speakers));
            classes.chain(numbers).collect()
        };
        let all: Vec<(usize, usize, usize)> = sides.flat_map(people).collect();
        let mut text = format!(
            "\nintervals: the middle 95 % of {} draws of speakers, and of items of each (seed {})\n",
            all.iter().map(|(replicates, ..)| *replicates).min().unwrap_or(0),
            self.seed
        );
        let unknown = all.iter().map(|(_, _, unknown)| *unknown).max().unwrap_or(0);
        if unknown > 0 {
            let _ = writeln!(
                text,
                "of {unknown} item(s) nobody knows who speaks; each was drawn by itself, which makes intervals too narrow where they share speakers"
            );
        }
        if all.iter().any(|(_, speakers, unknown)| speakers + unknown < 2) {
            text.push_str("one speaker alone has no interval\n");
        }
        for heard in &self.heard {
            let _ = match self.is_own {
                true => writeln!(text, "HEARD BEFORE: {heard}"),
                false => writeln!(text, "HEARD BEFORE: {}", self.heard_of_others(heard)),
            };
        }
        if !self.is_own && self.heard.is_empty() {
            text.push_str("no speaker bears the name of one that the run has heard; one person under two names is not found out\n");
        }
        for line in &self.not_known {
            let _ = writeln!(text, "PERHAPS HEARD BEFORE: {line}");
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "note: {remark}");
        }
        text
    }

    /// Whom of another corpus an ancestor has heard: it has no sides.
    fn heard_of_others(&self, heard: &HeardBefore) -> String {
        let how = match heard.how {
            How::TrainedOn => "was trained on",
            How::SelectedOn => "had its epoch chosen on",
        };
        let named: Vec<&str> = heard.speakers.iter().take(NAMED).map(String::as_str).collect();
        let more = heard.speakers.len() - named.len();
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        format!(
            "{} {how} {} speaker(s) of {} ({}{more}): what is measured on them is not on unheard speakers",
            heard.from,
            heard.speakers.len(),
            self.datasets.join(", "),
            named.join(", ")
        )
    }

    /// `eval.json`.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        let measured = measured_json(&self.splits, &self.evaluation.sides)?;
        let mut heard = IndexMap::new();
        for under in &self.conditions {
            let only_heard = Condition {
                heard_s: None,
                ..under.condition.clone()
            };
            if let Some(seconds) = under.condition.heard_s.filter(|_| only_heard.is_plain()) {
                heard.insert(seconds.to_string(), measured_json(&under.splits, &under.sides)?);
            }
        }
        let replicates = |side: &Side| {
            let classes = side.classifiers.values().map(|own| own.replicates);
            classes.chain(side.regressors.values().map(|own| own.replicates)).min()
        };
        Ok(json!({
            "run": {
                "id": self.record.id,
                "name": self.record.name,
                "seed": self.seed,
                "fold": self.record.fold,
                "status": self.record.status,
                "config_hash": self.record.config_hash,
                "versions": self.record.versions,
            },
            "emorun": env!("CARGO_PKG_VERSION"),
            "device": self.device,
            "weights": {
                "which": self.weights.which,
                "step": self.weights.step,
                "epoch": self.weights.best_epoch,
            },
            "own_data": self.is_own,
            "data": self.facts,
            "left_out": {
                "items": self.left_out.items,
                "unknown_classes": self.left_out.unknown,
                "absent_classes": self.left_out.absent,
            },
            "splits": measured["splits"],
            "heard_seconds": to_json(&heard)?,
            "conditions": to_json(&self.evaluation.conditions)?,
            "noise": to_json(&self.noise)?,
            "bootstrap": {
                "over": "speakers, and items of each",
                "method": "percentile",
                "level": 0.95,
                "replicates": self.evaluation.sides.values().filter_map(replicates).min(),
                "seed": self.seed,
            },
            "details": measured["details"],
            "heard_before": to_json(&self.heard)?,
            "perhaps_heard_before": self.not_known,
            "remarks": self.remarks,
        }))
    }
}

/// Results on sides, with their intervals and groups.
fn measured_json(splits: &IndexMap<SplitName, SplitResult>, sides: &IndexMap<String, Side>) -> Result<Value, Failure> {
    let splits: IndexMap<String, SplitSummary> = splits
        .iter()
        .map(|(side, split)| (side.to_string(), SplitSummary::from(split)))
        .collect();
    let details = |side: &Side| {
        let classes = side.classifiers.iter().map(|(head, own)| {
            let people = (own.speakers, own.items_of_unknown_speakers);
            (head.clone(), details_json(&own.metrics, &own.groups, people))
        });
        let numbers = side.regressors.iter().map(|(head, own)| {
            let people = (own.speakers, own.items_of_unknown_speakers);
            (head.clone(), details_json(&own.metrics, &own.groups, people))
        });
        classes.chain(numbers).collect::<IndexMap<String, Value>>()
    };
    let details: IndexMap<&String, IndexMap<String, Value>> =
        sides.iter().map(|(name, side)| (name, details(side))).collect();
    Ok(json!({ "splits": to_json(&splits)?, "details": to_json(&details)? }))
}

/// Intervals and groups of a head.
fn details_json(metrics: &Metrics, groups: &[Grouping], (speakers, unknown): (usize, usize)) -> Value {
    let intervals: IndexMap<&str, Option<Interval>> = metrics
        .iter()
        .map(|(metric, own)| (metric.name(), own.interval))
        .collect();
    let group = |group: &Group| {
        let metrics = group.metrics.iter();
        let metrics: IndexMap<&str, Option<f64>> = metrics.map(|(metric, own)| (metric.name(), own.value)).collect();
        (group.name.clone(), json!({ "items": group.items, "metrics": metrics }))
    };
    let groups: IndexMap<&String, IndexMap<String, Value>> = groups
        .iter()
        .map(|grouping| (&grouping.by, grouping.groups.iter().map(group).collect()))
        .collect();
    json!({
        "intervals": intervals,
        "speakers": speakers,
        "items_of_unknown_speakers": unknown,
        "groups": groups,
    })
}

/// Each head on each side under each condition, those that vary in columns of their own.
fn conditions_text(evaluation: &Evaluation, name: impl Fn(&str) -> String) -> String {
    let all = &evaluation.conditions;
    let (cut, noisy, coded) = (
        all.iter().any(|result| result.condition.heard_s.is_some()),
        all.iter().any(|result| result.condition.noise_snr_db.is_some()),
        all.iter().any(|result| result.condition.codec.is_some()),
    );
    let mut text = String::new();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for result in all {
        let key = (result.side.as_str(), result.head.as_str());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let shown = evaluation.sides.get(key.0).and_then(|side| {
            let classes = side.classifiers.get(key.1).map(|own| &own.shown);
            classes.or_else(|| side.regressors.get(key.1).map(|own| &own.shown))
        });
        let shown: &[Metric] = shown.map_or(&[], Vec::as_slice);
        let mut own: Vec<&ConditionResult> = all
            .iter()
            .filter(|own| (own.side.as_str(), own.head.as_str()) == key)
            .collect();
        if !noisy && !coded {
            // Whole recordings stand last, as the most that is heard.
            own.sort_by_key(|own| own.condition.is_plain());
        }
        let row = |own: &&ConditionResult| {
            let condition = &own.condition;
            let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
            let heard = or(condition.heard_s.map(|seconds| format!("{seconds} s")), "all");
            let noise = or(condition.noise_snr_db.map(|snr| format!("{snr} dB")), "none");
            let codec = or(condition.codec.clone(), "none");
            let cells = [(cut, heard), (noisy, noise), (coded, codec)].into_iter();
            let cells = cells.filter(|(varies, _)| *varies).map(|(_, cell)| cell);
            let values = shown.iter().map(|metric| {
                let measured = own.metrics.get(metric).copied().unwrap_or_default();
                format!("{} ({})", metric.text(measured.value), interval(*metric, &measured))
            });
            cells.chain(values).collect()
        };
        let rows: Vec<Vec<String>> = own.iter().map(row).collect();
        let names = [(cut, "heard"), (noisy, "noise"), (coded, "codec")].into_iter();
        let names = names.filter(|(varies, _)| *varies).map(|(_, name)| name);
        let header: Vec<&str> = names.chain(shown.iter().map(|metric| metric.title())).collect();
        let how = match (noisy, coded) {
            (false, false) => "by what is heard of each recording from its beginning",
            _ => "under each condition",
        };
        let _ = writeln!(text, "\n{} on {}, {how}", key.1, name(key.0));
        text.push_str(&table(&header, &rows));
    }
    text
}

/// Metrics of each head of recordings as they are.
pub(super) fn plain_results(sides: &IndexMap<String, Side>) -> Vec<ConditionResult> {
    let mut results = Vec::new();
    for (side, own) in sides {
        let classes = own
            .classifiers
            .iter()
            .map(|(head, own)| (head, own.items, &own.metrics));
        let numbers = own.regressors.iter().map(|(head, own)| (head, own.items, &own.metrics));
        for (head, items, metrics) in classes.chain(numbers) {
            results.push(ConditionResult {
                condition: Condition::default(),
                side: side.clone(),
                head: head.clone(),
                items,
                metrics: metrics.clone(),
            });
        }
    }
    results
}
