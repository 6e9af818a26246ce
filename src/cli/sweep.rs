//! `emorun sweep`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Common, PlaceArguments, print};
use crate::device::Chosen;
use crate::exit::Failure;
use crate::prepare::Prepared;
use crate::run::dir::RunDir;
use crate::run::sweep::{self, Entry};
use crate::train::interrupt;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The model_runs file.
    model_runs: PathBuf,
    /// Check every run of the file and start none.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(super) fn sweep(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let place = &arguments.place;
    let device = super::run::choose(place.device)?;
    let mut on_report = |report: &emorun_lang::Report, sources: &emorun_lang::Sources| {
        super::check::write(report, sources, common.format)
    };
    let (file, text) = sweep::read(&arguments.model_runs, &mut on_report)?;
    let entries = sweep::entries(&file, common.offline)?;
    let label = place
        .run_label
        .clone()
        .unwrap_or_else(|| chrono::Local::now().format("%Y%m%d-%H%M%S").to_string());
    let path = place.runs.join(&file.name).join(label);
    if !arguments.check {
        RunDir::check_free(&path)?;
    }
    let mut prepared = sweep::check(&entries, &mut on_report)?;
    if arguments.check {
        print(&format!("{} runs, all valid\n", entries.len()));
        return Ok(());
    }
    interrupt::install();
    let dir = RunDir::create(&path, &emorun_files::Files::default())?;
    sweep::write(&dir, &text, &entries, &prepared)?;
    finish(&dir, &entries, &mut prepared, &place.runs, &device)
}

/// Continues a sweep in its directory.
pub(super) fn resume(path: &Path, device: &Chosen, common: Common) -> Result<(), Failure> {
    let dir = RunDir::open_sweep(path)?;
    let mut on_report = |report: &emorun_lang::Report, sources: &emorun_lang::Sources| {
        super::check::write(report, sources, common.format)
    };
    let (entries, mut prepared) = sweep::stored(path, common.offline, &mut on_report)?;
    let runs = path
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."))
        .to_owned();
    finish(&dir, &entries, &mut prepared, &runs, device)
}

fn finish(
    dir: &RunDir,
    entries: &[Entry],
    prepared: &mut [Prepared],
    runs: &Path,
    device: &Chosen,
) -> Result<(), Failure> {
    if !dir.path().join(&entries[0].label).exists() {
        sweep::plan_in_tracker(dir, entries, prepared, runs)?;
    }
    let text = sweep::work(dir, entries, prepared, runs, device)?;
    let path = dir.path().display();
    print(&format!(
        "{text}\nopen them with: tensorboard --logdir {path}\n{path}\n"
    ));
    Ok(())
}
