//! Progress of files on stderr: bars on a terminal, a line a file elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use emorun_engine::terminal::is_terminal;
use emorun_engine::train::progress::say;

/// Shows how far each of several files is; used from several threads.
pub(super) struct Bars {
    shown: Option<MultiProgress>,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    pub fn new() -> Self {
        Self {
            shown: is_terminal().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5))),
            bars: Mutex::new(HashMap::new()),
        }
    }

    /// A file is at a place; `bytes` says whether places are bytes.
    pub fn at(&self, name: &str, place: u64, total: Option<u64>, bytes: bool) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.get(name) {
            if let Some(total) = total.filter(|total| bar.length() != Some(*total)) {
                bar.set_length(total);
            }
            bar.set_position(place);
            return;
        }
        let bar = match &self.shown {
            Some(shown) => shown.add(bar(total, bytes)),
            None => {
                say(&format!("{name} …"));
                ProgressBar::hidden()
            }
        };
        bar.set_prefix(name.to_owned());
        bar.set_position(place);
        bars.insert(name.to_owned(), bar);
    }

    /// Takes a bar away.
    pub fn clear(&self, name: &str) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(name) {
            bar.finish_and_clear();
        }
    }

    /// A file is done.
    pub fn done(&self, name: &str) {
        self.clear(name);
        self.line(&format!("{name} done"));
    }

    /// A line that stays.
    pub fn line(&self, line: &str) {
        match &self.shown {
            Some(shown) => {
                let _ = shown.println(line);
            }
            None => say(line),
        }
    }
}

fn bar(total: Option<u64>, bytes: bool) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match (total.is_some(), bytes) {
        (true, true) => "{prefix} {bar:28.cyan/dim} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
        (true, false) => "{prefix} {bar:28.cyan/dim} {pos} of {len}  {eta} left",
        (false, true) => "{prefix} {bytes}  {bytes_per_sec}",
        (false, false) => "{prefix} {pos}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
