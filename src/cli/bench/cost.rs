//! `emorun bench loop`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::parse;
use crate::cli::{Format, print};
use emorun_bench::cost::{CostSetup, Costs, Trainee, costs, train_own};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_runs::run::report::table;
use emorun_runs::smoke::temporary_folder;

#[derive(Debug, Args)]
pub(super) struct Loop {
    /// Steps of each side in each round.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    steps: u32,
    /// Rounds; in each every side trains once.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Threads of each side.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Steps from one line of metrics to the next.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    log_every: u64,
    /// Steps from one checkpoint to the next.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
    /// Python with torch, lightning and tensorboard.
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Be one of emorun's sides.
    #[arg(long, hide = true, requires = "setup", value_parser = parse::<Trainee>)]
    work: Option<Trainee>,
    #[arg(long, hide = true)]
    setup: Option<String>,
}

pub(super) fn training_loop(arguments: &Loop) -> Result<(), Failure> {
    if let (Some(side), Some(setup)) = (arguments.work, &arguments.setup) {
        let setup: CostSetup =
            serde_json::from_str(setup).map_err(|error| Failure::Usage(format!("--setup: {error}")))?;
        let folder = temporary_folder()?;
        let took = train_own(side, &setup, &folder);
        let removed = std::fs::remove_dir_all(&folder).map_err(Failure::io("remove", &folder));
        print(&format!("{}\n", json!(took?)));
        return removed;
    }
    let setup = CostSetup {
        steps: arguments.steps as usize,
        batch: 4,
        log_every: arguments.log_every,
        checkpoint_every: arguments.checkpoint_every,
        threads: arguments.threads.into(),
    };
    let found = costs(&setup, &arguments.python, arguments.repeats.into(), &mut |message| {
        tell(message)
    })?;
    match arguments.format {
        Format::Human => print(&cost_text(&setup, &found)),
        Format::Json => print(&format!("{:#}\n", json!({ "setup": setup, "sides": found.sides }))),
    }
    Ok(())
}

fn cost_text(setup: &CostSetup, found: &Costs) -> String {
    let micro = |seconds: Option<f64>| seconds.map_or_else(|| "–".into(), |seconds| format!("{:.0}", 1e6 * seconds));
    let rows: Vec<Vec<String>> = found
        .sides
        .iter()
        .map(|(side, rounds)| {
            let range = |pick: fn(f64, f64) -> f64| rounds.iter().map(|took| took.per_step()).reduce(pick);
            let overhead = (side.network() != *side).then(|| found.overhead(*side)).flatten();
            vec![
                side.title().to_owned(),
                micro(found.per_step(*side)),
                format!("{}–{}", micro(range(f64::min)), micro(range(f64::max))),
                micro(overhead),
                rounds.first().map(|took| took.versions.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    let header = ["side", "median µs a step", "range", "beyond its network", "versions"];
    let mut text = format!(
        "{} steps of {} items, {} thread(s); a line of metrics every {} steps, a checkpoint every {}\n{}",
        setup.steps,
        setup.batch,
        setup.threads,
        setup.log_every,
        setup.checkpoint_every,
        table(&header, &rows)
    );
    if let (Some(ours), Some(theirs)) = (found.overhead(Trainee::Run), found.overhead(Trainee::Lightning)) {
        let _ = writeln!(text, "emorun's loop costs {:.3} of Lightning's", ours / theirs);
    }
    text
}
