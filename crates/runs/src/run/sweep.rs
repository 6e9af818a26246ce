//! Sweeps: many runs from one file, checked as a whole before the first starts.

use std::path::{Path, PathBuf};

use emorun_lang::{Report, Sources, folder_name_schema, load, read_record, to_yaml};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch_size::settle;
use super::comparison::Comparison;
use super::dir::{RunDir, can_be_label, read_json};
use super::fallen::{self, Fallen, Retry};
use super::parent::{self, Finished};
use super::record::RunRecord;
use super::resume::same_content;
use super::tracker::{TrackedRun, track_all};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::train::progress::say;
use emorun_experiment::prepare::{Depth, OnReport, Prepared, Source, prepare, read_text};

/// A model_runs file: runs to compare, each an experiment with changed values.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// Name of the sweep; its runs lie under `runs/<name>/`.
    #[schemars(schema_with = "folder_name_schema")]
    pub name: String,
    /// The runs, in the order in which they are run.
    #[schemars(length(min = 1))]
    pub runs: Vec<SweepRun>,
    /// Values by dotted path: every run is repeated for every combination.
    #[serde(default)]
    pub grid: IndexMap<String, Vec<Value>>,
}

/// One run of a sweep.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepRun {
    /// Name of the run within the sweep.
    #[schemars(schema_with = "folder_name_schema")]
    pub label: String,
    /// The experiment file, relative to the working directory.
    pub experiment: String,
    /// Values to set, by dotted path.
    #[serde(default)]
    pub set: IndexMap<String, Value>,
}

/// Names within a sweep's directory that are no runs.
const RESERVED: [&str; 4] = ["entries", "sweep.yaml", "summary.json", "report.txt"];

/// Most runs of one sweep.
const MAX_ENTRIES: usize = 10_000;

/// An entry of a sweep: one run.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its label.
    pub label: String,
    /// Where its experiment comes from.
    pub source: Source,
}

/// Reads a model_runs file.
///
/// # Errors
/// It has mistakes; `on_report` has heard of all of them.
pub fn read(path: &Path, on_report: OnReport<'_>) -> Result<(SweepFile, String), Failure> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let here = std::env::current_dir().map_err(Failure::io("find", Path::new(".")))?;
    let tree = load(&path.to_string_lossy(), &[], &mut read_text, &mut sources, &mut report);
    let file = tree.and_then(|tree| read_record::<SweepFile>(tree, &here, &mut report));
    report.sort();
    on_report(&report, &sources);
    match file {
        Some(file) if !report.has_errors() => {
            let text = read_text(&path.to_string_lossy())
                .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
            Ok((file, text))
        }
        _ => Err(Failure::Rejected {
            mistakes: report.errors(),
            data: false,
        }),
    }
}

/// The entries of a sweep: each run for each combination of the grid; `sets` holds for all of them.
///
/// # Errors
/// Labels repeat or cannot be folder names, there are too many entries, or `sets` undoes the grid.
pub fn entries(file: &SweepFile, sets: &[String], offline: bool) -> Result<Vec<Entry>, Failure> {
    let given = |path: &str| sets.iter().any(|set| set.split('=').next() == Some(path));
    if let Some(path) = file.grid.keys().find(|path| given(path)) {
        return Err(Failure::Usage(format!(
            "--set {path}=… holds for every run, but the sweep's `grid` varies `{path}`; take it out of one of them"
        )));
    }
    let mut combinations: Vec<Vec<(&str, &Value)>> = vec![Vec::new()];
    for (path, values) in &file.grid {
        combinations = combinations
            .into_iter()
            .flat_map(|combination| {
                values
                    .iter()
                    .map(move |value| combination.iter().copied().chain([(path.as_str(), value)]).collect())
            })
            .collect();
        if combinations.len() * file.runs.len() > MAX_ENTRIES {
            return Err(Failure::Usage(format!("the grid gives more than {MAX_ENTRIES} runs")));
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for run in &file.runs {
        for combination in &combinations {
            let mut label = run.label.clone();
            for (path, value) in combination {
                let name = path.rsplit('.').next().unwrap_or(path);
                let value: String = value
                    .to_string()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || ".-+".contains(*c))
                    .collect();
                label.push_str(&format!("_{name}={value}"));
            }
            if !can_be_label(&label) {
                return Err(Failure::Usage(format!(
                    "`{label}` cannot be a run label: it becomes the name of a folder"
                )));
            }
            if RESERVED.contains(&label.as_str()) {
                return Err(Failure::Usage(format!(
                    "`{label}` cannot be a run label: the sweep's own files are called so"
                )));
            }
            if entries.iter().any(|entry| entry.label == label) {
                return Err(Failure::Usage(format!(
                    "two runs of the sweep are labelled `{label}`; give each its own label"
                )));
            }
            let set = run
                .set
                .iter()
                .map(|(path, value)| (path.as_str(), value))
                .chain(combination.iter().copied());
            let own = set.map(|(path, value)| format!("{path}={value}"));
            // The last to set a value has its way.
            let sets = own.chain(sets.iter().cloned()).collect();
            entries.push(Entry {
                label,
                source: Source {
                    path: PathBuf::from(&run.experiment),
                    sets,
                    offline,
                },
            });
        }
    }
    Ok(entries)
}

/// Checks every entry.
///
/// # Errors
/// How many entries have mistakes, after all were checked.
pub fn check(entries: &[Entry], on_report: OnReport<'_>) -> Result<Vec<Prepared>, Failure> {
    let mut prepared = Vec::new();
    let mut failure = None;
    for outcome in check_each(entries, on_report) {
        match outcome {
            Ok(one) => prepared.push(one),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(prepared), Err)
}

/// Checks every entry; what is wrong with one is no matter of the others.
fn check_each(entries: &[Entry], on_report: OnReport<'_>) -> Vec<Result<Prepared, Failure>> {
    let each = entries.iter().map(|entry| {
        prepare(&entry.source, Depth::Deep, on_report)
            .inspect_err(|error| say(&format!("run `{}` of the sweep: {error}", entry.label)))
    });
    each.collect()
}

/// Writes what makes the sweep's directory complete by itself.
///
/// # Errors
/// A file cannot be written.
pub fn write(dir: &RunDir, text: &str, entries: &[Entry], prepared: &[Prepared]) -> Result<(), Failure> {
    for (entry, prepared) in entries.iter().zip(prepared) {
        dir.write(
            &format!("entries/{}.yaml", entry.label),
            prepared.resolved_yaml().as_bytes(),
        )?;
    }
    let order: Vec<Value> = entries.iter().map(|entry| entry.label.clone().into()).collect();
    dir.write(
        "entries/order.yaml",
        to_yaml(&serde_json::json!({ "labels": order })).as_bytes(),
    )?;
    // Last: a directory with sweep.yaml is a whole one.
    dir.write("sweep.yaml", text.as_bytes())
}

/// Order of a sweep's entries, as stored in its directory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Labels in the order in which they are run.
    labels: Vec<String>,
}

/// Checks the entries of a stored sweep; one that cannot be run any more does not keep the others from it.
///
/// # Errors
/// The list of the entries is missing or has mistakes.
pub fn stored(dir: &Path, offline: bool, on_report: OnReport<'_>) -> Result<Vec<Checked>, Failure> {
    let mut sources = Sources::new();
    let mut report = Report::new();
    let path = dir.join("entries/order.yaml");
    let tree = load(&path.to_string_lossy(), &[], &mut read_text, &mut sources, &mut report);
    let order = tree.and_then(|tree| read_record::<Order>(tree, dir, &mut report));
    let Some(order) = order else {
        on_report(&report, &sources);
        return Err(Failure::Corrupt {
            path,
            message: "the order of the sweep's runs cannot be read".into(),
        });
    };
    if let Some(label) = order.labels.iter().find(|label| !can_be_label(label)) {
        return Err(Failure::Corrupt {
            path,
            message: format!("`{label}` is no name of a run"),
        });
    }
    let entries: Vec<Entry> = order
        .labels
        .into_iter()
        .map(|label| {
            let source = Source {
                path: dir.join(format!("entries/{label}.yaml")),
                sets: Vec::new(),
                offline,
            };
            Entry { label, source }
        })
        .collect();
    let prepared = check_each(&entries, on_report);
    Ok(entries.into_iter().zip(prepared).collect())
}

/// An entry with what running it needs, or why it cannot be run.
pub type Checked = (Entry, Result<Prepared, Failure>);

/// What a sweep has come to.
#[derive(Debug)]
pub struct Compared {
    /// What a person reads.
    pub text: String,
    /// The failure of the runs that have failed, if any has.
    pub failure: Option<Failure>,
}

/// Runs or resumes every entry in its folder of the sweep. Where one fails, the others go on.
///
/// # Errors
/// Interrupted, or the disk is full; the entries before that are kept. What an entry was started with is not there any
/// more: then none goes on, as those that begin now would be compared with it.
pub fn work(
    dir: &RunDir,
    entries: Vec<Checked>,
    runs: &Path,
    device: &Chosen,
    retry: Retry,
) -> Result<Compared, Failure> {
    for (entry, prepared) in &entries {
        let run = dir.path().join(&entry.label);
        let path = run.join("run.json");
        // What cannot be read or run any more keeps the others from nothing.
        if let (true, Ok(prepared)) = (path.is_file(), prepared)
            && let Ok(record) = read_json::<RunRecord>(&path)
        {
            same_content(prepared, &record, &run)?;
        }
    }
    let all = entries.len();
    let mut finished: Vec<(String, Finished)> = Vec::new();
    let mut fallen: Vec<Fallen> = Vec::new();
    for (number, (entry, prepared)) in entries.into_iter().enumerate() {
        let label = entry.label;
        let path = dir.path().join(&label);
        let before = match has_members(&path) {
            // Those that have failed are passed over one by one.
            Ok(true) => Ok(None),
            Ok(false) => Fallen::before(&label, &path, retry),
            Err(failure) => Err(failure),
        };
        let outcome = match before {
            Ok(Some(before)) => {
                fallen.push(before);
                continue;
            }
            Ok(None) => {
                say(&format!("run {} of {all}: {label}", number + 1));
                prepared.and_then(|prepared| run_entry(dir, prepared, &path, runs, device, retry))
            }
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(run) => {
                if let Some(failure) = run.failure() {
                    fallen.push(Fallen::of(&label, &failure));
                }
                finished.push((label, run));
            }
            Err(Failure::Interrupted(_)) => return Err(Failure::Interrupted(dir.path().to_owned())),
            Err(failure) if failure.stops_all() => return Err(failure),
            Err(failure) => fallen.push(Fallen::now(&label, &failure)),
        }
    }
    let comparison = Comparison::of(&finished).without(&fallen);
    let text = comparison.text();
    dir.write("report.txt", text.as_bytes())?;
    dir.write_json("summary.json", &comparison)?;
    Ok(Compared {
        text,
        failure: fallen::failure(&fallen, all, "runs", dir.path()),
    })
}

fn has_members(run: &Path) -> Result<bool, Failure> {
    let path = run.join("run.json");
    if !path.is_file() {
        return Ok(false);
    }
    let record: RunRecord = read_json(&path)?;
    Ok(!record.members.is_empty())
}

fn run_entry(
    dir: &RunDir,
    mut prepared: Prepared,
    path: &Path,
    runs: &Path,
    device: &Chosen,
    retry: Retry,
) -> Result<Finished, Failure> {
    let run = if path.join("run.json").is_file() {
        RunDir::open(path, dir.files())?
    } else {
        // What a kill before the first record left behind holds nothing.
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(Failure::io("remove", path))?;
        }
        RunDir::create(path, dir.files())?
    };
    settle(&mut prepared, Some(path), device)?;
    parent::resume_in(&prepared, &run, runs, device, retry)
}

/// Enters a sweep's runs in the tracker as planned, so that the list shows what is to come.
///
/// # Errors
/// The tracker cannot be written.
pub fn plan_in_tracker(dir: &RunDir, entries: &[Checked], runs: &Path) -> Result<(), Failure> {
    let planned = entries.iter().filter_map(|(entry, prepared)| {
        Some(TrackedRun {
            label: entry.label.clone(),
            log_dir: dir.path().join(&entry.label).display().to_string(),
            experiment: prepared.as_ref().ok()?.settings.name.clone(),
            status: "planned".into(),
            test: IndexMap::new(),
        })
    });
    track_all(dir.files(), runs, planned.collect())
}
