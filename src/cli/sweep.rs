//! `emorun sweep`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::file_kind::FileKind;
use super::{Common, PlaceArguments, print};
use emorun_engine::device::Chosen;
use emorun_engine::exit::Failure;
use emorun_engine::train::interrupt;
use emorun_runs::run::dir::RunDir;
use emorun_runs::run::fallen::Retry;
use emorun_runs::run::record::time_label;
use emorun_runs::run::sweep::{self, Checked, Compared};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The model_runs file.
    model_runs: PathBuf,
    /// Check every run of the file and start none.
    #[arg(long)]
    check: bool,
    /// Sets a value in every run of the file, such as training.epochs=3; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(super) fn sweep(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    FileKind::Sweep.expect(&arguments.model_runs)?;
    let place = &arguments.place;
    let device = super::run::choose(place.device)?;
    let mut on_report = |report: &emorun_lang::Report, sources: &emorun_lang::Sources| {
        super::check::write(report, sources, common.format)
    };
    let (file, text) = sweep::read(&arguments.model_runs, &mut on_report)?;
    let entries = sweep::entries(&file, &arguments.sets, common.offline)?;
    let label = place.run_label.clone().unwrap_or_else(time_label);
    let path = place.runs.join(&file.name).join(label);
    if !arguments.check {
        RunDir::check_free(&path)?;
    }
    let prepared = sweep::check(&entries, &mut on_report)?;
    if arguments.check {
        print(&format!("{} runs, all valid\n", entries.len()));
        return Ok(());
    }
    interrupt::install();
    let dir = RunDir::create(&path, &emorun_files::Files::default())?;
    sweep::write(&dir, &text, &entries, &prepared)?;
    let checked = entries.into_iter().zip(prepared.into_iter().map(Ok)).collect();
    finish(&dir, checked, &place.runs, &device, Retry::Failed)
}

/// Continues a sweep in its directory.
pub(super) fn resume(path: &Path, device: &Chosen, retry: Retry, common: Common) -> Result<(), Failure> {
    let dir = RunDir::open_sweep(path)?;
    let mut on_report = |report: &emorun_lang::Report, sources: &emorun_lang::Sources| {
        super::check::write(report, sources, common.format)
    };
    let entries = sweep::stored(path, common.offline, &mut on_report)?;
    let runs = path
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."))
        .to_owned();
    finish(&dir, entries, &runs, device, retry)
}

fn finish(dir: &RunDir, entries: Vec<Checked>, runs: &Path, device: &Chosen, retry: Retry) -> Result<(), Failure> {
    let has_begun = |(entry, _): &Checked| dir.path().join(&entry.label).exists();
    if !entries.iter().any(has_begun) {
        sweep::plan_in_tracker(dir, &entries, runs)?;
    }
    let Compared { text, failure } = sweep::work(dir, entries, runs, device, retry)?;
    let path = dir.path().display();
    print(&format!(
        "{text}\nopen them with: tensorboard --logdir {path}\n{path}\n"
    ));
    failure.map_or(Ok(()), Err)
}
