//! Messages for people: warnings on stderr, everything in the run's `log.txt`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use emorun_files::{File, Files};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use emorun_engine::exit::Failure;
use emorun_engine::terminal::write_stderr;

static LOG: Mutex<Option<File>> = Mutex::new(None);

/// Sends messages to stderr from `verbose` times more detail than warnings.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    let started = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG.max(level))
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .with_writer(Tee { level })
        .try_init();
    // A second start within one process, as in tests, keeps the first.
    drop(started);
}

/// Also writes all messages of level INFO and above to a file.
///
/// # Errors
/// The file cannot be opened.
pub fn also_write_to(files: &Files, path: &Path) -> Result<(), Failure> {
    let file = files.append(path).map_err(Failure::io("open", path))?;
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    Ok(())
}

struct Tee {
    level: Level,
}

/// Where one message goes.
struct Targets {
    stderr: bool,
    file: bool,
}

impl Write for Targets {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stderr {
            write_stderr(&String::from_utf8_lossy(bytes));
        }
        if self.file
            && let Some(file) = LOG.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            // A log that cannot be written stops no run.
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = Targets;

    fn make_writer(&'a self) -> Targets {
        Targets {
            stderr: true,
            file: true,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Targets {
        Targets {
            stderr: *metadata.level() <= self.level,
            file: *metadata.level() <= Level::INFO,
        }
    }
}
