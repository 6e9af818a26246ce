//! Ctrl-C and termination: the current step is finished and a checkpoint written.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static INSTALLED: OnceLock<()> = OnceLock::new();

/// Takes over SIGINT, SIGTERM and SIGHUP; a second signal ends the process at once.
pub fn install() {
    INSTALLED.get_or_init(|| {
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

/// True once a signal has come.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
