//! Whole runs of the program: the quickstart, one that is killed and resumed, one over two devices.

use std::path::{Path, PathBuf};
use std::time::Instant;

use emorun_engine::device::{Chosen, DeviceRequest, count};
use emorun_engine::exit::Failure;
use serde_json::Value;

use super::part::{program, start};
use super::{Deadline, Part, Request, Row, Verdict};

/// The experiment, as it lies in `experiments/`.
const QUICKSTART: &str = include_str!("../../../../experiments/quickstart.yaml");
/// Unweighted average recall on the test speakers that the quickstart reaches everywhere, whatever the rounding.
const UAR: std::ops::RangeInclusive<f64> = 0.70..=0.97;
/// What makes a run that need not become good a short one.
const SHORT: [&str; 1] = ["training.epochs=4"];
/// The same where a step takes a software device a second.
const SHORTEST: [&str; 4] = [
    "training.epochs=2",
    "training.batch_size=8",
    "datasets.synthetic.speakers=8",
    "datasets.synthetic.utterances=4",
];

/// A run of the quickstart.
struct Run<'a> {
    request: &'a Request,
    label: &'static str,
    sets: Vec<String>,
}

impl Run<'_> {
    fn dir(&self) -> PathBuf {
        self.request.folder.join("runs/quickstart").join(self.label)
    }

    fn command(&self) -> Result<std::process::Command, Failure> {
        let file = self.request.folder.join("quickstart.yaml");
        std::fs::write(&file, QUICKSTART).map_err(Failure::io("write", &file))?;
        let mut command = program()?;
        command.arg("run").arg(file).args(["--device", &self.request.device]);
        command.arg("--runs").arg(self.request.folder.join("runs"));
        command.args(["--run-label", self.label]);
        for set in &self.sets {
            command.args(["--set", set]);
        }
        Ok(command)
    }
}

/// What makes a run short.
fn short(request: &Request) -> Vec<String> {
    let sets: &[&str] = if request.software { &SHORTEST } else { &SHORT };
    sets.iter().map(|set| (*set).to_owned()).collect()
}

/// A field of the summary of a run.
fn summary(dir: &Path, pointer: &str) -> Option<Value> {
    let text = std::fs::read_to_string(dir.join("summary.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?.pointer(pointer).cloned()
}

fn uar(dir: &Path) -> Option<f64> {
    summary(dir, "/splits/test/heads/emotion/uar")?.as_f64()
}

/// Trains the quickstart.
///
/// # Errors
/// The program cannot be started.
pub fn quickstart(request: &Request, deadline: Deadline, add: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let run = Run {
        request,
        label: "whole",
        sets: if request.software { short(request) } else { Vec::new() },
    };
    // In two epochs on a few items nothing is learnt: there it is shown that all of it runs.
    let (what, range) = if request.software {
        ("2 epochs on 32 items", 0.0..=1.0)
    } else {
        ("20 epochs", UAR)
    };
    let started = Instant::now();
    let ended = start(run.command()?)?.end(deadline.left());
    let seconds = started.elapsed().as_secs_f64();
    let row = match (ended.failure, uar(&run.dir())) {
        (Some(why), _) => Row::new(Part::Quickstart, what, Verdict::Failed, why),
        (None, None) => Row::new(Part::Quickstart, what, Verdict::Failed, "no UAR in summary.json"),
        (None, Some(uar)) => {
            let found = format!("test UAR {uar:.3}; {seconds:.0} s");
            Row::proof(Part::Quickstart, what, range.contains(&uar), found)
                .with("uar", uar)
                .with("seconds", seconds)
        }
    };
    add(row);
    Ok(())
}

/// Kills a run after a checkpoint and resumes it.
///
/// # Errors
/// The program cannot be started.
pub fn resume(request: &Request, deadline: Deadline, add: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let what = "killed after a checkpoint, resumed";
    let run = |label| Run {
        request,
        label,
        sets: short(request),
    };
    let killed = run("killed");
    let checkpoints = killed.dir().join("checkpoints");
    let has_checkpoint =
        || std::fs::read_dir(&checkpoints).is_ok_and(|mut entries| entries.any(|entry| is_whole(entry.ok())));
    let mut running = start(killed.command()?)?;
    let status = running.wait(deadline.left(), || !has_checkpoint());
    running.kill();
    let before = running.end(std::time::Duration::ZERO);
    if !has_checkpoint() {
        let why = match status {
            Some(status) => format!("ended with {status} before its first checkpoint"),
            None => before.failure.unwrap_or_default(),
        };
        add(Row::new(Part::Resume, what, Verdict::Failed, why));
        return Ok(());
    }
    let mut command = program()?;
    command
        .arg("resume")
        .arg(killed.dir())
        .args(["--device", &request.device]);
    let ended = start(command)?.end(deadline.left());
    if let Some(why) = ended.failure {
        add(Row::new(Part::Resume, what, Verdict::Failed, why));
        return Ok(());
    }
    let whole = run("short");
    let ended = start(whole.command()?)?.end(deadline.left());
    let (resumed, uncut) = (uar(&killed.dir()), uar(&whole.dir()));
    let row = match (ended.failure, resumed.zip(uncut)) {
        (Some(why), _) => Row::new(
            Part::Resume,
            what,
            Verdict::Failed,
            format!("the run to compare with: {why}"),
        ),
        (None, None) => Row::new(Part::Resume, what, Verdict::Failed, "no UAR in summary.json"),
        (None, Some((resumed, uncut))) => {
            let same = predictions(&killed.dir()).is_some_and(|own| Some(own) == predictions(&whole.dir()));
            // The same bits are promised on the CPU alone.
            let holds = same || (request.device != "cpu" && (request.software || (resumed - uncut).abs() <= 0.1));
            let bits = if same {
                "the same predictions"
            } else {
                "other predictions"
            };
            let found = format!("test UAR {resumed:.3}, {uncut:.3} uncut: {bits}");
            Row::proof(Part::Resume, what, holds, found)
                .with("uar", resumed)
                .with("uar_uncut", uncut)
                .with("same_predictions", same)
        }
    };
    add(row);
    Ok(())
}

/// Whether an entry of the folder of checkpoints has its own name, which it has when it is whole.
fn is_whole(entry: Option<std::fs::DirEntry>) -> bool {
    entry.is_some_and(|entry| entry.file_name().to_string_lossy().starts_with("step"))
}

fn predictions(dir: &Path) -> Option<Vec<u8>> {
    std::fs::read(dir.join("report/predictions.emotion.csv")).ok()
}

/// Trains over two devices, where there are two.
///
/// # Errors
/// The program cannot be started.
pub fn devices(
    request: &Request,
    chosen: &Chosen,
    deadline: Deadline,
    add: &mut dyn FnMut(Row),
) -> Result<(), Failure> {
    let what = "training.devices: 2";
    let asked: DeviceRequest = request.device.parse().map_err(Failure::Usage)?;
    if chosen.kind() != "cpu" && count(asked) < 2 {
        add(Row::new(Part::Devices, what, Verdict::LeftOut, "there is one device"));
        return Ok(());
    }
    let run = Run {
        request,
        label: "devices",
        sets: [short(request), vec!["training.devices=2".into()]].concat(),
    };
    let ended = start(run.command()?)?.end(deadline.left());
    add(match (ended.failure, uar(&run.dir())) {
        (None, Some(uar)) => Row::proof(Part::Devices, what, uar.is_finite(), format!("test UAR {uar:.3}")),
        (why, _) => Row::new(
            Part::Devices,
            what,
            Verdict::Failed,
            why.unwrap_or_else(|| "no UAR".into()),
        ),
    });
    Ok(())
}
