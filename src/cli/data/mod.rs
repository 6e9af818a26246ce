//! `emorun data`: corpora fetched and prepared. The work is done in crates; this only asks and shows.

mod fetch;
mod prepare;
mod progress;

use clap::{Args, Subcommand};

use super::Common;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download a corpus from its official address, or list the corpora that can be.
    Fetch(fetch::Arguments),
    /// Make several corpora one: target emotions, one rate and loudness, checked quality, confirmed labels.
    Prepare(prepare::Arguments),
}

pub(super) fn data(arguments: &Arguments, common: Common) -> Result<(), Failure> {
    match &arguments.command {
        Command::Fetch(arguments) => fetch::fetch(arguments, common),
        Command::Prepare(arguments) => prepare::prepare(arguments, common),
    }
}
