//! Proof, on an experiment of one's own, that a run that is killed goes on to the same bits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use emorun_tensorboard::{EventValue, read_events};
use rand::RngExt;
use serde_json::Value;

use crate::run::batch_size;
use crate::run::dir::read_json;
use crate::run::record::RunRecord;
use emorun_engine::exit::Failure;
use emorun_engine::train::interrupt;
use emorun_engine::train::progress::say;
use emorun_nn::draw::DrawKey;

/// What to verify.
#[derive(Debug)]
pub struct Request<'a> {
    /// The experiment file.
    pub experiment: &'a Path,
    /// `path=value` arguments.
    pub sets: &'a [String],
    /// Further arguments of `emorun run` and `emorun resume`, such as `--offline`.
    pub options: &'a [String],
    /// How often the second run is killed at most: it may come to its end before.
    pub kills: u32,
    /// Empty folder for both runs.
    pub folder: &'a Path,
}

/// What was found.
#[derive(Debug)]
pub struct Verified {
    /// Moments at which the second run was killed, in seconds after it was started or resumed.
    pub kills: Vec<f64>,
    /// What was compared, and how many of each.
    pub compared: BTreeMap<&'static str, usize>,
    /// What differs, a line each; nothing if the proof holds.
    pub differences: Vec<String>,
}

/// How often it is asked whether a process has ended.
const POLL: Duration = Duration::from_millis(2);

/// Runs the experiment twice, once to its end and once killed (SIGKILL) at random moments and resumed
/// each time with another number of loader workers, and compares everything but clock readings.
///
/// # Errors
/// A run fails by itself; its message is in what the child wrote to stderr, which is shown.
pub fn verify_resume(request: &Request<'_>) -> Result<Verified, Failure> {
    let whole = Runs::new(request, "whole");
    say("the whole run");
    let (start_s, training_s) = whole.timed()?;
    let longest_s = longest_life_s(start_s, training_s, request.kills);
    let cut = Runs {
        settled: settled(&whole.dir()?)?,
        ..Runs::new(request, "killed")
    };
    let mut kills = Vec::new();
    let mut draw = DrawKey::root(u64::from(request.kills)).with("verify").rng();
    for number in 1..=request.kills {
        let after = longest_s * draw.random::<f64>();
        let mut child = cut.spawn(&cut.next(u64::from(number))?)?;
        match wait(&mut child, Some(Duration::from_secs_f64(after)))? {
            None => {
                child.kill().map_err(Failure::io("kill", request.experiment))?;
                child.wait().map_err(Failure::io("wait for", request.experiment))?;
                say(&format!("killed {number} of {} after {after:.2} s", request.kills));
                kills.push(after);
            }
            Some(status) if status.success() => break,
            Some(status) => return Err(cut.failed(status)),
        }
    }
    say("to its end");
    cut.to_the_end(&cut.next(0)?)?;
    let mut compared = BTreeMap::new();
    let differences = compare(&whole.dir()?, &cut.dir()?, &mut compared)?;
    Ok(Verified {
        kills,
        compared,
        differences,
    })
}

/// Longest life of a process that lives for a random time, if so many of them are to do half of a
/// training together, each after as long a start.
///
/// Of a life of up to `L = start + l`, training takes `l² / 2L` on average; what was done since the
/// last checkpoint is done again, which the other half allows for.
fn longest_life_s(start_s: f64, training_s: f64, kills: u32) -> f64 {
    let share = training_s / f64::from(kills.max(1));
    start_s + (share + (share * share + 4.0 * share * start_s).sqrt()) / 2.0
}

/// Numbers of loader workers, one after another.
const WORKERS: [u64; 4] = [2, 1, 3, 4];

/// What a run found out of the machine as it was then, which another one would find different.
fn settled(dir: &Path) -> Result<Vec<String>, Failure> {
    let record: RunRecord = read_json(&dir.join("run.json"))?;
    let seconds = batch_size::of(&record);
    Ok(seconds
        .map(|seconds| format!("{}={seconds}", batch_size::KEY))
        .into_iter()
        .collect())
}

/// One of the two runs.
struct Runs<'a> {
    request: &'a Request<'a>,
    label: &'static str,
    /// What the other run found out before it began.
    settled: Vec<String>,
}

impl<'a> Runs<'a> {
    fn new(request: &'a Request<'a>, label: &'static str) -> Self {
        Self {
            request,
            label,
            settled: Vec::new(),
        }
    }

    /// Runs to the end; gives the seconds until training began, and those after.
    fn timed(&self) -> Result<(f64, f64), Failure> {
        let started = Instant::now();
        let mut child = self.spawn(&self.start()?)?;
        let mut begun = None;
        loop {
            match wait(&mut child, Some(POLL))? {
                Some(status) if status.success() => break,
                Some(status) => return Err(self.failed(status)),
                None if begun.is_none() && self.has_trained() => begun = Some(started.elapsed().as_secs_f64()),
                None => {}
            }
        }
        let all = started.elapsed().as_secs_f64();
        let start = begun.unwrap_or(all / 2.0);
        Ok((start, all - start))
    }

    /// Whether a line of metrics has been written.
    fn has_trained(&self) -> bool {
        let Ok(dir) = self.dir() else { return false };
        let has_lines = |member: &PathBuf| {
            let metrics = fs::metadata(dir.join(member).join("metrics.jsonl"));
            metrics.is_ok_and(|metrics| metrics.len() > 0)
        };
        members(&dir).is_ok_and(|members| members.iter().any(has_lines))
    }

    fn messages(&self) -> PathBuf {
        self.request.folder.join(format!("{}.txt", self.label))
    }

    fn start(&self) -> Result<Vec<String>, Failure> {
        let experiment = self.request.experiment.to_string_lossy().into_owned();
        let runs = self.request.folder.join("runs").to_string_lossy().into_owned();
        let mut arguments = vec!["run".to_owned(), experiment, "--runs".into(), runs];
        arguments.extend(["--run-label".into(), self.label.into()]);
        for set in self.request.sets.iter().chain(&self.settled) {
            arguments.extend(["--set".into(), set.to_owned()]);
        }
        arguments.extend_from_slice(self.request.options);
        Ok(arguments)
    }

    /// Where the run lies: `runs/<name>/<label>`.
    fn dir(&self) -> Result<PathBuf, Failure> {
        let runs = self.request.folder.join("runs");
        let names = fs::read_dir(&runs).map_err(Failure::io("list", &runs))?;
        let mut dirs = names.flatten().map(|name| name.path().join(self.label));
        dirs.find(|dir| dir.is_dir())
            .ok_or_else(|| Failure::Bug(format!("{} holds no run {}", runs.display(), self.label)))
    }

    /// What continues the run, or starts it where it had not begun, the `number`th time.
    fn next(&self, number: u64) -> Result<Vec<String>, Failure> {
        let workers = WORKERS[(number % WORKERS.len() as u64) as usize];
        let workers = format!("training.loader.workers={workers}");
        match self.dir() {
            Ok(dir) if dir.join("run.json").is_file() => {
                let mut arguments = vec!["resume".to_owned(), dir.to_string_lossy().into_owned()];
                arguments.extend(["--set".into(), workers]);
                arguments.extend_from_slice(self.request.options);
                Ok(arguments)
            }
            _ => {
                let mut arguments = self.start()?;
                arguments.extend(["--set".into(), workers]);
                Ok(arguments)
            }
        }
    }

    fn spawn(&self, arguments: &[String]) -> Result<Child, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find", Path::new("emorun")))?;
        let path = self.messages();
        let messages = File::create(&path).map_err(Failure::io("create", &path))?;
        Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(messages)
            .spawn()
            .map_err(Failure::io("start", &program))
    }

    fn to_the_end(&self, arguments: &[String]) -> Result<(), Failure> {
        let mut child = self.spawn(arguments)?;
        match wait(&mut child, None)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(self.failed(status)),
            None => Err(Failure::Bug("a process without a limit was given up".into())),
        }
    }

    fn failed(&self, status: ExitStatus) -> Failure {
        let messages = fs::read_to_string(self.messages()).unwrap_or_default();
        let code = status
            .code()
            .map_or_else(|| status.to_string(), |code| code.to_string());
        Failure::Input(format!(
            "the {} run ended by itself with exit code {code}:\n{}",
            self.label,
            messages.trim_end()
        ))
    }
}

/// Waits for a process to end; `None` if it did not in time.
fn wait(child: &mut Child, limit: Option<Duration>) -> Result<Option<ExitStatus>, Failure> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::io("wait for", Path::new("emorun")))? {
            return Ok(Some(status));
        }
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            return Ok(None);
        }
        if interrupt::asked() {
            // The child has had the same signal from the terminal and writes its checkpoint.
            return Err(Failure::Usage("interrupted; nothing is verified".into()));
        }
        std::thread::sleep(POLL);
    }
}

/// Compares two runs, member by member: lines of metrics, TensorBoard scalars, the bytes of weights and
/// optimizer state. Gives what differs, a line each, and adds to `compared` how much was.
///
/// # Errors
/// A file cannot be read.
pub fn compare(one: &Path, other: &Path, compared: &mut BTreeMap<&'static str, usize>) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    let members = [members(one)?, members(other)?];
    if members[0] != members[1] {
        differences.push(format!("members: {:?} and {:?}", members[0], members[1]));
        return Ok(differences);
    }
    for member in &members[0] {
        let sides = [one.join(member), other.join(member)];
        let name = |what: &str| member.join(what).display().to_string();
        let lines = [metrics(&sides[0])?, metrics(&sides[1])?];
        *compared.entry("lines of metrics.jsonl").or_default() += lines[0].len();
        if let Some(at) = first_difference(&lines[0], &lines[1]) {
            differences.push(format!("{} from line {}", name("metrics.jsonl"), at + 1));
        }
        let scalars = [scalars(&sides[0])?, scalars(&sides[1])?];
        *compared.entry("TensorBoard scalars").or_default() += scalars[0].len();
        if let Some(at) = first_difference(&scalars[0], &scalars[1]) {
            let shown = |scalars: &[Scalar]| scalars.get(at).map_or("nothing".into(), |scalar| format!("{scalar:?}"));
            differences.push(format!(
                "{}: {} and {}",
                name("TensorBoard scalars"),
                shown(&scalars[0]),
                shown(&scalars[1])
            ));
        }
        let steps = [checkpoints(&sides[0])?, checkpoints(&sides[1])?];
        if steps[0] != steps[1] {
            differences.push(format!("{}: {:?} and {:?}", name("checkpoints"), steps[0], steps[1]));
            continue;
        }
        for step in &steps[0] {
            for file in ["weights.safetensors", "optimizer.safetensors", "average.safetensors"] {
                let place = Path::new("checkpoints").join(step).join(file);
                if !sides.iter().any(|side| side.join(&place).exists()) {
                    continue;
                }
                let bytes = [&sides[0], &sides[1]].map(|side| {
                    let path = side.join(&place);
                    fs::read(&path).map_err(Failure::io("read", &path))
                });
                let [left, right] = bytes;
                *compared.entry("files of weights and optimizer state").or_default() += 1;
                if left? != right? {
                    differences.push(name(&place.to_string_lossy()));
                }
            }
        }
    }
    Ok(differences)
}

fn first_difference<T: PartialEq>(one: &[T], other: &[T]) -> Option<usize> {
    let same = one.iter().zip(other).take_while(|(left, right)| left == right).count();
    (same < one.len().max(other.len())).then_some(same)
}

/// Folders below a run that were trained in, relative to it.
fn members(run: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(place) = open.pop() {
        let folder = run.join(&place);
        if folder.join("metrics.jsonl").is_file() {
            found.insert(place);
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(Failure::io("list", &folder))? {
            let entry = entry.map_err(Failure::io("list", &folder))?;
            if entry.path().is_dir() {
                open.push(place.join(entry.file_name()));
            }
        }
    }
    Ok(found)
}

/// Lines of `metrics.jsonl` without clock readings.
fn metrics(member: &Path) -> Result<Vec<Value>, Failure> {
    let path = member.join("metrics.jsonl");
    let text = fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).map_err(|error| Failure::Corrupt {
                path: path.clone(),
                message: error.to_string(),
            })?;
            if let Some(fields) = line.as_object_mut() {
                fields.remove("wall");
            }
            Ok(line)
        })
        .collect()
}

/// Tag, step and bits of a value.
type Scalar = (String, i64, u32);

/// Scalars as TensorBoard shows them, but for clock readings, by tag and step.
fn scalars(member: &Path) -> Result<Vec<Scalar>, Failure> {
    let mut files: Vec<PathBuf> = fs::read_dir(member)
        .map_err(Failure::io("list", member))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("events.out.tfevents."))
        .collect();
    files.sort();
    let mut scalars = Vec::new();
    for file in files {
        let events = read_events(&file).map_err(|error| Failure::Corrupt {
            path: file.clone(),
            message: error.to_string(),
        })?;
        for event in events.events {
            match event.value {
                EventValue::SessionStart => scalars.retain(|(_, step, _): &Scalar| *step < event.step),
                EventValue::Scalar { tag, value } if !reads_a_clock(&tag) => {
                    scalars.push((tag, event.step, value.to_bits()));
                }
                _ => {}
            }
        }
    }
    scalars.sort();
    Ok(scalars)
}

fn reads_a_clock(tag: &str) -> bool {
    let name = tag.rsplit('/').next().unwrap_or(tag);
    ["items_per_second", "loader_wait_s", "checkpoint_wait_s", "seconds"].contains(&name)
}

/// Names of a member's checkpoints.
fn checkpoints(member: &Path) -> Result<BTreeSet<String>, Failure> {
    let folder = member.join("checkpoints");
    let entries = fs::read_dir(&folder).map_err(Failure::io("list", &folder))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("step-"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two members as a run leaves them.
    fn run(lab: &Path, name: &str) -> PathBuf {
        let run = lab.join(name);
        for member in ["seed-1", "seed-2"] {
            let checkpoint = run.join(member).join("checkpoints/step-7");
            fs::create_dir_all(&checkpoint).unwrap();
            fs::write(checkpoint.join("weights.safetensors"), b"weights").unwrap();
            fs::write(checkpoint.join("optimizer.safetensors"), b"moments").unwrap();
            let lines = format!("{{\"step\":1,\"loss\":0.5,\"wall\":{{\"s\":{}}}}}\n", name.len());
            fs::write(run.join(member).join("metrics.jsonl"), lines).unwrap();
        }
        run
    }

    #[test]
    fn lives_are_long_enough_to_do_half_of_a_training() {
        for (start, training, kills) in [(0.0, 10.0, 5), (0.5, 10.0, 100), (3.0, 1.0, 1)] {
            let longest = longest_life_s(start, training, kills);
            let trained = (longest - start).powi(2) / (2.0 * longest);
            let all = trained * f64::from(kills);
            assert!((all - training / 2.0).abs() < 1e-9, "{start} {training} {kills}: {all}");
        }
    }

    #[test]
    fn each_difference_is_named_and_clocks_are_none() {
        let lab = tempfile::tempdir().unwrap();
        let one = run(lab.path(), "one");
        let differences = |change: &dyn Fn(&Path)| {
            let other = run(lab.path(), "other run");
            change(&other);
            let found = compare(&one, &other, &mut BTreeMap::new()).unwrap();
            fs::remove_dir_all(other).unwrap();
            found
        };
        assert_eq!(differences(&|_| {}), Vec::<String>::new());
        let weights = "seed-2/checkpoints/step-7/weights.safetensors";
        let found = differences(&|other| fs::write(other.join(weights), b"weightS").unwrap());
        assert_eq!(found, [weights]);
        let found = differences(&|other| {
            fs::write(other.join("seed-1/metrics.jsonl"), "{\"step\":1,\"loss\":0.25}\n").unwrap();
        });
        assert_eq!(found, ["seed-1/metrics.jsonl from line 1"]);
        let found = differences(&|other| fs::write(other.join("seed-1/metrics.jsonl"), "").unwrap());
        assert_eq!(found, ["seed-1/metrics.jsonl from line 1"]);
        let found = differences(&|other| {
            let step = |step: u8| other.join(format!("seed-1/checkpoints/step-{step}"));
            fs::rename(step(7), step(8)).unwrap();
        });
        assert!(found[0].starts_with("seed-1/checkpoints: "), "{found:?}");
        let found = differences(&|other| fs::remove_dir_all(other.join("seed-2")).unwrap());
        assert!(found[0].starts_with("members: "), "{found:?}");
        let found = differences(&|other| {
            let mut writer = emorun_tensorboard::EventWriter::create(&other.join("seed-1"), 0, 1.0).unwrap();
            writer.scalar("train/loss", 1, 0.5, 1.0);
            writer.scalar("train/items_per_second", 1, 100.0, 1.0);
        });
        assert_eq!(
            found,
            ["seed-1/TensorBoard scalars: nothing and (\"train/loss\", 1, 1056964608)"]
        );
    }
}
