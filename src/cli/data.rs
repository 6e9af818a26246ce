//! `emorun data`: what experiments are trained on.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Common, ExperimentArguments, print};
use crate::exit::Failure;
use crate::prepare::{Depth, prepare};
use crate::run::listen::{Request, listen};
use crate::run::report::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write training items as they are and as augmentation makes them, to listen to and to look at.
    Listen(Listen),
}

#[derive(Debug, Args)]
struct Listen {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Number of training items, drawn by the seed.
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: usize,
    /// Number of augmented views of each: what the model hears in epochs 1 to K.
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    views: u64,
    /// The folder to write: for each view a WAV file and its spectrogram as PNG.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn data(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    match &arguments.command {
        Command::Listen(arguments) => hear(arguments, common),
    }
}

fn hear(arguments: &Listen, common: Common) -> Result<(), Failure> {
    let source = arguments.experiment.source(common);
    let prepared = prepare(&source, Depth::Metadata, &mut |report, sources| {
        super::check::write(report, sources, common.format)
    })?;
    let request = Request {
        sample: arguments.sample,
        views: arguments.views,
        out: &arguments.out,
    };
    let heard = listen(&prepared, &request)?;
    let rows: Vec<Vec<String>> = heard
        .iter()
        .map(|heard| {
            let name = heard.path.file_name().unwrap_or_default().to_string_lossy();
            vec![
                name.into_owned(),
                heard.item.clone(),
                heard.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
                format!("{:.2}", heard.seconds),
                format!("{:.3}", heard.peak),
            ]
        })
        .collect();
    print(&table(&["file", "item", "epoch", "s", "peak"], &rows));
    print(&format!("{}\n", arguments.out.display()));
    Ok(())
}
