//! Timing emorun beside its peers: an encoder beside the same model in HuggingFace transformers here, the way
//! from files to what a network hears in [`data`].
//!
//! Every side is a process of its own that makes one pass or step when asked, so that time and memory
//! of all sides are taken alike, from outside. Sides take turns: what the machine does beside hits
//! all of them, and each round gives a ratio of its own.

pub mod cost;
pub mod data;
pub mod gpu_check;
mod side;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use emorun_engine::exit::Failure;
use emorun_nn::precision::Precision;
use emorun_pretrained::families::{self, Family};
use emorun_pretrained::known::Layout;
pub use side::Side;
pub use worker::work;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The encoder alone, without gradients.
    Forward,
    /// A step of training a head on the frozen encoder.
    Frozen,
    /// A step of training everything but the convolutional front end.
    Transformer,
    /// A step of training everything.
    Full,
}

impl Task {
    /// All tasks, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Frozen, Self::Transformer, Self::Full];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Frozen => "frozen",
            Self::Transformer => "transformer",
            Self::Full => "full",
        }
    }

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Frozen => "step, encoder frozen",
            Self::Transformer => "step, front end frozen",
            Self::Full => "step, everything trains",
        }
    }
}

/// What every side is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Architecture.
    pub model: Family,
    /// Its sizes.
    pub layout: Layout,
    /// Items of a batch.
    pub batch: usize,
    /// Length of each item in seconds, at 16 kHz.
    pub seconds: f64,
    /// Threads of each side.
    pub threads: usize,
    /// emorun's device, as it stands on the command line. The peers compute on CUDA where this is a device of CUDA's, else
    /// on the CPU.
    pub device: String,
    /// Precision of products.
    pub precision: Precision,
}

impl Setup {
    /// Samples of each item.
    pub fn samples(&self) -> usize {
        (self.seconds * f64::from(SAMPLE_RATE_HZ)).round() as usize
    }
}

/// Names of the architectures that can be timed.
pub fn models() -> impl Iterator<Item = &'static str> {
    families::ALL.into_iter().map(|family| family.kind)
}

/// The rate that all encoders take.
const SAMPLE_RATE_HZ: u32 = 16_000;
/// Rounds that are not counted: memory is taken and caches are filled.
const WARM_UP: usize = 2;
/// Rest before each turn, in which the other sides' threads fall asleep.
const REST: Duration = Duration::from_millis(30);

/// One pass or step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// Time by the clock, in seconds.
    pub seconds: f64,
    /// Time on all processors together, in seconds; `None` where the system does not say.
    pub processor_seconds: Option<f64>,
}

/// A side's turns at one task.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Name of the side.
    pub side: String,
    /// Its libraries and their versions.
    pub versions: String,
    /// Time of the very first turn, in seconds: kernels are compiled and memory is taken in it.
    pub first_s: f64,
    /// One a round.
    pub turns: Vec<Turn>,
    /// Most memory of a GPU that it held, in bytes; `None` on the CPU.
    pub device_bytes: Option<u64>,
    /// Largest resident memory in bytes; `None` where the system does not say.
    pub peak_bytes: Option<u64>,
}

impl Outcome {
    /// Seconds of each round.
    pub fn seconds(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| turn.seconds).collect()
    }

    /// Median over the rounds of this side's time over the other's.
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        let pairs = self.turns.iter().zip(&other.turns);
        median(pairs.map(|(turn, other)| turn.seconds / other.seconds).collect())
    }

    /// As [`Outcome::ratio_to`], of the time on processors.
    pub fn processor_ratio_to(&self, other: &Self) -> Option<f64> {
        let pairs = self.turns.iter().zip(&other.turns);
        let ratios = pairs.map(|(turn, other)| Some(turn.processor_seconds? / other.processor_seconds?));
        median(ratios.collect::<Option<_>>()?)
    }
}

/// The middle of some numbers, of an even count the mean of both; `None` of none.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match (numbers.get(middle), numbers.len() % 2) {
        (Some(&number), 1) => Some(number),
        (Some(&number), _) => Some((numbers[middle - 1] + number) / 2.0),
        (None, _) => None,
    }
}

/// Which interpreter has the peer.
#[derive(Clone, Debug)]
pub enum Peer {
    /// This one, or the bench fails.
    Asked(PathBuf),
    /// This one, if it can.
    Tried(PathBuf),
}

/// Times a task on all sides; `say` hears when counting begins and why the peer is left out.
///
/// # Errors
/// A side does not start or stops; the peer only if it was asked for.
pub fn time(
    task: Task,
    setup: &Setup,
    rounds: usize,
    peer: &Peer,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, Failure> {
    let mut sides = vec![Side::emorun(task, setup)?];
    let (Peer::Asked(python) | Peer::Tried(python)) = peer;
    match Side::peers(task, setup, python) {
        Ok(peers) => sides.extend(peers),
        Err(failure) if matches!(peer, Peer::Asked(_)) => return Err(failure),
        Err(failure) => say(&format!("{failure}; emorun is timed alone")),
    }
    take_turns(&mut sides, rounds, task.name(), say)
}

/// Lets each side have its turn in every round; `say` hears when counting begins.
fn take_turns(
    sides: &mut [Side],
    rounds: usize,
    name: &str,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, Failure> {
    let mut turns = vec![Vec::with_capacity(rounds); sides.len()];
    let mut first = vec![0.0; sides.len()];
    for round in 0..WARM_UP + rounds {
        if round == WARM_UP {
            say(&format!("{name}: {rounds} rounds"));
        }
        // Another side begins each round, so that none is always behind the same.
        for at in 0..sides.len() {
            let at = (at + round) % sides.len();
            std::thread::sleep(REST);
            let turn = sides[at].turn()?;
            if round == 0 {
                first[at] = turn.seconds;
            }
            if round >= WARM_UP {
                turns[at].push(turn);
            }
        }
    }
    Ok(sides
        .iter()
        .zip(turns)
        .zip(first)
        .map(|((side, turns), first_s)| Outcome {
            side: side.name().to_owned(),
            versions: side.versions().to_owned(),
            first_s,
            turns,
            device_bytes: side.device_bytes(),
            peak_bytes: side.peak_bytes(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seconds: &[f64]) -> Outcome {
        let turn = |&seconds: &f64| Turn {
            seconds,
            processor_seconds: Some(2.0 * seconds),
        };
        Outcome {
            side: String::new(),
            versions: String::new(),
            first_s: 0.0,
            device_bytes: None,
            turns: seconds.iter().map(turn).collect(),
            peak_bytes: None,
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        // The slow second round hits both sides: the ratio of medians would be 3/4.
        let (ours, theirs) = (outcome(&[1.0, 9.0, 3.0]), outcome(&[2.0, 10.0, 4.0]));
        assert_eq!(ours.ratio_to(&theirs), Some(0.75));
        let (ours, theirs) = (outcome(&[1.0, 9.0, 3.0]), outcome(&[2.0, 10.0, 3.0]));
        assert_eq!(ours.ratio_to(&theirs), Some(0.9));
        assert_eq!(ours.processor_ratio_to(&theirs), Some(0.9));
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
