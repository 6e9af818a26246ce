//! Why something about runs could not be done.

use std::io;
use std::path::{Path, PathBuf};

/// Why something about runs could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is no folder of runs.
    #[error("there is no folder of runs at {}; name it with --runs", .0.display())]
    NoFolder(PathBuf),
    /// A folder of runs was asked for, and this is a run.
    #[error("{} is a run, not a folder of runs; show it with `emorun runs show`", .0.display())]
    IsRun(PathBuf),
    /// A filter or an order cannot be read.
    #[error("{problem}\n  {text}\n  {}^", " ".repeat(*column))]
    Expression {
        /// As it was given.
        text: String,
        /// In characters from its beginning, where it goes wrong.
        column: usize,
        /// What is wrong there, and what helps.
        problem: String,
    },
    /// No run has such a value.
    #[error("no run has `{key}`{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// What was asked for.
        key: String,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// No run is called so.
    #[error("there is no run {name:?} in {}{}", runs.display(), suggestion(nearest.as_deref()))]
    NoRun {
        /// As it was given.
        name: String,
        /// Where it was looked for.
        runs: PathBuf,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// Several runs are called so.
    #[error("{name:?} may be {}; say which by its path", places.join(" or "))]
    Ambiguous {
        /// As it was given.
        name: String,
        /// All that are called so.
        places: Vec<String>,
    },
    /// A folder that holds no run.
    #[error("{} is no run directory: it has no run.json", .0.display())]
    NotARun(PathBuf),
    /// A file of a run holds something else than it should.
    #[error("{}: {message}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A member cannot be removed without its run.
    #[error("{place} is a member of {parent}, whose results count it; remove that whole run instead")]
    Member {
        /// The member.
        place: String,
        /// Its run.
        parent: String,
    },
    /// A process is working on a run.
    #[error("another process is working on the run {place}; stop it first")]
    Held {
        /// The run.
        place: String,
    },
    /// Something lies where a run is to be put back.
    #[error("{} is there already; nothing was put back", .0.display())]
    Taken(PathBuf),
    /// What is to be written is there.
    #[error("{} is there already; choose another name", .0.display())]
    Exists(PathBuf),
    /// The trash holds no such run.
    #[error("the trash holds no run {name:?}{}", holds(names))]
    NotInTrash {
        /// As it was given.
        name: String,
        /// What it holds.
        names: Vec<String>,
    },
    /// The trash is empty.
    #[error("the trash of {} is empty: there is nothing to put back", .0.display())]
    EmptyTrash(PathBuf),
    /// More runs than a page can show.
    #[error("{number} runs are too many for a page; name {most} at most")]
    TooMany {
        /// How many there are.
        number: usize,
        /// How many there may be.
        most: usize,
    },
    /// Fewer runs than are needed.
    #[error("name two runs or more to compare")]
    OneRun,
    /// No run can be the best.
    #[error("no completed run among these has `{metric}`")]
    NoBest {
        /// The result.
        metric: String,
    },
    /// The report could not be made.
    #[error("the report's template does not fit: {0}")]
    Template(#[from] minijinja::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CatalogueError {
    /// An error of the file system, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

fn holds(names: &[String]) -> String {
    if names.is_empty() {
        "; it is empty".to_owned()
    } else {
        format!("; it holds {}", names.join(", "))
    }
}
