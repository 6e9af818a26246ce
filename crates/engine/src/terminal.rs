//! The terminal: the one place that writes to stdout and stderr.
//!
//! What is written there is for whoever looks on. A reader that has gone away, a full disk or a closed descriptor stops
//! nothing: `println!` and its like would end the program with a panic.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// The first failure to write a result that somebody may still wait for.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a text to stderr as it is.
pub fn write_stderr(text: &str) {
    write_stderr_bytes(text.as_bytes());
}

/// Writes bytes to stderr as they are, without memory of its own.
pub fn write_stderr_bytes(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// Writes a line to stderr.
pub fn tell(line: &str) {
    // At one go, so that lines of several threads or processes are not mixed.
    write_stderr(&format!("{line}\n"));
}

/// Whether stderr is a terminal.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes a result to stdout. A reader that has gone away wants no more of it; any other failure is kept for [`lost`].
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Whether stdout is a terminal.
pub fn shows_screen() -> bool {
    io::stdout().is_terminal()
}

/// Stdout as a screen that is drawn on.
#[derive(Debug)]
pub struct Screen(io::Stdout);

/// The screen. Who draws on it hears of its failures.
pub fn screen() -> Screen {
    Screen(io::stdout())
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Hands on what stdout still holds, before an end that does not.
pub fn flush() {
    let _ = io::stdout().lock().flush();
}

/// Why a result did not reach stdout whole, if it did not.
pub fn lost() -> Option<io::Error> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).take()
}
