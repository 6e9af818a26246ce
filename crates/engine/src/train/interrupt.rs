//! Ctrl-C, termination, hanging up and a scheduler's notice: the current step is finished and a checkpoint
//! written.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::progress::say;

static ASKED: AtomicBool = AtomicBool::new(false);
/// What is said to be done then.
static DOING: OnceLock<&str> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP, of which a second one ends the process at once, and on Unix
/// SIGUSR1, by which Slurm gives notice (`--signal=USR1@60`). Under `nohup` SIGHUP stays without effect.
pub fn install() {
    install_saying("finishing the step and writing a checkpoint");
}

/// The same for what is no training: says, once a signal has come, what is done then.
pub fn install_saying(doing: &'static str) {
    if DOING.set(doing).is_ok()
        && let Err(error) = listen()
    {
        tracing::warn!("an interrupt will stop this at once, instead of {doing}: {error}");
    }
}

/// Lets a write beyond the system's limit on the size of a file fail like any other, instead of ending the process.
pub fn outlive_file_limits() {
    #[cfg(unix)]
    {
        // That a signal is caught at all makes the write fail; nobody asks whether it came.
        let came = std::sync::Arc::new(AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, came) {
            tracing::debug!("a limit on the size of files will end the process: {error}");
        }
    }
}

#[cfg(unix)]
fn listen() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    let signals = [SIGINT, SIGTERM, SIGUSR1].into_iter().chain(hang_up);
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let heed = move || {
        for signal in signals.forever() {
            let again = ASKED.swap(true, Ordering::SeqCst);
            match (signal, again) {
                (SIGUSR1, true) => {}
                (SIGUSR1, false) => say(&format!("SIGUSR1: {}", doing())),
                (_, again) => stop(again),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(heed)?;
    Ok(())
}

#[cfg(not(unix))]
fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| stop(ASKED.swap(true, Ordering::SeqCst)))
}

fn stop(again: bool) {
    if again {
        std::process::exit(130);
    }
    say(&format!("interrupted: {} (again to stop at once)", doing()));
}

fn doing() -> &'static str {
    DOING.get().copied().unwrap_or_default()
}

/// Whether the process was started with a signal ignored, as `nohup` does; false where the system does not say.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// True once a signal has come.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
