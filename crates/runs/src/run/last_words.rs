//! What a run's record says if the process is aborted.
//!
//! Memory that cannot be had ends a Rust program by `abort`, from which nothing returns: what is to be written then is
//! prepared while there is memory, and written by the signal's handler, which asks for none.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::record::{RunRecord, Status};
use emorun_engine::exit::ExitCode;
use emorun_engine::memory;
use emorun_engine::terminal::write_stderr_bytes;

/// Records of the runs that are at work, the outermost first.
static HELD: Mutex<Vec<Text>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
static DYING: AtomicBool = AtomicBool::new(false);

/// Stands in for what went wrong until that is known.
const MARK: &str = "@what-went-wrong@";
/// Longest message in bytes.
const LONGEST: usize = 2048;

/// A record that says the run has failed, in two parts around the reason.
struct Text {
    id: u64,
    place: PathBuf,
    draft: PathBuf,
    parts: [Vec<u8>; 2],
}

/// Keeps a run's last words ready as long as it lives.
#[derive(Debug)]
pub struct LastWords(u64);

impl LastWords {
    /// Those of the run in `dir`, should the process be aborted from now on.
    pub fn of(dir: &Path, record: &RunRecord) -> Self {
        let record = RunRecord {
            status: Status::Failed,
            error: Some(MARK.to_owned()),
            exit_code: Some(ExitCode::Data as u8),
            ..record.clone()
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_string_pretty(&record).unwrap_or_default();
        if let Some((before, after)) = text.split_once(MARK) {
            let text = Text {
                id,
                place: dir.join("run.json"),
                draft: dir.join("run.json.partial"),
                parts: [before.into(), after.into()],
            };
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        Self(id)
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        HELD.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|text| text.id != self.0);
    }
}

/// Lets an abort of this process leave a message and the records of its runs.
pub fn install() {
    #[cfg(unix)]
    {
        // SAFETY: the handler locks nothing that it would wait for, and allocates nothing.
        #[expect(
            unsafe_code,
            reason = "what runs in a signal's handler is for whoever writes it to vouch for"
        )]
        let registered = unsafe { signal_hook::low_level::register(signal_hook::consts::SIGABRT, speak) };
        if let Err(error) = registered {
            tracing::debug!("an abort will leave no message: {error}");
        }
    }
}

#[cfg(unix)]
fn speak() {
    if DYING.swap(true, Ordering::SeqCst) {
        return;
    }
    let mut buffer = [0u8; LONGEST];
    let mut rest = &mut buffer[..];
    let refused = memory::refused();
    // What does not fit is cut off.
    let _ = match refused {
        0 => write!(rest, "the process was aborted"),
        bytes => write!(rest, "out of memory: {bytes} bytes more could not be had"),
    };
    let _ = memory::while_at_work(|work| write!(rest, " while working on {work}"));
    if refused > 0 {
        let _ = write!(
            rest,
            "; cut long recordings into parts or leave them out, lower training.batch_size and evaluation.batch_size, or give the process more memory"
        );
    }
    let left = rest.len();
    let message = &buffer[..LONGEST - left];
    write_stderr_bytes(b"error: ");
    write_stderr_bytes(message);
    write_stderr_bytes(b"\n");
    if let Ok(held) = HELD.try_lock() {
        for text in held.iter() {
            // What cannot be written leaves the record as it is: a run that was cut short.
            let _ = write_record(text, message);
        }
    }
    if refused > 0 {
        signal_hook::low_level::exit(ExitCode::Data as i32);
    }
}

#[cfg(unix)]
fn write_record(text: &Text, message: &[u8]) -> std::io::Result<()> {
    let [before, after] = &text.parts;
    let mut file = File::create(&text.draft)?;
    file.write_all(before)?;
    for byte in message {
        // What JSON would have to escape.
        let plain = match byte {
            b'"' => b'\'',
            b'\\' => b'/',
            0..=31 => b' ',
            other => *other,
        };
        file.write_all(&[plain])?;
    }
    file.write_all(after)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&text.draft, &text.place)
}
