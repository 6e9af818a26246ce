//! Every operation on a run's files fails, or is the last before a kill, in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use emorun_engine::device::{Chosen, DeviceRequest, choose};
use emorun_engine::exit::{ExitCode, Failure};
use emorun_experiment::prepare::{Depth, Prepared, Source, prepare_with};
use emorun_files::{Files, Operation, Verdict, Watch};
use emorun_runs::run::dir::RunDir;
use emorun_runs::run::fallen::Retry;
use emorun_runs::run::parent::{Finished, Place, resume, start};
use emorun_runs::verify::compare;

use crate::networks::turn;
use crate::support::{Lab, json, metrics};

/// Set to try every single operation; otherwise, of those alike, some are.
const ALL: &str = "EMORUN_FAULTS_ALL";
/// Tried of the operations that are alike: that differ in nothing but the step or the tag.
const OF_A_KIND: usize = 3;

/// Two epochs of two steps, each step a checkpoint.
const SMALL: [&str; 4] = [
    "training.epochs=2",
    "training.batch_size=12",
    "encoders.crnn.channels=[2]",
    "datasets.synthetic.utterances=2",
];

/// What happens to the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It fails; the next ones do not.
    Fails,
    /// Half of it is done, then it fails; the next ones do not.
    IsCut,
    /// Half of it is done, and the process with it.
    Kills,
}

/// An operation of a run: what it is on which file, and how many of the same came before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    operation: Operation,
    file: String,
    number: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({})", self.operation, self.file, self.number + 1)
    }
}

impl Point {
    /// The same without numbers: operations alike.
    fn kind(&self) -> (Operation, String) {
        let file = self.file.chars().filter(|c| !c.is_ascii_digit()).collect();
        (self.operation, file)
    }

    fn is_of_events(&self) -> bool {
        self.file.ends_with("tfevents")
    }
}

/// Watches a run, and lets one operation go wrong.
#[derive(Debug)]
struct Script {
    root: PathBuf,
    at: Option<(Point, How)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: BTreeMap<(Operation, String), usize>,
    points: Vec<Point>,
    reached: bool,
    dead: bool,
}

impl Script {
    fn new(root: &Path, at: Option<(Point, How)>) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            at,
            state: Mutex::default(),
        })
    }
}

impl Watch for Script {
    fn before(&self, operation: Operation, path: &Path) -> Verdict {
        let mut state = self.state.lock().unwrap();
        if state.dead {
            return Verdict::Fail(io::Error::other("killed"));
        }
        let file = path.strip_prefix(&self.root).unwrap().display().to_string();
        // The rest of the name is the time, the machine and the process.
        let file = match file.split_once("tfevents") {
            Some((before, _)) => format!("{before}tfevents"),
            None => file,
        };
        let number = state.seen.entry((operation, file.clone())).or_default();
        let point = Point {
            operation,
            file,
            number: *number,
        };
        *number += 1;
        let verdict = match &self.at {
            Some((at, how)) if *at == point => {
                state.reached = true;
                state.dead = *how == How::Kills;
                // The two errors that disks give.
                let error = if point.number.is_multiple_of(2) {
                    io::Error::from(io::ErrorKind::StorageFull)
                } else {
                    io::Error::from_raw_os_error(5)
                };
                match how {
                    How::Fails => Verdict::Fail(error),
                    How::IsCut | How::Kills => Verdict::BreakOff(error),
                }
            }
            _ => Verdict::Go,
        };
        state.points.push(point);
        verdict
    }
}

/// A small experiment and the device to run it on.
struct Bench {
    prepared: Prepared,
    device: Chosen,
}

impl Bench {
    fn start(&self, runs: &Path, files: Files) -> Result<Finished, Failure> {
        let place = Place {
            runs: runs.to_owned(),
            label: Some("run".into()),
            files,
        };
        start(&self.prepared, &place, &self.device)
    }

    /// As `emorun resume`, or `emorun run` again where there is nothing to resume.
    fn go_on(&self, runs: &Path) -> Result<Finished, Failure> {
        let dir = runs.join("tiny/run");
        if !dir.join("run.json").is_file() {
            return self.start(runs, Files::default());
        }
        let dir = RunDir::open(&dir, &Files::default())?;
        resume(&self.prepared, &dir, &self.device, Retry::Failed)
    }
}

/// One operation goes wrong in one way; gives what is wrong with what came of it.
fn outcome(bench: &Bench, point: &Point, how: How, whole: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let run = runs.join("tiny/run");
    let script = Script::new(runs, Some((point.clone(), how)));
    let first = bench.start(runs, Files::watched(script.clone()));
    if !script.state.lock().unwrap().reached {
        return Err("was not come to".into());
    }
    match &first {
        Ok(_) => {
            let record = json(run.join("run.json"));
            let unlogged = record["unlogged"].as_u64().unwrap();
            let lost = point.is_of_events() && point.operation == Operation::Write;
            if lost && unlogged == 0 {
                return Err("no event is said to be lost".into());
            }
            if unlogged > 0 && !point.is_of_events() {
                return Err(format!("{unlogged} lines or events are said to be lost"));
            }
        }
        Err(_) if how == How::Kills => {}
        Err(failure) => {
            let message = failure.to_string();
            if failure.code() != ExitCode::Io {
                return Err(format!("exit code {:?}: {message}", failure.code()));
            }
            let name = Path::new(&point.file).file_name().unwrap().to_str().unwrap();
            if !message.starts_with("cannot ") || !message.contains(name) {
                return Err(format!("`{message}` does not name {name}"));
            }
            let is_log = point.is_of_events() || ["metrics.jsonl", "log.txt"].contains(&name);
            if is_log && point.operation != Operation::Create && point.operation != Operation::Truncate {
                return Err(format!("the log has stopped training: {message}"));
            }
        }
    }
    if first.is_err() {
        bench.go_on(runs).map_err(|failure| format!("not resumed: {failure}"))?;
    }
    let differences = compare(whole, &run, &mut BTreeMap::new()).map_err(|failure| failure.to_string())?;
    let allowed = |difference: &String| {
        // What TensorBoard was not told; an old checkpoint that could not be removed.
        (first.is_ok() && point.is_of_events() && difference.starts_with("TensorBoard scalars"))
            || (point.operation == Operation::Rename && difference.starts_with("checkpoints: "))
    };
    match differences.into_iter().find(|difference| !allowed(difference)) {
        Some(difference) => Err(format!("differs: {difference}")),
        None if json(run.join("run.json"))["status"] != "completed" => Err("is not completed".into()),
        None if json(run.join("summary.json"))["splits"] != json(whole.join("summary.json"))["splits"] => {
            Err("has another summary".into())
        }
        None => Ok(()),
    }
}

/// The points to try: all, or of each kind the first, one in the middle and the last.
fn chosen(points: Vec<Point>) -> Vec<Point> {
    if std::env::var_os(ALL).is_some() {
        return points;
    }
    let mut kinds: BTreeMap<(Operation, String), Vec<Point>> = BTreeMap::new();
    for point in points {
        kinds.entry(point.kind()).or_default().push(point);
    }
    kinds
        .into_values()
        .flat_map(|alike| {
            let places: BTreeSet<usize> = (0..OF_A_KIND)
                .map(|at| at * (alike.len() - 1) / (OF_A_KIND - 1))
                .collect();
            places.into_iter().map(|at| alike[at].clone()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn whichever_operation_on_files_fails_the_run_goes_on_or_can_be_resumed_to_the_same_bits() {
    let _turn = turn();
    let lab = Lab::new();
    let source = Source {
        path: lab.path("crnn.yaml"),
        sets: SMALL.map(str::to_owned).to_vec(),
        offline: true,
    };
    let bench = Bench {
        prepared: prepare_with(&source, Depth::Deep, None, &mut |_, _| {}).unwrap(),
        device: choose(DeviceRequest::Cpu).unwrap(),
    };
    let runs = lab.path("runs");
    let script = Script::new(&runs, None);
    let whole = bench.start(&runs, Files::watched(script.clone())).unwrap().dir;
    assert_eq!(metrics(&whole).len(), 4 + 4 + 3);
    let points = std::mem::take(&mut script.state.lock().unwrap().points);
    for file in [
        "tiny/run/run.partial",
        "tiny/run/summary.partial",
        "tiny/run/metrics.jsonl",
        "tiny/run/events.out.tfevents",
        "tiny/run/checkpoints/.step-3.partial/optimizer.safetensors",
        "model_runs.partial",
    ] {
        let written = |point: &Point| point.operation == Operation::Write && point.file == file;
        assert!(points.iter().any(written), "{file} is not written through the layer");
    }
    let all = points.len();
    let points = chosen(points);
    let mut wrong = Vec::new();
    let mut tried = 0;
    for point in &points {
        for how in [How::Fails, How::IsCut, How::Kills] {
            // Half of anything else is nothing: that is how it fails.
            if how == How::IsCut && point.operation != Operation::Write {
                continue;
            }
            tried += 1;
            if let Err(message) = outcome(&bench, point, how, &whole) {
                wrong.push(format!("{point} {how:?}: {message}"));
            }
        }
    }
    println!("{tried} faults at {} of {all} operations", points.len());
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}
