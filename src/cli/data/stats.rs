//! `emorun data stats`.

use std::path::PathBuf;

use clap::Args;
use emorun_data::ScanLevel;

use super::CorpusArguments;
use crate::cli::{Common, Format, print};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    corpora: CorpusArguments,
    /// Also write a page with plots, complete in one file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Leave out loudness, for which every file is decoded.
    #[arg(long)]
    no_loudness: bool,
}

pub(super) fn stats(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    let datasets = arguments.corpora.datasets(common)?;
    let corpus = emorun_data::scan(&datasets, ScanLevel::Metadata, None).map_err(Failure::Data)?;
    for warning in &corpus.warnings {
        tell(&format!("warning: {warning}"));
    }
    let stats = emorun_data::stats::stats(&corpus, !arguments.no_loudness).map_err(Failure::Data)?;
    if let Some(path) = &arguments.html {
        std::fs::write(path, stats.to_html()).map_err(Failure::io("write", path))?;
    }
    print(&match arguments.corpora.format {
        Format::Human => stats.to_text(),
        Format::Json => {
            let text = serde_json::to_string_pretty(&stats).map_err(|error| Failure::Bug(error.to_string()))?;
            format!("{text}\n")
        }
    });
    Ok(())
}
