//! Sweeps: many runs from one file, checked as a whole before the first starts.

use std::path::{Path, PathBuf};

use emorun_lang::{Report, Sources, folder_name_schema, load, read_record, to_yaml};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::batch_size::settle;
use super::comparison::Comparison;
use super::dir::{RunDir, can_be_label};
use super::parent::{self, Finished};
use super::tracker::{TrackedRun, track_all};
use crate::device::Chosen;
use crate::exit::Failure;
use crate::prepare::{Depth, OnReport, Prepared, Source, prepare, read_text};
use crate::train::progress::say;

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

/// The entries of a sweep: each run for each combination of the grid.
///
/// # Errors
/// Labels repeat or cannot be folder names, or there are too many entries.
pub fn entries(file: &SweepFile, offline: bool) -> Result<Vec<Entry>, Failure> {
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
            let sets = set.map(|(path, value)| format!("{path}={value}")).collect();
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
    for entry in entries {
        match prepare(&entry.source, Depth::Deep, on_report) {
            Ok(one) => prepared.push(one),
            Err(error) => {
                say(&format!("run `{}` of the sweep: {error}", entry.label));
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(prepared), Err)
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

/// Checks the entries of a stored sweep.
///
/// # Errors
/// A stored file is missing or has mistakes.
pub fn stored(dir: &Path, offline: bool, on_report: OnReport<'_>) -> Result<(Vec<Entry>, Vec<Prepared>), Failure> {
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
    let prepared = check(&entries, on_report)?;
    Ok((entries, prepared))
}

/// Runs or resumes every entry in its folder of the sweep.
///
/// # Errors
/// An entry fails; those before it are kept.
pub fn work(
    dir: &RunDir,
    entries: &[Entry],
    prepared: &mut [Prepared],
    runs: &Path,
    device: &Chosen,
) -> Result<String, Failure> {
    let mut finished: Vec<(String, Finished)> = Vec::new();
    for (number, (entry, prepared)) in entries.iter().zip(prepared).enumerate() {
        say(&format!("run {} of {}: {}", number + 1, entries.len(), entry.label));
        let path = dir.path().join(&entry.label);
        let run = if path.join("run.json").is_file() {
            RunDir::open(&path, dir.files())?
        } else {
            // What a kill before the first record left behind holds nothing.
            if path.exists() {
                std::fs::remove_dir_all(&path).map_err(Failure::io("remove", &path))?;
            }
            RunDir::create(&path, dir.files())?
        };
        settle(prepared, Some(&path), device)?;
        let outcome = parent::resume_in(prepared, &run, runs, device).map_err(|failure| match failure {
            Failure::Interrupted(_) => Failure::Interrupted(dir.path().to_owned()),
            failure => failure,
        })?;
        finished.push((entry.label.clone(), outcome));
    }
    let comparison = Comparison::of(&finished);
    let text = comparison.text();
    dir.write("report.txt", text.as_bytes())?;
    dir.write_json("summary.json", &comparison)?;
    Ok(text)
}

/// Enters a sweep's runs in the tracker as planned, so that the list shows what is to come.
///
/// # Errors
/// The tracker cannot be written.
pub fn plan_in_tracker(dir: &RunDir, entries: &[Entry], prepared: &[Prepared], runs: &Path) -> Result<(), Failure> {
    let planned = entries.iter().zip(prepared).map(|(entry, prepared)| TrackedRun {
        label: entry.label.clone(),
        log_dir: dir.path().join(&entry.label).display().to_string(),
        experiment: prepared.settings.name.clone(),
        status: "planned".into(),
        test: IndexMap::new(),
    });
    track_all(dir.files(), runs, planned.collect())
}
