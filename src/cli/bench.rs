//! `emorun bench`: what emorun costs beside its peer.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Format, print};
use crate::bench::cost::{CostSetup, Costs, Trainee, costs, train_own};
use crate::bench::{Outcome, Peer, Setup, Task, median, time, work};
use crate::exit::Failure;
use crate::memory::mib;
use crate::run::report::table;
use crate::smoke::temporary_folder;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time a speech encoder with random weights on the CPU beside the same model in HuggingFace
    /// transformers: forward, and steps of training with more and more of it trained.
    Encoders(Encoders),
    /// Time the training loop itself, with an all but empty network and logging and checkpoints on,
    /// beside a bare PyTorch loop and Lightning.
    Loop(Loop),
}

#[derive(Debug, Args)]
struct Loop {
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

#[derive(Debug, Args)]
struct Encoders {
    /// Architecture.
    #[arg(long, default_value = "hubert", value_parser = ["hubert", "wav2vec2", "wavlm", "data2vec_audio"])]
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

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
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
        What::Loop(arguments) => training_loop(arguments),
    }
}

fn training_loop(arguments: &Loop) -> Result<(), Failure> {
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
        eprintln!("{message}")
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
    };
    let peer = match &arguments.python {
        Some(python) => Peer::Asked(python.clone()),
        None => Peer::Tried("python3".into()),
    };
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
                eprintln!("{message}");
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
        "{} {}, random weights, {} × {} s, {} threads a side\n",
        setup.model.model_type(),
        serde_json::to_value(setup.layout)
            .unwrap_or_default()
            .as_str()
            .unwrap_or_default(),
        setup.batch,
        setup.seconds,
        setup.threads
    );
    let number = |number: Option<f64>| number.map_or_else(|| "–".into(), |number| format!("{number:.3}"));
    for outcome in timed.first().into_iter().flat_map(|(_, outcomes)| outcomes) {
        let _ = writeln!(text, "{}: {}", outcome.side, outcome.versions);
    }
    for (task, outcomes) in timed {
        let _ = writeln!(text);
        let rows: Vec<Vec<String>> = outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| {
                let mut seconds = outcome.seconds();
                seconds.sort_by(f64::total_cmp);
                let ratio = |ratio: Option<f64>| if at == 0 { String::new() } else { number(ratio) };
                vec![
                    outcome.side.clone(),
                    number(median(seconds.clone())),
                    format!(
                        "{}–{}",
                        number(seconds.first().copied()),
                        number(seconds.last().copied())
                    ),
                    ratio(outcomes[0].ratio_to(outcome)),
                    ratio(outcomes[0].processor_ratio_to(outcome)),
                    outcome.peak_bytes.map_or_else(|| "–".into(), mib),
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
                "peak_bytes": outcome.peak_bytes,
            })
        });
        json!({ "task": task, "sides": sides.collect::<Vec<_>>() })
    });
    json!({ "setup": setup, "tasks": tasks.collect::<Vec<_>>() })
}
