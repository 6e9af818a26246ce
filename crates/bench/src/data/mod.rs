//! Timing the way from files to what a network hears, decoding, resampling and the augmentation of system 1,
//! beside soundfile, soxr and audiomentations.

mod speech;
mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Outcome, Peer, Side, take_turns};
use emorun_engine::exit::Failure;
pub use speech::{find, generate_noise, generate_speech};
pub use worker::work;

/// The peer's program.
const PEER: &str = include_str!("peer.py");
/// The rate that networks take.
pub const RATE_HZ: u32 = 16_000;
/// Passes that give the share of each part.
const PARTS_PASSES: usize = 3;

/// What is done with each file after it is decoded and resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    /// All augmentations of system 1.
    Full,
    /// All but the changes of pitch and tempo, which cost both sides the same code.
    Light,
}

impl Chain {
    /// All chains, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Light, Self::Full];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Light => "light",
        }
    }

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Full => "full chain",
            Self::Light => "without pitch and stretch",
        }
    }

    /// Its augmentations with their fields, in the order of the published system.
    pub fn steps(self, noise: &Path) -> Vec<Value> {
        let mut steps = vec![
            json!({ "kind": "background_noise", "root": noise, "snr_db": [5, 20], "p": 0.3 }),
            json!({ "kind": "gain", "gain_db": [-6, 6], "p": 0.5 }),
        ];
        if self == Self::Full {
            steps.push(json!({ "kind": "pitch_shift", "semitones": [-4, 4], "p": 0.5 }));
            steps.push(json!({ "kind": "time_stretch", "rate": [0.8, 1.2], "p": 0.5 }));
        }
        steps.push(json!({ "kind": "gaussian_noise", "level": { "amplitude": [0.005, 0.005] }, "p": 0.5 }));
        steps.push(json!({ "kind": "random_crop", "seconds": [2, 3], "p": 1.0 }));
        steps
    }
}

/// What every side is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The files of a pass.
    pub files: Vec<PathBuf>,
    /// Rate that they are brought to, in Hz.
    pub rate_hz: u32,
    /// Augmentations with their fields.
    pub chain: Vec<Value>,
    /// Threads of each side.
    pub threads: usize,
}

/// What a chain cost on some threads.
#[derive(Clone, Debug, Serialize)]
pub struct Timed {
    /// The chain.
    pub chain: Chain,
    /// Threads of each side.
    pub threads: usize,
    /// Every side's turns; emorun is the first.
    pub outcomes: Vec<Outcome>,
    /// For each side the parts of a pass on one thread with the seconds that they took, of emorun and the first
    /// peer.
    pub parts: Vec<Vec<(String, f64)>>,
}

/// Times a chain on all sides; `folder` is for what the sides are told. `say` hears when counting begins and why
/// the peer is left out.
///
/// # Errors
/// A side does not start or stops; the peer only if it was asked for.
pub fn time(
    chain: Chain,
    setup: &Setup,
    rounds: usize,
    peer: &Peer,
    folder: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Timed, Failure> {
    let told = folder.join(format!("{}-{}.json", chain.name(), setup.threads));
    let text = serde_json::to_string(setup).map_err(|error| Failure::Bug(error.to_string()))?;
    std::fs::write(&told, text).map_err(Failure::io("write", &told))?;
    let mut sides = vec![emorun(&told)?];
    let (Peer::Asked(python) | Peer::Tried(python)) = peer;
    match peers(&told, setup.threads, python) {
        Ok(peers) => sides.extend(peers),
        Err(failure) if matches!(peer, Peer::Asked(_)) => return Err(failure),
        Err(failure) => say(&format!("{failure}; emorun is timed alone")),
    }
    let name = format!("{}, threads: {}", chain.title(), setup.threads);
    let mut outcomes = take_turns(&mut sides, rounds, &name, say)?;
    // The system counts the time of a side's own threads, not that of processes that it has started.
    for turn in outcomes.iter_mut().skip(2).flat_map(|processes| &mut processes.turns) {
        turn.processor_seconds = None;
    }
    let parts = sides.iter_mut().take(2).map(parts).collect::<Result<_, _>>()?;
    Ok(Timed {
        chain,
        threads: setup.threads,
        outcomes,
        parts,
    })
}

fn emorun(told: &Path) -> Result<Side, Failure> {
    let program = std::env::current_exe().map_err(Failure::io("find", Path::new("emorun")))?;
    let mut command = Command::new(program);
    command.args(["bench", "data", "--work"]).arg(told);
    Side::start("emorun", command)?.ready()
}

/// On several threads the peer is timed with threads, which wait for each other in the interpreter, and with as many
/// processes, whose results are not even handed over.
fn peers(told: &Path, threads: usize, python: &Path) -> Result<Vec<Side>, Failure> {
    let start = |name, how: &str| {
        let mut command = Command::new(python);
        command.args(["-c", PEER]).arg(told).arg(how);
        for library in ["OMP", "OPENBLAS", "MKL", "NUMBA"] {
            command.env(format!("{library}_NUM_THREADS"), "1");
        }
        Side::start(name, command)
    };
    let mut sides = vec![start("audiomentations", "threads")?];
    if threads > 1 {
        sides.push(start("audiomentations, processes", "processes")?);
    }
    sides.into_iter().map(Side::ready).collect()
}

/// Seconds of each part of a pass, the median of some.
fn parts(side: &mut Side) -> Result<Vec<(String, f64)>, Failure> {
    let mut passes = Vec::new();
    for _ in 0..PARTS_PASSES {
        let answer = side.ask("parts")?;
        let parts: Map<String, Value> = serde_json::from_str(&answer)
            .map_err(|_| Failure::Input(format!("{}: answers `{answer}` for the parts of a pass", side.name())))?;
        passes.push(parts);
    }
    let names: Vec<String> = passes
        .first()
        .map(|parts| parts.keys().cloned().collect())
        .unwrap_or_default();
    let seconds = |name: &String| {
        let of = passes.iter().filter_map(|parts| parts.get(name)?.as_f64());
        super::median(of.collect()).unwrap_or_default()
    };
    Ok(names.iter().map(|name| (name.clone(), seconds(name))).collect())
}
