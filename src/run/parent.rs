//! Starting and resuming runs; folds and seeds as members of one parent.

use std::path::{Path, PathBuf};
use std::time::Instant;

use emorun_files::Files;
use indexmap::IndexMap;

use super::dir::{RunDir, read_json, write_json};
use super::member::{self, MemberResult, MemberSpec};
use super::record::{RunRecord, Status, timestamp};
use super::report;
use super::resume;
use super::summary::{ParentSummary, Seconds, SplitSummary, Summary};
use super::tracker::{TrackedRun, track};
use crate::device::Chosen;
use crate::exit::Failure;
use crate::memory::peak_rss;
use crate::prepare::Prepared;
use crate::settings::{Metric, Settings};
use crate::train::progress::say;

/// A run that is done.
#[derive(Debug)]
pub struct Finished {
    /// Its directory.
    pub dir: PathBuf,
    /// What a person reads.
    pub text: String,
    /// Its test metrics, `<head>.<metric>`; pooled over members.
    pub test: IndexMap<String, f64>,
    /// Those of each member, by its folder; of a run that has none, its own.
    pub members: IndexMap<String, MemberTest>,
}

/// What a member has found on its test side.
#[derive(Clone, Debug, Default)]
pub struct MemberTest {
    /// Metrics, `<head>.<metric>`.
    pub metrics: IndexMap<String, f64>,
    /// Which of the splits it had: the same for members that differ in their seed alone.
    pub fold: String,
    /// Items that it was tested on, divided by those that it was trained on.
    pub test_to_train: f64,
}

impl MemberTest {
    fn new(spec: &MemberSpec, summary: &Summary) -> Option<Self> {
        let test = summary.splits.get("test")?;
        let trained = summary.splits.get("train").map_or(0, |train| train.n);
        let parts = spec.path.split('/').filter(|part| *part != seed_folder(spec.seed));
        Some(Self {
            metrics: metrics(test),
            fold: parts.collect::<Vec<_>>().join("/"),
            test_to_train: test.n as f64 / trained.max(1) as f64,
        })
    }
}

/// Folder of a member of its own seed.
fn seed_folder(seed: u64) -> String {
    format!("seed-{seed}")
}

/// Where runs lie and how this one is called.
#[derive(Clone, Debug)]
pub struct Place {
    /// Folder of all runs.
    pub runs: PathBuf,
    /// Label of the run; from time and configuration when left out.
    pub label: Option<String>,
    /// What the run is written through.
    pub files: Files,
}

/// Members of an experiment: one, or one a fold and seed.
pub fn members(prepared: &Prepared) -> Vec<MemberSpec> {
    let training = &prepared.settings.training;
    let mut members = Vec::new();
    for (assignment, split) in prepared.assignments.iter().enumerate() {
        let seeds = if training.seeds.is_empty() {
            vec![prepared.settings.seed]
        } else {
            training.seeds.clone()
        };
        for seed in seeds {
            let mut parts: Vec<String> = split.label.iter().cloned().collect();
            if !training.seeds.is_empty() {
                parts.push(seed_folder(seed));
            }
            members.push(MemberSpec {
                path: parts.join("/"),
                assignment,
                seed,
            });
        }
    }
    members
}

/// Whether a run can be started there, so that a long check is not in vain.
///
/// # Errors
/// The label exists, or nothing can be written there.
pub fn check_free(settings: &Settings, place: &Place) -> Result<(), Failure> {
    let folder = place.runs.join(&settings.name);
    // A label that is made of the time is new.
    RunDir::check_free(&folder.join(place.label.as_deref().unwrap_or("new")))
}

/// Starts a new run.
///
/// # Errors
/// The label exists, or a member fails.
pub fn start(prepared: &Prepared, place: &Place, device: &Chosen) -> Result<Finished, Failure> {
    let folder = place.runs.join(&prepared.settings.name);
    let dir = match &place.label {
        Some(label) => RunDir::create(&folder.join(label), &place.files)?,
        None => {
            let time = chrono::Local::now().format("%Y%m%d-%H%M%S");
            let name = format!("{time}-{}", &prepared.config_hash()[..6]);
            RunDir::create_anew(&folder, &name, &place.files)?
        }
    };
    work(prepared, &dir, device, &place.runs)
}

/// Continues a run in its directory, or reports it when it is completed.
///
/// # Errors
/// The experiment has changed in what it trains, or a member fails.
pub fn resume(prepared: &Prepared, dir: &RunDir, device: &Chosen) -> Result<Finished, Failure> {
    // runs/<name>/<label>
    let runs = dir
        .path()
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."))
        .to_owned();
    resume_in(prepared, dir, &runs, device)
}

/// Starts or continues a run in its directory, entering it in the tracker of `runs`.
///
/// # Errors
/// The experiment has changed in what it trains, or a member fails.
pub fn resume_in(prepared: &Prepared, dir: &RunDir, runs: &Path, device: &Chosen) -> Result<Finished, Failure> {
    resume::accept(prepared, dir, device)?;
    work(prepared, dir, device, runs)
}

fn work(prepared: &Prepared, dir: &RunDir, device: &Chosen, runs: &Path) -> Result<Finished, Failure> {
    if let Err(failure) = crate::logging::also_write_to(dir.files(), &dir.path().join("log.txt")) {
        tracing::warn!("there will be no log: {failure}");
    }
    tracing::info!("{} on {}", dir.path().display(), device.name);
    if prepared.settings.training.batching.is_auto() {
        return Err(Failure::Bug(
            "`max_batch_seconds: auto` was not settled before the run".into(),
        ));
    }
    if prepared.settings.precision.is_slow_on_cpu() && device.name.name == "cpu" {
        tracing::warn!("`precision: bf16` is slower than f32 on the CPU; it is meant for GPUs");
    }
    note(prepared, dir, runs, "running", &IndexMap::new());
    let members = members(prepared);
    let outcome = match members.as_slice() {
        [only] if only.path.is_empty() => one(prepared, only, dir, device),
        _ => several(prepared, &members, dir, device),
    };
    match &outcome {
        Ok(finished) => {
            note(prepared, dir, runs, "completed", &finished.test);
            tracing::info!("completed{}", finished.text);
        }
        Err(failure) => {
            let status = if matches!(failure, Failure::Interrupted(_)) {
                "interrupted"
            } else {
                "failed"
            };
            note(prepared, dir, runs, status, &IndexMap::new());
            tracing::info!("{status}: {failure}");
        }
    }
    outcome
}

/// Enters the run in the tracker; a list that cannot be written stops no run.
fn note(prepared: &Prepared, dir: &RunDir, runs: &Path, status: &str, test: &IndexMap<String, f64>) {
    let label = dir
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let run = TrackedRun {
        label,
        log_dir: dir.path().display().to_string(),
        experiment: prepared.settings.name.clone(),
        status: status.to_owned(),
        test: test.clone(),
    };
    if let Err(failure) = track(dir.files(), runs, run) {
        tracing::warn!("the list of runs was not updated: {failure}");
    }
}

/// The summary of a run that was finished before; a kill right behind it may have left `run.json`
/// behind, which is mended.
fn finished_before(place: &Path, files: &Files) -> Result<Option<Summary>, Failure> {
    let summary = place.join("summary.json");
    if !summary.is_file() {
        return Ok(None);
    }
    let path = place.join("run.json");
    let mut record: RunRecord = read_json(&path)?;
    if record.status != Status::Completed {
        record.status = Status::Completed;
        record.error = None;
        record.ended = Some(timestamp());
        write_json(files, &path, &record)?;
    }
    read_json(&summary).map(Some)
}

fn one(prepared: &Prepared, spec: &MemberSpec, dir: &RunDir, device: &Chosen) -> Result<Finished, Failure> {
    let (summary, text) = if let Some(summary) = finished_before(dir.path(), dir.files())? {
        let text = std::fs::read_to_string(dir.path().join("report/report.txt")).unwrap_or_default();
        (summary, text)
    } else {
        let MemberResult { summary, splits, .. } = member::run(prepared, spec, dir, None, device)?;
        let text = |splits| report::text(&splits) + &report::claims(&prepared.assignments[spec.assignment].certificate);
        (summary, splits.map(text).unwrap_or_default())
    };
    let test = summary.splits.get("test").map(metrics).unwrap_or_default();
    Ok(Finished {
        dir: dir.path().to_owned(),
        text,
        members: MemberTest::new(spec, &summary)
            .map(|member| (spec.path.clone(), member))
            .into_iter()
            .collect(),
        test,
    })
}

fn several(prepared: &Prepared, members: &[MemberSpec], dir: &RunDir, device: &Chosen) -> Result<Finished, Failure> {
    let started = Instant::now();
    let path = dir.path().join("run.json");
    let mut record: RunRecord = if path.is_file() {
        let record: RunRecord = read_json(&path)?;
        record.check_files(&prepared.file_hashes(), dir.path())?;
        record
    } else {
        member::write_experiment(dir, prepared)?;
        RunRecord {
            resolved: prepared.resolved.clone(),
            ..member::new_record(prepared, device)
        }
    };
    record.status = Status::Running;
    record.error = None;
    record.members = members.iter().map(|member| member.path.clone()).collect();
    dir.write_json("run.json", &record)?;
    let outcome =
        run_members(prepared, members, dir, device).and_then(|results| finish(prepared, dir, results, started));
    record.ended = Some(timestamp());
    record.peak_memory_bytes = peak_rss();
    record.status = match &outcome {
        Ok(_) => Status::Completed,
        Err(Failure::Interrupted(_)) => Status::Interrupted,
        Err(_) => Status::Failed,
    };
    record.error = outcome.as_ref().err().map(ToString::to_string);
    let written = dir.write_json("run.json", &record);
    let finished = outcome?;
    written?;
    Ok(finished)
}

fn run_members(
    prepared: &Prepared,
    members: &[MemberSpec],
    dir: &RunDir,
    device: &Chosen,
) -> Result<Vec<(MemberSpec, Summary)>, Failure> {
    let mut results = Vec::new();
    for (number, spec) in members.iter().enumerate() {
        let place = dir.path().join(&spec.path);
        if let Some(summary) = finished_before(&place, dir.files())? {
            results.push((spec.clone(), summary));
            continue;
        }
        say(&format!("member {} of {}: {}", number + 1, members.len(), spec.path));
        let member_dir = if place.join("run.json").is_file() {
            RunDir::open(&place, dir.files())?
        } else {
            RunDir::create(&place, dir.files())?
        };
        let result =
            member::run(prepared, spec, &member_dir, Some(dir.path()), device).map_err(|failure| match failure {
                Failure::Interrupted(_) => Failure::Interrupted(dir.path().to_owned()),
                failure => failure,
            })?;
        results.push((spec.clone(), result.summary));
    }
    Ok(results)
}

fn finish(
    prepared: &Prepared,
    dir: &RunDir,
    results: Vec<(MemberSpec, Summary)>,
    started: Instant,
) -> Result<Finished, Failure> {
    let bug = |error: emorun_metrics::MetricsError| Failure::Bug(error.to_string());
    let tests: Vec<(&MemberSpec, &SplitSummary)> = results
        .iter()
        .filter_map(|(spec, summary)| Some((spec, summary.splits.get("test")?)))
        .collect();
    let (mean, sd) = SplitSummary::mean_and_sd(tests.iter().map(|(_, test)| *test));
    let pooled = SplitSummary::pooled(tests.iter().map(|(_, test)| *test)).map_err(bug)?;
    let mut seeds = std::collections::BTreeMap::new();
    if prepared.assignments.len() > 1 {
        for (spec, _) in &tests {
            let of_seed = tests
                .iter()
                .filter(|(other, _)| other.seed == spec.seed)
                .map(|(_, test)| *test);
            seeds.insert(spec.seed, SplitSummary::pooled(of_seed).map_err(bug)?);
        }
    }
    let summary = ParentSummary {
        status: "completed".into(),
        mean,
        sd,
        pooled,
        seeds,
        members: tests
            .iter()
            .map(|(spec, test)| (spec.path.clone(), (*test).clone()))
            .collect(),
        seconds: Seconds {
            train: results.iter().map(|(_, summary)| summary.seconds.train).sum(),
            checkpoints: results.iter().map(|(_, summary)| summary.seconds.checkpoints).sum(),
            total: started.elapsed().as_secs_f64(),
        },
    };
    let metrics_shown: &[Metric] = &prepared.settings.evaluation.metrics;
    let text = report::parent_text(&summary, metrics_shown) + &report::claims_of_all(&prepared.assignments);
    dir.write_json("summary.json", &summary)?;
    dir.write("report/report.txt", text.as_bytes())?;
    Ok(Finished {
        dir: dir.path().to_owned(),
        text,
        test: metrics(&summary.pooled),
        members: results
            .iter()
            .filter_map(|(spec, summary)| Some((spec.path.clone(), MemberTest::new(spec, summary)?)))
            .collect(),
    })
}

/// Metrics of a split by `<head>.<metric>`.
fn metrics(split: &SplitSummary) -> IndexMap<String, f64> {
    let mut metrics = IndexMap::new();
    for (name, head) in &split.heads {
        for metric in Metric::ALL {
            let value = head.metric(metric);
            metrics.extend(value.map(|value| (format!("{name}.{}", metric.name()), value)));
        }
    }
    for (name, head) in &split.regressions {
        for (metric, value) in [("ccc", head.ccc), ("mse", head.mse)] {
            metrics.extend(value.map(|value| (format!("{name}.{metric}"), value)));
        }
    }
    metrics
}
