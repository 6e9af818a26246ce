//! `emorun data dyads`.

use std::path::PathBuf;

use clap::Args;
use emorun_face::{CorpusError, CorpusSpec};

use crate::cli::print;
use emorun_engine::exit::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder to write, which must not be there or be empty: all.csv, and voices and faces of each clip.
    #[arg(value_name = "DIR")]
    out: PathBuf,
    /// Pairs of people, each in no other.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    dyads: u32,
    /// Clips of each pair.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clips: u32,
    /// Length of a clip in frames, 25 a second.
    #[arg(long, default_value_t = 125, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    frames: u32,
    /// Frames after which a listener reacts.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(0..=1000))]
    delay: u32,
    /// Seed of everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// How far people differ in what they show, and the noise of each channel.
const STYLE: f64 = 0.3;
const NOISE: f64 = 0.04;

pub(super) fn dyads(arguments: &Arguments) -> Result<(), Failure> {
    let spec = CorpusSpec {
        seed: arguments.seed,
        dyads: arguments.dyads,
        clips: arguments.clips,
        frames: arguments.frames,
        delay: arguments.delay,
        style: STYLE,
        noise: NOISE,
    };
    spec.write(&arguments.out).map_err(|error| match error {
        CorpusError::NotEmpty(_) => Failure::Usage(error.to_string()),
        CorpusError::Io { path, source } => Failure::io("write", &path)(source),
        CorpusError::Audio(error) => Failure::Input(error.to_string()),
    })?;
    print(&format!(
        "{}: {} clips of {} s, {} dyads\n",
        arguments.out.join("all.csv").display(),
        arguments.dyads * arguments.clips,
        spec.seconds(),
        arguments.dyads
    ));
    Ok(())
}
