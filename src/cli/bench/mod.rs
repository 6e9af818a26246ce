//! `emorun bench`: what emorun costs beside its peer.

mod cost;
mod data;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Format, print};
use emorun_bench::{Outcome, Peer, Setup, Task, median, models, time, work};
use emorun_engine::exit::Failure;
use emorun_engine::memory::mib;
use emorun_engine::terminal::tell;
use emorun_runs::run::report::table;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time a speech encoder with random weights beside the same model in HuggingFace
    /// transformers: forward, and steps of training with more and more of it trained.
    Encoders(Encoders),
    /// Time the way from files to what a network hears (decode, resample to 16 kHz, augment) beside
    /// soundfile, soxr and audiomentations.
    Data(data::Data),
    /// Time the training loop itself, with an all but empty network and logging and checkpoints on,
    /// beside a bare PyTorch loop and Lightning.
    Loop(cost::Loop),
}

#[derive(Debug, Args)]
struct Encoders {
    /// Architecture.
    #[arg(long, default_value = "hubert", value_parser = PossibleValuesParser::new(models()))]
    model: String,
    /// Its sizes.
    #[arg(long, default_value = "base", value_parser = ["base", "large", "tiny_base", "tiny_large"])]
    layout: String,
    /// Items of a batch.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Length of each item in seconds.
    #[arg(long, default_value_t = 3.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Threads of each side.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// cpu, cuda:N or wgpu:N; the peers use CUDA where it is CUDA's.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Precision of products; the peers' is autocast's.
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    precision: String,
    /// Rounds; in each every side has one turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repeats: u16,
    /// What is timed; everything when left out.
    #[arg(long, value_delimiter = ',', value_name = "TASK", value_parser = parse::<Task>)]
    tasks: Vec<Task>,
    /// Python with torch and transformers; `python3` is tried when left out.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Be emorun's side of this task.
    #[arg(long, hide = true, requires = "setup", value_parser = parse::<Task>)]
    work: Option<Task>,
    #[arg(long, hide = true)]
    setup: Option<String>,
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("use 0.1 to 600".into()),
    }
}

pub(super) fn bench(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::Encoders(arguments) => encoders(arguments),
        What::Data(arguments) => data::data(arguments),
        What::Loop(arguments) => cost::training_loop(arguments),
    }
}

/// The interpreter that has the peer.
fn peer(asked: Option<&Path>) -> Peer {
    asked.map_or_else(
        || Peer::Tried("python3".into()),
        |python| Peer::Asked(python.to_owned()),
    )
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "–".into(), |number| format!("{number:.3}"))
}

/// Shortest and longest turn.
fn range(outcome: &Outcome) -> String {
    let seconds = outcome.seconds();
    let least = seconds.iter().copied().min_by(f64::total_cmp);
    format!(
        "{}–{}",
        number(least),
        number(seconds.into_iter().max_by(f64::total_cmp))
    )
}

fn encoders(arguments: &Encoders) -> Result<(), Failure> {
    if let (Some(task), Some(setup)) = (arguments.work, &arguments.setup) {
        let setup = serde_json::from_str(setup).map_err(|error| Failure::Usage(format!("--setup: {error}")))?;
        return work(task, &setup, std::io::stdin().lock(), std::io::stdout().lock());
    }
    let setup = Setup {
        model: parse(&arguments.model).map_err(Failure::Bug)?,
        layout: parse(&arguments.layout).map_err(Failure::Bug)?,
        batch: arguments.batch.into(),
        seconds: arguments.seconds,
        threads: arguments.threads.into(),
        device: arguments.device.clone(),
        precision: parse(&arguments.precision).map_err(Failure::Bug)?,
    };
    let peer = peer(arguments.python.as_deref());
    let tasks = if arguments.tasks.is_empty() {
        &Task::ALL[..]
    } else {
        &arguments.tasks
    };
    let mut timed = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for &task in tasks {
        let outcomes = time(task, &setup, arguments.repeats.into(), &peer, &mut |message| {
            if !said.iter().any(|said| said == message) {
                tell(message);
                said.push(message.to_owned());
            }
        })?;
        timed.push((task, outcomes));
    }
    match arguments.format {
        Format::Human => print(&text(&setup, &timed)),
        Format::Json => print(&format!("{:#}\n", as_json(&setup, &timed))),
    }
    Ok(())
}

fn text(setup: &Setup, timed: &[(Task, Vec<Outcome>)]) -> String {
    let mut text = format!(
        "{} {}, random weights, {} × {} s, {} threads a side, {} in {}\n",
        setup.model.model_type,
        serde_json::to_value(setup.layout)
            .unwrap_or_default()
            .as_str()
            .unwrap_or_default(),
        setup.batch,
        setup.seconds,
        setup.threads,
        setup.device,
        serde_json::to_value(setup.precision)
            .unwrap_or_default()
            .as_str()
            .unwrap_or_default(),
    );
    for outcome in timed.first().into_iter().flat_map(|(_, outcomes)| outcomes) {
        let _ = writeln!(text, "{}: {}", outcome.side, outcome.versions);
    }
    for (task, outcomes) in timed {
        let _ = writeln!(text);
        let rows: Vec<Vec<String>> = outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| {
                let ratio = |ratio: Option<f64>| if at == 0 { String::new() } else { number(ratio) };
                vec![
                    outcome.side.clone(),
                    number(median(outcome.seconds())),
                    range(outcome),
                    ratio(outcomes[0].ratio_to(outcome)),
                    ratio(outcomes[0].processor_ratio_to(outcome)),
                    outcome
                        .device_bytes
                        .or(outcome.peak_bytes)
                        .map_or_else(|| "–".into(), mib),
                ]
            })
            .collect();
        let header = [
            task.title(),
            "median s",
            "range",
            "emorun / it",
            "processor time",
            "peak memory",
        ];
        text.push_str(&table(&header, &rows));
    }
    text
}

fn as_json(setup: &Setup, timed: &[(Task, Vec<Outcome>)]) -> Value {
    let tasks = timed.iter().map(|(task, outcomes)| {
        let sides = outcomes.iter().map(|outcome| {
            json!({
                "side": outcome.side,
                "versions": outcome.versions,
                "turns": outcome.turns,
                "median_s": median(outcome.seconds()),
                "ratio": outcomes[0].ratio_to(outcome),
                "processor_ratio": outcomes[0].processor_ratio_to(outcome),
                "first_s": outcome.first_s,
                "peak_bytes": outcome.peak_bytes,
                "device_bytes": outcome.device_bytes,
            })
        });
        json!({ "task": task, "sides": sides.collect::<Vec<_>>() })
    });
    json!({ "setup": setup, "tasks": tasks.collect::<Vec<_>>() })
}
