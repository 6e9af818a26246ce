//! Live progress on stderr: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::{is_terminal, tell};

/// Shows how training goes.
#[derive(Debug)]
pub struct TrainingProgress {
    bar: Option<ProgressBar>,
    started: Instant,
    first: u64,
    total: u64,
    last_line: Instant,
}

/// Time between two plain lines within an epoch.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl TrainingProgress {
    /// Progress of `total` steps of which `done` lie behind; `label` names the run.
    pub fn new(label: &str, done: u64, total: u64) -> Self {
        let bar = is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:28.cyan/dim} {percent:>3}% {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.set_position(done);
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            started: now,
            first: done,
            total,
            last_line: now,
        }
    }

    /// After a step: its loss and the items per second.
    pub fn step(&mut self, step: u64, epoch: u64, loss: f64, items_per_second: f64) {
        let message = || {
            format!(
                "epoch {epoch}  loss {loss:.4}  {items_per_second:.0} items/s  {} left",
                self.left(step)
            )
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(message());
                bar.set_position(step);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                tell(&format!("step {step}/{}  {}", self.total, message()));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// After an epoch: a line that stays.
    pub fn epoch(&mut self, step: u64, line: &str) {
        self.say(&format!("{line}  {} left", self.left(step)));
        self.last_line = Instant::now();
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => {
                tracing::info!("{line}");
                bar.println(line);
            }
            None => say(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn left(&self, step: u64) -> String {
        let done = step.saturating_sub(self.first);
        if done == 0 {
            return "? s".into();
        }
        let seconds = self.started.elapsed().as_secs_f64() / done as f64 * self.total.saturating_sub(step) as f64;
        duration(seconds)
    }
}

/// A line on stderr, and in the run's log.
pub fn say(line: &str) {
    tracing::info!("{line}");
    tell(line);
}

/// A duration as people read it.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}
