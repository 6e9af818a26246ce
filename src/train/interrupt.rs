//! Ctrl-C, termination and a scheduler's notice: the current step is finished and a checkpoint
//! written.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP, of which a second one ends the process at once, and on Unix
/// SIGUSR1, by which Slurm gives notice (`--signal=USR1@60`).
pub fn install() {
    INSTALLED.get_or_init(|| {
        #[cfg(unix)]
        listen_for_notice();
        let handler = ctrlc::set_handler(|| {
            if ASKED.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            super::progress::say("interrupted: finishing the step and writing a checkpoint (again to stop at once)");
        });
        if let Err(error) = handler {
            tracing::warn!("an interrupt will stop the run without a checkpoint: {error}");
        }
    });
}

#[cfg(unix)]
fn listen_for_notice() {
    let signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR1]);
    let listen = |mut signals: signal_hook::iterator::Signals| {
        for _ in signals.forever() {
            if !ASKED.swap(true, Ordering::SeqCst) {
                super::progress::say("SIGUSR1: finishing the step and writing a checkpoint");
            }
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    let outcome = signals.and_then(|signals| thread.spawn(move || listen(signals)));
    if let Err(error) = outcome {
        tracing::warn!("SIGUSR1 will end the run without a checkpoint: {error}");
    }
}

/// True once a signal has come.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
