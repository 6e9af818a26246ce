//! A run of several members measured again: each on its own sides, then all together.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use emorun_data::SplitName;
use emorun_evaluation::text::table;
use emorun_files::Files;
use emorun_metrics::{Metric, Predicts};
use indexmap::IndexMap;
use serde_json::json;

use super::{Outcome, Request, eval, json as to_json, write};
use crate::run::dir::{read_json, write_json};
use crate::run::parent::{MemberTest, metrics_of};
use crate::run::record::{RunRecord, Status};
use crate::run::spread::Spread;
use crate::run::summary::{SplitSummary, Summary};
use crate::run::trained::TrainedRun;
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;
use emorun_experiment::prepare::OnReport;

/// A run with members.
#[derive(Debug)]
pub struct Members {
    dir: PathBuf,
    record: RunRecord,
}

/// What a member has found.
struct Found {
    test: MemberTest,
    splits: IndexMap<SplitName, SplitSummary>,
    seed: u64,
}

impl Members {
    /// The run in a directory, if it is one of several members.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn open(dir: &Path) -> Result<Option<Self>, Failure> {
        let record = dir.join("run.json");
        if !record.is_file() {
            return Ok(None);
        }
        let record: RunRecord = read_json(&record)?;
        let has_members = record.seed.is_none() && !record.members.is_empty();
        Ok(has_members.then(|| Self {
            dir: dir.to_owned(),
            record,
        }))
    }

    /// Measures every member in turn, writing what is known of each to a folder of its own below `folder`, and then of all
    /// together: `report.txt` and, last, `eval.json`; gives the text. Members that have failed are named and not counted.
    ///
    /// # Errors
    /// No member is completed, one of those that are cannot be measured, or a file cannot be written.
    pub fn eval(
        &self,
        request: &Request,
        device: &Chosen,
        folder: &Path,
        on_report: OnReport<'_>,
    ) -> Result<String, Failure> {
        let files = Files::default();
        let whole = folder.join("eval.json");
        if whole.exists() {
            files.remove_file(&whole).map_err(Failure::io("remove", &whole))?;
        }
        let mut found: IndexMap<String, Found> = IndexMap::new();
        let mut left_out = Vec::new();
        let mut shown = Vec::new();
        let mut is_own = true;
        for path in &self.record.members {
            let place = self.dir.join(path);
            let is_completed = |record: RunRecord| record.status == Status::Completed;
            let can_be = place.join("run.json").is_file()
                && (request.weights.is_some() || is_completed(read_json(&place.join("run.json"))?));
            if !can_be {
                left_out.push(path.clone());
                continue;
            }
            let run = TrainedRun::open(&place)?;
            let outcome = eval(&run, request, device, &mut *on_report)?;
            write(&outcome, &folder.join(path))?;
            is_own = outcome.is_own;
            shown = outcome.settings.evaluation.shown(Predicts::Classes);
            found.insert(path.clone(), of_member(&outcome, &place));
        }
        if found.is_empty() {
            return Err(Failure::Conflict(format!(
                "no member of {} is completed; continue it with: emorun resume {0}",
                self.dir.display()
            )));
        }
        self.write(folder, &found, &left_out, (&shown, is_own))
    }

    fn write(
        &self,
        folder: &Path,
        found: &IndexMap<String, Found>,
        left_out: &[String],
        (shown, is_own): (&[Metric], bool),
    ) -> Result<String, Failure> {
        let files = Files::default();
        let bug = |error: emorun_metrics::MetricsError| Failure::Bug(error.to_string());
        let mut sides: Vec<SplitName> = found.values().flat_map(|own| own.splits.keys().copied()).collect();
        sides.sort_unstable();
        sides.dedup();
        let mut text = format!("{}: {} members", self.dir.display(), found.len());
        if !left_out.is_empty() {
            let _ = write!(
                text,
                "; not counted, because they are not completed: {}",
                left_out.join(", ")
            );
        }
        text.push('\n');
        let mut json_sides = IndexMap::new();
        for side in sides {
            let own = || {
                found
                    .iter()
                    .filter_map(|(name, own)| Some((name, own, own.splits.get(&side)?)))
            };
            let (mean, sd) = SplitSummary::mean_and_sd(own().map(|(.., split)| split).collect::<Vec<_>>().into_iter());
            let pooled = own().map(|(.., split)| split).collect::<Vec<_>>();
            let pooled = SplitSummary::pooled(pooled.into_iter()).map_err(bug)?;
            let mut seeds: IndexMap<u64, Vec<&SplitSummary>> = IndexMap::new();
            for (_, member, split) in own() {
                seeds.entry(member.seed).or_default().push(split);
            }
            let seeds = seeds
                .into_iter()
                .map(|(seed, splits)| Ok((seed.to_string(), SplitSummary::pooled(splits.into_iter()).map_err(bug)?)))
                .collect::<Result<IndexMap<String, SplitSummary>, Failure>>()?;
            // Another corpus is the same for all folds: what differs there is no draw of test speakers.
            let spread = match is_own && side == SplitName::Test {
                true => Spread::of(found.values().map(|own| &own.test)),
                false => Spread::default(),
            };
            let members: Vec<(&String, &SplitSummary)> = own().map(|(name, _, split)| (name, split)).collect();
            text.push_str(&side_text(side, &members, (&mean, &sd, &pooled), &spread, shown));
            let members: IndexMap<&String, &SplitSummary> = members.into_iter().collect();
            json_sides.insert(
                side.to_string(),
                json!({
                    "mean": to_json(&mean)?,
                    "sd": to_json(&sd)?,
                    "pooled": to_json(&pooled)?,
                    "seeds": to_json(&seeds)?,
                    "spread": to_json(&spread)?,
                    "members": to_json(&members)?,
                }),
            );
        }
        write_atomically(&files, &folder.join("report.txt"), text.as_bytes())?;
        let whole = json!({
            "run": { "id": self.record.id, "name": self.record.name, "config_hash": self.record.config_hash },
            "emorun": env!("CARGO_PKG_VERSION"),
            "own_data": is_own,
            "sides": json_sides,
            "left_out": left_out,
        });
        write_json(&files, &folder.join("eval.json"), &whole)?;
        Ok(text)
    }
}

fn of_member(outcome: &Outcome, place: &Path) -> Found {
    let splits: IndexMap<SplitName, SplitSummary> = outcome
        .splits
        .iter()
        .map(|(side, split)| (*side, SplitSummary::from(split)))
        .collect();
    let summary: Option<Summary> = read_json(&place.join("summary.json")).ok();
    let trained = summary.and_then(|summary| Some(summary.splits.get("train")?.n));
    let test = splits.get(&SplitName::Test);
    Found {
        test: MemberTest {
            metrics: test.map(metrics_of).unwrap_or_default(),
            fold: outcome.record.fold.clone().unwrap_or_default(),
            test_to_train: test.map_or(0.0, |test| test.n as f64 / trained.unwrap_or(0).max(1) as f64),
        },
        splits,
        seed: outcome.seed,
    }
}

/// A table a head: members, mean ± deviation, pooled, and intervals of the mean.
fn side_text(
    side: SplitName,
    members: &[(&String, &SplitSummary)],
    (mean, sd, pooled): (&SplitSummary, &SplitSummary, &SplitSummary),
    spread: &Spread,
    shown: &[Metric],
) -> String {
    let mut text = String::new();
    let classifiers = mean.heads.keys().map(|head| (head, shown.to_vec()));
    let regressors = mean.regressions.iter();
    let regressors = regressors.map(|(head, own)| (head, own.metrics.iter().map(|(metric, _)| *metric).collect()));
    for (head, metrics) in classifiers.chain(regressors) {
        let value = |split: &SplitSummary, metric: Metric| {
            let of_classes = split.heads.get(head).and_then(|own| own.metric(metric));
            of_classes.or_else(|| split.regressions.get(head).and_then(|own| own.metric(metric)))
        };
        let row = |name: &str, split: &SplitSummary| {
            let values = metrics.iter().map(|metric| metric.text(value(split, *metric)));
            [name.to_owned(), split.n.to_string()]
                .into_iter()
                .chain(values)
                .collect::<Vec<String>>()
        };
        let mut rows: Vec<Vec<String>> = members.iter().map(|(name, split)| row(name, split)).collect();
        let deviations = metrics.iter().map(|metric| {
            let (mean, sd) = (value(mean, *metric), value(sd, *metric));
            format!("{} ± {}", metric.text(mean), metric.text(sd))
        });
        rows.push(
            ["mean ± sd".to_owned(), String::new()]
                .into_iter()
                .chain(deviations)
                .collect(),
        );
        if spread.over.is_some() {
            let intervals = metrics.iter().map(|metric| {
                let found = spread.means.get(&format!("{head}.{}", metric.name()));
                let unit = metric.unit();
                found.and_then(|found| found.interval).map_or_else(
                    || "–".to_owned(),
                    |interval| format!("{} to {}", unit.number(interval.low), unit.number(interval.high)),
                )
            });
            rows.push(
                ["95 % of the mean".to_owned(), String::new()]
                    .into_iter()
                    .chain(intervals)
                    .collect(),
            );
        }
        rows.push(row("pooled", pooled));
        let header = ["", "items"].into_iter();
        let header: Vec<&str> = header.chain(metrics.iter().map(|metric| metric.title())).collect();
        let _ = writeln!(text, "\n{head} on {side}");
        text.push_str(&table(&header, &rows));
    }
    if let Some(over) = spread.over {
        let _ = writeln!(text, "{}", over.text());
    }
    text
}
