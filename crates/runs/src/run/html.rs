//! The page at the end of a run, an evaluation and a parent of members.

use std::path::Path;

use emorun_files::Files;
use emorun_report::{NamedFile, Report, ReportError};

use super::dir::RunDir;
use emorun_engine::exit::Failure;
use emorun_engine::train::checkpoint::write_atomically;

/// The page's name in the folder of a report.
pub const FILE: &str = "index.html";

/// The page of a run whose evaluation lies in `folder`; `None`, and a warning, where it cannot be made: no result hangs on it.
pub fn page(run: &Path, folder: &Path) -> Option<String> {
    let page = Report::of(run, folder).and_then(|report| report.page());
    page.inspect_err(|error| tracing::warn!("no {FILE} was written: {error}"))
        .ok()
}

/// Writes `report/index.html`. No result hangs on it: where it cannot be written a warning says so.
pub fn write(dir: &RunDir) {
    let Some(page) = page(dir.path(), &dir.path().join("report")) else {
        return;
    };
    if let Err(failure) = dir.write(&format!("report/{FILE}"), page.as_bytes()) {
        tracing::warn!("{failure}; make it with: emorun runs report {}", dir.path().display());
    }
}

/// Writes a run's own report anew, which follows from its other files: figures and tables, and the page last of all. What was
/// there before stays until its new form is whole.
///
/// # Errors
/// The run has no evaluation, its files are damaged, or one cannot be written.
pub fn write_anew(run: &Path, files: &Files) -> Result<(), Failure> {
    let folder = run.join("report");
    for (name, bytes) in anew(run)? {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            files.create_dir_all(parent).map_err(Failure::io("create", parent))?;
        }
        write_atomically(files, &path, &bytes)?;
    }
    Ok(())
}

/// The page of a run anew, with figures and tables for papers.
///
/// # Errors
/// The run has no evaluation, or its files are damaged.
fn anew(run: &Path) -> Result<Vec<NamedFile>, Failure> {
    let made = Report::of(run, &run.join("report")).and_then(|report| {
        let page = (FILE.to_owned(), report.page()?.into_bytes());
        Ok(report.for_papers()?.into_iter().chain([page]).collect())
    });
    made.map_err(|error| {
        let message = error.to_string();
        match error {
            ReportError::Read { path, source } => Failure::Io {
                action: "read",
                path,
                source,
            },
            ReportError::Corrupt { path, message } => Failure::Corrupt { path, message },
            ReportError::NotEvaluated(_) | ReportError::Figure(_) => Failure::Input(message),
            ReportError::Csv(_) | ReportError::Template(_) => Failure::Bug(message),
        }
    })
}
