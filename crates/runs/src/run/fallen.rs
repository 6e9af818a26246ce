//! Members of a run, and runs of a sweep, that ended with a failure while the others went on.

use std::path::Path;

use serde::Serialize;

use super::dir::read_json;
use super::record::{RunRecord, Status};
use emorun_engine::exit::{ExitCode, Failure};
use emorun_engine::train::progress::say;

/// Which members and runs are worked on when all go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Those that are not finished; what has failed before is passed over with a remark.
    Unfinished,
    /// Those that have failed as well.
    Failed,
}

/// A member or run that has failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fallen {
    /// Its folder within the parent or sweep.
    #[serde(skip)]
    pub name: String,
    /// `diverged` or `failed`.
    pub status: Status,
    /// The exit code that it would have ended the program with alone.
    pub exit_code: ExitCode,
    /// What went wrong.
    pub error: String,
}

impl Fallen {
    /// One that has failed so.
    pub fn of(name: &str, failure: &Failure) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::after(failure),
            exit_code: failure.code(),
            error: failure.to_string(),
        }
    }

    /// One that has failed now; it is said that the others go on.
    pub fn now(name: &str, failure: &Failure) -> Self {
        let fallen = Self::of(name, failure);
        say(&format!("{name} {}; the others go on: {failure}", fallen.status));
        fallen
    }

    /// The one in `dir`, if it has failed before in a way that it would again, unless it is to be tried again.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn before(name: &str, dir: &Path, retry: Retry) -> Result<Option<Self>, Failure> {
        let path = dir.join("run.json");
        if retry == Retry::Failed || !path.is_file() {
            return Ok(None);
        }
        let record: RunRecord = read_json(&path)?;
        let Some(exit_code) = record.fell_with() else {
            return Ok(None);
        };
        say(&format!(
            "{name} {} before and is passed over (tried again with --retry-failed)",
            record.status
        ));
        Ok(Some(Self {
            name: name.to_owned(),
            status: record.status,
            exit_code,
            error: record.error.unwrap_or_default(),
        }))
    }
}

/// The failure of a whole of which so many of `all` `things` (members or runs) have fallen; `None` if none has.
pub fn failure(fallen: &[Fallen], all: usize, things: &str, dir: &Path) -> Option<Failure> {
    let code = fallen.first()?.exit_code;
    let lines = fallen
        .iter()
        .map(|one| format!("\n  {} {}: {}", one.name, one.status, one.error));
    let rest = if fallen.len() < all {
        "the others are done; try these"
    } else {
        "try them"
    };
    Some(Failure::Partly {
        code,
        message: format!(
            "{} of {all} {things} failed:{}\n{rest} again with: emorun resume {} --retry-failed",
            fallen.len(),
            lines.collect::<String>(),
            dir.display()
        ),
    })
}
