//! `emorun bundle`: a trained model as one file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, print};
use emorun_engine::exit::Failure;
use emorun_engine::memory::mib;
use emorun_runs::run::bundle::{Backbones, bundle as write};
use emorun_runs::run::trained::TrainedRun;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Directory of a run; of one with members, all of them, whose answers are averaged when the bundle is used.
    run: PathBuf,
    /// The file to write, such as emotion.emorun.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Whether the pretrained weights that the run keeps frozen are in the file, or are looked for where the run had
    /// them from and compared by their hash.
    #[arg(long, value_enum, default_value_t = Weights::Embedded)]
    weights: Weights,
    /// Replaces a file that is there.
    #[arg(long)]
    force: bool,
    /// Sets a value of the run's file, such as encoders.hubert.weights=models/hubert; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// Where frozen weights come from.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Weights {
    /// In the file.
    Embedded,
    /// Looked for when it is opened.
    ByHash,
}

pub(super) fn bundle(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let out = &arguments.out;
    if out.symlink_metadata().is_ok() && !arguments.force {
        return Err(Failure::Conflict(format!(
            "{} exists; choose another file, or replace it with --force",
            out.display()
        )));
    }
    let runs = TrainedRun::open_all(&arguments.run)?;
    let backbones = match arguments.weights {
        Weights::Embedded => Backbones::Embedded,
        Weights::ByHash => Backbones::ByHash,
    };
    let changes = (arguments.sets.as_slice(), common.offline);
    let written = write(&runs, backbones, changes, out, &mut |report, sources| {
        super::check::write(report, sources, common.format);
    })?;
    let members = match written.members {
        1 => "one model".to_owned(),
        several => format!("{several} models, whose answers are averaged"),
    };
    let backbones = match written.backbones {
        0 => String::new(),
        1 => ", with its pretrained checkpoint".to_owned(),
        several => format!(", with {several} pretrained checkpoints"),
    };
    print(&format!(
        "{members}{backbones}, {}\n{}\n",
        mib(written.bytes),
        out.display()
    ));
    Ok(())
}
