//! `emorun data listen`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{Common, ExperimentArguments, check, print};
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Depth, prepare};
use emorun_runs::run::listen::{Heard, Request, listen as hear};
use emorun_runs::run::report::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
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

pub(super) fn listen(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let source = arguments.experiment.source(common);
    let prepared = prepare(&source, Depth::Metadata, &mut |report, sources| {
        check::write(report, sources, common.format)
    })?;
    let request = Request {
        sample: arguments.sample,
        views: arguments.views,
        out: &arguments.out,
    };
    let heard = hear(&prepared, &request)?;
    let rows: Vec<Vec<String>> = heard
        .iter()
        .map(|heard| {
            vec![
                name(heard),
                heard.item.clone(),
                heard.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
                format!("{:.2}", heard.seconds),
                format!("{:.3}", heard.peak),
            ]
        })
        .collect();
    print(&table(&["file", "item", "epoch", "s", "peak"], &rows));
    print("\nwhat was drawn:\n");
    for heard in heard.iter().filter(|heard| heard.epoch.is_some()) {
        print(&format!("{}: {}\n", name(heard), drawn(heard)));
    }
    print(&format!("{}\n", arguments.out.display()));
    Ok(())
}

fn name(heard: &Heard) -> String {
    let name = heard.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What augmentations have drawn, on one line.
fn drawn(heard: &Heard) -> String {
    let notes: Vec<String> = heard
        .drawn
        .iter()
        .map(|drawn| format!("{}: {}", drawn.node, drawn.note))
        .collect();
    if notes.is_empty() {
        "nothing".into()
    } else {
        notes.join("; ")
    }
}
