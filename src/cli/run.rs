//! `emorun run` and `emorun resume`.

use std::path::Path;

use emorun_files::Files;

use super::file_kind::FileKind;
use super::{Common, ExperimentArguments, Format, PlaceArguments, ResumeArguments, print};
use emorun_engine::device::{self, Chosen, DeviceRequest};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_engine::train::interrupt;
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare};
use emorun_runs::run::batch_size::settle;
use emorun_runs::run::dir::RunDir;
use emorun_runs::run::fallen::Retry;
use emorun_runs::run::parent::{self, Finished, Place};

pub(super) fn run(experiment: &ExperimentArguments, place: &PlaceArguments, common: Common) -> Result<(), Failure> {
    FileKind::Experiment.expect(&experiment.experiment)?;
    let device = choose(place.device)?;
    let source = experiment.source(common);
    let place = Place {
        runs: place.runs.clone(),
        label: place.run_label.clone(),
        files: Files::default(),
    };
    // The structure takes milliseconds, reading all files of a large corpus minutes.
    if let Ok(structure) = prepare(&source, Depth::Structure, &mut |_, _| {}) {
        parent::check_free(&structure.settings, &place)?;
    }
    let mut prepared = prepared(&source, common.format)?;
    interrupt::install();
    settle(&mut prepared, None, &device)?;
    let finished = parent::start(&prepared, &place, &device)?;
    show(&finished);
    finished.failure().map_or(Ok(()), Err)
}

pub(super) fn resume(arguments: &ResumeArguments, common: Common) -> Result<(), Failure> {
    let path = arguments.run.as_path();
    let retry = if arguments.retry_failed {
        Retry::Failed
    } else {
        Retry::Unfinished
    };
    let device = choose(arguments.device)?;
    interrupt::install();
    // `runs/<name>/<label>` is read off the path, which may be as short as `.` within the run.
    let whole = path
        .parent()
        .and_then(Path::parent)
        .map_or_else(|| std::fs::canonicalize(path).ok(), |_| None);
    let path = whole.as_deref().unwrap_or(path);
    if path.join("sweep.yaml").is_file() {
        if !arguments.sets.is_empty() {
            return Err(Failure::Usage(
                "--set changes one run; a sweep is resumed as it was started".into(),
            ));
        }
        return super::sweep::resume(path, &device, retry, common);
    }
    let dir = RunDir::open(path, &Files::default())?;
    let record: emorun_runs::run::record::RunRecord = emorun_runs::run::dir::read_json(&path.join("run.json"))?;
    if let Some(parent) = record.parent {
        return Err(Failure::Usage(format!(
            "{} is a member of {parent}; continue that: emorun resume {parent}",
            path.display()
        )));
    }
    let source = Source {
        path: path.join("resolved.yaml"),
        sets: arguments.sets.clone(),
        offline: common.offline,
    };
    let prepared = prepared(&source, common.format).inspect_err(|failure| {
        if matches!(failure, Failure::Rejected { data: true, .. }) && common.format == Format::Human {
            tell("a corpus that has moved is found with: --set datasets.NAME.root=FOLDER (or .path, of a table)");
        }
    })?;
    let finished = parent::resume(&prepared, &dir, &device, retry)?;
    show(&finished);
    finished.failure().map_or(Ok(()), Err)
}

/// Chooses the device and says which and why.
pub(super) fn choose(request: DeviceRequest) -> Result<Chosen, Failure> {
    let chosen = device::choose(request)?;
    tell(&format!("device: {}", chosen.name));
    Ok(chosen)
}

/// Prepares an experiment to be run: checked to the last file.
pub(super) fn prepared(source: &Source, format: Format) -> Result<Prepared, Failure> {
    let prepared = prepare(source, Depth::Deep, &mut |report, sources| {
        super::check::write(report, sources, format)
    })?;
    for remark in prepared.remarks() {
        tracing::warn!("{remark}");
    }
    Ok(prepared)
}

/// The report, how to open it, and as the last line the run directory.
pub(super) fn show(finished: &Finished) {
    let dir = finished.dir.display();
    print(&format!(
        "{}\nopen it with: tensorboard --logdir {dir}\n{dir}\n",
        finished.text.trim_start_matches('\n')
    ));
}
