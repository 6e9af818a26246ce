//! Finding the checkpoints that an experiment names, and what they say of themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emorun_weights::{Checkpoint, DownloadProgress, HubSettings, WeightsError, WeightsSource, locate};

use emorun_engine::memory::mib;
use emorun_nn::facts::{CheckpointFacts, Facts};

/// How far checkpoints are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Only what is on this machine, and nothing missing is a mistake.
    Glance,
    /// What is on this machine.
    Local,
    /// Also on the Hub, and every byte of the files is hashed.
    Fetch,
}

/// A checkpoint that cannot be used, by the text of `weights:`.
pub type Mistakes = BTreeMap<String, WeightsError>;

/// Looks for the checkpoints of these texts; hashes of their files are remembered in `cache`.
pub fn gather<'a>(
    weights: impl Iterator<Item = &'a str>,
    search: Search,
    offline: bool,
    cache: Option<&Path>,
) -> (Facts, Mistakes) {
    let mut facts = Facts::default();
    let mut mistakes = Mistakes::new();
    let hub = HubSettings::from_env(offline || search != Search::Fetch);
    for text in weights {
        if facts.checkpoint(text).is_some() || mistakes.contains_key(text) {
            continue;
        }
        match find(text, search, &hub, cache) {
            Ok(Some(found)) => facts.insert(text, found),
            Ok(None) => {}
            Err(error @ WeightsError::Form { .. }) => {
                mistakes.insert(text.to_owned(), error);
            }
            Err(_) if search == Search::Glance => {}
            Err(mut error) => {
                if let WeightsError::Unreachable { why, .. } = &mut error
                    && !HubSettings::from_env(offline).offline
                    && search == Search::Local
                {
                    "a plain `check` does not ask the Hub (`check --deep` and `run` download what is missing)"
                        .clone_into(why);
                }
                mistakes.insert(text.to_owned(), error);
            }
        }
    }
    (facts, mistakes)
}

fn find(
    text: &str,
    search: Search,
    hub: &HubSettings,
    cache: Option<&Path>,
) -> Result<Option<CheckpointFacts>, WeightsError> {
    let mut shown = Shown::default();
    let Some(located) = locate(&WeightsSource::parse(text)?, hub, &mut |progress| shown.note(progress))? else {
        return Ok(None);
    };
    if search != Search::Glance {
        located.notes.iter().for_each(|note| tracing::info!("{text}: {note}"));
        located
            .warnings
            .iter()
            .for_each(|warning| tracing::warn!("{text}: {warning}"));
    }
    let checkpoint = Checkpoint::open(&located)?;
    let content = match search {
        Search::Fetch => {
            let remembered = cache.map(|folder| folder.join("hashed.json"));
            Some(checkpoint.content(remembered.as_deref())?)
        }
        Search::Glance | Search::Local => None,
    };
    Ok(Some(CheckpointFacts {
        config: checkpoint.config().clone(),
        preprocessor: checkpoint.preprocessor().cloned(),
        content,
        files: Some(Arc::new(checkpoint)),
    }))
}

/// What was last said of a download.
#[derive(Debug, Default)]
struct Shown {
    file: String,
    at: Option<Instant>,
}

impl Shown {
    /// A line for each file, then one every few seconds.
    fn note(&mut self, progress: DownloadProgress<'_>) {
        const EVERY: Duration = Duration::from_secs(5);
        let (file, line) = match progress {
            DownloadProgress::Waiting { file } => (file, format!("{file}: another process downloads it; waiting")),
            DownloadProgress::Received { file, bytes, total } => {
                let of = total.map_or_else(String::new, |total| format!(" of {}", mib(total)));
                (file, format!("downloading {file}: {}{of}", mib(bytes)))
            }
            DownloadProgress::Busy { file, status, wait } => {
                // Each is said: it may be minutes to the next.
                self.at = None;
                let wait = wait.as_secs();
                (
                    file,
                    format!("{file}: the server is busy ({status}); asking again in {wait} s"),
                )
            }
        };
        if file != self.file || self.at.is_none_or(|at| at.elapsed() >= EVERY) {
            tracing::warn!("{line}");
            file.clone_into(&mut self.file);
            self.at = Some(Instant::now());
        }
    }
}
