//! `emorun bench data`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::{number, parse, peer, range};
use crate::cli::{Format, print};
use emorun_bench::data::{Chain, RATE_HZ, Setup, Timed, find, generate_noise, generate_speech, time, work as work_on};
use emorun_bench::{Outcome, median};
use emorun_engine::exit::Failure;
use emorun_engine::terminal::tell;
use emorun_runs::run::report::table;
use emorun_runs::smoke::temporary_folder;

#[derive(Debug, Args)]
pub(super) struct Data {
    /// Folder with WAV or FLAC files at any depth; generated speech at 48 kHz when left out.
    speech: Option<PathBuf>,
    /// Folder with noise, such as MUSAN; generated noise at 16 kHz when left out.
    #[arg(long, value_name = "FOLDER")]
    noise: Option<PathBuf>,
    /// Files of a pass, evenly from all of the folder.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    items: u16,
    /// Threads of each side, one table each.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Rounds; in each every side has one turn.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repeats: u16,
    /// `light` (without pitch and stretch), `full`, or both when left out.
    #[arg(long, value_delimiter = ',', value_name = "CHAIN", value_parser = parse::<Chain>)]
    chains: Vec<Chain>,
    /// Python with audiomentations, soundfile and soxr; `python3` is tried when left out.
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Be emorun's side of what this file says.
    #[arg(long, hide = true)]
    work: Option<PathBuf>,
}

pub(super) fn data(arguments: &Data) -> Result<(), Failure> {
    if let Some(told) = &arguments.work {
        return work_on(told, std::io::stdin().lock(), std::io::stdout().lock());
    }
    let folder = temporary_folder()?;
    let timed = timed(arguments, &folder);
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!("cannot remove {}: {error}", folder.display());
    }
    let (amount, timed) = timed?;
    match arguments.format {
        Format::Human => print(&text(&amount, &timed)),
        Format::Json => print(&format!("{:#}\n", as_json(&amount, &timed))),
    }
    Ok(())
}

/// What a pass goes over.
#[derive(Serialize)]
struct Amount {
    files: usize,
    seconds: f64,
    rates_hz: BTreeSet<u32>,
}

impl Amount {
    fn of(files: &[PathBuf]) -> Result<Self, Failure> {
        let (mut seconds, mut rates_hz) = (0.0, BTreeSet::new());
        for file in files {
            let info = emorun_audio::probe(file).map_err(|error| Failure::Input(error.to_string()))?;
            seconds += info.duration_s();
            rates_hz.insert(info.rate_hz);
        }
        Ok(Self {
            files: files.len(),
            seconds,
            rates_hz,
        })
    }
}

/// Times everything that was asked for.
fn timed(arguments: &Data, folder: &Path) -> Result<(Amount, Vec<Timed>), Failure> {
    let items = usize::from(arguments.items);
    let made = |name: &str| {
        let made = folder.join(name);
        std::fs::create_dir(&made).map_err(Failure::io("make", &made))?;
        Ok::<_, Failure>(made)
    };
    let speech = match &arguments.speech {
        Some(speech) => std::path::absolute(speech).map_err(Failure::io("find", speech))?,
        None => {
            let speech = made("speech")?;
            generate_speech(&speech, items)?;
            speech
        }
    };
    let noise = match &arguments.noise {
        Some(noise) => std::path::absolute(noise).map_err(Failure::io("find", noise))?,
        None => {
            let noise = made("noise")?;
            generate_noise(&noise)?;
            noise
        }
    };
    let mut setup = Setup {
        files: find(&speech, items)?,
        rate_hz: RATE_HZ,
        chain: Vec::new(),
        threads: 1,
    };
    let amount = Amount::of(&setup.files)?;
    let chains = if arguments.chains.is_empty() {
        &Chain::ALL[..]
    } else {
        &arguments.chains
    };
    let peer = peer(arguments.python.as_deref());
    let mut all = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for &chain in chains {
        for &threads in &arguments.threads {
            setup.chain = chain.steps(&noise);
            setup.threads = threads.into();
            let timed = time(chain, &setup, arguments.repeats.into(), &peer, folder, &mut |message| {
                if !said.iter().any(|said| said == message) {
                    tell(message);
                    said.push(message.to_owned());
                }
            })?;
            all.push(timed);
        }
    }
    Ok((amount, all))
}

fn text(amount: &Amount, all: &[Timed]) -> String {
    let rates: Vec<String> = amount.rates_hz.iter().map(u32::to_string).collect();
    let mut text = format!(
        "{} files, {:.1} s at {} Hz, decoded, brought to {RATE_HZ} Hz and augmented\n",
        amount.files,
        amount.seconds,
        rates.join(" and ")
    );
    for outcome in all.first().into_iter().flat_map(|timed| &timed.outcomes) {
        let _ = writeln!(text, "{}: {}", outcome.side, outcome.versions);
    }
    for timed in all {
        let title = format!("{}, threads: {}", timed.chain.title(), timed.threads);
        let header = [
            title.as_str(),
            "median s",
            "range",
            "files/s",
            "it / emorun",
            "processor time",
        ];
        let rows: Vec<Vec<String>> = timed
            .outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| {
                let seconds = median(outcome.seconds());
                let ratio = |ratio: Option<f64>| if at == 0 { String::new() } else { number(ratio) };
                vec![
                    outcome.side.clone(),
                    number(seconds),
                    range(outcome),
                    seconds.map_or_else(|| "–".into(), |seconds| format!("{:.0}", amount.files as f64 / seconds)),
                    ratio(outcome.ratio_to(&timed.outcomes[0])),
                    ratio(outcome.processor_ratio_to(&timed.outcomes[0])),
                ]
            })
            .collect();
        let _ = writeln!(text);
        text.push_str(&table(&header, &rows));
        // The parts are of one thread, whatever the threads of the passes.
        if timed.threads == 1 {
            let _ = writeln!(text);
            text.push_str(&parts(amount, timed));
        }
    }
    text
}

/// The parts of a pass, changes of pitch and tempo as one: emorun does both in one go.
fn parts(amount: &Amount, timed: &Timed) -> String {
    const WARP: [&str; 2] = ["pitch_shift", "time_stretch"];
    let sides: Vec<Vec<(String, f64)>> = timed
        .parts
        .iter()
        .map(|parts| {
            let mut joined: Vec<(String, f64)> = Vec::new();
            for (name, seconds) in parts {
                let name = if WARP.contains(&name.as_str()) {
                    "pitch and stretch"
                } else {
                    name
                };
                match joined.iter_mut().find(|(known, _)| known == name) {
                    Some((_, sum)) => *sum += seconds,
                    None => joined.push((name.to_owned(), *seconds)),
                }
            }
            joined
        })
        .collect();
    let mut header = vec!["of a file, one thread".to_owned()];
    for outcome in timed.outcomes.iter().take(sides.len()) {
        header.extend([format!("{} ms", outcome.side), "share".into()]);
    }
    header.push("it / emorun".into());
    let rows: Vec<Vec<String>> = sides
        .first()
        .into_iter()
        .flatten()
        .map(|(name, ours)| {
            let mut row = vec![name.clone()];
            let mut ratio = None;
            for side in &sides {
                let all: f64 = side.iter().map(|(_, seconds)| seconds).sum();
                let seconds = side
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, seconds)| *seconds);
                row.push(number(seconds.map(|seconds| 1e3 * seconds / amount.files as f64)));
                row.push(seconds.map_or_else(|| "–".into(), |seconds| format!("{:.0} %", 100.0 * seconds / all)));
                ratio = seconds.map(|seconds| seconds / ours);
            }
            row.push(if sides.len() > 1 { number(ratio) } else { String::new() });
            row
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table(&header, &rows)
}

fn as_json(amount: &Amount, all: &[Timed]) -> Value {
    let chains = all.iter().map(|timed| {
        let side = |(at, outcome): (usize, &Outcome)| {
            json!({
                "side": outcome.side,
                "versions": outcome.versions,
                "turns": outcome.turns,
                "median_s": median(outcome.seconds()),
                "ratio": outcome.ratio_to(&timed.outcomes[0]),
                "processor_ratio": outcome.processor_ratio_to(&timed.outcomes[0]),
                "parts_s": timed.parts.get(at).map(|parts| parts.iter().cloned().collect::<IndexMap<_, _>>()),
            })
        };
        let sides: Vec<Value> = timed.outcomes.iter().enumerate().map(side).collect();
        json!({ "chain": timed.chain, "threads": timed.threads, "sides": sides })
    });
    json!({ "amount": amount, "chains": chains.collect::<Vec<_>>() })
}
