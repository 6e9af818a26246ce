//! `emorun import`: another program's configuration as an experiment file.

use std::path::PathBuf;

use clap::Args;
use emorun_lang::{Report, Sources, folder_name_problem, load};

use super::{Common, print};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_experiment::prepare::read_text;
use emorun_import::{Imported, import as imported};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A `config.yml` or `model_runs.yml` of emotion_classifier, the public attention classifier on HuBERT, wav2vec 2.0
    /// or WavLM.
    file: PathBuf,
    /// The file to write; stdout when left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn import(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let path = arguments.file.to_string_lossy();
    let tree = load(&path, &[], &mut read_text, &mut sources, &mut report);
    let stem = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match folder_name_problem(&stem) {
        None => stem.into_owned(),
        Some(_) => "imported".to_owned(),
    };
    let made = tree.and_then(|tree| imported(&tree, &name, &mut report));
    report.sort();
    super::check::write(&report, &sources, common.format);
    let made = made.filter(|_| !report.has_errors()).ok_or(Failure::Rejected {
        mistakes: report.errors(),
        data: false,
    })?;
    let Some(out) = &arguments.out else {
        print(made.text());
        return Ok(());
    };
    if out.symlink_metadata().is_ok() {
        return Err(Failure::Conflict(format!(
            "{} exists; choose another file, or remove it",
            out.display()
        )));
    }
    std::fs::write(out, made.text()).map_err(Failure::io("write", out))?;
    let next = match made {
        Imported::Experiment(_) => "check it with: emorun check --structure",
        Imported::Sweep(_) => "name the experiment of each run in it, then: emorun sweep",
    };
    tell(&format!("{next} {}", out.display()));
    print(&format!("{}\n", out.display()));
    Ok(())
}
