//! Starting and resuming runs; folds and seeds as members of one parent.

use std::path::{Path, PathBuf};
use std::time::Instant;

use emorun_files::{Files, read_regular};
use indexmap::IndexMap;

use super::dir::{RunDir, read_json, write_json};
use super::fallen::{self, Fallen, Retry};
use super::html;
use super::last_words::LastWords;
use super::member::{self, MemberResult, MemberSpec};
use super::pooled;
use super::record::{RunRecord, Status, time_label, timestamp};
use super::report;
use super::resume;
use super::spread::Spread;
use super::summary::{ParentSummary, Seconds, SplitSummary, Summary};
use super::tracker::{TrackedRun, track};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::settings::Settings;
use emorun_engine::train::progress::say;
use emorun_experiment::prepare::Prepared;

/// Largest report that is shown again.
const MOST_REPORT: u64 = 16 << 20;

/// A run that is done.
#[derive(Debug, Default)]
pub struct Finished {
    /// Its directory.
    pub dir: PathBuf,
    /// What a person reads.
    pub text: String,
    /// Its test metrics, `<head>.<metric>`; pooled over members.
    pub test: IndexMap<String, f64>,
    /// Those of each member, by its folder; of a run that has none, its own.
    pub members: IndexMap<String, MemberTest>,
    /// Members that have failed and that nothing above counts.
    pub fallen: Vec<Fallen>,
    /// Number of members, with those.
    pub of: usize,
}

impl Finished {
    /// The failure of the members that have failed, if any has.
    pub fn failure(&self) -> Option<Failure> {
        fallen::failure(&self.fallen, self.of, "members", &self.dir)
    }

    /// The run, of which no member has failed.
    ///
    /// # Errors
    /// One has.
    pub fn whole(self) -> Result<Self, Failure> {
        self.failure().map_or(Ok(self), Err)
    }
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
            metrics: metrics_of(test),
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

/// The seed of an experiment's first member.
pub fn first_seed(settings: &Settings) -> u64 {
    settings.training.seeds.first().copied().unwrap_or(settings.seed)
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

/// Starts a new run. Where a member fails, the others go on.
///
/// # Errors
/// The label exists, or all members fail.
pub fn start(prepared: &Prepared, place: &Place, device: &Chosen) -> Result<Finished, Failure> {
    check_memory(prepared, device)?;
    let folder = place.runs.join(&prepared.settings.name);
    let dir = match &place.label {
        Some(label) => RunDir::create(&folder.join(label), &place.files)?,
        None => {
            let time = time_label();
            let name = format!("{time}-{}", &prepared.config_hash()[..6]);
            RunDir::create_anew(&folder, &name, &place.files)?
        }
    };
    work(prepared, &dir, device, &place.runs, Retry::Failed)
}

/// Says what may not fit into memory; of GPUs nothing is known.
fn check_memory(prepared: &Prepared, device: &Chosen) -> Result<(), Failure> {
    if device.name.name != "cpu" {
        return Ok(());
    }
    prepared.refuse_too_long()?;
    if let Some(remark) = prepared.memory_remark() {
        tracing::warn!("{remark}");
    }
    Ok(())
}

/// Continues a run in its directory, or reports it when it is completed.
///
/// # Errors
/// The experiment has changed in what it trains, or all members fail.
pub fn resume(prepared: &Prepared, dir: &RunDir, device: &Chosen, retry: Retry) -> Result<Finished, Failure> {
    // runs/<name>/<label>
    let runs = dir
        .path()
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."))
        .to_owned();
    resume_in(prepared, dir, &runs, device, retry)
}

/// Starts or continues a run in its directory, entering it in the tracker of `runs`.
///
/// # Errors
/// The experiment has changed in what it trains, or all members fail.
pub fn resume_in(
    prepared: &Prepared,
    dir: &RunDir,
    runs: &Path,
    device: &Chosen,
    retry: Retry,
) -> Result<Finished, Failure> {
    check_memory(prepared, device)?;
    resume::accept(prepared, dir, device)?;
    work(prepared, dir, device, runs, retry)
}

fn work(prepared: &Prepared, dir: &RunDir, device: &Chosen, runs: &Path, retry: Retry) -> Result<Finished, Failure> {
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
    prepared.warn_of_no_cache();
    note(prepared, dir, runs, Status::Running, &IndexMap::new());
    let members = members(prepared);
    let outcome = match members.as_slice() {
        [only] if only.path.is_empty() => one(prepared, only, dir, device),
        _ => several(prepared, &members, dir, device, retry),
    };
    match &outcome {
        Ok(finished) => {
            let failure = finished.failure();
            let status = failure.as_ref().map_or(Status::Completed, Status::after);
            note(prepared, dir, runs, status, &finished.test);
            tracing::info!("{status}{}", finished.text);
        }
        Err(failure) => {
            let status = Status::after(failure);
            note(prepared, dir, runs, status, &IndexMap::new());
            tracing::info!("{status}: {failure}");
        }
    }
    outcome
}

/// Enters the run in the tracker; a list that cannot be written stops no run.
fn note(prepared: &Prepared, dir: &RunDir, runs: &Path, status: Status, test: &IndexMap<String, f64>) {
    let label = dir
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let run = TrackedRun {
        label,
        log_dir: dir.path().display().to_string(),
        experiment: prepared.settings.name.clone(),
        status: status.to_string(),
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
        record.go_on();
        record.status = Status::Completed;
        record.ended = Some(timestamp());
        write_json(files, &path, &record)?;
    }
    read_json(&summary).map(Some)
}

fn one(prepared: &Prepared, spec: &MemberSpec, dir: &RunDir, device: &Chosen) -> Result<Finished, Failure> {
    let (summary, text) = if let Some(summary) = finished_before(dir.path(), dir.files())? {
        let text = read_regular(&dir.path().join("report/report.txt"), MOST_REPORT).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        (summary, text)
    } else {
        let MemberResult { summary, splits, .. } = member::run(prepared, spec, dir, None, device)?;
        let text = |splits| report::text(&splits) + &report::claims(&prepared.assignments[spec.assignment].certificate);
        let text = splits.map(text).unwrap_or_default();
        let heard = report::heard_text(&summary.heard_before, &prepared.ancestry);
        (summary, text + &heard)
    };
    let test = summary.splits.get("test").map(metrics_of).unwrap_or_default();
    Ok(Finished {
        dir: dir.path().to_owned(),
        text,
        members: MemberTest::new(spec, &summary)
            .map(|member| (spec.path.clone(), member))
            .into_iter()
            .collect(),
        test,
        fallen: Vec::new(),
        of: 1,
    })
}

fn several(
    prepared: &Prepared,
    members: &[MemberSpec],
    dir: &RunDir,
    device: &Chosen,
    retry: Retry,
) -> Result<Finished, Failure> {
    let started = Instant::now();
    let path = dir.path().join("run.json");
    let mut record: RunRecord = if path.is_file() {
        read_json(&path)?
    } else {
        member::write_experiment(dir, prepared)?;
        RunRecord {
            resolved: prepared.resolved.clone(),
            ..member::new_record(prepared, device)
        }
    };
    record.go_on();
    record.members = members.iter().map(|member| member.path.clone()).collect();
    dir.write_json("run.json", &record)?;
    let last_words = LastWords::of(dir.path(), &record);
    let outcome =
        run_members(prepared, members, dir, device, retry).and_then(|(results, fallen)| {
            match fallen::failure(&fallen, members.len(), "members", dir.path()) {
                Some(failure) if results.is_empty() => Err(failure),
                _ => finish(prepared, dir, results, fallen, started),
            }
        });
    drop(last_words);
    match &outcome {
        Ok(finished) => record.end(&finished.failure().map_or(Ok(()), Err)),
        Err(_) => record.end(&outcome),
    }
    let written = dir.write_json("run.json", &record);
    let finished = outcome?;
    written?;
    Ok(finished)
}

/// Results of members, and those that have failed.
type Ended = (Vec<(MemberSpec, Summary)>, Vec<Fallen>);

fn run_members(
    prepared: &Prepared,
    members: &[MemberSpec],
    dir: &RunDir,
    device: &Chosen,
    retry: Retry,
) -> Result<Ended, Failure> {
    let (mut results, mut fallen) = (Vec::new(), Vec::new());
    for (number, spec) in members.iter().enumerate() {
        let place = dir.path().join(&spec.path);
        let outcome = match Fallen::before(&spec.path, &place, retry) {
            Ok(Some(before)) => {
                fallen.push(before);
                continue;
            }
            Ok(None) => {
                let title = format!("member {} of {}: {}", number + 1, members.len(), spec.path);
                run_member(prepared, spec, dir, &place, device, &title)
            }
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(summary) => results.push((spec.clone(), summary)),
            Err(Failure::Interrupted(_)) => return Err(Failure::Interrupted(dir.path().to_owned())),
            Err(failure) if failure.stops_all() => return Err(failure),
            Err(failure) => fallen.push(Fallen::now(&spec.path, &failure)),
        }
    }
    Ok((results, fallen))
}

/// The result of a member, which is run or resumed unless it was finished before.
fn run_member(
    prepared: &Prepared,
    spec: &MemberSpec,
    dir: &RunDir,
    place: &Path,
    device: &Chosen,
    title: &str,
) -> Result<Summary, Failure> {
    if let Some(summary) = finished_before(place, dir.files())? {
        return Ok(summary);
    }
    say(title);
    let member_dir = if place.join("run.json").is_file() {
        RunDir::open(place, dir.files())?
    } else {
        RunDir::create(place, dir.files())?
    };
    let result = member::run(prepared, spec, &member_dir, Some(dir.path()), device)?;
    Ok(result.summary)
}

fn finish(
    prepared: &Prepared,
    dir: &RunDir,
    results: Vec<(MemberSpec, Summary)>,
    fallen: Vec<Fallen>,
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
    let members: Vec<MemberTest> = results
        .iter()
        .filter_map(|(spec, summary)| MemberTest::new(spec, summary))
        .collect();
    let summary = ParentSummary {
        spread: Spread::of(&members),
        status: if fallen.is_empty() { "completed" } else { "incomplete" }.into(),
        failed: fallen.iter().map(|one| (one.name.clone(), one.error.clone())).collect(),
        mean,
        sd,
        pooled,
        seeds,
        members: tests
            .iter()
            .map(|(spec, test)| (spec.path.clone(), (*test).clone()))
            .collect(),
        heard_before: results
            .iter()
            .filter(|(_, summary)| !summary.heard_before.is_empty())
            .map(|(spec, summary)| (spec.path.clone(), summary.heard_before.clone()))
            .collect(),
        seconds: Seconds {
            train: results.iter().map(|(_, summary)| summary.seconds.train).sum(),
            checkpoints: results.iter().map(|(_, summary)| summary.seconds.checkpoints).sum(),
            total: started.elapsed().as_secs_f64(),
        },
    };
    let text = report::parent_text(&summary, &prepared.settings.evaluation)
        + &report::claims_of_all(&prepared.assignments)
        + &report::heard_text(&[], &prepared.ancestry);
    dir.write_json("summary.json", &summary)?;
    dir.write("report/report.txt", text.as_bytes())?;
    let members: Vec<&MemberSpec> = tests.iter().map(|(spec, _)| *spec).collect();
    pooled::write(prepared, dir, &members, &summary)?;
    html::write(dir);
    Ok(Finished {
        dir: dir.path().to_owned(),
        text,
        test: metrics_of(&summary.pooled),
        members: results
            .iter()
            .filter_map(|(spec, summary)| Some((spec.path.clone(), MemberTest::new(spec, summary)?)))
            .collect(),
        of: results.len() + fallen.len(),
        fallen,
    })
}

/// Metrics of a split by `<head>.<metric>`.
pub(super) fn metrics_of(split: &SplitSummary) -> IndexMap<String, f64> {
    let mut metrics = IndexMap::new();
    let heads = split.heads.iter().map(|(name, head)| (name, &head.metrics));
    let regressions = split.regressions.iter().map(|(name, head)| (name, &head.metrics));
    for (name, own) in heads.chain(regressions) {
        let known = own.iter().filter_map(|(metric, value)| Some((metric, (*value)?)));
        metrics.extend(known.map(|(metric, value)| (format!("{name}.{}", metric.name()), value)));
    }
    metrics
}
