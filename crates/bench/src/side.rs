//! A side: a process that makes one pass or step for each line that it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::json;

use super::{Setup, Task, Turn};
use emorun_engine::exit::Failure;
use emorun_engine::memory::peak_rss_of;

/// The peer's program.
const PEER: &str = include_str!("peer.py");
/// Ticks in which Linux tells processor time.
const TICKS_PER_SECOND: f64 = 100.0;
/// What is kept of a side's messages, in bytes.
const MESSAGES: usize = 1 << 16;

/// A running side; it ends with this value.
#[derive(Debug)]
pub struct Side {
    name: &'static str,
    versions: String,
    device_bytes: Option<u64>,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    messages: Option<JoinHandle<String>>,
}

impl Side {
    /// emorun itself.
    ///
    /// # Errors
    /// It does not start.
    pub fn emorun(task: Task, setup: &Setup) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find", Path::new("emorun")))?;
        let setup = serde_json::to_string(setup).map_err(|error| Failure::Bug(error.to_string()))?;
        let mut command = Command::new(&program);
        command.args(["bench", "encoders", "--work", task.name(), "--setup", &setup]);
        Self::start("emorun", command)?.ready()
    }

    /// transformers as it comes, and with what makes it faster on this machine.
    ///
    /// # Errors
    /// The interpreter is not there, or lacks a library.
    pub fn peers(task: Task, setup: &Setup, python: &Path) -> Result<[Self; 2], Failure> {
        let start = |name, tuned: bool| {
            let setup = json!({
                "task": task.name(),
                "model": setup.layout.speech(setup.model),
                "batch": setup.batch,
                "samples": setup.samples(),
                "threads": setup.threads,
                "tuned": tuned,
                "device": if setup.device.starts_with("cuda") { setup.device.as_str() } else { "cpu" },
                "precision": setup.precision,
            });
            let mut command = Command::new(python);
            command.args(["-c", PEER, &setup.to_string()]);
            if tuned {
                // glibc's allocator hands large blocks back after every operation: clearing fresh
                // pages costs it what it does not cost emorun, which brings an allocator of its own.
                for name in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"] {
                    command.env(name, (1u64 << 30).to_string());
                }
            }
            Self::start(name, command)
        };
        // Both load their libraries at the same time.
        let (plain, tuned) = (start("transformers", false)?, start("transformers, tuned", true)?);
        Ok([plain.ready()?, tuned.ready()?])
    }

    /// Starts a program that will be a side.
    pub(super) fn start(name: &'static str, mut command: Command) -> Result<Self, Failure> {
        let program = PathBuf::from(command.get_program());
        let failed = |message: &str| Failure::Input(format!("{name} ({}): {message}", program.display()));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&format!("does not start: {error}")))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::Bug("a process without pipes".into()));
        };
        Ok(Self {
            name,
            versions: String::new(),
            device_bytes: None,
            child,
            stdin,
            stdout: BufReader::new(stdout),
            messages: Some(std::thread::spawn(move || last_line(stderr))),
        })
    }

    /// Waits until it can make its first turn.
    pub(super) fn ready(mut self) -> Result<Self, Failure> {
        let line = self.answer()?;
        let Some(versions) = line.strip_prefix("ready ") else {
            return Err(Failure::Input(format!("{}: answers `{line}`", self.name)));
        };
        self.versions = versions.to_owned();
        Ok(self)
    }

    /// Name of the side.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Its libraries and their versions.
    pub fn versions(&self) -> &str {
        &self.versions
    }

    /// One pass or step.
    ///
    /// # Errors
    /// The process has ended; with the last that it said.
    pub fn turn(&mut self) -> Result<Turn, Failure> {
        let before = self.processor_seconds();
        let started = Instant::now();
        let answer = self.ask("go")?;
        let seconds = started.elapsed().as_secs_f64();
        let Some(held) = answer.strip_prefix("done") else {
            return Err(Failure::Input(format!("{}: {answer}", self.name)));
        };
        // Behind it stands what it holds of a GPU's memory, where it computes on one.
        self.device_bytes = self.device_bytes.max(held.trim().parse().ok());
        let after = self.processor_seconds();
        Ok(Turn {
            seconds,
            processor_seconds: before.zip(after).map(|(before, after)| after - before),
        })
    }

    /// The answer to a line.
    ///
    /// # Errors
    /// As [`Side::turn`].
    pub(super) fn ask(&mut self, line: &str) -> Result<String, Failure> {
        // A process that has gone away gives no answer, which says why.
        let _ = writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush());
        self.answer()
    }

    /// Largest resident memory so far, in bytes.
    pub fn peak_bytes(&self) -> Option<u64> {
        peak_rss_of(&self.child.id().to_string())
    }

    /// Most memory of a GPU that it held so far, in bytes; `None` on the CPU.
    pub fn device_bytes(&self) -> Option<u64> {
        self.device_bytes
    }

    fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(read) if read > 0 => Ok(line.trim_end().to_owned()),
            _ => {
                let said = self.messages.take().and_then(|messages| messages.join().ok());
                let said = said.filter(|said| !said.is_empty());
                Err(Failure::Input(format!(
                    "{} has ended: {}",
                    self.name,
                    said.unwrap_or_else(|| "it did not say why".into())
                )))
            }
        }
    }

    /// User and system time of all threads.
    fn processor_seconds(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Some(ticks.sum::<Result<u64, _>>().ok()? as f64 / TICKS_PER_SECOND)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last line that is not empty, once there are no more.
fn last_line(mut from: impl Read) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut block = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut block) {
        kept.extend_from_slice(&block[..read]);
        kept.drain(..kept.len().saturating_sub(MESSAGES));
    }
    let text = String::from_utf8_lossy(&kept);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or_default().to_owned()
}
