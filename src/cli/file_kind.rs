//! Which of emorun's files a file is, told by its first keys: what each command takes is easily taken for another.

use std::path::Path;

use emorun_lang::{Report, Sources, Value, load};

use emorun_engine::exit::Failure;
use emorun_experiment::prepare::read_text;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// One experiment.
    Experiment,
    /// Several runs of experiments.
    Sweep,
    /// A corpus to be made of others.
    Preparation,
}

impl FileKind {
    /// The kind of a file; `None` where it cannot be read, which whoever reads it will say.
    pub fn of(path: &Path) -> Option<Self> {
        let (mut sources, mut report) = (Sources::new(), Report::new());
        // What it `extends` is no matter here, and neither are its mistakes.
        let tree = load(&path.to_string_lossy(), &[], &mut read_text, &mut sources, &mut report)?;
        let Value::Map(entries) = &tree.value else { return None };
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        Some(if has("runs") && !has("datasets") {
            Self::Sweep
        } else if has("output") && !has("heads") && !has("losses") {
            Self::Preparation
        } else {
            Self::Experiment
        })
    }

    /// The command that takes it.
    pub fn command(self) -> &'static [&'static str] {
        match self {
            Self::Experiment => &["run"],
            Self::Sweep => &["sweep"],
            Self::Preparation => &["data", "prepare"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Experiment => "an experiment",
            Self::Sweep => "a model_runs file (a sweep)",
            Self::Preparation => "a preparation file",
        }
    }

    /// Refuses a file of another kind, by the command that takes it.
    ///
    /// # Errors
    /// It is one.
    pub fn expect(self, path: &Path) -> Result<(), Failure> {
        match Self::of(path) {
            Some(found) if found != self => Err(Failure::Usage(format!(
                "{path} is {}, not {}: give it to `emorun {} {path}`, or to `emorun {path}`",
                found.name(),
                self.name(),
                found.command().join(" "),
                path = path.display()
            ))),
            _ => Ok(()),
        }
    }
}
