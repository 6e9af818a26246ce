//! Whether the corpora still give what a finished run was trained and measured on.

use std::path::Path;

use super::dir::read_json;
use super::record::RunRecord;
use super::resume::same_content;
use emorun_engine::exit::Failure;
use emorun_experiment::prepare::{Depth, OnReport, Source, prepare};

/// What was found of a run's corpora and configuration.
#[derive(Debug)]
pub struct Rechecked {
    /// Hash of the configuration as it was recorded, and as it is computed now.
    pub config_hash: (String, String),
    /// Whether items, labels, splits, classes and pretrained weights are those of then, of the run and all of its members;
    /// else what is not.
    pub content: Result<(), Failure>,
}

/// Reads a run's corpora and weights again, draws its splits again, and compares all with what was recorded.
///
/// # Errors
/// The run is a member of another, or its corpora or weights cannot be read; `on_report` has heard why.
pub fn recheck(dir: &Path, sets: &[String], offline: bool, on_report: OnReport<'_>) -> Result<Rechecked, Failure> {
    let record: RunRecord = read_json(&dir.join("run.json"))?;
    if let Some(parent) = &record.parent {
        return Err(Failure::Usage(format!(
            "{} is a member of {parent}, whose splits are drawn together",
            dir.display()
        )));
    }
    let source = Source {
        path: dir.join("resolved.yaml"),
        sets: sets.to_vec(),
        offline,
    };
    let prepared = prepare(&source, Depth::Deep, on_report)?;
    Ok(Rechecked {
        config_hash: (record.config_hash.clone(), prepared.config_hash()),
        content: same_content(&prepared, &record, dir),
    })
}
