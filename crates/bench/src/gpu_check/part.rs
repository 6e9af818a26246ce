//! Parts as processes of their own.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use emorun_engine::exit::Failure;

use super::{Deadline, Part, Request, Row, Told, Verdict};

/// How often it is asked whether a process has ended.
const POLL: Duration = Duration::from_millis(20);

/// What a process came to.
pub struct Ended {
    /// What it wrote to stdout.
    pub stdout: String,
    /// Why it did not end well; `None` if it did.
    pub failure: Option<String>,
}

/// This program.
///
/// # Errors
/// The system does not say where it lies.
pub fn program() -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(Failure::io("find", Path::new("emorun")))?;
    Ok(Command::new(program))
}

/// A part of this check in a process of its own.
///
/// # Errors
/// As [`program`].
pub fn worker(part: Part, device: &str, told: &Told) -> Result<Command, Failure> {
    let mut command = program()?;
    let told = serde_json::to_string(told).map_err(|error| Failure::Bug(error.to_string()))?;
    command.args(["gpu-check", "--device", device, "--part", part.name(), "--told", &told]);
    Ok(command)
}

/// Reads a pipe to its end on a thread of its own.
fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a failure is kept.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Starts a process; its output is read while it goes on.
///
/// # Errors
/// It does not start.
pub fn start(mut command: Command) -> Result<Running, Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::io("start", Path::new("emorun")))?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    Ok(Running { child, stdout, stderr })
}

/// A process that goes on.
pub struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// Waits at most so long, as long as `goes_on`; gives how it ended, `None` if it goes on.
    pub fn wait(&mut self, longest: Duration, mut goes_on: impl FnMut() -> bool) -> Option<ExitStatus> {
        let until = Instant::now() + longest;
        while goes_on() {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(POLL),
                _ => return None,
            }
        }
        None
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits at most so long for its end, kills it then, and gives what it wrote.
    pub fn end(mut self, longest: Duration) -> Ended {
        let status = self.wait(longest, || true);
        self.kill();
        let stdout = self.stdout.join().unwrap_or_default();
        let stderr = self.stderr.join().unwrap_or_default();
        let failure = match status {
            None => Some(format!("not done after {} s", longest.as_secs())),
            Some(status) if status.success() => None,
            Some(status) => Some(format!("{status}: {}", reason(&stderr))),
        };
        Ended { stdout, failure }
    }
}

/// The line of what a process said that says why it ended.
fn reason(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines().rfind(|line| line.starts_with("error") || line.contains("panicked at"));
    let line = telling.or_else(|| lines().next_back()).unwrap_or("it did not say why");
    line.chars().take(300).collect()
}

/// The rows that a part writes.
///
/// # Errors
/// It does not start.
pub fn rows_of(part: Part, request: &Request, deadline: Deadline, add: &mut dyn FnMut(Row)) -> Result<(), Failure> {
    let told = Told {
        small: request.small,
        width: 0,
        steps: 0,
    };
    let ended = start(worker(part, &request.device, &told)?)?.end(deadline.left());
    for line in ended.stdout.lines() {
        match serde_json::from_str(line) {
            Ok(row) => add(row),
            Err(error) => add(Row::new(part, "an answer", Verdict::Failed, error.to_string())),
        }
    }
    if let Some(failure) = ended.failure {
        add(Row::new(part, "to its end", Verdict::Failed, failure));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_or_what_was_said_last() {
        assert_eq!(reason("device: cpu\nerror: no\nbye\n"), "error: no");
        assert_eq!(reason("one\ntwo\n\n"), "two");
        assert_eq!(reason(""), "it did not say why");
    }
}
