//! What measuring a run has found, as people and programs read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use emorun_data::{Items, SplitName};
use emorun_metrics::{Bootstrap, Clusters, Interval, Metric, Predictions, Predicts};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::others::LeftOut;
use super::{ChosenWeights, json as to_json};
use crate::run::record::RunRecord;
use crate::run::report::{classes, confusion, table};
use crate::run::summary::SplitSummary;
use emorun_engine::exit::Failure;
use emorun_engine::settings::{FinalWeights, Settings};
use emorun_engine::train::result::{HeadResult, SplitResult};
use emorun_experiment::ancestry::{HeardBefore, How};

/// Replicates of the bootstrap.
const REPLICATES: usize = 2000;
/// Items below which a group says little.
const FEW: usize = 10;
/// Groups of a column that are shown; of more, the worst.
const SHOWN: usize = 12;
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
    pub(super) columns: IndexMap<String, String>,
    pub(super) settings: Settings,
    pub(super) items: Items,
    /// The result on each side; of another corpus all items stand for the test side.
    pub splits: IndexMap<SplitName, SplitResult>,
    /// The same of so many seconds of each recording from its beginning.
    pub beginnings: Vec<(f64, IndexMap<SplitName, SplitResult>)>,
}

/// Intervals and groups of a head on a side.
#[derive(Debug)]
pub(super) struct Details {
    intervals: Vec<(Metric, Option<Interval>)>,
    speakers: usize,
    /// Items whose speaker is not known, each drawn by itself.
    unknown: usize,
    /// Metrics of the items of each value of a column.
    groups: IndexMap<String, Vec<Group>>,
}

/// Items that have something in common.
#[derive(Debug)]
struct Group {
    name: String,
    items: usize,
    metrics: Vec<(Metric, Option<f64>)>,
}

/// Details of each head on each side.
pub(super) type AllDetails = IndexMap<SplitName, BTreeMap<String, Details>>;

impl Outcome {
    /// The side as people read it.
    fn name(&self, side: SplitName) -> String {
        match self.is_own {
            true => side.to_string(),
            false => self.datasets.join(", "),
        }
    }

    pub(super) fn details(&self) -> Result<AllDetails, Failure> {
        self.details_on(&self.splits)
    }

    fn details_on(&self, splits: &IndexMap<SplitName, SplitResult>) -> Result<AllDetails, Failure> {
        let side = |(side, split): (&SplitName, &SplitResult)| {
            let heads = split.heads.iter();
            let heads = heads.map(|(name, head)| Ok((name.clone(), self.details_of(name, head)?)));
            Ok((*side, heads.collect::<Result<_, Failure>>()?))
        };
        splits.iter().map(side).collect()
    }

    /// Intervals and groups of one head.
    fn details_of(&self, name: &str, head: &HeadResult) -> Result<Details, Failure> {
        let own_column = self.columns.get(name);
        let mut rows: Vec<usize> = Vec::new();
        let mut speakers: Vec<Option<String>> = Vec::new();
        let mut columns: IndexMap<String, IndexMap<String, Vec<usize>>> = IndexMap::new();
        for &row in &head.order {
            let Some(&index) = head.items.get(row) else { continue };
            let item = self.items.get(index)?;
            // What has no label counts in no metric, and must not be drawn in the place of what has.
            if own_column.is_some_and(|column| item.label(column).is_none()) {
                continue;
            }
            let speaker = item.has_known_speaker().then(|| item.speaker.to_string());
            let mut add = |column: &str, value: &str| {
                let groups = columns.entry(column.to_owned()).or_default();
                groups.entry(value.to_owned()).or_default().push(row);
            };
            if let Some(speaker) = &speaker {
                add("speaker", speaker);
            }
            add("dataset", &item.dataset);
            for (column, class) in item.labels.iter().chain(item.attributes.iter()) {
                let names = self
                    .classes
                    .get(column)
                    .filter(|_| column != "corpus" && Some(column) != own_column);
                if let Some(value) = class.and_then(|class| names?.get(class as usize)) {
                    add(column, value);
                }
            }
            rows.push(row);
            speakers.push(speaker);
        }
        columns.retain(|_, groups| groups.len() > 1);
        let metrics: Vec<Metric> = head.metrics.iter().map(|(metric, _)| *metric).collect();
        let clusters = Clusters::of(speakers.iter().map(Option::as_deref));
        let unknown = speakers.iter().filter(|speaker| speaker.is_none()).count();
        let bootstrap = Bootstrap {
            replicates: REPLICATES,
            seed: self.seed,
        };
        let intervals = bootstrap.intervals(&head.predictions.at(&rows), &clusters, &metrics);
        let group = |(name, rows): (String, Vec<usize>)| {
            let own = head.predictions.at(&rows);
            Group {
                name,
                items: rows.len(),
                metrics: metrics.iter().map(|metric| (*metric, metric.compute(&own))).collect(),
            }
        };
        let groups = columns.into_iter();
        Ok(Details {
            intervals: metrics.iter().copied().zip(intervals).collect(),
            speakers: clusters.len() - unknown,
            unknown,
            groups: groups
                .map(|(column, groups)| (column, groups.into_iter().map(group).collect()))
                .collect(),
        })
    }

    /// What a person reads.
    pub(super) fn text(&self, details: &AllDetails) -> String {
        let mut text = String::new();
        let what = match self.is_own {
            true => "its own data".to_owned(),
            false => format!("another corpus: {}", self.datasets.join(", ")),
        };
        let which = match (self.weights.which, self.weights.best_epoch) {
            (FinalWeights::Best, Some(epoch)) => format!("best, after epoch {epoch}"),
            _ => "last".to_owned(),
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
        for (side, split) in &self.splits {
            for (name, head) in &split.heads {
                if let Some(details) = details.get(side).and_then(|heads| heads.get(name)) {
                    self.head(&mut text, (*side, name), head, details);
                }
            }
        }
        text.push_str(&self.endings(details));
        text
    }

    /// What each head makes of the beginnings of recordings, beside whole ones: a line for each length.
    pub(super) fn beginnings(&self, whole: &AllDetails) -> Result<(String, Value), Failure> {
        let mut all = Vec::new();
        let mut json = IndexMap::new();
        for (seconds, splits) in &self.beginnings {
            let details = self.details_on(splits)?;
            json.insert(seconds.to_string(), self.measured_json(splits, &details)?);
            all.push((format!("{seconds} s"), splits, details));
        }
        let mut text = String::new();
        for (side, split) in self.splits.iter().filter(|_| !all.is_empty()) {
            for (name, head) in &split.heads {
                let shown = self.shown(head);
                let mut rows = Vec::new();
                let lengths = all
                    .iter()
                    .map(|(length, splits, details)| (length.as_str(), *splits, details));
                for (length, splits, details) in lengths.chain([("all", &self.splits, whole)]) {
                    let found = splits.get(side).and_then(|split| split.heads.get(name));
                    let details = details.get(side).and_then(|heads| heads.get(name));
                    let cells = shown.iter().map(|metric| {
                        let value = metric.text(found.and_then(|head| head.metric(*metric)));
                        let interval = details.map_or_else(|| "–".to_owned(), |details| details.interval(*metric));
                        format!("{value} ({interval})")
                    });
                    rows.push(std::iter::once(length.to_owned()).chain(cells).collect());
                }
                let header = std::iter::once("heard").chain(shown.iter().map(|metric| metric.title()));
                let header: Vec<&str> = header.collect();
                let _ = writeln!(
                    text,
                    "\n{name} on {}, by what is heard of each recording from its beginning",
                    self.name(*side)
                );
                text.push_str(&table(&header, &rows));
            }
        }
        Ok((text, to_json(&json)?))
    }

    /// Metrics of a head that are shown.
    fn shown(&self, head: &HeadResult) -> Vec<Metric> {
        let predicts = match &head.predictions {
            Predictions::Classes(_) => Predicts::Classes,
            Predictions::Numbers(_) => Predicts::Numbers,
        };
        self.settings.evaluation.shown(predicts)
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

    /// Metrics with their intervals, classes, counts and groups of a head on a side.
    fn head(&self, text: &mut String, (side, name): (SplitName, &String), head: &HeadResult, details: &Details) {
        let shown = self.shown(head);
        let where_ = self.name(side);
        let column = self.columns.get(name);
        let absent = column.and_then(|column| self.left_out.absent.get(column));
        let mark = if absent.is_some() { " of present classes" } else { "" };
        let row = |metric: &Metric| {
            vec![
                format!("{}{mark}", metric.title()),
                metric.text(head.metric(*metric)),
                details.interval(*metric),
            ]
        };
        let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
        let items = match &head.predictions {
            Predictions::Classes(rows) => rows.confusion().total(),
            Predictions::Numbers(rows) => rows.numbers().map(|number| number.agreement.n).max().unwrap_or(0),
        };
        let _ = writeln!(
            text,
            "\n{name} on {where_}: {items} item(s) of {} known speaker(s)",
            details.speakers
        );
        text.push_str(&table(&["metric", "value", "95 % interval"], &rows));
        if let Predictions::Classes(rows) = &head.predictions {
            let _ = writeln!(text, "\n{name} by class");
            text.push_str(&classes(rows.confusion()));
            let _ = writeln!(text, "\n{name} confusion (rows true, columns predicted)");
            text.push_str(&confusion(rows.confusion()));
        }
        for (column, groups) in &details.groups {
            text.push_str(&grouped(name, column, groups, &shown));
        }
    }

    /// What is to be known of intervals, people and where the run comes from.
    fn endings(&self, details: &AllDetails) -> String {
        let mut text = format!(
            "\nintervals: the middle 95 % of {REPLICATES} draws of speakers, and of items of each (seed {})\n",
            self.seed
        );
        let all = || details.values().flat_map(BTreeMap::values);
        let unknown = all().map(|details| details.unknown).max().unwrap_or(0);
        if unknown > 0 {
            let _ = writeln!(
                text,
                "of {unknown} item(s) nobody knows who speaks; each was drawn by itself, which makes intervals too narrow where they share speakers"
            );
        }
        if all().any(|details| details.speakers + details.unknown < 2) {
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

    /// Results on sides, with their intervals and groups.
    fn measured_json(&self, splits: &IndexMap<SplitName, SplitResult>, details: &AllDetails) -> Result<Value, Failure> {
        let splits = splits.iter();
        let splits: IndexMap<String, SplitSummary> = splits
            .map(|(side, split)| (side.to_string(), SplitSummary::from(split)))
            .collect();
        let details: IndexMap<String, BTreeMap<&String, Value>> = details
            .iter()
            .map(|(side, heads)| {
                let heads = heads.iter().map(|(head, details)| (head, details.json()));
                (side.to_string(), heads.collect())
            })
            .collect();
        Ok(json!({ "splits": to_json(&splits)?, "details": to_json(&details)? }))
    }

    /// `eval.json`.
    pub(super) fn json(&self, details: &AllDetails, beginnings: Value) -> Result<Value, Failure> {
        let measured = self.measured_json(&self.splits, details)?;
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
            "heard_seconds": beginnings,
            "bootstrap": {
                "over": "speakers, and items of each",
                "method": "percentile",
                "level": 0.95,
                "replicates": REPLICATES,
                "seed": self.seed,
            },
            "details": measured["details"],
            "heard_before": to_json(&self.heard)?,
            "perhaps_heard_before": self.not_known,
            "remarks": self.remarks,
        }))
    }
}

impl Details {
    /// The ends of a metric's interval.
    fn interval(&self, metric: Metric) -> String {
        let own = self.intervals.iter().find(|(own, _)| *own == metric);
        let end = |value: f64| metric.unit().number(value);
        own.and_then(|(_, interval)| *interval).map_or_else(
            || "–".to_owned(),
            |interval| format!("{} to {}", end(interval.low), end(interval.high)),
        )
    }

    fn json(&self) -> Value {
        let intervals = self.intervals.iter();
        let intervals: IndexMap<&str, Option<Interval>> =
            intervals.map(|(metric, interval)| (metric.name(), *interval)).collect();
        let group = |group: &Group| {
            let metrics = group.metrics.iter();
            let metrics: IndexMap<&str, Option<f64>> = metrics.map(|(metric, value)| (metric.name(), *value)).collect();
            (group.name.clone(), json!({ "items": group.items, "metrics": metrics }))
        };
        let groups = self.groups.iter();
        let groups: IndexMap<&String, IndexMap<String, Value>> = groups
            .map(|(column, groups)| (column, groups.iter().map(group).collect()))
            .collect();
        json!({
            "intervals": intervals,
            "speakers": self.speakers,
            "items_of_unknown_speakers": self.unknown,
            "groups": groups,
        })
    }
}

/// The groups of a column; of many the worst by the first metric that is shown.
fn grouped(head: &str, column: &str, groups: &[Group], shown: &[Metric]) -> String {
    let Some(first) = shown.first() else {
        return String::new();
    };
    let value = |group: &Group, metric: Metric| {
        let found = group.metrics.iter().find(|(own, _)| *own == metric);
        found.and_then(|(_, value)| *value)
    };
    let mut ordered: Vec<&Group> = groups.iter().collect();
    let reward = |group: &Group| value(group, *first).map_or(f64::INFINITY, |value| first.direction().reward(value));
    let mut title = format!("\n{head} by {column}");
    if groups.len() > SHOWN || column == "speaker" {
        // What few items say would stand in front by chance.
        ordered.sort_by(|a, b| {
            (a.items < FEW, reward(a))
                .partial_cmp(&(b.items < FEW, reward(b)))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        ordered.truncate(SHOWN);
        let _ = write!(title, ", the worst first, {} of {}", ordered.len(), groups.len());
    }
    let mut few = false;
    let row = |group: &&Group| {
        let mark = if group.items < FEW { " *" } else { "" };
        few |= group.items < FEW;
        let name = [format!("{}{mark}", group.name), group.items.to_string()].into_iter();
        name.chain(shown.iter().map(|metric| metric.text(value(group, *metric))))
            .collect()
    };
    let rows: Vec<Vec<String>> = ordered.iter().map(row).collect();
    let header = [column, "items"].into_iter();
    let header: Vec<&str> = header.chain(shown.iter().map(|metric| metric.title())).collect();
    let mut text = format!("{title}\n{}", table(&header, &rows));
    if few {
        let _ = writeln!(text, "* fewer than {FEW} items, which say little");
    }
    text
}
