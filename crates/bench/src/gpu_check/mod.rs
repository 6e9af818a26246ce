//! `emorun gpu-check`: everything that a device must prove before results on it are believed.
//!
//! Every part is a process of its own with a time limit, so that a driver that crashes or hangs costs its part alone.
//! `kinds` holds each kind's values and gradients against the CPU's, `steps` trains a small network for hundreds of
//! steps with fusion and without, `whole_runs` runs the quickstart, kills and resumes it, and `encoders` times HuBERT
//! beside PyTorch.

mod device;
mod encoders;
mod kinds;
mod part;
mod steps;
mod whole_runs;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use emorun_engine::device::{Chosen, DeviceRequest};
use emorun_engine::exit::Failure;

pub use steps::Fusion;

/// What a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Proved,
    /// It does not hold, or could not be tried to the end.
    Failed,
    /// A figure, which proves nothing.
    Measured,
    /// It was not tried.
    LeftOut,
}

impl Verdict {
    /// The verdict in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Failed => "FAILED",
            Self::Measured => "measured",
            Self::LeftOut => "left out",
        }
    }
}

/// A line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The part that it belongs to.
    pub part: String,
    /// What was tried.
    pub what: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, or why it failed or was left out.
    pub found: String,
    /// The figures in it, by name with their unit.
    #[serde(default)]
    pub numbers: Map<String, Value>,
}

impl Row {
    fn new(part: Part, what: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            part: part.name().to_owned(),
            what: what.into(),
            verdict,
            found: found.into(),
            numbers: Map::new(),
        }
    }

    /// A row of something that holds or not.
    fn proof(part: Part, what: impl Into<String>, holds: bool, found: impl Into<String>) -> Self {
        let verdict = if holds { Verdict::Proved } else { Verdict::Failed };
        Self::new(part, what, verdict, found)
    }

    fn with(mut self, name: &str, number: impl Into<Value>) -> Self {
        self.numbers.insert(name.to_owned(), number.into());
        self
    }
}

/// The parts, each a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The device, its driver and headers.
    Device,
    /// Values and gradients of each kind.
    Kinds,
    /// Hundreds of steps, with fusion and without.
    Steps,
    /// The quickstart.
    Quickstart,
    /// A run that is killed and resumed.
    Resume,
    /// A training over two devices.
    Devices,
    /// HuBERT beside PyTorch.
    Encoders,
}

impl Part {
    /// All parts, in the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::Device,
        Self::Kinds,
        Self::Steps,
        Self::Quickstart,
        Self::Resume,
        Self::Devices,
        Self::Encoders,
    ];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Kinds => "kinds",
            Self::Steps => "steps",
            Self::Quickstart => "quickstart",
            Self::Resume => "resume",
            Self::Devices => "devices",
            Self::Encoders => "encoders",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The device as it stands on the command line.
    pub device: String,
    /// Small sizes.
    pub small: bool,
    /// A GPU's interface, played by the CPU: whole runs are as short as can be.
    pub software: bool,
    /// Python that may have torch and transformers.
    pub python: PathBuf,
    /// Empty folder for runs.
    pub folder: PathBuf,
}

/// What a part that runs in a process of its own is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Small sizes.
    pub small: bool,
    /// Of [`Part::Steps`]: width of the network.
    pub width: usize,
    /// Of [`Part::Steps`]: how many.
    pub steps: usize,
}

/// Longest that all parts together take.
const LONGEST: Duration = Duration::from_secs(470);

/// The deadline of the parts to come.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Tries everything; `on_row` hears of each row as it comes.
///
/// # Errors
/// The device is not there, or the program itself cannot be started.
pub fn check(request: &Request, chosen: &Chosen, on_row: &mut dyn FnMut(&Row)) -> Result<Vec<Row>, Failure> {
    let deadline = Deadline(Instant::now() + LONGEST);
    let mut rows = Vec::new();
    for part in Part::ALL {
        let started = Instant::now();
        let mut add = |row: Row| {
            on_row(&row);
            rows.push(row);
        };
        if deadline.left() < Duration::from_secs(5) {
            let spent = format!("no time is left of {} s", LONGEST.as_secs());
            add(Row::new(part, "all of it", Verdict::LeftOut, spent));
            continue;
        }
        match part {
            Part::Device | Part::Kinds => part::rows_of(part, request, deadline, &mut add)?,
            Part::Steps => steps::compare(request, chosen, deadline, &mut add)?,
            Part::Quickstart => whole_runs::quickstart(request, deadline, &mut add)?,
            Part::Resume => whole_runs::resume(request, deadline, &mut add)?,
            Part::Devices => whole_runs::devices(request, chosen, deadline, &mut add)?,
            Part::Encoders => encoders::time_all(request, chosen, deadline, &mut add),
        }
        let seconds = started.elapsed().as_secs_f64();
        add(Row::new(part, "time of this part", Verdict::Measured, format!("{seconds:.1} s")).with("seconds", seconds));
    }
    Ok(rows)
}

/// Be a part: writes its rows, a line of JSON each.
///
/// # Errors
/// The part cannot be tried at all.
pub fn work(
    part: Part,
    told: &Told,
    chosen: &Chosen,
    request: DeviceRequest,
    write: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let mut add = |row: Row| {
        if let Ok(line) = serde_json::to_string(&row) {
            write(&format!("{line}\n"));
        }
    };
    match part {
        Part::Device => device::describe(chosen, request, &mut add),
        Part::Kinds => kinds::compare(chosen, &mut add),
        Part::Steps => {
            let trained = steps::train(&chosen.device, told)?;
            let line = serde_json::to_string(&trained).map_err(|error| Failure::Bug(error.to_string()))?;
            write(&format!("{line}\n"));
        }
        Part::Quickstart | Part::Resume | Part::Devices | Part::Encoders => {
            return Err(Failure::Usage(format!(
                "`{}` is no part of its own process",
                part.name()
            )));
        }
    }
    Ok(())
}

/// Whether a device of PyTorch's could be the same.
fn is_cuda(chosen: &Chosen) -> bool {
    chosen.kind() == "cuda"
}

/// Waits until a device has done all that it was given.
pub(crate) fn wait_for(device: &Device) -> Result<(), Failure> {
    device
        .sync()
        .map_err(|error| Failure::Bug(format!("the device has failed: {error:?}")))
}
